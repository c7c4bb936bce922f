//! Counting baselines. A model that does not beat them has learned nothing.
//!
//! | word | what it recommends |
//! |---|---|
//! | `popularity` | what is met most often |
//! | `markov` | what most often followed the last item |
//! | `recent` | what was met most often in the 1, 3, 7 or 30 days before the request; how many, the validation queries say |
//! | `item-knn` | what is met by those who met the items of the history |

mod item_knn;
mod recent;

use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::evaluate::excluded;
use crate::data::Dataset;
use crate::data::split::{Query, Split};
use crate::evaluation::rank;
use crate::jobs::Cancelled;
use item_knn::ItemKnn;
use recent::Recent;

/// Events of each item among those that may be counted.
pub fn popularity(data: &Dataset, split: &Split) -> Vec<u32> {
    let mut counts = vec![0u32; data.items()];
    for sequence in &split.counted {
        for &item in &data.item[sequence.start..sequence.end] {
            counts[item as usize] += 1;
        }
    }
    counts
}

/// Popularity as scores from 0 to below 1: the order of what a baseline has not counted.
fn fill(data: &Dataset, split: &Split) -> Vec<f32> {
    let popularity = popularity(data, split);
    let most = popularity.iter().copied().max().unwrap_or(0) as f32 + 1.0;
    popularity.iter().map(|&count| count as f32 / most).collect()
}

/// First-order Markov chain: how often each item followed each other one; items that never
/// followed the last one come after all that did, by popularity.
pub struct Markov {
    /// What followed an item, and how often.
    next: HashMap<u32, HashMap<u32, u32, FixedState>, FixedState>,
    /// Items in rising order of popularity share equal places: the score of an item that never
    /// followed, below 1 so that one transition outweighs any popularity.
    fill: Vec<f32>,
}

impl Markov {
    pub fn count(data: &Dataset, split: &Split) -> Self {
        let mut next: HashMap<u32, HashMap<u32, u32, FixedState>, FixedState> = HashMap::default();
        for sequence in &split.counted {
            for pair in data.item[sequence.start..sequence.end].windows(2) {
                *next.entry(pair[0]).or_default().entry(pair[1]).or_default() += 1;
            }
        }
        Self { next, fill: fill(data, split) }
    }

    /// Scores of all items after `last`: transitions, with popularity below them.
    pub fn scores(&self, last: u32) -> Vec<f32> {
        let mut scores = self.fill.clone();
        if let Some(followers) = self.next.get(&last) {
            for (&item, &count) in followers {
                scores[item as usize] += count as f32;
            }
        }
        scores
    }
}

/// A baseline that has counted.
pub enum Counted {
    /// Scores of all items, the same for every query.
    Popularity(Vec<f32>),
    Markov(Markov),
    Recent(Recent),
    ItemKnn(ItemKnn),
}

impl Counted {
    /// Count; items of a user's history are left out of rankings where `mask_seen` says so.
    ///
    /// # Errors
    /// [`Cancelled`] when `go_on` says so.
    pub fn new(
        name: Baseline,
        data: &Dataset,
        split: &Split,
        mask_seen: bool,
        go_on: &mut dyn FnMut() -> Result<(), Cancelled>,
    ) -> Result<Self, Cancelled> {
        Ok(match name {
            Baseline::Popularity => {
                let counts = popularity(data, split);
                Self::Popularity(counts.into_iter().map(|count| count as f32).collect())
            }
            Baseline::Markov => Self::Markov(Markov::count(data, split)),
            Baseline::Recent => {
                let excluded = |query: &Query| excluded(data, query, mask_seen);
                Self::Recent(Recent::count(data, split, fill(data, split), excluded, go_on)?)
            }
            Baseline::ItemKnn => {
                Self::ItemKnn(ItemKnn::count(data, split, fill(data, split), go_on)?)
            }
        })
    }

    /// Full ranks of the targets of `queries`, 1 the best.
    ///
    /// # Errors
    /// [`Cancelled`] when `go_on` says so.
    pub fn ranks(
        &self,
        data: &Dataset,
        queries: &[Query],
        mask_seen: bool,
        go_on: &mut dyn FnMut() -> Result<(), Cancelled>,
    ) -> Result<Vec<u32>, Cancelled> {
        // In the order of their times, so that what is recent moves on.
        let mut order: Vec<usize> = (0..queries.len()).collect();
        order.sort_by_key(|&place| data.time[queries[place].target]);
        let mut window = match self {
            Self::Recent(recent) => Some(recent.window()),
            _ => None,
        };
        let mut ranks = vec![0; queries.len()];
        for (done, place) in order.into_iter().enumerate() {
            if done % 256 == 0 {
                go_on()?;
            }
            let query = &queries[place];
            let target = data.item[query.target] as usize;
            let seen = excluded(data, query, mask_seen);
            ranks[place] = match self {
                Self::Popularity(scores) => rank(scores, target, &seen),
                Self::Markov(markov) => {
                    rank(&markov.scores(data.item[query.target - 1]), target, &seen)
                }
                Self::ItemKnn(knn) => rank(&knn.scores(data, query), target, &seen),
                Self::Recent(_) => window.as_mut().map_or(0, |window| {
                    rank(window.scores(data.time[query.target]), target, &seen)
                }),
            };
        }
        Ok(ranks)
    }
}

/// The baselines shown beside every model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Baseline {
    Popularity,
    Markov,
    Recent,
    ItemKnn,
}

impl Baseline {
    pub const ALL: [Self; 4] = [Self::Popularity, Self::Markov, Self::Recent, Self::ItemKnn];

    /// Name in tables and JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Popularity => "popularity",
            Self::Markov => "markov",
            Self::Recent => "recent",
            Self::ItemKnn => "item-knn",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Columns;
    use crate::data::split::Sequence;
    use crate::settings::Protocol;

    #[test]
    fn counts_by_hand() {
        let columns = Columns {
            user: vec![0, 0, 0, 0, 1, 1],
            item: vec![0, 1, 0, 2, 0, 1],
            time: vec![1, 2, 3, 4, 5, 6],
            rating: vec![],
        };
        let ids = |n: usize| (0..n).map(|i| i.to_string()).collect::<Vec<_>>();
        let data = Dataset::from_columns(columns, ids(2), ids(4), || Ok(())).unwrap();
        let split = Split {
            protocol: Protocol::LeaveOneOut,
            input_len: 4,
            train: vec![],
            valid: vec![],
            test: vec![],
            moves_on: 0,
            counted: vec![Sequence { start: 0, end: 4 }, Sequence { start: 4, end: 6 }],
        };
        assert_eq!(popularity(&data, &split), [3, 2, 1, 0]);
        let markov = Markov::count(&data, &split);
        // After item 0: item 1 twice, item 2 once; then item 0 by popularity, item 3 last.
        let scores = markov.scores(0);
        let mut order: Vec<usize> = (0..4).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        assert_eq!(order, [1, 2, 0, 3]);
        assert!(scores[2] > 1.0 && scores[0] < 1.0);
    }
}
