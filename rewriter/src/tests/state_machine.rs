//! State-machine decoupling.

use super::*;
use crate::*;

const BASE: &str = "protocol p;
role server;
role sink;
request put(v: u64) -> (sum: u64) at server;
request look(v: u64) -> (sum: u64) at server;
message told(v: u64) to sink;
at sink { table log(v: u64); log(v) <= told(v); }
at server {
event taken(r, v) <= put(r, v), if v > 0;
reply put(r, 0) <~ put(r, 0);
";

/// The part: a running sum.
const SUM: &str = "var sum(n: u64) = 0;
event answer(r, n + v) <= taken(r, v), sum(n);
sum(max(n)) <+ answer(_, n);
reply put(r, n) <~ answer(r, n);
reply look(r, n) <~ look(r, _), sum(n);
";

const HEADS: &[&str] = &["sum", "answer", "put#1", "look"];

fn program(rules: &str) -> String {
    format!("{BASE}{rules}\n}}\n")
}

#[track_caller]
fn against(rules: &str, heads: &[&str], item: &str, at: &str) {
    let text = program(rules);
    refuses(
        &text,
        state_machine(&parse(&text), &Cut::new("server", "part", heads)),
        &format!("state_machine.{item}"),
        at,
    );
}

#[test]
fn a_running_sum() {
    let text = program(SUM);
    let out = fires(state_machine(&parse(&text), &Cut::new("server", "part", HEADS)));
    let whole = print(&out.protocol);
    // The request that only the part reads is taken upstream and relayed in its unit.
    for line in [
        "request look(v: u64) -> (sum: u64) at server;",
        "message taken_to_part(r: Req, v: u64) to part ordered;",
        "message look_to_part(req: Req, v: u64) to part ordered;",
    ] {
        assert!(whole.contains(line), "{whole}");
    }
    assert!(out.protocol.roles.iter().filter(|r| r.name != "sink").all(|r| r.shares_fate));
    // Its streams can be put into plain rules.
    let plain = anabranch_dsl::expand::expand(&out.protocol);
    let plain = plain
        .unwrap_or_else(|e| panic!("{}", e.iter().map(|e| e.to_string()).collect::<Vec<_>>().join("\n")));
    assert!(plain.relations.iter().all(|r| !r.delivery.ordered));
}

#[test]
fn a_program_without_streams_is_left_alone() {
    let p = parse(&program(SUM));
    assert_eq!(anabranch_dsl::expand::expand(&p).expect("nothing to expand"), p);
}

#[test]
fn the_responder_of_the_microbenchmark() {
    let path = format!("{}/../protocols/src/micro/state_machine.rs", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("a protocol of the library");
    let p = anabranch_dsl::parse_file(&text).remove(0).outcome.protocol.expect("a right one");
    let out = fires(state_machine(&p, &Cut::new("leader", "responder", &["history", "answer", "put"])));
    assert!(block(&out, "responder").contains("taken_to_responder(req, payload), history(h)"));
}

#[test]
fn state_that_crosses() {
    let rules = format!(
        "{SUM} var low(n: u64) = 0; low(v) <+ taken(_, v), if v > 3; reply look(r, 1) <~ look(r, _), low(7);"
    );
    against(&rules, &["sum", "answer", "put#1", "look"], "level", "low(7)");
}

#[test]
fn what_is_kept() {
    against(&SUM.replace("var sum", "durable var sum"), HEADS, "kept", "sum(max(n)) <+");
}

#[test]
fn clocks() {
    against(&SUM.replace("reply look(r, n)", "reply look(r, n + now_ms())"), HEADS, "clock", "n + now_ms()");
}

#[test]
fn one_direction() {
    against(&format!("{SUM} told(n) @ sink.at(0) <~ taken(..), sum(n);"), HEADS, "independent", "sum(n)");
}

#[test]
fn sub_ticks() {
    // What crosses may do so in a later sub-tick, and the part would see its own deferred event before it.
    let late = "event again(r: Req, v: u64); again(r, v) <+ taken(r, v);
table got(r: Req); event next(r: Req); next(r) <+ step(r); event step(r, v) <= again(r, v);
got(r) <= next(r), !got(r); told(1) @ sink.at(0) <~ next(_), again(_, _); reply look(r, 1) <~ look(r, _);"
        .replace("event step(r, v) <= again(r, v);", "event step(r) <= again(r, _);")
        .replace("got(r) <= next(r), !got(r);", "got(r) <= next(r);");
    against(&late, &["step", "next", "got", "told"], "sub-ticks", "next(r) <+ step(r)");
    let new = "event again(r: Req, v: u64); again(r, v) <+ taken(r, v); table got(r: Req); got(r) <+ again(r, _); told(1) @ sink.at(0) <~ new got(_); reply look(r, 1) <~ look(r, _);";
    against(new, &["got", "told"], "sub-ticks", "new got");
    // From the first tick alone, nothing can be told.
    let text = program(&new.replace("got(r) <+ again(r, _)", "got(r) <+ taken(r, _)"));
    fires(state_machine(&parse(&text), &Cut::new("server", "part", &["got", "told"])));
}

#[test]
fn streams_of_its_own() {
    let text = program(&format!("{SUM} told(n) @ sink.at(0) <~ answer(_, n);"))
        .replace("message told(v: u64) to sink;", "message told(v: u64) to sink ordered;");
    let heads: Vec<&str> = HEADS.iter().copied().chain(["told"]).collect();
    refuses(
        &text,
        state_machine(&parse(&text), &Cut::new("server", "part", &heads)),
        "state_machine.ordered",
        "told(n)",
    );
}
