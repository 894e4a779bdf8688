//! Stand-ins for the SDK of macOS on another host: for the linker, text files which say what is in a library; for the C
//! parts of libraries of ours (of ring), as much of the headers as they ask for.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::macho::{Import, MachO};

/// What programs take from macOS.
const IMPORTS: &str = include_str!("imports.txt");

/// The headers, by name.
const HEADERS: [(&str, &str); 4] = [
    ("assert.h", include_str!("include/assert.h")),
    ("stdlib.h", include_str!("include/stdlib.h")),
    ("string.h", include_str!("include/string.h")),
    ("TargetConditionals.h", include_str!("include/TargetConditionals.h")),
];

/// Writes stubs and headers below `root`, where linkers and compilers look for those of an SDK.
pub(super) fn write(root: &Path) -> Result<()> {
    for (library, symbols) in libraries(IMPORTS)? {
        let stub = stub(library, &symbols);
        for path in paths(library)? {
            put(&root.join(path), &stub)?;
        }
    }
    HEADERS.into_iter().try_for_each(|(name, text)| put(&root.join("usr/include").join(name), text))
}

/// Does not touch what is as it is to be, so that nothing is compiled again for it.
fn put(path: &Path, text: &str) -> Result<()> {
    if std::fs::read_to_string(path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    std::fs::create_dir_all(path.parent().context("a stub in no folder")?)?;
    std::fs::write(path, text).with_context(|| path.display().to_string())
}

/// Checks what a program takes from macOS against the list.
pub(super) fn check(program: &MachO) -> Result<()> {
    let listed = libraries(IMPORTS)?;
    for library in program.libraries()? {
        ensure!(listed.iter().any(|(name, _)| *name == library), "it is linked with `{library}`, which is not listed");
    }
    for Import { library, symbol } in program.imports()? {
        let library = library.with_context(|| format!("`{symbol}` is of no library in particular"))?;
        let found = listed.iter().any(|(name, symbols)| *name == library && symbols.contains(&symbol));
        ensure!(found, "it takes `{symbol}` from `{library}`, which is not listed");
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
        assert!(read("usr/include/string.h").contains("memcpy"));
    }

    #[test]
    fn the_list_is_in_order() {
        for (library, symbols) in libraries(IMPORTS).unwrap() {
            let disorder = symbols.windows(2).find(|pair| pair[0] >= pair[1]);
            assert_eq!(disorder, None, "{library}");
        }
    }

    /// The functions of C that a source names, as `libc::name(`.
    fn functions_of_c(source: &str) -> Vec<String> {
        let names = source.split("libc::").skip(1).filter_map(|rest| {
            let (name, _) = rest.split_once('(')?;
            let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
            plain.then(|| format!("_{name}"))
        });
        names.collect()
    }

    #[test]
    fn what_the_executor_takes_of_c_is_listed_before_the_linker_says_so() {
        let listed = libraries(IMPORTS).unwrap();
        let mut found = Vec::new();
        for entry in std::fs::read_dir(crate::shell::workspace().join("crates/vz/src/sys")).unwrap() {
            found.extend(functions_of_c(&std::fs::read_to_string(entry.unwrap().path()).unwrap()));
        }
        assert!(found.contains(&"_dlopen".to_owned()), "{found:?}");
        let (library, symbols) = &listed[0];
        let missing: Vec<_> = found.iter().filter(|name| !symbols.contains(&name.as_str())).collect();
        assert!(missing.is_empty(), "add these below {library} of imports.txt: {missing:?}");
    }

    #[test]
    fn a_symbol_is_in_one_library_only() {
        assert!(libraries("/usr/lib/liba.dylib\n  _x\n/usr/lib/libb.dylib\n  _x\n").is_err());
        assert!(libraries("  _x\n").is_err());
    }
}
