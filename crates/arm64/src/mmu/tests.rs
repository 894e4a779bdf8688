//! Walks of tables that the tests lay out in a small memory.

use std::collections::HashMap;

use super::*;
use crate::sysreg::{sctlr, tcr};

/// Descriptors by address; what was never written is not RAM when `sparse`, else zero.
#[derive(Default)]
struct Tables {
    words: HashMap<u64, u64>,
    sparse: bool,
    /// Another CPU, which changes a descriptor before each update.
    rival: Option<fn(u64) -> u64>,
    reads: usize,
}

impl TableMemory for Tables {
    fn read(&mut self, pa: u64) -> Option<u64> {
        assert_eq!(pa % 8, 0);
        self.reads += 1;
        self.words.get(&pa).copied().or(if self.sparse { None } else { Some(0) })
    }

    fn compare_exchange(&mut self, pa: u64, old: u64, new: u64) -> Option<Result<u64, u64>> {
        let word = self.words.get_mut(&pa)?;
        if let Some(rival) = self.rival {
            *word = rival(*word);
        }
        if *word != old {
            return Some(Err(*word));
        }
        *word = new;
        Some(Ok(old))
    }
}

const AF: u64 = 1 << 10;
const USER: u64 = 1 << 6;
const READ_ONLY: u64 = 1 << 7;
const NG: u64 = 1 << 11;
const DBM: u64 = 1 << 51;
const PXN: u64 = 1 << 53;
const UXN: u64 = 1 << 54;
const BLOCK: u64 = 0b01;
const TABLE: u64 = 0b11;
const PAGE: u64 = 0b11;
const ROOT: u64 = 0x1_0000;

/// MMU on, both halves with `bits` of address, granules of `granule_bits`, 40-bit physical addresses.
fn regs(granule_bits: u32, bits: u64) -> TranslationRegs {
    let (tg0, tg1) = match granule_bits {
        12 => (0, 2),
        14 => (2, 1),
        _ => (1, 3),
    };
    let size = 64 - bits;
    TranslationRegs {
        sctlr: sctlr::M,
        tcr: size | size << 16 | tg0 << 14 | tg1 << 30 | 2 << 32,
        ttbr0: ROOT,
        ttbr1: ROOT,
        mair: 0xff,
        pa_bits: 40,
    }
}

fn tables(words: &[(u64, u64)]) -> Tables {
    Tables { words: words.iter().copied().collect(), ..Tables::default() }
}

fn go(regs: &TranslationRegs, va: u64, access: Access, words: &[(u64, u64)]) -> Result<Translation, Fault> {
    walk(regs, va, access, &mut tables(words))
}

const READ: Access = Access::read(false, false);
const WRITE: Access = Access::write(false, false);
const FETCH: Access = Access::execute(false);

fn fault(kind: FaultKind, level: u8) -> Result<Translation, Fault> {
    Err(Fault { kind, level })
}

/// (granule bits, address bits, start level)
const SHAPES: &[(u32, u64, u8)] = &[
    (12, 48, 0),
    (12, 40, 0),
    (12, 39, 1),
    (12, 31, 1),
    (12, 30, 2),
    (12, 25, 2),
    (14, 48, 0),
    (14, 47, 1),
    (14, 36, 2),
    (14, 25, 3),
    (16, 48, 1),
    (16, 42, 2),
    (16, 36, 2),
    (16, 29, 3),
    (16, 25, 3),
];

