//! What people read when a configuration is wrong: one case a line.

use std::collections::BTreeMap;
use std::path::Path;

use config::*;

/// A host with 4 CPUs, 4 GiB and a few files.
struct Host(BTreeMap<&'static str, FileKind>);

impl Host {
    fn new() -> Self {
        Host(BTreeMap::from([
            ("Image", FileKind::File { writable: false }),
            ("disk.img", FileKind::File { writable: true }),
            ("two.img", FileKind::File { writable: true }),
            ("old.qcow2", FileKind::File { writable: true }),
            ("locked.img", FileKind::File { writable: false }),
            ("secret.img", FileKind::Unreadable),
            ("folder", FileKind::Directory),
            ("net.sock", FileKind::Socket),
            ("/dev/sdx", FileKind::BlockDevice { writable: false }),
        ]))
    }
}

impl HostFacts for Host {
    fn cpus(&self) -> u32 {
        4
    }

    fn memory(&self) -> Option<u64> {
        Some(4096)
    }

    fn file(&self, path: &Path) -> FileKind {
        path.to_str().and_then(|path| self.0.get(path)).copied().unwrap_or(FileKind::Missing)
    }
}

const KERNEL: &str = "[bootloader]\nkind = \"linux\"\nkernel = \"Image\"\n";

fn messages_of(parsed: &Parsed, engine: Engine) -> Vec<String> {
    parsed.check(engine, &Host::new()).iter().map(ToString::to_string).collect()
}

fn toml(text: &str) -> Vec<String> {
    let mut builder = Builder::new();
    builder.toml(text);
    messages_of(&builder.finish(), Engine::Soft)
}

/// The messages about a good machine with one more device.
fn device(argument: &str) -> Vec<String> {
    let mut builder = Builder::new();
    builder.bootloader("linux,kernel=Image").device(argument);
    let strip = format!(" (--device {argument})");
    messages_of(&builder.finish(), Engine::Soft).iter().map(|message| message.replace(&strip, "")).collect()
}

#[test]
fn a_good_machine_has_no_problem() {
    let good = format!(
        "cpus = 4\nmemory = 1024\n{KERNEL}cmdline = \"console=hvc0 root=/dev/vda1\"\n[entropy]\n[balloon]\n\
         [[storage]]\nkind = \"virtio-blk\"\npath = \"disk.img\"\n[[network]]\nkind = \"virtio-net\"\nnat = true\n\
         [[serial]]\nstdio = true\n"
    );
    assert_eq!(toml(&good), Vec::<String>::new());
}

#[test]
fn every_problem_is_told_at_once_with_its_line() {
    let wrong = "cpus = 9\nmemory = \"2G\"\ncolour = 1\n\n[bootloader]\nkind = \"linux\"\nkernal = \"Image\"\n\n\
                 [[storage]]\nkind = \"virtio-blk\"\npath = 7\n\n[[storage]]\nkind = \"nvme\"\npath = \"disk.img\"\n\
                 format = \"qcow\"\n\n[[network]]\nnat = true\nmac = \"01:02\"\n";
    let wanted = [
        "error: memory (line 2): `2G` is not a whole number: give a whole number",
        "error: colour (line 3): there is no key `colour` here: known are `engine`, `cpus`, `memory`, `nested`, \
         `clipboard`, `bootloader`, `platform`, `entropy`, `balloon`, `storage`, `network`, `serial`, `vsock`, \
         `share`, `graphics`, `input` and `sound`",
        "error: bootloader.kernal (line 7): there is no key `kernal` here: did you mean `kernel`?",
        "error: storage[0].path (line 11): `7` is not a path: give a path",
        "error: storage[1].format (line 16): `qcow` is not known here: did you mean `qcow2`?",
        "error: network[0].mac (line 20): `01:02` is no MAC address: write six bytes such as 52:54:00:12:34:56",
    ];
    assert_eq!(toml(wrong), wanted);
}

#[test]
fn syntax_is_told_by_line() {
    let messages = toml("cpus = 1\nmemory = = 2\n");
    assert!(messages[0].starts_with("error: TOML (line 2): "), "{messages:?}");
}

#[test]
fn reading_problems() {
    for (text, wanted) in [
        ("", "error: bootloader: is missing: add `bootloader`"),
        (
            "[bootloader]\nkernel = \"Image\"\n",
            "error: bootloader (line 1): the key `kind` is missing: give one of `linux`, `efi` and `macos`",
        ),
        (
            "[bootloader]\nkind = \"linus\"\n",
            "error: bootloader.kind (line 2): `linus` is not known here: did you mean `linux`?",
        ),
        ("[bootloader]\nkind = \"linux\"\n", "error: bootloader.kernel (line 1): is missing: add `kernel`"),
    ] {
        assert_eq!(toml(text), [wanted], "{text}");
    }
}

#[test]
fn device_problems() {
    for (argument, wanted) in [
        ("virtio-blk,path=disk.img,deviceId=root,readonly", None),
        ("virtio-blk,path=disk.img,device_id=root,sync=full,caching=cached,type=image", None),
        ("virtio-net,nat,mac=52-54-00-12-34-56,offloading=off", None),
        ("virtio-serial,logFilePath=new.log", None),
        ("virtio-serial,socket=new.sock", None),
        ("pl011,pty", None),
        ("virtio-rng", None),
        ("usb-mass-storage,path=disk.img,readonly", None),
        ("virtio-balloon", None),
        ("virtio-blok,path=disk.img", Some("device: `virtio-blok` is no kind of device: did you mean `virtio-blk`?")),
        ("virtio-blk,pth=disk.img", Some("storage[0].pth: there is no key `pth` here: did you mean `path`?")),
        ("virtio-blk", Some("storage[0]: one of `path` and `uri` must be given")),
        (
            "virtio-blk,path=disk.img,uri=nbd://x",
            Some("storage[0]: `path` and `uri` exclude each other: keep one of them"),
        ),
        ("virtio-blk,path=disk.img,timeout=5", Some("storage[0]: `timeout` is for a disk with a `uri`: remove it")),
        (
            "virtio-blk,path=disk.img,readonly=maybe",
            Some("storage[0].readonly: `maybe` is not true or false: give true or false"),
        ),
        ("virtio-blk,path", Some("storage[0].path: `true` is not a path: give a path")),
        ("virtio-blk,path=none.img", Some("storage[0].path: `none.img` does not exist: correct the path")),
        ("virtio-blk,path=folder", Some("storage[0].path: `folder` is a folder: give the path of a file")),
        (
            "virtio-blk,path=locked.img",
            Some(
                "storage[0].path: `locked.img` cannot be written by this user: add `readonly` or change its permissions",
            ),
        ),
        (
            "virtio-blk,path=secret.img",
            Some("storage[0].path: `secret.img` cannot be read by this user: change its permissions"),
        ),
        (
            "virtio-blk,path=disk.img,deviceId=123456789012345678901",
            Some(
                "storage[0].device-id: `123456789012345678901` cannot be the serial number of a disk: give 1 to 20 ASCII characters without spaces",
            ),
        ),
        ("nvme,path=disk.img", None),
        (
            "virtio-blk,path=disk.img,snapshot,readonly",
            Some(
                "storage[0].snapshot: a disk that the guest cannot write has nothing to throw away: give either `snapshot` or `readonly`",
            ),
        ),
        (
            "virtio-blk,path=disk.img,bps=1000",
            Some(
                "storage[0].bps: less than 65536 bytes in a second make a guest give its disk up: give more, or leave it out for no limit",
            ),
        ),
        (
            "virtio-blk,path=disk.img,iops=0",
            Some("storage[0].iops: no request in a second is no disk: give 1 or more, or leave it out for no limit"),
        ),
        ("virtio-blk,path=old.qcow2,format=qcow2,snapshot,bps=1000000,iops=100", None),
        ("virtio-blk,path=old.qcow2", None),
        ("nbd,uri=nbd://h:1/x,deviceId=n,timeout=3000,sync=none,readonly", None),
        (
            "virtio-blk,uri=nbd://x,backing-folder=folder",
            Some("storage[0]: `backing-folder` is for an image in a `path`: remove it"),
        ),
        (
            "virtio-net",
            Some(
                "network[0]: one of `nat`, `bridged`, `unix-socket-path`, `fd`, `tap`, `tap-fd`, `shared` and `vmnet` must be given",
            ),
        ),
        ("virtio-net,bridged", Some("network[0]: `bridged` needs a name: write `bridged=NAME`")),
        ("virtio-net,bridged,interface=eth0,capture=new.pcapng,capture-snaplen=96", None),
        ("virtio-net,bridged=eth0,queues=2", None),
        ("virtio-net,fd=3,mtu=65520", None),
        (
            "virtio-net,bridged=eth0,interface=eth1",
            Some("network[0]: `bridged` has a name and `interface` another: remove `interface`"),
        ),
        ("virtio-net,nat,name=x", Some("network[0]: `name` describes `shared`: give it or remove `name`")),
        ("virtio-net,shared,name=lan0", None),
        (
            "virtio-net,shared=../x",
            Some(
                "network[0].shared: `../x` cannot be the name of a network: give 1 to 32 of letters, digits, `-`, `_` and `.`, not `.` first",
            ),
        ),
        (
            "virtio-net,tap=a/b",
            Some("network[0].tap: `a/b` cannot be the name of an interface: give 1 to 15 bytes without `/` and spaces"),
        ),
        (
            "virtio-net,tap=tap0,mtu=9000",
            Some(
                "network[0].mtu: the packet size of a tap is the host's: remove it, and use `ip link set TAP mtu BYTES`",
            ),
        ),
        ("virtio-net,tap-fd=1", Some("network[0].tap-fd: 1 is a standard stream: give an open tap, 3 or higher")),
        (
            "virtio-net,nat,mtu=100",
            Some("network[0].mtu: 100 bytes are less than every packet of IPv6 may have: give 1280 to 65535"),
        ),
        ("virtio-net,nat,queues=9", Some("network[0].queues: a card does not have 9 pairs of queues: give 1 to 8")),
        (
            "virtio-net,unixSocketPath=new.sock,listen",
            Some("network[0]: `listen` is for a stream: add `type=unixstream`, or remove it"),
        ),
        ("virtio-net,unixSocketPath=new.sock,type=unixstream,listen", None),
        (
            "virtio-net,nat,capture-limit=9",
            Some("network[0]: `capture-snaplen` and `capture-limit` describe a `capture`: give one or remove them"),
        ),
        (
            "virtio-net,nat,mac=53:54:00:12:34:56",
            Some("network[0].mac: 53:54:00:12:34:56 is a multicast address: make the first byte even"),
        ),
        ("virtio-serial", Some("serial[0]: one of `stdio`, `pty`, `log-file-path` and `socket` must be given")),
        ("virtio-serial,stdio,append", Some("serial[0]: `append` is for a `log-file-path`: remove it")),
        (
            "virtio-serial,logFilePath=nowhere/new.log",
            Some(
                "serial[0].log-file-path: `nowhere/new.log` is to be made in a folder that does not exist: make the folder or correct the path",
            ),
        ),
        ("virtio-fs,mountTag=t", Some("share[0]: one of `shared-dir`, `directories` and `empty` must be given")),
        (
            "rosetta,mountTag=t,empty",
            Some("share[0]: `shared-dir`, `readonly`, `directories` and `empty` are not for `rosetta`: remove them"),
        ),
        (
            "virtio-fs,sharedDir=folder,mountTag=t,cacheSocket=/s",
            Some("share[0]: `cache-socket` and `cache-abstract-socket` are only for `rosetta`: remove them"),
        ),
        (
            "rosetta,mountTag=r,cacheSocket=/s,cacheAbstractSocket=s",
            Some("share[0]: `cache-socket` and `cache-abstract-socket` exclude each other: keep one of them"),
        ),
        ("virtio-rng,src=x", Some("entropy.src: there is no key `src` here: remove it")),
    ] {
        let wanted: Vec<String> = wanted.iter().map(|text| format!("error: {text}")).collect();
        assert_eq!(device(argument), wanted, "{argument}");
    }
}

#[test]
fn a_cache_of_rosetta_is_a_socket_of_the_guest() {
    for (text, field) in [
        ("cacheSocket=rosetta.sock", "share[0].cache-socket: `rosetta.sock` cannot be the path"),
        ("cacheAbstractSocket=", "share[0].cache-abstract-socket: `` cannot be the name"),
    ] {
        let messages = device(&format!("rosetta,mountTag=r,{text}"));
        assert!(messages.iter().any(|message| message.contains(field)), "{text}: {messages:?}");
    }
}

#[test]
fn what_no_engine_has_yet_is_read_and_refused_by_name() {
    for argument in [
        "virtio-vsock,port=5,socketURL=v.sock,listen",
        "virtio-vsock,port=5,socketURL=v.sock,connect",
        "virtio-fs,sharedDir=folder,mountTag=t",
        "virtio-fs,mountTag=t,empty",
        "virtio-fs,automount,directories.a.path=folder,directories.b.path=folder,directories.b.readonly",
        "rosetta,mountTag=r,install,ignore-if-missing",
        "rosetta,mountTag=r,cacheSocket=/run/rosettad/rosetta.sock",
        "rosetta,mountTag=r,cacheAbstractSocket=rosettad",
        "virtio-gpu,width=1920,height=1080",
        "virtio-input,keyboard",
        "virtio-input,pointing",
        "usb-keyboard",
        "virtio-sound,input,output",
    ] {
        let messages = device(argument);
        assert_eq!(messages.len(), 1, "{argument}: {messages:?}");
        assert!(messages[0].contains("the engine `soft` cannot do "), "{argument}: {messages:?}");
    }
}

#[test]
fn machine_problems() {
    for (text, wanted) in [
        (format!("cpus = 0\n{KERNEL}"), vec!["error: cpus (line 1): a machine needs a CPU: give 1 or more"]),
        (
            format!("cpus = 5\n{KERNEL}"),
            vec![
                "warning: cpus (line 1): 5 CPUs on a host with 4: guests can run very slowly or hang: give 4 or fewer",
            ],
        ),
        (
            format!("platform = {{ kind = \"generic\", machine-identifier = \"disk.img\" }}\n{KERNEL}"),
            vec![
                "warning: platform.machine-identifier (line 1): the engine `soft` tells a guest no machine identifier: remove it to hear this no more, or use the engine `vz` on a Mac",
            ],
        ),
        (
            format!("cpus = 9\n{KERNEL}"),
            vec!["error: cpus (line 1): the engine `soft` has at most 8 CPUs, not 9: give 8 or fewer"],
        ),
        (
            format!("memory = 8\n{KERNEL}"),
            vec!["error: memory (line 1): 8 MiB is too little for Linux: give 32 MiB or more"],
        ),
        (
            format!("memory = 999\n{KERNEL}"),
            vec!["error: memory (line 1): 999 MiB is an odd number, and memory comes in pages of 2 MiB: give 1000 MiB"],
        ),
        (
            format!("memory = 8192\n{KERNEL}"),
            vec![
                "warning: memory (line 1): 8192 MiB is more than the host's 4096 MiB: give less, or expect the host to swap",
            ],
        ),
        (
            format!(
                "{KERNEL}cmdline = \"console=hvc0 root=/dev/vdb\"\n[[storage]]\nkind = \"virtio-blk\"\npath = \"disk.img\"\n"
            ),
            vec![
                "warning: bootloader.cmdline (line 4): `console=hvc0` names a console that the machine does not have: add a `virtio-serial` or name another console",
                "warning: bootloader.cmdline (line 4): `root=/dev/vdb` names a disk that is not there: the machine has 1 virtio disks: add the disk or name another root",
            ],
        ),
        (
            format!(
                "{KERNEL}cmdline = \"root=/dev/vda1\"\n[[storage]]\nkind = \"virtio-blk\"\npath = \"disk.img\"\nreadonly = true\n"
            ),
            vec![
                "warning: storage[0].readonly (line 8): the root `root=/dev/vda` is a read-only disk: the guest cannot write its files: remove `readonly`, or boot from another root",
            ],
        ),
        (
            format!(
                "{KERNEL}[[storage]]\nkind = \"virtio-blk\"\npath = \"disk.img\"\n[[storage]]\nkind = \"virtio-blk\"\npath = \"disk.img\"\nreadonly = true\n"
            ),
            vec![
                "error: storage[1].path (line 9): storage[0] is the same file, and one of them writes to it: give each disk its own file, or make both readonly",
            ],
        ),
        (
            format!(
                "{KERNEL}[[network]]\nnat = true\nmac = \"52:54:00:00:00:01\"\n[[network]]\nnat = true\nmac = \"52:54:00:00:00:01\"\n"
            ),
            vec!["error: network[1].mac (line 9): the same as network[0].mac: give each interface its own address"],
        ),
        (
            format!("{KERNEL}[[serial]]\nstdio = true\n[[serial]]\nstdio = true\n"),
            vec![
                "error: serial[1].stdio (line 7): the same as serial[0].stdio: one console can have the terminal: give the others `pty`, `socket` or `log-file-path`",
            ],
        ),
        (
            "[bootloader]\nkind = \"macos\"\n".to_owned(),
            vec![
                "error: memory: 512 MiB is too little for macOS: give 4096 MiB or more",
                "error: platform: macOS needs a mac platform: give one: `kind = \"mac\"`",
                "error: bootloader (line 1): the engine `soft` cannot do macOS yet: remove it, or use the engine `vz` on a Mac, which can",
            ],
        ),
    ] {
        assert_eq!(toml(&text), wanted, "{text}");
    }
}

#[test]
fn duplicate_tags_and_ports() {
    let mut builder = Builder::new();
    builder
        .bootloader("linux,kernel=Image")
        .device("virtio-fs,sharedDir=folder,mountTag=t")
        .device("virtio-fs,sharedDir=folder,mountTag=t")
        .device("virtio-vsock,port=5,socketURL=a.sock")
        .device("virtio-vsock,port=5,socketURL=b.sock");
    let messages = messages_of(&builder.finish(), Engine::Vz);
    for wanted in ["share[1].mount-tag", "vsock[1].port"] {
        assert!(messages.iter().any(|message| message.contains(wanted)), "{wanted}: {messages:?}");
    }
}

#[test]
fn networks_of_macos() {
    const SUBNET: &str = "vmnet=shared,subnet=192.168.70.0/24";
    for (keys, wanted) in [
        ("vmnet=shared", None),
        ("vmnet=host,dhcp=off,dns=off,ipv6=off,mtu=9000", None),
        (&format!("{SUBNET},address=192.168.70.9,publish=\"0.0.0.0:80-89:80-89,0.0.0.0:53:53/udp\""), None),
        ("vmnet", Some("network[0].vmnet: `true` is not one of `shared` and `host`: give one of `shared` and `host`")),
        (
            "nat,address=10.0.0.2",
            Some(
                "network[0]: `address`, `ipv6-prefix`, `external-interface`, `dhcp`, `dns`, `nat44` and `nat66` describe `vmnet`: give it or remove them",
            ),
        ),
        (
            "vmnet=shared,hostname=a",
            Some(
                "network[0]: `host-access`, `allow`, `deny` and `hostname` describe `nat`, which `vmnet` is not: remove them",
            ),
        ),
        ("vmnet=shared,nat", Some("network[0]: `nat` and `vmnet` exclude each other: keep one of them")),
        (
            "vmnet=host,external-interface=en0",
            Some(
                "network[0].external-interface: a network of the host alone leads nowhere else: remove it, or use `vmnet=shared`",
            ),
        ),
        (
            "vmnet=shared,address=192.168.70.9",
            Some(
                "network[0].address: in a network that macOS chooses, no address is known beforehand: add its network, as subnet=192.168.70.0/24",
            ),
        ),
        (
            &format!("{SUBNET},address=192.168.70.1"),
            Some(
                "network[0].address: 192.168.70.1 is no address of a guest in 192.168.70.0/24: give 192.168.70.2 to 192.168.70.254",
            ),
        ),
        (
            &format!("{SUBNET},address=192.168.70.9,dhcp=off"),
            Some("network[0].address: without DHCP nobody gives it to the guest: remove it, or `dhcp=off`"),
        ),
        (
            &format!("{SUBNET},publish=8080:80"),
            Some(
                "network[0].publish: macOS forwards from all interfaces of the host and never from loopback, not from 127.0.0.1 alone: write 0.0.0.0:8080:80, or use `nat`, whose ports are on the host's loopback",
            ),
        ),
        (&format!("{SUBNET},publish=0.0.0.0:0:80"), Some("network[0].publish: macOS chooses no port: give one")),
        (
            &format!("{SUBNET},publish=./s:80"),
            Some("network[0].publish: macOS forwards no socket, as ./s: give a port, or use `nat`"),
        ),
        (
            "vmnet=shared,publish=0.0.0.0:80:80",
            Some(
                "network[0].publish: ports lead to an address that is known beforehand: add a network to have one in, as subnet=192.168.70.0/24",
            ),
        ),
        (
            &format!("{SUBNET},dhcp=off,publish=0.0.0.0:80:80"),
            Some(
                "network[0].publish: ports lead to an address that is known beforehand: say with `address=` which one the guest has, or remove `dhcp=off`",
            ),
        ),
        (
            &format!("{SUBNET},publish=0.0.0.0:1000-2999:1000-2999"),
            Some("network[0].publish: 2000 ports are more than 1024: publish fewer"),
        ),
        (
            "vmnet=shared,ipv6=off,ipv6-prefix=fd00:1:2:3::/64",
            Some("network[0].ipv6-prefix: the network has no IPv6: remove it, or `ipv6=off`"),
        ),
        (
            "vmnet=shared,ipv6-prefix=2001:db8::/64",
            Some(
                "network[0].ipv6-prefix: `2001:db8::/64` is no IPv6 network for guests: write one of 64 bits in fd00::/8, as fd12:3456:789a:1::/64",
            ),
        ),
    ] {
        let argument = format!("virtio-net,{keys}");
        let mut builder = Builder::new();
        builder.bootloader("linux,kernel=Image").device(&argument);
        let messages = messages_of(&builder.finish(), Engine::Vz);
        let about = messages.iter().filter_map(|message| {
            let (field, rest) = message.strip_prefix("error: network")?.split_once(" (--device ")?;
            let (_, what) = rest.split_once("): ")?;
            Some(format!("network{field}: {what}"))
        });
        let about: Vec<_> = about.collect();
        assert_eq!(about, Vec::from_iter(wanted), "{keys}");
    }
    let mut builder = Builder::new();
    builder.bootloader("linux,kernel=Image");
    builder.device("virtio-net,vmnet=shared,subnet=10.0.0.0/8").device("virtio-net,vmnet=host,subnet=10.9.0.0/16");
    let messages = messages_of(&builder.finish(), Engine::Soft).join("\n");
    assert!(messages.contains("network[1].subnet (--device"), "{messages}");
    assert!(messages.contains("10.9.0.0/16 and that of network[0] have addresses in common"), "{messages}");
    let refused =
        "the engine `soft` cannot do networks of macOS yet: remove it, or use the engine `vz` on a Mac, which can";
    assert_eq!(messages.matches(refused).count(), 2, "{messages}");
}

#[test]
fn a_mac_as_vfkit_describes_it() {
    let mut builder = Builder::new();
    builder.bootloader("macos,machineIdentifierPath=a,hardwareModelPath=b,auxImagePath=c");
    let machine = builder.finish().machine.unwrap();
    let mac = MacPlatform { machine_identifier: "a".into(), hardware_model: "b".into(), auxiliary_storage: "c".into() };
    assert_eq!(machine.platform, Platform::Mac(mac));
}

#[test]
fn arguments_add_to_a_file_and_replace_plain_fields() {
    let mut builder = Builder::new();
    builder.toml(&format!("cpus = 2\n{KERNEL}[[storage]]\nkind = \"virtio-blk\"\npath = \"disk.img\"\n"));
    builder.set("cpus", "3", "--cpus").device("virtio-blk,path=two.img");
    let machine = builder.finish().machine.unwrap();
    assert_eq!(machine.cpus, 3);
    assert_eq!(machine.storage, [Storage::image("disk.img"), Storage::image("two.img")]);
}

#[test]
fn paths_of_a_file_are_relative_to_it() {
    let mut builder = Builder::new();
    builder.toml(&format!("{KERNEL}initrd = \"~/initrd\"\n[[storage]]\nkind = \"virtio-blk\"\npath = \"/abs.img\"\n"));
    builder.device("virtio-blk,path=disk.img").device("virtio-blk,path=~/disk.img");
    let mut parsed = builder.finish();
    parsed.resolve_paths(Path::new("/base"), Some(Path::new("/home/me")));
    let machine = parsed.machine.unwrap();
    let BootLoader::Linux(linux) = &machine.bootloader else { panic!("{machine:?}") };
    assert_eq!(linux.kernel, Path::new("/base/Image"));
    assert_eq!(linux.initrd.as_deref(), Some(Path::new("/home/me/initrd")));
    let disks = ["/abs.img", "disk.img", "/home/me/disk.img"].map(Storage::image);
    assert_eq!(machine.storage, disks);
}

#[test]
fn thousands_of_wrong_keys_end_soon() {
    let text: String = (0..20_000).map(|index| format!("k{index} = 1\n")).collect();
    assert_eq!(toml(&text).len(), 100);
}

#[test]
fn the_example_shows_everything() {
    let machine = Machine::from_toml(EXAMPLE).unwrap_or_else(|problems| panic!("{problems:?}"));
    let missing: Vec<Problem> = machine
        .validate(Engine::Vz, &Host::new())
        .into_iter()
        .filter(|problem| !problem.what.contains("does not exist") && !problem.what.contains("that does not exist"))
        .collect();
    // What only our own board has.
    let ours = ["engine", "network[2].tap", "network[3].queues"];
    assert_eq!(missing.iter().map(|problem| problem.path.as_str()).collect::<Vec<_>>(), ours);
    // Every section of a machine is in it, by the keys of a machine that was written.
    let keys: Vec<String> = toml::Table::try_from(&machine).unwrap().keys().cloned().collect();
    let all = toml(&format!("nothing = 1\n{KERNEL}"))[0].clone();
    for key in all.split('`').skip(3).step_by(2) {
        assert!(keys.iter().any(|known| known == key), "`{key}` is not in the example");
    }
}
