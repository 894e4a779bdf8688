//! Whether KVM really runs guests here, found by running one.
//!
//! A `/dev/kvm` that opens proves little: under some hypervisors it makes machines and CPUs and then fails at the
//! first instruction that it has to emulate. So a trial guest does a little of what every kernel does, under a timer.

use std::io;
use std::os::unix::thread::JoinHandleExt;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use kvm_ioctls::{Kvm, VcpuFd};

use super::{trial, unusable};
use crate::Error;

/// Finds out whether KVM runs guests on this host. It takes a few milliseconds, and `limit` at most.
///
/// # Errors
/// [`Error::Unusable`] with the reason, and how to mend it where that is possible.
pub fn probe(limit: Duration) -> Result<(), Error> {
    run_within(limit, open()?, trial::code())
}

/// Runs `code` as the trial guest and stops it after `limit`.
fn run_within(limit: Duration, kvm: Kvm, code: &'static [u8]) -> Result<(), Error> {
    let (done, result) = mpsc::channel();
    let worker = thread::Builder::new()
        .name("kvm-probe".to_owned())
        .spawn(move || {
            // Nobody listens any more when this took too long.
            let _ = done.send(block_kick_signal().and_then(|()| trial::run(&kvm, code)));
        })
        .map_err(|source| Error::Os { what: "starting a thread for the trial of KVM", source })?;
    if let Ok(result) = result.recv_timeout(limit) {
        let _ = worker.join();
        return result;
    }
    // SAFETY: the thread was not joined, so its handle is valid; it has the signal blocked outside KVM_RUN (see
    // `block_kick_signal`), where it does nothing but end the call.
    unsafe { libc::pthread_kill(worker.as_pthread_t(), kick_signal()) };
    // A KVM that does not even react to a signal keeps the thread; waiting for it would be waiting for ever.
    if result.recv_timeout(limit).is_ok() {
        let _ = worker.join();
    }
    Err(unusable(format!("a trial guest of a few instructions did not come to its end in {limit:?}")))
}

/// Opens `/dev/kvm` and checks what every KVM of the last fifteen years has.
fn open() -> Result<Kvm, Error> {
    let kvm = Kvm::new().map_err(|error| match error.errno() {
        libc::ENOENT => unusable("there is no /dev/kvm: load the kernel's kvm module, on a CPU with virtualization"),
        libc::EACCES | libc::EPERM => unusable("this user may not open /dev/kvm: join the group `kvm`"),
        _ => unusable(format!("opening /dev/kvm: {error}")),
    })?;
    match kvm.get_api_version() {
        12 => Ok(kvm),
        version => Err(unusable(format!("/dev/kvm speaks version {version} of its interface, not 12"))),
    }
}

/// The signal that ends KVM_RUN.
fn kick_signal() -> libc::c_int {
    libc::SIGRTMIN()
}

/// Blocks the kick signal on the calling thread, so that it needs no handler, which would be the caller's to install.
fn block_kick_signal() -> Result<(), Error> {
    // SAFETY: the set is initialised by sigemptyset before it is used, and lives through the calls.
    let result = unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, kick_signal());
        libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut())
    };
    match result {
        0 => Ok(()),
        errno => Err(Error::Os { what: "blocking the probe's signal", source: io::Error::from_raw_os_error(errno) }),
    }
}

/// The kernel's signal set on 64-bit hosts: 64 bits (`_NSIG`).
#[repr(C)]
struct KernelSignalMask {
    len: u32,
    set: [u8; 8],
}

/// `KVM_SET_SIGNAL_MASK`: `_IOW(KVMIO, 0x8b, struct kvm_signal_mask)`, whose size counts without the set (Linux
/// `Documentation/virt/kvm/api.rst`, 4.17).
const KVM_SET_SIGNAL_MASK: libc::c_ulong = 0x4004_ae8b;

/// Lets the kick signal, which the thread blocks, end KVM_RUN.
pub(super) fn unblock_kick_in_run(vcpu: &VcpuFd) -> Result<(), Error> {
    use std::os::fd::AsRawFd;
    let all_but_kick = !(1u64 << (kick_signal() - 1));
    let mask = KernelSignalMask { len: 8, set: all_but_kick.to_ne_bytes() };
    // SAFETY: the call reads the length and as many bytes after it, which `mask` has.
    let result = unsafe { libc::ioctl(vcpu.as_raw_fd(), KVM_SET_SIGNAL_MASK as _, &mask) };
    if result < 0 {
        return Err(unusable(format!("KVM_SET_SIGNAL_MASK: {}", io::Error::last_os_error())));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// On a good KVM the trial passes, on any other it says why; it never hangs. Where KVM is known to be good the
    /// variable `RUSSET_KVM_IS_GOOD` makes this a test of the trial guest itself.
    #[test]
    fn the_trial_ends_with_an_answer() {
        let start = Instant::now();
        match probe(Duration::from_secs(2)) {
            Ok(()) => {}
            Err(Error::Unusable { engine, reason }) => {
                assert!(std::env::var_os("RUSSET_KVM_IS_GOOD").is_none(), "{reason}");
                assert_eq!(engine, "kvm");
                assert!(!reason.is_empty());
            }
            Err(other) => panic!("{other}"),
        }
        assert!(start.elapsed() < Duration::from_secs(5));
    }

    /// A guest that never ends is stopped. (Where there is no KVM at all there is nothing to stop.)
    #[test]
    fn an_endless_guest_is_stopped() {
        let Ok(kvm) = open() else { return };
        let endless: &[u8] = if cfg!(target_arch = "x86_64") { &[0xeb, 0xfe] } else { &[0x00, 0x00, 0x00, 0x14] };
        let start = Instant::now();
        let error = run_within(Duration::from_millis(500), kvm, endless).unwrap_err().to_string();
        assert!(error.contains("did not come to its end in 500ms"), "{error}");
        assert!(start.elapsed() < Duration::from_millis(950), "the signal did not end the call");
    }
}
