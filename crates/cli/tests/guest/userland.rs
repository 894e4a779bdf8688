//! Programs of Debian give the same output on our CPU as on QEMU's, byte by byte.

use std::path::Path;
use std::process::Command;

use crate::machine::{CMDLINE, Machine, debian, guest};

/// Where the longer test finds the root file system that `cargo xtask guest-test` makes.
const ROOT: &str = "RUSSET_TEST_ROOT";

/// The same guest, with the same disk, under QEMU.
fn qemu(disk: Option<&Path>) -> Command {
    let guest = guest(None);
    let mut command = Command::new("qemu-system-aarch64");
    command.args(["-M", "virt,gic-version=3", "-cpu", "cortex-a57", "-m", "512", "-nodefaults", "-display", "none"]);
    command.args(["-no-reboot", "-serial", "stdio", "-nic", "none"]);
    command.arg("-kernel").arg(guest.kernel).arg("-initrd").arg(guest.initrd);
    command.args(["-append", &CMDLINE.replace("hvc0", "ttyAMA0")]);
    if let Some(disk) = disk {
        let drive = format!("file={},if=none,format=raw,id=disk,snapshot=on", disk.display());
        command.args(["-drive", &drive, "-device", "virtio-blk-pci,drive=disk,romfile="]);
    }
    command
}

/// Runs each command in both machines, which have to print the same.
fn compare(mut ours: Machine, mut theirs: Machine, commands: &[&str]) {
    for command in commands {
        let (here, there) = (ours.status_of(command), theirs.status_of(command));
        assert_eq!(here, there, "{command}");
        assert_eq!(here.1, 0, "{command}: {}", here.0);
        assert!(!here.0.is_empty(), "{command}: no output");
    }
    ours.leave();
    theirs.leave();
}

#[test]
fn busybox_prints_what_it_prints_on_qemu() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Machine::shell(&mut debian(folder.path(), &["-p", "2"]));
    let theirs = Machine::shell(&mut qemu(None));
    compare(
        ours,
        theirs,
        &[
            "for sum in md5sum sha1sum sha256sum sha512sum sha3sum crc32; do $sum /bin/busybox; done",
            "head -c 300000 /bin/busybox | hexdump -C | gzip -9 | sha256sum; gzip -1 </bin/busybox | sha256sum; gzip </bin/busybox | zcat | md5sum",
            "awk 'BEGIN { for (i = 1; i < 3000; i++) printf \"%.17g %.17g %.17g %.17g\\n\", sin(i), exp(i / 7), log(i), \
             i ^ 0.3 }' | tee /tmp/floats | sha256sum; tail -n 3 /tmp/floats",
            "echo '2^2000 % 1000003; scale=60; 1/7; sqrt(2)' | bc",
            "head -c 300000 /bin/busybox | hexdump -C | sort -r | uniq | sed 's/7/seven/g' | tr a-z A-Z | md5sum",
            "grep -o 'Features.*' /proc/cpuinfo | head -c 20",
        ],
    );
}

const PERL: &str = "perl -e 'my $x = 12345; my $s = 0; for (1..300000) { $x = ($x * 1103515245 + 12345) % 2147483648; \
    $s += sqrt($x) * sin($_); } printf \"%.17g %s\\n\", $s, join q(,), map { sprintf q(%a), $_ / 3 } 1..9; my %h; \
    $h{$_ % 1009} .= $_ for 1..100000; my $t = join q( ), map { length $h{$_} } sort keys %h; \
    $t =~ s/(\\d)(\\d)/$2$1/g; print unpack(q(%32C*), $t), qq(\\n); printf q(%vd), $^V'";

const PYTHON: &str = "python3 -c 'import math, hashlib, random, zlib, struct; r = random.Random(7); \
    xs = [r.gauss(0, 1) for _ in range(30000)]; print(repr(sum(xs)), repr(math.fsum(xs))); \
    print(hashlib.sha256(hex(3**20000).encode()).hexdigest()); \
    print([repr(f(x / 10)) for x in range(1, 9) for f in (math.gamma, math.erf, math.tan, math.exp, math.atanh)]); \
    d = bytes(r.randrange(256) for _ in range(100000)); print(zlib.crc32(d), zlib.adler32(d), \
    hashlib.md5(zlib.compress(d + d, 9)).hexdigest()); print(sorted(d)[::5000], struct.pack(\"<ffd\", *xs[:3]).hex())'";

