//! The emitter for x86-64: a region to machine code.
//!
//! Convention inside a region: RBP is the CPU, R15 the budget, RAX, RCX and RDX are scratch; the ten other registers
//! hold the guest registers that the region uses most. Everything else is in memory. A region is entered and left with
//! the interpreter's calling convention; registers that C would preserve need not be, for [`enter`] keeps them.
//!
//! Flags: each setter leaves them in the host's flags for the instruction right behind it, and stores the lazy form
//! ([`crate::interp::flags`]) in [`Cpu::flags`] unless it is overwritten before anything could look.

// The assembler's macro converts register numbers that are of the right type already.
#![allow(clippy::useless_conversion)]

mod access;
mod alu;
mod bits;
mod cases;
mod float;
mod flow;
#[cfg(test)]
mod golden;
mod leave;
mod permute;
mod sites;
mod structure;
mod vector;
mod vectors;
mod vex;
#[cfg(test)]
mod worst;

use std::collections::BTreeMap;
use std::mem::{offset_of, take};

use dynasmrt::x64::X64Relocation;
use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, VecAssembler, dynasm};

use self::cases::Cases;
pub(super) use self::leave::{Thunks, WARM, thunks};
use self::sites::{Miss, Sites};
use super::inst::{GUEST_REGS, Inst};
use super::region::{Region, Slot, near_target};
use super::site::SiteRange;
use super::{Place, Translation};
use crate::code::PagePtr;
use crate::cpu::{Cpu, DISCARD, XZR};
use crate::interp::{OpPtr, flags};

/// Puts together the code of a region, at no address yet.
pub(super) type Assembler = VecAssembler<X64Relocation>;

pub(super) const RAX: u8 = 0;
pub(super) const RCX: u8 = 1;
pub(super) const RDX: u8 = 2;
/// Registers for guest registers.
const POOL: [u8; 10] = [3, 12, 13, 14, 6, 7, 8, 9, 10, 11];

/// What the host's flags, or the stored lazy flags, are those of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `a - b`; the host's carry is the complement of the guest's.
    Sub,
    /// `a + b`.
    Add,
    /// A logical result: carry and overflow are clear.
    Logic,
}

/// A stub behind the region: a slow access, to be carried out by a call.
struct Slow {
    entry: DynamicLabel,
    back: DynamicLabel,
    slot: Slot,
}

pub(super) struct Emitter<'a> {
    asm: Assembler,
    region: &'a Region,
    page: PagePtr,
    place: Place,
    /// Host register of each guest register that has one.
    map: [Option<u8>; GUEST_REGS],
    /// Guest registers with a host register that the region writes.
    written: Vec<u8>,
    /// Label of each slot, by index of its word.
    labels: BTreeMap<usize, DynamicLabel>,
    /// Stubs that leave to a word of the page.
    exits: BTreeMap<usize, DynamicLabel>,
    /// Stubs that pause at a word of the page.
    pauses: BTreeMap<usize, DynamicLabel>,
    slow: Vec<Slow>,
    /// How many loops each slot is in.
    depth: Vec<u32>,
    sites: Option<Sites>,
    misses: Vec<Miss>,
    /// Subroutines, by what they call.
    calls: BTreeMap<usize, DynamicLabel>,
    /// Where jumps by register go in the region, if there are any.
    cases: Option<Cases>,
    /// Words of the region to which RET may come back from calls inside.
    return_sites: Vec<usize>,
    /// Jumps to operations of the page, as [`Translation`] has them.
    links: Vec<(usize, usize)>,
    features: Features,
    /// FP and AdvSIMD registers.
    vectors: vectors::Vectors,
    /// The stack pointer is aligned, or nobody asks for that.
    stack_is_aligned: bool,
    host_flags: Option<Kind>,
    /// Whether the operands in [`Cpu::flags`] have 64 bits, and what they are.
    stored_flags: Option<(bool, Kind)>,
}

/// What this host has beyond x86-64's first version.
#[derive(Debug, Clone, Copy)]
pub(super) struct Features {
    pub bmi2: bool,
    /// AVX2, FMA and AES, with all that came before.
    pub vectors: bool,
}

