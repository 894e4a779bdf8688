//! Control flow, flags, faults and interrupts.

use soft::JitMode;

use crate::machine::{DATA, End, Program, run, run_limited, same_everywhere};

/// Flags that are read in other blocks than they are set in, and calls to another page.
const NESTED: Program = &[
    (
        0x1000,
        &[
            0xd280_0781, // mov x1, #0x3c
            0xd280_0502, // mov x2, #0x28
            0x8b02_0000, // add x0, x0, x2
            0xeb01_0c03, // subs x3, x0, x1, lsl #3
            0x5400_0068, // b.hi 101c inner+0x14
            0xca01_0000, // eor x0, x0, x1
            0x1400_0002, // b 1020 inner+0x18
            0xd100_0c00, // sub x0, x0, #0x3
            0x9a82_9004, // csel x4, x0, x2, ls
            0xfa47_1843, // ccmp x2, #0x7, #0x3, ne
            0x9a9f_77e5, // cset x5, vs
            0x9a05_0000, // adc x0, x0, x5
            0x2b04_0006, // adds w6, w0, w4
            0x3618_0066, // tbz w6, #3, 1040 inner+0x38
            0x9a80_84c7, // csinc x7, x6, x0, hi
            0x1400_0002, // b 1044 inner+0x3c
            0x5a82_44c7, // csneg w7, w6, w2, mi
            0xcac7_0d08, // eor x8, x8, x7, ror #3
            0xab00_011f, // cmn x8, x0
            0x5400_0047, // b.vc 1054 inner+0x4c
            0x9400_03ec, // bl 2000 far
            0xf100_0442, // subs x2, x2, #0x1
            0x54ff_fd81, // b.ne 1008 inner
            0xf100_783f, // cmp x1, #0x1e
            0x3a42_3829, // ccmn w1, #0x2, #0x9, cc
            0x9a89_a529, // cinc x9, x9, lt
            0x9400_03e6, // bl 2000 far
            0xd100_0421, // sub x1, x1, #0x1
            0xb5ff_fca1, // cbnz x1, 1004 outer
            0x17ff_fde3, // b 800 finish
        ],
    ),
    (
        0x2000,
        &[
            0x9b01_094a, // madd x10, x10, x1, x2
            0xf240_1d4b, // ands x11, x10, #0xff
            0x9a8a_154a, // cinc x10, x10, eq
            0xd65f_03c0, // ret
        ],
    ),
];

#[test]
fn flags_cross_blocks_of_nested_loops() {
    let end = same_everywhere(NESTED, |end| end.registers());
    if cfg!(target_arch = "x86_64") {
        assert!(end.counter("regions translated") > 0, "it was hot");
    }
}

/// HI and LS, which the host's flags do not say after an addition or a logical operation, between setters of flags.
const CARRIES: Program = &[(
    0x1000,
    &[
        0xd280_fa0d, // mov x13, #0x7d0
        0x9280_0009, // mov x9, #0xffffffffffffffff
        0x8b0d_e529, // add x9, x9, x13, lsl #57
        0xab09_0120, // adds x0, x9, x9
        0x9a81_81a1, // csel x1, x13, x1, hi
        0xeb0d_003f, // cmp x1, x13
        0xab0d_013f, // cmn x9, x13
        0xfa41_9123, // ccmp x9, x1, #0x3, ls
        0x9a82_b442, // cinc x2, x2, ge
        0xf100_005f, // cmp x2, #0x0
        0xea0d_013f, // tst x9, x13
        0xba49_9026, // ccmn x1, x9, #0x6, ls
        0x9a02_0063, // adc x3, x3, x2
        0xf100_007f, // cmp x3, #0x0
        0xba09_0084, // adcs x4, x4, x9
        0x9a89_94a5, // csinc x5, x5, x9, ls
        0x2b0d_013f, // cmn w9, w13
        0x3a49_80a8, // ccmn w5, w9, #0x8, hi
        0xcac5_1cc6, // eor x6, x6, x5, ror #7
        0x9a04_00c6, // adc x6, x6, x4
        0xf100_00df, // cmp x6, #0x0
        0xea09_00c7, // ands x7, x6, x9
        0x9a88_9508, // cinc x8, x8, hi
        0xab08_014a, // adds x10, x10, x8
        0xf100_05ad, // subs x13, x13, #0x1
        0x54ff_fd21, // b.ne 1008
        0x17ff_fde6, // b 800 finish
    ],
)];

