//! Plans of small programs, as text.

use super::lower;
use crate::ir::RoleId;

/// The plan of a program's first role.
fn plan(text: &str) -> String {
    let outcome = crate::parse_str(text);
    let protocol = outcome.protocol.unwrap_or_else(|| panic!("{:#?}", outcome.diagnostics));
    lower(&protocol, RoleId(0)).to_string()
}

/// The lines of the plan of a role with some messages; those of relations with nothing to say are left out.
fn check(rules: &str, expected: &str) {
    let text = plan(&format!(
        "protocol p;
        role a;
        message m(x: u64, y: u64) to a;
        message d(x: u64) to a;
        message out(x: u64) to a;
        message out2(x: u64, y: u64) to a;
        at a {{ {rules} }}"
    ));
    let boring =
        |l: &str| l.ends_with(": message") || l.starts_with("start(") || l.starts_with("a(instance)");
    let lines: Vec<&str> = text.lines().filter(|l| !boring(l)).map(str::trim_end).collect();
    let expected: Vec<&str> = expected.lines().skip(1).collect();
    let indent = expected.first().map_or(0, |l| l.len() - l.trim_start().len());
    let expected: Vec<&str> =
        expected.iter().map(|l| l.get(indent..).unwrap_or("")).filter(|l| !l.is_empty()).collect();
    assert_eq!(lines, expected, "\n{}", lines.join("\n"));
}

#[test]
fn joins_follow_bound_variables() {
    check(
        "table t(x: u64, y: u64); table k(x: u64 => y: u64);
        t(x, y) <= m(x, y); k(x, y) <+ m(x, y);
        out(z) @ me <~ d(x), k(y, z), t(x, y);",
        "
        t(x, y): table [0]*; probed
        k(x => y): table [0]*; removable, probed
        run
          m(x, y) => t(x, y) distinct
        run
          m(x, y) => k(x, y) <+ distinct
          d(x), t[0](=x, y), k[0](=y, z) unique => send 4 (z) @ me
        send 4: dedup Always
        ",
    );
}

#[test]
fn self_joins_leave_out_the_row_on_one_side() {
    check(
        "table t(x: u64, y: u64); t(x, y) <= m(x, y); t(x, _) <- d(x);
        view v(x, z) <= t(x, y), t(y, z), !t(z, _);
        out2(x, z) @ me <~ new v(x, z);",
        "
        t(x, y): table [0]* [1]; removable, probed by deltas
          ± t(x, y), t[0](=y, z) but-start, !t[0](=z, _) but-start => v(x, z)
          ± t(y, z), !t[0](=z, _) but-start, t[1](x, =y) => v(x, z)
          ∓ t(z, _), !t[0](=z, _) but-start, t[1](y, =z), t[1](x, =y) => v(x, z)
        v(x, z): view, counts; removable, track new
        release in order: v
        run
          m(x, y) => t(x, y) distinct
        release v
        run
          d(x) => t[0](x, _) <- distinct
          new v(x, z) => send 5 (x, z) @ me distinct
        ",
    );
}

#[test]
fn votes_are_counted_by_the_size_of_a_group() {
    check(
        "table votes(x: u64, y: u64); votes(x, y) <= m(x, y);
        view count(x => count(y)) <= votes(x, y);
        view full(x) <= count(x, n), if n == 3;
        on new full(x) { out(x) @ me <~; votes(x, _) <-; }",
        "
        votes(x, y): table [0]*; removable
          ± votes(x, y) => count group (x) of (y)
        count(x => count): view, aggregate by (x) of CountDistinct each once retracts, group size of votes[0]; removable
          ± count(x, n), if n == 3 => full(x)
        full(x): view, nothing stored; removable, track new
        release in order: count, full
        run
          m(x, y) => votes(x, y) distinct
        release count
        release full
        run
          new full(x)
            => send 4 (x) @ me distinct
            => votes[0](x, _) <- distinct
        ",
    );
}

