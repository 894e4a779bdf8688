//! FP and AdvSIMD registers: which host register has which, what has to hold before one may be used, and constants.
//!
//! XMM0 to XMM3 are scratch. The rest hold the guest registers that the region uses most; C preserves none, so that
//! they are stored before every call and loaded behind it, by code that the region has once.
//!
//! # Floating point on the host
//!
//! The host computes what the guest would where `FPCR` asks for neither another rounding nor flush-to-zero, which is
//! looked at before the first such instruction of a stretch without branches or calls. What remains is:
//!
//! * NaNs: a result that is one is computed again by a call, which chooses the right one and raises its flags.
//! * Overflow and division by zero give infinities; these, too, are computed again.
//! * Underflow: the guest finds it before rounding, the host behind. Where it is possible, a result with one of the two
//!   lowest exponents is computed again, unless it follows from a factor that is zero.
//! * Inexactness: `FPSR.IXC` is mostly set already, and then nothing has to be done. Where it is not, MXCSR collects
//!   it, cleared when the region is entered or a call returns, and read when the region is left or calls.
//!
//! `FPSR.IDC` is raised only where denormal inputs are flushed, and by the calls then.

use std::mem::offset_of;

use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, dynasm};

use super::Emitter;
use super::vex::{F3, NP, P66, Rm, v0f, v3a};
use crate::cpu::Cpu;
use crate::fp::IXC;
use crate::jit::inst::{Inst, Transfer};
use crate::jit::region::{Region, Slot};
use crate::jit::simd::{Lanes, Simd};

/// Where results that may have to be dropped are computed.
pub(super) const RESULT: u8 = 0;
/// Registers for guest registers.
const POOL: std::ops::Range<u8> = 4..16;
/// Uses from which a register is worth its load and store; one in a loop counts more.
const WORTH: u64 = 4;
/// `FPCR` bits under which the host's arithmetic differs: flush-to-zero and the rounding mode.
const OTHER_MODES: i32 = 0x01c0_0000;
/// `MXCSR` as the host has it, without flags.
const MXCSR: u128 = 0x1f80;
/// `MXCSR.PE`: something was inexact.
const INEXACT: i8 = 1 << 5;

/// The state of FP and AdvSIMD registers while a region is translated.
pub(super) struct Vectors {
    map: [Option<u8>; 32],
    /// Which of them the region writes.
    written: Vec<u8>,
    /// The region computes in floating point.
    float: bool,
    /// FP and AdvSIMD registers are known to be usable.
    enabled: bool,
    /// `FPCR` is known to be harmless.
    plain: bool,
    /// The code that stores and loads them.
    leave: DynamicLabel,
    enter: DynamicLabel,
    constants: Vec<(u128, DynamicLabel)>,
    slow: Vec<SlowSimd>,
}

/// An instruction that turned out to need a call.
struct SlowSimd {
    entry: DynamicLabel,
    back: DynamicLabel,
    slot: Slot,
    /// Looks at the result in XMM0 again before the call, and goes there if it will do.
    again: Option<(super::float::Product, DynamicLabel)>,
}

impl Vectors {
    /// The registers of `region`; none is in a host register unless the host has what the emitter uses.
    pub(super) fn new(
        region: &Region,
        depth: &[u32],
        available: bool,
        mut label: impl FnMut() -> DynamicLabel,
    ) -> Self {
        let mut map = [None; 32];
        let (mut weight, mut is_written) = ([0u64; 32], [false; 32]);
        for (slot, depth) in region.slots.iter().zip(depth) {
            registers(slot.inst, |v, write| {
                weight[v as usize] += 1 << (3 * depth);
                is_written[v as usize] |= write;
            });
        }
        if available {
            let mut order: Vec<usize> = (0..32).filter(|v| weight[*v] >= WORTH).collect();
            order.sort_by_key(|v| std::cmp::Reverse(weight[*v]));
            for (v, host) in order.into_iter().zip(POOL) {
                map[v] = Some(host);
            }
        }
        Self {
            map,
            written: (0..32).filter(|v| map[*v as usize].is_some() && is_written[*v as usize]).collect(),
            float: available && region.slots.iter().any(|slot| matches!(slot.inst, Inst::Simd(s) if computes(s))),
            enabled: false,
            plain: false,
            leave: label(),
            enter: label(),
            constants: Vec::new(),
            slow: Vec::new(),
        }
    }

    fn any(&self) -> bool {
        self.float || self.map.iter().any(Option::is_some)
    }

    /// At a label, or behind a call that may have changed control registers: nothing is known.
    pub(super) fn forget_modes(&mut self) {
        self.enabled = false;
        self.plain = false;
    }
}

/// Whether an instruction's result depends on `FPCR`, or it raises flags.
fn computes(simd: Simd) -> bool {
    matches!(
        simd,
        Simd::FloatUnary { .. }
            | Simd::FloatBinary { .. }
            | Simd::FloatFused { .. }
            | Simd::FloatMask { .. }
            | Simd::FloatCompare { .. }
            | Simd::FloatConvert { .. }
            | Simd::FromInt { .. }
            | Simd::ToInt { .. }
    )
}

