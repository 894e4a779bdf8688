//! Rings and chains of arbitrary memory, walked by a device.
#![no_main]

use std::io::{Read, Write};
use std::sync::Arc;

use devices::GuestMemory;
use devices::virtio::{Interrupt, Virtqueue};
use libfuzzer_sys::fuzz_target;
use virtio_queue::{Queue, QueueT};
use vm_memory::{Bytes, GuestAddress};

struct NoInterrupt;
impl Interrupt for NoInterrupt {
    fn queue(&self, _: u16) {}
    fn config(&self) {}
    fn needs_reset(&self) {}
}

#[derive(arbitrary::Arbitrary, Debug)]
struct Input {
    size: u8,
    tables: [u16; 3],
    event_index: bool,
    indirect: bool,
    next: u16,
    memory: Vec<u8>,
    put_back: u16,
}

fuzz_target!(|input: Input| {
    // Memory at 0, so that small numbers are addresses, and a second region after a hole.
    let memory = GuestMemory::from_ranges(&[(GuestAddress(0), 0x1_0000), (GuestAddress(0x1_1000), 0x1000)]).unwrap();
    let len = input.memory.len().min(0x1_0000);
    memory.write_slice(&input.memory[..len], GuestAddress(0)).unwrap();
    let mut queue = Queue::new(256).unwrap();
    queue.set_size(1 << (input.size % 9));
    let [desc, avail, used] = input.tables;
    queue.set_desc_table_address(Some(u32::from(desc) & !15), None);
    queue.set_avail_ring_address(Some(u32::from(avail) & !1), None);
    queue.set_used_ring_address(Some(u32::from(used) & !3), None);
    queue.set_event_idx(input.event_index);
    queue.set_next_avail(input.next);
    queue.set_ready(true);
    let mut queue = Virtqueue::new(queue, 0, input.indirect, memory.clone(), Arc::new(NoInterrupt));
    // The device writes its own rings too, so a guest can make it go on for ever: only so many requests.
    for n in 0..64 {
        queue.disable_notification();
        let Some(chain) = queue.pop() else { break };
        let (mut bytes, mut reader) = ([0; 300], chain.reader(&memory));
        let total = reader.remaining();
        let n_read = reader.read(&mut bytes).unwrap() as u64;
        assert_eq!(n_read, total.min(300));
        reader.skip(input.next.into());
        reader.slices(1000).unwrap();
        let mut writer = chain.writer(&memory);
        let room = writer.remaining();
        let n_written = writer.write(&bytes).unwrap() as u64;
        assert_eq!(n_written, room.min(300));
        writer.skip(7);
        writer.slices(u64::MAX).unwrap();
        assert_eq!(u64::from(writer.written()), room.min(u32::MAX.into()));
        if input.put_back >> (n % 16) & 1 != 0 {
            queue.put_back(chain);
            continue;
        }
        queue.complete(chain, n_written as u32);
        queue.signal();
    }
    queue.enable_notification();
});
