//! The bearer token that a server wants to see when it is not alone on its machine.

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::app::error;
use crate::serving::RequestError;

/// The token that `DEEPM3_TOKEN` holds, for a server or its clients; `None` where it is unset or
/// empty.
pub fn token_from_environment() -> Option<String> {
    std::env::var("DEEPM3_TOKEN").ok().filter(|token| !token.is_empty())
}

/// A secret; not printed by accident, since it has no `Debug`.
pub struct Token(String);

impl Token {
    /// The token given, where a header can carry it: visible ASCII without spaces.
    pub fn given(text: String) -> Option<Self> {
        let good = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        good.then_some(Self(text))
    }

    /// 122 random bits.
    pub fn random() -> Self {
        Self(Uuid::new_v4().simple().to_string())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the request carries it, and only it.
    ///
    /// # Errors
    /// 401 `unauthorized` where not.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), RequestError> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let message = match (values.next().map(|value| value.as_bytes()), values.next()) {
            (Some(value), None) => match bearer(value) {
                // The time that the comparison takes tells nothing but the length.
                Some(token) if bool::from(token.ct_eq(self.0.as_bytes())) => return Ok(()),
                Some(_) => "the token is not this server's; it was shown when the server started",
                None => "the `Authorization` header must read `Bearer TOKEN`",
            },
            (Some(_), Some(_)) => "there are two `Authorization` headers; send one",
            (None, _) => "this server wants its token; send it as `Authorization: Bearer TOKEN`",
        };
        Err(error(StatusCode::UNAUTHORIZED, "unauthorized", message))
    }
}

/// The token in a header's value; the scheme's case does not matter (RFC 9110).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        Token::given("s3cret".to_owned()).unwrap().check(&headers).is_ok()
    }

    #[test]
    fn only_the_exact_token_passes() {
        assert!(check(&["Bearer s3cret"]));
        assert!(check(&["bearer  s3cret"]), "RFC 9110 allows more spaces and any case");
        for wrong in ["", "s3cret", "Bearer", "Bearer ", "Bearer s3cre", "Bearer s3crets"] {
            assert!(!check(&[wrong]), "{wrong}");
        }
        assert!(!check(&["Basic s3cret"]));
        assert!(!check(&[]));
        assert!(!check(&["Bearer s3cret", "Bearer s3cret"]), "two headers are one too many");
    }

    #[test]
    fn a_token_that_no_header_can_carry_is_refused() {
        for bad in ["", "a b", "line\n", "tök"] {
            assert!(Token::given(bad.to_owned()).is_none(), "{bad:?}");
        }
        assert!(Token::given(Token::random().as_str().to_owned()).is_some());
        assert_ne!(Token::random().as_str(), Token::random().as_str());
    }
}
