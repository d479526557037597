#!/usr/bin/env bash
# Instructions per transaction at the coordinator of two-phase commit, counted by callgrind (user mode only).
#
# Usage: benches/instructions_2pc.sh [PROTOCOL [CLIENTS]]
set -eu
cd "$(dirname "$0")/.."
rounds=40
cargo build --release -q -p anabranch-benches --bin ticks_2pc
bin=${CARGO_TARGET_DIR:-target}/release/ticks_2pc
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
for protocol in ${1:-two_pc_by_hand two_pc}; do
  for clients in ${2:-1 64 1024}; do
    valgrind --tool=callgrind --callgrind-out-file="$out/callgrind" --collect-atstart=no \
      --toggle-collect='ticks_2pc::coordinator*' "$bin" "$protocol" "$clients" "$rounds" > /dev/null 2> "$out/log"
    n=$(awk '/Collected :/ { print $4 }' "$out/log")
    [ -n "$n" ] && [ "$n" -gt 0 ] || { cat "$out/log" >&2; exit 1; }
    # A tenth of the rounds and one more are warm-up, and counted.
    echo "$protocol, $clients clients: $((n / (clients * (rounds + rounds / 10 + 1)))) instructions a transaction"
    [ -z "${KEEP:-}" ] || cp "$out/callgrind" "$KEEP"
  done
done
