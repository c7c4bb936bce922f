//! Counting baselines. A model that does not beat them has learned nothing.

use std::borrow::Cow;
use std::collections::HashMap;

use foldhash::fast::FixedState;

use crate::data::Dataset;
use crate::data::split::{Query, Split};

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
        let popularity = popularity(data, split);
        let most = popularity.iter().copied().max().unwrap_or(0) as f32 + 1.0;
        let fill = popularity.iter().map(|&count| count as f32 / most).collect();
        Self { next, fill }
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
}

impl Counted {
    pub fn new(name: Baseline, data: &Dataset, split: &Split) -> Self {
        match name {
            Baseline::Popularity => {
                let counts = popularity(data, split);
                Self::Popularity(counts.into_iter().map(|count| count as f32).collect())
            }
            Baseline::Markov => Self::Markov(Markov::count(data, split)),
        }
    }

    /// Scores of all items for one query.
    pub fn scores(&self, data: &Dataset, query: &Query) -> Cow<'_, [f32]> {
        match self {
            Self::Popularity(scores) => Cow::Borrowed(scores),
            Self::Markov(markov) => Cow::Owned(markov.scores(data.item[query.target - 1])),
        }
    }
}

/// The baselines shown beside every model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Baseline {
    Popularity,
    Markov,
}

impl Baseline {
    pub const ALL: [Self; 2] = [Self::Popularity, Self::Markov];

    /// Name in tables and JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Popularity => "popularity",
            Self::Markov => "markov",
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