#[test]
fn conditions_on_carry_and_zero_hold_after_every_kind_of_setter() {
    same_everywhere(CARRIES, |end| end.registers());
}

/// A loop of loads and stores with write-back that runs hot, then into pages that are not mapped; the handler keeps
/// what it sees and maps the page.
const FAULT: Program = &[
    (
        0x1000,
        &[
            0xd280_3209, // mov x9, #0x190
            0xd2a8_03c2, // mov x2, #0x401e0000
            0xd280_0286, // mov x6, #0x14
            0x9400_0008, // bl 102c copy
            0xf100_0529, // subs x9, x9, #0x1
            0x54ff_ff81, // b.ne 1004 program+0x4
            0xd2a8_03c2, // mov x2, #0x401e0000
            0xf29f_e202, // movk x2, #0xff10
            0xd280_3206, // mov x6, #0x190
            0x9400_0002, // bl 102c copy
            0x17ff_fdf6, // b 800 finish
            0xa8c1_9043, // ldp x3, x4, [x2], #24
            0x8b03_00a5, // add x5, x5, x3
            0xab05_0087, // adds x7, x4, x5
            0x9a88_3508, // cinc x8, x8, cs
            0xf81f_8c47, // str x7, [x2, #-8]!
            0x9100_1442, // add x2, x2, #0x5
            0xf100_04c6, // subs x6, x6, #0x1
            0x54ff_ff21, // b.ne 102c copy
            0xd65f_03c0, // ret
        ],
    ),
    (
        0x8200,
        &[
            0xd538_6014, // mrs x20, far_el1
            0xd538_5215, // mrs x21, esr_el1
            0xd538_4036, // mrs x22, elr_el1
            0xd538_4017, // mrs x23, spsr_el1
            0xf940_0398, // ldr x24, [x28]
            0x9101_0318, // add x24, x24, #0x40
            0xf900_0398, // str x24, [x28]
            0x8b1c_0318, // add x24, x24, x28
            0xa900_5714, // stp x20, x21, [x24]
            0xa901_5f16, // stp x22, x23, [x24, #16]
            0xa902_0f02, // stp x2, x3, [x24, #32]
            0xa903_1f05, // stp x5, x7, [x24, #48]
            0xd2a8_0039, // mov x25, #0x40010000
            0xf284_0019, // movk x25, #0x2000
            0xd34c_5294, // ubfx x20, x20, #12, #9
            0xf874_7b35, // ldr x21, [x25, x20, lsl #3]
            0xb240_06b5, // orr x21, x21, #0x3
            0xf834_7b35, // str x21, [x25, x20, lsl #3]
            0xd503_3a9f, // dsb ishst
            0xd503_3fdf, // isb
            0xd69f_03e0, // eret
        ],
    ),
];

#[test]
fn registers_are_exact_at_a_fault_in_a_hot_loop() {
    let end =
        same_everywhere(FAULT, |end| (end.registers(), (0..256).map(|n| end.word(DATA + n * 8)).collect::<Vec<_>>()));
    assert!(end.word(DATA) >= 2 * 64, "there were faults");
}

