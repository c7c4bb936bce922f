//! What the model is asked: numbered candidates, each marked whether it is of the user's taste,
//! and perhaps an override, in one of many templates.
//!
//! Candidates are numbered from 1 and taste is a mark, so that one model serves every catalogue:
//! who asks gives the numbers and marks their meaning.

use rand::{Rng, RngExt};

use super::vocabulary::{self, ANSWER, BEGIN};

/// Fewest and most candidates.
pub const CANDIDATES: std::ops::RangeInclusive<usize> = 6..=10;
/// Items of an answer where nothing else is asked for.
pub const USUAL: usize = 3;
/// Tokens of the longest prompt, its marks included.
pub const TOKENS: usize = 42;
/// Most items that may be asked for.
pub const MOST: usize = 5;

/// An instruction that goes before the usual way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Override {
    /// This many items.
    Count(usize),
    /// Not this candidate, by number.
    Exclude(usize),
    /// This candidate before all others.
    First(usize),
    /// No items at all.
    Empty,
}

/// How a request is put into words: numbers of phrases and of an order of sections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Template {
    opening: usize,
    offer: usize,
    order: usize,
    wording: usize,
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Whether each candidate is of the user's taste, best by System 1 first; the first is
    /// number 1.
    pub candidates: Vec<bool>,
    pub asked: Option<Override>,
    pub template: Template,
}

const OPENINGS: [&str; 4] = ["recommend", "suggest items", "choose for user", "rank the list"];
const OFFERS: [&str; 4] = ["from", "candidates", "among these", "catalogue offers"];
/// Orders of opening (0), candidates (1) and override (2); the first two are all there are without
/// an override.
const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [1, 0, 2], [2, 0, 1], [2, 1, 0], [0, 2, 1], [1, 2, 0]];
/// Wordings of each override; `#` is its number.
const WORDINGS: usize = 4;
const COUNTS: [&str; WORDINGS] =
    ["only return # items", "give exactly # items", "limit to #", "exactly # items"];
const EXCLUSIONS: [&str; WORDINGS] =
    ["exclude item #", "without item #", "never show #", "leave out item #"];
const FIRSTS: [&str; WORDINGS] =
    ["put item # first", "start with item #", "begin with #", "item # at the top"];
const EMPTIES: [&str; WORDINGS] =
    ["answer with an empty list", "return no items", "give nothing", "empty list only"];

impl Template {
    /// The plainest that training has seen: the one to ask a trained model with.
    pub const PLAIN: Self = Self { opening: 1, offer: 0, order: 0, wording: 0 };

    /// A random one, for a request with an override or without, whose words it then does not use.
    fn random(rng: &mut impl Rng, with_override: bool) -> Self {
        let (orders, wordings) = if with_override { (ORDERS.len(), WORDINGS) } else { (2, 1) };
        Self {
            opening: rng.random_range(0..OPENINGS.len()),
            offer: rng.random_range(0..OFFERS.len()),
            order: rng.random_range(0..orders),
            wording: rng.random_range(0..wordings),
        }
    }

    /// Whether no training prompt uses it: a quarter of all combinations of phrases and orders.
    /// Each phrase and each order is in training, together with others.
    pub fn is_held_out(self) -> bool {
        let Self { opening, offer, order, wording } = self;
        (opening + offer + order + wording).is_multiple_of(4)
    }
}

impl Request {
    /// A random request: any number of candidates, two of five of the taste, and an override in
    /// `overrides` of all requests, 0..=1. Held-out templates or the others.
    pub fn random(rng: &mut impl Rng, held_out: bool, overrides: f64) -> Self {
        let count = rng.random_range(CANDIDATES);
        let candidates: Vec<bool> = (0..count).map(|_| rng.random_bool(0.4)).collect();
        let with_override = rng.random_bool(overrides);
        let template = loop {
            let template = Template::random(rng, with_override);
            if template.is_held_out() == held_out {
                break template;
            }
        };
        let mut request = Self { candidates, asked: None, template };
        if with_override {
            let usual = request.best();
            request.asked = Some(match rng.random_range(0..4) {
                0 => Override::Count(*[1, 2, 4, 5].get(rng.random_range(0..4)).unwrap_or(&MOST)),
                // One that would be in the answer, or nothing is overridden.
                1 => Override::Exclude(usual[rng.random_range(0..USUAL)]),
                2 => Override::First(usual[rng.random_range(1..usual.len())]),
                _ => Override::Empty,
            });
        }
        request
    }

    /// All candidates by number, those of the taste first, else in System 1's order.
    pub fn best(&self) -> Vec<usize> {
        let mut numbers: Vec<usize> = (1..=self.candidates.len()).collect();
        numbers.sort_by_key(|number| !self.candidates[number - 1]);
        numbers
    }

    /// How many items the answer has to have.
    pub fn count(&self) -> usize {
        match self.asked {
            Some(Override::Count(count)) => count.min(self.candidates.len()),
            Some(Override::Empty) => 0,
            Some(Override::Exclude(_)) => USUAL.min(self.candidates.len().saturating_sub(1)),
            Some(Override::First(_)) | None => USUAL.min(self.candidates.len()),
        }
    }

    /// The request in words.
    pub fn text(&self) -> String {
        let Template { opening, offer, order, wording } = self.template;
        let mark = |liked: bool| if liked { '+' } else { '-' };
        let offered: String = (1..)
            .zip(&self.candidates)
            .map(|(number, &liked)| format!("{}{number}", mark(liked)))
            .collect();
        let numbered = |phrases: [&str; WORDINGS], number: usize| {
            phrases[wording].replace('#', &number.to_string())
        };
        let sections = [
            Some(OPENINGS[opening].to_owned()),
            Some(format!("{} {offered}", OFFERS[offer])),
            self.asked.map(|asked| match asked {
                Override::Count(count) => numbered(COUNTS, count),
                Override::Exclude(number) => numbered(EXCLUSIONS, number),
                Override::First(number) => numbered(FIRSTS, number),
                Override::Empty => EMPTIES[wording].to_owned(),
            }),
        ];
        let sections: Vec<&str> =
            ORDERS[order].iter().filter_map(|&section| sections[section].as_deref()).collect();
        sections.join("; ")
    }

    /// The prompt's tokens.
    ///
    /// # Panics
    /// Never: every phrase has its tokens, which a test goes through.
    pub fn tokens(&self) -> Vec<u16> {
        let text = vocabulary::encode(&self.text());
        let text = text.unwrap_or_else(|rest| panic!("`{rest}` has no token"));
        [BEGIN].into_iter().chain(text).chain([ANSWER]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    fn request(asked: Option<Override>) -> Request {
        Request {
            candidates: vec![false, true, false, true, false, false],
            asked,
            template: Template::PLAIN,
        }
    }

    #[test]
    fn a_request_reads_as_written() {
        assert_eq!(request(None).text(), "suggest items; from -1+2-3+4-5-6");
        let asked = request(Some(Override::Exclude(4)));
        assert_eq!(asked.text(), "suggest items; from -1+2-3+4-5-6; exclude item 4");
        assert!(!Template::PLAIN.is_held_out());
    }

    #[test]
    fn the_taste_comes_first() {
        assert_eq!(request(None).best(), [2, 4, 1, 3, 5, 6]);
    }

    #[test]
    fn held_out_templates_are_new_and_every_prompt_has_tokens() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for held_out in [false, true] {
            for _ in 0..2000 {
                let request = Request::random(&mut rng, held_out, 0.6);
                assert_eq!(request.template.is_held_out(), held_out);
                assert!(request.tokens().len() <= TOKENS, "{}", request.text());
            }
        }
    }
}
