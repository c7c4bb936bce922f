//! Where requests go, and that it is this machine.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use reqwest::Url;
use tokio::net::{TcpStream, lookup_host};

use super::TrafficError;

/// Longest wait for a first connection.
const CONNECT: Duration = Duration::from_secs(5);

/// A server that accepted a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The full address of `/recommend`.
    pub url: Url,
    pub host: String,
    /// Where the connection was accepted; requests go there and nowhere else, whatever the name
    /// resolves to later.
    pub address: SocketAddr,
}

impl Target {
    /// Check `text` and connect once.
    ///
    /// # Errors
    /// [`TrafficError`] for what is no address, is another machine though that was not allowed, or
    /// does not answer.
    pub async fn find(text: &str, allow_remote: bool) -> Result<Self, TrafficError> {
        let (url, host, port) = parse(text)?;
        let foreign = || TrafficError::NotLoopback { host: host.clone() };
        // Before the name is looked up, so that nothing at all leaves the machine.
        if !allow_remote && !names_loopback(&host) {
            return Err(foreign());
        }
        let silent = |reason: String| TrafficError::CannotConnect {
            target: format!("{host}:{port}"),
            reason,
        };
        let found = lookup_host((host.as_str(), port)).await;
        let addresses: Vec<SocketAddr> =
            found.map_err(|error| silent(error.to_string()))?.collect();
        if !allow_remote && !addresses.iter().all(|address| is_loopback(address.ip())) {
            return Err(foreign());
        }
        let connecting = TcpStream::connect(addresses.as_slice());
        let connected = match tokio::time::timeout(CONNECT, connecting).await {
            Ok(connected) => connected.map_err(|error| silent(error.to_string()))?,
            Err(_) => return Err(silent(format!("no answer within {} s", CONNECT.as_secs()))),
        };
        let address = connected.peer_addr().map_err(|error| silent(error.to_string()))?;
        Ok(Self { url, host, address })
    }
}

/// The address of `/recommend`, the host without brackets, and the port.
fn parse(text: &str) -> Result<(Url, String, u16), TrafficError> {
    let text = text.trim();
    let bad = |problem: &str| TrafficError::BadTarget {
        target: text.to_owned(),
        problem: problem.to_owned(),
    };
    let full = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let mut url = Url::parse(&full).map_err(|error| bad(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad("only http and https are spoken"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("it holds a name or password; give the token in DEEPM3_TOKEN"));
    }
    let host = url.host_str().ok_or_else(|| bad("it names no host"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = url.port_or_known_default().ok_or_else(|| bad("it names no port"))?;
    url.set_query(None);
    url.set_fragment(None);
    let base = url.path().trim_end_matches('/').to_owned();
    if !base.ends_with("/recommend") {
        url.set_path(&format!("{base}/recommend"));
    }
    Ok((url, host, port))
}

/// Whether `host` can only mean this machine: a loopback address, or `localhost`.
fn names_loopback(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(ip) => is_loopback(ip),
        Err(_) => host.trim_end_matches('.').eq_ignore_ascii_case("localhost"),
    }
}

/// 127.0.0.0/8 or ::1, an IPv4 address written as IPv6 included.
fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_becomes_that_of_recommend() {
        let url = |text: &str| parse(text).map(|(url, _, _)| url.to_string()).unwrap_or_default();
        assert_eq!(url("http://127.0.0.1:8000"), "http://127.0.0.1:8000/recommend");
        assert_eq!(url(" localhost:8000/ "), "http://localhost:8000/recommend");
        assert_eq!(url("http://[::1]:80/recommend?x=1#y"), "http://[::1]/recommend");
        assert_eq!(url("http://127.0.0.1/v1/"), "http://127.0.0.1/v1/recommend");
        assert_eq!(parse("http://[::1]:9").unwrap().1, "::1");
        for bad in
            ["", "ftp://127.0.0.1", "http://", "http://127.0.0.1:99999", "http://a:b@localhost"]
        {
            let error = parse(bad).unwrap_err();
            assert!(matches!(error, TrafficError::BadTarget { .. }), "{bad}: {error}");
        }
    }

    #[test]
    fn only_what_can_mean_nothing_else_is_this_machine() {
        let here = ["127.0.0.1", "127.9.8.7", "::1", "::ffff:127.0.0.1", "localhost", "LOCALHOST."];
        let away =
            ["0.0.0.0", "::", "10.0.0.1", "192.168.1.2", "::ffff:8.8.8.8", "localhost.evil.com"];
        assert!(here.iter().all(|host| names_loopback(host)));
        assert!(!away.iter().any(|host| names_loopback(host)));
        // Other spellings of 127.0.0.1 are normalised before they are judged.
        assert_eq!(parse("http://2130706433:1").unwrap().1, "127.0.0.1");
        assert_eq!(parse("http://0x7f.1").unwrap().1, "127.0.0.1");
    }

    #[tokio::test]
    async fn another_machine_is_refused_with_what_to_do() {
        for target in ["http://192.0.2.1:8000", "http://example.com", "http://0.0.0.0:8000"] {
            let error = Target::find(target, false).await.unwrap_err();
            assert!(matches!(error, TrafficError::NotLoopback { .. }), "{target}: {error}");
            assert!(error.to_string().contains("--allow-remote"));
        }
    }

    #[tokio::test]
    async fn a_server_that_is_off_is_said() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let target = Target::find(&format!("http://localhost:{}", address.port()), false).await;
        assert_eq!(target.unwrap().address, address);
        drop(listener);
        let error = Target::find(&format!("http://{address}"), false).await.unwrap_err();
        assert!(matches!(error, TrafficError::CannotConnect { .. }), "{error}");
        assert!(error.to_string().contains("is the server on?"));
    }
}
