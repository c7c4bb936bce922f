//! The original README's experiments, with real models and measured numbers, and studies of our own.
//!
//! | file | what |
//! |---|---|
//! | `catalog` | which experiments there are, what each asks, and what the original claims |
//! | `inputs`, `event` | what an experiment is given, and what it tells while it runs |
//! | `findings` | what it finds: a table, a figure, a sentence on method and one on limits |
//! | `perform` | runs one and stores its result |
//! | `store`, `parts` | results on disk; finished parts of one that was stopped |
//! | `render`, `report`, `page` | the table as text, Markdown and CSV; several results as one write-up |
//! | `efficiency`, `routing`, `alignment`, `ablation`, `dora` | the README's experiments: each reads from top to bottom |
//! | `tuning`, `ingredients`, `slices`, `robustness`, `step_size`, `calibration` | studies beyond it |
//! | `subjects` | the finished models that a study asks again |
//!
//! An experiment is a function from [`Inputs`] to [`Findings`] and one entry of [`Experiment`].

mod ablation;
pub mod alignment;
mod calibration;
mod catalog;
pub mod dora;
mod efficiency;
mod error;
mod event;
mod findings;
mod ingredients;
mod inputs;
mod page;
mod parts;
mod perform;
mod render;
mod report;
mod robustness;
mod routing;
mod slices;
mod step_size;
mod store;
mod subjects;
mod tuning;

pub use catalog::{About, Experiment};
pub use error::ExperimentError;
pub use event::Event;
pub use findings::{Column, Curve, Figure, Findings, Measure, Row, Value};
pub use ingredients::{INGREDIENTS, asked as asked_ingredients};
pub use inputs::Inputs;
pub use perform::perform;
pub use report::Report;
pub use store::{ExperimentResult, ExperimentStore};
