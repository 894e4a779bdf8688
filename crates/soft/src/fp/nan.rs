//! What becomes of NaN operands.

use super::format::{Class, Unpacked};
use super::{Env, Format, IOC};

/// `FPProcessNaN`: the NaN `bits` of this class as a result.
#[inline]
pub(super) fn process<F: Format>(e: &mut Env, class: Class, bits: u64) -> u64 {
    if class == Class::Signalling {
        e.raise(IOC);
    }
    if e.default_nan() { F::DEFAULT_NAN } else { bits | F::QUIET }
}

/// `FPProcessNaNs` and `FPProcessNaNs3`: the first signalling NaN, else the first quiet one, of the operands in order.
#[inline]
pub(super) fn select<F: Format, const N: usize>(e: &mut Env, operands: [(Unpacked, u64); N]) -> Option<u64> {
    if operands.iter().all(|(u, _)| !u.nan()) {
        return None;
    }
    let (u, bits) = operands
        .iter()
        .find(|(u, _)| u.class == Class::Signalling)
        .or_else(|| operands.iter().find(|(u, _)| u.class == Class::Quiet))?;
    Some(process::<F>(e, u.class, *bits))
}

/// The default NaN of an invalid operation.
#[inline]
pub(super) fn invalid<F: Format>(e: &mut Env) -> u64 {
    e.raise(IOC);
    F::DEFAULT_NAN
}
