#!/bin/sh
# What udhcpc calls when its lease changes; see udhcpc --help.
case $1 in
  deconfig)
    ip -4 addr flush dev "$interface"
    ip link set "$interface" up
    ;;
  bound | renew)
    ip -4 addr flush dev "$interface"
    ip addr add "$ip/${mask:-24}" dev "$interface"
    for gateway in $router; do
      ip route add default via "$gateway" dev "$interface" && break
    done
    {
      [ -n "$domain" ] && echo "search $domain"
      for server in $dns; do echo "nameserver $server"; done
    } >/etc/resolv.conf
    ;;
esac
