//! Loads and stores: the probe of the data TLB in line, everything else in a stub.

use std::mem::offset_of;

use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};

use super::{Emitter, RAX, RCX, RDX, Slow};
use crate::cpu::{Cpu, DISCARD};
use crate::jit::inst::{Access, Address, Transfer};
use crate::jit::region::Slot;
use crate::mmu::tlb::{Entry, SETS};

/// Bytes of a TLB entry, as a shift.
const ENTRY_SHIFT: u32 = size_of::<Entry>().trailing_zeros();
const _: () = assert!(size_of::<Entry>().is_power_of_two());

impl Emitter<'_> {
    /// Emits a load or store of one or two registers.
    pub(super) fn access(&mut self, slot: Slot, access: Access) {
        self.host_flags = None;
        let (entry, back) = (self.asm.new_dynamic_label(), self.asm.new_dynamic_label());
        self.slow.push(Slow { entry, back, slot });
        if matches!(access.transfer, Transfer::Vector { .. }) {
            if !self.features.vectors {
                return dynasm!(self.asm ; .arch x64 ; jmp =>entry ; =>back);
            }
            self.need_vectors(entry);
        }
        self.address(access.address);
        let bytes = (1 << access.transfer.size()) * if access.t2.is_some() { 2 } else { 1 };
        match self.next_site(slot) {
            Some(site) => self.look_at_site(site, slot, bytes, access.load, entry, back),
            None => {
                self.probe(bytes, access.load);
                dynasm!(self.asm ; .arch x64 ; jne =>entry);
                // RAX is the virtual address, RCX what makes it the host's.
                let addend = tlb_offset(offset_of!(Entry, addend));
                dynasm!(self.asm ; .arch x64 ; mov rcx, QWORD [rbp + rcx + addend]);
            }
        }
        let second = 1 << access.transfer.size();
        if access.load {
            self.write_back(access.address);
            self.load(access.transfer, access.t, 0);
            if let Some(t2) = access.t2 {
                self.load(access.transfer, t2, second);
            }
        } else {
            self.store(access.transfer, access.t, 0);
            if let Some(t2) = access.t2 {
                self.store(access.transfer, t2, second);
            }
            self.write_back(access.address);
        }
        dynasm!(self.asm ; .arch x64 ; =>back);
    }

    /// Writes the base of an access. Uses RDX.
    fn write_back(&mut self, address: Address) {
        let (Address::Pre { n, imm } | Address::Post { n, imm }) = address else { return };
        let (base, host) = (self.src(n, RDX), self.map[n as usize].unwrap_or(RDX));
        dynasm!(self.asm ; .arch x64 ; lea Rq(host), [Rq(base) + imm]);
        self.put(n, host);
    }

    /// RAX = the virtual address. Uses RCX.
    pub(super) fn address(&mut self, address: Address) {
        match address {
            // A plain move takes no time where an addition of zero would.
            Address::Offset { n, imm: 0 } => self.copy(n, RAX),
            Address::Offset { n, imm } | Address::Pre { n, imm } => {
                let n = self.src(n, RAX);
                dynasm!(self.asm ; .arch x64 ; lea rax, [Rq(n) + imm]);
            }
            Address::Post { n, .. } => self.copy(n, RAX),
            Address::Index { n, m, option: 3 | 7, shift } if shift <= 3 => {
                let (n, m) = (self.src(n, RAX), self.src(m, RCX));
                match shift {
                    0 => dynasm!(self.asm ; .arch x64 ; lea rax, [Rq(n) + Rq(m)]),
                    1 => dynasm!(self.asm ; .arch x64 ; lea rax, [Rq(n) + Rq(m) * 2]),
                    2 => dynasm!(self.asm ; .arch x64 ; lea rax, [Rq(n) + Rq(m) * 4]),
                    _ => dynasm!(self.asm ; .arch x64 ; lea rax, [Rq(n) + Rq(m) * 8]),
                }
            }
            Address::Index { n, m, option, shift } => {
                let m = self.src(m, RCX);
                self.extend(RCX, m, option, shift);
                let n = self.src(n, RAX);
                dynasm!(self.asm ; .arch x64 ; lea rax, [Rq(n) + rcx]);
            }
        }
    }

    /// Compares the TLB's tag for `bytes` at RAX: equal when the access may go on. RCX becomes the offset of the entry.
    /// Uses RDX.
    pub(super) fn probe(&mut self, bytes: i32, load: bool) {
        let tag = tlb_offset(if load { offset_of!(Entry, read) } else { offset_of!(Entry, write) });
        let context = offset_of!(Cpu, tlb_context) as i32;
        let mask = ((SETS - 1) << ENTRY_SHIFT) as i32;
        dynasm!(self.asm
            ; .arch x64
            ; mov ecx, eax
            ; shr ecx, (12 - ENTRY_SHIFT) as i8
            ; and ecx, mask
            ; lea rdx, [rax + (bytes - 1)]
            ; and rdx, -4096
            ; or rdx, QWORD [rbp + context]
            ; cmp rdx, QWORD [rbp + rcx + tag]
        );
    }

    /// Loads register `t` from [RAX + RCX + `at`]. Uses RDX.
    fn load(&mut self, transfer: Transfer, t: u8, at: i32) {
        let general = |e: &Self| if t as usize == DISCARD { RDX } else { e.map[t as usize].unwrap_or(RDX) };
        match transfer {
            Transfer::Vector { size } => self.load_vector(size, t, at),
            Transfer::General { size } => {
                let host = general(self);
                match size {
                    0 => dynasm!(self.asm ; .arch x64 ; movzx Rd(host), BYTE [rax + rcx + at]),
                    1 => dynasm!(self.asm ; .arch x64 ; movzx Rd(host), WORD [rax + rcx + at]),
                    2 => dynasm!(self.asm ; .arch x64 ; mov Rd(host), DWORD [rax + rcx + at]),
                    _ => dynasm!(self.asm ; .arch x64 ; mov Rq(host), QWORD [rax + rcx + at]),
                }
                self.put(t, host);
            }
            Transfer::Signed { size, to64 } => {
                let host = general(self);
                match (size, to64) {
                    (0, true) => dynasm!(self.asm ; .arch x64 ; movsx Rq(host), BYTE [rax + rcx + at]),
                    (1, true) => dynasm!(self.asm ; .arch x64 ; movsx Rq(host), WORD [rax + rcx + at]),
                    (2, _) => dynasm!(self.asm ; .arch x64 ; movsxd Rq(host), DWORD [rax + rcx + at]),
                    (0, false) => dynasm!(self.asm ; .arch x64 ; movsx Rd(host), BYTE [rax + rcx + at]),
                    _ => dynasm!(self.asm ; .arch x64 ; movsx Rd(host), WORD [rax + rcx + at]),
                }
                self.put(t, host);
            }
        }
    }

    /// Stores register `t` to [RAX + RCX + `at`]. Uses RDX.
    fn store(&mut self, transfer: Transfer, t: u8, at: i32) {
        if let Transfer::Vector { size } = transfer {
            return self.store_vector(size, t, at);
        }
        let host = self.src(t, RDX);
        match transfer.size() {
            0 => dynasm!(self.asm ; .arch x64 ; mov BYTE [rax + rcx + at], Rb(host)),
            1 => dynasm!(self.asm ; .arch x64 ; mov WORD [rax + rcx + at], Rw(host)),
            2 => dynasm!(self.asm ; .arch x64 ; mov DWORD [rax + rcx + at], Rd(host)),
            _ => dynasm!(self.asm ; .arch x64 ; mov QWORD [rax + rcx + at], Rq(host)),
        }
    }
}

/// Offset in [`Cpu`] of a field of the first entry of the TLB's first way.
pub(super) fn tlb_offset(field: usize) -> i32 {
    (offset_of!(Cpu, tlb) + crate::mmu::tlb::FIRST_WAY + field) as i32
}
