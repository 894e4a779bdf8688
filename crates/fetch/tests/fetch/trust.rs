//! Whom an encrypted download trusts: those whom the host does.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use fetch::{Cancel, Error, fetch};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::{Place, options};

/// A server with a certificate that it has given itself; its port. It ends with the process.
fn server(answer: &'static str) -> (u16, rcgen::Certificate) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let chain = vec![CertificateDer::from(made.cert.der().to_vec())];
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut stream = StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), stream);
            let mut line = String::new();
            // Who does not trust us says nothing more.
            if BufReader::new(&mut stream).read_line(&mut line).is_ok() && !line.is_empty() {
                let _ = stream.write_all(answer.as_bytes());
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        }
    });
    (port, made.cert)
}

#[test]
fn a_server_that_nobody_vouches_for_is_refused_at_once() {
    let (port, _) = server("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nhere");
    let place = Place::new();
    let error = place.fetch(&format!("https://localhost:{port}/")).unwrap_err();
    assert!(matches!(&error, Error::Answer { what, .. } if what.contains("certificate")), "{error}");
    assert!(!place.path().exists());
}

/// Set for the test below in a process of its own, whose roots are another file: the port.
const PORT: &str = "RUSSET_TEST_PORT";

#[test]
fn the_hosts_roots_are_trusted_and_what_is_encrypted_stays_so() {
    if let Ok(port) = std::env::var(PORT) {
        let place = Place::new();
        let url = format!("https://localhost:{port}/");
        let error = fetch(&url, &place.path(), &options(), &Cancel::default(), &mut |_| ()).unwrap_err();
        assert!(error.to_string().contains("`http://localhost/a`, which is not encrypted"), "{error}");
        return;
    }
    // On a Mac roots are in keychains, to which a test adds nothing.
    if cfg!(target_os = "macos") {
        return;
    }
    let (port, certificate) = server("HTTP/1.1 302 .\r\ncontent-length: 0\r\nlocation: http://localhost/a\r\n\r\n");
    let folder = tempfile::tempdir().unwrap();
    let roots = folder.path().join("roots.pem");
    std::fs::write(&roots, certificate.pem()).unwrap();
    let name = "trust::the_hosts_roots_are_trusted_and_what_is_encrypted_stays_so";
    let mut again = std::process::Command::new(std::env::current_exe().unwrap());
    again.args([name, "--exact"]).env(PORT, port.to_string()).env("SSL_CERT_FILE", &roots);
    assert!(again.status().unwrap().success());
}
