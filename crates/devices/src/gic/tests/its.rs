//! LPIs, from a device's message to a CPU, with the driver's tables and commands in guest memory.

use vm_memory::Bytes;

use super::super::its::spec::*;
use super::*;
use crate::irq::{Msi, MsiSink};

const QUEUE: u64 = RAM + 0x1_0000;
const PROPERTIES: u64 = RAM + 0x2_0000;
const VALID: u64 = 1 << 63;
const DEVICE: u32 = 0x18;
const NONE: u64 = SPURIOUS as u64;

fn pending_table(cpu: u32) -> u64 {
    RAM + 0x4_0000 + u64::from(cpu) * 0x1_0000
}

/// The driver's side of the ITS.
struct Driver {
    board: Board,
    /// Where the next command goes.
    next: std::cell::Cell<u64>,
}

impl Driver {
    /// All set up, collection n at CPU n, one device with 32 events, no events mapped, all LPIs at 0xa0 and enabled.
    fn new(cpus: u32) -> Self {
        let board = Board::new(cpus);
        board.memory.write_slice(&[0xa1; 0x1_0000], GuestAddress(PROPERTIES)).unwrap();
        for cpu in 0..cpus {
            board.write64(board.rd(cpu) + GICR_PROPBASER, PROPERTIES | 15);
            board.write64(board.rd(cpu) + GICR_PENDBASER, pending_table(cpu));
            board.write(board.rd(cpu) + GICR_CTLR, 1);
        }
        board.write64(ITS + GITS_CBASER, VALID | QUEUE);
        board.write64(ITS + GITS_BASER, VALID | (RAM + 0x10_0000));
        board.write64(ITS + GITS_BASER + 8, VALID | (RAM + 0x20_0000));
        board.write(ITS + GITS_CTLR, 1);
        let driver = Self { board, next: 0.into() };
        driver.command(MAPD, DEVICE, 4, VALID, 0);
        for cpu in 0..u64::from(cpus) {
            driver.command(MAPC, 0, 0, VALID | cpu << 16 | cpu, 0);
        }
        driver
    }

    fn command(&self, opcode: u8, device: u32, dw1: u64, dw2: u64, dw3: u64) {
        self.put(opcode, device, dw1, dw2, dw3);
        self.ring();
    }

    fn put(&self, opcode: u8, device: u32, dw1: u64, dw2: u64, dw3: u64) {
        let words = [u64::from(device) << 32 | u64::from(opcode), dw1, dw2, dw3];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.board.memory.write_slice(&bytes, GuestAddress(QUEUE + self.next.get())).unwrap();
        self.next.set((self.next.get() + 32) % 4096);
    }

    fn ring(&self) {
        self.board.write64(ITS + GITS_CWRITER, self.next.get());
        assert_eq!(self.board.read64(ITS + GITS_CREADR), self.next.get(), "the queue is empty afterwards");
    }

    /// Maps an event of the device.
    fn map(&self, event: u64, intid: u64, collection: u64) {
        self.command(MAPTI, DEVICE, intid << 32 | event, collection, 0);
    }

    fn event(&self, opcode: u8, event: u64) {
        self.command(opcode, DEVICE, event, 0, 0);
    }

    fn message(&self, device_id: u32, data: u32) {
        self.board.gic.signal(Msi { address: ITS + GITS_TRANSLATER, data, device_id });
    }

    fn property(&self, intid: u64, value: u8) {
        self.board.memory.write_obj(value, GuestAddress(PROPERTIES + intid - 8192)).unwrap();
    }

    /// Acknowledges and ends until there is nothing left.
    fn drain(&self, cpu: u32) -> Vec<u64> {
        let next = || {
            let intid = self.board.ack(cpu);
            self.board.end(cpu, intid);
            (intid != NONE).then_some(intid)
        };
        std::iter::from_fn(next).collect()
    }
}

