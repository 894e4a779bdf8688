//! The entropy device, driven by a guest.

use std::io::{self, Read};
use std::sync::Arc;

use devices::virtio::entropy::Entropy;
use testkit::{Guest, contract::Subject};

testkit::contract_tests!(Subject {
    device: Arc::new(Entropy::new(io::repeat(0x5a))),
    queue: 0,
    read: vec![],
    write: vec![8, 16],
});

#[test]
fn bytes_of_the_source_reach_the_guest_in_order() {
    let mut driver = Guest::new().plug(Arc::new(Entropy::new(io::Cursor::new((0..=255).collect::<Vec<u8>>()))));
    driver.init(0);
    let used = driver.request(0, &[], &[3, 5]);
    assert_eq!((used.written, used.data), (8, (0..8).collect()));
    assert_eq!(driver.request(0, &[], &[2]).data, [8, 9]);
}

#[test]
fn a_request_without_end_gets_a_bounded_answer() {
    let mut driver = Guest::new().plug(Arc::new(Entropy::new(io::repeat(1))));
    driver.init(0);
    let used = driver.request(0, &[], &[1 << 20, 1 << 20]);
    assert_eq!(used.written, 64 * 1024);
}

#[test]
fn a_request_without_room_comes_back_empty() {
    let mut driver = Guest::new().plug(Arc::new(Entropy::new(io::repeat(1))));
    driver.init(0);
    assert_eq!(driver.request(0, &[b"no room here"], &[]).written, 0);
}

#[test]
fn a_source_that_fails_gives_nothing_and_is_asked_again() {
    struct Flaky(bool);
    impl Read for Flaky {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            self.0 = !self.0;
            if self.0 {
                return Err(io::ErrorKind::Other.into());
            }
            buf.fill(9);
            Ok(buf.len())
        }
    }
    let mut driver = Guest::new().plug(Arc::new(Entropy::new(Flaky(false))));
    driver.init(0);
    assert_eq!(driver.request(0, &[], &[4]).written, 0);
    assert_eq!(driver.request(0, &[], &[4]).data, [9; 4]);
}
