//! Known fields for the tests of this folder.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use nalgebra::{Cholesky, DMatrix};

use super::{TanhField, VectorField, dot};

pub fn normal(rng: &mut impl Rng) -> f64 {
    let (u, v): (f64, f64) = (rng.random(), rng.random());
    (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

/// `[R, H]` standard normal numbers.
pub fn random_states(rows: usize, dim: usize, seed: u64) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..rows * dim).map(|_| normal(&mut rng)).collect()
}

/// PyTorch's initial weights for the layers of a field, times `gain`.
pub fn random_field(hidden: usize, gain: f64, seed: u64) -> TanhField {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut draw = |count: usize, fan_in: usize| -> Vec<f32> {
        let bound = gain / (fan_in as f64).sqrt();
        (0..count).map(|_| ((2.0 * rng.random::<f64>() - 1.0) * bound) as f32).collect()
    };
    let wide = 2 * hidden;
    let (w_in, b_in) = (draw(hidden * wide, hidden), draw(wide, hidden));
    let (w_out, b_out) = (draw(hidden * wide, wide), draw(hidden, wide));
    TanhField::new(&w_in, &b_in, &w_out, &b_out)
}

/// A field in the plane with its Jacobian, `[[∂f₀/∂x, ∂f₀/∂y], [∂f₁/∂x, ∂f₁/∂y]]`.
pub type Planar = fn([f64; 2]) -> ([f64; 2], [[f64; 2]; 2]);

/// x − x³, −y: two wells and the saddle between them.
pub fn two_wells([x, y]: [f64; 2]) -> ([f64; 2], [[f64; 2]; 2]) {
    ([x - x.powi(3), -y], [[1.0 - 3.0 * x * x, 0.0], [0.0, -1.0]])
}

/// A stable spiral at (0.3, −0.2) with eigenvalues −0.4 ± 1.1i.
pub fn spiral([x, y]: [f64; 2]) -> ([f64; 2], [[f64; 2]; 2]) {
    let (x, y) = (x - 0.3, y + 0.2);
    ([-0.4 * x - 1.1 * y, 1.1 * x - 0.4 * y], [[-0.4, -1.1], [1.1, -0.4]])
}

/// The normal form of a Hopf bifurcation past it: an unstable spiral, 0.5 ± i, inside a limit
/// cycle.
pub fn hopf([x, y]: [f64; 2]) -> ([f64; 2], [[f64; 2]; 2]) {
    let r = 0.5 - x * x - y * y;
    (
        [r * x - y, x + r * y],
        [[r - 2.0 * x * x, -1.0 - 2.0 * x * y], [1.0 - 2.0 * x * y, r - 2.0 * y * y]],
    )
}

/// ẋ = 10⁻³ + x²: just past a saddle-node, whose ghost is slow and nowhere at rest.
pub fn ghost([x, y]: [f64; 2]) -> ([f64; 2], [[f64; 2]; 2]) {
    ([1e-3 + x * x, -y], [[2.0 * x, 0.0], [0.0, -1.0]])
}

/// The field behind the built-in set: four spirals with soft borders.
pub fn drift(z: [f64; 2]) -> ([f64; 2], [[f64; 2]; 2]) {
    const CENTRES: [[f64; 2]; 4] = [[-1.5, 1.3], [1.6, 1.2], [0.1, -1.7], [-1.9, -1.4]];
    // Per day; ten days are one unit of model time.
    const A: [[f64; 2]; 2] = [[1.2, -5.0], [5.0, 1.2]];
    const SCALE: f64 = 2.0 * 0.75 * 0.75;
    let offset = CENTRES.map(|c| [c[0] - z[0], c[1] - z[1]]);
    let weight = offset.map(|d| (-(d[0] * d[0] + d[1] * d[1]) / SCALE).exp());
    let total: f64 = weight.iter().sum();
    let share = weight.map(|w| w / total);
    // ∇ ln w = 2(c − z)/scale; ∇ share = share·(∇ ln w − its mean).
    let mean = [0, 1].map(|k| (0..4).map(|i| share[i] * 2.0 * offset[i][k] / SCALE).sum::<f64>());
    let (mut f, mut j) = ([0.0; 2], [[0.0; 2]; 2]);
    for i in 0..4 {
        for row in 0..2 {
            let pull = A[row][0] * offset[i][0] + A[row][1] * offset[i][1];
            f[row] += share[i] * pull;
            for column in 0..2 {
                let slope = share[i] * (2.0 * offset[i][column] / SCALE - mean[column]);
                j[row][column] += slope * pull - share[i] * A[row][column];
            }
        }
    }
    (f, j)
}

