//! Downloads in several parts.

use std::fs;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use fetch::{Cancel, Check, Error, Options, Progress, fetch};

use crate::server::{Asked, Reply, Server};
use crate::{Place, TAG, content, exists, options};

const LENGTH: usize = 200_000;

/// A server of one file, with what `spoil` makes of its answers.
fn server(spoil: impl Fn(&Asked, Reply) -> Reply + Send + Sync + 'static) -> Server {
    Server::new(move |asked| spoil(asked, Reply::file(asked, &content(LENGTH, 1), TAG)))
}

/// A place that has the first bytes of the file, from a server that ended.
fn begun(after: usize) -> Place {
    let place = Place::new();
    let gone =
        server(move |asked, reply| if asked.number == 0 { reply.breaking_off(after) } else { Reply::new(503, b"") });
    let error = place.fetch(&gone.url("/")).unwrap_err();
    assert!(matches!(error, Error::Network { .. }), "{error}");
    assert_eq!(fs::metadata(place.beside(".part")).unwrap().len(), after as u64);
    let note = fs::read_to_string(place.beside(".part.json")).unwrap();
    fs::write(place.beside(".part.json"), note.replace(&format!(":{}/", gone.port), ":PORT/")).unwrap();
    place
}

/// What was begun at another server was begun at this one.
fn moved(place: &Place, server: &Server) {
    let note = fs::read_to_string(place.beside(".part.json")).unwrap();
    fs::write(place.beside(".part.json"), note.replace(":PORT/", &format!(":{}/", server.port))).unwrap();
}

#[test]
fn a_server_that_breaks_off_is_asked_for_the_rest() {
    let server = server(|_, reply| match reply.body.len() {
        length if length > 40_000 => reply.breaking_off(40_000),
        _ => reply,
    });
    let place = Place::new();
    let mut retries = 0;
    let mut tell = |now| retries += u32::from(matches!(now, Progress::Retrying(_)));
    let cancel = Cancel::default();
    let fetched = fetch(&server.url("/"), &place.path(), &options(), &cancel, &mut tell).unwrap();
    assert_eq!(fetched.check, Check::Length);
    assert!(place.read() == content(LENGTH, 1));
    let from: Vec<_> = server.asked().iter().map(|asked| (asked.from, asked.if_range.clone())).collect();
    let rest = |from| (Some(from), Some(TAG.to_owned()));
    assert_eq!(from, [(None, None), rest(40_000), rest(80_000), rest(120_000), rest(160_000)]);
    assert_eq!(retries, 4);
}

#[test]
fn what_has_no_room_is_not_begun_and_what_is_here_counts() {
    let place = begun(40_000);
    let server = server(|_, reply| reply);
    moved(&place, &server);
    let fetch = |free: fn(&std::path::Path) -> Option<u64>, spare| {
        let options = Options { free, spare, ..options() };
        fetch(&server.url("/"), &place.path(), &options, &Cancel::default(), &mut |_| ())
    };
    for (free, spare) in
        [((|_| Some(159_999)) as fn(&_) -> _, 0), (|_| Some(259_999), 100_000), (|_| Some(0), u64::MAX)]
    {
        let error = fetch(free, spare).unwrap_err();
        assert!(matches!(error, Error::Space { .. }), "{error}");
        assert_eq!(fs::metadata(place.beside(".part")).unwrap().len(), 40_000, "it is kept");
    }
    let said = fetch(|_| Some(100 << 10), 0).unwrap_err().to_string();
    assert!(
        said.ends_with("cache: 157 KiB must be free for what is still to come, and 100 KiB are: free 57 KiB more"),
        "{said}"
    );
    assert_eq!(fetch(|_| Some(160_000), 0).unwrap().check, Check::Length);
    assert!(place.read() == content(LENGTH, 1));
}

#[test]
fn a_later_download_goes_on_from_there() {
    let place = begun(70_000);
    let server = server(|_, reply| reply);
    moved(&place, &server);
    place.fetch(&server.url("/")).unwrap();
    assert!(place.read() == content(LENGTH, 1));
    assert_eq!(server.asked()[0].from, Some(70_000));
    assert_eq!(place.entries(), ["file", "file.lock"]);
}

