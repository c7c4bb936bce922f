//! Principal components of visited states: the plane that trajectories are drawn in.

use nalgebra::{DMatrix, SymmetricEigen};
use serde::{Deserialize, Serialize};

use super::{dot, finite_rows};

/// Principal components of a set of states (Pearson 1901; Hotelling 1933).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pca {
    /// μ, `[H]`.
    pub mean: Vec<f64>,
    /// K orthonormal rows of H, the largest variance first. The largest loading of each is
    /// positive, so that pictures of the same states are the same.
    pub components: Vec<Vec<f64>>,
    /// Share of the variance along each component, `[K]`, 0..=1.
    pub explained: Vec<f64>,
}

/// Rows whose products are summed at a time.
const BLOCK: usize = 1024;

impl Pca {
    /// The first `keep` components (at most H) of `states`, `[R, H]` row-major with H = `dim`.
    /// States that are not finite are skipped. Without variance the components are still
    /// orthonormal and explain 0.
    pub fn fit(states: &[f64], dim: usize, keep: usize) -> Self {
        let rows = finite_rows(states, dim);
        let keep = keep.min(dim);
        let mut mean = vec![0.0; dim];
        for &row in &rows {
            for (mean, value) in mean.iter_mut().zip(&states[row * dim..][..dim]) {
                *mean += value / rows.len() as f64;
            }
        }
        let mut covariance = DMatrix::<f64>::zeros(dim, dim);
        for rows in rows.chunks(BLOCK) {
            let centred = rows.iter().flat_map(|&row| {
                states[row * dim..][..dim].iter().zip(&mean).map(|(value, mean)| value - mean)
            });
            // One state a column.
            let centred = DMatrix::from_iterator(dim, rows.len(), centred);
            covariance.gemm(1.0, &centred, &centred.transpose(), 1.0);
        }
        let total: f64 = covariance.diagonal().sum();
        // A relative scale, so that neither huge nor tiny states trouble the iteration.
        let usable = total.is_finite() && total > 0.0;
        let eigen = usable
            .then(|| SymmetricEigen::try_new(covariance / total, f64::EPSILON, 100 * dim.max(10)))
            .flatten();
        let Some(eigen) = eigen else {
            let unit = |k: usize| (0..dim).map(|j| f64::from(u8::from(j == k))).collect();
            return Self {
                mean,
                components: (0..keep).map(unit).collect(),
                explained: vec![0.0; keep],
            };
        };
        let mut order: Vec<usize> = (0..dim).collect();
        order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
        order.truncate(keep);
        let component = |&k: &usize| -> Vec<f64> {
            let column: Vec<f64> = eigen.eigenvectors.column(k).iter().copied().collect();
            // The first of the largest, in case two are equally large up to rounding.
            let largest = column.iter().fold(0.0f64, |most, value| most.max(value.abs()));
            let lead = column.iter().find(|value| value.abs() > largest * (1.0 - 1e-9));
            let sign = lead.map_or(1.0, |value| value.signum());
            column.into_iter().map(|value| value * sign).collect()
        };
        Self {
            mean,
            components: order.iter().map(component).collect(),
            explained: order.iter().map(|&k| eigen.eigenvalues[k].clamp(0.0, 1.0)).collect(),
        }
    }

    /// Coordinates of `z`, `[H]`, along the components: `[K]`.
    pub fn project(&self, z: &[f64]) -> Vec<f64> {
        let centred: Vec<f64> = z.iter().zip(&self.mean).map(|(z, mean)| z - mean).collect();
        self.components.iter().map(|component| dot(component, &centred)).collect()
    }

    /// The state at `at` in the plane through the mean along components `axes`: μ + P·a, `[H]`.
    /// An axis that was not kept adds nothing.
    pub fn lift(&self, axes: [usize; 2], at: [f64; 2]) -> Vec<f64> {
        let mut z = self.mean.clone();
        for (axis, at) in axes.into_iter().zip(at) {
            let Some(component) = self.components.get(axis) else { continue };
            for (z, component) in z.iter_mut().zip(component) {
                *z += at * component;
            }
        }
        z
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_dimensions_worked_by_hand() {
        // Around (3, 1): ±2 along (1, 1)/√2 and ±1 along (1, −1)/√2: variances 4 : 1.
        let s = 0.5f64.sqrt();
        let mut states = Vec::new();
        for (a, b) in [(2.0, 0.0), (-2.0, 0.0), (0.0, 1.0), (0.0, -1.0)] {
            states.extend([3.0 + s * (a + b), 1.0 + s * (a - b)]);
        }
        states.extend([f64::NAN, 0.0]);
        let pca = Pca::fit(&states, 2, 5);
        assert!((pca.mean[0] - 3.0).abs() < 1e-12 && (pca.mean[1] - 1.0).abs() < 1e-12);
        assert!((pca.explained[0] - 0.8).abs() < 1e-12 && (pca.explained[1] - 0.2).abs() < 1e-12);
        for (ours, by_hand) in pca.components.iter().flatten().zip([s, s, s, -s]) {
            assert!((ours - by_hand).abs() < 1e-9, "{:?}", pca.components);
        }
        let at = pca.project(&[3.0 + s * 0.5, 1.0 - s * 0.5]);
        assert!(at[0].abs() < 1e-9 && (at[1] - 0.5).abs() < 1e-9);
        let z = pca.lift([1, 0], [0.5, 2.0]);
        assert!((z[0] - 3.0 - s * 2.5).abs() < 1e-9 && (z[1] - 1.0 - s * 1.5).abs() < 1e-9);
    }

    #[test]
    fn nothing_to_see_gives_axes_that_explain_nothing() {
        for states in [vec![], vec![1.0; 12], vec![f64::INFINITY; 6], vec![1e300, 1.0, -1e300]] {
            let pca = Pca::fit(&states, 3, 2);
            assert_eq!(pca.components, [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]);
            assert_eq!(pca.explained, [0.0, 0.0]);
        }
    }
}
