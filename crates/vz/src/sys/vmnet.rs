//! Networks of vmnet.framework, and the attachment of a card to one.
//!
//! The functions came with macOS 26 and the program starts on older ones, so they are looked up by their names when there is
//! need; the bindings have neither them nor the attachment's initializer. Types are written out here as vmnet.h of the SDK
//! of macOS 26 has them; nothing checks them but what is documented.

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_void};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ptr::{self, NonNull};

use config::{Ipv6Prefix, VmnetMode};
use objc2::rc::{Allocated, Retained};
use objc2::runtime::AnyClass;
use objc2::{Encoding, RefEncode, msg_send};
use objc2_core_foundation::{CFRetained, CFType};
use objc2_virtualization as vz;

use crate::{Api, Error, Vmnet, VmnetService};

/// `vmnet_return_t`.
type Status = u32;
/// `VMNET_SUCCESS`.
const SUCCESS: Status = 1000;
/// `VMNET_HOST_MODE` of `operating_modes_t`.
const HOST_MODE: u32 = 1000;
/// `VMNET_SHARED_MODE`.
const SHARED_MODE: u32 = 1001;

/// `struct vmnet_network_configuration`.
#[repr(C)]
struct Configuration([u8; 0]);

/// `struct vmnet_network`.
#[repr(C)]
struct Network([u8; 0]);

// SAFETY: Objective-C knows it as a pointer to a struct of this name, which is declared and not defined.
unsafe impl RefEncode for Network {
    const ENCODING_REF: Encoding = Encoding::Pointer(&Encoding::Struct("vmnet_network", &[]));
}

/// `ether_addr_t`.
type EtherAddress = [u8; 6];

/// A table of functions by name, and how it is filled.
macro_rules! functions {
    ($($field:ident $name:literal ($($argument:ty),*) $(-> $result:ty)?;)*) => {
        struct Functions {
            $($field: unsafe extern "C" fn($($argument),*) $(-> $result)?,)*
        }

        impl Functions {
            fn load() -> Result<Self, Error> {
                let library = library()?;
                // SAFETY: the functions have the types that the header declares.
                unsafe {
                    Ok(Self {
                        $($field: std::mem::transmute::<*mut c_void, unsafe extern "C" fn($($argument),*) $(-> $result)?>(
                            symbol(library, $name)?,
                        ),)*
                    })
                }
            }
        }
    };
}

functions! {
    configuration c"vmnet_network_configuration_create" (u32, *mut Status) -> *mut Configuration;
    set_external_interface c"vmnet_network_configuration_set_external_interface"
        (*mut Configuration, *const c_char) -> Status;
    set_ipv4_subnet c"vmnet_network_configuration_set_ipv4_subnet"
        (*mut Configuration, *const libc::in_addr, *const libc::in_addr) -> Status;
    set_ipv6_prefix c"vmnet_network_configuration_set_ipv6_prefix"
        (*mut Configuration, *const libc::in6_addr, u8) -> Status;
    set_mtu c"vmnet_network_configuration_set_mtu" (*mut Configuration, u32) -> Status;
    disable_dhcp c"vmnet_network_configuration_disable_dhcp" (*mut Configuration);
    disable_dns_proxy c"vmnet_network_configuration_disable_dns_proxy" (*mut Configuration);
    disable_nat44 c"vmnet_network_configuration_disable_nat44" (*mut Configuration);
    disable_nat66 c"vmnet_network_configuration_disable_nat66" (*mut Configuration);
    disable_router_advertisement c"vmnet_network_configuration_disable_router_advertisement" (*mut Configuration);
    add_dhcp_reservation c"vmnet_network_configuration_add_dhcp_reservation"
        (*mut Configuration, *const EtherAddress, *const libc::in_addr) -> Status;
    // The guest's port goes before the host's.
    add_port_forwarding_rule c"vmnet_network_configuration_add_port_forwarding_rule"
        (*mut Configuration, u8, libc::sa_family_t, u16, u16, *const c_void) -> Status;
    network c"vmnet_network_create" (*mut Configuration, *mut Status) -> *mut Network;
}

/// The framework's library, which stays as long as the program.
fn library() -> Result<NonNull<c_void>, Error> {
    let path = c"/System/Library/Frameworks/vmnet.framework/vmnet";
    // SAFETY: a library of macOS, which is made to be loaded at any time and on any thread.
    let library = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_LAZY | libc::RTLD_LOCAL) };
    NonNull::new(library).ok_or_else(|| Error::new("vmnet.framework", "this macOS does not have it"))
}

fn symbol(library: NonNull<c_void>, name: &CStr) -> Result<*mut c_void, Error> {
    // SAFETY: the library is loaded, and the name ends with a zero.
    let symbol = unsafe { libc::dlsym(library.as_ptr(), name.as_ptr()) };
    match symbol.is_null() {
        true => Err(Error::new(name.to_string_lossy(), "this macOS does not have it")),
        false => Ok(symbol),
    }
}

/// The networks of a machine, by the places of their cards. The addresses of a network are its own as long as it is here.
pub(super) type Networks = HashMap<usize, CFRetained<CFType>>;

