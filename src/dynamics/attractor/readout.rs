//! From states to places that are known, and which found point is which true one.

use nalgebra::{Cholesky, DMatrix};
use serde::{Deserialize, Serialize};

use super::dot;

/// The affine map from states to places in the plane with the least squared error, ridge 1e-6: on
/// a set whose truth is known it tells where in that truth a state lies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Readout {
    /// Mean of the states, `[H]`.
    mean: Vec<f64>,
    /// Two rows of H.
    weight: [Vec<f64>; 2],
    /// Mean of the places.
    offset: [f64; 2],
    r2: f64,
}

/// Ridge, as a share of the states' mean variance along an axis.
const RIDGE: f64 = 1e-6;

impl Readout {
    /// Fit to `states`, `[R, H]` row-major with H = `dim`, at `places`, `[R]`. Rows that are not
    /// finite are skipped. `None` where fewer than three are left or the places do not vary.
    pub fn fit(states: &[f64], dim: usize, places: &[[f64; 2]]) -> Option<Self> {
        let usable = |(state, place): &(&[f64], &[f64; 2])| {
            state.iter().chain(*place).all(|value| value.is_finite())
        };
        let rows: Vec<(&[f64], &[f64; 2])> =
            states.chunks_exact(dim.max(1)).zip(places).filter(usable).collect();
        if dim == 0 || rows.len() < 3 {
            return None;
        }
        let count = rows.len() as f64;
        let mut mean = vec![0.0; dim];
        let mut offset = [0.0; 2];
        for (state, place) in &rows {
            mean.iter_mut().zip(*state).for_each(|(mean, value)| *mean += value / count);
            offset.iter_mut().zip(*place).for_each(|(mean, value)| *mean += value / count);
        }
        let (mut normal, mut cross) = (DMatrix::zeros(dim, dim), DMatrix::zeros(dim, 2));
        for rows in rows.chunks(1024) {
            let centred = rows.iter().flat_map(|(state, _)| state.iter().zip(&mean));
            let x = DMatrix::from_iterator(dim, rows.len(), centred.map(|(v, mean)| v - mean));
            let centred = rows.iter().flat_map(|(_, place)| place.iter().zip(&offset));
            let y = DMatrix::from_iterator(2, rows.len(), centred.map(|(v, mean)| v - mean));
            normal.gemm(1.0, &x, &x.transpose(), 1.0);
            cross.gemm(1.0, &x, &y.transpose(), 1.0);
        }
        let ridge = RIDGE * normal.trace() / dim as f64;
        for axis in 0..dim {
            normal[(axis, axis)] += ridge;
        }
        let weight = Cholesky::new(normal)?.solve(&cross);
        let column = |axis| weight.column(axis).iter().copied().collect();
        let mut readout = Self { mean, weight: [column(0), column(1)], offset, r2: 0.0 };
        let (mut missed, mut spread) = (0.0, 0.0);
        for (state, place) in &rows {
            let at = readout.place(state);
            for axis in 0..2 {
                missed += (at[axis] - place[axis]).powi(2);
                spread += (offset[axis] - place[axis]).powi(2);
            }
        }
        readout.r2 = 1.0 - missed / spread;
        // Places that are all one differ from their mean by its rounding.
        let rounding = 1e-24 * count * dot(&offset, &offset);
        (spread > rounding && readout.r2.is_finite()).then_some(readout)
    }

    /// Place of the state `z`, `[H]`.
    pub fn place(&self, z: &[f64]) -> [f64; 2] {
        let centred: Vec<f64> = z.iter().zip(&self.mean).map(|(z, mean)| z - mean).collect();
        [0, 1].map(|axis| self.offset[axis] + dot(&self.weight[axis], &centred))
    }

    /// Share of the places' variance that it explains on the states it was fitted to, at most 1.
    pub fn r2(&self) -> f64 {
        self.r2
    }
}

/// A pair's distance where it is not finite: worse than any other, and still a number to add.
const HOPELESS: f64 = 1e100;

