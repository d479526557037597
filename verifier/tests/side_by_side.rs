//! Every protocol of the library, the example, and what `anabranch new` writes, compiled, beside the reference
//! interpreter and the plan executor: one node of each role at a time, with random inputs, random tick boundaries,
//! timers that fire when they like, and crashes.
//!
//! Random programs compare what the language can say; here it is what people said with it, with types and functions
//! that only Rust knows. Whole deployments beside the interpreter are in `sim.rs`.

use anabranch_core::node::{Layout, Protocol};
use anabranch_protocols::{micro, multi_paxos, two_pc, voting};
use anabranch_verifier::campaign::echo::{self, Echo};
use anabranch_verifier::campaign::run::{Inputs, Program, run};
use anabranch_verifier::compiled::Compiled;
use anabranch_verifier::engine::Engine;
use anabranch_verifier::exec::Exec;
use anabranch_verifier::random::Dice;
use anabranch_verifier::sim::{End, Faults, Shape, Tester, Workload};
use std::collections::BTreeSet;

#[path = "../../examples/replicated_counter/src/lib.rs"]
mod counter;
#[path = "../../src/template/src/lib.rs.in"]
mod template;

/// What happened, over all runs of a protocol.
#[derive(Default, Debug)]
struct Seen {
    ticks: usize,
    crashes: usize,
    broken: usize,
    sent: usize,
    answered: usize,
    rows: usize,
}

/// Runs each role on all three, `runs` times `steps` macro-steps; panics where they differ. Relations that never had a
/// row show that the inputs missed something: only those named may stay idle.
fn compare(descriptor: &'static dyn Protocol, instances: &[u32], runs: u64, steps: usize, idle: &[&str]) {
    let mut seen = Seen::default();
    let mut alive = BTreeSet::new();
    let mut all = BTreeSet::new();
    let mut layout = Layout::of(instances);
    for (role, info) in layout.roles.iter_mut().zip(descriptor.role_infos()) {
        role.partitions = if info.partitioned { 2 } else { 1 };
    }
    for role in 0..instances.len() as u16 {
        let program = echo::program(descriptor, layout.clone(), role).expect("its own text");
        let own = |r: &&anabranch_dsl::ir::Relation| r.role.is_some_and(|r| r.0 == u32::from(role));
        all.extend(program.protocol.relations.iter().filter(own).map(|r| (role, r.name.clone())));
        let compiled = |p: &Program| -> Box<dyn Engine> {
            Box::new(Compiled::new(p.protocol.clone(), descriptor, &p.setup))
        };
        let executor = |p: &Program| -> Box<dyn Engine> {
            Box::new(Exec::new(p.protocol.clone(), p.leaves.clone(), &p.setup, &p.defaults))
        };
        for seed in 0..runs {
            let mut echo = Echo::new(descriptor, &program, Dice::part(seed, u64::from(role)), steps);
            let ran = run(&program, Inputs::Echo(&mut echo), Some(&compiled), &mut |_, outcome, _| {
                for (rel, rows) in &outcome.facts {
                    alive.insert((role, program.protocol.relation(*rel).name.clone()));
                    seen.rows += rows.len();
                }
                seen.sent += outcome.sent.len();
                seen.answered += outcome.answered.len();
            });
            let name = descriptor.name();
            if let Some(difference) = ran.difference {
                panic!("{name} compiled, role {role}, seed {seed}: {difference}\n{}", ran.script);
            }
            let again = run(&program, Inputs::Script(&ran.script), Some(&executor), &mut |_, _, _| {});
            if let Some(difference) = again.difference {
                panic!("{name} executed, role {role}, seed {seed}: {difference}\n{}", ran.script);
            }
            seen.ticks += ran.ticks;
            seen.crashes += ran.crashes;
            seen.broken += ran.broken;
        }
    }
    let quiet: Vec<&str> = all.difference(&alive).map(|(_, name)| name.as_str()).collect();
    println!("{}: {seen:?}, idle: {quiet:?}", descriptor.name());
    assert!(quiet.iter().all(|name| idle.contains(name)), "never had a row: {quiet:?}");
    assert!(seen.crashes > 0 && seen.sent + seen.answered > 0);
}

