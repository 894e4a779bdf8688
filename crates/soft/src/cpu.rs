//! The registers of one CPU and everything that its instructions reach.

use std::sync::Arc;

use arm64::mmu::TranslationRegs;
use arm64::pstate;
use hv::VcpuEnv;

use crate::code::{CodeCache, Itlb, PAGE_OPS, PAGE_SIZE, PagePtr};
use crate::debug::Debugging;
use crate::interp::branch::{fuse, fusible};
use crate::interp::{Op, OpPtr, unallocated};
use crate::isa::Insn;
use crate::isa::decode::Decoder;
use crate::jit::Jit;
use crate::jit::stall::Stalls;
use crate::mmu::tlb::Tlb;
use crate::mmu::{CONTEXT_EL0, CONTEXT_EL1, CONTEXT_EL1_PAN};
use crate::ram::Ram;
use crate::share::Share;
use crate::shared::Shared;
use crate::sys::{SysRegs, Waiting};
use crate::trap::Trap;

/// Index of the stack pointer in use in [`Cpu::x`].
pub const SP: usize = 31;
/// Index that reads as zero, for XZR as a source.
pub const XZR: usize = 32;
/// Index that takes results nobody reads, for XZR as a destination.
pub const DISCARD: usize = 33;

/// One CPU. The thread that runs it owns it; what others may touch is in `Shared`.
#[repr(C)]
pub struct Cpu {
    /// X0..X30, SP, a zero, a place for discarded results. As long as an operand byte can count, so that an operand
    /// needs no check.
    pub x: [u64; 256],
    /// Page address of the code page that is being executed.
    pub(crate) code_va: u64,
    /// That code page.
    pub(crate) code_page: PagePtr,
    /// What is added to page addresses in TLB tags: one of `mmu::CONTEXT_*`.
    pub(crate) tlb_context: u64,
    /// FP and AdvSIMD instructions do not trap (`CPACR_EL1.FPEN`) at the current exception level.
    pub(crate) fp_enabled: bool,
    /// V0..V31.
    pub v: [u128; 32],
    /// Floating-point control register.
    pub fpcr: u32,
    /// Floating-point status register.
    pub fpsr: u32,
    /// N, Z, C, V in bits 31:28. Current only outside the interpreter and where an instruction's row asks for it.
    pub nzcv: u32,
    /// The program counter. Current only outside the interpreter and in called instructions.
    pub pc: u64,
    /// Why the interpreter was left.
    pub(crate) left: Option<Trap>,
    /// The lazy flags as translated code keeps them ([`crate::interp::flags`]).
    pub(crate) flags: [u64; 3],
    /// What the last slow load loaded.
    pub(crate) loaded: [u128; 2],
    /// PSTATE without N, Z, C, V: mode, DAIF, PAN, SS, IL.
    pub(crate) pstate: u64,
    /// The stack pointers of EL0 and EL1; the one in use is [`Cpu::x`]`[SP]`.
    pub(crate) sp: [u64; 2],
    /// System registers.
    pub(crate) sys: Box<SysRegs>,
    /// What a load-exclusive remembers.
    pub(crate) exclusive: Option<Exclusive>,
    /// The data TLB.
    pub(crate) tlb: Tlb,
    /// The instruction TLB.
    pub(crate) itlb: Itlb,
    /// The code pages.
    pub(crate) code: CodeCache,
    /// Where translated code is: first address and bytes.
    pub(crate) jit_range: [u64; 2],
    /// The translator of hot code, if it is on.
    pub(crate) jit: Option<Jit>,
    /// The decoder of the whole table.
    pub(crate) decoder: &'static Decoder,
    /// Guest RAM.
    pub(crate) ram: Ram,
    /// Devices and interrupt controller.
    pub(crate) env: VcpuEnv,
    /// Index of this CPU.
    pub(crate) index: u32,
    /// What CPUs share.
    pub(crate) shared: Arc<Shared>,
    /// This CPU has sent maintenance to others and not waited for it yet.
    pub(crate) sync_pending: bool,
    /// The event register, for events of this CPU; those of others are [`crate::shared::signal::EVENT`].
    pub(crate) event: bool,
    /// Its latest waits for events.
    pub(crate) waiting: Option<Waiting>,
    /// What a debugger wants; `None` when it wants nothing.
    pub(crate) debug: Option<Box<Debugging>>,
    /// Data accesses that the TLB's first way did not answer.
    pub(crate) tlb_misses: u64,
    /// Accesses to device registers.
    pub(crate) device_accesses: u64,
    /// Exceptions and interrupts taken.
    pub(crate) exceptions: u64,
    /// Interrupts among them.
    pub(crate) interrupts: u64,
    /// Times that the guest waited for an interrupt.
    pub(crate) waits: u64,
    /// Times that it waited for an event which had not happened yet.
    pub(crate) event_waits: u64,
    /// Calls of firmware (PSCI and others).
    pub(crate) firmware_calls: u64,
    /// The times that the guest stood still for a translation.
    pub(crate) stalls: Stalls,
    /// Instruction words decoded.
    pub(crate) decoded: u64,
    /// Times that the interpreter was entered.
    pub(crate) entries: u64,
}

