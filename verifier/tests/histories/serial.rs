//! The checkers of transactions against brute force: all permutations.

use crate::linear::Rng;
use anabranch_core::value::Value;
use anabranch_verifier::check::Verdict;
use anabranch_verifier::check::atomic::{Versions, read_atomic};
use anabranch_verifier::check::serial::{self, Promise};
use anabranch_verifier::check::txn::{Facts, Read};
use anabranch_verifier::history::{History, Kind, Operation, Recorder};
use std::collections::BTreeMap;

type State = BTreeMap<Value, Vec<Value>>;

fn step(name: &str, key: &Value, second: Value) -> Value {
    Value::Variant(0, name.into(), [key.clone(), second].into())
}

fn seen(lists: bool, items: &[Value]) -> Value {
    if lists { Value::List(items.into()) } else { Value::Option(items.last().map(|v| Box::new(v.clone()))) }
}

/// Runs a transaction on a state: its steps with what they see.
fn run(lists: bool, state: &mut State, steps: &Value) -> Value {
    let Value::List(steps) = steps else { panic!("steps are a list") };
    let done = steps.iter().map(|s| {
        let Value::Variant(_, name, fields) = s else { panic!("a step is a variant") };
        let items = state.entry(fields[0].clone()).or_default();
        if &**name == "r" {
            return step("r", &fields[0], seen(lists, items));
        }
        items.push(fields[1].clone());
        s.clone()
    });
    Value::List(done.collect())
}

/// Transactions that take effect one by one between their ends, then one or two answers changed.
fn history(rng: &mut Rng, lists: bool, lies: u64) -> History {
    let (mut state, mut next) = (State::new(), 0);
    let mut recorder = Recorder::new(4);
    let mut open: Vec<Option<(Value, Option<Value>)>> = vec![None; 4];
    let mut left = 4 + rng.below(4);
    let keys = ["x", "y", "z"].map(Value::str);
    let mut snapshots: Vec<State> = vec![State::new()];
    let mut time = 0;
    let mut lies = lies;
    while left > 0 || open.iter().any(Option::is_some) {
        time += 1;
        let client = rng.below(4) as usize;
        open[client] = match open[client].take() {
            None if left == 0 => None,
            None => {
                left -= 1;
                let steps = (0..1 + rng.below(4)).map(|_| {
                    let key = &keys[rng.below(2) as usize];
                    if rng.chance(60) {
                        return step("r", key, Value::Option(None));
                    }
                    next += 1;
                    step(if lists { "append" } else { "w" }, key, Value::Int(next))
                });
                let steps = Value::List(steps.collect());
                recorder.invoke(client, time, "txn", steps.clone());
                Some((steps, None))
            }
            Some((steps, None)) => {
                // A lie: it reads an older state, so that its reads fit each other but not the order.
                let lie = lies > 0 && rng.chance(80);
                let reply = if lie {
                    lies -= 1;
                    run(lists, &mut snapshots[rng.below(snapshots.len() as u64) as usize].clone(), &steps)
                } else {
                    run(lists, &mut state.clone(), &steps)
                };
                run(lists, &mut state, &steps);
                snapshots.push(state.clone());
                Some((steps, Some(reply)))
            }
            Some((_, Some(reply))) => {
                if rng.chance(10) {
                    recorder.info(client, time, "timeout");
                } else {
                    recorder.ok(client, time, reply);
                }
                None
            }
        };
    }
    recorder.finish()
}

/// Some order of the transactions (unknown ones left out or not) gives all answers.
fn brute_force(lists: bool, strict: bool, ops: &[Operation], used: u32, state: &State) -> bool {
    if (0..ops.len()).all(|i| used >> i & 1 == 1 || !ops[i].outcome.is_ok()) {
        return true;
    }
    (0..ops.len()).filter(|i| used >> i & 1 == 0).any(|i| {
        let late = |j: usize| used >> j & 1 == 0 && ops[j].returned().is_some_and(|at| at < ops[i].invoked);
        if strict && (0..ops.len()).any(late) {
            return false;
        }
        let mut after = state.clone();
        let told = run(lists, &mut after, &ops[i].args);
        ops[i].reply().is_none_or(|reply| *reply == told)
            && brute_force(lists, strict, ops, used | 1 << i, &after)
    })
}

/// Some order of the transactions has every read's writer before the reader, and, where a reader saw one write of a
/// transaction and another's version of a second key that it wrote too, that transaction before the other.
fn atomic_by_brute_force(facts: &Facts) -> bool {
    fn place(facts: &Facts, order: &mut Vec<usize>) -> bool {
        let n = facts.txns.len();
        if order.len() == n {
            return holds(facts, order);
        }
        (0..n).any(|t| {
            if order.contains(&t) {
                return false;
            }
            order.push(t);
            let found = place(facts, order);
            order.pop();
            found
        })
    }
    fn holds(facts: &Facts, order: &[usize]) -> bool {
        let at = |t: usize| order.iter().position(|&o| o == t).unwrap();
        let from = |r: &Read| r.from.map_or(-1, |w| at(w) as i64);
        facts.reads.iter().all(|r| from(r) < at(r.by) as i64)
            && facts.reads.iter().all(|b| {
                let sources = facts.reads.iter().filter(|a| a.by == b.by && a.from != b.from);
                let mut sources = sources.filter_map(|a| a.from);
                sources.all(|v| !facts.writes[v].contains_key(&b.key) || (at(v) as i64) < from(b))
            })
    }
    place(facts, &mut Vec::new())
}