/// Makes the network of a card anew and attaches to it.
pub(super) fn attach(
    card: usize,
    described: &Vmnet,
    networks: &mut Networks,
) -> Result<Retained<vz::VZNetworkDeviceAttachment>, Error> {
    // One that was lost holds its addresses no longer.
    networks.remove(&card);
    let network = make(described)?;
    let class = AnyClass::get(c"VZVmnetNetworkDeviceAttachment");
    let class = class.ok_or_else(|| Error::new(Api::VmnetAttachment.name(), "this macOS does not have it"))?;
    let pointer: *const Network = CFRetained::as_ptr(&network).as_ptr().cast();
    // SAFETY: the class is one of attachments, with the initializer `initWithNetwork:`, which takes a network.
    let attachment = unsafe {
        let attachment: Allocated<vz::VZNetworkDeviceAttachment> = msg_send![class, alloc];
        msg_send![attachment, initWithNetwork: pointer]
    };
    networks.insert(card, network);
    Ok(attachment)
}

fn make(described: &Vmnet) -> Result<CFRetained<CFType>, Error> {
    let functions = Functions::load()?;
    let mode = match described.mode {
        VmnetMode::Shared => SHARED_MODE,
        VmnetMode::Host => HOST_MODE,
    };
    let mut status = SUCCESS;
    // SAFETY: the function takes a mode and where to put a status.
    let configuration = unsafe { (functions.configuration)(mode, &mut status) };
    let configuration = owned(configuration, "vmnet_network_configuration_create", status)?;
    let pointer = CFRetained::as_ptr(&configuration).as_ptr().cast();
    configure(&functions, pointer, described)?;
    // SAFETY: the configuration lives, and the status can be written to.
    let network = unsafe { (functions.network)(pointer, &mut status) };
    owned(network, "vmnet_network_create", status)
}

/// What a function has made, which its caller has to release.
fn owned<T>(object: *mut T, function: &str, status: Status) -> Result<CFRetained<CFType>, Error> {
    let object = NonNull::new(object).ok_or_else(|| failed(function, status))?;
    // SAFETY: the object is documented as one for `CFRelease`, and its maker gives it away.
    Ok(unsafe { CFRetained::from_raw(object.cast()) })
}

fn configure(functions: &Functions, configuration: *mut Configuration, described: &Vmnet) -> Result<(), Error> {
    // SAFETY: the configuration lives, and what is pointed to lives until its function has returned, which keeps nothing.
    unsafe {
        if let Some(interface) = &described.external_interface {
            let name = CString::new(interface.as_str());
            let name = name.map_err(|_| Error::new(interface, "this is no name of an interface"))?;
            done("set_external_interface", (functions.set_external_interface)(configuration, name.as_ptr()))?;
        }
        if let Some((host, mask)) = described.ipv4 {
            let (host, mask) = (ipv4(host), ipv4(mask));
            done("set_ipv4_subnet", (functions.set_ipv4_subnet)(configuration, &host, &mask))?;
        }
        if let Some(prefix) = described.ipv6 {
            let prefix = ipv6(prefix);
            done("set_ipv6_prefix", (functions.set_ipv6_prefix)(configuration, &prefix, Ipv6Prefix::BITS))?;
        }
        if let Some(mtu) = described.mtu {
            done("set_mtu", (functions.set_mtu)(configuration, mtu.into()))?;
        }
        for service in &described.without {
            let disable = match service {
                VmnetService::Dhcp => functions.disable_dhcp,
                VmnetService::DnsProxy => functions.disable_dns_proxy,
                VmnetService::Nat44 => functions.disable_nat44,
                VmnetService::Nat66 => functions.disable_nat66,
                VmnetService::RouterAdvertisement => functions.disable_router_advertisement,
            };
            disable(configuration);
        }
        if let Some((mac, address)) = described.lease {
            let address = ipv4(address);
            done("add_dhcp_reservation", (functions.add_dhcp_reservation)(configuration, &mac.0, &address))?;
        }
        for forward in &described.forwards {
            let protocol = if forward.udp { libc::IPPROTO_UDP } else { libc::IPPROTO_TCP };
            let address = ipv4(forward.internal_address);
            let status = (functions.add_port_forwarding_rule)(
                configuration,
                protocol as u8,
                libc::AF_INET as libc::sa_family_t,
                forward.internal_port,
                forward.external_port,
                ptr::from_ref(&address).cast(),
            );
            done("add_port_forwarding_rule", status)?;
        }
    }
    Ok(())
}

fn ipv4(address: Ipv4Addr) -> libc::in_addr {
    libc::in_addr { s_addr: u32::from_ne_bytes(address.octets()) }
}

fn ipv6(address: Ipv6Addr) -> libc::in6_addr {
    libc::in6_addr { s6_addr: address.octets() }
}

/// What a function of a configuration says.
fn done(function: &str, status: Status) -> Result<(), Error> {
    match status {
        SUCCESS => Ok(()),
        status => Err(failed(&format!("vmnet_network_configuration_{function}"), status)),
    }
}

fn failed(function: &str, status: Status) -> Error {
    let reason = match status {
        1001 => "it failed",
        1002 => "there is no memory, or the program is not signed with the right `com.apple.security.virtualization`",
        1003 => "macOS does not take this value",
        1005 | 1010 => "the program has no right to it",
        1009 => "another network has these addresses, or macOS's internet sharing is in use",
        _ => "it failed, for a reason that we do not know",
    };
    Error::new(function, format!("{reason} (vmnet_return_t {status})"))
}
