//! Eigenvalues of a general real matrix, without its vectors.
//!
//! Householder reflections to Hessenberg form, then the double-shift QR iteration (Francis 1961;
//! Golub & Van Loan, Matrix Computations, §7.4–7.5). Own code rather than nalgebra's Schur form,
//! because it can be stopped between sweeps and gives up where it does not converge.

/// Sweeps for one eigenvalue before giving up.
const SWEEPS: usize = 60;

/// Eigenvalues of `matrix`, `[n, n]` row-major, as `[re, im]`, the largest real part first and of
/// a pair the positive imaginary part first; `None` where the matrix is not finite or the
/// iteration does not converge. `go_on` is asked before each sweep and may end it with an error.
pub(super) fn eigenvalues<E>(
    mut matrix: Vec<f64>,
    n: usize,
    mut go_on: impl FnMut() -> Result<(), E>,
) -> Result<Option<Vec<[f64; 2]>>, E> {
    if matrix.iter().any(|value| !value.is_finite()) {
        return Ok(None);
    }
    hessenberg(&mut matrix, n, &mut go_on)?;
    let mut found = Vec::with_capacity(n);
    // Rows `..end` are left; each eigenvalue, or pair, is split off at the bottom.
    let mut end = n;
    let mut sweeps = 0;
    let size = matrix.iter().fold(0.0f64, |most, value| most.max(value.abs()));
    while end > 0 {
        let start = split(&mut matrix, n, end, size);
        if start + 1 == end {
            found.push([matrix[start * n + start], 0.0]);
            (end, sweeps) = (start, 0);
        } else if start + 2 == end {
            found.extend(pair(&matrix, n, start));
            (end, sweeps) = (start, 0);
        } else if sweeps == SWEEPS {
            return Ok(None);
        } else {
            go_on()?;
            sweeps += 1;
            sweep(&mut matrix, n, start, end, sweeps);
        }
    }
    found.sort_by(|a, b| b[0].total_cmp(&a[0]).then(b[1].total_cmp(&a[1])));
    Ok(Some(found))
}

/// Similarity to a matrix that is 0 below its first subdiagonal.
fn hessenberg<E>(
    a: &mut [f64],
    n: usize,
    go_on: &mut impl FnMut() -> Result<(), E>,
) -> Result<(), E> {
    let mut sums = vec![0.0; n];
    for column in 0..n.saturating_sub(2) {
        go_on()?;
        let mut v: Vec<f64> = (column + 1..n).map(|row| a[row * n + column]).collect();
        let length = super::norm(&v);
        if length == 0.0 {
            continue;
        }
        v[0] += length.copysign(v[0]);
        let scale = 2.0 / super::dot(&v, &v);
        // From the left: rows column+1.. lose their part along v.
        let sums = &mut sums[column..];
        sums.fill(0.0);
        for (row, v) in (column + 1..n).zip(&v) {
            let values = &a[row * n + column..][..n - column];
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += v * value);
        }
        for (row, v) in (column + 1..n).zip(&v) {
            let values = &mut a[row * n + column..][..n - column];
            values.iter_mut().zip(&*sums).for_each(|(value, sum)| *value -= scale * v * sum);
        }
        // From the right: so do columns column+1...
        for row in a.chunks_exact_mut(n) {
            let values = &mut row[column + 1..];
            let along = scale * super::dot(values, &v);
            values.iter_mut().zip(&v).for_each(|(value, v)| *value -= along * v);
        }
    }
    for row in 2..n {
        a[row * n..][..row - 1].fill(0.0);
    }
    Ok(())
}

/// The first row of the lowest block of `..end` whose subdiagonal is not negligible; what is
/// negligible above it becomes 0.
fn split(a: &mut [f64], n: usize, end: usize, size: f64) -> usize {
    for row in (1..end).rev() {
        let around = a[(row - 1) * n + row - 1].abs() + a[row * n + row].abs();
        let around = if around == 0.0 { size } else { around };
        if a[row * n + row - 1].abs() <= f64::EPSILON * around {
            a[row * n + row - 1] = 0.0;
            return row;
        }
    }
    0
}

/// Eigenvalues of the 2 × 2 block at `row`.
fn pair(a: &[f64], n: usize, row: usize) -> [[f64; 2]; 2] {
    let (p, q) = (a[row * n + row], a[row * n + row + 1]);
    let (r, s) = (a[(row + 1) * n + row], a[(row + 1) * n + row + 1]);
    let half = (p - s) / 2.0;
    let discriminant = half * half + q * r;
    if discriminant < 0.0 {
        let (re, im) = ((p + s) / 2.0, (-discriminant).sqrt());
        return [[re, im], [re, -im]];
    }
    // The larger root first; the other from it, so that no digits cancel.
    let root = half + discriminant.sqrt().copysign(half);
    let first = s + root;
    let second = if root == 0.0 { s } else { s - q * r / root };
    [[first, 0.0], [second, 0.0]]
}

