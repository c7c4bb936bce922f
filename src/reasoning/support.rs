//! What speaks for one candidate, as a score.
//!
//! A candidate's score is the log of System 1's probability plus what each evidence adds, so
//! adding is multiplying probabilities, as in naive Bayes: evidence moves a candidate by the
//! factor it is worth, and a clear favourite of System 1 stays one. The weights are a heuristic
//! set by what is plausible; nothing is fitted to held-out data.

use super::Evidence;

/// Weight of co-visitation's ln(1 + [`GAIN`]·share), which reaches 5.3 for a sure follower.
const TOGETHER: f32 = 0.5;
/// How fast co-visitation counts: a share of 0.5 % of what followed adds a first ln 2.
const GAIN: f32 = 200.0;
/// Weight of the genre fit, 0..=1: a perfect fit is worth a factor of 1.6 over none.
const FIT: f32 = 0.5;
/// Weight of the trend, which is a log of a ratio already: less than what it says, since a rise
/// is no promise for one user.
const TREND: f32 = 0.25;
/// Weight of the last event but one for co-visitation, against the last, and so on back.
const FADE: f32 = 0.8;
/// Events that co-visitation looks back on; the next one would weigh under a hundredth.
const LOOKS_BACK: usize = 20;
/// The genre profile fades by half in so many days, as the router's does by default.
const HALF_LIFE_DAYS: f64 = 30.0;
/// A probability below this counts as this.
const SMALLEST: f32 = 1e-9;
const MS_PER_DAY: f64 = 86_400_000.0;

/// What a history says before any candidate is looked at.
#[derive(Debug)]
pub(super) struct Past {
    /// The last events, newest first: place in the history, item, weight. Weights sum to 1.
    recent: Vec<(usize, u32, f32)>,
    /// Share of each genre, fading with time; sums to 1, or all 0 where no item has a genre.
    profile: Vec<f32>,
    /// Euclidean norm of `profile`.
    norm: f32,
}

/// What each evidence adds to a candidate's score: logs of factors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Support {
    /// ln of System 1's probability.
    pub prior: f32,
    pub together: f32,
    pub fit: f32,
    pub trend: f32,
}

impl Support {
    pub fn total(&self) -> f32 {
        self.prior + self.together + self.fit + self.trend
    }
}

impl Past {
    /// From a history's items and times (Unix milliseconds), oldest first.
    pub fn new(evidence: &Evidence, items: &[u32], times_ms: &[i64]) -> Self {
        let newest_first = items.iter().enumerate().rev().take(LOOKS_BACK).enumerate();
        let mut recent: Vec<(usize, u32, f32)> = newest_first
            .map(|(back, (place, &item))| (place, item, FADE.powi(back as i32)))
            .collect();
        let total: f32 = recent.iter().map(|&(.., weight)| weight).sum();
        recent.iter_mut().for_each(|(.., weight)| *weight /= total);
        let profile = profile(evidence, items, times_ms);
        let norm = profile.iter().map(|share| share * share).sum::<f32>().sqrt();
        Self { recent, profile, norm }
    }

    /// What speaks for `item`, to which System 1 gives `probability`.
    pub fn support(&self, evidence: &Evidence, item: u32, probability: f32) -> Support {
        let followed: f32 = self
            .recent
            .iter()
            .map(|&(_, seen, weight)| weight * evidence.follows(seen, item))
            .sum();
        Support {
            prior: probability.max(SMALLEST).ln(),
            together: TOGETHER * (GAIN * followed).ln_1p(),
            fit: FIT * self.fit(evidence, item),
            trend: TREND * evidence.trend(item),
        }
    }

    /// Cosine of the item's genres with the profile: 0..=1, 0 where either has none.
    fn fit(&self, evidence: &Evidence, item: u32) -> f32 {
        let genres = evidence.genres(item);
        if genres.is_empty() || self.norm == 0.0 {
            return 0.0;
        }
        let shared: f32 = genres.iter().map(|&genre| self.profile[usize::from(genre)]).sum();
        shared / ((genres.len() as f32).sqrt() * self.norm)
    }

    /// The event, as a place in the history, that `item` follows most strongly.
    pub fn leads_to(&self, evidence: &Evidence, item: u32) -> Option<usize> {
        let strength = |&(place, seen, weight): &(usize, u32, f32)| {
            (place, weight * evidence.follows(seen, item))
        };
        let led = self.recent.iter().map(strength).filter(|&(_, strength)| strength > 0.0);
        led.max_by(|a, b| a.1.total_cmp(&b.1)).map(|(place, _)| place)
    }

