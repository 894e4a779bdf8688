//! Waiting for events: what ends a wait, and what it costs the host.

use soft::JitMode;

use crate::machine::{DATA, Program, run};

const MODES: [JitMode; 3] = [JitMode::Off, JitMode::On, JitMode::Stress];

/// Each event is there for one WFE: of SEVL, of an exception return, of SEV. The last WFE finds none.
const REGISTER: Program = &[(
    0x1000,
    &[
        0xd503_20bf, // sevl
        0xd503_205f, // wfe
        0xd280_78a1, // mov x1, #0x3c5
        0xd518_4001, // msr spsr_el1, x1
        0x1000_0061, // adr x1, 101c finish+0x81c
        0xd518_4021, // msr elr_el1, x1
        0xd69f_03e0, // eret
        0xd503_205f, // wfe
        0xd503_209f, // sev
        0xd503_205f, // wfe
        0xd503_205f, // wfe
        0x17ff_fdf5, // b 800 finish
    ],
)];

#[test]
fn the_event_register_is_set_by_what_the_architecture_names() {
    for jit in MODES {
        assert_eq!(run(REGISTER, 1, jit).counter("waits for events"), 1, "{jit:?}");
    }
}

/// CPU 1 waits for an event that never comes, and counts its waits. After 32 ms CPU 0 looks how many there were.
const IDLE: Program = &[
    (
        0x1000,
        &[
            0xd280_0060, // mov x0, #0x3
            0xf2b8_8000, // movk x0, #0xc400, lsl #16
            0xd280_0021, // mov x1, #0x1
            0xd2a8_0002, // mov x2, #0x40000000
            0x1001_7f83, // adr x3, 4000 other
            0xd400_0002, // hvc #0x0
            0xd53b_e044, // mrs x4, cntvct_el0
            0xd289_0005, // mov x5, #0x4800
            0xf2a0_3d05, // movk x5, #0x1e8, lsl #16
            0xd53b_e046, // mrs x6, cntvct_el0
            0xcb04_00c1, // sub x1, x6, x4
            0xeb05_003f, // cmp x1, x5
            0x54ff_ffa3, // b.cc 1024 again
            0xf940_0b80, // ldr x0, [x28, #16]
            0x17ff_fdf2, // b 800 finish
        ],
    ),
    (
        0x4000,
        &[
            0xd280_0000, // mov x0, #0x0
            0x9100_0400, // add x0, x0, #0x1
            0xf900_0b80, // str x0, [x28, #16]
            0xd503_205f, // wfe
            0x17ff_fffd, // b 4004 more
        ],
    ),
];

#[test]
fn a_wait_that_nothing_ends_lasts_a_millisecond() {
    for jit in MODES {
        let end = run(IDLE, 2, jit);
        let (waits, nanoseconds) = (end.x(0), end.x(1));
        assert!(waits <= nanoseconds / 1_000_000 + 1, "{jit:?}: {waits} in {nanoseconds} ns");
    }
}

/// Each CPU waits by the exclusive monitor for what the other stores, a thousand times.
const IN_TURN: Program = &[(
    0x1000,
    &[
        0xd280_0060, // mov x0, #0x3
        0xf2b8_8000, // movk x0, #0xc400, lsl #16
        0xd280_0021, // mov x1, #0x1
        0xd2a8_0002, // mov x2, #0x40000000
        0x1000_01e3, // adr x3, 104c finish+0x84c
        0xd400_0002, // hvc #0x0
        0xd280_7d05, // mov x5, #0x3e8
        0x9100_4386, // add x6, x28, #0x10
        0x9102_0387, // add x7, x28, #0x80
        0xd280_0002, // mov x2, #0x0
        0xc89f_fcc5, // stlr x5, [x6]
        0xd503_205f, // wfe
        0xc85f_fce8, // ldaxr x8, [x7]
        0xeb05_011f, // cmp x8, x5
        0x54ff_ffa1, // b.ne 102c finish+0x82c
        0xf100_04a5, // subs x5, x5, #0x1
        0x54ff_ff41, // b.ne 1028 finish+0x828
        0xd280_0003, // mov x3, #0x0
        0x17ff_fdee, // b 800 finish
        0xd280_7d05, // mov x5, #0x3e8
        0x9102_0386, // add x6, x28, #0x80
        0x9100_4387, // add x7, x28, #0x10
        0xd503_20bf, // sevl
        0xd503_205f, // wfe
        0xc85f_fce8, // ldaxr x8, [x7]
        0xeb05_011f, // cmp x8, x5
        0x54ff_ffa1, // b.ne 105c finish+0x85c
        0xc89f_fcc5, // stlr x5, [x6]
        0xf100_04a5, // subs x5, x5, #0x1
        0x54ff_ff41, // b.ne 105c finish+0x85c
        0xd503_207f, // wfi
        0x17ff_ffff, // b 1078 finish+0x878
    ],
)];

#[test]
fn a_store_to_the_monitored_location_ends_a_wait() {
    for jit in MODES {
        let end = run(IN_TURN, 2, jit);
        assert_eq!([end.word(DATA + 16), end.word(DATA + 128)], [1, 1], "{jit:?}");
    }
}
