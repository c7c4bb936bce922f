//! Which Host headers are ours.
//!
//! A page on a foreign site can let its own name point at 127.0.0.1 (DNS rebinding) and then reads
//! this API as if it were its own; its requests still carry its name in `Host`. So every request
//! must name this server. A request that does not is answered 403 rather than 421 (Misdirected
//! Request), which would invite the client to try again over another connection.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::extract::Request;
use axum::http::header::HOST;
use axum::http::{StatusCode, Version};

use super::app::error;
use crate::serving::RequestError;

/// The names that a request may use for this server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hosts {
    /// Every well-formed one: the server listens on all addresses, whose names it cannot know, and
    /// the token protects it.
    Any,
    /// These, in lower case.
    Only(Box<[String]>),
}

impl Hosts {
    /// Of a server that was asked to listen on `configured` and does so at `bound`.
    pub fn of(configured: &str, bound: SocketAddr) -> Self {
        if bound.ip().is_unspecified() {
            return Self::Any;
        }
        let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "[::1]".to_owned()];
        let own = match bound.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        let configured = configured.to_ascii_lowercase();
        for name in [own, configured] {
            if is_host(&name) && !names.contains(&name) {
                names.push(name);
            }
        }
        let with_port: Vec<String> =
            names.iter().map(|name| format!("{name}:{}", bound.port())).collect();
        Self::Only(with_port.into_iter().chain(names).collect())
    }

    /// Whether the request names this server once, in `Host` and in its target if that has a name.
    ///
    /// # Errors
    /// 403 `foreign_host` where not.
    pub fn check(&self, request: &Request) -> Result<(), RequestError> {
        let mut values = request.headers().get_all(HOST).iter();
        let target = request.uri().authority().map(|authority| authority.as_str().as_bytes());
        // Health checks of old have no `Host`; a browser, which a foreign page could misuse, always has.
        let old = request.version() < Version::HTTP_11;
        let message = match (values.next(), values.next()) {
            (host, None) if host.is_some() || old => {
                let named = [host.map(|host| host.as_bytes()), target];
                if named.into_iter().flatten().all(|name| self.allows(name)) {
                    return Ok(());
                }
                "the `Host` header names another server; use the address that this one shows"
            }
            (Some(_), _) => "there are two `Host` headers; send one",
            (None, _) => "there is no `Host` header; HTTP/1.1 clients send one",
        };
        Err(error(StatusCode::FORBIDDEN, "foreign_host", message))
    }

    fn allows(&self, host: &[u8]) -> bool {
        match self {
            Self::Any => std::str::from_utf8(host).is_ok_and(is_authority),
            Self::Only(names) => {
                names.iter().any(|name| name.as_bytes().eq_ignore_ascii_case(host))
            }
        }
    }
}

/// A host with or without a port, and nothing else.
fn is_authority(text: &str) -> bool {
    let end = match text.strip_prefix('[') {
        Some(rest) => rest.find(']').map(|at| at + 2),
        None => Some(text.find(':').unwrap_or(text.len())),
    };
    let Some((host, port)) = end.and_then(|end| text.split_at_checked(end)) else { return false };
    let port_is_good = match port.strip_prefix(':') {
        Some(digits) => {
            digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.parse::<u16>().is_ok()
        }
        None => port.is_empty(),
    };
    is_host(host) && port_is_good
}

/// A name, an IPv4 address, or an IPv6 address in brackets.
fn is_host(text: &str) -> bool {
    match text.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').is_some_and(|ip| ip.parse::<Ipv6Addr>().is_ok()),
        None => {
            !text.is_empty()
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use proptest::prelude::*;

    use super::*;

    fn allows(hosts: &Hosts, host: &str) -> bool {
        hosts.allows(host.as_bytes())
    }

    #[test]
    fn loopback_knows_its_own_names_only() {
        let hosts = Hosts::of("127.0.0.1", "127.0.0.1:8000".parse().unwrap());
        for good in ["127.0.0.1:8000", "127.0.0.1", "localhost:8000", "LocalHost", "[::1]:8000"] {
            assert!(allows(&hosts, good), "{good}");
        }
        for bad in [
            "",
            " ",
            "evil.example",
            "evil.example:8000",
            "127.0.0.1:8001",
            "127.0.0.1:",
            "127.0.0.1:08000",
            "127.0.0.1.evil.example",
            "localhost.",
            "localhost@evil.example",
            "user@localhost:8000",
            "[::1]junk",
            "[::1]:8000junk",
            "[::1]evil.example:8000",
            "::1",
            "0.0.0.0:8000",
            "2130706433",
            "127.1",
            "localhost:8000, evil.example",
        ] {
            assert!(!allows(&hosts, bad), "{bad}");
        }
    }

    #[test]
    fn a_wider_server_knows_its_address_and_its_name() {
        let hosts = Hosts::of("MyBox.lan", "192.168.1.5:9000".parse().unwrap());
        assert!(allows(&hosts, "192.168.1.5:9000"));
        assert!(allows(&hosts, "mybox.lan:9000"));
        assert!(allows(&hosts, "localhost"));
        assert!(!allows(&hosts, "192.168.1.6:9000"));

        let hosts = Hosts::of("fe80::5", "[fe80::5]:9000".parse().unwrap());
        assert!(allows(&hosts, "[fe80::5]:9000"));
        assert!(!allows(&hosts, "fe80::5"));
    }

    #[test]
    fn a_server_on_all_addresses_wants_a_host_all_the_same() {
        for bound in ["0.0.0.0:8000", "[::]:8000"] {
            let hosts = Hosts::of("0.0.0.0", bound.parse().unwrap());
            assert!(allows(&hosts, "anything.example:80"));
            assert!(allows(&hosts, "[fe80::1]"));
            for bad in ["", ":80", "[::1]junk", "[::1", "[x]", "a b", "a:b", "a:99999", "a:", "a@b"]
            {
                assert!(!allows(&hosts, bad), "{bad}");
            }
        }
    }

    #[test]
    fn the_targets_own_name_counts_too() {
        let hosts = Hosts::of("127.0.0.1", "127.0.0.1:8000".parse().unwrap());
        let asked = |target: &str| {
            let request = Request::builder().uri(target).header(HOST, "localhost:8000");
            hosts.check(&request.body(Body::empty()).unwrap())
        };
        assert!(asked("/health").is_ok());
        assert!(asked("http://127.0.0.1:8000/health").is_ok());
        assert_eq!(asked("http://evil.example/health").unwrap_err().code, "foreign_host");
    }

    proptest! {
        #[test]
        fn what_is_no_known_name_never_passes(text in ".{0,40}") {
            let hosts = Hosts::of("127.0.0.1", "127.0.0.1:8000".parse().unwrap());
            let name = text.strip_suffix(":8000").unwrap_or(&text).to_ascii_lowercase();
            let known = ["localhost", "127.0.0.1", "[::1]"].contains(&name.as_str());
            prop_assert_eq!(allows(&hosts, &text), known);
        }

        #[test]
        fn junk_behind_an_address_never_passes(junk in "[^:].{0,10}") {
            let host = format!("[::1]{junk}");
            prop_assert!(!is_authority(&host));
        }
    }
}
