//! The network that every machine has: an address, names, and connections outward.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::machine::{Machine, debian};

/// The address of this host that its own guests may reach: not loopback. Nothing is sent.
fn address() -> Ipv4Addr {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    socket.connect((Ipv4Addr::new(198, 51, 100, 1), 9)).expect("these tests need a network");
    match socket.local_addr().unwrap() {
        SocketAddr::V4(address) if !address.ip().is_loopback() => *address.ip(),
        other => panic!("this host has no address but {other}"),
    }
}

/// Serves `body` over HTTP, for as long as the test runs.
fn serve(at: impl Into<IpAddr>, body: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind((at.into(), 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && connection.read(&mut byte).unwrap_or(0) == 1 {
                request.push(byte[0]);
            }
            let head = format!("HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            // The guest may hang up when it likes.
            let _ = connection.write_all(head.as_bytes()).and_then(|()| connection.write_all(&body));
        }
    });
    address
}

/// Boots, and waits for the lease.
fn connected() -> (Machine, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut machine = Machine::shell(&mut debian(folder.path(), &[]));
    machine
        .sh("n=0; until [ -s /etc/resolv.conf ] || [ $n -ge 300 ]; do sleep 0.1; n=$((n + 1)); done; [ $n -lt 300 ]");
    (machine, folder)
}

#[test]
fn the_guest_gets_a_lease_and_fetches_over_http() {
    let body: Vec<u8> = (0..3_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("body"), &body).unwrap();
    let sum = Command::new("sha256sum").arg(folder.path().join("body")).output().unwrap();
    let sum = String::from_utf8(sum.stdout).unwrap().split_whitespace().next().unwrap().to_owned();
    let server = serve(address(), body);

    let (mut machine, _folder) = connected();
    let lease = machine.sh("ip -4 addr show eth0; ip route; cat /etc/resolv.conf");
    for wanted in ["inet 192.168.64.", "default via 192.168.64.1 dev eth0", "nameserver 192.168.64.1"] {
        assert!(lease.contains(wanted), "{wanted}: {lease}");
    }
    machine.sh("ping -c 1 -W 10 192.168.64.1");
    for _ in 0..2 {
        assert_eq!(machine.sh(&format!("wget -q -O - http://{server}/ | sha256sum")), format!("{sum}  -\n"));
    }
    machine.power_off();
}

