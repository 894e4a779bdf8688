//! How machines start, are reset and end.

mod common;
mod hotplug;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use common::{Cpu, Made, Skipped, file, machine, parts};
use hv::Exit;
use machine::{Boot, End, Error, Event, LinuxBoot, layout};
use vm_memory::{Bytes, GuestAddress};

fn all_gone(made: &Made) -> bool {
    made.lock().unwrap().iter().all(|lines| lines.upgrade().is_none())
}

#[test]
fn a_reset_makes_everything_anew() {
    let boots = Arc::new(AtomicU32::new(0));
    let count = boots.clone();
    let (mut machine, made) = machine(parts(2), move |cpu: &Cpu| {
        if cpu.boot.is_none() {
            return cpu.sleep();
        }
        let dirt = GuestAddress(0x4300_0000);
        assert_eq!(cpu.memory.read_obj::<u32>(dirt).unwrap(), 0);
        assert_eq!(cpu.read32(0x0903_0410), 0, "a register of the GPIO controller");
        cpu.memory.write_obj(0xdead_beef_u32, dirt).unwrap();
        cpu.write32(0x0903_0410, 0xff);
        match count.fetch_add(1, Ordering::SeqCst) {
            2 => Exit::PoweredOff,
            _ => Exit::Reset,
        }
    });
    let mut events = Vec::new();
    let outcome = machine.run(|event| events.push(event)).unwrap();
    assert_eq!(outcome.end, End::PoweredOff);
    assert_eq!(boots.load(Ordering::SeqCst), 3);
    use Event::{Reset, Started};
    assert_eq!(events, [Started, Reset, Started, Reset, Started]);
    assert_eq!(made.lock().unwrap().len(), 6);
    assert!(all_gone(&made), "a board of the past is still in memory");
}

#[test]
fn any_cpu_can_end_the_machine() {
    for (exit, end) in
        [(Exit::PoweredOff, End::PoweredOff), (Exit::Failed("it broke".into()), End::Crashed("CPU 2: it broke".into()))]
    {
        let (mut machine, made) = machine(parts(4), move |cpu| if cpu.index == 2 { exit.clone() } else { cpu.sleep() });
        assert_eq!(machine.run(|_| ()).unwrap().end, end);
        assert!(all_gone(&made));
    }
}

#[test]
fn a_panic_on_a_cpu_ends_the_machine_and_not_the_process() {
    let (mut machine, made) = machine(parts(3), |cpu| {
        if cpu.index == 1 {
            std::panic::resume_unwind(Box::new("a bug"));
        }
        cpu.sleep()
    });
    let End::Crashed(reason) = machine.run(|_| ()).unwrap().end else { panic!("it did not crash") };
    assert!(reason.contains("CPU 1"), "{reason}");
    assert!(all_gone(&made));
}

#[test]
fn a_machine_can_be_stopped_before_and_while_it_runs() {
    let (mut machine, made) = machine(parts(2), Cpu::sleep);
    let control = machine.control();
    // More than once: a machine that has ended can be run again.
    for _ in 0..3 {
        control.rearm();
        let mut started = false;
        let outcome = machine.run(|_| {
            started = true;
            control.stop();
        });
        assert_eq!((outcome.unwrap().end, started), (End::Stopped, true));
        assert!(all_gone(&made));
    }

    let (mut machine, _) = common::machine(parts(1), Cpu::sleep);
    machine.control().stop();
    let outcome = machine.run(|_| panic!("it started")).unwrap();
    assert_eq!(outcome.end, End::Stopped);
}

#[test]
fn a_guest_that_resets_for_ever_can_be_stopped() {
    let (mut machine, _) = machine(parts(1), |_| Exit::Reset);
    let control = machine.control();
    let mut resets = 0;
    let outcome = machine.run(|event| {
        if event == Event::Reset {
            resets += 1;
            if resets == 5 {
                control.stop();
            }
        }
    });
    assert_eq!(outcome.unwrap().end, End::Stopped);
}