#[test]
fn pages_are_found_with_every_granule_and_start_level() {
    for &(granule, bits, start) in SHAPES {
        let regs = regs(granule, bits);
        let stride = granule - 3;
        for va in [0x12_3456_789a & ((1 << bits) - 1), (1 << bits) - 5, !0u64 << bits | 0x1234] {
            let mut words = Vec::new();
            let mut table = ROOT;
            for level in start..=3 {
                let shift = granule + stride * u32::from(3 - level);
                let width = if level == start { bits as u32 - shift } else { stride };
                let slot = table + ((va >> shift) & ((1 << width) - 1)) * 8;
                let next = 0x10_0000 * u64::from(level + 1);
                words.push((slot, if level == 3 { 0x45_4321_0000 | PAGE | AF } else { next | TABLE }));
                table = next;
            }
            let mut mem = tables(&words);
            mem.sparse = true;
            let got = walk(&regs, va, READ, &mut mem).unwrap_or_else(|f| panic!("{granule} {bits} {va:#x}: {f:?}"));
            assert_eq!(got.pa, 0x45_4321_0000 + (va & ((1 << granule) - 1)), "{granule} {bits} {va:#x}");
            assert_eq!((got.page_bits, got.level), (granule as u8, 3));
            assert_eq!(mem.reads, usize::from(4 - start));
        }
    }
}

#[test]
fn blocks_are_found_where_the_granule_allows_them() {
    for (granule, bits, level, want) in [
        (12, 39, 1, Some(30)),
        (12, 30, 2, Some(21)),
        (12, 48, 0, None),
        (14, 36, 2, Some(25)),
        (14, 47, 1, None),
        (16, 42, 2, Some(29)),
        (16, 48, 1, None),
    ] {
        let regs = regs(granule, bits);
        let got = go(&regs, 0x12_3456, READ, &[(ROOT, 0x40_0000_0000 | BLOCK | AF)]);
        match want {
            Some(size) => {
                let got = got.unwrap();
                assert_eq!((got.pa, got.page_bits, got.level), (0x40_0012_3456, size, level));
                assert_eq!(got.base(), 0x40_0000_0000);
            }
            None => assert_eq!(got, fault(FaultKind::Translation, level)),
        }
    }
    // A page descriptor without bit 1 is reserved.
    let got = go(&regs(14, 25), 0, READ, &[(ROOT, 0x8000 | BLOCK | AF)]);
    assert_eq!(got, fault(FaultKind::Translation, 3));
}

#[test]
fn faults_name_the_level_where_the_walk_ended() {
    let regs = regs(12, 48);
    let chain = [(ROOT, 0x2_0000 | TABLE), (0x2_0000, 0x3_0000 | TABLE), (0x3_0000, 0x4_0000 | TABLE)];
    for (level, tail) in [(0u8, 0usize), (1, 1), (2, 2), (3, 3)] {
        let words = &chain[..tail];
        assert_eq!(go(&regs, 0, READ, words), fault(FaultKind::Translation, level));
        let mut mem = tables(words);
        mem.sparse = true;
        assert_eq!(walk(&regs, 0, READ, &mut mem), fault(FaultKind::ExternalOnWalk, level));
    }
    let page = |d: u64| [chain[0], chain[1], chain[2], (0x4_0000, d)];
    assert_eq!(go(&regs, 0, READ, &page(0x5000 | PAGE)), fault(FaultKind::AccessFlag, 3));
    assert_eq!(go(&regs, 0, WRITE, &page(0x5000 | PAGE | AF | READ_ONLY)), fault(FaultKind::Permission, 3));
    assert_eq!(go(&regs, 0, READ, &page(1 << 40 | PAGE | AF)), fault(FaultKind::AddressSize, 3));
    let far = [(ROOT, 1 << 40 | TABLE)];
    assert_eq!(go(&regs, 0, READ, &far), fault(FaultKind::AddressSize, 0));
    let far = [(ROOT, 0x2_0000 | TABLE), (0x2_0000, 1 << 47 | BLOCK | AF)];
    assert_eq!(go(&regs, 0, READ, &far), fault(FaultKind::AddressSize, 1));
    let beyond = TranslationRegs { ttbr0: 1 << 41, ..regs };
    assert_eq!(go(&beyond, 0, READ, &[]), fault(FaultKind::AddressSize, 0));
    // IPS makes the space smaller than the CPU's.
    let small = TranslationRegs { tcr: regs.tcr & !(7 << 32), ..regs };
    assert_eq!(go(&small, 0, READ, &page(1 << 32 | PAGE | AF)), fault(FaultKind::AddressSize, 3));
    let codes = [
        (FaultKind::AddressSize, 0x03),
        (FaultKind::Translation, 0x07),
        (FaultKind::AccessFlag, 0x0b),
        (FaultKind::Permission, 0x0f),
        (FaultKind::ExternalOnWalk, 0x17),
    ];
    for (kind, code) in codes {
        assert_eq!(Fault { kind, level: 3 }.fsc(), code);
    }
}

