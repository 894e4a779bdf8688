//! The trial guest of x86-64: long mode, CMPXCHG16B, FXRSTOR and XRSTOR.
//!
//! These are what a kernel runs early, and what a KVM without full hardware support has to emulate and may not.

use kvm_bindings::{CpuId, KVM_MAX_CPUID_ENTRIES, kvm_regs, kvm_segment};
use kvm_ioctls::{Kvm, VcpuExit, VcpuFd, VmFd};
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

use super::unusable;
use crate::Error;

/// Where the guest's memory begins.
pub(super) const MEMORY_BASE: u64 = 0;
/// One large page.
pub(super) const MEMORY_SIZE: usize = 2 << 20;
/// Where its code is.
pub(super) const CODE: u64 = 0x8000;
const PML4: u64 = 0x1000;
const PDPT: u64 = 0x2000;
const PD: u64 = 0x3000;
/// The port on which the guest reports.
const PORT: u16 = 0xf4;

/// What the guest is about to do after each report, by number.
pub(super) const STEPS: &[&str] = &["64-bit code", "CMPXCHG16B", "FXRSTOR", "XRSTOR"];

// The guest is written with absolute addresses below 64 KiB, so it runs wherever it is copied to; Intel syntax.
// 0x4000: 16 bytes for CMPXCHG16B; 0x5000: the FXSAVE and XSAVE areas.
core::arch::global_asm!(
    ".pushsection .rodata",
    ".balign 16",
    "russet_kvm_trial:",
    "  mov al, 0",
    "  out 0xf4, al",
    "  mov al, 1",
    "  out 0xf4, al",
    "  xor eax, eax",
    "  xor edx, edx",
    "  mov ebx, 0x11112222",
    "  mov ecx, 0x33334444",
    "  mov edi, 0x4000",
    "  lock cmpxchg16b [rdi]",
    "  jnz 2f",
    "  cmp qword ptr [rdi], 0x11112222",
    "  jne 2f",
    "  cmp qword ptr [rdi + 8], 0x33334444",
    "  jne 2f",
    "  mov al, 2",
    "  out 0xf4, al",
    "  mov ebx, 0x12345678",
    "  movd xmm0, ebx",
    "  mov esi, 0x5000",
    "  fxsave64 [rsi]",
    "  pxor xmm0, xmm0",
    "  fxrstor64 [rsi]",
    "  movd ecx, xmm0",
    "  cmp ecx, ebx",
    "  jne 2f",
    // XSAVE, where the CPU has it: CPUID.1:ECX bit 26.
    "  mov eax, 1",
    "  xor ecx, ecx",
    "  cpuid",
    "  bt ecx, 26",
    "  jnc 1f",
    "  mov al, 3",
    "  out 0xf4, al",
    "  mov rax, cr4",
    "  or eax, 0x40000",
    "  mov cr4, rax",
    "  xor ecx, ecx",
    "  mov eax, 3",
    "  xor edx, edx",
    "  xsetbv",
    "  mov ebx, 0x87654321",
    "  movd xmm0, ebx",
    "  xsave64 [rsi]",
    "  pxor xmm0, xmm0",
    "  mov eax, 3",
    "  xrstor64 [rsi]",
    "  movd ecx, xmm0",
    "  cmp ecx, ebx",
    "  jne 2f",
    "1:",
    "  mov al, 0x2a",
    "  out 0xf4, al",
    "  hlt",
    "2:",
    "  mov al, 0xff",
    "  out 0xf4, al",
    "  hlt",
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
        VcpuExit::IoOut(PORT, [value]) => Some(*value),
        _ => None,
    }
}

/// Sets the CPU up in long mode (Intel SDM volume 3, 11.8.5) with the first 2 MiB mapped one to one.
pub(super) fn prepare(kvm: &Kvm, _: &VmFd, vcpu: &VcpuFd, memory: &GuestMemoryMmap<()>) -> Result<(), Error> {
    let failed = |what: &'static str| move |error: kvm_ioctls::Error| unusable(format!("{what}: {error}"));
    // Present and writable; the last one a large page.
    for (table, entry) in [(PML4, PDPT | 3), (PDPT, PD | 3), (PD, 0x80 | 3)] {
        memory
            .write_obj(entry, GuestAddress(table))
            .map_err(|error| unusable(format!("the trial guest's memory: {error}")))?;
    }
    let cpuid: CpuId = kvm.get_supported_cpuid(KVM_MAX_CPUID_ENTRIES).map_err(failed("KVM_GET_SUPPORTED_CPUID"))?;
    vcpu.set_cpuid2(&cpuid).map_err(failed("KVM_SET_CPUID2"))?;
    let mut sregs = vcpu.get_sregs().map_err(failed("KVM_GET_SREGS"))?;
    let code =
        kvm_segment { limit: u32::MAX, selector: 8, type_: 11, present: 1, s: 1, l: 1, g: 1, ..Default::default() };
    let data = kvm_segment { selector: 16, type_: 3, db: 1, l: 0, ..code };
    sregs.cs = code;
    (sregs.ds, sregs.es, sregs.fs, sregs.gs, sregs.ss) = (data, data, data, data, data);
    sregs.cr3 = PML4;
    sregs.cr4 = 1 << 5 | 1 << 9 | 1 << 10; // PAE, OSFXSR, OSXMMEXCPT
    sregs.cr0 = 1 << 31 | 1 << 5 | 1 << 4 | 1 << 1 | 1; // PG, NE, ET, MP, PE
    sregs.efer = 1 << 8 | 1 << 10; // LME, LMA
    vcpu.set_sregs(&sregs).map_err(failed("KVM_SET_SREGS"))?;
    let regs = kvm_regs { rip: CODE, rsp: 0x1_0000, rflags: 2, ..Default::default() };
    vcpu.set_regs(&regs).map_err(failed("KVM_SET_REGS"))
}
