//! What an LLM must answer: the schema, and the check against the candidates.
//!
//! Types are strict: a ranking whose ids or reasons are of another kind is no answer. Fields that
//! the schema does not name are passed over, since models like to add remarks and the call is
//! paid for already.

use std::collections::HashMap;

use serde::Deserialize;

use super::explain::{counted, own_choice};
use super::{Chosen, ReasonRequest};

/// Characters of a reason or remark that are kept.
const LONGEST: usize = 300;

#[derive(Debug, Deserialize)]
struct Answer {
    ranking: Vec<Ranked>,
    #[serde(default)]
    profile: String,
    #[serde(default)]
    evidence: String,
}

#[derive(Debug, Deserialize)]
struct Ranked {
    id: Id,
    #[serde(default)]
    reason: String,
}

/// Catalogue ids that look like numbers are written as such by some models.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Id {
    Text(String),
    Number(i64),
}

/// An answer that was checked: every item is a candidate, none twice, as many as were asked for.
#[derive(Debug, PartialEq)]
pub(super) struct Checked {
    pub ranking: Vec<Chosen>,
    pub steps: Vec<(String, String)>,
    pub invented: u32,
}

/// Check what `model` answered.
///
/// # Errors
/// What is wrong with it: no JSON of the schema, or not one candidate in it. Beside it the number
/// of invented items.
pub(super) fn check(
    text: &str,
    request: &ReasonRequest,
    model: &str,
) -> Result<Checked, (String, u32)> {
    let answer: Answer = serde_json::from_str(unfenced(text))
        .map_err(|error| (format!("its message is not of the schema asked for: {error}"), 0))?;
    let known: HashMap<&str, usize> = request
        .candidates
        .iter()
        .enumerate()
        .map(|(place, candidate)| (candidate.id.as_str(), place))
        .collect();
    let mut free = vec![true; request.candidates.len()];
    let (mut chosen, mut invented) = (Vec::new(), 0);
    for Ranked { id, reason } in answer.ranking {
        let id = match id {
            Id::Text(text) => text,
            Id::Number(number) => number.to_string(),
        };
        match known.get(id.as_str()) {
            None => invented += 1,
            // Named twice, the first place counts.
            Some(&place) if std::mem::take(&mut free[place]) => chosen.push((place, reason)),
            Some(_) => {}
        }
    }
    let valid = chosen.len();
    if valid == 0 {
        let named = counted(invented as usize, "item");
        return Err((format!("it named {named}, none of them a candidate"), invented));
    }
    let ranking = ranking(chosen, &free, request, model);
    let details = [
        ("profile", tidy(&answer.profile).unwrap_or_else(|| "not stated".to_owned())),
        ("candidates", format!("{} from System 1", request.candidates.len())),
        ("evidence", tidy(&answer.evidence).unwrap_or_else(|| "not stated".to_owned())),
        ("decision", decision(valid, ranking.len(), invented, model)),
    ];
    let steps = details.map(|(step, detail)| (step.to_owned(), detail)).to_vec();
    Ok(Checked { ranking, steps, invented })
}

/// The chosen ones, then as many of System 1's own as are missing.
fn ranking(
    chosen: Vec<(usize, String)>,
    free: &[bool],
    request: &ReasonRequest,
    model: &str,
) -> Vec<Chosen> {
    let rest = free.iter().enumerate().filter(|(_, free)| **free).map(|(candidate, _)| candidate);
    let filled =
        rest.map(|candidate| (candidate, format!("{}, kept in its order", own_choice(candidate))));
    let stated = chosen.into_iter().map(|(candidate, reason)| {
        (candidate, tidy(&reason).unwrap_or_else(|| format!("chosen by {model} without a reason")))
    });
    let mut ranking: Vec<Chosen> = stated
        .chain(filled)
        .take(request.count)
        .map(|(candidate, reason)| Chosen { candidate, score: 0.0, reason })
        .collect();
    // A language model ranks and does not score: what it said is the place, evenly spread.
    let places = ranking.len() as f64;
    for (place, chosen) in ranking.iter_mut().enumerate() {
        chosen.score = 1.0 - place as f64 / places;
    }
    ranking
}

fn decision(valid: usize, ranked: usize, invented: u32, model: &str) -> String {
    let mut said = format!("{} chosen by {model}", counted(valid.min(ranked), "item"));
    if invented > 0 {
        said += &format!("; {} that it invented left out", counted(invented as usize, "item"));
    }
    if valid < ranked {
        said += &format!("; {} filled in System 1's order", ranked - valid);
    }
    said
}

/// Without the Markdown fence that some models put around JSON.
fn unfenced(text: &str) -> &str {
    let text = text.trim();
    let fenced = text.strip_prefix("```").and_then(|inner| inner.strip_suffix("```"));
    fenced.map_or(text, |inner| inner.strip_prefix("json").unwrap_or(inner).trim())
}

