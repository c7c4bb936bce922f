//! A batch of sequences forward, and the gradients of what their answers' log-probabilities are
//! worth back.
//!
//! Only answers are predicted, and they stand at the end. The last layer therefore asks at those
//! positions alone, of keys and values everywhere.

use pulp::Arch;

use super::rows::{add, norm, norm_back, softmax_row, squared_relu, squared_relu_back};
use super::{DOWN, EMBEDDING, HEAD, MIX, QUERY_KEY_VALUE, Transformer, UP, of_layer};
use crate::dynamics::attention::heads::{self, Kept, Sizes};
use crate::dynamics::fused::gemm::{View, product, product_into};

/// A prompt and its answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// The prompt, then the answer: at most the model's context and one more.
    pub tokens: Vec<u16>,
    /// Where the answer starts; at least 1.
    pub answer: usize,
}

/// Where a sequence lies among all rows, and its answer among the asked ones.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: usize,
    len: usize,
    asked_start: usize,
    asked: usize,
}

/// What one layer keeps for going back. `R` rows, of which `A` ask on: all but in the last layer.
#[derive(Default)]
struct Layer {
    /// `[R, width]` and `[R]`.
    normed: Vec<f32>,
    scales: Vec<f32>,
    /// `[A, width]`, where A < R.
    asking: Vec<f32>,
    /// `[A, width]`.
    q: Vec<f32>,
    /// `[R, 2·width]`.
    kv: Vec<f32>,
    attention: Vec<f32>,
    /// `[A, width]`.
    mixed: Vec<f32>,
    normed_middle: Vec<f32>,
    scales_middle: Vec<f32>,
    /// `[A, feed]`.
    rectified: Vec<f32>,
    active: Vec<f32>,
}

/// Buffers of a forward and a backward pass, used again from batch to batch.
#[derive(Default)]
pub struct Pass {
    tokens: Vec<u16>,
    targets: Vec<u16>,
    spans: Vec<Span>,
    layers: Vec<Layer>,
    x: Vec<f32>,
    update: Vec<f32>,
    normed: Vec<f32>,
    scales: Vec<f32>,
    /// `[A, vocabulary]`, probabilities.
    shares: Vec<f32>,
    log_probabilities: Vec<f32>,
    back: Back,
}

/// Buffers of the way back.
#[derive(Default)]
struct Back {
    dx: Vec<f32>,
    dnormed: Vec<f32>,
    dwide: Vec<f32>,
    dq: Vec<f32>,
    dkv: Vec<f32>,
    dmiddle: Vec<f32>,
    scratch: Vec<f32>,
}

/// The first `len` values of a buffer that grows where it must; what it held stays in it.
fn sized(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    buffer.resize(len, 0.0);
    buffer
}

