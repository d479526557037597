//! Points 1 to 10.

use super::node;

const M: &str = "message m(x: u64) to node; message d(x: u64) to node; message p(x: u64, y: u64) to node;
    message out(x: u64) to peer;";

#[test]
fn point_1_now_is_the_fixpoint_and_after_is_what_remains() {
    let mut n = node(M, "table t(x: u64); view v(x) <= t(x); t(x) <= m(x); t(x + 1) <+ m(x); t(x) <- d(x);");
    n.tick("m(1)").is("t", "(1)").is("v", "(1)").deferred(true);
    assert_eq!(n.resting("t"), "(1) (2)");
    n.tick("").is("t", "(1) (2)").deferred(false);
    n.tick("d(1)").is("t", "(1) (2)").deferred(true);
    assert_eq!(n.resting("v"), "(2)");
}

#[test]
fn point_2_deletion_beats_now_and_next_beats_deletion() {
    // A row that arrives and is consumed in one tick is visible during it and gone after it.
    let mut n = node(
        M,
        "table q(x: u64); q(x) <= m(x); out(x) @ p <~ m(_), q(x), let p = peer.at(0); q(x) <- m(_), q(x);",
    );
    n.tick("m(1)").is("q", "(1)").sends("out(1) @ 0");
    assert_eq!(n.resting("q"), "");
    // A row that is deleted and scheduled is untouched: not new, and causes nothing.
    let mut n =
        node(M, "table t(x: u64); t(x) <= m(x); t(x) <- d(x); t(x) <+ d(x); event fresh(x) <= new t(x);");
    n.tick("m(1)").is("fresh", "(1)").deferred(false);
    n.tick("d(1)").is("t", "(1)").is("fresh", "").deferred(false);
    n.tick("").is("t", "(1)").is("fresh", "");
}

#[test]
fn point_3_a_tick_that_changed_something_is_followed_at_once() {
    let mut n = node(
        M,
        "event e(x: u64); table seen(x: u64); e(x) <+ m(x); e(x - 1) <+ e(x), if x > 0; seen(x) <= e(x);",
    );
    n.tick("m(2)").is("e", "").deferred(true);
    n.tick("").is("e", "(2)").deferred(true);
    n.tick("").is("e", "(1)").deferred(true);
    n.tick("").is("e", "(0)").is("seen", "(0) (1) (2)").deferred(false);
    // Deleting what is not there changes nothing, nor does inserting what is.
    let mut n = node(M, "table t(x: u64); t(x) <- d(x); t(x) <+ m(x);");
    n.tick("d(1)").deferred(false);
    n.tick("m(1)").deferred(true);
    n.tick("").deferred(false);
    n.tick("m(1)").deferred(false);
}

#[test]
fn point_4_a_crash_keeps_what_the_tick_scheduled_on_durable_tables() {
    let mut n = node(
        M,
        "durable table t(x: u64); table lost(x: u64); durable var v(x: u64) = 5; var w(x: u64) = 6;
         t(x) <+ m(x); lost(x) <+ m(x); v(x) <+ m(x); w(x) <+ m(x); t(x) <- d(x); event e(x: u64); e(x) <+ m(x);
         event first(n) <= start(n); event fresh(x) <= new t(x);",
    );
    n.tick("m(1)").is("first", "(1)").deferred(true);
    n.crash();
    n.tick("")
        .is("first", "(2)")
        .is("t", "(1)")
        .is("fresh", "")
        .is("lost", "")
        .is("v", "(1)")
        .is("w", "(6)")
        .is("e", "");
    n.tick("d(1)").is("first", "");
    n.crash();
    n.tick("").is("t", "").is("first", "(3)");
}

#[test]
fn point_5_old_reads_before() {
    let mut n = node(M, "table t(x: u64); t(x) <= m(x), !old t(_); event e(x) <= m(_), old t(x);");
    n.tick("m(1), m(2)").is("t", "(1) (2)").is("e", "");
    n.tick("m(3)").is("t", "(1) (2)").is("e", "(1) (2)");
}

