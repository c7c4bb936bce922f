//! Item dynamics in the scores of a model that answers.

use pulp::Arch;

use super::clock::{CLOCK, steer};
use super::features::FEATURES;
use super::timeline::{Moment, Timeline};
use crate::dynamics::packed::linear::Linear;
use crate::dynamics::parameters::Matrix;
use crate::settings::{ItemDynamics, ModelSettings};

/// How many matrices of the parameters belong to the item dynamics of `model`.
pub const fn matrices(model: &ModelSettings) -> usize {
    match model.item_dynamics {
        ItemDynamics::None => 0,
        _ => 3,
    }
}

/// The weights of the features, which follow from the state and the clock.
pub struct Lift {
    parts: ItemDynamics,
    items: usize,
    /// `[H]` to `[FEATURES]`.
    weights: Linear,
    /// `[CLOCK, FEATURES]`.
    by_clock: Vec<f32>,
}

impl Lift {
    /// From the parameters of a model over `items` items; none where it has no item dynamics.
    ///
    /// # Panics
    /// Where they are not of this model.
    pub fn new(
        arch: Arch,
        model: &ModelSettings,
        items: usize,
        parameters: &[Matrix],
    ) -> Option<Self> {
        let parts = model.item_dynamics;
        let find = |name: &str, shape: [usize; 2]| {
            let found = parameters.iter().find(|matrix| matrix.name == name);
            let matrix = found.unwrap_or_else(|| panic!("`{name}` is missing"));
            assert_eq!(matrix.shape, shape, "{name} belongs to another model");
            &matrix.values
        };
        (parts != ItemDynamics::None).then(|| {
            let weight = find("items.by_state", [model.hidden, FEATURES]);
            let weights = Linear::from_rows(arch, weight, find("items.bias", [1, FEATURES]));
            let by_clock = find("items.by_clock", [CLOCK, FEATURES]).clone();
            Self { parts, items, weights, by_clock }
        })
    }

    /// Lift the scores, `[R, N]`, of `states`, `[R, H]`, by what `timeline` knows at the moments at
    /// which they are asked.
    pub fn apply(
        &self,
        timeline: &Timeline,
        moments: &[Moment<'_>],
        states: &[f32],
        scores: &mut [f32],
    ) {
        let mut each = vec![[0.0f32; FEATURES]; moments.len()];
        self.weights.apply(states, each.as_flattened_mut());
        let rows = scores.chunks_exact_mut(self.items).zip(moments);
        for ((scores, moment), each) in rows.zip(&mut each) {
            steer(each, &self.by_clock, moment.clock(timeline.stale(moment)));
            timeline.add(&timeline.look(moment, self.parts), each, scores);
        }
    }
}
