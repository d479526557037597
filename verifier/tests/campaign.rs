//! Random programs on interpreter and plan executor, and planted faults that they must give away.
//!
//! Bounded by counts, not by time. Longer campaigns are run by hand: see `src/bin/campaign.rs`.

use anabranch_core::value::Value;
use anabranch_verifier::campaign::faults::Fault;
use anabranch_verifier::campaign::run::{Inputs, Program, run};
use anabranch_verifier::campaign::script::{Script, Step};
use anabranch_verifier::campaign::{Options, campaign, executor, plant};
use anabranch_verifier::engine::{ROWS, is_endless};

/// Constructs that must have derived something in a campaign of this size; one that did not is not a pass.
const MUST_DERIVE: &[&str] = &[
    "!new",
    "!old",
    "!r with _",
    "!r",
    "<+ event",
    "<+ keyed table",
    "<+ lattice",
    "<+ table",
    "<+ var",
    "<- with _",
    "<-",
    "String",
    "aggregate in <+",
    "aggregate in <~",
    "alias",
    "choose (event)",
    "collect (event)",
    "collect (view)",
    "count (event)",
    "count (view)",
    "countdistinct (event)",
    "countdistinct (view)",
    "durable event",
    "event rule",
    "firstgap (event)",
    "firstgap (view)",
    "for over a list",
    "for",
    "forget",
    "ghost",
    "i64",
    "if",
    "index (event)",
    "indexby (event)",
    "instances",
    "join",
    "keyed event",
    "keyed view",
    "lattice <=",
    "lattice of pairs",
    "lattice read",
    "let",
    "look-up",
    "look-up, several columns",
    "machine done",
    "machine feed",
    "machine load",
    "machine next",
    "machine saved",
    "max (event)",
    "max (view)",
    "maxby (event)",
    "maxby (view)",
    "min (event)",
    "min (view)",
    "minby (event)",
    "minby (view)",
    "nested pattern",
    "new (a, b)",
    "new with _",
    "new",
    "now_ms()",
    "old machine next",
    "old",
    "on block",
    "random()",
    "recursion (event, table)",
    "recursion (view)",
    "redirect",
    "refuse",
    "reply",
    "request",
    "self-join",
    "send",
    "standing rule",
    "start",
    "sum (event)",
    "sum (view)",
    "table rule",
    "timer fired",
    "unique()",
    "view over view",
    "view",
    "view, several rules",
];

/// Constructs whose rows must also have gone: deleted, replaced or retracted.
const MUST_TAKE: &[&str] = &[
    "!old",
    "!r with _",
    "!r",
    "<+ keyed table",
    "<+ var",
    "<- with _",
    "<-",
    "String",
    "alias",
    "collect (view)",
    "count (view)",
    "countdistinct (view)",
    "firstgap (view)",
    "forget",
    "ghost",
    "i64",
    "join",
    "keyed view",
    "look-up",
    "look-up, several columns",
    "max (view)",
    "maxby (view)",
    "min (view)",
    "minby (view)",
    "new (a, b)",
    "new",
    "recursion (view)",
    "self-join",
    "sum (view)",
    "view over view",
    "view",
    "view, several rules",
];

#[test]
fn executor_and_interpreter_agree() {
    let options = Options { programs: 2500, seed: 1, threads: 2, ..Options::default() };
    let report = campaign(&options, Some(&executor));
    if let Some((seed, failure)) = report.failures.first() {
        panic!("seed {seed}:\n{failure}");
    }
    assert!(
        report.refused.is_empty(),
        "the generator made a program that was refused: {:?}",
        report.refused[0]
    );
    println!("{report}");
    let count = |name: &&str| report.stats.0.get(*name).copied().unwrap_or_default();
    let idle: Vec<&&str> = MUST_DERIVE.iter().filter(|name| count(name).derived == 0).collect();
    assert!(idle.is_empty(), "derived nothing: {idle:?}");
    let idle: Vec<&&str> = MUST_TAKE.iter().filter(|name| count(name).gone == 0).collect();
    assert!(idle.is_empty(), "took nothing away: {idle:?}");
}

#[test]
fn planted_faults_are_noticed() {
    let options = Options { programs: 3000, seed: 1, ..Options::default() };
    let missed: Vec<Fault> =
        Fault::ALL.iter().copied().filter(|fault| plant(*fault, &options).noticed.is_none()).collect();
    assert!(missed.is_empty(), "not noticed: {missed:?}");
}

/// Found by a campaign: `v(0, ..)` holds because of `kv.next(0)`, which the machine takes away before the recursive
/// stratum of `t` and `v` begins. Nothing may be derived from it any more.
#[test]
fn what_lower_strata_took_away_is_gone_in_a_recursive_stratum() {
    let text = "protocol p; role node; role peer; message m(x: u64) to node;
        at node {
            table t(x: u64, y: u64);
            machine kv(slot: u64, c: u64) -> (result: u64) = Tally;
            view v(x: u64, y: u64);
            kv(n, c) <= m(c), old kv.next(n);
            t(x, y) <= m(_), v(x, y);
            v(x, 7) <= kv.next(x);
            v(x, 8) <= t(x, 7);
        }";
    let step = Step { arrived: vec![("m".into(), vec![Value::Int(5)])], ..Step::idle() };
    let script = Script(vec![step]);
    let program = Program::new(text).expect("a program");
    let ran = run(&program, Inputs::Script(&script), Some(&executor), &mut |_, outcome, _| {
        assert!(outcome.facts.values().flatten().all(|row| *row != [Value::Int(0), Value::Int(7)]));
    });
    assert_eq!(ran.difference, None);
}

/// Every new id makes another one within the tick. Both evaluators must give up, and say why.
#[test]
fn a_tick_without_end_is_broken_off_by_both() {
    let text = "protocol p; role node; role peer; message m(x: u64) to node;
        at node { table t(id: Id); t(unique()) <= m(_); t(unique()) <= m(_), t(id); }";
    let step = Step { arrived: vec![("m".into(), vec![Value::Int(5)])], ..Step::idle() };
    let program = Program::new(text).expect("a program");
    let script = Script(vec![step]);
    let ran = run(&program, Inputs::Script(&script), Some(&executor), &mut |_, _, _| {});
    assert_eq!((ran.difference, ran.endless), (None, true));
    let mut alone = executor(&program);
    assert!(alone.bound(ROWS));
    let broken = alone.tick(&script.0[0].input(&program.protocol, 0)).expect_err("it does not end");
    assert!(is_endless(&broken), "{broken}");
}