/// A planar field on the first two axes of a rotated frame of R^H; the others decay at 1, 1.1, ….
pub struct Embedded {
    pub planar: Planar,
    /// Orthonormal rows.
    pub frame: Vec<Vec<f64>>,
}

impl Embedded {
    pub fn new(planar: Planar, dim: usize, seed: u64) -> Self {
        let random = random_states(dim, dim, seed);
        let mut frame: Vec<Vec<f64>> = Vec::new();
        for row in random.chunks_exact(dim) {
            let mut row = row.to_vec();
            for _ in 0..2 {
                for other in &frame {
                    let along = dot(&row, other);
                    row.iter_mut().zip(other).for_each(|(value, other)| *value -= along * other);
                }
            }
            let length = dot(&row, &row).sqrt();
            frame.push(row.into_iter().map(|value| value / length).collect());
        }
        Self { planar, frame }
    }

    /// Without rotation or remainder.
    pub fn plane(planar: Planar) -> Self {
        Self { planar, frame: vec![vec![1.0, 0.0], vec![0.0, 1.0]] }
    }

    fn rate(axis: usize) -> f64 {
        1.0 + 0.1 * (axis - 2) as f64
    }

    pub fn lift(&self, own: &[f64]) -> Vec<f64> {
        let mut z = vec![0.0; self.dim()];
        for (own, row) in own.iter().zip(&self.frame) {
            z.iter_mut().zip(row).for_each(|(z, row)| *z += own * row);
        }
        z
    }

    pub fn own(&self, z: &[f64]) -> Vec<f64> {
        self.frame.iter().map(|row| dot(row, z)).collect()
    }

    /// States over the square of half-width `half`, with a little in the other directions.
    pub fn states(&self, rows: usize, half: f64, seed: u64) -> Vec<f64> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        (0..rows)
            .flat_map(|_| {
                let own: Vec<f64> = (0..self.dim())
                    .map(|axis| {
                        (2.0 * rng.random::<f64>() - 1.0) * if axis < 2 { half } else { 0.3 }
                    })
                    .collect();
                self.lift(&own)
            })
            .collect()
    }

    /// Eigenvalues of the remainder.
    pub fn rest(&self) -> Vec<[f64; 2]> {
        (2..self.dim()).map(|axis| [-Self::rate(axis), 0.0]).collect()
    }
}

impl VectorField for Embedded {
    fn dim(&self) -> usize {
        self.frame.len()
    }

    fn velocity(&self, z: &[f64], out: &mut [f64]) {
        let own = self.own(z);
        let (f, _) = (self.planar)([own[0], own[1]]);
        let rest = (2..self.dim()).map(|axis| -Self::rate(axis) * own[axis]);
        let own: Vec<f64> = f.into_iter().chain(rest).collect();
        out.copy_from_slice(&self.lift(&own));
    }

    fn jacobian(&self, z: &[f64], out: &mut [f64]) {
        let (own, dim) = (self.own(z), self.dim());
        let (_, j) = (self.planar)([own[0], own[1]]);
        out.fill(0.0);
        let mut add = |a: usize, b: usize, slope: f64| {
            for (row, &left) in self.frame[a].iter().enumerate() {
                for (column, &right) in self.frame[b].iter().enumerate() {
                    out[row * dim + column] += slope * left * right;
                }
            }
        };
        for (row, slopes) in j.into_iter().enumerate() {
            slopes.into_iter().enumerate().for_each(|(column, slope)| add(row, column, slope));
        }
        (2..dim).for_each(|axis| add(axis, axis, -Self::rate(axis)));
    }
}

