//! What stands beside the states when items are scored: item dynamics that lift the scores with
//! weights that follow from the state and the clock, and items that are out since the user has seen them.

use std::ops::Range;

use super::gemm::{View, product, product_into};
use super::pool::run;
use super::scan::rows;
use crate::dynamics::batch::Batch;
use crate::dynamics::excitation::{CLOCK, FEATURES, Look, Moment, Timeline, steer};
use crate::settings::{ItemDynamics, Targets};

/// What a training step knows beside the batch and the weights.
#[derive(Clone, Copy, Default)]
pub struct Surroundings<'a> {
    /// Needed where the model has item dynamics.
    pub timeline: Option<&'a Timeline>,
    /// [`Moment::behind`] after each event of the batch, `[L, B]`; empty where none is.
    pub behind: &'a [i64],
    /// Leave items that came before in the sequence out of the softmax.
    pub mask_seen: bool,
}

/// What is asked at one scored state.
struct Asked {
    /// The user's items so far, oldest first.
    items: Vec<u32>,
    /// The same sorted; empty where seen items stay in.
    out: Vec<u32>,
    /// See [`Moment::clock`].
    clock: [f32; CLOCK],
    /// Unix milliseconds.
    query: i64,
    /// See [`Moment::behind`].
    behind: i64,
}

/// Weights of the item dynamics, and where the derivatives by them add up.
pub(super) struct Weights<'a> {
    pub timeline: &'a Timeline,
    pub parts: ItemDynamics,
    /// By the state, `[H, FEATURES]`, whatever it is, `[FEATURES]`, and by the clock,
    /// `[CLOCK, FEATURES]`.
    pub weights: [&'a [f32]; 3],
    pub into: [&'a mut [f32]; 3],
}

/// The scored states of a batch.
pub(super) struct Beside<'a> {
    weights: Option<Weights<'a>>,
    asked: Vec<Asked>,
    /// The states as they are, without dropout, and derivatives by them: `[Q, H]`; empty where
    /// nothing lifts the scores.
    states: Vec<f32>,
    by_states: Vec<f32>,
}

impl<'a> Beside<'a> {
    pub fn new(weights: Option<Weights<'a>>) -> Self {
        Self { weights, asked: Vec::new(), states: Vec::new(), by_states: Vec::new() }
    }

    /// Look at other states of `batch`: those with these numbers of masks, see
    /// [`super::plan::Scored`].
    pub fn ask(
        &mut self,
        batch: &Batch,
        targets: Targets,
        masks: impl Iterator<Item = usize>,
        around: Surroundings<'_>,
        states: &[f32],
    ) {
        self.states.clear();
        self.by_states.clear();
        if self.weights.is_some() {
            self.states.extend_from_slice(states);
            self.by_states.resize(states.len(), 0.0);
        }
        self.asked.clear();
        self.asked.extend(masks.map(|mask| {
            let (position, row) = match targets {
                Targets::All => (mask / batch.rows, mask % batch.rows),
                Targets::Last => (batch.len - 1, mask),
            };
            let places = (0..=position).map(|position| position * batch.rows + row);
            let seen = places.filter(|&place| batch.items[place] > 0);
            let (items, times): (Vec<u32>, Vec<i64>) =
                seen.map(|place| (batch.items[place] as u32 - 1, batch.clock[place])).unzip();
            let query = batch.clock[(position + 1) * batch.rows + row];
            let mut out = if around.mask_seen { items.clone() } else { Vec::new() };
            out.sort_unstable();
            out.dedup();
            let behind = around.behind.get(position * batch.rows + row).copied().unwrap_or(0);
            let moment = Moment { behind, ..Moment::at(&items, &times, query) };
            let stale = self.weights.as_ref().map_or(0, |of| of.timeline.stale(&moment));
            let clock = moment.clock(stale);
            Asked { items, out, clock, query, behind }
        }));
    }

