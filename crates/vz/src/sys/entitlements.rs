//! The rights that are signed into this program.

use objc2_core_foundation::{CFBoolean, CFString};
use objc2_security::SecTask;

use crate::Entitlements;

impl Entitlements {
    /// Those of this program, as its signature has them. Whether macOS grants what it claims is another thing, but for a
    /// claim without a grant the program would have been killed at launch.
    #[must_use]
    pub fn of_this_program() -> Self {
        Self { virtualization: has("com.apple.security.virtualization"), networking: has("com.apple.vm.networking") }
    }
}

fn has(name: &'static str) -> bool {
    // SAFETY: plain functions, with arguments of the declared types; no error is asked for.
    let value = unsafe {
        let task = SecTask::from_self(None);
        task.and_then(|task| task.value_for_entitlement(&CFString::from_static_str(name), std::ptr::null_mut()))
    };
    value.and_then(|value| value.downcast::<CFBoolean>().ok()).is_some_and(|value| value.as_bool())
}
