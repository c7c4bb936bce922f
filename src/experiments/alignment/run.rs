//! The experiment from beginning to end.

use std::path::Path;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::dpo::{self, DpoPoint, Drawn};
use super::judge::{Contender, Row, judge};
use super::settings::AlignmentSettings;
use super::sft::{self, SftPoint};
use crate::jobs::{Cancelled, Context};
use crate::language::files::{self, ALIGNED, ModelFileError};
use crate::language::transformer::Transformer;

/// Name of the fine-tuned model's files, from which a stopped experiment goes on.
const FINE_TUNED: &str = "sft";

/// What happens on the way.
#[derive(Debug, Clone, PartialEq)]
pub enum AlignmentEvent {
    /// A step of fine-tuning.
    Sft(SftPoint),
    /// Pairs were drawn.
    Drawn(Drawn),
    /// A step of DPO.
    Dpo(DpoPoint),
    /// A step of the baseline that is fine-tuned on.
    MoreSft(SftPoint),
    /// A contender has answered the held-out prompts.
    Row(Box<Row>),
}

/// Wall time of each part, in seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Seconds {
    /// Of the run that did it, where this one went on from its weights.
    pub sft: f64,
    pub pairs: f64,
    pub dpo: f64,
    pub more_sft: f64,
    pub evaluation: f64,
}

impl Seconds {
    pub fn total(&self) -> f64 {
        self.sft + self.pairs + self.dpo + self.more_sft + self.evaluation
    }
}

/// The result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alignment {
    pub settings: AlignmentSettings,
    /// Trainable values of the model.
    pub parameters: usize,
    /// In the order of [`Contender::ALL`].
    pub rows: Vec<Row>,
    pub drawn: Drawn,
    /// Every step.
    pub sft: Vec<SftPoint>,
    pub more_sft: Vec<SftPoint>,
    pub dpo: Vec<DpoPoint>,
    pub seconds: Seconds,
    /// Fine-tuning was done by an earlier run of the same settings in the same folder.
    pub resumed: bool,
}

impl Alignment {
    pub fn row(&self, contender: Contender) -> Option<&Row> {
        self.rows.iter().find(|row| row.contender == contender)
    }
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum AlignmentError {
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    #[error("{0}")]
    Settings(String),
    #[error(transparent)]
    Files(#[from] ModelFileError),
    #[error(
        "among {answers} sampled answers to {prompts} prompts there is no prompt with a good and a \
         bad one, so that nothing can be preferred; raise pair_prompts, or sft_steps where all are bad"
    )]
    NoPairs { answers: usize, prompts: usize },
}

/// What the fine-tuned model's card keeps of its training.
#[derive(Serialize, Deserialize)]
struct FineTuned {
    settings: AlignmentSettings,
    seconds: f64,
    curve: Vec<SftPoint>,
}

