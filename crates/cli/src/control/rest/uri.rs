//! Where vfkit's REST interface listens.

use std::path::PathBuf;
use std::str::FromStr;

/// `tcp://HOST:PORT`, `unix:///PATH` or `none`, as vfkit's `--restful-uri` has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RestUri {
    /// Nowhere.
    None,
    /// On this host and port.
    Tcp(String),
    /// On this unix socket.
    Unix(PathBuf),
}

impl FromStr for RestUri {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not where requests can come: write tcp://HOST:PORT, unix:///PATH or none");
        let (scheme, rest) = text.split_once(':').unwrap_or((text, ""));
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        match scheme.to_ascii_lowercase().as_str() {
            "none" if rest.is_empty() => Ok(Self::None),
            "tcp" | "http" => {
                let address = rest.strip_suffix('/').unwrap_or(rest);
                let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
                let is_whole = !host.is_empty() && !address.contains('/') && port.parse::<u16>().is_ok();
                if is_whole { Ok(Self::Tcp(address.to_owned())) } else { Err(wrong()) }
            }
            "unix" if rest.starts_with('/') => Ok(Self::Unix(rest.into())),
            _ => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_vfkit_has_them() {
        let tcp = |address: &str| RestUri::Tcp(address.to_owned());
        for (text, uri) in [
            ("none", RestUri::None),
            ("none://", RestUri::None),
            ("tcp://localhost:8081", tcp("localhost:8081")),
            ("TCP://[::1]:8081", tcp("[::1]:8081")),
            ("http://127.0.0.1:1/", tcp("127.0.0.1:1")),
            ("unix:///run/a b.sock", RestUri::Unix("/run/a b.sock".into())),
            ("unix:/run/a.sock", RestUri::Unix("/run/a.sock".into())),
        ] {
            assert_eq!(text.parse(), Ok(uri), "{text}");
        }
        for wrong in
            ["", "tcp", "tcp://localhost", "tcp://:80", "tcp://a:b", "tcp://a:1/b", "unix://a.sock", "ftp://a:1"]
        {
            assert!(wrong.parse::<RestUri>().unwrap_err().contains("unix:///PATH"), "{wrong}");
        }
    }
}
