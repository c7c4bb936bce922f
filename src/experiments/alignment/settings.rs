//! Every number of the experiment.

use serde::{Deserialize, Serialize};

use crate::language::transformer::Shape;
use crate::language::{answer, request, vocabulary};

/// Sizes, data, and how long each part is trained. Equal settings give equal results to the bit
/// on one machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlignmentSettings {
    pub seed: u64,
    /// Width of the transformer, a multiple of 8·heads.
    pub width: usize,
    pub layers: usize,
    pub heads: usize,
    /// Share of all prompts, in training and evaluation, that have an override.
    pub overrides: f64,
    /// Shares of the fine-tuning answers that were spoilt on purpose; together at most 1.
    pub flaws: Flaws,
    pub sft_steps: usize,
    /// Examples of one step.
    pub sft_batch: usize,
    /// Adam's step size at its highest.
    pub sft_rate: f64,
    /// Training prompts that are answered for pairs.
    pub pair_prompts: usize,
    /// Answers drawn to each.
    pub pair_samples: usize,
    pub dpo_steps: usize,
    /// Pairs of one step.
    pub dpo_batch: usize,
    pub dpo_rate: f64,
    /// β: how dearly leaving the reference is paid.
    pub beta: f64,
    /// Rejected answers end with the first token in which they leave the chosen one: what follows a
    /// flaw is not to blame for it.
    pub cut_rejected: bool,
    /// Temperature at which answers are drawn, for pairs and for evaluation.
    pub temperature: f64,
    /// Held-out prompts that every model answers.
    pub held_out: usize,
}

/// Shares of spoilt answers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Flaws {
    /// Of all: no JSON.
    pub json: f64,
    /// Of all: a candidate is replaced by an item that nobody offered.
    pub invented: f64,
    /// Of all: JSON with an item twice or without its reason.
    pub schema: f64,
    /// Of those with an override: answered as if there were none.
    pub ignored: f64,
}

impl Default for Flaws {
    fn default() -> Self {
        Self { json: 0.12, invented: 0.05, schema: 0.05, ignored: 0.15 }
    }
}

impl Default for AlignmentSettings {
    fn default() -> Self {
        Self {
            seed: 42,
            width: 96,
            layers: 3,
            heads: 4,
            overrides: 0.6,
            flaws: Flaws::default(),
            sft_steps: 2400,
            sft_batch: 64,
            sft_rate: 2e-3,
            pair_prompts: 4000,
            pair_samples: 12,
            dpo_steps: 1000,
            dpo_batch: 64,
            dpo_rate: 3e-4,
            beta: 0.1,
            cut_rejected: true,
            temperature: 1.0,
            held_out: 1000,
        }
    }
}

impl AlignmentSettings {
    /// Of the transformer.
    pub fn shape(&self) -> Shape {
        Shape {
            vocabulary: vocabulary::SIZE,
            width: self.width,
            layers: self.layers,
            heads: self.heads,
            feed: 4 * self.width,
            context: request::TOKENS + answer::TOKENS,
        }
    }

    /// These settings with the defaults for all that comes after fine-tuning: two runs that agree
    /// in it have the same fine-tuned model.
    pub(super) fn of_sft(&self) -> Self {
        Self {
            seed: self.seed,
            width: self.width,
            layers: self.layers,
            heads: self.heads,
            overrides: self.overrides,
            flaws: self.flaws,
            sft_steps: self.sft_steps,
            sft_batch: self.sft_batch,
            sft_rate: self.sft_rate,
            ..Self::default()
        }
    }

    /// The first setting that cannot be, in words.
    pub fn fault(&self) -> Option<String> {
        let Flaws { json, invented, schema, ignored } = self.flaws;
        let shares = [
            ("overrides", self.overrides),
            ("flaws.json", json),
            ("flaws.invented", invented),
            ("flaws.schema", schema),
            ("flaws.ignored", ignored),
            ("all flaws together", json + invented + schema + ignored),
        ];
        let bad = shares.iter().find(|(_, share)| !(0.0..=1.0).contains(share));
        if let Some((name, share)) = bad {
            return Some(format!("{name} is {share}; give a share between 0 and 1"));
        }
        let rates = [
            ("sft_rate", self.sft_rate),
            ("dpo_rate", self.dpo_rate),
            ("beta", self.beta),
            ("temperature", self.temperature),
        ];
        let bad = rates.iter().find(|(_, rate)| !(1e-6..=10.0).contains(rate));
        if let Some((name, rate)) = bad {
            return Some(format!("{name} is {rate}; give a number between 0.000001 and 10"));
        }
        let counts = [
            ("sft_steps", self.sft_steps),
            ("sft_batch", self.sft_batch),
            ("pair_prompts", self.pair_prompts),
            ("pair_samples", self.pair_samples),
            ("dpo_steps", self.dpo_steps),
            ("dpo_batch", self.dpo_batch),
            ("held_out", self.held_out),
        ];
        let bad = counts.iter().find(|(_, count)| !(1..=1_000_000).contains(count));
        if let Some((name, count)) = bad {
            return Some(format!("{name} is {count}; give at least 1 and at most 1000000"));
        }
        let sound = self.shape().is_sound();
        (!sound).then(|| {
            format!(
                "a transformer of width {}, {} layers and {} heads cannot be built; make the width \
                 a multiple of 8 times the heads",
                self.width, self.layers, self.heads
            )
        })
    }
}