    /// The largest genre of the profile among `genres`, and its share.
    pub fn main_genre(&self, genres: impl IntoIterator<Item = u16>) -> Option<(u16, f32)> {
        let shares = genres.into_iter().map(|genre| (genre, self.profile[usize::from(genre)]));
        shares.filter(|&(_, share)| share > 0.0).max_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// The `count` largest genres of the profile and their shares.
    pub fn main_genres(&self, count: usize) -> Vec<(u16, f32)> {
        let mut shares: Vec<(u16, f32)> = (0..).zip(self.profile.iter().copied()).collect();
        shares.retain(|&(_, share)| share > 0.0);
        shares.sort_by(|a, b| b.1.total_cmp(&a.1));
        shares.truncate(count);
        shares
    }
}

/// Every event spread evenly over its item's genres, fading with its age at the newest event.
fn profile(evidence: &Evidence, items: &[u32], times_ms: &[i64]) -> Vec<f32> {
    let mut profile = vec![0f32; evidence.genre_names().len()];
    let newest = times_ms.iter().copied().max().unwrap_or_default();
    for (&item, &time) in items.iter().zip(times_ms) {
        let genres = evidence.genres(item);
        let age = newest.saturating_sub(time) as f64 / MS_PER_DAY;
        let weight = (-age / HALF_LIFE_DAYS).exp2() as f32;
        for &genre in genres {
            profile[usize::from(genre)] += weight / genres.len() as f32;
        }
    }
    let total: f32 = profile.iter().sum();
    if total > 0.0 {
        profile.iter_mut().for_each(|share| *share /= total);
    }
    profile
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    /// 0 is followed by 1 three times; 2 was never taken. Genres: 0 Drama; 1 both; 2 none.
    fn evidence() -> Evidence {
        let genres: [&[u16]; 3] = [&[0], &[0, 1], &[]];
        let names = vec!["Drama".to_owned(), "Comedy".to_owned()];
        let pair: (&[u32], &[i64]) = (&[0, 1], &[0, 1]);
        Evidence::build(3, names, |item| genres[item], std::iter::repeat_n(pair, 3))
    }

    fn near(actual: f32, expected: f32) {
        assert!((actual - expected).abs() < 1e-5, "{actual} != {expected}");
    }

    #[test]
    fn support_is_what_the_hand_works_out() {
        let evidence = evidence();
        // Weights 1/1.8 for the last event (item 1, nothing follows it) and 0.8/1.8 before.
        let past = Past::new(&evidence, &[0, 1], &[0, 30 * DAY]);
        let support = past.support(&evidence, 1, 0.25);
        near(support.prior, 0.25f32.ln());
        near(support.together, TOGETHER * (GAIN * 0.8 / 1.8 * 3.0 / 8.0f32).ln_1p());
        // Profile: Drama ½·1 + ½ = 1, Comedy ½, of 1.5; genres of 1 are (1, 1)/√2.
        near(support.fit, FIT * (1.5 / 1.5) / (2f32.sqrt() * (1.25f32.sqrt() / 1.5)));
        // Six events are too few for a last tenth.
        near(support.trend, 0.0);
        near(support.total(), support.prior + support.together + support.fit);
    }

    #[test]
    fn an_item_nobody_knows_has_its_prior_alone() {
        let evidence = evidence();
        let past = Past::new(&evidence, &[0, 1], &[0, 1]);
        for item in [2, 99] {
            let support = past.support(&evidence, item, 0.0);
            near(support.total(), 1e-9f32.ln());
        }
    }

    #[test]
    fn an_empty_history_supports_nothing() {
        let evidence = evidence();
        let past = Past::new(&evidence, &[], &[]);
        near(past.support(&evidence, 1, 1.0).total(), 0.0);
        assert_eq!(past.leads_to(&evidence, 1), None);
        assert!(past.main_genres(3).is_empty());
    }

    #[test]
    fn the_strongest_leads_are_named() {
        let evidence = evidence();
        let past = Past::new(&evidence, &[0, 2, 0, 1], &[0, 0, 0, 0]);
        assert_eq!(past.leads_to(&evidence, 1), Some(2), "the later of two alike");
        assert_eq!(past.leads_to(&evidence, 2), None);
        // Drama 1 + 1 + ½ of 3 events with a genre.
        let (genre, share) = past.main_genre([0, 1]).unwrap();
        assert_eq!(genre, 0);
        near(share, 2.5 / 3.0);
        assert_eq!(past.main_genres(1).len(), 1);
    }

    #[test]
    fn the_ends_of_time_do_not_overflow() {
        let evidence = evidence();
        let past = Past::new(&evidence, &[0, 1], &[i64::MIN, i64::MAX]);
        assert!(past.support(&evidence, 1, 0.5).total().is_finite());
    }
}
