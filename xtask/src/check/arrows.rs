//! The arrows between the crates, as in ARCHITECTURE.md: they point down only.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Finding;

/// The picture: a crate, and those right below it. It may use all that lie below those, too.
const ARROWS: [(&str, &[&str]); 14] = [
    ("russet", &["vm", "vz", "config"]),
    ("vm", &["machine", "vz", "fetch", "config"]),
    ("machine", &["devices", "soft", "hv", "arm64", "config"]),
    ("devices", &["block", "net", "fs", "display"]),
    ("soft", &["hv"]),
    ("hv", &["arm64"]),
    ("vz", &["config"]),
    ("arm64", &[]),
    ("block", &[]),
    ("config", &[]),
    ("display", &[]),
    ("fetch", &[]),
    ("fs", &[]),
    ("net", &[]),
];

/// Crates for tests and development. They may use everything, and are dependencies of tests only.
const TOOLS: [&str; 3] = ["testkit", "difftest", "xtask"];

/// Checks what `cargo metadata --no-deps` says.
pub(super) fn check(metadata: &Value, findings: &mut Vec<Finding>) {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let packages = list(&metadata["packages"]);
    let ours: BTreeSet<String> = packages.iter().map(|p| short(&p["name"])).collect();
    let below = closure();
    for package in &packages {
        let name = short(&package["name"]);
        let dependencies = list(&package["dependencies"]);
        let of_ours = dependencies.iter().filter(|d| d["kind"] != "dev" && d["path"].is_string());
        if TOOLS.contains(&name.as_str()) {
            continue;
        }
        if !below.contains_key(name.as_str()) {
            let what = "this crate is not in the picture: draw it in ARCHITECTURE.md and in ARROWS of xtask";
            findings.push(Finding::new(format!("crate {name}"), what));
            continue;
        }
        for dependency in of_ours.map(|d| short(&d["name"])).filter(|d| ours.contains(d)) {
            let tool = TOOLS.contains(&dependency.as_str());
            let allowed = below.get(name.as_str()).is_some_and(|b| b.contains(dependency.as_str()));
            if allowed {
                continue;
            }
            let fix = if tool {
                "make it a dependency of tests ([dev-dependencies])".to_owned()
            } else {
                format!("turn it round with a trait in {name}, or move the wall and its picture in the same commit")
            };
            let what = format!("depends on {dependency}, and no arrow leads there: {fix}");
            findings.push(Finding::new(format!("crate {name}"), what));
        }
    }
}

/// All that lies below each crate.
fn closure() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let direct: BTreeMap<_, _> = ARROWS.iter().copied().collect();
    let mut all = BTreeMap::new();
    for (name, _) in ARROWS {
        let mut below = BTreeSet::new();
        let mut open = vec![name];
        while let Some(next) = open.pop() {
            open.extend(direct.get(next).into_iter().copied().flatten().copied().filter(|d| below.insert(*d)));
        }
        all.insert(name, below);
    }
    all
}

/// The crate's name without the project's.
fn short(name: &Value) -> String {
    let name = name.as_str().unwrap_or_default();
    name.strip_prefix("russet-").unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn findings(name: &str, kind: Option<&str>, on: &str) -> Vec<String> {
        let dependency = json!({"name": format!("russet-{on}"), "kind": kind, "path": "x"});
        let metadata = json!({"packages": [
            {"name": format!("russet-{name}"), "dependencies": [dependency]},
            {"name": format!("russet-{on}"), "dependencies": []},
        ]});
        let mut findings = Vec::new();
        check(&metadata, &mut findings);
        findings.into_iter().map(|f| f.text).collect()
    }

    #[test]
    fn arrows_point_down_only() {
        for (name, on) in [("devices", "block"), ("vm", "block"), ("soft", "arm64"), ("difftest", "soft")] {
            assert_eq!(findings(name, None, on), [""; 0], "{name} -> {on}");
        }
        for (name, on) in [("block", "devices"), ("devices", "hv"), ("config", "block"), ("soft", "devices")] {
            assert!(findings(name, None, on)[0].contains("no arrow"), "{name} -> {on}");
        }
        assert!(findings("vm", None, "testkit")[0].contains("dev-dependencies"));
        assert_eq!(findings("vm", Some("dev"), "testkit"), [""; 0]);
        assert!(findings("nova", None, "block")[0].contains("not in the picture"));
    }

    #[test]
    fn the_picture_has_no_circle() {
        for (name, below) in closure() {
            assert!(!below.contains(name), "{name}");
        }
    }
}
