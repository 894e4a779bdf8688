//! Tests of the serial port as its driver and its other end see it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::*;
use crate::contract;
use crate::irq::IrqSink;

#[derive(Default)]
struct Outside {
    sent: Mutex<Vec<u8>>,
    rooms: AtomicU32,
    irq: AtomicBool,
}

struct End(Arc<Outside>);

impl SerialOutput for End {
    fn write(&mut self, bytes: &[u8]) {
        self.0.sent.lock().extend(bytes);
    }
    fn room(&mut self) {
        self.0.rooms.fetch_add(1, Ordering::SeqCst);
    }
}

impl IrqSink for Outside {
    fn set_level(&self, level: bool) {
        self.irq.store(level, Ordering::SeqCst);
    }
}

struct Port(Pl011, Arc<Outside>);

impl Port {
    fn new() -> Self {
        let outside = Arc::new(Outside::default());
        Self(Pl011::new(Box::new(End(outside.clone())), IrqLine::new(outside.clone())), outside)
    }

    /// As Linux's driver leaves it: FIFOs on, receive and timeout interrupts unmasked.
    fn open() -> Self {
        let port = Self::new();
        port.write(LCR_H, 0x70);
        port.write(CR, CR_UARTEN | CR_TXE | CR_RXE);
        port.write(IMSC, INT_RX | INT_RT);
        port
    }

    fn read(&self, offset: u64) -> u32 {
        let mut data = [0; 4];
        self.0.read(offset, &mut data);
        u32::from_le_bytes(data)
    }

    fn write(&self, offset: u64, value: u32) {
        self.0.write(offset, &value.to_le_bytes());
    }

    fn irq(&self) -> bool {
        self.1.irq.load(Ordering::SeqCst)
    }

    fn rooms(&self) -> u32 {
        self.1.rooms.load(Ordering::SeqCst)
    }
}

#[test]
fn it_keeps_the_contract_of_the_bus() {
    contract::mmio(&Port::new().0, Pl011::SIZE);
    let port = Port::open();
    assert_eq!(port.0.push(&[7; 100]), 32);
    contract::mmio(&port.0, Pl011::SIZE);
}

#[test]
fn the_bus_knows_it_as_an_arm_primecell() {
    let port = Port::new();
    let id = |at: u64| (0..4).fold(0, |id, i| id | port.read(at + 4 * i) << (8 * i));
    // What Linux's amba_id table asks for: part and designer, under a mask.
    assert_eq!((id(0xfe0) & 0x000f_ffff, id(0xff0)), (0x0004_1011, 0xb105_f00d));
}

#[test]
fn an_early_console_writes_without_any_set_up() {
    let port = Port::new();
    for &byte in b"ok\n" {
        assert_eq!(port.read(FR) & 1 << 5, 0, "never full");
        port.0.write(DR, &[byte]);
        assert_eq!(port.read(FR) & 1 << 3, 0, "never busy");
    }
    port.0.write(DR + 1, b"x");
    assert_eq!(*port.1.sent.lock(), b"ok\n");
}

#[test]
fn the_transmit_interrupt_comes_after_a_character_and_goes_when_cleared() {
    let port = Port::open();
    port.write(IMSC, INT_TX);
    assert!(!port.irq(), "nothing was sent yet");
    port.write(DR, b'a'.into());
    assert!(port.irq());
    assert_eq!((port.read(RIS), port.read(MIS)), (INT_TX, INT_TX));
    port.write(ICR, INT_TX);
    assert!(!port.irq());
    port.write(DR, b'b'.into());
    port.write(IMSC, 0);
    assert!(!port.irq());
    assert_eq!((port.read(RIS), port.read(MIS)), (INT_TX, 0));
}

#[test]
fn received_characters_are_read_in_order_and_end_the_interrupts() {
    let port = Port::open();
    assert_eq!(port.read(FR), FR_MODEM | FR_TXFE | FR_RXFE);
    assert_eq!(port.0.push(b"hi"), 2);
    assert!(port.irq());
    assert_eq!((port.read(RIS), port.read(FR) & FR_RXFE), (INT_RT, 0));
    assert_eq!((port.read(DR), port.irq()), (b'h'.into(), true));
    assert_eq!((port.read(DR), port.irq()), (b'i'.into(), false));
    assert_eq!((port.read(DR), port.read(RIS)), (0, 0));
}

#[test]
fn the_receive_interrupt_follows_the_fifo_level() {
    for (ifls, level) in [(0, 4), (1, 8), (2, 16), (3, 24), (4, 28), (7, 16)] {
        let port = Port::open();
        port.write(IFLS, ifls << 3);
        assert_eq!(port.0.push(&vec![1; level - 1]), level - 1);
        assert_eq!(port.read(RIS) & INT_RX, 0, "{ifls}");
        assert_eq!(port.0.push(&[2]), 1);
        assert_eq!(port.read(RIS) & INT_RX, INT_RX, "{ifls}");
        port.read(DR);
        assert_eq!(port.read(RIS), INT_RT, "{ifls}");
    }
}