#[test]
fn columns_matched_by_wildcards_are_projected_out() {
    check(
        "table t(x: u64, y: u64); t(x, y) <= m(x, y); t(x, y) <- m(y, x);
        out(x) @ me <~ new t(x, _); out(7) @ me <~ new (t(x, y), t(y, x));",
        "
        t(x, y): table [0, 1] [0]*; removable, probed by deltas
          ± t(__x0, _) => __new_t_x_(__x0)
          ± t(x, y), t[0, 1](=y, =x) but-start unique => __new_join8(x, y)
          ± t(y, x), t[0, 1](=x, =y) unique => __new_join8(x, y)
        __new_t_x_(x): view, projection of t[0] as [0]; removable, track new
        __new_join8(x, y): view, nothing stored; removable, track new
        release in order: __new_t_x_, __new_join8
        run
          m(x, y) => t(x, y) distinct
        release __new_t_x_
        release __new_join8
        run
          m(y, x) => t[0, 1](x, y) <- distinct
          new __new_t_x_(x) => send 4 (x) @ me distinct
          new __new_join8(_, _) => send 4 (7) @ me
        send 4: dedup Always
        ",
    );
}

#[test]
fn look_ups_in_views_are_joins_in_both_cases() {
    check(
        "table t(x: u64, y: u64); t(x, y) <= m(x, y); table k(x: u64 => y: u64); k(x, y) <+ m(x, y);
        view v(x, k[y + 1]) <= t(x, y);
        out(x) @ me <~ new v(x, _);",
        "
        t(x, y): table [] [0, 1]*; probed by deltas
          ± t(x, y), let __key2 = y + 1, k[0](=__key2, __value3) unique, let __found4 = Some(__value3) => v(x, __found4)
          ± t(x, y), let __key2 = y + 1, let __found4 = None, !k[0](=__key2, _) unique => v(x, __found4)
        k(x => y): table [0]*; removable, probed by deltas
          ± k(__key2, __value3), t[](x, y), let =__key2 = y + 1, let __found4 = Some(__value3) => v(x, __found4)
          ∓ k(__key2, _), !k[0](=__key2, _) but-start unique, t[](x, y), let =__key2 = y + 1, let __found4 = None => v(x, __found4)
        v(x, k): view, counts; removable
          ± v(__x0, _) => __new_v_x_(__x0)
        __new_v_x_(x): view, counts; removable, track new
        release in order: v, __new_v_x_
        run
          m(x, y) => t(x, y) distinct
        release v
        release __new_v_x_
        run
          m(x, y) => k(x, y) <+ distinct
          new __new_v_x_(x) => send 4 (x) @ me distinct
        ",
    );
}

#[test]
fn recursion_is_grown_or_recomputed() {
    check(
        "table e(x: u64, y: u64); e(x, y) <= m(x, y); table f(x: u64); f(x) <= d(x); f(x) <- m(x, x);
        view r(x, y) <= e(x, y); r(x, z) <= r(x, y), e(y, z);
        view s(x) <= f(x); s(y) <= s(x), e(x, y);
        out2(x, y) @ me <~ new r(x, y); out(x) @ me <~ new s(x);",
        "
        e(x, y): table [0]*; probed by deltas, dirties unit 1
          ± e(x, y) => r(x, y)
          ± e(y, z), r[1](x, =y) => r(x, z)
        f(x): table [0]* []; removable, probed by deltas, dirties unit 1
        r(x, y): view of unit 0, set [1]*; track new, probed by deltas
          ± r(x, y), e[0](=y, z) => r(x, z)
        s(x): view of unit 1, set; removable, track new
        release in order: unit 0 (r), unit 1 (s)
        unit 0: insert-only
        unit 1: recomputed
          seed once, f[](x) => s(x)
          step ± s(x), e[0](=x, y) => s(y)
        run
          m(x, y) => e(x, y) distinct
        run
          d(x) => f(x) distinct
        release unit 0 (r)
        release unit 1 (s)
        run
          m(x, =x) => f[0](x) <- distinct
          new r(x, y) => send 5 (x, y) @ me distinct
          new s(x) => send 4 (x) @ me distinct
        ",
    );
}

#[test]
fn events_that_feed_each_other_are_a_fixpoint() {
    check(
        "table e(x: u64, y: u64); e(x, y) <= m(x, y); event go(x: u64); go(x) <= d(x); go(y) <= go(x), e(x, y);
        table seen(x: u64); seen(x) <= go(x); go(x) <= new far(x), m(x, _); view far(y) <= seen(x), e(x, y);
        out(x) @ me <~ go(x);",
        "
        m(x, y): message [0]*; probed
        e(x, y): table [0]*; probed by deltas
          ± e(x, y), seen[0](=x) unique => far(y)
        go(x): event; dedup Always
        seen(x): table [0]*; probed by deltas
          ± seen(x), e[0](=x, y) => far(y)
        far(y): view, counts; track new
        release in order: far
        run
          m(x, y) => e(x, y) distinct
        fixpoint of go, seen, far
          seed d(x) => go(x) distinct
          seed new far(x), m[0](=x, _) once => go(x) distinct
          ± go(x), e[0](=x, y) => go(y)
          ± go(x) => seen(x) distinct
          new ± far(x), m[0](=x, _) once => go(x) distinct
          release far
        run
          go(x) => send 4 (x) @ me distinct
        ",
    );
}