#[test]
fn addresses_outside_both_halves_are_not_translated() {
    let base = regs(12, 39);
    let words = [(ROOT, 0x4000_0000 | BLOCK | AF), (ROOT + 511 * 8, 0x8000_0000 | BLOCK | AF)];
    let pa = |regs: &TranslationRegs, va| go(regs, va, READ, &words).map(|t| t.pa);
    assert_eq!(pa(&base, 0x10), Ok(0x4000_0010));
    assert_eq!(pa(&base, !0), Ok(0xbfff_ffff));
    let none = Err(Fault { kind: FaultKind::Translation, level: 0 });
    for va in [1 << 39, 1 << 55, 0xff << 56, !0 << 40 ^ 1 << 45, !0 ^ 0x1 << 56] {
        assert_eq!(pa(&base, va), none, "{va:#x}");
    }
    let ignoring = TranslationRegs { tcr: base.tcr | tcr::TBI0, ..base };
    assert_eq!(pa(&ignoring, 0xab << 56 | 0x10), Ok(0x4000_0010));
    assert_eq!(pa(&ignoring, 0xab << 56 | 1 << 54), none);
    assert_eq!(pa(&ignoring, !0 ^ 0x1 << 56), none, "TBI1 is clear");
    let ignoring = TranslationRegs { tcr: base.tcr | tcr::TBI1, ..base };
    assert_eq!(pa(&ignoring, !0 ^ 0x1 << 56), Ok(0xbfff_ffff));
    let off = TranslationRegs { tcr: base.tcr | tcr::EPD0, ..base };
    assert_eq!(pa(&off, 0x10), none);
    assert_eq!(pa(&off, !0), Ok(0xbfff_ffff));
    let off = TranslationRegs { tcr: base.tcr | tcr::EPD1, ..base };
    assert_eq!(pa(&off, !0), none);
    let closed = TranslationRegs { tcr: base.tcr | tcr::E0PD1, ..base };
    let user = words.map(|(at, d)| (at, d | USER));
    for (va, el0, want) in [(!0, true, none.err()), (!0, false, None), (0x10, true, None)] {
        assert_eq!(go(&closed, va, Access::read(el0, false), &user).err(), want, "E0PD1 {va:#x} {el0}");
    }
    let seen = go(&closed, !0, READ, &user).unwrap().permissions;
    assert!(!check(seen, Access::read(true, false)), "a TLB must not let EL0 in either");
    let closed = TranslationRegs { tcr: base.tcr | tcr::E0PD0, ..base };
    assert_eq!(go(&closed, 0x10, Access::execute(true), &user).err(), none.err());
    let too_wide = TranslationRegs { tcr: base.tcr & !0x3f | 15, ..base };
    assert_eq!(pa(&too_wide, 0x10), none);
}

/// What a block with these bits allows, as `EL1 rwx, EL0 rwx`.
fn rights(regs: &TranslationRegs, descriptor: u64, table: Option<u64>) -> String {
    let words = match table {
        Some(bits) => vec![(ROOT, 0x2_0000 | TABLE | bits), (0x2_0000, descriptor | BLOCK | AF)],
        None => vec![(ROOT, descriptor | BLOCK | AF)],
    };
    let regs = if table.is_some() { *regs } else { TranslationRegs { tcr: regs.tcr + (9 << 16) + 9, ..*regs } };
    let mut out = String::new();
    for el0 in [false, true] {
        for (access, letter) in
            [(Access::read(el0, false), 'r'), (Access::write(el0, false), 'w'), (Access::execute(el0), 'x')]
        {
            let got = go(&regs, 0, access, &words);
            out.push(if got.is_ok() { letter } else { '-' });
            if let Ok(t) = got {
                assert!(check(t.permissions, access));
            } else {
                assert_eq!(got, fault(FaultKind::Permission, 1));
            }
        }
        if !el0 {
            out.push(' ');
        }
    }
    out
}

