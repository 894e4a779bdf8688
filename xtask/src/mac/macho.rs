//! As much of a Mach-O file as linking and signing need: a 64-bit header and its load commands, in little endian
//! (`mach-o/loader.h`, `mach-o/nlist.h` of macOS).

use anyhow::{Context, Result, ensure};

/// `MH_MAGIC_64`.
const MAGIC: u32 = 0xfeed_facf;
/// `sizeof(struct mach_header_64)`.
const HEADER: usize = 32;

/// `LC_SYMTAB`.
const SYMTAB: u32 = 0x2;
/// `LC_LOAD_DYLIB`.
const LOAD_DYLIB: u32 = 0xc;
/// `LC_LOAD_WEAK_DYLIB`.
const LOAD_WEAK_DYLIB: u32 = 0x8000_0018;
/// `LC_SEGMENT_64`.
const SEGMENT: u32 = 0x19;
/// `LC_UUID`.
const UUID: u32 = 0x1b;
/// `LC_CODE_SIGNATURE`.
const CODE_SIGNATURE: u32 = 0x1d;
/// `LC_BUILD_VERSION`.
const BUILD_VERSION: u32 = 0x32;
/// `PLATFORM_MACOS`.
const MACOS: u32 = 1;

/// A Mach-O file in memory.
pub(super) struct MachO<'a>(&'a [u8]);

/// `struct segment_command_64`.
pub(super) struct Segment {
    /// Where the command is in the file.
    pub(super) command: usize,
    /// In memory, in bytes.
    pub(super) memory_size: u64,
    /// Where its contents are in the file.
    pub(super) offset: u64,
    /// How long they are, in bytes.
    pub(super) size: u64,
}

/// `struct linkedit_data_command` of a signature.
pub(super) struct Signature {
    /// Where the command is in the file.
    pub(super) command: usize,
    /// Where the signature is in the file.
    pub(super) offset: u64,
    /// How long it is, in bytes.
    pub(super) size: u64,
}

/// A symbol that a library has.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Import<'a> {
    /// The library's install name; `None`: wherever the loader finds it.
    pub(super) library: Option<&'a str>,
    /// With the underscore that C has.
    pub(super) symbol: &'a str,
}

impl<'a> MachO<'a> {
    pub(super) fn new(file: &'a [u8]) -> Result<Self> {
        ensure!(u32_at(file, 0)? == MAGIC, "this is no 64-bit Mach-O file");
        Ok(Self(file))
    }

    /// The load commands: their kinds, and where they are.
    fn commands(&self) -> Result<Vec<(u32, usize)>> {
        let mut commands = Vec::new();
        let mut at = HEADER;
        for _ in 0..u32_at(self.0, 16)? {
            let (kind, size) = (u32_at(self.0, at)?, u32_at(self.0, at + 4)? as usize);
            ensure!(size >= 8, "a load command of {size} bytes");
            commands.push((kind, at));
            at += size;
        }
        Ok(commands)
    }

