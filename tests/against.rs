//! Every emitted protocol against its base: all orders of a small scope, with a crash.
//!
//! Larger scopes and ten thousand random runs each are run by hand; `docs/soundness.md` has their figures.

use std::process::Command;

/// Runs `anabranch verify X_scaled --against X` with more arguments; it must match.
#[track_caller]
fn matches(base: &str, args: &[&str]) {
    derived_matches(&format!("{base}_scaled"), base, args);
}

#[track_caller]
fn derived_matches(derived: &str, base: &str, args: &[&str]) {
    let output = Command::new(env!("CARGO_BIN_EXE_anabranch"))
        .args(["verify", derived, "--against", base])
        .args(args)
        .output()
        .expect("the command starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.starts_with("matched"), "{derived} {args:?}: {text}");
}

#[test]
fn emitted_protocols_match_their_bases() {
    let micro = ["independent", "functional", "monotone", "state_machine", "cohash", "dependencies"];
    for base in micro.into_iter().chain(["voting"]) {
        matches(base, &["--crashes", "1"]);
        matches(base, &["--requests", "4", "--crashes", "1", "--seeds", "100"]);
    }
    matches("two_pc", &["--crashes", "1", "--requests", "1"]);
    matches("two_pc", &[]);
    matches("partial", &["--nodes", "replica=1", "--crashes", "1", "--requests", "1"]);
    matches("partial", &["--nodes", "replica=1"]);
    matches("partial", &["--requests", "1"]);
}

#[test]
fn two_phase_commit_with_an_ender_matches() {
    derived_matches("two_pc_ender", "two_pc", &["--crashes", "1", "--requests", "1"]);
    derived_matches("two_pc_ender", "two_pc", &[]);
    derived_matches("two_pc_ender", "two_pc", &["--requests", "3", "--crashes", "1", "--seeds", "300"]);
}

/// Ballots, heartbeats and the sequencer's steps have no end, so the scope says how often their timers fire.
#[test]
fn multi_paxos_scaled_matches() {
    let small = |more: &[&str]| {
        let nodes = ["--nodes", "proposer=1,acceptor=1,replica=1", "--timers", "1"];
        matches("multi_paxos", &[&nodes, more].concat());
    };
    let one = "election=1,pulse=0,enlist=0,gossip=0,stuck=0,push=1";
    small(&["--firings", one, "--requests", "1", "--crashes", "1", "--partitions", "proxy=1"]);
    small(&["--firings", one]);
    // Two leaders, one after the other.
    let two = ["--nodes", "proposer=2,acceptor=1,replica=1", "--partitions", "proxy=1"];
    let elections = ["--firings", "election=2,pulse=0,enlist=0,gossip=0,stuck=0,push=0"];
    matches("multi_paxos", &[two, [elections[0], elections[1], "--requests", "2"]].concat());
    // Enough for every request to be answered in the end: what was not answered would be hard to find in the base.
    let some = ["--firings", "election=8,pulse=1,enlist=1,gossip=2,stuck=8,push=8", "--repeats", "8"];
    small(&[&some[..], &["--requests", "3", "--crashes", "1", "--seeds", "60"]].concat());
}
