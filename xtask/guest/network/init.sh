#!/bin/busybox sh
# The first process of a guest that sends to a server of the host, and receives from another.

fail() {
  echo "bench: failed to $1"
  /bin/busybox poweroff -f
}

export PATH=/usr/sbin:/usr/bin:/sbin:/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
modprobe -q virtio_pci
modprobe -q virtio_net

tries=0
until [ -e /sys/class/net/eth0 ] || [ $tries -ge 100 ]; do
  sleep 0.1
  tries=$((tries + 1))
done
ip link set eth0 up || fail "find a network card"
ip addr add 192.168.64.2/24 dev eth0 || fail "set its address"
. /bench/numbers

/bench/timed linux-up /bench/stream up "$up" "$mebibytes" || fail "send"
/bench/timed linux-down /bench/stream down "$down" "$mebibytes" || fail "receive all"
# With blocks of one KiB, as that is how busybox's nc reads and writes. The server hangs up when it has all.
/bench/timed nc-up /bin/sh -c "dd if=/dev/zero bs=64k count=$((few * 16)) 2>/dev/null | nc 192.168.64.1 $up" ||
  fail "send by nc"
# The checksum is of the count.
/bench/timed nc-down /bin/sh -c \
  "nc 192.168.64.1 $few_down </dev/null | dd of=/dev/null bs=64k 2>&1 | grep '^$((few << 20)) bytes' | cut -c 1-7" ||
  fail "receive all by nc"
echo "bench: end"
# Whoever listens still wants to look at the emulator's process.
sleep 0.2
poweroff -f