    /// The segment with this name.
    pub(super) fn segment(&self, name: &str) -> Result<Segment> {
        for (_, command) in self.commands()?.into_iter().filter(|(kind, _)| *kind == SEGMENT) {
            let named = self.0.get(command + 8..command + 24).context("a load command is cut off")?;
            if named.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.iter().all(|byte| *byte == 0)) {
                return Ok(Segment {
                    command,
                    memory_size: u64_at(self.0, command + 32)?,
                    offset: u64_at(self.0, command + 40)?,
                    size: u64_at(self.0, command + 48)?,
                });
            }
        }
        anyhow::bail!("there is no segment {name}")
    }

    /// Checks what a program needs to be started on macOS from `minimum` on, as its first and second number.
    pub(super) fn check_start(&self, minimum: (u32, u32)) -> Result<()> {
        let commands = self.commands()?;
        let command = |wanted| commands.iter().find(|(kind, _)| *kind == wanted).map(|(_, command)| *command);
        let version = command(BUILD_VERSION).context("it does not say for which macOS it is")?;
        let (platform, least) = (u32_at(self.0, version + 8)?, u32_at(self.0, version + 12)?);
        let least = (least >> 16, least >> 8 & 0xff);
        ensure!(platform == MACOS && least <= minimum, "it is for platform {platform}, version {least:?} or later");
        // macOS 15 knows a program by it when it asks who may use the local network, and later loaders insist on it.
        command(UUID).context("it has no UUID")?;
        Ok(())
    }

    /// The signature, which the linker made room for.
    pub(super) fn signature(&self) -> Result<Signature> {
        let command = self.commands()?.into_iter().find(|(kind, _)| *kind == CODE_SIGNATURE);
        let (_, command) = command.context("it has no signature, which linkers give programs for Apple silicon")?;
        let [offset, size] = [8, 12].map(|field| u32_at(self.0, command + field).map(u64::from));
        Ok(Signature { command, offset: offset?, size: size? })
    }

    /// The libraries that it is linked with, by their install names, in the order of their numbers.
    pub(super) fn libraries(&self) -> Result<Vec<&'a str>> {
        let commands = self.commands()?.into_iter();
        let dylibs = commands.filter(|(kind, _)| [LOAD_DYLIB, LOAD_WEAK_DYLIB].contains(kind));
        dylibs.map(|(_, command)| text_at(self.0, command + u32_at(self.0, command + 8)? as usize)).collect()
    }

    /// What it takes from them, by its symbol table.
    pub(super) fn imports(&self) -> Result<Vec<Import<'a>>> {
        /// `N_TYPE` and `N_EXT`: whoever has `N_UNDF` here, and is external, is elsewhere.
        const KIND: u8 = 0x0f;
        const UNDEFINED: u8 = 0x01;
        let libraries = self.libraries()?;
        let table = self.commands()?.into_iter().find(|(kind, _)| *kind == SYMTAB);
        let (_, table) = table.context("it has no symbol table")?;
        let [symbols, count, names] = [8, 12, 16].map(|field| u32_at(self.0, table + field).map(|n| n as usize));
        let (symbols, count, names) = (symbols?, count?, names?);
        let mut imports = Vec::new();
        // `struct nlist_64`: 16 bytes each.
        for symbol in (0..count).map(|number| symbols + 16 * number) {
            let kind = *self.0.get(symbol + 4).context("the symbol table is cut off")?;
            if kind & KIND == UNDEFINED {
                // `GET_LIBRARY_ORDINAL`: counted from 1; the others are not libraries.
                let ordinal = usize::from(self.0.get(symbol + 7).copied().unwrap_or_default());
                let library = ordinal.checked_sub(1).and_then(|number| libraries.get(number).copied());
                let symbol = text_at(self.0, names + u32_at(self.0, symbol)? as usize)?;
                imports.push(Import { library, symbol });
            }
        }
        Ok(imports)
    }
}

pub(super) fn u32_at(file: &[u8], at: usize) -> Result<u32> {
    let bytes = file.get(at..).and_then(|rest| rest.first_chunk()).context("the file is cut off")?;
    Ok(u32::from_le_bytes(*bytes))
}

fn u64_at(file: &[u8], at: usize) -> Result<u64> {
    let bytes = file.get(at..).and_then(|rest| rest.first_chunk()).context("the file is cut off")?;
    Ok(u64::from_le_bytes(*bytes))
}

fn text_at(file: &[u8], at: usize) -> Result<&str> {
    let text = file.get(at..).and_then(|rest| rest.split(|byte| *byte == 0).next()).context("the file is cut off")?;
    Ok(std::str::from_utf8(text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of these load commands, each of its kind and what follows its size.
    fn file(commands: &[&[u32]]) -> Vec<u8> {
        let mut words = vec![MAGIC, 0x0100_000c, 0, 2, commands.len() as u32, 0, 0, 0];
        for command in commands {
            words.extend([command[0], 4 + 4 * command.len() as u32]);
            words.extend(&command[1..]);
        }
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    #[test]
    fn a_program_that_no_mac_would_start_is_found() {
        let check = |commands: &[&[u32]]| MachO::new(&file(commands)).unwrap().check_start((11, 0));
        let (version, uuid) = ([BUILD_VERSION, MACOS, 0x000b_0000, 0x000f_0000, 0], [UUID, 1, 2, 3, 4]);
        check(&[&uuid, &version]).unwrap();
        check(&[&uuid, &[BUILD_VERSION, MACOS, 0x000a_0f00, 0, 0]]).unwrap();
        assert!(check(&[&version]).is_err());
        assert!(check(&[&uuid]).is_err());
        assert!(check(&[&uuid, &[BUILD_VERSION, MACOS, 0x000b_0100, 0, 0]]).is_err());
        assert!(check(&[&uuid, &[BUILD_VERSION, 2, 0x000b_0000, 0, 0]]).is_err());
    }
}