impl Features {
    fn of_host() -> Self {
        use std::arch::is_x86_feature_detected as has;
        Self { bmi2: has!("bmi2"), vectors: has!("avx2") && has!("fma") && has!("aes") }
    }
}

/// This host has an emitter.
pub(super) const AVAILABLE: bool = true;

/// Translates `region` of `page` with the empty `assembler`; `None` when its first instruction has no translation.
pub(super) fn translate(
    region: &Region,
    page: PagePtr,
    place: Place,
    sites: &mut SiteRange,
    assembler: &mut Assembler,
) -> Option<Translation> {
    let asm = std::mem::replace(assembler, Assembler::new(0));
    let mut emitter = Emitter::new(region, page, place, Features::of_host(), asm);
    // What is left to the interpreter must not begin with translated code: that would come back to itself.
    let translated = |index: &usize| {
        let slot = region.position(*index).map(|at| region.slots[at]);
        slot.is_some_and(|slot| slot.inst != Inst::Other || emitter.is_called(slot.word))
    };
    if !region.entries.first().is_some_and(translated) {
        return None;
    }
    let entries: Vec<usize> = region.entries.iter().copied().filter(translated).collect();
    emitter.take_sites(sites);
    emitter.cases = Cases::of(region, &mut emitter.asm);
    let entries = emitter.region(&entries);
    let (cases, links) = (emitter.cases.take(), take(&mut emitter.links));
    let mut code: Vec<u8> = emitter.asm.drain().ok()?.collect();
    *assembler = emitter.asm;
    if let Some(cases) = cases {
        cases.fill(&mut code);
    }
    Some(Translation { code, entries, links })
}

/// Offset in [`Cpu`] of guest register `g`.
fn reg_offset(g: u8) -> i32 {
    offset_of!(Cpu, x) as i32 + i32::from(g) * 8
}

/// Offset in [`Cpu`] of lazy flag value `n`.
pub(super) fn flag_offset(n: i32) -> i32 {
    offset_of!(Cpu, flags) as i32 + n * 8
}

impl<'a> Emitter<'a> {
    fn new(region: &'a Region, page: PagePtr, place: Place, features: Features, mut asm: Assembler) -> Self {
        let labels = region.slots.iter().map(|s| (s.index, asm.new_dynamic_label())).collect();
        let depth = loop_depths(region);
        let (map, written) = assign_registers(region, &depth);
        let vectors = vectors::Vectors::new(region, &depth, features.vectors, || asm.new_dynamic_label());
        Self {
            asm,
            region,
            page,
            place,
            map,
            written,
            labels,
            exits: BTreeMap::new(),
            pauses: BTreeMap::new(),
            slow: Vec::new(),
            depth,
            sites: None,
            misses: Vec::new(),
            calls: BTreeMap::new(),
            cases: None,
            return_sites: region.return_sites(),
            links: Vec::new(),
            features,
            vectors,
            stack_is_aligned: false,
            host_flags: None,
            stored_flags: None,
        }
    }

    /// Emits the region; its entries as [`Translation`] has them.
    fn region(&mut self, entries: &[usize]) -> Vec<(usize, usize)> {
        let region = self.region;
        let entries = entries.iter().map(|index| (*index, self.entry(*index))).collect();
        for (at, slot) in region.slots.iter().enumerate() {
            if region.is_target(slot.index) {
                self.host_flags = None;
                self.stored_flags = None;
                self.stack_is_aligned = false;
                self.vectors.forget_modes();
            }
            let label = self.labels[&slot.index];
            dynasm!(self.asm ; .arch x64 ; =>label);
            if let Some(cases) = &mut self.cases {
                cases.is_at(slot.index, self.asm.offset().0);
            }
            let falls_through = self.slot(at);
            self.stack_is_aligned &= slot.inst.keeps_stack_aligned();
            let next = region.slots.get(at + 1).map(|s| s.index);
            if falls_through && next != Some(slot.index + 1) {
                let exit = self.exit(slot.index + 1);
                dynasm!(self.asm ; .arch x64 ; jmp =>exit);
            }
        }
        self.stubs();
        entries
    }

