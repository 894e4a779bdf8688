//! Macros that join a lane function and a [`shape`](super::shape) into a row's function, with one copy of both for
//! each element size the row has.

/// Defines `E` (and `W` = 2 `E`) from the field size for `$body`; sizes outside the list are unallocated, and so are
/// vectors of one 64-bit element.
macro_rules! sized {
    (bhsd, $i:ident, $body:expr) => {
        match $i.bits(22, 2) {
            3 if !$i.bit(30) => Err(Trap::Undefined),
            0 => sized!(@8, $body),
            1 => sized!(@16, $body),
            2 => sized!(@32, $body),
            _ => sized!(@64, $body),
        }
    };
    (bhs, $i:ident, $body:expr) => {
        match $i.bits(22, 2) {
            0 => sized!(@8, $body),
            1 => sized!(@16, $body),
            2 => sized!(@32, $body),
            _ => Err(Trap::Undefined),
        }
    };
    (bh, $i:ident, $body:expr) => {
        match $i.bits(22, 2) {
            0 => sized!(@8, $body),
            1 => sized!(@16, $body),
            _ => Err(Trap::Undefined),
        }
    };
    (hs, $i:ident, $body:expr) => {
        match $i.bits(22, 2) {
            1 => sized!(@16, $body),
            2 => sized!(@32, $body),
            _ => Err(Trap::Undefined),
        }
    };
    (b, $i:ident, $body:expr) => { if $i.bits(22, 2) == 0 { sized!(@8, $body) } else { Err(Trap::Undefined) } };
    (s, $i:ident, $body:expr) => { if $i.bits(22, 2) == 2 { sized!(@32, $body) } else { Err(Trap::Undefined) } };
    (d, $i:ident, $body:expr) => { if $i.bits(22, 2) == 3 { sized!(@64, $body) } else { Err(Trap::Undefined) } };
    (@64, $body:expr) => {{
        const E: u32 = 64;
        $body
    }};
    (@$e:literal, $body:expr) => {{
        const E: u32 = $e;
        #[allow(dead_code, reason = "only shapes that widen or narrow use it")]
        const W: u32 = 2 * $e;
        $body
    }};
}

/// As `sized!`, from the place of the highest bit of immh.
macro_rules! sized_imm {
    (bhsd, $i:ident, $body:expr) => {
        match $i.bits(19, 4) {
            1 => sized!(@8, $body),
            2..=3 => sized!(@16, $body),
            4..=7 => sized!(@32, $body),
            8..=15 if $i.bit(30) => sized!(@64, $body),
            _ => Err(Trap::Undefined),
        }
    };
    (bhs, $i:ident, $body:expr) => {
        match $i.bits(19, 4) {
            1 => sized!(@8, $body),
            2..=3 => sized!(@16, $body),
            4..=7 => sized!(@32, $body),
            _ => Err(Trap::Undefined),
        }
    };
    (d, $i:ident, $body:expr) => { if $i.bits(19, 4) >= 8 { sized!(@64, $body) } else { Err(Trap::Undefined) } };
}

/// Gives a lane function the arguments it names.
macro_rules! op {
    ($f:ident n) => {
        |_: u64, n: u64, _: u64, _: &mut bool| $f::<E>(n)
    };
    ($f:ident n q) => {
        |_: u64, n: u64, _: u64, q: &mut bool| $f::<E>(n, q)
    };
    ($f:ident d n) => {
        |d: u64, n: u64, _: u64, _: &mut bool| $f::<E>(d, n)
    };
    ($f:ident d n q) => {
        |d: u64, n: u64, _: u64, q: &mut bool| $f::<E>(d, n, q)
    };
    ($f:ident n m) => {
        |_: u64, n: u64, m: u64, _: &mut bool| $f::<E>(n, m)
    };
    ($f:ident n m q) => {
        |_: u64, n: u64, m: u64, q: &mut bool| $f::<E>(n, m, q)
    };
    ($f:ident d n m) => {
        |d: u64, n: u64, m: u64, _: &mut bool| $f::<E>(d, n, m)
    };
    ($f:ident d n m q) => {
        |d: u64, n: u64, m: u64, q: &mut bool| $f::<E>(d, n, m, q)
    };
}

