//! A shard back: from derivatives by its scored states to those by the embedded items and by all
//! that a weight is added to.

use super::forward::Context;
use super::heads;
use super::rows::{multiply, norm_back, rectify_back};
use super::shard::{Kept, KeptBlock, Layout, sized};
use super::weights::{Block, Weights};
use crate::dynamics::fused::gemm::{View, product, product_into};
use crate::dynamics::fused::plan;

/// Run `shard` back. `scored`, `[Q, H]`, holds the derivatives by the scored states; `by_embedded`,
/// `[E, H]`, ← those by the embedded items with their positions.
pub(super) fn backward(
    context: &Context<'_>,
    shard: &plan::Shard,
    layout: &Layout,
    kept: &mut Kept,
    scored: &[f32],
    by_embedded: &mut [f32],
) {
    let hidden = context.hidden;
    let Kept { blocks, normed, scales, x: by_normed, update, square } = kept;
    let dx = by_embedded;
    dx.fill(0.0);
    let Weights { gain, .. } = context.weights;
    let rows = shard.scored.iter().zip(scored.chunks_exact(hidden)).zip(&*scales);
    for (((one, slopes), scale), normed) in rows.zip(normed.chunks_exact_mut(hidden)) {
        let by_normed = &mut by_normed[..hidden];
        for ((by, slope), gain) in by_normed.iter_mut().zip(slopes).zip(*gain) {
            *by = slope * gain;
        }
        let dx = &mut dx[one.row * hidden..][..hidden];
        norm_back(context.arch, by_normed, normed, &[*scale], dx);
        // From here on, what the gradient of the gain is summed from.
        multiply(context.arch, normed, slopes);
    }
    let weights = context.weights.blocks.iter().zip(blocks).enumerate();
    for (place, (block, kept)) in weights.rev() {
        let by_down = sized(&mut kept.by_down, dx.len());
        by_down.copy_from_slice(dx);
        context.drop_out(by_down, Some(2 * place + 1), shard);
        feed_back(context, block, kept, update, dx);
        let by_mix = sized(&mut kept.by_mix, dx.len());
        by_mix.copy_from_slice(dx);
        context.drop_out(by_mix, Some(2 * place), shard);
        attend_back(context, block, layout, kept, [update, square], dx);
    }
    context.drop_out(dx, None, shard);
}

/// `dx` ← itself + the derivatives by what the feed-forward layer was given, from `kept.by_down`.
fn feed_back(
    context: &Context<'_>,
    block: &Block<&[f32]>,
    kept: &mut KeptBlock,
    scratch: &mut [f32],
    dx: &mut [f32],
) {
    let (arch, hidden) = (context.arch, context.hidden);
    let by_up = sized(&mut kept.by_up, dx.len());
    product(by_up, View::new(&kept.by_down, hidden), View::new(block.down, hidden).t());
    rectify_back(arch, &kept.active, by_up);
    product(scratch, View::new(by_up, hidden), View::new(block.up, hidden).t());
    norm_back(arch, scratch, &kept.normed_middle, &kept.scales_middle, dx);
}

/// `dx` ← itself + the derivatives by what the attention was given, from `kept.by_mix`.
fn attend_back(
    context: &Context<'_>,
    block: &Block<&[f32]>,
    layout: &Layout,
    kept: &mut KeptBlock,
    [scratch, square]: [&mut Vec<f32>; 2],
    dx: &mut [f32],
) {
    let (arch, hidden, events) = (context.arch, context.hidden, layout.positions.len());
    let by_mixed = sized(&mut kept.by_mixed, events * hidden);
    product(by_mixed, View::new(&kept.by_mix, hidden), View::new(block.mix, hidden).t());
    let by_q = sized(&mut kept.by_q, events * hidden);
    let by_kv = sized(&mut kept.by_kv, events * 2 * hidden);
    let width = context.heads * context.intervals();
    let slopes = sized(&mut kept.slopes, events * width);
    let (mut p, mut between) = (kept.p.as_slice(), layout.between.as_slice());
    for span in &layout.spans {
        let sizes = context.sizes(span.len);
        let (own, rest) = p.split_at(sizes.attention());
        p = rest;
        let pairs = span.len * span.len;
        let (here, others) = between.split_at(if width > 0 { pairs } else { 0 });
        between = others;
        let (one, two) = (span.rows(hidden), span.rows(2 * hidden));
        let seen = heads::Kept { q: &kept.q[one.clone()], kv: &kept.kv[two.clone()], p: own };
        let by = [&mut by_q[one.clone()], &mut by_kv[two]];
        let relative = context.relative(here, &mut slopes[span.rows(width)]);
        let scratch = sized(square, pairs);
        heads::backward(arch, sizes, seen, &by_mixed[one], by, scratch, relative);
    }
    let by_normed = scratch.as_mut_slice();
    product(by_normed, View::new(by_q, hidden), View::new(block.query, hidden).t());
    let key_value = View::new(block.key_value, 2 * hidden).t();
    product_into(by_normed, hidden, 0, View::new(by_kv, 2 * hidden), key_value, true);
    norm_back(arch, by_normed, &kept.normed, &kept.scales, dx);
}
