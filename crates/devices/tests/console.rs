//! The console, driven by a guest, with the host's end of its ports.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use devices::virtio::console::{Console, PipeEnd, Port, PortBackend, pipe, spec};
use devices::virtio::spec::feature;
use testkit::contract::Subject;
use testkit::{Driver, Guest};

/// A back end that takes everything and gives nothing.
struct Sink;
impl PortBackend for Sink {
    fn set_waker(&self, _: devices::virtio::Waker) {}
    fn read(&self, _: &mut [u8]) -> usize {
        0
    }
    fn write(&self, data: &[u8]) -> usize {
        data.len()
    }
}

testkit::contract_tests!(Subject {
    device: Arc::new(Console::terminal(Arc::new(Sink))),
    queue: 1,
    read: vec![b"hello".to_vec(), b"world".to_vec()],
    write: vec![],
});

mod multiport {
    use super::*;

    testkit::contract_tests!(Subject {
        device: Arc::new(Console::new(vec![port("", true, Arc::new(Sink)), port("agent", false, Arc::new(Sink))])),
        queue: 5,
        read: vec![b"hello".to_vec()],
        write: vec![],
    });
}

fn port(name: &str, is_console: bool, backend: Arc<dyn PortBackend>) -> Port {
    Port { is_console, name: name.to_owned(), backend }
}

fn terminal() -> (Driver, PipeEnd, Arc<Console>) {
    let (backend, end) = pipe();
    let console = Arc::new(Console::terminal(backend));
    (Guest::new().plug(console.clone()), end, console)
}

fn read_exactly(mut end: &PipeEnd, len: usize) -> Vec<u8> {
    let mut data = vec![0; len];
    end.read_exact(&mut data).unwrap();
    data
}

#[test]
fn output_of_the_guest_reaches_the_host() {
    let (mut driver, end, _) = terminal();
    driver.init(0);
    driver.request(1, &[b"Linux ", b"version"], &[]);
    assert_eq!(read_exactly(&end, 13), b"Linux version");
}

#[test]
fn input_of_the_host_reaches_the_guest_when_it_has_buffers() {
    let (mut driver, end, _) = terminal();
    (&end).write_all(b"before boot").unwrap();
    driver.init(0);
    driver.add(0, &[], &[4]);
    driver.add(0, &[], &[100]);
    driver.kick(0);
    let used = driver.wait(0);
    assert_eq!((used.written, &used.data[..]), (4, &b"befo"[..]));
    let used = driver.wait(0);
    assert_eq!((used.written, &used.data[..7]), (7, &b"re boot"[..]));
    driver.add(0, &[], &[100]);
    driver.kick(0);
    (&end).write_all(b"later").unwrap();
    let used = driver.wait(0);
    assert_eq!(&used.data[..5], b"later");
}

/// Linux's driver throws away what it is interrupted for before it has made its console of the device.
#[test]
fn early_input_lies_in_the_drivers_buffers_and_interrupts_it_later() {
    let (mut driver, end, _) = terminal();
    (&end).write_all(b"before").unwrap();
    driver.init(0);
    driver.add(0, &[], &[16]);
    driver.kick(0);
    let start = Instant::now();
    let used = loop {
        assert!(start.elapsed() < Duration::from_secs(10), "it does not come");
        if let Some(used) = driver.ring(0).take() {
            break used;
        }
    };
    assert_eq!((&used.data[..6], driver.interrupt_count(0)), (&b"before"[..], 0));
    driver.add(0, &[], &[16]);
    driver.kick(0);
    (&end).write_all(b"early").unwrap();
    driver.wait(0);
    let start = Instant::now();
    while driver.interrupt_count(0) == 0 {
        assert!(start.elapsed() < Duration::from_secs(10), "no interrupt");
    }
    // A pause ends the silence.
    let (mut driver, end, _) = terminal();
    driver.init(0);
    driver.add(0, &[], &[16]);
    driver.kick(0);
    (&end).write_all(b"early").unwrap();
    while driver.ring(0).take().is_none() {}
    driver.transport().stop();
    assert_eq!(driver.interrupt_count(0), 1);
}

