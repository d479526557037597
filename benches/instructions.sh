#!/usr/bin/env bash
# Instructions per tick of 100 votes at growing table sizes, counted by callgrind (user mode only).
#
# Usage: benches/instructions.sh [NAME [ROWS…]]      NAME is a counter of the binary `votes`.
# Ten million rows take some minutes, since the table is filled under callgrind too.
set -eu
cd "$(dirname "$0")/.."
name=${1:-by hand, kept}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- 1000 10000 100000 1000000 10000000
ticks=1000
cargo build --release -q -p anabranch-benches --bin votes
votes=${CARGO_TARGET_DIR:-target}/release/votes
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
printf '%-28s %10s %14s\n' counter rows instructions/tick
for rows in "$@"; do
  valgrind --tool=callgrind --callgrind-out-file="$out/callgrind" --collect-atstart=no \
    --toggle-collect='votes::measured*' "$votes" ticks "$name" "$rows" "$ticks" 2> "$out/log"
  n=$(awk '/Collected :/ { print $4 }' "$out/log")
  [ -n "$n" ] && [ "$n" -gt 0 ] || { cat "$out/log" >&2; exit 1; }
  printf '%-28s %10d %14d\n' "$name" "$rows" $((n / ticks))
done