#[test]
fn the_registers_say_what_linux_looks_for() {
    let board = Board::bare(1);
    assert_eq!(board.read(ITS + 0xffe8) >> 4 & 15, 3);
    assert_eq!(board.read(ITS + GITS_CTLR), 1 << 31, "quiescent");
    let typer = board.read64(ITS + GITS_TYPER);
    assert_eq!((typer & 1, typer >> 8 & 31, typer >> 13 & 31, typer >> 19 & 1), (1, 15, 15, 0));
    // Linux writes all sizes and attributes, and reads back what the ITS takes.
    for (n, kind) in [(0, 1), (1, 4)] {
        let at = ITS + GITS_BASER + 8 * n;
        board.write64(at, u64::MAX);
        assert_eq!(board.read64(at), 0xf8e0_ffff_ffff_ffff | kind << 56 | 7 << 48);
        board.write64(at, 0);
        assert_eq!(board.read64(at), kind << 56 | 7 << 48);
    }
    assert_eq!(board.read64(ITS + GITS_BASER + 16), 0);
    board.write64(board.rd(0) + GICR_PROPBASER, u64::MAX);
    assert_eq!(board.read64(board.rd(0) + GICR_PROPBASER), 0x070f_ffff_ffff_ff9f);
    board.write64(board.rd(0) + GICR_PENDBASER, u64::MAX);
    assert_eq!(board.read64(board.rd(0) + GICR_PENDBASER), 0x070f_ffff_ffff_0f80, "PTZ reads as zero");
    assert_eq!(board.read(board.rd(0) + GICR_CTLR), 2);
}

#[test]
fn a_message_becomes_an_lpi_at_the_cpu_of_its_collection() {
    let driver = Driver::new(2);
    driver.map(3, 8200, 1);
    driver.command(MAPI, DEVICE, 9000, 0, 0);
    driver.message(DEVICE, 3);
    assert_eq!((driver.board.irq(0), driver.board.irq(1)), (false, true));
    assert_eq!(driver.board.get(1, ICC_HPPIR1_EL1), 8200);
    assert_eq!(driver.board.ack(1), 8200);
    assert_eq!(driver.board.get(1, ICC_RPR_EL1), 0xa0);
    driver.message(DEVICE, 3);
    driver.board.end(1, 8200);
    assert_eq!(driver.drain(1), [8200], "one that came meanwhile");
    assert!(!driver.board.irq(1));
    driver.message(DEVICE, 9000);
    assert!(!driver.board.irq(0), "MAPI of an event beyond the device's 32 is refused");
}

#[test]
fn a_write_of_a_cpu_is_a_message_of_device_0() {
    let driver = Driver::new(1);
    driver.command(MAPD, 0, 1, VALID, 0);
    driver.command(MAPTI, 0, 8193 << 32 | 1, 0, 0);
    driver.board.write(ITS + GITS_TRANSLATER, 1);
    assert_eq!(driver.drain(0), [8193]);
}

#[test]
fn messages_without_a_mapping_are_lost() {
    let driver = Driver::new(1);
    driver.map(1, 8192, 0);
    driver.map(2, 8193, 9);
    driver.map(4, 31, 0);
    driver.map(32, 8194, 0);
    for (device, event) in [(DEVICE, 0), (DEVICE + 1, 1), (DEVICE, 2), (DEVICE, 4), (DEVICE, 32), (DEVICE, u32::MAX)] {
        driver.message(device, event);
        assert!(!driver.board.irq(0), "{device:#x} {event}");
    }
    driver.board.gic.signal(Msi { address: ITS, data: 1, device_id: DEVICE });
    assert!(!driver.board.irq(0));
    driver.board.write(ITS + GITS_CTLR, 0);
    driver.message(DEVICE, 1);
    assert!(!driver.board.irq(0), "the ITS is disabled");
}

#[test]
fn int_clear_and_discard() {
    let driver = Driver::new(1);
    driver.map(1, 8192, 0);
    driver.event(INT, 1);
    assert!(driver.board.irq(0));
    driver.event(CLEAR, 1);
    assert!(!driver.board.irq(0));
    driver.event(INT, 1);
    driver.event(DISCARD, 1);
    assert!(!driver.board.irq(0), "what was discarded is not pending");
    driver.message(DEVICE, 1);
    driver.event(INT, 1);
    assert!(!driver.board.irq(0));
}