#[test]
fn a_part_of_another_url_is_not_gone_on_with() {
    let place = begun(70_000);
    let server = Server::new(|asked| Reply::file(asked, &content(LENGTH, 2), TAG));
    place.fetch(&server.url("/")).unwrap();
    assert!(place.read() == content(LENGTH, 2));
}

#[test]
fn a_file_that_was_changed_comes_anew() {
    let place = begun(70_000);
    let server = Server::new(|asked| Reply::file(asked, &content(LENGTH + 5, 2), "\"2\""));
    moved(&place, &server);
    place.fetch(&server.url("/")).unwrap();
    assert!(place.read() == content(LENGTH + 5, 2));
    assert_eq!(server.asked().len(), 1, "the whole came as the first answer");
}

#[test]
fn a_server_that_lies_about_ranges_is_asked_for_the_whole() {
    type Lie = fn(Reply) -> Reply;
    let lies: [(&str, Lie); 6] = [
        ("another place", |reply| reply.header("content-range", "bytes 60000-199999/200000")),
        ("another length", |reply| reply.header("content-range", "bytes 70000-199999/300000")),
        ("no place", |reply| Reply { headers: Vec::new(), ..reply }.header("content-length", "130000")),
        ("another file", |reply| reply.header("etag", "\"2\"")),
        ("no such range", |_| Reply::new(416, b"")),
        ("another condition", |_| Reply::new(412, b"")),
    ];
    for (name, lie) in lies {
        let place = begun(70_000);
        let server = server(move |asked, reply| if asked.from.is_some() { lie(reply) } else { reply });
        moved(&place, &server);
        place.fetch(&server.url("/")).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(place.read() == content(LENGTH, 1), "{name}");
        let from: Vec<_> = server.asked().iter().map(|asked| asked.from).collect();
        assert_eq!(from, [Some(70_000), None], "{name}");
    }
}

#[test]
fn without_a_strong_validator_nothing_is_put_together() {
    for (name, value) in [("etag", "W/\"1\""), ("x-none", "1")] {
        let server = Server::new(move |asked: &Asked| {
            // A file that is another each time.
            let reply = Reply::new(200, &content(LENGTH, asked.number as u64)).header(name, value);
            if asked.number < 2 { reply.breaking_off(70_000) } else { reply }
        });
        let place = Place::new();
        place.fetch(&server.url("/")).unwrap();
        assert!(place.read() == content(LENGTH, 2), "{name}");
        assert!(server.asked().iter().all(|asked| asked.from.is_none()), "{name}");
    }
}

#[test]
fn what_was_not_made_durable_is_fetched_again() {
    let place = begun(70_000);
    // As a kill leaves it, or a loss of power: more bytes than the note answers for, and those are anything.
    let mut part = fs::read(place.beside(".part")).unwrap();
    part.extend([0; 5000]);
    fs::write(place.beside(".part"), part).unwrap();
    let server = server(|_, reply| reply);
    moved(&place, &server);
    place.fetch(&server.url("/")).unwrap();
    assert!(place.read() == content(LENGTH, 1));
    assert_eq!(server.asked()[0].from, Some(70_000));
}

#[test]
fn a_note_that_is_damaged_or_missing_is_nobodys() {
    for note in [None, Some(""), Some("{}"), Some("{\"url\":1}")] {
        let place = begun(70_000);
        match note {
            None => fs::remove_file(place.beside(".part.json")).unwrap(),
            Some(text) => fs::write(place.beside(".part.json"), text).unwrap(),
        }
        let server = server(|_, reply| reply);
        place.fetch(&server.url("/")).unwrap();
        assert!(place.read() == content(LENGTH, 1));
        assert_eq!(server.asked()[0].from, None);
    }
}

#[test]
fn a_part_that_is_whole_needs_no_server() {
    let place = Place::new();
    let url = {
        let server = server(|_, reply| reply);
        let cancel = Cancel::default();
        let at_end = cancel.clone();
        // Given up when the last byte has come.
        let mut tell = move |now| {
            if now == (Progress::Fetching { done: LENGTH as u64, total: Some(LENGTH as u64) }) {
                at_end.cancel();
            }
        };
        let error = fetch(&server.url("/"), &place.path(), &options(), &cancel, &mut tell).unwrap_err();
        assert!(matches!(error, Error::Cancelled), "{error}");
        server.url("/")
    };
    assert!(!exists(&place.path()));
    place.fetch(&url).unwrap();
    assert!(place.read() == content(LENGTH, 1));
}

