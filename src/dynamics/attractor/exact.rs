//! System 1 in f64, one history at a time: the reference for paths and for what is analysed.

use super::affine::Affine;
use super::field::VectorField;
use super::flow::{Flow, is_closed_form};
use crate::dynamics::excitation::{self, CLOCK, FEATURES};
use crate::dynamics::flow;
use crate::dynamics::parameters::Matrix;
use crate::dynamics::solver::{Pace, stages};
use crate::settings::{Head, ModelSettings, Solver};

/// System 1 in f64: the GRU at events, the flow of its solver over gaps, and its head.
pub struct Exact {
    items: usize,
    hidden: usize,
    solver: Solver,
    pace: Pace,
    /// `[N + 1, H]`; row 0 is the padding.
    embedding: Vec<f32>,
    /// `[H]` to `[3H]`.
    input: Affine,
    /// `[H]` to `[3H]`.
    recurrent: Affine,
    /// `None` for the GRU, which never flows.
    flow: Option<Flow>,
    /// `[H, N]`; `None` where the head is tied to the embedding.
    head: Option<Vec<f32>>,
    /// `[N]`.
    head_bias: Vec<f32>,
}

/// How one GRU update answers to a small change of the state it starts from: with p = dh·W_h,
/// dh′ = keep·dh + reset·pᵣ + update·p_z + new·pₙ, all `[H]`.
pub(super) struct EventLinearisation {
    keep: Vec<f64>,
    /// reset, update and new side by side, `[3H]`.
    gates: Vec<f64>,
}

impl Exact {
    /// From `matrices` in the order of [`crate::dynamics::parameters`].
    ///
    /// # Panics
    /// Where they are not the weights of this model for `items` items, which
    /// [`fit`](crate::dynamics::parameters::fit) makes sure of.
    pub fn new(settings: &ModelSettings, items: usize, matrices: &[Matrix]) -> Self {
        let hidden = settings.hidden;
        let mut matrices = matrices.iter();
        let mut take = |shape: [usize; 2]| -> &[f32] {
            let matrix = matrices.next().unwrap_or_else(|| panic!("a matrix {shape:?} is missing"));
            assert_eq!(matrix.shape, shape, "{} belongs to another model", matrix.name);
            &matrix.values
        };
        let embedding = take([items + 1, hidden]).to_vec();
        let input = Affine::new(take([hidden, 3 * hidden]), take([1, 3 * hidden]));
        let recurrent = Affine::new(take([hidden, 3 * hidden]), take([1, 3 * hidden]));
        let weights = flow::weights(settings.solver).iter();
        let weights: Vec<&[f32]> = weights.map(|weight| take(weight.shape(hidden))).collect();
        let flow = Flow::new(settings, &weights);
        // Whoever asks has measured gaps in model time already.
        if settings.learns_time_scale() {
            take([1, 1]);
        }
        // A state's own scores know nothing of the moment.
        if excitation::matrices(settings) > 0 {
            take([hidden, FEATURES]);
            take([1, FEATURES]);
            take([CLOCK, FEATURES]);
        }
        let head = match settings.head {
            Head::Linear => Some(take([hidden, items]).to_vec()),
            Head::Tied => None,
        };
        Self {
            items,
            hidden,
            solver: settings.solver,
            pace: Pace::of(settings),
            embedding,
            input,
            recurrent,
            flow,
            head,
            head_bias: take([1, items]).to_vec(),
        }
    }

    /// H, the width of a state.
    pub fn hidden(&self) -> usize {
        self.hidden
    }

    /// N, the number of items that are scored.
    pub fn items(&self) -> usize {
        self.items
    }

    /// The flow between events, which is a vector field; `None` for the GRU solver, which has none.
    pub fn field(&self) -> Option<&Flow> {
        self.flow.as_ref()
    }

    /// How gaps are integrated.
    pub fn solver(&self) -> Solver {
        self.solver
    }

    /// Let `h`, `[H]`, see `item` (dense index, from 0): the GRU update in PyTorch's convention,
    /// see [`crate::dynamics::cell`].
    ///
    /// # Panics
    /// Where `item` is not below N.
    pub fn event(&self, item: u32, h: &mut [f64]) {
        self.update(item, h);
    }

