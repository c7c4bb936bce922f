//! System 1 put together: states that go on from event to event, and their scores.

use pulp::Arch;

use super::cell::{Cell, Inputs};
use super::flow::Flow;
use super::linear::Linear;
use super::workspace::{Gap, Workspace};
use crate::dynamics::excitation::{CLOCK, FEATURES, Lift};
use crate::dynamics::flow;
use crate::dynamics::parameters::Matrix;
use crate::dynamics::solver::Pace;
use crate::dynamics::warp::TimeWarp;
use crate::settings::{Head, ModelSettings};

/// What the items give to the GRU is worked out ahead up to this many values, 96 MiB: 65,536
/// items at H = 128.
const TABLE_VALUES: usize = 65_536 * 3 * 128;

/// One event of a history.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Model time since the event before; 0 for the first ever.
    pub dt: f32,
    /// Dense index, from 0.
    pub item: u32,
}

/// System 1 with its weights packed for one core: immutable, so that threads can share it.
pub struct PackedSystem1 {
    items: usize,
    hidden: usize,
    pace: Pace,
    warp: TimeWarp,
    cell: Cell,
    /// `None` for the GRU, which never flows.
    flow: Option<Flow>,
    lift: Option<Lift>,
    /// `[H]` to `[N]`.
    head: Linear,
}

impl PackedSystem1 {
    /// Pack `matrices`, in the order of [`crate::dynamics::parameters`], which
    /// [`fit`](crate::dynamics::parameters::fit) makes sure of.
    ///
    /// # Panics
    /// Where they are not the weights of this model for `items` items.
    pub fn new(settings: &ModelSettings, items: usize, matrices: &[Matrix]) -> Self {
        Self::with(Arch::new(), TABLE_VALUES, settings, items, matrices)
    }

    /// The same for a given instruction set and size of table.
    pub(in crate::dynamics) fn with(
        arch: Arch,
        table_values: usize,
        settings: &ModelSettings,
        items: usize,
        matrices: &[Matrix],
    ) -> Self {
        let hidden = settings.hidden;
        let all = matrices;
        let mut matrices = matrices.iter();
        let mut take = |shape: [usize; 2]| -> &[f32] {
            let matrix = matrices.next().unwrap_or_else(|| panic!("a matrix {shape:?} is missing"));
            assert_eq!(matrix.shape, shape, "{} belongs to another model", matrix.name);
            &matrix.values
        };
        let linear = |weight: &[f32], bias: &[f32], inputs: usize| {
            Linear::new(arch, inputs, bias, |input, output| weight[input * bias.len() + output])
        };
        // Row 0 is the padding, which no history holds and no score is given to.
        let embedding = &take([items + 1, hidden])[hidden..];
        let projection = linear(take([hidden, 3 * hidden]), take([1, 3 * hidden]), hidden);
        let recurrent = linear(take([hidden, 3 * hidden]), take([1, 3 * hidden]), hidden);
        let weights = flow::weights(settings.solver).iter();
        let weights: Vec<&[f32]> = weights.map(|weight| take(weight.shape(hidden))).collect();
        let flow = Flow::new(arch, settings, &weights);
        if settings.learns_time_scale() {
            take([1, 1]);
        }
        let lift = Lift::new(arch, settings, items, all);
        if lift.is_some() {
            take([hidden, FEATURES]);
            take([1, FEATURES]);
            take([CLOCK, FEATURES]);
        }
        let head = match settings.head {
            Head::Linear => linear(take([hidden, items]), take([1, items]), hidden),
            Head::Tied => Linear::new(arch, hidden, take([1, items]), |input, item| {
                embedding[item * hidden + input]
            }),
        };
        let inputs = Inputs::new(embedding, hidden, projection, table_values);
        Self {
            items,
            hidden,
            pace: Pace::of(settings),
            warp: TimeWarp::learned(settings, all),
            cell: Cell { arch, inputs, recurrent },
            flow,
            lift,
            head,
        }
    }

    /// N, the number of items that are scored.
    pub fn items(&self) -> usize {
        self.items
    }

    /// H, the width of a state.
    pub fn hidden(&self) -> usize {
        self.hidden
    }

    /// How its gaps become model time.
    pub fn warp(&self) -> TimeWarp {
        self.warp
    }

    /// Buffers for the calls below.
    pub fn workspace(&self) -> Workspace {
        Workspace::default()
    }

    /// The same for other steps of its solver.
    pub fn workspace_at(&self, pace: Pace) -> Workspace {
        Workspace { pace: Some(pace), ..Workspace::default() }
    }

    /// Continue each row of `states`, `[R, H]` (zeros for a new user), by its own steps: flow over
    /// dt, then the GRU update. Rows may have different numbers of steps, also none. A row's
    /// result is the same to the last bit whatever it is batched with, and however its steps are
    /// spread over calls.
    ///
    /// # Panics
    /// Where `states` is not a row for each of `steps`, or an item is not below N.
    pub fn advance(&self, workspace: &mut Workspace, states: &mut [f32], steps: &[&[Step]]) {
        assert_eq!(states.len(), steps.len() * self.hidden, "one state a history");
        let longest = steps.iter().map(|steps| steps.len()).max().unwrap_or(0);
        for position in 0..longest {
            workspace.gaps.clear();
            workspace.events.clear();
            for (row, step) in steps.iter().map(|steps| steps.get(position)).enumerate() {
                let Some(&Step { dt, item }) = step else { continue };
                workspace.gaps.push(self.gap(workspace.pace, row, dt));
                workspace.events.push((row, item as usize));
            }
            if let Some(flow) = &self.flow {
                flow.flow(workspace, states, self.hidden);
            }
            self.cell.update(workspace, states, self.hidden);
        }
    }

    /// Flow each row of `states`, `[R, H]`, over its own gap of model time, as `query_gap` asks
    /// for; 0 leaves it as it is. A GRU never flows.
    ///
    /// # Panics
    /// Where `states` is not a row for each of `dt`.
    pub fn flow(&self, workspace: &mut Workspace, states: &mut [f32], dt: &[f32]) {
        assert_eq!(states.len(), dt.len() * self.hidden, "one state a gap");
        let Some(flow) = &self.flow else { return };
        workspace.gaps.clear();
        let pace = workspace.pace;
        workspace.gaps.extend(dt.iter().enumerate().map(|(row, &dt)| self.gap(pace, row, dt)));
        flow.flow(workspace, states, self.hidden);
    }

    /// Scores of all items, `[R, H]` to `[R, N]`: column i is item i.
    ///
    /// The head is the largest matrix by far and is read once for all rows, so a few requests
    /// together cost little more than one. It needs no buffers; it takes them as its neighbours do.
    ///
    /// # Panics
    /// Where the two do not have the same number of whole rows.
    pub fn scores(&self, _: &mut Workspace, states: &[f32], out: &mut [f32]) {
        self.head.apply(states, out);
    }

    /// What lifts these scores beside the state, where the model has item dynamics.
    pub fn lift(&self) -> Option<&Lift> {
        self.lift.as_ref()
    }

    fn gap(&self, pace: Option<Pace>, row: usize, dt: f32) -> Gap {
        let (count, length) = pace.unwrap_or(self.pace).over(dt);
        Gap { row, count, length }
    }
}
