//! Hand-made pairs: the programs of `rewrites.md` that break when a rewrite is made without its precondition, and
//! right rewrites beside them.

use crate::equivalence::Pair;
use crate::world::{Call, Scope, System};
use anabranch_core::value::Value;

/// A pair with what is known about it.
#[derive(Clone, Copy, Debug)]
pub struct HandMade {
    /// What it shows.
    pub name: &'static str,
    /// Its section in `rewrites.md`.
    pub section: u32,
    /// Whether the second program is a right rewrite of the first.
    pub right: bool,
    /// The first program.
    pub base: &'static str,
    /// The second.
    pub derived: &'static str,
    /// Instances by role, of both.
    pub instances: (&'static [u32], &'static [u32]),
    /// What each client asks: request and numbers as arguments.
    pub clients: &'static [&'static [(&'static str, &'static [u64])]],
    /// Crashes.
    pub crashes: u32,
}

impl HandMade {
    /// The pair, on the reference interpreter or on the plan executor.
    pub fn pair(&self, planned: bool) -> Result<Pair, String> {
        let system = |text: &str, instances: &[u32]| {
            let full = format!("protocol p;\n{text}");
            if planned { System::planned(&full, instances) } else { System::interpreted(&full, instances) }
        };
        let call = |(request, args): &(&str, &[u64])| Call {
            request: request.to_string(),
            at: 0,
            args: args.iter().map(|n| Value::Int(i128::from(*n))).collect(),
        };
        let scope = Scope {
            clients: self.clients.iter().map(|script| script.iter().map(call).collect()).collect(),
            crashes: self.crashes,
            ..Scope::default()
        };
        Ok(Pair {
            base: system(self.base, self.instances.0)?,
            derived: system(self.derived, self.instances.1)?,
            scope,
        })
    }
}

const KV: &str = "role c; request put(k: u64, v: u64) -> () at c; request get(k: u64) -> (v: u64) at c;
    at c {
        table kv(k: u64 => v: u64);
        kv(k, v) <+ put(_, k, v);
        reply put(r) <~ put(r, _, _);
        event got(r: Req, v: u64);
        got(r, v) <= get(r, k), kv(k, v);
        reply get(r, v) <~ got(r, v);
    }";

const SEEN: &str = "role c; request put(k: u64) -> () at c; request get(k: u64) -> (k: u64) at c;
    at c {
        table seen(k: u64);
        reply put(r) <~ put(r, _);
        seen(k) <= put(_, k);
        reply get(r, k) <~ get(r, k), seen(k);
    }";

const COLLECT: &str = "role c; role v; request commit(t: u64) -> (ok: bool) at c;
    message prepare(t: u64) to v; message vote(t: u64) to c;
    at v { vote(t) @ p <~ prepare(t), c(p); }";

const COLLECTOR: &str = "role c; role d; role v; request commit(t: u64) -> (ok: bool) at c;
    message prepare(t: u64) to v; message vote(t: u64) to d; message ask(t: u64, r: Req) to d;
    at v { vote(t) @ p <~ prepare(t), d(p); }
    at c { ask(t, r) @ p <~ commit(r, t), d(p); prepare(t) @ p <~ commit(_, t), v(p); }";

/// Concatenates string constants.
macro_rules! text {
    ($name:ident = $($part:expr),+) => {
        const $name: &str = {
            const PARTS: &[&str] = &[$($part),+];
            const LEN: usize = { let mut n = 0; let mut i = 0; while i < PARTS.len() { n += PARTS[i].len(); i += 1; } n };
            const BYTES: [u8; LEN] = {
                let mut out = [0u8; LEN];
                let (mut at, mut i) = (0, 0);
                while i < PARTS.len() {
                    let bytes = PARTS[i].as_bytes();
                    let mut k = 0;
                    while k < bytes.len() { out[at] = bytes[k]; at += 1; k += 1; }
                    i += 1;
                }
                out
            };
            match std::str::from_utf8(&BYTES) { Ok(text) => text, Err(_) => panic!("concatenated text") }
        };
    };
}

