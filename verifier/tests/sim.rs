//! The simulator on two-phase commit as shipped: determinism, survival, vacuity, the interpreter beside it.

use anabranch_core::node::Layout;
use anabranch_verifier::sim::campaign::{Options, campaign};
use anabranch_verifier::sim::checks::AtomicCommit;
use anabranch_verifier::sim::{Faults, Kind, Shape, Tester, Workload};

fn tester() -> Result<Tester, Vec<String>> {
    let protocol = anabranch_protocols::two_pc::two_pc::protocol();
    let tester = Tester::new(protocol, Layout::of(&[1, 3]), Default::default())?;
    Ok(tester.with_check(AtomicCommit::maker("commit", "applied", 1, "participant")))
}

fn workload(tester: &Tester) -> Workload {
    Workload::random(tester.protocol, tester.layout.clone())
}

fn shape(faults: Faults) -> Shape {
    Shape { clients: 16, requests: 80, faults, ..Shape::default() }
}

#[test]
fn equal_seeds_give_equal_hashes_and_others_others() {
    let tester = tester().unwrap();
    let workload = workload(&tester);
    let shape = shape(Faults::all());
    let mut hashes = std::collections::BTreeSet::new();
    for seed in 0..20 {
        let first = tester.run(&tester.plan(&shape, &workload, seed));
        let plan = tester.plan(&shape, &workload, seed);
        let (second, trace) = tester.replay(&plan);
        assert_eq!(first.hash, second.hash, "seed {seed}: telling a run changes it");
        assert_eq!(trace.problems(), [""; 0], "seed {seed}");
        assert_eq!(first.hash, tester.run_compared(&plan).hash, "seed {seed}: comparing a run changes it");
        hashes.insert(first.hash);
    }
    assert_eq!(hashes.len(), 20);
}

#[test]
fn two_phase_commit_survives_all_faults() {
    let tester_ = tester().unwrap();
    let options =
        Options { seeds: 300, threads: 2, compare: 60, shape: shape(Faults::all()), ..Options::default() };
    let report = campaign(&tester, &workload(&tester_), &options, &|_| {}).unwrap();
    println!("{report}");
    if let Some(failure) = &report.failure {
        panic!("{failure}");
    }
    assert_eq!(report.vacuous, [""; 0]);
    assert!(report.compared > 0);
    assert!(report.fewest_answered >= Some(40), "{:?} answered in some run", report.fewest_answered);
}

#[test]
fn without_faults_every_request_is_answered() {
    let tester_ = tester().unwrap();
    let options = Options { seeds: 50, compare: 0, shape: shape(Faults::none()), ..Options::default() };
    let report = campaign(&tester, &workload(&tester_), &options, &|_| {}).unwrap();
    assert!(report.pass(), "{report}");
    assert_eq!(report.requests, [50 * 80, 0, 0]);
    assert_eq!(report.faults.total(), 0);
}

#[test]
fn a_fault_that_never_happens_makes_a_campaign_vacuous() {
    let tester_ = tester().unwrap();
    let faults = Faults::none().with(Kind::Crash, 1.0).with(Kind::Skew, 0.000_001);
    let options = Options { seeds: 10, compare: 0, shape: shape(faults), ..Options::default() };
    let report = campaign(&tester, &workload(&tester_), &options, &|_| {}).unwrap();
    assert!(!report.pass());
    assert_eq!(report.vacuous, ["no fault of kind `skew` ever happened"]);
}