/// Loads and stores of every size over the end of a page, the next of which is elsewhere in memory.
const CROSSING: Program = &[(
    0x1000,
    &[
        0xd280_190c, // mov x12, #0xc8
        0xd2a8_03c1, // mov x1, #0x401e0000
        0xf281_fc01, // movk x1, #0xfe0
        0xd280_0503, // mov x3, #0x28
        0x4e08_0d80, // dup v0.2d, x12
        0x8b03_0022, // add x2, x1, x3
        0x8b03_2484, // add x4, x4, x3, lsl #9
        0xf900_0044, // str x4, [x2]
        0xf85f_e045, // ldur x5, [x2, #-2]
        0x7840_1046, // ldurh w6, [x2, #1]
        0xb880_3047, // ldursw x7, [x2, #3]
        0xd100_144e, // sub x14, x2, #0x5
        0xa900_1dc5, // stp x5, x7, [x14]
        0x2940_a448, // ldp w8, w9, [x2, #4]
        0x3ca3_6840, // str q0, [x2, x3]
        0x3cc0_1041, // ldur q1, [x2, #1]
        0x6d7f_8c42, // ldp d2, d3, [x2, #-8]
        0x781f_fc49, // strh w9, [x2, #-1]!
        0x4ee1_8400, // add v0.2d, v0.2d, v1.2d
        0x6e23_1c00, // eor v0.16b, v0.16b, v3.16b
        0x8b06_014a, // add x10, x10, x6
        0xcaca_150a, // eor x10, x8, x10, ror #5
        0x8b02_014a, // add x10, x10, x2
        0xf100_0463, // subs x3, x3, #0x1
        0x54ff_fda1, // b.ne 1014 outer+0x8
        0xf100_058c, // subs x12, x12, #0x1
        0x54ff_fd21, // b.ne 100c outer
        0x4e08_3c0b, // mov x11, v0.d[0]
        0x4e18_3c0d, // mov x13, v0.d[1]
        0x17ff_fde3, // b 800 finish
    ],
)];

#[test]
fn accesses_over_the_end_of_a_page_reach_both() {
    let pages = |end: &End| {
        (0x18_0f00..0x18_1000).chain(0x19_0000..0x19_0100).step_by(8).map(|at| end.word(at)).collect::<Vec<_>>()
    };
    same_everywhere(CROSSING, |end| (end.registers(), pages(end)));
}

/// Loads that name a register twice: what they leave there is for each CPU to choose, and not to be changed by heat.
const TWICE: Program = &[(
    0x1000,
    &[
        0xd280_bb89, // mov x9, #0x5dc
        0xd2a8_0301, // mov x1, #0x40180000
        0xaa01_03e3, // mov x3, x1
        0xaa01_03e5, // mov x5, x1
        0xf840_8421, // ldr x1, [x1], #8
        0xf840_8c63, // ldr x3, [x3, #8]!
        0xa940_10a4, // ldp x4, x4, [x5]
        0xa8c1_14a5, // ldp x5, x5, [x5], #16
        0x8b01_00c6, // add x6, x6, x1
        0x8b03_00c6, // add x6, x6, x3
        0xcac6_0c86, // eor x6, x4, x6, ror #3
        0xcac6_14a6, // eor x6, x5, x6, ror #5
        0xf100_0529, // subs x9, x9, #0x1
        0x54ff_fe81, // b.ne 1004 program+0x4
        0x17ff_fdf2, // b 800 finish
    ],
)];

#[test]
fn registers_that_a_load_names_twice_do_not_depend_on_the_tier() {
    same_everywhere(TWICE, |end| end.registers());
}

/// Raises the IRQ in each round of a loop; its handler lowers it, counts, and changes the flags.
const IRQ: Program = &[
    (
        0x1000,
        &[
            0xd2a8_03f4, // mov x20, #0x401f0000
            0xf29e_0014, // movk x20, #0xf000
            0xd281_7701, // mov x1, #0xbb8
            0xd280_0022, // mov x2, #0x1
            0xd503_42ff, // msr daifclr, #0x2
            0xb900_0282, // str w2, [x20]
            0xeb00_0023, // subs x3, x1, x0
            0x9a81_8064, // csel x4, x3, x1, hi
            0x8b04_00a5, // add x5, x5, x4
            0xba03_00c6, // adcs x6, x6, x3
            0xca45_1c00, // eor x0, x0, x5, lsr #7
            0xd100_0421, // sub x1, x1, #0x1
            0xb5ff_ff21, // cbnz x1, 1014 program+0x14
            0xd503_42df, // msr daifset, #0x2
            0x17ff_fdf2, // b 800 finish
        ],
    ),
    (
        0x8280,
        &[
            0xb900_029f, // str wzr, [x20]
            0xf940_0395, // ldr x21, [x28]
            0x9100_06b5, // add x21, x21, #0x1
            0xf900_0395, // str x21, [x28]
            0xeb15_02bf, // cmp x21, x21
            0xd69f_03e0, // eret
        ],
    ),
];

