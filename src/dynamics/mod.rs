//! System 1: a user's state is updated by a GRU at each event and flows between events.
//!
//! h ← GRU(E\[xᵢ\], h) at each event, h ← flow(h, dtᵢ) over the gap after it, scores = head(h).
//! This is the plain-tensor version: every formula stands as written in the papers, so that it
//! can serve as the oracle for faster kernels. It knows burn and nothing else of the product.
//!
//! [`cell`] is the GRU, [`flow`] what moves a state between events (among others the free [`field`]),
//! [`solver`] the integration over a gap,
//! [`warp`] how gaps become the time it runs over,
//! [`model`] puts them together over a [`batch`], [`parameters`] owns the weights, [`device`]
//! says where all of it runs. [`fused`] is the same on the CPU with gradients by hand, for training,
//! [`gpu`] the same on a GPU, and [`packed`] without them, for answering requests; [`attractor`] is
//! the analysis of what was learned, and [`tsit5`] the adaptive reference for its solvers.
//! [`excitation`] is what the items do by themselves: what the world wants now. [`adapter`] changes
//! finished weights by low-rank matrices.

pub mod adapter;
pub mod attention;
pub mod attractor;
pub mod batch;
pub mod cell;
pub mod device;
pub mod excitation;
pub mod field;
pub mod flow;
pub mod fused;
pub mod gpu;
pub mod model;
pub mod packed;
pub mod parameters;
pub mod solver;
pub mod tsit5;
pub mod warp;
