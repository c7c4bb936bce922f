//! Adaptive Runge–Kutta of order 5 in f64: the reference that fixed steps are held against.
//!
//! The pair 5(4) of Tsitouras 2011 (Runge–Kutta pairs of order 5(4) satisfying only the first column
//! simplifying assumption), whose last evaluation is the next step's first, with the PI controller of
//! Hairer & Wanner (Solving Ordinary Differential Equations II, §IV.2). For judging, not for training:
//! how many evaluations a gap takes depends on the state.

use super::attractor::VectorField;

/// Weights of the slopes at each evaluation after the first; the last row is the solution of order 5.
const STAGES: [&[f64]; 6] = [
    &[0.161],
    &[-0.008_480_655_492_356_989, 0.335_480_655_492_357],
    &[2.897_153_057_105_493_5, -6.359_448_489_975_075, 4.362_295_432_869_581_5],
    &[
        5.325_864_828_439_257,
        -11.748_883_564_062_828,
        7.495_539_342_889_836_5,
        -0.092_495_066_361_755_25,
    ],
    &[
        5.861_455_442_946_42,
        -12.920_969_317_847_11,
        8.159_367_898_576_159,
        -0.071_584_973_281_401,
        -0.028_269_050_394_068_383,
    ],
    &[
        0.096_460_766_818_065_23,
        0.01,
        0.479_889_650_414_499_6,
        1.379_008_574_103_742,
        -3.290_069_515_436_081,
        2.324_710_524_099_774,
    ],
];
/// Weights of the slopes in the difference between the solutions of order 5 and of order 4.
const ERROR: [f64; 7] = [
    -0.001_780_011_052_225_777,
    -0.000_816_434_459_656_746_9,
    0.007_880_878_010_261_995,
    -0.144_711_007_173_262_9,
    0.582_357_165_452_555_2,
    -0.458_082_105_929_186_97,
    0.015_151_515_151_515_152,
];
/// The controller: a share for safety, how much it heeds this error and the last, and by how much a
/// step may shrink and grow.
const SAFETY: f64 = 0.9;
const INTEGRAL: f64 = 0.7 / 5.0;
const PROPORTIONAL: f64 = 0.4 / 5.0;
const FACTOR: [f64; 2] = [0.2, 5.0];
/// Steps of one gap, accepted or not, before it is given up.
const PATIENCE: u64 = 100_000;

/// How large the error of a step may be: `absolute + relative·|z|` for each value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    pub relative: f64,
    pub absolute: f64,
}

/// What integrating has cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Work {
    /// Evaluations of the field.
    pub evaluations: u64,
    pub accepted: u64,
    pub rejected: u64,
}

/// The field is too wild for the tolerance, or not finite.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error(
    "a gap of {span} could not be integrated: the step fell to {step:e}; ask for a larger tolerance"
)]
pub struct Stuck {
    pub span: f64,
    pub step: f64,
}

