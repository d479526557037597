//! A small campaign for every build: figures of a larger one are in `docs/soundness.md`.

use anabranch_soundness::pairs::{Acceptance, check, rewritings};
use anabranch_soundness::program::program;
use anabranch_verifier::soundness::campaign::{Case, Options, campaign};

#[test]
fn accepted_rewrites_cannot_be_told_from_the_original() {
    let mut acceptance = Acceptance::new();
    let cases = (1..=20).flat_map(|seed| {
        let found = rewritings(seed, &program(seed), &mut acceptance);
        found.into_iter().map(|r| Box::new(r) as Box<dyn Case>).collect::<Vec<_>>()
    });
    let report = campaign(cases, &Options::default(), true);
    println!("{report}");
    if let Some(failure) = report.failures.first() {
        panic!("{}\n{}", failure.name, failure.compared);
    }
    assert!(report.problems.is_empty(), "{}", report.problems[0]);
    let matched: usize = report.by_rewrite.values().map(|figures| figures[0]).sum();
    assert!(matched >= 100, "only {matched} pairs were compared to the end: {report}");
}

/// A generator whose programs the checks refuse tests nothing.
#[test]
fn most_programs_pass_the_checks() {
    let refused: Vec<String> = (1..=100).filter_map(|seed| check(&program(seed)).err()).collect();
    assert!(refused.len() < 30, "{} of 100, as: {}", refused.len(), refused[0]);
}
