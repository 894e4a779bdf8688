//! Loads and stores: the probe of the data TLB in line, everything else in a stub.

use std::mem::offset_of;

use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, dynasm};

use super::sites::{Host, Look};
use super::{Emitter, RAX, RCX, RDX, Slow, reg_offset};
use crate::cpu::{Cpu, DISCARD, SP};
use crate::jit::inst::{Access, Address, Transfer};
use crate::jit::region::Slot;
use crate::mmu::STACK_ALIGNMENT;
use crate::mmu::tlb::{Entry, SETS};

/// Bytes of a TLB entry, as a shift.
const ENTRY_SHIFT: u32 = size_of::<Entry>().trailing_zeros();
const _: () = assert!(size_of::<Entry>().is_power_of_two());

/// Where the host has what is accessed: RCX behind a register of the host and a constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    base: u8,
    disp: i32,
}

/// RCX behind RAX.
pub(super) const IN_RAX: Place = Place { base: RAX, disp: 0 };

impl Place {
    /// The place `bytes` further.
    pub(super) fn behind(self, bytes: i32) -> Self {
        Self { disp: self.disp + bytes, ..self }
    }

    /// The host register and the constant.
    pub(super) fn parts(self) -> (u8, i32) {
        (self.base, self.disp)
    }
}

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
        self.check_stack(access.address.base(), entry);
        let size = 1 << access.transfer.size();
        let bytes = if access.t2.is_some() { 2 * size } else { size };
        let mut place = IN_RAX;
        match self.next_site(slot) {
            Some(site) => {
                let host = match self.base_of(access) {
                    Some(base) => {
                        place = base;
                        self.sum_of(RDX, base);
                        Host::OfAddress
                    }
                    None => {
                        self.address(access.address);
                        Host::OfOffset
                    }
                };
                self.look_at_site(Look { site, bytes, load: access.load, host }, slot, entry, back);
            }
            None => {
                self.address(access.address);
                self.probe(bytes, access.load);
                let addend = tlb_offset(offset_of!(Entry, addend));
                dynasm!(self.asm ; .arch x64 ; jne =>entry ; mov rcx, QWORD [rbp + rcx + addend]);
            }
        }
        // A register that is loaded and written back, too, has what is loaded in the end.
        let early = access.load && place == IN_RAX;
        if early {
            self.write_back(access.address);
        }
        for (t, place) in [(Some(access.t), place), (access.t2, place.behind(size))] {
            match t {
                Some(t) if access.load => self.load(access.transfer, t, place),
                Some(t) => self.store(access.transfer, t, place),
                None => {}
            }
        }
        if !early {
            self.write_back(access.address);
        }
        dynasm!(self.asm ; .arch x64 ; =>back);
    }

    /// Goes to `slow` when base `n` is a stack pointer that is not aligned, unless that was looked at before.
    pub(super) fn check_stack(&mut self, n: u8, slow: DynamicLabel) {
        const BELOW: i32 = STACK_ALIGNMENT as i32 - 1;
        if usize::from(n) != SP || self.stack_is_aligned {
            return;
        }
        match self.map[SP] {
            Some(host) => dynasm!(self.asm ; .arch x64 ; test Rb(host), BYTE BELOW as i8 ; jne =>slow),
            None => {
                dynasm!(self.asm ; .arch x64 ; test BYTE [rbp + reg_offset(SP as u8)], BYTE BELOW as i8 ; jne =>slow);
            }
        }
        self.stack_is_aligned = true;
    }

    /// What the address is computed from, if that is in a register of the host until the memory has been accessed.
    fn base_of(&self, access: Access) -> Option<Place> {
        let (n, disp, write_back) = match access.address {
            Address::Offset { n, imm } => (n, imm, false),
            Address::Pre { n, imm } => (n, imm, true),
            Address::Post { n, .. } => (n, 0, true),
            Address::Index { .. } => return None,
        };
        let is_general = !matches!(access.transfer, Transfer::Vector { .. });
        let loaded = access.load && is_general && (access.t == n || access.t2 == Some(n));
        let base = self.map[n as usize].filter(|_| !loaded || !write_back && access.t2.is_none())?;
        Some(Place { base, disp })
    }

    /// `host` = the virtual address of `place`.
    fn sum_of(&mut self, host: u8, Place { base, disp }: Place) {
        match disp {
            // A plain move takes no time where an addition of zero would.
            0 => dynasm!(self.asm ; .arch x64 ; mov Rq(host), Rq(base)),
            disp => dynasm!(self.asm ; .arch x64 ; lea Rq(host), [Rq(base) + disp]),
        }
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

    /// Loads register `t` from `place`. Uses RDX.
    fn load(&mut self, transfer: Transfer, t: u8, place: Place) {
        let (base, at) = place.parts();
        let general = |e: &Self| if t as usize == DISCARD { RDX } else { e.map[t as usize].unwrap_or(RDX) };
        match transfer {
            Transfer::Vector { size } => self.load_vector(size, t, place),
            Transfer::General { size } => {
                let host = general(self);
                match size {
                    0 => dynasm!(self.asm ; .arch x64 ; movzx Rd(host), BYTE [Rq(base) + rcx + at]),
                    1 => dynasm!(self.asm ; .arch x64 ; movzx Rd(host), WORD [Rq(base) + rcx + at]),
                    2 => dynasm!(self.asm ; .arch x64 ; mov Rd(host), DWORD [Rq(base) + rcx + at]),
                    _ => dynasm!(self.asm ; .arch x64 ; mov Rq(host), QWORD [Rq(base) + rcx + at]),
                }
                self.put(t, host);
            }
            Transfer::Signed { size, to64 } => {
                let host = general(self);
                match (size, to64) {
                    (0, true) => dynasm!(self.asm ; .arch x64 ; movsx Rq(host), BYTE [Rq(base) + rcx + at]),
                    (1, true) => dynasm!(self.asm ; .arch x64 ; movsx Rq(host), WORD [Rq(base) + rcx + at]),
                    (2, _) => dynasm!(self.asm ; .arch x64 ; movsxd Rq(host), DWORD [Rq(base) + rcx + at]),
                    (0, false) => dynasm!(self.asm ; .arch x64 ; movsx Rd(host), BYTE [Rq(base) + rcx + at]),
                    _ => dynasm!(self.asm ; .arch x64 ; movsx Rd(host), WORD [Rq(base) + rcx + at]),
                }
                self.put(t, host);
            }
        }
    }

    /// Stores register `t` to `place`. Uses RDX.
    fn store(&mut self, transfer: Transfer, t: u8, place: Place) {
        let (base, at) = place.parts();
        if let Transfer::Vector { size } = transfer {
            return self.store_vector(size, t, place);
        }
        let host = self.src(t, RDX);
        match transfer.size() {
            0 => dynasm!(self.asm ; .arch x64 ; mov BYTE [Rq(base) + rcx + at], Rb(host)),
            1 => dynasm!(self.asm ; .arch x64 ; mov WORD [Rq(base) + rcx + at], Rw(host)),
            2 => dynasm!(self.asm ; .arch x64 ; mov DWORD [Rq(base) + rcx + at], Rd(host)),
            _ => dynasm!(self.asm ; .arch x64 ; mov QWORD [Rq(base) + rcx + at], Rq(host)),
        }
    }
}

/// Offset in [`Cpu`] of a field of the first entry of the TLB's first way.
pub(super) fn tlb_offset(field: usize) -> i32 {
    (offset_of!(Cpu, tlb) + crate::mmu::tlb::FIRST_WAY + field) as i32
}