#[test]
fn read_atomicity_agrees_with_brute_force() {
    let mut counts = [0; 2];
    for seed in 0..2500u64 {
        let mut rng = Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) + 5);
        let mut history = history(&mut rng, false, 1 + seed % 3);
        fracture(&mut rng, &mut history);
        let Ok(facts) = Facts::of(&history) else { continue };
        let expected = atomic_by_brute_force(&facts);
        let verdict = read_atomic(&history, Versions::Inferred);
        assert_eq!(verdict.word(), if expected { "ok" } else { "bad" }, "seed {seed}: {verdict}");
        counts[usize::from(expected)] += 1;
    }
    assert!(counts.iter().all(|&n| n > 50), "{counts:?}: too few of one kind");
}

/// Lets one answer see another version of one key.
fn fracture(rng: &mut Rng, history: &mut History) {
    let mut written: Vec<(Value, Value)> = Vec::new();
    for event in &history.events {
        let Value::List(steps) = &event.value else { continue };
        for s in steps.iter() {
            if let Value::Variant(_, name, fields) = s
                && &**name == "w"
                && event.kind == Kind::Invoke
            {
                written.push((fields[0].clone(), fields[1].clone()));
            }
        }
    }
    for event in history.events.iter_mut().filter(|e| e.kind == Kind::Ok) {
        let Value::List(steps) = &event.value else { continue };
        let changed = steps.iter().map(|s| match s {
            Value::Variant(_, name, fields) if &**name == "r" && rng.chance(30) => {
                let of_key: Vec<&Value> =
                    written.iter().filter(|(k, _)| *k == fields[0]).map(|(_, v)| v).collect();
                let version = match of_key.len() as u64 {
                    0 => None,
                    n => Some(Box::new(of_key[rng.below(n) as usize].clone())),
                };
                step("r", &fields[0], Value::Option(version))
            }
            other => other.clone(),
        });
        event.value = Value::List(changed.collect());
    }
}

/// Five hundred transactions over ten registers, good: decided, and soon.
#[test]
fn long_histories_are_decided() {
    for lists in [true, false] {
        let (mut rng, mut state, mut next) = (Rng(11), State::new(), 0);
        let mut recorder = Recorder::new(8);
        let keys: Vec<Value> = (0..10).map(|k| Value::str(&format!("k{k}"))).collect();
        let mut open: Vec<Option<Value>> = vec![None; 8];
        for time in 0..1000 {
            let client = rng.below(8) as usize;
            open[client] = match open[client].take() {
                None => {
                    let steps = (0..4).map(|_| {
                        let key = &keys[rng.below(10) as usize];
                        if rng.chance(50) {
                            return step("r", key, Value::Option(None));
                        }
                        next += 1;
                        step(if lists { "append" } else { "w" }, key, Value::Int(next))
                    });
                    let steps = Value::List(steps.collect());
                    recorder.invoke(client, time, "txn", steps.clone());
                    Some(run(lists, &mut state, &steps))
                }
                Some(reply) => {
                    recorder.ok(client, time, reply);
                    None
                }
            };
        }
        let history = recorder.finish();
        assert_eq!(serial::check(&history, Promise::Serializable), Verdict::Ok);
        assert_eq!(serial::check(&history, Promise::Strict), Verdict::Ok);
        assert_eq!(read_atomic(&history, Versions::Inferred), Verdict::Ok);
    }
}

#[test]
fn agrees_with_brute_force() {
    let mut counts = [[0; 2]; 4];
    for seed in 0..4000u64 {
        let mut rng = Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) + 3);
        let lists = seed % 2 == 0;
        let history = history(&mut rng, lists, seed % 4);
        let ops = history.operations().unwrap();
        for (promise, strict) in [(Promise::Serializable, false), (Promise::Strict, true)] {
            let verdict = serial::check(&history, promise);
            let expected = brute_force(lists, strict, &ops, 0, &State::new());
            let word = if expected { "ok" } else { "bad" };
            assert_eq!(verdict.word(), word, "seed {seed}, strict: {strict}: {verdict}\n{ops:#?}");
            counts[usize::from(lists) * 2 + usize::from(strict)][usize::from(expected)] += 1;
        }
        // What is serializable is read atomic (the converse is false).
        if serial::check(&history, Promise::Serializable).is_ok() {
            assert_eq!(read_atomic(&history, Versions::Inferred), Verdict::Ok, "seed {seed}");
        }
    }
    assert!(counts.iter().flatten().all(|&n| n > 100), "{counts:?}: too few of one kind");
}
