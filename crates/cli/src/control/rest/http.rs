//! As much of HTTP/1.1 (RFC 9112) as a few small requests need.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Longest head of a request, in bytes.
const MAX_HEAD: usize = 16 << 10;
/// Most header fields.
const MAX_FIELDS: usize = 64;
/// Longest body of a request, in bytes.
const MAX_BODY: usize = 64 << 10;
/// How long a whole request may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A client.
pub(super) trait Peer: Read + Write {
    /// How long a read waits, and a write.
    fn wait_for(&self, time: Duration) -> io::Result<()>;
}

impl Peer for TcpStream {
    fn wait_for(&self, time: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(time)).and_then(|()| self.set_write_timeout(Some(time)))
    }
}

impl Peer for UnixStream {
    fn wait_for(&self, time: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(time)).and_then(|()| self.set_write_timeout(Some(time)))
    }
}

/// A request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: String,
    /// Without the query.
    pub(super) path: String,
    /// The host that the client means to ask.
    pub(super) host: Option<String>,
    /// Whether it comes from a web page.
    pub(super) origin: bool,
    pub(super) body: Vec<u8>,
}

/// An answer.
#[derive(Debug, PartialEq)]
pub(super) struct Reply {
    status: u16,
    body: Option<Value>,
}

impl Reply {
    pub(super) fn new(status: u16, body: Value) -> Self {
        Self { status, body: Some(body) }
    }

    pub(super) fn empty(status: u16) -> Self {
        Self { status, body: None }
    }

    pub(super) fn error(status: u16, what: &str) -> Self {
        Self::new(status, json!({ "error": what }))
    }

    pub(super) fn write(&self, to: &mut dyn Peer) -> io::Result<()> {
        let reason = match self.status {
            200 => "OK",
            202 => "Accepted",
            400 => "Bad Request",
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed",
            408 => "Request Timeout",
            413 => "Content Too Large",
            431 => "Request Header Fields Too Large",
            501 => "Not Implemented",
            _ => "Internal Server Error",
        };
        let body = self.body.as_ref().map(Value::to_string).unwrap_or_default();
        let kind = if self.body.is_some() { "Content-Type: application/json; charset=utf-8\r\n" } else { "" };
        let (status, length) = (self.status, body.len());
        let head = format!("HTTP/1.1 {status} {reason}\r\n{kind}Content-Length: {length}\r\nConnection: close\r\n\r\n");
        to.write_all([head, body].concat().as_bytes())
    }
}

/// Reads a request, or says what is wrong with it.
///
/// # Errors
/// The client is gone.
pub(super) fn read(from: &mut dyn Peer) -> io::Result<Result<Request, Reply>> {
    let end = Instant::now() + PATIENCE;
    let mut bytes = Vec::new();
    let (mut request, length) = loop {
        match parse(&bytes) {
            Ok(Some((head, request, length))) => {
                bytes.drain(..head);
                break (request, length);
            }
            Ok(None) => {}
            Err(refusal) => return Ok(Err(refusal)),
        }
        if !more(from, &mut bytes, end)? {
            return Ok(Err(Reply::error(408, "the request is not whole")));
        }
    };
    while bytes.len() < length {
        if !more(from, &mut bytes, end)? {
            return Ok(Err(Reply::error(408, "the request is not whole")));
        }
    }
    bytes.truncate(length);
    request.body = bytes;
    Ok(Ok(request))
}

/// Takes what comes next; `false` when nothing comes in time, or no more.
fn more(from: &mut dyn Peer, bytes: &mut Vec<u8>, end: Instant) -> io::Result<bool> {
    let left = end.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Ok(false);
    }
    from.wait_for(left)?;
    let mut block = [0; 4096];
    match from.read(&mut block) {
        Ok(count) => {
            bytes.extend_from_slice(&block[..count]);
            Ok(count > 0)
        }
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(true),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The head of a request: its length, what it says, and the length of the body. `None`: there is more to come.
fn parse(bytes: &[u8]) -> Result<Option<(usize, Request, usize)>, Reply> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut parsed = httparse::Request::new(&mut fields);
    let head = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(head)) if head <= MAX_HEAD => head,
        Ok(httparse::Status::Partial) if bytes.len() <= MAX_HEAD => return Ok(None),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(Reply::error(431, "the head is too long")),
        Err(error) => return Err(Reply::error(400, &error.to_string())),
    };
    let path = parsed.path.unwrap_or_default();
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    let mut request =
        Request { method: parsed.method.unwrap_or_default().to_owned(), path: path.to_owned(), ..Request::default() };
    let mut length = None;
    for field in parsed.headers.iter() {
        let value = || String::from_utf8_lossy(field.value).trim().to_owned();
        match field.name.to_ascii_lowercase().as_str() {
            "host" => request.host = Some(value()),
            "origin" => request.origin = true,
            "transfer-encoding" => return Err(Reply::error(501, "send the body with its Content-Length")),
            "content-length" => match value().parse::<usize>() {
                // Two that differ are an attack (RFC 9112, 6.3).
                Ok(given) if length.is_none_or(|length| length == given) => length = Some(given),
                _ => return Err(Reply::error(400, "the Content-Length makes no sense")),
            },
            _ => {}
        }
    }
    match length.unwrap_or(0) {
        length if length <= MAX_BODY => Ok(Some((head, request, length))),
        _ => Err(Reply::error(413, "the body is too long")),
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// What is made of what a client sends, in pieces.
    fn sent(pieces: &[&[u8]]) -> Result<Request, Reply> {
        let (mut client, mut server) = UnixStream::pair().unwrap();
        thread::scope(|scope| {
            let reading = scope.spawn(move || read(&mut server).unwrap());
            for piece in pieces {
                // It may have been refused already.
                let _ = client.write_all(piece);
                thread::yield_now();
            }
            drop(client);
            reading.join().unwrap()
        })
    }

    #[test]
    fn requests_come_in_pieces() {
        let text = b"POST /vm/state?a=b HTTP/1.1\r\nHost: localhost:1\r\ncontent-length: 5\r\n\r\nhello and more";
        let wanted = Request {
            method: "POST".into(),
            path: "/vm/state".into(),
            host: Some("localhost:1".into()),
            origin: false,
            body: b"hello".to_vec(),
        };
        assert_eq!(sent(&[text]), Ok(wanted));
        let single: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(sent(&single).unwrap().body, b"hello");
        assert!(sent(&[b"GET / HTTP/1.0\r\nOrigin: http://a\r\n\r\n"]).unwrap().origin);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let fields = "a: b\r\n".repeat(MAX_FIELDS + 1);
        let long = "x".repeat(MAX_HEAD);
        for (text, status) in [
            (String::new(), 408),
            ("GET / HT".to_owned(), 408),
            ("GET / HTTP/1.1\r\nContent-Length: 9\r\n\r\nshort".to_owned(), 408),
            ("\0\r\n\r\n".to_owned(), 400),
            ("GET / HTTP/9.9\r\n\r\n".to_owned(), 400),
            ("GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n".to_owned(), 400),
            ("GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n".to_owned(), 400),
            (format!("GET / HTTP/1.1\r\nContent-Length: {}\r\n\r\n", MAX_BODY + 1), 413),
            (format!("GET / HTTP/1.1\r\n{fields}\r\n"), 431),
            (format!("GET /{long} HTTP/1.1\r\n\r\n"), 431),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(), 501),
        ] {
            assert_eq!(sent(&[text.as_bytes()]).unwrap_err().status, status, "{text:?}");
        }
    }
}