    /// Emits an entry at word `index`; where in the code it is.
    fn entry(&mut self, index: usize) -> usize {
        while !self.asm.offset().0.is_multiple_of(16) {
            dynasm!(self.asm ; .arch x64 ; nop);
        }
        let start = self.asm.offset().0;
        dynasm!(self.asm
            ; .arch x64
            ; mov rbp, rdi
            ; mov r15, rdx
            ; mov QWORD [rbp + flag_offset(0)], rcx
            ; mov QWORD [rbp + flag_offset(1)], r8
            ; mov QWORD [rbp + flag_offset(2)], r9
        );
        // Translated code comes in here.
        assert_eq!(self.asm.offset().0 - start, leave::WARM);
        self.check_sites();
        self.load_mapped();
        let label = self.labels[&index];
        dynasm!(self.asm ; .arch x64 ; jmp =>label);
        start
    }

    /// Emits one instruction; whether control may reach the next word.
    fn slot(&mut self, at: usize) -> bool {
        let slot = self.region.slots[at];
        match slot.inst {
            Inst::Branch { .. }
            | Inst::BranchCond { .. }
            | Inst::BranchZero { .. }
            | Inst::BranchBit { .. }
            | Inst::BranchRegister { .. } => self.branch(slot),
            Inst::Access(access) => {
                self.access(slot, access);
                true
            }
            Inst::Simd(simd) if self.features.vectors => {
                self.simd(slot, simd);
                true
            }
            Inst::Other | Inst::Simd(_) => self.other(slot),
            _ => {
                let keep = slot.inst.sets_flags() && self.flags_are_seen(at);
                self.compute(slot.inst, keep);
                true
            }
        }
    }

    /// Whether flags that slot `at` sets can be seen in [`Cpu::flags`]: not when a setter follows with nothing between
    /// that could fault, leave, or read them from there.
    fn flags_are_seen(&self, at: usize) -> bool {
        let mut in_host = true;
        for (a, b) in self.region.slots[at..].iter().zip(&self.region.slots[at + 1..]) {
            let serves = in_host && flow::reads_host_flags(self.region.slots[at].inst, b.inst);
            let reads_stored = b.inst.reads_flags() && !serves;
            if b.index != a.index + 1 || self.region.is_target(b.index) || !b.inst.is_pure() || reads_stored {
                return true;
            }
            if b.inst.sets_flags() {
                // The one that compares on a condition needs them, should it fail, only in the host.
                return false;
            }
            in_host &= matches!(b.inst, Inst::Const { .. } | Inst::PageRelative { .. } | Inst::Nop);
        }
        true
    }

    /// An instruction without a translation: called, or left to the interpreter.
    fn other(&mut self, slot: Slot) -> bool {
        self.host_flags = None;
        self.vectors.forget_modes();
        let decoder = crate::isa::decode::Decoder::get();
        let Some((_, fp)) = decoder.callable(slot.word) else {
            let exit = self.exit(slot.index);
            dynasm!(self.asm ; .arch x64 ; jmp =>exit);
            return false;
        };
        let target = if fp {
            super::runtime::call_fp_row as *const () as usize
        } else {
            super::runtime::call_row as *const () as usize
        };
        self.call_slot(target, slot);
        if !fp {
            self.check_sites();
        }
        true
    }

    /// Calls the function of `slot` through `target`.
    fn call_slot(&mut self, target: usize, slot: Slot) {
        let row = crate::isa::decode::Decoder::get().function(slot.word).expect("only functions are called");
        let call = self.call_of(target);
        dynasm!(self.asm
            ; .arch x64
            ; mov eax, row as i32
            ; mov edx, slot.word as i32
            ; mov ecx, slot.index as i32 * 4
            ; call =>call
        );
    }

    /// The subroutine of the region that calls `target` with all guest registers in [`Cpu`], and leaves if it trapped.
    /// The first argument behind the CPU is in EAX, for it may not be in a guest register's place yet.
    fn call_of(&mut self, target: usize) -> DynamicLabel {
        let asm = &mut self.asm;
        *self.calls.entry(target).or_insert_with(|| asm.new_dynamic_label())
    }

