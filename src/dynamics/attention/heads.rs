//! One sequence's attention, head by head, and its derivative; with intervals between its positions
//! where a model has them.

use pulp::Arch;

use super::rows::{causal_softmax, causal_softmax_back};
use crate::dynamics::fused::gemm::{View, product, product_into};

/// Sizes of one sequence's attention. The queries are those of its last positions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
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

/// Embeddings of what lies between two positions, added to the keys and the values that one sees of
/// the other (Shaw, Uszkoreit & Vaswani 2018). Every position asks.
pub(crate) struct Relative<'a> {
    /// `[K, width]` each.
    pub key: &'a [f32],
    pub value: &'a [f32],
    /// Row of the two for each query and key, `[queries, keys]`; read where the key is seen.
    pub between: &'a [u32],
    /// Σ over the keys at each row of the two, `[queries, heads·K]`: of the attention after
    /// [`forward`], of the derivatives by the scores after [`backward`].
    pub sums: &'a mut [f32],
}

impl Relative<'_> {
    /// `into[i, j]` ← itself + a·tableᵀ at the row between i and j, then `sums` ← 0 for this head.
    fn spread(&mut self, sizes: Sizes, place: usize, a: View<'_>, values: bool, into: &mut [f32]) {
        let Sizes { width, heads, keys, .. } = sizes;
        let (head, rows) = (sizes.head(), self.key.len() / width);
        let table = View::new(if values { self.value } else { self.key }, width);
        let table = table.columns(place * head, head).t();
        product_into(self.sums, heads * rows, place * rows, a, table, false);
        let each = self.sums.chunks_exact_mut(heads * rows).zip(into.chunks_exact_mut(keys));
        for ((query, (sums, into)), between) in
            each.enumerate().zip(self.between.chunks_exact(keys))
        {
            let sums = &mut sums[place * rows..][..rows];
            for (into, &between) in into[..=query].iter_mut().zip(between) {
                *into += sums[between as usize];
            }
            sums.fill(0.0);
        }
    }

    /// `sums` of this head ← those of `from[i, j]`, `out` ← itself + `sums`·table.
    fn gather(&mut self, sizes: Sizes, place: usize, from: &[f32], values: bool, out: &mut [f32]) {
        let Sizes { width, heads, keys, .. } = sizes;
        let (head, rows) = (sizes.head(), self.key.len() / width);
        let each = self.sums.chunks_exact_mut(heads * rows).zip(from.chunks_exact(keys));
        for ((query, (sums, from)), between) in
            each.enumerate().zip(self.between.chunks_exact(keys))
        {
            let sums = &mut sums[place * rows..][..rows];
            for (from, &between) in from[..=query].iter().zip(between) {
                sums[between as usize] += from;
            }
        }
        let sums = View::new(self.sums, heads * rows).columns(place * rows, rows);
        let table = View::new(if values { self.value } else { self.key }, width);
        product_into(out, width, place * head, sums, table.columns(place * head, head), true);
    }
}

/// `mixed` `[queries, width]` ← softmax(q·kᵀ/√head)·v, and `p` ← the softmax, `[heads, queries,
/// keys]`. `q` is `[queries, width]`; `kv` `[keys, 2·width]`, keys before values.
pub(crate) fn forward(
    arch: Arch,
    sizes: Sizes,
    [q, kv]: [&[f32]; 2],
    [p, mixed]: [&mut [f32]; 2],
    mut relative: Option<Relative<'_>>,
) {
    let Sizes { width, queries, keys, .. } = sizes;
    let (head, seen) = (sizes.head(), keys - queries + 1);
    let (q, kv) = (View::new(q, width), View::new(kv, 2 * width));
    for (place, p) in p.chunks_exact_mut(queries * keys).enumerate() {
        let first = place * head;
        let query = q.columns(first, head);
        product(p, query, kv.columns(first, head).t());
        if let Some(relative) = &mut relative {
            relative.spread(sizes, place, query, false, p);
        }
        causal_softmax(arch, p, keys, seen, sizes.factor());
        let values = kv.columns(width + first, head);
        product_into(mixed, width, first, View::new(p, keys), values, false);
        if let Some(relative) = &mut relative {
            relative.gather(sizes, place, p, true, mixed);
        }
    }
}

/// What [`backward`] reads.
#[derive(Clone, Copy)]
pub(crate) struct Kept<'a> {
    pub q: &'a [f32],
    pub kv: &'a [f32],
    pub p: &'a [f32],
}

/// `dq` and `dkv` ← the derivatives by `q` and `kv`, from `dmixed`; `scratch` holds `[queries,
/// keys]`.
pub(crate) fn backward(
    arch: Arch,
    sizes: Sizes,
    kept: Kept<'_>,
    dmixed: &[f32],
    [dq, dkv]: [&mut [f32]; 2],
    scratch: &mut [f32],
    mut relative: Option<Relative<'_>>,
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
        if let Some(relative) = &mut relative {
            relative.spread(sizes, place, dmixed, true, scratch);
        }
        causal_softmax_back(arch, p, scratch, keys, sizes.factor());
        let dscores = View::new(scratch, keys);
        product_into(dq, width, first, dscores, kv.columns(first, head), false);
        product_into(dkv, 2 * width, first, dscores.t(), q.columns(first, head), false);
        if let Some(relative) = &mut relative {
            relative.gather(sizes, place, scratch, false, dq);
        }
    }
}
