#!/bin/busybox sh
# The first process of the guest of `russet run debian`. On the kernel's command line:
#   root=/dev/vda1 | UUID=... | LABEL=...   go on in that file system instead of a shell here
#   rootfstype=, rootflags=, ro, rw, init=  as the kernel understands them

export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=${TERM:-linux}
cd /
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /run
hostname debian

# Load the transports, then what drives the devices found behind them.
modprobe -q virtio_pci
[ -d /sys/bus/platform/devices ] && grep -qs '^of:.*virtio,mmio' /sys/bus/platform/devices/*/modalias && modprobe -q virtio_mmio
for device in /sys/bus/virtio/devices/*/modalias; do
  [ -r "$device" ] && modprobe -q "$(cat "$device")"
done

# A virtio console registers some time after its driver has been loaded; before that there may be none to open. It is opened
# once and stays open: when the last who has it open closes it, Linux throws away what was typed so far.
tries=0
until command exec 3<>/dev/console || [ $tries -ge 100 ]; do
  sleep 0.1
  tries=$((tries + 1))
done 2>/dev/null
[ $tries -lt 100 ] && exec <&3 >&3 2>&3 3>&-

root= fstype= flags= mode=ro init=/sbin/init
for word in $(cat /proc/cmdline); do
  case $word in
    root=*) root=${word#root=} ;;
    rootfstype=*) fstype=${word#rootfstype=} ;;
    rootflags=*) flags=,${word#rootflags=} ;;
    ro | rw) mode=$word ;;
    init=*) init=${word#init=} ;;
  esac
done

if [ -n "$root" ]; then
  tries=0
  while :; do
    case $root in
      UUID=* | LABEL=*) device=$(findfs "$root" 2>/dev/null) ;;
      *) device=$root ;;
    esac
    [ -b "$device" ] && break
    [ $tries -ge 100 ] && break
    sleep 0.1
    tries=$((tries + 1))
  done
  if mount ${fstype:+-t "$fstype"} -o "$mode$flags" "$device" /mnt; then
    mount --move /dev /mnt/dev
    mount --move /proc /mnt/proc
    mount --move /sys /mnt/sys
    mount --move /run /mnt/run
    exec switch_root /mnt "$init"
  fi
  echo "init: root=$root could not be mounted; here is a shell instead."
fi

ip link set lo up
if [ -e /sys/class/net/eth0 ]; then
  ip link set eth0 up
  udhcpc -i eth0 -b -s /etc/udhcpc/default.script >/run/udhcpc.log 2>&1 &
fi

echo
echo "Linux $(uname -r) on $(nproc) CPU(s), a shell of busybox. \`exit\` or \`poweroff -f\` powers off."
setsid cttyhack sh -l
sync
poweroff -f