/// A model's words on one line, without control characters and of bounded length; `None` where
/// nothing is left.
fn tidy(text: &str) -> Option<String> {
    let mut tidy = String::new();
    for word in text.split(|one: char| one.is_whitespace() || one.is_control()) {
        if !word.is_empty() {
            if !tidy.is_empty() {
                tidy.push(' ');
            }
            tidy.push_str(word);
        }
    }
    if let Some((end, _)) = tidy.char_indices().nth(LONGEST) {
        tidy.truncate(end);
        tidy.push('…');
    }
    (!tidy.is_empty()).then_some(tidy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reasoning::Candidate;

    /// Candidates `10`, `11`, `12`, `13` and `fourteen`.
    fn request(count: usize) -> ReasonRequest {
        let candidate = |(item, id): (u32, &str)| Candidate {
            item,
            id: id.to_owned(),
            title: None,
            genres: Vec::new(),
            probability: 0.2,
        };
        let ids = ["10", "11", "12", "13", "fourteen"];
        ReasonRequest {
            user_id: "u".to_owned(),
            history: Vec::new(),
            candidates: (0..).zip(ids).map(candidate).collect(),
            count,
            within: None,
        }
    }

    fn chosen(checked: &Checked) -> Vec<usize> {
        checked.ranking.iter().map(|chosen| chosen.candidate).collect()
    }

    #[test]
    fn a_good_answer_is_taken_as_it_is() {
        let text = r#"{"profile": "likes\n drama", "evidence": "the last film",
            "ranking": [{"id": "12", "reason": "why not"}, {"id": "fourteen", "reason": ""}]}"#;
        let checked = check(text, &request(2), "deep").unwrap();
        assert_eq!(chosen(&checked), [2, 4]);
        assert_eq!(checked.ranking[0].reason, "why not");
        assert_eq!(checked.ranking[1].reason, "chosen by deep without a reason");
        assert_eq!(checked.ranking[0].score, 1.0);
        assert_eq!(checked.ranking[1].score, 0.5);
        assert_eq!(checked.steps[0], ("profile".into(), "likes drama".into()));
        assert_eq!(checked.steps[3].1, "2 items chosen by deep");
        assert_eq!(checked.invented, 0);
    }

    #[test]
    fn fences_numbers_and_further_fields_are_tolerated() {
        let json = r#"{"ranking": [{"id": 11, "reason": "a", "sure": 0.9}], "remark": [1]}"#;
        for text in [json.to_owned(), format!("\n```json\n{json}\n```\n"), format!("```{json}```")]
        {
            assert_eq!(chosen(&check(&text, &request(1), "m").unwrap()), [1], "{text}");
        }
    }

    #[test]
    fn invented_and_repeated_items_are_left_out_and_the_rest_is_filled() {
        let text = r#"{"ranking": [{"id": "99"}, {"id": "12"}, {"id": "12"}, {"id": "Alien"}]}"#;
        let checked = check(text, &request(3), "m").unwrap();
        assert_eq!(checked.invented, 2);
        assert_eq!(chosen(&checked), [2, 0, 1]);
        assert_eq!(checked.ranking[1].reason, "System 1's first choice, kept in its order");
        assert_eq!(
            checked.steps[3].1,
            "1 item chosen by m; 2 items that it invented left out; 2 filled in System 1's order"
        );
    }

    #[test]
    fn more_than_asked_for_are_cut_and_fewer_candidates_are_all() {
        let all = r#"{"ranking": [{"id":"13"},{"id":"12"},{"id":"11"},{"id":"10"}]}"#;
        assert_eq!(chosen(&check(all, &request(2), "m").unwrap()), [3, 2]);
        assert_eq!(chosen(&check(all, &request(50), "m").unwrap()), [3, 2, 1, 0, 4]);
    }

    #[test]
    fn what_is_not_of_the_schema_is_refused() {
        for text in [
            "",
            "I would recommend Alien.",
            r#"{"ranking": "12"}"#,
            r#"{"ranking": [12]}"#,
            r#"{"ranking": [{"reason": "no id"}]}"#,
            r#"{"ranking": [{"id": "12", "reason": 7}]}"#,
            r#"{"ranking": [{"id": null}]}"#,
            r#"{"ranking": [{"id": "12"}]"#,
            r#"[{"id": "12"}]"#,
            r#"{"profile": 7, "ranking": [{"id": "12"}]}"#,
        ] {
            assert!(check(text, &request(2), "m").is_err(), "{text}");
        }
    }

    #[test]
    fn an_answer_without_one_candidate_is_none() {
        let (reason, invented) =
            check(r#"{"ranking": [{"id": "1"}]}"#, &request(2), "m").unwrap_err();
        assert_eq!(invented, 1);
        assert!(reason.contains("named 1 item, none of them"), "{reason}");
        assert!(check(r#"{"ranking": []}"#, &request(2), "m").is_err());
    }

    #[test]
    fn words_are_bounded_and_on_one_line() {
        assert_eq!(tidy(" a\u{0}b\r\n c "), Some("a b c".to_owned()));
        assert_eq!(tidy("\n\t"), None);
        assert_eq!(tidy(&"ü".repeat(1000)).unwrap().chars().count(), LONGEST + 1);
    }
}
