//! The answer's schema as an automaton over tokens: which may come next.
//!
//! Items are any numbers of one or two digits without a leading zero, at most
//! [`LONGEST`]: the grammar knows the form, not the catalogue.

use std::sync::LazyLock;

use super::answer::LONGEST;
use super::vocabulary::{END, digit, encode, token};

/// Where in the schema an answer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grammar {
    /// So many tokens of what comes before the list.
    Opening(usize),
    /// The list is open and empty.
    List,
    /// In the number of the `items`-th item, after so many digits.
    Number { items: usize, digits: usize },
    /// After a comma behind so many items.
    Comma { items: usize },
    /// So many tokens of what comes after the list.
    Middle(usize),
    /// Before the word that says why.
    Why,
    /// So many tokens of what comes after it.
    Closing(usize),
    /// Nothing may follow.
    Done,
}

/// The fixed parts of an answer.
struct Parts {
    opening: Vec<u16>,
    /// After the closing bracket, which [`Grammar::List`] and [`Grammar::Number`] write.
    middle: Vec<u16>,
    closing: Vec<u16>,
    whys: Vec<u16>,
    close: u16,
    comma: u16,
}

static PARTS: LazyLock<Parts> = LazyLock::new(|| {
    let tokens = |text: &str| encode(text).unwrap_or_else(|rest| panic!("`{rest}` has no token"));
    let one = |text: &str| token(text).unwrap_or_else(|| panic!("`{text}` has no token"));
    Parts {
        opening: tokens(r#"{"items":["#),
        middle: tokens(r#","why":""#),
        closing: tokens(r#""}"#).into_iter().chain([END]).collect(),
        whys: ["genre", "rank", "rule"].map(one).to_vec(),
        close: one("]"),
        comma: one(","),
    }
});

impl Grammar {
    /// Before the first token.
    pub const START: Self = Self::Opening(0);

    /// Whether `token` may come next.
    pub fn allows(self, token: u16) -> bool {
        let parts = &*PARTS;
        let digits = |from| (digit(from)..=digit(9)).contains(&token);
        match self {
            Self::Opening(at) => token == parts.opening[at],
            Self::List => token == parts.close || digits(1),
            Self::Comma { .. } => digits(1),
            Self::Number { items, digits: written } => {
                token == parts.close
                    || token == parts.comma && items < LONGEST
                    || written < 2 && digits(0)
            }
            Self::Middle(at) => token == parts.middle[at],
            Self::Why => parts.whys.contains(&token),
            Self::Closing(at) => token == parts.closing[at],
            Self::Done => false,
        }
    }

    /// Where it stands after `token`, which it allows.
    pub fn after(self, token: u16) -> Self {
        let parts = &*PARTS;
        match self {
            Self::Opening(at) if at + 1 < parts.opening.len() => Self::Opening(at + 1),
            Self::Opening(_) => Self::List,
            Self::List | Self::Number { .. } if token == parts.close => Self::Middle(0),
            Self::List => Self::Number { items: 1, digits: 1 },
            Self::Number { items, .. } if token == parts.comma => Self::Comma { items },
            Self::Number { items, digits } => Self::Number { items, digits: digits + 1 },
            Self::Comma { items } => Self::Number { items: items + 1, digits: 1 },
            Self::Middle(at) if at + 1 < parts.middle.len() => Self::Middle(at + 1),
            Self::Middle(_) => Self::Why,
            Self::Why => Self::Closing(0),
            Self::Closing(at) if at + 1 < parts.closing.len() => Self::Closing(at + 1),
            Self::Closing(_) | Self::Done => Self::Done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::answer::{Answer, TOKENS};
    use crate::language::vocabulary::{SIZE, decode};
    use rand::SeedableRng;
    use rand::seq::IndexedRandom;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn any_way_through_it_parses_and_ends() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut longest = 0;
        for _ in 0..2000 {
            let (mut grammar, mut tokens) = (Grammar::START, Vec::new());
            while grammar != Grammar::Done {
                let allowed: Vec<u16> =
                    (0..SIZE as u16).filter(|&token| grammar.allows(token)).collect();
                let token = *allowed.choose(&mut rng).unwrap();
                tokens.push(token);
                grammar = grammar.after(token);
            }
            longest = longest.max(tokens.len());
            let text = decode(&tokens);
            let answer: Answer = serde_json::from_str(&text).unwrap();
            assert!(answer.items.len() <= LONGEST && answer.items.iter().all(|&one| one < 100));
            assert_eq!(answer.text(), text);
        }
        assert!(longest <= TOKENS && longest > 30, "{longest}");
    }
}