text!(
    EDGE = COLLECT,
    "at c {
    table asked(t: u64, r: Req); table committed(t: u64);
    asked(t, r) <= commit(r, t); prepare(t) @ p <~ commit(_, t), v(p);
    committed(t) <= vote(t);
    reply commit(r, true) <~ new committed(t), asked(t, r); }"
);
text!(
    EDGE_SPLIT = COLLECTOR,
    "at d {
    table asked(t: u64, r: Req); table committed(t: u64);
    asked(t, r) <= ask(t, r); committed(t) <= vote(t);
    reply commit(r, true) <~ new committed(t), asked(t, r); }"
);
text!(
    ANSWER = COLLECT,
    "at c {
    table asked(t: u64, r: Req); table committed(t: u64); view answer(r, t) <= committed(t), asked(t, r);
    asked(t, r) <= commit(r, t); prepare(t) @ p <~ commit(_, t), v(p);
    committed(t) <= vote(t);
    reply commit(r, true) <~ new answer(r, _); }"
);
text!(
    ANSWER_SPLIT = COLLECTOR,
    "at d {
    table asked(t: u64, r: Req); table committed(t: u64); view answer(r, t) <= committed(t), asked(t, r);
    asked(t, r) <= ask(t, r); committed(t) <= vote(t);
    reply commit(r, true) <~ new answer(r, _); }"
);
text!(
    FORGET = COLLECT,
    "at c {
    table asked(t: u64, r: Req); table votes(t: u64); view committed(t) <= votes(t);
    asked(t, r) <= commit(r, t); prepare(t) @ p <~ commit(_, t), v(p);
    votes(t) <= vote(t);
    reply commit(r, true) <~ new (committed(t), asked(t, r));
    on new committed(t) { asked(t, _) <-; votes(t) <-; } }"
);
text!(
    FORGET_SPLIT = COLLECTOR,
    "at d {
    table asked(t: u64, r: Req); table votes(t: u64); view committed(t) <= votes(t);
    asked(t, r) <= ask(t, r); votes(t) <= vote(t);
    reply commit(r, true) <~ new (committed(t), asked(t, r));
    on new committed(t) { asked(t, _) <-; votes(t) <-; } }"
);
text!(
    ANSWERED = COLLECT,
    "at c {
    table asked(t: u64, r: Req); table committed(t: u64); table done(t: u64);
    view answer(r, t) <= committed(t), asked(t, r), !done(t);
    asked(t, r) <= commit(r, t); prepare(t) @ p <~ commit(_, t), v(p);
    committed(t) <= vote(t);
    reply commit(r, true) <~ new answer(r, _);
    done(t) <+ new answer(_, t); asked(t, r) <- new answer(r, t); }"
);
text!(
    ANSWERED_SPLIT = COLLECTOR,
    "at d {
    table asked(t: u64, r: Req); table committed(t: u64); table done(t: u64);
    view answer(r, t) <= committed(t), asked(t, r), !done(t);
    asked(t, r) <= ask(t, r); committed(t) <= vote(t);
    reply commit(r, true) <~ new answer(r, _);
    done(t) <+ new answer(_, t); asked(t, r) <- new answer(r, t); }"
);

/// `go` makes a node derive something that is counted or merged; `rest` is the counting part.
const GO: &str = "role c; request go(x: u64) -> (n: u64) at c;";
const GO_SPLIT: &str = "role c; role d; request go(x: u64) -> (n: u64) at c; message f(r: Req, y: u64) to d;
    at c { f(r, 3) @ p <~ go(r, _), d(p); f(r, 5) @ p <~ go(r, _), d(p); }";
text!(
    CEILING = GO,
    "at c { table s(r: Req, y: u64); s(r, 3) <= go(r, _); s(r, 5) <= go(r, _);
    view n(r => count(y)) <= s(r, y); view one(r) <= n(r, k), if k == 1; reply go(r, 1) <~ new one(r); }"
);
text!(
    CEILING_SPLIT = GO_SPLIT,
    "at d { table s(r: Req, y: u64); s(r, y) <= f(r, y);
    view n(r => count(y)) <= s(r, y); view one(r) <= n(r, k), if k == 1; reply go(r, 1) <~ new one(r); }"
);
text!(
    COUNT = GO,
    "at c { table s(r: Req, y: u64); s(r, 3) <= go(r, _); s(r, 5) <= go(r, _);
    view n(r => count(y)) <= s(r, y); reply go(r, k) <~ new n(r, k), if k >= 1; }"
);
text!(
    COUNT_SPLIT = GO_SPLIT,
    "at d { table s(r: Req, y: u64); s(r, y) <= f(r, y);
    view n(r => count(y)) <= s(r, y); reply go(r, k) <~ new n(r, k), if k >= 1; }"
);
text!(
    LATTICE = GO,
    "at c { table s(r: Req, y: Max<u64>); s(r, 3) <= go(r, _); s(r, 5) <= go(r, _);
    reply go(r, k) <~ new s(r, k); }"
);
text!(
    LATTICE_SPLIT = GO_SPLIT,
    "at d { table s(r: Req, y: Max<u64>); s(r, y) <= f(r, y);
    reply go(r, k) <~ new s(r, k); }"
);
text!(ENOUGH = GO, "at c { table s(r: Req, y: u64); s(r, 3) <= go(r, _); s(r, 5) <= go(r, _);
    view n(r => count(y)) <= s(r, y); view enough(r) <= n(r, k), if k >= 2; reply go(r, 2) <~ new enough(r); }");
