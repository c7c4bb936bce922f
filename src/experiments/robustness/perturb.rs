//! Histories with other times or fewer events.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::data::Dataset;
use crate::data::split::Query;

/// What is done to a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Perturbation {
    /// Gaps get longer and shorter.
    Jitter,
    /// Gaps change places.
    Shuffle,
    /// Events are lost.
    Loss,
}

impl Perturbation {
    pub const ALL: [Self; 3] = [Self::Jitter, Self::Shuffle, Self::Loss];

    /// What is done, for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Jitter => "jittering gaps",
            Self::Shuffle => "shuffling gaps",
            Self::Loss => "losing events",
        }
    }

    /// It and its strength, for people.
    pub fn text(self, strength: f64) -> String {
        let share = 100.0 * strength;
        match self {
            Self::Jitter => format!("gaps jittered by σ {strength}"),
            Self::Shuffle => format!("{share:.0} % of gaps shuffled"),
            Self::Loss => format!("{share:.0} % of events lost"),
        }
    }

    /// Strengths that are measured, rising.
    pub fn strengths(self) -> &'static [f64] {
        match self {
            Self::Jitter => &[0.25, 0.5, 1.0, 1.5],
            Self::Shuffle => &[0.25, 0.5, 0.75, 1.0],
            Self::Loss => &[0.1, 0.25, 0.5, 0.75],
        }
    }
}

/// `queries` over histories that are perturbed; each draws numbers of its own from `seed`, the same
/// at every strength. Items, the target of each query and its time stay, and so do users and their
/// places; a query's history keeps its last event at `target - 1`, and its times never fall.
pub fn perturb(
    data: &Dataset,
    queries: &[Query],
    kind: Perturbation,
    strength: f64,
    seed: u64,
) -> (Dataset, Vec<Query>) {
    let mut changed = data.clone();
    let queries = queries.iter().enumerate().map(|(place, query)| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(place as u64);
        match kind {
            Perturbation::Jitter => jitter(&mut changed, query, strength, &mut rng),
            Perturbation::Shuffle => shuffle(&mut changed, query, strength, &mut rng),
            Perturbation::Loss => return lose(&mut changed, query, strength, &mut rng),
        }
        *query
    });
    let queries = queries.collect();
    (changed, queries)
}

/// Gaps from each event of the history to the next, the one asked for last.
fn gaps(data: &Dataset, query: &Query) -> Vec<i64> {
    data.time[query.start..=query.target].windows(2).map(|pair| pair[1] - pair[0]).collect()
}

/// Set the times of the history so that these are the gaps; the moment asked about stays.
fn set_gaps(data: &mut Dataset, query: &Query, gaps: &[i64]) {
    let mut time = data.time[query.target];
    for (place, gap) in (query.start..query.target).zip(gaps).rev() {
        time = time.saturating_sub((*gap).max(0));
        data.time[place] = time;
    }
}

/// Each gap times exp(σz − σ²/2), which is 1 in the mean.
fn jitter(data: &mut Dataset, query: &Query, sigma: f64, rng: &mut impl Rng) {
    let mut gaps = gaps(data, query);
    for gap in &mut gaps {
        let factor = (sigma * normal(rng) - sigma * sigma / 2.0).exp();
        *gap = (*gap as f64 * factor).round() as i64;
    }
    set_gaps(data, query, &gaps);
}

/// A share of the gaps, drawn one by one, change places among themselves (Fisher–Yates).
fn shuffle(data: &mut Dataset, query: &Query, share: f64, rng: &mut impl Rng) {
    let mut gaps = gaps(data, query);
    let drawn: Vec<f64> = gaps.iter().map(|_| rng.random::<f64>()).collect();
    let chosen: Vec<usize> = (0..gaps.len()).filter(|&place| drawn[place] < share).collect();
    for last in (1..chosen.len()).rev() {
        gaps.swap(chosen[last], chosen[rng.random_range(0..=last)]);
    }
    set_gaps(data, query, &gaps);
}

/// Each event is lost with the chance `rate`; where all would be, the last stays. Events that stay
/// move to the end of the history's place, those that are lost before it, where a ranking that
/// masks seen items still finds them.
fn lose(data: &mut Dataset, query: &Query, rate: f64, rng: &mut impl Rng) -> Query {
    let history = query.start..query.target;
    let events: Vec<(u32, i64)> =
        history.clone().map(|place| (data.item[place], data.time[place])).collect();
    let mut stays: Vec<bool> = events.iter().map(|_| rng.random::<f64>() >= rate).collect();
    if !stays.contains(&true)
        && let Some(last) = stays.last_mut()
    {
        *last = true;
    }
    let of = |kept: bool| events.iter().zip(&stays).filter(move |(_, stays)| **stays == kept);
    let lost = of(false).count();
    for (place, (&(item, time), _)) in history.zip(of(false).chain(of(true))) {
        data.item[place] = item;
        data.time[place] = time;
    }
    Query { start: query.start + lost, ..*query }
}

