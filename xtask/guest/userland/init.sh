#!/bin/busybox sh
# The first process of a guest that runs a script of works in Debian's root file system, which it only reads.

fail() {
  echo "bench: failed to $1"
  /bin/busybox poweroff -f
}

export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t devtmpfs devtmpfs /dev
modprobe -q virtio_pci
modprobe -q virtio_blk

tries=0
until [ -b /dev/vda ] || [ $tries -ge 100 ]; do
  sleep 0.1
  tries=$((tries + 1))
done
mount -t ext4 -o ro,noload /dev/vda /mnt || fail "mount the root file system"
mount -t proc proc /mnt/proc
mount --bind /dev /mnt/dev
mount -t tmpfs tmpfs /mnt/tmp
cp /bench/* /mnt/tmp || fail "copy the works"
chroot /mnt /bin/sh /tmp/works.sh || fail "run all works"
echo "bench: end"
# Whoever listens still wants to look at the emulator's process.
sleep 0.2
poweroff -f
