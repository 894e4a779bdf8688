//! Tests of the real time clock with a time that the test sets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Instant, SystemTime};

use super::*;
use crate::contract;
use crate::irq::IrqSink;

#[derive(Default)]
struct Outside {
    now: AtomicU64,
    wake: Mutex<Option<Duration>>,
    irq: AtomicBool,
}

struct TestClock(Arc<Outside>);

impl Clock for TestClock {
    fn now(&self) -> Duration {
        Duration::from_secs(self.0.now.load(Ordering::SeqCst))
    }
    fn wake(&self, at: Option<Duration>) {
        *self.0.wake.lock() = at;
    }
}

impl IrqSink for Outside {
    fn set_level(&self, level: bool) {
        self.irq.store(level, Ordering::SeqCst);
    }
}

fn rtc(now: u64) -> (Pl031, Arc<Outside>) {
    let outside = Arc::new(Outside { now: now.into(), ..Outside::default() });
    (Pl031::new(Box::new(TestClock(outside.clone())), IrqLine::new(outside.clone())), outside)
}

fn read(rtc: &Pl031, offset: u64) -> u32 {
    let mut data = [0; 4];
    rtc.read(offset, &mut data);
    u32::from_le_bytes(data)
}

fn write(rtc: &Pl031, offset: u64, value: u32) {
    rtc.write(offset, &value.to_le_bytes());
}

impl Outside {
    fn irq(&self) -> bool {
        self.irq.load(Ordering::SeqCst)
    }
    fn set(&self, now: u64) {
        self.now.store(now, Ordering::SeqCst);
    }
    fn wake(&self) -> Option<u64> {
        self.wake.lock().map(|at| at.as_secs())
    }
}

#[test]
fn it_keeps_the_contract_of_the_bus() {
    contract::mmio(&rtc(1_700_000_000).0, Pl031::SIZE);
    contract::mmio(&rtc(u64::from(u32::MAX)).0, Pl031::SIZE);
}

#[test]
fn it_shows_the_time_and_what_the_guest_makes_of_it() {
    let (rtc, outside) = rtc(1_700_000_000);
    assert_eq!((read(&rtc, DR), read(&rtc, CR)), (1_700_000_000, 1));
    assert_eq!((read(&rtc, 0xfe0), read(&rtc, 0xfe4), read(&rtc, 0xff4)), (0x31, 0x10, 0xf0));
    write(&rtc, LR, 5);
    outside.set(1_700_000_010);
    assert_eq!((read(&rtc, DR), read(&rtc, LR)), (15, 5));
    rtc.reset();
    assert_eq!(read(&rtc, DR), 15);
}

#[test]
fn the_alarm_comes_at_its_second_and_once() {
    let (rtc, outside) = rtc(1000);
    write(&rtc, MR, 1010);
    assert_eq!(outside.wake(), None, "nobody would hear it");
    write(&rtc, IMSC, 1);
    assert_eq!(outside.wake(), Some(1010));
    outside.set(1009);
    rtc.tick();
    assert!(!outside.irq());
    outside.set(1012);
    rtc.tick();
    assert!(outside.irq());
    assert_eq!((read(&rtc, RIS), read(&rtc, MIS)), (1, 1));
    write(&rtc, ICR, 1);
    assert!(!outside.irq());
    assert_eq!(outside.wake(), Some(1010 + (1 << 32)));
    rtc.tick();
    assert!(!outside.irq());
}

#[test]
fn an_alarm_for_now_is_due_at_once() {
    let (rtc, outside) = rtc(1000);
    write(&rtc, IMSC, 1);
    write(&rtc, MR, 1000);
    assert!(outside.irq());
    write(&rtc, IMSC, 0);
    assert!(!outside.irq());
    assert_eq!((read(&rtc, RIS), read(&rtc, MIS)), (1, 0));
}

#[test]
fn an_alarm_moves_when_the_time_is_set() {
    let (rtc, outside) = rtc(1000);
    write(&rtc, IMSC, 1);
    write(&rtc, MR, 2000);
    write(&rtc, LR, 1990);
    assert_eq!(outside.wake(), Some(1010));
    rtc.reset();
    assert_eq!((outside.wake(), read(&rtc, MR)), (None, 0));
}

#[test]
fn the_hosts_clock_rings_by_itself() {
    let outside = Arc::new(Outside::default());
    let rtc = Pl031::with_host_time(IrqLine::new(outside.clone()));
    let host = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() as u32;
    assert!(read(&rtc, DR).wrapping_sub(host) <= 1);
    write(&rtc, MR, read(&rtc, DR) + 1);
    write(&rtc, IMSC, 1);
    let start = Instant::now();
    while !outside.irq() && start.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(outside.irq());
}
