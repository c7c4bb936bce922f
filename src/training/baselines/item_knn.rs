//! Items that are met together with those of the history.

use crate::data::Dataset;
use crate::data::split::{Query, Split};
use crate::jobs::Cancelled;

/// Events between two items of one user that still count as met together, at most: a user with
/// thousands of events must not cost millions of pairs.
const REACH: usize = 50;
/// Neighbours kept of an item: with 100,000 items some 80 MB.
const NEIGHBOURS: usize = 100;
/// Added to the denominator of the cosine, so that two items met together once, and never apart,
/// are not thought the same (Deshpande & Karypis 2004; Sarwar et al. 2001).
const SHRINKAGE: f32 = 10.0;
/// What an event counts against the one after it.
const FADING: f32 = 0.8;
/// Items that nobody met with the history come by their popularity, below all others.
const FILL: f32 = 1e-6;

/// The nearest neighbours of every item by the cosine of who met them:
/// together / (√(met i · met j) + shrinkage).
pub struct ItemKnn {
    /// First neighbour of each item, and the end.
    starts: Vec<usize>,
    neighbours: Vec<(u32, f32)>,
    /// By popularity.
    fill: Vec<f32>,
}

impl ItemKnn {
    /// From the sequences that may be counted. Memory grows with events and [`NEIGHBOURS`] an item,
    /// time with events times [`REACH`].
    ///
    /// # Errors
    /// [`Cancelled`] when `go_on` says so.
    pub fn count(
        data: &Dataset,
        split: &Split,
        mut fill: Vec<f32>,
        go_on: &mut dyn FnMut() -> Result<(), Cancelled>,
    ) -> Result<Self, Cancelled> {
        fill.iter_mut().for_each(|fill| *fill *= FILL);
        let items = data.items();
        // Where each item was met: event and its sequence.
        let mut firsts = vec![0usize; items + 1];
        let events = || {
            let parts = split.counted.iter().enumerate();
            parts.flat_map(|(place, part)| (part.start..part.end).map(move |event| (event, place)))
        };
        for (event, _) in events() {
            firsts[data.item[event] as usize + 1] += 1;
        }
        for item in 0..items {
            firsts[item + 1] += firsts[item];
        }
        let mut next = firsts.clone();
        let mut met = vec![(0u32, 0u32); firsts[items]];
        for (event, part) in events() {
            let place = &mut next[data.item[event] as usize];
            met[*place] = (event as u32, part as u32);
            *place += 1;
        }
        let degree = |item: usize| (firsts[item + 1] - firsts[item]) as f32;
        let (mut together, mut touched) = (vec![0u32; items], Vec::new());
        let (mut starts, mut neighbours) = (vec![0], Vec::new());
        for item in 0..items {
            if item % 256 == 0 {
                go_on()?;
            }
            for &(event, part) in &met[firsts[item]..firsts[item + 1]] {
                let (event, part) = (event as usize, split.counted[part as usize]);
                let near =
                    part.start.max(event.saturating_sub(REACH))..part.end.min(event + REACH + 1);
                for &other in &data.item[near] {
                    if other as usize == item {
                        continue;
                    }
                    if together[other as usize] == 0 {
                        touched.push(other);
                    }
                    together[other as usize] += 1;
                }
            }
            let mut near: Vec<(u32, f32)> = touched
                .drain(..)
                .map(|other| {
                    let count = std::mem::take(&mut together[other as usize]) as f32;
                    let norm = (degree(item) * degree(other as usize)).sqrt();
                    (other, count / (norm + SHRINKAGE))
                })
                .collect();
            // The nearest, ties by the item, so that the choice has no chance in it.
            let order = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
            if near.len() > NEIGHBOURS {
                near.select_nth_unstable_by(NEIGHBOURS, order);
                near.truncate(NEIGHBOURS);
            }
            near.sort_unstable_by_key(|&(other, _)| other);
            neighbours.extend(near);
            starts.push(neighbours.len());
        }
        Ok(Self { starts, neighbours, fill })
    }

    /// Scores of all items for one query: Σ over its history of the likeness, fading into the past.
    pub fn scores(&self, data: &Dataset, query: &Query) -> Vec<f32> {
        let mut scores = self.fill.clone();
        let mut weight = 1.0;
        for &item in data.item[query.start..query.target].iter().rev() {
            let item = item as usize;
            for &(other, likeness) in &self.neighbours[self.starts[item]..self.starts[item + 1]] {
                scores[other as usize] += weight * likeness;
            }
            weight *= FADING;
        }
        scores
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Columns;
    use crate::data::split::Sequence;
    use crate::settings::Protocol;

    #[test]
    fn likeness_by_hand() {
        let columns = Columns {
            user: vec![0, 0, 0, 1, 1, 2, 2],
            item: vec![0, 1, 2, 0, 1, 0, 3],
            time: vec![1, 2, 3, 4, 5, 6, 7],
            rating: vec![],
        };
        let ids = |n: usize| (0..n).map(|i| i.to_string()).collect::<Vec<_>>();
        let data = Dataset::from_columns(columns, ids(3), ids(5), || Ok(())).unwrap();
        let part = |start, end| Sequence { start, end };
        let split = Split {
            protocol: Protocol::LeaveOneOut,
            input_len: 4,
            train: vec![],
            valid: vec![],
            test: vec![],
            moves_on: 0,
            counted: vec![part(0, 3), part(3, 5), part(5, 7)],
        };
        let fill = vec![0.6, 0.4, 0.2, 0.2, 0.0];
        let knn = ItemKnn::count(&data, &split, fill, &mut || Ok(())).unwrap();
        let like = |together: f32, a: f32, b: f32| together / ((a * b).sqrt() + SHRINKAGE);
        // After items 0 and then 1, the last event of which counts most.
        let scores = knn.scores(&data, &Query { user: 0, start: 0, target: 2 });
        let close = |a: f32, b: f32| assert!((a - b).abs() < 1e-5, "{a} {b}");
        close(scores[0], like(2.0, 3.0, 2.0));
        close(scores[1], FADING * like(2.0, 3.0, 2.0));
        close(scores[2], like(1.0, 2.0, 1.0) + FADING * like(1.0, 3.0, 1.0));
        close(scores[3], FADING * like(1.0, 3.0, 1.0));
        assert!(scores[4] == 0.0 && scores[3] > scores[4]);
    }
}