#[test]
fn unmapping_the_device_ends_its_events() {
    let driver = Driver::new(1);
    driver.map(1, 8192, 0);
    driver.command(MAPD, DEVICE, 4, 0, 0);
    driver.message(DEVICE, 1);
    driver.map(1, 8192, 0);
    driver.message(DEVICE, 1);
    assert!(!driver.board.irq(0));
}

#[test]
fn an_lpis_configuration_is_read_when_it_is_invalidated() {
    let driver = Driver::new(1);
    driver.map(1, 8192, 0);
    driver.property(8192, 0xa0);
    driver.event(INV, 1);
    driver.message(DEVICE, 1);
    assert!(!driver.board.irq(0), "disabled, so it stays pending");
    driver.property(8192, 0x21);
    assert!(!driver.board.irq(0), "the GIC was not told yet");
    driver.event(INV, 1);
    assert_eq!((driver.board.ack(0), driver.board.get(0, ICC_RPR_EL1)), (8192, 0x20));
    driver.board.end(0, 8192);
    driver.map(2, 8193, 0);
    driver.message(DEVICE, 1);
    driver.message(DEVICE, 2);
    assert_eq!(driver.drain(0), [8192, 8193], "by priority");
    driver.message(DEVICE, 1);
    driver.message(DEVICE, 2);
    driver.property(8192, 0x40);
    driver.property(8193, 0x11);
    driver.command(INVALL, 0, 0, 0, 0);
    assert_eq!(driver.drain(0), [8193]);
}

#[test]
fn a_lpi_competes_with_other_interrupts_by_priority() {
    let driver = Driver::new(1);
    driver.map(1, 8192, 0);
    driver.board.gic.set_ppi(0, 27, true);
    driver.message(DEVICE, 1);
    assert_eq!(driver.board.get(0, ICC_HPPIR1_EL1), 27, "of the same priority the lower number");
    driver.property(8192, 0x81);
    driver.event(INV, 1);
    assert_eq!(driver.board.ack(0), 8192);
    assert!(!driver.board.irq(0));
    driver.board.end(0, 8192);
    assert_eq!(driver.board.ack(0), 27);
    driver.board.end(0, 27);
    driver.board.gic.set_ppi(0, 27, false);
    driver.message(DEVICE, 1);
    driver.board.set(0, ICC_PMR_EL1, 0x80);
    assert!(!driver.board.irq(0));
}

#[test]
fn eoimode_1_needs_no_deactivation_of_an_lpi() {
    let driver = Driver::new(1);
    driver.board.set(0, ICC_CTLR_EL1, ICC_CTLR_EOIMODE);
    driver.map(1, 8192, 0);
    for _ in 0..2 {
        driver.message(DEVICE, 1);
        assert_eq!(driver.drain(0), [8192]);
    }
}

#[test]
fn pending_lpis_move_with_their_event_or_all_at_once() {
    let driver = Driver::new(3);
    for event in 0..4 {
        driver.map(event, 8192 + event, 0);
        driver.message(DEVICE, event as u32);
    }
    driver.command(MOVI, DEVICE, 2, 1, 0);
    assert_eq!(driver.drain(1), [8194]);
    driver.message(DEVICE, 2);
    driver.property(8192, 0xa0);
    driver.command(MOVALL, 0, 0, 0, 1 << 16);
    assert!(!driver.board.irq(0));
    assert_eq!(driver.drain(1), [8192, 8193, 8194, 8195]);
    driver.message(DEVICE, 3);
    driver.command(INVALL, 0, 0, 0, 0);
    driver.command(MOVALL, 0, 0, 0, 7 << 16);
    driver.command(MOVALL, 0, 0, 0, 0);
    assert_eq!(driver.drain(0), [8195], "no such CPU, and to itself: nothing moves");
    driver.command(MAPC, 0, 0, VALID | 2 << 16, 0);
    driver.message(DEVICE, 3);
    assert_eq!((driver.drain(0), driver.drain(2)), (vec![], vec![8195]), "the collection was mapped anew");
}