/// A draw from the standard normal (Box & Muller 1958).
fn normal(rng: &mut impl Rng) -> f64 {
    let (radius, angle): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
    (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::drift::{DriftOptions, drift};
    use crate::data::split::split;
    use crate::settings::{Protocol, Targets};

    fn sample() -> (Dataset, Vec<Query>) {
        let options = DriftOptions { users: 60, items: 30, ..DriftOptions::default() };
        let data = drift(options, || Ok(())).unwrap();
        let queries = split(&data, Protocol::LeaveOneOut, 12, Targets::All).unwrap().test;
        (data, queries)
    }

    fn each(check: impl Fn(Perturbation, f64, &(Dataset, Vec<Query>), &(Dataset, Vec<Query>))) {
        let plain = sample();
        for kind in Perturbation::ALL {
            for &strength in kind.strengths() {
                let changed = perturb(&plain.0, &plain.1, kind, strength, 7);
                check(kind, strength, &plain, &changed);
            }
        }
    }

    #[test]
    fn times_never_run_backwards_and_the_moment_asked_about_stays() {
        each(|kind, strength, (plain, before), (data, after)| {
            assert_eq!(before.len(), after.len());
            for (old, new) in before.iter().zip(after) {
                assert!(new.start < new.target && new.start >= old.start);
                assert_eq!((new.target, new.user), (old.target, old.user));
                assert_eq!(data.time[new.target], plain.time[old.target]);
                assert_eq!(data.item[new.target], plain.item[old.target]);
                let times = &data.time[new.start..=new.target];
                assert!(times.is_sorted(), "{kind:?} {strength}: {times:?}");
            }
        });
    }

    #[test]
    fn jitter_and_shuffle_keep_every_item_and_shuffle_every_gap() {
        each(|kind, strength, (plain, before), (data, after)| {
            if kind == Perturbation::Loss {
                return;
            }
            assert_eq!(data.item, plain.item);
            assert_ne!(data.time, plain.time, "{kind:?} {strength}");
            for (old, new) in before.iter().zip(after) {
                let sorted = |data: &Dataset, query: &Query| {
                    let mut gaps = gaps(data, query);
                    gaps.sort_unstable();
                    gaps
                };
                let same = sorted(plain, old) == sorted(data, new);
                assert!(same || kind == Perturbation::Jitter);
            }
        });
    }

    #[test]
    fn jitter_leaves_the_mean_gap_about_as_it_was() {
        let (plain, queries) = sample();
        let (data, _) = perturb(&plain, &queries, Perturbation::Jitter, 0.5, 7);
        let total = |data: &Dataset| -> f64 {
            queries.iter().flat_map(|query| gaps(data, query)).map(|gap| gap as f64).sum()
        };
        let share = total(&data) / total(&plain);
        assert!((share - 1.0).abs() < 0.15, "{share}");
    }

    #[test]
    fn lost_events_are_lost_at_their_rate_and_still_seen() {
        let (plain, before) = sample();
        let mut kept_before = None;
        for rate in [0.25, 0.75] {
            let (data, after) = perturb(&plain, &before, Perturbation::Loss, rate, 7);
            let length = |queries: &[Query]| -> usize {
                queries.iter().map(|query| query.target - query.start).sum()
            };
            let kept = length(&after) as f64 / length(&before) as f64;
            assert!((kept - (1.0 - rate)).abs() < 0.06, "{rate}: {kept}");
            for (old, new) in before.iter().zip(&after) {
                let mut items = data.item[old.start..old.target].to_vec();
                let mut own = plain.item[old.start..old.target].to_vec();
                items.sort_unstable();
                own.sort_unstable();
                assert_eq!(items, own, "a ranking that masks seen items masks the same");
                // What stays is a part of the history in its order.
                let events = |data: &Dataset, from: usize| -> Vec<(u32, i64)> {
                    (from..old.target).map(|at| (data.item[at], data.time[at])).collect()
                };
                let mut whole = events(&plain, old.start).into_iter();
                assert!(events(&data, new.start).iter().all(|event| whole.any(|e| e == *event)));
            }
            // What a weaker loss takes, a stronger one takes as well.
            assert!(kept_before.is_none_or(|before| kept < before));
            kept_before = Some(kept);
        }
    }

    #[test]
    fn the_seed_decides() {
        let (plain, queries) = sample();
        let times = |seed| perturb(&plain, &queries, Perturbation::Jitter, 0.5, seed).0.time;
        assert_eq!(times(1), times(1));
        assert_ne!(times(1), times(2));
    }
}