#[test]
fn permissions_follow_the_descriptor() {
    let plain = regs(12, 48);
    for (bits, want) in [
        (0, "rwx --x"),
        (USER, "rw- rwx"),
        (READ_ONLY, "r-x --x"),
        (READ_ONLY | USER, "r-x r-x"),
        (UXN, "rwx ---"),
        (PXN, "rw- --x"),
        (PXN | UXN | USER, "rw- rw-"),
        (PXN | READ_ONLY | USER, "r-- r-x"),
        (UXN | READ_ONLY | USER, "r-x r--"),
    ] {
        assert_eq!(rights(&plain, bits, None), want, "{bits:#x}");
    }
    let wxn = TranslationRegs { sctlr: plain.sctlr | sctlr::WXN, ..plain };
    for (bits, want) in [(0, "rw- --x"), (USER, "rw- rw-"), (READ_ONLY | USER, "r-x r-x"), (READ_ONLY, "r-x --x")] {
        assert_eq!(rights(&wxn, bits, None), want, "WXN {bits:#x}");
    }
}

#[test]
fn tables_restrict_what_is_below_them() {
    let plain = regs(12, 48);
    let (no_el0, read_only, pxn, uxn) = (1 << 61, 1 << 62, 1 << 59, 1 << 60);
    for (table, bits, want) in [
        (0, USER, "rw- rwx"),
        (no_el0, USER, "rwx --x"),
        (read_only, USER, "r-x r-x"),
        (read_only | no_el0, USER, "r-x --x"),
        (pxn, 0, "rw- --x"),
        (uxn, 0, "rwx ---"),
    ] {
        assert_eq!(rights(&plain, bits, Some(table)), want, "{table:#x} {bits:#x}");
        let off = TranslationRegs { tcr: plain.tcr | tcr::HPD0, ..plain };
        assert_eq!(rights(&off, bits, Some(table)), rights(&plain, bits, Some(0)));
    }
}

#[test]
fn pan_keeps_el1_out_of_what_el0_can_reach() {
    let regs = regs(12, 39);
    let pan = |descriptor, access| go(&regs, 0, access, &[(ROOT, descriptor | BLOCK | AF)]).is_ok();
    assert!(!pan(USER, Access::read(false, true)));
    assert!(!pan(USER | READ_ONLY, Access::read(false, true)));
    assert!(pan(0, Access::write(false, true)));
    assert!(pan(USER, Access::write(true, true)), "LDTR and STTR");
    assert!(pan(USER | READ_ONLY, Access { pan: true, ..FETCH }));
}

