//! Which experiments there are, what each asks, and what the original claims.

use super::{
    Event, ExperimentError, Findings, Inputs, ablation, alignment, calibration, dora, efficiency,
    ingredients, robustness, routing, slices, step_size, tuning,
};
use crate::jobs::Context;
use crate::runs::DataRecord;

/// An experiment: one of the original's README, or a study of our own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Experiment {
    Efficiency,
    Routing,
    Alignment,
    Ablation,
    Dora,
    Tuning,
    Ingredients,
    Slices,
    Robustness,
    StepSize,
    Calibration,
}

/// What is known of an experiment before it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct About {
    /// As in `deepm3 experiment WORD`.
    pub word: &'static str,
    pub title: &'static str,
    /// The question it answers.
    pub asks: &'static str,
    /// What the original's README says; empty where it says nothing of it.
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
    /// Id of the run looked at, or made.
    pub run: Option<String>,
    /// Label of the device.
    pub device: String,
    /// More files of the result, by name.
    pub files: Vec<(String, Vec<u8>)>,
}

impl About {
    /// Whether the original's README claims something that this measures.
    pub fn is_of_the_readme(&self) -> bool {
        !self.claim.is_empty()
    }
}

impl Experiment {
    /// Those of the README in its order, then our own.
    pub const ALL: [Self; 11] = [
        Self::Efficiency,
        Self::Routing,
        Self::Alignment,
        Self::Ablation,
        Self::Dora,
        Self::Tuning,
        Self::Ingredients,
        Self::Slices,
        Self::Robustness,
        Self::StepSize,
        Self::Calibration,
    ];

    pub fn about(self) -> &'static About {
        match self {
            Self::Efficiency => &efficiency::ABOUT,
            Self::Routing => &routing::ABOUT,
            Self::Alignment => &alignment::ABOUT,
            Self::Ablation => &ablation::ABOUT,
            Self::Dora => &dora::ABOUT,
            Self::Tuning => &tuning::ABOUT,
            Self::Ingredients => &ingredients::ABOUT,
            Self::Slices => &slices::ABOUT,
            Self::Robustness => &robustness::ABOUT,
            Self::StepSize => &step_size::ABOUT,
            Self::Calibration => &calibration::ABOUT,
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
            Self::Tuning => tuning::run(inputs, context),
            Self::Ingredients => ingredients::run(inputs, context),
            Self::Slices => slices::run(inputs, context),
            Self::Robustness => robustness::run(inputs, context),
            Self::StepSize => step_size::run(inputs, context),
            Self::Calibration => calibration::run(inputs, context),
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
