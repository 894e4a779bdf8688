# Runs a command so many times at once, and prints what all of them print, in order: parallel.sh TIMES COMMAND
i=0
while [ $i -lt "$1" ]; do
  $2 >"out$i" &
  i=$((i + 1))
done
wait
i=0
while [ $i -lt "$1" ]; do
  sha256sum <"out$i"
  i=$((i + 1))
done