#[test]
fn a_slow_host_holds_the_guest_up_and_loses_nothing_over_pauses() {
    let (mut driver, end, _) = terminal();
    driver.init(feature::RING_EVENT_IDX);
    let sent: Vec<u8> = (0..300_000u32).map(|i| (i / 7) as u8).collect();
    for part in sent.chunks(30_000) {
        driver.add(1, &[part], &[]);
    }
    driver.kick(1);
    while driver.try_wait(1, Duration::from_millis(50)).is_some() {}
    assert!(driver.ring(1).taken() < 4, "64 KiB fit, the rest has to wait");
    let mut got = Vec::new();
    while got.len() < sent.len() {
        // Odd numbers, so that the pauses come in the middle of buffers.
        got.extend(read_exactly(&end, 9_973.min(sent.len() - got.len())));
        driver.transport().stop();
        driver.transport().start();
    }
    assert!(got == sent);
    while driver.ring(1).taken() < 10 {
        driver.wait(1);
    }
}

#[test]
fn a_slow_guest_holds_the_host_up_and_loses_nothing_over_pauses() {
    let (mut driver, end, _) = terminal();
    driver.init(0);
    let sent: Vec<u8> = (0..200_000u32).map(|i| (i / 5) as u8).collect();
    let writer = {
        let (end, sent) = (end.clone(), sent.clone());
        std::thread::spawn(move || (&end).write_all(&sent).unwrap())
    };
    std::thread::sleep(Duration::from_millis(20));
    assert!(!writer.is_finished(), "the host is not held up");
    let mut got = Vec::new();
    while got.len() < sent.len() {
        driver.add(0, &[], &[3001]);
        driver.kick(0);
        driver.transport().stop();
        driver.transport().start();
        let used = driver.wait(0);
        got.extend_from_slice(&used.data[..used.written as usize]);
    }
    assert!(got == sent);
    writer.join().unwrap();
}

#[test]
fn what_the_host_typed_outlives_a_reset() {
    let (mut driver, end, _) = terminal();
    driver.init(0);
    (&end).write_all(b"root\n").unwrap();
    std::thread::sleep(Duration::from_millis(20));
    driver.init(0);
    driver.add(0, &[], &[16]);
    driver.kick(0);
    let used = driver.wait(0);
    assert_eq!(&used.data[..used.written as usize], b"root\n");
}

#[test]
fn a_host_that_went_away_does_not_hold_the_guest_up() {
    let (mut driver, end, _) = terminal();
    driver.init(0);
    let big = vec![b'x'; 100_000];
    driver.add(1, &[&big], &[]);
    driver.kick(1);
    assert!(driver.try_wait(1, Duration::from_millis(50)).is_none());
    drop(end);
    driver.wait(1);
    driver.request(1, &[&big], &[]);
}

#[test]
fn the_ends_learn_of_each_others_end() {
    let (backend, end) = pipe();
    assert_eq!(backend.write(b"last words"), 10);
    drop(backend);
    let mut rest = String::new();
    (&end).read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "last words");
    assert!((&end).write(b"x").is_err());

    let (backend, end) = pipe();
    let reader = end.clone();
    let reader = std::thread::spawn(move || (&reader).read(&mut [0; 8]).unwrap());
    end.close();
    assert_eq!(reader.join().unwrap(), 0);
    assert!(!backend.is_open());
}

#[test]
fn a_terminal_tells_its_size_and_its_changes() {
    let (mut driver, _end, console) = terminal();
    assert_ne!(driver.offered() & spec::F_SIZE, 0);
    console.resize(132, 43);
    driver.init(spec::F_SIZE);
    assert_eq!(driver.read_config::<4>(0), [132, 0, 43, 0]);
    driver.wait_config(0);
    let seen = driver.interrupt_count(driver.config_vector());
    console.resize(80, 24);
    driver.wait_config(seen);
    assert_eq!(driver.read_config::<4>(0), [80, 0, 24, 0]);
    console.resize(80, 24);
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(driver.interrupt_count(driver.config_vector()), seen + 1, "no news is no interrupt");
}

#[test]
fn emergency_output_needs_no_driver() {
    let (driver, end, _) = terminal();
    for byte in b"panic" {
        driver.write_config(8, &u32::from(*byte).to_le_bytes());
    }
    assert_eq!(read_exactly(&end, 5), b"panic");
}

/// The driver's side of the control queues.
fn control(driver: &mut Driver, port: u32, event: u16, value: u16) {
    let mut message = port.to_le_bytes().to_vec();
    message.extend(event.to_le_bytes());
    message.extend(value.to_le_bytes());
    driver.request(spec::CONTROL_TX, &[&message], &[]);
}

