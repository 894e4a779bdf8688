//! Code that is patched at random while it runs, in every tier alike.

use soft::JitMode;

use crate::machine::{DATA, End, Program, run, run_limited};

/// Offsets in RAM of three functions: in a page of its own, over the end of a page, and beside what patches them.
const FUNCTIONS: [u64; 3] = [0x3000, 0x4fc0, 0x1100];
/// Offset in RAM of the subroutine that patches.
const PATCHER: u64 = 0x1040;
/// Offset in RAM of the list of patches.
const LIST: u64 = 0x4_0000;
/// Words of a function before those that are random: the last of them adds to X10.
const HEAD: usize = 3;
/// Random words in a function.
const SLOTS: usize = 20;
/// Rounds of a function's loop, and how many of them there are from one batch of patches to the next.
const ROUNDS: u32 = 0x800;
const BATCH_ROUNDS: u32 = 0x200;
/// Set in the list with the last patch of a batch.
const LAST: u32 = 1 << 31;

/// Counts SVCs in X11.
const VECTOR: [u32; 2] = [
    0x9100_056b, // add x11, x11, #0x1
    0xd69f_03e0, // eret
];

/// Applies the next batch of the list, X17 to X18, and invalidates the instruction cache with `invalidate`.
fn patcher(invalidate: u32) -> Vec<u32> {
    vec![
        0xcb11_0255, // sub x21, x18, x17
        0xb400_0175, // cbz x21, 1070 done
        0x28c1_3e30, // ldp w16, w15, [x17], #8
        0x1200_7a0e, // and w14, w16, #0x7fffffff
        0x8b16_01ce, // add x14, x14, x22
        0xb900_01cf, // str w15, [x14]
        0xd50b_7b2e, // dc cvau, x14
        0xd503_3b9f, // dsb ish
        invalidate,
        0x36ff_ff30, // tbz w16, #31, 1048 next
        0xd503_3b9f, // dsb ish
        0xd503_3fdf, // isb
        0xd65f_03c0, // ret
    ]
}

const IC_IVAU_X14: u32 = 0xd50b_752e;
const IC_IALLU: u32 = 0xd508_751f;

/// Calls the functions until the list is at its end.
fn caller(patches: usize) -> Vec<u32> {
    let mut words = vec![
        0xd2a8_0016,                         // mov x22, #0x40000000
        0x9141_02d1,                         // add x17, x22, #0x40, lsl #12
        0x5280_0012 | (patches as u32) << 5, // mov w18, #patches
        0x8b12_0e32,                         // add x18, x17, x18, lsl #3
    ];
    for (n, function) in FUNCTIONS.into_iter().enumerate() {
        words.push(call(0x1010 + n as u64 * 4, function));
    }
    // sub x21, x18, x17; cbnz x21 to the first call; b to the end of programs
    words.extend([0xcb11_0255, 0xb5ff_ff95, 0x1400_0000 | (0x800 - 0x1024i32) as u32 >> 2 & 0x03ff_ffff]);
    words
}

/// BL from one offset to another.
fn call(from: u64, to: u64) -> u32 {
    0x9400_0000 | (to.wrapping_sub(from) >> 2) as u32 & 0x03ff_ffff
}

/// A function at `at`: a loop of the random words, which every so many rounds calls what patches.
fn function(at: u64, random: &mut Random) -> Vec<u32> {
    let mut words = vec![
        0xaa1e_03f4,               // mov x20, x30
        0x5280_0013 | ROUNDS << 5, // mov w19, #ROUNDS
        add_to_x10(1),
    ];
    words.extend((0..SLOTS).map(|slot| instruction(slot, random)));
    words.extend([
        0x9240_2275, // and x21, x19, #0x1ff
        0xb500_0055, // cbnz x21 over the call
        call(at + (words.len() as u64 + 2) * 4, PATCHER),
        0xd100_0673, // sub x19, x19, #0x1
    ]);
    let back = HEAD as i32 - 1 - words.len() as i32;
    // cbnz x19 to the addition; ret x20
    words.extend([0xb500_0013 | (back as u32 & 0x7_ffff) << 5, 0xd65f_0280]);
    words
}

fn add_to_x10(number: u32) -> u32 {
    0x9100_014a | number << 10
}

