//! Peers that do not keep to the protocol.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::thread;

use block::contract::MemoryDisk;
use block::nbd::{Client, ClientOptions};
use tempfile::tempdir;

use crate::serving::{Ours, connect, uri};

/// What a client gets that begins like this and then sends nothing more.
fn answer(bytes: &[u8]) -> Vec<u8> {
    let folder = tempdir().unwrap();
    let server = Ours::of(&folder.path().join("s"), Arc::new(MemoryDisk::new(1 << 20)));
    let mut socket = UnixStream::connect(&server.socket).unwrap();
    // The server may close before it has taken everything.
    let _ = socket.write_all(bytes);
    let _ = socket.shutdown(std::net::Shutdown::Write);
    let mut got = Vec::new();
    let _ = socket.read_to_end(&mut got);
    // It still serves others.
    block::contract::operations(&connect(&server.uri()), 1, 10);
    got
}

/// An option with its header.
fn option(kind: u32, data: &[u8]) -> Vec<u8> {
    [b"IHAVEOPT", &kind.to_be_bytes()[..], &(data.len() as u32).to_be_bytes(), data].concat()
}

fn hello(rest: &[&[u8]]) -> Vec<u8> {
    [&3u32.to_be_bytes()[..], &rest.concat()].concat()
}

#[test]
fn our_server_survives_what_clients_send() {
    let error = |got: &[u8]| got.len() >= 18 + 20 && got[18 + 12] & 0x80 != 0;
    for (what, bytes) in [
        ("a name that is longer than the option", option(7, &[0xff; 12])),
        ("more queries than there are", option(10, &[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff])),
        ("an unknown option", option(0xdead_beef, b"x")),
        ("an option that is too long", option(3, &vec![0; 100_000])),
        ("TLS where there is none", option(5, b"")),
        ("a list with data", option(3, b"x")),
        ("an export that is not there", option(7, &[0, 0, 0, 1, b'x', 0, 0])),
    ] {
        assert!(error(&answer(&hello(&[&bytes]))), "{what}");
    }
    let name = option(1, b"");
    let request = |kind: u16, offset: u64, len: u32| {
        let head = [&0x2560_9513u32.to_be_bytes()[..], &0u16.to_be_bytes(), &kind.to_be_bytes(), &[1; 8]].concat();
        [&head[..], &offset.to_be_bytes(), &len.to_be_bytes()].concat()
    };
    for (what, bytes, code) in [
        ("a read beyond the end", request(0, u64::MAX, 1), 22),
        ("a read of 4 GiB", request(0, 0, u32::MAX), 22),
        ("an unknown command", request(99, 0, 0), 22),
        ("block status that was not agreed on", request(7, 0, 512), 22),
        ("a write beyond the end", [request(1, 1 << 20, 4), vec![0; 4]].concat(), 28),
        ("a write of nothing", request(1, 0, 0), 0),
        ("a read of nothing", request(0, 1 << 20, 0), 0),
    ] {
        let got = answer(&hello(&[&name, &bytes]));
        let reply = &got[18 + 10..];
        assert_eq!(reply.len(), 16, "{what}");
        assert_eq!(u32::from_be_bytes([reply[4], reply[5], reply[6], reply[7]]), code, "{what}");
    }
    for (what, bytes) in [
        ("flags that nobody knows", 0xffu32.to_be_bytes().to_vec()),
        ("no option", hello(&[b"GET / HTTP/1.1\r\n\r\n"])),
        ("an option of 4 GiB", hello(&[&b"IHAVEOPT\0\0\0\x03\xff\xff\xff\xff"[..]])),
        ("an export name of 16 KiB", hello(&[&option(1, &[b'x'; 17_000])])),
    ] {
        assert_eq!(answer(&bytes).len(), 18, "{what}: only the greeting");
    }
}

#[test]
fn our_client_survives_what_servers_send() {
    for (what, bytes, said) in [
        ("something else", b"SSH-2.0-OpenSSH_9.2 and more words than a greeting has".to_vec(), "no NBD server"),
        ("oldstyle", [b"NBDMAGIC", &0x0000_4202_8186_1253u64.to_be_bytes()[..], &[0; 136]].concat(), "oldstyle"),
        ("newstyle, not fixed", b"NBDMAGICIHAVEOPT\0\0".to_vec(), "oldstyle"),
        ("an end", b"NBDMAGIC".to_vec(), "negotiate"),
        (
            "an endless answer",
            [
                b"NBDMAGICIHAVEOPT\0\x03",
                &0x0003_e889_0455_65a9u64.to_be_bytes()[..],
                &[0, 0, 0, 8, 0, 0, 0, 1, 0xff, 0, 0, 0],
            ]
            .concat(),
            "far too long",
        ),
    ] {
        let folder = tempdir().unwrap();
        let socket = folder.path().join("s");
        let listener = UnixListener::bind(&socket).unwrap();
        let server = thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            client.write_all(&bytes).unwrap();
            client.shutdown(std::net::Shutdown::Write).unwrap();
            let _ = client.read_to_end(&mut Vec::new());
        });
        let error = Client::connect(&uri(&socket), &ClientOptions::default()).err().unwrap().to_string();
        assert!(error.contains(said), "{what}: {error}");
        server.join().unwrap();
    }
}
