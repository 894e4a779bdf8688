//! Two machines on one network: they reach each other by address and by name, and what one sends is on record.

use std::process::Command;

use crate::machine::{Machine, debian};

/// Waits for the lease.
const LEASED: &str =
    "n=0; until [ -s /etc/resolv.conf ] || [ $n -ge 300 ]; do sleep 0.1; n=$((n + 1)); done; [ $n -lt 300 ]";

#[test]
fn two_machines_share_a_network_which_outlives_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let start = |device: &str| {
        let mut command = debian(folder.path(), &["--cpus", "2", "--device", device]);
        Machine::start(command.env("XDG_RUNTIME_DIR", folder.path()))
    };
    let mut first = start("virtio-net,shared=lan0");
    let mut second = start("virtio-net,shared,name=lan0,capture=second.pcapng,capture-snaplen=128");
    for machine in [&mut first, &mut second] {
        machine.quiet_shell();
        machine.sh(LEASED);
        // A pair of queues for each CPU, as the driver has set them up by the control queue.
        machine.sh("[ -e /sys/class/net/eth0/queues/rx-1 ] && [ -e /sys/class/net/eth0/queues/tx-1 ]");
    }
    let addresses = [&mut first, &mut second]
        .map(|machine| machine.sh("ip -4 -o addr show eth0 | awk '{print $4}' | cut -d/ -f1").trim().to_owned());
    assert_ne!(addresses[0], addresses[1]);

    // Enough that the kernels leave it to their cards to cut it.
    first.sh("mkdir /tmp/www; dd if=/dev/urandom of=/tmp/www/page bs=1M count=8; httpd -p 8000 -h /tmp/www");
    let sum = first.sh("sha256sum </tmp/www/page");
    assert_eq!(second.sh(&format!("wget -q -O - http://{}:8000/page | sha256sum", addresses[0])), sum);
    // A machine that says its name is known by it.
    first.sh("udhcpc -i eth0 -n -q -x hostname:alpha -s /etc/udhcpc/default.script");
    assert_eq!(second.sh("wget -q -O - http://alpha.internal:8000/page | sha256sum"), sum);

    first.power_off();
    second.sh("n=0; until ping -c 1 -W 1 192.168.64.1 || [ $n -ge 60 ]; do n=$((n + 1)); done; [ $n -lt 60 ]");
    second.power_off();
    let read = Command::new("tcpdump").args(["-nn", "-r"]).arg(folder.path().join("second.pcapng")).output().unwrap();
    let text = String::from_utf8(read.stdout).unwrap();
    assert!(text.contains(&format!("{}.8000 > {}.", addresses[0], addresses[1])), "{text}");
    // TCP segments longer than the wire's packets: the cards' offloads are used.
    let longest = text.lines().filter_map(|line| line.rsplit_once("length ")?.1.split(':').next()?.parse().ok()).max();
    assert!(longest > Some(1460u32), "no longer segment than {longest:?}");
}
