//! From a low place of q = ½‖f‖² to the fixed point or the minimum that is there, in f64.

use nalgebra::{Cholesky, DMatrix, DVector};

use super::field::VectorField;
use super::norm;

/// Steps at most, those that are refused included.
const STEPS: usize = 60;
/// Newton's own steps are tried below this share of the field's usual speed.
const NEAR: f64 = 1e-2;
/// ‖∇q‖ / (‖J‖‖f‖) at which q is stationary enough to stop, and enough to count.
const STATIONARY: [f64; 2] = [1e-6, 1e-5];

/// Where it ended.
pub(super) struct Polished {
    pub position: Vec<f64>,
    /// ‖f‖.
    pub residual: f64,
    /// ∂fᵢ/∂zⱼ there, `[H, H]` row-major.
    pub jacobian: Vec<f64>,
    /// Whether q is stationary there.
    pub stationary: bool,
    /// Steps it took.
    pub steps: usize,
}

/// What ends it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Goal {
    /// Residual that makes a fixed point.
    pub tolerance: f64,
    /// Usual ‖f‖.
    pub speed: f64,
    /// Longest step.
    pub longest: f64,
}

/// Where the search stands: f and J at z.
struct At<'a> {
    field: &'a dyn VectorField,
    z: DVector<f64>,
    f: DVector<f64>,
    /// The transpose of J, whose columns are J's rows.
    transposed: DMatrix<f64>,
}

impl<'a> At<'a> {
    fn new(field: &'a dyn VectorField, z: DVector<f64>) -> Self {
        let dim = field.dim();
        let (f, transposed) = (DVector::zeros(dim), DMatrix::zeros(dim, dim));
        let mut at = Self { field, f, transposed, z };
        at.f = at.velocity(&at.z);
        field.jacobian(at.z.as_slice(), at.transposed.as_mut_slice());
        at
    }

    fn velocity(&self, z: &DVector<f64>) -> DVector<f64> {
        let mut f = DVector::zeros(z.len());
        self.field.velocity(z.as_slice(), f.as_mut_slice());
        f
    }

    fn go(&mut self, z: DVector<f64>, f: DVector<f64>) {
        (self.z, self.f) = (z, f);
        self.field.jacobian(self.z.as_slice(), self.transposed.as_mut_slice());
    }

    /// Newton's step, if it is of use: not too long, and halving f at least.
    fn newton(&mut self, longest: f64) -> bool {
        let Some(delta) = self.transposed.transpose().lu().solve(&self.f) else { return false };
        // Not longer than the limit; a step that is not a number is.
        if !matches!(delta.norm().partial_cmp(&longest), Some(std::cmp::Ordering::Less)) {
            return false;
        }
        let z = &self.z - delta;
        let f = self.velocity(&z);
        let useful = f.norm() <= 0.5 * self.f.norm();
        if useful {
            self.go(z, f);
        }
        useful
    }
}