impl Pass {
    /// Read `examples` and predict their answers.
    pub fn forward<'a>(
        &mut self,
        model: &Transformer,
        examples: impl IntoIterator<Item = &'a Example>,
    ) {
        self.lay_out(examples);
        let (arch, shape) = (Arch::new(), &model.shape);
        let (rows, asked) = (self.tokens.len(), self.targets.len());
        self.layers.resize_with(shape.layers, Layer::default);
        model.embed(&self.tokens, sized(&mut self.x, rows * shape.width));
        for place in 0..shape.layers {
            let last = place + 1 == shape.layers;
            self.layer_forward(arch, model, place, if last { asked } else { rows });
        }
        let normed = sized(&mut self.normed, asked * shape.width);
        norm(arch, &self.x, shape.width, normed, sized(&mut self.scales, asked));
        let shares = sized(&mut self.shares, asked * shape.vocabulary);
        let head = View::new(&model.weights[HEAD], shape.vocabulary);
        product(shares, View::new(normed, shape.width), head);
        let log_probabilities = sized(&mut self.log_probabilities, asked);
        let targets = &self.targets;
        arch.dispatch(
            #[inline(always)]
            || {
                let rows = shares.chunks_exact_mut(shape.vocabulary).zip(targets);
                for ((scores, &target), out) in rows.zip(log_probabilities) {
                    let score = scores[usize::from(target)];
                    *out = score - softmax_row(scores, 1.0);
                }
            },
        );
    }

    /// Log-probability of every answer token, answers in the order of the examples.
    pub fn log_probabilities(&self) -> &[f32] {
        &self.log_probabilities
    }

    /// How many tokens each answer has, in the order of the examples.
    pub fn answers(&self) -> impl Iterator<Item = usize> {
        self.spans.iter().map(|span| span.asked)
    }

    /// Log-probability of each whole answer.
    pub fn sums(&self) -> impl Iterator<Item = f64> {
        self.spans.iter().map(|span| {
            let tokens = &self.log_probabilities[span.asked_start..span.asked_start + span.asked];
            tokens.iter().map(|&one| f64::from(one)).sum()
        })
    }

    /// Scores of the next token after everything of each example, as probabilities: for
    /// examples whose answer is one token long.
    pub(super) fn shares(&self) -> &[f32] {
        &self.shares
    }

    /// Keys and values of a layer, `[R, 2·width]`, and the rows of each example.
    pub(super) fn keys_and_values(&self, layer: usize) -> &[f32] {
        &self.layers[layer].kv
    }

    fn lay_out<'a>(&mut self, examples: impl IntoIterator<Item = &'a Example>) {
        self.tokens.clear();
        self.targets.clear();
        self.spans.clear();
        for Example { tokens, answer } in examples {
            let len = tokens.len() - 1;
            self.spans.push(Span {
                start: self.tokens.len(),
                len,
                asked_start: self.targets.len(),
                asked: tokens.len() - answer,
            });
            self.tokens.extend_from_slice(&tokens[..len]);
            self.targets.extend_from_slice(&tokens[*answer..]);
        }
    }

    fn layer_forward(&mut self, arch: Arch, model: &Transformer, place: usize, asking: usize) {
        let (width, feed) = (model.shape.width, model.shape.feed);
        let rows = self.tokens.len();
        let layer = &mut self.layers[place];
        let weights = |matrix| &model.weights[of_layer(place, matrix)];
        let normed = sized(&mut layer.normed, rows * width);
        norm(arch, &self.x, width, normed, sized(&mut layer.scales, rows));
        let all = asking == rows;
        if !all {
            gather(&self.spans, normed, width, sized(&mut layer.asking, asking * width));
            let x = std::mem::take(&mut self.x);
            gather(&self.spans, &x, width, sized(&mut self.x, asking * width));
        }
        let query_key_value = View::new(weights(QUERY_KEY_VALUE), 3 * width);
        let kv = sized(&mut layer.kv, rows * 2 * width);
        product(kv, View::new(normed, width), query_key_value.columns(width, 2 * width));
        let q = sized(&mut layer.q, asking * width);
        let asking_normed = if all { &layer.normed } else { &layer.asking };
        product(q, View::new(asking_normed, width), query_key_value.columns(0, width));

        let sizes = self.spans.iter().map(|span| span.sizes(model, all));
        let values = sizes.map(Sizes::attention).sum();
        let mut attention = sized(&mut layer.attention, values);
        let mixed = sized(&mut layer.mixed, asking * width);
        for span in &self.spans {
            let sizes = span.sizes(model, all);
            let (asked, read) = (span.asking(all, width), span.rows(2 * width));
            let (q, kv) = (&mut q[asked.clone()], &mut kv[read]);
            model.rotation.turn_rows(arch, q, [width, width], sizes.keys - sizes.queries, false);
            model.rotation.turn_rows(arch, kv, [2 * width, width], 0, false);
            let (own, rest) = std::mem::take(&mut attention).split_at_mut(sizes.attention());
            heads::forward(arch, sizes, [q, kv], [own, &mut mixed[asked]], None);
            attention = rest;
        }
        let update = sized(&mut self.update, asking * width);
        product(update, View::new(mixed, width), View::new(weights(MIX), width));
        add(arch, &mut self.x, update);

        let normed = sized(&mut layer.normed_middle, asking * width);
        norm(arch, &self.x, width, normed, sized(&mut layer.scales_middle, asking));
        let rectified = sized(&mut layer.rectified, asking * feed);
        product(rectified, View::new(normed, width), View::new(weights(UP), feed));
        let active = sized(&mut layer.active, asking * feed);
        squared_relu(arch, rectified, active);
        product(update, View::new(active, feed), View::new(weights(DOWN), width));
        add(arch, &mut self.x, update);
    }

    /// Add to `gradients` those of Σ worthᵢ·log-probabilityᵢ over the answers' tokens.
    pub fn backward(&mut self, model: &Transformer, worth: &[f32], gradients: &mut [Vec<f32>]) {
        let (arch, shape) = (Arch::new(), &model.shape);
        let (rows, asked) = (self.tokens.len(), self.targets.len());
        assert_eq!(worth.len(), asked, "one worth a token");
        // By the scores: worth·(1 at the target − share).
        let each = self.shares.chunks_exact_mut(shape.vocabulary).zip(&self.targets).zip(worth);
        for ((shares, &target), worth) in each {
            shares.iter_mut().for_each(|share| *share *= -worth);
            shares[usize::from(target)] += worth;
        }
        let dscores = View::new(&self.shares, shape.vocabulary);
        let normed = View::new(&self.normed, shape.width);
        product_into(&mut gradients[HEAD], shape.vocabulary, 0, normed.t(), dscores, true);
        let back = &mut self.back;
        let dnormed = sized(&mut back.dnormed, asked * shape.width);
        product(dnormed, dscores, View::new(&model.weights[HEAD], shape.vocabulary).t());
        let dx = sized(&mut back.dx, asked * shape.width);
        norm_back(arch, dnormed, &self.normed, &self.scales, shape.width, dx);
        for place in (0..shape.layers).rev() {
            let last = place + 1 == shape.layers;
            let asking = if last { asked } else { rows };
            let layer = &self.layers[place];
            let batch = Batch { arch, model, spans: &self.spans, rows, asking };
            layer_backward(&batch, layer, place, &mut self.back, gradients);
        }
        for (token, dx) in self.tokens.iter().zip(self.back.dx.chunks_exact(shape.width)) {
            let from = usize::from(*token) * shape.width;
            add(arch, &mut gradients[EMBEDDING][from..from + shape.width], dx);
        }
    }
}

