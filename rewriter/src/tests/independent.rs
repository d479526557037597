//! Mutually independent decoupling.

use super::*;
use crate::*;

const BASE: &str = "protocol p;
role server;
request put(k: u64) -> () at server;
request get(k: u64) -> (n: u64) at server;
at server {
table seen(k: u64); var asked(n: u64) = 0;
seen(k) <= put(_, k);
asked(n + 1) <+ get(_, _), asked(n);
reply put(r) <~ put(r, _);
";

fn program(rules: &str) -> String {
    format!("{BASE}{rules}\n}}\n")
}

#[track_caller]
fn against(rules: &str, heads: &[&str], item: &str, at: &str) {
    let text = program(rules);
    refuses(
        &text,
        independent(&parse(&text), &Cut::new("server", "part", heads)),
        &format!("independent.{item}"),
        at,
    );
}

#[test]
fn halves_that_share_nothing() {
    let text = program("reply get(r, n) <~ get(r, _), asked(n);");
    let out = fires(independent(&parse(&text), &Cut::new("server", "part", &["asked", "get"])));
    assert!(print(&out.protocol).contains("request get(k: u64) -> (n: u64) at part;"));
    assert_eq!(
        block(&out, "part"),
        "at part {
    var asked(n: u64) = 0;
    asked(n + 1) <+ get(..), asked(n);
    reply get(r, n) <~ get(r, _), asked(n);
}"
    );
}

#[test]
fn forgetting_is_no_obligation() {
    let text = program(
        "table kept(k: u64); kept(k) <= get(_, k); kept(k) <- get(_, k), kept(k); reply get(r, n) <~ get(r, _), asked(n), !old kept(n);",
    );
    fires(independent(&parse(&text), &Cut::new("server", "part", &["asked", "get", "kept"])));
}

#[test]
fn static_views_are_copied() {
    let text = program(
        "view low(s) <= server(s), if s.index() == 0; reply get(r, n) <~ get(r, _), asked(n), low(me); seen(0) <= put(_, _), low(me);",
    );
    let out = fires(independent(&parse(&text), &Cut::new("server", "part", &["asked", "get"])));
    assert!(block(&out, "part").contains("view low(") && block(&out, "server").contains("view low("));
}

#[test]
fn nothing_crosses() {
    against(
        "reply get(r, n) <~ get(r, k), asked(n), seen(k);",
        &["asked", "get"],
        "nothing-crosses",
        "seen(k)",
    );
    against(
        "timer old_ones(k: u64) every 1s while seen(k); reply get(r, n) <~ get(r, _), asked(n); asked(0) <+ old_ones(_);",
        &["asked", "get"],
        "nothing-crosses",
        "seen(k)",
    );
}

#[test]
fn own_inputs() {
    against("reply get(r, n) <~ get(r, _), asked(n);", &["get"], "own-inputs", "reply get");
    // A firing of one timer moves both halves at once; copies would not.
    against(
        "reply get(r, n) <~ get(r, _), asked(n); timer t every 1s; asked(n + 1) <+ t(), asked(n); seen(0) <= t();",
        &["asked", "get"],
        "own-inputs",
        "asked(n + 1)",
    );
}

#[test]
fn streams_stay_whole() {
    let text = program("reply get(r, n) <~ get(r, _), asked(n); a(1) @ sink.at(0) <~ put(_, _); b(1) @ sink.at(0) <~ get(_, _);")
        .replace("role server;", "role server;\nrole sink;\nmessage a(n: u64) to sink, ordered;\nmessage b(n: u64) to sink, ordered;\nat sink { on a(_) {} on b(_) {} }");
    refuses(
        &text,
        independent(&parse(&text), &Cut::new("server", "part", &["asked", "get", "b"])),
        "independent.stream",
        "b(1)",
    );
}

#[test]
fn a_unit_is_taken_whole() {
    let text = program("reply get(r, n) <~ get(r, _), asked(n); seen(n) <= a(n); asked(n) <+ b(n);").replace(
        "role server;",
        "role server;\nmessage a(n: u64) to server ordered;\nmessage b(n: u64) to server ordered;",
    );
    let outcome = independent(&parse(&text), &Cut::new("server", "part", &["asked", "get"]));
    refuses(&text, outcome, "independent.stream", "b(n: u64)");
}

#[test]
fn unread_tables_are_split_by_writer() {
    let text = program(
        "reply get(r, n) <~ get(r, _), asked(n); durable table journal(k: u64); journal(k) <= put(_, k); journal(k) <= get(_, k);",
    );
    let out = fires(independent(&parse(&text), &Cut::new("server", "part", &["asked", "get", "journal#1"])));
    assert!(block(&out, "part").contains("durable table journal(k: u64);"));
    assert!(block(&out, "server").contains("durable table journal(k: u64);"));
}
