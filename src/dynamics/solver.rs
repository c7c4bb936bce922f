//! Integration of dz/dt = f(z) over a gap with fixed steps.
//!
//! A long gap is cut into equal substeps no longer than `max_step`, at most `max_substeps` of them:
//! one RK4 step is unstable where |λ|·dt > 2.785, one Euler step where |λ|·dt > 2 (Hairer & Wanner,
//! Solving Ordinary Differential Equations II, §IV.2). Every row of a batch has steps of its own,
//! so a result does not depend on which other rows it was batched with.

use burn::tensor::Tensor;

use crate::settings::{ModelSettings, Solver};

/// The substeps of one gap `dt` (model time, ≥ 0): how many, and how long each is.
pub fn substeps(dt: f32, max_step: f32, max_substeps: usize) -> (usize, f32) {
    if dt <= 0.0 {
        return (0, 0.0);
    }
    let wanted = (dt / max_step).ceil();
    // The cap also catches an infinite or absurd ratio.
    let count = if wanted < max_substeps as f32 { (wanted as usize).max(1) } else { max_substeps };
    (count, dt / count as f32)
}

/// Longest substep of GRU-ODE and most substeps of one gap, so that none is longer than RK4 is stable
/// for in 19 years of model time at gap / 10 days.
const STABLE: f32 = 1.0;
const MOST: usize = 256;

/// How a model cuts its gaps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// Longest substep, in model time.
    pub longest: f32,
    /// Most substeps of one gap.
    pub most: usize,
    /// Every substep is cut into so many equal ones: 1 but where a finer solver is asked for.
    pub refine: usize,
}

impl Pace {
    /// That of `settings`. A closed form crosses every gap in one evaluation. GRU-ODE relaxes at rates
    /// below 1 wherever it has learned nothing, which RK4 follows in steps of 1, but no longer in
    /// steps of 3: it takes as many as that needs, so that no gap makes a state run away.
    pub fn of(settings: &ModelSettings) -> Self {
        match settings.solver {
            Solver::Decay | Solver::Cfc => Self { longest: f32::INFINITY, most: 1, refine: 1 },
            Solver::GruOde => {
                let longest = f32::min(settings.max_step as f32, STABLE);
                Self { longest, most: MOST, refine: 1 }
            }
            Solver::Gru | Solver::Euler | Solver::Rk4 | Solver::SasRec | Solver::TiSasRec => {
                let (longest, most) = (settings.max_step as f32, settings.max_substeps);
                Self { longest, most, refine: 1 }
            }
        }
    }

    /// The same with every substep cut into `times` equal ones, however short a gap is.
    #[must_use]
    pub fn finer(self, times: usize) -> Self {
        Self { refine: self.refine * times.max(1), ..self }
    }

    /// The same with steps up to `times` as long, where a gap has more than one.
    #[must_use]
    pub fn coarser(self, times: usize) -> Self {
        let longest = self.longest * times as f32;
        Self { longest, most: (self.most / times.max(1)).max(1), ..self }
    }

    /// The [`substeps`] of one gap.
    pub fn over(self, dt: f32) -> (usize, f32) {
        let (count, length) = substeps(dt, self.longest, self.most);
        (count * self.refine, length / self.refine as f32)
    }
}

/// One row's part in a substep.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moving {
    pub row: usize,
    /// Model time.
    pub length: f32,
}

/// One evaluation k of the field within a step of length h.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stage {
    /// Its share of the step: z moves by h·weight·k.
    pub weight: f32,
    /// The next one is taken at z + h·reach·k.
    pub reach: f32,
}

/// The stages of one step of `solver`, for kernels that write their own loops; [`step`] is the same in
/// tensors. A closed form is evaluated once.
pub fn stages(solver: Solver) -> &'static [Stage] {
    const EULER: &[Stage] = &[Stage { weight: 1.0, reach: 0.0 }];
    const RK4: &[Stage] = &[
        Stage { weight: 1.0 / 6.0, reach: 0.5 },
        Stage { weight: 1.0 / 3.0, reach: 0.5 },
        Stage { weight: 1.0 / 3.0, reach: 1.0 },
        Stage { weight: 1.0 / 6.0, reach: 0.0 },
    ];
    match solver {
        // Attention has no state that could flow.
        Solver::Gru | Solver::SasRec | Solver::TiSasRec => &[],
        Solver::Euler | Solver::Decay | Solver::Cfc => EULER,
        Solver::Rk4 | Solver::GruOde => RK4,
    }
}