/// Move `z`, `[H]`, along `field` over `span` ≥ 0 of model time. Counts into `work`; a span of 0 costs
/// nothing and leaves `z` as it is.
///
/// # Errors
/// [`Stuck`] where the steps become too small or too many.
pub fn integrate(
    field: &dyn VectorField,
    z: &mut [f64],
    span: f64,
    tolerance: Tolerance,
    work: &mut Work,
) -> Result<(), Stuck> {
    if span <= 0.0 {
        return Ok(());
    }
    let mut slopes: [Vec<f64>; 7] = std::array::from_fn(|_| vec![0.0; z.len()]);
    field.velocity(z, &mut slopes[0]);
    work.evaluations += 1;
    let (mut done, mut last_error) = (0.0, 1e-4f64);
    let mut step = first_step(z, &slopes[0], tolerance).min(span);
    let mut point = z.to_vec();
    for _ in 0..PATIENCE {
        // The last step ends at the end exactly.
        let left = span - done;
        let ends = step >= left;
        let h = if ends { left } else { step };
        for (place, weights) in STAGES.iter().enumerate() {
            point.copy_from_slice(z);
            for (slope, weight) in slopes.iter().zip(*weights) {
                point.iter_mut().zip(slope).for_each(|(point, k)| *point += h * weight * k);
            }
            field.velocity(&point, &mut slopes[place + 1]);
        }
        work.evaluations += STAGES.len() as u64;
        let error = error(z, &point, &slopes, h, tolerance);
        if error <= 1.0 {
            work.accepted += 1;
            done += h;
            z.copy_from_slice(&point);
            if ends {
                return Ok(());
            }
            // The last slope is taken at the new point.
            slopes.swap(0, 6);
            let factor = SAFETY * error.max(1e-10).powf(-INTEGRAL) * last_error.powf(PROPORTIONAL);
            step = h * factor.clamp(FACTOR[0], FACTOR[1]);
            last_error = error.max(1e-4);
        } else {
            work.rejected += 1;
            // NaN too: a point beyond what the field bears.
            let factor = if error.is_finite() { SAFETY * error.powf(-0.2) } else { FACTOR[0] };
            step = h * factor.clamp(FACTOR[0], 1.0);
            if step < 1e-14 * span {
                return Err(Stuck { span, step });
            }
        }
    }
    Err(Stuck { span, step })
}

/// The error of a step in units of what is tolerated, as the root of the mean square.
fn error(from: &[f64], to: &[f64], slopes: &[Vec<f64>; 7], h: f64, tolerance: Tolerance) -> f64 {
    let square = |j: usize| {
        let off: f64 = slopes.iter().zip(ERROR).map(|(slope, weight)| weight * slope[j]).sum();
        let size = from[j].abs().max(to[j].abs());
        (h * off / (tolerance.absolute + tolerance.relative * size)).powi(2)
    };
    ((0..from.len()).map(square).sum::<f64>() / from.len().max(1) as f64).sqrt()
}

