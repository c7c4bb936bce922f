//! The field on a plane of principal components, and how much of it leaves that plane.

use serde::{Deserialize, Serialize};

use super::field::{VectorField, narrow, widen};
use super::pca::Pca;
use super::{dot, norm};

/// The field on a grid in a plane.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    /// Points along x.
    pub columns: usize,
    /// Points along y.
    pub rows: usize,
    /// Row-major, y rising.
    pub points: Vec<SlicePoint>,
}

/// The field at one point of the plane.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SlicePoint {
    /// a, along the two components.
    pub at: [f64; 2],
    /// Pᵀf(μ + P·a), per unit of model time: the part of the field that lies in the plane.
    pub velocity: [f64; 2],
    /// ‖(I − PPᵀ)f‖ / ‖f‖, 0..=1: the share of it that does not; 0 where f is 0.
    pub out_of_plane: f64,
}

/// Evaluate `field` on `columns` × `rows` points of the plane through the mean along components
/// `axes`, over `extent` = `[[x0, x1], [y0, y1]]` with both ends. One column or row lies in the
/// middle.
pub fn slice(
    field: &dyn VectorField,
    pca: &Pca,
    axes: [usize; 2],
    extent: [[f64; 2]; 2],
    columns: usize,
    rows: usize,
) -> Slice {
    let dim = field.dim();
    let mut points = Vec::with_capacity(columns * rows);
    let (mut states, mut velocities) = (vec![0.0; columns * dim], vec![0.0; columns * dim]);
    let mut wide = vec![0.0; dim];
    for row in 0..rows {
        let at = |column| [place(extent[0], column, columns), place(extent[1], row, rows)];
        for (column, state) in states.chunks_exact_mut(dim).enumerate() {
            narrow(&pca.lift(axes, at(column)), state);
        }
        field.velocities(&states, &mut velocities);
        for (column, velocity) in velocities.chunks_exact(dim).enumerate() {
            widen(velocity, &mut wide);
            points.push(point(pca, axes, at(column), &wide));
        }
    }
    Slice { columns, rows, points }
}

fn point(pca: &Pca, axes: [usize; 2], at: [f64; 2], f: &[f64]) -> SlicePoint {
    let mut rest = f.to_vec();
    let velocity = axes.map(|axis| {
        let Some(component) = pca.components.get(axis) else { return 0.0 };
        let along = dot(component, f);
        rest.iter_mut().zip(component).for_each(|(rest, component)| *rest -= along * component);
        along
    });
    let size = norm(f);
    let out_of_plane = if size > 0.0 { (norm(&rest) / size).clamp(0.0, 1.0) } else { 0.0 };
    SlicePoint { at, velocity, out_of_plane }
}

fn place([from, to]: [f64; 2], index: usize, count: usize) -> f64 {
    let share = if count > 1 { index as f64 / (count - 1) as f64 } else { 0.5 };
    from + (to - from) * share
}

#[cfg(test)]
mod tests {
    use super::*;

    /// f = (z₀, 2, z₁) in R³.
    struct Known;

    impl VectorField for Known {
        fn dim(&self) -> usize {
            3
        }
        fn velocity(&self, z: &[f64], out: &mut [f64]) {
            out.copy_from_slice(&[z[0], 2.0, z[1]]);
        }
        fn jacobian(&self, _: &[f64], out: &mut [f64]) {
            out.copy_from_slice(&[1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
        }
    }

    #[test]
    fn it_splits_the_field_into_its_plane_and_the_rest() {
        let pca = Pca {
            mean: vec![1.0, 0.0, 5.0],
            components: vec![vec![1.0, 0.0, 0.0], vec![0.0, 1.0, 0.0]],
            explained: vec![0.7, 0.3],
        };
        let slice = slice(&Known, &pca, [0, 1], [[-1.0, 1.0], [0.0, 3.0]], 3, 2);
        assert_eq!((slice.columns, slice.rows, slice.points.len()), (3, 2, 6));
        assert_eq!(slice.points[2].at, [1.0, 0.0]);
        assert_eq!(slice.points[3].at, [-1.0, 3.0]);
        // At (1 − 1, 3, 5): f = (0, 2, 3).
        assert_eq!(slice.points[3].velocity, [0.0, 2.0]);
        assert!((slice.points[3].out_of_plane - 3.0 / 13.0f64.sqrt()).abs() < 1e-6);
        // At (2, 0, 5): f = (2, 2, 0) lies in the plane.
        assert_eq!(slice.points[2].velocity, [2.0, 2.0]);
        assert!(slice.points[2].out_of_plane < 1e-6);
    }
}
