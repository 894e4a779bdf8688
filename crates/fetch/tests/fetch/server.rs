//! An HTTP server that does what a test says, on this host alone.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// What was asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Which request it is, from 0.
    pub(crate) number: usize,
    pub(crate) path: String,
    /// `Range`, as the first byte that is wanted.
    pub(crate) from: Option<usize>,
    pub(crate) if_range: Option<String>,
    pub(crate) authorization: Option<String>,
}

/// What is answered.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// After so many bytes of the body the connection ends.
    pub(crate) breaks_off: Option<usize>,
    /// After so many bytes of the body nothing comes any more.
    pub(crate) falls_silent: Option<usize>,
}

impl Reply {
    pub(crate) fn new(status: u16, body: &[u8]) -> Self {
        Self { status, body: body.to_owned(), ..Self::default() }.header("content-length", &body.len().to_string())
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A file with a tag, or the rest of it, as a good server gives it.
    pub(crate) fn file(asked: &Asked, file: &[u8], tag: &str) -> Self {
        let reply = match asked.from {
            Some(from) if asked.if_range.as_deref() == Some(tag) => {
                let range = format!("bytes {from}-{}/{}", file.len() - 1, file.len());
                Self::new(206, &file[from..]).header("content-range", &range)
            }
            _ => Self::new(200, file),
        };
        reply.header("etag", tag)
    }

    pub(crate) fn redirect(to: &str) -> Self {
        Self::new(302, b"").header("location", to)
    }

    pub(crate) fn breaking_off(self, after: usize) -> Self {
        Self { breaks_off: Some(after), ..self }
    }

    pub(crate) fn falling_silent(self, after: usize) -> Self {
        Self { falls_silent: Some(after), ..self }
    }
}

type Answers = dyn Fn(&Asked) -> Reply + Send + Sync;

/// The server, until it is dropped.
pub(crate) struct Server {
    pub(crate) port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn new(answers: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (asked, over) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (noted, ended, answers): (_, _, Arc<Answers>) = (asked.clone(), over.clone(), Arc::new(answers));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let (noted, ended, answers) = (noted.clone(), ended.clone(), answers.clone());
                // A client that has gone is fine.
                std::thread::spawn(move || drop(serve(&stream, &noted, &ended, &*answers)));
            }
        });
        Self { port, asked, over, thread: Some(thread) }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// All requests so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn serve(stream: &TcpStream, noted: &Mutex<Vec<Asked>>, over: &AtomicBool, answers: &Answers) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream);
    loop {
        let mut asked = Asked::default();
        let mut line = String::new();
        lines.read_line(&mut line)?;
        let Some(path) = line.split(' ').nth(1) else { return Ok(()) };
        asked.path = path.to_owned();
        loop {
            let mut line = String::new();
            lines.read_line(&mut line)?;
            let Some((name, value)) = line.trim().split_once(": ") else { break };
            match name.to_ascii_lowercase().as_str() {
                "range" => {
                    let from = value.strip_prefix("bytes=").and_then(|range| range.strip_suffix('-'));
                    asked.from = Some(from.unwrap().parse().unwrap());
                }
                "if-range" => asked.if_range = Some(value.to_owned()),
                "authorization" => asked.authorization = Some(value.to_owned()),
                "accept-encoding" => assert_eq!(value, "identity"),
                _ => {}
            }
        }
        {
            let mut noted = noted.lock().unwrap();
            asked.number = noted.len();
            noted.push(asked.clone());
        }
        let reply = answers(&asked);
        let mut head = format!("HTTP/1.1 {} .\r\n", reply.status);
        reply.headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
        let mut writer = stream;
        writer.write_all(format!("{head}\r\n").as_bytes())?;
        let length = reply.breaks_off.or(reply.falls_silent).unwrap_or(reply.body.len());
        writer.write_all(&reply.body[..length])?;
        if reply.falls_silent.is_some() {
            while !over.load(Ordering::Relaxed) && !has_gone(stream)? {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        if reply.breaks_off.is_some() || reply.falls_silent.is_some() {
            return stream.shutdown(Shutdown::Both);
        }
    }
}

/// Whether the client of a reply that does not end has closed.
fn has_gone(stream: &TcpStream) -> std::io::Result<bool> {
    stream.set_read_timeout(Some(Duration::from_millis(10)))?;
    let mut reader = stream;
    match reader.read(&mut [0]) {
        Ok(count) => Ok(count == 0),
        Err(error) => Ok(!matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)),
    }
}
