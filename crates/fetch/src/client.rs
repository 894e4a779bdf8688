//! The HTTP client.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig, TlsProvider};

/// Longest headers of an answer, in bytes.
const MAX_HEADERS: usize = 64 << 10;
/// Most redirects that are followed.
const MAX_REDIRECTS: u32 = 10;

/// A client for `url`, that gives up a server which is silent for `patience`. Proxies are those of the environment.
pub(crate) fn agent(url: &str, patience: Duration) -> Agent {
    let tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .root_certs(RootCerts::PlatformVerifier)
        .unversioned_rustls_crypto_provider(Arc::<CryptoProvider>::new(rustls::crypto::ring::default_provider()))
        .build();
    Agent::config_builder()
        .tls_config(tls)
        // What began encrypted is not redirected to what is not.
        .https_only(is_https(url))
        .http_status_as_error(false)
        .max_redirects(MAX_REDIRECTS)
        .max_response_header_size(MAX_HEADERS)
        .user_agent(concat!("russet/", env!("CARGO_PKG_VERSION")))
        // A range of what was packed on the way is no range of the file.
        .accept_encoding("identity")
        .timeout_resolve(Some(patience))
        .timeout_connect(Some(patience))
        .timeout_per_read(Some(patience))
        .timeout_per_write(Some(patience))
        .build()
        .into()
}

/// Whether it can be fetched at all.
pub(crate) fn is_url(text: &str) -> bool {
    is_https(text) || has_scheme(text, "http://")
}

/// A URL as it may be shown and stored: without the user's name and password (RFC 3986, section 3.2.1).
#[must_use]
pub fn public_url(url: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = url.split_once("://") else { return url.into() };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://{host}{path}").into(),
        None => url.into(),
    }
}

fn is_https(text: &str) -> bool {
    has_scheme(text, "https://")
}

fn has_scheme(text: &str, scheme: &str) -> bool {
    text.get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme)) && text.len() > scheme.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_passwords_are_not_shown() {
        for (url, shown) in [
            ("https://ann:secret@example.org/a", "https://example.org/a"),
            ("https://ann:s@cret@example.org:8443?b=c@d", "https://example.org:8443?b=c@d"),
            ("HTTP://secret@[::1]:80/a", "HTTP://[::1]:80/a"),
            ("ftp://ann:secret@example.org", "ftp://example.org"),
            ("https://example.org/@scope/a", "https://example.org/@scope/a"),
            ("https://example.org", "https://example.org"),
            ("file@2", "file@2"),
        ] {
            assert_eq!(public_url(url), shown);
        }
    }
}