#[test]
fn a_server_that_gives_nothing_is_given_up_and_says_why() {
    let place = Place::new();
    let server = Server::new(|_| Reply::new(503, b""));
    let error = place.fetch(&server.url("/")).unwrap_err().to_string();
    assert!(error.contains("the server answers 503"), "{error}");
    assert_eq!(server.asked().len(), 4);
    let port = server.port;
    drop(server);
    let error = place.fetch(&format!("http://127.0.0.1:{port}/")).unwrap_err();
    assert!(matches!(error, Error::Network { .. }), "{error}");
}

#[test]
fn a_silent_server_is_left_when_patience_ends() {
    let server = server(|asked, reply| match asked.number {
        0 => reply.falling_silent(70_000),
        _ => reply,
    });
    let place = Place::new();
    let impatient = Options { patience: Duration::from_millis(300), ..options() };
    fetch(&server.url("/"), &place.path(), &impatient, &Cancel::default(), &mut |_| ()).unwrap();
    assert!(place.read() == content(LENGTH, 1));
    assert_eq!(server.asked()[1].from, Some(70_000));
}

#[test]
fn a_download_is_given_up_while_the_server_is_silent() {
    // Before its headers end, and in the middle of the file.
    for after in [0, 70_000] {
        let silent = server(move |_, reply| reply.falling_silent(after));
        let place = Arc::new(Place::new());
        let cancel = Cancel::default();
        let (tell, told) = channel();
        let (url, of_thread, copy) = (silent.url("/"), place.clone(), cancel.clone());
        let fetching = thread::spawn(move || {
            let mut tell = |now| drop(tell.send(now));
            fetch(&url, &of_thread.path(), &options(), &copy, &mut tell)
        });
        let came = told.iter().any(|now| matches!(now, Progress::Fetching { done, .. } if done == after as u64));
        assert!(came);
        let begun = Instant::now();
        cancel.cancel();
        let error = fetching.join().unwrap().unwrap_err();
        assert!(matches!(error, Error::Cancelled), "{error}");
        assert!(begun.elapsed() < options().patience / 2, "it was not woken");
        assert!(!exists(&place.path()));

        let server = server(|_, reply| reply);
        let note = fs::read_to_string(place.beside(".part.json")).unwrap();
        let note = note.replace(&format!(":{}/", silent.port), &format!(":{}/", server.port));
        fs::write(place.beside(".part.json"), note).unwrap();
        place.fetch(&server.url("/")).unwrap();
        assert!(place.read() == content(LENGTH, 1));
        assert_eq!(server.asked()[0].from, (after > 0).then_some(after));
    }
}

#[test]
fn two_who_want_the_same_file_fetch_it_once() {
    let server = Arc::new(server(|_, reply| reply.falling_silent(70_000)));
    let place = Arc::new(Place::new());
    let (first, (tell, told)) = (Cancel::default(), channel());
    let of_first = (server.clone(), place.clone(), first.clone());
    let one = thread::spawn(move || {
        let (server, place, cancel) = of_first;
        fetch(&server.url("/"), &place.path(), &options(), &cancel, &mut |now| drop(tell.send(now)))
    });
    assert!(told.iter().any(|now| matches!(now, Progress::Fetching { done: 70_000, .. })));
    let (of_second, (tell, told), second) = (place.clone(), channel(), Cancel::default());
    let (url, copy) = (server.url("/"), second.clone());
    let two = thread::spawn(move || fetch(&url, &of_second.path(), &options(), &copy, &mut |now| drop(tell.send(now))));
    assert_eq!(told.recv(), Ok(Progress::Waiting));
    // Who waits can give up, too.
    second.cancel();
    assert!(matches!(two.join().unwrap(), Err(Error::Cancelled)));
    first.cancel();
    assert!(matches!(one.join().unwrap(), Err(Error::Cancelled)));
}
