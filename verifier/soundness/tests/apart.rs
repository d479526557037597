//! One key after the other: a search that uses what the rewriter knows of keys finds what the whole search finds, in fewer
//! states.

use anabranch_core::value::Value;
use anabranch_rewriter::analysis::apart::apart;
use anabranch_verifier::explore::search::search;
use anabranch_verifier::explore::{Options, Order, Report};
use anabranch_verifier::random::Dice;
use anabranch_verifier::world::{Call, Scope, System, World};
use std::collections::BTreeSet;

const TWO_PC: &str = include_str!("../../testdata/two_pc.anabranch");

/// Mistakes: what is replaced by what, and whether it takes a crash.
const BROKEN: &[(&str, &str, u32)] = &[
    ("if n == participant.len();", "if n >= 1;", 0),
    (
        "event settled(txn, p) <= inquire(txn, p), !active(txn, _);",
        "event settled(txn, p) <= inquire(txn, p);",
        0,
    ),
    ("durable table owed", "table owed", 1),
];

fn commit(payload: i128) -> Call {
    Call { request: "commit".into(), at: 0, args: vec![Value::Int(payload)] }
}

/// What a search found, whatever the way: properties that fail, those that never held, states where runs end.
fn found(report: &Report) -> (BTreeSet<String>, Vec<String>, BTreeSet<u128>) {
    let names = report.violations.iter().map(|f| f.name.clone()).collect();
    (names, report.never_held.clone(), report.last.clone())
}

fn run(system: &System, scope: &Scope, options: Options) -> Report {
    let mut world = World::new(system.clone(), scope.clone()).expect("a world");
    search(&mut world, &Options { all: true, ..options })
}

/// The whole search and those with keys, in one scope: states of the whole one and of the one with keys.
fn compared(system: &System, scope: &Scope, most: usize, what: &str) -> Option<(usize, usize)> {
    let keys = apart(&system.protocol).unwrap_or_else(|why| panic!("{what}: {}", why.message));
    assert!(!keys.is_empty(), "{what}");
    let run = |options: Options| run(system, scope, Options { max_states: most, ..options });
    let whole = run(Options::default());
    if whole.stopped.is_some() {
        return None;
    }
    let divided = run(Options { keys: keys.clone(), ..Options::default() });
    assert_eq!((found(&divided).0, found(&divided).1), (found(&whole).0, found(&whole).1), "{what}");
    assert_eq!(divided.last.is_empty(), whole.last.is_empty(), "{what}");
    assert!(divided.states <= whole.states, "{what}");
    // Without symmetry as well, in both orders of the search, and asleep.
    let plain = Options { symmetry: false, ..Options::default() };
    let whole_plain = run(plain.clone());
    let deep = Options { order: Order::Depth, keys: keys.clone(), ..plain.clone() };
    for options in [Options { keys: keys.clone(), ..plain.clone() }, deep] {
        let other = run(options);
        if whole_plain.stopped.is_none() && other.stopped.is_none() {
            assert_eq!(found(&other), found(&whole_plain), "{what}");
        }
    }
    let asleep = run(Options { sleep: true, keys, ..plain });
    if whole_plain.stopped.is_none() && asleep.stopped.is_none() {
        assert_eq!(asleep.states, whole_plain.states, "{what}: sleep sets lost states");
    }
    println!("{what}: {} states, with keys {} ({} divided)", whole.states, divided.states, divided.divided);
    Some((whole.states, divided.states))
}

#[test]
fn two_phase_commit_one_transaction_after_the_other() {
    let system = System::planned(TWO_PC, &[1, 2]).unwrap();
    let clients = |n: i128| (0..n).map(|i| vec![commit(i % 2)]).collect::<Vec<_>>();
    let happy = Scope { clients: clients(2), quiet_timers: false, ..Scope::default() };
    let (whole, divided) = compared(&system, &happy, 200_000, "2 transactions").unwrap();
    assert!(2 * divided < whole, "{divided} of {whole}");
    let crash = Scope { clients: clients(2), crashes: 1, ..Scope::default() };
    let (whole, divided) = compared(&system, &crash, 200_000, "2 transactions, a crash, timers").unwrap();
    assert!(divided < whole, "{divided} of {whole}");
    let queue = Scope { clients: vec![vec![commit(1), commit(0)], vec![commit(1)]], ..happy };
    let (whole, divided) = compared(&system, &queue, 200_000, "2 clients, 3 transactions").unwrap();
    assert!(2 * divided < whole, "{divided} of {whole}");
}

#[test]
fn mistakes_are_found_as_well() {
    for (from, to, crashes) in BROKEN {
        let text = TWO_PC.replace(from, to);
        assert_ne!(text, TWO_PC);
        let system = System::planned(&text, &[1, 2]).unwrap();
        for timers in [0, 1] {
            let clients = vec![vec![commit(1)], vec![commit(1)]];
            let scope = Scope { clients, crashes: *crashes, timers, ..Scope::default() };
            compared(&system, &scope, 5_000, from);
        }
    }
}

