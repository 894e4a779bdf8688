//! FP and AdvSIMD instructions as an emitter sees them: decoded, independent of the host.
//!
//! What is not here is called as a function. Encodings that the table's functions find to be undefined are not here
//! either, nor is half precision.

mod decode;

pub use decode::decode;

/// How much of a register an instruction works on; the rest of the destination becomes zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lanes {
    /// The lowest element.
    Scalar,
    /// 64 bits.
    Half,
    /// 128 bits.
    Full,
}

/// Floating-point operations of one operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FloatUnary {
    Mov,
    Abs,
    Neg,
    Sqrt,
    /// To an integral value: 0 nearest even, 1 down, 2 up, 3 towards zero, 4 by FPCR; whether that may be inexact.
    Round {
        mode: u8,
        inexact: bool,
    },
    /// From signed integers of the same width.
    FromSigned,
    /// To signed integers of the same width, towards zero.
    ToSigned,
}

/// Floating-point operations of two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FloatBinary {
    Add,
    Sub,
    Mul,
    Div,
    Min,
    Max,
    /// The magnitude of the difference.
    Distance,
    /// The negated product.
    NegMul,
    /// Sums of neighbours.
    AddPairs,
}

/// Comparisons with a mask as result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FloatMask {
    Eq,
    Ge,
    Gt,
    /// Of magnitudes.
    AbsGe,
    AbsGt,
}

/// Integer operations of three registers of one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Three {
    Add,
    Sub,
    And,
    Bic,
    Orr,
    Orn,
    Eor,
    Bsl,
    Bit,
    Bif,
    Equal,
    Test,
    Greater,
    GreaterEqual,
    Higher,
    HigherSame,
    Mul,
    MulAdd,
    MulSub,
    MinSigned,
    MinUnsigned,
    MaxSigned,
    MaxUnsigned,
    DistanceSigned,
    DistanceUnsigned,
    RoundedHalf,
    AddPairs,
    MinUnsignedPairs,
    MaxUnsignedPairs,
}

/// Integer operations of one register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Two {
    Not,
    Neg,
    Abs,
    Count,
    /// Bytes, or greater elements, reversed in containers of this many bytes.
    Reverse {
        container: u8,
    },
    GreaterZero,
    GreaterEqualZero,
    EqualZero,
    LessEqualZero,
    LessZero,
    /// Sums of neighbours, twice as wide.
    AddLongPairs {
        signed: bool,
        accumulate: bool,
    },
}

/// Operations that fold a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fold {
    Add,
    MaxUnsigned,
    MinUnsigned,
    MaxSigned,
    MinSigned,
    /// Of bytes, with a result twice as wide.
    AddLong,
}

/// Shifts by an immediate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shift {
    Left,
    Right,
    RightSigned,
    /// Right, then added to the destination.
    RightAdd,
    RightSignedAdd,
    /// Inserted into the destination.
    LeftInsert,
    RightInsert,
}

/// Operations that widen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Long {
    Add,
    Sub,
    Mul,
    MulAdd,
    MulSub,
    /// Where the first operand is wide already.
    AddWide,
    SubWide,
}

/// Permutations of two registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permute {
    Zip,
    Unzip,
    Transpose,
}

/// The operands of AES instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aes {
    Encrypt,
    Decrypt,
    Mix,
    InverseMix,
}