#[test]
fn what_does_not_fit_is_not_taken_and_asked_for_later() {
    let port = Port::open();
    assert_eq!(port.0.push(&[1; 40]), 32);
    assert_eq!(port.read(FR) & FR_RXFF, FR_RXFF);
    assert_eq!(port.0.push(&[1]), 0);
    for _ in 0..31 {
        port.read(DR);
    }
    assert_eq!(port.rooms(), 0);
    port.read(DR);
    assert_eq!(port.rooms(), 1);
    assert_eq!(port.0.push(&[1; 32]), 32);
    for _ in 0..32 {
        port.read(DR);
    }
    assert_eq!(port.rooms(), 1, "nobody waits any more");
}

#[test]
fn a_receiver_that_is_off_takes_nothing() {
    let port = Port::new();
    assert_eq!(port.0.push(b"early"), 0);
    port.write(LCR_H, 0x70);
    port.write(IMSC, INT_RX | INT_RT);
    assert_eq!(port.rooms(), 0);
    port.write(CR, CR_UARTEN | CR_RXE | CR_TXE);
    assert_eq!(port.rooms(), 1, "asked for as soon as it is on");
    assert_eq!(port.0.push(b"early"), 5);
}

/// As Linux's driver does: it prints before it has a terminal, and empties the FIFO when it gets one.
#[test]
fn nothing_comes_before_somebody_listens() {
    let port = Port::new();
    assert_eq!(port.0.push(b"early"), 0);
    port.write(LCR_H, 0x70);
    for byte in b"log" {
        port.write(CR, CR_UARTEN | CR_RXE | CR_TXE);
        port.read(FR);
        port.write(DR, u32::from(*byte));
        port.read(FR);
        assert_eq!(port.0.push(b"early"), 0);
        port.write(CR, CR_RXE | CR_TXE);
    }
    port.write(CR, CR_UARTEN | CR_RXE | CR_TXE);
    assert_eq!(port.read(FR) & FR_RXFE, FR_RXFE, "there is nothing to throw away");
    assert_eq!(port.rooms(), 0);
    port.write(IMSC, INT_RX | INT_RT);
    assert_eq!((port.rooms(), port.0.push(b"early")), (1, 5));
}

/// As firmware does, which has no interrupts.
#[test]
fn who_looks_again_and_again_listens() {
    let port = Port::new();
    assert_eq!(port.0.push(b"hi"), 0);
    port.write(CR, CR_UARTEN | CR_RXE | CR_TXE);
    (0..LOOKS).for_each(|_| assert_eq!(port.read(FR) & FR_RXFE, FR_RXFE));
    assert_eq!((port.rooms(), port.0.push(b"hi")), (1, 1));
    assert_eq!((port.read(FR) & FR_RXFE, port.read(DR)), (0, u32::from(b'h')));
    assert_eq!((port.rooms(), port.0.push(b"i")), (2, 1), "and goes on listening");
}

#[test]
fn without_fifos_there_is_room_for_one() {
    let port = Port::open();
    port.write(LCR_H, 0x60);
    assert_eq!(port.0.push(b"ab"), 1);
    assert_eq!(port.read(RIS), INT_RT | INT_RX);
    assert_eq!((port.read(DR), port.read(RIS)), (b'a'.into(), 0));
}

#[test]
fn loop_back_returns_what_is_sent_and_can_overrun() {
    let port = Port::open();
    port.write(CR, 0x301 | CR_LBE);
    (0..33).for_each(|i| port.write(DR, i));
    assert!(port.1.sent.lock().is_empty());
    assert_eq!((port.read(RSR), port.read(RIS) & INT_OE), (RSR_OE, INT_OE));
    assert_eq!((0..32).map(|_| port.read(DR)).collect::<Vec<_>>(), (0..32).collect::<Vec<_>>());
    port.write(RSR, 0);
    assert_eq!(port.read(RSR), 0);
}

#[test]
fn a_reset_ends_the_interrupt() {
    let port = Port::open();
    port.0.push(b"x");
    port.0.reset();
    assert!(!port.irq());
    assert_eq!((port.read(CR), port.read(IFLS), port.read(IMSC)), (0x300, 0x12, 0));
}

#[test]
fn the_device_tree_node_says_where_it_is() {
    let mut w = vm_fdt::FdtWriter::new().unwrap();
    let root = w.begin_node("").unwrap();
    Port::new().0.fdt(&mut w, 0x900_0000, 1, 7).unwrap();
    w.end_node(root).unwrap();
    let blob = w.finish().unwrap();
    let has = |text: &[u8]| blob.windows(text.len()).any(|part| part == text);
    assert!(has(b"serial@9000000\0") && has(b"arm,pl011\0arm,primecell\0") && has(b"uartclk\0apb_pclk\0"));
    assert!(has(&[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 4]), "interrupts");
}

#[test]
fn a_break_is_a_character_of_its_own() {
    let port = Port::new();
    assert!(!port.0.push_break(), "the receiver is off");
    let port = Port::open();
    assert!(port.0.push_break());
    assert_eq!(port.0.push(b"o"), 1);
    assert!(port.1.irq.load(Ordering::SeqCst));
    assert_eq!(port.read(RIS) & INT_BE, INT_BE);
    assert_eq!((port.read(DR), port.read(DR)), (0x400, u32::from(b'o')));
    while port.0.push_break() {}
    assert_eq!(port.0.push(b"x"), 0, "it takes its place in the FIFO");
}