#[test]
fn blocks_share_their_prefix() {
    check(
        "table k(x: u64 => y: u64); k(x, y) <+ m(x, y);
        on d(x), k(x, y) { out(y) @ me <~ if y > 1; out2(x, p) @ me <~ for p in 0..y; k(x, _) <-; }",
        "
        d(x): message; dedup Always
        k(x => y): table [0]*; removable, probed
        run
          m(x, y) => k(x, y) <+ distinct
          d(x), k[0](=x, y) unique
           , if y > 1 => send 4 (y) @ me
           , for p in 0 .. y => send 5 (x, p) @ me distinct
            => k[0](x, _) <- distinct
        send 4: dedup Always
        ",
    );
}

#[test]
fn repetitions_are_looked_for_where_they_would_show() {
    check(
        "event e(x: u64, i: Id); e(x, unique()) <= d(x); event f(x: u64); f(x) <= m(x, _); event n(x: u64 => y: u64);
        n(x, count()) <= m(x, _); table t(x: u64); t(x) <= f(x);
        out(x) @ me <~ e(x, _); out2(x, y) @ me <~ n(x, y); out2(x, x) @ me <~ f(x);",
        "
        m(x, y): message; dedup Always
        d(x): message; dedup Always
        e(x, i): event; keys [[0], [1]]
        f(x): event; dedup Always
        n(x => y): event, aggregate by (x) of Count; removable
        t(x): table [0]*
        run
          d(x), let __i1 = unique()
            => e(x, __i1) distinct
            => send 4 (x) @ me distinct
        run
          m(x, _) => f(x)
        run
          m(x, _) => n group (x) of ()
        finish n
        run
          f(x) => t(x) distinct
        run
          n(x, y) => send 5 (x, y) @ me distinct
          f(x) => send 5 (x, x) @ me distinct
        send 5: dedup BetweenRules
        ",
    );
}

#[test]
fn rules_driven_by_an_event_run_where_it_is_derived() {
    // Through two events, and only what matches.
    check(
        "event e(x: u64, y: u64); e(x, y) <= m(x, y); event f(x: u64, y: u64); f(y, x) <= e(x, y), if x > y;
        table t(x: u64); t(x) <= f(x, 7);",
        "
        e(x, y): event; keys [[0, 1]]
        f(x, y): event; keys [[0, 1]]
        t(x): table [0]*
        run
          m(x, y)
            => e(x, y) distinct
           , if x > y => f(y, x) distinct
           , if x > y, let =7 = x => t(y)
        ",
    );
    // Not what reads more than the event: the table may not be complete yet.
    check(
        "event e(x: u64, y: u64); e(x, y) <= m(x, y); table t(x: u64); t(x) <= d(x);
        out(x) @ me <~ e(x, _), t(x);",
        "
        e(x, y): event; keys [[0, 1]]
        t(x): table [0]*; probed
        run
          m(x, y) => e(x, y) distinct
        run
          d(x) => t(x) distinct
        run
          e(x, _), t[0](=x) unique => send 4 (x) @ me
        send 4: dedup Always
        ",
    );
    // Not if the event merges rows: its rows are counted, not those of the message.
    check(
        "event e(x: u64); e(x) <= m(x, _); event n(c: u64); n(count()) <= e(_); out(c) @ me <~ n(c);",
        "
        e(x): event; dedup Always
        n(c): event, aggregate by () of Count; removable, keys [[]]
        run
          m(x, _) => e(x)
        run
          e(_) => n group () of ()
        finish n
        run
          n(c) => send 4 (c) @ me distinct
        ",
    );
    // Not if it has two rules, is scheduled, recursive, or probed.
    for rules in [
        "event e(x: u64); e(x) <= d(x); e(x) <= m(x, x); out(x) @ me <~ e(x);",
        "event e(x: u64); e(x) <+ d(x); out(x) @ me <~ e(x);",
        "event e(x: u64); e(x) <= d(x); e(y) <= e(x), let y = x / 2; out(x) @ me <~ e(x);",
        "event e(x: u64); e(x) <= d(x); out(x) @ me <~ e(x); out2(x, y) @ me <~ m(x, y), e(x);",
    ] {
        let text = plan(&format!(
            "protocol p; role a; message m(x: u64, y: u64) to a; message d(x: u64) to a; message out(x: u64) to a;
            message out2(x: u64, y: u64) to a; at a {{ {rules} }}"
        ));
        assert!(text.contains("  e(x) => send"), "{text}");
    }
}