#[test]
fn point_6_new_is_true_now_and_not_carried_over() {
    // A `<+` row is new, and already old, in its first tick.
    let mut n = node(
        M,
        "table t(x: u64); t(x) <+ m(x); event fresh(x) <= new t(x); event both(x) <= new t(x), old t(x);",
    );
    n.tick("m(1)").is("fresh", "");
    n.tick("").is("fresh", "(1)").is("both", "(1)");
    n.tick("m(1)").is("fresh", "").deferred(false);
    // A view that a deletion makes true is new in the tick that the deletion causes, and is old there.
    let mut n = node(
        M,
        "table t(x: u64); table b(x: u64); t(x) <= m(x); b(x) <= m(x); b(x) <- d(x);
         view free(x) <= t(x), !b(x); event fresh(x) <= new free(x); event was(x) <= new free(x), old free(x);",
    );
    n.tick("m(1)").is("free", "").is("fresh", "");
    n.tick("d(1)").is("free", "").is("fresh", "").deferred(true);
    n.tick("").is("free", "(1)").is("fresh", "(1)").is("was", "(1)");
    n.tick("").is("free", "(1)").is("fresh", "");
    // A row that a deletion takes and the next tick brings back is new again.
    let mut n = node(
        M,
        "table t(x: u64); t(x) <= m(x); t(x) <- d(x); event back(x: u64); back(x) <+ d(x); t(x) <= back(x); event fresh(x) <= new t(x);",
    );
    n.tick("m(1)").is("fresh", "(1)");
    n.tick("d(1)").is("fresh", "");
    n.tick("").is("t", "(1)").is("fresh", "(1)");
    // The first values of variables are carried over.
    let mut n = node(M, "var v(x: u64) = 3; event fresh(x) <= new v(x); v(x) <+ m(x);");
    n.tick("").is("v", "(3)").is("fresh", "");
    n.tick("m(4)").is("v", "(3)").is("fresh", "");
    n.tick("").is("v", "(4)").is("fresh", "(4)");
}

#[test]
fn point_6_a_replaced_row_takes_its_views_with_it() {
    let mut n = node(
        M,
        "var v(x: u64) = 0; table t(x: u64); t(x) <= m(x); v(x) <+ d(x);
         view both(y) <= v(_), t(y); event fresh(y) <= new both(y);",
    );
    n.tick("m(1)").is("fresh", "(1)");
    n.tick("d(5)").is("fresh", "");
    // The variable's old row was gone before its new one came, hence so was the view's row.
    n.tick("").is("both", "(1)").is("fresh", "(1)");
}

#[test]
fn point_7_new_of_a_join_fires_whichever_half_comes_last() {
    let inside = "table a(x: u64); table b(x: u64); a(x) <= m(x); b(x) <= d(x); a(x) <- p(x, _);
        event joined(x) <= new (a(x), b(x)); event half(x) <= new a(x), b(x);";
    let mut n = node(M, inside);
    n.tick("m(1)").is("joined", "");
    n.tick("d(1)").is("joined", "(1)").is("half", "");
    n.tick("").is("joined", "");
    n.tick("p(1, 0)").deferred(true);
    n.tick("m(1)").is("joined", "(1)").is("half", "(1)");
    // Columns matched by `_` are projected out first.
    let mut n = node(
        M,
        "table t(x: u64, y: u64); t(x, y) <= p(x, y); event any(x) <= new t(x, _); event each(x, y) <= new t(x, y);",
    );
    n.tick("p(1, 1)").is("any", "(1)").is("each", "(1, 1)");
    n.tick("p(1, 2)").is("any", "").is("each", "(1, 2)");
}

#[test]
fn point_7_projection_of_a_view_whose_rows_change_places() {
    // v(1, 1) goes by the deletion that brings v(1, 2): the projection holds all the time.
    let mut n = node(
        M,
        "table t(x: u64); t(x) <= m(x); t(x) <- d(x);
         view v(x: u64, y: u64); v(x, 1) <= t(x); v(1, 2) <= t(0), !t(1);
         event any(x) <= new v(x, _); event each(x, y) <= new v(x, y);",
    );
    n.tick("m(0), m(1)");
    n.tick("d(1)").is("v", "(0, 1) (1, 1)");
    n.tick("").is("v", "(0, 1) (1, 2)").is("any", "").is("each", "(1, 2)");
}

#[test]
fn point_8_strict_reads_see_what_is_final() {
    let mut n = node(
        M,
        "table edge(x: u64, y: u64); edge(x, y) <= p(x, y);
         view reach(x: u64, y: u64); reach(x, y) <= edge(x, y); reach(x, z) <= reach(x, y), edge(y, z);
         view far(x, y) <= reach(x, y), !edge(x, y); event n(x, count(y)) <= m(x), reach(x, y);
         event at_least(x) <= m(x), t(k), if k >= 2; lattice(x) <= m(x);
         table t(k: Max<u64>); t(x) <= m(x); event lattice(x: u64);",
    );
    n.tick("p(1, 2), p(2, 3), p(3, 1), m(1)")
        .is("far", "(1, 1) (1, 3) (2, 1) (2, 2) (3, 2) (3, 3)")
        .is("n", "(1, 3)")
        .is("at_least", "");
    n.tick("m(1), m(4)").is("t", "(4)").is("at_least", "(1) (4)");
}