#[test]
fn an_invalidated_lpi_that_moves_in_the_same_batch_has_its_new_configuration() {
    let driver = Driver::new(2);
    driver.map(1, 8192, 0);
    driver.message(DEVICE, 1);
    driver.property(8192, 0x41);
    driver.put(INVALL, 0, 0, 0, 0);
    driver.put(MOVALL, 0, 0, 0, 1 << 16);
    driver.ring();
    assert_eq!((driver.board.ack(1), driver.board.get(1, ICC_RPR_EL1)), (8192, 0x40));
}

#[test]
fn commands_wait_until_the_its_is_enabled_and_the_queue_wraps() {
    let driver = Driver::new(1);
    for _ in 0..300 {
        driver.command(SYNC, 0, 0, 0, 0);
    }
    driver.map(1, 8192, 0);
    let board = &driver.board;
    board.write(ITS + GITS_CTLR, 0);
    let read = board.read64(ITS + GITS_CREADR);
    let int = [u64::from(DEVICE) << 32 | u64::from(INT), 1].map(u64::to_le_bytes).concat();
    board.memory.write_slice(&int, GuestAddress(QUEUE + read)).unwrap();
    board.write64(ITS + GITS_CWRITER, read + 32);
    assert_eq!((board.read64(ITS + GITS_CREADR), board.irq(0)), (read, false));
    board.write(ITS + GITS_CTLR, 1);
    assert_eq!((board.read64(ITS + GITS_CREADR), board.irq(0)), (read + 32, true));
}

#[test]
fn a_queue_that_is_nowhere_or_a_writer_beyond_it_does_no_harm() {
    let driver = Driver::new(1);
    let board = &driver.board;
    board.write64(ITS + GITS_CWRITER, 0x1000);
    let at = board.read64(ITS + GITS_CREADR);
    board.write(ITS + GITS_CTLR, 0);
    assert_eq!(board.read64(ITS + GITS_CREADR), at);
    board.write64(ITS + GITS_CBASER, VALID | 0xf_ffff_ffff_f000 | 0xff);
    board.write64(ITS + GITS_CWRITER, 0xf_ffe0);
    board.write(ITS + GITS_CTLR, 1);
    assert_eq!(board.read64(ITS + GITS_CREADR), 0xf_ffe0);
}

#[test]
fn pending_tables_are_read_and_written_back() {
    let driver = Driver::new(1);
    let board = &driver.board;
    driver.map(1, 8203, 0);
    driver.message(DEVICE, 1);
    board.write(board.rd(0) + GICR_CTLR, 0);
    assert!(!board.irq(0));
    let byte = |at| board.memory.read_obj::<u8>(GuestAddress(pending_table(0) + at)).unwrap();
    assert_eq!((byte(1025), byte(1024)), (8, 0));
    board.memory.write_obj(0xff_u8, GuestAddress(pending_table(0) + 100)).unwrap();
    board.write(board.rd(0) + GICR_CTLR, 1);
    assert_eq!(driver.drain(0), [8203], "and nothing below 8192");
    driver.message(DEVICE, 1);
    board.write(board.rd(0) + GICR_CTLR, 0);
    board.write64(board.rd(0) + GICR_PENDBASER, pending_table(0) | 1 << 62);
    board.write(board.rd(0) + GICR_CTLR, 1);
    assert!(driver.drain(0).is_empty(), "PTZ says that the table is zero");
    board.write64(board.rd(0) + GICR_PENDBASER, 0);
    assert_eq!(board.read64(board.rd(0) + GICR_PENDBASER), pending_table(0), "in use");
}

