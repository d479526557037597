use super::search::search;
use super::*;
use crate::world::{Call, Scope, System, World};
use anabranch_core::value::Value;

/// Two-phase commit as in the library, payloads being numbers: 0 is refused.
pub const TWO_PC: &str = include_str!("../../testdata/two_pc.anabranch");

pub fn commit(payload: i128) -> Call {
    Call { request: "commit".into(), at: 0, args: vec![Value::Int(payload)] }
}

fn run(text: &str, instances: &[u32], scope: Scope, options: Options) -> Report {
    let system = System::planned(text, instances).expect("a program");
    let mut world = World::new(system, scope).expect("a world");
    search(&mut world, &options)
}

#[test]
fn happy_path_in_all_orders() {
    let scope = Scope { clients: vec![vec![commit(1)]], quiet_timers: false, ..Scope::default() };
    let plain = Options { symmetry: false, exact: true, ..Options::default() };
    let report = run(TWO_PC, &[1, 3], scope.clone(), plain.clone());
    println!("{report}");
    // The request is there or taken; then each participant has prepared, voted, been counted; then each has the
    // decision, has applied it, has been noted: 1 + 3^3 + 3^3, less the state in which all votes are in.
    assert!(report.passed(), "{report}");
    assert_eq!(report.states, 1 + 27 + 27 - 1);
    let hashed = run(TWO_PC, &[1, 3], scope.clone(), Options { exact: false, ..plain.clone() });
    assert_eq!(hashed.states, report.states);
    let asleep = run(TWO_PC, &[1, 3], scope.clone(), Options { sleep: true, ..plain });
    assert_eq!(asleep.states, report.states);
    assert!(asleep.transitions < report.transitions, "{} of {}", asleep.transitions, report.transitions);
    // Three participants in three stages, twice, without names: 10 + 10 - 1 and the first.
    let symmetric = run(TWO_PC, &[1, 3], scope, Options::default());
    assert_eq!(symmetric.states, 1 + 10 + 10 - 1);
}

/// One coordinator, two participants, two transactions, one crash.
#[test]
fn two_transactions_and_a_crash() {
    let clients = vec![vec![commit(1)], vec![commit(0)]];
    for timers in [0, 1] {
        let scope = Scope { clients: clients.clone(), crashes: 1, timers, ..Scope::default() };
        let report = run(TWO_PC, &[1, 2], scope, Options { max_states: 3_000_000, ..Options::default() });
        println!("{timers} timer rows at any time: {report}");
        assert!(report.passed(), "{report}");
    }
}

/// Mistakes in two-phase commit: what is replaced by what, crashes that it takes, and the length of a shortest way to a
/// transaction that one participant applies and another drops.
const BROKEN: &[(&str, &str, &str, u32, usize)] = &[
    ("replies before all votes are in", "if n == participant.len();", "if n >= 1;", 0, 10),
    (
        "an inquiry is answered while the transaction is open",
        "event settled(txn, p) <= inquire(txn, p), !active(txn, _);",
        "event settled(txn, p) <= inquire(txn, p);",
        0,
        9,
    ),
    ("the coordinator forgets what it owes in a crash", "durable table owed", "table owed", 1, 10),
];

#[test]
fn mistakes_are_found() {
    for (what, from, to, crashes, longest) in BROKEN {
        let text = TWO_PC.replace(from, to);
        assert_ne!(text, TWO_PC, "{what}");
        let scope =
            Scope { clients: vec![vec![commit(1)]], crashes: *crashes, timers: 1, ..Scope::default() };
        let report = run(&text, &[1, 2], scope, Options { max_states: 200_000, ..Options::default() });
        println!("{what}: {report}");
        let found = report.violations.first().unwrap_or_else(|| panic!("{what}: {report}"));
        assert_eq!(found.name, "torn", "{what}");
        assert!(found.moves.len() <= *longest, "{what}: {report}");
    }
}

/// A trace of a counterexample keeps its writer's obligations and tells the crash.
#[test]
fn counterexamples_become_traces() {
    let text = TWO_PC.replace("durable table owed", "table owed");
    let system = System::planned(&text, &[1, 2]).expect("a program");
    let scope = Scope { clients: vec![vec![commit(1)]], crashes: 1, timers: 1, ..Scope::default() };
    let mut world = World::new(system, scope).expect("a world");
    let report = search(&mut world, &Options::default());
    let found = report.violations.first().expect("a forgetful coordinator is found");
    let trace = world.trace(&found.moves, None);
    assert_eq!(trace.problems(), Vec::<String>::new());
    let tells = |what: fn(&crate::trace::What) -> bool| trace.steps.iter().any(|s| what(&s.what));
    assert!(tells(|w| matches!(w, crate::trace::What::Crash { .. })));
    assert!(tells(|w| matches!(w, crate::trace::What::Return { .. })));
    assert!(world.story(&found.moves).contains("crashes"));
}

