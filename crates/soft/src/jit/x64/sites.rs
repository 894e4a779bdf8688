//! Accesses by the page that they went to last (see [`crate::jit::site`]).

use std::mem::offset_of;

use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, dynasm};

use super::access::tlb_offset;
use super::{Emitter, Slow};
use crate::cpu::Cpu;
use crate::jit::region::Slot;
use crate::jit::site::{Site, SiteRange};
use crate::mmu::tlb::{Entry, Tlb};

/// The sites of a region while it is made.
pub(super) struct Sites {
    /// The site that says what the others hold for.
    header: usize,
    /// The sites that accesses have.
    taken: std::ops::Range<usize>,
    next: usize,
    /// Makes all sites forget, and goes on at the address in RDX.
    refresh: DynamicLabel,
}

/// An access by a site.
#[derive(Clone, Copy)]
pub(super) struct Look {
    pub(super) site: usize,
    pub(super) bytes: i32,
    pub(super) load: bool,
    pub(super) host: Host,
}

/// What the addend of a site is added to, for the address of the host.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Host {
    /// The virtual address, which stays where it is. Its copy in RDX is compared.
    OfAddress,
    /// The offset in the page, which the virtual address in RAX becomes: one instruction less than a copy of it.
    OfOffset,
}

/// A stub for an access that goes to another page than its site remembers.
pub(super) struct Miss {
    entry: DynamicLabel,
    hit: DynamicLabel,
    slow: Slow,
    look: Look,
}

const BASE: usize = offset_of!(Site, base);
const LIMIT: usize = offset_of!(Site, limit);
const ADDEND: usize = offset_of!(Site, addend);
const MISSES: usize = offset_of!(Site, misses);

/// Instructions on a field of a site, up to its distance from the instruction behind (Intel SDM, volume 2).
const SUB_RAX: &[u8] = &[0x48, 0x2b, 0x05];
const SUB_RDX: &[u8] = &[0x48, 0x2b, 0x15];
const ADD_RAX: &[u8] = &[0x48, 0x03, 0x05];
const CMP_RAX: &[u8] = &[0x48, 0x3b, 0x05];
const CMP_RDX: &[u8] = &[0x48, 0x3b, 0x15];
const MOV_TO_RCX: &[u8] = &[0x48, 0x8b, 0x0d];
const MOV_FROM_RAX: &[u8] = &[0x48, 0x89, 0x05];
const MOV_FROM_RCX: &[u8] = &[0x48, 0x89, 0x0d];
const MOV_FROM_RDX: &[u8] = &[0x48, 0x89, 0x15];
const MOV_IMM32: &[u8] = &[0x48, 0xc7, 0x05];
const ADD_BYTE_IMM8: &[u8] = &[0x80, 0x05];

