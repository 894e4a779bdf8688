//! Accesses to virtual memory: the fast path through the TLB, and the slow path that walks the tables, reaches
//! devices, splits what crosses a page, and finds the faults.

use arm64::esr;
use arm64::mmu::{Access, AccessKind, Translation, walk};
use arm64::sysreg::sctlr;

use super::tlb::{Entry, Tlb};
use crate::code::PAGE_SIZE;
use crate::cpu::{Cpu, SP};
use crate::isa::Insn;
use crate::ram::{HostPtr, Scalar};
use crate::trap::Trap;

/// Translation context of EL0: the low bits of a TLB tag.
pub(crate) const CONTEXT_EL0: u64 = 0;
/// Translation context of EL1 with `PSTATE.PAN` clear.
pub(crate) const CONTEXT_EL1: u64 = 1;
/// Translation context of EL1 with `PSTATE.PAN` set.
pub(crate) const CONTEXT_EL1_PAN: u64 = 2;

/// What a stack pointer that is the base of an access has to be a multiple of.
pub(crate) const STACK_ALIGNMENT: u64 = 16;

/// Where an access inside one page goes.
#[derive(Clone, Copy)]
pub(crate) enum Location {
    /// RAM.
    Ram(HostPtr),
    /// The guest-physical address of a device register.
    Device(u64),
}

impl Cpu {
    /// Loads from virtual address `va` at the current privilege; any alignment.
    #[inline(always)]
    pub fn load<T: Scalar>(&mut self, va: u64) -> Result<T, Trap> {
        match self.tlb.read(va, T::SIZE, self.tlb_context) {
            Some(host) => Ok(HostPtr(host as *mut u8).load()),
            None => self.load_slow(va, self.tlb_context),
        }
    }

    /// Stores to virtual address `va` at the current privilege; any alignment.
    #[inline(always)]
    pub fn store<T: Scalar>(&mut self, va: u64, value: T) -> Result<(), Trap> {
        match self.tlb.write(va, T::SIZE, self.tlb_context) {
            Some(host) => {
                HostPtr(host as *mut u8).store(value);
                Ok(())
            }
            None => self.store_slow(va, value, self.tlb_context),
        }
    }

    /// Loads through a translation in `context`.
    #[cold]
    #[inline(never)]
    pub(crate) fn load_slow<T: Scalar>(&mut self, va: u64, context: u64) -> Result<T, Trap> {
        if self.tlb.promote(va, context, false)
            && let Some(host) = self.tlb.read(va, T::SIZE, context)
        {
            return Ok(HostPtr(host as *mut u8).load());
        }
        self.tlb_misses += 1;
        if crosses(va, T::SIZE) {
            return self.load_split(va, context);
        }
        Ok(match self.locate(va, T::SIZE, AccessKind::Read, context)? {
            Location::Ram(host) => host.load(),
            Location::Device(pa) => T::from_u128(self.read_device(pa, T::SIZE)),
        })
    }

    /// Stores through a translation in `context`.
    #[cold]
    #[inline(never)]
    pub(crate) fn store_slow<T: Scalar>(&mut self, va: u64, value: T, context: u64) -> Result<(), Trap> {
        if self.tlb.promote(va, context, true)
            && let Some(host) = self.tlb.write(va, T::SIZE, context)
        {
            HostPtr(host as *mut u8).store(value);
            return Ok(());
        }
        self.tlb_misses += 1;
        if crosses(va, T::SIZE) {
            return self.store_split(va, value, context);
        }
        match self.locate(va, T::SIZE, AccessKind::Write, context)? {
            Location::Ram(host) => host.store(value),
            Location::Device(pa) => self.write_device(pa, value.to_u128(), T::SIZE),
        }
        Ok(())
    }

    /// A load over the end of a page, byte by byte, after both pages were found good.
    fn load_split<T: Scalar>(&mut self, va: u64, context: u64) -> Result<T, Trap> {
        let mut value = 0u128;
        self.check_alignment_control(va, T::SIZE, false)?;
        for at in 0..T::SIZE {
            let byte = match self.locate(va.wrapping_add(at), 1, AccessKind::Read, context)? {
                Location::Ram(host) => host.load::<u8>(),
                Location::Device(_) => return Err(self.data_abort(va, esr::fsc::ALIGNMENT, false)),
            };
            value |= (byte as u128) << (at * 8);
        }
        Ok(T::from_u128(value))
    }

    /// A store over the end of a page: nothing is written when either page faults.
    fn store_split<T: Scalar>(&mut self, va: u64, value: T, context: u64) -> Result<(), Trap> {
        self.check_alignment_control(va, T::SIZE, true)?;
        let last = va.wrapping_add(T::SIZE - 1) & !(PAGE_SIZE - 1);
        for page in [va, last] {
            if let Location::Device(_) = self.locate(page, 1, AccessKind::Write, context)? {
                return Err(self.data_abort(va, esr::fsc::ALIGNMENT, true));
            }
        }
        for at in 0..T::SIZE {
            if let Location::Ram(host) = self.locate(va.wrapping_add(at), 1, AccessKind::Write, context)? {
                host.store((value.to_u128() >> (at * 8)) as u8);
            }
        }
        Ok(())
    }

    /// `SCTLR_EL1.SA` and `SA0`: a stack pointer that is the base of a load or store has to be aligned, whatever is added
    /// to it (DDI 0487, D1.4.10.2).
    pub(crate) fn check_stack(&self) -> Result<(), Trap> {
        let control = if self.el0() { sctlr::SA0 } else { sctlr::SA };
        if self.sys.sctlr & control != 0 && !self.x[SP].is_multiple_of(STACK_ALIGNMENT) {
            return Err(Trap::Exception { esr: esr::sp_alignment(), far: None });
        }
        Ok(())
    }

