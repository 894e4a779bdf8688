//! From a URL to a file, over as many connections as it takes.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use sha2::Digest;
use ureq::http::{Response, StatusCode, header};
use ureq::{Agent, Body};

use crate::answer::{self, Answer};
use crate::note::Note;
use crate::part::Part;
use crate::{Cancel, Error, Hook, Sha256, client};

/// Bytes that are moved at a time.
const BLOCK: usize = 256 << 10;

/// How to fetch.
#[derive(Debug, Clone)]
pub struct Options {
    /// The file's checksum, where it is known from elsewhere. Else that of the server's answer is taken.
    pub sha256: Option<Sha256>,
    /// How long a server may be silent.
    pub patience: Duration,
    /// How often it is tried in a row without a byte that comes.
    pub tries: u32,
    /// The pause before the second try. Each that follows is twice as long.
    pub pause: Duration,
    /// Longest file, in bytes.
    pub most: u64,
    /// What is free in a folder, in bytes. Where it is not known, nothing is refused for lack of it.
    pub free: fn(&Path) -> Option<u64>,
    /// What must be free besides the file, in bytes, for what is to be made of it.
    pub spare: u64,
}

impl Default for Options {
    fn default() -> Self {
        let (patience, pause) = (Duration::from_secs(60), Duration::from_secs(1));
        Self { sha256: None, patience, tries: 6, pause, most: 1 << 40, free: |_| None, spare: 0 }
    }
}

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Another process fetches the same file, and is waited for.
    Waiting,
    /// Bytes that are here, and those of the whole where the server says.
    Fetching {
        /// Bytes that are here.
        done: u64,
        /// Bytes of the whole.
        total: Option<u64>,
    },
    /// The connection was lost for this reason; it is tried again.
    Retrying(String),
    /// The checksum is computed.
    Checking {
        /// Bytes that it was computed of.
        done: u64,
        /// Bytes of the whole.
        total: u64,
    },
}

/// What is known to be right of a file that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// It was there already, whole since an earlier time, and no checksum was given to hold it against.
    Earlier,
    /// Its length and its checksum.
    Sum(Sha256),
    /// Its length alone: the server says no checksum.
    Length,
    /// Nothing: the server says neither.
    Nothing,
}

/// A file that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fetched {
    /// Bytes.
    pub length: u64,
    /// What was checked.
    pub check: Check,
}

/// Brings what is at `url` to `place`, unless there is a file already, which is held against the checksum of `options`.
/// Blocks until it is there.
///
/// # Errors
/// Why it is not. What has come is kept beside `place` where it may be of use.
pub fn fetch(
    url: &str,
    place: &Path,
    options: &Options,
    cancel: &Cancel,
    progress: &mut dyn FnMut(Progress),
) -> Result<Fetched, Error> {
    if !client::is_url(url) {
        return Err(Error::Url(client::public_url(url).into_owned()));
    }
    if let Some(there) = there(place, options.sha256, cancel, progress)? {
        return Ok(there);
    }
    let mut part = Part::open(place, cancel, || progress(Progress::Waiting))?;
    // Whoever was waited for may have brought it.
    if let Some(there) = there(place, options.sha256, cancel, progress)? {
        return Ok(there);
    }
    let came = Download::new(url, options, cancel).run(&mut part, progress);
    part.keep()?;
    came?;
    let length = part.length();
    let note = part.note();
    let said = note.is_some_and(|note| note.length.is_some());
    let check = match options.sha256.or_else(|| note.and_then(|note| note.sum)) {
        Some(expected) => match sum(part.path(), length, cancel, progress)? {
            found if found == expected => Check::Sum(found),
            found => {
                part.discard()?;
                return Err(Error::Sum { url: client::public_url(url).into_owned(), expected, found });
            }
        },
        None if said => Check::Length,
        None => Check::Nothing,
    };
    part.finish()?;
    Ok(Fetched { length, check })
}

/// What is there already, held against the checksum that it is to have.
fn there(
    place: &Path,
    expected: Option<Sha256>,
    cancel: &Cancel,
    progress: &mut dyn FnMut(Progress),
) -> Result<Option<Fetched>, Error> {
    let Some(metadata) = place.metadata().ok().filter(std::fs::Metadata::is_file) else { return Ok(None) };
    match expected {
        Some(expected) => verify(place, expected, cancel, progress).map(Some),
        None => Ok(Some(Fetched { length: metadata.len(), check: Check::Earlier })),
    }
}

