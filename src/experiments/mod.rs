//! DeepM3's experiments with real models.

pub mod alignment;
