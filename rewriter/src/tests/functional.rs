//! Functional decoupling: where it fires, and a program for every item that it refuses.

use super::*;
use crate::*;

const BASE: &str = "protocol p;
role server;
role sink;
request put(k: u64, v: u64) -> () at server;
request get(k: u64) -> (v: u64) at server;
message told(r: Req, v: u64) to sink;
message note(k: u64) to sink;
at sink { table log(r: Req, v: u64); log(r, v) <= told(r, v); var n(x: u64) = 0; n(x + 1) <+ note(_), n(x); }
at server {
table kv(k: u64 => v: u64);
kv(k, v) <+ put(_, k, v);
";

fn program(rules: &str) -> String {
    format!("{BASE}{rules}\n}}\n")
}

#[track_caller]
fn check(rules: &str, heads: &[&str]) -> Rewritten {
    fires(functional(&parse(&program(rules)), &Cut::new("server", "part", heads)))
}

#[track_caller]
fn against(rules: &str, heads: &[&str], item: &str, at: &str) {
    let text = program(rules);
    refuses(
        &text,
        functional(&parse(&text), &Cut::new("server", "part", heads)),
        &format!("functional.{item}"),
        at,
    );
    let forced = functional(&parse(&text), &Cut::new("server", "part", heads).forced());
    if !matches!(item, "start" | "cut" | "heads") {
        fires(forced);
    }
}

const GOT: &str = "event got(r: Req, v: u64); got(r, v) <= get(r, k), kv(k, v);";

#[test]
fn a_responder() {
    let out =
        check(&format!("{GOT} reply get(r, v) <~ got(r, v); reply put(r) <~ put(r, _, _);"), &["get", "put"]);
    assert_eq!(
        block(&out, "part"),
        "at part {
    reply get(r, v) <~ got_to_part(r, v);
    reply put(r) <~ put_to_part(r, ..);
}"
    );
}

#[test]
fn an_edge_is_evaluated_upstream() {
    let out = check(
        "view big(k) <= kv(k, v), if v > 9; note(k) @ sink.at(0) <~ new big(k); reply put(r) <~ put(r, ..); reply get(r, 0) <~ get(r, _);",
        &["note"],
    );
    assert_eq!(block(&out, "part"), "at part {\n    note(k) @ sink.at(0) <~ new_big_to_part(k);\n}");
    assert!(block(&out, "server").contains("new_big_to_part(k) @ me <~ new big(k);"));
}

#[test]
fn a_join_is_evaluated_upstream() {
    let out = check(
        "view big(k) <= kv(k, v), if v > 9; note(k) @ sink.at(0) <~ new (big(k), kv(k, 7)); reply put(r) <~ put(r, ..); reply get(r, 0) <~ get(r, _);",
        &["note"],
    );
    assert!(block(&out, "server").contains("new_big_to_part(k) @ me <~ new (big(k), kv(k, 7));"));
}

#[test]
fn one_atom() {
    let rest = "reply put(r) <~ put(r, ..);";
    against(&format!("reply get(r, v) <~ get(r, k), kv(k, v); {rest}"), &["get"], "one-atom", "kv(k, v)");
    against(&format!("{GOT} reply get(r, v) <~ got(r, v), !kv(v, _); {rest}"), &["get"], "one-atom", "!kv(v");
    against(
        &format!("{GOT} reply get(r, kv[v].unwrap_or(0)) <~ got(r, v); {rest}"),
        &["get"],
        "one-atom",
        "kv[v]",
    );
    against(
        &format!("{GOT} reply get(r, v) <~ got(r, v), put(_, v, _); {rest}"),
        &["get"],
        "one-atom",
        "put(_",
    );
}

#[test]
fn pure() {
    let rest = "reply put(r) <~ put(r, ..);";
    let told = |what: &str| {
        format!("reply get(r, 0) <~ get(r, _); {rest} told(r, {what}) @ sink.at(0) <~ put(r, ..);")
    };
    against(&told("random()"), &["told"], "pure", "random()");
    against(&told("now_ms()"), &["told"], "pure", "now_ms()");
    against(
        &format!(
            "reply get(r, 0) <~ get(r, _); reply get(r, 0) <~ get(r, _); {rest} note(count()) @ sink.at(0) <~ get(_, _);"
        ),
        &["note"],
        "pure",
        "count()",
    );
}

#[test]
fn heads_that_leave() {
    let rest = "reply put(r) <~ put(r, ..); reply get(r, 0) <~ get(r, _);";
    against(
        &format!("table seen(k: u64); seen(k) <= put(_, k, _); {rest} note(k) @ sink.at(0) <~ new seen(k);"),
        &["seen", "note"],
        "head",
        "seen(k) <=",
    );
    against(
        &format!("{rest} timer nag(k: u64) every 1s while kv(k, _); note(k) @ sink.at(0) <~ nag(k);"),
        &["note"],
        "head",
        "nag",
    );
}

#[test]
fn ordered_heads_stay() {
    let text = program(
        "reply put(r) <~ put(r, ..); reply get(r, 0) <~ get(r, _); told(r, v) @ sink.at(0) <~ put(r, _, v);",
    )
    .replace("told(r: Req, v: u64) to sink;", "told(r: Req, v: u64) to sink, ordered;");
    refuses(
        &text,
        functional(&parse(&text), &Cut::new("server", "part", &["told"])),
        "functional.ordered",
        "told(r, v)",
    );
}

