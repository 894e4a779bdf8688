//! The trial guest of arm64: an exclusive pair, a SIMD register and a report by MMIO.

use kvm_bindings::{KVM_ARM_VCPU_PSCI_0_2, KVM_REG_ARM_CORE, KVM_REG_ARM64, KVM_REG_SIZE_U64, kvm_vcpu_init};
use kvm_ioctls::{Kvm, VcpuExit, VcpuFd, VmFd};
use vm_memory::GuestMemoryMmap;

use super::unusable;
use crate::Error;

/// Where the guest's memory begins.
pub(super) const MEMORY_BASE: u64 = 0x4000_0000;
/// The guest's memory, one page of the largest size.
pub(super) const MEMORY_SIZE: usize = 2 << 20;
/// Where its code is.
pub(super) const CODE: u64 = MEMORY_BASE;
/// The address, with no memory behind it, at which the guest reports.
const REPORT: u64 = 0x0900_0000;

/// What the guest is about to do after each report, by number.
pub(super) const STEPS: &[&str] = &["EL1 code", "system registers", "SIMD"];

core::arch::global_asm!(
    ".pushsection .rodata",
    ".balign 16",
    "russet_kvm_trial:",
    "  mov x9, #0x09000000",
    "  strb wzr, [x9]",
    "  mov w1, #1",
    "  strb w1, [x9]",
    // TPIDR_EL1 keeps what is written.
    "  mov x2, #0x1234",
    "  msr tpidr_el1, x2",
    "  mrs x3, tpidr_el1",
    "  cmp x2, x3",
    "  b.ne 2f",
    // CPACR_EL1.FPEN: SIMD does not trap.
    "  mov w1, #2",
    "  strb w1, [x9]",
    "  mov x4, #(3 << 20)",
    "  msr cpacr_el1, x4",
    "  isb",
    "  fmov d0, x2",
    "  fmov x5, d0",
    "  cmp x2, x5",
    "  b.ne 2f",
    "  mov w1, #0x2a",
    "  strb w1, [x9]",
    "  b .",
    "2:",
    "  mov w1, #0xff",
    "  strb w1, [x9]",
    "  b .",
    "russet_kvm_trial_end:",
    ".popsection",
);

/// The guest's code.
pub(in crate::kvm) fn code() -> &'static [u8] {
    unsafe extern "C" {
        static russet_kvm_trial: u8;
        static russet_kvm_trial_end: u8;
    }
    // SAFETY: the two symbols are the ends of one run of bytes in read-only data, assembled above.
    unsafe {
        let start = &raw const russet_kvm_trial;
        std::slice::from_raw_parts(start, (&raw const russet_kvm_trial_end).offset_from(start) as usize)
    }
}

/// The guest's report, when the exit is one.
pub(super) fn report(exit: &VcpuExit<'_>) -> Option<u8> {
    match exit {
        VcpuExit::MmioWrite(REPORT, [value]) => Some(*value),
        _ => None,
    }
}

/// Sets the CPU up at EL1 with the MMU off, as after reset, at the code.
pub(super) fn prepare(_: &Kvm, vm: &VmFd, vcpu: &VcpuFd, _: &GuestMemoryMmap<()>) -> Result<(), Error> {
    let failed = |what: &'static str| move |error: kvm_ioctls::Error| unusable(format!("{what}: {error}"));
    let mut init = kvm_vcpu_init::default();
    vm.get_preferred_target(&mut init).map_err(failed("KVM_ARM_PREFERRED_TARGET"))?;
    init.features[0] |= 1 << KVM_ARM_VCPU_PSCI_0_2;
    vcpu.vcpu_init(&init).map_err(failed("KVM_ARM_VCPU_INIT"))?;
    // struct kvm_regs begins with struct user_pt_regs: 31 general registers, SP, PC; an id counts in 4-byte units.
    let pc = KVM_REG_ARM64 | KVM_REG_SIZE_U64 | u64::from(KVM_REG_ARM_CORE) | (32 * 8 / 4);
    vcpu.set_one_reg(pc, &CODE.to_le_bytes()).map(|_| ()).map_err(failed("KVM_SET_ONE_REG"))
}
