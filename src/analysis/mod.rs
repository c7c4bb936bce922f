//! What a finished run has learned: the landscape of its field, and the way a history takes in it.
//!
//! [`Subject`] is a run opened for analysis. [`Landscape`] is what [`survey()`] finds near the states
//! that held-out users visit: principal components, fixed points with what they mean in days and
//! items, basins, an untrained field as the control, and on the built-in set the distance to the
//! truth; it is kept with the run. [`Journey`] is one history's way through it. [`portrait()`] draws
//! both for export.

mod error;
mod journey;
mod landscape;
mod portrait;
mod states;
mod subject;
mod survey;
#[cfg(test)]
mod tests;
mod truth;

pub use error::AnalysisError;
pub use journey::{Journey, Spot, Visit};
pub use landscape::{Control, Item, Landmark, Landscape, Start, Truth, TruthMatch, name};
pub use portrait::{View, portrait};
pub use subject::{Glance, Subject};
pub use survey::{SurveyOptions, survey};
