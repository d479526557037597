//! Exhaustive search of two-phase commit: ours and Stateright's, interleaved in one run on one thread.
//!
//! `cargo run --release --manifest-path benches/Cargo.toml --features stateright --bin explore_2pc -- [participants] [rounds]`
//!
//! The models differ. Stateright's example is a specification (Gray and Lamport, *Consensus on Transaction Commit*, ACM
//! TODS 31(1), 2006): resource managers and the manager are a few enumerated states, messages are a set that only grows,
//! a resource manager may abort by itself. It is written down again below from the published specification and must come to the 288 states for 3, 8,832
//! for 5 and 296,448 for 7 of its example. Ours is the compiled protocol, the code
//! that runs over TCP, in its happy path: one transaction, whose payload all participants accept; every message is a
//! fact in flight that arrives exactly once, in any order, one per tick; no faults, no timers. The decision is
//! thus a function of the payload, which makes ours smaller, and acknowledgements are part of it, which makes it larger.
//! Both check that nobody commits what another aborts.

use anabranch_core::value::Value;
use anabranch_protocols::two_pc::two_pc;
use anabranch_verifier::explore::search::search;
use anabranch_verifier::explore::{Options, Order, Report};
use anabranch_verifier::world::{Call, Scope, System, World};
use stateright::{Checker, Model, Property};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// A resource manager.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Manager {
    Working,
    Prepared,
    Committed,
    Aborted,
}

/// The transaction manager.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Decision {
    Open,
    Committed,
    Aborted,
}

/// What was ever sent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
enum Said {
    Prepared(usize),
    Commit,
    Abort,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Spec {
    managers: Vec<Manager>,
    decision: Decision,
    heard: Vec<bool>,
    said: BTreeSet<Said>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Act {
    Hear(usize),
    Commit,
    Abort,
    Prepare(usize),
    Refuse(usize),
    ObeyCommit(usize),
    ObeyAbort(usize),
}

struct Specification(usize);

impl Model for Specification {
    type State = Spec;
    type Action = Act;

    fn init_states(&self) -> Vec<Spec> {
        vec![Spec {
            managers: vec![Manager::Working; self.0],
            decision: Decision::Open,
            heard: vec![false; self.0],
            said: BTreeSet::new(),
        }]
    }

    fn actions(&self, state: &Spec, out: &mut Vec<Act>) {
        let open = state.decision == Decision::Open;
        if open && state.heard.iter().all(|h| *h) {
            out.push(Act::Commit);
        }
        if open {
            out.push(Act::Abort);
        }
        for i in 0..self.0 {
            if open && state.said.contains(&Said::Prepared(i)) {
                out.push(Act::Hear(i));
            }
            if state.managers[i] == Manager::Working {
                out.push(Act::Prepare(i));
                out.push(Act::Refuse(i));
            }
            if state.said.contains(&Said::Commit) {
                out.push(Act::ObeyCommit(i));
            }
            if state.said.contains(&Said::Abort) {
                out.push(Act::ObeyAbort(i));
            }
        }
    }

    fn next_state(&self, last: &Spec, act: Act) -> Option<Spec> {
        let mut next = last.clone();
        match act {
            Act::Hear(i) => next.heard[i] = true,
            Act::Commit => {
                next.decision = Decision::Committed;
                next.said.insert(Said::Commit);
            }
            Act::Abort => {
                next.decision = Decision::Aborted;
                next.said.insert(Said::Abort);
            }
            Act::Prepare(i) => {
                next.managers[i] = Manager::Prepared;
                next.said.insert(Said::Prepared(i));
            }
            Act::Refuse(i) | Act::ObeyAbort(i) => next.managers[i] = Manager::Aborted,
            Act::ObeyCommit(i) => next.managers[i] = Manager::Committed,
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Specification>> {
        vec![
            Property::sometimes("all abort", |_, s: &Spec| s.managers.iter().all(|m| *m == Manager::Aborted)),
            Property::sometimes("all commit", |_, s: &Spec| {
                s.managers.iter().all(|m| *m == Manager::Committed)
            }),
            Property::always("consistent", |_, s: &Spec| {
                !(s.managers.contains(&Manager::Aborted) && s.managers.contains(&Manager::Committed))
            }),
        ]
    }
}

fn theirs(managers: usize) -> (usize, Duration) {
    let began = Instant::now();
    let checker = Specification(managers).checker().threads(1).spawn_dfs().join();
    checker.assert_properties();
    (checker.unique_state_count(), began.elapsed())
}

fn ours(participants: u32, options: &Options) -> (Report, Duration) {
    let began = Instant::now();
    let system =
        System::compiled(two_pc::protocol(), &[1, participants], BTreeMap::new()).expect("a deployment");
    let payload = Value::Bytes(anabranch_core::data::Bytes::from_static(b"yes"));
    let call = Call { request: "commit".into(), at: 0, args: vec![payload] };
    let scope = Scope { clients: vec![vec![call]], quiet_timers: false, ..Scope::default() };
    let mut world = World::new(system, scope).expect("a world");
    let report = search(&mut world, options);
    assert!(report.passed(), "{report}");
    (report, began.elapsed())
}

fn main() {
    let mut args = std::env::args().skip(1).map(|a| a.parse::<usize>().expect("a number"));
    let participants = args.next().unwrap_or(7);
    let rounds = args.next().unwrap_or(5);
    let plain = Options { order: Order::Depth, symmetry: false, ..Options::default() };
    let variants = [
        ("ours, every state, hashed", plain.clone()),
        ("ours, every state, kept whole", Options { exact: true, ..plain.clone() }),
        ("ours, sleep sets", Options { sleep: true, ..plain.clone() }),
        ("ours, symmetry", Options { order: Order::Depth, ..Options::default() }),
    ];
    for (managers, states) in [(3, 288), (5, 8832)] {
        assert_eq!(theirs(managers).0, states, "the specification is the published one");
    }
    let mut times: Vec<(String, Vec<Duration>, String)> = Vec::new();
    for round in 0..rounds {
        let mut note = |place: usize, name: &str, time: Duration, what: String| {
            if round == 0 {
                times.push((name.to_string(), Vec::new(), what));
            }
            times[place].1.push(time);
        };
        let (states, time) = theirs(participants);
        note(0, "Stateright 0.31, depth first", time, format!("{states} states"));
        for (i, (name, options)) in variants.iter().enumerate() {
            let (report, time) = ours(participants as u32, options);
            let what = format!("{} states, {} transitions", report.states, report.transitions);
            note(i + 1, name, time, what);
        }
    }
    println!("two-phase commit, {participants} participants, {rounds} rounds, median (least to greatest):");
    for (name, mut all, what) in times {
        all.sort();
        let ms = |d: &Duration| d.as_secs_f64() * 1000.0;
        let (least, most) = (ms(&all[0]), ms(&all[all.len() - 1]));
        println!("{name:30} {:9.2} ms ({least:.2} to {most:.2})   {what}", ms(&all[all.len() / 2]));
    }
}
