//! Whatever one form says, the others can: machines go through TOML and through arguments and come back the same.

use std::collections::BTreeMap;
use std::path::PathBuf;

use config::*;
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[a-z0-9/._-]{1,12}", 2 => r#"[ -~]{0,12}"#, 1 => any::<String>()]
}

fn path() -> impl Strategy<Value = PathBuf> {
    text().prop_map(PathBuf::from)
}

fn bootloader() -> impl Strategy<Value = BootLoader> {
    prop_oneof![
        (path(), of(path()), text()).prop_map(|(kernel, initrd, cmdline)| BootLoader::Linux(LinuxBoot {
            kernel,
            initrd,
            cmdline
        })),
        (path(), any::<bool>(), of(path())).prop_map(|(variable_store, create, firmware)| BootLoader::Efi(EfiBoot {
            variable_store,
            create,
            firmware
        })),
        Just(BootLoader::Macos(MacosBoot {})),
    ]
}

fn platform() -> impl Strategy<Value = Platform> {
    prop_oneof![
        of(path()).prop_map(|machine_identifier| Platform::Generic(GenericPlatform { machine_identifier })),
        (path(), path(), path()).prop_map(|(machine_identifier, hardware_model, auxiliary_storage)| Platform::Mac(
            MacPlatform { machine_identifier, hardware_model, auxiliary_storage }
        )),
    ]
}

fn storage() -> impl Strategy<Value = Storage> {
    use proptest::sample::select;
    let attachment = prop_oneof![
        (
            path(),
            of(select(vec![ImageFormat::Raw, ImageFormat::Qcow2, ImageFormat::Vmdk, ImageFormat::Vhdx])),
            of(path())
        )
            .prop_map(|(path, format, backing_folder)| DiskAttachment::Image { path, format, backing_folder }),
        path().prop_map(|path| DiskAttachment::BlockDevice { path }),
        (text(), of(0..=i64::MAX as u64)).prop_map(|(uri, timeout)| DiskAttachment::Nbd { uri, timeout }),
    ];
    (
        select(vec![StorageDevice::VirtioBlk, StorageDevice::Nvme, StorageDevice::UsbMassStorage]),
        attachment,
        (any::<bool>(), any::<bool>(), of(0..=i64::MAX as u64), of(0..=i64::MAX as u64)),
        select(vec![Caching::Cached, Caching::Uncached, Caching::Automatic]),
        select(vec![Sync::Full, Sync::Fsync, Sync::None]),
        of(text()),
    )
        .prop_map(|(device, attachment, (read_only, snapshot, bps, iops), caching, sync, device_id)| Storage {
            device,
            attachment,
            read_only,
            snapshot,
            caching,
            sync,
            device_id,
            bps,
            iops,
        })
}

fn nat() -> impl Strategy<Value = Nat> {
    use proptest::collection::vec;
    let destination = || {
        (any::<std::net::IpAddr>(), 0..=32u8, of((1..=9u16, 9..=u16::MAX)))
            .prop_map(|(address, prefix, ports)| Destination { address, prefix, ports })
    };
    let host = prop_oneof![
        (any::<std::net::IpAddr>(), 1..1000u16).prop_map(|(address, port)| PublishHost::Tcp(address, port)),
        (any::<std::net::IpAddr>(), 1..1000u16).prop_map(|(address, port)| PublishHost::Udp(address, port)),
    ];
    let publish = prop_oneof![
        (host, 1..1000u16, 1..1000u16).prop_map(|(host, guest_port, count)| Publish { host, guest_port, count }),
        ("/[a-z0-9/:.]{1,12}", 1..=u16::MAX).prop_map(|(path, guest_port)| {
            let host = PublishHost::Unix(PathBuf::from(path));
            Publish { host, guest_port, count: 1 }
        }),
    ];
    let subnet =
        (1..=126u8, any::<u8>()).prop_map(|(a, b)| Subnet { address: std::net::Ipv4Addr::new(a, b, 0, 0), prefix: 16 });
    let lists = (vec(destination(), 0..3), vec(destination(), 0..3), vec(publish, 0..3));
    (of(subnet), any::<bool>(), any::<bool>(), lists, of(text())).prop_map(
        |(subnet, ipv6, host_access, (allow, deny, publish), hostname)| Nat {
            subnet,
            ipv6,
            host_access,
            allow,
            deny,
            publish,
            hostname,
        },
    )
}