#[test]
fn interrupts_at_back_edges_leave_no_trace() {
    let end = same_everywhere(IRQ, |end| end.registers());
    assert!(end.word(DATA) > 0, "there were interrupts");
}

/// Steps through code that was hot before, over branches inside a page and to others; the handler counts the steps.
const STEP: Program = &[
    (
        0x1000,
        &[
            0xd101_0393, // sub x19, x28, #0x40
            0xd280_fa02, // mov x2, #0x7d0
            0x9400_03fe, // bl 2000 work
            0xd510_109f, // msr oslar_el1, xzr
            0xd503_3fdf, // isb
            0xd284_0021, // mov x1, #0x2001
            0xd510_0241, // msr mdscr_el1, x1
            0x1000_00e1, // adr x1, 1038 stepped
            0xd518_4021, // msr elr_el1, x1
            0xd280_00a1, // mov x1, #0x5
            0xf2a0_0401, // movk x1, #0x20, lsl #16
            0xd518_4001, // msr spsr_el1, x1
            0xd503_3fdf, // isb
            0xd69f_03e0, // eret
            0xd280_00a2, // mov x2, #0x5
            0x9400_03f1, // bl 2000 work
            0xd420_0020, // brk #0x1
            0xf940_038a, // ldr x10, [x28]
            0x17ff_fdee, // b 800 finish
        ],
    ),
    (
        0x2000,
        &[
            0xd280_0063, // mov x3, #0x3
            0x8b02_0000, // add x0, x0, x2
            0xf100_0463, // subs x3, x3, #0x1
            0x54ff_ffc1, // b.ne 2004 work+0x4
            0x3600_0082, // tbz w2, #0, 2020 work+0x20
            0xa9bf_7a60, // stp x0, x30, [x19, #-16]!
            0x9400_03fa, // bl 3000 leaf
            0xa8c1_7a64, // ldp x4, x30, [x19], #16
            0xf100_0442, // subs x2, x2, #0x1
            0x54ff_fee1, // b.ne 2000 work
            0xd65f_03c0, // ret
        ],
    ),
    (
        0x3000,
        &[
            0x9100_04a5, // add x5, x5, #0x1
            0xd65f_03c0, // ret
        ],
    ),
    (
        0x8200,
        &[
            0xd538_5214, // mrs x20, esr_el1
            0xd35a_fe94, // lsr x20, x20, #26
            0xf100_ce9f, // cmp x20, #0x33
            0x5400_0101, // b.ne 822c leaf+0x522c
            0xf940_0795, // ldr x21, [x28, #8]
            0x9100_06b5, // add x21, x21, #0x1
            0xf900_0795, // str x21, [x28, #8]
            0xd538_4015, // mrs x21, spsr_el1
            0xb26b_02b5, // orr x21, x21, #0x200000
            0xd518_4015, // msr spsr_el1, x21
            0xd69f_03e0, // eret
            0xd538_4035, // mrs x21, elr_el1
            0x9100_12b5, // add x21, x21, #0x4
            0xd518_4035, // msr elr_el1, x21
            0xd538_4015, // mrs x21, spsr_el1
            0xb277_02b5, // orr x21, x21, #0x200
            0xd518_4015, // msr spsr_el1, x21
            0xd510_025f, // msr mdscr_el1, xzr
            0xd503_3fdf, // isb
            0xd69f_03e0, // eret
        ],
    ),
];

#[test]
fn a_single_step_is_one_instruction_of_translated_code() {
    let end = same_everywhere(STEP, |end| (end.registers(), end.word(DATA + 8)));
    assert_eq!(end.word(DATA + 8), 83, "instructions before the BRK that ends it");
}

