//! Branches (DDI 0487 C4.1, "Branches, Exception Generating and System instructions") and conditional data processing.
//!
//! A branch inside its page is a distance in operations. Other targets go by virtual address through the CPU's
//! instruction TLB.

use arm64::mmu::without_tag;

use super::alu::{W, Width, X, by_sf, zd, zr};
use super::flags::{self, ADD, SUB};
use super::{Handler, Op, OpPtr};
use crate::code::PAGE_SIZE;
use crate::cpu::Cpu;
use crate::isa::Insn;
use crate::trap::Trap;

/// Takes a branch to `target` in the same page.
#[inline(always)]
fn near(cpu: &mut Cpu, target: OpPtr, budget: u64, fa: u64, fb: u64, fk: u64) {
    if budget == 0 {
        return super::pause(cpu, target, budget, fa, fb, fk);
    }
    target.go(cpu, budget - 1, fa, fb, fk)
}

/// Takes a branch to the virtual address `target`.
#[inline(always)]
pub(crate) fn jump(cpu: &mut Cpu, target: u64, budget: u64, fa: u64, fb: u64, fk: u64) {
    if let Some(op) = cpu.itlb.find(target, cpu.tlb_context)
        && budget != 0
    {
        cpu.enter_page(op.0, target & !(PAGE_SIZE - 1));
        return op.1.go(cpu, budget - 1, fa, fb, fk);
    }
    jump_slow(cpu, target, fa, fb, fk)
}

/// [`jump`] for translated code.
pub(crate) extern "C" fn jump_to(cpu: &mut Cpu, target: u64, budget: u64, fa: u64, fb: u64, fk: u64) {
    jump(cpu, target, budget, fa, fb, fk)
}

/// Leaves the interpreter with `target` as program counter: its page is not in the instruction TLB, which knows no
/// tagged addresses, or the budget is spent.
#[cold]
#[inline(never)]
fn jump_slow(cpu: &mut Cpu, target: u64, fa: u64, fb: u64, fk: u64) {
    cpu.pc = without_tag(cpu.sys.tcr, target);
    cpu.nzcv = flags::nzcv(fa, fb, fk);
    cpu.left = Some(Trap::Resume);
}

/// Defines branch handlers: the body gives whether the branch is taken; `d` and `imm` say where to.
macro_rules! conditional {
    ($($name:ident, $far:ident $([$($generics:tt)*] [$($args:tt)*])? ($cpu:ident, $op:ident, $fa:ident, $fb:ident, $fk:ident) $cond:expr;)*) => {$(
        extern "C" fn $name $(<$($generics)*>)? ($cpu: &mut Cpu, $op: OpPtr, budget: u64, $fa: u64, $fb: u64, $fk: u64) {
            if $cond {
                near($cpu, $op.offset($op.simm()), budget, $fa, $fb, $fk)
            } else {
                $op.next($cpu, budget, $fa, $fb, $fk)
            }
        }
        extern "C" fn $far $(<$($generics)*>)? ($cpu: &mut Cpu, $op: OpPtr, budget: u64, $fa: u64, $fb: u64, $fk: u64) {
            if $cond {
                let target = $cpu.pc_of($op).wrapping_add($op.simm() as u64);
                jump($cpu, target, budget, $fa, $fb, $fk)
            } else {
                $op.next($cpu, budget, $fa, $fb, $fk)
            }
        }
    )*};
}

conditional! {
    b_near, b_far (cpu, op, fa, fb, fk) true;
    b_cond_near, b_cond_far [const COND: u8] [COND] (cpu, op, fa, fb, fk) flags::holds::<COND>(fa, fb, fk);
    cbz_near, cbz_far [S: Width] [S] (cpu, op, fa, fb, fk) S::trim(cpu.x[op.n()]) == 0;
    cbnz_near, cbnz_far [S: Width] [S] (cpu, op, fa, fb, fk) S::trim(cpu.x[op.n()]) != 0;
    tbz_near, tbz_far (cpu, op, fa, fb, fk) cpu.x[op.n()] >> (op.m() & 63) & 1 == 0;
    tbnz_near, tbnz_far (cpu, op, fa, fb, fk) cpu.x[op.n()] >> (op.m() & 63) & 1 != 0;
}