/// What the way back needs of the batch.
struct Batch<'a> {
    arch: Arch,
    model: &'a Transformer,
    spans: &'a [Span],
    rows: usize,
    asking: usize,
}

/// `back.dx`, by what the layer gave, becomes that by what it was given.
fn layer_backward(
    batch: &Batch<'_>,
    layer: &Layer,
    place: usize,
    back: &mut Back,
    gradients: &mut [Vec<f32>],
) {
    let &Batch { arch, model, spans, rows, asking } = batch;
    let (width, feed, all) = (model.shape.width, model.shape.feed, rows == asking);
    let weights = |matrix| &model.weights[of_layer(place, matrix)];
    let mut gradient = |matrix, cols, first, left: View<'_>, right: View<'_>| {
        let out = &mut gradients[of_layer(place, matrix)];
        product_into(out, cols, first, left.t(), right, true);
    };
    // The feed-forward half.
    let dx = View::new(&back.dx, width);
    gradient(DOWN, width, 0, View::new(&layer.active, feed), dx);
    let dwide = sized(&mut back.dwide, asking * feed);
    product(dwide, dx, View::new(weights(DOWN), width).t());
    squared_relu_back(arch, &layer.rectified, dwide);
    gradient(UP, feed, 0, View::new(&layer.normed_middle, width), View::new(dwide, feed));
    let dnormed = sized(&mut back.dnormed, asking * width);
    product(dnormed, View::new(dwide, feed), View::new(weights(UP), feed).t());
    let dmiddle = sized(&mut back.dmiddle, asking * width);
    norm_back(arch, dnormed, &layer.normed_middle, &layer.scales_middle, width, dmiddle);
    add(arch, dmiddle, &back.dx);

    // The attention half.
    gradient(MIX, width, 0, View::new(&layer.mixed, width), View::new(dmiddle, width));
    let dmixed = sized(&mut back.dnormed, asking * width);
    product(dmixed, View::new(dmiddle, width), View::new(weights(MIX), width).t());
    let dq = sized(&mut back.dq, asking * width);
    let dkv = sized(&mut back.dkv, rows * 2 * width);
    let mut attention = layer.attention.as_slice();
    for span in spans {
        let sizes = span.sizes(model, all);
        let (asked, read) = (span.asking(all, width), span.rows(2 * width));
        let (own, rest) = attention.split_at(sizes.attention());
        attention = rest;
        let kept = Kept { q: &layer.q[asked.clone()], kv: &layer.kv[read.clone()], p: own };
        let (dq, dkv) = (&mut dq[asked.clone()], &mut dkv[read]);
        let scratch = sized(&mut back.scratch, sizes.queries * sizes.keys);
        let by = [&mut *dq, &mut *dkv];
        heads::backward(arch, sizes, kept, &dmixed[asked], by, scratch, None);
        model.rotation.turn_rows(arch, dq, [width, width], sizes.keys - sizes.queries, true);
        model.rotation.turn_rows(arch, dkv, [2 * width, width], 0, true);
    }
    let asking_normed = View::new(if all { &layer.normed } else { &layer.asking }, width);
    let (dq, dkv) = (View::new(dq, width), View::new(dkv, 2 * width));
    gradient(QUERY_KEY_VALUE, 3 * width, 0, asking_normed, dq);
    gradient(QUERY_KEY_VALUE, 3 * width, width, View::new(&layer.normed, width), dkv);
    let query_key_value = View::new(weights(QUERY_KEY_VALUE), 3 * width);
    let dnormed = sized(&mut back.dnormed, rows * width);
    product(dnormed, dkv, query_key_value.columns(width, 2 * width).t());
    if all {
        product_into(dnormed, width, 0, dq, query_key_value.columns(0, width).t(), true);
    } else {
        let dasking = sized(&mut back.dx, asking * width);
        product(dasking, dq, query_key_value.columns(0, width).t());
        scatter(arch, spans, dasking, width, dnormed);
    }
    let dx = sized(&mut back.dx, rows * width);
    norm_back(arch, dnormed, &layer.normed, &layer.scales, width, dx);
    if all {
        add(arch, dx, dmiddle);
    } else {
        scatter(arch, spans, dmiddle, width, dx);
    }
}

