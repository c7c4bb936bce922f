//! Which items share users more than chance would have it.

/// Earlier items of the same user that an event is counted with, at most.
const WINDOW: usize = 10;
/// Pairs that are counted, about; with more events each is counted with fewer.
const PAIRS: usize = 1 << 25;
/// How often an item is by chance: its share to this power, which keeps rare items from seeming close
/// to everything (Levy, Goldberg and Dagan 2015).
const SMOOTHING: f64 = 0.75;
/// Shared users below which a pair counts for less, since it may be chance.
const DOUBT: f64 = 1.0;

/// A symmetric matrix over items, sparse: positive pointwise mutual information.
pub(super) struct Together {
    /// Where each item's entries begin, and where the last one's end.
    starts: Vec<usize>,
    entries: Vec<(u32, f32)>,
}

impl Together {
    /// Over `items` items, from users' histories in the order of time. A pair counts less for users of
    /// many items.
    pub fn new<'a>(items: usize, histories: impl Iterator<Item = &'a [u32]> + Clone) -> Self {
        let events: usize = histories.clone().map(<[u32]>::len).sum();
        let window = (PAIRS / events.max(1)).clamp(1, WINDOW);
        let mut pairs: Vec<(u32, u32, f32)> = Vec::new();
        for history in histories {
            let share = 1.0 / (2.0 + history.len() as f32).log2();
            for (place, &item) in history.iter().enumerate() {
                for &other in &history[place.saturating_sub(window)..place] {
                    if other != item {
                        pairs.push((item.min(other), item.max(other), share));
                    }
                }
            }
        }
        // Equal pairs stay in their order, and so always have the same sum.
        pairs.sort_by_key(|&(one, other, _)| (one, other));
        let same = |a: &(u32, u32, f32), b: &(u32, u32, f32)| (a.0, a.1) == (b.0, b.1);
        let counted: Vec<(u32, u32, f64)> = pairs
            .chunk_by(same)
            .map(|pairs| (pairs[0].0, pairs[0].1, pairs.iter().map(|p| f64::from(p.2)).sum()))
            .collect();
        drop(pairs);
        let mut totals = vec![0.0f64; items];
        for &(one, other, count) in &counted {
            totals[one as usize] += count;
            totals[other as usize] += count;
        }
        let chance: Vec<f64> = totals.iter().map(|total| total.powf(SMOOTHING)).collect();
        let all: f64 = chance.iter().sum();
        let information = |(one, other, count): (u32, u32, f64)| {
            let towards = |a: u32, b: u32| {
                (count * all / (totals[a as usize] * chance[b as usize])).ln().max(0.0)
            };
            0.5 * (towards(one, other) + towards(other, one)) * count / (count + DOUBT)
        };
        let positive = counted.into_iter().filter_map(|pair| {
            let value = information(pair) as f32;
            (value > 0.0).then_some((pair.0, pair.1, value))
        });
        Self::mirrored(items, positive.collect())
    }

    /// From the entries above the diagonal.
    fn mirrored(items: usize, above: Vec<(u32, u32, f32)>) -> Self {
        let mut starts = vec![0; items + 1];
        for &(one, other, _) in &above {
            starts[one as usize + 1] += 1;
            starts[other as usize + 1] += 1;
        }
        for item in 0..items {
            starts[item + 1] += starts[item];
        }
        let (mut next, mut entries) = (starts.clone(), vec![(0, 0.0); 2 * above.len()]);
        for (one, other, value) in above {
            for (item, other) in [(one, other), (other, one)] {
                entries[next[item as usize]] = (other, value);
                next[item as usize] += 1;
            }
        }
        Self { starts, entries }
    }

    /// Number of items.
    pub fn items(&self) -> usize {
        self.starts.len() - 1
    }

    /// The other items of `item`, and how far each is from chance.
    pub fn of(&self, item: usize) -> &[(u32, f32)] {
        &self.entries[self.starts[item]..self.starts[item + 1]]
    }
}
