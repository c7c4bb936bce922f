//! A small decoder-only transformer (Vaswani et al. 2017) on the CPU, forward and backward by
//! hand over plain lists.
//!
//! Pre-norm blocks: x ← x + attention(norm x), x ← x + feed-forward(norm x). The norm is RMSNorm
//! (Zhang & Sennrich 2019) without a gain, which the matrix behind it has anyway; the activation
//! is the squared ReLU (So et al. 2021), which needs no exponential; positions are rotary (Su et
//! al. 2021), so that a phrase means the same wherever a template puts it. No biases.
//!
//! | file | what |
//! |---|---|
//! | `rows` | norm, softmax, rotation and activation, row by row |
//! | `pass` | a batch forward, keeping what going back needs, and back |
//! | `cache` | keys and values of what was read, one token after another |
//!
//! One sequence's attention and its derivative are [`crate::dynamics::attention`]'s.
//! Sequences are laid end to end without padding, so that each product is one large product.

mod cache;
mod pass;
mod rows;

#[cfg(test)]
mod tests;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

pub use cache::{Prefixes, Writing};
pub use pass::{Example, Pass};
use rows::{LANES, Rotation};

/// Sizes of a transformer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// Tokens.
    pub vocabulary: usize,
    /// Width of the residual stream: `heads` times a multiple of 8.
    pub width: usize,
    pub layers: usize,
    pub heads: usize,
    /// Width of the feed-forward layer.
    pub feed: usize,
    /// Longest sequence, in tokens.
    pub context: usize,
}

impl Shape {
    /// Whether a transformer of these sizes can be built: what a file claims is not trusted.
    pub fn is_sound(&self) -> bool {
        let Self { vocabulary, width, layers, heads, feed, context } = *self;
        let within = |value: usize, most: usize| (1..=most).contains(&value);
        within(vocabulary, 1 << 16)
            && within(width, 1 << 12)
            && within(layers, 64)
            && within(heads, 64)
            && within(feed, 1 << 14)
            && within(context, 1 << 14)
            && width.is_multiple_of(heads * LANES)
    }

    /// Width of one head.
    fn head(&self) -> usize {
        self.width / self.heads
    }

    /// Name, rows and columns of every matrix, in order.
    pub fn matrices(&self) -> Vec<(String, [usize; 2])> {
        let Self { vocabulary, width, layers, feed, .. } = *self;
        let mut all = vec![
            ("embedding".to_owned(), [vocabulary, width]),
            ("head".to_owned(), [width, vocabulary]),
        ];
        for layer in 0..layers {
            let name = |matrix| format!("layer{layer}.{matrix}");
            all.push((name("query_key_value"), [width, 3 * width]));
            all.push((name("mix"), [width, width]));
            all.push((name("up"), [width, feed]));
            all.push((name("down"), [feed, width]));
        }
        all
    }
}

/// Places of the matrices in [`Transformer::weights`].
const EMBEDDING: usize = 0;
const HEAD: usize = 1;
const QUERY_KEY_VALUE: usize = 0;
const MIX: usize = 1;
const UP: usize = 2;
const DOWN: usize = 3;

/// Place of a layer's matrix.
const fn of_layer(layer: usize, matrix: usize) -> usize {
    2 + 4 * layer + matrix
}

/// The model: its sizes and its weights.
#[derive(Debug, Clone)]
pub struct Transformer {
    shape: Shape,
    /// Row-major, in the order of [`Shape::matrices`].
    weights: Vec<Vec<f32>>,
    rotation: Rotation,
}

impl Transformer {
    /// Untrained. Every matrix is normal with deviation 1/√rows, those that write to the residual
    /// stream smaller by √(2·layers) (Radford et al. 2019); the head starts at 0, all tokens alike.
    ///
    /// # Panics
    /// For a shape that is not [`Shape::is_sound`].
    pub fn new(shape: Shape, seed: u64) -> Self {
        assert!(shape.is_sound(), "a shape that can be built");
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut normal = move || {
            // Box–Muller; 1 − u keeps the logarithm finite.
            let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
            radius * (std::f64::consts::TAU * rng.random::<f64>()).cos()
        };
        let depth = 1.0 / (2.0 * shape.layers as f64).sqrt();
        let weights = shape.matrices().into_iter().enumerate().map(|(place, (_, [rows, cols]))| {
            let spread = match place {
                EMBEDDING => 0.5,
                HEAD => 0.0,
                place if matches!((place - 2) % 4, MIX | DOWN) => depth / (rows as f64).sqrt(),
                _ => 1.0 / (rows as f64).sqrt(),
            };
            (0..rows * cols).map(|_| (spread * normal()) as f32).collect()
        });
        let weights = weights.collect();
        let rotation = Rotation::new(shape.context, shape.head());
        Self { shape, weights, rotation }
    }

    /// From weights, row-major in the order of [`Shape::matrices`]; `None` where they do not fit.
    pub fn from_weights(shape: Shape, weights: Vec<Vec<f32>>) -> Option<Self> {
        if !shape.is_sound() {
            return None;
        }
        let sizes = shape.matrices().into_iter().map(|(_, [rows, cols])| rows * cols);
        let fits = sizes.eq(weights.iter().map(Vec::len));
        let finite = weights.iter().flatten().all(|value| value.is_finite());
        let rotation = Rotation::new(shape.context, shape.head());
        (fits && finite).then_some(Self { shape, weights, rotation })
    }

    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    pub fn weights(&self) -> &[Vec<f32>] {
        &self.weights
    }

    /// For the optimiser, which keeps their sizes.
    pub fn weights_mut(&mut self) -> &mut [Vec<f32>] {
        &mut self.weights
    }

    /// Trainable values.
    pub fn size(&self) -> usize {
        self.weights.iter().map(Vec::len).sum()
    }

    /// Gradients of the weights' sizes, all 0.
    pub fn zeros(&self) -> Vec<Vec<f32>> {
        self.weights.iter().map(|matrix| vec![0.0; matrix.len()]).collect()
    }

    /// `out` ← the embeddings of `tokens`, `[tokens, width]`.
    fn embed(&self, tokens: &[u16], out: &mut [f32]) {
        let width = self.shape.width;
        for (token, row) in tokens.iter().zip(out.chunks_exact_mut(width)) {
            let from = usize::from(*token) * width;
            row.copy_from_slice(&self.weights[EMBEDDING][from..from + width]);
        }
    }
}
