//! A shard forward, leaving behind what going back needs.

use pulp::Arch;

use super::heads::{self, Relative, Sizes};
use super::rows::{add, add_bias, add_bias_and_rectify, multiply, norm};
use super::shard::{Kept, KeptBlock, Layout, sized};
use super::weights::{Block, Places, Weights};
use crate::dynamics::fused::Dropout;
use crate::dynamics::fused::gemm::{View, product};
use crate::dynamics::fused::plan;

/// What all shards share.
pub(super) struct Context<'a> {
    pub arch: Arch,
    pub hidden: usize,
    pub heads: usize,
    /// `[N + 1, H]`.
    pub embedding: &'a [f32],
    pub weights: &'a Weights<&'a [f32]>,
    pub dropout: Option<&'a Dropout>,
    /// L·B, rows of one mask.
    pub mask_rows: usize,
}

impl Context<'_> {
    /// What the embedding is multiplied by, so that it is not lost beside what blocks add
    /// (Vaswani et al. 2017, §3.4).
    pub fn loudness(&self) -> f32 {
        (self.hidden as f32).sqrt()
    }

    /// `values`, `[E, H]`, ← themselves times mask number `mask` where there is dropout; `None` is
    /// the mask of the embedded items.
    pub fn drop_out(&self, values: &mut [f32], mask: Option<usize>, shard: &plan::Shard) {
        let Some(masks) = self.dropout else { return };
        let (from, first) = match mask {
            None => (&masks.input, 0),
            Some(mask) => (&masks.state, mask * self.mask_rows),
        };
        for (values, event) in values.chunks_exact_mut(self.hidden).zip(&shard.events) {
            let at = (first + event.mask) * self.hidden;
            multiply(self.arch, values, &from[at..at + self.hidden]);
        }
    }

    pub fn sizes(&self, len: usize) -> Sizes {
        Sizes { width: self.hidden, heads: self.heads, queries: len, keys: len }
    }

    /// K, rows of the tables of intervals; 0 where there are none.
    pub fn intervals(&self) -> usize {
        match &self.weights.places {
            Places::Added(_) => 0,
            Places::Relative(tables) => tables.interval_key.len() / self.hidden,
        }
    }

    /// The intervals of one span, with its `sums`.
    pub fn relative<'s>(&'s self, between: &'s [u32], sums: &'s mut [f32]) -> Option<Relative<'s>> {
        match &self.weights.places {
            Places::Added(_) => None,
            Places::Relative(tables) => Some(Relative {
                key: tables.interval_key,
                value: tables.interval_value,
                between,
                sums,
            }),
        }
    }
}

/// Run `shard` forward: `scored`, `[Q, H]`, ← the states that are scored.
pub(super) fn forward(
    context: &Context<'_>,
    shard: &plan::Shard,
    layout: &Layout,
    kept: &mut Kept,
    scored: &mut [f32],
) {
    let (arch, hidden) = (context.arch, context.hidden);
    let Kept { blocks, normed, scales, x, update, .. } = kept;
    let x = sized(x, shard.events.len() * hidden);
    let update = sized(update, x.len());
    embed(context, shard, layout, x);
    blocks.resize_with(context.weights.blocks.len(), KeptBlock::default);
    for (place, (block, kept)) in context.weights.blocks.iter().zip(blocks).enumerate() {
        attend(context, block, layout, kept, x, update);
        context.drop_out(update, Some(2 * place), shard);
        add(arch, x, update);
        feed(context, block, kept, x, update);
        context.drop_out(update, Some(2 * place + 1), shard);
        add(arch, x, update);
    }
    // Only what is scored goes on.
    for (to, one) in scored.chunks_exact_mut(hidden).zip(&shard.scored) {
        to.copy_from_slice(&x[one.row * hidden..][..hidden]);
    }
    let normed = sized(normed, scored.len());
    norm(arch, scored, hidden, normed, sized(scales, shard.scored.len()));
    let Weights { gain, bias, .. } = context.weights;
    for (to, normed) in scored.chunks_exact_mut(hidden).zip(normed.chunks_exact(hidden)) {
        for (((to, normed), gain), bias) in to.iter_mut().zip(normed).zip(*gain).zip(*bias) {
            *to = normed * gain + bias;
        }
    }
}

