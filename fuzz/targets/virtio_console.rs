//! The console under a driver that does anything, and a host that types, reads, resizes and goes away.
#![no_main]

use std::sync::Arc;

use devices::virtio::console::{Console, Port, PortBackend, pipe};
use libfuzzer_sys::fuzz_target;
use russet_fuzz::{Op, drive};

fuzz_target!(|input: (u8, Vec<Op>)| {
    let (ports, ops) = input;
    let (backends, ends): (Vec<_>, Vec<_>) = (0..=ports % 4).map(|_| pipe()).unzip();
    let port = |backend| Port { is_console: ports & 16 != 0, name: "name".to_owned(), backend };
    let ports = backends.into_iter().map(|b| port(b as Arc<dyn PortBackend>)).collect();
    let console = Arc::new(Console::new(ports));
    drive(console.clone(), ops, |what, data| {
        let end = &ends[usize::from(what >> 2) % ends.len()];
        match what % 4 {
            0 => drop(end.try_write(data)),
            1 => drop(end.try_read(&mut [0; 1 << 16])),
            2 => console.resize(data.len() as u16, what.into()),
            _ => end.close(),
        }
    });
});