#[test]
fn a_table_may_have_one_row_per_request() {
    let keys = |rules: &str| {
        let text = plan(&format!(
            "protocol p; role a; request r(x: u64) -> (y: u64) at a; message d(x: u64) to a; at a {{ {rules} }}"
        ));
        let line = text.lines().find(|l| l.starts_with("t(")).map(str::to_owned);
        line.unwrap_or_else(|| panic!("{text}")).contains("keys [[0], [1]]")
    };
    let t = "table t(i: Id => req: Req); on r(req, x), let i = unique() { t(i, req) <=; }";
    let end = "reply r(req, 1) <~ d(_), t(_, req);";
    assert!(keys(&format!("{t} {end}")));
    // A request that was sent elsewhere may come back; another rule may write; durable rows outlast the incarnation.
    assert!(!keys(&format!("{t} {end} redirect r(req, me) <~ r(req, 7);")));
    assert!(!keys(&format!("{t} {end} t(i, req) <= d(x), r(req, x), let i = unique();")));
    assert!(!keys(&format!("{} {end}", t.replace("table", "durable table"))));
    // One request, many rows.
    assert!(!keys(&format!("table t(i: u64 => req: Req); t(x, req) <= r(req, _), d(x); {end}")));
}

#[test]
fn standing_rules_go_through_a_view() {
    check(
        "table t(x: u64, y: u64); t(x, y) <= m(x, y); table k(x: u64 => y: u64); k(x, y) <= t(x, y), !t(y, _); k(x, _) <- d(x);",
        "
        t(x, y): table [0]* [1]; probed by deltas
          ± t(x, y), !t[0](=y, _) but-start => __stand1_k(x, y)
          ∓ t(y, _), !t[0](=y, _) but-start, t[1](x, =y) => __stand1_k(x, y)
        k(x => y): table [0]*; removable, watched by standing 0
        __stand1_k(x, y): view, set [0]*; removable, probed by deltas
        release in order: __stand1_k
        standing 0: k from __stand1_k[0]
        run
          m(x, y) => t(x, y) distinct
        release __stand1_k
        stand 0 into k
        run
          d(x) => k[0](x, _) <- distinct
        ",
    );
}

#[test]
fn a_view_over_variables_multiplies_nothing() {
    check(
        "var top(n: u64) = 0; var mine(n: u64) = 0; table t(x: u64 => y: u64);
        mine(x) <+ d(x);
        view running(n) <= mine(n), top(n);
        view seen(x, n) <= running(n), t(x, _);
        event taken(x: u64, y: u64); taken(x, y) <= m(x, y), running(_);
        event both(x: u64, y: u64, n: u64); both(x, y, n) <= m(x, y), seen(x, n);
        out2(x, y) @ me <~ taken(x, y); out2(x, n) @ me <~ both(x, _, n);",
        "
        top( => n): var []*; probed by deltas
          ± top(n), mine[](=n) unique => running(n)
        mine( => n): var []*; removable, probed by deltas
          ± mine(n), top[](=n) unique => running(n)
        t(x => y): table [0]* []; probed by deltas
          ± t(x, _), running[](n) => seen(x, n)
        taken(x, y): event; keys [[0, 1]]
        both(x, y, n): event; keys [[0, 1]]
        running(n): view, set [] [0]*; removable, probed by deltas, keys [[]]
          ± running(n), t[](x, _) => seen(x, n)
        seen(x, n): view, set [0]*; removable, probed, keys [[0]]
        release in order: running, seen
        release running
        run
          m(x, y), running[](_) once
            => taken(x, y) distinct
            => send 5 (x, y) @ me distinct
        release seen
        run
          m(x, y), seen[0](=x, n)
            => both(x, y, n) distinct
            => send 5 (x, n) @ me
        run
          d(x) => mine(x) <+ distinct
        send 5: dedup Always
        ",
    );
}
