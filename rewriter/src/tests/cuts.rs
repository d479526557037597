//! Candidate cuts, and what is said of them.

use super::*;
use crate::*;

/// What fires, one line for each cut.
fn firing(p: &Protocol, role: &str) -> Vec<String> {
    let all = explain_role(p, role);
    let mut out = Vec::new();
    for e in &all {
        if let Some((name, rewritten)) = e.fires() {
            let heads: Vec<String> = e.cut.heads.iter().map(|h| h.to_string()).collect();
            fires(Ok(rewritten.clone()));
            out.push(format!("{name}: {}", heads.join(" ")));
        }
    }
    out
}

#[test]
fn two_phase_commit() {
    let p = shipped("two_pc");
    let found = firing(&p, "coordinator");
    assert!(found.contains(&"functional: prepare".to_string()), "{found:#?}");
    assert!(found.contains(&"functional: commit decide#0".to_string()), "{found:#?}");
    // Voter and acker stay one: whatever takes `prepared` away from the decisions is refused, unless what they send
    // waits until `prepared` has been written.
    let found = firing(&p, "participant");
    let waits = |f: &String| f.starts_with("asymmetric: ");
    assert!(!found.iter().any(|f| f.contains("prepared") && !waits(f)), "{found:#?}");
    assert!(found.contains(&"asymmetric: applied done inquire prepared".to_string()), "{found:#?}");
    assert!(found.contains(&"functional: ack".to_string()), "{found:#?}");
}

#[test]
fn multi_paxos() {
    let p = shipped("multi_paxos");
    for role in ["proposer", "acceptor", "replica"] {
        let found = firing(&p, role);
        assert!(!found.is_empty() && cuts(&p, role).len() < 4 * p.relations.len(), "{role}: {found:#?}");
        if role == "proposer" {
            assert!(
                found.iter().any(|f| f.starts_with("echo: ") && f.contains("phase2a") && f.contains("won")),
                "{found:#?}"
            );
        }
    }
}

/// All that is told of a role: `yes` or `no`, and the way.
fn told(p: &Protocol, role: &str) -> Vec<String> {
    let id = p.roles.iter().position(|r| r.name == role).expect("a role");
    let say = |w: explain::Way| format!("{} {}", if w.verdict.is_ok() { "yes" } else { "no" }, w.title);
    explain::ways(p, anabranch_dsl::ir::RoleId(id as u32)).into_iter().map(say).collect()
}

#[test]
fn explain_tries_every_rewrite() {
    let acceptor = told(&shipped("multi_paxos"), "acceptor");
    assert!(
        acceptor.contains(&"yes partition acceptor by slot, with a sequencer".to_string()),
        "{acceptor:#?}"
    );
    assert!(acceptor.iter().any(|w| w.starts_with("no partition acceptor by ")), "{acceptor:#?}");
    let micro = anabranch_dsl::parse_file(include_str!("../../../protocols/src/micro/state_machine.rs"));
    let micro = micro.into_iter().next().and_then(|f| f.outcome.protocol).expect("no errors");
    let leader = told(&micro, "leader");
    assert!(leader.iter().any(|w| w.starts_with("yes state_machine: split ")), "{leader:#?}");
    // What no decoupling admits says what each of them finds.
    let all = explain::ways(&micro, anabranch_dsl::ir::RoleId(0));
    let refused =
        all.iter().find(|w| w.verdict.is_err() && w.title.starts_with("monotone")).expect("some are");
    let also: Vec<&str> = refused.also.iter().map(|item| item.rewrite).collect();
    assert_eq!(also, ["independent", "functional", "echo", "state_machine", "asymmetric"]);
}