/// Holds the file at `path` against its checksum.
///
/// # Errors
/// It has another; it cannot be read; it was cancelled. The file is kept: a checksum that was mistyped is not to cost many
/// gigabytes.
pub fn verify(
    path: &Path,
    expected: Sha256,
    cancel: &Cancel,
    progress: &mut dyn FnMut(Progress),
) -> Result<Fetched, Error> {
    let length = path.metadata().map_err(Error::file(path))?.len();
    match sum(path, length, cancel, progress)? {
        found if found == expected => Ok(Fetched { length, check: Check::Sum(found) }),
        found => Err(Error::Kept { path: path.to_owned(), expected, found }),
    }
}

/// How one connection ended.
enum Attempt {
    /// The file is whole.
    Whole,
    /// There is more to come, and this is why it did not.
    Again(String),
}

struct Download<'a> {
    url: &'a str,
    /// The URL in messages and in the note.
    shown: Cow<'a, str>,
    options: &'a Options,
    cancel: &'a Cancel,
    agent: Agent,
    _hook: Hook,
}

impl<'a> Download<'a> {
    fn new(url: &'a str, options: &'a Options, cancel: &'a Cancel) -> Self {
        let agent = client::agent(url, options.patience);
        let shut = agent.clone();
        // What waits for the server ends with an error.
        let hook = cancel.on_cancel(move || shut.shutdown());
        Self { url, shown: client::public_url(url), options, cancel, agent, _hook: hook }
    }

    fn run(&mut self, part: &mut Part, progress: &mut dyn FnMut(Progress)) -> Result<(), Error> {
        let mut left = self.options.tries;
        let mut pause = self.options.pause;
        loop {
            if part.is_whole() {
                return Ok(());
            }
            let before = part.length();
            let again = self.attempt(part, progress);
            if self.cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            let reason = match again? {
                Attempt::Whole => return Ok(()),
                Attempt::Again(reason) => reason,
            };
            if part.length() > before {
                (left, pause) = (self.options.tries, self.options.pause);
            }
            left = left.saturating_sub(1);
            if left == 0 {
                return Err(Error::Network { url: self.shown.to_string(), reason });
            }
            progress(Progress::Retrying(reason));
            if self.cancel.sleep(pause) {
                return Err(Error::Cancelled);
            }
            pause *= 2;
        }
    }

    /// One connection: asks for what is missing, and takes what comes.
    fn attempt(&self, part: &mut Part, progress: &mut dyn FnMut(Progress)) -> Result<Attempt, Error> {
        let response = match self.ask(part, true) {
            Ok(response) => response,
            Err(error) => return self.lost(&error),
        };
        let response = match self.read(&response, part.here())? {
            Some(Answer::Rest) => return self.take(response, part, progress),
            Some(Answer::Whole(note)) => {
                part.restart(note)?;
                return self.take(response, part, progress);
            }
            Some(Answer::Another) => match self.ask(part, false) {
                Ok(response) => response,
                Err(error) => return self.lost(&error),
            },
            None => return Ok(Attempt::Again(format!("the server answers {}", response.status()))),
        };
        match self.read(&response, None)? {
            Some(Answer::Whole(note)) => {
                part.restart(note)?;
                self.take(response, part, progress)
            }
            _ => Ok(Attempt::Again(format!("the server answers {}", response.status()))),
        }
    }

    fn ask(&self, part: &Part, rest: bool) -> Result<Response<Body>, ureq::Error> {
        let mut request = self.agent.get(self.url);
        let here = part.here().filter(|_| rest);
        if let Some((validator, length)) = here.and_then(|(note, length)| note.validator.as_ref().zip(Some(length))) {
            request = request.header(header::RANGE, format!("bytes={length}-"));
            request = request.header(header::IF_RANGE, validator);
        }
        request.call()
    }

