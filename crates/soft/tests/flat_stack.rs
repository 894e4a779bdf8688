//! The interpreter's handlers end in jumps: however long it runs, the host's stack does not grow.
//!
//! A handler that needed a stack frame across its last call would still compute the right thing, for a while.

use std::sync::Arc;
use std::time::Duration;

use hv::{BootState, Exit, GuestMemory, Mmio, VcpuEnv, Vm as _};
use soft::{JitMode, Options, Vm};
use vm_memory::{Bytes, GuestAddress};

const RAM: u64 = 0x4000_0000;

struct Nothing;

impl Mmio for Nothing {
    fn read(&self, _: u64, data: &mut [u8]) {
        data.fill(0);
    }
    fn write(&self, _: u64, _: &[u8]) {}
}

/// Runs `words` again and again on a thread with little stack until it is kicked.
fn run_on_a_small_stack(words: &[u32], jit: JitMode) -> Exit {
    let memory = GuestMemory::from_ranges(&[(GuestAddress(RAM), 2 << 20)]).unwrap();
    // A page of the words, and a branch back to its start.
    let mut code: Vec<u32> = words.iter().copied().cycle().take(1023).collect();
    code.push(0x1400_0000 | (-1023i32 as u32 & 0x03ff_ffff));
    let bytes: Vec<u8> = code.iter().flat_map(|w| w.to_le_bytes()).collect();
    memory.write_slice(&bytes, GuestAddress(RAM)).unwrap();
    let vm = Vm::new(memory, &Options { cpus: 1, jit }).unwrap();
    let seed = vm.vcpu(0, VcpuEnv { mmio: Arc::new(Nothing), gic: None }).unwrap();
    let kick = seed.kicker();
    // Making the CPU needs more stack than running it.
    let thread = std::thread::Builder::new().stack_size(512 << 10).spawn(move || {
        let mut cpu = seed.bind().unwrap();
        cpu.set_boot_state(BootState { pc: RAM, x0: RAM + 0x10_0000 }).unwrap();
        cpu.run()
    });
    std::thread::sleep(Duration::from_millis(100));
    kick.kick();
    thread.unwrap().join().expect("the thread did not overflow its stack")
}

#[test]
fn every_kind_of_handler_keeps_the_stack_flat() {
    let cases: &[(&str, &[u32])] = &[
        ("add, cmp and ccmp", &[0x9100_0421, 0xeb02_003f, 0xfa41_0804]),
        ("slow loads and stores: with the MMU off every access is slow", &[0xf940_0001, 0xf900_0401, 0x3940_0402]),
        ("pairs", &[0xa940_0801, 0xa901_0801]),
        ("a stack pointer that is not aligned", &[0x9100_201f, 0xf940_03e1, 0xa900_0be1]),
        ("called system instructions", &[0xd53b_d041, 0xd51b_d041, 0xd503_3f9f]),
        ("called atomics", &[0xc85f_7c01, 0xf862_0001, 0xd503_3f5f]),
        ("called instructions with flags", &[0xd53b_4201, 0xd51b_4201]),
        ("device registers", &[0xf940_0063]),
        ("enabling FP, then vector loads and stores", &[0xd2a0_0604, 0xd518_1044, 0x3dc0_0000, 0xad00_0400]),
    ];
    for (name, words) in cases {
        for jit in [JitMode::Off, JitMode::On, JitMode::Stress] {
            assert_eq!(run_on_a_small_stack(words, jit), Exit::Kicked, "{name}, {jit:?}");
        }
    }
}
