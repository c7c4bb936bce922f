//! Genres: those System 1 predicts, and those the user has shown.

use super::top::top;

/// How many of the most probable items make up the predicted mix.
const MIX: usize = 100;
/// Fewest events with a genre that say something about a user's taste.
const FEWEST: usize = 5;
const MS_PER_DAY: f64 = 86_400_000.0;

/// Genres by item, compressed: item `i` has `genres[offsets[i]..offsets[i + 1]]`, each below
/// `count`. An item past the end has none, a genre at or over `count` is passed over.
#[derive(Debug, Clone, Copy)]
pub struct ItemGenres<'a> {
    /// One more than there are items, ascending.
    pub offsets: &'a [u32],
    pub genres: &'a [u16],
    /// Genres there are.
    pub count: usize,
}

impl<'a> ItemGenres<'a> {
    /// The genres of `item`.
    fn of(&self, item: u32) -> &'a [u16] {
        let bounds = self.offsets.get(item as usize..).and_then(|rest| rest.first_chunk::<2>());
        bounds.and_then(|&[from, to]| self.genres.get(from as usize..to as usize)).unwrap_or(&[])
    }

    /// Spread `weight` evenly over the genres of `item`; false where it has none.
    fn spread(&self, item: u32, weight: f64, mix: &mut [f64]) -> bool {
        let genres = self.of(item);
        let known = genres.iter().filter(|&&genre| usize::from(genre) < mix.len()).count();
        for &genre in genres {
            if let Some(share) = mix.get_mut(usize::from(genre)) {
                *share += weight / known as f64;
            }
        }
        known > 0
    }
}

/// The genre mix System 1 predicts: the probabilities of its 100 most probable items, each spread
/// evenly over the item's genres. `[genres.count]`, sums to 1, or all 0 where none of those items
/// has a genre.
///
/// `scores` by item; −∞ excludes one.
pub fn predicted_mix(scores: &[f32], temperature: f64, genres: &ItemGenres) -> Vec<f64> {
    let mut mix = vec![0.0; genres.count];
    let best = top(scores, MIX);
    if let Some(&first) = best.first() {
        let max = f64::from(scores[first as usize]);
        for item in best {
            // Relative to the best: the rest of the softmax cancels below.
            let weight = ((f64::from(scores[item as usize]) - max) / temperature).exp();
            genres.spread(item, weight, &mut mix);
        }
    }
    normalise(mix)
}

/// The user's own genre mix: every event spread evenly over its item's genres, fading by half in
/// `half_life_days`. `[genres.count]`, sums to 1. `None` where fewer than 5 events carry a genre.
///
/// `items` are dense indices, `times_ms` and `query_ms` Unix milliseconds; an event after the query
/// counts as one at the query.
pub fn profile(
    items: &[u32],
    times_ms: &[i64],
    query_ms: i64,
    half_life_days: f64,
    genres: &ItemGenres,
) -> Option<Vec<f64>> {
    // Relative to the newest event, so that a history far older than its half-life still counts:
    // a common factor cancels.
    let newest = times_ms.iter().map(|&time| time.min(query_ms)).max()?;
    let mut mix = vec![0.0; genres.count];
    let mut carrying = 0;
    for (&item, &time) in items.iter().zip(times_ms) {
        let age = (newest as f64 - time.min(query_ms) as f64) / MS_PER_DAY;
        let weight = (-age / half_life_days).exp2();
        carrying += usize::from(genres.spread(item, weight, &mut mix));
    }
    let mix = normalise(mix);
    (carrying >= FEWEST && mix.iter().any(|&share| share > 0.0)).then_some(mix)
}

