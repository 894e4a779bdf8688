//! TLS, with other people's TLS at the other end.

use std::process::Command;
use std::sync::Arc;

use block::contract::{self, MemoryDisk};
use block::nbd::{Client, ClientOptions, Credentials, ServerOptions, Uri};
use tempfile::tempdir;

use crate::certificates;
use crate::serving::{Ours, Theirs, connect, export, run};

/// The URI of a server on `socket` with the certificates in `folder`.
fn encrypted(folder: &std::path::Path, more: &str) -> Uri {
    let (socket, folder) = (folder.join("s"), folder.display());
    let text = format!("nbds+unix:///?socket={}&tls-certificates={folder}&{more}", socket.display());
    text.parse().unwrap()
}

#[test]
fn our_server_and_every_client() {
    let folder = tempdir().unwrap();
    certificates::make(folder.path());
    let tls = Some(Credentials::server(folder.path(), true).unwrap());
    let disk = Arc::new(MemoryDisk::new(2 << 20));
    let options = ServerOptions { tls, ..ServerOptions::default() };
    let server = Ours::start(&folder.path().join("s"), vec![export("", disk)], options);
    let uri = encrypted(folder.path(), "tls-hostname=localhost");
    let client = connect(&uri);
    contract::operations(&client, 1, 150);
    contract::threads(&client, 1, 60);
    let info = run(Command::new("nbdinfo").arg(encrypted(folder.path(), "tls-hostname=localhost").to_string()));
    assert!(info.contains("with TLS"), "{info}");
    let credentials = format!("tls-creds-x509,id=t,endpoint=client,dir={}", folder.path().display());
    let image = format!(
        "driver=nbd,server.type=unix,server.path={},tls-creds=t,tls-hostname=localhost",
        server.socket.display()
    );
    let (object, image) = (["--object", &credentials], ["--image-opts", &image]);
    run(Command::new("qemu-io").args(object).args(image).args(["-c", "write -P 9 0 1M", "-c", "read -P 9 0 1M"]));

    let plain = Client::connect(&server.uri(), &ClientOptions::default()).err().unwrap().to_string();
    assert!(plain.contains("`nbds`"), "{plain}");
    let other = encrypted(folder.path(), "tls-hostname=elsewhere");
    let other = Client::connect(&other, &ClientOptions::default()).err().unwrap().to_string();
    assert!(other.contains("TLS"), "{other}");
    // Without a certificate of its own a client is not let in.
    let stranger = format!("nbds+unix:///?socket={}&tls-verify-peer=false", server.socket.display());
    assert!(Client::connect(&stranger.parse().unwrap(), &ClientOptions::default()).is_err());
    drop(client);
    server.stop().unwrap();
}

#[test]
fn our_client_and_qemu_nbd() {
    let folder = tempdir().unwrap();
    certificates::make(folder.path());
    let image = folder.path().join("disk");
    std::fs::File::create(&image).unwrap().set_len(2 << 20).unwrap();
    let object = format!("tls-creds-x509,id=t,endpoint=server,verify-peer=yes,dir={}", folder.path().display());
    let _server = Theirs::qemu_nbd(&folder.path().join("s"), &image, &["--object", &object, "--tls-creds=t"]);
    let client = connect(&encrypted(folder.path(), "tls-hostname=localhost"));
    contract::operations(&client, 2, 150);
    contract::threads(&client, 2, 60);
}

#[test]
fn our_client_and_nbdkit() {
    let folder = tempdir().unwrap();
    certificates::make(folder.path());
    let certificates = format!("--tls-certificates={}", folder.path().display());
    let server = ["--tls=require", "--tls-verify-peer", &certificates, "memory", "2M"];
    let _server = Theirs::nbdkit(&folder.path().join("s"), &server);
    contract::operations(&connect(&encrypted(folder.path(), "tls-hostname=localhost")), 3, 150);
    let _plain = Theirs::nbdkit(&folder.path().join("p"), &["--tls=off", "memory", "2M"]);
    let uri = format!("nbds+unix:///?socket={}&tls-verify-peer=no", folder.path().join("p").display());
    let error = Client::connect(&uri.parse().unwrap(), &ClientOptions::default()).err().unwrap().to_string();
    assert!(error.contains("the server has none"), "{error}");
}