fn vmnet() -> impl Strategy<Value = Vmnet> {
    use proptest::collection::vec;
    let subnet =
        any::<u8>().prop_map(|third| Subnet { address: std::net::Ipv4Addr::new(192, 168, third, 0), prefix: 24 });
    let prefix = any::<u16>().prop_map(|id| Ipv6Prefix(std::net::Ipv6Addr::new(0xfd00, 1, 2, id, 0, 0, 0, 0)));
    let any_address = std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);
    let publish = (1..1000u16, 1..1000u16, 1..1000u16).prop_map(move |(port, guest_port, count)| Publish {
        host: PublishHost::Tcp(any_address, port),
        guest_port,
        count,
    });
    let addresses = (of(subnet), of(any::<std::net::Ipv4Addr>()), of(prefix), of(text()), vec(publish, 0..3));
    (any::<bool>(), addresses, any::<[bool; 5]>()).prop_map(
        |(host, (subnet, address, ipv6_prefix, external_interface, publish), [dhcp, dns, nat44, nat66, ipv6])| Vmnet {
            mode: if host { VmnetMode::Host } else { VmnetMode::Shared },
            subnet,
            address,
            ipv6_prefix,
            external_interface,
            publish,
            dhcp,
            dns,
            nat44,
            nat66,
            ipv6,
        },
    )
}

fn network() -> impl Strategy<Value = Network> {
    let attachment = prop_oneof![
        nat().prop_map(NetworkAttachment::Nat),
        text().prop_map(|interface| NetworkAttachment::Bridged { interface }),
        (path(), any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(path, stream, vfkit_magic, listen)| {
            let kind = if stream { SocketType::Unixstream } else { SocketType::Unixgram };
            NetworkAttachment::UnixSocket { path, kind, vfkit_magic, listen: listen && stream }
        }),
        any::<u32>().prop_map(NetworkAttachment::Fd),
        text().prop_map(|interface| NetworkAttachment::Tap { interface }),
        any::<u32>().prop_map(NetworkAttachment::TapFd),
        text().prop_map(|name| NetworkAttachment::Shared { name }),
        vmnet().prop_map(NetworkAttachment::Vmnet),
    ];
    let capture = (path(), of(any::<u32>()), of(any::<u32>()));
    let capture = capture.prop_map(|(path, snap_len, limit)| Capture { path, snap_len, limit });
    (attachment, of(any::<[u8; 6]>()), of(any::<u16>()), of(any::<u16>()), of(capture)).prop_map(
        |(attachment, mac, mtu, queues, capture)| Network {
            attachment,
            mac: mac.map(MacAddress),
            mtu,
            queues,
            capture,
        },
    )
}

fn serial() -> impl Strategy<Value = Serial> {
    let attachment = prop_oneof![
        Just(SerialAttachment::Stdio),
        Just(SerialAttachment::Pty),
        (path(), any::<bool>()).prop_map(|(path, append)| SerialAttachment::File { path, append }),
        path().prop_map(|path| SerialAttachment::Socket { path }),
    ];
    (attachment, of(text()), any::<bool>()).prop_map(|(attachment, name, pl011)| match pl011 {
        true => Serial { device: SerialDevice::Pl011, attachment, name: None },
        false => Serial { device: SerialDevice::VirtioSerial, attachment, name },
    })
}

fn vsock() -> impl Strategy<Value = Vsock> {
    (any::<u32>(), path(), any::<bool>()).prop_map(|(port, socket, connect)| Vsock {
        port,
        socket,
        direction: if connect { VsockDirection::Connect } else { VsockDirection::Listen },
    })
}

