//! VEX-encoded instructions on 128 bits: one function for all of them, so that an operation can be chosen from a table.

use super::Emitter;

/// An operation: prefix, opcode map, W and opcode (Intel SDM volume 2, 2.3.5).
#[derive(Debug, Clone, Copy)]
pub(super) struct Vex {
    prefix: u8,
    map: u8,
    w: u8,
    opcode: u8,
}

/// A register, or memory in the CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rm {
    Reg(u8),
    /// At this offset in [`crate::cpu::Cpu`].
    Cpu(i32),
}

/// An operation in map 0F.
pub(super) const fn v0f(prefix: u8, opcode: u8) -> Vex {
    Vex { prefix, map: 1, w: 0, opcode }
}

/// An operation in map 0F38.
pub(super) const fn v38(opcode: u8) -> Vex {
    Vex { prefix: P66, map: 2, w: 0, opcode }
}

/// An operation in map 0F3A, which has an immediate.
pub(super) const fn v3a(opcode: u8) -> Vex {
    Vex { prefix: P66, map: 3, w: 0, opcode }
}

/// No prefix.
pub(super) const NP: u8 = 0;
/// Prefix 66.
pub(super) const P66: u8 = 1;
/// Prefix F3.
pub(super) const F3: u8 = 2;
/// Prefix F2.
pub(super) const F2: u8 = 3;

impl Vex {
    /// With W set: 64-bit general registers, or double precision.
    pub(super) const fn wide(self, wide: bool) -> Self {
        Self { w: wide as u8, ..self }
    }
}

impl Emitter<'_> {
    /// Emits `op` with its three operands, in Intel's order; `second` is 0 where there is none.
    pub(super) fn vex(&mut self, op: Vex, first: u8, second: u8, rm: Rm) {
        let (mut modrm, mut high) = (first << 3 & 0x38, 0);
        if let Rm::Reg(r) = rm {
            modrm |= 0xc0 | r & 7;
            high = r >> 3;
        } else {
            // RBP and 32 bits of displacement.
            modrm |= 0x85;
        }
        let r = (first >> 3 ^ 1) << 7;
        let rest = (second & 15 ^ 15) << 3 | op.prefix;
        if op.map == 1 && op.w == 0 && high == 0 {
            self.bytes(&[0xc5, r | rest]);
        } else {
            self.bytes(&[0xc4, r | 0x40 | (high ^ 1) << 5 | op.map, op.w << 7 | rest]);
        }
        self.bytes(&[op.opcode, modrm]);
        if let Rm::Cpu(offset) = rm {
            self.bytes(&offset.to_le_bytes());
        }
    }

    /// As [`Emitter::vex`] with an immediate byte.
    pub(super) fn vex_imm(&mut self, op: Vex, first: u8, second: u8, rm: Rm, imm: u8) {
        self.vex(op, first, second, rm);
        self.bytes(&[imm]);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.asm.extend(bytes.iter().copied());
    }
}
