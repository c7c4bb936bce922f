//! System 2 without a network: candidates reranked by evidence that it names.

use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;

use super::Evidence;
use crate::settings::ReasonerSettings;

/// How much one unit of each evidence adds to a candidate's log probability. Set once by what is
/// plausible, never fitted to held-out data.
const COVISIT: f32 = 2.0;
const GENRE: f32 = 0.5;
const RECENT: f32 = 0.5;
/// Weight of the second last event of a history against the last, the third last and so on.
const FADE: f32 = 0.7;
/// Events of a history that are looked at.
const LOOKED_AT: usize = 10;
/// DeepM3's mock waits at least and at most this long, in seconds.
const SHORTEST: f64 = 0.2;
const LONGEST: f64 = 2.0;
/// Tokens of an LLM's prompt for this job: fixed part, and for each event and candidate; and of
/// its answer. Estimated from titles of some 30 characters at four characters a token.
const PROMPT_FIXED: usize = 180;
const PROMPT_EACH: usize = 16;
const ANSWER: usize = 320;

/// The mock reasoner: deterministic for a history and a seed.
pub struct Mock {
    evidence: Arc<Evidence>,
    settings: ReasonerSettings,
}

/// What speaks for one candidate.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Support {
    /// Log of System 1's probability.
    prior: f32,
    covisit: f32,
    genre: f32,
    recency: f32,
}

impl Support {
    fn total(&self) -> f32 {
        self.prior
            + COVISIT * (1.0 + 10.0 * self.covisit).ln()
            + GENRE * self.genre
            + RECENT * self.recency
    }
}

impl Mock {
    pub fn new(evidence: Arc<Evidence>, settings: &ReasonerSettings) -> Self {
        Self { evidence, settings: settings.clone() }
    }

    /// The order of `candidates` (item, System 1's probability; best first): their indices, best
    /// first.
    pub fn rank(&self, history: &[u32], candidates: &[(u32, f32)]) -> Vec<usize> {
        let support = self.support(history, candidates);
        let mut order: Vec<usize> = (0..candidates.len()).collect();
        order.sort_by(|&a, &b| support[b].total().total_cmp(&support[a].total()).then(a.cmp(&b)));
        order
    }

    fn support(&self, history: &[u32], candidates: &[(u32, f32)]) -> Vec<Support> {
        let recent = history.iter().rev().take(LOOKED_AT);
        let weights: Vec<(u32, f32)> =
            recent.enumerate().map(|(back, &item)| (item, FADE.powi(back as i32))).collect();
        let total: f32 = weights.iter().map(|(_, weight)| weight).sum::<f32>().max(1e-6);
        let mut profile = vec![0f32; self.evidence.genre_names().len()];
        for &(item, weight) in &weights {
            for &genre in self.evidence.genres(item) {
                profile[genre as usize] += weight / total;
            }
        }
        candidates
            .iter()
            .map(|&(item, probability)| {
                let covisit: f32 = weights
                    .iter()
                    .map(|&(seen, weight)| weight * self.evidence.covisit(seen, item))
                    .sum();
                let genres = self.evidence.genres(item);
                let fit: f32 = genres.iter().map(|&genre| profile[genre as usize]).sum();
                Support {
                    prior: probability.max(1e-9).ln(),
                    covisit,
                    genre: fit / genres.len().max(1) as f32,
                    recency: self.evidence.recency(item),
                }
            })
            .collect()
    }

    /// How long an LLM would take by DeepM3's simulation: Gaussian with the mean and deviation of
    /// the settings, clipped to 0.2–2 s. The same for the same history and seed.
    pub fn latency(&self, history: &[u32]) -> Duration {
        let seed = foldhash::fast::FixedState::with_seed(self.settings.seed as u64);
        let bits = seed.hash_one(history);
        let uniform = |bits: u64| (bits as u32 as f64 + 0.5) / (f64::from(u32::MAX) + 1.0);
        // Box–Muller.
        let radius = (-2.0 * uniform(bits).ln()).sqrt();
        let normal = radius * (std::f64::consts::TAU * uniform(bits >> 32)).cos();
        let seconds = self.settings.latency_mean + self.settings.latency_sd * normal;
        Duration::from_secs_f64(seconds.clamp(SHORTEST, LONGEST))
    }

    /// Tokens of prompt and answer that an LLM would take, estimated.
    pub fn tokens(&self, history: usize, candidates: usize) -> [u64; 2] {
        [(PROMPT_FIXED + PROMPT_EACH * (history + candidates)) as u64, ANSWER as u64]
    }

    /// What those tokens cost at the prices set, in dollars.
    pub fn cost(&self, history: usize, candidates: usize) -> f64 {
        let [prompt, answer] = self.tokens(history, candidates);
        (prompt as f64 * self.settings.input_price + answer as f64 * self.settings.output_price)
            / 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mock(settings: &ReasonerSettings) -> Mock {
        let sequences: [(&[u32], &[i64]); 1] = [(&[0, 1, 0, 1, 2, 3], &[0, 1, 2, 3, 4, 5])];
        let genres: [&[u16]; 4] = [&[0], &[1], &[1], &[0]];
        let names = vec!["Drama".to_owned(), "Comedy".to_owned()];
        let evidence = Evidence::build(4, names, |item| genres[item], sequences.into_iter());
        Mock::new(Arc::new(evidence), settings)
    }

    #[test]
    fn what_is_often_taken_next_rises_and_nothing_is_lost() {
        let mock = mock(&ReasonerSettings::default());
        // System 1 cannot tell 1, 2 and 3 apart; after 0 came 1.
        let order = mock.rank(&[0], &[(2, 0.3), (3, 0.3), (1, 0.3)]);
        assert_eq!(order[0], 2);
        let mut all = order;
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2]);
    }

    #[test]
    fn a_clear_prior_outweighs_weak_evidence() {
        let mock = mock(&ReasonerSettings::default());
        let order = mock.rank(&[0], &[(3, 0.99), (2, 0.0001)]);
        assert_eq!(order, [0, 1]);
    }

    #[test]
    fn latency_is_deepm3s_and_the_same_for_the_same_history() {
        let settings = ReasonerSettings::default();
        let mock = mock(&settings);
        let seconds: Vec<f64> =
            (0..4000u32).map(|item| mock.latency(&[item % 4, item]).as_secs_f64()).collect();
        assert!(seconds.iter().all(|s| (SHORTEST..=LONGEST).contains(s)));
        let mean = seconds.iter().sum::<f64>() / seconds.len() as f64;
        // Clipping at 0.2 s and 2 s moves a mean of 0.8 s by 0.003 s; four standard errors.
        assert!((mean - 0.8).abs() < 0.003 + 4.0 * 0.3 / 4000f64.sqrt(), "{mean}");
        assert_eq!(mock.latency(&[1, 2]), mock.latency(&[1, 2]));
        let other = ReasonerSettings { seed: 7, ..settings };
        assert_ne!(mock.latency(&[1, 2]), super::tests::mock(&other).latency(&[1, 2]));
    }

    #[test]
    fn cost_is_tokens_times_price() {
        let settings =
            ReasonerSettings { input_price: 1.0, output_price: 2.0, ..Default::default() };
        let mock = mock(&settings);
        let [prompt, answer] = mock.tokens(10, 100);
        assert_eq!(prompt, 180 + 16 * 110);
        assert!((mock.cost(10, 100) - (prompt + 2 * answer) as f64 / 1e6).abs() < 1e-12);
    }
}
