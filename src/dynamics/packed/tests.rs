//! The packed System 1 against the plain-tensor one.

use burn::tensor::Device;
use proptest::prelude::*;
use pulp::Arch;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{PackedSystem1, Step};
use crate::dynamics::batch::Batch;
use crate::dynamics::model::System1;
use crate::dynamics::parameters::{self, Matrix};
use crate::dynamics::warp::{TIME_SCALE, TimeWarp};
use crate::settings::{Head, ModelSettings, Solver, Warp};

const DAY_MS: i64 = 86_400_000;
/// Room for any table of projected items, and for none.
const TABLES: [usize; 2] = [usize::MAX, 0];

struct History {
    items: Vec<u32>,
    times: Vec<i64>,
    query: i64,
}

/// A model and requests to it.
struct Case {
    settings: ModelSettings,
    items: usize,
    weights: Vec<Matrix>,
    histories: Vec<History>,
}

impl Case {
    fn random(settings: ModelSettings, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let settings = ModelSettings {
            hidden: rng.random_range(4..=130),
            max_step: rng.random_range(0.3..1.5),
            max_substeps: rng.random_range(1..=5),
            time_scale: rng.random_range(0.2..9.0),
            learn_time_scale: seed.is_multiple_of(2),
            decay: rng.random_range(0.0..0.3),
            ..settings
        };
        let items = rng.random_range(1..=300);
        let mut history = |_| {
            let len = rng.random_range(1..=30);
            let mut now = 0;
            let mut gap = || {
                // None, within a day, or long enough for the cap on substeps.
                now += match rng.random_range(0..3) {
                    0 => 0,
                    1 => rng.random_range(1..DAY_MS),
                    _ => rng.random_range(DAY_MS..120 * DAY_MS),
                };
                now
            };
            let times = (0..len).map(|_| gap()).collect();
            let query = gap();
            let items = (0..len).map(|_| rng.random_range(0..items as u32)).collect();
            History { items, times, query }
        };
        let rows = seed as usize % 40 + 1;
        let histories = (0..rows).map(&mut history).collect();
        let mut weights = parameters::initial(&settings, items, seed);
        if let Some(theta) = weights.iter_mut().find(|matrix| matrix.name == TIME_SCALE) {
            theta.values[0] = -0.02 * (seed % 5) as f32;
        }
        Self { settings, items, weights, histories }
    }

    fn warp(&self) -> TimeWarp {
        TimeWarp::learned(&self.settings, &self.weights)
    }

    fn steps(&self) -> Vec<Vec<Step>> {
        let step = |history: &History, place: usize| {
            let time = history.times[place];
            let gap = if place > 0 { time - history.times[place - 1] } else { 0 };
            Step { dt: self.warp().model_time(gap), item: history.items[place] }
        };
        self.histories
            .iter()
            .map(|history| (0..history.items.len()).map(|place| step(history, place)).collect())
            .collect()
    }

    /// Model time from the last event to the query.
    fn last_gaps(&self) -> Vec<f32> {
        let gap = |history: &History| history.query - history.times[history.times.len() - 1];
        self.histories.iter().map(|history| self.warp().model_time(gap(history))).collect()
    }

    fn packed(&self, arch: Arch, table_values: usize) -> PackedSystem1 {
        let model =
            PackedSystem1::with(arch, table_values, &self.settings, self.items, &self.weights);
        assert_eq!(model.warp(), self.warp());
        model
    }

    /// States before the query's gap, and scores after it.
    fn answer(&self, model: &PackedSystem1) -> (Vec<f32>, Vec<f32>) {
        let steps = self.steps();
        let rows: Vec<&[Step]> = steps.iter().map(Vec::as_slice).collect();
        let mut workspace = model.workspace();
        let mut states = vec![0.0; rows.len() * model.hidden()];
        model.advance(&mut workspace, &mut states, &rows);
        let before = states.clone();
        if self.settings.query_gap {
            model.flow(&mut workspace, &mut states, &self.last_gaps());
        }
        let mut scores = vec![f32::NAN; rows.len() * model.items()];
        model.scores(&mut workspace, &states, &mut scores);
        (before, scores)
    }

    /// Scores of the plain-tensor model.
    fn plain(&self) -> Vec<f32> {
        let longest = self.histories.iter().map(|history| history.items.len()).max().unwrap();
        let mut batch = Batch::empty(self.histories.len(), longest);
        for (row, History { items, times, query }) in self.histories.iter().enumerate() {
            batch.put(row, items, times, *query, None, self.warp());
        }
        let weights = parameters::upload(&self.weights, &Device::flex());
        let scores = System1::new(&self.settings, &weights).forward(&batch);
        scores.into_data().try_to_vec().unwrap()
    }
}