extern "C" fn bl_near(cpu: &mut Cpu, op: OpPtr, budget: u64, fa: u64, fb: u64, fk: u64) {
    cpu.x[30] = cpu.pc_of(op).wrapping_add(4);
    near(cpu, op.offset(op.simm()), budget, fa, fb, fk)
}

extern "C" fn bl_far(cpu: &mut Cpu, op: OpPtr, budget: u64, fa: u64, fb: u64, fk: u64) {
    let pc = cpu.pc_of(op);
    cpu.x[30] = pc.wrapping_add(4);
    jump(cpu, pc.wrapping_add(op.simm() as u64), budget, fa, fb, fk)
}

extern "C" fn br(cpu: &mut Cpu, op: OpPtr, budget: u64, fa: u64, fb: u64, fk: u64) {
    jump(cpu, cpu.x[op.n()], budget, fa, fb, fk)
}

extern "C" fn blr(cpu: &mut Cpu, op: OpPtr, budget: u64, fa: u64, fb: u64, fk: u64) {
    let target = cpu.x[op.n()];
    cpu.x[30] = cpu.pc_of(op).wrapping_add(4);
    jump(cpu, target, budget, fa, fb, fk)
}

/// Goes on at the next instruction by its virtual address, as a branch there would.
pub(crate) extern "C" fn fetch_again(cpu: &mut Cpu, op: OpPtr, budget: u64, fa: u64, fb: u64, fk: u64) {
    let next = cpu.pc_of(op).wrapping_add(4);
    jump(cpu, next, budget, fa, fb, fk)
}

/// A direct branch by `distance` bytes from page offset `offset`.
fn direct(near: Handler, far: Handler, distance: i64, offset: u32) -> Op {
    let target = distance.wrapping_add(offset as i64);
    if (0..PAGE_SIZE as i64).contains(&target) {
        Op::new(near).imm((distance >> 2) as u32)
    } else {
        Op::new(far).imm(distance as u32)
    }
}

/// B.
pub(crate) fn lower_b(i: Insn, offset: u32) -> Option<Op> {
    Some(direct(b_near, b_far, i.sbits(0, 26) << 2, offset))
}

/// BL.
pub(crate) fn lower_bl(i: Insn, offset: u32) -> Option<Op> {
    Some(direct(bl_near, bl_far, i.sbits(0, 26) << 2, offset))
}

/// The handlers of a generic function for each condition.
macro_rules! by_cond {
    ($cond:expr, $f:ident $(, $g:ty)*) => {
        match $cond {
            0 => $f::<$($g,)* 0> as Handler,
            1 => $f::<$($g,)* 1>,
            2 => $f::<$($g,)* 2>,
            3 => $f::<$($g,)* 3>,
            4 => $f::<$($g,)* 4>,
            5 => $f::<$($g,)* 5>,
            6 => $f::<$($g,)* 6>,
            7 => $f::<$($g,)* 7>,
            8 => $f::<$($g,)* 8>,
            9 => $f::<$($g,)* 9>,
            10 => $f::<$($g,)* 10>,
            11 => $f::<$($g,)* 11>,
            12 => $f::<$($g,)* 12>,
            13 => $f::<$($g,)* 13>,
            _ => $f::<$($g,)* 14>,
        }
    };
}

/// B.cond.
pub(crate) fn lower_b_cond(i: Insn, offset: u32) -> Option<Op> {
    let cond = i.bits(0, 4);
    Some(direct(by_cond!(cond, b_cond_near), by_cond!(cond, b_cond_far), i.sbits(5, 19) << 2, offset))
}

/// CBZ.
pub(crate) fn lower_cbz(i: Insn, offset: u32) -> Option<Op> {
    Some(direct(by_sf!(i, cbz_near), by_sf!(i, cbz_far), i.sbits(5, 19) << 2, offset).n(zr(i.rd())))
}

/// CBNZ.
pub(crate) fn lower_cbnz(i: Insn, offset: u32) -> Option<Op> {
    Some(direct(by_sf!(i, cbnz_near), by_sf!(i, cbnz_far), i.sbits(5, 19) << 2, offset).n(zr(i.rd())))
}

