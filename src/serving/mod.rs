//! A finished run made ready to answer.
//!
//! [`ServedModel`] holds its weights for inference without a tensor framework, its catalogue, its
//! calibration and System 2's evidence; [`replay`] shows what a router setting would do to the
//! held-out requests.

mod error;
mod model;
mod perceive;
pub mod replay;

pub use error::ServeError;
pub use model::ServedModel;
