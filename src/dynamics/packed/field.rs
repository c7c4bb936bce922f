//! The flow over a gap: the vector field and its solvers, on the rows that still have substeps.

use pulp::{Arch, NullaryFnOnce};

use super::activation::{Tanh, tanh};
use super::linear::Linear;
use super::workspace::{Workspace, gather, room, scatter};
use crate::dynamics::solver::Stage;

/// f(z) = (tanh ∘ Linear(2H→H) ∘ tanh ∘ Linear(H→2H))(z) − λz and how it is integrated; see
/// [`super::super::field`] and [`super::super::solver`].
pub struct Field {
    pub arch: Arch,
    /// λ.
    pub decay: f32,
    pub stages: &'static [Stage],
    /// `[H]` to `[2H]`.
    pub inner: Linear,
    /// `[2H]` to `[H]`.
    pub outer: Linear,
}

impl Field {
    /// Let every row of `workspace.gaps` flow over its gap.
    pub fn flow(&self, workspace: &mut Workspace, states: &mut [f32], hidden: usize) {
        let most = workspace.gaps.iter().map(|gap| gap.count).max().unwrap_or(0);
        for substep in 0..most {
            let gaps = workspace.gaps.iter().filter(|gap| gap.count > substep);
            workspace.substeps.clear();
            workspace.substeps.extend(gaps.map(|gap| (gap.row, gap.length)));
            self.step(workspace, states, hidden);
        }
    }

    /// One step of every row of `workspace.substeps`.
    fn step(&self, workspace: &mut Workspace, states: &mut [f32], hidden: usize) {
        let Workspace { substeps, states: starts, ends, points, slopes, inner, .. } = workspace;
        let rows = substeps.iter().map(|&(row, _)| row);
        let starts = gather(starts, states, hidden, rows.clone());
        let ends = room(ends, starts.len());
        ends.copy_from_slice(starts);
        let points = room(points, starts.len());
        points.copy_from_slice(starts);
        let slopes = room(slopes, starts.len());
        let inner = room(inner, 2 * starts.len());
        for stage in self.stages {
            self.inner.apply(points, inner);
            self.arch.dispatch(Tanh { values: inner });
            self.outer.apply(inner, slopes);
            let each = slopes
                .chunks_exact(hidden)
                .zip(starts.chunks_exact(hidden))
                .zip(ends.chunks_exact_mut(hidden).zip(points.chunks_exact_mut(hidden)));
            for (((raw, start), (end, point)), &(_, length)) in each.zip(substeps.iter()) {
                let (weight, reach) = (stage.weight * length, stage.reach * length);
                self.arch.dispatch(Advance {
                    raw,
                    start,
                    decay: self.decay,
                    weight,
                    reach,
                    end,
                    point,
                });
            }
        }
        scatter(ends, states, hidden, rows);
    }
}

/// What one slope k = tanh(raw) − λ·point does to one row: `[H]` each.
struct Advance<'a> {
    raw: &'a [f32],
    start: &'a [f32],
    decay: f32,
    weight: f32,
    reach: f32,
    /// Grows by weight·k.
    end: &'a mut [f32],
    /// Becomes start + reach·k.
    point: &'a mut [f32],
}

impl NullaryFnOnce for Advance<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { raw, start, decay, weight, reach, end, point } = self;
        let (start, end, point) =
            (&start[..raw.len()], &mut end[..raw.len()], &mut point[..raw.len()]);
        for (j, &raw) in raw.iter().enumerate() {
            let slope = tanh(raw) - decay * point[j];
            end[j] += weight * slope;
            point[j] = start[j] + reach * slope;
        }
    }
}
