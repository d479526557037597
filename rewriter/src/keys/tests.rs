//! `check(rule, question, answer)` over the terms of the first rule of a program.

use super::Closure;
use anabranch_dsl::ir::Protocol;
use anabranch_dsl::parse_str;

const HEAD: &str = "protocol p; use crate::{f, g, h}; role node; request get(k: u64) -> () at node; \
    message m(k: u64, v: u64) to node; message n(x: u64, y: (u64, u64), z: Option<u64>) to node; \
    message o(k: u64, v: u64) to node; \
    at node { table t(k: u64 => v: u64); table s(k: u64, v: u64); table ids(i: Id, x: Req);";

fn parse(rule: &str) -> Protocol {
    let outcome = parse_str(&format!("{HEAD} {rule} }}"));
    outcome.protocol.unwrap_or_else(|| panic!("{:#?}", outcome.diagnostics))
}

/// Each variable pair `a b` of `equal` agrees and each of `not` does not.
fn check(rule: &str, equal: &[&str], not: &[&str]) {
    let p = parse(rule);
    let mut c = Closure::of_rule(&p, &p.rules[0], &Default::default());
    for (pairs, expect) in [(equal, true), (not, false)] {
        for pair in pairs {
            let (a, b) = pair.split_once(' ').expect("a pair");
            let (a, b) = (c.variable(a), c.variable(b));
            c.close();
            assert_eq!(c.equal(a, b), expect, "{pair} in {rule}");
        }
    }
}

#[test]
fn equalities() {
    check("o(b, d) @ me <~ m(a, b), s(c, d), if a == c && b != d;", &["a c"], &["b d"]);
    check("o(b, d) @ me <~ m(a, b), m(c, d), let x = f(&a), let y = f(&c), if a == c;", &["x y"], &["b d"]);
    check(
        "o(x, y) @ me <~ m(a, b), let x = f(&a), let y = g(&a), let z = f(a.clone());",
        &["x z"],
        &["x y", "a b"],
    );
    check("o(b, d) @ me <~ m(a, b), s(a, d), if a == b || b == d;", &[], &["a b", "b d"]);
}

#[test]
fn keys_within_a_tick() {
    check("o(b, d) @ me <~ m(a, _), t(a, b), t(a, d);", &["b d"], &["a b"]);
    check("o(b, d) @ me <~ m(a, _), t(a, b), let Some(d) = t[a];", &["b d"], &[]);
    check("o(b, d) @ me <~ m(a, _), t(a, b), old t(a, d);", &[], &["b d"]);
    check("o(b, d) @ me <~ m(a, _), s(a, b), s(a, d);", &[], &["b d"]);
}

#[test]
fn structure() {
    check("o(x, y) @ me <~ n(_, q, _), let x = q.0, let (y, z) = q;", &["x y"], &["y z"]);
    check("o(x, y) @ me <~ n(_, (x, y), z), n(w, q, z), let (u, _) = q, if q == (x, y);", &["u x"], &["w x"]);
    check("o(x, y) @ me <~ n(_, _, Some(x)), n(_, _, z), let Some(y) = z, if z == Some(x);", &["x y"], &[]);
    check("o(x, y) @ me <~ n(a, _, _), let q = (a, 1), let x = q.0, let y = q.1;", &["x a"], &["y a"]);
}

#[test]
fn ids_are_routed_like_what_drew_them() {
    let alike = |rule: &str| {
        let p = parse(rule);
        let mut c = Closure::of_rule(&p, &p.rules[0], &Default::default());
        let (id, key) = (c.head[0].expect("a column"), c.variable("k"));
        assert!(!c.equal(id, key));
        c.routed_alike(id, key)
    };
    assert!(alike("ids(unique(), k) <= get(k, _);"));
    assert!(alike("on get(k, _), let i = unique() { ids(i, k) <=; }"));
    assert!(!alike("ids(unique(), r) <= get(r, k);"), "the first column only");
    assert!(!alike("ids(unique(), r) <= m(x, _), get(r, k), if x == 1;"), "the first event only");
    assert!(!alike("ids((unique(), 1).0, r) <= m(_, k), get(r, k);"), "also through a tuple");
    assert!(!alike("ids(unique(), r) <= new s(_, k), get(r, _);"), "a projection hides what is first");
}

#[test]
fn determined_and_expressed() {
    let p = parse("o(x, 1) @ me <~ n(_, (a, b), _), let x = f(&a), let y = g(b, now_ms());");
    let mut c = Closure::of_rule(&p, &p.rules[0], &Default::default());
    let [a, b, x, y] = ["a", "b", "x", "y"].map(|v| c.variable(v));
    c.close();
    assert!(c.determines(&[a], x));
    assert!(!c.determines(&[b], x));
    assert!(!c.determines(&[a, b], y), "the clock is no constant");
    assert_eq!(c.express(x, &[("key", a), ("other", b)]).as_deref(), Some("f(&key)"));
    assert_eq!(c.express(x, &[("other", b)]), None);
    let whole = c.reads[0].columns[1];
    assert_eq!(c.express(x, &[("pair", whole)]).as_deref(), Some("f(&pair.0)"));
}

#[test]
fn why() {
    let p = parse("o(b, d) @ me <~ m(a, b), m(c, d), let x = f(&a), let y = f(&c), if a == c;");
    let mut c = Closure::of_rule(&p, &p.rules[0], &Default::default());
    let (x, y) = (c.variable("x"), c.variable("y"));
    c.close();
    let because: Vec<String> = c.because(x, y).into_iter().collect();
    assert_eq!(because, ["`if a == c`", "`let`"]);
}
