//! What a request asks of the router and what it is told, in numbers and in a sentence.

use serde::{Deserialize, Serialize};

use super::budget::Reservation;
use crate::settings::{RouterMode, RouterSettings};

/// An enum on the wire: its variants, and the word of each.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// Every variant, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// The word on the wire and in metrics.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    };
}

words! {
    /// Who answers.
    Path {
        /// System 1.
        FastPath = "fast_path",
        /// System 2.
        SlowPath = "slow_path",
    }
}

words! {
    /// Why a request took its path.
    Reason {
        /// The request's header or `router.mode` chose the path.
        Forced = "forced",
        /// Neither entropy nor conflict is over its threshold.
        Confident = "confident",
        /// Entropy is over its threshold.
        Uncertain = "uncertain",
        /// Conflict is over its threshold.
        Conflict = "conflict",
        /// System 2 was wanted, and an enforced limit denied it.
        BudgetExhausted = "budget_exhausted",
        /// System 2 was wanted, and its circuit breaker is open.
        BreakerOpen = "breaker_open",
        /// The answer was kept from an earlier request; the router was not asked.
        Cache = "cache",
    }
}

words! {
    /// What bounds the requests that are escalated, in the order they are checked.
    Limit {
        /// The token bucket: `router.rate`, `router.capacity`.
        Rate = "rate",
        /// The share of the requests that the router decided: `router.share`.
        Share = "share",
        /// The dollars of any sliding hour: `router.cost_per_hour`.
        Cost = "cost",
    }
}

/// The feature flag of a request (`X-Demo-Mode`); it wins over `router.mode`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Force {
    #[default]
    No,
    /// System 1, whatever the uncertainty.
    Fast,
    /// System 2, whatever the uncertainty and the budget.
    Slow,
}

/// How unsure System 1 is of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Uncertainty {
    /// Calibrated and normalised: 0 sure, 1 lost.
    pub entropy: f64,
    /// Jensen–Shannon divergence in bits, 0 to 1; `None` where it is not available.
    pub conflict: Option<f64>,
}

impl Uncertainty {
    /// What the router goes by. A model whose scores are not numbers knows nothing: an entropy
    /// that is not finite counts as 1. A conflict that is not finite is not available.
    pub(super) fn usable(self) -> Self {
        Self {
            entropy: if self.entropy.is_finite() { self.entropy } else { 1.0 },
            conflict: self.conflict.filter(|conflict| conflict.is_finite()),
        }
    }
}

/// One request's question to the router.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Ask {
    pub uncertainty: Uncertainty,
    pub force: Force,
    /// System 2's circuit breaker lets nothing through.
    pub breaker_open: bool,
    /// Dollars one call of System 2 is expected to cost.
    pub expected_cost: f64,
}

/// The router's answer, with the numbers behind it.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    pub path: Path,
    pub reason: Reason,
    /// [`Reason::Uncertain`] or [`Reason::Conflict`] where that asked for System 2, also where
    /// breaker or budget denied it.
    pub trigger: Option<Reason>,
    /// The enforced limit that denied System 2.
    pub denied_by: Option<Limit>,
    /// Limits that would have denied System 2 and did not: those only observed, and for a forced
    /// request every one.
    pub over: Vec<Limit>,
    /// Tokens in the bucket after this request.
    pub tokens: f64,
    /// Escalated of all that the router decided so far, this one included: 0 to 1. Answers of the cache need no decision.
    pub share: f64,
    /// Dollars of the last hour after this request, reservations included.
    pub hour_cost: f64,
    /// What the decision went by: as asked, and made usable where it was not finite.
    pub uncertainty: Uncertainty,
    /// What an escalated request took from the budget.
    pub reserved: Option<Reservation>,
}

impl Decision {
    /// The decision in a sentence or two that a person can act on. `settings` are those it was
    /// made under.
    pub fn explanation(&self, settings: &RouterSettings) -> String {
        let mut text = match (self.reason, self.path) {
            (Reason::Forced, path) => forced(path, settings.mode),
            (Reason::Confident, _) => {
                format!("{}, so System 1 answers.", self.confidence(settings))
            }
            (Reason::Uncertain | Reason::Conflict, _) => {
                format!("{}, so System 2 answers.", self.cause(settings))
            }
            (Reason::BudgetExhausted, _) => format!(
                "{}, but {}. System 1 answers.",
                self.cause(settings),
                self.denied_by.map_or_else(
                    || "the budget is exhausted".to_owned(),
                    |limit| self.denial(limit, settings)
                )
            ),
            (Reason::BreakerOpen, _) => format!(
                "{}, but System 2 failed too often and its circuit breaker is open. System 1 \
                 answers until a trial call succeeds.",
                self.cause(settings)
            ),
            (Reason::Cache, _) => {
                "Answered from the cache: the same user, history, model and settings as a recent \
                 request."
                    .to_owned()
            }
        };
        if !self.over.is_empty() {
            let over: Vec<&str> = self.over.iter().copied().map(name).collect();
            text.push_str(&format!(" Over budget, not enforced here: {}.", over.join(", ")));
        }
        text
    }

    /// "Entropy 0.41 and conflict 0.12 are within their thresholds (0.70, 0.55)".
    fn confidence(&self, settings: &RouterSettings) -> String {
        let entropy = self.uncertainty.entropy;
        match self.uncertainty.conflict {
            Some(conflict) => format!(
                "Entropy {entropy:.2} and conflict {conflict:.2} are within their thresholds \
                 ({:.2}, {:.2})",
                settings.entropy, settings.conflict
            ),
            None => format!(
                "Entropy {entropy:.2} is within its threshold ({:.2}) and conflict is not \
                 available",
                settings.entropy
            ),
        }
    }

