//! Where macOS comes from.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use fetch::Sha256;

/// A restore image (IPSW), as users name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestoreSource {
    /// `latest`: the latest that this Mac can install, as Apple says.
    Latest,
    /// `https://` or `http://`.
    Url(String),
    /// Anything else.
    File(PathBuf),
}

impl FromStr for RestoreSource {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let is_url = |scheme: &str| text.get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme));
        Ok(match text {
            "latest" => Self::Latest,
            text if is_url("https://") || is_url("http://") => Self::Url(text.to_owned()),
            text => Self::File(text.into()),
        })
    }
}

/// Where in a cache the file of a URL is: by its own name, and by the URL, because others may have that name, too. Who asks
/// for it is not part of that.
pub(super) fn place(cache: &Path, url: &str) -> PathBuf {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    let stem = name.strip_suffix(".ipsw").unwrap_or(name);
    let plain = |letter: char| if letter.is_ascii_alphanumeric() || "-_.".contains(letter) { letter } else { '_' };
    let stem: String = stem.trim_start_matches('.').chars().map(plain).take(100).collect();
    let sum = Sha256::of(fetch::public_url(url).as_bytes()).to_string();
    cache.join(format!("{stem}-{}.ipsw", &sum[..8]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_users_name() {
        let source = |text: &str| text.parse::<RestoreSource>().unwrap();
        assert_eq!(source("latest"), RestoreSource::Latest);
        assert_eq!(source("./latest"), RestoreSource::File("./latest".into()));
        assert_eq!(source("HTTPS://a/b.ipsw"), RestoreSource::Url("HTTPS://a/b.ipsw".into()));
        assert_eq!(source("https"), RestoreSource::File("https".into()));
    }

    #[test]
    fn files_of_the_cache_have_plain_names_and_each_url_has_its_own() {
        let name = |url: &str| place(Path::new("/c"), url).strip_prefix("/c").unwrap().to_str().unwrap().to_owned();
        let apple = name("https://updates.cdn-apple.com/x/UniversalMac_15.6.1_24G90_Restore.ipsw");
        assert!(apple.starts_with("UniversalMac_15.6.1_24G90_Restore-") && apple.ends_with(".ipsw"), "{apple}");
        assert_ne!(name("https://a/x.ipsw"), name("https://b/x.ipsw"));
        assert_eq!(name("https://a/x.ipsw"), name("https://ann:secret@a/x.ipsw"));
        for url in [
            "https://a/..",
            "https://a/",
            "https://a/%2e%2e/ä b\n.ipsw?c=/d",
            &format!("https://a/{}", "x".repeat(999)),
        ] {
            let name = name(url);
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            assert!(name.bytes().all(plain) && name.len() < 128 && !name.starts_with('.'), "{name}");
        }
    }
}
