//! Decouplings.

use super::Forced::{Differs, Same, Unbuilt};
use super::How::Split;
use super::{Entry, asks};

/// Asks `a`, then `b`, one after the other.
const A_B: super::Small = asks(&[&[("a", 1), ("b", 1)]]);
/// Asks `a` once.
const A: super::Small = asks(&[&[("a", 1)]]);

/// A machine that an event feeds.
const MACHINE: &str =
    "use crate::M; ||| event open(r: Req, k: u64); open(r, k) <= a(r, k); machine m(slot: u64, v: u64) -> (done: u64) = M;
            m(k, k) <= open(_, k); reply a(r, 0) <~ a(r, _); reply b(r, 0) <~ b(r, _);";

pub(super) const ALL: &[Entry] = &[
    Entry {
        item: "independent.nothing-crosses",
        rules: "table seen(k: u64); seen(k) <= a(_, k); reply a(r, 0) <~ a(r, _);
            reply b(r, 1) <~ b(r, k), seen(k); reply b(r, 0) <~ b(r, k), !seen(k);",
        how: Split("independent", &["b"]),
        at: "seen(k)",
        forced: Differs(A_B),
    },
    Entry {
        item: "independent.own-inputs",
        rules: "timer t every 1s; var n(x: Max<u64>); n(1) <= t(); var m(x: Max<u64>); m(1) <= t();
            reply a(r, x) <~ a(r, _), n(x); reply b(r, x) <~ b(r, _), m(x);",
        how: Split("independent", &["m", "b"]),
        at: "m(1)",
        forced: Differs(A_B.timers(1)),
    },
    Entry {
        item: "independent.heads",
        rules: "table kv(k: u64); kv(k) <= a(_, k);\nkv(k) <= b(_, k); reply a(r, 0) <~ a(r, k), !old kv(k);
            reply b(r, 1) <~ b(r, k), old kv(k);",
        how: Split("independent", &["kv#1", "b"]),
        at: "kv(k) <= b",
        forced: Unbuilt("a relation lies on one side, with or without a reason"),
    },
    Entry {
        item: "independent.stream",
        rules: "role sink; message x(n: u64) to sink ordered; message y(n: u64) to sink ordered; at sink { on x(_) {} on y(_) {} } |||
            reply a(r, 0) <~ a(r, _); reply b(r, 0) <~ b(r, _); x(k) @ p <~ a(_, k), sink(p); y(k) @ p <~ b(_, k), sink(p);",
        how: Split("independent", &["b", "y"]),
        at: "y(k) @ p",
        forced: Unbuilt("streams run only between parts of one role that share fate"),
    },
    Entry {
        item: "independent.ends",
        rules: "event again(n: u64); again(n) <= a(_, n); again(n + 1) <+ again(n);
            reply a(r, 0) <~ a(r, _); reply b(r, 0) <~ b(r, _);",
        how: Split("independent", &["b"]),
        at: "again(n + 1)",
        forced: Same(A_B, "a tick without end is a fault here, in both; in the original it keeps `b` from being answered"),
    },
    Entry {
        item: "independent.start",
        rules: "var s(x: Max<u64>); s(1) <= start(_); reply a(r, x) <~ a(r, _), s(x); reply b(r, 0) <~ b(r, _);",
        how: Split("independent", &["b"]),
        at: "start(_)",
        forced: Same(A_B, "cautious: only one half reads it"),
    },
    Entry {
        item: "functional.clock",
        rules: "reply a(r, now_ms()) <~ a(r, _); reply b(r, now_ms()) <~ b(r, _);",
        how: Split("functional", &["b"]),
        at: "reply b",
        forced: Same(A_B, "clocks stand still in this world"),
    },
    Entry {
        item: "functional.draws",
        rules: "var s(x: u64) = 0; on a(r, _), let n = random() { s(n) <+; reply a(r, n) <~; } reply b(r, x) <~ b(r, _), s(x);",
        how: Split("functional", &["a"]),
        at: "reply a",
        forced: Differs(A_B),
    },
    Entry {
        item: "functional.independent",
        rules: "table seen(k: u64); seen(k) <= a(_, k); reply a(r, 0) <~ a(r, _); event hit(r: Req); hit(r) <= b(r, k), seen(k);
            reply b(r, 1) <~ hit(r); reply b(r, 0) <~ b(r, _), !hit(r);",
        how: Split("functional", &["hit"]),
        at: "hit(r)",
        forced: Differs(A_B),
    },
    Entry {
        item: "functional.one-atom",
        rules: "table seen(k: u64); seen(k) <= a(_, k); reply a(r, 0) <~ a(r, _); event got(r: Req, k: u64); got(r, k) <= b(r, k);
            reply b(r, 1) <~ got(r, k), seen(k); reply b(r, 0) <~ got(r, k), !seen(k);",
        how: Split("functional", &["b"]),
        at: "seen(k)",
        forced: Differs(A_B),
    },
    Entry {
        item: "functional.pure",
        rules: "event got(k: u64); got(k) <= a(_, k); got(k + 1) <= a(_, k); ping(count(k)) @ p <~ got(k), peer(p);
            table heard(k: u64); heard(k) <= pong(k); reply a(r, 0) <~ a(r, _);
            reply b(r, 1) <~ b(r, k), heard(k); reply b(r, 0) <~ b(r, k), !heard(k);",
        how: Split("functional", &["ping"]),
        at: "count(k)",
        forced: Differs(A_B),
    },
    Entry {
        item: "functional.head",
        rules: "table seen(k: u64); event got(k: u64); got(k) <= a(_, k);\nseen(k) <= got(k); reply a(r, 0) <~ a(r, _);
            reply b(r, 1) <~ b(r, k), seen(k); reply b(r, 0) <~ b(r, k), !seen(k);",
        how: Split("functional", &["seen", "b"]),
        at: "seen(k) <= got",
        forced: Differs(A_B),
    },
    Entry {
        item: "functional.ordered",
        rules: "role sink; message x(n: u64) to sink ordered; at sink { on x(_) {} } |||
            event got(k: u64); got(k) <= a(_, k); reply a(r, 0) <~ a(r, _); reply b(r, 0) <~ b(r, _); x(k) @ p <~ got(k), sink(p);",
        how: Split("functional", &["x"]),
        at: "x(k) @ p",
        forced: Unbuilt("streams run only between parts of one role that share fate"),
    },
    Entry {
        item: "functional.same-facts",
        rules: "event got(k: u64, y: u64); got(k, 1) <= a(_, k); got(k, 2) <= a(_, k); ping(k) @ p <~ got(k, _), peer(p);
            var n(x: u64) = 0; n(x + 1) <+ pong(_), n(x); reply a(r, 0) <~ a(r, _); reply b(r, x) <~ b(r, _), n(x);",
        how: Split("functional", &["ping"]),
        at: "got(k, _)",
        forced: Differs(A_B),
    },
    Entry {
        item: "functional.answers",
        rules: "event got(r: Req, v: u64); got(r, v) <= a(r, v); table held(r: Req); held(r) <= got(r, _);
            timer late(r: Req) after 1s while held(r); reply b(r, 0) <~ b(r, _);
            reply a(r, 0) <~ late(r); reply a(r, v) <~ got(r, v);",
        how: Split("functional", &["a#1"]),
        at: "reply a(r, v)",
        forced: Differs(A.timers(1)),
    },
    Entry {
        item: "state_machine.answers",
        rules: "event got(r: Req, v: u64); got(r, v) <= a(r, v); table held(r: Req); held(r) <= got(r, _);
            timer late(r: Req) after 1s while held(r); reply b(r, 0) <~ b(r, _);
            reply a(r, 0) <~ late(r); reply a(r, v) <~ got(r, v);",
        how: Split("state_machine", &["a#1"]),
        at: "reply a(r, v)",
        forced: Differs(A.timers(1)),
    },
    Entry {
        item: "monotone.own-event",
        rules: "table asked(r: Req, k: u64); asked(r, k) <= a(r, k); ping(k) @ p <~ a(_, k), peer(p); event yes(r: Req);
            yes(r) <= pong(k), asked(r, k); reply a(r, 1) <~ yes(r); reply b(r, 0) <~ b(r, _);",
        how: Split("monotone", &["yes", "a"]),
        at: "asked(r, k)",
        forced: Differs(A),
    },
    Entry {
        item: "monotone.edge-alone",
        rules: "table asked(r: Req, k: u64); asked(r, k) <= a(r, k); ping(k) @ p <~ a(_, k), peer(p); table got(k: u64);
            got(k) <= pong(k); reply a(r, 1) <~ new got(k), asked(r, k); reply b(r, 0) <~ b(r, _);",
        how: Split("monotone", &["got", "a"]),
        at: "asked(r, k)",
        forced: Differs(A),
    },
    Entry {
        item: "monotone.negation",
        rules: "table taken(k: u64); taken(k) <= a(_, k); reply a(r, 0) <~ a(r, _); table want(r: Req, k: u64); want(r, k) <= b(r, k);
            view free(r) <= want(r, k), !taken(k); reply b(r, 1) <~ new free(r);",
        how: Split("monotone", &["want", "free", "b"]),
        at: "!taken(k)",
        forced: Differs(A_B),
    },
    Entry {
        item: "monotone.lookup",
        rules: "table once(k: u64 => v: u64); once(k, 1) <= a(_, k); reply a(r, 0) <~ a(r, _); table want(r: Req, k: u64); want(r, k) <= b(r, k);
            view free(r) <= want(r, k), if once[k].is_none(); reply b(r, 1) <~ new free(r);",
        how: Split("monotone", &["want", "free", "b"]),
        at: "once[k]",
        forced: Differs(A_B),
    },
    Entry {
        item: "monotone.aggregate",
        rules: "table seen(k: u64); event got(k: u64); got(k) <= a(_, k); got(k + 1) <= a(_, k); seen(k) <= got(k); view most(max(k)) <= seen(k);
            ping(k) @ p <~ new most(k), peer(p); table heard(k: u64); heard(k) <= pong(k); reply a(r, 0) <~ a(r, _);
            reply b(r, 1) <~ b(r, k), heard(k); reply b(r, 0) <~ b(r, k), !heard(k);",
        how: Split("monotone", &["seen", "most", "ping"]),
        at: "max(k)",
        forced: Differs(A_B),
    },
    Entry {
        item: "monotone.replaces",
        rules: "table last(k: u64 => v: u64);\nlast(1, k) <+ a(_, k); reply a(r, 0) <~ a(r, _); table want(r: Req); want(r) <= b(r, _);
            view ans(r, v) <= want(r), last(1, v); reply b(r, v) <~ new ans(r, v);",
        how: Split("monotone", &["want", "ans", "b"]),
        at: "last(1, k) <+",
        forced: Differs(asks(&[&[("a", 1), ("a", 2), ("b", 1)]])),
    },
    Entry {
        item: "monotone.forgets",
        rules: "table asked(r: Req, k: u64); asked(r, k) <= a(r, k); ping(k) @ p <~ a(_, k), peer(p); table votes(k: u64); votes(k) <= pong(k);
            view done(k) <= votes(k); reply a(r, 1) <~ new (done(k), asked(r, k)); asked(_, k) <- new done(k); votes(k) <- new done(k);
            reply b(r, 0) <~ b(r, _);",
        how: Split("monotone", &["asked", "votes", "done", "a"]),
        at: "done(k)",
        forced: Differs(A),
    },
    Entry {
        item: "monotone.ceiling",
        rules: "event got(k: u64, y: u64); got(k, 1) <= a(_, k); got(k, 2) <= a(_, k); table s(k: u64, y: u64); s(k, y) <= got(k, y);
            view cnt(k => count(y)) <= s(k, y); view one(k) <= cnt(k, n), if n == 1; ping(k) @ p <~ new one(k), peer(p);
            table heard(k: u64); heard(k) <= pong(k); reply a(r, 0) <~ a(r, _);
            reply b(r, 1) <~ b(r, k), heard(k); reply b(r, 0) <~ b(r, k), !heard(k);",
        how: Split("monotone", &["s", "cnt", "one", "ping"]),
        at: "cnt(k, n)",
        forced: Differs(A_B),
    },
    Entry {
        item: "monotone.exported-count",
        rules: "event got(k: u64, y: u64); got(k, 1) <= a(_, k); got(k, 2) <= a(_, k); table s(k: u64, y: u64); s(k, y) <= got(k, y);
            view cnt(k => count(y)) <= s(k, y); ping(n) @ p <~ new cnt(_, n), if n >= 1, peer(p);
            table heard(k: u64); heard(k) <= pong(k); reply a(r, 0) <~ a(r, _);
            reply b(r, 1) <~ b(r, k), heard(k); reply b(r, 0) <~ b(r, k), !heard(k);",
        how: Split("monotone", &["s", "cnt", "ping"]),
        at: "new cnt",
        forced: Differs(A_B),
    },
    Entry {
        item: "monotone.exported-lattice",
        rules: "event got(y: u64); got(1) <= a(..); got(2) <= a(..); var top(y: Max<u64>); top(y) <= got(y); view high(y) <= top(y);
            ping(y) @ p <~ new high(y), peer(p); table heard(k: u64); heard(k) <= pong(k); reply a(r, 0) <~ a(r, _);
            reply b(r, 1) <~ b(r, k), heard(k); reply b(r, 0) <~ b(r, k), !heard(k);",
        how: Split("monotone", &["top", "high", "ping"]),
        at: "top(y)",
        forced: Differs(A_B),
    },
    Entry {
        item: "monotone.timer",
        rules: "table asked(r: Req, k: u64); asked(r, k) <= a(r, k); timer nag(k: u64) every 1s while asked(_, k);
            reply a(r, 1) <~ nag(k), asked(r, k); reply b(r, 0) <~ b(r, _);",
        how: Split("monotone", &["a"]),
        at: "asked(r, k)",
        forced: Same(A, "cautious: the row that fires again finds what has come by then"),
    },
    Entry {
        item: "monotone.durable",
        rules: "durable table kept(k: u64); kept(k) <= a(_, k);\ntable seen(k: u64); seen(k) <= a(_, k); reply a(r, 0) <~ a(r, _);
            table want(r: Req, k: u64); want(r, k) <= b(r, k); view ans(r) <= want(r, k), kept(k); reply b(r, 1) <~ new ans(r);
            view both(k) <= kept(k), seen(k); ping(k) @ p <~ new both(k), peer(p);",
        how: Split("monotone", &["kept", "seen", "want", "ans", "b", "both", "ping"]),
        at: "seen(k) <=",
        forced: Differs(asks(&[&[("a", 1), ("b", 1), ("b", 1)]]).crashes(1)),
    },
    Entry {
        item: "echo.machine",
        rules: MACHINE,
        how: Split("echo", &["m"]),
        at: "m(k, k) <=",
        forced: Unbuilt("machines are Rust types, which closed programs do not have"),
    },
    Entry {
        item: "monotone.machine",
        rules: MACHINE,
        how: Split("monotone", &["m"]),
        at: "m(k, k) <=",
        forced: Unbuilt("machines are Rust types, which closed programs do not have"),
    },
    Entry {
        item: "echo.echo",
        rules: "event open(r: Req, k: u64); open(r, k) <= a(r, k); table live(r: Req, k: u64); live(r, k) <= open(r, k); ping(k) @ p <~ a(_, k), peer(p);
            on pong(k), live(r, k) { reply a(r, 1) <~; live(r, k) <-; } reply b(r, 0) <~ b(r, _);",
        how: Split("echo", &["live", "a"]),
        at: "pong(k) @ p <~ ping",
        forced: Differs(A),
    },
    Entry {
        item: "echo.event",
        rules: "event open(r: Req, k: u64); open(r, k) <= a(r, k); event shut(k: u64); shut(k) <= a(_, k), if k == 2; table live(r: Req, k: u64);
            live(r, k) <= open(r, k); ping(k) @ p <~ open(_, k), peer(p); live(_, k) <- shut(k);
            on pong(k), live(r, k) { reply a(r, 1) <~; live(r, k) <-; } reply b(r, 0) <~ b(r, _);",
        how: Split("echo", &["live", "ping", "a"]),
        at: "shut(k);",
        forced: Differs(asks(&[&[("a", 2)]])),
    },
    Entry {
        item: "echo.key",
        rules: "event open(r: Req, k: u64, y: bool); open(r, k, true) <= a(r, k); open(r, k, false) <= b(r, k); table live(r: Req, k: u64, y: bool);
            live(r, k, y) <= open(r, k, y); ping(k) @ p <~ open(_, k, _), peer(p); var most(k: Max<u64>); most(k) <= open(_, k, _);
            on pong(k), live(r, k, true), most(m) { reply a(r, m) <~; live(r, k, true) <-; } reply b(r, 0) <~ b(r, _);",
        how: Split("echo", &["live", "most", "ping", "a"]),
        at: "pong(k), live(r, k, true)",
        forced: Differs(asks(&[&[("b", 2), ("a", 1)]])),
    },
    Entry {
        item: "echo.pure",
        rules: "event open(r: Req, k: u64); open(r, k) <= a(r, k); table live(r: Req, k: u64); live(r, k) <= open(r, k); ping(k) @ p <~ open(_, k), peer(p);
            on pong(k), live(r, k) { reply a(r, now_ms()) <~; live(r, k) <-; } reply b(r, 0) <~ b(r, _);",
        how: Split("echo", &["live", "ping", "a"]),
        at: "now_ms()",
        forced: Same(A, "clocks stand still in this world"),
    },
    Entry {
        item: "asymmetric.first-tick",
        rules: "event f(k: u64); f(k) <+ a(_, k); reply a(r, 0) <~ a(r, _); table seen(k: u64); seen(k) <= f(k);
            reply b(r, 1) <~ b(r, k), seen(k); reply b(r, 0) <~ b(r, k), !seen(k);",
        how: Split("asymmetric", &["f", "a"]),
        at: "f(k);",
        forced: Differs(A_B),
    },
    Entry {
        item: "state_machine.level",
        rules: "table seen(k: u64); seen(k) <= a(_, k); reply a(r, 0) <~ a(r, _);
            reply b(r, 1) <~ b(r, k), seen(k); reply b(r, 0) <~ b(r, k), !seen(k);",
        how: Split("state_machine", &["b"]),
        at: "seen(k)",
        forced: Same(A_B, "a table that only grows arrives in order; retractions are what is missing"),
    },
    Entry {
        item: "state_machine.sub-ticks",
        rules: "event x(r: Req); x(r) <+ a(r, _); event f(r: Req); f(r) <= a(r, _); event y(r: Req);\ny(r) <+ f(r);
            reply a(r, 1) <~ x(r), y(r); reply b(r, 0) <~ b(r, _);",
        how: Split("state_machine", &["y", "a"]),
        at: "y(r) <+",
        forced: Differs(A),
    },
    Entry {
        item: "state_machine.kept",
        rules: "event got(k: u64); got(k) <= a(_, k); reply a(r, 0) <~ a(r, _); durable table d(k: u64);\nd(k) <= got(k);
            reply b(r, 1) <~ b(r, k), d(k); reply b(r, 0) <~ b(r, k), !d(k);",
        how: Split("state_machine", &["d", "b"]),
        at: "d(k) <= got",
        forced: Differs(A_B.crashes(1)),
    },
    Entry {
        item: "state_machine.clock",
        rules: "event got(r: Req); got(r) <= a(r, _); reply a(r, now_ms()) <~ got(r); reply b(r, 0) <~ b(r, _);",
        how: Split("state_machine", &["a"]),
        at: "now_ms()",
        forced: Same(A, "clocks stand still in this world"),
    },
];
