//! Half-lives of the intensities, learned from the events themselves by maximum likelihood.
//!
//! Which item is next is taken as a mixture: one of the half-lives with its probability, then an
//! item in proportion to its intensity at that half-life; or, with what is left, any item evenly.
//! Expectation–maximisation (Dempster, Laird & Rubin 1977) finds the probabilities, gradient ascent
//! on ln τ the half-lives. All of it streams: λ, and its derivative by ln τ, decay and jump in closed
//! form, and so do their sums over the catalogue.

use super::MS_PER_DAY;
use super::timeline::Event;

/// Half-lives at once.
pub const HALF_LIVES: usize = 6;

/// Latest events that are learned from, at most.
const EVENTS: usize = 100_000;
const ROUNDS: usize = 30;
/// Largest change of ln τ in a round, and the shortest half-life, in days: a minute.
const STEP: f64 = 0.15;
const SHORTEST: f64 = 1.0 / 1440.0;

/// λ and its derivative by ln τ, of an item or of all.
#[derive(Clone, Copy, Default)]
struct Decayed {
    value: f64,
    slope: f64,
}

impl Decayed {
    /// After `ages` half-lives more.
    fn after(self, ages: f64) -> Self {
        let decay = (-ages).exp2();
        let grown = ages * std::f64::consts::LN_2 * self.value;
        Self { value: self.value * decay, slope: (self.slope + grown) * decay }
    }
}

/// Half-lives in days, rising: spread over the time that `events`, in the order of time, span, then
/// moved to where these events are likeliest.
pub fn learn(items: usize, events: impl ExactSizeIterator<Item = Event>) -> [f64; HALF_LIVES] {
    let skip = events.len().saturating_sub(EVENTS);
    let events: Vec<Event> = events.skip(skip).collect();
    let span = match (events.first(), events.last()) {
        (Some(first), Some(last)) => (last.time - first.time) as f64 / MS_PER_DAY,
        _ => 0.0,
    };
    let mut half_lives = spread(span);
    if span <= 0.0 {
        return half_lives;
    }
    let mut shares = [1.0 / (HALF_LIVES + 1) as f64; HALF_LIVES];
    let mut sizes = [0.0f64; HALF_LIVES];
    let mut best = (f64::NEG_INFINITY, half_lives);
    for _ in 0..ROUNDS {
        let pass = pass(items, &events, &half_lives, &shares);
        if pass.likelihood > best.0 {
            best = (pass.likelihood, half_lives);
        }
        shares = pass.shares;
        for ((half_life, slope), size) in half_lives.iter_mut().zip(pass.slopes).zip(&mut sizes) {
            // As RMSProp: how far a slope leads follows from its sign, not from its scale.
            *size = if *size == 0.0 { slope * slope } else { 0.9 * *size + 0.1 * slope * slope };
            let step = STEP * slope / size.sqrt().max(1e-12);
            *half_life =
                (half_life.ln() + step.clamp(-STEP, STEP)).exp().clamp(SHORTEST, 4.0 * span);
        }
    }
    let mut half_lives = best.1;
    half_lives.sort_by(f64::total_cmp);
    half_lives
}

/// Evenly in the logarithm, from a thousandth of `span` to half of it.
fn spread(span: f64) -> [f64; HALF_LIVES] {
    let (low, high) = ((span / 1000.0).max(SHORTEST), (span / 2.0).max(2.0 * SHORTEST));
    let mut place = 0.0;
    [0.0; HALF_LIVES].map(|_: f64| {
        let share: f64 = place / (HALF_LIVES - 1) as f64;
        place += 1.0;
        low * (high / low).powf(share)
    })
}

/// What one pass over the events finds.
pub(super) struct Pass {
    /// The better probabilities of the half-lives.
    pub shares: [f64; HALF_LIVES],
    /// Mean slope of the log-likelihood by ln τ.
    pub slopes: [f64; HALF_LIVES],
    /// Mean log-likelihood of an event, in nats.
    pub likelihood: f64,
}

/// One pass with the given half-lives and probabilities.
pub(super) fn pass(
    items: usize,
    events: &[Event],
    half_lives: &[f64; HALF_LIVES],
    shares: &[f64; HALF_LIVES],
) -> Pass {
    let even = (1.0 - shares.iter().sum::<f64>()).max(0.0) / items.max(1) as f64;
    let mut own = vec![([Decayed::default(); HALF_LIVES], 0i64); items];
    let mut all = [Decayed::default(); HALF_LIVES];
    let (mut counts, mut slopes) = ([0.0; HALF_LIVES], [0.0; HALF_LIVES]);
    let (mut likelihood, mut before) = (0.0, events.first().map_or(0, |event| event.time));
    for event in events {
        let days = (event.time - before) as f64 / MS_PER_DAY;
        before = event.time;
        let (own, last) = &mut own[event.item as usize];
        let own_days = (event.time - *last) as f64 / MS_PER_DAY;
        *last = event.time;
        let mut parts = [0.0; HALF_LIVES];
        let mut turns = [0.0; HALF_LIVES];
        for k in 0..HALF_LIVES {
            all[k] = all[k].after(days / half_lives[k]);
            if own[k].value > 0.0 {
                own[k] = own[k].after(own_days / half_lives[k]);
            }
            if all[k].value > 0.0 {
                let share = own[k].value / all[k].value;
                parts[k] = shares[k] * share;
                turns[k] = shares[k] * (own[k].slope - share * all[k].slope) / all[k].value;
            }
        }
        let total = even + parts.iter().sum::<f64>();
        if total > 0.0 {
            for k in 0..HALF_LIVES {
                counts[k] += parts[k] / total;
                slopes[k] += turns[k] / total;
            }
            likelihood += total.ln();
        }
        for k in 0..HALF_LIVES {
            own[k].value += 1.0;
            all[k].value += 1.0;
        }
    }
    let n = events.len().max(1) as f64;
    // An even share stays possible, so that an item never seen does not stop the search.
    let shares = counts.map(|count| (count / n).min(0.999 / HALF_LIVES as f64 + 0.8));
    let whole: f64 = shares.iter().sum();
    let shares = shares.map(|share| if whole > 0.999 { share * 0.999 / whole } else { share });
    Pass { shares, slopes: slopes.map(|slope| slope / n), likelihood: likelihood / n }
}