    /// [`event`](Self::event), and its derivative.
    pub(super) fn update(&self, item: u32, h: &mut [f64]) -> EventLinearisation {
        let hidden = self.hidden;
        let row = &self.embedding[(item as usize + 1) * hidden..][..hidden];
        let embedded: Vec<f64> = row.iter().map(|&value| f64::from(value)).collect();
        let (mut input, mut state) = (vec![0.0; 3 * hidden], vec![0.0; 3 * hidden]);
        self.input.apply(&embedded, &mut input);
        self.recurrent.apply(h, &mut state);
        let mut keep = vec![0.0; hidden];
        let mut gates = vec![0.0; 3 * hidden];
        for (j, h) in h.iter_mut().enumerate() {
            let (update_at, new_at) = (hidden + j, 2 * hidden + j);
            let reset = sigmoid(input[j] + state[j]);
            let update = sigmoid(input[update_at] + state[update_at]);
            let new = (input[new_at] + reset * state[new_at]).tanh();
            let through_new = (1.0 - update) * (1.0 - new * new);
            keep[j] = update;
            gates[j] = through_new * state[new_at] * reset * (1.0 - reset);
            gates[update_at] = (*h - new) * update * (1.0 - update);
            gates[new_at] = through_new * reset;
            *h = new + update * (*h - new);
        }
        EventLinearisation { keep, gates }
    }

    /// What an update makes of a small change `v` of the state before it.
    pub(super) fn push_event(&self, at: &EventLinearisation, v: &[f64]) -> Vec<f64> {
        let hidden = self.hidden;
        let mut p = vec![0.0; 3 * hidden];
        self.recurrent.differential(v, &mut p);
        let gates = |j: usize| -> f64 {
            (j..3 * hidden).step_by(hidden).map(|at_gate| at.gates[at_gate] * p[at_gate]).sum()
        };
        (0..hidden).map(|j| at.keep[j] * v[j] + gates(j)).collect()
    }

    /// The transpose of [`push_event`](Self::push_event).
    pub(super) fn pull_event(&self, at: &EventLinearisation, w: &[f64]) -> Vec<f64> {
        let weighted: Vec<f64> =
            at.gates.iter().zip(w.iter().cycle()).map(|(gate, w)| gate * w).collect();
        let mut out = vec![0.0; self.hidden];
        self.recurrent.transposed(&weighted, &mut out);
        for ((out, keep), w) in out.iter_mut().zip(&at.keep).zip(w) {
            *out += keep * w;
        }
        out
    }

    /// The steps of a gap of `dt` model time: how many, and how long each is.
    pub(super) fn steps(&self, dt: f32, refine: usize) -> (usize, f64) {
        if self.flow.is_none() {
            return (0, 0.0);
        }
        let (count, length) = self.pace.finer(refine).over(dt);
        (count, f64::from(length))
    }

    /// How often a gap of `dt` model time evaluates the flow.
    pub fn evaluations(&self, dt: f32) -> usize {
        self.steps(dt, 1).0 * stages(self.solver).len()
    }

    /// Flow `h`, `[H]`, over `dt` of model time as the model does it, with its solver and its
    /// substeps, each substep cut into `refine` equal ones. A GRU stays where it is.
    pub fn flow(&self, h: &mut [f64], dt: f32, refine: usize) {
        let (count, length) = self.steps(dt, refine);
        for _ in 0..count {
            self.step(h, length);
        }
    }

    /// One step of the flow from `h`, `[H]`, in place.
    pub(super) fn step(&self, h: &mut [f64], length: f64) {
        let Some(flow) = &self.flow else { return };
        if is_closed_form(self.solver) {
            let mean = flow.linearise(self.solver, h, length);
            h.iter_mut().zip(mean.velocity()).for_each(|(h, v)| *h += length * v);
        } else {
            step(self.solver, flow, h, length);
        }
    }

