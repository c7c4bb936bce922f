//! What the metrics of a run were measured on, and so which runs may stand side by side.

use super::RunSummary;
use crate::settings::Protocol;

/// What two runs must share before their metrics compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// The data's name, for people: two sets can have the same.
    pub data: String,
    /// Of the data.
    pub fingerprint: String,
    pub protocol: Protocol,
    /// Whether items of the user's own history were left out of the ranking.
    pub mask_seen: bool,
}

impl Judged {
    /// How a finished run was judged.
    pub fn of(summary: &RunSummary) -> Self {
        let evaluation = &summary.config.evaluation;
        Self {
            data: summary.data.name.clone(),
            fingerprint: summary.data.fingerprint.clone(),
            protocol: evaluation.protocol,
            mask_seen: evaluation.mask_seen,
        }
    }

    /// Whether metrics of the two mean the same.
    pub fn is_comparable(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
            && self.protocol == other.protocol
            && self.mask_seen == other.mask_seen
    }

    /// Why they mean different things, if they do; goes on from “the runs”.
    pub fn difference(&self, other: &Self) -> Option<String> {
        if self.fingerprint != other.fingerprint {
            return Some(format!("saw different data ({} and {})", self.data, other.data));
        }
        if self.protocol != other.protocol {
            let (a, b) = (self.protocol.word(), other.protocol.word());
            return Some(format!("were judged under different protocols ({a} and {b})"));
        }
        (self.mask_seen != other.mask_seen).then(|| {
            let (a, b) = (self.mask_seen, other.mask_seen);
            format!("ranked different items (evaluation.mask_seen is {a} and {b})")
        })
    }

    /// In a few words: data, protocol, and whether seen items were masked.
    pub fn text(&self) -> String {
        let masked = if self.mask_seen { ", seen items masked" } else { "" };
        format!("{}, {}{masked}", self.data, self.protocol.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::record::sample;

    #[test]
    fn runs_compare_where_data_protocol_and_ranked_items_are_the_same() {
        let judged = |change: fn(&mut RunSummary)| {
            let mut summary = sample("run", "rk4", 42);
            change(&mut summary);
            Judged::of(&summary)
        };
        let first = judged(|_| {});
        for same in [
            judged(|summary| summary.config.model.hidden = 64),
            judged(|summary| summary.config.router.entropy = 0.1),
            judged(|summary| summary.data.name = "another name".to_owned()),
        ] {
            assert!(first.is_comparable(&same), "{same:?}");
            assert_eq!(first.difference(&same), None);
        }
        for (other, why) in [
            (judged(|summary| summary.data.fingerprint = "other".to_owned()), "data"),
            (judged(|summary| summary.config.evaluation.protocol = Protocol::Temporal), "protocol"),
            (judged(|summary| summary.config.evaluation.mask_seen = true), "mask_seen"),
        ] {
            assert!(!first.is_comparable(&other), "{other:?}");
            let difference = first.difference(&other).unwrap();
            assert!(difference.contains(why), "{difference}");
        }
    }
}