#[test]
fn hardware_sets_the_access_flag_and_dirty_state() {
    let plain = regs(12, 39);
    let ha = TranslationRegs { tcr: plain.tcr | tcr::HA, ..plain };
    let had = TranslationRegs { tcr: ha.tcr | tcr::HD, ..ha };
    let after = |regs: &TranslationRegs, descriptor: u64, access| {
        let mut mem = tables(&[(ROOT, descriptor | BLOCK)]);
        let got = walk(regs, 0, access, &mut mem);
        (got.map(|t| t.permissions), mem.words[&ROOT])
    };
    let (got, word) = after(&ha, 0, READ);
    assert!(got.is_ok());
    assert_eq!(word, BLOCK | AF);
    let (got, word) = after(&ha, 0, Access { query: true, ..READ });
    assert!(got.is_ok());
    assert_eq!(word, BLOCK);
    // Without HD, DBM means nothing.
    assert!(after(&ha, AF | DBM | READ_ONLY, WRITE).0.is_err());

    let clean = AF | DBM | READ_ONLY | USER;
    let (got, word) = after(&had, clean, READ);
    let got = got.unwrap();
    assert!(got.contains(Permissions::CLEAN) && !check(got, WRITE) && check(got, Access::read(true, false)));
    assert_eq!(word, clean | BLOCK);
    let (got, word) = after(&had, clean, WRITE);
    assert!(check(got.unwrap(), WRITE) && check(got.unwrap(), Access::write(true, false)));
    assert_eq!(word, clean & !READ_ONLY | BLOCK);
    // What the access may not do leaves the descriptor alone.
    let (got, word) = after(&had, clean & !USER, Access::write(true, false));
    assert_eq!((got, word), (Err(Fault { kind: FaultKind::Permission, level: 1 }), clean & !USER | BLOCK));
    let (got, word) = after(&had, clean, Access::write(false, true));
    assert!(got.is_err());
    assert_eq!(word, clean | BLOCK);
    // Read-only for good.
    assert!(after(&had, AF | READ_ONLY, WRITE).0.is_err());
}

#[test]
fn an_update_that_loses_a_race_is_tried_again_but_not_for_ever() {
    let regs = regs(12, 39);
    let regs = TranslationRegs { tcr: regs.tcr | tcr::HA, ..regs };
    // The rival sets the flag first: the second walk finds it set.
    let mut mem = tables(&[(ROOT, BLOCK)]);
    mem.rival = Some(|d| d | AF);
    assert!(walk(&regs, 0, READ, &mut mem).is_ok());
    // The rival takes the page away.
    let mut mem = tables(&[(ROOT, BLOCK)]);
    mem.rival = Some(|_| 0);
    assert_eq!(walk(&regs, 0, READ, &mut mem), fault(FaultKind::Translation, 1));
    // The rival never lets go.
    let mut mem = tables(&[(ROOT, BLOCK)]);
    mem.rival = Some(|d| d ^ 1 << 55);
    assert_eq!(walk(&regs, 0, READ, &mut mem), fault(FaultKind::UnsupportedUpdate, 1));
}

#[test]
fn attributes_come_from_mair_and_the_descriptor() {
    let regs = TranslationRegs { mair: 0x0c_bb_44_00_ff << 8 | 0x04, ..regs(12, 39) };
    let at = |bits| go(&regs, 0, READ, &[(ROOT, bits | BLOCK | AF)]).unwrap();
    assert_eq!(at(0).memory, Memory::new(0x04));
    assert!(at(0).memory.is_device() && at(2 << 2).memory.is_device() && at(5 << 2).memory.is_device());
    assert!(!at(1 << 2).memory.is_device() && !at(3 << 2).memory.is_device());
    assert!(at(0).global && !at(NG).global);
    assert!(at(1 << 52).contiguous);
    let par = par_el1(&Ok(at(1 << 2 | 3 << 8 | 0x1_4000_0000)));
    assert_eq!(par, 0xff << 56 | 0x1_4000_0000 | 1 << 11 | 1 << 9 | 3 << 7);
    assert_eq!(par_el1(&fault(FaultKind::Permission, 2)), 1 << 11 | 0x0e << 1 | 1);
}

#[test]
fn with_the_mmu_off_addresses_are_physical() {
    let regs = TranslationRegs { sctlr: 0, tcr: tcr::TBI0, pa_bits: 40, ..TranslationRegs::default() };
    let got = walk(&regs, 0x12 << 56 | 0x4000_1234, WRITE, &mut Tables::default()).unwrap();
    assert_eq!((got.pa, got.memory), (0x4000_1234, Memory::DEVICE_NGNRNE));
    assert!(check(got.permissions, Access::read(false, true)), "PAN does not apply");
    assert!(check(got.permissions, Access::execute(true)));
    let got = walk(&regs, 1 << 40, READ, &mut Tables::default());
    assert_eq!(got, fault(FaultKind::AddressSize, 0));
}
