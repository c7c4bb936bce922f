//! System 1's loss, its gradients and the optimiser on the CPU, without a tensor framework: what
//! [`super::model::System1`] and its automatic differentiation compute, written by hand.
//!
//! A step goes like this. `plan` cuts the batch into shards of rows and lists what happens where.
//! `scan` runs each shard forward and keeps what going back needs; `head` scores the states,
//! takes the loss and its derivative by them; `backward` runs each shard back and leaves the
//! derivatives by all that weights are added to; `gradients` turns these into gradients with a
//! few sums of outer products. `adam` updates the weights.
//!
//! `cell`, `flow` and `softmax` are the formulas, element by element; `gemm` is the matrix
//! product, `outer` the sum of outer products, `pool` the threads, `weights` the parameters by name,
//! `step` puts all together; `sampled` scores a few drawn items instead of all; `beside` is what lifts
//! scores beside the states. `ceiling` is what the cores could do at best.
//!
//! Work is cut by constants, and every sum has one order: results are the same to the bit whatever
//! the number of threads. Memory grows with events and substeps, for RK4 by 24·H values a substep,
//! up to half a GiB; what needs more is done in several waves.

pub(crate) mod adam;
mod backward;
mod beside;
mod ceiling;
mod cell;
mod flow;
pub(crate) mod gemm;
pub(in crate::dynamics) mod gradients;
pub(in crate::dynamics) mod head;
mod outer;
pub(in crate::dynamics) mod plan;
pub(crate) mod pool;
mod sampled;
mod scan;
pub(in crate::dynamics) mod softmax;
pub(in crate::dynamics) mod step;
pub(in crate::dynamics) mod weights;

#[cfg(test)]
mod against_tensors;
#[cfg(test)]
mod tests;

pub use adam::{FusedAdam, Update};
pub use beside::Surroundings;
pub use ceiling::sgemm_gflops;
pub use sampled::{Negatives, SparseGradients};
pub use step::Fused;

/// Dropout masks for one training step, already scaled by 1/(1 − p): zero or that.
#[derive(Debug, Clone, PartialEq)]
pub struct Dropout {
    /// `[L·B, H]`, on the embedded items.
    pub input: Vec<f32>,
    /// `[L·B, H]`, or `[B, H]` where only the last position is scored, on the states before the
    /// head. Under attention, on what every half of every block adds: `[2·blocks, L·B, H]`.
    pub state: Vec<f32>,
}
