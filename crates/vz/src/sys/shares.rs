//! Directory shares: folders of the host, and Rosetta.

use std::sync::mpsc::channel;

use block2::RcBlock;
use config::{RosettaCache, SharedDirectory};
use objc2::rc::Retained;
use objc2::{AnyThread, ClassType};
use objc2_foundation::{NSDictionary, NSError, NSString};
use objc2_virtualization as vz;

use super::error::{self, failure};
use super::files::file_url;
use crate::{Error, Folders, Share};

type Multiple = vz::VZMultipleDirectoryShare;

/// A file system.
pub(super) fn share(tag: &str, share: &Share) -> Result<Retained<vz::VZVirtioFileSystemDeviceConfiguration>, Error> {
    type FileSystem = vz::VZVirtioFileSystemDeviceConfiguration;
    let tag = NSString::from_str(tag);
    // SAFETY: plain initializers and setters. An invalid tag would raise an exception: it is asked about first.
    unsafe {
        FileSystem::validateTag_error(&tag).map_err(error::of(FileSystem::NAME))?;
        let source = match share {
            Share::Folders(shown) => folders(shown)?,
            Share::Rosetta { install, cache } => Retained::into_super(rosetta(*install, cache.as_ref())?),
        };
        let file_system = FileSystem::initWithTag(FileSystem::alloc(), &tag);
        file_system.setShare(Some(&source));
        Ok(file_system)
    }
}

/// Folders, for a file system that is made or that is there.
pub(super) fn folders(shown: &Folders) -> Result<Retained<vz::VZDirectoryShare>, Error> {
    let folder = |folder: &SharedDirectory| {
        let class = vz::VZSharedDirectory::alloc();
        // SAFETY: a plain initializer, with arguments of the declared types.
        unsafe { vz::VZSharedDirectory::initWithURL_readOnly(class, &file_url(&folder.path), folder.read_only) }
    };
    // SAFETY: plain initializers. An invalid name would raise an exception: it is asked about first.
    unsafe {
        Ok(match shown {
            Folders::Single(single) => {
                let class = vz::VZSingleDirectoryShare::alloc();
                Retained::into_super(vz::VZSingleDirectoryShare::initWithDirectory(class, &folder(single)))
            }
            Folders::Multiple(named) => {
                let names: Vec<_> = named.keys().map(|name| NSString::from_str(name)).collect();
                let valid = |name| Multiple::validateName_error(name).map_err(error::of(Multiple::NAME));
                names.iter().try_for_each(|name| valid(name))?;
                let names: Vec<&NSString> = names.iter().map(|name| &**name).collect();
                let folders: Vec<_> = named.values().map(folder).collect();
                let folders = NSDictionary::from_retained_objects(&names, &folders);
                Retained::into_super(Multiple::initWithDirectories(Multiple::alloc(), &folders))
            }
        })
    }
}

/// Installs Rosetta and waits until that is done, which can take minutes.
fn install_rosetta() -> Result<(), Error> {
    type Rosetta = vz::VZLinuxRosettaDirectoryShare;
    let (tell, told) = channel();
    let done = RcBlock::new(move |error: *mut NSError| {
        // Nobody waits any more only when this process ends.
        let _ = tell.send(failure(error));
    });
    // SAFETY: the block lives until the framework has called it, which copies it; it may be called on any queue.
    unsafe { Rosetta::installRosettaWithCompletionHandler(&done) };
    let told = told.recv().unwrap_or_else(|_| Err("the installation was given up".to_owned()));
    told.map_err(|reason| Error::new(Rosetta::NAME, reason))
}

fn rosetta(install: bool, cache: Option<&RosettaCache>) -> Result<Retained<vz::VZLinuxRosettaDirectoryShare>, Error> {
    type Rosetta = vz::VZLinuxRosettaDirectoryShare;
    type UnixSocket = vz::VZLinuxRosettaUnixSocketCachingOptions;
    type AbstractSocket = vz::VZLinuxRosettaAbstractSocketCachingOptions;
    if install {
        install_rosetta()?;
    }
    // SAFETY: plain initializers and setters; the younger classes are used only where the plan has them.
    unsafe {
        let share = Rosetta::initWithError(Rosetta::alloc()).map_err(error::of(Rosetta::NAME))?;
        match cache {
            None => {}
            Some(RosettaCache::UnixSocket(path)) => {
                let options = UnixSocket::initWithPath_error(UnixSocket::alloc(), &NSString::from_str(path));
                share.setOptions(Some(&*options.map_err(error::of(UnixSocket::NAME))?));
            }
            Some(RosettaCache::AbstractSocket(name)) => {
                let options = AbstractSocket::initWithName_error(AbstractSocket::alloc(), &NSString::from_str(name));
                share.setOptions(Some(&*options.map_err(error::of(AbstractSocket::NAME))?));
            }
        }
        Ok(share)
    }
}
