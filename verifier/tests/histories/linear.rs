//! The linearizability checker against brute force: all subsets of the unknown operations, all permutations.

use anabranch_core::value::Value;
use anabranch_verifier::check::linear::{self, Planted};
use anabranch_verifier::check::models::{Builtin, Whole};
use anabranch_verifier::check::{Budget, Model, Verdict};
use anabranch_verifier::history::{History, Kind, Operation, Outcome, Recorder};

/// A small generator of its own, so that histories do not change with a library.
pub struct Rng(pub u64);

impl Rng {
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % n
    }
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

fn request(rng: &mut Rng, model: Builtin) -> (&'static str, Value) {
    let int = |n: u64| Value::Int(n.into());
    let key = Value::str(["x", "y"][rng.below(2) as usize]);
    let v = int(rng.below(3));
    match (model, rng.below(4)) {
        (Builtin::Counter, 0) => ("add", v),
        (Builtin::Counter, 1) => ("add_and_get", v),
        (Builtin::Counter, _) => ("read", Value::Unit),
        (Builtin::Map, 0 | 1) => ("put", Value::tuple([key, v])),
        (Builtin::Map, 2) => ("cas", Value::tuple([key, v, int(rng.below(3))])),
        (Builtin::Map, _) => ("get", key),
        (_, 0) => ("write", v),
        (_, 1) => ("cas", Value::tuple([v, int(rng.below(3))])),
        _ => ("read", Value::Unit),
    }
}

/// A linearizable history: each operation takes effect at some moment between its ends; unknown ones then, later,
/// or never.
fn good(rng: &mut Rng, model: Builtin) -> History {
    let whole = Whole(model);
    let clients = 2 + rng.below(2) as usize;
    let mut recorder = Recorder::new(clients);
    let mut state = whole.initial();
    // By client: its request, and its answer once it has taken effect.
    let mut open: Vec<Option<(&str, Value, Option<Value>)>> = vec![None; clients];
    let mut late: Vec<(&str, Value)> = Vec::new();
    let mut left = 4 + rng.below(4);
    let mut time = 0;
    while left > 0 || open.iter().any(Option::is_some) {
        time += 1;
        if !late.is_empty() && rng.chance(20) {
            let (f, args) = late.remove(rng.below(late.len() as u64) as usize);
            if let Some((after, _)) = whole.apply(&state, f, &args) {
                state = after;
            }
        }
        let client = rng.below(clients as u64) as usize;
        match open[client].take() {
            None if left > 0 => {
                left -= 1;
                let (f, args) = request(rng, model);
                recorder.invoke(client, time, f, args.clone());
                open[client] = Some((f, args, None));
            }
            None => {}
            Some((f, args, None)) => {
                if rng.chance(5) {
                    recorder.fail(client, time, "refused");
                } else if rng.chance(10) {
                    recorder.info(client, time, "timeout");
                    late.push((f, args));
                } else {
                    let (after, reply) = whole.apply(&state, f, &args).expect("these can always happen");
                    state = after;
                    open[client] = Some((f, args, Some(reply)));
                }
            }
            Some((_, _, Some(reply))) => {
                if rng.chance(8) {
                    recorder.info(client, time, "timeout");
                } else {
                    recorder.ok(client, time, reply);
                }
            }
        }
    }
    recorder.finish()
}

/// Changes an answer, swaps two events of different processes, or lets an unknown operation fail.
fn mutate(rng: &mut Rng, history: &History) -> History {
    let mut h = history.clone();
    let at = rng.below(h.events.len() as u64) as usize;
    let kind = h.events[at].kind;
    let swap = at > 0 && h.events[at].process != h.events[at - 1].process;
    match &mut h.events[at].value {
        Value::Bool(told) if kind == Kind::Ok => *told = !*told,
        Value::Int(told) if kind == Kind::Ok => *told += [1, -1][rng.below(2) as usize],
        told @ Value::Option(_) if kind == Kind::Ok => {
            let other = Value::Int(rng.below(3).into());
            *told = Value::Option(rng.chance(80).then(|| Box::new(other)));
        }
        _ if kind == Kind::Info => h.events[at].kind = Kind::Fail,
        _ if swap => h.events.swap(at, at - 1),
        _ => {}
    }
    h.events.iter_mut().enumerate().for_each(|(i, e)| e.index = i);
    h
}

/// Tries everything.
fn brute_force(model: Builtin, history: &History) -> bool {
    fn place(
        model: &Whole<Builtin>,
        ops: &[Operation],
        used: u32,
        state: <Whole<Builtin> as Model>::State,
    ) -> bool {
        if (0..ops.len()).all(|i| used >> i & 1 == 1 || !ops[i].outcome.is_ok()) {
            return true;
        }
        (0..ops.len()).filter(|i| used >> i & 1 == 0).any(|i| {
            let op = &ops[i];
            let late = |j: usize| used >> j & 1 == 0 && ops[j].returned().is_some_and(|at| at < op.invoked);
            if (0..ops.len()).any(late) {
                return false;
            }
            let Some((after, reply)) = model.apply(&state, &op.f, &op.args) else { return false };
            op.reply().is_none_or(|told| *told == reply) && place(model, ops, used | 1 << i, after)
        })
    }
    let mut ops = history.operations().unwrap();
    ops.retain(|op| op.outcome != Outcome::Failed);
    let whole = Whole(model);
    place(&whole, &ops, 0, whole.initial())
}