#[test]
fn same_facts() {
    let rest = "reply put(r) <~ put(r, ..); reply get(r, 0) <~ get(r, _);";
    // Two keys with one value, put in one tick, leave one note.
    against(
        &format!("{rest} note(v) @ sink.at(0) <~ put(_, _, v);"),
        &["note"],
        "same-facts",
        "put(_, _, v)",
    );
    // The answers of two keys are told apart, and whoever stores them would not mind.
    check(&format!("{rest} told(r, v) @ sink.at(0) <~ put(r, _, v);"), &["told"]);
    check(
        &format!("{rest} event big(k, v) <= put(_, k, v), if v > 9; note(k + v) @ sink.at(0) <~ big(k, v);")
            .replace("note(k + v)", "told(Req::default(), v)"),
        &["told"],
    );
    // Two rules may coincide: that is not proved, but said.
    let out = check(
        &format!(
            "{rest} event big(v) <= put(_, _, v); note(v) @ sink.at(0) <~ big(v); note(k) @ sink.at(0) <~ get(_, k);"
        ),
        &["note#0"],
    );
    assert_eq!(
        assumed(&out),
        [
            "no tick gives the same `note` by `note(v) @ sink.at(0) <~ big(v)` and by `note(k) @ sink.at(0) <~ get(_, k)`"
        ]
    );
}

#[test]
fn answers() {
    let rest =
        "reply put(r) <~ put(r, ..); event got(r, v) <= get(r, v); table held(r: Req); held(r) <= got(r, _);
        timer late(r: Req) after 1s while held(r);";
    // The timer's answer may overtake the one that crosses.
    let two = "reply get(r, 0) <~ late(r); reply get(r, v) <~ got(r, v);";
    against(&format!("{rest} {two}"), &["get#1"], "answers", "reply get(r, v)");
    // Crossing both, they may overtake each other.
    let both = "event said(r) <= late(r); reply get(r, 0) <~ said(r); reply get(r, v) <~ got(r, v);";
    against(&format!("{rest} {both}"), &["get"], "answers", "reply get(r, 0)");
    // Nobody can tell equal answers apart, and what one tick says has no order.
    check(&format!("{rest} {}", two.replace("reply get(r, v)", "reply get(r, 0)")), &["get#1"]);
    let prompt = "reply get(r, v) <~ got(r, v), if v > 3; reply get(r, 0) <~ get(r, v), if v <= 3;";
    assert!(assumed(&check(&format!("{rest} {prompt}"), &["get#0"])).is_empty());
    // One rule that may answer later than in the tick of the request: on trust.
    let later = "event said(r, v) <= late(r), kv(_, v); reply get(r, v) <~ said(r, v);";
    assert_eq!(
        assumed(&check(&format!("{rest} {later}"), &["get"])),
        ["`reply get(r, v) <~ said(r, v)` answers a request once, or always alike"]
    );
}

#[test]
fn one_direction() {
    let rules = format!(
        "{GOT} reply get(r, v) <~ got(r, v); reply put(r) <~ put(r, ..); event twice(k) <= got(_, k); note(k) @ sink.at(0) <~ twice(k);"
    );
    against(&rules, &["got", "note"], "independent", "got(r, v)");
}

#[test]
fn common_items() {
    let rest = "reply put(r) <~ put(r, ..); reply get(r, 0) <~ get(r, _);";
    against(
        &format!("{rest} kv(k, 0) <+ get(_, k); note(k) @ sink.at(0) <~ get(_, k);"),
        &["kv#1", "note"],
        "heads",
        "kv(k, 0)",
    );
    against(&format!("{rest} note(n) @ sink.at(0) <~ start(n);"), &["note"], "start", "start(n)");
    against(
        &format!(
            "{rest} note(now_ms()) @ sink.at(0) <~ put(_, _, _); told(r, now_ms()) @ sink.at(0) <~ put(r, ..);"
        ),
        &["note"],
        "clock",
        "told(r",
    );
    against(
        &format!(
            "{rest} on put(r, _, _), let n = random() {{ note(n) @ sink.at(0) <~; told(r, n) @ sink.at(0) <~; }}"
        ),
        &["note"],
        "draws",
        "told(r, n)",
    );
    against(
        &format!(
            "{rest} event again(n: u64); again(n) <= put(_, _, n); again(n + 1) <+ again(n); note(k) @ sink.at(0) <~ put(_, k, _);"
        ),
        &["note"],
        "ends",
        "again(n + 1)",
    );
    against(rest, &["nothing"], "cut", "server");
    against(rest, &["get#3"], "cut", "server");
    against(rest, &["kv", "put", "get"], "cut", "server");
}

#[test]
fn a_rule_without_event_is_no_program_but_would_be_refused() {
    let mut p = parse(&program(
        "reply put(r) <~ put(r, ..); reply get(r, 0) <~ get(r, _); note(k) @ sink.at(0) <~ put(_, k, _);",
    ));
    let rule = p
        .rules
        .iter_mut()
        .find(|r| r.head.relation().is_some_and(|h| p.relations[h.index()].name == "put"))
        .expect("the rule");
    rule.body.clear();
    let refusal = functional(&p, &Cut::new("server", "part", &["note"])).expect_err("no event");
    assert_eq!(refusal.item.to_string(), "functional.event-driven");
}

#[test]
fn crashes() {
    // All state is durable: the parts may restart apart, and nothing needs a log.
    let durable = program("reply put(r) <~ put(r, ..); reply get(r, 0) <~ get(r, _);")
        .replace("table kv", "durable table kv");
    let out = fires(functional(&parse(&durable), &Cut::new("server", "part", &["put"])));
    assert!(out.protocol.roles.iter().all(|r| !r.shares_fate));
    let lost = program("reply put(r) <~ put(r, ..); reply get(r, 0) <~ get(r, _);");
    let out = fires(functional(&parse(&lost), &Cut::new("server", "part", &["put"])));
    assert_eq!(out.protocol.roles.iter().filter(|r| r.shares_fate).count(), 2);
}