/// A decoded instruction. Elements are given as log2 of their bytes (`size`), whole registers as `q`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Simd {
    FloatUnary {
        op: FloatUnary,
        double: bool,
        lanes: Lanes,
        d: u8,
        n: u8,
    },
    /// With `element`, that element of `m` everywhere.
    FloatBinary {
        op: FloatBinary,
        double: bool,
        lanes: Lanes,
        d: u8,
        n: u8,
        m: u8,
        element: Option<u8>,
    },
    /// `a + n * m`, each of `a` and the product negated if so.
    FloatFused {
        negate_product: bool,
        negate_addend: bool,
        double: bool,
        lanes: Lanes,
        d: u8,
        n: u8,
        m: u8,
        a: u8,
        element: Option<u8>,
    },
    /// `m`: `None` is zero. `swap`: of `m` and `n`.
    FloatMask {
        op: FloatMask,
        double: bool,
        lanes: Lanes,
        swap: bool,
        d: u8,
        n: u8,
        m: Option<u8>,
    },
    /// Sets the flags.
    FloatCompare {
        double: bool,
        n: u8,
        m: Option<u8>,
    },
    FloatSelect {
        double: bool,
        cond: u8,
        d: u8,
        n: u8,
        m: u8,
    },
    /// To double if `double`, else to single.
    FloatConvert {
        double: bool,
        d: u8,
        n: u8,
    },
    /// From general register `n`, of 64 bits if `x`.
    FromInt {
        signed: bool,
        x: bool,
        double: bool,
        d: u8,
        n: u8,
    },
    /// To general register `d`; `mode` as in [`FloatUnary::Round`].
    ToInt {
        signed: bool,
        x: bool,
        double: bool,
        mode: u8,
        d: u8,
        n: u8,
    },
    Const {
        d: u8,
        lo: u64,
        hi: u64,
    },
    /// The constant is or-ed to the register, or with `clear` its bits are cleared.
    ConstMerge {
        clear: bool,
        q: bool,
        d: u8,
        half: u64,
    },
    /// Element `index` to general register `d`, sign-extended to 64 bits, or 32, if `signed`.
    ElementToGeneral {
        size: u8,
        index: u8,
        signed: bool,
        x: bool,
        d: u8,
        n: u8,
    },
    /// General register `n` to the lowest element; the rest becomes zero.
    GeneralToScalar {
        x: bool,
        d: u8,
        n: u8,
    },
    InsertGeneral {
        size: u8,
        index: u8,
        d: u8,
        n: u8,
    },
    InsertElement {
        size: u8,
        index: u8,
        from: u8,
        d: u8,
        n: u8,
    },
    DuplicateGeneral {
        size: u8,
        q: bool,
        d: u8,
        n: u8,
    },
    DuplicateElement {
        size: u8,
        index: u8,
        lanes: Lanes,
        d: u8,
        n: u8,
    },
    Three {
        op: Three,
        size: u8,
        q: bool,
        d: u8,
        n: u8,
        m: u8,
        element: Option<u8>,
    },
    Two {
        op: Two,
        size: u8,
        q: bool,
        d: u8,
        n: u8,
    },
    Fold {
        op: Fold,
        size: u8,
        q: bool,
        d: u8,
        n: u8,
    },
    Shift {
        op: Shift,
        size: u8,
        q: bool,
        amount: u8,
        d: u8,
        n: u8,
    },
    /// Elements of `size` and half a register become wide ones, shifted left.
    ShiftLong {
        signed: bool,
        size: u8,
        upper: bool,
        amount: u8,
        d: u8,
        n: u8,
    },
    /// Wide elements shifted right become ones of `size` in the lower half, or the upper half alone.
    ShiftNarrow {
        size: u8,
        upper: bool,
        amount: u8,
        d: u8,
        n: u8,
    },
    /// `size` is that of the narrow elements.
    Long {
        op: Long,
        signed: bool,
        size: u8,
        upper: bool,
        d: u8,
        n: u8,
        m: u8,
        element: Option<u8>,
    },
    Permute {
        op: Permute,
        second: bool,
        size: u8,
        q: bool,
        d: u8,
        n: u8,
        m: u8,
    },
    Extract {
        q: bool,
        at: u8,
        d: u8,
        n: u8,
        m: u8,
    },
    Table {
        registers: u8,
        q: bool,
        d: u8,
        n: u8,
        m: u8,
    },
    Aes {
        op: Aes,
        d: u8,
        n: u8,
    },
    /// Registers from `t` on, as they lie in memory. `post`: general register that is added to the base, or nothing,
    /// which is the number of bytes.
    Multiple {
        load: bool,
        registers: u8,
        /// For registers of which each has every other element: the size of these.
        zipped: Option<u8>,
        q: bool,
        t: u8,
        n: u8,
        post: Option<Option<u8>>,
    },
    /// One element, replicated.
    LoadReplicate {
        size: u8,
        q: bool,
        t: u8,
        n: u8,
        post: Option<Option<u8>>,
    },
}

impl Simd {
    /// Calls `f` with each general register and whether it is written.
    pub fn general_registers(self, mut f: impl FnMut(u8, bool)) {
        match self {
            Self::FromInt { n, .. }
            | Self::GeneralToScalar { n, .. }
            | Self::InsertGeneral { n, .. }
            | Self::DuplicateGeneral { n, .. } => f(n, false),
            Self::ToInt { d, .. } | Self::ElementToGeneral { d, .. } => f(d, true),
            Self::Multiple { n, post, .. } | Self::LoadReplicate { n, post, .. } => {
                f(n, post.is_some());
                post.flatten().into_iter().for_each(|m| f(m, false));
            }
            _ => {}
        }
    }

    /// Calls `f` with each FP and AdvSIMD register and whether it is written.
    pub fn vector_registers(self, mut f: impl FnMut(u8, bool)) {
        match self {
            Self::FloatUnary { d, n, .. }
            | Self::FloatConvert { d, n, .. }
            | Self::DuplicateElement { d, n, .. }
            | Self::InsertElement { d, n, .. }
            | Self::Two { d, n, .. }
            | Self::Fold { d, n, .. }
            | Self::Shift { d, n, .. }
            | Self::ShiftLong { d, n, .. }
            | Self::ShiftNarrow { d, n, .. }
            | Self::Aes { d, n, .. } => {
                f(n, false);
                f(d, true);
            }
            Self::FloatBinary { d, n, m, .. }
            | Self::FloatSelect { d, n, m, .. }
            | Self::Three { d, n, m, .. }
            | Self::Long { d, n, m, .. }
            | Self::Permute { d, n, m, .. }
            | Self::Extract { d, n, m, .. } => {
                f(n, false);
                f(m, false);
                f(d, true);
            }
            Self::FloatFused { d, n, m, a, .. } => {
                f(n, false);
                f(m, false);
                f(a, false);
                f(d, true);
            }
            Self::FloatMask { d, n, m, .. } => {
                f(n, false);
                m.into_iter().for_each(|m| f(m, false));
                f(d, true);
            }
            Self::FloatCompare { n, m, .. } => {
                f(n, false);
                m.into_iter().for_each(|m| f(m, false));
            }
            Self::Table { registers, d, n, m, .. } => {
                (0..registers).for_each(|k| f((n + k) % 32, false));
                f(m, false);
                f(d, true);
            }
            Self::FromInt { d, .. }
            | Self::Const { d, .. }
            | Self::ConstMerge { d, .. }
            | Self::GeneralToScalar { d, .. }
            | Self::InsertGeneral { d, .. }
            | Self::DuplicateGeneral { d, .. } => f(d, true),
            Self::ToInt { n, .. } | Self::ElementToGeneral { n, .. } => f(n, false),
            Self::Multiple { load, registers, t, .. } => (0..registers).for_each(|k| f((t + k) % 32, load)),
            Self::LoadReplicate { t, .. } => f(t, true),
        }
    }
}