/// 150 loops of so many rounds, three times.
fn many_loops(rounds: u32) -> Program {
    let mut words = vec![0xd280_0062]; // mov x2, #3
    for n in 1..=150 {
        // mov x1, #rounds; add x0, x0, x1; eor x0, x0, x0, ror #n; subs x1, x1, #1; b.ne to the add
        words.extend([0xd280_0001 | rounds << 5, 0x8b01_0000, 0xcac0_0000 | (n % 64) << 10, 0xf100_0421, 0x54ff_ffa1]);
    }
    // subs x2, x2, #1; b.eq to the branch to 0x800; b to the first loop
    words.extend([0xf100_0442, 0x5400_0040, 0x1400_0000 | -752i32 as u32 & 0x03ff_ffff]);
    words.push(0x1400_0000 | (0x800 - (0x1000 + words.len() as i32 * 4)) as u32 >> 2 & 0x03ff_ffff);
    Box::leak(Box::new([(0x1000, &*words.leak())]))
}

#[test]
fn code_goes_on_when_the_buffer_was_emptied() {
    let look = |end: &End| end.registers();
    // Hot ones, and under stress, where every branch looks for something to translate, short ones.
    for (jit, rounds) in [(JitMode::On, 1100), (JitMode::Stress, 10)] {
        let reference = look(&run_limited(many_loops(rounds), 1, JitMode::Off, None));
        let end = run_limited(many_loops(rounds), 1, jit, Some(24 << 10));
        assert_eq!(look(&end), reference, "{jit:?}");
        if cfg!(target_arch = "x86_64") {
            assert!(end.counter("translation flushes") > 0, "{jit:?}");
        }
    }
}

/// A loop of 900 instructions without a branch, so many rounds.
fn long_loop(rounds: u32) -> Program {
    let mut words = vec![0xd280_0001 | rounds << 5]; // mov x1, #rounds
    for n in 0..450 {
        // add x0, x0, x1; eor x0, x0, x0, ror #n
        words.extend([0x8b01_0000, 0xcac0_0000 | (n % 64) << 10]);
    }
    // subs x1, x1, #1; b.ne to the first add
    words.extend([0xf100_0421, 0x5400_0001 | (-901i32 as u32 & 0x7_ffff) << 5]);
    words.push(0x1400_0000 | (0x800 - (0x1000 + words.len() as i32 * 4)) as u32 >> 2 & 0x03ff_ffff);
    Box::leak(Box::new([(0x1000, &*words.leak())]))
}

#[test]
fn long_code_is_translated_piece_by_piece() {
    let end = same_everywhere(long_loop(8000), |end| end.registers());
    if cfg!(target_arch = "x86_64") {
        assert_eq!(end.counter("instructions of the longest region"), 256);
        assert!(end.counter("regions translated") >= 4, "what is left waits its turn");
    }
}

/// A loop of straight code over the ends of two pages, so many rounds.
fn wide_loop(rounds: u32) -> Program {
    let mut words = vec![0xd280_0001 | rounds << 5]; // mov x1, #rounds
    words.extend([0x8b01_0000; 2800]); // add x0, x0, x1
    // subs x1, x1, #1; b.ne to the first add
    words.extend([0xf100_0421, 0x5400_0001 | (-2801i32 as u32 & 0x7_ffff) << 5]);
    words.push(0x1400_0000 | (0x800 - (0x1000 + words.len() as i32 * 4)) as u32 >> 2 & 0x03ff_ffff);
    Box::leak(Box::new([(0x1000, &*words.leak())]))
}

#[test]
fn each_page_of_a_loop_is_found_to_be_hot() {
    // Two ends of pages and a branch: the pauses of a budget that is always the same would be at one of them alone.
    let end = same_everywhere(wide_loop(30_000), |end| end.registers());
    if cfg!(target_arch = "x86_64") {
        assert!(end.counter("regions translated") >= 11, "{}", end.counter("regions translated"));
    }
}

#[cfg_attr(not(target_os = "linux"), ignore = "reads /proc/self/maps")]
#[test]
fn no_memory_is_writable_and_executable() {
    let end = run(NESTED, 1, JitMode::On);
    let flags: Vec<&str> = end.maps.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
    assert!(
        flags.iter().any(|f| f.contains('x')) && !flags.iter().any(|f| f.contains('w') && f.contains('x')),
        "{flags:?}"
    );
}