text!(ENOUGH_SPLIT = GO_SPLIT, "at d { table s(r: Req, y: u64); s(r, y) <= f(r, y);
    view n(r => count(y)) <= s(r, y); view enough(r) <= n(r, k), if k >= 2; reply go(r, 2) <~ new enough(r); }");

const LOGS: &str =
    "role c; request put(x: u64) -> () at c; request check(x: u64) -> (seen: bool, work: bool) at c;
    at c {
        durable table seen(x: u64); durable table work(x: u64);
        seen(x) <= put(_, x); work(x) <= put(_, x);
        reply put(r) <~ put(r, _);
        reply check(r, true, true) <~ check(r, x), seen(x), work(x);
        reply check(r, true, false) <~ check(r, x), seen(x), !work(x);
        reply check(r, false, true) <~ check(r, x), !seen(x), work(x);
        reply check(r, false, false) <~ check(r, x), !seen(x), !work(x);
    }";

/// The halves answer together: what the first has seen travels with the question, and waits for what crossed before.
const LOGS_SPLIT: &str = "role c; role d; request put(x: u64) -> () at c;
    request check(x: u64) -> (seen: bool, work: bool) at c;
    message f(x: u64, r: Req) to d; message q(r: Req, x: u64, s: bool) to d;
    at c {
        durable table seen(x: u64);
        seen(x) <= put(_, x); f(x, r) @ p <~ put(r, x), d(p);
        q(r, x, true) @ p <~ check(r, x), seen(x), d(p);
        q(r, x, false) @ p <~ check(r, x), !seen(x), d(p);
    }
    at d {
        durable table work(x: u64);
        work(x) <= f(x, _); reply put(r) <~ f(_, r);
        reply check(r, s, true) <~ q(r, x, s), work(x);
        reply check(r, s, false) <~ q(r, x, s), !work(x);
    }";

const CHOOSE: &str = "role c; request bid(k: u64) -> (won: bool) at c by k;
    at c {
        table taken(k: u64);
        taken(k) <= bid(_, k);
        reply bid(r, true) <~ bid(r, _), !old taken(_);
        reply bid(r, false) <~ bid(r, _), old taken(_);
    }";

const BY_KEY: &str =
    "role c; request put(k: u64, v: u64) -> () at c by k; request get(k: u64) -> (v: u64) at c by k;
    at c {
        table kv(k: u64 => v: u64);
        kv(k, v) <+ put(_, k, v);
        reply put(r) <~ put(r, _, _);
        reply get(r, v) <~ get(r, k), kv(k, v);
    }";

