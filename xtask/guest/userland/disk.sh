# fio on the second disk. `only` has fio's rw, bs, iodepth and runtime of each work, with colons between them.
. /tmp/only
cd /tmp || exit

for work in $only; do
  old=$IFS
  IFS=:
  set -- $work
  IFS=$old
  echo "bench: start $work"
  fio --name=job --thread --filename=/dev/vdb --ioengine=libaio --direct=1 --time_based --randrepeat=1 \
    --rw="$1" --bs="$2" --iodepth="$3" --runtime="$4" --output-format=terse --terse-version=3 >said || exit
  # Fields of terse version 3 (fio(1)): KiB moved and milliseconds, of reads and of writes.
  IFS=';'
  set -- $(cat said)
  IFS=$old
  echo "bench: done $work kib=$(($6 + ${47})) ms=$(($9 + ${50}))"
done
