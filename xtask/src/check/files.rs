//! Rules for single files.

use super::Finding;

/// The longest that a file may be, in lines.
const LONGEST: usize = 1000;

/// The crates in which there may be `unsafe`.
const UNSAFE: [&str; 6] = [
    "crates/hv/",
    "crates/soft/",
    "crates/vz/",
    "crates/net/src/tap",
    "crates/net/src/nat/sys/batch.rs",
    "crates/block/src/sys/vectors.rs",
];

/// What stands in no source file, and the fix. A pattern is in two parts, so that it does not find itself.
const FORBIDDEN: [(&str, &str, &str); 9] = [
    ("FIX", "ME", "do it, or leave it out and say so where users look"),
    ("XX", "X:", "do it, or leave it out and say so where users look"),
    ("#[ign", "ore", "make the test fast enough to run, or name the `cargo xtask` command that runs it"),
    ("allow(dead", "_code)", "remove what nobody uses"),
    ("allow(unused", ")", "remove what nobody uses"),
    ("mod ut", "ils", "name the module after what it is about"),
    ("/ho", "me/", "no paths of one machine: use HOME, a relative path or a temporary folder"),
    ("/ro", "ot/.", "no paths of one machine: use HOME, a relative path or a temporary folder"),
    ("/Us", "ers/", "no paths of one machine: use HOME, a relative path or a temporary folder"),
];

/// How far above `unsafe` its reason may begin, in lines.
const REASON_WITHIN: usize = 12;

/// Checks the file at `path` (from the workspace's folder).
pub(super) fn check(path: &str, text: &str, findings: &mut Vec<Finding>) {
    let source = [".rs", ".sh", ".toml", ".yml", ".yaml"].iter().any(|end| path.ends_with(end));
    if source && path != "Cargo.lock" {
        forbidden(path, text, findings);
    }
    if !path.ends_with(".rs") {
        return;
    }
    if !text.starts_with("//!") {
        let what = "the file does not say what it is: begin it with a line `//! ...`";
        findings.push(Finding::new(path, what));
    }
    let lines = text.lines().count();
    if lines > LONGEST {
        let what =
            format!("{lines} lines, more than {LONGEST}: find the wall that wants to stand inside, and split there");
        findings.push(Finding::new(path, what));
    }
    reasons_for_unsafe(path, text, findings);
    target_os(path, text, findings);
}

fn forbidden(path: &str, text: &str, findings: &mut Vec<Finding>) {
    for (number, line) in text.lines().enumerate() {
        for (a, b, fix) in FORBIDDEN {
            // A test may have any path as its data.
            let data = a.starts_with('/') && path.contains("/tests/");
            // A test that a command of xtask runs is not lost.
            let command = a.starts_with('#') && line.contains("`cargo xtask ");
            if !data && !command && line.find(a).is_some_and(|at| line[at + a.len()..].starts_with(b)) {
                findings.push(Finding::new(format!("{path}:{}", number + 1), format!("`{a}{b}`: {fix}")));
            }
        }
    }
}

fn reasons_for_unsafe(path: &str, text: &str, findings: &mut Vec<Finding>) {
    let lines: Vec<&str> = text.lines().collect();
    for (number, line) in lines.iter().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        let block = ["unsafe {", "unsafe impl", "unsafe extern", "unsafe fn"].iter().any(|u| code.contains(u));
        // A function type is no function, and a string is no code.
        if !block || code.contains("unsafe fn(") || code.contains('"') {
            continue;
        }
        let place = || format!("{path}:{}", number + 1);
        if !UNSAFE.iter().any(|allowed| path.starts_with(allowed)) {
            let what = "`unsafe` is for the crates hv, soft and vz only: find a safe call, or move it there";
            findings.push(Finding::new(place(), what));
        }
        let above = lines[..number].iter().rev().take(REASON_WITHIN);
        let near: Vec<&str> = above.take_while(|l| !l.trim().is_empty()).copied().chain([*line]).collect();
        if !near.iter().any(|l| l.contains("SAFETY:") || l.contains("# Safety")) {
            let what = "`unsafe` without its reason: say in a comment `// SAFETY: ...` above it why it is sound";
            findings.push(Finding::new(place(), what));
        }
    }
}

/// The host's system is asked for in modules named `sys`, in engines, where the command asks about its host, and in
/// tests.
fn target_os(path: &str, text: &str, findings: &mut Vec<Finding>) {
    let allowed = ["/sys/", "/sys.rs", "/tests/", "crates/hv/", "crates/vz/", "cli/src/host.rs"];
    if allowed.iter().any(|a| path.contains(a)) || !path.starts_with("crates/") {
        return;
    }
    for (number, line) in text.lines().enumerate() {
        if line.contains("cfg(target_os") || line.contains("cfg!(target_os") || line.contains("cfg(not(target_os") {
            let what = "differences of operating systems live in modules named `sys`: move it to one";
            findings.push(Finding::new(format!("{path}:{}", number + 1), what));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> Vec<String> {
        let mut findings = Vec::new();
        check(path, text, &mut findings);
        findings.into_iter().map(|f| format!("{}: {}", f.place, f.text)).collect()
    }

    #[test]
    fn each_rule_finds_what_breaks_it() {
        let un = "unsafe";
        let cases = [
            ("crates/x/src/a.rs", "fn main() {}".to_owned(), "begin it with"),
            ("crates/x/src/a.rs", format!("//! x\n{}", "\n".repeat(1000)), "1001 lines"),
            ("crates/hv/src/a.rs", format!("//! x\nlet a = {un} {{ b }};"), "without its reason"),
            ("crates/hv/src/a.rs", format!("//! x\n// SAFETY: of another\n\n{un} impl Send for X {{}}"), "its reason"),
            ("crates/block/src/a.rs", format!("//! x\n// SAFETY: no\n{un} {{ b }}"), "hv, soft and vz only"),
            ("crates/x/src/a.rs", "//! x\n#[cfg(target_os = \"linux\")]".to_owned(), "named `sys`"),
            ("a.toml", ["FIX", "ME"].concat(), "do it"),
            ("a.sh", ["/ho", "me/me/x"].concat(), "no paths"),
            ("a.rs", ["//! x\n#[ign", "ore]"].concat(), "fast enough"),
        ];
        for (path, text, said) in cases {
            let found = findings(path, &text);
            assert!(matches!(&found[..], [one] if one.contains(said)), "{path} {text:.40}: {found:?}");
        }
    }

    #[test]
    fn what_keeps_the_rules_is_let_alone() {
        let un = "unsafe";
        let good = format!(
            "//! x\n/// # Safety\n/// none\npub {un} fn f() {{}}\n// SAFETY: y\n// and z\nlet a = {un} {{ b }};"
        );
        assert_eq!(findings("crates/hv/src/a.rs", &good), [""; 0]);
        let run_elsewhere = ["//! x\n#[ign", "ore = \"minutes; `cargo xtask slow` runs it\"]"].concat();
        assert_eq!(findings("a.rs", &run_elsewhere), [""; 0]);
        assert_eq!(findings("crates/x/src/a.rs", "//! x\n// nothing unsafe { here }\n"), [""; 0]);
        assert_eq!(findings("crates/x/src/sys/a.rs", "//! x\n#[cfg(target_os = \"linux\")]"), [""; 0]);
    }
}
