//! Direct preference optimisation (Rafailov et al. 2023) on pairs of the model's own answers.
//!
//! The reference is the model itself before the first step, frozen; an answer's log-probability is
//! the sum over its tokens. Where [`AlignmentSettings::cut_rejected`] is set, a rejected answer
//! ends with the first token in which it leaves the chosen one, and so stands for all answers that
//! begin like it: the loss then moves the decision that went wrong. Whole rejected answers let it
//! win instead by making the tail behind a flaw unlikely, which a good answer shares.

use std::collections::HashSet;

use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use super::imperfect::{Stream, join, numbers, prompt};
use super::learner::{Learner, sums};
use super::settings::AlignmentSettings;
use crate::jobs::Cancelled;
use crate::language::answer::Verdict;
use crate::language::decode::{Decoding, answers};
use crate::language::request::Request;
use crate::language::transformer::{Example, Pass, Transformer};
use crate::language::vocabulary::{END, decode};

/// Two answers to one prompt: one that the strict check passes and one that it does not.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    pub chosen: Example,
    pub rejected: Example,
}

/// What was drawn for the pairs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drawn {
    pub prompts: usize,
    pub answers: usize,
    /// Answers that the strict check passes.
    pub good: usize,
    /// Prompts without a good answer: left out.
    pub without_good: usize,
    /// Prompts without a bad answer: nothing to prefer.
    pub without_bad: usize,
    pub pairs: usize,
}

/// One step, as it was. Means over the batch's pairs, before the step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DpoPoint {
    /// From 1.
    pub step: usize,
    pub loss: f64,
    /// β·(how much likelier the chosen one has become − how much likelier the rejected one).
    pub margin: f64,
    /// Share of pairs with a margin above 0; one of exactly 0 counts half.
    pub accuracy: f64,
    /// Log-probability of the whole answer under the model in training. It can fall.
    pub chosen: f64,
    /// Of the rejected answer as far as it counts.
    pub rejected: f64,
}

/// The loss of a pair, −ln σ(margin), and its derivative by the margin.
pub fn loss(margin: f64) -> (f64, f64) {
    // ln(1 + e^−m) without overflow.
    let loss = (-margin.abs()).exp().ln_1p() + (-margin).max(0.0);
    (loss, -1.0 / (1.0 + margin.exp()))
}

/// Pairs of answers that `model` itself gives to training prompts.
///
/// # Errors
/// That of `tick`.
pub fn pairs(
    settings: &AlignmentSettings,
    model: &Transformer,
    tick: impl Fn() -> Result<(), Cancelled> + Sync,
) -> Result<(Vec<Pair>, Drawn), Cancelled> {
    let requests: Vec<Request> =
        (0..settings.pair_prompts).map(|place| prompt(settings, Stream::Pairs, place).0).collect();
    let prompts: Vec<Vec<u16>> = requests.iter().map(Request::tokens).collect();
    let how = Decoding {
        temperature: settings.temperature,
        grammar: false,
        seed: settings.seed.wrapping_add(1),
    };
    let written = answers(model, &prompts, settings.pair_samples, how, tick)?;
    let mut drawn = Drawn { prompts: requests.len(), ..Drawn::default() };
    let mut pairs = Vec::new();
    for ((request, prompt), answers) in requests.iter().zip(&prompts).zip(&written) {
        drawn.answers += answers.len();
        let is_good = |answer: &&Vec<u16>| {
            answer.last() == Some(&END) && Verdict::of(&decode(answer), request).good
        };
        let (good, mut bad): (Vec<&Vec<u16>>, Vec<&Vec<u16>>) = answers.iter().partition(is_good);
        drawn.good += good.len();
        drawn.without_good += usize::from(good.is_empty());
        drawn.without_bad += usize::from(bad.is_empty());
        let mut seen = HashSet::new();
        bad.retain(|answer| seen.insert(*answer));
        for rejected in bad {
            // The good answer that goes the same way for longest: the pair then differs in the
            // flaw and little else.
            let shared = |good: &&&Vec<u16>| -> usize {
                good.iter().zip(rejected).take_while(|(good, bad)| good == bad).count()
            };
            let Some(chosen) = good.iter().max_by_key(shared) else {
                continue;
            };
            let parting = shared(&chosen) + 1;
            let end =
                if settings.cut_rejected { parting.min(rejected.len()) } else { rejected.len() };
            let example = |answer: &[u16]| join(prompt.clone(), answer.iter().copied());
            pairs.push(Pair { chosen: example(chosen), rejected: example(&rejected[..end]) });
        }
    }
    drawn.pairs = pairs.len();
    Ok((pairs, drawn))
}

/// Align `model` by `pairs`, itself the frozen reference. `tell` hears of every step and may stop
/// it.
///
/// # Errors
/// That of `tell`.
pub fn align(
    settings: &AlignmentSettings,
    model: Transformer,
    pairs: Vec<Pair>,
    mut tell: impl FnMut(DpoPoint) -> Result<(), Cancelled>,
) -> Result<Transformer, Cancelled> {
    let beta = settings.beta;
    let mut learner = Learner::new(model);
    let count = pairs.len();
    let examples: Vec<Example> =
        pairs.into_iter().flat_map(|pair| [pair.chosen, pair.rejected]).collect();
    let reference = sums(&learner.model, &examples);
    let mut rng = numbers(settings.seed, Stream::Pairs, settings.pair_prompts);
    let mut order: Vec<usize> = Vec::new();
    for step in 1..=settings.dpo_steps {
        let mut batch = Vec::with_capacity(settings.dpo_batch);
        while batch.len() < settings.dpo_batch.min(count) {
            match order.pop() {
                Some(pair) => batch.push(pair),
                None => {
                    order.extend(0..count);
                    order.shuffle(&mut rng);
                }
            }
        }
        let places: Vec<usize> = batch.iter().flat_map(|pair| [2 * pair, 2 * pair + 1]).collect();
        let shown: Vec<Example> = places.iter().map(|&place| examples[place].clone()).collect();
        let known: Vec<f64> = places.iter().map(|&place| reference[place]).collect();
        let pairs = batch.len() as f64;
        // A short warm-up: Adam's first steps are as long as its later ones and know less.
        let rate = settings.dpo_rate * (step as f64 / 10.0).min(1.0);
        let reports = learner.step(&shown, 2, rate, |first, pass: &Pass| {
            let own: Vec<f64> = pass.sums().collect();
            let known = &known[first..first + own.len()];
            let mut told = [0.0; 5];
            let mut each = Vec::with_capacity(own.len());
            for (own, known) in own.chunks_exact(2).zip(known.chunks_exact(2)) {
                let margin = beta * ((own[0] - known[0]) - (own[1] - known[1]));
                let (loss, slope) = loss(margin);
                let right = if margin == 0.0 { 0.5 } else { f64::from(u8::from(margin > 0.0)) };
                let one = [loss, margin, right, own[0], own[1]];
                told.iter_mut().zip(one).for_each(|(told, one)| *told += one);
                each.extend([beta * slope / pairs, -beta * slope / pairs]);
            }
            let worth = each.iter().zip(pass.answers());
            let worth = worth.flat_map(|(&one, tokens)| std::iter::repeat_n(one as f32, tokens));
            (told, worth.collect())
        });
        let mean = |place: usize| reports.iter().map(|told| told[place]).sum::<f64>() / pairs;
        tell(DpoPoint {
            step,
            loss: mean(0),
            margin: mean(1),
            accuracy: mean(2),
            chosen: mean(3),
            rejected: mean(4),
        })?;
    }
    Ok(learner.model)
}
