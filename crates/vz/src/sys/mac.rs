//! The framework's entrances, on a Mac.

use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};

use block2::RcBlock;
use objc2::rc::Retained;
use objc2::{AnyThread, ClassType};
use objc2_foundation::{NSData, NSError};
use objc2_virtualization as vz;

use super::error::{self, failure};
use super::files::file_url;
use super::{Installer, Machine};
use crate::{Error, InstallSignal, Plan, Requirements, Resource, RestoreImage, Signal, Virtualization};

/// This Mac's framework.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mac;

impl Virtualization for Mac {
    type Machine = Machine;
    type Installer = Installer;

    fn machine(&self, plan: &Plan, resources: Vec<Resource>, signals: Sender<Signal>) -> Result<Machine, Error> {
        Machine::new(plan, resources, signals)
    }

    fn installer(
        &self,
        plan: &Plan,
        resources: Vec<Resource>,
        image: &Path,
        signals: Sender<InstallSignal>,
    ) -> Result<Installer, Error> {
        Installer::new(plan, resources, image, signals)
    }

    fn latest_restore_image(&self) -> Result<RestoreImage, Error> {
        let (answer, answered) = answer();
        // SAFETY: the block lives until the framework has called it, which copies it; it may be called on any thread.
        unsafe { vz::VZMacOSRestoreImage::fetchLatestSupportedWithCompletionHandler(&answer) };
        wait(&answered)
    }

    fn load_restore_image(&self, path: &Path) -> Result<RestoreImage, Error> {
        let (answer, answered) = answer();
        // SAFETY: as above; the URL is a file's, or an exception would be raised.
        unsafe { vz::VZMacOSRestoreImage::loadFileURL_completionHandler(&file_url(path), &answer) };
        wait(&answered)
    }

    fn new_mac_identifier(&self) -> Vec<u8> {
        // SAFETY: an initializer and a getter.
        unsafe { vz::VZMacMachineIdentifier::new().dataRepresentation() }.to_vec()
    }

    fn new_generic_identifier(&self) -> Vec<u8> {
        // SAFETY: an initializer and a getter.
        unsafe { vz::VZGenericMachineIdentifier::new().dataRepresentation() }.to_vec()
    }

    fn create_auxiliary_storage(&self, path: &Path, hardware_model: &[u8]) -> Result<(), Error> {
        type Model = vz::VZMacHardwareModel;
        type Storage = vz::VZMacAuxiliaryStorage;
        // SAFETY: plain initializers, with arguments of the declared types.
        unsafe {
            let model = Model::initWithDataRepresentation(Model::alloc(), &NSData::with_bytes(hardware_model));
            let model = model.ok_or_else(|| Error::new(Model::NAME, "these bytes are no hardware model"))?;
            let options = vz::VZMacAuxiliaryStorageInitializationOptions::empty();
            let made = Storage::initCreatingStorageAtURL_hardwareModel_options_error(
                Storage::alloc(),
                &file_url(path),
                &model,
                options,
            );
            made.map(drop).map_err(error::of(Storage::NAME))
        }
    }
}

type Answer = RcBlock<dyn Fn(*mut vz::VZMacOSRestoreImage, *mut NSError)>;

/// A handler, and what it was called with.
fn answer() -> (Answer, Receiver<Result<RestoreImage, String>>) {
    let (tell, told) = channel();
    let handler = RcBlock::new(move |image: *mut vz::VZMacOSRestoreImage, error: *mut NSError| {
        // SAFETY: the framework gives null or an image that lives as long as the handler runs.
        let image = failure(error).and_then(|()| unsafe { image.as_ref() }.ok_or_else(|| "there is none".to_owned()));
        // Nobody waits any more only when this process ends.
        let _ = tell.send(image.map(facts));
    });
    (handler, told)
}

fn wait(answered: &Receiver<Result<RestoreImage, String>>) -> Result<RestoreImage, Error> {
    let answer = answered.recv().unwrap_or_else(|_| Err("it was given up".to_owned()));
    answer.map_err(|reason| Error::new(vz::VZMacOSRestoreImage::NAME, reason))
}

fn facts(image: &vz::VZMacOSRestoreImage) -> RestoreImage {
    // SAFETY: plain getters.
    unsafe {
        let version = image.operatingSystemVersion();
        let (major, minor, patch) = (version.majorVersion, version.minorVersion, version.patchVersion);
        let patch = if patch == 0 { String::new() } else { format!(".{patch}") };
        let url = image.URL().absoluteString();
        RestoreImage {
            url: url.map(|url| url.to_string()).unwrap_or_default(),
            version: format!("{major}.{minor}{patch}"),
            build: image.buildVersion().to_string(),
            requirements: image.mostFeaturefulSupportedConfiguration().map(requirements),
        }
    }
}

fn requirements(needs: Retained<vz::VZMacOSConfigurationRequirements>) -> Requirements {
    // SAFETY: plain getters.
    unsafe {
        Requirements {
            hardware_model: needs.hardwareModel().dataRepresentation().to_vec(),
            cpus: u32::try_from(needs.minimumSupportedCPUCount()).unwrap_or(u32::MAX),
            memory: needs.minimumSupportedMemorySize().div_ceil(1 << 20),
        }
    }
}
