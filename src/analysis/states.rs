//! The states that held-out users visit.

use super::Subject;
use crate::dynamics::packed::Step;
use crate::jobs::{Cancelled, Context};

/// Users whose states are pooled, at most; evenly taken.
const USERS: usize = 1000;
/// Users whose states are worked out side by side.
const ROWS: usize = 32;

/// Pooled states, `[R, H]`, and where each comes from.
pub struct Pooled {
    pub states: Vec<f64>,
    /// The event that the state is right before; `None` for one right after an event.
    pub before: Vec<Option<usize>>,
    /// The users behind them, each once.
    pub users: Vec<usize>,
}

/// Run the histories of held-out users through the model, and note the state right after each
/// event and, after the flow, right before the next.
pub fn pool<E>(subject: &Subject, context: &Context<E>) -> Result<Pooled, Cancelled> {
    let model = &subject.model;
    let (data, packed) = (&model.data, &model.packed);
    let every = model.split.test.len().div_ceil(USERS).max(1);
    let queries: Vec<_> = model.split.test.iter().step_by(every).collect();
    let mut pooled = Pooled { states: Vec::new(), before: Vec::new(), users: Vec::new() };
    let mut workspace = packed.workspace();
    let (hidden, warp) = (packed.hidden(), packed.warp());
    for chunk in queries.chunks(ROWS) {
        context.checkpoint()?;
        let mut states = vec![0.0f32; chunk.len() * hidden];
        let longest =
            chunk.iter().map(|query| query.target - query.start).max().unwrap_or_default();
        for position in 0..=longest {
            // The flow up to the event at this position; the target itself is not taken.
            let gaps: Vec<f32> = chunk
                .iter()
                .map(|query| {
                    let event = query.start + position;
                    if position == 0 || event > query.target {
                        return 0.0;
                    }
                    warp.model_time(data.time[event] - data.time[event - 1])
                })
                .collect();
            packed.flow(&mut workspace, &mut states, &gaps);
            for (row, query) in chunk.iter().enumerate() {
                let event = query.start + position;
                if position > 0 && event <= query.target {
                    pooled.push(&states[row * hidden..(row + 1) * hidden], Some(event));
                }
            }
            let steps: Vec<Vec<Step>> = chunk
                .iter()
                .map(|query| {
                    let event = query.start + position;
                    let taken = event < query.target;
                    let step = || Step { dt: 0.0, item: data.item[event] };
                    taken.then(step).into_iter().collect()
                })
                .collect();
            let rows: Vec<&[Step]> = steps.iter().map(Vec::as_slice).collect();
            packed.advance(&mut workspace, &mut states, &rows);
            for (row, query) in chunk.iter().enumerate() {
                if query.start + position < query.target {
                    pooled.push(&states[row * hidden..(row + 1) * hidden], None);
                }
            }
        }
        pooled.users.extend(chunk.iter().map(|query| query.user));
    }
    pooled.users.dedup();
    Ok(pooled)
}

impl Pooled {
    fn push(&mut self, state: &[f32], before: Option<usize>) {
        self.states.extend(state.iter().map(|&value| f64::from(value)));
        self.before.push(before);
    }
}
