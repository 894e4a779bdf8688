//! Stand-ins for the libraries of macOS: text files which say what is in them, for a linker on another host.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// What programs take from macOS.
const IMPORTS: &str = include_str!("imports.txt");

/// Writes the stubs of all libraries below `root`, where a linker looks for those of an SDK.
pub(super) fn write(root: &Path) -> Result<()> {
    for (library, symbols) in libraries(IMPORTS)? {
        let stub = stub(library, &symbols);
        for path in paths(library)? {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().context("a stub in no folder")?)?;
            std::fs::write(&path, &stub).with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}

/// The libraries by their install names, and their symbols.
fn libraries(text: &str) -> Result<Vec<(&str, Vec<&str>)>> {
    let mut libraries: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.strip_prefix("  ") {
            None => libraries.push((line, Vec::new())),
            Some(symbol) if !seen.insert(symbol) => bail!("imports.txt: `{symbol}` is there twice: keep one"),
            Some(symbol) => libraries.last_mut().context("imports.txt begins with no library")?.1.push(symbol),
        }
    }
    Ok(libraries)
}

/// A library's stub, in the text form that linkers take (TBD, version 4).
fn stub(library: &str, symbols: &[&str]) -> String {
    let mut text = String::from("--- !tapi-tbd\ntbd-version: 4\ntargets: [ arm64-macos ]\n");
    // Writing into a string does not fail.
    let _ = writeln!(text, "install-name: '{library}'");
    if !symbols.is_empty() {
        let symbols = symbols.join(", ");
        let _ = writeln!(text, "exports:\n  - targets: [ arm64-macos ]\n    symbols: [ {symbols} ]");
    }
    text + "...\n"
}

/// Where a linker looks for it, by the names that programs call it.
fn paths(library: &str) -> Result<Vec<PathBuf>> {
    let name = library.rsplit('/').next().unwrap_or_default();
    if let Some((folder, _)) = library.split_once("/Versions/") {
        return Ok(vec![Path::new(folder.trim_start_matches('/')).join(format!("{name}.tbd"))]);
    }
    let stem = name.strip_prefix("lib").and_then(|name| name.split('.').next());
    let stem = stem.with_context(|| format!("imports.txt: `{library}` is neither a framework nor a library"))?;
    // These three are one.
    let names: &[&str] = if stem == "System" { &["System", "c", "m"] } else { &[stem] };
    Ok(names.iter().map(|name| PathBuf::from(format!("usr/lib/lib{name}.tbd"))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_library_has_its_symbols_and_its_places() {
        let root = tempfile::tempdir().unwrap();
        write(root.path()).unwrap();
        let read = |path: &str| std::fs::read_to_string(root.path().join(path)).unwrap();
        assert!(read("usr/lib/libSystem.tbd").contains(" _malloc, "));
        assert_eq!(read("usr/lib/libc.tbd"), read("usr/lib/libSystem.tbd"));
        assert!(read("usr/lib/libobjc.tbd").contains(" _objc_msgSend, "));
        let framework = read("System/Library/Frameworks/Virtualization.framework/Virtualization.tbd");
        assert!(framework.contains("'/System/Library/Frameworks/Virtualization.framework/Versions/A/Virtualization'"));
        assert!(!framework.contains("exports"));
    }

    #[test]
    fn a_symbol_is_in_one_library_only() {
        assert!(libraries("/usr/lib/liba.dylib\n  _x\n/usr/lib/libb.dylib\n  _x\n").is_err());
        assert!(libraries("  _x\n").is_err());
    }
}