/// Offset in [`Cpu`] of vector register `v`.
pub(super) fn vector_offset(v: u8) -> i32 {
    offset_of!(Cpu, v) as i32 + i32::from(v) * 16
}

impl Emitter<'_> {
    // ---- what has to hold ----

    /// Sees to it that FP and AdvSIMD registers may be used; else the instruction is called, which traps.
    pub(super) fn need_vectors(&mut self, otherwise: DynamicLabel) {
        if !self.vectors.enabled {
            self.host_flags = None;
            dynasm!(self.asm
                ; .arch x64
                ; cmp BYTE [rbp + offset_of!(Cpu, fp_enabled) as i32], 0
                ; je =>otherwise
            );
            self.vectors.enabled = true;
        }
    }

    /// Sees to it that `FPCR` lets the host compute, else leaves to the interpreter or, where the region begins, goes to
    /// `otherwise`.
    pub(super) fn need_plain_mode(&mut self, slot: Slot, otherwise: DynamicLabel) {
        if self.vectors.plain {
            return;
        }
        self.host_flags = None;
        dynasm!(self.asm ; .arch x64 ; test DWORD [rbp + offset_of!(Cpu, fpcr) as i32], OTHER_MODES);
        if self.region.entries.contains(&slot.index) {
            dynasm!(self.asm ; .arch x64 ; jnz =>otherwise);
        } else {
            let exit = self.exit(slot.index);
            dynasm!(self.asm ; .arch x64 ; jnz =>exit);
            self.vectors.plain = true;
        }
    }

    /// A label from which `slot` is called; it goes on at `back`.
    pub(super) fn slow_simd(&mut self, slot: Slot, back: DynamicLabel) -> DynamicLabel {
        let entry = self.asm.new_dynamic_label();
        self.vectors.slow.push(SlowSimd { entry, back, slot, again: None });
        entry
    }

    /// As [`Emitter::slow_simd`] for a `product` in XMM0, which is kept at `keep` if it is exact for lack of factors.
    pub(super) fn slow_product(
        &mut self,
        slot: Slot,
        back: DynamicLabel,
        product: super::float::Product,
        keep: DynamicLabel,
    ) -> DynamicLabel {
        let entry = self.asm.new_dynamic_label();
        self.vectors.slow.push(SlowSimd { entry, back, slot, again: Some((product, keep)) });
        entry
    }

    // ---- guest registers ----

    /// A host register with guest register `v`: its own, or `scratch`.
    pub(super) fn v_reg(&mut self, v: u8, scratch: u8) -> u8 {
        match self.vectors.map[v as usize] {
            Some(host) => host,
            None => {
                self.vex(v0f(NP, 0x10), scratch, 0, Rm::Cpu(vector_offset(v)));
                scratch
            }
        }
    }

    /// Guest register `v` as a last operand.
    pub(super) fn v_rm(&self, v: u8) -> Rm {
        match self.vectors.map[v as usize] {
            Some(host) => Rm::Reg(host),
            None => Rm::Cpu(vector_offset(v)),
        }
    }

    /// `scratch` = the lower half of `v`, zeroes above.
    pub(super) fn v_low(&mut self, v: u8, scratch: u8) {
        let rm = self.v_rm(v);
        self.vex(v0f(F3, 0x7e), scratch, 0, rm);
    }

    /// The host register in which to compute all of `v`: its own, or XMM0.
    pub(super) fn v_dst(&self, v: u8) -> u8 {
        self.vectors.map[v as usize].unwrap_or(0)
    }

    /// Makes all of `host` the value of `v`.
    pub(super) fn v_put(&mut self, v: u8, host: u8) {
        match self.vectors.map[v as usize] {
            Some(own) if own == host => {}
            Some(own) => self.vex(v0f(NP, 0x28), own, 0, Rm::Reg(host)),
            None => self.vex(v0f(NP, 0x11), host, 0, Rm::Cpu(vector_offset(v))),
        }
    }

    /// Makes the lower half of `host`, or all of it, the value of `v`. Changes `host`.
    pub(super) fn v_put_q(&mut self, v: u8, q: bool, host: u8) {
        if q {
            return self.v_put(v, host);
        }
        let own = self.vectors.map[v as usize].unwrap_or(host);
        self.vex(v0f(F3, 0x7e), own, 0, Rm::Reg(host));
        self.v_put(v, own);
    }

    /// Makes the lanes of `host` the value of `v`. Changes `host`.
    pub(super) fn v_put_lanes(&mut self, v: u8, double: bool, lanes: Lanes, host: u8) {
        match (lanes, double) {
            (Lanes::Scalar, false) => {
                let own = self.vectors.map[v as usize].unwrap_or(host);
                // VINSERTPS of the lowest element, zeroes elsewhere.
                self.vex_imm(v3a(0x21), own, host, Rm::Reg(host), 0x0e);
                self.v_put(v, own);
            }
            (Lanes::Full, _) => self.v_put(v, host),
            _ => self.v_put_q(v, false, host),
        }
    }

    /// A label of a constant.
    pub(super) fn v_label(&mut self, value: u128) -> DynamicLabel {
        if let Some((_, label)) = self.vectors.constants.iter().find(|(v, _)| *v == value) {
            return *label;
        }
        let label = self.asm.new_dynamic_label();
        self.vectors.constants.push((value, label));
        label
    }

    /// `host` = a constant.
    pub(super) fn v_const(&mut self, host: u8, value: u128) {
        if value == 0 {
            return self.vex(v0f(P66, 0xef), host, host, Rm::Reg(host));
        }
        if value == u128::MAX {
            return self.vex(v0f(P66, 0x76), host, host, Rm::Reg(host));
        }
        let label = self.v_label(value);
        dynasm!(self.asm ; .arch x64 ; vmovups Rx(host), [=>label]);
    }

    // ---- calls ----

    /// Before a call or a way out.
    pub(super) fn leave_vectors(&mut self) {
        if self.vectors.any() {
            let leave = self.vectors.leave;
            dynasm!(self.asm ; .arch x64 ; call =>leave);
        }
    }

    /// At the entry and behind a call.
    pub(super) fn enter_vectors(&mut self) {
        if self.vectors.any() {
            let enter = self.vectors.enter;
            dynasm!(self.asm ; .arch x64 ; call =>enter);
        }
    }

    /// The calls of instructions that turned out to need one.
    pub(super) fn slow_simds(&mut self) {
        for slow in std::mem::take(&mut self.vectors.slow) {
            let (entry, back) = (slow.entry, slow.back);
            dynasm!(self.asm ; .arch x64 ; =>entry);
            if let Some((product, keep)) = slow.again {
                self.look_again(product, keep);
            }
            self.call_slot(slot_call(slow.slot), slow.slot);
            dynasm!(self.asm ; .arch x64 ; jmp =>back);
        }
    }

    /// The code around calls, and the constants, behind everything else.
    pub(super) fn vector_stubs(&mut self) {
        if self.vectors.any() {
            self.leave_and_enter();
        }
        for (value, label) in std::mem::take(&mut self.vectors.constants) {
            dynasm!(self.asm ; .arch x64 ; .align 16 ; =>label ; .i64 value as i64 ; .i64 (value >> 64) as i64);
        }
    }

    fn leave_and_enter(&mut self) {
        let fpsr = offset_of!(Cpu, fpsr) as i32;
        let (leave, enter) = (self.vectors.leave, self.vectors.enter);
        dynasm!(self.asm ; .arch x64 ; =>leave);
        if self.vectors.float {
            dynasm!(self.asm
                ; .arch x64
                ; test BYTE [rbp + fpsr], IXC as i8
                ; jnz >known
                ; vstmxcsr [rsp - 8]
                ; test BYTE [rsp - 8], INEXACT
                ; jz >known
                ; or BYTE [rbp + fpsr], IXC as i8
                ; known:
            );
        }
        for at in 0..self.vectors.written.len() {
            let v = self.vectors.written[at];
            let host = self.vectors.map[v as usize].expect("written registers are mapped ones");
            self.vex(v0f(NP, 0x11), host, 0, Rm::Cpu(vector_offset(v)));
        }
        dynasm!(self.asm ; .arch x64 ; ret ; =>enter);
        if self.vectors.float {
            let clean = self.v_label(MXCSR);
            dynasm!(self.asm
                ; .arch x64
                ; test BYTE [rbp + fpsr], IXC as i8
                ; jnz >known
                ; vldmxcsr [=>clean]
                ; known:
            );
        }
        for v in 0..32 {
            if let Some(host) = self.vectors.map[v as usize] {
                self.vex(v0f(NP, 0x10), host, 0, Rm::Cpu(vector_offset(v)));
            }
        }
        dynasm!(self.asm ; .arch x64 ; ret);
    }
}

/// What carries `slot` out.
fn slot_call(slot: Slot) -> usize {
    match slot.inst {
        Inst::Simd(Simd::FloatCompare { .. }) => crate::jit::runtime::compare_row as *const () as usize,
        Inst::Simd(Simd::FloatSelect { .. }) => crate::jit::runtime::call_flags_row as *const () as usize,
        _ => crate::jit::runtime::call_fp_row as *const () as usize,
    }
}

/// Calls `f` with each vector register of `inst` and whether it is written.
fn registers(inst: Inst, mut f: impl FnMut(u8, bool)) {
    match inst {
        Inst::Access(access) if matches!(access.transfer, Transfer::Vector { .. }) => {
            f(access.t, access.load);
            access.t2.into_iter().for_each(|t2| f(t2, access.load));
        }
        Inst::Simd(simd) => simd.vector_registers(f),
        _ => {}
    }
}
