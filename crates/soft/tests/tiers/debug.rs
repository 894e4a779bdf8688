//! A debugger changes nothing: programs end in the same state, whatever is broken at, watched or stepped.

use std::sync::Mutex;

use hv::debug::{Address, Points, Stop, WatchKind, Watchpoint};
use hv::{Exit, Vcpu};
use soft::JitMode;

use crate::code::PATCH;
use crate::machine::{DATA, End, Program, RAM, run, run_driven};

/// Stores 1 to 3000 at [`DATA`] + 8, 16 bytes at a time, and loads the last of them each time.
const STORE: Program = &[(
    0x1000,
    &[
        0x5281_7702, // mov w2, #0xbb8
        0x9100_0421, // add x1, x1, #0x1
        0xa900_8781, // stp x1, x1, [x28, #8]
        0xf940_0b83, // ldr x3, [x28, #16]
        0x8b03_0000, // add x0, x0, x3
        0xf100_0442, // subs x2, x2, #0x1
        0x54ff_ff61, // b.ne 1004
        0x17ff_fdf9, // b 800 finish
    ],
)];

/// Runs `program` with these points, stepping over each, and gives the end and the stops with their program counters.
fn debugged(program: Program, jit: JitMode, points: &Points) -> (End, Vec<(u64, Stop)>) {
    let stops = Mutex::new(Vec::new());
    let end = run_driven(program, 1, jit, None, |cpu| {
        cpu.debug().unwrap().set_points(points);
        loop {
            match cpu.run() {
                Exit::Debug(stop) => {
                    stops.lock().unwrap().push((cpu.debug().unwrap().registers().pc, stop));
                    step_over(cpu, points);
                }
                exit => return exit,
            }
        }
    });
    (end, stops.into_inner().unwrap())
}

/// Gets past the instruction that it stopped at, as GDB does.
fn step_over(cpu: &mut dyn Vcpu, points: &Points) {
    let debug = cpu.debug().unwrap();
    debug.set_points(&Points::default());
    debug.set_step(true);
    assert_eq!(cpu.run(), Exit::Debug(Stop::Step));
    let debug = cpu.debug().unwrap();
    debug.set_step(false);
    debug.set_points(points);
}

const MODES: [JitMode; 3] = [JitMode::Off, JitMode::On, JitMode::Stress];

#[test]
fn breakpoints_stop_every_time_also_in_code_that_changes() {
    // At the branch behind a compare, with which it would be fused, and at the word that is patched.
    let points = Points { breakpoints: vec![RAM + 0x1018, RAM + 0x100c], watchpoints: Vec::new() };
    for jit in MODES {
        let (end, stops) = debugged(PATCH, jit, &points);
        assert_eq!(end.registers(), run(PATCH, 1, JitMode::Off).registers(), "{jit:?}");
        for at in &points.breakpoints {
            assert_eq!(stops.iter().filter(|stop| **stop == (*at, Stop::Breakpoint)).count(), 4500, "{jit:?} {at:#x}");
        }
    }
}

#[test]
fn watchpoints_stop_before_the_access() {
    let address = RAM + DATA as u64 + 20;
    for (kind, at) in
        [(WatchKind::Write, &[0x1008][..]), (WatchKind::Read, &[0x100c]), (WatchKind::Access, &[0x1008, 0x100c])]
    {
        let points = Points { breakpoints: Vec::new(), watchpoints: vec![Watchpoint { address, length: 2, kind }] };
        for jit in MODES {
            let (end, stops) = debugged(STORE, jit, &points);
            assert_eq!(end.registers(), run(STORE, 1, JitMode::Off).registers());
            let here: Vec<_> = stops.iter().filter(|(pc, _)| *pc < RAM + 0x1020).collect();
            assert_eq!(here.len(), 3000 * at.len(), "{jit:?} {kind:?}");
            for (n, (pc, stop)) in here.into_iter().enumerate() {
                assert_eq!((*pc, *stop), (RAM + at[n % at.len()], Stop::Watchpoint { address, kind }));
            }
        }
    }
}

#[test]
fn a_watchpoint_that_comes_late_stops_what_is_translated() {
    // The first rounds run as if there were no debugger, so that translated code knows the page.
    let address = RAM + DATA as u64 + 8;
    let watch = vec![Watchpoint { address, length: 1, kind: WatchKind::Write }];
    for jit in MODES {
        let seen = Mutex::new(None);
        run_driven(STORE, 1, jit, None, |cpu| {
            // In another page: one with a breakpoint is not translated.
            let end = Points { breakpoints: vec![RAM + 0x800], watchpoints: Vec::new() };
            cpu.debug().unwrap().set_points(&end);
            assert_eq!(cpu.run(), Exit::Debug(Stop::Breakpoint));
            let debug = cpu.debug().unwrap();
            // Once more around, watched.
            let mut registers = debug.registers();
            (registers.pc, registers.x[2]) = (RAM + 0x1004, 5);
            debug.set_registers(&registers);
            debug.set_points(&Points { breakpoints: Vec::new(), watchpoints: watch.clone() });
            let kind = WatchKind::Write;
            assert_eq!(cpu.run(), Exit::Debug(Stop::Watchpoint { address, kind }), "{jit:?}");
            let debug = cpu.debug().unwrap();
            let mut before = [0; 8];
            assert_eq!(debug.read_memory(Address::Virtual(address), &mut before), 8);
            assert_eq!(debug.translate(address), Some(address));
            *seen.lock().unwrap() = Some((u64::from_le_bytes(before), debug.registers().x[1]));
            debug.set_points(&Points::default());
            cpu.run()
        });
        let (memory, register) = seen.into_inner().unwrap().unwrap();
        assert_eq!(memory + 1, register, "{jit:?}: the store has not been done");
    }
}

#[test]
fn a_program_may_be_stepped_from_start_to_end() {
    let end = run_driven(PATCH, 1, JitMode::On, None, |cpu| {
        cpu.debug().unwrap().set_step(true);
        loop {
            match cpu.run() {
                Exit::Debug(Stop::Step) => {}
                exit => return exit,
            }
        }
    });
    assert_eq!(end.registers(), run(PATCH, 1, JitMode::Off).registers());
}
