//! The switch under members that send anything, and its table of addresses.
#![no_main]

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::OnceLock;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use net::MacAddr;
use net::switch::{Hub, Table};

#[derive(Arbitrary, Debug)]
struct Input {
    /// What members do: which of four, and a frame behind a header of ten bytes; `raw`: without a length before it.
    members: Vec<(u8, bool, Vec<u8>)>,
    /// What is learnt: an address at a port, or the end of a port.
    table: Vec<(u16, u8, bool)>,
}

/// One switch for all runs: what one has sent must not harm the next.
fn switch() -> &'static (Hub, std::path::PathBuf) {
    static SWITCH: OnceLock<(Hub, std::path::PathBuf)> = OnceLock::new();
    SWITCH.get_or_init(|| {
        let path = tempfile::tempdir().unwrap().keep().join("switch");
        (Hub::start(UnixListener::bind(&path).unwrap(), None).unwrap(), path)
    })
}

fuzz_target!(|input: Input| {
    let mut table = Table::new();
    for (n, port, unplug) in input.table {
        let [a, b] = n.to_be_bytes();
        table.learn(MacAddr([2, 0, 0, 0, a, b]), port.into());
        if unplug {
            table.unplug(port.into());
        }
        assert!(table.len() <= 256 * 128);
    }
    let (_, path) = switch();
    let mut members: Vec<_> = (0..4).map(|_| UnixStream::connect(path).unwrap()).collect();
    for (who, raw, bytes) in input.members {
        let member = &mut members[usize::from(who % 4)];
        member.set_nonblocking(true).unwrap();
        if !raw {
            let _ = member.write(&(bytes.len() as u32).to_be_bytes());
        }
        let _ = member.write(&bytes);
        let _ = member.read(&mut [0; 4096]);
    }
});
