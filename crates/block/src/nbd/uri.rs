//! NBD URIs: `nbd://host:port/export`, `nbd+unix:///export?socket=path`, and `nbds` for TLS.
//!
//! From "The NBD URI specification" (doc/uri.md of the NetworkBlockDevice project). Of libnbd's additions,
//! `tls-certificates`, `tls-hostname` and `tls-verify-peer` are understood.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::{Address, DEFAULT_PORT, Error};

/// An export of a server, and how to reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uri {
    /// The server.
    pub address: Address,
    /// The name of the export; empty for the server's default.
    pub export: String,
    /// How to encrypt.
    pub tls: Option<TlsParameters>,
    text: String,
}

/// What a URI says about TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsParameters {
    /// The folder with `ca-cert.pem` and, for servers that ask for it, `client-cert.pem` and `client-key.pem`.
    pub certificates: Option<PathBuf>,
    /// The name that the server's certificate must have, where it is not the host of the URI.
    pub hostname: Option<String>,
    /// Whether the server's certificate is checked.
    pub verify_peer: bool,
}

impl FromStr for Uri {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parse(text).map_err(|what| Error::Uri { uri: text.to_owned(), what })
    }
}

/// As it was written.
impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn parse(text: &str) -> Result<Uri, String> {
    let forms = "write it as `nbd://host:port/export` or `nbd+unix:///export?socket=path`, with `nbds` for TLS";
    let (scheme, rest) = text.split_once("://").ok_or_else(|| format!("this is no NBD URI: {forms}"))?;
    let (unix, encrypted) = match scheme {
        "nbd" => (false, false),
        "nbds" => (false, true),
        "nbd+unix" => (true, false),
        "nbds+unix" => (true, true),
        _ => return Err(format!("`{scheme}` is no scheme of NBD: {forms}")),
    };
    if rest.contains('#') {
        return Err("a `#` has no meaning here: write it as %23".to_owned());
    }
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut socket = None;
    let mut tls = TlsParameters { certificates: None, hostname: None, verify_peer: true };
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decode(value)?;
        match key {
            "socket" => socket = Some(PathBuf::from(value)),
            "tls-certificates" => tls.certificates = Some(value.into()),
            "tls-hostname" => tls.hostname = Some(value),
            "tls-verify-peer" => tls.verify_peer = boolean(&value)?,
            "tls-psk-file" => return Err("TLS with pre-shared keys cannot be had: use `tls-certificates`".to_owned()),
            // Unknown parameters are ignored by the specification, but nothing that is meant to protect.
            key if key.starts_with("tls-") => return Err(format!("`{key}` cannot be had: remove it")),
            _ => {}
        }
    }
    let address = if unix {
        if !authority.is_empty() {
            return Err(format!("a unix socket has no host `{authority}`: write three slashes, `{scheme}:///export`"));
        }
        let path = socket.filter(|path| !path.as_os_str().is_empty());
        Address::Unix(path.ok_or_else(|| "the socket is missing: add `?socket=path`".to_owned())?)
    } else if socket.is_some() {
        return Err(format!("`socket` goes with `{scheme}+unix`"));
    } else {
        tcp(authority)?
    };
    let export = decode(path)?;
    if export.len() > super::spec::MAX_STRING {
        return Err("the name of the export is longer than 4096 bytes".to_owned());
    }
    Ok(Uri { address, export, tls: encrypted.then_some(tls), text: text.to_owned() })
}

fn tcp(authority: &str) -> Result<Address, String> {
    if authority.contains('@') {
        return Err("NBD has no user names: remove what is before the `@`".to_owned());
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or("the `]` after the IPv6 address is missing")?;
            (host.to_owned(), rest.strip_prefix(':').unwrap_or(rest))
        }
        None => {
            let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
            (decode(host)?, port)
        }
    };
    let port = match port {
        "" => DEFAULT_PORT,
        port => port.parse().map_err(|_| format!("`{port}` is no port: give a number from 1 to 65535"))?,
    };
    let host = if host.is_empty() { "localhost".to_owned() } else { host };
    Ok(Address::Tcp { host, port })
}

fn boolean(value: &str) -> Result<bool, String> {
    match value {
        "1" | "true" | "t" | "yes" | "y" | "on" => Ok(true),
        "0" | "false" | "f" | "no" | "n" | "off" => Ok(false),
        _ => Err(format!("`{value}` is neither true nor false")),
    }
}

/// Undoes percent-encoding (RFC 3986, 2.1).
fn decode(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|b| char::from(b).to_digit(16));
        let (high, low) = (digit(), digit());
        let (Some(high), Some(low)) = (high, low) else {
            return Err(format!("`{text}`: after `%` go two hexadecimal digits"));
        };
        bytes.push((high << 4 | low) as u8);
    }
    let text = String::from_utf8(bytes).map_err(|_| format!("`{text}` is not UTF-8"))?;
    if text.contains('\0') { Err("a zero byte has no place here".to_owned()) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read() {
        let tcp = |host: &str, port| Address::Tcp { host: host.into(), port };
        for (text, address, export, tls) in [
            ("nbd://host:1234/x", tcp("host", 1234), "x", false),
            ("nbd://host", tcp("host", 10809), "", false),
            ("nbd://", tcp("localhost", 10809), "", false),
            ("nbds://[::1]:7/a%20b/c?tls-verify-peer=false", tcp("::1", 7), "a b/c", true),
            ("nbd+unix:///?socket=/tmp/a%3Fb", Address::Unix("/tmp/a?b".into()), "", false),
            ("nbds+unix:///e%2Ff?other=1&socket=s", Address::Unix("s".into()), "e/f", true),
        ] {
            let uri: Uri = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!((uri.address, uri.export.as_str(), uri.tls.is_some()), (address, export, tls), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_mend() {
        for (text, said) in [
            ("host:1234", "write it as"),
            ("http://host", "no scheme"),
            ("nbd://host:http/x", "no port"),
            ("nbd://me@host", "no user names"),
            ("nbd+unix:///x", "add `?socket=path`"),
            ("nbd+unix://host/x?socket=y", "three slashes"),
            ("nbd://host/x?socket=y", "nbd+unix"),
            ("nbd://host/%4", "hexadecimal"),
            ("nbd://host/%ff", "UTF-8"),
            ("nbd://host/%00", "zero byte"),
            ("nbd://[::1/x", "`]`"),
            ("nbds://host/x?tls-psk-file=k", "pre-shared"),
            ("nbds://host/x?tls-priority=k", "remove it"),
        ] {
            let error = text.parse::<Uri>().expect_err(text).to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
