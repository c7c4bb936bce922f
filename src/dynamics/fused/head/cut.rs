//! How the scores of many states are cut: into chunks that are held at once, pieces whose gradients are
//! summed, blocks of items, and the tiles that threads take.

use std::ops::Range;

/// Items of a block of columns: a constant, since results must not depend on the number of threads.
pub(super) const ITEMS: usize = 512;
/// Scores of a piece, about, and its states: their part of the gradients is summed before it is added.
const PIECE: usize = 1 << 19;
const STATES: std::ops::RangeInclusive<usize> = 64..=128;
/// Scores held at once, about, and pieces that these may be of: the weights are packed once for all of
/// them.
const SCORES: usize = 1 << 21;
const PIECES: usize = 4;
/// So few states are left to themselves, and so few units are no share: `gemm` sums the products of so few
/// rows in another order, and results must not depend on how many go together.
pub(super) const FEW: usize = 2;
/// States of a tile, at least, where a block is cut: for the same reason, `gemm` sums results of so few
/// numbers in another order, and those of so few rows and columns where a sum is longer than so many.
const LEAST: usize = 8;
const SMALL: usize = 256;
const NARROW: usize = 64;
const LONG: usize = 512;

/// States of a piece, of a head over so many items.
pub(super) fn piece(items: usize) -> usize {
    (PIECE / items).clamp(*STATES.start(), *STATES.end())
}

/// States of the next chunk, where so many are left.
pub(super) fn next_chunk(items: usize, left: usize) -> usize {
    let piece = piece(items);
    let most = piece * (SCORES / (piece * items)).clamp(1, PIECES);
    let few = left % piece;
    let rest = if few > 0 && few <= FEW && left > few { left - few } else { left };
    rest.min(most)
}

/// Some states and a block of items: what one task scores.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tile {
    /// First item of the block.
    pub first: usize,
    /// Items of the block.
    pub size: usize,
    pub states: Range<usize>,
}

impl Tile {
    /// Its scores.
    pub fn area(&self) -> usize {
        self.size * self.states.len()
    }
}

/// The tiles of all scores, block after block: whole blocks, but for those in which the even share of one
/// of the threads ends and that of the next begins. No score or sum depends on them.
pub(super) fn tiles([hidden, items]: [usize; 2], states: usize, threads: usize) -> Vec<Tile> {
    let mut tiles = Vec::new();
    for first in (0..items).step_by(ITEMS) {
        let size = ITEMS.min(items - first);
        let enough = SMALL / hidden.min(size).max(1) + 1;
        let wide = if hidden > LONG { NARROW + 1 } else { 0 };
        let least = LEAST.max(enough).max(wide);
        let mut begin = 0;
        for share in 1..threads {
            let end = (items * share / threads).saturating_sub(first) * states / size;
            if end >= begin + least && end + least <= states {
                tiles.push(Tile { first, size, states: begin..end });
                begin = end;
            }
        }
        tiles.push(Tile { first, size, states: begin..states });
    }
    tiles
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamics::fused::gemm::{View, product};
    use crate::dynamics::fused::scan::rows as rows_of;

    #[test]
    fn chunks_are_whole_pieces_but_for_the_last_and_few_states_are_left_to_themselves() {
        for items in [1, 500, 3707, 9674, 1_000_000] {
            for count in (1..700).chain([64 * 40 + 2]) {
                let (mut left, mut cut) = (count, Vec::new());
                while left > 0 {
                    cut.push(next_chunk(items, left));
                    left -= next_chunk(items, left);
                }
                let (last, whole) = cut.split_last().unwrap();
                let few = count % piece(items);
                let before = if (1..=FEW).contains(&few) {
                    assert_eq!(*last, few, "{items} items, {count} states");
                    whole
                } else {
                    &cut
                };
                let odd = before.iter().filter(|&&size| size % piece(items) > 0).count();
                assert!(odd <= 1 && cut.iter().all(|size| size * items <= SCORES.max(64 * items)));
            }
        }
    }

    #[test]
    fn tiles_cover_every_score_once_and_few_states_stay_together() {
        for items in [1, 2, 500, 512, 513, 3707, 9674] {
            for states in [1, 2, 7, 15, 16, 17, 64, 300] {
                for threads in [1, 2, 3, 8, 64] {
                    let tiles = tiles([128, items], states, threads);
                    let (mut first, mut state) = (0, 0);
                    for tile in &tiles {
                        assert_eq!((tile.first, tile.states.start), (first, state));
                        assert!(tile.states.len() >= states.min(LEAST), "{tile:?} of {states}");
                        state = tile.states.end % states;
                        first += if state == 0 { tile.size } else { 0 };
                    }
                    assert_eq!((first, state), (items, 0));
                    assert!(threads > 1 || tiles.len() == items.div_ceil(ITEMS));
                }
            }
        }
    }

    /// What a tile comes to does not depend on it, to the last bit.
    #[test]
    fn tiles_are_summed_as_whole_blocks_are() {
        let value = |i: usize| ((i * 7919) % 1009) as f32 / 1009.0 - 0.5;
        for (hidden, items) in [(4, 20), (8, 20), (8, 300), (33, 7), (128, 100), (700, 40)] {
            let weight: Vec<f32> = (0..hidden * items).map(value).collect();
            let rows = View::new(&weight, items);
            let columns = View::new(&weight, hidden).t();
            for states in [17, 33, 64, 96, 200] {
                let inputs: Vec<f32> = (0..states * hidden).map(|i| value(i + 3)).collect();
                let slopes: Vec<f32> = (0..states * items).map(|i| value(i + 5)).collect();
                for threads in [2, 3, 7] {
                    for tile in tiles([hidden, items], states, threads) {
                        for (weight, inputs) in [
                            (rows, View::new(&inputs, hidden)),
                            (columns, View::new(&inputs, hidden)),
                            (rows.t(), View::new(&slopes, items)),
                            (columns.t(), View::new(&slopes, items)),
                        ] {
                            let of = |rows: Range<usize>| {
                                let mut out = vec![0.0; rows.len() * weight.cols()];
                                let (steps, last) = inputs.steps(rows);
                                let given: Vec<f32> =
                                    steps.flatten().chain(last).copied().collect();
                                product(&mut out, View::new(&given, inputs.cols()), weight);
                                out
                            };
                            let whole = of(0..states);
                            let here = rows_of(&tile.states, weight.cols());
                            assert_eq!(whole[here], of(tile.states.clone()), "{tile:?} {hidden}");
                        }
                    }
                }
            }
        }
    }

    /// Threads that take one tile after the other, the largest first, end at about the same time.
    #[test]
    fn tiles_can_be_shared_evenly() {
        for (items, states) in [(500, 512), (3707, 64), (9674, 216), (27_000, 128)] {
            for threads in [2, 3, 4, 6, 8, 16] {
                let mut areas: Vec<usize> =
                    tiles([128, items], states, threads).iter().map(Tile::area).collect();
                areas.sort_unstable_by(|a, b| b.cmp(a));
                let mut busy = vec![0; threads];
                for area in areas {
                    if let Some(least) = busy.iter_mut().min() {
                        *least += area;
                    }
                }
                let most = busy.into_iter().max().unwrap() as f64;
                let even = (items * states) as f64 / threads as f64;
                assert!(most < 1.3 * even, "{items} {states} {threads}: {}", most / even);
            }
        }
    }
}