/// Run the experiment. `folder` gets the fine-tuned model, from which a stopped run with the same
/// settings goes on, and at the end the aligned one, [`ALIGNED`].
///
/// # Errors
/// [`AlignmentError`].
pub fn run(
    settings: &AlignmentSettings,
    folder: &Path,
    context: &Context<AlignmentEvent>,
) -> Result<Alignment, AlignmentError> {
    if let Some(fault) = settings.fault() {
        return Err(AlignmentError::Settings(fault));
    }
    let go_on = || context.checkpoint();
    let (model, fine_tuned, resumed) = fine_tune(settings, folder, context)?;
    let mut seconds = Seconds { sft: fine_tuned.seconds, ..Seconds::default() };

    context.progress(Some(0.6), "drawing the model's own answers for pairs");
    let begun = Instant::now();
    let (pairs, drawn) = dpo::pairs(settings, &model, go_on)?;
    seconds.pairs = begun.elapsed().as_secs_f64();
    context.send(AlignmentEvent::Drawn(drawn));
    if pairs.is_empty() {
        let Drawn { answers, prompts, .. } = drawn;
        return Err(AlignmentError::NoPairs { answers, prompts });
    }

    let begun = Instant::now();
    let mut dpo_curve = Vec::with_capacity(settings.dpo_steps);
    let aligned = dpo::align(settings, model.clone(), pairs, |point| {
        let done = point.step as f32 / settings.dpo_steps as f32;
        let told = format!("DPO step {} of {}", point.step, settings.dpo_steps);
        context.progress(Some(0.65 + 0.2 * done), told);
        context.send(AlignmentEvent::Dpo(point));
        dpo_curve.push(point);
        context.checkpoint()
    })?;
    seconds.dpo = begun.elapsed().as_secs_f64();

    let begun = Instant::now();
    let mut more_curve = Vec::with_capacity(settings.dpo_steps);
    let more = sft::more(settings, model.clone(), |point| {
        let done = point.step as f32 / settings.dpo_steps as f32;
        let told = format!("baseline: fine-tuning step {} of {}", point.step, settings.dpo_steps);
        context.progress(Some(0.85 + 0.1 * done), told);
        context.send(AlignmentEvent::MoreSft(point));
        more_curve.push(point);
        context.checkpoint()
    })?;
    seconds.more_sft = begun.elapsed().as_secs_f64();

    let begun = Instant::now();
    let mut rows = Vec::new();
    for contender in Contender::ALL {
        let title = contender.title();
        context.progress(Some(0.95), format!("{title}: answering the held-out prompts"));
        let model = match contender {
            Contender::Sft | Contender::SftGrammar => &model,
            Contender::SftMore => &more,
            Contender::Dpo | Contender::DpoGrammar => &aligned,
        };
        let row = judge(settings, contender, model, go_on)?;
        context.send(AlignmentEvent::Row(Box::new(row.clone())));
        rows.push(row);
    }
    seconds.evaluation = begun.elapsed().as_secs_f64();

    let trained = serde_json::json!({ "experiment": "alignment", "settings": settings });
    files::save(folder, ALIGNED, &aligned, trained)?;
    context.progress(Some(1.0), "done");
    Ok(Alignment {
        settings: settings.clone(),
        parameters: aligned.size(),
        rows,
        drawn,
        sft: fine_tuned.curve,
        more_sft: more_curve,
        dpo: dpo_curve,
        seconds,
        resumed,
    })
}

/// Make the aligned model in `folder` the one in `to`, where `reasoning::Local` looks for it.
///
/// # Errors
/// [`ModelFileError`].
pub fn publish(folder: &Path, to: &Path) -> Result<(), ModelFileError> {
    let (model, card) = files::load(folder, ALIGNED)?;
    files::save(to, ALIGNED, &model, card.trained)
}

/// The fine-tuned model: what an earlier run with the same settings left, or trained now.
fn fine_tune(
    settings: &AlignmentSettings,
    folder: &Path,
    context: &Context<AlignmentEvent>,
) -> Result<(Transformer, FineTuned, bool), AlignmentError> {
    let wanted = settings.of_sft();
    // Whatever cannot be used is trained anew and written over.
    if let Ok((model, card)) = files::load(folder, FINE_TUNED)
        && let Ok(known) = serde_json::from_value::<FineTuned>(card.trained)
        && known.settings == wanted
    {
        known.curve.iter().for_each(|&point| context.send(AlignmentEvent::Sft(point)));
        return Ok((model, known, true));
    }
    let begun = Instant::now();
    let mut curve = Vec::with_capacity(settings.sft_steps);
    let model = sft::train(settings, |point| {
        let done = point.step as f32 / settings.sft_steps as f32;
        let told = format!("fine-tuning step {} of {}", point.step, settings.sft_steps);
        context.progress(Some(0.6 * done), told);
        context.send(AlignmentEvent::Sft(point));
        curve.push(point);
        context.checkpoint()
    })?;
    let known = FineTuned { settings: wanted, seconds: begun.elapsed().as_secs_f64(), curve };
    let trained = serde_json::json!(known);
    files::save(folder, FINE_TUNED, &model, trained)?;
    Ok((model, known, false))
}
