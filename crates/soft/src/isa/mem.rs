//! Rows: loads and stores of general and of single FP and AdvSIMD registers (DDI 0487 C4.1.94).

use super::{Row, rows};
use crate::interp::{atomic, mem, pair, vector_mem};

pub(super) static ROWS: &[Row] = rows! {
    LDR_STR_unsigned "size:2 111 0 01 opc:2 imm12:12 Rn:5 Rt:5" Lower(mem::lower_unsigned_offset);
    LDUR_STUR "size:2 111 0 00 opc:2 0 imm9:9 00 Rn:5 Rt:5" Lower(mem::lower_unscaled);
    LDR_STR_post "size:2 111 0 00 opc:2 0 imm9:9 01 Rn:5 Rt:5" Lower(mem::lower_post);
    LDTR_STTR "size:2 111 0 00 opc:2 0 imm9:9 10 Rn:5 Rt:5" Lower(mem::lower_unprivileged);
    LDR_STR_pre "size:2 111 0 00 opc:2 0 imm9:9 11 Rn:5 Rt:5" Lower(mem::lower_pre);
    LDR_STR_register "size:2 111 0 00 opc:2 1 Rm:5 option:3 S:1 10 Rn:5 Rt:5" Lower(mem::lower_register_offset);
    LDR_literal "opc:2 011 0 00 imm19:19 Rt:5" Lower(mem::lower_literal);

    LDNP_STNP "opc:2 101 0 000 L:1 imm7:7 Rt2:5 Rn:5 Rt:5" Lower(pair::lower_no_allocate);
    LDP_STP_post "opc:2 101 0 001 L:1 imm7:7 Rt2:5 Rn:5 Rt:5" Lower(pair::lower_post);
    LDP_STP_offset "opc:2 101 0 010 L:1 imm7:7 Rt2:5 Rn:5 Rt:5" Lower(pair::lower_offset);
    LDP_STP_pre "opc:2 101 0 011 L:1 imm7:7 Rt2:5 Rn:5 Rt:5" Lower(pair::lower_pre);

    LDR_STR_unsigned_fp "size:2 111 1 01 opc:2 imm12:12 Rn:5 Rt:5" Lower(vector_mem::lower_unsigned_offset);
    LDUR_STUR_fp "size:2 111 1 00 opc:2 0 imm9:9 00 Rn:5 Rt:5" Lower(vector_mem::lower_unscaled);
    LDR_STR_post_fp "size:2 111 1 00 opc:2 0 imm9:9 01 Rn:5 Rt:5" Lower(vector_mem::lower_post);
    LDR_STR_pre_fp "size:2 111 1 00 opc:2 0 imm9:9 11 Rn:5 Rt:5" Lower(vector_mem::lower_pre);
    LDR_STR_register_fp "size:2 111 1 00 opc:2 1 Rm:5 option:3 S:1 10 Rn:5 Rt:5" Lower(vector_mem::lower_register_offset);
    LDR_literal_fp "opc:2 011 1 00 imm19:19 Rt:5" Lower(vector_mem::lower_literal);
    LDNP_STNP_fp "opc:2 101 1 000 L:1 imm7:7 Rt2:5 Rn:5 Rt:5" Lower(vector_mem::lower_pair_offset);
    LDP_STP_post_fp "opc:2 101 1 001 L:1 imm7:7 Rt2:5 Rn:5 Rt:5" Lower(vector_mem::lower_pair_post);
    LDP_STP_offset_fp "opc:2 101 1 010 L:1 imm7:7 Rt2:5 Rn:5 Rt:5" Lower(vector_mem::lower_pair_offset);
    LDP_STP_pre_fp "opc:2 101 1 011 L:1 imm7:7 Rt2:5 Rn:5 Rt:5" Lower(vector_mem::lower_pair_pre);

    LDXR "size:2 001000 0 1 0 Rs:5 o0:1 Rt2:5 Rn:5 Rt:5" Call(atomic::ldxr);
    STXR "size:2 001000 0 0 0 Rs:5 o0:1 Rt2:5 Rn:5 Rt:5" Call(atomic::stxr);
    LDXP "1 sz:1 001000 0 1 1 Rs:5 o0:1 Rt2:5 Rn:5 Rt:5" Call(atomic::ldxp);
    STXP "1 sz:1 001000 0 0 1 Rs:5 o0:1 Rt2:5 Rn:5 Rt:5" Call(atomic::stxp);
    LDAR "size:2 001000 1 1 0 Rs:5 1 Rt2:5 Rn:5 Rt:5" Call(atomic::ldar);
    STLR "size:2 001000 1 0 0 Rs:5 1 Rt2:5 Rn:5 Rt:5" Call(atomic::stlr);
    CASP "0 sz:1 001000 0 L:1 1 Rs:5 o0:1 11111 Rn:5 Rt:5" Call(atomic::casp);
    CAS "size:2 001000 1 L:1 1 Rs:5 o0:1 11111 Rn:5 Rt:5" Call(atomic::cas);
    LD_op "size:2 111 0 00 A:1 R:1 1 Rs:5 0 opc:3 00 Rn:5 Rt:5" Call(atomic::ld_op);
    SWP "size:2 111 0 00 A:1 R:1 1 Rs:5 1 000 00 Rn:5 Rt:5" Call(atomic::ld_op);
};