    /// What lifts the scores of the states of `range`.
    pub fn lifts(&self, threads: usize, range: Range<usize>) -> Lifts<'_> {
        let asked = &self.asked[range.clone()];
        let Some(weights) = &self.weights else { return Lifts { asked, of: None } };
        let mut each = vec![[0.0f32; FEATURES]; asked.len()];
        let [by_state, bias, by_clock] = weights.weights;
        let hidden = by_state.len() / FEATURES;
        let states = View::new(&self.states[rows(&range, hidden)], hidden);
        product(each.as_flattened_mut(), states, View::new(by_state, FEATURES));
        for (each, asked) in each.iter_mut().zip(asked) {
            each.iter_mut().zip(bias).for_each(|(each, bias)| *each += bias);
            steer(each, by_clock, asked.clock);
        }
        let mut looks: Vec<Look> = asked.iter().map(|_| Look::default()).collect();
        run(threads, looks.iter_mut().zip(asked).collect(), |(look, asked)| {
            let behind = asked.behind;
            let moment = Moment { behind, ..Moment::at(&asked.items, &[], asked.query) };
            *look = weights.timeline.look(&moment, weights.parts);
        });
        Lifts { asked, of: Some(Lifted { timeline: weights.timeline, looks, each }) }
    }

    /// From the derivatives by the lifts of the states of `range` to those by the weights and by
    /// the states.
    pub fn back(&mut self, range: Range<usize>, by_lift: &[[f32; FEATURES]]) {
        let Some(Weights { weights: [by_state, ..], into, .. }) = &mut self.weights else { return };
        let [into_state, into_bias, into_clock] = into;
        let hidden = by_state.len() / FEATURES;
        let by_lift = View::new(by_lift.as_flattened(), FEATURES);
        let place = rows(&range, hidden);
        let states = View::new(&self.states[place.clone()], hidden);
        product_into(into_state, FEATURES, 0, states.t(), by_lift, true);
        let ones = vec![1.0; states.rows()];
        product_into(into_bias, FEATURES, 0, View::new(&ones, ones.len()), by_lift, true);
        let clocks: Vec<f32> = self.asked[range].iter().flat_map(|asked| asked.clock).collect();
        product_into(into_clock, FEATURES, 0, View::new(&clocks, CLOCK).t(), by_lift, true);
        let back = View::new(by_state, FEATURES).t();
        product_into(&mut self.by_states[place], hidden, 0, by_lift, back, true);
    }

    /// Add the derivatives by the states to those that there are.
    pub fn join(&self, by_states: &mut [f32]) {
        by_states.iter_mut().zip(&self.by_states).for_each(|(sum, part)| *sum += part);
    }
}

struct Lifted<'a> {
    timeline: &'a Timeline,
    looks: Vec<Look>,
    /// Weights of the features, of each state.
    each: Vec<[f32; FEATURES]>,
}

/// What lifts the scores of a few states.
pub(super) struct Lifts<'a> {
    asked: &'a [Asked],
    of: Option<Lifted<'a>>,
}

impl Lifts<'_> {
    /// Whether any score is lifted; otherwise items are out, at most.
    pub fn lift(&self) -> bool {
        self.of.is_some()
    }

    /// Lift the `scores` of items from `first` on, for one state; `kept` is for [`Self::pull`].
    pub fn add(&self, row: usize, first: usize, scores: &mut [f32], kept: &mut Vec<f32>) {
        if let Some(Lifted { timeline, looks, each }) = &self.of {
            timeline.add_from(&looks[row], &each[row], first, scores, kept);
        }
    }

    /// Those of the items `first..first + size` that are out for one state.
    pub fn hidden(&self, row: usize, first: usize, size: usize) -> impl Iterator<Item = usize> {
        let out = &self.asked[row].out;
        let place = |item: usize| out.partition_point(|&other| (other as usize) < item);
        out[place(first)..place(first + size)].iter().map(|&item| item as usize)
    }

    /// Derivatives by the weights of the features of one state, from those by its scores of items from
    /// `first` on; none where nothing lifts them. `kept` is what [`Self::add`] has left for these.
    pub fn pull(
        &self,
        row: usize,
        first: usize,
        slopes: &[f32],
        kept: &[f32],
    ) -> Option<[f32; FEATURES]> {
        let Lifted { timeline, looks, .. } = self.of.as_ref()?;
        Some(timeline.pull(&looks[row], slopes, first, kept))
    }

    /// The features of one item, for one state; none where nothing lifts scores.
    pub fn features(&self, row: usize, item: usize) -> Option<[f32; FEATURES]> {
        let Lifted { timeline, looks, .. } = self.of.as_ref()?;
        Some(timeline.of(&looks[row], item))
    }
}

#[cfg(test)]
mod tests;
