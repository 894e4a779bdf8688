//! The account of a new macOS guest. The bindings do not have this class of macOS 27 yet, so it is looked up by its name,
//! and its messages are written out here; nothing checks their types but what is documented.

use objc2::msg_send;
use objc2::rc::Retained;
use objc2::runtime::{AnyClass, NSObject};
use objc2_foundation::{NSError, NSString};
use objc2_virtualization as vz;

use super::error::reason;
use crate::Provisioning;

/// The options of a start that makes the account.
pub(super) fn provisioned(account: &Provisioning) -> Result<Retained<vz::VZMacOSVirtualMachineStartOptions>, String> {
    let class = AnyClass::get(c"VZMacGuestProvisioningOptions");
    let class = class.ok_or_else(|| "this macOS has no VZMacGuestProvisioningOptions".to_owned())?;
    // SAFETY: selectors and arguments are those of VZMacGuestProvisioningOptions and of
    // VZMacOSVirtualMachineStartOptions: `setFullName:`, `setUsername:` and `setPassword:` take strings,
    // `setLogsInAutomatically:` and `setEnablesRemoteLogin:` truth values, `setGuestProvisioningOptions:error:` the object.
    unsafe {
        let made: Retained<NSObject> = msg_send![class, new];
        let _: () = msg_send![&made, setFullName: &*NSString::from_str(&account.full_name)];
        let _: () = msg_send![&made, setUsername: &*NSString::from_str(&account.username)];
        let _: () = msg_send![&made, setPassword: &*NSString::from_str(&account.password)];
        let _: () = msg_send![&made, setLogsInAutomatically: account.logs_in_automatically];
        let _: () = msg_send![&made, setEnablesRemoteLogin: account.enables_remote_login];
        let options = vz::VZMacOSVirtualMachineStartOptions::new();
        let taken: Result<(), Retained<NSError>> = msg_send![&options, setGuestProvisioningOptions: &*made, error: _];
        taken.map(|()| options).map_err(|error| reason(&error))
    }
}