/// A step in which the first slope moves `z` by a hundredth of its size, each in units of what is
/// tolerated (Hairer, Nørsett & Wanner, Solving Ordinary Differential Equations I, §II.4, its first
/// guess).
fn first_step(z: &[f64], slope: &[f64], tolerance: Tolerance) -> f64 {
    let size = |values: &[f64]| {
        let square = |(value, z): (&f64, &f64)| {
            (value / (tolerance.absolute + tolerance.relative * z.abs())).powi(2)
        };
        (values.iter().zip(z).map(square).sum::<f64>() / z.len().max(1) as f64).sqrt()
    };
    let (place, speed) = (size(z), size(slope));
    if place < 1e-5 || speed < 1e-5 { 1e-6 } else { 0.01 * place / speed }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field given by a formula.
    struct Given<F>(usize, F);

    impl<F: Fn(&[f64], &mut [f64]) + Sync> VectorField for Given<F> {
        fn dim(&self) -> usize {
            self.0
        }
        fn velocity(&self, z: &[f64], out: &mut [f64]) {
            (self.1)(z, out);
        }
        fn jacobian(&self, _: &[f64], _: &mut [f64]) {
            unreachable!("an explicit solver asks for no Jacobian")
        }
    }

    fn rotation() -> impl VectorField {
        Given(2, |z: &[f64], out: &mut [f64]| (out[0], out[1]) = (z[1], -z[0]))
    }

    fn of(relative: f64) -> Tolerance {
        Tolerance { relative, absolute: relative }
    }

    #[test]
    fn one_step_has_local_order_six_and_its_error_estimate_five() {
        // Of z′ = z(1 − z) from 0.2, by hand with the tableau: no controller.
        let field = Given(1, |z: &[f64], out: &mut [f64]| out[0] = z[0] * (1.0 - z[0]));
        let step = |h: f64| {
            let z = [0.2];
            let mut slopes: [Vec<f64>; 7] = std::array::from_fn(|_| vec![0.0]);
            field.velocity(&z, &mut slopes[0]);
            let mut point = z.to_vec();
            for (place, weights) in STAGES.iter().enumerate() {
                point.copy_from_slice(&z);
                for (slope, weight) in slopes.iter().zip(*weights) {
                    point.iter_mut().zip(slope).for_each(|(point, k)| *point += h * weight * k);
                }
                field.velocity(&point, &mut slopes[place + 1]);
            }
            let exact = (point[0] - 1.0 / (1.0 + 4.0 * (-h).exp())).abs();
            (exact, error(&z, &point, &slopes, h, Tolerance { relative: 0.0, absolute: 1.0 }))
        };
        let (coarse, fine) = (step(0.2), step(0.1));
        assert!(((coarse.0 / fine.0).log2() - 6.0).abs() < 0.5, "{coarse:?} {fine:?}");
        assert!(((coarse.1 / fine.1).log2() - 5.0).abs() < 0.3, "{coarse:?} {fine:?}");
    }

    #[test]
    fn weights_of_each_stage_sum_to_its_place_in_the_step() {
        let places = [0.161, 0.327, 0.9, 0.980_025_540_904_509_7, 1.0, 1.0];
        for (weights, place) in STAGES.iter().zip(places) {
            assert!((weights.iter().sum::<f64>() - place).abs() < 1e-13, "{place}");
        }
        assert!(ERROR.iter().sum::<f64>().abs() < 1e-14);
    }

    #[test]
    fn exact_solutions_are_met_within_the_tolerance() {
        for relative in [1e-4, 1e-7, 1e-10] {
            let (mut z, mut work) = ([1.0, 0.0], Work::default());
            integrate(&rotation(), &mut z, 20.0, of(relative), &mut work).unwrap();
            let off = (z[0] - 20f64.cos()).hypot(z[1] + 20f64.sin());
            // Errors of many steps add up.
            assert!(off < 50.0 * relative, "{relative}: {off}");
            // Six a step, and the first slope.
            assert_eq!(work.evaluations, 1 + 6 * (work.accepted + work.rejected));
            // z′ = −3(z − 2).
            let decay = Given(1, |z: &[f64], out: &mut [f64]| out[0] = -3.0 * (z[0] - 2.0));
            let mut z = [-1.0];
            integrate(&decay, &mut z, 0.7, of(relative), &mut Work::default()).unwrap();
            assert!((z[0] - (2.0 - 3.0 * (-2.1f64).exp())).abs() < 20.0 * relative);
        }
    }

    #[test]
    fn a_tenth_of_a_millionth_costs_more_than_a_tenth() {
        let cost = |relative| {
            let mut work = Work::default();
            integrate(&rotation(), &mut [1.0, 0.0], 20.0, of(relative), &mut work).unwrap();
            work.accepted as f64
        };
        // Of order 5: ten times the steps for an error 10⁵ times smaller.
        let ratio = cost(1e-9) / cost(1e-4);
        assert!((5.0..20.0).contains(&ratio), "{ratio}");
    }

    #[test]
    fn a_bend_makes_it_reject_steps_and_go_on_slowly() {
        // Slow far from 1, ten thousand times faster near it: a step taken far away is too long there.
        let field = Given(1, |z: &[f64], out: &mut [f64]| {
            out[0] = 1.0 + 200.0 * (-((z[0] - 1.0) / 0.01).powi(2)).exp();
        });
        let (mut z, mut work) = ([0.0], Work::default());
        integrate(&field, &mut z, 2.0, of(1e-8), &mut work).unwrap();
        assert!(work.rejected > 0 && work.accepted > 10, "{work:?}");
    }

    #[test]
    fn no_time_costs_nothing_and_what_is_not_finite_is_an_error() {
        let (mut z, mut work) = ([0.3, 0.4], Work::default());
        integrate(&rotation(), &mut z, 0.0, of(1e-6), &mut work).unwrap();
        assert_eq!((z, work), ([0.3, 0.4], Work::default()));
        let nowhere = Given(1, |_: &[f64], out: &mut [f64]| out[0] = f64::NAN);
        assert!(integrate(&nowhere, &mut [0.0], 1.0, of(1e-6), &mut work).is_err());
    }
}