    /// What asked for System 2.
    fn cause(&self, settings: &RouterSettings) -> String {
        let Uncertainty { entropy, conflict } = self.uncertainty;
        match (self.trigger, conflict) {
            (Some(Reason::Uncertain), _) => {
                format!("Entropy {entropy:.2} is above its threshold ({:.2})", settings.entropy)
            }
            (Some(Reason::Conflict), Some(conflict)) => {
                format!("Conflict {conflict:.2} is above its threshold ({:.2})", settings.conflict)
            }
            _ => "System 2 was forced".to_owned(),
        }
    }

    /// Why `limit` denied, and which setting would change that.
    fn denial(&self, limit: Limit, settings: &RouterSettings) -> String {
        match limit {
            Limit::Rate => format!(
                "the token bucket holds {:.2} of the 1 token it costs and regains {} a second \
                 (router.rate)",
                self.tokens, settings.rate
            ),
            Limit::Share => format!(
                "{:.1} % of requests were escalated and the cap is {:.1} % (router.share)",
                100.0 * self.share,
                100.0 * settings.share
            ),
            Limit::Cost => format!(
                "${:.4} of the ${:.4} for any hour are spent or promised (router.cost_per_hour)",
                self.hour_cost, settings.cost_per_hour
            ),
        }
    }
}

fn forced(path: Path, mode: RouterMode) -> String {
    let (system, own) = match path {
        Path::FastPath => ("System 1", RouterMode::Fast),
        Path::SlowPath => ("System 2", RouterMode::Slow),
    };
    if mode == own {
        format!("{system} answers everything: router.mode is {}.", mode.word())
    } else {
        format!("{system} answers because the request asks for it (X-Demo-Mode).")
    }
}

fn name(limit: Limit) -> &'static str {
    match limit {
        Limit::Rate => "token bucket",
        Limit::Share => "share cap",
        Limit::Cost => "cost cap",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision(path: Path, reason: Reason, trigger: Option<Reason>) -> Decision {
        Decision {
            path,
            reason,
            trigger,
            denied_by: None,
            over: Vec::new(),
            tokens: 0.4,
            share: 0.052,
            hour_cost: 0.4999,
            uncertainty: Uncertainty { entropy: 0.823, conflict: Some(0.125) },
            reserved: None,
        }
    }

    #[test]
    fn words_on_the_wire_are_the_same_in_serde_and_as_str() {
        fn agree<T: Serialize + Copy>(all: &[T], word: impl Fn(T) -> &'static str) {
            for &variant in all {
                let json = serde_json::to_value(variant).unwrap();
                assert_eq!(json, serde_json::json!(word(variant)));
            }
        }
        agree(Path::ALL, Path::as_str);
        agree(Reason::ALL, Reason::as_str);
        agree(Limit::ALL, Limit::as_str);
        assert_eq!(serde_json::from_str::<Reason>("\"breaker_open\"").unwrap(), {
            Reason::BreakerOpen
        });
    }

    #[test]
    fn a_denial_names_the_cause_the_limit_and_its_setting() {
        let settings = RouterSettings::default();
        let mut denied = decision(Path::FastPath, Reason::BudgetExhausted, Some(Reason::Uncertain));
        for (limit, setting, number) in [
            (Limit::Rate, "router.rate", "0.40"),
            (Limit::Share, "router.share", "5.2 %"),
            (Limit::Cost, "router.cost_per_hour", "$0.4999"),
        ] {
            denied.denied_by = Some(limit);
            let text = denied.explanation(&settings);
            assert!(text.starts_with("Entropy 0.82 is above its threshold (0.70)"), "{text}");
            assert!(text.contains(setting) && text.contains(number), "{text}");
            assert!(text.ends_with("System 1 answers."), "{text}");
        }
    }

    #[test]
    fn a_conflict_that_is_not_available_is_said_to_be_so() {
        let settings = RouterSettings::default();
        let mut confident = decision(Path::FastPath, Reason::Confident, None);
        assert!(confident.explanation(&settings).contains("conflict 0.12"));
        confident.uncertainty.conflict = None;
        assert!(confident.explanation(&settings).contains("conflict is not available"));
    }

    #[test]
    fn a_forced_path_names_who_forced_it() {
        let mut settings = RouterSettings::default();
        let slow = decision(Path::SlowPath, Reason::Forced, None);
        assert!(slow.explanation(&settings).contains("X-Demo-Mode"));
        settings.mode = RouterMode::Slow;
        assert!(slow.explanation(&settings).contains("router.mode is slow"));
        settings.mode = RouterMode::Fast;
        assert!(slow.explanation(&settings).contains("X-Demo-Mode"));
        let broken = decision(Path::FastPath, Reason::BreakerOpen, None);
        let text = broken.explanation(&settings);
        assert!(text.starts_with("System 2 was forced, but"), "{text}");
    }

    #[test]
    fn limits_that_were_only_observed_are_named() {
        let mut over = decision(Path::SlowPath, Reason::Conflict, Some(Reason::Conflict));
        over.over = vec![Limit::Rate, Limit::Cost];
        let text = over.explanation(&RouterSettings::default());
        assert!(text.starts_with("Conflict 0.12 is above its threshold (0.55), so System 2"));
        assert!(text.ends_with("not enforced here: token bucket, cost cap."), "{text}");
    }

    #[test]
    fn what_is_not_finite_is_made_usable() {
        for broken in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let usable = Uncertainty { entropy: broken, conflict: Some(broken) }.usable();
            assert_eq!(usable, Uncertainty { entropy: 1.0, conflict: None });
        }
    }
}
