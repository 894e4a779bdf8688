//! Random words from the rows of the instruction table, and random states that make them interesting.

use crate::record::{Case, State, entry_address};
use crate::{ENTRY, MEMORY, MEMORY_BYTES, Rng, WINDOW};
use soft::isa::Row;

/// A word that no row has, outside branches and system instructions: it should be undefined.
///
/// Half of them are a bit or two away from a row, where a table forgets something most easily.
pub fn unlisted(rng: &mut Rng, rows: &[&'static Row], all: &[&'static Row]) -> u32 {
    loop {
        let mut word = rng.bits() as u32;
        if rng.one_in(2) {
            let row = rows[rng.below(rows.len())];
            word = self::word(rng, row, 0);
            for _ in 0..=rng.below(2) {
                word ^= 1 << rng.below(32);
            }
        }
        let branches_and_system = word >> 26 & 7 == 5;
        if !branches_and_system && !all.iter().any(|row| row.pattern.matches(word)) {
            return word;
        }
    }
}

/// A place in the window for instruction `position` of a case to branch to, relative to itself: not at or before
/// itself in the case, so that every case ends.
fn target(rng: &mut Rng, position: usize) -> i64 {
    let places = WINDOW - position - 1;
    let place = rng.below(places);
    let place = if place < ENTRY { place } else { place + position + 1 };
    place as i64 - (ENTRY + position) as i64
}

/// A word of this row for instruction `position` of a case. Registers repeat more often than chance would have it, and
/// branches stay in the window.
pub fn word(rng: &mut Rng, row: &Row, position: usize) -> u32 {
    let mut word = row.pattern.value | rng.bits() as u32 & !row.pattern.mask;
    let few = rng.one_in(3);
    for field in row.pattern.fields() {
        let (lo, len) = (u32::from(field.lo), u32::from(field.len));
        let mut set = |value: u64| {
            let mask = ((1u64 << len) - 1) << lo;
            word = (u64::from(word) & !mask | value << lo & mask) as u32;
        };
        match field.name {
            "Rd" | "Rn" | "Rm" | "Ra" | "Rt" | "Rt2" | "Rs" if few && len == 5 => set(rng.pick(&[0, 1, 2, 30, 31])),
            // Branches and literals: instructions of the window.
            "imm26" | "imm19" | "imm14" => set(target(rng, position) as u64),
            // Unsigned offsets scaled by the access: within memory.
            "imm12" if memory(row) => set(rng.below(8) as u64),
            "imm7" if memory(row) => set((rng.below(32) as i64 - 16) as u64),
            _ => {}
        }
    }
    word
}

/// Whether a row is a load or a store with a base register.
#[must_use]
pub fn memory(row: &Row) -> bool {
    ["LD", "ST", "CAS", "SWP", "PRFM", "DC"].iter().any(|p| row.name.starts_with(p))
}

/// Whether the manual leaves to the CPU what an encoding does: register transfers that meet their own base, status or
/// other half.
#[must_use]
pub fn unpredictable(row: &Row, word: u32) -> bool {
    let register = |lo: u32| word >> lo & 31;
    let (t, n, t2, s) = (register(0), register(5), register(10), register(16));
    let name = row.name;
    let pair = name.starts_with("LDP") || name.starts_with("LDNP") || name.starts_with("LDXP");
    let writes_back = (name.starts_with("LDR_") || name.starts_with("LDP_"))
        && (name.ends_with("_post") || name.ends_with("_pre"))
        && n != 31;
    pair && t == t2
        || writes_back && (t == n || name.starts_with("LDP") && t2 == n)
        || name.starts_with("STX") && (s == t || s == n && n != 31 || name == "STXP" && s == t2)
}

/// Whether a row branches to where a register says.
#[must_use]
pub fn branch_to_register(row: &Row) -> bool {
    matches!(row.name, "BR" | "BLR" | "RET")
}