/// An instruction for one of the random words: on X0 to X9 and the start of the data, and no branch but forwards, to
/// the end of the random words at most.
fn instruction(slot: usize, random: &mut Random) -> u32 {
    let (d, n, m) = (random.below(10), random.below(10), random.below(10));
    let three = m << 16 | n << 5 | d;
    let (condition, amount, word) = (random.below(14), random.below(32), random.below(16));
    let forward = (1 + random.below((SLOTS - slot) as u32)) << 5;
    match random.below(18) {
        0 => 0x8b00_0000 | three | amount << 10,                 // add, lsl
        1 => 0xab00_0000 | three,                                // adds
        2 => 0xeb00_0000 | three,                                // subs
        3 => 0xeb00_001f | m << 16 | n << 5,                     // cmp
        4 => 0xcac0_0000 | three | amount << 10,                 // eor, ror
        5 => 0x6b00_0000 | three,                                // subs, 32 bits
        6 => 0x9b00_0000 | three | m << 10,                      // madd
        7 => 0x9a80_0400 | three | condition << 12,              // csinc
        8 => 0x9a00_0000 | three,                                // adc
        9 => 0xf940_0380 | word << 10 | d,                       // ldr [x28, #word * 8]
        10 => 0xf900_0380 | word << 10 | d,                      // str [x28, #word * 8]
        11 | 12 => 0x5400_0000 | forward | condition,            // b.condition
        13 => 0xb400_0000 | random.below(2) << 24 | forward | d, // cbz, cbnz
        14 => 0x3600_0000 | random.below(2) << 24 | amount << 19 | forward | d, // tbz, tbnz
        15 => 0x1400_0000 | forward >> 5,                        // b
        16 => 0xd400_0001,                                       // svc
        _ => 0xf280_0000 | random.below(0x1_0000) << 5 | d,      // movk
    }
}

/// A patch: offset in RAM and word.
type Patch = (u64, u32);

/// Up to five patches of random words, or of what is added to X10.
fn batch(random: &mut Random) -> Vec<Patch> {
    let count = 1 + random.below(5);
    let patch = |_| {
        let at = FUNCTIONS[random.below(3) as usize];
        if random.below(3) == 0 {
            return (at + (HEAD as u64 - 1) * 4, add_to_x10(random.below(0x1000)));
        }
        let slot = random.below(SLOTS as u32) as usize;
        (at + (HEAD + slot) as u64 * 4, instruction(slot, random))
    };
    (0..count).map(patch).collect()
}

/// The program that the batches are patches of.
fn program(batches: &[Vec<Patch>], invalidate: u32, random: &mut Random) -> Program {
    let mut list = Vec::new();
    for batch in batches {
        for (n, (at, word)) in batch.iter().enumerate() {
            list.extend([*at as u32 | if n + 1 == batch.len() { LAST } else { 0 }, *word]);
        }
    }
    let mut parts =
        vec![(0x1000, caller(list.len() / 2)), (PATCHER, patcher(invalidate)), (0x8200, VECTOR.to_vec()), (LIST, list)];
    parts.extend(FUNCTIONS.map(|at| (at, function(at, random))));
    let parts: Vec<(u64, &'static [u32])> = parts.into_iter().map(|(at, words)| (at, &*words.leak())).collect();
    parts.leak()
}

/// What X10 comes to if each patch is seen from the round after it on.
fn sum(batches: &[Vec<Patch>]) -> u64 {
    let mut added = [1; FUNCTIONS.len()];
    let mut left = batches.iter();
    let mut sum = 0;
    while left.len() > 0 {
        for n in 0..FUNCTIONS.len() {
            for round in (1..=ROUNDS).rev() {
                sum += added[n];
                if round % BATCH_ROUNDS == 0 {
                    for (at, word) in left.next().into_iter().flatten() {
                        if let Some(n) = FUNCTIONS.iter().position(|f| f + (HEAD as u64 - 1) * 4 == *at) {
                            added[n] = u64::from(word >> 10 & 0xfff);
                        }
                    }
                }
            }
        }
    }
    sum
}

/// Numbers of a seed, by splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ x >> 31) % u64::from(n)) as u32
    }
}

#[test]
fn random_patches_are_seen_by_every_tier() {
    let look = |end: &End| (end.registers(), (0..16).map(|n| end.word(DATA + n * 8)).collect::<Vec<_>>());
    for seed in 0..40 {
        let random = &mut Random(seed);
        let batches: Vec<_> = (0..36).map(|_| batch(random)).collect();
        let program = program(&batches, if seed % 4 == 3 { IC_IALLU } else { IC_IVAU_X14 }, random);
        let off = run(program, 1, JitMode::Off);
        assert_eq!(off.x(10), sum(&batches), "seed {seed}, interpreted");
        // The last of them with so little room for translations that they are dropped again and again.
        for (jit, limit) in [(JitMode::On, None), (JitMode::Stress, None), (JitMode::Stress, Some(24 << 10))] {
            let end = run_limited(program, 1, jit, limit);
            assert_eq!(look(&end), look(&off), "seed {seed}, {jit:?}, limit {limit:?}");
            if cfg!(target_arch = "x86_64") {
                assert!(end.counter("regions translated") > 0, "seed {seed}, {jit:?}");
            }
        }
    }
}
