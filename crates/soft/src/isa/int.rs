//! Rows: data processing on general registers, immediate and register (DDI 0487 C4.1.92 and C4.1.95).

use super::{Row, rows};
use crate::interp::{alu, bitfield, branch, shift};

pub(super) static ROWS: &[Row] = rows! {
    ADR "0 immlo:2 10000 immhi:19 Rd:5" Lower(alu::lower_adr);
    ADRP "1 immlo:2 10000 immhi:19 Rd:5" Lower(alu::lower_adrp);
    ADD_imm "sf:1 0 0 100010 sh:1 imm12:12 Rn:5 Rd:5" Lower(alu::lower_add_imm);
    ADDS_imm "sf:1 0 1 100010 sh:1 imm12:12 Rn:5 Rd:5" Lower(alu::lower_adds_imm);
    SUB_imm "sf:1 1 0 100010 sh:1 imm12:12 Rn:5 Rd:5" Lower(alu::lower_sub_imm);
    SUBS_imm "sf:1 1 1 100010 sh:1 imm12:12 Rn:5 Rd:5" Lower(alu::lower_subs_imm);
    AND_imm "sf:1 00 100100 N:1 immr:6 imms:6 Rn:5 Rd:5" Lower(alu::lower_and_imm);
    ORR_imm "sf:1 01 100100 N:1 immr:6 imms:6 Rn:5 Rd:5" Lower(alu::lower_orr_imm);
    EOR_imm "sf:1 10 100100 N:1 immr:6 imms:6 Rn:5 Rd:5" Lower(alu::lower_eor_imm);
    ANDS_imm "sf:1 11 100100 N:1 immr:6 imms:6 Rn:5 Rd:5" Lower(alu::lower_ands_imm);
    MOVN "sf:1 00 100101 hw:2 imm16:16 Rd:5" Lower(alu::lower_movn);
    MOVZ "sf:1 10 100101 hw:2 imm16:16 Rd:5" Lower(alu::lower_movz);
    MOVK "sf:1 11 100101 hw:2 imm16:16 Rd:5" Lower(alu::lower_movk);
    SBFM "sf:1 00 100110 N:1 immr:6 imms:6 Rn:5 Rd:5" Lower(bitfield::lower_sbfm);
    BFM "sf:1 01 100110 N:1 immr:6 imms:6 Rn:5 Rd:5" Lower(bitfield::lower_bfm);
    UBFM "sf:1 10 100110 N:1 immr:6 imms:6 Rn:5 Rd:5" Lower(bitfield::lower_ubfm);
    EXTR "sf:1 00 100111 N:1 0 Rm:5 imms:6 Rn:5 Rd:5" Lower(bitfield::lower_extr);

    LOGICAL_shifted "sf:1 opc:2 01010 shift:2 N:1 Rm:5 imm6:6 Rn:5 Rd:5" Lower(alu::lower_logical_shifted);
    ANDS_shifted "sf:1 11 01010 shift:2 N:1 Rm:5 imm6:6 Rn:5 Rd:5" Lower(alu::lower_ands_shifted);
    ADD_shifted "sf:1 00 01011 shift:2 0 Rm:5 imm6:6 Rn:5 Rd:5" Lower(alu::lower_add_shifted);
    ADDS_shifted "sf:1 01 01011 shift:2 0 Rm:5 imm6:6 Rn:5 Rd:5" Lower(alu::lower_adds_shifted);
    SUB_shifted "sf:1 10 01011 shift:2 0 Rm:5 imm6:6 Rn:5 Rd:5" Lower(alu::lower_sub_shifted);
    SUBS_shifted "sf:1 11 01011 shift:2 0 Rm:5 imm6:6 Rn:5 Rd:5" Lower(alu::lower_subs_shifted);
    ADD_extended "sf:1 00 01011 00 1 Rm:5 option:3 imm3:3 Rn:5 Rd:5" Lower(alu::lower_add_extended);
    ADDS_extended "sf:1 01 01011 00 1 Rm:5 option:3 imm3:3 Rn:5 Rd:5" Lower(alu::lower_adds_extended);
    SUB_extended "sf:1 10 01011 00 1 Rm:5 option:3 imm3:3 Rn:5 Rd:5" Lower(alu::lower_sub_extended);
    SUBS_extended "sf:1 11 01011 00 1 Rm:5 option:3 imm3:3 Rn:5 Rd:5" Lower(alu::lower_subs_extended);
    ADC "sf:1 00 11010000 Rm:5 000000 Rn:5 Rd:5" Lower(alu::lower_adc);
    ADCS "sf:1 01 11010000 Rm:5 000000 Rn:5 Rd:5" Lower(alu::lower_adcs);
    SBC "sf:1 10 11010000 Rm:5 000000 Rn:5 Rd:5" Lower(alu::lower_sbc);
    SBCS "sf:1 11 11010000 Rm:5 000000 Rn:5 Rd:5" Lower(alu::lower_sbcs);
    CCMP "sf:1 op:1 1 11010010 Rm:5 cond:4 imm:1 0 Rn:5 0 nzcv:4" Lower(branch::lower_ccmp);
    CSEL "sf:1 op:1 0 11010100 Rm:5 cond:4 0 o2:1 Rn:5 Rd:5" Lower(branch::lower_csel);

    UDIV "sf:1 0 0 11010110 Rm:5 000010 Rn:5 Rd:5" Lower(shift::lower_udiv);
    SDIV "sf:1 0 0 11010110 Rm:5 000011 Rn:5 Rd:5" Lower(shift::lower_sdiv);
    LSLV "sf:1 0 0 11010110 Rm:5 001000 Rn:5 Rd:5" Lower(shift::lower_lslv);
    LSRV "sf:1 0 0 11010110 Rm:5 001001 Rn:5 Rd:5" Lower(shift::lower_lsrv);
    ASRV "sf:1 0 0 11010110 Rm:5 001010 Rn:5 Rd:5" Lower(shift::lower_asrv);
    RORV "sf:1 0 0 11010110 Rm:5 001011 Rn:5 Rd:5" Lower(shift::lower_rorv);
    CRC32 "sf:1 0 0 11010110 Rm:5 010 C:1 sz:2 Rn:5 Rd:5" Lower(shift::lower_crc32);
    RBIT "sf:1 1 0 11010110 00000 000000 Rn:5 Rd:5" Lower(shift::lower_rbit);
    REV16 "sf:1 1 0 11010110 00000 000001 Rn:5 Rd:5" Lower(shift::lower_rev16);
    REV32 "sf:1 1 0 11010110 00000 000010 Rn:5 Rd:5" Lower(shift::lower_rev32);
    REV64 "1 1 0 11010110 00000 000011 Rn:5 Rd:5" Lower(shift::lower_rev64);
    CLZ "sf:1 1 0 11010110 00000 000100 Rn:5 Rd:5" Lower(shift::lower_clz);
    CLS "sf:1 1 0 11010110 00000 000101 Rn:5 Rd:5" Lower(shift::lower_cls);
    MADD "sf:1 00 11011 000 Rm:5 0 Ra:5 Rn:5 Rd:5" Lower(shift::lower_madd);
    MSUB "sf:1 00 11011 000 Rm:5 1 Ra:5 Rn:5 Rd:5" Lower(shift::lower_msub);
    SMADDL "1 00 11011 001 Rm:5 0 Ra:5 Rn:5 Rd:5" Lower(shift::lower_smaddl);
    SMSUBL "1 00 11011 001 Rm:5 1 Ra:5 Rn:5 Rd:5" Lower(shift::lower_smsubl);
    SMULH "1 00 11011 010 Rm:5 0 Ra:5 Rn:5 Rd:5" Lower(shift::lower_smulh);
    UMADDL "1 00 11011 101 Rm:5 0 Ra:5 Rn:5 Rd:5" Lower(shift::lower_umaddl);
    UMSUBL "1 00 11011 101 Rm:5 1 Ra:5 Rn:5 Rd:5" Lower(shift::lower_umsubl);
    UMULH "1 00 11011 110 Rm:5 0 Ra:5 Rn:5 Rd:5" Lower(shift::lower_umulh);
};