/// `x` ← the embedded items, with their positions where these are added.
fn embed(context: &Context<'_>, shard: &plan::Shard, layout: &Layout, x: &mut [f32]) {
    let (hidden, loudness) = (context.hidden, context.loudness());
    let rows = x.chunks_exact_mut(hidden).zip(&shard.events).zip(&layout.positions);
    for ((to, event), position) in rows {
        let item = &context.embedding[event.item * hidden..][..hidden];
        to.iter_mut().zip(item).for_each(|(to, item)| *to = loudness * item);
        if let Places::Added(table) = &context.weights.places {
            add(context.arch, to, &table[position * hidden..][..hidden]);
        }
    }
    context.drop_out(x, None, shard);
}

/// `update` ← what the attention of a block adds to `x`.
fn attend(
    context: &Context<'_>,
    block: &Block<&[f32]>,
    layout: &Layout,
    kept: &mut KeptBlock,
    x: &[f32],
    update: &mut [f32],
) {
    let (arch, hidden, events) = (context.arch, context.hidden, layout.positions.len());
    let normed = sized(&mut kept.normed, events * hidden);
    norm(arch, x, hidden, normed, sized(&mut kept.scales, events));
    let q = sized(&mut kept.q, events * hidden);
    affine(arch, q, normed, block.query, block.b_query);
    let kv = sized(&mut kept.kv, events * 2 * hidden);
    affine(arch, kv, normed, block.key_value, block.b_key_value);
    if let Places::Relative(tables) = &context.weights.places {
        for (kv, position) in kv.chunks_exact_mut(2 * hidden).zip(&layout.positions) {
            let (key, value) = kv.split_at_mut(hidden);
            add(arch, key, &tables.position_key[position * hidden..][..hidden]);
            add(arch, value, &tables.position_value[position * hidden..][..hidden]);
        }
    }
    let width = context.heads * context.intervals();
    let shares = sized(&mut kept.shares, events * width);
    let mut p = sized(&mut kept.p, context.heads * layout.pairs());
    let mixed = sized(&mut kept.mixed, events * hidden);
    let mut between = layout.between.as_slice();
    for span in &layout.spans {
        let sizes = context.sizes(span.len);
        let (own, rest) = std::mem::take(&mut p).split_at_mut(sizes.attention());
        p = rest;
        let pairs = if width > 0 { span.len * span.len } else { 0 };
        let (here, others) = between.split_at(pairs);
        between = others;
        let from = [&q[span.rows(hidden)], &kv[span.rows(2 * hidden)]];
        let to = [own, &mut mixed[span.rows(hidden)]];
        let relative = context.relative(here, &mut shares[span.rows(width)]);
        heads::forward(arch, sizes, from, to, relative);
    }
    affine(arch, update, mixed, block.mix, block.b_mix);
}

/// `update` ← what the feed-forward layer of a block adds to `x`.
fn feed(
    context: &Context<'_>,
    block: &Block<&[f32]>,
    kept: &mut KeptBlock,
    x: &[f32],
    update: &mut [f32],
) {
    let (arch, hidden) = (context.arch, context.hidden);
    let normed = sized(&mut kept.normed_middle, x.len());
    norm(arch, x, hidden, normed, sized(&mut kept.scales_middle, x.len() / hidden));
    let active = sized(&mut kept.active, x.len());
    product(active, View::new(normed, hidden), View::new(block.up, hidden));
    add_bias_and_rectify(arch, active, block.b_up);
    affine(arch, update, active, block.down, block.b_down);
}

/// `out` ← x·W + b.
fn affine(arch: Arch, out: &mut [f32], x: &[f32], weight: &[f32], bias: &[f32]) {
    let outputs = bias.len();
    product(out, View::new(x, weight.len() / outputs), View::new(weight, outputs));
    add_bias(arch, out, bias);
}