#[test]
fn tables_outside_ram_mean_that_nothing_is_enabled_or_pending() {
    let driver = Driver::new(1);
    let board = &driver.board;
    driver.map(1, 8203, 0);
    board.write(board.rd(0) + GICR_CTLR, 0);
    board.write64(board.rd(0) + GICR_PROPBASER, 0xf_ffff_ffff_f00f);
    board.write64(board.rd(0) + GICR_PENDBASER, 0xf_ffff_ffff_0000);
    board.write(board.rd(0) + GICR_CTLR, 1);
    driver.message(DEVICE, 1);
    driver.command(INVALL, 0, 0, 0, 0);
    assert!(!board.irq(0));
    board.write(board.rd(0) + GICR_CTLR, 0);
}

#[test]
fn small_tables_hold_fewer_lpis() {
    let driver = Driver::new(1);
    let board = &driver.board;
    board.write(board.rd(0) + GICR_CTLR, 0);
    for (bits, intid, arrives) in
        [(13, 8192 + 8191, true), (13, 8192 + 8192, false), (12, 8192, false), (0, 8192, false)]
    {
        board.write64(board.rd(0) + GICR_PROPBASER, PROPERTIES | bits);
        board.write(board.rd(0) + GICR_CTLR, 1);
        driver.map(5, intid, 0);
        driver.message(DEVICE, 5);
        assert_eq!(driver.drain(0) == [intid], arrives, "{bits} {intid}");
        board.write(board.rd(0) + GICR_CTLR, 0);
    }
}

#[test]
fn the_number_of_events_is_bounded() {
    let driver = Driver::new(1);
    let board = &driver.board;
    // Three devices that want 2^16 events each, through a queue of 1 MiB elsewhere in RAM.
    board.write(ITS + GITS_CTLR, 0);
    let queue = RAM + 0x30_0000;
    board.write64(ITS + GITS_CBASER, VALID | queue | 0xff);
    board.write(ITS + GITS_CTLR, 1);
    let mut at = 0;
    let mut send = |words: [u64; 4]| {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        board.memory.write_slice(&bytes, GuestAddress(queue + at)).unwrap();
        at = (at + 32) % 0x10_0000;
        board.write64(ITS + GITS_CWRITER, at);
    };
    for device in 0..2_u64 {
        send([device << 32 | u64::from(MAPD), 15, VALID, 0]);
        for event in 0..40_000 {
            send([device << 32 | u64::from(MAPTI), 8192 << 32 | event, 0, 0]);
        }
    }
    driver.message(1, 25_535);
    assert_eq!(driver.drain(0), [8192]);
    driver.message(1, 25_536);
    assert!(driver.drain(0).is_empty());
    send([u64::from(MAPD), 15, 0, 0]);
    send([1 << 32 | u64::from(MAPTI), 8192 << 32 | 25_536, 0, 0]);
    driver.message(1, 25_536);
    assert_eq!(driver.drain(0), [8192]);
}

#[test]
fn no_sequence_of_commands_makes_the_its_panic() {
    let driver = Driver::new(3);
    let mut random = contract::Random(11);
    let mut arrived = 0;
    for _ in 0..100_000 {
        let (opcode, device) = (random.next() as u8 % 17, DEVICE + random.next() as u32 % 2);
        let few = |random: &mut contract::Random| random.next() & 7;
        let (event, intid) = (few(&mut random), 8190 + few(&mut random));
        let target = few(&mut random) << 16;
        let (collection, valid) = (few(&mut random), if few(&mut random) == 0 { 0 } else { VALID });
        if random.next() & 1 == 0 {
            driver.command(opcode, device, intid << 32 | event, valid | target | collection, few(&mut random) << 16);
        } else {
            driver.message(device, event as u32);
        }
        if random.next() & 0xff == 0 {
            let at = driver.board.rd(few(&mut random) as u32 % 3) + GICR_CTLR;
            driver.board.write(at, u32::from(few(&mut random) > 1));
        }
        arrived += (0..3).map(|cpu| driver.drain(cpu).len()).sum::<usize>();
    }
    assert!(arrived > 1000, "only {arrived} interrupts: the commands were not the right ones to try");
}
