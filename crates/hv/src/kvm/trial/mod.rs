//! The trial guest: a few instructions that kernels live by, and the check that they did what they should.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

use kvm_bindings::kvm_userspace_memory_region;
use kvm_ioctls::{Kvm, VcpuExit, VcpuFd, VmFd};
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryMmap};

#[cfg(target_arch = "aarch64")]
use aarch64 as arch;
#[cfg(target_arch = "x86_64")]
use x86_64 as arch;

pub(in crate::kvm) use arch::code;

use super::probe::unblock_kick_in_run;
use super::unusable;
use crate::Error;

/// What the guest reports when all is done.
const DONE: u8 = 0x2a;
/// What it reports when an instruction had the wrong result.
const WRONG: u8 = 0xff;

/// Runs `code` as the trial guest on the calling thread.
///
/// # Errors
/// [`Error::Unusable`] when it does not come through.
pub(super) fn run(kvm: &Kvm, code: &[u8]) -> Result<(), Error> {
    let failed = |what: &'static str| move |error: kvm_ioctls::Error| unusable(format!("{what}: {error}"));
    let memory: GuestMemoryMmap<()> =
        GuestMemoryMmap::from_ranges(&[(GuestAddress(arch::MEMORY_BASE), arch::MEMORY_SIZE)])
            .map_err(|error| unusable(format!("the trial guest's memory: {error}")))?;
    let vm = kvm.create_vm().map_err(failed("KVM_CREATE_VM"))?;
    let host = memory
        .get_host_address(GuestAddress(arch::MEMORY_BASE))
        .map_err(|error| unusable(format!("the trial guest's memory: {error}")))?;
    let region = kvm_userspace_memory_region {
        slot: 0,
        flags: 0,
        guest_phys_addr: arch::MEMORY_BASE,
        memory_size: arch::MEMORY_SIZE as u64,
        userspace_addr: host as u64,
    };
    // SAFETY: the range is mapped by `memory`, which outlives `vm` and is not touched while the guest runs.
    unsafe { vm.set_user_memory_region(region) }.map_err(failed("KVM_SET_USER_MEMORY_REGION"))?;
    memory
        .write_slice(code, GuestAddress(arch::CODE))
        .map_err(|error| unusable(format!("the trial guest's memory: {error}")))?;
    let mut vcpu = vm.create_vcpu(0).map_err(failed("KVM_CREATE_VCPU"))?;
    arch::prepare(kvm, &vm, &vcpu, &memory)?;
    unblock_kick_in_run(&vcpu)?;
    let result = follow(&mut vcpu);
    drop(vcpu);
    drop::<VmFd>(vm);
    result
}

/// Runs the vCPU and follows the reports of the guest.
fn follow(vcpu: &mut VcpuFd) -> Result<(), Error> {
    let mut step = "its first instruction";
    loop {
        let stopped = match vcpu.run() {
            Ok(exit) => match arch::report(&exit) {
                Some(DONE) => return Ok(()),
                Some(WRONG) => return Err(unusable(format!("a trial guest got a wrong result from {step}"))),
                Some(next) => {
                    step = arch::STEPS.get(usize::from(next)).copied().unwrap_or("an unknown step");
                    continue;
                }
                None => describe(&exit),
            },
            Err(error) if error.errno() == libc::EINTR => "it did not go on".to_owned(),
            Err(error) => error.to_string(),
        };
        return Err(unusable(format!("/dev/kvm is there, but a trial guest dies at {step}: {stopped}")));
    }
}

/// An exit that a good KVM does not make here.
fn describe(exit: &VcpuExit<'_>) -> String {
    match exit {
        VcpuExit::InternalError => "KVM could not run the instruction (internal error)".to_owned(),
        VcpuExit::Shutdown => "the CPU shut down (triple fault)".to_owned(),
        VcpuExit::FailEntry(reason, _) => format!("the guest could not be entered (hardware reason {reason:#x})"),
        other => format!("unexpected exit {other:?}"),
    }
}
