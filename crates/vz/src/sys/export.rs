//! Attachments of disks over NBD, and their delegates: what the framework's client of a server reports.

use objc2::rc::Retained;
use objc2::runtime::{NSObjectProtocol, ProtocolObject};
use objc2::{AnyThread, ClassType, DefinedClass, define_class, msg_send};
use objc2_foundation::{NSError, NSObject, NSString, NSURL};
use objc2_virtualization::{self as vz, VZNetworkBlockDeviceStorageDeviceAttachmentDelegate};

use super::delegate::Report;
use super::error::{self, reason};
use crate::{BlockSync, DiskId, Error, Signal};

type Export = vz::VZNetworkBlockDeviceStorageDeviceAttachment;

/// A disk at a server. `seconds` is how long that may take to answer.
pub(super) fn attach(uri: &str, seconds: f64, read_only: bool, sync: BlockSync) -> Result<Retained<Export>, Error> {
    let url = NSURL::URLWithString(&NSString::from_str(uri)).ok_or_else(|| Error::new(uri, "this is no URL"))?;
    let sync = match sync {
        BlockSync::Full => vz::VZDiskSynchronizationMode::Full,
        BlockSync::None => vz::VZDiskSynchronizationMode::None,
    };
    // SAFETY: a plain initializer, with arguments of the declared types.
    let export = unsafe {
        Export::initWithURL_timeout_forcedReadOnly_synchronizationMode_error(
            Export::alloc(),
            &url,
            seconds,
            read_only,
            sync,
        )
    };
    export.map_err(error::of(Export::NAME))
}

/// Exports, each with the disk's place in the configuration where it is of that.
pub(super) type Exports = Vec<(Option<usize>, Retained<Export>)>;

/// Has what the client of a disk reports told, as long as what this gives is kept: the framework holds no reference to it.
pub(super) fn watch(disk: DiskId, export: &Export, report: &Report) -> Retained<ExportDelegate> {
    let delegate = ExportDelegate::new(disk, report.clone());
    // SAFETY: a plain setter, with an argument of the declared type.
    unsafe { export.setDelegate(Some(ProtocolObject::from_ref(&*delegate))) };
    delegate
}

/// A disk, and who is told of it.
pub(super) struct Watched {
    disk: DiskId,
    report: Report,
}

define_class!(
    // SAFETY: NSObject has no rules for subclasses, and the class has no `Drop`.
    #[unsafe(super(NSObject))]
    #[name = "RussetExportDelegate"]
    #[ivars = Watched]
    pub(super) struct ExportDelegate;

    // SAFETY: the protocol has no rules of its own.
    unsafe impl NSObjectProtocol for ExportDelegate {}

    // SAFETY: selectors and arguments are those of VZNetworkBlockDeviceStorageDeviceAttachmentDelegate.
    unsafe impl VZNetworkBlockDeviceStorageDeviceAttachmentDelegate for ExportDelegate {
        // Documented as `attachment:didEncounterError:`. That it connects again by itself is not reported here.
        #[unsafe(method(attachment:didEncounterError:))]
        fn did_encounter_error(&self, _export: &vz::VZNetworkBlockDeviceStorageDeviceAttachment, error: &NSError) {
            let Watched { disk, report } = self.ivars();
            report(Signal::DiskFailed(*disk, reason(error)));
        }
    }
);

impl ExportDelegate {
    fn new(disk: DiskId, report: Report) -> Retained<Self> {
        let this = Self::alloc().set_ivars(Watched { disk, report });
        // SAFETY: the signature of NSObject's `init`.
        unsafe { msg_send![super(this), init] }
    }
}
