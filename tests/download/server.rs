//! A server that sends what a test tells it to, byte for byte: also what no HTTP library would.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// One request as the server saw it: the lines of its head, lower-case.
#[derive(Debug, Clone)]
pub struct Request {
    pub head: String,
    /// How many came before it.
    pub number: usize,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        let line = self.head.lines().find(|line| line.starts_with(&format!("{name}:")))?;
        Some(line[name.len() + 1..].trim())
    }

    pub fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    /// Where a `Range: bytes=N-` starts.
    pub fn from(&self) -> Option<usize> {
        self.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}

/// What to send, byte for byte, and whether then to keep silent with the connection open.
pub struct Reply {
    bytes: Vec<u8>,
    hang: bool,
}

impl Reply {
    pub fn head(status: &str, headers: &[String]) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {status}\r\nconnection: close\r\n");
        for header in headers {
            head += &format!("{header}\r\n");
        }
        (head + "\r\n").into_bytes()
    }

    pub fn new(status: &str, headers: &[String], body: &[u8]) -> Self {
        let mut bytes = Self::head(status, headers);
        bytes.extend_from_slice(body);
        Self { bytes, hang: false }
    }

    pub fn empty(status: &str, headers: &[&str]) -> Self {
        let mut headers: Vec<String> = headers.iter().map(|&h| h.to_owned()).collect();
        headers.push("content-length: 0".to_owned());
        Self::new(status, &headers, b"")
    }

    /// The whole body.
    pub fn ok(body: &[u8], tag: &str) -> Self {
        Self::cut(body, tag, body.len())
    }

    /// Promises the whole body, closes after `sent` bytes of it.
    pub fn cut(body: &[u8], tag: &str, sent: usize) -> Self {
        let headers = [format!("content-length: {}", body.len()), format!("etag: {tag}")];
        Self::new("200 OK", &headers, &body[..sent])
    }

    /// Promises the whole body, falls silent after `sent` bytes of it.
    pub fn stall(body: &[u8], tag: &str, sent: usize) -> Self {
        Self { hang: true, ..Self::cut(body, tag, sent) }
    }

    /// As a good server answers: the range asked for if the tag still holds, else everything.
    pub fn ranged(request: &Request, body: &[u8], tag: &str) -> Self {
        match request.from() {
            Some(from) if request.header("if-range") == Some(tag) => {
                let (last, all) = (body.len() - 1, body.len());
                let headers = [
                    format!("content-range: bytes {from}-{last}/{all}"),
                    format!("content-length: {}", all - from),
                    format!("etag: {tag}"),
                ];
                Self::new("206 Partial Content", &headers, &body[from..])
            }
            _ => Self::ok(body, tag),
        }
    }
}

/// A server on its own thread; it ends with the process.
pub struct Server {
    address: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    pub fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let seen = requests.clone();
        let answer = Arc::new(answer);
        let (send, receive) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                send.send(listener.local_addr().unwrap()).unwrap();
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let (seen, answer) = (seen.clone(), answer.clone());
                    tokio::spawn(async move { serve(stream, &seen, answer.as_ref()).await });
                }
            });
        });
        Self { address: format!("http://{}", receive.recv().unwrap()), requests }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    seen: &Mutex<Vec<Request>>,
    answer: &(dyn Fn(&Request) -> Reply + Send + Sync),
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let request = {
        let mut seen = seen.lock().unwrap();
        let head = String::from_utf8(head).unwrap().to_lowercase();
        let request = Request { head, number: seen.len() };
        seen.push(request.clone());
        request
    };
    let reply = answer(&request);
    // The client may have left already; that is its right.
    let _ = stream.write_all(&reply.bytes).await;
    let _ = stream.flush().await;
    if reply.hang {
        std::future::pending::<()>().await;
    }
}
