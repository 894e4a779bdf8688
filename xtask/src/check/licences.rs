//! The licences of all crates that are built in, against the list in `deny.toml`.

use anyhow::{Context, Result};
use serde_json::Value;

use super::Finding;

/// The licences that are allowed, from the text of `deny.toml`.
///
/// # Errors
/// When there is no `allow` of `[licenses]` in it.
pub(super) fn allowed(text: &str) -> Result<Vec<String>> {
    let file: toml::Table = text.parse().context("deny.toml")?;
    let list = file.get("licenses").and_then(|l| l.get("allow")).and_then(toml::Value::as_array);
    let list = list.context("deny.toml has no list `allow` in [licenses]")?;
    Ok(list.iter().filter_map(|l| l.as_str().map(str::to_owned)).collect())
}

/// Checks what `cargo metadata` says.
pub(super) fn check(metadata: &Value, allowed: &[String], findings: &mut Vec<Finding>) {
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        let licence = package["license"].as_str().unwrap_or_default();
        if !allows(licence, allowed) {
            let licence = if licence.is_empty() { "no licence" } else { licence };
            let what = format!("{licence}: not allowed by deny.toml; take another crate, or add the licence there");
            findings.push(Finding::new(format!("crate {name}"), what));
        }
    }
}

/// Whether an SPDX expression (of which AND binds tighter than OR) can be met with what is allowed. Some crates still
/// write `/` for OR.
fn allows(expression: &str, allowed: &[String]) -> bool {
    let expression = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = expression.split_whitespace().peekable();
    any(&mut words, allowed).is_some_and(|good| good && words.peek().is_none())
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any(words: &mut Words<'_>, allowed: &[String]) -> Option<bool> {
    let mut good = all(words, allowed)?;
    while words.next_if_eq(&"OR").is_some() {
        good |= all(words, allowed)?;
    }
    Some(good)
}

fn all(words: &mut Words<'_>, allowed: &[String]) -> Option<bool> {
    let mut good = one(words, allowed)?;
    while words.next_if_eq(&"AND").is_some() {
        good &= one(words, allowed)?;
    }
    Some(good)
}

fn one(words: &mut Words<'_>, allowed: &[String]) -> Option<bool> {
    let word = words.next()?;
    if word == "(" {
        let good = any(words, allowed)?;
        return (words.next()? == ")").then_some(good);
    }
    let name = match words.next_if_eq(&"WITH") {
        Some(_) => format!("{word} WITH {}", words.next()?),
        None => word.to_owned(),
    };
    Some(allowed.contains(&name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const LIST: &str = "[licenses]\nallow = ['MIT', 'Apache-2.0', 'Unicode-3.0', 'Apache-2.0 WITH LLVM-exception']";

    #[test]
    fn expressions_are_met_or_not() {
        let allowed = allowed(LIST).unwrap();
        for good in [
            "MIT",
            "MIT OR GPL-2.0-only",
            "GPL-2.0-only OR MIT",
            "BSL-1.0 / MIT",
            "(MIT OR NCSA) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception OR NCSA",
            "NCSA AND NCSA OR MIT",
        ] {
            assert!(allows(good, &allowed), "{good}");
        }
        for bad in [
            "",
            "GPL-2.0-only",
            "MIT AND GPL-2.0-only",
            "(MIT OR Apache-2.0) AND NCSA",
            "MIT WITH LLVM-exception",
            "(MIT",
            "MIT Apache-2.0",
            "MIT OR",
            "AND",
        ] {
            assert!(!allows(bad, &allowed), "{bad}");
        }
    }

    #[test]
    fn a_crate_without_an_allowed_licence_is_found() {
        let metadata = json!({"packages": [
            {"name": "good", "license": "MIT"},
            {"name": "none", "license": null},
            {"name": "bad", "license": "SSPL-1.0"},
        ]});
        let mut findings = Vec::new();
        check(&metadata, &allowed(LIST).unwrap(), &mut findings);
        let places: Vec<_> = findings.iter().map(|f| f.place.as_str()).collect();
        assert_eq!(places, ["crate none", "crate bad"]);
        assert!(allowed("[licenses]").is_err() && allowed("[").is_err());
    }
}
