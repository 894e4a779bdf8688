//! What is kept of downloads, and its removal.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use fetch::{Cancel, Kept, Progress, fetch, keep, kept};

use crate::server::{Reply, Server};
use crate::{Place, TAG, content, options};

fn folder(place: &Place) -> std::path::PathBuf {
    place.path().parent().unwrap().to_owned()
}

#[test]
fn what_nobody_uses_is_removed() {
    let server = Server::new(|asked| Reply::file(asked, &content(1000, 1), TAG));
    let place = Place::new();
    assert_eq!(kept(&folder(&place)).unwrap(), []);
    place.fetch(&server.url("/")).unwrap();
    let file = Kept { place: place.path(), length: 1000, whole: true };
    assert_eq!(kept(&folder(&place)).unwrap(), std::slice::from_ref(&file));

    // Two use it; neither keeps the other away.
    let uses = [keep(&place.path()).unwrap(), keep(&place.path()).unwrap()];
    assert!(file.is_used() && !file.remove().unwrap());
    assert_eq!(place.read().len(), 1000);
    drop(uses);
    assert!(!file.is_used() && file.remove().unwrap());
    assert_eq!(place.entries(), [""; 0]);
    assert_eq!(kept(&folder(&place)).unwrap(), []);
    assert!(file.remove().unwrap(), "what is gone is gone");
    assert_eq!(place.entries(), [""; 0]);
    place.fetch(&server.url("/")).unwrap();
    assert_eq!(place.read(), content(1000, 1));
}

#[test]
fn a_part_is_kept_too_and_stays_while_it_is_fetched() {
    let server = Server::new(|asked| match asked.number {
        0 => Reply::file(asked, &content(1000, 1), TAG).breaking_off(400),
        1..4 => Reply::new(503, b""),
        _ => Reply::file(asked, &content(1000, 1), TAG),
    });
    let place = Place::new();
    place.fetch(&server.url("/")).unwrap_err();
    fs::create_dir(folder(&place).join("folder")).unwrap();
    let [part] = &kept(&folder(&place)).unwrap()[..] else { panic!("{:?}", place.entries()) };
    assert_eq!((&part.place, part.whole, part.length > 400), (&place.path(), false, true));
    let mut looked = false;
    let mut tell = |_: Progress| {
        looked = true;
        assert!(part.is_used() && !part.remove().unwrap());
    };
    fetch(&server.url("/"), &place.path(), &options(), &Cancel::default(), &mut tell).unwrap();
    assert!(looked);
    assert_eq!(place.read(), content(1000, 1));
    assert!(kept(Path::new("/nowhere")).unwrap().is_empty());
}

#[test]
fn whoever_uses_it_keeps_it_whenever_it_is_removed() {
    let place = Place::new();
    fs::create_dir_all(folder(&place)).unwrap();
    let file = Kept { place: place.path(), length: 0, whole: true };
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let remover = scope.spawn(|| {
            let mut removed = 0;
            while !stop.load(Ordering::Relaxed) {
                removed += u32::from(file.remove().unwrap());
            }
            removed
        });
        for _ in 0..2000 {
            let used = keep(&place.path()).unwrap();
            fs::write(place.path(), "in use").unwrap();
            thread::yield_now();
            let there = place.path().exists();
            drop(used);
            // Not before the thread can end.
            stop.fetch_or(!there, Ordering::Relaxed);
            assert!(there, "it was removed under its user");
        }
        stop.store(true, Ordering::Relaxed);
        assert!(remover.join().unwrap() > 0);
    });
}

#[test]
fn one_who_waited_for_it_gets_it_while_the_other_uses_it() {
    let place = Place::new();
    fs::create_dir_all(folder(&place)).unwrap();
    let fetching = fs::File::create(place.beside(".lock")).unwrap();
    fetching.lock().unwrap();
    let mut fetching = Some(fetching);
    let mut used = None;
    // The other has it whole, and begins to use it, as soon as it is waited for.
    let mut tell = |progress: Progress| {
        assert_eq!(progress, Progress::Waiting);
        fs::write(place.path(), "all of it").unwrap();
        used = Some(keep(&place.path()).unwrap());
        fetching = None;
    };
    let fetched = fetch("http://127.0.0.1:1/file", &place.path(), &options(), &Cancel::default(), &mut tell).unwrap();
    assert_eq!(fetched.length, 9);
    assert!(used.is_some());
}
