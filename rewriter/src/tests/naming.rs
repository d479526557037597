//! Naming what is computed and sent.

use super::*;
use crate::*;

const BASE: &str = "protocol p;
role leader;
role follower;
request put(k: u64, v: u64) -> () at leader;
message tell(n: u64, k: u64, v: u64) to follower;
at follower { table log(n: u64, k: u64, v: u64); log(n, k, v) <= tell(n, k, v); }
at leader {
var next(n: u64) = 0;
next(n + 1) <+ put(_, _, _), next(n);
reply put(r) <~ put(r, ..);
";

fn program(rules: &str) -> String {
    format!("{BASE}{rules}\n}}\n")
}

fn wanted(rules: &[usize]) -> Naming {
    Naming { role: "leader".into(), head: "tell".into(), rules: rules.into(), event: "told".into() }
}

#[test]
fn a_broadcast_is_parted_from_what_it_says() {
    let text = program("tell(n, k, v + 1) @ f <~ put(_, k, v), next(n), follower(f);");
    let out = fires(naming(&parse(&text), &wanted(&[])));
    let leader = block(&out, "leader");
    assert!(leader.contains("event told(n, k, v) <= put(_, k, v), next(n);"), "{leader}");
    assert!(leader.contains("tell(n, k, v + 1) @ f <~ told(n, k, v), follower(f);"), "{leader}");
    let part = fires(functional(&out.protocol, &Cut::new("leader", "proxy", &["tell"])));
    assert!(block(&part, "proxy").contains("told_to_proxy(n, k, v)"));
}

#[test]
fn rules_of_one_head_feed_one_event() {
    let text = program(
        "tell(n, k, v) @ f <~ put(_, k, v), next(n), follower(f); tell(0, k, 0) @ f <~ put(_, k, _), follower(f);",
    );
    let out = fires(naming(&parse(&text), &wanted(&[])));
    let leader = block(&out, "leader");
    assert!(leader.contains("event told(n, k, v) <= put(_, k, v), next(n);"), "{leader}");
    assert!(leader.contains("told(0, k, 0) <= put(_, k, _);"), "{leader}");
    assert!(leader.contains("tell(n, k, v) @ f <~ told(n, k, v), follower(f);"), "{leader}");
}

#[test]
fn what_is_drawn_is_a_column() {
    let text = program("tell(random(), k, v) @ follower.at(0) <~ put(_, k, v);");
    let out = fires(naming(&parse(&text), &wanted(&[])));
    let leader = block(&out, "leader");
    assert!(
        leader.contains("event told(n, k, v) <= put(_, k, v);") || leader.contains("told(random(), k, v)"),
        "{leader}"
    );
    assert!(leader.contains("tell(n, k, v) @ follower.at(0) <~ told(n, k, v);"), "{leader}");
}

#[test]
fn refusals() {
    let text = program("tell(random(), k, v) @ f <~ put(_, k, v), follower(f);");
    refuses(&text, naming(&parse(&text), &wanted(&[])), "naming.draws", "random()");
    let text = program(
        "tell(n, k, v) @ f <~ put(_, k, v), next(n), follower(f); tell(0, k, 0) @ follower.at(0) <~ put(_, k, _);",
    );
    refuses(&text, naming(&parse(&text), &wanted(&[])), "naming.alike", "tell(0");
    refuses(&text, naming(&parse(&text), &wanted(&[7])), "naming.sends", "leader");
}