fn test_bit(i: Insn, near: Handler, far: Handler, offset: u32) -> Option<Op> {
    let bit = i.bits(31, 1) << 5 | i.bits(19, 5);
    Some(direct(near, far, i.sbits(5, 14) << 2, offset).n(zr(i.rd())).m(bit as usize))
}

/// TBZ.
pub(crate) fn lower_tbz(i: Insn, offset: u32) -> Option<Op> {
    test_bit(i, tbz_near, tbz_far, offset)
}

/// TBNZ.
pub(crate) fn lower_tbnz(i: Insn, offset: u32) -> Option<Op> {
    test_bit(i, tbnz_near, tbnz_far, offset)
}

/// BR, RET.
pub(crate) fn lower_br(i: Insn, _: u32) -> Option<Op> {
    Some(Op::new(br).n(zr(i.rn())))
}

/// BLR.
pub(crate) fn lower_blr(i: Insn, _: u32) -> Option<Op> {
    Some(Op::new(blr).n(zr(i.rn())))
}

// ---- conditional select and compare ----

/// CSEL, CSINC, CSINV, CSNEG: the second source is inverted, then incremented, as the manual composes them.
extern "C" fn csel<S: Width, const INVERT: bool, const INCREMENT: bool>(
    cpu: &mut Cpu,
    op: OpPtr,
    budget: u64,
    fa: u64,
    fb: u64,
    fk: u64,
) {
    let mut other = cpu.x[op.m()];
    if INVERT {
        other = !other;
    }
    if INCREMENT {
        other = other.wrapping_add(1);
    }
    let chosen = if cond_holds(op.a() as u8, fa, fb, fk) { cpu.x[op.n()] } else { other };
    cpu.x[op.d()] = S::trim(chosen);
    op.next(cpu, budget, fa, fb, fk)
}

/// CSEL on the conditions that matter most: EQ and NE of a compare.
#[inline(always)]
fn cond_holds(cond: u8, fa: u64, fb: u64, fk: u64) -> bool {
    if fk == SUB && cond < 2 { (fa == fb) == (cond == 0) } else { flags::holds_dyn(cond, fa, fb, fk) }
}

/// CSEL, CSINC, CSINV, CSNEG: `op` in bit 30, `o2` in bit 10.
pub(crate) fn lower_csel(i: Insn, _: u32) -> Option<Op> {
    let handler: Handler = match (i.bit(31), i.bit(30), i.bit(10)) {
        (true, false, false) => csel::<X, false, false>,
        (true, false, true) => csel::<X, false, true>,
        (true, true, false) => csel::<X, true, false>,
        (true, true, true) => csel::<X, true, true>,
        (false, false, false) => csel::<W, false, false>,
        (false, false, true) => csel::<W, false, true>,
        (false, true, false) => csel::<W, true, false>,
        (false, true, true) => csel::<W, true, true>,
    };
    Some(Op::new(handler).d(zd(i.rd())).n(zr(i.rn())).m(zr(i.rm())).a(i.bits(12, 4) as usize))
}

/// CCMN and CCMP, register and immediate: `d` is NZCV for when the condition fails.
extern "C" fn ccmp<S: Width, const SUBTRACT: bool, const IMMEDIATE: bool>(
    cpu: &mut Cpu,
    op: OpPtr,
    budget: u64,
    fa: u64,
    fb: u64,
    fk: u64,
) {
    let m = if IMMEDIATE { op.m() as u64 } else { cpu.x[op.m()] };
    let (fa, fb, fk) = if cond_holds(op.a() as u8, fa, fb, fk) {
        (S::up(cpu.x[op.n()]), S::up(m), if SUBTRACT { SUB } else { ADD })
    } else {
        flags::explicit((op.d() as u32) << 28)
    };
    op.next(cpu, budget, fa, fb, fk)
}

