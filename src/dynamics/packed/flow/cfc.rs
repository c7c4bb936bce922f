//! Closed-form continuous time; see [`crate::dynamics::flow::cfc`].

use pulp::{Arch, NullaryFnOnce};

use super::{Evaluation, Formula, Linear, Widths, row};
use crate::dynamics::packed::activation::{Tanh, exp_m1, softplus};

/// z + (1 − exp(−softplus(f)·dt))⊙(g − z), with g and f on a backbone of 2H units.
pub struct Cfc {
    pub arch: Arch,
    /// The backbone, `[H]` to `[2H]`.
    pub inner: Linear,
    /// g and f before their functions, `[2H]` to `[2H]`.
    pub outer: Linear,
}

impl Formula for Cfc {
    /// The backbone; g and f.
    fn widths(&self) -> Widths {
        Widths { inner: 2, outer: 2 }
    }

    fn evaluate(&self, at: Evaluation<'_>) {
        self.inner.apply(at.points, at.inner);
        self.arch.dispatch(Tanh { values: at.inner });
        self.outer.apply(at.inner, at.outer);
        for (place, moving) in at.moving.iter().enumerate() {
            let own = row(place, at.hidden);
            self.arch.dispatch(Cross {
                heads: &mut at.outer[row(place, 2 * at.hidden)],
                start: &at.starts[own.clone()],
                length: moving.length,
                end: &mut at.ends[own],
            });
        }
    }
}

/// One row over its gap: `[H]` each but for the heads.
struct Cross<'a> {
    /// Sums of g and f, and then g and f's sum, `[2H]`.
    heads: &'a mut [f32],
    start: &'a [f32],
    length: f32,
    end: &'a mut [f32],
}

impl NullaryFnOnce for Cross<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { heads, start, length, end } = self;
        let hidden = end.len();
        let (towards, sums) = heads.split_at_mut(hidden);
        let (sums, start) = (&sums[..hidden], &start[..hidden]);
        // Two loops: both in one are too long a chain for a processor to look past.
        Tanh { values: &mut *towards }.call();
        for j in 0..hidden {
            let share = -exp_m1(-softplus(sums[j]) * length);
            end[j] = start[j] + share * (towards[j] - start[j]);
        }
    }
}
