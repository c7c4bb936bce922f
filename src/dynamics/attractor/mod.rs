//! The learned dynamics, looked at: where the field comes to rest, what it draws states to, and
//! the way a history takes through it. Pure maths: no tensors, no I/O.
//!
//! [`field`] is the free vector field with its Jacobian, [`relaxation`] those that draw a state to a
//! place, [`flow`] any of them as the model crosses gaps with it, [`exact`] the whole of System 1 in f64.
//!
//! [`find()`] finds fixed points (Sussillo & Barak 2013, Opening the black box): `sample` picks
//! visited states, `basin` lets them flow, `minimise` slides them down q = ½‖f‖², `merge` joins
//! what has come together, `polish` ends with Newton's method, `eigenvalues` and `stability` say
//! what kind of point it is. `parallel` spreads the work over threads.
//!
//! [`pca`] and [`slice()`] make the plane that is drawn, [`path()`] a history's way through it with
//! its finite-time Lyapunov exponent (`lyapunov`), [`readout`] the map to places that are known.

mod affine;
mod basin;
mod eigenvalues;
pub mod exact;
pub mod field;
pub mod find;
pub mod flow;
mod lyapunov;
mod merge;
mod minimise;
mod parallel;
pub mod path;
pub mod pca;
mod polish;
pub mod readout;
pub mod relaxation;
mod sample;
pub mod slice;
pub mod stability;

#[cfg(test)]
mod testing;

pub use exact::Exact;
pub use field::{TanhField, VectorField};
pub use find::{FixedPoint, FixedPoints, Options, find};
pub use flow::Flow;
pub use path::{Jump, Path, PathPoint, path};
pub use pca::Pca;
pub use readout::{Readout, match_points};
pub use slice::{Slice, SlicePoint, slice};
pub use stability::Kind;

/// In eight sums side by side, which one after the other would wait for each other.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let len = a.len().min(b.len());
    let ((a, a_rest), (b, b_rest)) = (a[..len].as_chunks::<8>(), b[..len].as_chunks::<8>());
    let mut sums = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
}

fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt()
}

/// The rows of `states`, `[R, H]`, that hold finite values only.
fn finite_rows(states: &[f64], dim: usize) -> Vec<usize> {
    let rows = states.chunks_exact(dim.max(1)).enumerate();
    rows.filter(|(_, row)| row.iter().all(|v| v.is_finite())).map(|(row, _)| row).collect()
}