fn next_control(driver: &mut Driver) -> (u32, u16, u16, Vec<u8>) {
    driver.add(spec::CONTROL_RX, &[], &[64]);
    driver.kick(spec::CONTROL_RX);
    let used = driver.wait(spec::CONTROL_RX);
    let m = &used.data[..used.written as usize];
    let word = |at: usize| u16::from_le_bytes([m[at], m[at + 1]]);
    (u32::from(word(0)), word(4), word(6), m[8..].to_vec())
}

#[test]
fn ports_introduce_themselves_open_and_close() {
    use spec::event::*;
    let (console_backend, _terminal) = pipe();
    let (agent_backend, agent) = pipe();
    let ports = vec![port("", true, console_backend), port("org.russet.agent", false, agent_backend)];
    let console = Arc::new(Console::new(ports));
    console.resize(100, 30);
    let mut driver = Guest::new().plug(console.clone());
    driver.init(spec::F_MULTIPORT);
    assert_eq!(driver.read_config::<4>(4), [2, 0, 0, 0]);

    control(&mut driver, 0, DEVICE_READY, 1);
    assert_eq!(next_control(&mut driver), (0, PORT_ADD, 1, vec![]));
    assert_eq!(next_control(&mut driver), (1, PORT_ADD, 1, vec![]));
    control(&mut driver, 0, PORT_READY, 1);
    assert_eq!(next_control(&mut driver), (0, CONSOLE_PORT, 1, vec![]));
    assert_eq!(next_control(&mut driver), (0, RESIZE, 0, vec![100, 0, 30, 0]));
    assert_eq!(next_control(&mut driver), (0, PORT_OPEN, 1, vec![]));
    control(&mut driver, 1, PORT_READY, 1);
    assert_eq!(next_control(&mut driver), (1, PORT_NAME, 1, b"org.russet.agent".to_vec()));
    assert_eq!(next_control(&mut driver), (1, PORT_OPEN, 1, vec![]));
    console.resize(90, 20);
    assert_eq!(next_control(&mut driver), (0, RESIZE, 0, vec![90, 0, 20, 0]));

    // Input waits until a program in the guest has opened the port.
    (&agent).write_all(b"ping").unwrap();
    driver.add(4, &[], &[16]);
    driver.kick(4);
    assert!(driver.try_wait(4, Duration::from_millis(30)).is_none());
    control(&mut driver, 1, PORT_OPEN, 1);
    assert_eq!(&driver.wait(4).data[..4], b"ping");
    assert!(agent.is_guest_open());
    driver.request(5, &[b"pong"], &[]);
    assert_eq!(read_exactly(&agent, 4), b"pong");

    agent.close();
    assert_eq!(next_control(&mut driver), (1, PORT_OPEN, 0, vec![]));
}

#[test]
fn a_driver_that_asks_without_end_and_listens_to_nothing_is_held_up() {
    let ports = (0..32).map(|i| port(&format!("p{i}"), false, Arc::new(Sink))).collect();
    let mut driver = Guest::new().plug(Arc::new(Console::new(ports)));
    driver.init(spec::F_MULTIPORT);
    let ready = [0, 0, 0, 0, 0, 0, 1, 0];
    for _ in 0..100 {
        driver.add(spec::CONTROL_TX, &[&ready], &[]);
    }
    driver.kick(spec::CONTROL_TX);
    while driver.try_wait(spec::CONTROL_TX, Duration::from_millis(50)).is_some() {}
    assert!(driver.ring(spec::CONTROL_TX).taken() < 20, "every one of these makes 32 answers");
    // And goes on when it listens.
    for _ in 0..100 * 32 {
        next_control(&mut driver);
    }
    while driver.ring(spec::CONTROL_TX).taken() < 100 {
        driver.wait(spec::CONTROL_TX);
    }
}

#[test]
fn control_messages_that_make_no_sense_are_answered_by_nothing() {
    let (backend, _end) = pipe();
    let mut driver =
        Guest::new().plug(Arc::new(Console::new(vec![port("", true, backend), port("a", false, Arc::new(Sink))])));
    driver.init(spec::F_MULTIPORT);
    driver.request(spec::CONTROL_TX, &[b"short"], &[]);
    for (port, event, value) in [(9, 3, 1), (u32::MAX, 6, 1), (0, 77, 1), (0, 0, 0), (1, 3, 7)] {
        control(&mut driver, port, event, value);
    }
    driver.add(spec::CONTROL_RX, &[], &[64]);
    driver.kick(spec::CONTROL_RX);
    assert!(driver.try_wait(spec::CONTROL_RX, Duration::from_millis(30)).is_none());
}