    /// Scores of all items at `h`, `[H]` to `[N]`: entry i is item i.
    pub fn scores(&self, h: &[f64], out: &mut Vec<f32>) {
        let mut sums: Vec<f64> = self.head_bias.iter().map(|&bias| f64::from(bias)).collect();
        match &self.head {
            Some(weight) => {
                for (&h, row) in h.iter().zip(weight.chunks_exact(self.items.max(1))) {
                    for (sum, &weight) in sums.iter_mut().zip(row) {
                        *sum += h * f64::from(weight);
                    }
                }
            }
            None => {
                let rows = self.embedding[self.hidden..].chunks_exact(self.hidden);
                for (sum, row) in sums.iter_mut().zip(rows) {
                    *sum += h.iter().zip(row).map(|(h, &e)| h * f64::from(e)).sum::<f64>();
                }
            }
        }
        out.clear();
        out.extend(sums.into_iter().map(|sum| sum as f32));
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// One step of `length` from `z`, `[H]`, in place; see [`crate::dynamics::solver`]. What integrates no
/// field stays.
pub(super) fn step(solver: Solver, field: &dyn VectorField, z: &mut [f64], length: f64) {
    let ahead = |k: Option<&[f64]>, reach: f64| {
        let point: Vec<f64> = match k {
            Some(k) => z.iter().zip(k).map(|(z, k)| z + reach * k).collect(),
            None => z.to_vec(),
        };
        let mut out = vec![0.0; point.len()];
        field.velocity(&point, &mut out);
        out
    };
    match solver {
        Solver::Gru | Solver::Decay | Solver::Cfc | Solver::SasRec | Solver::TiSasRec => {}
        Solver::Euler => {
            let k = ahead(None, 0.0);
            for (z, k) in z.iter_mut().zip(k) {
                *z += length * k;
            }
        }
        Solver::Rk4 | Solver::GruOde => {
            let k1 = ahead(None, 0.0);
            let k2 = ahead(Some(&k1), length / 2.0);
            let k3 = ahead(Some(&k2), length / 2.0);
            let k4 = ahead(Some(&k3), length);
            for (j, z) in z.iter_mut().enumerate() {
                *z += length / 6.0 * (k1[j] + 2.0 * (k2[j] + k3[j]) + k4[j]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamics::attractor::testing::random_states;
    use crate::dynamics::packed::{PackedSystem1, Step};
    use crate::dynamics::parameters;

    #[test]
    fn it_agrees_with_the_packed_model() {
        let (items, dts) = (23, [0.0, 0.4, 3.0, 0.01, 11.0, 1.0]);
        for &solver in Solver::WITH_STATE {
            for &head in Head::ALL {
                let settings = ModelSettings {
                    solver,
                    head,
                    hidden: 19,
                    max_step: 0.7,
                    max_substeps: 5,
                    decay: 0.2,
                    ..Default::default()
                };
                let weights = parameters::initial(&settings, items, 9);
                let packed = PackedSystem1::new(&settings, items, &weights);
                let exact = Exact::new(&settings, items, &weights);
                assert_eq!((exact.hidden(), exact.items()), (19, items));
                assert_eq!(exact.field().is_none(), solver == Solver::Gru);
                let steps: Vec<Step> = dts
                    .iter()
                    .enumerate()
                    .map(|(i, &dt)| Step { dt, item: i as u32 * 4 })
                    .collect();
                let mut workspace = packed.workspace();
                let mut theirs = vec![0.0f32; 19];
                packed.advance(&mut workspace, &mut theirs, &[&steps]);
                packed.flow(&mut workspace, &mut theirs, &[2.0]);
                let mut scores = vec![0.0; items];
                packed.scores(&mut workspace, &theirs, &mut scores);
                let mut ours = vec![0.0; 19];
                for step in &steps {
                    exact.flow(&mut ours, step.dt, 1);
                    exact.event(step.item, &mut ours);
                }
                exact.flow(&mut ours, 2.0, 1);
                let mut own = Vec::new();
                exact.scores(&ours, &mut own);
                for (a, b) in ours.iter().zip(&theirs) {
                    assert!((a - f64::from(*b)).abs() < 1e-4, "{solver:?}: {a} {b}");
                }
                assert_eq!(own.len(), items);
                for (a, b) in own.iter().zip(&scores) {
                    assert!((a - b).abs() < 1e-4, "{solver:?} {head:?}: {a} {b}");
                }
            }
        }
    }

    #[test]
    fn the_derivative_of_an_update_is_the_limit_of_differences() {
        let settings = ModelSettings { hidden: 7, ..Default::default() };
        let model = Exact::new(&settings, 5, &parameters::initial(&settings, 5, 2));
        let h = random_states(1, 7, 1);
        let at = model.update(3, &mut h.clone());
        let step = 1e-6;
        for j in 0..7 {
            let (mut up, mut down, mut unit) = (h.clone(), h.clone(), vec![0.0; 7]);
            up[j] += step;
            down[j] -= step;
            unit[j] = 1.0;
            model.event(3, &mut up);
            model.event(3, &mut down);
            let pushed = model.push_event(&at, &unit);
            for i in 0..7 {
                let slope = (up[i] - down[i]) / (2.0 * step);
                assert!((pushed[i] - slope).abs() < 1e-8);
                let mut row = vec![0.0; 7];
                row[i] = 1.0;
                assert!((model.pull_event(&at, &row)[j] - slope).abs() < 1e-8);
            }
        }
    }
}
