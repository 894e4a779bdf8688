//! Loads and stores of FP and AdvSIMD registers: the part of [`super::access`] that knows them; LD1, LD2, ST1 and ST2
//! of whole registers, and LD1R, with the probe of the data TLB in line and everything else a call.

use std::mem::offset_of;

use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};

use super::access::{IN_RAX, Place, tlb_offset};
use super::vectors::RESULT;
use super::{Emitter, RAX, RDX};
use crate::jit::inst::Address;
use crate::jit::region::Slot;
use crate::jit::simd::Simd;
use crate::mmu::tlb::Entry;

impl Emitter<'_> {
    /// Emits a load or store of whole registers, or of one element that is replicated.
    pub(super) fn structure(&mut self, slot: Slot, simd: Simd) {
        let back = self.asm.new_dynamic_label();
        let slow = self.slow_simd(slot, back);
        self.need_vectors(slow);
        let (load, n, post, bytes) = match simd {
            Simd::Multiple { load, registers, q, n, post, .. } => {
                (load, n, post, i32::from(registers) * if q { 16 } else { 8 })
            }
            Simd::LoadReplicate { size, n, post, .. } => (true, n, post, 1 << size),
            _ => unreachable!("only structures come here"),
        };
        self.check_stack(n, slow);
        self.address(Address::Offset { n, imm: 0 });
        self.probe(bytes, load);
        let addend = tlb_offset(offset_of!(Entry, addend));
        dynasm!(self.asm ; .arch x64 ; jne =>slow ; mov rcx, QWORD [rbp + rcx + addend]);
        match simd {
            Simd::Multiple { load, zipped: Some(size), q, t, .. } => self.zipped(load, size, q, t),
            Simd::Multiple { load, registers, q, t, .. } => {
                for k in 0..registers {
                    self.whole_register(load, q, (t + k) % 32, i32::from(k) * if q { 16 } else { 8 });
                }
            }
            Simd::LoadReplicate { size, q, t, .. } => {
                match size {
                    0 => dynasm!(self.asm ; .arch x64 ; vpbroadcastb xmm0, [rax + rcx]),
                    1 => dynasm!(self.asm ; .arch x64 ; vpbroadcastw xmm0, [rax + rcx]),
                    2 => dynasm!(self.asm ; .arch x64 ; vpbroadcastd xmm0, [rax + rcx]),
                    _ => dynasm!(self.asm ; .arch x64 ; vpbroadcastq xmm0, [rax + rcx]),
                }
                self.v_put_q(t, q, RESULT);
            }
            _ => {}
        }
        match post {
            None => {}
            Some(None) => {
                dynasm!(self.asm ; .arch x64 ; lea rdx, [rax + bytes]);
                self.put(n, RDX);
            }
            Some(Some(m)) => {
                let m = self.src(m, RDX);
                dynasm!(self.asm ; .arch x64 ; lea rax, [rax + Rq(m)]);
                self.put(n, RAX);
            }
        }
        dynasm!(self.asm ; .arch x64 ; =>back);
    }

    /// Loads or stores two registers whose elements take turns at [RAX + RCX].
    fn zipped(&mut self, load: bool, size: u8, q: bool, t: u8) {
        let second = (t + 1) % 32;
        if load {
            dynasm!(self.asm ; .arch x64 ; vmovups xmm1, [rax + rcx]);
            let mut b = 1;
            if q {
                dynasm!(self.asm ; .arch x64 ; vmovups xmm2, [rax + rcx + 16]);
                b = 2;
            }
            self.v_unzip(size, false, RESULT, 1, b);
            self.v_put_q(t, q, RESULT);
            self.v_unzip(size, true, RESULT, 1, b);
            return self.v_put_q(second, q, RESULT);
        }
        let (a, b) = (self.v_reg(t, 1), self.v_reg(second, 2));
        self.v_zip(size, false, RESULT, a, b);
        dynasm!(self.asm ; .arch x64 ; vmovups [rax + rcx], xmm0);
        if q {
            self.v_zip(size, true, RESULT, a, b);
            dynasm!(self.asm ; .arch x64 ; vmovups [rax + rcx + 16], xmm0);
        }
    }

    /// Loads or stores a register, or its lower half.
    fn whole_register(&mut self, load: bool, q: bool, t: u8, at: i32) {
        let size = if q { 4 } else { 3 };
        let place = IN_RAX.behind(at);
        if load { self.load_vector(size, t, place) } else { self.store_vector(size, t, place) }
    }

    /// Loads register `t` from `place`. Uses RDX.
    pub(super) fn load_vector(&mut self, size: u8, t: u8, place: Place) {
        let (base, at) = place.parts();
        let to = self.v_dst(t);
        match size {
            0 => dynasm!(self.asm ; .arch x64 ; movzx edx, BYTE [Rq(base) + rcx + at] ; vmovd Rx(to), edx),
            1 => dynasm!(self.asm ; .arch x64 ; movzx edx, WORD [Rq(base) + rcx + at] ; vmovd Rx(to), edx),
            2 => dynasm!(self.asm ; .arch x64 ; vmovd Rx(to), DWORD [Rq(base) + rcx + at]),
            3 => dynasm!(self.asm ; .arch x64 ; vmovq Rx(to), QWORD [Rq(base) + rcx + at]),
            _ => dynasm!(self.asm ; .arch x64 ; vmovups Rx(to), [Rq(base) + rcx + at]),
        }
        self.v_put(t, to);
    }

    /// Stores register `t` to `place`. Uses RDX.
    pub(super) fn store_vector(&mut self, size: u8, t: u8, place: Place) {
        let (base, at) = place.parts();
        let from = self.v_reg(t, RESULT);
        match size {
            0 => dynasm!(self.asm ; .arch x64 ; vmovd edx, Rx(from) ; mov BYTE [Rq(base) + rcx + at], dl),
            1 => dynasm!(self.asm ; .arch x64 ; vmovd edx, Rx(from) ; mov WORD [Rq(base) + rcx + at], dx),
            2 => dynasm!(self.asm ; .arch x64 ; vmovd DWORD [Rq(base) + rcx + at], Rx(from)),
            3 => dynasm!(self.asm ; .arch x64 ; vmovq QWORD [Rq(base) + rcx + at], Rx(from)),
            _ => dynasm!(self.asm ; .arch x64 ; vmovups [Rq(base) + rcx + at], Rx(from)),
        }
    }
}
