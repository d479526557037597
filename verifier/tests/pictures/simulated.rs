//! Runs of compiled nodes, told and drawn.

use crate::diagram::check;
use anabranch_core::node::Layout;
use anabranch_verifier::sim::{Faults, Shape, Tester, Workload};
use anabranch_verifier::trace::{Detail, What};

#[test]
fn simulated_runs_are_told_and_drawn() {
    let protocol = anabranch_protocols::two_pc::two_pc::protocol();
    let tester = Tester::new(protocol, Layout::of(&[1, 4]), Default::default()).unwrap();
    let workload = Workload::random(tester.protocol, tester.layout.clone());
    let mut crashes = 0;
    for (seed, faults) in [(1, Faults::none()), (2, Faults::all()), (3, Faults::all()), (4, Faults::all())] {
        let shape = Shape { clients: 2, requests: 4, faults, ..Shape::default() };
        let (_, trace) = tester.replay(&tester.plan(&shape, &workload, seed));
        assert_eq!(trace.problems(), [""; 0]);
        crashes += trace.steps.iter().filter(|s| matches!(s.what, What::Crash { .. })).count();
        check(&format!("simulated{seed}"), &trace);
        let told = trace.tell(Detail::Changes);
        assert!(told.contains("two_pc:") && told.contains("  new   "), "rules have places:\n{told}");
        if let Some(folder) = std::env::var_os("PICTURES") {
            std::fs::write(std::path::Path::new(&folder).join(format!("simulated{seed}.txt")), told).unwrap();
        }
        assert!(trace.history().operations().unwrap().iter().all(|op| op.f == "commit"));
    }
    assert!(crashes > 0, "no run has a crash");
}