/// Levenberg–Marquardt (damping as in Madsen, Nielsen & Tingleff 2004), with Newton's own step
/// wherever the field is small and that step is of use. `go_on` is asked before each
/// step and within it.
///
/// # Errors
/// That of `go_on`.
pub(super) fn polish<E>(
    field: &dyn VectorField,
    start: &[f32],
    goal: Goal,
    mut go_on: impl FnMut() -> Result<(), E>,
) -> Result<Polished, E> {
    let start = DVector::from_iterator(start.len(), start.iter().map(|&value| f64::from(value)));
    let mut at = At::new(field, start);
    // Largest ‖J‖ so far: at a minimum of q the Jacobian itself may all but vanish.
    let mut size = 0.0f64;
    let (mut damping, mut growth) = (None, 2.0);
    // JᵀJ, worked out once for each place.
    let mut normal: Option<DMatrix<f64>> = None;
    let mut stationary = false;
    let mut steps = 0;
    while steps < STEPS {
        steps += 1;
        go_on()?;
        let residual = at.f.norm();
        // Well below the tolerance, so that the eigenvalues are those of the point itself.
        if !residual.is_finite() || residual <= 1e-4 * goal.tolerance {
            break;
        }
        if residual <= NEAR * goal.speed {
            if at.newton(goal.longest) {
                normal = None;
                continue;
            }
            // Nothing is left to gain in f64.
            if residual <= goal.tolerance {
                break;
            }
        }
        go_on()?;
        size = size.max(norm(at.transposed.as_slice()));
        let gradient = &at.transposed * &at.f;
        let slope = gradient.norm() / (size * residual).max(f64::MIN_POSITIVE);
        stationary = slope <= STATIONARY[1];
        if slope <= STATIONARY[0] {
            break;
        }
        let normal_here = normal.get_or_insert_with(|| &at.transposed * at.transposed.transpose());
        let most = normal_here.diagonal().max();
        let mu = *damping.get_or_insert(1e-3 * most);
        let mut damped = normal_here.clone();
        for entry in 0..damped.nrows() {
            damped[(entry, entry)] += mu;
        }
        go_on()?;
        let step = Cholesky::new(damped).map(|factor| -factor.solve(&gradient));
        let refused = (Some((mu * growth).max(1e-15 * most)), 2.0 * growth);
        let Some(mut delta) = step else {
            (damping, growth) = refused;
            continue;
        };
        let length = delta.norm();
        if length > goal.longest {
            delta *= goal.longest / length;
        }
        let z = &at.z + &delta;
        let f = at.velocity(&z);
        let gained = at.f.norm_squared() - f.norm_squared();
        if gained > 0.0 {
            let promised = -(2.0 * gradient.dot(&delta) + (&*normal_here * &delta).dot(&delta));
            let ratio = (gained / promised.max(f64::MIN_POSITIVE)).min(1.0);
            damping = Some(mu * (1.0 - (2.0 * ratio - 1.0).powi(3)).max(1.0 / 9.0));
            growth = 2.0;
            at.go(z, f);
            normal = None;
        } else if length <= 1e-14 * (1.0 + at.z.norm()) {
            break;
        } else {
            (damping, growth) = refused;
        }
    }
    Ok(Polished {
        residual: at.f.norm(),
        position: at.z.as_slice().to_vec(),
        jacobian: at.transposed.as_slice().to_vec(),
        stationary,
        steps,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamics::attractor::testing::{Embedded, Planar, ghost, two_wells};

    fn from(planar: Planar, start: [f64; 2]) -> (Polished, Vec<f64>) {
        let field = Embedded::new(planar, 5, 1);
        let start: Vec<f32> =
            field.lift(&[start[0], start[1], 0.1]).into_iter().map(|value| value as f32).collect();
        let goal = Goal { tolerance: 1e-8, speed: 1.0, longest: 1.0 };
        let polished = polish(&field, &start, goal, || Ok::<(), ()>(())).unwrap();
        let own = field.own(&polished.position);
        (polished, own)
    }

    #[test]
    fn it_ends_in_full_precision_or_at_the_minimum() {
        for (start, x) in [([0.7, 0.5], 1.0), ([-1.4, 0.0], -1.0), ([0.2, -0.5], 0.0)] {
            let (polished, own) = from(two_wells, start);
            assert!((own[0] - x).abs() < 1e-11 && own[1].abs() < 1e-11, "{own:?}");
            assert!(polished.residual < 1e-11 && polished.steps < 20);
        }
        let (polished, own) = from(ghost, [0.4, 0.3]);
        assert!(polished.stationary && own[0].abs() < 1e-4, "{own:?}");
        assert!((polished.residual - 1e-3).abs() < 1e-7);
    }

    #[test]
    fn it_stops_when_it_is_told_to_and_bears_what_is_not_a_number() {
        let field = Embedded::plane(two_wells);
        let goal = Goal { tolerance: 1e-8, speed: 1.0, longest: 1.0 };
        assert_eq!(polish(&field, &[0.5, 0.5], goal, || Err("stop")).map(|_| ()), Err("stop"));
        let lost = polish(&field, &[f32::NAN, 0.5], goal, || Ok::<(), ()>(())).unwrap();
        assert!(lost.residual.is_nan() && !lost.stationary);
    }
}
