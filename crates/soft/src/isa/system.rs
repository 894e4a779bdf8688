//! Rows: branches, exception generation and system instructions (DDI 0487 C4.1.93).

use super::{Row, rows};
use crate::interp::branch;
use crate::sys::instructions as sys;

pub(super) static ROWS: &[Row] = rows! {
    B "0 00101 imm26:26" Lower(branch::lower_b);
    BL "1 00101 imm26:26" Lower(branch::lower_bl);
    B_cond "0101010 0 imm19:19 0 cond:4" Lower(branch::lower_b_cond);
    CBZ "sf:1 011010 0 imm19:19 Rt:5" Lower(branch::lower_cbz);
    CBNZ "sf:1 011010 1 imm19:19 Rt:5" Lower(branch::lower_cbnz);
    TBZ "b5:1 011011 0 b40:5 imm14:14 Rt:5" Lower(branch::lower_tbz);
    TBNZ "b5:1 011011 1 b40:5 imm14:14 Rt:5" Lower(branch::lower_tbnz);
    BR "1101011 0000 11111 000000 Rn:5 00000" Lower(branch::lower_br);
    BLR "1101011 0001 11111 000000 Rn:5 00000" Lower(branch::lower_blr);
    RET "1101011 0010 11111 000000 Rn:5 00000" Lower(branch::lower_br);
    ERET "1101011 0100 11111 000000 11111 00000" CallFlags(sys::eret);

    SVC "11010100 000 imm16:16 000 01" Call(sys::svc);
    HVC "11010100 000 imm16:16 000 10" Call(sys::hvc);
    BRK "11010100 001 imm16:16 000 00" Call(sys::brk);

    HINT "1101010100 0 00 011 0010 CRm:4 op2:3 11111" Lower(sys::lower_hint);
    WFE "1101010100 0 00 011 0010 0000 010 11111" Call(sys::wfe);
    WFI "1101010100 0 00 011 0010 0000 011 11111" Call(sys::wfi);
    SEV "1101010100 0 00 011 0010 0000 100 11111" Call(sys::sev);
    SEVL "1101010100 0 00 011 0010 0000 101 11111" Call(sys::sevl);
    CLREX "1101010100 0 00 011 0011 CRm:4 010 11111" Call(sys::clrex);
    DSB "1101010100 0 00 011 0011 CRm:4 100 11111" Call(sys::dsb);
    DMB "1101010100 0 00 011 0011 CRm:4 101 11111" Lower(sys::lower_dmb);
    ISB "1101010100 0 00 011 0011 CRm:4 110 11111" Lower(sys::lower_isb);

    MSR_SPSel "1101010100 0 00 000 0100 CRm:4 101 11111" CallFlags(sys::msr_spsel);
    MSR_PAN "1101010100 0 00 000 0100 CRm:4 100 11111" Call(sys::msr_pan);
    MSR_DAIFSet "1101010100 0 00 011 0100 CRm:4 110 11111" Call(sys::msr_daif_set);
    MSR_DAIFClr "1101010100 0 00 011 0100 CRm:4 111 11111" Call(sys::msr_daif_clear);
    SYS "1101010100 0 01 op1:3 CRn:4 CRm:4 op2:3 Rt:5" Call(sys::sys);
    MSR "1101010100 0 1 o0:1 op1:3 CRn:4 CRm:4 op2:3 Rt:5" CallFlags(sys::msr);
    MRS "1101010100 1 1 o0:1 op1:3 CRn:4 CRm:4 op2:3 Rt:5" Call(sys::mrs);
    MSR_NZCV "1101010100 0 11 011 0100 0010 000 Rt:5" CallFlags(sys::msr_nzcv);
    MRS_NZCV "1101010100 1 11 011 0100 0010 000 Rt:5" CallFlags(sys::mrs_nzcv);
};
