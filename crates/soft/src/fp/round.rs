//! From exact values back to formats and integers (`FPRound`, `RoundTowards...`).

use super::format::{infinity, zero};
use super::{Env, Format, IOC, IXC, OFC, Round, UFC};

/// Drops `shift` low bits of `sig`, rounds, and says whether anything was lost.
///
/// Bits below the lowest of `sig` count through it: whoever made `sig` has put a sticky bit there.
#[inline]
pub(super) fn shift_round(sig: u128, shift: u32, sign: bool, round: Round) -> (u128, bool) {
    if shift == 0 {
        return (sig, false);
    }
    // A shift beyond all bits leaves a remainder below one half, whatever its size.
    let (sig, shift) = if shift > 127 { (u128::from(sig != 0), 127) } else { (sig, shift) };
    let kept = sig >> shift;
    let rest = sig & ((1 << shift) - 1);
    let half = 1 << (shift - 1);
    let up = match round {
        Round::TieEven => rest > half || rest == half && kept & 1 != 0,
        Round::TieAway => rest >= half,
        Round::PosInf => rest != 0 && !sign,
        Round::NegInf => rest != 0 && sign,
        Round::Zero => false,
        Round::Odd => rest != 0 && kept & 1 == 0,
    };
    (kept + u128::from(up), rest != 0)
}

/// `FPRound`: `sig` * 2^`exp` in format `F`. `sig` is not zero and its top bit is clear; its lowest bit may be sticky
/// if it has more than two bits beyond the format's precision.
pub(super) fn pack<F: Format>(e: &mut Env, sign: bool, exp: i32, sig: u128, round: Round) -> u64 {
    let half = F::BITS == 16;
    let top = exp + 127 - sig.leading_zeros() as i32;
    let tiny = top < F::EXP_MIN;
    if tiny && e.flush() && !half {
        e.raise(UFC);
        return zero::<F>(sign);
    }
    let shift = top.max(F::EXP_MIN) - F::FRAC as i32 - exp;
    let (mut sig, inexact) =
        if shift > 0 { shift_round(sig, shift as u32, sign, round) } else { (sig << -shift, false) };
    // Tininess is found before rounding.
    if tiny && inexact {
        e.raise(UFC);
    }
    let mut biased = if tiny { 0 } else { i64::from(top - F::EXP_MIN + 1) };
    if sig >> (F::FRAC + 1) != 0 {
        sig >>= 1;
        biased += 1;
    } else if tiny && sig >> F::FRAC != 0 {
        biased = 1;
    }
    let frac = sig as u64 & (F::MIN_NORMAL - 1);
    if half && e.alternative_half() {
        if biased > F::EXP_MAX as i64 {
            e.raise(IOC);
            return zero::<F>(sign) | (F::SIGN - 1);
        }
    } else if biased >= F::EXP_MAX as i64 {
        e.raise(OFC | IXC);
        let infinite = match round {
            Round::TieEven | Round::TieAway => true,
            Round::PosInf => !sign,
            Round::NegInf => sign,
            Round::Zero | Round::Odd => false,
        };
        return if infinite { infinity::<F>(sign) } else { zero::<F>(sign) | F::MAX_NORMAL };
    }
    if inexact {
        e.raise(IXC);
    }
    zero::<F>(sign) | (biased as u64) << F::FRAC | frac
}
