//! Text to tokens and back: words of the templates, and single characters for all else.
//!
//! Numbers are spelt digit by digit, so that a model can write one that nobody offered. Blanks
//! between words are no tokens; between two words of an answer one is written.

use sha2::{Digest, Sha256};

/// Starts every prompt.
pub const BEGIN: u16 = 0;
/// Between prompt and answer.
pub const ANSWER: u16 = 1;
/// Ends every answer.
pub const END: u16 = 2;

const SPECIAL: usize = 3;
/// One character each.
const SIGNS: &[&str] = &[
    "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "+", "-", "{", "}", "[", "]", "\"", "'", ":",
    ",", ";",
];
const WORDS: &[&str] = &[
    "items",
    "why",
    "genre",
    "rank",
    "rule",
    "sure",
    "here",
    "recommend",
    "suggest",
    "choose",
    "for",
    "user",
    "from",
    "candidates",
    "among",
    "these",
    "catalogue",
    "offers",
    "only",
    "return",
    "give",
    "exactly",
    "limit",
    "to",
    "exclude",
    "item",
    "without",
    "never",
    "show",
    "leave",
    "out",
    "put",
    "first",
    "start",
    "with",
    "begin",
    "at",
    "the",
    "top",
    "answer",
    "an",
    "empty",
    "list",
    "no",
    "nothing",
];

/// How many tokens there are.
pub const SIZE: usize = SPECIAL + SIGNS.len() + WORDS.len();

/// The text of a token; empty for the special ones.
fn piece(token: u16) -> &'static str {
    let place = usize::from(token).checked_sub(SPECIAL);
    place.and_then(|place| SIGNS.iter().chain(WORDS).nth(place)).copied().unwrap_or("")
}

/// The token of a piece.
pub fn token(text: &str) -> Option<u16> {
    let place = SIGNS.iter().chain(WORDS).position(|piece| *piece == text)?;
    u16::try_from(SPECIAL + place).ok()
}

/// The token of a digit, 0..=9.
pub const fn digit(digit: u8) -> u16 {
    SPECIAL as u16 + digit as u16
}

/// Of all pieces in their order: models with different ones do not understand each other's tokens.
pub fn fingerprint() -> String {
    let pieces: Vec<&str> = SIGNS.iter().chain(WORDS).copied().collect();
    let digest = Sha256::digest(pieces.join("\n"));
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Tokens of `text`, longest piece first; the error is the rest that no piece starts.
pub fn encode(text: &str) -> Result<Vec<u16>, String> {
    let mut tokens = Vec::new();
    for mut rest in text.split_whitespace() {
        while !rest.is_empty() {
            let longest = (0..SIZE as u16)
                .filter(|&token| !piece(token).is_empty() && rest.starts_with(piece(token)))
                .max_by_key(|&token| piece(token).len())
                .ok_or_else(|| rest.to_owned())?;
            tokens.push(longest);
            rest = &rest[piece(longest).len()..];
        }
    }
    Ok(tokens)
}

/// The text of `tokens`, up to the first [`END`].
pub fn decode(tokens: &[u16]) -> String {
    let mut text = String::new();
    for &token in tokens.iter().take_while(|&&token| token != END) {
        let piece = piece(token);
        let word = |letter: Option<char>| letter.is_some_and(|letter| letter.is_ascii_lowercase());
        // A word after a word, but never within a number.
        if piece.len() > 1 && word(text.chars().next_back()) {
            text.push(' ');
        }
        text.push_str(piece);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_survives_a_round_trip() {
        for text in [
            r#"{"items":[12,7,3],"why":"genre"}"#,
            r#"{"items":[],"why":"rule"}"#,
            "sure:{'items':[4,]",
            "only return",
        ] {
            assert_eq!(decode(&encode(text).unwrap()), text);
        }
    }

    #[test]
    fn numbers_are_spelt_and_marks_are_signs() {
        let tokens = encode("from +1-12").unwrap();
        assert_eq!(tokens.len(), 6);
        assert_eq!(tokens[4..], [digit(1), digit(2)]);
    }

    #[test]
    fn pieces_are_distinct_and_unknown_text_is_refused() {
        for token in SPECIAL as u16..SIZE as u16 {
            assert_eq!(super::token(piece(token)), Some(token));
        }
        assert_eq!(encode("from Żubr"), Err("Żubr".to_owned()));
    }

    #[test]
    fn text_ends_at_the_end() {
        let mut tokens = encode("{}").unwrap();
        tokens.extend([END, digit(1)]);
        assert_eq!(decode(&tokens), "{}");
    }
}
