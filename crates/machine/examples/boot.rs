//! Boots a kernel on the software CPU with the serial port on standard input and output.
//!
//! `cargo run --release -p russet-machine --example boot -- KERNEL INITRD CPUS MIB COMMAND-LINE`

use std::fs::File;
use std::io::{Read, Write};

use devices::virtio::console;
use machine::{Boot, LinuxBoot, Machine, Parts};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [kernel, initrd, cpus, mib, command_line] = &args[..] else {
        return Err("usage: boot KERNEL INITRD CPUS MIB COMMAND-LINE".into());
    };
    let (port, end) = console::pipe();
    let boot = Boot::Linux(LinuxBoot {
        kernel: File::open(kernel)?,
        initrd: Some(File::open(initrd)?),
        command_line: command_line.clone(),
    });
    let parts = Parts {
        cpus: cpus.parse()?,
        memory: mib.parse::<u64>()? << 20,
        boot,
        pci: Vec::new(),
        slots: 0,
        serial: Some(port),
        reclaim: None,
    };
    let output = end.clone();
    let printer = std::thread::spawn(move || {
        let mut buf = [0; 4096];
        while let Ok(n @ 1..) = (&output).read(&mut buf) {
            let mut stdout = std::io::stdout().lock();
            if stdout.write_all(&buf[..n]).and_then(|()| stdout.flush()).is_err() {
                break;
            }
        }
    });
    std::thread::spawn(move || {
        let mut buf = [0; 256];
        while let Ok(n @ 1..) = std::io::stdin().read(&mut buf) {
            if (&end).write_all(&buf[..n]).is_err() {
                break;
            }
        }
    });
    let mut machine = Machine::new(
        parts,
        Box::new(|memory, cpus| {
            Ok(Box::new(soft::Vm::new(memory, &soft::Options { cpus, jit: soft::JitMode::On })?) as Box<dyn hv::Vm>)
        }),
    );
    let started = std::time::Instant::now();
    let outcome = machine.run(|_| ())?;
    // What is still on its way to the terminal.
    std::thread::sleep(std::time::Duration::from_millis(20));
    drop(printer);
    let mut stderr = std::io::stderr().lock();
    writeln!(stderr, "{:?} after {:?}", outcome.end, started.elapsed())?;
    for (cpu, counters) in outcome.counters.iter().enumerate() {
        writeln!(stderr, "CPU {cpu}: {counters:?}")?;
    }
    Ok(())
}