/// A case of `length` words, each of one of `rows`.
pub fn case(rng: &mut Rng, rows: &[&'static Row], length: usize, index: usize) -> Case {
    let mut state = state(rng);
    let mut words = Vec::with_capacity(length);
    let mut name = "";
    for k in 0..length {
        let row = rows[rng.below(rows.len())];
        let mut word = word(rng, row, k);
        while unpredictable(row, word) {
            word = self::word(rng, row, k);
        }
        if k == 0 {
            name = row.name;
        }
        words.push(word);
        if memory(row) {
            aim(rng, &mut state, word);
            if row.name.starts_with("STX") {
                // The reference looks at the monitor before alignment and translation; that is up to the CPU.
                let n = (word >> 5 & 31) as usize;
                let base = state.x.get_mut(n).unwrap_or(&mut state.sp);
                *base = (*base - 1) & !15;
            }
        } else if branch_to_register(row) {
            // Register branches go to places in the window.
            let n = (word >> 5 & 31) as usize;
            if n < 31 {
                state.x[n] = entry_address(index).wrapping_add_signed(4 * (k as i64 + target(rng, k)));
            }
        }
    }
    Case { name, words, state, memory: memory_bytes(rng) }
}

/// A case of one given word.
pub fn case_of(rng: &mut Rng, name: &'static str, word: u32) -> Case {
    let mut state = state(rng);
    aim(rng, &mut state, word);
    Case { name, words: vec![word], state, memory: memory_bytes(rng) }
}

fn memory_bytes(rng: &mut Rng) -> Vec<u8> {
    let mut memory = Vec::with_capacity(MEMORY_BYTES);
    while memory.len() < MEMORY_BYTES {
        memory.extend(vector(rng).to_le_bytes());
    }
    memory
}

/// Points the base register of a load or store into memory, mostly, and makes its index small.
fn aim(rng: &mut Rng, state: &mut State, word: u32) {
    let (n, m) = ((word >> 5 & 31) as usize, (word >> 16 & 31) as usize);
    if m < 31 && !rng.one_in(4) {
        state.x[m] = (rng.below(64) as u64).wrapping_sub(16);
    }
    let at = match rng.below(16) {
        // The end of the page.
        0 => MEMORY_BYTES - rng.below(64),
        1..8 => MEMORY_BYTES / 2 + rng.below(64),
        _ => MEMORY_BYTES / 2 + 16 * rng.below(4),
    };
    if n == 31 {
        state.sp = MEMORY + (at as u64 & !15);
    } else {
        state.x[n] = MEMORY + at as u64;
    }
}

fn state(rng: &mut Rng) -> State {
    let mut fpcr = 0;
    if rng.one_in(2) {
        fpcr = (rng.bits() as u32) & 0x07c0_0000;
    }
    let fpsr = match rng.below(4) {
        0 => 0,
        1 => rng.bits() as u32 & 0x0800_009f,
        _ => 1 << 4,
    };
    let style = rng.below(8);
    State {
        x: std::array::from_fn(|_| general(rng)),
        // Far from the reference program itself, which would take it for its signal stack.
        sp: (general(rng) | 1 << 40) & !15,
        pc: 0,
        nzcv: (rng.bits() as u32) & 0xf000_0000,
        fpsr,
        fpcr,
        // Mostly operands of one kind, so that they meet each other.
        v: std::array::from_fn(|_| if style < 6 { styled(rng, style) } else { vector(rng) }),
    }
}

/// A number near a power of two, or any.
fn general(rng: &mut Rng) -> u64 {
    match rng.below(4) {
        0 => rng.bits(),
        1 => (1u64 << rng.below(64)).wrapping_add(rng.below(5) as u64).wrapping_sub(2),
        2 => (rng.bits() as i64 >> rng.below(64)) as u64,
        _ => rng.pick(&[0, 1, u64::MAX, 1 << 63, (1 << 63) - 1, 1 << 31, (1 << 31) - 1, 0xffff_ffff, 0xffff_8000]),
    }
}

fn vector(rng: &mut Rng) -> u128 {
    let style = rng.below(6);
    styled(rng, style)
}

/// A register of elements from `f`, which are `width` bits wide.
fn fill(rng: &mut Rng, width: u32, f: fn(&mut Rng) -> u64) -> u128 {
    (0..128 / width).fold(0, |r, k| r | u128::from(f(rng) & (u64::MAX >> (64 - width))) << (k * width))
}

/// A register of elements of one kind.
fn styled(rng: &mut Rng, style: usize) -> u128 {
    match style {
        0 | 1 => fill(rng, 32, |rng| float(rng, 8, 23)),
        2 | 3 => fill(rng, 64, |rng| float(rng, 11, 52)),
        4 => match rng.below(5) {
            0 => fill(rng, 16, |rng| float(rng, 5, 10)),
            1 => fill(rng, 8, |rng| integer(rng, 8)),
            2 => fill(rng, 16, |rng| integer(rng, 16)),
            3 => fill(rng, 32, |rng| integer(rng, 32)),
            _ => fill(rng, 64, |rng| integer(rng, 64)),
        },
        _ => u128::from(rng.bits()) << 64 | u128::from(rng.bits()),
    }
}

/// An integer near the limits of its width, or a small one, or any.
fn integer(rng: &mut Rng, width: u32) -> u64 {
    match rng.below(4) {
        0 => rng.bits(),
        1 => (rng.below(width as usize * 2 + 4) as u64).wrapping_sub(u64::from(width) + 2),
        2 => (1u64 << rng.below(width as usize)).wrapping_sub(rng.below(3) as u64),
        _ => rng.pick(&[0, 1, u64::MAX, 1 << (width - 1), (1 << (width - 1)) - 1]),
    }
}

/// A floating-point number: special, with a nearby exponent and a short or long fraction, an integer, or any.
fn float(rng: &mut Rng, exp: u32, frac: u32) -> u64 {
    let sign = (rng.bits() & 1) << (exp + frac);
    let max = (1u64 << exp) - 1;
    let bias = max >> 1;
    let fraction = match rng.below(4) {
        0 => 0,
        // A few bits at the top, or at the bottom, of zeros or ones.
        1 => (rng.bits() & 15) << (frac - 4),
        2 => rng.bits() & 3 ^ rng.pick(&[0, u64::MAX]),
        _ => rng.bits(),
    } & ((1 << frac) - 1);
    let exponent = match rng.below(8) {
        0 => 0,
        1 => rng.pick(&[max, max - 1, max - 2, 1, 2]),
        // Products and square roots near the limits.
        2 => {
            rng.pick(&[bias / 2, bias + bias / 2, bias * 2 - 3, u64::from(frac), bias - u64::from(frac)])
                + (rng.bits() & 3)
        }
        3 => rng.bits() & max,
        // Integers and their conversions.
        4 => bias + rng.below(70) as u64,
        _ => bias - 3 + rng.below(7) as u64,
    } & max;
    sign | exponent << frac | fraction
}