const MODELS: [Builtin; 3] = [Builtin::CasRegister, Builtin::Map, Builtin::Counter];

fn histories(count: u64) -> impl Iterator<Item = (Builtin, bool, History)> {
    (0..count).flat_map(|seed| {
        let mut rng = Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) + 1);
        let model = MODELS[(seed % 3) as usize];
        let history = good(&mut rng, model);
        let first = mutate(&mut rng, &history);
        let second = mutate(&mut rng, &first);
        [(model, true, history), (model, false, first), (model, false, second)]
    })
}

#[test]
fn agrees_with_brute_force() {
    let (mut ok, mut bad) = (0, 0);
    for (n, (model, made_good, history)) in histories(4000).enumerate() {
        let expected = brute_force(model, &history);
        assert!(expected || !made_good, "history {n} was made to be linearizable");
        let verdict = linear::check(&model, &history);
        assert_eq!(
            verdict.word(),
            if expected { "ok" } else { "bad" },
            "history {n}: {verdict}\n{history:#?}"
        );
        let whole = linear::check(&Whole(model), &history);
        assert_eq!(whole.word(), verdict.word(), "history {n}, not split by key");
        (ok, bad) = if expected { (ok + 1, bad) } else { (ok, bad + 1) };
    }
    assert!(ok > 4000 && bad > 1000, "{ok} good and {bad} bad histories: too few of one kind");
}

#[test]
fn planted_mistakes_disagree() {
    let planted =
        [Planted::NoRealTime, Planted::InfoIsFail, Planted::SplitByArguments, Planted::MemoryWithoutState];
    for fault in planted {
        let differ = |(model, _, history): &(Builtin, bool, History)| {
            let expected = brute_force(*model, history);
            linear::check_with(model, history, Budget::default(), Some(fault)).is_ok() != expected
        };
        assert!(histories(500).any(|case| differ(&case)), "{fault:?} passes 1500 histories");
    }
}

/// What an explanation calls contradictory is contradictory: the answers it names are enough.
#[test]
fn explanations_hold() {
    let mut seen = 0;
    for (model, _, history) in histories(600) {
        let verdict = linear::check(&model, &history);
        let Verdict::Violated(violation) = &verdict else { continue };
        let mut fewer = history.clone();
        for event in &mut fewer.events {
            let op = history.operations().unwrap().into_iter().find(|o| o.completed == Some(event.index));
            if event.kind == Kind::Ok && !violation.operations.contains(&op.unwrap().invoked) {
                event.kind = Kind::Info;
            }
        }
        // A client goes on under a new number where its operation is now unknown.
        let mut next = 1000;
        let mut number = std::collections::BTreeMap::new();
        for event in &mut fewer.events {
            let old = event.process.0;
            event.process.0 = *number.entry(old).or_insert(old);
            if event.kind == Kind::Info {
                next += 1;
                number.insert(old, next);
            }
        }
        let told: Vec<String> = fewer.operations().unwrap().iter().map(|o| o.to_string()).collect();
        assert_eq!(linear::check(&model, &fewer).word(), "bad", "{verdict}\nbut not so:\n{told:#?}");
        seen += 1;
    }
    assert!(seen > 100, "only {seen} bad histories");
}

/// Ten clients, two thousand operations, some unknown: found within the budget.
#[test]
fn long_histories_are_decided() {
    let mut rng = Rng(7);
    let mut recorder = Recorder::new(10);
    let mut state = Value::Option(None);
    let mut open: Vec<Option<(&str, Value, Option<Value>)>> = vec![None; 10];
    for time in 0..6000 {
        let client = rng.below(10) as usize;
        open[client] = match open[client].take() {
            None => {
                let (f, args) = request(&mut rng, Builtin::CasRegister);
                recorder.invoke(client, time, f, args.clone());
                Some((f, args, None))
            }
            Some((f, args, None)) => {
                let (after, reply) = Builtin::CasRegister.apply(&state, f, &args).unwrap();
                state = after;
                Some((f, args, Some(reply)))
            }
            Some((_, _, Some(reply))) if rng.chance(1) => {
                let _ = reply;
                recorder.info(client, time, "timeout");
                None
            }
            Some((_, _, Some(reply))) => {
                recorder.ok(client, time, reply);
                None
            }
        };
    }
    assert_eq!(linear::check(&Builtin::CasRegister, &recorder.finish()), Verdict::Ok);
}
