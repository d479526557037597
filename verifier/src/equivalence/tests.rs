use super::sample::{Runs, sampled};
use super::*;
use crate::soundness::pairs::ALL;

/// Random runs with a search for each find most of what the exhaustive comparison finds, and no more.
#[test]
fn random_runs_are_matched_or_refuted() {
    let (mut refuted, mut wrong) = (0, 0);
    for made in ALL {
        let pair = made.pair(true).expect("a pair");
        let runs = Runs { count: 30, moves: 30, ..Runs::default() };
        let compared = sampled(&pair, runs, Budget { derived: 10_000, base: 10_000 }).expect("runs");
        wrong += usize::from(!made.right);
        refuted += usize::from(compared.verdict.refuted());
        assert!(!(made.right && compared.verdict.refuted()), "{}: {compared}", made.name);
        if let Verdict::Counterexample(found) = &compared.verdict {
            assert!(found.moves.len() <= 8, "{}: not small: {compared}", made.name);
        }
        if made.right {
            assert!(compared.verdict.matched(), "{}: {compared}", made.name);
        }
    }
    assert!(refuted + 1 >= wrong, "only {refuted} of {wrong} were found");
}

/// Two-phase commit is equivalent to itself, also when a node crashes.
#[test]
fn a_protocol_matches_itself() {
    let system = || System::planned(crate::explore::tests::TWO_PC, &[1, 2]).expect("a program");
    let scope =
        Scope { clients: vec![vec![crate::explore::tests::commit(1)]], crashes: 1, ..Scope::default() };
    let pair = Pair { base: system(), derived: system(), scope };
    let compared = exhaustive(&pair, Budget::default()).expect("worlds");
    println!("{compared}");
    assert!(compared.verdict.matched(), "{compared}");
    assert!(compared.histories.1 > 1, "a crash makes more than one complete history: {compared}");
}

/// What was not finished is no pass.
#[test]
fn a_stopped_search_does_not_match() {
    let system = || System::planned(crate::explore::tests::TWO_PC, &[1, 2]).expect("a program");
    let scope = Scope { clients: vec![vec![crate::explore::tests::commit(1)]], ..Scope::default() };
    let pair = Pair { base: system(), derived: system(), scope };
    for budget in [Budget { derived: 5, base: 1000 }, Budget { derived: 1000, base: 5 }] {
        let compared = exhaustive(&pair, budget).expect("worlds");
        assert!(matches!(compared.verdict, Verdict::NotMatched { .. }), "{compared}");
        assert_eq!(compared.verdict.exit_code(), 5);
    }
}