impl Span {
    fn sizes(self, model: &Transformer, all: bool) -> Sizes {
        let queries = if all { self.len } else { self.asked };
        Sizes { width: model.shape.width, heads: model.shape.heads, queries, keys: self.len }
    }

    /// Its values among all rows of `width`.
    fn rows(self, width: usize) -> std::ops::Range<usize> {
        self.start * width..(self.start + self.len) * width
    }

    /// Its values among the rows that ask on.
    fn asking(self, all: bool, width: usize) -> std::ops::Range<usize> {
        if all {
            return self.rows(width);
        }
        self.asked_start * width..(self.asked_start + self.asked) * width
    }

    /// The values of its asked rows among all rows.
    fn tail(self, width: usize) -> std::ops::Range<usize> {
        let end = self.start + self.len;
        (end - self.asked) * width..end * width
    }
}

/// `out` ← the asked rows among all.
fn gather(spans: &[Span], all: &[f32], width: usize, out: &mut [f32]) {
    for span in spans {
        out[span.asking(false, width)].copy_from_slice(&all[span.tail(width)]);
    }
}

/// Asked rows are added to where they are among all.
fn scatter(arch: Arch, spans: &[Span], asked: &[f32], width: usize, all: &mut [f32]) {
    for span in spans {
        add(arch, &mut all[span.tail(width)], &asked[span.asking(false, width)]);
    }
}
