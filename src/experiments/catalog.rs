//! Which experiments there are, what each asks, and what the original claims.

use super::{
    Event, ExperimentError, Findings, Inputs, ablation, alignment, dora, efficiency, routing,
};
use crate::jobs::Context;
use crate::runs::DataRecord;

/// An experiment of the original's README.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Experiment {
    Efficiency,
    Routing,
    Alignment,
    Ablation,
    Dora,
}

/// What is known of an experiment before it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct About {
    /// As in `deepm3 experiment WORD`.
    pub word: &'static str,
    pub title: &'static str,
    /// The question it answers.
    pub asks: &'static str,
    /// What the original's README says.
    pub claim: &'static str,
    /// Where those numbers come from in the original's code.
    pub source: &'static str,
    /// Its settings, a preset of the same name as everywhere.
    pub preset: &'static str,
    /// It looks at a finished run; if not, it trains its own models.
    pub needs_run: bool,
    /// How long it takes with its preset, for people.
    pub takes: &'static str,
}

/// What [`Experiment::run`] returns: the findings, and what they were measured on.
pub struct Measured {
    pub findings: Findings,
    pub data: DataRecord,
    /// Id of the run looked at.
    pub run: Option<String>,
    /// Label of the device.
    pub device: String,
    /// More files of the result, by name.
    pub files: Vec<(String, Vec<u8>)>,
}

impl Experiment {
    /// In the order of the README.
    pub const ALL: [Self; 5] =
        [Self::Efficiency, Self::Routing, Self::Alignment, Self::Ablation, Self::Dora];

    pub fn about(self) -> &'static About {
        match self {
            Self::Efficiency => &efficiency::ABOUT,
            Self::Routing => &routing::ABOUT,
            Self::Alignment => &alignment::ABOUT,
            Self::Ablation => &ablation::ABOUT,
            Self::Dora => &dora::ABOUT,
        }
    }

    pub fn word(self) -> &'static str {
        self.about().word
    }

    /// Measure.
    pub(super) fn run(
        self,
        inputs: &Inputs,
        context: &Context<Event>,
    ) -> Result<Measured, ExperimentError> {
        match self {
            Self::Efficiency => efficiency::run(inputs, context),
            Self::Routing => routing::run(inputs, context),
            Self::Alignment => alignment::experiment(inputs, context),
            Self::Ablation => ablation::run(inputs, context),
            Self::Dora => dora::run(inputs, context),
        }
    }
}

impl std::str::FromStr for Experiment {
    type Err = ExperimentError;

    fn from_str(word: &str) -> Result<Self, ExperimentError> {
        Self::ALL.into_iter().find(|one| one.word() == word).ok_or_else(|| {
            let known: Vec<&str> = Self::ALL.iter().map(|one| one.word()).collect();
            ExperimentError::Unknown { given: word.to_owned(), known: known.join(", ") }
        })
    }
}
