//! One sequence's attention, head by head, and its derivative.

use pulp::Arch;

use super::rows::{causal_softmax, causal_softmax_back};
use crate::dynamics::fused::gemm::{View, product, product_into};

/// Sizes of one sequence's attention. The queries are those of its last positions.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    pub width: usize,
    pub heads: usize,
    pub queries: usize,
    pub keys: usize,
}

impl Sizes {
    fn head(self) -> usize {
        self.width / self.heads
    }

    fn factor(self) -> f32 {
        1.0 / (self.head() as f32).sqrt()
    }

    /// Values of the attention of all heads.
    pub fn attention(self) -> usize {
        self.heads * self.queries * self.keys
    }
}

/// `mixed` `[queries, width]` ← softmax(q·kᵀ/√head)·v, and `p` ← the softmax, `[heads, queries,
/// keys]`. `q` is `[queries, width]`; `kv` `[keys, 2·width]`, keys before values.
pub fn forward(arch: Arch, sizes: Sizes, q: &[f32], kv: &[f32], p: &mut [f32], mixed: &mut [f32]) {
    let Sizes { width, queries, keys, .. } = sizes;
    let (head, seen) = (sizes.head(), keys - queries + 1);
    let (q, kv) = (View::new(q, width), View::new(kv, 2 * width));
    for (place, p) in p.chunks_exact_mut(queries * keys).enumerate() {
        let first = place * head;
        product(p, q.columns(first, head), kv.columns(first, head).t());
        causal_softmax(arch, p, keys, seen, sizes.factor());
        let values = kv.columns(width + first, head);
        product_into(mixed, width, first, View::new(p, keys), values, false);
    }
}

/// What [`backward`] reads.
#[derive(Clone, Copy)]
pub struct Kept<'a> {
    pub q: &'a [f32],
    pub kv: &'a [f32],
    pub p: &'a [f32],
}

/// `dq` and `dkv` ← the derivatives by `q` and `kv`, from `dmixed`; `scratch` holds `[queries,
/// keys]`.
pub fn backward(
    arch: Arch,
    sizes: Sizes,
    kept: Kept<'_>,
    dmixed: &[f32],
    [dq, dkv]: [&mut [f32]; 2],
    scratch: &mut [f32],
) {
    let Sizes { width, queries, keys, .. } = sizes;
    let head = sizes.head();
    let (q, kv) = (View::new(kept.q, width), View::new(kept.kv, 2 * width));
    let dmixed = View::new(dmixed, width);
    for (place, p) in kept.p.chunks_exact(queries * keys).enumerate() {
        let first = place * head;
        let dmixed = dmixed.columns(first, head);
        product_into(dkv, 2 * width, width + first, View::new(p, keys).t(), dmixed, false);
        product(scratch, dmixed, kv.columns(width + first, head).t());
        causal_softmax_back(arch, p, scratch, keys, sizes.factor());
        let dscores = View::new(scratch, keys);
        product_into(dq, width, first, dscores, kv.columns(first, head), false);
        product_into(dkv, 2 * width, first, dscores.t(), q.columns(first, head), false);
    }
}