/// CCMN, CCMP: `op` in bit 30, immediate in bit 11.
pub(crate) fn lower_ccmp(i: Insn, _: u32) -> Option<Op> {
    let handler: Handler = match (i.bit(31), i.bit(30), i.bit(11)) {
        (true, false, false) => ccmp::<X, false, false>,
        (true, false, true) => ccmp::<X, false, true>,
        (true, true, false) => ccmp::<X, true, false>,
        (true, true, true) => ccmp::<X, true, true>,
        (false, false, false) => ccmp::<W, false, false>,
        (false, false, true) => ccmp::<W, false, true>,
        (false, true, false) => ccmp::<W, true, false>,
        (false, true, true) => ccmp::<W, true, true>,
    };
    let m = if i.bit(11) { i.rm() } else { zr(i.rm()) };
    Some(Op::new(handler).d(i.bits(0, 4) as usize).n(zr(i.rn())).m(m).a(i.bits(12, 4) as usize))
}

// ---- compare and branch, fused ----

/// A compare and the B.cond after it in one: takes the branch of the next operation.
macro_rules! fused {
    ($($name:ident($cpu:ident, $op:ident, $S:ident) $flags:expr;)*) => {$(
        extern "C" fn $name<$S: Width, const COND: u8>($cpu: &mut Cpu, $op: OpPtr, budget: u64, _: u64, _: u64, _: u64) {
            let (fa, fb, fk): (u64, u64, u64) = $flags;
            let branch = $op.offset(1);
            if flags::holds::<COND>(fa, fb, fk) {
                near($cpu, branch.offset(branch.simm()), budget, fa, fb, fk)
            } else {
                branch.next($cpu, budget, fa, fb, fk)
            }
        }
    )*};
}

fused! {
    subs_imm_b(cpu, op, S) {
        let (n, m) = (cpu.x[op.n()], op.imm() as u64);
        cpu.x[op.d()] = S::trim(n.wrapping_sub(m));
        (S::up(n), S::up(m), SUB)
    };
    subs_reg_b(cpu, op, S) {
        let (n, m) = (cpu.x[op.n()], cpu.x[op.m()]);
        cpu.x[op.d()] = S::trim(n.wrapping_sub(m));
        (S::up(n), S::up(m), SUB)
    };
    ands_imm_b(cpu, op, S) {
        let r = S::trim(cpu.x[op.n()] & op.simm() as u64);
        cpu.x[op.d()] = r;
        (S::up(r), 0, ADD)
    };
    ands_reg_b(cpu, op, S) {
        let r = S::trim(cpu.x[op.n()] & cpu.x[op.m()]);
        cpu.x[op.d()] = r;
        (S::up(r), 0, ADD)
    };
}

/// Whether `i` is one of the compares that [`fuse`] knows: SUBS and ANDS with an immediate or a plain register.
pub(crate) fn fusible(i: Insn) -> bool {
    matches!(i.0 & 0x7f80_0000, 0x7100_0000 | 0x7200_0000) || matches!(i.0 & 0x7fe0_fc00, 0x6b00_0000 | 0x6a00_0000)
}

/// The fused form of `compare`, lowered already to `op`, and the word `next` that follows it in the page, which is at
/// `offset` + 4; `None` when they do not fuse.
pub(crate) fn fuse(compare: Insn, op: Op, next: Insn, offset: u32) -> Option<Op> {
    const B_COND: u32 = 0x5400_0000;
    let target = offset as i64 + 4 + (next.sbits(5, 19) << 2);
    if next.0 & 0xff00_0010 != B_COND || !(0..PAGE_SIZE as i64).contains(&target) {
        return None;
    }
    let (x, cond) = (compare.bit(31), next.bits(0, 4));
    let handler = match (compare.0 & 0x7f80_0000, x) {
        (0x7100_0000, true) => by_cond!(cond, subs_imm_b, X),
        (0x7100_0000, false) => by_cond!(cond, subs_imm_b, W),
        // The other 64-bit masks are kept in a table and have no fused form.
        (0x7200_0000, true) if super::alu::mask_is_short(compare) => by_cond!(cond, ands_imm_b, X),
        (0x7200_0000, true) => return None,
        (0x7200_0000, false) => by_cond!(cond, ands_imm_b, W),
        (0x6b00_0000, true) => by_cond!(cond, subs_reg_b, X),
        (0x6b00_0000, false) => by_cond!(cond, subs_reg_b, W),
        (_, true) => by_cond!(cond, ands_reg_b, X),
        (_, false) => by_cond!(cond, ands_reg_b, W),
    };
    Some(Op { handler, ..op })
}