#[test]
fn two_phase_commit() {
    compare(two_pc::two_pc::protocol(), &[2, 2], 50, 60, &[]);
    compare(two_pc::two_pc_scaled::two_pc_scaled::protocol(), &[2, 2, 2], 25, 50, &[]);
}

#[test]
fn multi_paxos() {
    // What only a leader does: a majority's promises for one ballot do not come by chance. See the next test.
    let leading = [
        "accepts", "assign", "backing", "enlist", "leading", "open", "propose", "pulse", "push", "ready",
        "won",
    ];
    compare(multi_paxos::multi_paxos::protocol(), &[2, 3, 3], 30, 60, &leading);
}

/// All nodes at once, under all faults, each tick of each beside the interpreter.
#[test]
fn multi_paxos_as_a_whole() {
    let protocol = multi_paxos::multi_paxos::protocol();
    let tester = Tester::new(protocol, Layout::of(&[2, 3, 3]), Default::default()).expect("its own text");
    let workload = Workload::random(tester.protocol, tester.layout.clone());
    let shape = Shape { clients: 4, requests: 40, faults: Faults::all(), ..Shape::default() };
    let (mut compared, mut answered, mut faults) = (0, 0, 0);
    for seed in 0..12 {
        let outcome = tester.run_compared(&tester.plan(&shape, &workload, seed));
        assert!(outcome.violation.is_none(), "seed {seed}: {:?}", outcome.violation);
        compared += outcome.compared;
        answered += outcome.calls.iter().filter(|call| matches!(call.end, End::Ok(_))).count();
        faults += outcome.faults.total();
    }
    println!(
        "multi_paxos as a whole: {compared} ticks compared, {answered} requests answered, {faults} faults"
    );
    assert!(compared > 10_000 && answered > 100 && faults > 100);
}

#[test]
fn votes() {
    compare(voting::voting::protocol(), &[2, 2], 25, 40, &[]);
    compare(voting::voting_scaled::voting_scaled::protocol(), &[2, 2, 2, 2], 25, 40, &[]);
}

#[test]
fn microbenchmarks() {
    compare(micro::independent::independent::protocol(), &[1, 2], 15, 30, &[]);
    compare(micro::independent_scaled::independent_scaled::protocol(), &[1, 2, 1], 15, 30, &[]);
    compare(micro::functional::functional::protocol(), &[1], 15, 30, &[]);
    compare(micro::functional_scaled::functional_scaled::protocol(), &[1, 1], 15, 30, &[]);
    compare(micro::monotone::monotone::protocol(), &[1, 2], 15, 30, &[]);
    compare(micro::monotone_scaled::monotone_scaled::protocol(), &[1, 2, 1], 15, 30, &[]);
    compare(micro::state_machine::state_machine::protocol(), &[1], 15, 30, &[]);
    compare(micro::state_machine_scaled::state_machine_scaled::protocol(), &[1, 1], 15, 30, &[]);
    compare(micro::cohash::cohash::protocol(), &[1, 2], 15, 30, &[]);
    compare(micro::cohash_scaled::cohash_scaled::protocol(), &[1, 2], 15, 30, &[]);
    compare(micro::dependencies::dependencies::protocol(), &[1, 2], 15, 30, &[]);
    compare(micro::dependencies_scaled::dependencies_scaled::protocol(), &[1, 2], 15, 30, &[]);
    compare(micro::partial::partial::protocol(), &[1, 2], 15, 30, &[]);
    compare(micro::partial_scaled::partial_scaled::protocol(), &[1, 2, 2], 15, 30, &[]);
}

#[test]
fn the_example_and_the_template() {
    compare(counter::replicated_counter::protocol(), &[1, 3], 40, 50, &[]);
    compare(template::kv::protocol(), &[2], 40, 50, &[]);
}
