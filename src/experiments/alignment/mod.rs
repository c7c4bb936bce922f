//! Alignment: a small language model is fine-tuned on imperfect answers, and then taught by its own
//! good and bad ones to keep to JSON, to overrides and to the candidates.
//!
//! | file | what |
//! |---|---|
//! | `settings` | every number of the experiment |
//! | `imperfect` | prompts, and fine-tuning answers of which a known share is spoilt |
//! | `learner` | one optimiser step over a batch |
//! | `sft` | supervised fine-tuning |
//! | `dpo` | pairs of the model's own answers, and DPO on them |
//! | `judge` | the strict check of answers to held-out prompts, with intervals |
//! | `run` | the experiment from beginning to end |
//! | `experiment` | its place among the others: table, figure, words |
//!
//! Three baselines stand beside DPO: the fine-tuned model itself, the same with as many more
//! steps as DPO has, and the same held to the schema by a grammar. All answer the same held-out
//! prompts, whose templates no training prompt had.

mod dpo;
mod experiment;
mod imperfect;
mod judge;
mod learner;
mod run;
mod settings;
mod sft;

pub use dpo::{DpoPoint, Drawn};
pub use experiment::{ABOUT, experiment};
pub use judge::{Contender, Row, Share, Shown};
pub use run::{Alignment, AlignmentError, AlignmentEvent, Seconds, publish, run};
pub use settings::{AlignmentSettings, Flaws};
pub use sft::SftPoint;

#[cfg(test)]
mod tests;