/// One implicit double-shift sweep over the block `start..end` of at least three rows.
fn sweep(a: &mut [f64], n: usize, start: usize, end: usize, sweeps: usize) {
    let at = |row: usize, column: usize| row * n + column;
    let (low, last) = (end - 2, end - 1);
    // Sum and product of the shifts: the eigenvalues of the lowest block, and now and then others,
    // against going round in circles.
    let (sum, product) = if sweeps.is_multiple_of(10) {
        let size = a[at(last, low)].abs() + a[at(low, low - 1)].abs();
        (1.5 * size, size * size)
    } else {
        (
            a[at(low, low)] + a[at(last, last)],
            a[at(low, low)] * a[at(last, last)] - a[at(low, last)] * a[at(last, low)],
        )
    };
    // First column of (A − s₁)(A − s₂).
    let (h00, h10) = (a[at(start, start)], a[at(start + 1, start)]);
    let (h01, h11) = (a[at(start, start + 1)], a[at(start + 1, start + 1)]);
    let mut v = [
        h00 * h00 + h01 * h10 - sum * h00 + product,
        h10 * (h00 + h11 - sum),
        h10 * a[at(start + 2, start + 1)],
    ];
    for k in start..last {
        let rows = if k + 2 < end { 3 } else { 2 };
        if k > start {
            v = [a[at(k, k - 1)], a[at(k + 1, k - 1)], 0.0];
            if rows == 3 {
                v[2] = a[at(k + 2, k - 1)];
            }
        }
        // Scaled, so that squares neither overflow nor vanish.
        let size = v.iter().fold(0.0f64, |most, value| most.max(value.abs()));
        if size == 0.0 {
            continue;
        }
        let mut w = v.map(|value| value / size);
        if rows == 2 {
            w[2] = 0.0;
        }
        let length = super::norm(&w);
        w[0] += length.copysign(w[0]);
        let scale = 2.0 / super::dot(&w, &w);
        // From the left. Outside of the block nothing is wanted, for only eigenvalues are.
        let first = if k > start { k - 1 } else { start };
        let block = &mut a[k * n..(k + rows) * n];
        let (top, rest) = block.split_at_mut(n);
        let (middle, bottom) = rest.split_at_mut(n);
        let (top, middle) = (&mut top[first..end], &mut middle[first..end]);
        if rows == 3 {
            let bottom = &mut bottom[first..end];
            for ((x, y), z) in top.iter_mut().zip(middle).zip(bottom) {
                let along = scale * (w[0] * *x + w[1] * *y + w[2] * *z);
                *x -= along * w[0];
                *y -= along * w[1];
                *z -= along * w[2];
            }
        } else {
            for (x, y) in top.iter_mut().zip(middle) {
                let along = scale * (w[0] * *x + w[1] * *y);
                *x -= along * w[0];
                *y -= along * w[1];
            }
        }
        // From the right.
        for row in start..(k + 4).min(end) {
            let values = &mut a[at(row, k)..][..rows];
            let along = scale * values.iter().zip(&w).map(|(value, w)| value * w).sum::<f64>();
            values.iter_mut().zip(&w).for_each(|(value, w)| *value -= along * w);
        }
        if k > start {
            for row in k + 1..k + rows {
                a[at(row, k - 1)] = 0.0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamics::attractor::testing::random_states;
    use nalgebra::DMatrix;

    fn of(matrix: &[f64], n: usize) -> Vec<[f64; 2]> {
        eigenvalues(matrix.to_vec(), n, || Ok::<(), ()>(())).unwrap().unwrap()
    }

    fn close(a: &[[f64; 2]], b: &[[f64; 2]], within: f64) -> bool {
        let mut left = b.to_vec();
        a.len() == b.len()
            && a.iter().all(|a| {
                let far = |b: &[f64; 2]| (a[0] - b[0]).hypot(a[1] - b[1]);
                let near = (0..left.len()).min_by(|&i, &j| far(&left[i]).total_cmp(&far(&left[j])));
                near.is_some_and(|near| far(&left.swap_remove(near)) < within)
            })
    }

    #[test]
    fn small_matrices_worked_by_hand() {
        assert!(of(&[], 0).is_empty());
        assert_eq!(of(&[-3.0], 1), [[-3.0, 0.0]]);
        assert_eq!(of(&[0.0, -2.0, 2.0, 0.0], 2), [[0.0, 2.0], [0.0, -2.0]]);
        assert!(close(&of(&[2.0, 1.0, 1.0, 2.0], 2), &[[3.0, 0.0], [1.0, 0.0]], 1e-14));
        // A cyclic permutation: the cube roots of 1.
        let cycle = [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
        let s = 0.75f64.sqrt();
        assert!(close(&of(&cycle, 3), &[[1.0, 0.0], [-0.5, s], [-0.5, -s]], 1e-12));
        let mut zero = vec![0.0; 36];
        assert_eq!(of(&zero, 6), [[0.0, 0.0]; 6]);
        zero[3] = f64::NAN;
        assert_eq!(eigenvalues(zero, 6, || Ok::<(), ()>(())), Ok(None));
    }

    #[test]
    fn random_matrices_agree_with_nalgebra() {
        for n in [3, 4, 5, 12, 40, 90] {
            let matrix = random_states(n, n, n as u64);
            let theirs = DMatrix::from_row_slice(n, n, &matrix).complex_eigenvalues();
            let theirs: Vec<[f64; 2]> = theirs.iter().map(|value| [value.re, value.im]).collect();
            let ours = of(&matrix, n);
            assert!(close(&ours, &theirs, 1e-9 * n as f64), "{n}");
            assert!(ours.windows(2).all(|pair| pair[0][0] >= pair[1][0]));
        }
    }

    #[test]
    fn it_stops_when_it_is_told_to() {
        assert_eq!(eigenvalues(random_states(9, 9, 1), 9, || Err("stop")), Err("stop"));
    }
}
