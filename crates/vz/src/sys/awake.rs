//! A Mac that does not go to sleep by itself while something long is done.

use objc2::rc::Retained;
use objc2::runtime::{NSObjectProtocol, ProtocolObject};
use objc2_foundation::{NSActivityOptions, NSProcessInfo, NSString};

/// Keeps the Mac awake, and the program at full speed, until it is dropped. Who closes the lid still puts it to sleep.
#[derive(Debug)]
pub struct Awake(Retained<ProtocolObject<dyn NSObjectProtocol>>);

impl Awake {
    /// For a reason, which `pmset -g assertions` shows.
    #[must_use]
    pub fn new(reason: &str) -> Self {
        let (options, reason) = (NSActivityOptions::UserInitiated, NSString::from_str(reason));
        Self(NSProcessInfo::processInfo().beginActivityWithOptions_reason(options, &reason))
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        // SAFETY: the activity that was begun, once.
        unsafe { NSProcessInfo::processInfo().endActivity(&self.0) };
    }
}
