//! The delegate of a machine: what the framework reports by itself.

use std::sync::Arc;

use objc2::rc::Retained;
use objc2::runtime::NSObjectProtocol;
use objc2::{AnyThread, DefinedClass, define_class, msg_send};
use objc2_foundation::{NSError, NSObject};
use objc2_virtualization::{self as vz, VZVirtualMachineDelegate};

use super::error::reason;
use crate::Signal;

/// Takes reports.
pub(super) type Report = Arc<dyn Fn(Signal) + Send + Sync>;

define_class!(
    // SAFETY: NSObject has no rules for subclasses, and the class has no `Drop`.
    #[unsafe(super(NSObject))]
    #[name = "RussetMachineDelegate"]
    #[ivars = Report]
    pub(super) struct Delegate;

    // SAFETY: the protocol has no rules of its own.
    unsafe impl NSObjectProtocol for Delegate {}

    // SAFETY: selectors and arguments are those of VZVirtualMachineDelegate.
    unsafe impl VZVirtualMachineDelegate for Delegate {
        // Documented as `guestDidStopVirtualMachine:`.
        #[unsafe(method(guestDidStopVirtualMachine:))]
        fn guest_did_stop(&self, _machine: &vz::VZVirtualMachine) {
            (self.ivars())(Signal::GuestStopped);
        }

        // Documented as `virtualMachine:didStopWithError:`.
        #[unsafe(method(virtualMachine:didStopWithError:))]
        fn did_stop_with_error(&self, _machine: &vz::VZVirtualMachine, error: &NSError) {
            (self.ivars())(Signal::StoppedWithError(reason(error)));
        }

        // Documented as `virtualMachine:networkDevice:attachmentWasDisconnectedWithError:`.
        #[unsafe(method(virtualMachine:networkDevice:attachmentWasDisconnectedWithError:))]
        fn disconnected(&self, machine: &vz::VZVirtualMachine, card: &vz::VZNetworkDevice, error: &NSError) {
            // SAFETY: a plain getter; delegates are called on the machine's queue.
            let cards = unsafe { machine.networkDevices() };
            if let Some(place) = cards.iter().position(|other| std::ptr::eq(&*other, card)) {
                (self.ivars())(Signal::Disconnected(place, reason(error)));
            }
        }
    }
);

impl Delegate {
    pub(super) fn new(report: Report) -> Retained<Self> {
        let this = Self::alloc().set_ivars(report);
        // SAFETY: the signature of NSObject's `init`.
        unsafe { msg_send![super(this), init] }
    }
}
