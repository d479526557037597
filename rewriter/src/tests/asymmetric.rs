//! Asymmetric decoupling.

use super::*;
use crate::*;

const BASE: &str = "protocol p;
role server;
role sink;
request write(v: u64) -> (n: u64) at server;
message p2b(b: u64, max: u64) to server;
message told(v: u64) to sink;
at sink { table log(v: u64); log(v) <= told(v); }
at server {
";

/// Half of it collects votes and tells of them; what is heard of ballots decides what the other half answers.
const RULES: &str = "table votes(b: u64, max: u64);
votes(b, m) <= p2b(b, m);
view top(b: u64); top(b) <= votes(b, m), if m >= 2;
told(b) @ sink.at(0) <~ new top(b);
event ballot(m: u64);
ballot(m) <= p2b(_, m), if m > 3;
var lead(n: u64) = 0;
lead(max(m)) <+ ballot(m);
reply write(r, n) <~ write(r, _), lead(n);
";

/// The half that feeds.
const FEEDS: &[&str] = &["votes", "top", "told", "ballot"];

fn program(rules: &str) -> String {
    format!("{BASE}{rules}\n}}\n")
}

fn split(text: &str, heads: &[&str], general: bool) -> Outcome {
    asymmetric(&parse(text), &Cut::new("server", "part", heads), general)
}

#[track_caller]
fn against(rules: &str, item: &str, at: &str) {
    let text = program(rules);
    refuses(&text, split(&text, FEEDS, true), &format!("asymmetric.{item}"), at);
}

#[test]
fn the_new_part_feeds_what_stays() {
    let out = fires(split(&program(RULES), FEEDS, false));
    let whole = print(&out.protocol);
    for line in [
        "role server, shares fate;",
        "role part of server, shares fate, held;",
        "message p2b(b: u64, max: u64) to part;",
        "message ballot_to_server(m: u64) to server ordered;",
        "lead(max(m)) <+ ballot_to_server(m);",
    ] {
        assert!(whole.contains(line), "{line}\nis not in\n{whole}");
    }
    let plain = anabranch_dsl::expand::expand(&out.protocol);
    plain.unwrap_or_else(|e| panic!("{}", e.iter().map(|e| e.to_string()).collect::<Vec<_>>().join("\n")));
}

#[test]
fn what_stays_feeds_the_new_part() {
    let out = fires(split(&program(RULES), &["lead", "write"], false));
    let whole = print(&out.protocol);
    for line in [
        "role server, shares fate, held;",
        "role part of server, shares fate;",
        "request write(v: u64) -> (n: u64) at part;",
        "message ballot_to_part(m: u64) to part ordered;",
    ] {
        assert!(whole.contains(line), "{line}\nis not in\n{whole}");
    }
}

#[test]
fn inputs_of_both_halves_cross() {
    let rules = RULES.replace("lead(max(m)) <+ ballot(m)", "lead(max(m)) <+ p2b(_, m), ballot(_)");
    let out = fires(split(&program(&rules), FEEDS, false));
    assert!(print(&out.protocol).contains("message p2b_to_server(b: u64, max: u64) to server ordered;"));
}

#[test]
fn one_direction() {
    against(&format!("{RULES}told(n) @ sink.at(0) <~ ballot(_), lead(n);"), "independent", "ballot(m);");
}

#[test]
fn state_that_crosses() {
    against(&RULES.replace("lead(n);\n", "lead(n), votes(0, _);\n"), "level", "votes(0, _)");
}

#[test]
fn later_ticks() {
    let deferred = RULES.replace("ballot(m) <= p2b(_, m), if m > 3;", "ballot(m) <+ p2b(_, m);");
    against(&deferred, "first-tick", "ballot(m);");
    // What only grows cannot become true by a deletion; what is negated can.
    let edge = RULES
        .replace("ballot(m) <= p2b(_, m), if m > 3;", "ballot(m) <= new top(m); votes(b, _) <- new top(b);");
    fires(split(&program(&edge), FEEDS, true));
    let negated = edge.replace("top(b) <= votes(b, m), if m >= 2;", "top(b) <= votes(b, _), !votes(b, 9);");
    against(&negated, "first-tick", "ballot(m);");
    let counted = edge.replace(
        "top(b) <= votes(b, m), if m >= 2;",
        "top(m) <= seen(_, m); view seen(b => count(m)) <= votes(b, m);",
    );
    let text = program(&counted);
    let heads = ["votes", "top", "told", "ballot", "seen"];
    refuses(&text, split(&text, &heads, true), "asymmetric.first-tick", "ballot(m);");
    // `<+` rows come in later ticks.
    against(&edge.replace("votes(b, m) <= p2b", "votes(b, m) <+ p2b"), "first-tick", "ballot(m);");
    // An edge may cross as one.
    let crossing = RULES.replace("lead(max(m)) <+ ballot(m)", "lead(max(m)) <+ new top(m)");
    fires(split(&program(&crossing), FEEDS, true));
}

#[test]
fn what_is_kept() {
    against(&RULES.replace("table votes", "durable table votes"), "kept", "votes(b, m) <=");
    // The half that is fed may keep what it wants.
    fires(split(&program(&RULES.replace("var lead", "durable var lead")), FEEDS, false));
}

#[test]
fn clocks() {
    against(&RULES.replace("told(b) @", "told(b + now_ms()) @"), "clock", "b + now_ms()");
}

#[test]
fn streams_of_its_own() {
    let text =
        program(RULES).replace("message told(v: u64) to sink;", "message told(v: u64) to sink ordered;");
    refuses(&text, split(&text, FEEDS, true), "asymmetric.ordered", "told(b)");
}

#[test]
fn neither_monotone_nor_functional() {
    let text = program(&format!("{RULES}votes(b, _) <- new top(b);"));
    refuses(&text, split(&text, FEEDS, false), "asymmetric.general", "votes(b, _) <-");
    let out = fires(split(&text, FEEDS, true));
    assert!(assumed(&out)[0].contains("need not be monotone"), "{:?}", assumed(&out));
    let text = program(
        &RULES.replace("told(b) @ sink.at(0) <~ new top(b)", "told(b) @ sink.at(0) <~ p2b(b, _), !top(b)"),
    );
    refuses(&text, split(&text, FEEDS, false), "asymmetric.general", "!top(b)");
}

#[test]
fn a_held_part_is_not_split_again() {
    let out = fires(split(&program(RULES), FEEDS, false));
    let refusal = functional(&out.protocol, &Cut::new("part", "other", &["told"])).expect_err("held");
    assert_eq!(refusal.item.to_string(), "functional.cut");
}

/// Two-phase commit: acknowledgements and those in doubt go to a part of their own.
#[test]
fn the_ender() {
    let p = shipped("two_pc");
    let cut = Cut::new("coordinator", "ender", &["owed", "decide#1", "decide#2", "decide#3"]);
    let refusal = asymmetric(&p, &cut, false).expect_err("it forgets");
    assert_eq!(refusal.item.to_string(), "asymmetric.general");
    let out = fires(asymmetric(&p, &cut, true));
    let whole = print(&out.protocol);
    for line in [
        "role coordinator, shares fate, held;",
        "message ack(txn: Id, by: participant) to ender;",
        "to ender ordered;",
    ] {
        assert!(whole.contains(line), "{line}\nis not in\n{whole}");
    }
    assert!(block(&out, "ender").contains("timer nag"), "{whole}");
    // The monotone rewrite cannot do it: who is in doubt must not ask before the decision is here.
    let refusal = monotone(&p, &cut).expect_err("order matters");
    assert!(refusal.item.to_string().starts_with("monotone."));
}
