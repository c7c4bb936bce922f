//! Where an endpoint is, and the key that it asks for.

use std::fmt;
use std::net::IpAddr;

use reqwest::Url;
use reqwest::header::HeaderValue;

use super::ReasonError;

/// Shorter keys are placeholders, in bytes.
const SHORTEST_SECRET: usize = 8;

/// An API key. Shows itself to nobody but the endpoint.
pub(super) struct Key {
    text: String,
    header: HeaderValue,
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Key(hidden)")
    }
}

impl Key {
    fn new(text: String) -> Option<Self> {
        let mut header = HeaderValue::from_str(&format!("Bearer {text}")).ok()?;
        header.set_sensitive(true);
        Some(Self { text, header })
    }

    /// As `Authorization` carries it.
    pub fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    /// `text` without the key. A word like `none` or `ollama`, which local servers are given, is
    /// no secret, and replacing it would garble answers.
    pub fn hidden(&self, text: &str) -> String {
        if self.text.len() < SHORTEST_SECRET {
            return text.to_owned();
        }
        text.replace(&self.text, "(key)")
    }
}

/// `{base}/chat/completions`.
pub(super) fn chat_url(base: &str) -> Result<Url, ReasonError> {
    let bad = |reason: &str| ReasonError::BadAddress { reason: reason.to_owned() };
    let mut url = Url::parse(base.trim()).map_err(|error| bad(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(bad("it is no http or https address"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("it holds a user name or password, which would show in settings and runs"));
    }
    const PATH: &str = "/chat/completions";
    let path = url.path().trim_end_matches('/');
    let path = path.strip_suffix(PATH).unwrap_or(path).to_owned() + PATH;
    url.set_path(&path);
    url.set_fragment(None);
    Ok(url)
}

/// Whether requests stay on this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host.ends_with(".localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The key in the environment variable `name`. None is needed where no variable is named, nor by
/// a server on this machine.
pub(super) fn key(
    name: &str,
    local: bool,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<Key>, ReasonError> {
    if name.is_empty() {
        return Ok(None);
    }
    let text = variable(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let unusable = || ReasonError::NoKey { variable: name.to_owned() };
    match text {
        Some(text) => Key::new(text).map(Some).ok_or_else(unusable),
        None if local => Ok(None),
        None => Err(unusable()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chat_address_is_built_from_what_people_write() {
        for (base, expected) in [
            ("https://api.deepseek.com/v1", "https://api.deepseek.com/v1/chat/completions"),
            ("https://api.deepseek.com", "https://api.deepseek.com/chat/completions"),
            (" http://localhost:11434/v1/ ", "http://localhost:11434/v1/chat/completions"),
            ("https://a.b/v1/chat/completions/", "https://a.b/v1/chat/completions"),
            ("https://a.b/x?api-version=1#y", "https://a.b/x/chat/completions?api-version=1"),
        ] {
            assert_eq!(chat_url(base).unwrap().as_str(), expected);
        }
        for base in ["", "api.deepseek.com/v1", "ftp://a.b", "file:///etc", "https://u:p@a.b/v1"] {
            let error = chat_url(base).unwrap_err();
            assert_eq!(error.code(), "bad_address", "{base}");
            assert!(!error.to_string().contains("u:p"), "{error}");
        }
    }

    #[test]
    fn a_key_is_hidden_and_a_placeholder_left_alone() {
        let hidden = |key: &str| Key::new(key.to_owned()).unwrap().hidden("1 of sk-secret");
        assert_eq!(hidden("sk-secret"), "1 of (key)");
        assert_eq!(hidden("1"), "1 of sk-secret");
    }

    #[test]
    fn loopback_is_this_machine_only() {
        let local = |base: &str| is_loopback(&Url::parse(base).unwrap());
        for base in
            ["http://localhost:1", "http://127.0.0.9", "http://[::1]:8", "http://a.localhost"]
        {
            assert!(local(base), "{base}");
        }
        for base in ["http://192.168.0.1", "https://localhost.example.com", "http://[::2]"] {
            assert!(!local(base), "{base}");
        }
    }
}
