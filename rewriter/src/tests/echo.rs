//! Decoupling by echoes: the collector of a round, and proxy leaders of MultiPaxos.

use super::*;
use crate::*;

const BASE: &str = "protocol p;
role leader;
role follower;
role sink;
request put(v: u64) -> () at leader;
message ask(n: u64, v: u64) to follower;
message yes(n: u64, by: follower) to leader;
message told(n: u64, v: u64) to sink;
message poke(n: u64) to leader;
at sink { var seen(x: u64) = 0; seen(x + 1) <+ told(_, _), seen(x); }
at follower { timer alarm every 1s; poke(0) @ leader.at(0) <~ alarm(); var ready(b: bool) = true; ready(false) <+ ask(0, _); yes(n, me) @ leader.at(0) <~ ask(n, _), ready(true); }
at leader {
var next(n: u64) = 0;
event begin(n, v) <= put(_, v), next(n);
next(n + 1) <+ put(..), next(n);
reply put(r) <~ put(r, _);
table open(n: u64 => v: u64);
table votes(n: u64, by: follower);
open(n, v) <= begin(n, v);
ask(n, v) @ f <~ begin(n, v), follower(f);
timer again(n: u64) every 1s while open(n, _);
ask(n, v) @ f <~ again(n), open(n, v), follower(f);
votes(n, f) <= yes(n, f), open(n, _);
view enough(n) <= cnt(n, k), if k >= follower.majority();
view cnt(n => count(f)) <= votes(n, f);
on new enough(n), open(n, v) { told(n, v) @ sink.at(0) <~; open(n, _) <-; votes(n, _) <-; }
";

const HEADS: &[&str] = &["open", "ask", "votes", "enough", "cnt", "told"];

fn program(rules: &str) -> String {
    format!("{BASE}{rules}\n}}\n")
}

fn cut(more: &[&str]) -> Cut {
    Cut::new("leader", "part", &HEADS.iter().chain(more).copied().collect::<Vec<_>>())
}

#[track_caller]
fn against(text: &str, more: &[&str], item: &str, at: &str) {
    refuses(text, echo(&parse(text), &cut(more)), &format!("echo.{item}"), at);
    fires(echo(&parse(text), &cut(more).forced()));
}

#[test]
fn a_round() {
    let text = program("");
    let out = fires(echo(&parse(&text), &cut(&[])));
    assert!(print(&out.protocol).contains("message yes(n: u64, by: follower) to part;"));
    assert_eq!(
        assumed(&out),
        [
            "`begin` has one row for each (n), ever: what the part does for it begins once, at any instance and in any incarnation"
        ]
    );
    // Without the echo it is what the monotone rewrite refuses.
    refuses(&text, monotone(&parse(&text), &cut(&[])), "monotone.forgets", "enough(n)");
}

#[test]
fn votes_that_nobody_asked_for() {
    let text = program("").replace(
        "yes(n, me) @ leader.at(0) <~ ask(n, _), ready(true);",
        "timer t every 1s; var n(x: u64) = 0; yes(n, me) @ leader.at(0) <~ t(), n(n); n(n + 1) <+ ask(n, _);",
    );
    against(&text, &[], "echo", "yes(n, me)");
    // Under another key than it was asked.
    let text = program("")
        .replace("yes(n, me) @ leader.at(0) <~ ask(n, _)", "yes(n + 1, me) @ leader.at(0) <~ ask(n, _)");
    against(&text, &[], "echo", "yes(n + 1, me)");
}

#[test]
fn what_does_not_come_of_the_fact() {
    against(&program("told(n, 0) @ sink.at(0) <~ poke(n), open(n, _);"), &[], "echo", "poke(0)");
    let timer = program("timer tick every 1s; told(n, 0) @ sink.at(0) <~ tick(), open(n, _);");
    against(&timer, &[], "key", "tick()");
}

#[test]
fn what_stirs_a_key_before_its_fact() {
    // Like a participant of two-phase commit: what the decision finds was put there by a message of its own.
    against(&program("open(n, 0) <= poke(n);"), &[], "echo", "poke(0)");
}

#[test]
fn what_is_not_under_the_key() {
    against(
        &program("view top(max(n)) <= open(n, _); told(n, 0) @ sink.at(0) <~ new top(n);"),
        &["top"],
        "key",
        "top(max(n))",
    );
    let looked = program("told(n, v) @ sink.at(0) <~ yes(n, _), let v = open[n].unwrap_or(0);");
    against(&looked, &[], "key", "open[n]");
}

#[test]
fn state_that_crosses() {
    let text = program("told(n, x) @ sink.at(0) <~ yes(n, _), open(n, _), next(x);");
    against(&text, &[], "event", "next(x)");
}

#[test]
fn values_from_the_tick() {
    against(&program("told(n, random()) @ sink.at(0) <~ yes(n, _), open(n, _);"), &[], "pure", "random()");
}

#[test]
fn streams() {
    let text = program("")
        .replace("message told(n: u64, v: u64) to sink;", "message told(n: u64, v: u64) to sink, ordered;");
    against(&text, &[], "ordered", "told(n, v)");
}

#[test]
fn proxy_leaders_of_multi_paxos() {
    let p = shipped("multi_paxos");
    let heads = ["open", "accepts", "backing", "won", "phase2a", "chosen"];
    let out = fires(echo(&p, &Cut::new("proposer", "proxy", &heads)));
    let text = print(&out.protocol);
    for line in ["role proxy of proposer, shares fate;", "to proxy;"] {
        assert!(text.contains(line), "{text}");
    }
    assert!(block(&out, "proposer").contains("propose_to_proxy("));
    assert_eq!(assumed(&out).len(), 1);
    assert!(assumed(&out)[0].starts_with("`propose` has one row for each (b, slot), ever"));
}
