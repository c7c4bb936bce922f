//! What calls cost.

use std::sync::{Mutex, PoisonError};

use crate::settings::ReasonerSettings;

/// The running mean forgets calls older than about this many, so that it follows a change of
/// prices or of histories.
const REMEMBERED: u32 = 100;
/// A server that claims more tokens than this for one attempt is not believed.
pub(super) const MOST_TOKENS: u64 = 10_000_000;

/// Prices of tokens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Prices {
    /// $ for a million prompt tokens.
    input: f64,
    /// $ for a million completion tokens.
    output: f64,
}

impl Prices {
    pub fn new(settings: &ReasonerSettings) -> Self {
        Self { input: settings.input_price, output: settings.output_price }
    }

    /// Dollars for so many tokens.
    pub fn cost(&self, prompt_tokens: u64, completion_tokens: u64) -> f64 {
        (prompt_tokens as f64 * self.input + completion_tokens as f64 * self.output) / 1e6
    }
}

/// Tokens of a text of so many characters, estimated at four characters a token.
pub(super) fn tokens(chars: usize) -> u64 {
    chars.div_ceil(4) as u64
}

/// Running mean of what calls cost, in dollars.
#[derive(Debug)]
pub(super) struct CostMean(Mutex<(u32, f64)>);

impl CostMean {
    /// `estimate` stands until the first call.
    pub fn new(estimate: f64) -> Self {
        Self(Mutex::new((0, estimate)))
    }

    pub fn record(&self, cost: f64) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (calls, mean) = *held;
        *held = match calls {
            0 => (1, cost),
            _ => {
                let calls = (calls + 1).min(REMEMBERED);
                (calls, mean + (cost - mean) / f64::from(calls))
            }
        };
    }

    pub fn get(&self) -> f64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_for_a_million_tokens() {
        let settings =
            ReasonerSettings { input_price: 2.0, output_price: 10.0, ..Default::default() };
        let cost = Prices::new(&settings).cost(1_000, 100);
        assert!((cost - 0.003).abs() < 1e-12, "{cost}");
    }

    #[test]
    fn the_mean_of_what_calls_cost_replaces_the_estimate() {
        let costs = CostMean::new(99.0);
        assert_eq!(costs.get(), 99.0);
        costs.record(1.0);
        assert_eq!(costs.get(), 1.0);
        costs.record(3.0);
        assert_eq!(costs.get(), 2.0);
    }

    #[test]
    fn the_mean_follows_a_change_of_prices() {
        let costs = CostMean::new(0.0);
        for _ in 0..10_000 {
            costs.record(1.0);
        }
        for _ in 0..1_000 {
            costs.record(2.0);
        }
        assert!(costs.get() > 1.99, "{}", costs.get());
    }
}
