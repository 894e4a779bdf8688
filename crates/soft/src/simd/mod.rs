//! AdvSIMD: what the rows of `isa::{simd, simd_mem, crypto}` do.
//!
//! Most instructions are a lane function and a shape. A lane function (in [`int`], [`shift`], [`long`], [`float`])
//! computes one element; a shape (in [`shape`], [`float_shape`]) applies it to all elements of a vector, to a scalar,
//! to pairs, to an indexed element and so on, and writes the destination with its upper part zeroed. The macros of
//! [`adapt`] and of [`float_shape`] join the two in a row of the table.
//!
//! Registers are worked on as two 64-bit halves: narrowing, widening and 64-bit forms then need no 128-bit shifts.

pub(crate) mod adapt;
pub(crate) mod aes;
pub(crate) mod copy;
pub(crate) mod float;
pub(crate) mod float_shape;
pub(crate) mod imm;
pub(crate) mod int;
mod lanes;
pub(crate) mod long;
pub(crate) mod mem;
pub(crate) mod permute;
pub(crate) mod sha;
pub(crate) mod shape;
pub(crate) mod shift;
