//! Every path of a machine, and what it has to be.

use std::path::{Path, PathBuf};

use crate::{
    BootLoader, DiskAttachment, Machine, NetworkAttachment, Platform, PublishHost, SerialAttachment, ShareSource,
};

/// What a path has to lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// A file to read.
    Read,
    /// A file to read and write.
    ReadWrite,
    /// A block device, to write as well unless it is read-only.
    BlockDevice {
        /// The guest writes to it.
        write: bool,
    },
    /// A folder.
    Directory,
    /// A file that we make.
    Create,
    /// A socket that somebody listens on when the machine starts.
    Socket,
}

impl Machine {
    /// Replaces every path of the machine by what `map` makes of it.
    pub fn map_paths(&mut self, mut map: impl FnMut(&Path) -> PathBuf) {
        self.visit_paths(&mut |_, path, _| *path = map(path));
    }

    /// Calls `visit` with the field path, the path and its role of each path of the machine.
    pub(crate) fn for_each_path(&self, mut visit: impl FnMut(String, &Path, Role)) {
        // One list of the fields serves readers and writers; a copy is cheap beside the system calls that follow.
        self.clone().visit_paths(&mut |field, path, role| visit(field, path, role));
    }

    /// As [`for_each_path`](Machine::for_each_path), to change the paths.
    pub(crate) fn visit_paths(&mut self, visit: &mut dyn FnMut(String, &mut PathBuf, Role)) {
        match &mut self.bootloader {
            BootLoader::Linux(linux) => {
                visit("bootloader.kernel".to_owned(), &mut linux.kernel, Role::Read);
                if let Some(initrd) = &mut linux.initrd {
                    visit("bootloader.initrd".to_owned(), initrd, Role::Read);
                }
            }
            BootLoader::Efi(efi) => {
                let role = if efi.create { Role::Create } else { Role::ReadWrite };
                visit("bootloader.variable-store".to_owned(), &mut efi.variable_store, role);
                if let Some(firmware) = &mut efi.firmware {
                    visit("bootloader.firmware".to_owned(), firmware, Role::Read);
                }
            }
            BootLoader::Macos(_) => {}
        }
        match &mut self.platform {
            Platform::Generic(generic) => {
                if let Some(identifier) = &mut generic.machine_identifier {
                    visit("platform.machine-identifier".to_owned(), identifier, Role::Read);
                }
            }
            Platform::Mac(mac) => {
                visit("platform.machine-identifier".to_owned(), &mut mac.machine_identifier, Role::Read);
                visit("platform.hardware-model".to_owned(), &mut mac.hardware_model, Role::Read);
                visit("platform.auxiliary-storage".to_owned(), &mut mac.auxiliary_storage, Role::ReadWrite);
            }
        }
        for (index, storage) in self.storage.iter_mut().enumerate() {
            let write = storage.changes_attachment();
            match &mut storage.attachment {
                DiskAttachment::Image { path, backing_folder, .. } => {
                    visit(format!("storage[{index}].path"), path, if write { Role::ReadWrite } else { Role::Read });
                    if let Some(folder) = backing_folder {
                        visit(format!("storage[{index}].backing-folder"), folder, Role::Directory);
                    }
                }
                DiskAttachment::BlockDevice { path } => {
                    visit(format!("storage[{index}].path"), path, Role::BlockDevice { write });
                }
                DiskAttachment::Nbd { .. } => {}
            }
        }
        for (index, network) in self.network.iter_mut().enumerate() {
            if let Some(capture) = &mut network.capture {
                visit(format!("network[{index}].capture"), &mut capture.path, Role::Create);
            }
            match &mut network.attachment {
                NetworkAttachment::UnixSocket { path, listen: true, .. } => {
                    visit(format!("network[{index}].unix-socket-path"), path, Role::Create);
                }
                NetworkAttachment::UnixSocket { path, .. } => {
                    visit(format!("network[{index}].unix-socket-path"), path, Role::Socket);
                }
                NetworkAttachment::Nat(nat) => {
                    for publish in &mut nat.publish {
                        if let PublishHost::Unix(path) = &mut publish.host {
                            visit(format!("network[{index}].publish"), path, Role::Create);
                        }
                    }
                }
                NetworkAttachment::Bridged { .. }
                | NetworkAttachment::Fd(_)
                | NetworkAttachment::Tap { .. }
                | NetworkAttachment::TapFd(_)
                | NetworkAttachment::Shared { .. }
                | NetworkAttachment::Vmnet(_) => {}
            }
        }
        for (index, serial) in self.serial.iter_mut().enumerate() {
            match &mut serial.attachment {
                SerialAttachment::File { path, .. } => {
                    visit(format!("serial[{index}].log-file-path"), path, Role::Create);
                }
                SerialAttachment::Socket { path } => visit(format!("serial[{index}].socket"), path, Role::Create),
                SerialAttachment::Stdio | SerialAttachment::Pty => {}
            }
        }
        for (index, vsock) in self.vsock.iter_mut().enumerate() {
            // With `listen` the host's program may come up later than the machine, so nothing need be there yet.
            visit(format!("vsock[{index}].socket-url"), &mut vsock.socket, Role::Create);
        }
        for (index, share) in self.share.iter_mut().enumerate() {
            match &mut share.source {
                ShareSource::Single(directory) => {
                    visit(format!("share[{index}].shared-dir"), &mut directory.path, Role::Directory);
                }
                ShareSource::Multiple(directories) => {
                    for (name, directory) in directories {
                        let field = format!("share[{index}].directories.{name}.path");
                        visit(field, &mut directory.path, Role::Directory);
                    }
                }
                ShareSource::Rosetta { .. } => {}
            }
        }
    }
}