    /// What an answer means; `None` for one that may be another the next time.
    fn read(&self, response: &Response<Body>, here: Option<(&Note, u64)>) -> Result<Option<Answer>, Error> {
        let status = response.status();
        if status.is_server_error() || [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(&status) {
            return Ok(None);
        }
        let url = || self.shown.to_string();
        match answer::read(&self.shown, status, response.headers(), here) {
            Ok(answer) => Ok(Some(answer)),
            Err(_) if status.is_client_error() => Err(Error::Status { url: url(), status: status.as_u16() }),
            Err(what) => Err(Error::Answer { url: url(), what }),
        }
    }

    /// Takes a body to its end, or to that of the connection.
    fn take(
        &self,
        response: Response<Body>,
        part: &mut Part,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Attempt, Error> {
        let total = part.note().and_then(|note| note.length);
        let too_long = || Error::Answer {
            url: self.shown.to_string(),
            what: format!("the file is longer than the {} bytes that are taken", self.options.most),
        };
        if total.is_some_and(|total| total > self.options.most) {
            return Err(too_long());
        }
        total.map_or(Ok(()), |total| self.make_sure_of_room(part, total))?;
        let mut body = response.into_body().into_reader();
        let mut block = vec![0; BLOCK];
        progress(Progress::Fetching { done: part.length(), total });
        loop {
            let count = match body.read(&mut block) {
                Ok(count) => count,
                Err(error) => return Ok(Attempt::Again(error.to_string())),
            };
            if self.cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            if count == 0 {
                return Ok(match total {
                    Some(total) if part.length() < total => {
                        Attempt::Again(format!("the server broke off after {} of {total} bytes", part.length()))
                    }
                    _ => Attempt::Whole,
                });
            }
            if part.length() + count as u64 > total.unwrap_or(self.options.most) {
                return Err(too_long());
            }
            part.write(&block[..count])?;
            progress(Progress::Fetching { done: part.length(), total });
        }
    }

    /// That what is still to come of `total` bytes has room, before any of it comes.
    fn make_sure_of_room(&self, part: &Part, total: u64) -> Result<(), Error> {
        let folder = part.path().parent().unwrap_or(Path::new("."));
        let needed = total.saturating_sub(part.length()).saturating_add(self.options.spare);
        match (self.options.free)(folder) {
            Some(free) if free < needed => Err(Error::Space { path: folder.to_owned(), needed, free }),
            _ => Ok(()),
        }
    }

    /// Whether a request that failed is worth another.
    fn lost(&self, error: &ureq::Error) -> Result<Attempt, Error> {
        let (url, what) = (self.shown.to_string(), error.to_string());
        match error {
            ureq::Error::Http(_) | ureq::Error::BadUri(_) => Err(Error::Url(url)),
            ureq::Error::RequireHttpsOnly(to) => {
                let to = client::public_url(to);
                Err(Error::Answer { url, what: format!("the server leads to `{to}`, which is not encrypted") })
            }
            ureq::Error::TooManyRedirects | ureq::Error::RedirectFailed | ureq::Error::InvalidProxyUrl => {
                Err(Error::Answer { url, what })
            }
            error if is_distrust(error) => Err(Error::Answer { url, what }),
            _ => Ok(Attempt::Again(what)),
        }
    }
}

/// A certificate that is not trusted is not the second time either.
fn is_distrust(error: &ureq::Error) -> bool {
    let of_tls = match error {
        ureq::Error::Rustls(error) => Some(error),
        ureq::Error::Io(error) => error.get_ref().and_then(|inner| inner.downcast_ref()),
        _ => None,
    };
    matches!(of_tls, Some(rustls::Error::InvalidCertificate(_)))
}

/// The checksum of a file of `total` bytes.
fn sum(path: &Path, total: u64, cancel: &Cancel, progress: &mut dyn FnMut(Progress)) -> Result<Sha256, Error> {
    let failed = Error::file(path);
    let mut file = File::open(path).map_err(&failed)?;
    let mut hasher = sha2::Sha256::new();
    let mut block = vec![0; BLOCK];
    let mut done = 0;
    loop {
        let count = file.read(&mut block).map_err(&failed)?;
        if count == 0 {
            return Ok(hasher.into());
        }
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        hasher.update(&block[..count]);
        done += count as u64;
        progress(Progress::Checking { done, total });
    }
}
