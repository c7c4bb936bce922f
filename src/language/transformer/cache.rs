//! Decoding with keys and values kept: a prompt is read once, and each further token costs one
//! row. Many answers are written at once, several to one prompt, which they share.

use pulp::Arch;

use super::rows::{add, dot, norm, softmax_row, squared_relu};
use super::{DOWN, Example, HEAD, MIX, Pass, QUERY_KEY_VALUE, Transformer, UP, of_layer};
use crate::dynamics::fused::gemm::{View, product};

/// Prompts that were read.
pub struct Prefixes {
    /// Of each layer `[rows of all prompts, 2·width]`.
    kv: Vec<Vec<f32>>,
    /// First row of each prompt, and the end.
    starts: Vec<usize>,
    /// `[prompts, vocabulary]`: log-probabilities of the first token of an answer.
    first: Vec<f32>,
}

impl Prefixes {
    /// Read `prompts`, none of them empty or longer than the context.
    pub fn read(model: &Transformer, prompts: &[&[u16]]) -> Self {
        // The token to predict is not known yet; whichever stands there is not read.
        let examples: Vec<Example> = prompts
            .iter()
            .map(|prompt| Example {
                tokens: prompt.iter().copied().chain([0]).collect(),
                answer: prompt.len(),
            })
            .collect();
        let mut pass = Pass::default();
        pass.forward(model, &examples);
        let mut starts = vec![0];
        for prompt in prompts {
            starts.push(starts[starts.len() - 1] + prompt.len());
        }
        let kv = (0..model.shape.layers).map(|layer| pass.keys_and_values(layer).to_vec());
        let first = pass.shares().iter().map(|share| share.ln()).collect();
        Self { kv: kv.collect(), starts, first }
    }

    /// Log-probabilities of the first token of an answer to `prompt`.
    pub fn first(&self, model: &Transformer, prompt: usize) -> &[f32] {
        let vocabulary = model.shape.vocabulary;
        &self.first[prompt * vocabulary..(prompt + 1) * vocabulary]
    }

    fn length(&self, prompt: usize) -> usize {
        self.starts[prompt + 1] - self.starts[prompt]
    }
}

/// Answers being written.
pub struct Writing<'a> {
    model: &'a Transformer,
    prefixes: &'a Prefixes,
    /// Of each answer, the prompt.
    prompts: Vec<usize>,
    /// Tokens read of each answer.
    read: Vec<usize>,
    longest: usize,
    /// Of each layer `[answers, longest, 2·width]`.
    kv: Vec<Vec<f32>>,
    buffers: Buffers,
}

#[derive(Default)]
struct Buffers {
    x: Vec<f32>,
    normed: Vec<f32>,
    scales: Vec<f32>,
    qkv: Vec<f32>,
    mixed: Vec<f32>,
    update: Vec<f32>,
    wide: Vec<f32>,
    active: Vec<f32>,
    scores: Vec<f32>,
}

impl<'a> Writing<'a> {
    /// An answer for each of `prompts`, indices into `prefixes`, of at most `longest` tokens.
    pub fn new(
        model: &'a Transformer,
        prefixes: &'a Prefixes,
        prompts: Vec<usize>,
        longest: usize,
    ) -> Self {
        let size = prompts.len() * longest * 2 * model.shape.width;
        let kv = (0..model.shape.layers).map(|_| vec![0.0; size]).collect();
        let read = vec![0; prompts.len()];
        Self { model, prefixes, prompts, read, longest, kv, buffers: Buffers::default() }
    }

    /// Read one more `tokens[i]` of the answer `answers[i]`, none twice; the result is
    /// `[answers, vocabulary]`, scores of the token after it.
    ///
    /// # Panics
    /// Where an answer grows past the longest, or with its prompt past the context.
    pub fn step(&mut self, answers: &[usize], tokens: &[u16]) -> &[f32] {
        let (arch, shape, model) = (Arch::new(), &self.model.shape, self.model);
        let (width, rows) = (shape.width, answers.len());
        let Buffers { x, normed, scales, qkv, mixed, update, wide, active, scores } =
            &mut self.buffers;
        for (buffer, columns) in [
            (&mut *x, width),
            (&mut *normed, width),
            (&mut *scales, 1),
            (&mut *qkv, 3 * width),
            (&mut *mixed, width),
            (&mut *update, width),
            (&mut *wide, shape.feed),
            (&mut *active, shape.feed),
            (&mut *scores, shape.vocabulary),
        ] {
            buffer.resize(rows * columns, 0.0);
        }
        model.embed(tokens, x);
        for (layer, kept) in self.kv.iter_mut().enumerate() {
            let weights = |matrix| model.weights[of_layer(layer, matrix)].as_slice();
            norm(arch, x, width, normed, scales);
            product(qkv, View::new(normed, width), View::new(weights(QUERY_KEY_VALUE), 3 * width));
            let each = answers.iter().zip(qkv.chunks_exact_mut(3 * width));
            for ((&answer, qkv), mixed) in each.zip(mixed.chunks_exact_mut(width)) {
                let (prompt, read) = (self.prompts[answer], self.read[answer]);
                assert!(read < self.longest, "an answer within its limit");
                let before = &self.prefixes.kv[layer][self.prefixes.starts[prompt] * 2 * width
                    ..self.prefixes.starts[prompt + 1] * 2 * width];
                let from = answer * self.longest * 2 * width;
                let own = &mut kept[from..from + (read + 1) * 2 * width];
                arch.dispatch(
                    #[inline(always)]
                    || {
                        let position = self.prefixes.length(prompt) + read;
                        model.rotation.turn(&mut qkv[..2 * width], position, false);
                        own[read * 2 * width..].copy_from_slice(&qkv[width..]);
                        attend(&qkv[..width], before, own, shape.heads, mixed);
                    },
                );
            }
            product(update, View::new(mixed, width), View::new(weights(MIX), width));
            add(arch, x, update);
            norm(arch, x, width, normed, scales);
            product(wide, View::new(normed, width), View::new(weights(UP), shape.feed));
            squared_relu(arch, wide, active);
            product(update, View::new(active, shape.feed), View::new(weights(DOWN), width));
            add(arch, x, update);
        }
        norm(arch, x, width, normed, scales);
        let head = View::new(&model.weights[HEAD], shape.vocabulary);
        product(scores, View::new(normed, width), head);
        answers.iter().for_each(|&answer| self.read[answer] += 1);
        scores
    }
}

/// One query over a prompt's keys and values and then its own, both `[keys, 2·width]`.
#[inline(always)]
fn attend(q: &[f32], before: &[f32], own: &[f32], heads: usize, mixed: &mut [f32]) {
    let width = q.len();
    let head = width / heads;
    let factor = 1.0 / (head as f32).sqrt();
    let keys = || before.chunks_exact(2 * width).chain(own.chunks_exact(2 * width));
    let mut weights = Vec::with_capacity((before.len() + own.len()) / (2 * width));
    for place in 0..heads {
        let columns = place * head..(place + 1) * head;
        weights.clear();
        weights.extend(keys().map(|kv| dot(&q[columns.clone()], &kv[columns.clone()])));
        softmax_row(&mut weights, factor);
        let mixed = &mut mixed[columns.clone()];
        mixed.fill(0.0);
        for (weight, kv) in weights.iter().zip(keys()) {
            let values = &kv[width..][columns.clone()];
            mixed.iter_mut().zip(values).for_each(|(mixed, value)| *mixed += weight * value);
        }
    }
}
