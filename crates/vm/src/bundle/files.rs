//! Files that are read within bounds and written as a whole or not at all.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::{BundleError, CONFIGURATION};

/// Reads a text of at most `most` bytes.
pub(super) fn read(path: &Path, most: u64) -> io::Result<String> {
    let mut text = String::new();
    let length = File::open(path)?.take(most + 1).read_to_string(&mut text)?;
    match length as u64 > most {
        true => Err(io::Error::new(io::ErrorKind::InvalidData, format!("it has more than {most} bytes"))),
        false => Ok(text),
    }
}

/// Writes a machine's description into its folder.
pub(super) fn write_configuration(folder: &Path, machine: &config::Machine) -> Result<(), BundleError> {
    let path = folder.join(CONFIGURATION);
    let mut machine = machine.clone();
    machine.map_paths(|path| path.strip_prefix(folder).map_or_else(|_| path.to_owned(), PathBuf::from));
    let text = machine
        .to_toml()
        .map_err(|problem| BundleError::Configuration { path: path.clone(), problems: vec![problem] })?;
    write(&path, text.as_bytes()).map_err(|source| BundleError::file(&path, source))
}

/// Writes a file, which is there with its old or its new contents, also after a loss of power.
pub(super) fn write(path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    let part = path.with_file_name(name);
    let mut file = File::create(&part)?;
    file.write_all(contents)?;
    file.sync_all()?;
    fs::rename(&part, path)?;
    sync_folder(path)
}

/// Makes names in the folder of `path` durable.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}