/// A [`TanhField`] of width `dim` that has learned [`drift`] in a plane of its own, the rest
/// decaying: what training on the built-in set aims at. Its inner layer is drawn, its outer one
/// the least squares. With the embedding that it approximates.
pub fn learned_drift(dim: usize, seed: u64) -> (TanhField, Embedded) {
    let truth = Embedded::new(drift, dim, seed);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let wide = 2 * dim;
    let (mut w_in, mut b_in) = (vec![0.0f32; dim * wide], vec![0.0f32; wide]);
    for unit in 0..wide {
        // Almost linear in one of the other directions, or curved in the plane.
        let mut direction = vec![0.0; dim];
        if unit + 2 < dim {
            direction[unit + 2] = 0.2;
        } else {
            direction[..2].fill_with(|| 0.8 * normal(&mut rng));
            b_in[unit] = (1.5 * normal(&mut rng)) as f32;
        }
        for (row, value) in truth.lift(&direction).into_iter().enumerate() {
            w_in[row * wide + unit] = value as f32;
        }
    }
    let states = truth.states(20 * dim.max(100), 3.0, seed);
    let (mut normal, mut cross) =
        (DMatrix::zeros(wide + 1, wide + 1), DMatrix::zeros(wide + 1, dim));
    let (mut f, mut features) = (vec![0.0; dim], vec![1.0; wide + 1]);
    let mut rows: (Vec<f64>, Vec<f64>) = (Vec::new(), Vec::new());
    for z in states.chunks_exact(dim) {
        truth.velocity(z, &mut f);
        for (unit, feature) in features[..wide].iter_mut().enumerate() {
            let sum: f64 = (0..dim).map(|j| z[j] * f64::from(w_in[j * wide + unit])).sum();
            *feature = (sum + f64::from(b_in[unit])).tanh();
        }
        rows.0.extend(&features);
        rows.1.extend(f.iter().map(|f| f.clamp(-0.95, 0.95).atanh()));
    }
    let x = DMatrix::from_column_slice(wide + 1, rows.0.len() / (wide + 1), &rows.0);
    let y = DMatrix::from_column_slice(dim, rows.1.len() / dim, &rows.1);
    normal.gemm(1.0, &x, &x.transpose(), 0.0);
    cross.gemm(1.0, &x, &y.transpose(), 0.0);
    (0..=wide).for_each(|unit| normal[(unit, unit)] += 1e-3);
    let weight = Cholesky::new(normal).unwrap().solve(&cross);
    let row = |unit: usize| weight.row(unit).iter().map(|&v| v as f32).collect::<Vec<f32>>();
    let w_out: Vec<f32> = (0..wide).flat_map(row).collect();
    (TanhField::new(&w_in, &b_in, &w_out, &row(wide)), truth)
}

/// −z + g·J·tanh(z), within a tanh: chaotic for a `gain` g well above 1 (Sompolinsky, Crisanti &
/// Sommers 1988).
pub fn chaotic(dim: usize, gain: f64, seed: u64) -> TanhField {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let wide = 2 * dim;
    let (mut w_in, mut w_out) = (vec![0.0f32; dim * wide], vec![0.0f32; wide * dim]);
    for i in 0..dim {
        w_in[i * wide + i] = 0.1;
        w_in[i * wide + dim + i] = 1.0;
        w_out[i * dim + i] = -10.0;
        for j in 0..dim {
            w_out[(dim + i) * dim + j] = (gain / (dim as f64).sqrt() * normal(&mut rng)) as f32;
        }
    }
    TanhField::new(&w_in, &vec![0.0; wide], &w_out, &vec![0.0; dim])
}
