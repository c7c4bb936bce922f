//! The factors of a sparse symmetric matrix that lose least of it: its strongest eigenvectors, found
//! by subspace iteration from a random start (Halko, Martinsson and Tropp 2011).

use nalgebra::{DMatrix, SymmetricEigen};
use pulp::Arch;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::together::Together;
use crate::dynamics::fused::gemm::{View, product, transpose};
use crate::jobs::Cancelled;

/// Directions that are followed beyond those that are kept.
const BEYOND: usize = 16;
/// Times that the matrix turns them before they count.
const ROUNDS: usize = 6;
/// A direction shorter than this share of what it was is a sum of those before it.
const NOTHING: f32 = 1e-5;

/// E = V·|Λ|^½·R, `[N, width]`, of the strongest eigenvalues Λ of `matrix` and their eigenvectors V; the
/// random rotation R keeps any coordinate from weighing more than another. Rows of items without
/// entries are 0, as the matrix's are.
///
/// # Errors
/// [`Cancelled`], where `go_on` says so; it is asked every round.
pub(super) fn of(
    matrix: &Together,
    width: usize,
    seed: u64,
    mut go_on: impl FnMut() -> Result<(), Cancelled>,
) -> Result<Vec<f32>, Cancelled> {
    let (arch, items) = (Arch::new(), matrix.items());
    let kept = width.min(items);
    let followed = (kept + BEYOND).min(items);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut random =
        |count: usize| -> Vec<f32> { (0..count).map(|_| rng.random::<f32>() - 0.5).collect() };
    // [N, followed], and the same turned.
    let (mut along, mut turned) = (vec![0.0; items * followed], random(items * followed));
    let mut applied = along.clone();
    for round in 0..=ROUNDS {
        go_on()?;
        if round > 0 {
            transpose(&applied, followed, &mut turned);
        }
        orthonormal(arch, &mut turned, items);
        transpose(&turned, items, &mut along);
        times(arch, matrix, &along, &mut applied);
    }
    let mut within = vec![0.0; followed * followed];
    product(&mut within, View::new(&turned, items), View::new(&applied, followed));
    let eigen = SymmetricEigen::new(DMatrix::from_row_slice(followed, followed, &within));
    let mut order: Vec<usize> = (0..followed).collect();
    let strength = |place: &usize| eigen.eigenvalues[*place].abs();
    order.sort_by(|a, b| strength(b).total_cmp(&strength(a)));
    order.truncate(kept);
    let mut turn = random(kept * width);
    orthonormal(arch, &mut turn, width);
    // [followed, kept] times [kept, width].
    let weighed: Vec<f32> = (0..followed)
        .flat_map(|row| order.iter().map(move |&place| (row, place)))
        .map(|(row, place)| eigen.eigenvectors[(row, place)] * strength(&place).sqrt())
        .collect();
    let mut mixed = vec![0.0; followed * width];
    product(&mut mixed, View::new(&weighed, kept), View::new(&turn, width));
    let mut factors = vec![0.0; items * width];
    product(&mut factors, View::new(&along, followed), View::new(&mixed, width));
    Ok(factors)
}

/// Make the rows of `rows`, each `width` long, orthonormal, one after the other and each twice over
/// (Gram and Schmidt); rows that are sums of those before them become 0.
fn orthonormal(arch: Arch, rows: &mut [f32], width: usize) {
    arch.dispatch(
        #[inline(always)]
        || {
            for place in 0..rows.len() / width {
                let (before, rest) = rows.split_at_mut(place * width);
                let row = &mut rest[..width];
                let long = dot(row, row).sqrt();
                for _ in 0..2 {
                    for other in before.chunks_exact(width) {
                        let along = dot(row, other);
                        row.iter_mut().zip(other).for_each(|(row, other)| *row -= along * other);
                    }
                }
                let left = dot(row, row).sqrt();
                let scale = if left > NOTHING * long { 1.0 / left } else { 0.0 };
                row.iter_mut().for_each(|value| *value *= scale);
            }
        },
    );
}

#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    /// Sums side by side; a constant, so that they are the same on every processor.
    const LANES: usize = 16;
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (b, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0f32; LANES];
    for (a, b) in a.iter().zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

/// out ← `matrix`·x, both `[N, width]`.
fn times(arch: Arch, matrix: &Together, x: &[f32], out: &mut [f32]) {
    let width = x.len() / matrix.items();
    arch.dispatch(
        #[inline(always)]
        || {
            for (item, out) in out.chunks_exact_mut(width).enumerate() {
                out.fill(0.0);
                for &(other, value) in matrix.of(item) {
                    let x = &x[other as usize * width..][..width];
                    out.iter_mut().zip(x).for_each(|(out, x)| *out += value * x);
                }
            }
        },
    );
}
