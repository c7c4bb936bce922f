//! The GRU update, on the rows that have an event.

use pulp::{Arch, NullaryFnOnce};

use super::activation::{sigmoid, tanh};
use super::linear::Linear;
use super::workspace::{Workspace, gather, room, scatter};

/// The gated recurrent unit; see [`super::super::cell`].
pub struct Cell {
    pub arch: Arch,
    pub inputs: Inputs,
    /// h·W_h + b_h: `[H]` to `[3H]`.
    pub recurrent: Linear,
}

/// What an item gives to the gates: E\[item\]·Wᵢ + bᵢ, `[3H]`.
pub enum Inputs {
    /// Worked out for every item: `[N, 3H]`.
    Table(Vec<f32>),
    /// Worked out as they come, where a table would be too large.
    OnTheFly {
        /// `[N, H]`, without the padding's row.
        embedding: Vec<f32>,
        /// `[H]` to `[3H]`.
        projection: Linear,
    },
}

impl Inputs {
    /// A table where it has at most `limit` values.
    pub fn new(embedding: &[f32], hidden: usize, projection: Linear, limit: usize) -> Self {
        let values = embedding.len() / hidden * projection.outputs();
        if values <= limit {
            let mut table = vec![0.0; values];
            projection.apply(embedding, &mut table);
            Self::Table(table)
        } else {
            Self::OnTheFly { embedding: embedding.to_vec(), projection }
        }
    }
}

impl Cell {
    /// Let every row of `workspace.events` see its item.
    pub fn update(&self, workspace: &mut Workspace, states: &mut [f32], hidden: usize) {
        let Workspace { events, states: gathered, points, slopes, inner, .. } = workspace;
        let rows = events.iter().map(|&(row, _)| row);
        let wide = 3 * hidden;
        let gathered = gather(gathered, states, hidden, rows.clone());
        let from_state = room(inner, events.len() * wide);
        self.recurrent.apply(gathered, from_state);
        let each = gathered.chunks_exact_mut(hidden).zip(from_state.chunks_exact_mut(wide));
        match &self.inputs {
            Inputs::Table(table) => {
                for ((state, from_state), &(_, item)) in each.zip(events.iter()) {
                    let input = &table[item * wide..][..wide];
                    self.arch.dispatch(Gates { input, from_state, state });
                }
            }
            Inputs::OnTheFly { embedding, projection } => {
                let items = events.iter().map(|&(_, item)| item);
                let embedded = gather(points, embedding, hidden, items);
                let projected = room(slopes, events.len() * wide);
                projection.apply(embedded, projected);
                for ((state, from_state), input) in each.zip(projected.chunks_exact(wide)) {
                    self.arch.dispatch(Gates { input, from_state, state });
                }
            }
        }
        scatter(gathered, states, hidden, rows);
    }
}

/// One update of one row, in PyTorch's convention.
struct Gates<'a> {
    /// x·Wᵢ + bᵢ: r, z, n side by side, `[3H]`.
    input: &'a [f32],
    /// h·W_h + b_h, likewise; becomes the gates.
    from_state: &'a mut [f32],
    /// h, `[H]`, and then h′.
    state: &'a mut [f32],
}

impl NullaryFnOnce for Gates<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { input, from_state, state } = self;
        let hidden = state.len();
        let (gates, new) = from_state.split_at_mut(2 * hidden);
        let (gates_in, new_in) = input.split_at(2 * hidden);
        // One after the other: all in one loop is too long a chain for a processor to look past.
        for (gate, x) in gates.iter_mut().zip(gates_in) {
            *gate = sigmoid(x + *gate);
        }
        let (reset, update) = gates.split_at(hidden);
        for ((new, x), r) in new.iter_mut().zip(new_in).zip(reset) {
            *new = tanh(x + r * *new);
        }
        for ((state, n), z) in state.iter_mut().zip(&*new).zip(update) {
            *state = n + z * (*state - n);
        }
    }
}