fn share() -> impl Strategy<Value = Share> {
    let directory = || (path(), any::<bool>()).prop_map(|(path, read_only)| SharedDirectory { path, read_only });
    let several = |map: BTreeMap<String, SharedDirectory>| ShareSource::Multiple(map);
    let source = prop_oneof![
        directory().prop_map(ShareSource::Single),
        btree_map(text(), directory(), 0..3).prop_map(several),
        (any::<bool>(), any::<bool>(), of(cache())).prop_map(|(install, ignore_if_missing, cache)| {
            ShareSource::Rosetta { install, ignore_if_missing, cache }
        }),
    ];
    (prop_oneof![text(), Just(AUTOMOUNT_TAG.to_owned())], source).prop_map(|(tag, source)| Share { tag, source })
}

fn cache() -> impl Strategy<Value = RosettaCache> {
    prop_oneof![text().prop_map(RosettaCache::UnixSocket), text().prop_map(RosettaCache::AbstractSocket)]
}

fn graphics() -> impl Strategy<Value = Graphics> {
    (any::<bool>(), any::<u32>(), any::<u32>(), of(any::<u32>()), any::<bool>()).prop_map(
        |(mac, width, height, pixels_per_inch, resizable)| Graphics {
            kind: if mac { GraphicsDevice::MacDisplay } else { GraphicsDevice::VirtioGpu },
            width,
            height,
            pixels_per_inch,
            resizable,
        },
    )
}

fn input() -> impl Strategy<Value = Input> {
    proptest::sample::select(vec![
        Input::UsbKeyboard,
        Input::MacKeyboard,
        Input::VirtioKeyboard,
        Input::UsbPointing,
        Input::MacTrackpad,
        Input::VirtioPointing,
    ])
}

fn sound() -> impl Strategy<Value = Sound> {
    proptest::sample::select(vec![(true, false), (false, true), (true, true)])
        .prop_map(|(input, output)| Sound { input, output })
}

prop_compose! {
    fn machine()(
        (engine, cpus, memory, nested, clipboard) in
            (of(proptest::sample::select(Engine::ALL.to_vec())), any::<u32>(), 0..=i64::MAX as u64, any::<bool>(), any::<bool>()),
        bootloader in bootloader(),
        platform in platform(),
        entropy in of(Just(Entropy {})),
        balloon in of(any::<bool>().prop_map(|free_page_reporting| Balloon { free_page_reporting })),
        storage in vec(storage(), 0..4),
        network in vec(network(), 0..3),
        serial in vec(serial(), 0..3),
        vsock in vec(vsock(), 0..3),
        share in vec(share(), 0..3),
        (graphics, input, sound) in (vec(graphics(), 0..2), vec(input(), 0..3), vec(sound(), 0..2)),
    ) -> Machine {
        Machine {
            engine, cpus, memory, nested, clipboard, bootloader, platform, entropy, balloon, storage, network, serial,
            vsock, share, graphics, input, sound,
        }
    }
}

/// Reads arguments as the command does.
fn read_args(args: &[String]) -> Parsed {
    let mut builder = Builder::new();
    let mut args = args.iter();
    while let Some(flag) = args.next() {
        match flag.as_str() {
            "--device" => builder.device(args.next().unwrap()),
            "--bootloader" => builder.bootloader(args.next().unwrap()),
            "--platform" => builder.platform(args.next().unwrap()),
            "--nested" | "--clipboard" => builder.set(&flag[2..], "true", flag),
            _ => builder.set(&flag[2..], args.next().unwrap(), flag),
        };
    }
    builder.finish()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn toml_and_arguments_say_the_same(machine in machine()) {
        let toml = machine.to_toml().unwrap();
        prop_assert_eq!(Machine::from_toml(&toml), Ok(machine.clone()), "{}", toml);
        let args = machine.to_args().unwrap();
        let parsed = read_args(&args);
        prop_assert_eq!(&parsed.problems, &vec![], "{:?}", &args);
        prop_assert_eq!(parsed.machine.as_ref(), Some(&machine), "{:?}", &args);
        let mut builder = Builder::new();
        builder.toml(&toml);
        prop_assert_eq!(builder.finish().machine.unwrap().to_args().unwrap(), args);
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in any::<String>(), args in vec(r#"[a-z",.=\\-]{0,30}"#, 0..3)) {
        let mut builder = Builder::new();
        builder.toml(&text);
        for arg in &args {
            builder.device(arg).bootloader(arg).platform(arg).device(&format!("virtio-blk,{arg}"));
        }
        let _ = builder.finish();
    }
}