/// A row's function: `vector!(bhs, mla d n m)`.
macro_rules! vector {
    ($sizes:ident, $($op:ident)+) => {
        |cpu: &mut Cpu, i: Insn| sized!($sizes, i, shape::vector::<E>(cpu, i, shape::rm(cpu, i), op!($($op)+)))
    };
}

/// As `vector!`, one element.
macro_rules! scalar {
    ($sizes:ident, $($op:ident)+) => {
        |cpu: &mut Cpu, i: Insn| sized!($sizes, i, shape::scalar::<E>(cpu, i, shape::rm(cpu, i), op!($($op)+)))
    };
}

/// As `vector!`, with elements of twice the width that the lane function is told.
macro_rules! folded {
    ($sizes:ident, $($op:ident)+) => {
        |cpu: &mut Cpu, i: Insn| sized!($sizes, i, shape::vector::<W>(cpu, i, [0; 2], op!($($op)+)))
    };
}

/// A row's function with an indexed element as `m`.
macro_rules! by_element {
    ($shape:ident, $($op:ident)+) => {
        |cpu: &mut Cpu, i: Insn| sized!(hs, i, shape::$shape::<E>(cpu, i, shape::indexed::<E>(cpu, i), op!($($op)+)))
    };
}

/// As `by_element!`, with results of twice the width.
macro_rules! by_element_long {
    ($shape:ident, $($op:ident)+) => {
        |cpu: &mut Cpu, i: Insn| {
            sized!(hs, i, shape::$shape::<E, W>(cpu, i, shape::indexed::<E>(cpu, i), op!($($op)+)))
        }
    };
}

/// A row's function which widens or narrows.
macro_rules! resized {
    ($shape:ident, $sizes:ident, $($op:ident)+) => {
        |cpu: &mut Cpu, i: Insn| sized!($sizes, i, shape::$shape::<E, W>(cpu, i, shape::rm(cpu, i), op!($($op)+)))
    };
}

/// A row's function of the shape [`wide`](crate::simd::shape::wide).
macro_rules! wide {
    ($($op:ident)+) => { |cpu: &mut Cpu, i: Insn| sized!(bhs, i, shape::wide::<E, W>(cpu, i, op!($($op)+))) };
}

/// A row's function on neighbours.
macro_rules! pairs {
    ($sizes:ident, $($op:ident)+) => {
        |cpu: &mut Cpu, i: Insn| sized!($sizes, i, shape::pairs::<E>(cpu, i, op!($($op)+)))
    };
}

/// A row's function which folds a vector into an element of `E` or `W` bits.
macro_rules! across {
    ($result:ident, $widen:ident, $f:expr) => {
        |cpu: &mut Cpu, i: Insn| sized!(bhs, i, shape::across::<E, $result>(cpu, i, $widen::<E>, $f))
    };
}

/// A row's function with an immediate shift, `left` or `right`, as `m`.
macro_rules! shifted {
    ($shape:ident, $sizes:ident, $way:ident, $($op:ident)+) => {
        |cpu: &mut Cpu, i: Insn| {
            sized_imm!($sizes, i, shape::$shape::<E>(cpu, i, shape::$way::<E>(cpu, i), op!($($op)+)))
        }
    };
}

/// As `shifted!`, with results of twice the width.
macro_rules! shifted_long {
    ($($op:ident)+) => {
        |cpu: &mut Cpu, i: Insn| {
            sized_imm!(bhs, i, shape::long::<E, W>(cpu, i, shape::left::<E>(cpu, i), op!($($op)+)))
        }
    };
}

/// As `shifted!`, with results of half the width; the shift fills elements of the operand's width.
macro_rules! shifted_narrow {
    ($shape:ident, $($op:ident)+) => {
        |cpu: &mut Cpu, i: Insn| {
            sized_imm!(bhs, i, {
                let shift = shape::right::<E>(cpu, i)[0] & u64::from(u8::MAX);
                shape::$shape::<E, W>(cpu, i, shape::everywhere::<W>(shift), op!($($op)+))
            })
        }
    };
}

pub(crate) use {
    across, by_element, by_element_long, folded, op, pairs, resized, scalar, shifted, shifted_long, shifted_narrow,
    sized, sized_imm, vector, wide,
};
