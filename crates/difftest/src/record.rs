//! Cases and outcomes, and their form in the stream to and from the reference program and our supervisor (see `reference.s`).

use crate::{BRK, CODE, ENTRY, MEMORY_BYTES, WINDOW};

/// Bytes of a record.
pub(crate) const RECORD: usize = 800 + MEMORY_BYTES;

/// The registers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// X0 to X30.
    pub x: [u64; 31],
    /// SP_EL0.
    pub sp: u64,
    /// The program counter.
    pub pc: u64,
    /// N, Z, C, V in bits 31:28.
    pub nzcv: u32,
    /// The floating-point status register.
    pub fpsr: u32,
    /// The floating-point control register.
    pub fpcr: u32,
    /// V0 to V31.
    pub v: [u128; 32],
}

/// What is run.
#[derive(Debug, Clone)]
pub struct Case {
    /// The name of the row that the first word came from.
    pub name: &'static str,
    /// The instructions.
    pub words: Vec<u32>,
    /// Registers before; the reference sets `pc` itself.
    pub state: State,
    /// Memory before.
    pub memory: Vec<u8>,
}

/// How a case ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// At a breakpoint.
    Breakpoint,
    /// At an undefined instruction.
    Undefined,
    /// By a fault of a load, a store or a fetch.
    Fault,
    /// Otherwise: the reference's signal number, or our syndrome.
    Other(u64),
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended.
    pub stop: Stop,
    /// Registers after.
    pub state: State,
    /// Memory after.
    pub memory: Vec<u8>,
}

/// Address where case `index` of a batch begins.
#[must_use]
pub fn entry_address(index: usize) -> u64 {
    CODE + ((index * WINDOW + ENTRY) * 4) as u64
}

/// The code windows and the records of a batch.
pub(crate) fn encode_batch(cases: &[Case]) -> (Vec<u8>, Vec<u8>) {
    let mut code = Vec::with_capacity(cases.len() * WINDOW * 4);
    let mut records = Vec::with_capacity(cases.len() * RECORD);
    for (k, case) in cases.iter().enumerate() {
        let mut window = [BRK; WINDOW];
        window[ENTRY..ENTRY + case.words.len()].copy_from_slice(&case.words);
        code.extend(window.iter().flat_map(|word| word.to_le_bytes()));
        encode(case, entry_address(k), &mut records);
    }
    (code, records)
}

/// Appends the record of a case, which is entered at `pc`.
fn encode(case: &Case, pc: u64, out: &mut Vec<u8>) {
    let s = &case.state;
    for x in s.x.iter().chain([&s.sp, &pc, &u64::from(s.nzcv)]) {
        out.extend(x.to_le_bytes());
    }
    out.extend(s.fpsr.to_le_bytes());
    out.extend(s.fpcr.to_le_bytes());
    for v in &s.v {
        out.extend(v.to_le_bytes());
    }
    out.extend([0; 8]);
    out.extend(&case.memory);
}

/// Reads a record of [`RECORD`] bytes; `stop` understands its word on how the case ended.
pub(crate) fn decode(bytes: &[u8], stop: fn(u64) -> Stop) -> Outcome {
    let word = |at: usize| u32::from_le_bytes(std::array::from_fn(|k| bytes[at + k]));
    let double = |at: usize| u64::from_le_bytes(std::array::from_fn(|k| bytes[at + k]));
    let state = State {
        x: std::array::from_fn(|k| double(8 * k)),
        sp: double(248),
        pc: double(256),
        nzcv: double(264) as u32 & 0xf000_0000,
        fpsr: word(272),
        fpcr: word(276),
        v: std::array::from_fn(|k| u128::from_le_bytes(std::array::from_fn(|j| bytes[280 + 16 * k + j]))),
    };
    Outcome { stop: stop(double(792)), state, memory: bytes[800..RECORD].to_vec() }
}
