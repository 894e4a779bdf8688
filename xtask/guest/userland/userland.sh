# Programs of Debian, one after the other. `only` names those that are wanted.
. /tmp/only
cd /tmp || exit

wanted() {
  case " $only " in *" $1 "*) true ;; *) false ;; esac
}

# The same on both emulators, since they have the same root file system.
cat /usr/lib/python3.*/*.py >once
cat once once once >text
cat text text text text text text >long

# Each program has run once before it is timed: neither the disk nor the loader is what is measured.
if wanted gzip; then
  gzip -c init.sh >/dev/null
  ./timed gzip /bin/gzip -6 -n -c text || exit
fi
if wanted sha256sum; then
  sha256sum init.sh >/dev/null
  ./timed sha256sum /usr/bin/sha256sum long || exit
fi
if wanted awk; then
  mawk -f words.awk init.sh >/dev/null
  ./timed awk /usr/bin/mawk -f words.awk text || exit
fi
if wanted python3; then
  python3 -S loops.py 1 >/dev/null
  ./timed python3 /usr/bin/python3 -S loops.py 9 || exit
fi
if wanted fork; then
  sh processes.sh 2 >/dev/null
  ./timed fork /bin/sh processes.sh 150 || exit
fi
