//! `held` parts: what they send waits until the part that they feed has taken what it says.
//!
//! A small scope is compared with the undivided node exhaustively, with a crash; two-phase commit with an ender runs in the
//! simulator with all faults. Without the word the comparison must find the difference.

use anabranch_core::node::Layout;
use anabranch_core::value::Value;
use anabranch_verifier::equivalence::{Budget, Pair, exhaustive};
use anabranch_verifier::sim::campaign::{Options, campaign};
use anabranch_verifier::sim::checks::AtomicCommit;
use anabranch_verifier::sim::{Faults, Shape, Tester, Workload};
use anabranch_verifier::world::{Call, Scope, System};

/// What was set and answered, whoever asks afterwards reads.
const WHOLE: &str = "protocol p; role c;
    request set(x: u64) -> () at c; request get() -> (x: u64) at c;
    at c {
        event heard(x: u64); heard(x) <= set(_, x); reply set(r) <~ set(r, _);
        var top(x: u64) = 0; top(max(x)) <+ heard(x);
        reply get(r, x) <~ get(r), top(x);
    }";

fn parts(words: &str) -> String {
    format!(
        "protocol p; role c, shares fate{words}; role d of c, shares fate;
        request set(x: u64) -> () at c; request get() -> (x: u64) at d; message heard(x: u64) to d ordered;
        at c {{ heard(x) @ me <~ set(_, x); reply set(r) <~ set(r, _); }}
        at d {{ var top(x: u64) = 0; top(max(x)) <+ heard(x); reply get(r, x) <~ get(r), top(x); }}"
    )
}

fn pair(words: &str, crashes: u32, clients: &[&[(&str, &[i128])]]) -> Pair {
    of(WHOLE, &parts(words), crashes, clients)
}

fn of(base: &str, derived: &str, crashes: u32, clients: &[&[(&str, &[i128])]]) -> Pair {
    let call = |(request, args): &(&str, &[i128])| Call {
        request: request.to_string(),
        at: 0,
        args: args.iter().map(|n| Value::Int(*n)).collect(),
    };
    let clients = clients.iter().map(|script| script.iter().map(call).collect()).collect();
    Pair {
        base: System::planned(base, &[1]).expect("a program"),
        derived: System::in_plain_rules(derived, &[1, 1]).expect("a program"),
        scope: Scope { clients, crashes, ..Scope::default() },
    }
}

#[test]
fn what_was_answered_has_been_taken() {
    let script: &[&[(&str, &[i128])]] = &[&[("set", &[1]), ("get", &[])]];
    for crashes in [0, 1] {
        let compared = exhaustive(&pair(", held", crashes, script), Budget::default()).expect("worlds");
        println!("{compared}");
        assert!(compared.verdict.matched(), "{compared}");
    }
    let compared = exhaustive(&pair("", 0, script), Budget::default()).expect("worlds");
    assert!(compared.verdict.refuted(), "{compared}");
}

/// The item `first-tick`: what crosses in a later tick is not waited for by what the first one answers.
#[test]
fn what_crosses_later_is_not_waited_for() {
    let base = WHOLE.replace("heard(x) <= set", "heard(x) <+ set");
    let late = "event soon(x: u64); soon(x) <+ set(_, x); heard(x) @ me <~ soon(x);";
    let derived = parts(", held").replace("heard(x) @ me <~ set(_, x);", late);
    let script: &[&[(&str, &[i128])]] = &[&[("set", &[1]), ("get", &[])]];
    let compared = exhaustive(&of(&base, &derived, 0, script), Budget::default()).expect("worlds");
    assert!(compared.verdict.refuted(), "{compared}");
}

/// The item `kept`: a unit that a crash takes is missing beside what its tick wrote durably.
#[test]
fn what_feeds_may_keep_nothing() {
    let kept = "request was() -> () at c;
        at c { durable table seen(x: u64); seen(x) <= set(_, x); reply was(r) <~ was(r), seen(_);";
    let at = |text: &str| text.replace("var top", "durable var top").replacen("at c {", kept, 1);
    let script: &[&[(&str, &[i128])]] = &[&[("set", &[1])], &[("was", &[]), ("get", &[])]];
    let compared =
        exhaustive(&of(&at(WHOLE), &at(&parts(", held")), 1, script), Budget::default()).expect("worlds");
    assert!(compared.verdict.refuted(), "{compared}");
}

#[test]
fn two_clients_agree_on_the_order() {
    let script: &[&[(&str, &[i128])]] = &[&[("set", &[1])], &[("set", &[2]), ("get", &[])]];
    let compared = exhaustive(&pair(", held", 0, script), Budget::default()).expect("worlds");
    println!("{compared}");
    assert!(compared.verdict.matched(), "{compared}");
}

#[test]
fn two_phase_commit_with_an_ender_survives_all_faults() {
    let protocol = anabranch_protocols::two_pc::two_pc_ender::two_pc_ender::protocol();
    let mut layout = Layout::of(&[1, 3, 1, 1, 1]);
    layout.roles.iter_mut().for_each(|role| role.partitions = 2);
    let tester = || -> Result<Tester, Vec<String>> {
        let tester = Tester::new(protocol, layout.clone(), Default::default())?;
        Ok(tester.with_check(AtomicCommit::maker("commit", "applied", 1, "participant")))
    };
    let workload = Workload::random(protocol, std::sync::Arc::new(layout.clone()));
    let shape = Shape { clients: 8, requests: 60, faults: Faults::all(), ..Shape::default() };
    let options = Options { seeds: 60, threads: 2, compare: 20, shrink: 0, shape, ..Options::default() };
    let report = campaign(&tester, &workload, &options, &|_| {}).expect("a campaign");
    println!("{report}");
    if let Some(failure) = &report.failure {
        panic!("{failure}");
    }
    assert_eq!(report.vacuous, [""; 0]);
}