/// One step of length `h`, `[B, 1]`, from `z`, `[B, H]`. A step of 0 is the identity, and so is any
/// step of a solver that integrates no field.
pub fn step(
    solver: Solver,
    velocity: impl Fn(Tensor<2>) -> Tensor<2>,
    z: Tensor<2>,
    h: Tensor<2>,
) -> Tensor<2> {
    match solver {
        Solver::Gru | Solver::Decay | Solver::Cfc | Solver::SasRec | Solver::TiSasRec => z,
        Solver::Euler => z.clone() + velocity(z) * h,
        Solver::Rk4 | Solver::GruOde => {
            let half = h.clone() * 0.5;
            let k1 = velocity(z.clone());
            let k2 = velocity(z.clone() + k1.clone() * half.clone());
            let k3 = velocity(z.clone() + k2.clone() * half);
            let k4 = velocity(z.clone() + k3.clone() * h.clone());
            z + (k1 + (k2 + k3) * 2.0 + k4) * (h / 6.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    fn tensor(values: &[f32], shape: [usize; 2]) -> Tensor<2> {
        Tensor::from_data(TensorData::new(values.to_vec(), shape), &Device::flex())
    }

    /// z′ = (y, −x): a rotation, whose solution is known.
    fn rotation(z: Tensor<2>) -> Tensor<2> {
        z.matmul(tensor(&[0.0, -1.0, 1.0, 0.0], [2, 2]))
    }

    /// Distance to the exact solution at t = 2 after `steps` steps.
    fn error(solver: Solver, steps: usize) -> f64 {
        let mut z = tensor(&[1.0, 0.0], [1, 2]);
        let h = tensor(&[2.0 / steps as f32], [1, 1]);
        for _ in 0..steps {
            z = step(solver, rotation, z, h.clone());
        }
        let z: Vec<f32> = z.into_data().try_to_vec().unwrap();
        (f64::from(z[0]) - 2.0f64.cos()).hypot(f64::from(z[1]) + 2.0f64.sin())
    }

    #[test]
    fn euler_has_order_1_and_rk4_order_4() {
        // Halving the step divides the error by 2^order. Steps are long enough that the error
        // stays far above the rounding of f32.
        let order = |solver, steps| (error(solver, steps) / error(solver, 2 * steps)).log2();
        let euler = order(Solver::Euler, 64);
        assert!((euler - 1.0).abs() < 0.05, "{euler}");
        let rk4 = order(Solver::Rk4, 4);
        assert!((rk4 - 4.0).abs() < 0.15, "{rk4}");
    }

    #[test]
    fn the_sign_of_the_rotation_is_right() {
        assert!(error(Solver::Rk4, 16) < 1e-4);
    }

    /// Values from the same step in PyTorch; `tests/pytorch/record.py` made them.
    #[test]
    fn an_rk4_step_of_the_field_matches_pytorch() {
        use crate::dynamics::field::TanhField;
        let text = include_str!("../../tests/pytorch/rk4_step.json");
        let recorded: serde_json::Value = serde_json::from_str(text).unwrap();
        let values = |name: &str| -> Vec<f32> {
            recorded[name].as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
        };
        let hidden = recorded["hidden"].as_u64().unwrap() as usize;
        let batch = recorded["batch"].as_u64().unwrap() as usize;
        let field = TanhField {
            decay: 0.0,
            w_in: tensor(&values("w1"), [2 * hidden, hidden]).transpose(),
            b_in: tensor(&values("b1"), [1, 2 * hidden]),
            w_out: tensor(&values("w2"), [hidden, 2 * hidden]).transpose(),
            b_out: tensor(&values("b2"), [1, hidden]),
        };
        let z = tensor(&values("z"), [batch, hidden]);
        let h = tensor(&values("dt"), [batch, 1]);
        let out = step(Solver::Rk4, |z| field.velocity(z), z, h);
        let out: Vec<f32> = out.into_data().try_to_vec().unwrap();
        for (ours, theirs) in out.iter().zip(values("out")) {
            assert!((ours - theirs).abs() < 1e-5, "{ours} {theirs}");
        }
    }

    #[test]
    fn substeps_respect_the_longest_step_and_the_cap() {
        assert_eq!(substeps(0.0, 0.5, 8), (0, 0.0));
        assert_eq!(substeps(0.4, 0.5, 8), (1, 0.4));
        assert_eq!(substeps(1.2, 0.5, 8), (3, 0.4));
        assert_eq!(substeps(80.0, 0.5, 8), (8, 10.0));
        assert_eq!(substeps(f32::MAX, 1e-3, 4).0, 4);
        for (solver, long) in
            [(Solver::Rk4, 8), (Solver::GruOde, 160), (Solver::Decay, 1), (Solver::Cfc, 1)]
        {
            let settings =
                ModelSettings { solver, max_step: 0.5, max_substeps: 8, ..Default::default() };
            assert_eq!(Pace::of(&settings).over(80.0), (long, 80.0 / long as f32));
            assert_eq!(Pace::of(&settings).over(0.0), (0, 0.0));
            // A gap that is far shorter than the longest step is cut as well.
            assert_eq!(Pace::of(&settings).finer(4).over(0.1), (4, 0.025));
            assert_eq!(Pace::of(&settings).finer(2).over(80.0), (2 * long, 40.0 / long as f32));
            let fewer = long.div_ceil(2);
            assert_eq!(Pace::of(&settings).coarser(2).over(80.0), (fewer, 80.0 / fewer as f32));
        }
    }

    #[test]
    fn a_zero_step_is_the_identity() {
        let z = tensor(&[0.3, -0.7], [1, 2]);
        for &solver in Solver::WITH_STATE {
            let out = step(solver, rotation, z.clone(), tensor(&[0.0], [1, 1]));
            assert_eq!(out.into_data().try_to_vec::<f32>().unwrap(), [0.3, -0.7]);
        }
    }
}
