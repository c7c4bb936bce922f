//! What an answer should be, and the strict check of one that was given.

use serde::Deserialize;
use serde_json::Value;

use super::request::{Override, Request};

/// Most items an answer may list.
pub const LONGEST: usize = 8;
/// Tokens that the longest answer of the schema has, its end included.
pub const TOKENS: usize = 40;

/// Why the first item is the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Why {
    /// It is of the user's taste.
    Genre,
    /// System 1 had it so; no candidate is of the taste.
    Rank,
    /// An override said so.
    Rule,
}

impl Why {
    pub fn word(self) -> &'static str {
        match self {
            Self::Genre => "genre",
            Self::Rank => "rank",
            Self::Rule => "rule",
        }
    }
}

/// An answer of the schema.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// Candidates by number, best first.
    pub items: Vec<u32>,
    pub why: Why,
}

impl Answer {
    /// The right answer.
    pub fn right(request: &Request) -> Self {
        let mut items = request.best();
        match request.asked {
            Some(Override::Exclude(number)) => items.retain(|&item| item != number),
            // Stable: the others keep their order.
            Some(Override::First(number)) => items.sort_by_key(|&item| item != number),
            Some(Override::Count(_) | Override::Empty) | None => {}
        }
        items.truncate(request.count());
        let first = items.first().is_some_and(|&item| request.candidates[item - 1]);
        let why = match request.asked {
            Some(_) => Why::Rule,
            None if first => Why::Genre,
            None => Why::Rank,
        };
        Self { items: items.into_iter().map(|item| item as u32).collect(), why }
    }

    /// As JSON.
    pub fn text(&self) -> String {
        let items: Vec<String> = self.items.iter().map(u32::to_string).collect();
        format!(r#"{{"items":[{}],"why":"{}"}}"#, items.join(","), self.why.word())
    }
}

/// What a strict reader finds in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// It is one JSON document and nothing else (RFC 8259).
    pub parses: bool,
    /// Exactly the schema's fields, of their types; no item twice, at most [`LONGEST`].
    pub valid: bool,
    /// It does what the override says; `None` where there is none, or nothing to judge by.
    pub obeys: Option<bool>,
    /// It lists an item that is no candidate; `None` where it lists nothing readable.
    pub invents: Option<bool>,
    /// The first item not dictated by an override is of the user's taste; `None` where no
    /// candidate is or nothing is left to choose.
    pub fits: Option<bool>,
    /// All of this but the taste, and as many items as were asked for.
    pub good: bool,
}

impl Verdict {
    /// Check `text`, an answer to `request`.
    pub fn of(text: &str, request: &Request) -> Self {
        let Ok(value) = serde_json::from_str::<Value>(text) else {
            return Self {
                parses: false,
                valid: false,
                obeys: None,
                invents: None,
                fits: None,
                good: false,
            };
        };
        // From the text, since a value has lost fields that stand twice.
        let valid = serde_json::from_str::<Answer>(text).is_ok_and(|answer| {
            let items = &answer.items;
            let distinct = (0..items.len()).all(|place| !items[..place].contains(&items[place]));
            distinct && items.len() <= LONGEST
        });
        let items = listed(&value);
        let candidates = request.candidates.len();
        let invents = items
            .as_ref()
            .map(|items| items.iter().any(|&item| item < 1 || item > candidates as i64));
        // Without a list nothing was obeyed.
        let obeys = request
            .asked
            .map(|asked| items.as_ref().is_some_and(|items| obeys(asked, request, items)));
        let fits = items.as_ref().and_then(|items| fits(request, items));
        let complete = items.as_ref().is_some_and(|items| items.len() == request.count());
        let good = valid && complete && obeys.unwrap_or(true) && invents == Some(false);
        Self { parses: true, valid, obeys, invents, fits, good }
    }
}

/// The items that a document lists, where they can be read at all.
fn listed(value: &Value) -> Option<Vec<i64>> {
    value.get("items")?.as_array()?.iter().map(Value::as_i64).collect()
}

fn obeys(asked: Override, request: &Request, items: &[i64]) -> bool {
    let complete = items.len() == request.count();
    match asked {
        Override::Count(_) | Override::Empty => complete,
        Override::Exclude(number) => complete && !items.contains(&(number as i64)),
        Override::First(number) => complete && items.first() == Some(&(number as i64)),
    }
}

