//! System 1 for answering requests: one user or a few at a time, on one core, without a tensor
//! framework.
//!
//! [`PackedSystem1`] computes what [`super::model::System1`] does, from weights that are laid out
//! once as the kernels read them, and can go on from a stored state. All of it is compiled for
//! AVX-512, AVX2 with FMA, NEON and none of these, chosen at run time by [`pulp`].
//!
//! `system` puts together `cell`, the GRU update, and `flow`, the flow over a gap; both stand on
//! `linear`, the matrix products, and `activation`, tanh and its like. `kernel` is what products
//! share with those of training, and `workspace` holds the buffers.

pub(in crate::dynamics) mod activation;
mod cell;
pub(in crate::dynamics) mod flow;
pub(in crate::dynamics) mod kernel;
pub(in crate::dynamics) mod linear;
mod system;
mod workspace;

#[cfg(test)]
mod tests;

pub use system::{PackedSystem1, Step};
pub use workspace::Workspace;