/// Random programs, two nodes of one role that send to each other, requests by two clients: with every reduction the
/// search finds the same states, or the same histories.
#[test]
fn reductions_lose_nothing() {
    let (mut compared, mut merged, mut spared) = (0, 0, 0);
    for seed in 0..400 {
        let source = crate::random::program(seed).to_string();
        let Ok(system) = System::planned(&source, &[2, 1]) else { continue };
        if !system.protocol.rules.iter().any(|r| matches!(r.head, anabranch_dsl::ir::Head::Send { .. })) {
            continue;
        }
        let calls = calls(&system, seed);
        if calls.is_empty() {
            continue;
        }
        let half = calls.len() / 2;
        let clients = vec![calls[..half].to_vec(), calls[half..].to_vec()];
        let scope =
            Scope { clients, crashes: 1, timers: 1, together: 2, histories: true, ..Scope::default() };
        let search = |options: Options| {
            let mut world = World::new(system.clone(), scope.clone()).expect("a world");
            let report = search(&mut world, &Options { all: true, max_states: 1500, ends: false, ..options });
            let shown: BTreeSet<_> =
                report.histories.iter().map(|h| crate::equivalence::shown::Shown::of(&world, h)).collect();
            (report, shown)
        };
        let (whole, histories) = search(Options { symmetry: false, exact: true, ..Options::default() });
        if whole.stopped.is_some() || whole.states < 10 {
            continue;
        }
        let broken = |r: &Report| r.violations.is_empty();
        let (asleep, same) = search(Options { sleep: true, ..Options::default() });
        assert_eq!(asleep.states, whole.states, "seed {seed}: sleep sets lost states\n{source}");
        assert_eq!(same, histories, "seed {seed}\n{source}");
        assert_eq!(broken(&asleep), broken(&whole), "seed {seed}\n{source}");
        let (symmetric, same) = search(Options::default());
        assert_eq!(same, histories, "seed {seed}: symmetry lost histories\n{source}");
        assert_eq!(broken(&symmetric), broken(&whole), "seed {seed}\n{source}");
        compared += 1;
        merged += usize::from(symmetric.states < whole.states);
        spared += usize::from(asleep.transitions < whole.transitions);
    }
    println!("{compared} compared, symmetry merged in {merged}, sleep sets spared in {spared}");
    assert!(compared >= 20, "only {compared} programs were small enough");
    assert!(spared > 0, "sleep sets never spared anything");
}

/// Requests and messages stand for each other: clients can only make requests, so programs without are left out.
fn calls(system: &System, seed: u64) -> Vec<Call> {
    use anabranch_dsl::ir::RelationKind;
    let mut dice = crate::random::Dice::part(seed, 7);
    let mut calls = Vec::new();
    for _ in 0..2 {
        for relation in &system.protocol.relations {
            if !matches!(relation.kind, RelationKind::Request(_)) || calls.len() >= 3 {
                continue;
            }
            let value = |ty: &str, dice: &mut crate::random::Dice| {
                Some(match ty.replace(' ', "").as_str() {
                    "u64" => Value::Int(dice.below(3) as i128),
                    "bool" => Value::Bool(dice.percent(50)),
                    "Option<u64>" => Value::Option(None),
                    "(u64,u64)" => Value::tuple([Value::Int(1), Value::Int(0)]),
                    "node" => Value::Addr(0, dice.below(2) as u32),
                    "peer" => Value::Addr(1, 0),
                    _ => return None,
                })
            };
            let args: Option<Vec<Value>> =
                relation.columns[1..].iter().map(|c| value(&c.ty.0.to_string(), &mut dice)).collect();
            if let Some(args) = args {
                calls.push(Call { request: relation.name.clone(), at: dice.below(2) as u32, args });
            }
        }
    }
    calls
}

/// The first request is dropped: only a repeat, of which the client has one, is answered.
#[test]
fn whoever_waits_asks_again() {
    let text = "protocol deaf; role server;
        request ask() -> (n: u64) at server, resend;
        at server {
            var heard(n: u64) = 0;
            heard(n + 1) <+ ask(_), heard(n);
            reply ask(req, n) <~ ask(req), heard(n), if n > 0;
        }";
    for (repeats, told) in [(0, false), (1, true), (2, true)] {
        let ask = Call { request: "ask".into(), at: 0, args: vec![] };
        let scope = Scope { clients: vec![vec![ask]], repeats, histories: true, ..Scope::default() };
        let report = run(text, &[1], scope, Options { ends: true, all: true, ..Options::default() });
        assert!(report.stopped.is_none(), "{report}");
        let complete: Vec<bool> = report.complete.iter().map(|h| h.ended() != 0).collect();
        assert_eq!(complete, [told], "{repeats} repeats: {report}");
    }
}

/// What counts its firings goes on for ever, unless the scope says how many there are.
#[test]
fn firings_may_be_limited() {
    let text = "protocol ticking; role clock;
        request look() -> (n: u64) at clock;
        at clock {
            var count(n: u64) = 0;
            timer tick every 1s;
            count(n + 1) <+ tick(), count(n);
            reply look(req, n) <~ look(req), count(n);
        }";
    let scope = Scope { quiet_timers: true, ..Scope::default() };
    let some = Options { max_states: 1_000, ..Options::default() };
    let endless = run(text, &[1], scope.clone(), some.clone());
    assert_eq!(endless.stopped, Some(Bound::States));
    let limited = run(text, &[1], Scope { limits: [("tick".to_string(), 3)].into(), ..scope.clone() }, some);
    assert!(limited.passed() && limited.states >= 4 && limited.states < 8, "{limited}");
    let system = System::planned(text, &[1]).expect("a program");
    let unknown = Scope { limits: [("tock".to_string(), 3)].into(), ..scope };
    assert_eq!(World::new(system, unknown).err().as_deref(), Some("there is no timer `tock`"));
}
