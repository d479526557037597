//! Simulates two-phase commit over many seeds on one thread and says how fast: `simulate [SEEDS] [FAULTS]`.

use anabranch_core::node::Layout;
use anabranch_verifier::sim::{Faults, Shape, Tally, Tester, Workload};
use std::time::Instant;

fn main() {
    let mut args = std::env::args().skip(1);
    let seeds: u64 = args.next().and_then(|n| n.parse().ok()).unwrap_or(100);
    let faults = Faults::parse(&args.next().unwrap_or("all".into())).expect("kinds of faults");
    let compared = args.next().is_some();
    let protocol = anabranch_protocols::two_pc::two_pc::protocol();
    let tester =
        Tester::new(protocol, Layout::of(&[1, 3]), Default::default()).expect("a layout").with_check(
            anabranch_verifier::sim::checks::AtomicCommit::maker("commit", "applied", 1, "participant"),
        );
    let workload = Workload::random(protocol, tester.layout.clone());
    let shape = Shape { clients: 16, requests: 64, faults, ..Shape::default() };
    let (mut messages, mut events, mut ticks, mut tally, mut span) = (0, 0, 0, Tally::default(), 0);
    let mut ends = [0; 4];
    let mut same = 0;
    let started = Instant::now();
    for seed in 0..seeds {
        let plan = tester.plan(&shape, &workload, seed);
        let outcome = if compared { tester.run_compared(&plan) } else { tester.run(&plan) };
        messages += outcome.messages;
        events += outcome.events;
        ticks += outcome.ticks;
        span += outcome.span_us;
        tally.merge(&outcome.faults);
        for call in &outcome.calls {
            use anabranch_verifier::sim::End::*;
            ends[match call.end {
                Ok(_) => 0,
                Fail(_) => 1,
                Unknown(_) => 2,
                Open => 3,
            }] += 1;
        }
        if let Some(violation) = outcome.violation {
            println!("seed {seed}: {violation}");
        }
        if seed < 3 {
            let again = tester.run(&plan);
            same += u64::from(again.hash == outcome.hash);
        }
    }
    let took = started.elapsed().as_secs_f64();
    println!(
        "{seeds} seeds, {messages} messages, {events} events, {ticks} ticks in {took:.2} s: {:.0} messages/s",
        messages as f64 / took
    );
    println!(
        "virtual {:.1} s a run; ok/fail/unknown/open {ends:?}; faults: {tally}; equal hashes {same}",
        span as f64 / 1e6 / seeds as f64
    );
}
