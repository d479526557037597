//! The executor beside the interpreter, on programs that each aim at one thing and random inputs.

use super::Exec;
use crate::engine::{Engine, Facts, Input, Row};
use crate::eval::Closed;
use crate::interp::Interp;
use anabranch_core::id::Req;
use anabranch_core::node::{Ids, Layout, Seat, Setup, TickArgs};
use anabranch_core::value::Value;
use anabranch_dsl::ir::{Protocol, RelationKind, RoleId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A small generator of numbers (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

fn value(ty: &str, protocol: &Protocol, dice: &mut Dice) -> Value {
    match ty {
        "bool" => Value::Bool(dice.below(2) == 0),
        "Req" => Value::Req(Req { session: 1, number: dice.below(1 << 40) }),
        "Option < u64 >" => match dice.below(3) {
            0 => Value::Option(None),
            n => Value::Option(Some(Box::new(Value::Int(i128::from(n))))),
        },
        "Bytes" => Value::Bytes(anabranch_core::data::Bytes::copy_from_slice(&dice.below(3).to_le_bytes())),
        "Id" => Value::Id(anabranch_core::id::Id { route: 0, node: 0, serial: dice.below(3) }),
        _ => match protocol.roles.iter().position(|r| r.name == ty) {
            Some(role) => Value::Addr(role as u16, dice.below(3) as u32),
            None => Value::Int(i128::from(dice.below(4))),
        },
    }
}

/// Runs both on random inputs, and compares all that can be seen.
fn compare(text: &str, seeds: u64) {
    let outcome = anabranch_dsl::parse_str(text);
    let protocol = Arc::new(outcome.protocol.unwrap_or_else(|| panic!("{:#?}", outcome.diagnostics)));
    let closed = Arc::new(Closed::new(&protocol).unwrap_or_else(|e| panic!("{e:?}")));
    let defaults = closed.defaults();
    let role = RoleId(0);
    for seed in 0..seeds {
        let mut dice = Dice(seed);
        let setup = Setup {
            layout: Arc::new(Layout::of(&vec![3; protocol.roles.len()])),
            seat: Seat { role: 0, instance: 1, partition: 0 },
            params: BTreeMap::new(),
            incarnation: 1,
            ids: Ids::Hashed,
        };
        let mut interp = Interp::new(protocol.clone(), closed.clone(), &setup, &defaults);
        let mut exec = Exec::new(protocol.clone(), closed.clone(), &setup, &defaults);
        assert_eq!(interp.resting(), exec.resting(), "at the beginning");
        let mut deferred = false;
        let mut waiting: BTreeSet<crate::engine::Waiting> = BTreeSet::new();
        let mut history = vec![];
        for tick in 0..12 {
            let args = TickArgs { now_ms: 100 * tick, seed: dice.below(1 << 60) };
            let mut input = Input::empty(args);
            if !deferred {
                input.arrived = arrivals(&protocol, role, &mut dice);
                for w in &waiting {
                    if dice.below(3) == 0 {
                        input.fired.entry(w.timer).or_default().insert(w.row.clone());
                    }
                }
            }
            history.push(input.clone());
            let context = |what: &str| {
                format!("{what}\nseed {seed}, tick {tick}, inputs {history:#?}\n{}\n", exec_plan(&protocol))
            };
            match (interp.tick(&input), exec.tick(&input)) {
                (Ok(a), Ok(b)) => {
                    let name = |f: &Facts| -> BTreeMap<String, BTreeSet<Row>> {
                        f.iter().map(|(r, rows)| (protocol.relation(*r).name.clone(), rows.clone())).collect()
                    };
                    assert_eq!(name(&a.facts), name(&b.facts), "{}", context("facts"));
                    assert_eq!(a, b, "{}", context("outcome"));
                    assert_eq!(
                        name(&interp.resting()),
                        name(&exec.resting()),
                        "{}",
                        context("the state after the tick")
                    );
                    deferred = a.deferred;
                    waiting = a.waiting;
                }
                (Err(_), Err(_)) => {
                    interp.crash();
                    exec.crash();
                    deferred = false;
                    waiting.clear();
                }
                (a, b) => panic!("interpreter {a:?}\nexecutor {b:?}\n{}", context("one broke")),
            }
            if dice.below(20) == 0 {
                interp.crash();
                exec.crash();
                deferred = false;
                waiting.clear();
                assert_eq!(interp.resting(), exec.resting(), "after a crash");
            }
        }
    }
}

fn exec_plan(protocol: &Protocol) -> String {
    anabranch_dsl::plan::lower(protocol, RoleId(0)).to_string()
}

fn arrivals(protocol: &Protocol, role: RoleId, dice: &mut Dice) -> Facts {
    let mut facts = Facts::new();
    for (i, relation) in protocol.relations.iter().enumerate() {
        if relation.role != Some(role) {
            continue;
        }
        if matches!(relation.kind, RelationKind::Message | RelationKind::Request(_)) {
            for _ in 0..dice.below(4) {
                let row =
                    relation.columns.iter().map(|c| value(&c.ty.0.to_string(), protocol, dice)).collect();
                facts.entry(anabranch_dsl::ir::RelId(i as u32)).or_default().insert(row);
            }
        }
    }
    facts
}

/// A program with one role and some messages to it.
fn one(rules: &str) -> String {
    format!(
        "protocol p;
        role a;
        message m(x: u64, y: u64) to a;
        message d(x: u64) to a;
        message q(x: u64, y: u64, z: u64) to a;
        message out(x: u64) to a;
        message out2(x: u64, y: u64) to a;
        at a {{ {rules} }}"
    )
}

macro_rules! programs {
    ($($name:ident: $text:expr;)*) => {$(
        #[test]
        fn $name() {
            compare(&one($text), 150);
        }
    )*};
}

programs! {
    join: "table t(x: u64, y: u64); t(x, y) <= m(x, y); t(x, _) <- d(x);
        view v(x, z) <= t(x, y), t(y, z);
        out2(x, z) @ me <~ new v(x, z); out(x) @ me <~ d(x), v(x, _);";
    negation: "table t(x: u64, y: u64); t(x, y) <= m(x, y); t(x, _) <- d(x);
        view v(x, y) <= t(x, y), !t(y, _), !t(_, x);
        out2(x, z) @ me <~ new v(x, z);";
    aggregates: "table t(x: u64, y: u64, z: u64); t(x, y, z) <= q(x, y, z); t(x, _, _) <- d(x);
        view c(x => count(y)) <= t(x, y, _);
        view s(x => sum(z)) <= t(x, _, z);
        view n(x => count()) <= t(x, _, _);
        view lo(x => min(z), max(y)) <= t(x, y, z);
        view by(x => max(z => y)) <= t(x, y, z);
        view all(collect(z)) <= t(_, _, z);
        view gap(x => first_gap(z)) <= t(x, _, z);
        view many(x) <= c(x, n), if n >= 2;
        out(x) @ me <~ new many(x); out2(x, n) @ me <~ new c(x, n);";
    keyed: "table t(x: u64 => y: u64); t(x, y) <+ m(x, y); t(x, _) <- d(x);
        view v(y => count(x)) <= t(x, y); out2(y, n) @ me <~ new v(y, n); out2(x, z) @ me <~ d(x), let Some(z) = t[x];";
    lookups_in_views: "table t(x: u64 => y: u64); t(x, y) <+ m(x, y); t(x, _) <- d(x);
        table u(x: u64, y: u64); u(x, y) <= q(x, y, _); u(x, _) <- d(x);
        view v(x, t[x].unwrap_or(7)) <= u(x, _);
        view w(x, z) <= u(x, y), let Some(z) = t[y + 1];
        view c(x => count(y)) <= u(x, y);
        view same(x) <= t(x, n), if c[x].unwrap_or(0) == n;
        out2(x, y) @ me <~ new v(x, y); out2(x, z) @ me <~ new w(x, z); out(x) @ me <~ new same(x);";
    lattices: "table l(x: u64, y: Max<u64>); l(x, y) <= m(x, y); l(x, _) <- d(x); l(x, z) <+ q(x, 1, z);
        table lo(x: u64, y: Min<u64>); lo(x, y) <= m(x, y);
        var top(n: Max<u64>); top(x) <= d(x);
        view big(x) <= l(x, y), if y >= 2;
        view pairs(x, z) <= l(x, y), lo(z, y);
        out(x) @ me <~ new big(x); out2(x, y) @ me <~ new l(x, y), old l(x, _); out2(x, z) @ me <~ new pairs(x, z);
        out(n) @ me <~ new top(n); out2(x, n) @ me <~ d(x), old top(n);";
    recursion_recomputed: "table e(x: u64, y: u64); e(x, y) <= m(x, y); e(x, _) <- d(x);
        view r(x, y) <= e(x, y); r(x, z) <= r(x, y), e(y, z);
        view odd(x) <= e(0, x); odd(y) <= even(x), e(x, y); view even(y) <= odd(x), e(x, y), !e(y, y);
        view reach(x => count(y)) <= r(x, y);
        out2(x, y) @ me <~ new r(x, y); out2(x, y) @ me <~ d(x), old r(x, y); out(x) @ me <~ new even(x);
        out2(x, n) @ me <~ new reach(x, n);";
    recursion_growing: "table e(x: u64, y: u64); e(x, y) <= m(x, y);
        view r(x, y) <= e(x, y); r(x, z) <= r(x, y), r(y, z);
        view reach(x => count(y)) <= r(x, y);
        out2(x, y) @ me <~ new r(x, y); out2(x, n) @ me <~ new reach(x, n);";
    standing: "table e(x: u64, y: u64); e(x, y) <= m(x, y); e(x, _) <- d(x);
        table s(x: u64); s(x) <= e(x, y), !e(y, y); s(x) <- q(x, _, _);
        table closure(x: u64, y: u64); closure(x, y) <= e(x, y); closure(x, z) <= closure(x, y), e(y, z);
        closure(x, y) <- q(x, y, _);
        table best(x: u64, y: Max<u64>); best(x, y) <= e(x, y); best(x, _) <- q(_, x, _);
        out(x) @ me <~ new s(x); out2(x, y) @ me <~ new closure(x, y); out2(x, y) @ me <~ new best(x, y);";
    standing_keyed: "table e(x: u64, y: u64); e(x, y) <= m(x, y); e(x, _) <- d(x);
        table k(x: u64 => y: u64); k(x, n) <= c(x, n); k(x, y) <+ q(x, y, 0); k(x, _) <- q(x, _, 1);
        view c(x => max(y)) <= e(x, y);
        out2(x, y) @ me <~ new k(x, y);";
    fixpoint: "table e(x: u64, y: u64); e(x, y) <= m(x, y); e(x, _) <- q(x, _, _);
        event go(x: u64); go(x) <= d(x); go(y) <= go(x), e(x, y); go(y) <= new far(y), e(y, _); go(z) <+ q(_, _, z);
        table seen(x: u64); seen(x) <= go(x); seen(x) <- d(x);
        view far(x) <= seen(y), e(y, x);
        out(x) @ me <~ go(x); out2(x, x) @ me <~ new seen(x); out2(x, 9) @ me <~ new far(x);";
    fixpoint_lattice: "table l(x: u64, y: Max<u64>); l(x, y) <= m(x, y); l(y, x) <= go(x, y); l(x, _) <- d(x);
        event go(x: u64, y: u64); go(x, y) <= q(x, y, _); go(y, x) <= new hot(x), q(x, y, _);
        view hot(x) <= l(x, y), if y >= 2; go(x, 3) <= hot(x), go(_, x);
        out2(x, y) @ me <~ go(x, y); out(x) @ me <~ new hot(x);";
    news: "table t(x: u64, y: u64); t(x, y) <= m(x, y); t(x, _) <- d(x); t(x, y) <+ q(x, y, _);
        table u(x: u64 => y: u64); u(x, y) <+ q(x, y, _); u(x, _) <- d(x);
        out(x) @ me <~ new t(x, _); out(x) @ me <~ new u(x, _); out2(x, y) @ me <~ new u(x, y);
        out2(x, z) @ me <~ new (t(x, y), u(y, z)); out2(x, w) @ me <~ new (t(x, y), u(y, _), let w = y + 1, if x < w);
        out(y) @ me <~ new u(x, _), !t(x, _), old u(_, y); out(8) @ me <~ new t(_, _);
        out(x) @ me <~ d(x), !old t(x, _), old u(_, x); out2(x, w) @ me <~ new (u(x, y), for w in 0..y);";
    draws: "event b(i: u64, x: u64, y: u64); b(index(), x, y) <= m(x, y), d(y);
        event o(i: u64, x: u64); o(index(x), x) <= m(x, _);
        event pick(x: u64, y: u64); pick(x, choose(y)) <= m(x, y);
        event n(x: u64, y: u64); n(x, count()) <= m(x, y), q(y, _, _); n2(x, sum(z)) <+ q(x, _, z); event n2(x: u64, z: u64);
        out2(i, x) @ me <~ b(i, x, _); out2(i, x) @ me <~ o(i, x); out2(x, y) @ me <~ pick(x, y); out2(x, y) @ me <~ n(x, y);
        out2(x, z) @ me <~ n2(x, z);
        out2(x, random()) @ me <~ d(x); out2(x, r) @ me <~ m(x, y), let r = random(), if r != y;
        table ids(i: Id, x: u64, y: u64); ids(unique(), x, y) <= m(x, y), d(x); ids(unique(), x, 5) <= q(_, x, _);
        out2(count(i), x) @ me <~ new ids(i, x, _);
        on q(x, y, z), let i = unique() { ids(i, x, 6) <=; ids(i, y, 7) <=; out(z) @ me <~; }";
    timers: "table t(x: u64, y: u64); t(x, y) <= m(x, y); t(x, _) <- d(x); t(x, y) <- late(x, y);
        timer late(x: u64, y: u64) after 150ms while t(x, y);
        timer again(x: u64) every 100ms..400ms while t(x, _);
        timer pulse every 100ms jitter 10ms;
        out2(x, y) @ me <~ late(x, y); out(x) @ me <~ again(x); out(9) @ me <~ pulse(); t(3, 3) <+ pulse(), !t(_, 3);";
    machines: "machine k(slot: u64, v: u64) -> (done: u64) = Tally;
        k(n + x, x) <= d(x), old k.next(n); k(x, y) <= m(x, y), if x == y;
        out2(s, r) @ me <~ k.done(s, r); out(n) @ me <~ new k.next(n); k.save(x) <= q(x, _, _);
        table images(n: u64 => b: Bytes); images(n, b) <+ k.saved(_, n, b); k.load(n, b) <= q(_, n, 3), old images(n, b);
        view ahead(x) <= k.next(n), t(x), if x < n; table t(x: u64); t(x) <= d(x); out(x) @ me <~ new ahead(x);";
    for_and_let: "table t(x: u64, y: u64); t(x, y) <= m(x, y); t(x, _) <- d(x);
        view v(x, z) <= t(x, y), for z in x..y + 1; view c(x => count()) <= t(x, y), for z in 0..y;
        view w(x, z) <= t(x, y), for z in x..y + 1, t(z, _), let k = z + 1, !t(k, x);
        out2(x, z) @ me <~ new v(x, z); out2(x, n) @ me <~ new c(x, n); out2(x, z) @ me <~ new w(x, z);
        t(x, z) <- d(x), for z in 1..3; event ke(x: u64 => y: u64); ke(x, y) <= q(x, y, _); out2(x, y) @ me <~ d(x), let Some(y) = ke[x];";
    views_over_views: "table t(x: u64, y: u64); t(x, y) <= m(x, y); t(x, _) <- d(x); t(_, x) <- q(x, _, _);
        view aa(x) <= t(x, _); aa(y) <= t(_, y); view b(x, y) <= aa(x), aa(y), !t(x, y);
        view c(x => count(y)) <= b(x, y); view top(max(n)) <= c(_, n); view best(x) <= c(x, n), top(n);
        view none(1) <= !aa(0); view both(x) <= best(x), aa(x), !none(_), t(x, y), t(y, x);
        out(x) @ me <~ new best(x); out2(x, n) @ me <~ new c(x, n); out(x) @ me <~ new none(x); out(x) @ me <~ new both(x);
        out2(x, n) @ me <~ d(x), old c(x, n); out(x) @ me <~ d(x), !old best(x);";
    vars: "var n(x: u64, y: u64) = (0, 1); n(i + x, j) <+ n(i, j), q(x, 0, 0);
        var k(x: u64) = 2; k(max(x)) <+ d(x); view v(x) <= k(x), n(_, _); out(x) @ me <~ new v(x); out2(x, y) @ me <~ new n(x, y);
        out2(x, y) @ me <~ d(_), old n(x, y); out(x) @ me <~ new k(_), n(x, _);";
    blocks: "table t(x: u64, y: u64); table u(x: u64 => y: u64); table w(x: u64); event e(x: u64, y: u64);
        on m(x, y), u(y, z), !w(x) { t(x, z) <= if x < 2; e(x, z) <=; out2(y, z) @ me <~; out(x) @ me <~; w(p) <+ t(x, p);
            out2(x, p) @ me <~ t(p, _); t(_, x) <- if z == 1; out(q) @ me <~ for q in 0..z; }
        on d(x), let z = x + 1 { u(x, z) <+; out(z) @ me <~ e(_, z); w(x) <-; }
        on new t(x, y), for p in 0..y { out2(x, p) @ me <~; out2(p, z) @ me <~ u(p, z); u(p, _) <-; }
        on q(_, y, z) { w(y) <= if y > 1; out(z) @ me <~; f(y) <=; out(7) @ me <~ f(z); } event f(y: u64);";
    minting_in_blocks: "table k(id: Id => n: u64); k(unique(), x) <= d(x);
        on q(_, y, z) { out2(y, z) @ me <~; out2(y, k[unique()].unwrap_or(z)) @ me <~; out(z) @ me <~; }
        on q(_, y, z), k(i, n) { out2(n, z) @ me <~; out2(y, k[unique()].unwrap_or(n)) @ me <~; k(i, _) <- if n == y; }";
    two_phase_commit: "table active(t: u64 => r: u64); table yes(t: u64, by: u64); event end(t: u64, ok: bool);
        active(t, r) <= m(t, r), !old active(t, _), if t != r; yes(t, by) <= q(t, by, 1), active(t, _);
        view ballots(t => count(by)) <= yes(t, by); view full(t) <= ballots(t, n), if n >= 2;
        end(t, true) <= new full(t); end(t, false) <= q(t, _, 2), active(t, _); end(t, false) <= late(t), !full(t);
        timer late(t: u64) after 300ms while active(t, _);
        event decided(t, ok, r) <= end(t, ok), active(t, r);
        on decided(t, ok, r) { out2(t, r) @ p <~ a(p), if ok; out(r) @ me <~; active(t, _) <-; yes(t, _) <-; }";
}
