//! `logged` messages: what has crossed to a part survives crashes of either side, as it would have in one node.
//!
//! Small scopes are compared with the undivided node exhaustively; compiled nodes run in the simulator with all faults.
//! Both must find a difference where the word is missing.

use anabranch_core::node::Layout;
use anabranch_core::value::Value;
use anabranch_verifier::equivalence::{Budget, Pair, exhaustive};
use anabranch_verifier::random::Dice;
use anabranch_verifier::sim::campaign::{Options, Report, campaign};
use anabranch_verifier::sim::{Check, Faults, RunEnd, Shape, Tester, Workload};
use anabranch_verifier::world::{Call, Scope, System};
use std::collections::BTreeSet;
use std::sync::Arc;

/// `seen` and `work` are written in one tick. Whoever was seen to ask is answered in the end, since a timer asks again.
const WHOLE: &str = "protocol p; role c;
    request put(x: u64) -> () at c; request get(x: u64) -> () at c; request asks() -> () at c;
    at c {
        durable table seen(x: u64); durable table work(x: u64); durable table asked(r: Req, x: u64);
        seen(x) <= put(_, x); event did(x: u64); did(x) <= put(_, x); reply put(r) <~ put(r, _);
        work(x) <= did(x);
        asked(r, x) <= get(r, x), seen(x);
        timer again(r: Req, x: u64) every 1s while asked(r, x);
        event got(r: Req, x: u64); got(r, x) <= again(r, x);
        reply get(r) <~ got(r, x), work(x);
        reply asks(r) <~ asks(r), asked(_, _);
    }";

/// The same in two parts.
fn parts(word: &str) -> String {
    format!(
        "protocol p; role c; role d of c;
        request put(x: u64) -> () at c; request get(x: u64) -> () at c; request asks() -> () at c;
        message did(x: u64) to d{word}; message got(r: Req, x: u64) to d;
        at c {{
            durable table seen(x: u64); durable table asked(r: Req, x: u64);
            seen(x) <= put(_, x); did(x) @ me <~ put(_, x); reply put(r) <~ put(r, _);
            asked(r, x) <= get(r, x), seen(x);
            timer again(r: Req, x: u64) every 1s while asked(r, x);
            got(r, x) @ me <~ again(r, x);
            reply asks(r) <~ asks(r), asked(_, _);
        }}
        at d {{
            durable table work(x: u64);
            work(x) <= did(x);
            reply get(r) <~ got(r, x), work(x);
        }}"
    )
}

fn pair(word: &str) -> Pair {
    let call = |request: &str, args: &[i128]| Call {
        request: request.into(),
        at: 0,
        args: args.iter().map(|n| Value::Int(*n)).collect(),
    };
    let clients = vec![vec![call("put", &[1]), call("get", &[1])], vec![call("asks", &[])]];
    Pair {
        base: System::planned(WHOLE, &[1]).expect("a program"),
        derived: System::in_plain_rules(&parts(word), &[1, 1]).expect("a program"),
        scope: Scope { clients, crashes: 1, ..Scope::default() },
    }
}

#[test]
fn nothing_that_was_written_is_lost() {
    let compared = exhaustive(&pair(", logged"), Budget::default()).expect("worlds");
    println!("{compared}");
    assert!(compared.verdict.matched(), "{compared}");
    let compared = exhaustive(&pair(""), Budget::default()).expect("worlds");
    println!("{compared}");
    assert!(compared.verdict.refuted(), "{compared}");
}

anabranch::protocol! {
    /// Each number is worked on by another node than the one that took it.
    protocol crossing;
    role taker, partitioned;
    role worker of taker, partitioned;
    request put(x: u64) -> () at taker routed by x;
    message work(from: taker, x: u64) to worker routed by x + 1, logged;
    at taker {
        durable event took(x: u64);
        on put(req, x) { took(x) <=; work(me, x) @ me <~; reply put(req) <~; }
    }
    at worker {
        durable event worked(x: u64);
        durable table times(x: u64 => n: u64);
        worked(x) <= work(_, x);
        times(x, 1) <= work(_, x), !old times(x, _);
        times(x, n + 1) <+ work(_, x), old times(x, n);
    }
    never twice(x) <= times(x, n) at _, if n > 1;
}

anabranch::protocol! {
    /// The same without the word.
    protocol careless;
    role taker, partitioned;
    role worker of taker, partitioned;
    request put(x: u64) -> () at taker routed by x;
    message work(from: taker, x: u64) to worker routed by x + 1;
    at taker {
        durable event took(x: u64);
        on put(req, x) { took(x) <=; work(me, x) @ me <~; reply put(req) <~; }
    }
    at worker {
        durable event worked(x: u64);
        worked(x) <= work(_, x);
    }
}

/// What was taken is worked on, and nothing else is.
#[derive(Default)]
struct AllWorked {
    took: BTreeSet<Value>,
    worked: BTreeSet<Value>,
}

impl Check for AllWorked {
    fn name(&self) -> &'static str {
        "all_worked"
    }
    fn rest_us(&self) -> u64 {
        20_000_000
    }
    fn told(&mut self, _: u32, event: &str, row: &[Value]) {
        let told = if event == "took" { &mut self.took } else { &mut self.worked };
        told.insert(row[0].clone());
    }
    fn end(&mut self, _: &RunEnd<'_>) -> Result<(), String> {
        if self.took == self.worked {
            return Ok(());
        }
        Err(format!(
            "taken and not worked on: {:?}; the other way round: {:?}",
            self.took.difference(&self.worked).collect::<Vec<_>>(),
            self.worked.difference(&self.took).collect::<Vec<_>>()
        ))
    }
}

fn run(protocol: &'static dyn anabranch_core::node::Protocol, faults: Faults, seeds: u64) -> Report {
    let mut layout = Layout::of(&[1, 1]);
    layout.roles[0].partitions = 2;
    layout.roles[1].partitions = 3;
    let tester = || -> Result<Tester, Vec<String>> {
        let tester = Tester::new(protocol, layout.clone(), Default::default())?;
        Ok(tester.with_check(Arc::new(|| Box::new(AllWorked::default()))))
    };
    let put = |_: &mut Dice, number: u32| ("put".to_string(), vec![Value::Int(i128::from(number))]);
    let workload = Workload::of(protocol, Arc::new(layout.clone()), Arc::new(put));
    let shape = Shape { clients: 8, requests: 60, faults, ..Shape::default() };
    let options = Options { seeds, threads: 2, compare: 20, shrink: 0, shape, ..Options::default() };
    let report = campaign(&tester, &workload, &options, &|_| {}).expect("a campaign");
    println!("{report}");
    report
}

#[test]
fn crashes_lose_nothing_and_repeat_nothing() {
    let report = run(crossing::protocol(), Faults::all(), 150);
    if let Some(failure) = &report.failure {
        panic!("{failure}");
    }
    assert_eq!(report.vacuous, [""; 0]);
}

#[test]
fn without_the_word_something_is_lost() {
    let report = run(careless::protocol(), Faults::all(), 50);
    let failure = report.failure.expect("something is lost");
    assert_eq!(failure.smallest().1.property, "all_worked");
}