/// All of them.
pub const ALL: &[HandMade] = &[
    HandMade {
        name: "mutually independent halves",
        section: 2,
        right: true,
        base: "role c; request a(x: u64) -> (n: u64) at c; request b(x: u64) -> (n: u64) at c;
            at c { var n(x: u64) = 0; var m(x: u64) = 0;
                on a(r, _), n(x) { n(x + 1) <+; reply a(r, x) <~; }
                on b(r, _), m(x) { m(x + 1) <+; reply b(r, x) <~; } }",
        derived: "role c; role d; request a(x: u64) -> (n: u64) at c; request b(x: u64) -> (n: u64) at d;
            at c { var n(x: u64) = 0; on a(r, _), n(x) { n(x + 1) <+; reply a(r, x) <~; } }
            at d { var m(x: u64) = 0; on b(r, _), m(x) { m(x + 1) <+; reply b(r, x) <~; } }",
        instances: (&[1], &[1, 1]),
        clients: &[&[("a", &[1]), ("b", &[1])], &[("b", &[2]), ("a", &[2])]],
        crashes: 0,
    },
    HandMade {
        name: "halves that share what both count",
        section: 2,
        right: false,
        base: "role c; request a(x: u64) -> (n: u64) at c; request b(x: u64) -> (n: u64) at c;
            at c { var n(x: u64) = 0;
                on a(r, _), n(x) { n(x + 1) <+; reply a(r, x) <~; }
                on b(r, _), n(x) { reply b(r, x) <~; } }",
        derived: "role c; role d; request a(x: u64) -> (n: u64) at c; request b(x: u64) -> (n: u64) at d;
            at c { var n(x: u64) = 0; on a(r, _), n(x) { n(x + 1) <+; reply a(r, x) <~; } }
            at d { var n(x: u64) = 0; on b(r, _), n(x) { reply b(r, x) <~; } }",
        instances: (&[1], &[1, 1]),
        clients: &[&[("a", &[1]), ("b", &[1])]],
        crashes: 0,
    },
    HandMade {
        name: "functional: an event crosses",
        section: 3,
        right: true,
        base: KV,
        derived: "role c; role d; request put(k: u64, v: u64) -> () at c; request get(k: u64) -> (v: u64) at c;
            message got(r: Req, v: u64) to d;
            at c { table kv(k: u64 => v: u64); kv(k, v) <+ put(_, k, v); reply put(r) <~ put(r, _, _);
                got(r, v) @ p <~ get(r, k), kv(k, v), d(p); }
            at d { reply get(r, v) <~ got(r, v); }",
        instances: (&[1], &[1, 1]),
        clients: &[&[("put", &[1, 1]), ("put", &[1, 2]), ("get", &[1])], &[("get", &[1])]],
        crashes: 1,
    },
    HandMade {
        name: "functional without `one atom`: the table crosses",
        section: 3,
        right: false,
        base: KV,
        derived: "role c; role d; request put(k: u64, v: u64) -> () at c; request get(k: u64) -> (v: u64) at d;
            message f(k: u64, v: u64) to d;
            at c { reply put(r) <~ put(r, _, _); f(k, v) @ p <~ put(_, k, v), d(p); }
            at d { table kv(k: u64 => v: u64); kv(k, v) <+ f(k, v); reply get(r, v) <~ get(r, k), kv(k, v); }",
        instances: (&[1], &[1, 1]),
        clients: &[&[("put", &[1, 1]), ("put", &[1, 2]), ("get", &[1])]],
        crashes: 0,
    },
    HandMade {
        name: "a request overtakes what it reads",
        section: 4,
        right: false,
        base: SEEN,
        derived: "role c; role d; request put(k: u64) -> () at c; request get(k: u64) -> (k: u64) at d;
            message f(k: u64) to d;
            at c { reply put(r) <~ put(r, _); f(k) @ p <~ put(_, k), d(p); }
            at d { table seen(k: u64); seen(k) <= f(k); reply get(r, k) <~ get(r, k), seen(k); }",
        instances: (&[1], &[1, 1]),
        clients: &[&[("put", &[1]), ("get", &[1])]],
        crashes: 0,
    },
    HandMade {
        name: "monotone: an answer is a view",
        section: 5,
        right: true,
        base: ANSWER,
        derived: ANSWER_SPLIT,
        instances: (&[1, 1], &[1, 1, 1]),
        clients: &[&[("commit", &[1])], &[("commit", &[2])]],
        crashes: 0,
    },
    HandMade {
        name: "monotone without `edge alone`",
        section: 5,
        right: false,
        base: EDGE,
        derived: EDGE_SPLIT,
        instances: (&[1, 1], &[1, 1, 1]),
        clients: &[&[("commit", &[1])]],
        crashes: 0,
    },
    HandMade {
        name: "a value is replaced in the wrong order",
        section: 5,
        right: false,
        base: KV,
        derived: "role c; role d; request put(k: u64, v: u64) -> () at c; request get(k: u64) -> (v: u64) at c;
            message f(k: u64, v: u64) to d; message g(r: Req, k: u64) to d;
            at c { reply put(r) <~ put(r, _, _); f(k, v) @ p <~ put(_, k, v), d(p); g(r, k) @ p <~ get(r, k), d(p); }
            at d { table kv(k: u64 => v: u64); kv(k, v) <+ f(k, v); reply get(r, v) <~ g(r, k), kv(k, v); }",
        instances: (&[1], &[1, 1]),
        clients: &[&[("put", &[1, 1]), ("put", &[1, 2]), ("get", &[1])]],
        crashes: 0,
    },
    HandMade {
        name: "a threshold without a ceiling",
        section: 5,
        right: false,
        base: CEILING,
        derived: CEILING_SPLIT,
        instances: (&[1], &[1, 1]),
        clients: &[&[("go", &[1])]],
        crashes: 0,
    },
    HandMade {
        name: "an exported count",
        section: 5,
        right: false,
        base: COUNT,
        derived: COUNT_SPLIT,
        instances: (&[1], &[1, 1]),
        clients: &[&[("go", &[1])]],
        crashes: 0,
    },
    HandMade {
        name: "an exported lattice value",
        section: 5,
        right: false,
        base: LATTICE,
        derived: LATTICE_SPLIT,
        instances: (&[1], &[1, 1]),
        clients: &[&[("go", &[1])]],
        crashes: 0,
    },
    HandMade {
        name: "monotone: a threshold",
        section: 5,
        right: true,
        base: ENOUGH,
        derived: ENOUGH_SPLIT,
        instances: (&[1], &[1, 1]),
        clients: &[&[("go", &[1])], &[("go", &[2])]],
        crashes: 0,
    },
    HandMade {
        name: "negation of what crosses",
        section: 5,
        right: false,
        base: "role c; request take(x: u64) -> () at c; request want(x: u64) -> (free: bool) at c;
            at c { table taken(x: u64); taken(x) <= take(_, x); reply take(r) <~ take(r, _);
                reply want(r, true) <~ want(r, x), !taken(x); reply want(r, false) <~ want(r, x), taken(x); }",
        derived: "role c; role d; request take(x: u64) -> () at c; request want(x: u64) -> (free: bool) at d;
            message f(x: u64) to d;
            at c { f(x) @ p <~ take(_, x), d(p); reply take(r) <~ take(r, _); }
            at d { table taken(x: u64); taken(x) <= f(x);
                reply want(r, true) <~ want(r, x), !taken(x); reply want(r, false) <~ want(r, x), taken(x); }",
        instances: (&[1], &[1, 1]),
        clients: &[&[("take", &[1]), ("want", &[1])]],
        crashes: 0,
    },
    HandMade {
        name: "a collector forgets before what it answers has come",
        section: 5,
        right: false,
        base: FORGET,
        derived: FORGET_SPLIT,
        instances: (&[1, 1], &[1, 1, 1]),
        clients: &[&[("commit", &[1])]],
        crashes: 0,
    },
    HandMade {
        name: "forgetting what is answered",
        section: 5,
        right: true,
        base: ANSWERED,
        derived: ANSWERED_SPLIT,
        instances: (&[1, 1], &[1, 1, 1]),
        clients: &[&[("commit", &[1])], &[("commit", &[2])]],
        crashes: 0,
    },
    HandMade {
        name: "a state machine without its sub-ticks",
        section: 6,
        right: false,
        base: "role c; request m(x: u64) -> (x: u64) at c;
            at c { event a(r: Req); event f(r: Req); event b(r: Req);
                a(r) <+ m(r, _); f(r) <= m(r, _); b(r) <+ f(r); reply m(r, 1) <~ a(r), b(r); }",
        derived: "role c; role d; request m(x: u64) -> (x: u64) at c;
            message am(r: Req) to d; message fm(r: Req) to d;
            at c { event a(r: Req); a(r) <+ m(r, _); fm(r) @ p <~ m(r, _), d(p); am(r) @ p <~ a(r), d(p); }
            at d { event b(r: Req); b(r) <+ fm(r); reply m(r, 1) <~ am(r), b(r); }",
        instances: (&[1], &[1, 1]),
        clients: &[&[("m", &[1])]],
        crashes: 0,
    },
    HandMade {
        name: "co-hashing by the key",
        section: 8,
        right: true,
        base: BY_KEY,
        derived: BY_KEY,
        instances: (&[1], &[2]),
        clients: &[&[("put", &[1, 7]), ("get", &[1])], &[("put", &[2, 8]), ("get", &[1])]],
        crashes: 0,
    },
    HandMade {
        name: "one winner per partition",
        section: 8,
        right: false,
        base: CHOOSE,
        derived: CHOOSE,
        instances: (&[1], &[2]),
        clients: &[&[("bid", &[1]), ("bid", &[2]), ("bid", &[3]), ("bid", &[4])]],
        crashes: 0,
    },
    HandMade {
        name: "a crash takes what crosses into a durable table",
        section: 12,
        right: false,
        base: LOGS,
        derived: LOGS_SPLIT,
        instances: (&[1], &[1, 1]),
        clients: &[&[("put", &[1]), ("check", &[1])]],
        crashes: 1,
    },
];