/// Debian's perl, python3, openssl and gzip on an ext4 disk.
#[test]
#[ignore = "takes minutes; `cargo xtask guest-test` runs it"]
#[expect(clippy::print_stderr, reason = "speeds are for readers")]
fn debian_programs_print_what_they_print_on_qemu() {
    let root = std::env::var_os(ROOT).expect("`cargo xtask guest-test` says where the root file system is");
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("root.img");
    assert!(Command::new("cp").arg("--sparse=always").arg(&root).arg(&disk).status().unwrap().success());
    let mut theirs = Machine::shell(&mut qemu(Some(&disk)));
    let mut ours = Machine::shell(&mut debian(folder.path(), &["-d", "root.img", "-p", "2"]));
    let mount = "mkdir -p /tmp/root && mount -t ext4 /dev/vda /tmp/root && mount --bind /proc /tmp/root/proc && \
                 mount --bind /dev /tmp/root/dev && mount -t tmpfs tmpfs /tmp/root/tmp";
    for machine in [&mut ours, &mut theirs] {
        machine.sh(mount);
        // From here on in Debian's own shell.
        machine.type_in("exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C chroot /tmp/root /bin/sh\n");
        machine.type_in("while read -r l; do eval \"$l\"; echo \"[exit\"\" $?]\"; done\n");
        machine.sh("test -x /usr/bin/dpkg");
    }
    // Speeds differ, of course; that it runs is all that can be said.
    let (speed, status) = ours.status_of("openssl speed -seconds 1 sha256 2>&1");
    assert!(status == 0 && speed.contains("sha256"), "{speed}");
    eprintln!("{speed}");
    let data = "perl -e 'my $x = 1; for (1..100000) { $x = ($x * 69069 + 1) % 4294967296; print pack(q(N), $x) }' >/tmp/data; \
                cat /usr/bin/perl >>/tmp/data; wc -c </tmp/data";
    let digests = "for d in md5 sha1 sha224 sha256 sha384 sha512 sha512-256 sha3-256 sha3-512 shake128 blake2b512 \
                   blake2s256 ripemd160 sm3; do openssl dgst -$d /tmp/data; done; sha256sum /tmp/data; cksum /tmp/data";
    let ciphers = "for c in aes-128-cbc aes-256-ctr aes-192-ecb aes-128-ofb chacha20 camellia-128-cbc aria-128-ctr \
                   sm4-cbc; do echo $c; head -c 1000001 /tmp/data | openssl enc -$c -K 00112233445566778899aabbccddeeff \
                   -iv 0123456789abcdef0123456789abcdef 2>/dev/null | md5sum; done";
    let gzip = "for n in 1 6 9; do gzip -nc$n /tmp/data | tee /tmp/data.gz | sha256sum; gzip -dc /tmp/data.gz | cmp - \
                /tmp/data && echo same; done";
    let numbers = "openssl prime -generate -bits 8 >/dev/null; openssl prime 170141183460469231731687303715884105727; \
                   openssl prime 170141183460469231731687303715884105729; \
                   openssl enc -aes-256-cbc -pbkdf2 -iter 20000 -k russet -S 0102030405060708 </etc/debian_version | md5sum";
    let text = "sort /usr/share/dict/words /usr/lib/aarch64-linux-gnu/perl-base/*.pm 2>/dev/null | sed -E 's/(a+)(b*)/\\2\\1/g' \
                | sha256sum; awk 'BEGIN { for (i = 1; i < 20000; i++) s += atan2(i, i * i) * log(i); printf \"%.17g\\n\", s }'";
    compare(ours, theirs, &[data, digests, ciphers, gzip, numbers, text, PERL, PYTHON, "dpkg-query -W | md5sum"]);
}
