//! Downloads from servers that break off, fall silent, change the file and lie; given up, and gone on with.

mod interrupted;
mod kept;
mod server;
mod trust;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fetch::{Cancel, Check, Error, Fetched, Options, Progress, Sha256, fetch};

use crate::server::{Asked, Reply, Server};

const TAG: &str = "\"1\"";

/// A file whose every part is another.
fn content(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

/// Tries that cost a test no time.
fn options() -> Options {
    let (patience, pause) = (Duration::from_secs(60), Duration::from_millis(1));
    Options { patience, pause, tries: 4, ..Options::default() }
}

/// A place for a file, and what is there.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("cache/file")
    }

    fn beside(&self, more: &str) -> PathBuf {
        self.path().with_file_name(format!("file{more}"))
    }

    fn fetch(&self, url: &str) -> Result<Fetched, Error> {
        fetch(url, &self.path(), &options(), &Cancel::default(), &mut |_| ())
    }

    /// What is in the folder.
    fn entries(&self) -> Vec<String> {
        let folder = self.path();
        let entries = fs::read_dir(folder.parent().unwrap()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn read(&self) -> Vec<u8> {
        fs::read(self.path()).unwrap()
    }
}

fn exists(path: &Path) -> bool {
    path.exists()
}

#[test]
fn a_file_that_is_there_is_held_against_a_checksum_that_is_given() {
    let (file, place) = (content(1_000_000, 1), Place::new());
    fs::create_dir_all(place.path().parent().unwrap()).unwrap();
    fs::write(place.path(), &file).unwrap();
    // Nobody is asked for what is there.
    let fetch = |sha256, cancel: &Cancel, told: &mut Vec<Progress>| {
        let options = Options { sha256, ..options() };
        fetch("http://127.0.0.1:1/file", &place.path(), &options, cancel, &mut |progress| told.push(progress))
    };
    let (right, wrong, cancel) = (Sha256::of(&file), Sha256::of(b"another"), Cancel::default());
    let mut told = Vec::new();
    assert_eq!(
        fetch(Some(right), &cancel, &mut told).unwrap(),
        Fetched { length: 1_000_000, check: Check::Sum(right) }
    );
    assert_eq!(told.last(), Some(&Progress::Checking { done: 1_000_000, total: 1_000_000 }));
    assert_eq!(fetch(None, &cancel, &mut told).unwrap().check, Check::Earlier);

    let error = fetch(Some(wrong), &cancel, &mut told).unwrap_err();
    assert!(matches!(error, Error::Kept { .. }), "{error}");
    let text = error.to_string();
    let says = [place.path().display().to_string(), right.to_string(), wrong.to_string(), "remove the file".to_owned()];
    assert!(says.iter().all(|part| text.contains(part)), "{text}");
    assert_eq!(place.read(), file, "it is kept");
    cancel.cancel();
    assert!(matches!(fetch(Some(right), &cancel, &mut told), Err(Error::Cancelled)));
}

#[test]
fn a_file_comes_once() {
    let file = content(1_000_000, 1);
    let server = Server::new({
        let file = file.clone();
        move |asked| Reply::file(asked, &file, TAG)
    });
    let place = Place::new();
    let mut told = Vec::new();
    let cancel = Cancel::default();
    let fetched = fetch(&server.url("/a"), &place.path(), &options(), &cancel, &mut |now| told.push(now)).unwrap();
    assert_eq!(fetched, Fetched { length: 1_000_000, check: Check::Length });
    assert!(place.read() == file);
    assert_eq!(place.entries(), ["file", "file.lock"]);
    assert_eq!(told.first(), Some(&Progress::Fetching { done: 0, total: Some(1_000_000) }));
    assert_eq!(told.last(), Some(&Progress::Fetching { done: 1_000_000, total: Some(1_000_000) }));
    assert_eq!(place.fetch(&server.url("/a")).unwrap().check, Check::Earlier);
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn what_is_no_url_or_not_there_is_refused_at_once() {
    let server = Server::new(|_| Reply::new(404, b"no such file"));
    let place = Place::new();
    for bad in ["", "file", "ftp://a/b", "https://", "file:///etc/passwd"] {
        assert!(matches!(place.fetch(bad), Err(Error::Url(_))), "{bad}");
    }
    let error = place.fetch(&server.url("/none")).unwrap_err();
    assert!(matches!(error, Error::Status { status: 404, .. }), "{error}");
    assert_eq!(server.asked().len(), 1);
    assert!(!exists(&place.path()));
}

#[test]
fn a_password_goes_to_the_server_and_nowhere_else() {
    let file = content(300_000, 1);
    let server = Server::new({
        let file = file.clone();
        move |asked: &Asked| match (asked.authorization.as_deref(), asked.number) {
            // ann:secret (RFC 7617).
            (Some("Basic YW5uOnNlY3JldA=="), 0) => Reply::file(asked, &file, TAG).breaking_off(200_000),
            (Some("Basic YW5uOnNlY3JldA=="), 1..=4) => Reply::new(503, b""),
            (Some("Basic YW5uOnNlY3JldA=="), _) => Reply::file(asked, &file, TAG),
            _ => Reply::new(401, b""),
        }
    });
    let place = Place::new();
    let url = |user: &str| server.url("/a").replace("http://", &format!("http://{user}@"));
    let mut told = Vec::new();
    let cancel = Cancel::default();
    let error = fetch(&url("ann:secret"), &place.path(), &options(), &cancel, &mut |now| told.push(now)).unwrap_err();
    assert!(matches!(error, Error::Network { .. }), "{error}");
    let kept: Vec<_> = [".part.json", ".lock"].map(|more| fs::read_to_string(place.beside(more)).unwrap()).into();
    assert!(kept[0].contains("http://127.0.0.1:"), "{kept:?}");
    let refused = Place::new().fetch(&url("bob:secret")).unwrap_err();
    let wrong = place.fetch("ftp://ann:secret@127.0.0.1/").unwrap_err();
    let all = format!("{error} {told:?} {kept:?} {refused} {wrong}");
    assert!(!all.contains("secret") && all.contains("401"), "{all}");

    place.fetch(&url("ann:secret")).unwrap();
    assert!(place.read() == file);
    assert_eq!(server.asked().last().and_then(|asked| asked.from), Some(200_000));
}

#[test]
fn redirects_are_followed_so_far() {
    let server = Server::new(|asked: &Asked| match asked.path.as_str() {
        "/a" => Reply::redirect("/b"),
        "/b" => Reply::redirect("b/c"),
        "/b/c" => Reply::file(asked, b"here", TAG),
        _ => Reply::redirect("/loop"),
    });
    let place = Place::new();
    place.fetch(&server.url("/a")).unwrap();
    assert_eq!(place.read(), b"here");
    let error = Place::new().fetch(&server.url("/loop")).unwrap_err();
    assert!(matches!(error, Error::Answer { .. }), "{error}");
    assert!(server.asked().len() < 20);
}

#[test]
fn a_checksum_is_held_against_the_file() {
    const SUM: &str = "x-amz-meta-digest-sha256";
    let file = content(300_000, 1);
    let (good, bad) = (Sha256::of(&file), Sha256::of(b"another"));
    let server = Server::new({
        let file = file.clone();
        move |asked: &Asked| match asked.path.as_str() {
            "/good" => Reply::file(asked, &file, TAG).header(SUM, &good.to_string()),
            "/bad" => Reply::file(asked, &file, TAG).header(SUM, &bad.to_string()),
            _ => Reply::file(asked, &file, TAG),
        }
    });
    let place = Place::new();
    assert_eq!(place.fetch(&server.url("/good")).unwrap().check, Check::Sum(good));

    let place = Place::new();
    let error = place.fetch(&server.url("/bad")).unwrap_err();
    assert!(matches!(error, Error::Sum { expected, found, .. } if (expected, found) == (bad, good)), "{error}");
    assert_eq!(place.entries(), ["file.lock"], "what is damaged is not gone on with");

    // What the user knows counts more than what the server says.
    let known = Options { sha256: Some(good), ..options() };
    let mut told = Vec::new();
    let mut tell = |now| told.push(now);
    let fetched = fetch(&server.url("/bad"), &place.path(), &known, &Cancel::default(), &mut tell).unwrap();
    assert_eq!(fetched.check, Check::Sum(good));
    assert_eq!(told.last(), Some(&Progress::Checking { done: 300_000, total: 300_000 }));
}

#[test]
fn a_file_without_a_length_is_taken_within_bounds() {
    let whole = |asked: &Asked| {
        let mut reply = Reply::file(asked, &content(300_000, 1), TAG);
        reply.headers.retain(|(name, _)| name != "content-length");
        reply.header("connection", "close").breaking_off(300_000)
    };
    let server = Server::new(whole);
    let place = Place::new();
    assert_eq!(place.fetch(&server.url("/")).unwrap().check, Check::Nothing);
    assert!(place.read() == content(300_000, 1));
    for most in [1000, 299_999] {
        let place = Place::new();
        let small = Options { most, ..options() };
        let error = fetch(&server.url("/"), &place.path(), &small, &Cancel::default(), &mut |_| ()).unwrap_err();
        assert!(error.to_string().contains("is longer than"), "{error}");
        assert!(!exists(&place.path()));
    }
}

#[test]
fn answers_that_make_no_sense_are_refused() {
    let packed = Server::new(|asked| Reply::file(asked, b"packed", TAG).header("content-encoding", "gzip"));
    let unasked = Server::new(|_| Reply::new(206, b"part").header("content-range", "bytes 0-3/8"));
    for server in [packed, unasked] {
        let place = Place::new();
        let error = place.fetch(&server.url("/")).unwrap_err();
        assert!(matches!(error, Error::Answer { .. }), "{error}");
        assert_eq!(server.asked().len(), 1);
    }
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let server = Server::new(|asked| Reply::file(asked, b"a", TAG));
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("cache"), "a file").unwrap();
    let path = folder.path().join("cache/file");
    let error = fetch(&server.url("/"), &path, &options(), &Cancel::default(), &mut |_| ()).unwrap_err();
    assert!(matches!(&error, Error::File { path, .. } if path.ends_with("cache")), "{error}");
    assert_eq!(server.asked(), []);
}
