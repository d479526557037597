//! Machines: slots in order, once each.

use super::node;

const M: &str = "message m(slot: u64, c: u64) to node; message s(tag: u64) to node;";
const KV: &str = "machine kv(slot: u64, c: u64) -> (out: u64) = Tally; kv(slot, c) <= m(slot, c); kv.save(tag) <= s(tag);
    event done(slot, out) <= kv.done(slot, out); event next(n) <= s(_), kv.next(n); event was(n) <= s(_), old kv.next(n);
    event fresh(n) <= new kv.next(n);
    event image(n: u64, b: Bytes); image(n + 2, b) <+ kv.saved(1, n, b); kv.load(n, b) <= image(n, b);";

#[test]
fn commands_run_in_order_once_each() {
    let mut n = node(M, KV);
    n.tick("m(1, 5)").is("done", "").is("fresh", "");
    // 3·0 + 0 + 4, then 3·4 + 1 + 5.
    n.tick("m(0, 4), s(0)")
        .is("done", "(0, 4) (1, 18)")
        .is("next", "(2)")
        .is("was", "(0)")
        .is("fresh", "(2)");
    n.tick("m(0, 7), s(0)").is("done", "").is("next", "(2)").is("was", "(2)").is("fresh", "");
    assert!(n.breaks("m(5, 1), m(5, 2)").contains("two commands for slot 5"));
}

#[test]
fn images_jump_forward() {
    let mut n = node(M, KV);
    n.tick("m(0, 4)");
    n.tick("s(1), m(2, 1)").deferred(true);
    // Loaded at 3: the command for slot 2 is too late now; slot 3 goes on from the image.
    n.tick("m(3, 0)").is("done", "(3, 15)").is("fresh", "(4)");
}

#[test]
fn durable_machines_restart_where_they_were() {
    let durable = KV.replace("machine kv", "durable machine kv");
    for (inside, next) in [(durable.as_str(), "(1)"), (KV, "(0)")] {
        let mut n = node(M, inside);
        n.tick("m(0, 4), m(2, 9)");
        n.crash();
        n.tick("s(0)").is("next", next).is("fresh", "");
    }
}