#[test]
fn point_9_a_standing_rule_returns_what_is_deleted() {
    let mut n = node(
        M,
        "table a(x: u64); table t(x: u64); a(x) <= m(x); t(x) <= a(x); t(x) <- d(x); a(x) <- p(x, _);
        event fresh(x) <= new t(x);",
    );
    n.tick("m(1)").is("t", "(1)").is("fresh", "(1)");
    n.tick("d(1)").is("t", "(1)").deferred(true);
    assert_eq!(n.resting("t"), "");
    n.tick("").is("t", "(1)").is("fresh", "(1)");
    n.tick("p(1, 0), d(1)");
    n.tick("").is("t", "").is("a", "");
}

#[test]
fn point_10_keys() {
    let inside = "table t(k: u64 => v: u64); t(k, v) <= p(k, v); t(x, 9) <+ m(x); t(x, 8) <+ d(x); event e(k: u64 => v: u64); e(k, v) <= p(k, v);";
    let mut n = node(M, inside);
    n.tick("p(1, 1)").is("t", "(1, 1)");
    assert!(n.breaks("p(1, 2)").contains("two values for a key of `t`"));
    assert!(node(M, inside).breaks("p(1, 1), p(1, 2)").contains("two values for a key"));
    n.tick("m(1)").is("t", "(1, 1)").deferred(true);
    n.tick("").is("t", "(1, 9)").deferred(false);
    assert!(n.breaks("m(1), d(1)").contains("two `<+` rows for a key of `t`"));
    // What broke left no trace.
    n.tick("").is("t", "(1, 9)");
    // A deletion that matches the old row leaves the new one.
    let mut n = node(
        M,
        "table t(k: u64 => v: u64); t(k, v) <+ p(k, v); t(k, _) <- p(k, _); event fresh(k, v) <= new t(k, v);",
    );
    n.settle("p(1, 1)");
    n.tick("p(1, 2)").is("t", "(1, 1)").deferred(true);
    n.tick("").is("t", "(1, 2)").is("fresh", "(1, 2)");
}

#[test]
fn lattices_merge() {
    let mut n = node(
        M,
        "table best(k: u64, v: Max<u64>); best(k, v) <= p(k, v); best(k, 2) <+ m(k); var low(x: Min<u64>) = 7; low(x) <= d(x);
         event fresh(k, v) <= new best(k, v); event key(k) <= new best(k, _); best(k, _) <- p(k, 9);",
    );
    n.tick("p(1, 1), p(1, 3), d(8)").is("best", "(1, 3)").is("low", "(7)").is("fresh", "(1, 3)");
    n.tick("p(1, 2), d(4)").is("best", "(1, 3)").is("low", "(4)").is("fresh", "");
    n.tick("m(1)").deferred(false);
    n.tick("m(2)").deferred(true);
    n.tick("p(1, 5)").is("best", "(1, 5) (2, 2)").is("fresh", "(1, 5) (2, 2)").is("key", "(2)");
    // The merged row replaces the other one without its key ever being gone.
    n.tick("p(1, 9)").is("best", "(1, 9) (2, 2)").is("key", "");
    n.tick("").is("best", "(2, 2)");
}

#[test]
fn look_ups_patterns_loops_and_addresses() {
    let mut n = node(
        "message m(x: u64) to node; message o(x: Option<u64>) to node; message out(x: u64) to peer; param step: u64 = 2;
         request get(k: u64) -> (v: u64) else u64 at node;",
        "table t(k: u64 => v: u64); t(x, x + step) <= m(x);
         event got(k, v) <= m(k), let v = t[k + 1].unwrap_or(100);
         event some(x) <= o(Some(x)); event none(1) <= o(None);
         event each(x, i) <= m(x), for i in 0..x; event is(p) <= m(_), node(p), if p != me;
         out(x) @ peer.of(x) <~ m(x); out(x) @ p <~ some(x), peer(p);
         reply get(req, v) <~ get(req, k), t(k, v); refuse get(req, k) <~ get(req, k), !t(k, _);
         redirect get(req, node.after(me)) <~ get(req, 5);",
    );
    n.tick("m(1), m(2), o(Some(4)), o(None)")
        .is("t", "(1, 3) (2, 4)")
        .is("got", "(1, 4) (2, 100)")
        .is("some", "(4)")
        .is("none", "(1)")
        .is("each", "(1, 0) (2, 0) (2, 1)")
        .is("is", "(@0.1)");
    n.tick("o(Some(4))").sends("out(4) @ 0 out(4) @ 1 out(4) @ 2");
    n.tick("get(req(1), 1), get(req(2), 5)").answers("1: (3) 2: refused, 5 2: to 1");
}

#[test]
fn on_blocks_draw_once() {
    let mut n = node(
        M,
        "event a(i: Id, x: u64); event b(i: Id, x: u64);
         on m(x), let i = unique() { a(i, x) <=; b(i, x) <=; }
         event same(x) <= a(i, x), b(i, x); event ids(count(i)) <= a(i, _);",
    );
    n.tick("m(1), m(2)").is("same", "(1) (2)").is("ids", "(2)");
}
