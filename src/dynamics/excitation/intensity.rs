//! Intensities of all items at any moment: a value is found from the last snapshot before the
//! moment, decayed, and the few events since.

use pulp::{Arch, NullaryFnOnce};

use super::MS_PER_DAY;
use super::half_life::HALF_LIVES;
use super::sums::Sums;
use crate::exponential::exp2;

/// Values that all snapshots hold together, about: 128 MiB.
const VALUES: usize = 1 << 25;
/// Snapshots, at most, and events between two, at least.
const SNAPSHOTS: usize = 512;
const EVENTS: usize = 64;
/// Half-lives that a snapshot's values are taken back, at most.
const MOST_AHEAD: f64 = 32.0;

/// The intensities just before an event.
struct Snapshot {
    /// Index of that event.
    event: usize,
    /// Unix milliseconds that the values are of.
    time: i64,
    /// `[HALF_LIVES, N]`.
    values: Vec<f32>,
}

/// λ of all items over time.
pub(super) struct Intensities {
    items: usize,
    /// Days.
    half_lives: [f64; HALF_LIVES],
    snapshots: Vec<Snapshot>,
    /// Events between two snapshots.
    every: usize,
    /// Most snapshots kept: one more, and every other one goes.
    most: usize,
}

impl Intensities {
    pub fn new(items: usize, half_lives: [f64; HALF_LIVES]) -> Self {
        let most = (VALUES / (items * HALF_LIVES).max(1)).clamp(2, SNAPSHOTS);
        Self { items, half_lives, snapshots: Vec::new(), every: EVENTS, most }
    }

    /// 2^(−Δ/τ) for every half-life.
    fn decay(&self, from: i64, to: i64) -> [f32; HALF_LIVES] {
        let days = (to - from) as f64 / MS_PER_DAY;
        self.half_lives.map(|half_life| (-days / half_life).exp2() as f32)
    }

    /// Call before event number `event` at `time` joins those of `items` and `times`, which are all
    /// before it.
    pub fn grow(&mut self, items: &[u32], times: &[i64], time: i64) {
        let event = items.len();
        let due = self.snapshots.last().is_none_or(|last| event - last.event >= self.every);
        if !due {
            return;
        }
        let mut values = vec![0.0; HALF_LIVES * self.items];
        if let Some(last) = self.snapshots.last() {
            let decay = self.decay(last.time, time);
            let rows =
                values.chunks_exact_mut(self.items).zip(last.values.chunks_exact(self.items));
            for ((to, from), decay) in rows.zip(decay) {
                to.iter_mut().zip(from).for_each(|(to, from)| *to = from * decay);
            }
            for (&item, &at) in items[last.event..].iter().zip(&times[last.event..]) {
                for (k, decay) in self.decay(at, time).into_iter().enumerate() {
                    values[k * self.items + item as usize] += decay;
                }
            }
        }
        self.snapshots.push(Snapshot { event, time, values });
        if self.snapshots.len() > self.most {
            let mut place = 0;
            self.snapshots.retain(|_| {
                place += 1;
                place % 2 == 1
            });
            self.every *= 2;
        }
    }

    /// What holds at `time`, before which the first `events` events lie: the snapshot's
    /// [`values`](Self::values) times the decay, and to those the λ of the events since, which are
    /// added to `sums`.
    pub fn at(
        &self,
        arch: Arch,
        events: usize,
        time: i64,
        items: &[u32],
        times: &[i64],
        sums: &mut Sums<HALF_LIVES>,
    ) -> Base {
        let after = self.snapshots.partition_point(|snapshot| snapshot.event <= events);
        let Some(mut place) = after.checked_sub(1) else { return Base::default() };
        // The last may be of the next event, and what it says is taken back to now. Over a long gap that
        // is more than a number holds.
        let ahead = (self.snapshots[place].time - time) as f64 / MS_PER_DAY;
        if place > 0 && ahead > MOST_AHEAD * self.half_lives[0] {
            place -= 1;
        }
        let snapshot = &self.snapshots[place];
        let since = snapshot.event..events;
        let age = |&at: &i64| {
            let days = (time - at) as f64 / MS_PER_DAY;
            self.half_lives.map(|half_life| (-days / half_life) as f32)
        };
        let mut lambda: Vec<[f32; HALF_LIVES]> = times[since.clone()].iter().map(age).collect();
        arch.dispatch(PowersOfTwo { values: lambda.as_flattened_mut() });
        for (&item, lambda) in items[since].iter().zip(lambda) {
            sums.add(item, lambda);
        }
        Base { snapshot: Some(place), decay: self.decay(snapshot.time, time) }
    }

    /// The values of `base`, `[N]` for each half-life, before its decay: none where nothing happened yet.
    pub fn values(&self, base: &Base) -> Option<[&[f32]; HALF_LIVES]> {
        let values = &self.snapshots[base.snapshot?].values;
        Some(std::array::from_fn(|k| &values[k * self.items..][..self.items]))
    }
}

/// Where the intensities of a moment start from.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Base {
    snapshot: Option<usize>,
    pub decay: [f32; HALF_LIVES],
}

/// x ← 2ˣ for x ≤ 0.
pub(super) struct PowersOfTwo<'a> {
    pub values: &'a mut [f32],
}

impl NullaryFnOnce for PowersOfTwo<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for value in self.values {
            *value = exp2(*value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The snapshot is of an event that comes so many half-lives later that its values are all 0.
    #[test]
    fn a_moment_long_before_the_next_snapshot_starts_from_the_one_before() {
        const MINUTE: i64 = 60_000;
        let half_lives = [0.01, 0.02, 0.05, 0.1, 1.0, 10.0];
        let mut intensities = Intensities::new(2, half_lives);
        let (mut items, mut times) = (Vec::new(), Vec::new());
        for event in 0..=EVENTS {
            let late = if event == EVENTS { 100 * 24 * 60 } else { 0 };
            let time = (event as i64 + late) * MINUTE;
            intensities.grow(&items, &times, time);
            items.push((event % 2) as u32);
            times.push(time);
        }
        let now = 2 * EVENTS as i64 * MINUTE;
        let mut sums = Sums::default();
        sums.fit(2);
        let base = intensities.at(Arch::new(), EVENTS, now, &items, &times, &mut sums);
        let mut found = [[0.0f32; HALF_LIVES]; 2];
        if let Some(values) = intensities.values(&base) {
            for (k, (values, decay)) in values.into_iter().zip(base.decay).enumerate() {
                found.iter_mut().zip(values).for_each(|(found, value)| found[k] += value * decay);
            }
        }
        sums.take(|item, sum| {
            found[item as usize].iter_mut().zip(sum).for_each(|(found, sum)| *found += sum);
        });
        for (item, found) in found.iter().enumerate() {
            for (k, half_life) in half_lives.iter().enumerate() {
                let exact: f64 = (0..EVENTS)
                    .filter(|event| event % 2 == item)
                    .map(|event| (now - times[event]) as f64 / MS_PER_DAY)
                    .map(|days| (-days / half_life).exp2())
                    .sum();
                assert!((f64::from(found[k]) - exact).abs() < 1e-5 * exact, "{found:?} {exact}");
            }
        }
    }
}
