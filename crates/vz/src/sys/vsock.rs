//! Streams between the host and programs in the guest.

use std::os::fd::{BorrowedFd, OwnedFd};

use objc2::rc::Retained;
use objc2::runtime::{NSObjectProtocol, ProtocolObject};
use objc2::{AnyThread, DefinedClass, define_class, msg_send};
use objc2_foundation::NSObject;
use objc2_virtualization::{self as vz, VZVirtioSocketListenerDelegate};

use crate::Accept;

/// A listener, and its delegate, to which the framework holds no reference.
pub(super) struct Listener {
    listener: Retained<vz::VZVirtioSocketListener>,
    _delegate: Retained<ListenerDelegate>,
}

impl Listener {
    pub(super) fn new(accept: Accept) -> Self {
        let delegate = ListenerDelegate::new(accept);
        // SAFETY: an initializer and a setter, with an argument of the declared type.
        let listener = unsafe {
            let listener = vz::VZVirtioSocketListener::new();
            listener.setDelegate(Some(ProtocolObject::from_ref(&*delegate)));
            listener
        };
        Self { listener, _delegate: delegate }
    }

    pub(super) fn as_framework(&self) -> &vz::VZVirtioSocketListener {
        &self.listener
    }
}

/// The stream of a connection. It outlives the framework's object, which closes its own descriptor.
pub(super) fn stream(connection: &vz::VZVirtioSocketConnection) -> Result<OwnedFd, String> {
    // SAFETY: a plain getter.
    let fd = unsafe { connection.fileDescriptor() };
    if fd < 0 {
        return Err("the connection is closed".to_owned());
    }
    // SAFETY: the connection owns the descriptor and keeps it open until it is closed or dropped.
    let ours = unsafe { BorrowedFd::borrow_raw(fd) }.try_clone_to_owned();
    ours.map_err(|error| error.to_string())
}

define_class!(
    // SAFETY: NSObject has no rules for subclasses, and the class has no `Drop`.
    #[unsafe(super(NSObject))]
    #[name = "RussetSocketListenerDelegate"]
    #[ivars = Accept]
    struct ListenerDelegate;

    // SAFETY: the protocol has no rules of its own.
    unsafe impl NSObjectProtocol for ListenerDelegate {}

    // SAFETY: selectors and arguments are those of VZVirtioSocketListenerDelegate.
    unsafe impl VZVirtioSocketListenerDelegate for ListenerDelegate {
        // Documented as `listener:shouldAcceptNewConnection:fromSocketDevice:`.
        #[unsafe(method(listener:shouldAcceptNewConnection:fromSocketDevice:))]
        fn should_accept(
            &self,
            _listener: &vz::VZVirtioSocketListener,
            connection: &vz::VZVirtioSocketConnection,
            _device: &vz::VZVirtioSocketDevice,
        ) -> bool {
            stream(connection).map(self.ivars()).is_ok()
        }
    }
);

impl ListenerDelegate {
    fn new(accept: Accept) -> Retained<Self> {
        let this = Self::alloc().set_ivars(accept);
        // SAFETY: the signature of NSObject's `init`.
        unsafe { msg_send![super(this), init] }
    }
}
