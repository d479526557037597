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
        "Bytes" => Value::Bytes(bytes::Bytes::copy_from_slice(&dice.below(3).to_le_bytes())),
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
}
