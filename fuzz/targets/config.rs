//! The configuration, from any text: as TOML and as arguments. What is read without a problem survives being written.
#![no_main]

use std::path::Path;

use config::{Builder, Engine, FileKind, HostFacts, Machine};
use libfuzzer_sys::fuzz_target;

struct Host;
impl HostFacts for Host {
    fn cpus(&self) -> u32 {
        4
    }
    fn memory(&self) -> Option<u64> {
        Some(4096)
    }
    fn file(&self, path: &Path) -> FileKind {
        if path.as_os_str().len().is_multiple_of(2) { FileKind::File { writable: true } } else { FileKind::Missing }
    }
}

fuzz_target!(|text: &str| {
    let mut builder = Builder::new();
    // The first line says what the rest is; arguments are one to a line.
    let mut lines = text.lines();
    match lines.next() {
        Some("args") => {
            for (n, line) in lines.enumerate() {
                match n % 4 {
                    0 => builder.bootloader(line),
                    1 => builder.platform(line),
                    2 => builder.set(line.split('=').next().unwrap_or(""), line, "--set"),
                    _ => builder.device(line),
                };
            }
        }
        _ => drop(builder.toml(text)),
    }
    let parsed = builder.finish();
    for engine in [Engine::Soft, Engine::Kvm, Engine::Vz] {
        for problem in parsed.check(engine, &Host) {
            let _ = problem.to_string();
        }
    }
    if let Some(machine) = parsed.machine.filter(|_| parsed.problems.is_empty()) {
        if let Ok(written) = machine.to_toml() {
            assert_eq!(Machine::from_toml(&written).as_ref(), Ok(&machine), "{written}");
        }
        let _ = machine.to_args();
    }
});
