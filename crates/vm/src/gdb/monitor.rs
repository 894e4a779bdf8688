//! `monitor` commands: what GDB itself has no word for.

use std::fmt::Write;

use hv::debug::Address;
use machine::{DebugError, Debugger};

use super::target::read;

/// Most bytes of one dump.
const MAX_DUMP: u64 = 4096;

const HELP: &str = "\
registers               the system registers of this CPU
translate ADDRESS       the physical address behind a virtual one
physical ADDRESS [LEN]  memory at a physical address: 64 bytes, or up to 4096
Numbers are hexadecimal with 0x, else decimal. The CPU is the one that was looked at last.
";

/// The answer to `command` about CPU `cpu`.
///
/// # Errors
/// When the CPU does not stand still; what is wrong with the command is an answer.
pub(super) fn answer(debugger: &Debugger, cpu: u32, command: &str) -> Result<String, DebugError> {
    let words: Vec<&str> = command.split_ascii_whitespace().collect();
    match words.as_slice() {
        ["registers"] => {
            let registers = debugger.ask(cpu, |cpu| cpu.system_registers())?;
            Ok(registers.into_iter().map(|(name, value)| format!("{name:<12} {value:#018x}\n")).collect())
        }
        ["translate", address] => {
            let Some(va) = number(address) else { return Ok(not_a_number(address)) };
            Ok(match debugger.ask(cpu, move |cpu| cpu.translate(va))? {
                Some(pa) => format!("{pa:#x}\n"),
                None => format!("nothing is mapped at {va:#x}\n"),
            })
        }
        ["physical", address] => physical(debugger, cpu, address, "64"),
        ["physical", address, len] => physical(debugger, cpu, address, len),
        _ => Ok(HELP.to_owned()),
    }
}

fn physical(debugger: &Debugger, cpu: u32, address: &str, len: &str) -> Result<String, DebugError> {
    let Some(pa) = number(address) else { return Ok(not_a_number(address)) };
    let Some(len) = number(len) else { return Ok(not_a_number(len)) };
    let bytes = read(debugger, cpu, Address::Physical(pa), len.min(MAX_DUMP) as usize)?;
    if bytes.is_empty() {
        return Ok(format!("there is no RAM at {pa:#x}\n"));
    }
    Ok(dump(pa, &bytes))
}

/// Lines of 16 bytes.
fn dump(address: u64, bytes: &[u8]) -> String {
    let mut text = String::new();
    for (line, bytes) in bytes.chunks(16).enumerate() {
        let _ = write!(text, "{:#x}:", address.wrapping_add(line as u64 * 16));
        for byte in bytes {
            let _ = write!(text, " {byte:02x}");
        }
        text.push('\n');
    }
    text
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn not_a_number(text: &str) -> String {
    format!("`{text}` is no number: write 0x40000000 or 64\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dumps_have_sixteen_bytes_on_a_line() {
        assert_eq!(number("0x40000000"), Some(1 << 30));
        assert_eq!((number("16"), number("4x"), number("")), (Some(16), None, None));
        let lines = dump(0x4000_0000, &[0xab; 18]);
        assert_eq!(lines.lines().last(), Some("0x40000010: ab ab"));
    }
}