/// Largest difference, relative to the largest value of the row.
fn difference(ours: &[f32], theirs: &[f32], width: usize) -> f32 {
    assert_eq!(ours.len(), theirs.len());
    let mut most = 0.0f32;
    for (ours, theirs) in ours.chunks(width).zip(theirs.chunks(width)) {
        let size = theirs.iter().fold(0.0f32, |size, value| size.max(value.abs()));
        for (a, b) in ours.iter().zip(theirs) {
            let error = (a - b).abs() / size;
            // NaN is the largest difference of all.
            most = if error <= most { most } else { error };
        }
    }
    most
}

/// Every kind of model.
fn kinds() -> impl Iterator<Item = ModelSettings> {
    Solver::WITH_STATE.iter().flat_map(|&solver| {
        Head::ALL.iter().flat_map(move |&head| {
            Warp::ALL.iter().flat_map(move |&warp| {
                [false, true].into_iter().map(move |query_gap| ModelSettings {
                    solver,
                    head,
                    warp,
                    query_gap,
                    ..Default::default()
                })
            })
        })
    })
}

#[test]
fn it_agrees_with_the_plain_tensors() {
    for (kind, settings) in kinds().enumerate() {
        for sample in 0..4 {
            let case = Case::random(settings.clone(), (kind * 4 + sample) as u64 * 7);
            let plain = case.plain();
            for table in TABLES {
                let (_, scores) = case.answer(&case.packed(Arch::new(), table));
                let error = difference(&scores, &plain, case.items);
                // Each is within 1e-5 of the exact value: up to 150 substeps carry its rounding on.
                assert!(error < 5e-5, "{:?}: {error}", case.settings);
            }
        }
    }
}

#[test]
fn a_processor_without_vector_extensions_gets_the_same() {
    for (kind, settings) in kinds().enumerate() {
        let case = Case::random(settings, kind as u64);
        let best = case.answer(&case.packed(Arch::new(), usize::MAX));
        let least = case.answer(&case.packed(Arch::Scalar, usize::MAX));
        let error = difference(&least.1, &best.1, case.items);
        assert!(error < 5e-5, "{:?}: {error}", case.settings);
    }
}

#[test]
fn an_empty_history_leaves_the_state_as_it_is() {
    let case = Case::random(ModelSettings::default(), 5);
    let model = case.packed(Arch::new(), usize::MAX);
    let mut workspace = model.workspace();
    let given: Vec<f32> = (0..2 * model.hidden()).map(|i| i as f32 * 1e-3).collect();
    let mut states = given.clone();
    model.advance(&mut workspace, &mut states, &[&[], &[Step { dt: 0.5, item: 0 }]]);
    assert_eq!(states[..model.hidden()], given[..model.hidden()]);
    assert_ne!(states[model.hidden()..], given[model.hidden()..]);
    let mut states = given.clone();
    model.flow(&mut workspace, &mut states, &[0.0, 0.0]);
    assert_eq!(states, given);
    model.advance(&mut workspace, &mut [], &[]);
    model.scores(&mut workspace, &[], &mut []);
}

#[test]
fn the_model_in_use_keeps_a_table_of_its_items() {
    // What callers get is one of the two that are tested here.
    let case = Case::random(ModelSettings::default(), 6);
    let used = PackedSystem1::new(&case.settings, case.items, &case.weights);
    assert_eq!(case.answer(&used), case.answer(&case.packed(Arch::new(), usize::MAX)));
}

fn any_kind() -> impl Strategy<Value = ModelSettings> {
    prop::sample::select(kinds().collect::<Vec<_>>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_row_does_not_depend_on_its_batch(settings in any_kind(), seed in 0u64..10_000) {
        let mut case = Case::random(settings, seed);
        for table in TABLES {
            let model = case.packed(Arch::new(), table);
            let (states, scores) = case.answer(&model);
            let histories = std::mem::take(&mut case.histories);
            let each = states.chunks(model.hidden()).zip(scores.chunks(case.items));
            let mut alone = Vec::new();
            for (history, (state, scores)) in histories.into_iter().zip(each) {
                case.histories = vec![history];
                let (own_state, own_scores) = case.answer(&model);
                prop_assert_eq!(state, own_state);
                prop_assert_eq!(scores, own_scores);
                alone.append(&mut case.histories);
            }
            case.histories = alone;
        }
    }

    #[test]
    fn a_state_is_taken_up_where_it_was_left(
        settings in any_kind(),
        seed in 0u64..10_000,
        cut in 0usize..30,
    ) {
        let case = Case::random(settings, seed);
        let model = case.packed(Arch::new(), usize::MAX);
        let steps = case.steps();
        let mut workspace = model.workspace();
        let mut states = vec![0.0; steps.len() * model.hidden()];
        let first: Vec<&[Step]> = steps.iter().map(|s| &s[..cut.min(s.len())]).collect();
        let rest: Vec<&[Step]> = steps.iter().map(|s| &s[cut.min(s.len())..]).collect();
        model.advance(&mut workspace, &mut states, &first);
        model.advance(&mut workspace, &mut states, &rest);
        prop_assert_eq!(states, case.answer(&model).0);
    }
}
