//! A search for good settings: random, or by successive halving, judged on validation only.
//!
//! | file | what |
//! |---|---|
//! | `sample` | points of a space, drawn by a seed |
//! | `rungs` | how many trials are trained for how long |
//! | `record` | a search on disk: its trials and how far they are |
//! | `search` | the search itself: train, judge, drop, go on; at the end test the best, once |
//!
//! A trial is an ordinary run of the run store that stops at its rungs. No step of a search reads
//! a test query: `trainer::advance` never scores one, and only the trial that was chosen is tested.

mod error;
mod record;
mod rungs;
mod sample;
mod search;
#[cfg(test)]
mod tests;

pub use error::TuneError;
pub use record::{Search, Status, Tested, Trial};
pub use rungs::Rung;
pub use search::{Cuts, TuneEvent, run};
