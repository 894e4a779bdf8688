//! Our NBD server under any client: from its first byte, after the greeting, or with an export and chunks agreed on.
#![no_main]

use std::io::{Write, sink};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;

use arbitrary::Arbitrary;
use block::contract::MemoryDisk;
use block::nbd::{Export, Server, ServerOptions, Socket};
use libfuzzer_sys::fuzz_target;
use russet_fuzz::with_threads;

#[derive(Arbitrary, Debug)]
enum Client {
    Raw(Vec<u8>),
    /// Options with headers that are right.
    Options(Vec<(u8, Vec<u8>)>),
    /// Requests with their magic number.
    Requests(Vec<Request>),
}

#[derive(Arbitrary, Debug)]
struct Request {
    flags: u8,
    kind: u8,
    offset: u32,
    len: u16,
    payload: Vec<u8>,
}

fn option(kind: u32, data: &[u8]) -> Vec<u8> {
    [b"IHAVEOPT", &kind.to_be_bytes()[..], &(data.len() as u32).to_be_bytes(), data].concat()
}

fn bytes(client: Client) -> Vec<u8> {
    let mut bytes = 3u32.to_be_bytes().to_vec();
    match client {
        Client::Raw(raw) => return raw,
        Client::Options(options) => {
            options.iter().for_each(|(kind, data)| bytes.extend(option((kind % 12).into(), data)));
        }
        Client::Requests(requests) => {
            let query = b"\0\0\0\0\0\0\0\x01\0\0\0\x0fbase:allocation";
            bytes.extend([option(8, b""), option(10, query), option(7, &[0; 6])].concat());
            for request in requests {
                bytes.extend(0x2560_9513u32.to_be_bytes());
                bytes.extend([0, request.flags, 0, request.kind % 9]);
                bytes.extend([7; 8]);
                bytes.extend(u64::from(request.offset % (1 << 17)).to_be_bytes());
                bytes.extend(u32::from(request.len).to_be_bytes());
                bytes.extend(request.payload);
            }
        }
    }
    bytes
}

fuzz_target!(|client: Client| with_threads(|| serve(&bytes(client))));

/// Serves a client that sends `bytes`.
fn serve(bytes: &[u8]) {
    let disk = Arc::new(MemoryDisk::new(1 << 16));
    let export = Export { name: String::new(), description: "x".into(), read_only: false, disk };
    let server = Server::new(vec![export], ServerOptions::default()).unwrap();
    let (mut theirs, ours) = UnixStream::pair().unwrap();
    let mut answers = theirs.try_clone().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || std::io::copy(&mut answers, &mut sink()));
        scope.spawn(move || {
            // The server may close before it has taken everything.
            let _ = theirs.write_all(bytes);
            let _ = theirs.shutdown(Shutdown::Write);
        });
        let socket = Arc::new(Socket::from(ours));
        let _ = server.serve(&socket);
        drop(socket);
    });
}
