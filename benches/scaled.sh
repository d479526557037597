#!/usr/bin/env bash
# Every base program against what the rewriter made of it, over loopback TCP: throughput that the busiest node allows
# (1 / its CPU time per operation), scaled over base, in the same run, where the busiest nodes see similar batches; and
# the CPU time of all nodes together.
#
# Usage: benches/scaled.sh [NAME …]      (all if none is named)
# DURATION (seconds a measurement, 2), ROUNDS (3), CLIENTS (64) and ANABRANCH (the command) may be set.
#
# Sizes: one leader and three of what it asks, as published; one replica where replicas are partitioned, in three
# partitions; five partitions for whole protocols. Replicas of MultiPaxos keep 500 slots for laggards, in base and scaled
# form alike, and not 10,000 as by default: here three of them share two caches with twenty-four other nodes, and what
# falls out of the cache would be measured. KEEP says another number.
set -eu
cd "$(dirname "$0")/.."
if [ -z "${ANABRANCH:-}" ]; then
  cargo build --release -q --bin anabranch
  ANABRANCH=${CARGO_TARGET_DIR:-target}/release/anabranch
fi
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# name, goal by the busiest node, partitions; where sizes are not the default: params, roles, those that the scaled
# form partitions with /P
all="independent   1.5 1
functional    1.5 1
monotone      1.5 1
state_machine 1.5 1
cohash        1.5 3 leader=1 replica=1/P
dependencies  1.5 3 leader=1 replica=1/P
partial       1.5 3 leader=1 replica=1/P
voting        2   5
two_pc        5   5
multi_paxos   3   5 keep:${KEEP:-500} proposer=1 acceptor=3/P replica=3 proxy=/P"

deployment() { # PROTOCOL PARTITIONS SIZES…: a file; without partitions that of the base
  local file=$out/$1.toml partitions=$2 size role instances
  printf 'protocol = "%s"\ndurability = "off"\n' "$1" > "$file"
  shift 2
  for size in "$@"; do
    case $size in
    *:*) printf '\n[params]\n%s = %s\n' "${size%:*}" "${size#*:}" >> "$file" ;;
    *)
      role=${size%=*}
      instances=${size#*=}
      instances=${instances%/P}
      [ -n "$instances$partitions" ] || continue # a part, of which the base has none
      printf '\n[roles.%s]\n' "$role" >> "$file"
      [ -z "$instances" ] || printf 'instances = %s\n' "$instances" >> "$file"
      case $size in */P) [ -z "$partitions" ] || printf 'partitions = %s\n' "$partitions" >> "$file" ;; esac
      ;;
    esac
  done
  echo "$file"
}

while read -r name goal partitions sizes; do
  [ $# = 0 ] || case " $* " in *" $name "*) ;; *) continue ;; esac
  args=(--partitions "$partitions")
  if [ -n "$sizes" ]; then
    # shellcheck disable=SC2086
    args+=(--deployment "$(deployment "$name" "" $sizes)" --deployment "$(deployment "${name}_scaled" "$partitions" $sizes)")
  fi
  "$ANABRANCH" bench "$name" "${name}_scaled" "${args[@]}" --clients "${CLIENTS:-64}" \
    --duration "${DURATION:-2}" --rounds "${ROUNDS:-3}" > "$out/$name.txt" 2> "$out/$name.log" || {
    cat "$out/$name.log" >&2
    exit 1
  }
  sed -n '/at similar batches/,$p' "$out/$name.txt"
  awk -v name="$name" -v goal="$goal" -v n="$partitions" '
    /at similar batches/ { on = 1 }
    on && $1 == name { batch = $(NF - 1); busiest = $5 }
    on && $1 == name "_scaled" { scaled = $(NF - 1); now = $5 }
    on && $1 == "ratio" { gsub("×", ""); printf "%-14s %4s %10.2f %6s %12.2f   %s %s → %s %s\n", name, n, $3, goal, $4, busiest, batch, now, scaled; on = 0 }
  ' "$out/$name.txt" >> "$out/summary"
done <<< "$all"

printf '%-14s %4s %10s %6s %12s   %s\n' base 'of n' 'busiest ×' goal 'all CPU ×' 'busiest role and its batch'
cat "$out/summary"
