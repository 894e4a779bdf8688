//! Taking exceptions to EL1 and returning from them (DDI 0487, D1.3 and D1.4).

use arm64::exception::{Kind, Origin, vector_offset};
use arm64::mmu::without_tag;
use arm64::pstate;
use arm64::sysreg::sctlr;

use crate::cpu::Cpu;
use crate::trap::Trap;

impl Cpu {
    /// Takes a synchronous exception whose preferred return address is the program counter.
    pub(crate) fn take_exception(&mut self, esr: u64, far: Option<u64>) {
        self.sys.esr = esr;
        if let Some(far) = far {
            self.sys.far = far;
        }
        self.vector(Kind::Synchronous);
    }

    /// Takes an interrupt.
    pub(crate) fn take_interrupt(&mut self, kind: Kind) {
        self.interrupts += 1;
        self.vector(kind);
    }

    fn vector(&mut self, kind: Kind) {
        self.exceptions += 1;
        let from = self.spsr();
        self.sys.spsr = from;
        self.sys.elr = self.pc;
        let pan = if self.sys.sctlr & sctlr::SPAN == 0 { pstate::PAN } else { from & pstate::PAN };
        self.set_pstate(from & pstate::NZCV | pan | pstate::DAIF | pstate::EL1H);
        self.pc = self.sys.vbar.wrapping_add(vector_offset(Origin::of_pstate(from), kind));
    }

    /// ERET: PSTATE from SPSR_EL1, program counter from ELR_EL1.
    pub(crate) fn return_from_exception(&mut self) -> Result<(), Trap> {
        if self.el0() {
            return Err(Trap::Undefined);
        }
        const KEPT: u64 = pstate::NZCV | pstate::PAN | pstate::SS | pstate::IL | pstate::DAIF | pstate::MODE;
        let to = self.sys.spsr;
        let legal = matches!(to & pstate::MODE, pstate::EL0T | pstate::EL1T | pstate::EL1H);
        self.exclusive = None;
        self.event = true;
        self.pc = without_tag(self.sys.tcr, self.sys.elr);
        if legal {
            self.set_pstate(to & KEPT);
        } else {
            // An illegal return keeps the mode and sets PSTATE.IL (D1.4.4).
            let mode = self.pstate & pstate::MODE;
            self.set_pstate(to & KEPT & !pstate::MODE | mode | pstate::IL);
        }
        Err(Trap::Resume)
    }
}
