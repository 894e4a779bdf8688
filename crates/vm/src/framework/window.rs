//! A window on a machine: opened on the thread that owns the machine, its user's wishes taken on one of their own, which
//! may wait.

use std::any::Any;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use config::{Storage, StorageDevice};
use vz::{Desktop, Window, WindowOptions, Wish};

use super::Machine;
use super::driver::Message;
use super::drives::Drives;
use super::handle::Handle;
use super::shares::Shares;
use crate::{DiskName, Error};

/// Opens a window on the framework's machine.
pub(super) type OpenWork = dyn FnOnce(&mut dyn Any) -> Option<Box<dyn Window>> + Send;

impl Machine {
    /// Opens a window on the display of a machine whose type, as the framework's or its double's, is `M`.
    pub(crate) fn open_window<M, D>(&self, desktop: D, title: &str, suspend_to: Option<&Path>) -> Result<(), Error>
    where
        M: 'static,
        D: Desktop<M> + 'static,
        D::Window: 'static,
    {
        let Some(options) = self.window.clone() else {
            return Err(Error::unsupported("graphics", "the machine has no display: add one"));
        };
        let options = WindowOptions { title: title.to_owned(), ..options };
        let suspend_to = suspend_to.filter(|_| self.saves.is_ok()).map(Path::to_owned);
        let (wishes, wished) = channel();
        let (driver, drives, shares) = (self.driver.clone(), self.drives.clone(), self.shares.clone());
        let attend = move || attend(&wished, &driver, &drives, &shares);
        let spawned = thread::Builder::new().name("window".into()).spawn(attend);
        spawned.map_err(|source| Error::Host { field: "graphics".into(), what: "starting a thread", source })?;
        self.driver.wait_for("shown in a window", |reply| {
            let open = move |machine: &mut dyn Any| {
                let opened = match machine.downcast_ref::<M>() {
                    Some(machine) => desktop.open(machine, options, wishes).map_err(|error| error.to_string()),
                    None => Err("the window is for another kind of machine".to_owned()),
                };
                let (window, told) = match opened {
                    Ok(window) => (Some(Box::new(window) as Box<dyn Window>), Ok(())),
                    Err(reason) => (None, Err(Error::Framework(reason))),
                };
                // The one who asked waits.
                let _ = reply.send(told);
                window
            };
            Message::Open(Box::new(open), suspend_to)
        })
    }
}

/// Takes the wishes of a window's user until it closes.
fn attend(wished: &Receiver<Wish>, driver: &Handle, drives: &Drives, shares: &Arc<Shares>) {
    for wish in wished {
        let done = match wish {
            Wish::AttachDrive(path) => drives.attach(&drive(path)).map(drop),
            Wish::DetachDrive(name) => detach(drives, &name),
            Wish::ShareFolder(path) => shares.add(path),
            Wish::UnshareFolder(folder) => shares.detach(&folder.share, Some(&folder.name)),
            wish => {
                driver.tell(Message::Wish(wish));
                Ok(())
            }
        };
        if let Err(error) = done {
            driver.tell(Message::Report(error.to_string()));
        }
    }
}

/// A USB drive with the image in a file, which the guest writes where we may.
fn drive(path: PathBuf) -> Storage {
    let read_only = path.metadata().is_ok_and(|metadata| metadata.permissions().readonly());
    Storage { device: StorageDevice::UsbMassStorage, read_only, ..Storage::image(path) }
}

fn detach(drives: &Drives, name: &str) -> Result<(), Error> {
    let name: DiskName = name.parse().map_err(|what: String| Error::unsupported("disk", what))?;
    drives.detach(name)
}

/// What its user knows a drive by.
pub(super) fn label(storage: &Storage) -> String {
    use config::DiskAttachment::{BlockDevice, Image, Nbd};
    match &storage.attachment {
        Image { path, .. } | BlockDevice { path } => {
            path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
        }
        Nbd { uri, .. } => uri.clone(),
    }
}
