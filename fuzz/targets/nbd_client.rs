//! Our NBD client under any server: from its first byte, or with an export of 64 KiB and then any answers.
#![no_main]

use std::fs;
use std::io::{self, IoSlice, IoSliceMut, Write, sink};
use std::net::Shutdown;
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use arbitrary::Arbitrary;
use block::Disk;
use block::nbd::{Address, Client, ClientOptions};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
enum Server {
    Raw(Vec<u8>),
    Answers { structured: bool, context: bool, flags: u16, answers: Vec<Answer> },
}

#[derive(Arbitrary, Debug)]
enum Answer {
    Raw(Vec<u8>),
    Simple { error: u8, serial: u8, data: Vec<u8> },
    Chunk { last: bool, kind: u8, error: bool, serial: u8, data: Vec<u8> },
}

fn reply(option: u32, kind: u32, data: &[u8]) -> Vec<u8> {
    let head = [option, kind, data.len() as u32].map(u32::to_be_bytes).concat();
    [&0x0003_e889_0455_65a9u64.to_be_bytes()[..], &head, data].concat()
}

fn bytes(server: Server) -> Vec<u8> {
    let Server::Answers { structured, context, flags, answers } = server else {
        let Server::Raw(raw) = server else { return Vec::new() };
        return raw;
    };
    let mut bytes = b"NBDMAGICIHAVEOPT\0\x03".to_vec();
    bytes.extend(reply(8, if structured { 1 } else { 0x8000_0001 }, b""));
    if structured {
        if context {
            bytes.extend(reply(10, 4, b"\0\0\0\x05base:allocation"));
        }
        bytes.extend(reply(10, 1, b""));
    }
    let export = [&[0; 2][..], &(1u64 << 16).to_be_bytes(), &(flags | 1).to_be_bytes()].concat();
    bytes.extend([reply(7, 3, &export), reply(7, 1, b"")].concat());
    for answer in answers {
        // The client's cookies count from 1; the lowest byte is a slot, the first one for a single request.
        let cookie = |serial: u8| (u64::from(serial % 8) << 8).to_be_bytes();
        match answer {
            Answer::Raw(raw) => bytes.extend(raw),
            Answer::Simple { error, serial, data } => {
                bytes.extend([&[0x67, 0x44, 0x66, 0x98, 0, 0, 0, error][..], &cookie(serial), &data].concat());
            }
            Answer::Chunk { last, kind, error, serial, data } => {
                bytes.extend([0x66, 0x8e, 0x33, 0xef, 0, last.into(), u8::from(error) << 7, kind % 7]);
                bytes.extend([&cookie(serial)[..], &(data.len() as u32).to_be_bytes(), &data].concat());
            }
        }
    }
    bytes
}

fuzz_target!(|server: Server| {
    let bytes = bytes(server);
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let listener = UnixListener::bind(&socket).unwrap();
    let uri = Address::Unix(socket.clone()).uri("", false).parse().unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for client in listener.incoming() {
                let mut client = client.unwrap();
                if done.load(Ordering::Acquire) {
                    return;
                }
                // The client may close before it has taken everything.
                let _ = client.write_all(&bytes);
                let _ = client.shutdown(Shutdown::Write);
                let _ = io::copy(&mut client, &mut sink());
            }
        });
        let short = Duration::from_millis(200);
        let options =
            ClientOptions { answer_within: short, reconnect_for: Duration::ZERO, connections: 1, read_only: false };
        if let Ok(client) = Client::connect(&uri, &options) {
            let mut buf = [0; 4096];
            let _ = client.read(512, &mut [IoSliceMut::new(&mut buf)]);
            let _ = client.extent(0, 1 << 16);
            let _ = client.write(0, &[IoSlice::new(&buf)]);
            let _ = client.flush();
        }
        done.store(true, Ordering::Release);
        drop(std::os::unix::net::UnixStream::connect(&socket));
    });
    let _ = fs::remove_file(socket);
});
