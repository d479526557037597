//! Point 11: aggregates.

use super::node;

const M: &str = "message p(x: u64, y: u64) to node; message d(x: u64) to node;";

#[test]
fn count_sum_collect_go_by_combinations_and_count_of_by_values() {
    let mut n = node(
        M,
        "table t(x: u64, y: u64); t(x, y) <= p(x, y); t(x, _) <- d(x);
         view all(x => count()) <= t(x, _); view of(count(y)) <= t(_, y); view total(sum(y)) <= t(_, y);
         view list(collect(y)) <= t(_, y); view pairs(count()) <= t(x, _), t(x, _); view loops(x => count()) <= t(x, _), for _ in 0..3;",
    );
    n.tick("p(1, 5), p(1, 6), p(2, 5)")
        .is("all", "(1, 2) (2, 1)")
        .is("of", "(2)")
        .is("total", "(16)")
        .is("list", "([5, 5, 6])")
        .is("pairs", "(5)")
        .is("loops", "(1, 6) (2, 3)");
    n.tick("d(1)");
    n.tick("").is("all", "(2, 1)").is("of", "(1)").is("total", "(5)").is("pairs", "(1)");
    // Over nothing there is no row, grouped or not.
    n.tick("d(2)");
    n.tick("").is("all", "").is("of", "").is("total", "").is("list", "");
}

#[test]
fn ties_go_by_the_second_value() {
    let mut n = node(
        "message q(b: u64, v: u64) to node;",
        "table t(b: u64, v: u64); t(b, v) <= q(b, v);
         view most(max(b => v)) <= t(b, v); view least(min(b => v)) <= t(b, v); view high(max(b)) <= t(b, _); view low(min(v)) <= t(_, v);",
    );
    n.tick("q(3, 1), q(3, 2), q(1, 8), q(1, 9)")
        .is("most", "(2)")
        .is("least", "(8)")
        .is("high", "(3)")
        .is("low", "(1)");
}

#[test]
fn index_numbers_the_ticks_bindings() {
    let mut n = node(M, "event i(x, y, index()) <= p(x, y); event by(x, y, index(y)) <= p(x, y); event n(count(k)) <= i(_, _, k);
        event top(max(k)) <= i(_, _, k); event one(choose(y)) <= p(_, y); event member() <= one(y), p(_, y);");
    n.tick("p(1, 5), p(2, 5), p(3, 9)")
        .is("by", "(1, 5, 0) (2, 5, 0) (3, 9, 1)")
        .is("n", "(3)")
        .is("top", "(2)")
        .is("member", "()");
}

#[test]
fn first_gap() {
    let mut n = node(M, "table t(x: u64); t(x) <= p(x, _); t(x) <- d(x); view gap(first_gap(x)) <= t(x);");
    n.tick("p(0, 0), p(1, 0), p(3, 0)").is("gap", "(2)");
    n.tick("p(2, 0)").is("gap", "(4)");
    n.tick("d(0)");
    n.tick("").is("gap", "(0)");
}

#[test]
fn groups_are_by_variables_not_by_values() {
    // Two groups give the same row twice; relations are sets.
    let mut n = node(M, "event e(x / 2, count(y)) <= p(x, y);");
    n.tick("p(2, 0), p(3, 0)").is("e", "(1, 1)");
    n.tick("p(2, 0), p(3, 0), p(3, 1)").is("e", "(1, 1) (1, 2)");
}