/// Scaled to sum 1, or left as it is where it has no finite sum.
fn normalise(mut mix: Vec<f64>) -> Vec<f64> {
    let total: f64 = mix.iter().sum();
    if total > 0.0 && total.is_finite() {
        mix.iter_mut().for_each(|share| *share /= total);
    }
    mix
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Items 0: genre 0; 1: genres 0 and 1; 2: genre 2; 3: none.
    const GENRES: ItemGenres<'static> =
        ItemGenres { offsets: &[0, 1, 3, 4, 4], genres: &[0, 0, 1, 2], count: 3 };
    const DAY: i64 = 86_400_000;

    fn near(actual: &[f64], expected: &[f64]) {
        assert_eq!(actual.len(), expected.len());
        for (a, e) in actual.iter().zip(expected) {
            assert!((a - e).abs() < 1e-12, "{actual:?} != {expected:?}");
        }
    }

    #[test]
    fn a_mix_weighs_genres_by_probability() {
        // Probabilities 4 : 2 : 1 : 1, the last without a genre: 4+1, 1, 1 of 7.
        let scores = [4f32.ln(), 2f32.ln(), 0.0, 0.0];
        let mix = predicted_mix(&scores, 1.0, &GENRES);
        for (actual, expected) in mix.iter().zip([5.0, 1.0, 1.0]) {
            assert!((actual - expected / 7.0).abs() < 1e-6, "{mix:?}");
        }
        // At temperature 2 the weights are 2 : √2 : 1.
        let warm = predicted_mix(&scores, 2.0, &GENRES);
        let total = 2.0 + 2f64.sqrt() + 1.0;
        assert!((warm[2] - 1.0 / total).abs() < 1e-6, "{warm:?}");
    }

    #[test]
    fn only_the_hundred_best_count_and_excluded_items_never() {
        // 100 items of genre 0, then one slightly worse of genre 1.
        let offsets: Vec<u32> = (0..=102).collect();
        let mut of = vec![0u16; 102];
        of[100] = 1;
        of[101] = 1;
        let genres = ItemGenres { offsets: &offsets, genres: &of, count: 2 };
        let mut scores = vec![1.0f32; 102];
        scores[100] = 0.99;
        scores[101] = f32::NEG_INFINITY;
        near(&predicted_mix(&scores, 1.0, &genres), &[1.0, 0.0]);
        scores[0] = f32::NEG_INFINITY;
        assert!(predicted_mix(&scores, 1.0, &genres)[1] > 0.0);
    }

    #[test]
    fn no_genre_among_the_predicted_is_no_mix() {
        let excluded = f32::NEG_INFINITY;
        near(&predicted_mix(&[excluded, excluded, excluded, 1.0], 1.0, &GENRES), &[0.0; 3]);
        near(&predicted_mix(&[], 1.0, &GENRES), &[0.0; 3]);
        let none = ItemGenres { offsets: &[], genres: &[], count: 0 };
        assert!(predicted_mix(&[1.0, 2.0], 1.0, &none).is_empty());
    }

    #[test]
    fn events_fade_by_half_in_a_half_life() {
        // Genre 2 today (1), genre 0 a half-life ago (½), three times genre 0 two ago (¼ each).
        let items = [0, 0, 0, 0, 2];
        let times = [0, 0, 0, 30 * DAY, 60 * DAY];
        let mix = profile(&items, &times, 60 * DAY, 30.0, &GENRES).unwrap();
        near(&mix, &[1.25 / 2.25, 0.0, 1.0 / 2.25]);
        // Asked later, all have faded alike.
        near(&profile(&items, &times, 600 * DAY, 30.0, &GENRES).unwrap(), &mix);
        // Asked at day 30, the event after that counts as one of day 30.
        let early = profile(&items, &times, 30 * DAY, 30.0, &GENRES).unwrap();
        near(&early, &[2.5 / 3.5, 0.0, 1.0 / 3.5]);
    }

    #[test]
    fn a_history_far_older_than_its_half_life_still_has_a_profile() {
        let mix = profile(&[0, 0, 1, 1, 1], &[0; 5], 3650 * DAY, 0.01, &GENRES).unwrap();
        near(&mix, &[0.7, 0.3, 0.0]);
    }

    #[test]
    fn under_five_events_with_a_genre_there_is_no_profile() {
        let times = [0i64; 6];
        assert_eq!(profile(&[0, 1, 2, 0, 3, 3], &times, 0, 30.0, &GENRES), None);
        assert!(profile(&[0, 1, 2, 0, 3, 0], &times, 0, 30.0, &GENRES).is_some());
        // Items the catalogue does not know carry none.
        assert_eq!(profile(&[0, 1, 2, 0, 4, 99], &times, 0, 30.0, &GENRES), None);
        assert_eq!(profile(&[], &[], 0, 30.0, &GENRES), None);
        let none = ItemGenres { offsets: &[], genres: &[], count: 0 };
        assert_eq!(profile(&[0; 6], &times, 0, 30.0, &none), None);
    }

    #[test]
    fn the_ends_of_time_do_not_overflow() {
        let times = [i64::MIN, i64::MIN, i64::MIN, i64::MIN, i64::MAX];
        let mix = profile(&[0, 0, 0, 0, 2], &times, i64::MAX, 3650.0, &GENRES).unwrap();
        near(&mix, &[0.0, 0.0, 1.0]);
    }
}
