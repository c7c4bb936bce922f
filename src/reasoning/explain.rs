//! The mock's evidence in words.

use super::support::{Past, Support};
use super::{Evidence, ReasonRequest};

/// Evidence must lift a candidate by this factor over the average one (as a log) to be named.
const WORTH_NAMING: f32 = 0.05;
/// Genres of the profile that are named.
const GENRES: usize = 3;

/// Says why, for the candidates of one request.
pub(super) struct Explainer<'a> {
    evidence: &'a Evidence,
    request: &'a ReasonRequest,
    past: &'a Past,
    support: &'a [Support],
    /// Mean over all candidates: what all have in common distinguishes none.
    mean: Support,
}

/// The kinds of evidence a reason can name.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Named {
    Together,
    Fit,
    Trend,
    Prior,
}

impl<'a> Explainer<'a> {
    /// `support` is that of every candidate, in their order.
    pub fn new(
        evidence: &'a Evidence,
        request: &'a ReasonRequest,
        past: &'a Past,
        support: &'a [Support],
    ) -> Self {
        let mean = |part: fn(&Support) -> f32| {
            support.iter().map(part).sum::<f32>() / support.len().max(1) as f32
        };
        let mean = Support {
            prior: mean(|support| support.prior),
            together: mean(|support| support.together),
            fit: mean(|support| support.fit),
            trend: mean(|support| support.trend),
        };
        Self { evidence, request, past, support, mean }
    }

    /// Why this candidate was chosen: its strongest evidence, or System 1's choice where none
    /// distinguishes it.
    pub fn reason(&self, candidate: usize) -> String {
        let item = self.request.candidates[candidate].item;
        let choice = own_choice(candidate);
        let evidence = match self.strongest(candidate) {
            Named::Together => self.past.leads_to(self.evidence, item).map(|place| {
                let seen = &self.request.history[place];
                format!("often taken after {}", quoted(seen.title.as_deref(), &seen.id))
            }),
            Named::Fit => {
                let genres = self.evidence.genres(item).iter().copied();
                self.past.main_genre(genres).map(|(genre, share)| {
                    let name = &self.evidence.genre_names()[usize::from(genre)];
                    format!("fits {name}, {} of recent history", percent(share))
                })
            }
            Named::Trend => {
                Some(format!("on the rise in the last {}", period(self.evidence.recent_days())))
            }
            Named::Prior => None,
        };
        evidence.map_or_else(|| choice.clone(), |evidence| format!("{evidence} ({choice})"))
    }

    fn strongest(&self, candidate: usize) -> Named {
        let (own, mean) = (&self.support[candidate], &self.mean);
        let lifts = [
            (Named::Together, own.together - mean.together),
            (Named::Fit, own.fit - mean.fit),
            // Falling slower than the others is no rise.
            (Named::Trend, own.trend.min(own.trend - mean.trend)),
        ];
        let worth = lifts.into_iter().filter(|&(_, lift)| lift > WORTH_NAMING);
        worth.max_by(|a, b| a.1.total_cmp(&b.1)).map_or(Named::Prior, |(named, _)| named)
    }

    /// Profile, candidates, evidence and decision, for a ranking (candidates, best first).
    pub fn steps(&self, ranking: &[usize]) -> Vec<(String, String)> {
        let steps = [
            ("profile", self.profile()),
            ("candidates", self.candidates()),
            ("evidence", self.found(ranking)),
            ("decision", self.decision(ranking)),
        ];
        steps.map(|(step, detail)| (step.to_owned(), detail)).to_vec()
    }

    fn profile(&self) -> String {
        let events = counted(self.request.history.len(), "event");
        let genres: Vec<String> = self
            .past
            .main_genres(GENRES)
            .into_iter()
            .map(|(genre, share)| {
                let name = &self.evidence.genre_names()[usize::from(genre)];
                format!("{name} {}", percent(share))
            })
            .collect();
        if genres.is_empty() {
            format!("{events}, none with a genre")
        } else {
            format!("{events}; genres of late: {}", genres.join(", "))
        }
    }

    fn candidates(&self) -> String {
        let mass: f32 = self.request.candidates.iter().map(|one| one.probability).sum();
        format!(
            "System 1's {} most likely items, {} of its probability",
            self.request.candidates.len(),
            percent(mass.min(1.0))
        )
    }

    fn found(&self, ranking: &[usize]) -> String {
        let count = |wanted: Named| {
            ranking.iter().filter(|&&candidate| self.strongest(candidate) == wanted).count()
        };
        format!(
            "of {} chosen, {} by what is taken together, {} by genre, {} by trend, {} by System 1 \
             alone",
            ranking.len(),
            count(Named::Together),
            count(Named::Fit),
            count(Named::Trend),
            count(Named::Prior)
        )
    }

    fn decision(&self, ranking: &[usize]) -> String {
        let Some(&first) = ranking.first() else { return "nothing to choose from".to_owned() };
        let best = &self.request.candidates[first];
        let new = ranking.iter().filter(|&&candidate| candidate >= ranking.len()).count();
        format!(
            "{} first: {}; {new} of {} were not among System 1's first {}",
            quoted(best.title.as_deref(), &best.id),
            self.reason(first),
            ranking.len(),
            ranking.len()
        )
    }
}

/// How System 1 alone would have placed a candidate.
pub(super) fn own_choice(candidate: usize) -> String {
    match candidate {
        0 => "System 1's first choice".to_owned(),
        _ => format!("System 1's choice {}", candidate + 1),
    }
}

/// The title in quotation marks, or the id of an item without one.
fn quoted(title: Option<&str>, id: &str) -> String {
    title.map_or_else(|| format!("item {id}"), |title| format!("“{title}”"))
}

fn percent(share: f32) -> String {
    format!("{:.0} %", share * 100.0)
}

/// `1 event`, `2 events`.
pub(super) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// A span of days in the unit people would say.
fn period(days: f64) -> String {
    let (size, unit) = match days {
        ..1.5 => return "day".to_owned(),
        ..14.0 => (1.0, "days"),
        ..60.0 => (7.0, "weeks"),
        ..730.0 => (30.4, "months"),
        _ => (365.25, "years"),
    };
    format!("{:.0} {unit}", days / size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_said_as_people_would() {
        let said = [0.2, 3.4, 18.0, 90.0, 1461.0].map(period);
        assert_eq!(said, ["day", "3 days", "3 weeks", "3 months", "4 years"]);
    }

    #[test]
    fn items_without_a_title_go_by_their_id() {
        assert_eq!(quoted(Some("Alien"), "7"), "“Alien”");
        assert_eq!(quoted(None, "7"), "item 7");
        assert_eq!(
            (counted(1, "event"), counted(2, "event")),
            ("1 event".into(), "2 events".into())
        );
    }
}
