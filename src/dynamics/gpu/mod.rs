//! System 1's loss, its gradients and the optimiser on a GPU, in kernels of our own: the maths of
//! [`super::fused`], without a tensor framework and without automatic differentiation.
//!
//! Users are independent, so the whole recurrence is one launch forward and one back: a cube takes a
//! tile of rows, keeps their states in shared memory and loops over positions, substeps and stages
//! inside the kernel (`forward`, `backward`; `inner` multiplies there). What is the same at every
//! position is taken out of the loop: x·Wᵢ before it, the gradients of the weights after it, as
//! products over all rows at once (`product`). `rows` embeds items and gathers the embedding's
//! gradient item by item, `reduce` is the cross entropy, the gradient's norm and Adam over all
//! parameters at once. `plan` lays a batch out, `shape` fits the tiles to a device, `launch` is the
//! one place where kernels are started and counted, `buffer` what they are given, `step` puts all
//! together.
//!
//! A step is 18 launches with a field (GRU: 16; a tied head one more), and one more for each product
//! whose sum is cut into parts to keep the device busy. At DeepM3's size (batch 64, 19 events, H 128,
//! 3,707 items) that makes 24 with Euler and RK4, 20 with GRU; in plain tensors it is about three
//! thousand. Where there are more than 2²⁴ scores, each further 2²⁴ take four to seven more.
//! [`OnGpu::launches`] counts them. Three uploads go before: the plan, the lengths, the masks.
//!
//! Kernels are compiled for the hidden size and the options of the model; lengths of histories, gaps
//! and batches may change from step to step. They need neither planes nor atomics nor 16-bit floats,
//! and sum in one order: a device gives the same bits every time.

mod backward;
mod buffer;
mod forward;
mod inner;
mod launch;
mod plan;
mod product;
mod reduce;
mod rows;
mod shape;
mod stage;
mod step;

#[cfg(test)]
mod tests;

pub use shape::Unfit;
pub use step::{Lost, Measured, OnGpu};