    fn call_stubs(&mut self) {
        for (target, label) in take(&mut self.calls) {
            let trapped = self.asm.new_dynamic_label();
            dynasm!(self.asm ; .arch x64 ; =>label);
            self.store_written();
            // The stack is aligned here: the region's caller and the region have pushed one address each.
            dynasm!(self.asm ; .arch x64 ; mov rdi, rbp ; mov esi, eax ; mov rax, QWORD target as i64 ; call rax);
            self.load_mapped();
            dynasm!(self.asm ; .arch x64 ; test al, al ; jz =>trapped ; ret ; =>trapped ; add rsp, 8 ; ret);
        }
    }

    fn is_called(&self, word: u32) -> bool {
        crate::isa::decode::Decoder::get().callable(word).is_some()
    }

    // ---- guest registers ----

    /// Loads every guest register that has a host register.
    fn load_mapped(&mut self) {
        for g in 0..GUEST_REGS as u8 {
            if let Some(host) = self.map[g as usize] {
                dynasm!(self.asm ; .arch x64 ; mov Rq(host), QWORD [rbp + reg_offset(g)]);
            }
        }
        self.enter_vectors();
    }

    /// Stores every guest register that has a host register and is written in the region.
    fn store_written(&mut self) {
        for at in 0..self.written.len() {
            let g = self.written[at];
            let host = self.map[g as usize].expect("written registers are mapped ones");
            dynasm!(self.asm ; .arch x64 ; mov QWORD [rbp + reg_offset(g)], Rq(host));
        }
        self.leave_vectors();
    }

    /// A host register with the value of `g`: its own, or `scratch`. Leaves the flags alone.
    pub(super) fn src(&mut self, g: u8, scratch: u8) -> u8 {
        match self.map[g as usize] {
            Some(host) => host,
            None if g as usize == XZR => {
                dynasm!(self.asm ; .arch x64 ; mov Rd(scratch), 0);
                scratch
            }
            None => {
                dynasm!(self.asm ; .arch x64 ; mov Rq(scratch), QWORD [rbp + reg_offset(g)]);
                scratch
            }
        }
    }

    /// The value of `g` in `scratch` itself. Leaves the flags alone.
    pub(super) fn copy(&mut self, g: u8, scratch: u8) {
        let host = self.src(g, scratch);
        if host != scratch {
            dynasm!(self.asm ; .arch x64 ; mov Rq(scratch), Rq(host));
        }
    }

    /// The host register in which to compute `g`: its own, or RAX.
    pub(super) fn dst(&self, g: u8) -> u8 {
        self.map[g as usize].unwrap_or(RAX)
    }

    /// Makes `host` the value of `g`. Leaves the flags alone.
    pub(super) fn put(&mut self, g: u8, host: u8) {
        match self.map[g as usize] {
            Some(own) if own == host => {}
            Some(own) => dynasm!(self.asm ; .arch x64 ; mov Rq(own), Rq(host)),
            None if g as usize == DISCARD => {}
            None => dynasm!(self.asm ; .arch x64 ; mov QWORD [rbp + reg_offset(g)], Rq(host)),
        }
    }

    // ---- stubs ----

    /// The stub that leaves to word `index`.
    fn exit(&mut self, index: usize) -> DynamicLabel {
        let asm = &mut self.asm;
        *self.exits.entry(index).or_insert_with(|| asm.new_dynamic_label())
    }

    /// The stub that pauses at word `index`.
    fn pause(&mut self, index: usize) -> DynamicLabel {
        let asm = &mut self.asm;
        *self.pauses.entry(index).or_insert_with(|| asm.new_dynamic_label())
    }

    fn stubs(&mut self) {
        for miss in take(&mut self.misses) {
            self.miss_stub(&miss);
        }
        self.refresh_stub();
        for slow in take(&mut self.slow) {
            self.slow_stub(&slow);
        }
        self.slow_simds();
        for (index, label) in take(&mut self.exits) {
            dynasm!(self.asm ; .arch x64 ; =>label);
            self.leave_to_op(index);
        }
        for (index, label) in take(&mut self.pauses) {
            dynasm!(self.asm ; .arch x64 ; =>label);
            self.pause_at_op(index);
        }
        self.call_stubs();
        if let Some(cases) = &mut self.cases {
            cases.others_are_at(self.asm.offset().0);
            self.leave_to_address();
        }
        if let Some(cases) = &mut self.cases {
            cases.table(&mut self.asm);
        }
        self.vector_stubs();
    }

