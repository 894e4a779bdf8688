//! RAM as a debugger reads and writes it.

use arm64::mmu::AccessKind;
use hv::debug::Address;

use crate::code::PAGE_SIZE;
use crate::cpu::Cpu;
use crate::ram::HostPtr;
use crate::shared::Maintenance;

impl Cpu {
    /// The physical address behind `address`, with the rights of EL1.
    pub(super) fn physical(&mut self, address: Address) -> Option<u64> {
        match address {
            Address::Virtual(va) => self.query(va, AccessKind::Read, false).ok().map(|t| t.pa),
            Address::Physical(pa) => Some(pa),
        }
    }

    pub(super) fn peek(&mut self, address: Address, data: &mut [u8]) -> usize {
        let mut done = 0;
        while done < data.len() {
            let Some((_, host, len)) = self.piece(address.offset(done as u64), data.len() - done) else { break };
            for (at, byte) in data[done..done + len].iter_mut().enumerate() {
                *byte = HostPtr(host.0.wrapping_add(at)).load();
            }
            done += len;
        }
        done
    }

    pub(super) fn poke(&mut self, address: Address, data: &[u8]) -> usize {
        let mut done = 0;
        while done < data.len() {
            let Some((pa, host, len)) = self.piece(address.offset(done as u64), data.len() - done) else { break };
            for (at, byte) in data[done..done + len].iter().enumerate() {
                HostPtr(host.0.wrapping_add(at)).store(*byte);
            }
            let request = Maintenance::CodePage(pa & !(PAGE_SIZE - 1));
            self.perform(request);
            self.shared.broadcast(self.index, request);
            done += len;
        }
        done
    }

    /// The part of `len` bytes at `address` that is in its first page, if that is RAM: physical address, where it is
    /// and how long.
    fn piece(&mut self, address: Address, len: usize) -> Option<(u64, HostPtr, usize)> {
        let pa = self.physical(address)?;
        let host = self.ram.page(pa)?.at(pa);
        Some((pa, host, len.min((PAGE_SIZE - pa % PAGE_SIZE) as usize)))
    }
}
