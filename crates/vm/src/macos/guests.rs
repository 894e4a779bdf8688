//! How many macOS guests run: the licence of macOS allows two at a time on a Mac.
//!
//! There is a seat for each: a file that a process holds locked while its guest runs, with the guest's name and the
//! process's number in it. A process that ends in whatever way leaves its seat. These are the seats of one user; guests
//! of other users and of other programs are counted by the framework itself, which then refuses the start without names.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use config::{BootLoader, Machine};
use vz::{Host, MACOS_GUESTS};

use crate::BundleError;
use crate::bundle::user_root;

/// How often full seats are tried again, and after what time: a process that is being made by `fork` has all our locks
/// until its `exec`, also those that we have given up.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(20);
/// Longest text in a seat that is read, in bytes.
const MAX_TEXT: u64 = 256;

/// The seats of macOS guests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MacosGuests {
    folder: PathBuf,
}

/// A macOS guest that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MacosGuest {
    /// What it is called; empty where its process has not said it yet.
    pub name: String,
    /// The process that runs it, where it has said it.
    pub process: Option<u32>,
}

impl fmt::Display for MacosGuest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.name.is_empty() { "one without a name" } else { &self.name };
        match self.process {
            Some(process) => write!(f, "{name} (process {process})"),
            None => f.write_str(name),
        }
    }
}

/// The right of one guest to run, until this is dropped or the process ends.
#[derive(Debug)]
pub struct Seat(#[expect(dead_code, reason = "the lock is the open file's")] File);

impl MacosGuests {
    /// Those of the user.
    ///
    /// # Errors
    /// There is no home folder.
    pub fn of_user() -> Result<Self, BundleError> {
        Ok(Self::in_folder(&user_root()?))
    }

    /// Those of another root.
    #[must_use]
    pub fn in_folder(root: &Path) -> Self {
        Self { folder: root.join("macos-guests") }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Those that run now.
    #[must_use]
    pub fn running(&self) -> Vec<MacosGuest> {
        self.seats().filter_map(|path| taken(&path)).collect()
    }

    /// Takes a seat for a guest called `name`, if one is free, and says which guests have the others.
    ///
    /// # Errors
    /// The seats cannot be made or locked.
    pub fn enter(&self, name: &str) -> io::Result<(Option<Seat>, Vec<MacosGuest>)> {
        fs::create_dir_all(&self.folder)?;
        let mut tries = 0;
        loop {
            let (seat, others) = self.enter_once(name)?;
            tries += 1;
            // Where one has left in between, its seat is free the next time.
            let full = tries >= TRIES && others.len() == MACOS_GUESTS;
            if seat.is_some() || full {
                return Ok((seat, others));
            }
            thread::sleep(PAUSE);
        }
    }

    fn enter_once(&self, name: &str) -> io::Result<(Option<Seat>, Vec<MacosGuest>)> {
        let (mut seat, mut others) = (None, Vec::new());
        for path in self.seats() {
            let now = if seat.is_none() { take(&path, name)? } else { None };
            match now {
                Some(taken) => seat = Some(taken),
                None => others.extend(taken(&path)),
            }
        }
        Ok((seat, others))
    }

    /// Takes a seat for a machine that is to run on `host`, if it is a macOS guest, and tells the host of the others. A
    /// guest for which none is free has no plan there.
    pub(crate) fn seat_for(&self, machine: &Machine, name: &str, host: &Host) -> io::Result<(Option<Seat>, Host)> {
        let mut host = host.clone();
        if !matches!(machine.bootloader, BootLoader::Macos(_)) {
            return Ok((None, host));
        }
        let (seat, others) = self.enter(name)?;
        host.macos_guests = others.iter().map(MacosGuest::to_string).collect();
        Ok((seat, host))
    }

    fn seats(&self) -> impl Iterator<Item = PathBuf> + '_ {
        (1..=MACOS_GUESTS).map(|number| self.folder.join(format!("{number}.lock")))
    }
}

fn take(path: &Path, name: &str) -> io::Result<Option<Seat>> {
    let mut file = OpenOptions::new().create(true).read(true).write(true).truncate(false).open(path)?;
    match file.try_lock() {
        Ok(()) => {
            // Only words: who reads them while they are written says less.
            let _ = file.set_len(0).and_then(|()| write!(file, "{}\n{name}", std::process::id()));
            Ok(Some(Seat(file)))
        }
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Who has a seat.
fn taken(path: &Path) -> Option<MacosGuest> {
    let mut file = File::open(path).ok()?;
    // To look is not to take: a shared lock does not keep another one who looks away.
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Some(read(&mut file)),
        Ok(()) | Err(TryLockError::Error(_)) => None,
    }
}

fn read(file: &mut File) -> MacosGuest {
    let mut text = String::new();
    let _ = file.rewind().and_then(|()| file.take(MAX_TEXT).read_to_string(&mut text));
    let (process, name) = text.split_once('\n').unwrap_or_default();
    let printable = |letter: &char| !letter.is_control();
    MacosGuest { name: name.chars().filter(printable).collect(), process: process.parse().ok() }
}
