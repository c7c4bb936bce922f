//! What goes in and out of the scans row by row: embedded items, the gradient of the embedding,
//! the transposed weights.

use cubecl::prelude::*;

use super::shape::{Offsets, Turned};

/// Embedded items, dropped out: `embedded`, `[E, H]`, from the items in front of `plan`.
#[cube(launch_unchecked)]
pub(super) fn embed(
    weights: &[f32],
    plan: &[u32],
    masks: &[f32],
    embedded: &mut [f32],
    events: usize,
    #[comptime] hidden: usize,
    #[comptime] dropout: bool,
) {
    let place = ABSOLUTE_POS;
    if place < events * hidden {
        let item = plan[place / hidden] as usize;
        let mut value = weights[item * hidden + place % hidden];
        if comptime!(dropout) {
            value *= masks[place];
        }
        embedded[place] = value;
    }
}

/// The gradient of the embedding, `[N + 1, H]`, from derivatives by the embedded items, `[E, H]`.
/// A unit sums one value over the events of one item, which `plan` lists: from `starts`, `[N + 2]`,
/// where each item's events begin in the list at `order`. The padding has no events. A tied head has
/// left its part of the gradient, which is added to.
#[cube(launch_unchecked)]
pub(super) fn embedding(
    by_embedded: &[f32],
    plan: &[u32],
    masks: &[f32],
    gradients: &mut [f32],
    items: usize,
    starts: usize,
    order: usize,
    #[comptime] hidden: usize,
    #[comptime] dropout: bool,
    #[comptime] tied: bool,
) {
    let place = ABSOLUTE_POS;
    let (item, j) = (place / hidden, place % hidden);
    if item <= items {
        let mut sum = 0.0f32;
        if comptime!(tied) && item > 0 {
            sum = gradients[place];
        }
        for entry in plan[starts + item] as usize..plan[starts + item + 1] as usize {
            let at = plan[order + entry] as usize * hidden + j;
            if comptime!(dropout) {
                sum += by_embedded[at] * masks[at];
            } else {
                sum += by_embedded[at];
            }
        }
        gradients[place] = sum;
    }
}

/// The transposed matrices of [`Turned`], from the weights that begin at `first`.
#[cube(launch_unchecked)]
pub(super) fn turn(
    weights: &[f32],
    turned: &mut [f32],
    first: usize,
    size: usize,
    #[comptime] hidden: usize,
) {
    let offsets = comptime!(Offsets::new(hidden));
    let to = comptime!(Turned::new(hidden));
    let place = ABSOLUTE_POS;
    if place < size {
        let mut from = first;
        if place < to.w_in {
            from += offsets.w_hidden + place % hidden * comptime!(3 * hidden) + place / hidden;
        } else if place < to.w_out {
            let place = place - to.w_in;
            from += offsets.w_in + place % hidden * comptime!(2 * hidden) + place / hidden;
        } else {
            let place = place - to.w_out;
            let column = place % comptime!(2 * hidden);
            from += offsets.w_out + column * hidden + place / comptime!(2 * hidden);
        }
        turned[place] = weights[from];
    }
}