/// What keeps a protocol together is named.
#[test]
fn protocols_that_cannot_be_divided() {
    let why = |from: &str, to: &str| {
        let text = TWO_PC.replace(from, to);
        assert_ne!(text, TWO_PC);
        let system = System::planned(&text, &[1, 2]).unwrap();
        apart(&system.protocol).expect_err("something keeps it together")
    };
    // A message that tells of one transaction goes out for another.
    let to = "ack(next, me) @ c <~ decide(c, txn, true), prepared(next, _, _), if next != txn;";
    assert_eq!(why("ack(txn, me) @ c <~ decide(c, txn, true);", to).item, "column");
    // An invariant that looks at two.
    let to = "never split(txn, other) <= done(txn) at _, refused(other) at _, if txn != other;";
    assert_eq!(why("never split(txn) <= done(txn) at _, refused(txn) at _;", to).item, "asked");
}

/// A random program with a key: two roles, messages that go on to later ones only, tables that they fill, empty and
/// join, and properties of one key.
fn keyed(seed: u64) -> String {
    let mut dice = Dice::part(seed, 40);
    let odd = ["t00(k, 1) at _, t10(k, _) at _", "t01(k, _) at _, t11(k, 2) at _"][dice.below(2)];
    let odd = ["t00(k, 1) at _, t00(k, 2) at _", odd][dice.below(2)];
    let mut rules = [String::new(), String::new()];
    let home = |message: usize| message % 2;
    for message in 0..5usize {
        let at = home(message);
        let table = |dice: &mut Dice| format!("t{at}{}", dice.below(2));
        let event = if message == 0 { "ask(req, k, v)".into() } else { format!("m{message}(k, v)") };
        for _ in 0..dice.within(1, 3) {
            let table = table(&mut dice);
            let with = match dice.below(4) {
                0 => format!(", {table}(k, w), if w != v"),
                1 => format!(", !{table}(k, v)"),
                2 => format!(", {table}(k, v)"),
                _ => String::new(),
            };
            let event = event.replace("req", "_");
            let rule = match dice.below(5) {
                0 => format!("{table}(k, v) <= {event};"),
                1 => format!("{table}(k, (v + 1) % 3) <+ {event}{with};"),
                2 => format!("{table}(k, v) <- {event}{with};"),
                _ if message < 4 => {
                    let next = dice.within(message + 1, 4);
                    let role = ["front", "back"][home(next)];
                    format!("m{next}(k, (v + {}) % 3) @ x <~ {event}{with}, {role}(x);", dice.below(3))
                }
                _ => format!("{table}(k, 0) <= {event}{with};"),
            };
            rules[at] += &format!("        {rule}\n");
        }
        if message % 2 == 0 && message > 0 {
            rules[0] += &format!("        reply ask(req, v) <~ m{message}(k, v), open(k, req);\n");
        }
    }
    let messages: String = (1..5)
        .map(|m| format!("    message m{m}(k: u64, v: u64) to {};\n", ["front", "back"][home(m)]))
        .collect();
    format!(
        "protocol keyed;\nrole front;\nrole back;\nrequest ask(k: u64, v: u64) -> (got: u64) at front;\n{messages}\
         at front {{\n        durable table open(k: u64, req: Req);\n        open(k, req) <= ask(req, k, _);\n\
         durable table t00(k: u64, v: u64);\n        table t01(k: u64, v: u64);\n{}    }}\n\
         at back {{\n        durable table t10(k: u64, v: u64);\n        table t11(k: u64, v: u64);\n{}    }}\n\
         never odd(k) <= {odd};\n\
         sometimes full(k) <= t0{}(k, {}) at _, t10(k, _) at _;\n",
        rules[0],
        rules[1],
        dice.below(2),
        dice.below(3),
    )
}

#[test]
fn random_programs_with_keys() {
    let (mut all, mut spared, mut violated, mut states) = (0, 0, 0, (0, 0));
    for seed in 0..80 {
        let source = keyed(seed);
        // Some negate what they write.
        let Ok(system) = System::planned(&source, &[1, 2]) else { continue };
        let ask = |k: i128, v: i128| Call {
            request: "ask".into(),
            at: 0,
            args: vec![Value::Int(k), Value::Int(v)],
        };
        let clients = vec![vec![ask(0, 1), ask(1, 2)], vec![ask(2, 0)]];
        for crashes in [0, 1] {
            let scope = Scope { clients: clients.clone(), crashes, ..Scope::default() };
            if let Some((whole, with)) = compared(&system, &scope, 4000, &format!("seed {seed}\n{source}")) {
                all += 1;
                spared += usize::from(with < whole);
                states = (states.0 + whole, states.1 + with);
                violated += usize::from(!run(&system, &scope, Options::default()).violations.is_empty());
            }
        }
    }
    println!("{all} compared, {spared} with fewer states, {violated} violated; states {states:?}");
    // Violations are left to the test above: random ones are rare.
    assert!(all >= 20 && spared >= 10);
}
