//! A client that sends exactly the bytes it is told to.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A server that says nothing for so long has hung.
const HUNG: Duration = Duration::from_secs(30);

/// A connection.
pub struct Line {
    stream: TcpStream,
    address: SocketAddr,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    head: String,
    pub body: String,
}

impl Line {
    pub async fn open(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap(), address }
    }

    /// These bytes and no others; whether the connection took them.
    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        let written = timeout(HUNG, self.stream.write_all(bytes.as_ref())).await;
        written.expect("the server hung").is_ok()
    }

    /// One answer, or `None` where the server closes instead.
    pub async fn read(&mut self) -> Option<Answer> {
        timeout(HUNG, self.read_now()).await.expect("the server hung")
    }

    async fn read_now(&mut self) -> Option<Answer> {
        let mut bytes = Vec::new();
        let end = loop {
            if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            let mut some = [0; 4096];
            match self.stream.read(&mut some).await {
                Ok(0) | Err(_) => return None,
                Ok(count) => bytes.extend_from_slice(&some[..count]),
            }
        };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer { status, head, body: String::new() };
        let length = answer.header("content-length").map_or(0, |text| text.parse().unwrap());
        let mut body = bytes.split_off(end);
        let begun = body.len();
        body.resize(length, 0);
        self.stream.read_exact(&mut body[begun..]).await.ok()?;
        answer.body = String::from_utf8(body).unwrap();
        Some(answer)
    }

    /// Send this request to this path with these header lines besides `Host`.
    pub async fn ask(&mut self, request: &str, lines: &str, body: &str) -> Answer {
        let address = self.address;
        let bytes = format!("{request} HTTP/1.1\r\nHost: {address}\r\n{lines}\r\n{body}");
        assert!(self.write(bytes).await, "the server closed while the request was sent");
        self.read().await.expect("the server closed the connection")
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        self.ask(&format!("GET {path}"), "", "").await
    }

    pub async fn put(&mut self, path: &str, lines: &str, body: &str) -> Answer {
        let lines = format!("Content-Length: {}\r\n{lines}", body.len());
        self.ask(&format!("PUT {path}"), &lines, body).await
    }

    pub async fn post(&mut self, path: &str, lines: &str, body: &str) -> Answer {
        let json = "Content-Type: application/json\r\n";
        let lines = format!("{json}Content-Length: {}\r\n{lines}", body.len());
        self.ask(&format!("POST {path}"), &lines, body).await
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        serde_json::from_str(&self.body).unwrap()
    }

    /// The status and the code of an error, which must be JSON with a sentence.
    pub fn error(&self) -> (u16, String) {
        let json = self.json();
        assert_eq!(json["status"], "error");
        assert!(json["message"].as_str().unwrap().len() > 2, "{json}");
        (self.status, json["code"].as_str().unwrap().to_owned())
    }

    pub fn is_error(&self, status: u16, code: &str) {
        assert_eq!(self.error(), (status, code.to_owned()), "{self:?}");
    }
}
