//! Constants that more than one instruction makes: MOVZ and MOVK, ADRP and ADD.
//!
//! What completes a constant becomes the whole of it, so that it waits for nothing; and what it completes is dropped when
//! nobody saw it.

use super::inst::{GUEST_REGS, Inst, Operand};
use super::region::Slot;

/// What a register holds since a slot.
#[derive(Debug, Clone, Copy)]
struct Known {
    slot: usize,
    value: Value,
    /// Something read it since, or might have.
    seen: bool,
}

#[derive(Debug, Clone, Copy)]
enum Value {
    Const(u64),
    /// Behind the page address of the code.
    Page(i64),
}

/// Merges the constants in `slots`, which are in the order of their addresses; branches lead to the words that
/// `is_target` says.
pub fn merge(slots: &mut [Slot], is_target: impl Fn(usize) -> bool) {
    let mut known = [None; GUEST_REGS];
    let mut next = None;
    for at in 0..slots.len() {
        let Slot { index, inst, .. } = slots[at];
        if next != Some(index) || is_target(index) {
            known = [None; GUEST_REGS];
        }
        next = Some(index + 1);
        if let Some((d, from, value)) = completed(inst, &known) {
            slots[at].inst = value.inst(d);
            if let Some(Known { slot, seen: false, .. }) = known[from as usize]
                && d == from
            {
                slots[slot].inst = Inst::Nop;
            }
            known[d as usize] = Some(Known { slot: at, value, seen: false });
        } else {
            note(&mut known, at, inst);
        }
    }
}

/// The constant that `inst` makes of one in `known`: the register that it is in then, and the one that it was in.
fn completed(inst: Inst, known: &[Option<Known>; GUEST_REGS]) -> Option<(u8, u8, Value)> {
    let value = |n: u8| known[n as usize].map(|known| known.value);
    match inst {
        Inst::Movk { x, d, imm, shift } => {
            let Value::Const(value) = value(d)? else { return None };
            let value = value & !(0xffff << shift) | u64::from(imm) << shift;
            Some((d, d, Value::Const(if x { value } else { value & 0xffff_ffff })))
        }
        Inst::AddSub { x: true, sub: false, flags: false, d, n, operand: Operand::Imm(imm) } => {
            let Value::Page(offset) = value(n)? else { return None };
            Some((d, n, Value::Page(offset.wrapping_add(imm as i64))))
        }
        _ => None,
    }
}

/// Brings `known` up to date behind `inst` in slot `slot`.
fn note(known: &mut [Option<Known>; GUEST_REGS], slot: usize, inst: Inst) {
    if inst == Inst::Other {
        *known = [None; GUEST_REGS];
        return;
    }
    if !inst.is_pure() {
        known.iter_mut().flatten().for_each(|known| known.seen = true);
    }
    inst.registers(|g, written| match &mut known[g as usize] {
        Some(known) if !written => known.seen = true,
        known => *known = None,
    });
    let (d, value) = match inst {
        Inst::Const { d, value } => (d, Value::Const(value)),
        Inst::PageRelative { d, offset } => (d, Value::Page(offset)),
        _ => return,
    };
    known[d as usize] = Some(Known { slot, value, seen: false });
}

impl Value {
    /// What makes it in register `d`.
    fn inst(self, d: u8) -> Inst {
        match self {
            Self::Const(value) => Inst::Const { d, value },
            Self::Page(offset) => Inst::PageRelative { d, offset },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jit::inst::decode;

    const MOV: u32 = 0xd282_4680; // mov x0, #0x1234
    const MOVK: u32 = 0xf2aa_cf00; // movk x0, #0x5678, lsl #16
    const WHOLE: Inst = Inst::Const { d: 0, value: 0x5678_1234 };

    /// What `words`, of which word `target` is one, become.
    fn merged(words: &[u32], target: Option<usize>) -> Vec<Inst> {
        let slot = |(index, word): (usize, &u32)| Slot { index, word: *word, inst: decode(*word, index as u32 * 4) };
        let mut slots: Vec<Slot> = words.iter().enumerate().map(slot).collect();
        merge(&mut slots, |index| Some(index) == target);
        slots.iter().map(|slot| slot.inst).collect()
    }

    #[test]
    fn a_constant_is_made_at_once_and_its_unseen_part_dropped() {
        assert_eq!(merged(&[MOV, MOVK], None), [Inst::Nop, WHOLE]);
        // With ADD X1, X2, X3 between them.
        let apart = merged(&[MOV, 0x8b03_0041, MOVK], None);
        assert_eq!((apart[0], apart[2]), (Inst::Nop, WHOLE));
    }

    #[test]
    fn what_is_seen_stays() {
        let first = Inst::Const { d: 0, value: 0x1234 };
        // ADD X1, X0, X3 reads it; LDR X1, [X2] may fault; CBZ X1 may leave.
        for between in [0x8b03_0001, 0xf940_0041, 0xb400_0081] {
            let all = merged(&[MOV, between, MOVK], None);
            assert_eq!((all[0], all[2]), (first, WHOLE), "{between:#x}");
        }
    }

    #[test]
    fn what_is_not_known_is_not_merged() {
        let kept = |words: &[u32], target| {
            let last = words.len() - 1;
            assert_eq!(merged(words, target)[last], decode(MOVK, 0), "{words:x?}");
        };
        kept(&[MOV, MOVK], Some(1));
        // ADD X0, X0, X3; LDR X0, [X2]; BFI X0, X1, #8, #4; MRS X0, TPIDR_EL0.
        for between in [0x8b03_0000, 0xf940_0040, 0xb378_0c20, 0xd53b_d040] {
            kept(&[MOV, between, MOVK], None);
        }
    }

    #[test]
    fn an_address_is_made_at_once_wherever_it_goes() {
        // ADRP X0, .+0x10000; ADD X0, X0, #0x20; ADD X1, X0, #0x10.
        let all = merged(&[0x9000_0080, 0x9100_8000, 0x9100_4001], None);
        let page = |d, offset| Inst::PageRelative { d, offset };
        assert_eq!(all, [Inst::Nop, page(0, 0x1_0020), page(1, 0x1_0030)]);
    }
}