fn fits(request: &Request, items: &[i64]) -> Option<bool> {
    let place = match request.asked {
        Some(Override::Empty) => return None,
        Some(Override::First(_)) => 1,
        Some(Override::Count(_) | Override::Exclude(_)) | None => 0,
    };
    let right = Answer::right(request).items;
    let liked = |number: i64| {
        let place = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        place.and_then(|place| request.candidates.get(place)) == Some(&true)
    };
    let possible = right.get(place).is_some_and(|&item| liked(i64::from(item)));
    possible.then(|| items.get(place).is_some_and(|&item| liked(item)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::request::Template;
    use crate::language::vocabulary;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    /// Candidates 2 and 4 are of the taste.
    fn request(asked: Option<Override>) -> Request {
        Request {
            candidates: vec![false, true, false, true, false, false],
            asked,
            template: Template::PLAIN,
        }
    }

    fn check(text: &str, asked: Option<Override>) -> Verdict {
        Verdict::of(text, &request(asked))
    }

    #[test]
    fn right_answers_are_what_the_hand_works_out() {
        let right = |asked| Answer::right(&request(asked)).text();
        assert_eq!(right(None), r#"{"items":[2,4,1],"why":"genre"}"#);
        assert_eq!(right(Some(Override::Count(5))), r#"{"items":[2,4,1,3,5],"why":"rule"}"#);
        assert_eq!(right(Some(Override::Exclude(2))), r#"{"items":[4,1,3],"why":"rule"}"#);
        assert_eq!(right(Some(Override::First(6))), r#"{"items":[6,2,4],"why":"rule"}"#);
        assert_eq!(right(Some(Override::Empty)), r#"{"items":[],"why":"rule"}"#);
        let nothing = Request { candidates: vec![false; 6], ..request(None) };
        assert_eq!(Answer::right(&nothing).text(), r#"{"items":[1,2,3],"why":"rank"}"#);
    }

    #[test]
    fn every_right_answer_is_good_and_within_its_tokens() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        for _ in 0..1000 {
            let request = Request::random(&mut rng, false, 0.6);
            let text = Answer::right(&request).text();
            let verdict = Verdict::of(&text, &request);
            assert!(verdict.good && verdict.fits != Some(false), "{request:?} {text}");
            assert!(vocabulary::encode(&text).unwrap().len() < TOKENS);
        }
        let longest = Answer { items: (92..100).collect(), why: Why::Rank };
        assert_eq!(vocabulary::encode(&longest.text()).unwrap().len() + 1, TOKENS);
    }

    #[test]
    fn broken_json_is_found() {
        for text in [
            "",
            r#"{"items":[2,4,1],"why":"genre""#,
            r#"{"items":[2,4,1,],"why":"genre"}"#,
            r#"{'items':[2,4,1],'why':'genre'}"#,
            r#"{"items":[02,4,1],"why":"genre"}"#,
            r#"sure:{"items":[2,4,1],"why":"genre"}"#,
            r#"{"items":[2,4,1],"why":"genre"}}"#,
            "{items:[2,4,1]}",
        ] {
            let verdict = check(text, Some(Override::Count(3)));
            assert!(!verdict.parses && !verdict.good, "{text}");
            assert_eq!((verdict.obeys, verdict.invents), (None, None), "{text}");
        }
    }

    #[test]
    fn what_parses_may_still_break_the_schema() {
        for text in [
            r#"{"items":[2,4,1]}"#,
            r#"{"items":[2,4,4],"why":"genre"}"#,
            r#"{"items":[2,4,1],"why":"mood"}"#,
            r#"{"items":[2,4,1],"why":"genre","why":"genre"}"#,
            r#"{"items":[2,4,1],"why":"genre","sure":1}"#,
            r#"{"items":["2","4","1"],"why":"genre"}"#,
            r#"{"items":[2.5,4,1],"why":"genre"}"#,
            r#"{"items":[1,2,3,4,5,6,7,8,9],"why":"genre"}"#,
            r#"[2,4,1]"#,
            "7",
        ] {
            let verdict = check(text, None);
            assert!(verdict.parses && !verdict.valid && !verdict.good, "{text}");
        }
        assert!(check(r#" { "why" : "rank" , "items" : [ 1 , 2, 3 ] } "#, None).good);
    }

    #[test]
    fn overrides_are_held_to_the_letter() {
        let of = |items: &str, asked| {
            check(&format!(r#"{{"items":[{items}],"why":"rule"}}"#), Some(asked)).obeys
        };
        assert_eq!(of("2,4", Override::Count(2)), Some(true));
        assert_eq!(of("2,4,1", Override::Count(2)), Some(false));
        assert_eq!(of("4,1,3", Override::Exclude(2)), Some(true));
        assert_eq!(of("4,2,3", Override::Exclude(2)), Some(false));
        assert_eq!(of("", Override::Exclude(2)), Some(false), "an empty list is no way out");
        assert_eq!(of("6,2,4", Override::First(6)), Some(true));
        assert_eq!(of("2,6,4", Override::First(6)), Some(false));
        assert_eq!(of("", Override::Empty), Some(true));
        assert_eq!(of("2", Override::Empty), Some(false));
        assert_eq!(check("[]", Some(Override::Empty)).obeys, Some(false));
    }

    #[test]
    fn invented_items_and_the_taste_are_seen() {
        let of = |items: &str| check(&format!(r#"{{"items":[{items}],"why":"genre"}}"#), None);
        assert_eq!(of("2,4,7").invents, Some(true));
        assert_eq!(of("0,4,2").invents, Some(true));
        assert_eq!(of("-1,4,2").invents, Some(true));
        assert_eq!(of("2,4,6").invents, Some(false));
        assert_eq!((of("4,2,1").fits, of("1,2,4").fits), (Some(true), Some(false)));
        assert!(of("1,2,4").good, "taste is not among what the strict check asks for");
        assert!(!of("2,4").good, "two items where three are usual");
    }
}
