//! The configurations: a name, and TOML.

pub(crate) const MACHINES: &[(&str, &str)] = &[
    (
        "linux",
        r#"
        cpus = 4
        memory = 2048
        balloon = { free-page-reporting = false }
        entropy = {}
        bootloader = { kind = "linux", kernel = "Image", initrd = "initrd", cmdline = "console=hvc0 root=/dev/vda1" }
        storage = [{ kind = "virtio-blk", path = "root.img" }, { kind = "virtio-blk", path = "b.img", readonly = true }]
        network = [{ nat = true, mac = "52:54:00:12:34:56" }]
        serial = [{ stdio = true }]
        "#,
    ),
    ("linux-and-a-balloon-that-reports", "balloon = {}\nbootloader = { kind = \"linux\", kernel = \"Image\" }"),
    (
        "efi-desktop",
        r#"
        clipboard = true
        bootloader = { kind = "efi", variable-store = "variables", create = true }
        platform = { kind = "generic", machine-identifier = "id" }
        storage = [{ kind = "nvme", path = "root.img" }, { kind = "usb-mass-storage", path = "i.iso", readonly = true }]
        graphics = [{ width = 1920, height = 1080, resizable = true }]
        input = [{ kind = "usb-keyboard" }, { kind = "usb-pointing" }]
        sound = [{ output = true }]
        "#,
    ),
    (
        "usb-drives",
        r#"
        bootloader = { kind = "linux", kernel = "Image" }
        storage = [{ kind = "usb-mass-storage", path = "a.img" }, { kind = "usb-mass-storage", path = "b.img" }]
        "#,
    ),
    (
        "macos",
        r#"
        memory = 8192
        clipboard = true
        bootloader = { kind = "macos" }
        platform = { kind = "mac", machine-identifier = "id", hardware-model = "model", auxiliary-storage = "aux" }
        storage = [{ kind = "virtio-blk", path = "Disk.img" }]
        share = [{ automount = true, shared-dir = "/data" }]
        graphics = [{ kind = "mac-display", width = 2560, height = 1600, pixels-per-inch = 144, resizable = true }]
        input = [{ kind = "mac-keyboard" }, { kind = "mac-trackpad" }]
        sound = [{ input = true, output = true }]
        "#,
    ),
    (
        "macos-on-an-old-host",
        r#"
        memory = 8192
        bootloader = { kind = "macos" }
        platform = { kind = "mac", machine-identifier = "id", hardware-model = "model", auxiliary-storage = "aux" }
        storage = [{ kind = "virtio-blk", path = "Disk.img" }]
        graphics = [{ kind = "mac-display" }]
        input = [{ kind = "usb-keyboard" }, { kind = "usb-pointing" }]
        "#,
    ),
    (
        "macos-with-what-it-cannot-have",
        r#"
        memory = 8192
        nested = true
        bootloader = { kind = "macos" }
        platform = { kind = "mac", machine-identifier = "id", hardware-model = "model", auxiliary-storage = "aux" }
        storage = [{ kind = "nvme", path = "Disk.img" }]
        share = [{ kind = "rosetta", mount-tag = "rosetta" }]
        graphics = [{ kind = "virtio-gpu" }, { kind = "mac-display" }]
        "#,
    ),
    (
        "disk-modes",
        r#"
        bootloader = { kind = "linux", kernel = "Image" }
        storage = [
            { kind = "virtio-blk", path = "a.img", caching = "uncached", sync = "full", device-id = "a" },
            { kind = "virtio-blk", path = "b.img", caching = "automatic" },
            { kind = "virtio-blk", path = "c.img", sync = "none" },
        ]
        "#,
    ),
    (
        "disks-by-our-server",
        r#"
        bootloader = { kind = "linux", kernel = "Image" }
        storage = [
            { kind = "virtio-blk", path = "a.qcow2", backing-folder = "bases" },
            { kind = "virtio-blk", path = "b", format = "qcow2", sync = "none" },
            { kind = "nvme", path = "c.img", snapshot = true },
            { kind = "usb-mass-storage", path = "d.img", bps = 100000000 },
            { kind = "virtio-blk", path = "e.img", iops = 1000 },
        ]
        "#,
    ),
    (
        "disks-that-are-no-files",
        r#"
        bootloader = { kind = "linux", kernel = "Image" }
        storage = [
            { kind = "virtio-blk", path = "/dev/rdisk4", type = "dev" },
            { kind = "nbd", uri = "nbd://localhost/a", timeout = 3000, readonly = true },
            { kind = "nbd", uri = "nbd+unix:///b?socket=s", sync = "none" },
        ]
        "#,
    ),
    (
        "disks-with-what-they-cannot-have",
        r#"
        bootloader = { kind = "linux", kernel = "Image" }
        storage = [
            { kind = "nvme", path = "a.img", device-id = "a" },
            { kind = "virtio-blk", path = "b.img", backing-folder = "bases" },
            { kind = "virtio-blk", path = "/dev/rdisk4", type = "dev", caching = "uncached" },
            { kind = "nbd", uri = "nbd://localhost/a", caching = "automatic" },
        ]
        "#,
    ),
    (
        "networks",
        r#"
        bootloader = { kind = "linux", kernel = "Image" }
        network = [
            { nat = true },
            { nat = true, subnet = "192.168.70.0/24" },
            { nat = true, publish = ["8080:80"] },
            { nat = true, capture = "a.pcapng" },
            { shared = "lan" },
            { bridged = "en0" },
            { unix-socket-path = "net.sock" },
            { unix-socket-path = "passt.sock", type = "unixstream" },
            { unix-socket-path = "new.sock", type = "unixstream", listen = true },
            { unix-socket-path = "plain.sock", vfkit-magic = false, capture = "b.pcapng" },
            { fd = 3 },
            { fd = 4, capture = "c.pcapng" },
        ]
        "#,
    ),
    (
        "large-packets",
        r#"
        bootloader = { kind = "linux", kernel = "Image" }
        network = [{ nat = true, mtu = 9000 }, { shared = "lan", mtu = 4000 }, { fd = 3, mtu = 65535 }]
        "#,
    ),
    (
        "networks-of-macos",
        r#"
        bootloader = { kind = "linux", kernel = "Image" }
        network = [
            { vmnet = "shared" },
            { vmnet = "host", dhcp = false, dns = false, ipv6 = false },
            { vmnet = "shared", nat44 = false, nat66 = false, external-interface = "en0", mtu = 9000 },
            { vmnet = "shared", subnet = "192.168.70.0/24", ipv6-prefix = "fd00:1:2:3::/64" },
            { vmnet = "shared", subnet = "10.7.0.0/16", publish = ["0.0.0.0:8080-8081:80-81"], mac = "52:54:00:12:34:56" },
            { vmnet = "shared", subnet = "10.8.0.0/16", publish = ["0.0.0.0:53:53/udp"], address = "10.8.1.2", dhcp = false },
            { vmnet = "host", subnet = "10.9.0.0/16", address = "10.9.1.2", mac = "52:54:00:12:34:57" },
        ]
        "#,
    ),
    (
        "networks-of-macos-with-what-they-cannot-have",
        r#"
        bootloader = { kind = "linux", kernel = "Image" }
        network = [
            { vmnet = "shared", queues = 2, capture = "a.pcapng" },
            { vmnet = "host", subnet = "10.9.0.0/16", address = "10.9.1.2" },
        ]
        "#,
    ),
    (
        "networks-with-what-they-cannot-have",
        r#"
        bootloader = { kind = "linux", kernel = "Image" }
        network = [
            { tap = "tap0" },
            { tap-fd = 4 },
            { nat = true, queues = 2 },
            { nat = true, mtu = 1280 },
            { bridged = "en7", mtu = 9000, capture = "b.pcapng" },
        ]
        "#,
    ),
    (
        "ports",
        r#"
        bootloader = { kind = "linux", kernel = "Image" }
        serial = [
            { pty = true },
            { log-file-path = "boot.log", append = true },
            { socket = "console.sock" },
        ]
        vsock = [
            { port = 1024, socket-url = "calls.sock", listen = true },
            { port = 22, socket-url = "ssh.sock", connect = true },
        ]
        "#,
    ),
    (
        "named-ports",
        r#"
        bootloader = { kind = "linux", kernel = "Image" }
        serial = [{ stdio = true }, { socket = "a.sock", name = "org.a" }, { log-file-path = "b.log", name = "org.b" }]
        "#,
    ),
    (
        "shares",
        r#"
        bootloader = { kind = "linux", kernel = "Image" }
        share = [
            { mount-tag = "one", shared-dir = "/data", readonly = true },
            { mount-tag = "two", directories = { a = { path = "/a" }, b = { path = "/b", readonly = true } } },
            { automount = true, shared-dir = "/c" },
            { mount-tag = "later", empty = true },
        ]
        "#,
    ),
    (
        "rosetta",
        r#"
        bootloader = { kind = "linux", kernel = "Image" }
        share = [{ kind = "rosetta", mount-tag = "rosetta" }]
        "#,
    ),
    (
        "rosetta-with-caches",
        r#"
        bootloader = { kind = "linux", kernel = "Image" }
        share = [
            { kind = "rosetta", mount-tag = "one", cache-socket = "/run/rosettad/rosetta.sock" },
            { kind = "rosetta", mount-tag = "two", cache-abstract-socket = "rosettad" },
        ]
        "#,
    ),
    (
        "nested",
        r#"
        nested = true
        bootloader = { kind = "linux", kernel = "Image" }
        "#,
    ),
    (
        "boards-of-ours-only",
        r#"
        cpus = 99
        memory = 1
        bootloader = { kind = "efi", variable-store = "variables", firmware = "code.fd" }
        serial = [{ kind = "pl011", stdio = true }]
        input = [{ kind = "virtio-input", keyboard = true }, { kind = "virtio-input", pointing = true }]
        "#,
    ),
];