#[test]
fn a_paused_machine_stands_still_and_no_time_passes_for_its_guest() {
    let (turns, skipped) = (Arc::new(AtomicU32::new(0)), Skipped::default());
    let counted = turns.clone();
    let (mut machine, made) = common::machine_with_time(parts(3), skipped.clone(), move |cpu| {
        counted.fetch_add(1, Ordering::SeqCst);
        cpu.sleep()
    });
    let control = machine.control();
    assert!(!control.pause(), "it does not run");
    let told = control.clone();
    let (tell, started) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || machine.run(|_| tell.send(()).unwrap()).unwrap().end);
    started.recv().unwrap();
    for round in 1..=3 {
        let since = Instant::now();
        assert!(control.pause());
        let before = turns.load(Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(turns.load(Ordering::SeqCst), before, "a CPU ran");
        control.resume();
        let times = skipped.lock().unwrap().clone();
        assert_eq!(times.len(), round);
        assert!((Duration::from_millis(20)..=since.elapsed()).contains(&times[round - 1]));
        while turns.load(Ordering::SeqCst) < before + 3 {
            std::thread::yield_now();
        }
    }
    // It can be stopped while it stands, and is not paused when it runs again.
    assert!(told.pause());
    told.stop();
    assert_eq!(thread.join().unwrap(), End::Stopped);
    assert!(all_gone(&made));
}

#[test]
fn a_pause_that_the_end_overtakes_is_answered() {
    // A pause that comes before CPU 0 is on its way would hold it, and the end with it.
    let on_its_way = Arc::new(Barrier::new(2));
    let begun = on_its_way.clone();
    let (mut machine, _) = machine(parts(2), move |cpu| {
        if cpu.index == 0 {
            begun.wait();
            std::thread::sleep(Duration::from_millis(30));
            return Exit::PoweredOff;
        }
        cpu.sleep()
    });
    let control = machine.control();
    for _ in 0..3 {
        let mut pause = None;
        let outcome = machine.run(|_| {
            let (asked, on_its_way) = (control.clone(), on_its_way.clone());
            pause = Some(std::thread::spawn(move || {
                on_its_way.wait();
                asked.pause()
            }));
        });
        assert_eq!(outcome.unwrap().end, End::PoweredOff);
        assert!(!pause.unwrap().join().unwrap());
    }
}

#[test]
fn what_cannot_be_built_is_an_error() {
    for cpus in [0, layout::MAX_CPUS + 1] {
        let (mut machine, _) = machine(parts(cpus), Cpu::sleep);
        assert!(matches!(machine.run(|_| ()), Err(Error::CpuCount { .. })));
    }
    for memory in [0, 1 << 20, (64 << 20) + 1, u64::MAX] {
        let (mut machine, _) = machine(machine::Parts { memory, ..parts(1) }, Cpu::sleep);
        assert!(matches!(machine.run(|_| ()), Err(Error::MemorySize { .. })), "{memory:#x}");
    }
    let mut no_kernel = parts(1);
    let kernel = file(b"not a kernel");
    no_kernel.boot = Boot::Linux(LinuxBoot { kernel, initrd: None, command_line: String::new() });
    let (mut machine, _) = machine(no_kernel, Cpu::sleep);
    assert!(matches!(machine.run(|_| ()), Err(Error::Load(_))));
    let mut text = parts(1);
    text.boot = common::linux(None, "with a \0 inside");
    let (mut machine, _) = common::machine(text, Cpu::sleep);
    assert!(matches!(machine.run(|_| ()), Err(Error::DeviceTree(_))));
}

#[test]
fn as_many_cpus_as_the_board_has_room_for() {
    let (mut machine, _) = machine(parts(layout::MAX_CPUS), |cpu| {
        let Some(_) = cpu.boot else { return cpu.sleep() };
        assert!(cpu.tree().contains_key("/cpus/cpu@70a:reg"));
        Exit::PoweredOff
    });
    assert_eq!(machine.run(|_| ()).unwrap().end, End::PoweredOff);
}