    /// The base of a load or store, where 31 is SP.
    pub(crate) fn base(&self, i: Insn) -> Result<u64, Trap> {
        if i.rn() == SP {
            self.check_stack()?;
        }
        Ok(self.x[i.rn()])
    }

    /// `SCTLR_EL1.A`: every access has to be aligned.
    fn check_alignment_control(&self, va: u64, size: u64, write: bool) -> Result<(), Trap> {
        if self.sys.sctlr & sctlr::A != 0 && va & (size.min(16) - 1) != 0 {
            return Err(self.data_abort(va, esr::fsc::ALIGNMENT, write));
        }
        Ok(())
    }

    /// Translates an access that stays inside one page, entering the page into the TLB.
    pub(crate) fn locate(&mut self, va: u64, size: u64, kind: AccessKind, context: u64) -> Result<Location, Trap> {
        let write = kind == AccessKind::Write;
        self.check_alignment_control(va, size, write)?;
        let el0 = context == CONTEXT_EL0;
        let pan = context == CONTEXT_EL1_PAN;
        let access = Access { kind, el0, pan, query: false };
        let t = walk(&self.translation_regs(), va, access, &mut self.ram)
            .map_err(|fault| self.data_abort(va, fault.fsc(), write))?;
        if t.memory.is_device() && va & (size - 1) != 0 {
            return Err(self.data_abort(va, esr::fsc::ALIGNMENT, write));
        }
        self.check_watchpoints(va, size, kind)?;
        let Some(page) = self.ram.page(t.pa) else { return Ok(Location::Device(t.pa)) };
        self.enter_tlb(va, context, &t, page.address());
        Ok(Location::Ram(page.at(t.pa)))
    }

    /// Enters a translation into the TLB with every right that the context has.
    fn enter_tlb(&mut self, va: u64, context: u64, t: &Translation, host: u64) {
        // Where accesses have to be aligned or are watched nothing is entered, so that each one is checked.
        if self.sys.sctlr & sctlr::A != 0 || t.memory.is_device() || self.watches_page(va) {
            return;
        }
        let (el0, pan) = (context == CONTEXT_EL0, context == CONTEXT_EL1_PAN);
        let tag = Tlb::tag(va, context);
        let may = |access: Access| if arm64::mmu::check(t.permissions, access) { tag } else { u64::MAX };
        let entry = Entry {
            read: may(Access::read(el0, pan)),
            write: may(Access::write(el0, pan)),
            addend: host.wrapping_sub(va & !(PAGE_SIZE - 1)),
            non_global: !t.global,
        };
        self.tlb.insert(va, context, entry, t.page_bits);
    }

    /// The exception for a data access that faults.
    pub(crate) fn data_abort(&self, va: u64, fsc: u64, write: bool) -> Trap {
        Trap::Exception { esr: esr::data_abort(self.el0(), fsc, write), far: Some(va) }
    }

    /// Finds the physical page of the instruction at `va`.
    pub(crate) fn translate_fetch(&mut self, va: u64) -> Result<Translation, Trap> {
        let fetch = Access::execute(self.el0());
        walk(&self.translation_regs(), va, fetch, &mut self.ram).map_err(|fault| self.fetch_abort(va, fault.fsc()))
    }

    /// The exception for an instruction fetch that faults.
    pub(crate) fn fetch_abort(&self, va: u64, fsc: u64) -> Trap {
        Trap::Exception { esr: esr::instruction_abort(self.el0(), fsc), far: Some(va) }
    }

    /// Translates without an access, for `AT` and cache maintenance by address.
    pub(crate) fn query(&mut self, va: u64, kind: AccessKind, el0: bool) -> Result<Translation, arm64::mmu::Fault> {
        let access = Access { kind, el0, pan: false, query: true };
        walk(&self.translation_regs(), va, access, &mut self.ram)
    }

    /// Reads a device register: 16 bytes as two of 8.
    pub(crate) fn read_device(&mut self, pa: u64, size: u64) -> u128 {
        let mut bytes = [0; 16];
        for (at, part) in bytes[..size as usize].chunks_mut(8).enumerate() {
            self.env.mmio.read(pa + at as u64 * 8, part);
        }
        self.device_accesses += 1;
        u128::from_le_bytes(bytes)
    }

    /// Writes a device register.
    pub(crate) fn write_device(&mut self, pa: u64, value: u128, size: u64) {
        let bytes = value.to_le_bytes();
        for (at, part) in bytes[..size as usize].chunks(8).enumerate() {
            self.env.mmio.write(pa + at as u64 * 8, part);
        }
        self.device_accesses += 1;
    }

    /// An aligned host location for an atomic access of `size` bytes, which RAM alone can give.
    pub(crate) fn locate_atomic(&mut self, va: u64, size: u64, write: bool) -> Result<HostPtr, Trap> {
        let context = self.tlb_context;
        if va & (size - 1) != 0 {
            return Err(self.data_abort(va, esr::fsc::ALIGNMENT, write));
        }
        let hit = if write { self.tlb.write(va, size, context) } else { self.tlb.read(va, size, context) };
        if let Some(host) = hit {
            return Ok(HostPtr(host as *mut u8));
        }
        let kind = if write { AccessKind::Write } else { AccessKind::Read };
        match self.locate(va, size, kind, context)? {
            Location::Ram(host) => Ok(host),
            Location::Device(_) => Err(self.data_abort(va, esr::fsc::UNSUPPORTED_ATOMIC, write)),
        }
    }
}

/// Whether `size` bytes at `va` reach into the next page.
fn crosses(va: u64, size: u64) -> bool {
    (va & (PAGE_SIZE - 1)) + size > PAGE_SIZE
}
