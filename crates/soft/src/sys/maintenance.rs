//! Cache and TLB maintenance, address translation instructions, DC ZVA: the SYS instructions.

use arm64::esr;
use arm64::id::ZVA_BITS;
use arm64::mmu::{AccessKind, par_el1};
use arm64::sysop as op;
use arm64::sysreg::{encoding_of_instruction, sctlr};

use crate::code::PAGE_SIZE;
use crate::cpu::Cpu;
use crate::isa::Insn;
use crate::mmu::Location;
use crate::shared::Maintenance;
use crate::trap::Trap;

/// SYS: DC, IC, TLBI, AT.
pub(crate) fn sys(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    // The encoding with op0 = 1, as `arm64::sysop` has it.
    let operation = encoding_of_instruction(i.0);
    let value = cpu.reg(i.rd());
    if cpu.el0() {
        let control = match operation {
            op::DC_ZVA => sctlr::DZE,
            op::DC_CVAC | op::DC_CVAU | op::DC_CIVAC | op::IC_IVAU => sctlr::UCI,
            _ => return Err(Trap::Undefined),
        };
        if cpu.sys.sctlr & control == 0 {
            return Err(Trap::Exception { esr: esr::sysreg(operation, i.rd() as u8, false), far: None });
        }
    }
    match operation {
        op::DC_ZVA => return cpu.zero_block(value),
        op::IC_IVAU => return cpu.invalidate_code(value),
        op::IC_IALLU => cpu.maintain(Maintenance::CodeAll, false),
        op::IC_IALLUIS => cpu.maintain(Maintenance::CodeAll, true),
        // Data caches are coherent with everything; only the address has to translate.
        op::DC_IVAC | op::DC_CVAC | op::DC_CVAU | op::DC_CIVAC => return cpu.check_data_line(value),
        op::DC_ISW | op::DC_CSW | op::DC_CISW => {}
        op::AT_S1E1R | op::AT_S1E1W | op::AT_S1E0R | op::AT_S1E0W => cpu.translate_address(operation, value),
        op::TLBI_VMALLE1 => cpu.maintain(Maintenance::TlbAll, false),
        op::TLBI_VMALLE1IS => cpu.maintain(Maintenance::TlbAll, true),
        // A TLB holds one ASID at a time, so an ASID is all that is not global, and another ASID costs no more.
        op::TLBI_ASIDE1 => cpu.maintain(Maintenance::TlbNonGlobal, false),
        op::TLBI_ASIDE1IS => cpu.maintain(Maintenance::TlbNonGlobal, true),
        op::TLBI_VAE1 | op::TLBI_VAAE1 | op::TLBI_VALE1 | op::TLBI_VAALE1 => {
            cpu.maintain(Maintenance::TlbAddress(page_of_operand(value)), false);
        }
        op::TLBI_VAE1IS | op::TLBI_VAAE1IS | op::TLBI_VALE1IS | op::TLBI_VAALE1IS => {
            cpu.maintain(Maintenance::TlbAddress(page_of_operand(value)), true);
        }
        _ => return Err(Trap::Undefined),
    }
    Ok(())
}

/// The virtual address in the operand of a TLBI by address: VA[55:12] in bits 43:0, sign-extended.
fn page_of_operand(value: u64) -> u64 {
    (((value << 20) as i64) >> 8) as u64
}

impl Cpu {
    /// Does maintenance here and, when it is for the inner shareable domain, has the others do it.
    fn maintain(&mut self, request: Maintenance, broadcast: bool) {
        self.perform(request);
        if broadcast && self.shared.cpus.len() > 1 {
            self.shared.broadcast(self.index, request);
            self.sync_pending = true;
        }
    }

    /// Does maintenance on this CPU.
    pub(crate) fn perform(&mut self, request: Maintenance) {
        match request {
            Maintenance::TlbAll => self.flush_tlb(),
            Maintenance::TlbNonGlobal => {
                self.tlb.clear_non_global();
                self.itlb.clear();
            }
            Maintenance::TlbAddress(va) => match self.tlb.remove(va) {
                Some(pages) => pages.step_by(PAGE_SIZE as usize).for_each(|page| self.itlb.remove(page)),
                None => self.itlb.clear(),
            },
            Maintenance::CodePage(pa) => self.code.invalidate(pa),
            Maintenance::CodeAll => self.code.invalidate_all(),
        }
    }

    /// DSB: the maintenance that this CPU broadcast is complete on every CPU after it.
    pub(crate) fn complete_maintenance(&mut self) {
        if self.sync_pending {
            self.sync_pending = false;
            let shared = self.shared.clone();
            shared.synchronize(self.index, || self.maintain_own());
        }
    }

    /// Does what other CPUs asked for.
    pub(crate) fn maintain_own(&mut self) {
        let shared = self.shared.clone();
        shared.cpus[self.index as usize].maintain(|request| self.perform(request));
    }

    /// The abort of a cache maintenance instruction by address.
    fn maintenance_abort(&self, va: u64, fsc: u64) -> Trap {
        Trap::Exception { esr: esr::cache_maintenance_abort(self.el0(), fsc), far: Some(va) }
    }

    fn check_data_line(&mut self, va: u64) -> Result<(), Trap> {
        match self.query(va, AccessKind::Read, self.el0()) {
            Ok(_) => Ok(()),
            Err(fault) => Err(self.maintenance_abort(va, fault.fsc())),
        }
    }

    /// IC IVAU: a line is a whole page (`CTR_EL0.IminLine`).
    fn invalidate_code(&mut self, va: u64) -> Result<(), Trap> {
        let pa = match self.query(va, AccessKind::Read, self.el0()) {
            Ok(t) => t.pa & !(PAGE_SIZE - 1),
            Err(fault) => return Err(self.maintenance_abort(va, fault.fsc())),
        };
        self.maintain(Maintenance::CodePage(pa), true);
        Ok(())
    }

    /// DC ZVA: writes zeroes to the aligned block around `va`, which never crosses a page.
    fn zero_block(&mut self, va: u64) -> Result<(), Trap> {
        const SIZE: u64 = 1 << ZVA_BITS;
        let start = va & !(SIZE - 1);
        let context = self.tlb_context;
        if let Some(host) = self.tlb.write(start, SIZE, context) {
            crate::ram::HostPtr(host as *mut u8).zero(SIZE as usize);
            return Ok(());
        }
        match self.locate(start, 1, AccessKind::Write, context) {
            Ok(Location::Ram(host)) => {
                self.check_watchpoints(start, SIZE, AccessKind::Write)?;
                host.zero(SIZE as usize);
            }
            Ok(Location::Device(_)) => return Err(self.data_abort(va, esr::fsc::ALIGNMENT, true)),
            // The fault is reported for the address that was given.
            Err(Trap::Exception { esr, .. }) => return Err(Trap::Exception { esr, far: Some(va) }),
            Err(trap) => return Err(trap),
        }
        Ok(())
    }

    /// AT: the translation goes to PAR_EL1.
    fn translate_address(&mut self, operation: u16, va: u64) {
        let kind = if matches!(operation, op::AT_S1E1W | op::AT_S1E0W) { AccessKind::Write } else { AccessKind::Read };
        let el0 = matches!(operation, op::AT_S1E0R | op::AT_S1E0W);
        let result = self.query(va, kind, el0);
        self.sys.par = par_el1(&result);
    }
}
