//! How a model does on held-out prompts, by the strict check.

use serde::{Deserialize, Serialize};

use super::imperfect::{Stream, prompt};
use super::settings::AlignmentSettings;
use crate::evaluation::wilson;
use crate::jobs::Cancelled;
use crate::language::answer::Verdict;
use crate::language::decode::{Decoding, answers};
use crate::language::request::Request;
use crate::language::transformer::Transformer;
use crate::language::vocabulary::{END, decode};

/// A share with its 95 % interval by Wilson.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Share {
    pub count: u64,
    pub n: u64,
    /// count / n; 0 where n is 0.
    pub rate: f64,
    pub low: f64,
    pub high: f64,
}

impl Share {
    fn of(cases: impl Iterator<Item = bool>) -> Self {
        let (mut count, mut n) = (0, 0);
        for case in cases {
            n += 1;
            count += u64::from(case);
        }
        let [low, high] = wilson(count, n);
        Self { count, n, rate: if n == 0 { 0.0 } else { count as f64 / n as f64 }, low, high }
    }
}

/// Which model, decoded how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Contender {
    Sft,
    /// As many more steps of fine-tuning as DPO has.
    SftMore,
    SftGrammar,
    Dpo,
    DpoGrammar,
}

impl Contender {
    pub const ALL: [Self; 5] =
        [Self::Sft, Self::SftMore, Self::SftGrammar, Self::Dpo, Self::DpoGrammar];

    /// For people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Sft => "SFT",
            Self::SftMore => "SFT + more steps",
            Self::SftGrammar => "SFT + grammar",
            Self::Dpo => "DPO",
            Self::DpoGrammar => "DPO + grammar",
        }
    }

    pub(super) fn grammar(self) -> bool {
        matches!(self, Self::SftGrammar | Self::DpoGrammar)
    }
}

/// One contender's results: sampled answers to the same held-out prompts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    pub contender: Contender,
    /// Of all answers: not strictly JSON.
    pub json_errors: Share,
    /// Of all answers: not of the schema, those that are no JSON included.
    pub schema_errors: Share,
    /// Of the answers that parse and whose prompt has an override: it is not followed.
    pub override_failures: Share,
    /// Of the answers that parse and list numbers: one of them is no candidate.
    pub invented: Share,
    /// Of all answers: the strict check has nothing to find.
    pub good: Share,
    /// Of the answers that parse, where a candidate of the user's taste could come first: it does.
    pub fits: Share,
    /// The first few answers.
    pub examples: Vec<Shown>,
}

/// A prompt and its answer, to look at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    pub prompt: String,
    pub answer: String,
    pub good: bool,
}

/// Answers that a row shows.
const SHOWN: usize = 8;

/// Let `model` answer the held-out prompts.
///
/// # Errors
/// That of `tick`.
pub fn judge(
    settings: &AlignmentSettings,
    contender: Contender,
    model: &Transformer,
    tick: impl Fn() -> Result<(), Cancelled> + Sync,
) -> Result<Row, Cancelled> {
    let requests: Vec<Request> =
        (0..settings.held_out).map(|place| prompt(settings, Stream::HeldOut, place).0).collect();
    let prompts: Vec<Vec<u16>> = requests.iter().map(Request::tokens).collect();
    let how = Decoding {
        temperature: settings.temperature,
        grammar: contender.grammar(),
        seed: settings.seed.wrapping_add(2),
    };
    let written = answers(model, &prompts, 1, how, tick)?;
    let texts: Vec<String> = written
        .iter()
        .flatten()
        // What never ended is no answer, whatever it reads like.
        .map(
            |tokens| {
                if tokens.last() == Some(&END) { decode(tokens) } else { decode(tokens) + "…" }
            },
        )
        .collect();
    let verdicts: Vec<Verdict> =
        texts.iter().zip(&requests).map(|(text, request)| Verdict::of(text, request)).collect();
    let each = || verdicts.iter();
    let shown = requests.iter().zip(&texts).zip(&verdicts).take(SHOWN);
    Ok(Row {
        contender,
        json_errors: Share::of(each().map(|verdict| !verdict.parses)),
        schema_errors: Share::of(each().map(|verdict| !verdict.valid)),
        override_failures: Share::of(each().filter_map(|verdict| Some(!verdict.obeys?))),
        invented: Share::of(each().filter_map(|verdict| verdict.invents)),
        good: Share::of(each().map(|verdict| verdict.good)),
        fits: Share::of(each().filter_map(|verdict| verdict.fits)),
        examples: shown
            .map(|((request, text), verdict)| Shown {
                prompt: request.text(),
                answer: text.clone(),
                good: verdict.good,
            })
            .collect(),
    })
}