    fn slow_stub(&mut self, slow: &Slow) {
        let entry = slow.entry;
        dynasm!(self.asm ; .arch x64 ; =>entry);
        self.call_access(slow, super::runtime::slow_access as *const () as usize);
    }

    /// Carries out the access of `slow` by `target`, which may take a fourth argument in RCX.
    fn call_access(&mut self, slow: &Slow, target: usize) {
        let (call, back) = (self.call_of(target), slow.back);
        dynasm!(self.asm
            ; .arch x64
            ; mov eax, slow.slot.word as i32
            ; mov edx, slow.slot.index as i32 * 4
            ; call =>call
            ; jmp =>back
        );
    }

    /// The address of the operation of word `index`.
    fn op_address(&self, index: usize) -> i64 {
        self.page.op_at(index).0 as usize as i64
    }
}

/// How many loops each slot of the region is in, at most 3.
fn loop_depths(region: &Region) -> Vec<u32> {
    // How many more loops each slot is in than the one before.
    let mut change = vec![0i32; region.slots.len() + 1];
    for (last, slot) in region.slots.iter().enumerate() {
        let target = near_target(slot.index, slot.inst).filter(|target| *target <= slot.index);
        if let Some(first) = target.and_then(|target| region.position(target)) {
            change[first] += 1;
            change[last + 1] -= 1;
        }
    }
    let mut loops = 0;
    let depths = change.into_iter().map(|change| {
        loops += change;
        loops.min(3) as u32
    });
    depths.take(region.slots.len()).collect()
}

/// Gives host registers to the guest registers that are used most, uses in loops counting more.
fn assign_registers(region: &Region, depth: &[u32]) -> ([Option<u8>; GUEST_REGS], Vec<u8>) {
    let mut weight = [0u64; GUEST_REGS];
    let mut is_written = [false; GUEST_REGS];
    for (slot, depth) in region.slots.iter().zip(depth) {
        slot.inst.registers(|g, write| {
            weight[g as usize] += 1 << (3 * depth);
            is_written[g as usize] |= write;
        });
    }
    (weight[XZR], weight[DISCARD]) = (0, 0);
    let mut order: Vec<u8> = (0..GUEST_REGS as u8).filter(|g| weight[*g as usize] > 1).collect();
    order.sort_by_key(|g| std::cmp::Reverse(weight[*g as usize]));
    let mut map = [None; GUEST_REGS];
    for (g, host) in order.iter().zip(POOL) {
        map[*g as usize] = Some(host);
    }
    let written = (0..GUEST_REGS as u8).filter(|g| map[*g as usize].is_some() && is_written[*g as usize]).collect();
    (map, written)
}

/// Runs the interpreter, and through it translated code, from `op` until something leaves: a call that preserves the
/// registers which translated code does not.
pub(crate) fn enter(cpu: &mut Cpu, op: OpPtr, budget: u64, (fa, fb, fk): (u64, u64, u64)) {
    let handler = op.handler();
    // SAFETY: a handler is called by C's convention with its arguments; what it or translated code behind it may change
    // beyond C's convention is saved here or declared.
    unsafe {
        std::arch::asm!(
            "push rbx",
            "push rbp",
            "call {handler}",
            "pop rbp",
            "pop rbx",
            handler = in(reg) handler as usize,
            in("rdi") std::ptr::from_mut(cpu),
            in("rsi") op.0,
            in("rdx") budget,
            in("rcx") fa,
            in("r8") fb,
            in("r9") fk,
            out("r12") _,
            out("r13") _,
            out("r14") _,
            out("r15") _,
            clobber_abi("C"),
        );
    }
}

const _: () = assert!(flags::SUB == 0 && flags::ADD == 1 && flags::NZCV == 2, "the emitter writes these as numbers");
