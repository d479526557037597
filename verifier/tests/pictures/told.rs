//! Accounts.

use crate::runs;
use anabranch_verifier::trace::{Detail, Trace};

/// The account up to a line that contains a text.
fn until(account: &str, end: &str) -> String {
    let lines: Vec<&str> = account.lines().collect();
    let at = lines.iter().position(|l| l.contains(end)).unwrap_or(lines.len());
    lines[..at].join("\n")
}

#[test]
fn a_small_run_is_told() {
    let told = runs::small().tell(Detail::Changes);
    let expected = r##"two_pc
seed 1
     0.500 ms  client.0       asks commit("pay 1"), operation 1
     0.500 ms  client.0       sends commit(req 0.1, "pay 1") to coordinator.0 [1]
     2.074 ms  coordinator.0  takes [1] commit(req 0.1, "pay 1") from client.0
     2.074 ms  coordinator.0  tick 0
                              in    commit(req 0.1, "pay 1")
                              new   begin(#0.8f3a88d21111, req 0.1)   two_pc.rs:31: begin(unique(), req, payload) <= commit(req, payload)
                                    active(#0.8f3a88d21111, req 0.1)  two_pc.rs:33: active(txn, req) <=
                              sends [2]
                              says  nothing yet to operation 1
     2.074 ms  coordinator.0  sends prepare(coordinator.0, #0.8f3a88d21111, "pay 1") to participant.0 [2]"##;
    assert_eq!(until(&told, "takes [2]"), expected);
}

#[test]
fn faults_are_told() {
    let told = runs::faulty().tell(Detail::Changes);
    for line in [
        "participant.1  CRASHES, incarnation 1 ends",
        "participant.1  RESTARTS as incarnation 2, 1 row on disk",
        "participant.1  tick 0 of incarnation 2",
        "NETWORK: participant.0 cut off from coordinator.0, participant.1",
        "NETWORK healed: no longer participant.0 cut off from coordinator.0, participant.1",
        "from coordinator.0 to participant.1: the receiver is down",
        "again, as [1000]",
        "VIOLATED: split: #0.8f3a88d21111 is applied at participant.0 and refused at coordinator.0",
        "log is stable up to 1",
    ] {
        assert!(told.contains(line), "`{line}` is missing in\n{told}");
    }
    assert!(!told.contains("still"));
}

#[test]
fn everything_is_more() {
    let trace: Trace = runs::faulty();
    let (few, all) = (trace.tell(Detail::Changes), trace.tell(Detail::Everything));
    assert!(all.contains("still active(") && all.contains("disk  prepared("));
    let fewer: Vec<&str> = all.lines().filter(|l| few.lines().any(|f| f == *l)).collect();
    assert_eq!(fewer, few.lines().collect::<Vec<_>>(), "what the short account says, the long one says, too");
}

/// Messages to many are one line; sixty messages stay within three hundred lines.
#[test]
fn a_large_run_is_short() {
    let told = runs::large().tell(Detail::Changes);
    assert!(told.contains("to participant.0 [2], participant.1 [3], participant.2 [4], participant.3 [5]"));
    assert!(told.lines().count() < 500, "{} lines", told.lines().count());
    if let Some(folder) = std::env::var_os("PICTURES") {
        std::fs::write(std::path::Path::new(&folder).join("large.txt"), told).unwrap();
    }
}

#[test]
fn the_history_is_exported() {
    let history = runs::large().history();
    let ops: Vec<String> = history.operations().unwrap().iter().map(|o| o.to_string()).collect();
    assert_eq!(ops.len(), 3);
    assert!(ops.iter().all(|o| o.ends_with("-> true")), "{ops:?}");
}