/// The exclusive monitor of a CPU: which location was loaded and what was there. A store-exclusive succeeds when it can
/// exchange that value for its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exclusive {
    /// Host address of the location.
    pub host: usize,
    /// Its size in bytes.
    pub size: u64,
    /// The value that was loaded.
    pub value: u128,
}

impl Cpu {
    /// A CPU in its reset state: EL1h, MMU off, interrupts masked.
    pub(crate) fn new(
        index: u32,
        ram: Ram,
        env: VcpuEnv,
        shared: Arc<Shared>,
        jit: Option<Jit>,
        share: &Share,
    ) -> Box<Self> {
        let mut cpu = Box::new(Self {
            x: [0; 256],
            code_va: 0,
            code_page: PagePtr::NONE,
            tlb_context: CONTEXT_EL1,
            fp_enabled: false,
            v: [0; 32],
            fpcr: 0,
            fpsr: 0,
            nzcv: 0,
            pc: 0,
            left: None,
            flags: [0; 3],
            loaded: [0; 2],
            pstate: pstate::EL1H | pstate::DAIF,
            sp: [0; 2],
            sys: Box::new(SysRegs::reset(0)),
            exclusive: None,
            tlb: Tlb::new(),
            itlb: Itlb::new(),
            code: CodeCache::new(share.pages),
            jit_range: jit.as_ref().map_or([0; 2], Jit::range),
            jit,
            decoder: Decoder::get(),
            ram,
            env,
            index,
            shared,
            sync_pending: false,
            event: false,
            waiting: None,
            debug: None,
            tlb_misses: 0,
            device_accesses: 0,
            exceptions: 0,
            interrupts: 0,
            waits: 0,
            event_waits: 0,
            firmware_calls: 0,
            stalls: Stalls::default(),
            decoded: 0,
            entries: 0,
        });
        cpu.update_context();
        cpu
    }

    /// Reads general register `n`, where 31 is XZR.
    #[inline(always)]
    #[must_use]
    pub fn reg(&self, n: usize) -> u64 {
        self.x[if n == 31 { XZR } else { n }]
    }

    /// Writes general register `n`, where 31 is XZR.
    #[inline(always)]
    pub fn set_reg(&mut self, n: usize, value: u64) {
        self.x[if n == 31 { DISCARD } else { n }] = value;
    }

    /// Whether the CPU is at EL0.
    #[inline(always)]
    pub(crate) fn el0(&self) -> bool {
        self.pstate & 0xc == 0
    }

    /// The whole of PSTATE as an SPSR has it.
    pub(crate) fn spsr(&self) -> u64 {
        self.pstate | u64::from(self.nzcv)
    }

    /// Sets PSTATE from the format of an SPSR, switching stack pointers.
    pub(crate) fn set_pstate(&mut self, value: u64) {
        self.sp[self.sp_index()] = self.x[SP];
        self.nzcv = (value & pstate::NZCV) as u32;
        self.pstate = value & !pstate::NZCV;
        self.x[SP] = self.sp[self.sp_index()];
        self.update_context();
    }

    /// Which of [`Cpu::sp`] is in use.
    pub(crate) fn sp_index(&self) -> usize {
        usize::from(self.pstate & pstate::MODE == pstate::EL1H)
    }

    /// Brings what is derived from PSTATE and control registers up to date.
    pub(crate) fn update_context(&mut self) {
        self.tlb_context = match (self.el0(), self.pstate & pstate::PAN != 0) {
            (true, _) => CONTEXT_EL0,
            (false, false) => CONTEXT_EL1,
            (false, true) => CONTEXT_EL1_PAN,
        };
        let fpen = self.sys.cpacr >> 20 & 3;
        self.fp_enabled = fpen == 3 || (fpen == 1 && !self.el0());
    }

