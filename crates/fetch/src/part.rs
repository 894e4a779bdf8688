//! A file that is coming, under the name of the whole with `.part` behind it.
//!
//! Beside `NAME.part` is `NAME.part.json`, its [`Note`], and `NAME.lock`, which one process has at a time. The note is
//! there before the bytes that it is about, so that bytes without one are nobody's.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::note::Note;
use crate::{Cancel, Error};

/// After how many bytes they are made durable: what a kill or a loss of power costs at most.
const DURABLE_EACH: u64 = 64 << 20;
/// Longest note that is read.
const MAX_NOTE: u64 = 64 << 10;
/// How often a lock that another process has is tried.
const LOOK: Duration = Duration::from_millis(200);

/// A file that is coming, this process's own.
pub(crate) struct Part {
    place: PathBuf,
    path: PathBuf,
    file: File,
    note: Option<Note>,
    /// Bytes that are here.
    length: u64,
    _lock: File,
}

impl Part {
    /// Takes the part of what is to be at `place`; `waits` is told when another process has it.
    pub(crate) fn open(place: &Path, cancel: &Cancel, waits: impl FnOnce()) -> Result<Self, Error> {
        if let Some(folder) = place.parent() {
            fs::create_dir_all(folder).map_err(Error::file(folder))?;
        }
        let lock = lock(&beside(place, ".lock"), cancel, waits)?;
        let path = beside(place, ".part");
        let failed = Error::file(&path);
        let mut file = open(&path).map_err(&failed)?;
        let note = read_note(&beside(place, ".part.json"));
        let there = file.metadata().map_err(&failed)?.len();
        // Only what is known to belong to the file and to have reached the disk.
        let length = note.as_ref().filter(|note| note.validator.is_some()).map_or(0, |note| note.durable.min(there));
        file.set_len(length).and_then(|()| file.seek(SeekFrom::Start(length))).map_err(&failed)?;
        Ok(Self { place: place.to_owned(), path, file, note, length, _lock: lock })
    }

    /// Bytes that are here.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// What they are of.
    pub(crate) fn note(&self) -> Option<&Note> {
        self.note.as_ref()
    }

    /// What they are of and how many there are, where there are any.
    pub(crate) fn here(&self) -> Option<(&Note, u64)> {
        self.note.as_ref().filter(|_| self.length > 0).map(|note| (note, self.length))
    }

    /// Whether these are all.
    pub(crate) fn is_whole(&self) -> bool {
        self.here().is_some_and(|(note, length)| note.length == Some(length))
    }

    /// The file with them.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Begins anew, as a part of what `note` says.
    pub(crate) fn restart(&mut self, note: Note) -> Result<(), Error> {
        let failed = Error::file(&self.path);
        self.file.set_len(0).and_then(|()| self.file.rewind()).map_err(failed)?;
        self.length = 0;
        self.put_note(Note { durable: 0, ..note })
    }

    /// Takes the next bytes.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).map_err(Error::file(&self.path))?;
        self.length += bytes.len() as u64;
        match &self.note {
            Some(note) if self.length - note.durable >= DURABLE_EACH => self.keep(),
            _ => Ok(()),
        }
    }

    /// Makes durable what is here.
    pub(crate) fn keep(&mut self) -> Result<(), Error> {
        let Some(note) = self.note.clone() else { return Ok(()) };
        self.file.sync_all().map_err(Error::file(&self.path))?;
        self.put_note(Note { durable: self.length, ..note })
    }

    /// It is whole: it gets its name.
    pub(crate) fn finish(mut self) -> Result<(), Error> {
        self.keep()?;
        fs::rename(&self.path, &self.place).map_err(Error::file(&self.place))?;
        // The note of a part that is gone says nothing.
        let _ = fs::remove_file(beside(&self.place, ".part.json"));
        let folder = self.place.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::file(folder))
    }

    /// It is of no use.
    pub(crate) fn discard(self) -> Result<(), Error> {
        let _ = fs::remove_file(beside(&self.place, ".part.json"));
        fs::remove_file(&self.path).map_err(Error::file(&self.path))
    }

    /// Writes the note so that the old or the new one is there.
    fn put_note(&mut self, note: Note) -> Result<(), Error> {
        let path = beside(&self.place, ".part.json");
        let new = beside(&self.place, ".part.json.new");
        let write = || -> io::Result<()> {
            let mut file = File::create(&new)?;
            file.write_all(&serde_json::to_vec(&note)?)?;
            file.sync_all()?;
            fs::rename(&new, &path)
        };
        write().map_err(Error::file(&path))?;
        self.note = Some(note);
        Ok(())
    }
}

pub(crate) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).read(true).write(true).truncate(false).open(path)
}

/// Whether a file that was opened at `path`, and locked since, is still there: a lock counts only then, since who removes
/// what it is for removes it, too.
pub(crate) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let open = file.metadata()?;
    match path.metadata() {
        Ok(there) => Ok((there.dev(), there.ino()) == (open.dev(), open.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// A note that cannot be read is none.
fn read_note(path: &Path) -> Option<Note> {
    let file = File::open(path).ok()?;
    serde_json::from_reader(io::Read::take(file, MAX_NOTE)).ok()
}

fn lock(path: &Path, cancel: &Cancel, waits: impl FnOnce()) -> Result<File, Error> {
    let failed = Error::file(path);
    let mut file = open(path).map_err(&failed)?;
    let mut waits = Some(waits);
    loop {
        match file.try_lock() {
            Ok(()) if is_at(&file, path).map_err(&failed)? => return Ok(file),
            Ok(()) => {
                file = open(path).map_err(&failed)?;
                continue;
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
            Err(TryLockError::WouldBlock) => {}
        }
        if let Some(waits) = waits.take() {
            waits();
        }
        if cancel.sleep(LOOK) {
            return Err(Error::Cancelled);
        }
    }
}

pub(crate) fn beside(place: &Path, more: &str) -> PathBuf {
    let mut name = place.file_name().unwrap_or_default().to_owned();
    name.push(more);
    place.with_file_name(name)
}
