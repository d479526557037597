//! Partitioning.

use super::Forced::{Differs, Same, Unbuilt};
use super::How::{Cohash, Partial, Routed};
use super::{Entry, asks};

/// Four keys, one after the other: some lie in different partitions.
const FOUR: super::Small = asks(&[&[("a", 1), ("a", 2), ("a", 3), ("b", 4)]]);
const A: super::Small = asks(&[&[("a", 1)]]);
const A_B: super::Small = asks(&[&[("a", 1), ("b", 1)]]);

pub(super) const ALL: &[Entry] = &[
    Entry {
        item: "cohash.agree",
        rules: "table t(k: u64); t(k) <= a(_, k); reply a(r, 0) <~ a(r, _); event hit(r: Req, k: u64); hit(r, k) <= b(r, k), !t(k);
            reply b(r, j) <~ hit(r, k), t(j), if j + 1 == k;",
        how: Cohash("k"),
        at: "t(j), if",
        forced: Differs(FOUR),
    },
    Entry {
        item: "cohash.head",
        rules: "table t(k: u64);\nt(k + 1) <= a(_, k); reply a(r, 0) <~ a(r, k), !old t(k); reply a(r, 1) <~ a(r, k), old t(k); reply b(r, 1) <~ b(r, k), t(k); reply b(r, 0) <~ b(r, k), !t(k);",
        how: Cohash("k"),
        at: "t(k + 1)",
        forced: Differs(asks(&[&[("a", 1), ("a", 2), ("a", 3), ("a", 4), ("a", 5), ("b", 2), ("b", 3), ("b", 4), ("b", 5)]])),
    },
    Entry {
        item: "cohash.group",
        rules: "table t(k: u64); t(k) <= a(_, k); reply a(r, 0) <~ a(r, _); event all(r: Req, n: u64); view n(count(k)) <= t(k);
            all(r, 1) <= b(r, k), t(k); reply b(r, x) <~ b(r, _), n(x);",
        how: Cohash("k"),
        at: "n(count(k))",
        forced: Differs(asks(&[&[("a", 1), ("a", 4), ("b", 1)]])),
    },
    Entry {
        item: "cohash.needs",
        rules: "table t(k: u64); t(k) <= a(_, k); var top(x: Max<u64>); top(k) <= a(_, k); reply a(r, 0) <~ a(r, k), !old t(k);
            reply b(r, x) <~ b(r, _), top(x);",
        how: Cohash("k"),
        at: "top(x)",
        forced: Differs(asks(&[&[("a", 1), ("b", 2), ("b", 3), ("b", 4)]])),
    },
    Entry {
        item: "cohash.timer",
        rules: "table t(r: Req, k: u64); t(r, k) <= a(r, k); t(r, k) <- t(r, k), b(_, k); timer pulse every 1s; reply a(r, 0) <~ a(r, k), if k > 9;
            ping(1) @ p <~ pulse(), peer(p); reply b(r, 0) <~ b(r, _);",
        how: Cohash("k"),
        at: "pulse",
        forced: Same(A_B, "cautious: nobody counts the pings"),
    },
    Entry {
        item: "cohash.same",
        rules: "table known(c: peer); known(c) <= peer(c); table t(k: u64); t(k) <= a(_, k); reply a(r, 0) <~ a(r, k), !old t(k);
            ping(1) @ p <~ new known(p); reply b(r, 0) <~ b(r, _);",
        how: Cohash("k"),
        at: "new known(p)",
        forced: Same(A_B, "cautious: nobody counts the pings"),
    },
    Entry {
        item: "cohash.machine",
        rules: "use crate::M; ||| table t(k: u64); t(k) <= a(_, k); reply a(r, 0) <~ a(r, k), !old t(k); reply b(r, 0) <~ b(r, _);
            machine m(slot: u64, v: u64) -> (done: u64) = M; m(k, k) <= a(_, k);",
        how: Cohash("k"),
        at: "m(slot: u64",
        forced: Unbuilt("machines are Rust types, which closed programs do not have"),
    },
    Entry {
        item: "cohash.value",
        rules: "table kv(h: u64 => v: u64); kv(1, k) <+ a(_, k); reply a(r, 0) <~ a(r, _); reply b(r, v) <~ b(r, h), kv(h, v);",
        how: Routed("kv", "v"),
        at: "kv(h: u64",
        forced: Differs(asks(&[&[("a", 1), ("a", 2), ("a", 3), ("b", 1), ("b", 1)]])),
    },
    Entry {
        item: "cohash.all",
        rules: "role counter; message hit(k: u64) to counter; request c(k: u64) -> (n: u64) at counter; at counter {
            var n(x: u64) = 0; n(x + 1) <+ hit(_), n(x); reply c(r, x) <~ c(r, _), n(x); } |||
            ping(k) @ p <~ a(_, k), peer(p);\nhit(k) @ c <~ pong(k), counter(c); reply a(r, 0) <~ a(r, _); reply b(r, 0) <~ b(r, _);",
        how: Routed("pong", "*"),
        at: "pong(k), counter(c)",
        forced: Differs(asks(&[&[("a", 1), ("c", 1)]])),
    },
    Entry {
        item: "cohash.start",
        rules: "table t(k: u64); t(k) <= a(_, k); reply a(r, 0) <~ a(r, k), !old t(k); ping(k) @ p <~ start(_), t(k), peer(p); reply b(r, 0) <~ b(r, _);",
        how: Cohash("k"),
        at: "start(_)",
        forced: Same(A_B, "cautious: nobody counts the pings"),
    },
    Entry {
        item: "cohash.clock",
        rules: "table t(k: u64); t(k) <= a(_, k); reply a(r, now_ms()) <~ a(r, k), !old t(k); reply b(r, 0) <~ b(r, _);",
        how: Cohash("k"),
        at: "reply a",
        forced: Same(A_B, "clocks stand still in this world"),
    },
    Entry {
        item: "cohash.ends",
        rules: "table t(k: u64, c: u64); t(k, 0) <= a(_, k);\nt(k, c + 1) <+ new t(k, c); reply a(r, 0) <~ a(r, _); reply b(r, c) <~ b(r, k), t(k, c);",
        how: Cohash("k"),
        at: "t(k, c + 1)",
        forced: Same(A, "a tick without end is a fault here, in both"),
    },
    Entry {
        item: "cohash.key",
        rules: "reply a(r, 0) <~ a(r, _); reply b(r, 0) <~ b(r, _);",
        how: Cohash("nothing"),
        at: "node",
        forced: Unbuilt("nothing can be routed by it"),
    },
    Entry {
        item: "partial.independent",
        rules: "message raise(n: u64) to node; ||| var top(n: Max<u64>); top(n) <= raise(n); table t(k: u64); t(k) <= a(_, k); var low(n: Max<u64>);
            low(n) <= raise(n), t(n); reply a(r, n) <~ a(r, k), top(n), !old t(k); reply b(r, l) <~ b(r, k), t(k), low(l);",
        how: Partial("k"),
        at: "low(n) <= raise(n)",
        forced: Unbuilt("the sequencer has no such rows"),
    },
    Entry {
        item: "partial.keyed-event",
        rules: "var top(n: Max<u64>); top(k) <= b(_, k); table t(k: u64); t(k) <= a(_, k); reply a(r, n) <~ a(r, k), top(n), !old t(k);
            reply b(r, 0) <~ b(r, k), t(k); reply b(r, 0) <~ b(r, k), !t(k);",
        how: Partial("k"),
        at: "top(k) <= b",
        forced: Same(A_B, "cautious: it would freeze all partitions each time, and be right"),
    },
    Entry {
        item: "partial.needless",
        rules: "table t(k: u64); t(k) <= a(_, k); reply a(r, 0) <~ a(r, k), !old t(k); reply b(r, 0) <~ b(r, _);",
        how: Partial("k"),
        at: "node",
        forced: Same(A_B, "co-hashing is enough"),
    },
    Entry {
        item: "partial.key",
        rules: "reply a(r, 0) <~ a(r, _); reply b(r, 0) <~ b(r, _);",
        how: Partial("nothing"),
        at: "node",
        forced: Unbuilt("nothing can be routed by it"),
    },
    Entry {
        item: "partial.deferred",
        rules: "request c(n: u64) -> (n: u64) at node;  ||| var top(n: Max<u64>); top(n) <= c(_, n); table t(k: u64); t(k) <= a(_, k);
            reply a(r, n) <~ a(r, _), top(n);reply b(r, 0) <~ b(r, k), t(k); reply b(r, 1) <~ b(r, k), !t(k); table last(n: u64);\nlast(n) <+ c(_, n); reply c(r, x) <~ c(r, _), last(x), top(_);",
        how: Partial("k"),
        at: "last(n) <+",
        forced: Same(asks(&[&[("c", 1), ("c", 2)]]), "cautious: partitions do not read what is deferred here"),
    },
    Entry {
        item: "partial.timer",
        rules: "request c(n: u64) -> (n: u64) at node;  ||| var top(n: Max<u64>); top(n) <= c(_, n); table t(k: u64); t(k) <= a(_, k);
            table held(r: Req, k: u64); held(r, k) <= a(r, k); timer late(r: Req, k: u64) after 1s while held(r, k); reply a(r, n) <~ late(r, _), top(n); reply c(r, x) <~ c(r, _), top(x);reply b(r, 0) <~ b(r, k), t(k); reply b(r, 1) <~ b(r, k), !t(k);",
        how: Partial("k"),
        at: "late(r",
        forced: Differs(asks(&[&[("a", 1)], &[("c", 1)]]).timers(1)),
    },
    Entry {
        item: "partial.durable",
        rules: "request c(n: u64) -> (n: u64) at node;  ||| var top(n: Max<u64>); top(n) <= c(_, n); durable table t(k: u64); t(k) <= a(_, k);
            \nt(k) <- c(_, n), t(k), if k < n; reply a(r, n) <~ a(r, _), top(n);reply c(r, x) <~ c(r, _), top(x);reply b(r, 0) <~ b(r, k), t(k); reply b(r, 1) <~ b(r, k), !t(k);",
        how: Partial("k"),
        at: "t(k) <- c",
        forced: Differs(asks(&[&[("a", 1), ("c", 2), ("b", 1)]]).crashes(1)),
    },
    Entry {
        item: "partial.outputs",
        rules: "request c(n: u64) -> (n: u64) at node; role sink; message note(n: u64) to sink; request d(z: u64) -> (n: u64) at sink; at sink { var x(n: u64) = 0; x(n + 1) <+ note(_), x(n); reply d(r, n) <~ d(r, _), x(n); } ||| var top(n: Max<u64>); top(n) <= c(_, n); table t(k: u64); t(k) <= a(_, k);
            note(n) @ s <~ c(_, n), t(_), sink(s); reply a(r, n) <~ a(r, _), top(n);reply c(r, x) <~ c(r, _), top(x);reply b(r, 0) <~ b(r, k), t(k); reply b(r, 1) <~ b(r, k), !t(k);",
        how: Partial("k"),
        at: "note(n) @ s",
        forced: Differs(asks(&[&[("a", 1), ("a", 4), ("c", 9), ("d", 1)]])),
    },
    Entry {
        item: "partial.view",
        rules: "request c(n: u64) -> (n: u64) at node; role sink; message note(n: u64) to sink; request d(z: u64) -> (n: u64) at sink; at sink { var x(n: u64) = 0; x(n + 1) <+ note(_), x(n); reply d(r, n) <~ d(r, _), x(n); } ||| durable var top(n: Max<u64>); top(n) <= c(_, n); durable table t(k: u64); t(k) <= a(_, k);
            view fresh(k: u64);\nfresh(k) <= t(k), top(n), if n >= k; note(k) @ s <~ new fresh(k), sink(s); reply a(r, n) <~ a(r, _), top(n);reply c(r, x) <~ c(r, _), top(x);reply b(r, 0) <~ b(r, k), t(k); reply b(r, 1) <~ b(r, k), !t(k);",
        how: Partial("k"),
        at: "fresh(k) <=",
        forced: Differs(asks(&[&[("a", 1), ("c", 1), ("d", 1)]]).crashes(1)),
    },
    Entry {
        item: "partial.replicated",
        rules: "request c(n: u64) -> (n: u64) at node;  ||| var top(n: Max<u64>); top(n) <= c(_, n); table t(k: u64); t(k) <= a(_, k);
            table seen(n: u64); seen(n) <= c(_, n); view high(max(n)) <= seen(n); reply a(r, h) <~ a(r, _), high(h); reply c(r, x) <~ c(r, _), top(x);reply b(r, 0) <~ b(r, k), t(k); reply b(r, 1) <~ b(r, k), !t(k);",
        how: Partial("k"),
        at: "high(h)",
        forced: Unbuilt("only tables are copied"),
    },
    Entry {
        item: "partial.negated",
        rules: "request c(n: u64) -> (n: u64) at node;  ||| var top(n: Max<u64>); top(n) <= c(_, n); table t(k: u64); t(k) <= a(_, k);
            event odd(n: u64); odd(n) <= c(_, n), if n == 1; ping(k) @ p <~ c(_, _), t(k), !odd(1), peer(p); reply a(r, n) <~ a(r, _), top(n);reply c(r, x) <~ c(r, _), top(x);reply b(r, 0) <~ b(r, k), t(k); reply b(r, 1) <~ b(r, k), !t(k);",
        how: Partial("k"),
        at: "!odd",
        forced: Same(asks(&[&[("c", 1)]]), "cautious: the event comes with the step"),
    },
    Entry {
        item: "partial.start",
        rules: "request c(n: u64) -> (n: u64) at node;  ||| var top(n: Max<u64>); top(n) <= c(_, n); table t(k: u64); t(k) <= a(_, k);
            ping(k) @ p <~ start(_), t(k), peer(p); reply a(r, n) <~ a(r, _), top(n);reply c(r, x) <~ c(r, _), top(x);reply b(r, 0) <~ b(r, k), t(k); reply b(r, 1) <~ b(r, k), !t(k);",
        how: Partial("k"),
        at: "start(_)",
        forced: Same(asks(&[&[("c", 1)]]), "cautious: nobody counts the pings"),
    },
    Entry {
        item: "partial.invariant",
        rules: "request c(n: u64) -> (n: u64) at node; never high(n) <= top(n) at _, if n > 9; ||| var top(n: Max<u64>); top(n) <= c(_, n); table t(k: u64); t(k) <= a(_, k);
            reply a(r, n) <~ a(r, _), top(n);reply c(r, x) <~ c(r, _), top(x);reply b(r, 0) <~ b(r, k), t(k); reply b(r, 1) <~ b(r, k), !t(k);",
        how: Partial("k"),
        at: "top(n)",
        forced: Unbuilt("the copy has the same name"),
    },
    Entry {
        item: "partial.static",
        rules: "request c(n: u64) -> (n: u64) at node;  ||| var top(n: Max<u64>); top(n) <= c(_, n); table t(k: u64); t(k) <= a(_, k);
            table known(c: peer); known(c) <= peer(c); reply a(r, n) <~ a(r, _), top(n);reply c(r, x) <~ c(r, _), top(x), known(_); reply b(r, 0) <~ b(r, k), t(k); reply b(r, 1) <~ b(r, k), !t(k);",
        how: Partial("k"),
        at: "known(_)",
        forced: Unbuilt("the sequencer has no such table"),
    },
    Entry {
        item: "partial.machine",
        rules: "request c(n: u64) -> (n: u64) at node; use crate::M; ||| var top(n: Max<u64>); top(n) <= c(_, n); table t(k: u64); t(k) <= a(_, k);
            machine m(slot: u64, v: u64) -> (done: u64) = M; m(k, k) <= a(_, k); reply a(r, n) <~ a(r, _), top(n);reply c(r, x) <~ c(r, _), top(x);reply b(r, 0) <~ b(r, k), t(k); reply b(r, 1) <~ b(r, k), !t(k);",
        how: Partial("k"),
        at: "m(slot: u64",
        forced: Unbuilt("machines are Rust types, which closed programs do not have"),
    },
    Entry {
        item: "partial.ordered",
        rules: "request c(n: u64) -> (n: u64) at node; message x(n: u64) to node ordered; role feeder; request f(n: u64) -> (n: u64) at feeder; at feeder { x(n) @ p <~ f(_, n), node(p); reply f(r, n) <~ f(r, n); } ||| var top(n: Max<u64>); top(n) <= c(_, n); table t(k: u64); t(k) <= a(_, k);
            top(n) <= x(n); reply a(r, n) <~ a(r, _), top(n);reply c(r, x) <~ c(r, _), top(x);reply b(r, 0) <~ b(r, k), t(k); reply b(r, 1) <~ b(r, k), !t(k);",
        how: Partial("k"),
        at: "x(n);",
        forced: Unbuilt("streams run only between parts of one role that share fate"),
    },
    Entry {
        item: "sealing.aggregate",
        rules: "request c(n: u64) -> (n: u64) at node;  ||| var top(n: Max<u64>); top(n) <= c(_, n); table t(k: u64); t(k) <= a(_, k);
            event all_c(r: Req => n: u64); table u(k: u64, v: u64); u(k, 7) <= a(_, k); all_c(r, count(v)) <= c(r, _), u(_, v); reply c(r, all_c[r].unwrap_or(0)) <~ c(r, _); reply a(r, n) <~ a(r, _), top(n);reply b(r, 0) <~ b(r, k), t(k); reply b(r, 1) <~ b(r, k), !t(k);",
        how: Partial("k"),
        at: "count(v)",
        forced: Differs(asks(&[&[("a", 1), ("a", 4), ("c", 1)]])),
    },
    Entry {
        item: "sealing.head",
        rules: "request c(n: u64) -> (n: u64) at node;  ||| var top(n: Max<u64>); top(n) <= c(_, n); table t(k: u64); t(k) <= a(_, k);
            event all_c(r: Req => n: u64); all_c(r, count(k)) <= c(r, _), t(k); table totals(n: u64);\ntotals(n) <= all_c(_, n); reply c(r, all_c[r].unwrap_or(0)) <~ c(r, _); reply a(r, n) <~ a(r, _), top(n);reply b(r, 0) <~ b(r, k), t(k); reply b(r, 1) <~ b(r, k), !t(k);",
        how: Partial("k"),
        at: "totals(n) <=",
        forced: Unbuilt("a part of the sum is no sum"),
    },
    Entry {
        item: "sealing.keyless",
        rules: "request c(n: u64) -> (n: u64) at node;  ||| var top(n: Max<u64>); top(n) <= c(_, n); table t(k: u64); t(k) <= a(_, k);
            event all_c(r: Req => n: u64); all_c(r, count(k)) <= c(r, _), t(k); reply c(r, all_c[r].unwrap_or(0)) <~ c(r, _);\nping(n) @ p <~ a(_, k), t(k), all_c(_, n), peer(p); reply a(r, n) <~ a(r, _), top(n);reply b(r, 0) <~ b(r, k), t(k); reply b(r, 1) <~ b(r, k), !t(k);",
        how: Partial("k"),
        at: "ping(n) @ p",
        forced: Unbuilt("the sum and the row lie in different nodes"),
    },
    Entry {
        item: "sealing.trigger",
        rules: "request c(n: u64) -> (n: u64) at node;  ||| var top(n: Max<u64>); top(n) <= c(_, n); table t(k: u64); t(k) <= a(_, k);
            event all_c(r: Req => n: u64); all_c(r, count(k)) <= c(r, _), t(k);\nreply c(r, n) <~ all_c(r, n); reply a(r, n) <~ a(r, _), top(n);reply b(r, 0) <~ b(r, k), t(k); reply b(r, 1) <~ b(r, k), !t(k);",
        how: Partial("k"),
        at: "reply c",
        forced: Same(asks(&[&[("a", 1), ("c", 1)]]), "cautious: the sum itself could trigger it"),
    },
    Entry {
        item: "sealing.lookup",
        rules: "request c(n: u64) -> (n: u64) at node; request f(n: u64) -> (n: u64) at node;  ||| var top(n: Max<u64>); top(n) <= c(_, n); table t(k: u64); t(k) <= a(_, k);
            var low(n: Max<u64>); low(n) <= f(_, n); reply f(r, n) <~ f(r, n); event all_c(r: Req => n: u64); all_c(r, count(k)) <= c(r, _), t(k); reply c(r, all_c[r].unwrap_or(0) + low[].unwrap_or(0)) <~ c(r, _); reply a(r, n) <~ a(r, _), top(n);reply b(r, 0) <~ b(r, k), t(k); reply b(r, 1) <~ b(r, k), !t(k);",
        how: Partial("k"),
        at: "low[]",
        forced: Differs(asks(&[&[("c", 1)], &[("a", 1), ("f", 5)]])),
    },
];
