//! The simulator on two-phase commit as shipped: determinism, survival, vacuity, the interpreter beside it.

use anabranch_core::node::Layout;
use anabranch_verifier::sim::campaign::{Options, campaign, must_pass};
use anabranch_verifier::sim::checks::AtomicCommit;
use anabranch_verifier::sim::{Faults, Kind, Shape, Tester, Workload};

anabranch::protocol! {
    /// What one node may have depends on what another has: properties must see both at one moment.
    protocol drawn;
    role leader;
    role replica;
    require leader.len() == 1;
    request draw() -> (n: u64) at leader;
    message hold(n: u64) to replica;
    at leader {
        durable var next(n: u64) = 1;
        event number(index(), req) <= draw(req);
        on number(i, req), next(n) {
            hold(n + i) @ r <~ replica(r);
            reply draw(req, n + i) <~;
            next(n + count(req)) <+;
        }
    }
    at replica {
        durable var held(n: Max<u64>);
        held(n) <= hold(n);
        view far(n) <= held(n), if n > 40;            // no rule reads it
    }
    never ahead(h) <= held(h) at _, next(n) at _, if h >= n;
    sometimes far_off(n) <= far(n) at _;
}

anabranch::protocol! {
    /// Ids drawn because of ids.
    protocol mints;
    role server;
    request open() -> (id: Id) at server;
    message again(from: Id, req: Req) to server;
    at server {
        event first(id: Id, req: Req);
        first(unique(), req) <= open(req);
        again(id, req) @ me <~ first(id, req);
        event second(id: Id, from: Id, req: Req);
        second(unique(), from, req) <= again(from, req);
        durable table kept(id: Id => from: Id);
        kept(id, from) <= second(id, from, _);
        reply open(req, id) <~ second(id, _, req);
    }
    never strays(a, b) <= kept(a, b) at _, if a.route != b.route;
    sometimes one(a) <= kept(a, _) at _;
}

#[test]
fn properties_see_all_nodes_at_one_moment() {
    let make = || Tester::new(drawn::protocol(), Layout::of(&[1, 3]), Default::default());
    let workload = Workload::random(drawn::protocol(), make().unwrap().layout);
    let options = Options { seeds: 100, compare: 20, shape: shape(Faults::all()), ..Options::default() };
    let report = must_pass(&make, &workload, &options);
    assert!(report.held.contains("far_off"), "views that no rule reads are seen, too");
}

#[test]
fn ids_go_where_the_ids_went_that_they_were_drawn_for() {
    let make = || Tester::new(mints::protocol(), Layout::of(&[1]), Default::default());
    let workload = Workload::random(mints::protocol(), make().unwrap().layout);
    let shape = Shape { clients: 3, requests: 12, faults: Faults::none(), ..Shape::default() };
    let report = must_pass(&make, &workload, &Options { seeds: 5, compare: 1, shape, ..Options::default() });
    assert_eq!(report.ticks, report.compared, "every tick is compared with the interpreter");
}

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

/// In each run at least five faults happen and fifty transactions are answered.
fn two_phase_commit_survives(seeds: u64, first: u64, threads: usize) {
    let tester_ = tester().unwrap();
    let options = Options {
        seeds,
        first,
        threads,
        compare: 60,
        shape: Shape { requests: 96, ..shape(Faults::all()) },
        least_faults: 5,
        least_answered: 50,
        ..Options::default()
    };
    let report = must_pass(&tester, &workload(&tester_), &options);
    println!("{report}");
    assert!(report.compared > 0);
    assert!(report.answered.range().unwrap()[0] >= 50, "{} answered", report.answered);
    assert!(report.fault_counts.range().unwrap()[0] >= 5, "{} faults", report.fault_counts);
}

#[test]
fn two_phase_commit_survives_all_faults() {
    two_phase_commit_survives(300, 0, 2);
}

/// `cargo test -p anabranch-verifier --test sim -- --ignored --nocapture`: some minutes.
#[test]
#[ignore = "a campaign by hand"]
fn two_phase_commit_survives_ten_thousand_runs() {
    two_phase_commit_survives(10_000, 1_000, 1);
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

/// Partitions that restart apart or together, streams between parts: each tick is what the interpreter says.
#[test]
fn partitions_agree_with_the_interpreter() {
    let protocol = anabranch_protocols::two_pc::two_pc_scaled::two_pc_scaled::protocol();
    let make = || {
        let of = |role: &str| if role == "participant" { 3 } else { 1 };
        let mut layout = Layout::of(&protocol.roles().iter().map(|r| of(r)).collect::<Vec<_>>());
        for (role, info) in layout.roles.iter_mut().zip(protocol.role_infos()) {
            role.partitions = if info.partitioned { 2 } else { 1 };
        }
        Tester::new(protocol, layout, Default::default())
    };
    let workload = Workload::random(protocol, make().unwrap().layout);
    let options = Options { seeds: 20, compare: 4, shape: shape(Faults::all()), ..Options::default() };
    let report = must_pass(&make, &workload, &options);
    assert!(report.compared > 0);
}
