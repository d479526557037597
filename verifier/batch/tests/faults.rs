//! Faults planted in generated code, one at a time: comparing with the interpreter must show each kind.
//!
//! A fault at some place may change nothing that can be seen (an index that no rule reads, a program that never
//! comes by). So each kind is planted in several places, and one of them must show. Without environment
//! variables a few programs have a part of all kinds.

use anabranch_verifier::campaign::misprints;
use anabranch_verifier::campaign::run::{Inputs, Program, Ran, caught, run};
use anabranch_verifier::compiled::Compiled;
use anabranch_verifier::random::Dice;
use std::collections::BTreeMap;

/// Runs of a program with a fault, each with other inputs.
const ROUNDS: u64 = 20;

/// Kinds that a run in CI must notice, at least.
const KINDS: usize = 20;

#[derive(Default)]
struct Tally {
    places: usize,
    noticed: usize,
    how: Option<String>,
}

#[test]
fn faults_in_generated_code_are_noticed() {
    let report = std::panic::take_hook();
    let mut tally: BTreeMap<&str, Tally> = BTreeMap::new();
    for (name, seed, text, descriptor, kinds) in anabranch_batch::FAULTY {
        let program = Program::new(text).unwrap_or_else(|e| panic!("{name}: {e}"));
        let maker = |p: &Program| -> Box<dyn anabranch_verifier::engine::Engine> {
            Box::new(Compiled::new(p.protocol.clone(), descriptor(), &p.setup))
        };
        let differs = |fault: Option<u32>| {
            (0..ROUNDS).find_map(|round| {
                anabranch_batch::choose(fault);
                let inputs = Inputs::Drawn(Dice::new(seed * 100 + round), 25);
                let ran = caught(|| run(&program, inputs, Some(&maker), &mut |_, _, _| {}));
                ran.unwrap_or_else(|panic| Ran { difference: Some(panic), ..Ran::default() }).difference
            })
        };
        // Without a fault there is no difference, or the others mean nothing.
        assert_eq!(differs(None), None, "{name}");
        std::panic::set_hook(Box::new(|_| {}));
        for (number, kind) in (0..).zip(*kinds) {
            let tally = tally.entry(kind).or_default();
            tally.places += 1;
            if let Some(how) = differs(Some(number)) {
                tally.noticed += 1;
                tally.how.get_or_insert(format!("{name}, {how}"));
            }
        }
        let _ = std::panic::take_hook();
    }
    std::panic::set_hook(report);
    for (kind, Tally { places, noticed, how }) in &tally {
        let how: String = how.as_deref().unwrap_or("NOT NOTICED").chars().take(100).collect();
        println!("{kind:42} {noticed:3} of {places:3}: {}", how.replace('\n', " "));
    }
    let missed: Vec<&&str> = tally.iter().filter(|(_, t)| t.noticed == 0).map(|(kind, _)| kind).collect();
    let all: Vec<&Tally> = tally.values().collect();
    println!(
        "{} programs, {} kinds of faults, {} noticed; {} places, {} noticed",
        anabranch_batch::FAULTY.len(),
        all.len(),
        all.len() - missed.len(),
        all.iter().map(|t| t.places).sum::<usize>(),
        all.iter().map(|t| t.noticed).sum::<usize>(),
    );
    if all.len() == misprints::ALL.len() {
        assert!(missed.is_empty(), "not noticed: {missed:?}");
    }
    assert!(all.len() - missed.len() >= KINDS, "only {} kinds are noticed", all.len() - missed.len());
}
