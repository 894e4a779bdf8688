//! FEAT_AES, FEAT_SHA1 and FEAT_SHA256 (C4.1, the Cryptographic groups); PMULL stands in `simd`.

use super::{Row, rows};
use crate::simd::{aes, sha};

/// The rows.
pub(super) static ROWS: &[Row] = rows! {
    AESE "01001110 00 10100 00100 10 Rn:5 Rd:5" CallFp(aes::aese);
    AESD "01001110 00 10100 00101 10 Rn:5 Rd:5" CallFp(aes::aesd);
    AESMC "01001110 00 10100 00110 10 Rn:5 Rd:5" CallFp(aes::aesmc);
    AESIMC "01001110 00 10100 00111 10 Rn:5 Rd:5" CallFp(aes::aesimc);
    SHA1C "01011110 00 0 Rm:5 0 000 00 Rn:5 Rd:5" CallFp(sha::sha1c);
    SHA1P "01011110 00 0 Rm:5 0 001 00 Rn:5 Rd:5" CallFp(sha::sha1p);
    SHA1M "01011110 00 0 Rm:5 0 010 00 Rn:5 Rd:5" CallFp(sha::sha1m);
    SHA1SU0 "01011110 00 0 Rm:5 0 011 00 Rn:5 Rd:5" CallFp(sha::sha1su0);
    SHA256H "01011110 00 0 Rm:5 0 100 00 Rn:5 Rd:5" CallFp(sha::sha256h);
    SHA256H2 "01011110 00 0 Rm:5 0 101 00 Rn:5 Rd:5" CallFp(sha::sha256h2);
    SHA256SU1 "01011110 00 0 Rm:5 0 110 00 Rn:5 Rd:5" CallFp(sha::sha256su1);
    SHA1H "01011110 00 10100 00000 10 Rn:5 Rd:5" CallFp(sha::sha1h);
    SHA1SU1 "01011110 00 10100 00001 10 Rn:5 Rd:5" CallFp(sha::sha1su1);
    SHA256SU0 "01011110 00 10100 00010 10 Rn:5 Rd:5" CallFp(sha::sha256su0);
};
