//! The solvers' stages, as [`solver::stages`] lists them, for loops inside a kernel.

use cubecl::prelude::*;

use crate::dynamics::solver::{self, Stage};
use crate::settings::Solver;

/// The share of the step of one of `stages` stages.
#[cube]
pub(super) fn share(stage: usize, #[comptime] stages: usize) -> f32 {
    let mut share = f32::new(comptime!(list(stages)[0].weight));
    #[unroll]
    for place in 1..stages {
        if stage == place {
            share = f32::new(comptime!(list(stages)[place].weight));
        }
    }
    share
}

/// How far along its slope the next stage's point lies.
#[cube]
pub(super) fn reach(stage: usize, #[comptime] stages: usize) -> f32 {
    let mut reach = f32::new(comptime!(list(stages)[0].reach));
    #[unroll]
    for place in 1..stages {
        if stage == place {
            reach = f32::new(comptime!(list(stages)[place].reach));
        }
    }
    reach
}

/// The solvers differ in how many stages they have.
fn list(stages: usize) -> &'static [Stage] {
    solver::stages(if stages == 1 { Solver::Euler } else { Solver::Rk4 })
}
