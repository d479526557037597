//! Every emitted protocol against its base: all orders of a small scope, with a crash.
//!
//! Larger scopes and ten thousand random runs each are run by hand; `docs/soundness.md` has their figures.

use std::process::Command;

/// Runs `anabranch verify X_scaled --against X` with more arguments; it must match.
#[track_caller]
fn matches(base: &str, args: &[&str]) {
    let output = Command::new(env!("CARGO_BIN_EXE_anabranch"))
        .args(["verify", &format!("{base}_scaled"), "--against", base])
        .args(args)
        .output()
        .expect("the command starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.starts_with("matched"), "{base} {args:?}: {text}");
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
}
