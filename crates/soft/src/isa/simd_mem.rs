//! AdvSIMD structure loads and stores (C4.1, "Loads and Stores": LD1 to LD4 and ST1 to ST4).

use super::{Row, rows};
use crate::simd::mem;

/// The rows.
pub(super) static ROWS: &[Row] = rows! {
    // Multiple structures.
    LDn_multiple "0 Q:1 0011000 1 000000 opcode:4 size:2 Rn:5 Rt:5" CallFp(mem::load_multiple);
    LDn_multiple_post "0 Q:1 0011001 1 0 Rm:5 opcode:4 size:2 Rn:5 Rt:5" CallFp(mem::load_multiple);
    STn_multiple "0 Q:1 0011000 0 000000 opcode:4 size:2 Rn:5 Rt:5" CallFp(mem::store_multiple);
    STn_multiple_post "0 Q:1 0011001 0 0 Rm:5 opcode:4 size:2 Rn:5 Rt:5" CallFp(mem::store_multiple);
    // One element of each register. Where opcode begins with 11, loads replicate and stores are unallocated.
    LDn_single "0 Q:1 0011010 1 R:1 00000 opcode:3 S:1 size:2 Rn:5 Rt:5" CallFp(mem::load_single);
    LDn_single_post "0 Q:1 0011011 1 R:1 Rm:5 opcode:3 S:1 size:2 Rn:5 Rt:5" CallFp(mem::load_single);
    STn_single "0 Q:1 0011010 0 R:1 00000 opcode:3 S:1 size:2 Rn:5 Rt:5" CallFp(mem::store_single);
    STn_single_post "0 Q:1 0011011 0 R:1 Rm:5 opcode:3 S:1 size:2 Rn:5 Rt:5" CallFp(mem::store_single);
    LDnR "0 Q:1 0011010 1 R:1 00000 11 o:1 0 size:2 Rn:5 Rt:5" CallFp(mem::load_replicate);
    LDnR_post "0 Q:1 0011011 1 R:1 Rm:5 11 o:1 0 size:2 Rn:5 Rt:5" CallFp(mem::load_replicate);
};
