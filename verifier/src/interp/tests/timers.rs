//! Timers have rows.

use super::{Node, node};

fn waiting(n: &mut Node, facts: &str) -> String {
    let ticked = n.tick(facts);
    let one = |w: &crate::engine::Waiting| format!("{:?}@{}", w.row, w.due_ms);
    ticked.outcome.waiting.iter().map(one).collect::<Vec<_>>().join(" ")
}

#[test]
fn rows_wait_fire_and_cease() {
    let mut n = node(
        "message m(x: u64) to node; message d(x: u64) to node;",
        "table t(x: u64); t(x) <= m(x); t(x) <- d(x); timer late(x: u64) after 100ms while t(x); event fired(x) <= late(x);",
    );
    assert_eq!(waiting(&mut n, "m(1)"), "[1]@1100");
    n.now_ms = 1050;
    assert_eq!(waiting(&mut n, "m(2)"), "[1]@1100 [2]@1150");
    n.now_ms = 1100;
    n.tick("late(1), late(3)").is("fired", "(1)");
    // Once per row, as long as it holds.
    assert_eq!(waiting(&mut n, ""), "[2]@1150");
    n.tick("late(1)").is("fired", "");
    // A row that ceased starts anew.
    n.settle("d(1)");
    assert_eq!(waiting(&mut n, "m(1)"), "[1]@1200 [2]@1150");
    // A row ceases at the end of the tick that deletes it.
    assert_eq!(waiting(&mut n, "d(1)"), "[2]@1150");
    n.tick("late(1)").is("fired", "");
    n.crash();
    assert_eq!(waiting(&mut n, ""), "");
}

#[test]
fn every_doubles() {
    let mut n = node("", "timer pulse every 10ms..30ms; event e(1) <= pulse();");
    assert_eq!(waiting(&mut n, ""), "[]@1010");
    n.now_ms = 1010;
    assert_eq!(waiting(&mut n, "pulse()"), "[]@1030");
    n.now_ms = 1030;
    assert_eq!(waiting(&mut n, "pulse()"), "[]@1060");
    n.now_ms = 1070;
    assert_eq!(waiting(&mut n, "pulse()"), "[]@1100");
    n.crash();
    n.now_ms = 2000;
    assert_eq!(waiting(&mut n, ""), "[]@2010");
}