/// Pair up `found` and `truth`, one to one, with the least total distance: as many pairs as the
/// shorter has, `(found, truth, distance)` by found. Exact for any number (the Hungarian method,
/// Kuhn 1955, in its O(n³) form). Points that are not finite are left alone.
pub fn match_points(found: &[[f64; 2]], truth: &[[f64; 2]]) -> Vec<(usize, usize, f64)> {
    if found.len() > truth.len() {
        let mut pairs: Vec<_> =
            match_points(truth, found).into_iter().map(|(t, f, far)| (f, t, far)).collect();
        pairs.sort_by_key(|(f, ..)| *f);
        return pairs;
    }
    let cost = |f: usize, t: usize| {
        let far = (found[f][0] - truth[t][0]).hypot(found[f][1] - truth[t][1]);
        if far < HOPELESS { far } else { HOPELESS }
    };
    let (rows, columns) = (found.len(), truth.len());
    // Prices of rows and columns, and who has which column; row and column 0 stand for nobody.
    let (mut row_price, mut column_price) = (vec![0.0; rows + 1], vec![0.0; columns + 1]);
    let mut owner = vec![0; columns + 1];
    for row in 1..=rows {
        // The cheapest way to give this row a column, changing the owners along the way.
        owner[0] = row;
        let mut least = vec![f64::INFINITY; columns + 1];
        let mut from = vec![0; columns + 1];
        let mut seen = vec![false; columns + 1];
        let mut column = 0;
        while owner[column] != 0 {
            seen[column] = true;
            let current = owner[column];
            let (mut step, mut next) = (f64::INFINITY, 0);
            for other in (1..=columns).filter(|&other| !seen[other]) {
                let left = cost(current - 1, other - 1) - row_price[current] - column_price[other];
                if left < least[other] {
                    (least[other], from[other]) = (left, column);
                }
                if least[other] < step {
                    (step, next) = (least[other], other);
                }
            }
            for other in 0..=columns {
                if seen[other] {
                    row_price[owner[other]] += step;
                    column_price[other] -= step;
                } else {
                    least[other] -= step;
                }
            }
            column = next;
        }
        while column != 0 {
            owner[column] = owner[from[column]];
            column = from[column];
        }
    }
    let mut pairs: Vec<(usize, usize, f64)> = (1..=columns)
        .filter(|&column| owner[column] > 0)
        .map(|column| (owner[column] - 1, column - 1, cost(owner[column] - 1, column - 1)))
        .filter(|(.., far)| *far < HOPELESS)
        .collect();
    pairs.sort_by_key(|(f, ..)| *f);
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamics::attractor::testing::random_states;

    #[test]
    fn an_affine_map_is_found_again() {
        let mut states = random_states(50, 4, 1);
        let map = |z: &[f64]| [3.0 + z[0] - 2.0 * z[3], 0.5 * z[1] - 1.0];
        let mut places: Vec<[f64; 2]> = states.chunks_exact(4).map(map).collect();
        states.extend([f64::NAN, 0.0, 0.0, 0.0]);
        places.push([0.0, 0.0]);
        let readout = Readout::fit(&states, 4, &places).unwrap();
        assert!(readout.r2() > 1.0 - 1e-9);
        let z = [0.3, -0.4, 2.0, 0.7];
        for (ours, exact) in readout.place(&z).into_iter().zip(map(&z)) {
            assert!((ours - exact).abs() < 1e-4);
        }
        // Places that have nothing to do with the states are not explained.
        let noise: Vec<[f64; 2]> =
            random_states(50, 2, 9).chunks_exact(2).map(|p| [p[0], p[1]]).collect();
        assert!(Readout::fit(&states, 4, &noise).unwrap().r2() < 0.5);
        assert_eq!(Readout::fit(&states, 4, &[[1.0, 2.0]; 50]), None);
        assert_eq!(Readout::fit(&states[..8], 4, &places), None);
    }

    /// The least total over every way to pair up.
    fn brute(found: &[[f64; 2]], truth: &[[f64; 2]], taken: &mut Vec<usize>) -> f64 {
        let row = taken.len();
        if row == found.len() {
            return 0.0;
        }
        let mut best = f64::INFINITY;
        for t in 0..truth.len() {
            if !taken.contains(&t) {
                taken.push(t);
                let far = (found[row][0] - truth[t][0]).hypot(found[row][1] - truth[t][1]);
                best = best.min(far + brute(found, truth, taken));
                taken.pop();
            }
        }
        best
    }

    #[test]
    fn pairs_have_the_least_total_distance() {
        for seed in 0..30 {
            let draw = |count: usize, seed: u64| -> Vec<[f64; 2]> {
                random_states(count, 2, seed).chunks_exact(2).map(|p| [p[0], p[1]]).collect()
            };
            let (few, many) = (draw(1 + seed as usize % 5, seed), draw(6, seed + 100));
            let least = brute(&few, &many, &mut Vec::new());
            for pairs in [match_points(&few, &many), match_points(&many, &few)] {
                assert_eq!(pairs.len(), few.len());
                let total: f64 = pairs.iter().map(|(.., far)| far).sum();
                assert!((total - least).abs() < 1e-9, "{total} {least}");
            }
        }
        assert!(match_points(&[], &[[0.0, 0.0]]).is_empty());
        let broken = [[f64::NAN, 0.0], [5.0, 0.0]];
        assert_eq!(match_points(&broken, &[[4.0, 0.0], [9.0, 0.0]]), [(1, 0, 1.0)]);
    }
}