    /// The registers of a table walk.
    pub(crate) fn translation_regs(&self) -> TranslationRegs {
        TranslationRegs {
            sctlr: self.sys.sctlr,
            tcr: self.sys.tcr,
            ttbr0: self.sys.ttbr0,
            ttbr1: self.sys.ttbr1,
            mair: self.sys.mair,
            pa_bits: arm64::id::PA_BITS,
        }
    }

    /// The virtual address of an operation of the current code page.
    #[inline(always)]
    pub(crate) fn pc_of(&self, op: OpPtr) -> u64 {
        self.code_va.wrapping_add(self.code_page.index(op) as u64 * 4)
    }

    /// Makes `page`, at virtual page address `va`, the current code page.
    #[inline(always)]
    pub(crate) fn enter_page(&mut self, page: PagePtr, va: u64) {
        self.code_page = page;
        self.code_va = va;
    }

    /// Finds the operation at the program counter and makes its page current.
    pub(crate) fn fetch(&mut self) -> Result<OpPtr, Trap> {
        let pc = self.pc;
        if let Some((page, op)) = self.itlb.find(pc, self.tlb_context) {
            self.enter_page(page, pc & !(PAGE_SIZE - 1));
            return Ok(op);
        }
        if pc & 3 != 0 {
            return Err(Trap::Exception { esr: arm64::esr::pc_alignment(), far: Some(pc) });
        }
        let t = self.translate_fetch(pc)?;
        let Some(memory) = self.ram.page(t.pa) else {
            return Err(self.fetch_abort(pc, arm64::esr::fsc::EXTERNAL));
        };
        let breakpoints = self.breakpoints_in_page(pc);
        if !breakpoints.is_empty() {
            // Not for the instruction TLB, which would let translated code of other pages in.
            let page = self.code.breakpoint_page(pc, t.pa, memory, breakpoints);
            self.enter_page(page, pc & !(PAGE_SIZE - 1));
            return Ok(page.op(pc));
        }
        let (page, dropped) = self.code.page(t.pa & !(PAGE_SIZE - 1), memory);
        if dropped {
            self.itlb.clear();
        }
        self.itlb.insert(pc, self.tlb_context, page);
        // The data TLB remembers which translations were blocks: an invalidation has to find this one too.
        self.tlb.note_block(pc, t.page_bits);
        self.enter_page(page, pc & !(PAGE_SIZE - 1));
        Ok(page.op(pc))
    }

    /// Decodes the word of `op` in place, fused with the one after it where they fuse.
    #[inline(never)]
    pub(crate) fn decode_at(&mut self, op: OpPtr) {
        let page = self.code_page;
        let index = page.index(op);
        let word = page.memory_word(index);
        let offset = index as u32 * 4;
        self.decoded += 1;
        let Some(lowered) = self.decoder.lower(word, offset) else {
            return page.set(index, word, Op::new(unallocated));
        };
        // An operation that is there already stays: it changes only when the guest invalidates its instruction cache.
        let fused = (index + 1 < PAGE_OPS && fusible(Insn(word))).then(|| {
            let known = page.decoded_word(index + 1);
            let next = known.unwrap_or_else(|| page.memory_word(index + 1));
            let fused = fuse(Insn(word), lowered, Insn(next), offset)?;
            if known.is_none() {
                page.set(index + 1, next, self.decoder.lower(next, offset + 4)?);
            }
            Some(fused)
        });
        page.set(index, word, fused.flatten().unwrap_or(lowered));
    }

    /// Decodes the word at the program counter for a single step.
    pub(crate) fn fetch_step(&mut self) -> Result<OpPtr, Trap> {
        let pc = self.pc;
        if pc & 3 != 0 {
            return Err(Trap::Exception { esr: arm64::esr::pc_alignment(), far: Some(pc) });
        }
        let t = self.translate_fetch(pc)?;
        let Some(memory) = self.ram.page(t.pa) else {
            return Err(self.fetch_abort(pc, arm64::esr::fsc::EXTERNAL));
        };
        let index = (pc / 4) as usize % PAGE_OPS;
        let op = self.decoder.lower(memory.word(index), index as u32 * 4).unwrap_or(Op::new(unallocated));
        let page = self.code.step_page(index, op, memory);
        self.enter_page(page, pc & !(PAGE_SIZE - 1));
        Ok(page.op(pc))
    }

    /// Forgets every translation of data and code.
    pub(crate) fn flush_tlb(&mut self) {
        self.tlb.clear();
        self.itlb.clear();
    }
}