/// What the command says when it is well.
fn said(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_russet")).args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Fetches a page over HTTP as the guest's own users do.
fn fetch(address: &str) -> String {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.write_all(b"GET /page HTTP/1.0\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    page
}

#[test]
fn published_ports_lead_to_the_guest_and_its_address_is_known_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("control");
    let socket = socket.to_str().unwrap();
    let machine = ["--control", socket, "--publish", "0:8000", "--publish", "[::1]:0:8000"];
    let mut machine = Machine::start(&mut debian(folder.path(), &machine));
    // Before the guest's kernel has asked for it.
    let start = std::time::Instant::now();
    while !std::path::Path::new(socket).exists() {
        assert!(start.elapsed() < Duration::from_secs(60), "there is no control socket");
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(said(&["ip", socket]), "192.168.64.2\n");
    machine.quiet_shell();
    machine.sh("ip link set lo up; mkdir /tmp/www; echo from the guest >/tmp/www/page; httpd -p 8000 -h /tmp/www; httpd -p 8001 -h /tmp/www");
    machine
        .sh("n=0; until [ -s /etc/resolv.conf ] || [ $n -ge 300 ]; do sleep 0.1; n=$((n + 1)); done; [ $n -lt 300 ]");
    let ports = said(&["port", "list", socket]);
    let mut ports: Vec<_> = ports.lines().map(|line| line.strip_suffix(":8000").unwrap().to_owned()).collect();
    ports.push(said(&["port", "add", socket, "0:8001"]).lines().last().unwrap().strip_suffix(":8001").unwrap().into());
    for port in &ports {
        assert!(fetch(port).ends_with("from the guest\n"), "{port}");
    }
    said(&["port", "remove", socket, &format!("{}:8001", ports[2])]);
    // The port is free a moment later.
    let start = std::time::Instant::now();
    while std::net::TcpStream::connect(&ports[2]).is_ok() {
        assert!(start.elapsed() < Duration::from_secs(60), "the port still leads somewhere");
        thread::sleep(Duration::from_millis(10));
    }
    // The other version of the protocol: the kernel makes its address of what the router advertises.
    machine.sh("n=0; until ip -6 addr show eth0 | grep -q 'inet6 fd72:7573:7365:7400:.* scope global' || [ $n -ge 300 ]; do sleep 0.1; n=$((n + 1)); done; [ $n -lt 300 ]");
    machine.sh("ping -c 1 -W 10 fd72:7573:7365:7400::1; nslookup host.internal fd72:7573:7365:7400::1");
    // A server that listens to that address alone is reached by IPv6 only.
    let start = std::time::Instant::now();
    let address = loop {
        let cards: serde_json::Value = serde_json::from_str(&said(&["--json", "ip", socket])).unwrap();
        if let Some(address) = cards[0]["address6"].as_str() {
            break address.to_owned();
        }
        // The kernel asks a moment later whether another has it, before it uses it.
        assert!(start.elapsed() < Duration::from_secs(60), "the router has not seen the address");
        thread::sleep(Duration::from_millis(50));
    };
    assert!(machine.sh("ip -6 addr show eth0").contains(&address), "{address}");
    machine.sh(SETTLED);
    machine.sh(&format!("httpd -p [{address}]:8002 -h /tmp/www"));
    let port = said(&["port", "add", socket, "[::1]:0:8002"]).lines().last().unwrap().to_owned();
    assert!(fetch(port.strip_suffix(":8002").unwrap()).ends_with("from the guest\n"), "{port}");
    machine.power_off();
    assert!(!std::path::Path::new(socket).exists());
}

#[test]
fn the_hosts_loopback_is_out_of_reach() {
    let server = serve(Ipv4Addr::LOCALHOST, b"secret".to_vec());
    let (mut machine, _folder) = connected();
    // Through the gateway, by its own address and by routing what should never leave a host.
    let port = server.port();
    machine.sh("ip addr del 127.0.0.1/8 dev lo; ip route del local 127.0.0.0/8 table local; sysctl -wq net.ipv4.conf.all.route_localnet=1 net.ipv4.conf.eth0.route_localnet=1; ip route add 127.0.0.1 via 192.168.64.1; true");
    for host in ["192.168.64.1", "127.0.0.1", "0.0.0.0", "[fd72:7573:7365:7400::1]", "[::ffff:127.0.0.1]"] {
        let (said, status) = machine.status_of(&format!("timeout 5 wget -q -O - http://{host}:{port}/ 2>&1"));
        assert!(status != 0 && !said.contains("secret"), "{host}: {said}");
    }
    machine.power_off();
}

/// Waits until the guest uses an IPv6 address of its network: the kernel has made it and asked whether another has it
/// (proc_net_if_inet6: scope 00, and flag 0x40 is no longer set).
const SETTLED: &str = "n=0; until grep -q '^fd72.* 00 [08]0     eth0' /proc/net/if_inet6 || [ $n -ge 300 ]; do sleep 0.1; n=$((n + 1)); done; [ $n -lt 300 ]";

/// Ends the program when the test does.
struct Server(std::process::Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server of iperf3 on a free port of the host's loopback.
fn iperf3() -> (Server, u16) {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let mut command = Command::new("iperf3");
    command.args(["--server", "--bind", "127.0.0.1", "--port", &port.to_string()]);
    let server = Server(command.stdout(std::process::Stdio::null()).spawn().expect("this test needs iperf3"));
    (server, port)
}

/// Debian's own clients: a lease by dhclient, pages by curl over both versions of IP, streams and datagrams by iperf3.
#[test]
#[ignore = "takes minutes; `cargo xtask guest-test` runs it"]
fn debians_clients_are_served() {
    let root =
        std::env::var_os("RUSSET_TEST_ROOT").expect("`cargo xtask guest-test` says where the root file system is");
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("root.img");
    assert!(Command::new("cp").arg("--sparse=always").arg(&root).arg(&disk).status().unwrap().success());
    let body = || vec![b'x'; 1_000_000];
    let (page, page6) = (serve(Ipv4Addr::LOCALHOST, body()), serve(Ipv6Addr::LOCALHOST, body()));
    let (_server, port) = iperf3();
    let device = ["-d", "root.img", "--device", "virtio-net,nat,host-access=on"];
    let mut machine = Machine::shell(&mut debian(folder.path(), &device));
    machine.sh("killall udhcpc; ip -4 addr flush dev eth0; mkdir -p /tmp/root && mount -t ext4 /dev/vda /tmp/root && \
         mount --bind /proc /tmp/root/proc && mount --bind /sys /tmp/root/sys && mount --bind /dev /tmp/root/dev && \
         mount -t tmpfs tmpfs /tmp/root/tmp && mount -t tmpfs tmpfs /tmp/root/run");
    // Its script would set the address with tools of a package that is not in this root.
    let dhclient = "mkdir -p /tmp/root/var/lib/dhcp && chroot /tmp/root dhclient -4 -1 -v -sf /bin/true eth0 2>&1 && \
                    cat /tmp/root/var/lib/dhcp/dhclient.leases";
    let lease = machine.sh(dhclient);
    for wanted in ["bound to 192.168.64.2", "fixed-address 192.168.64.2;", "option routers 192.168.64.1;"] {
        assert!(lease.contains(wanted), "{wanted}: {lease}");
    }
    machine.sh("ip addr add 192.168.64.2/24 dev eth0 && ip route add default via 192.168.64.1");
    machine.sh(SETTLED);
    for (version, gateway, page) in [("-4", "192.168.64.1", page), ("-6", "[fd72:7573:7365:7400::1]", page6)] {
        let curl = format!("chroot /tmp/root curl -sS {version} http://{gateway}:{}/ | wc -c", page.port());
        assert_eq!(machine.sh(&curl).trim(), "1000000", "{version}");
    }
    for options in ["-n 8M", "-n 8M -R", "-n 2M -P 4", "-u -b 1M -l 1000 -n 100K", "-u -b 1M -l 1000 -n 100K -R"] {
        let said = machine.sh(&format!("chroot /tmp/root iperf3 -c 192.168.64.1 -p {port} {options}"));
        assert!(said.contains("iperf Done."), "{options}: {said}");
        assert!(!options.starts_with("-u") || said.contains("(0%)"), "{options}: {said}");
    }
    machine.power_off();
}

/// What a name server says to a question for an IPv4 address: its response code (RFC 1035, 4.1.1).
fn ask(server: Ipv4Addr, name: &str) -> Option<u8> {
    // Number 1, recursion desired, one question.
    let mut query = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        query.push(label.len() as u8);
        query.extend(label.bytes());
    }
    query.extend([0, 0, 1, 0, 1]);
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
    let mut answer = [0; 1500];
    (0..3).find_map(|_| {
        socket.send_to(&query, (server, 53)).ok()?;
        let length = socket.recv(&mut answer).ok()?;
        (length >= 12 && answer[..2] == query[..2]).then_some(answer[3] & 15)
    })
}

/// A name that this host most likely knows: that of the server from which its packages come.
fn mirror() -> String {
    let output = Command::new("apt-get").args(["--print-uris", "update"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut servers = text.lines().filter_map(|line| line.split_once("://")?.1.split(['/', ':']).next());
    servers.next().expect("apt's sources name no server").to_owned()
}

/// The answers of the guest's name server are those of the host's.
#[test]
fn names_are_asked_of_the_hosts_name_server() {
    let configuration = std::fs::read_to_string("/etc/resolv.conf").unwrap();
    let mut servers = configuration.lines().filter_map(|line| line.strip_prefix("nameserver ")?.trim().parse().ok());
    let server: Ipv4Addr = servers.next().expect("these tests need a name server with an IPv4 address");
    let (mut machine, _folder) = connected();
    for name in [mirror().as_str(), "no-such-name.invalid"] {
        let (said, status) = machine.status_of(&format!("nslookup -type=a {name}. 2>&1"));
        match ask(server, name) {
            Some(0) => assert!(status == 0 && said.contains(&format!("Name:\t{name}")), "{said}"),
            Some(3) => assert!(status != 0 && said.contains("NXDOMAIN"), "{said}"),
            other => assert!(status != 0, "the host got {other:?}, the guest {said}"),
        }
    }
    machine.power_off();
}