impl Emitter<'_> {
    /// Emits `code`, an instruction on `field` of `site`, which ends in `immediate`.
    fn on_site(&mut self, code: &[u8], site: usize, field: usize, immediate: &[u8]) {
        let length = code.len() + 4 + immediate.len();
        let behind = self.place.code + self.asm.offset().0 + length;
        let at = self.place.sites + site * size_of::<Site>() + field;
        let distance = (at as i64 - behind as i64) as i32;
        self.asm.extend(code);
        self.asm.extend(&distance.to_le_bytes());
        self.asm.extend(immediate);
    }

    /// Takes sites for the accesses of the region that are in loops.
    pub(super) fn take_sites(&mut self, range: &mut SiteRange) {
        let count = (0..self.region.slots.len()).filter(|at| self.has_site(*at)).count();
        if count == 0 {
            return;
        }
        let refresh = self.asm.new_dynamic_label();
        self.sites = range.take(count + 1).map(|header| Sites {
            header,
            next: header + 1,
            taken: header + 1..header + 1 + count,
            refresh,
        });
    }

    fn has_site(&self, at: usize) -> bool {
        let slot = self.region.slots[at];
        self.depth[at] > 0
            && matches!(slot.inst, crate::jit::inst::Inst::Access(_))
            && !self.page.is_scattered(slot.index)
    }

    /// The site of the access in `slot`, if it has one.
    pub(super) fn next_site(&mut self, slot: Slot) -> Option<usize> {
        let at = self.region.position(slot.index)?;
        let has = self.has_site(at);
        let sites = self.sites.as_mut().filter(|_| has)?;
        sites.next += 1;
        Some(sites.next - 1)
    }

    /// Makes RCX what is added to the virtual address, or to the offset that RAX becomes.
    pub(super) fn look_at_site(&mut self, look: Look, slot: Slot, slow: DynamicLabel, back: DynamicLabel) {
        let (entry, hit) = (self.asm.new_dynamic_label(), self.asm.new_dynamic_label());
        let (subtract, compare) = match look.host {
            Host::OfAddress => (SUB_RDX, CMP_RDX),
            Host::OfOffset => (SUB_RAX, CMP_RAX),
        };
        self.on_site(subtract, look.site, BASE, &[]);
        self.on_site(compare, look.site, LIMIT, &[]);
        dynasm!(self.asm ; .arch x64 ; jae =>entry);
        self.on_site(MOV_TO_RCX, look.site, ADDEND, &[]);
        dynasm!(self.asm ; .arch x64 ; =>hit);
        self.misses.push(Miss { entry, hit, slow: Slow { entry: slow, back, slot }, look });
    }

    pub(super) fn miss_stub(&mut self, miss: &Miss) {
        let worn = self.asm.new_dynamic_label();
        let (entry, hit, slow, Look { site, bytes, load, host }) = (miss.entry, miss.hit, miss.slow.entry, miss.look);
        dynasm!(self.asm ; .arch x64 ; =>entry);
        if host == Host::OfAddress {
            dynasm!(self.asm ; .arch x64 ; mov rax, rdx);
        }
        self.on_site(ADD_RAX, site, BASE, &[]);
        self.probe(bytes, load);
        let addend = tlb_offset(offset_of!(Entry, addend));
        dynasm!(self.asm ; .arch x64 ; jne =>slow);
        self.on_site(ADD_BYTE_IMM8, site, MISSES, &[1]);
        dynasm!(self.asm
            ; .arch x64
            ; jz =>worn
            ; mov rcx, QWORD [rbp + rcx + addend]
            ; mov rdx, rax
            ; and rdx, -4096
        );
        if host == Host::OfOffset {
            dynasm!(self.asm ; .arch x64 ; sub rax, rdx ; add rcx, rdx);
        }
        self.on_site(MOV_FROM_RDX, site, BASE, &[]);
        self.on_site(MOV_IMM32, site, LIMIT, &(4097 - bytes).to_le_bytes());
        self.on_site(MOV_FROM_RCX, site, ADDEND, &[]);
        dynasm!(self.asm ; .arch x64 ; jmp =>hit ; =>worn ; mov ecx, site as i32);
        self.call_access(&miss.slow, crate::jit::runtime::worn_access as *const () as usize);
    }

    /// Makes the sites forget when something was dropped from the TLB, or the context is another. Uses RAX and RDX.
    pub(super) fn check_sites(&mut self) {
        let Some(sites) = &self.sites else { return };
        let (refresh, header) = (sites.refresh, sites.header);
        let fresh = self.asm.new_dynamic_label();
        let drops = (offset_of!(Cpu, tlb) + offset_of!(Tlb, drops)) as i32;
        // Contexts are small numbers.
        dynasm!(self.asm
            ; .arch x64
            ; mov rax, QWORD [rbp + drops]
            ; shl rax, 2
            ; or rax, QWORD [rbp + offset_of!(Cpu, tlb_context) as i32]
            ; lea rdx, [=>fresh]
        );
        self.on_site(CMP_RAX, header, BASE, &[]);
        dynasm!(self.asm ; .arch x64 ; jne =>refresh ; =>fresh);
    }

    pub(super) fn refresh_stub(&mut self) {
        let Some(sites) = self.sites.take() else { return };
        let refresh = sites.refresh;
        dynasm!(self.asm ; .arch x64 ; =>refresh);
        self.on_site(MOV_FROM_RAX, sites.header, BASE, &[]);
        for site in sites.taken {
            self.on_site(MOV_IMM32, site, LIMIT, &0u32.to_le_bytes());
        }
        dynasm!(self.asm ; .arch x64 ; jmp rdx);
    }
}
