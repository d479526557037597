//! Partial partitioning and sealing, accepted and refused.

use super::*;
use anabranch_dsl::parse_str;

const MULTI_PAXOS: &str = include_str!("../../../protocols/src/multi_paxos/mod.rs");
const MICRO: &str = include_str!("../../../protocols/src/micro/partial.rs");

fn parse(text: &str) -> Protocol {
    let outcome = parse_str(text);
    outcome.protocol.unwrap_or_else(|| panic!("{:#?}", outcome.diagnostics))
}

fn shipped(text: &str) -> Protocol {
    anabranch_dsl::parse_file(text).remove(0).outcome.protocol.expect("no errors")
}

fn role(p: &Protocol, name: &str) -> RoleId {
    RoleId(p.roles.iter().position(|r| r.name == name).expect("a role") as u32)
}

/// `Ok` with texts that the printed result has, or the item and what stands at its place.
fn check(text: &str, key: &str, expect: Result<&[&str], (&str, &str)>) {
    judge(&parse(text), "node", key, expect);
}

fn judge(p: &Protocol, name: &str, key: &str, expect: Result<&[&str], (&str, &str)>) {
    match (partial(p, role(p, name), key, "order"), expect) {
        (Ok(done), Ok(parts)) => {
            let text = anabranch_dsl::print::print(&done.protocol);
            let again = parse(&text);
            assert!(again == done.protocol, "printed and read again");
            for part in parts {
                assert!(text.contains(part), "`{part}` is missing in\n{text}");
            }
        }
        (Err(refusal), Err((item, at))) => {
            assert_eq!(refusal.item.to_string(), item, "{}", refusal.diagnostic);
            let found = refusal.diagnostic.primary.0.source_text().unwrap_or_default();
            assert!(found.contains(at), "at `{found}`: {}", refusal.diagnostic);
            assert!(refusal.diagnostic.help.is_some());
        }
        (Ok(done), Err((item, _))) => {
            panic!("accepted in spite of {item}:\n{}", anabranch_dsl::print::print(&done.protocol))
        }
        (Err(refusal), Ok(_)) => panic!("{}", refusal.diagnostic),
    }
}

/// A register file under a ballot: `raise` has no key, `set` and `get` have.
fn node(rules: &str) -> String {
    format!(
        "protocol p; role node; role peer; message raise(b: u64) to node; message set(k: u64, v: u64, b: u64) to node; message get(k: u64) to node; \
         message raised(b: u64) to peer; message told(k: u64, v: u64) to peer; message told_all(b: u64, n: u64) to peer; \
         at node {{ var top(b: Max<u64>); table kv(k: u64, v: u64); \
         kv(k, v) <= set(k, v, b), top(t), if b >= t; told(k, v) @ p <~ get(k), kv(k, v), peer(p); {rules} }}"
    )
}

const RAISE: &str = "top(b) <= raise(b); raised(t) @ p <~ raise(_), top(t), peer(p);";

#[test]
fn stamps() {
    let p = shipped(MICRO);
    let parts = [
        "role replica, partitioned, shares fate;",
        "role order of replica, shares fate;",
        "message announce(from: leader, req: Req, ballot: u64) to order;",
        "message store(from: leader, req: Req, payload: Bytes) to replica routed by req;",
        "on store_now(from, req, payload), top(b), let sealed",
        "announced(req, b) @ from <~ announce_now(from, req, _), top(b);",
    ];
    judge(&p, "replica", "req", Ok(&parts));
}

#[test]
fn acceptors_by_slot() {
    let p = shipped(MULTI_PAXOS);
    let parts = [
        "message phase2a(ballot: Ballot, slot: u64, value: Value) to acceptor routed by slot;",
        "message executed(by: replica, upto: u64) to order;",
        "message order_phase1a(step_number: u64, ballot: Ballot) to acceptor routed to all;",
        "durable var promised(ballot: Max<Ballot>);",
        "reports_total(n, x0, sum(x1)) <= reports_parts(n, _, x0, x1);",
        "phase1a_out(n, x0) <= decide(n), phase1a_now(x0);",
    ];
    judge(&p, "acceptor", "slot", Ok(&parts));
    // What the other roles send stays as it is.
    let done = partial(&p, role(&p, "acceptor"), "slot", "order").unwrap();
    assert_eq!(done.justification.title, "partial with sealing: partition acceptor, phase2a by slot");
}

#[test]
fn proposers_are_not() {
    let p = shipped(MULTI_PAXOS);
    judge(&p, "proposer", "slot", Err(("partial.independent", "")));
}

#[test]
fn sequencers_are_independent() {
    check(&node(RAISE), "k", Ok(&["routed by k"]));
    let state = "var low(b: Max<u64>); low(v) <= set(k, v, _), kv(k, v); told(k, l) @ p <~ set(k, _, _), low(l), peer(p);";
    check(&node(&format!("{RAISE} {state}")), "k", Err(("partial.independent", "low(v) <= set")));
    // A keyed event that writes what all keys share.
    check(
        &node(&format!("{RAISE} top(b) <= set(_, _, b);")),
        "k",
        Err(("partial.keyed-event", "top(b) <= set(_, _, b)")),
    );
    let all = "protocol p; role node; message set(k: u64, v: u64) to node; at node { table kv(k: u64, v: u64); kv(k, v) <= set(k, _), old kv(k, v); }";
    check(all, "k", Err(("partial.needless", "node")));
}

#[test]
fn steps_take_one_tick() {
    check(
        &node(&format!(
            "{RAISE} table last(b: u64); last(b) <+ raise(b); raised(b) @ p <~ raise(_), last(b), peer(p);"
        )),
        "k",
        Err(("partial.deferred", "last(b) <+ raise(b)")),
    );
    check(
        &node(&format!(
            "{RAISE} table last(b: u64); last(b) <= raise(b); last(b) <- raise(b); raised(b) @ p <~ raise(_), last(b), peer(p);"
        )),
        "k",
        Err(("partial.deferred", "last(b) <- raise(b)")),
    );
}

#[test]
fn copies_only_grow_and_have_no_views() {
    let derived = "top(b) <= raise(b); table seen(b: u64); seen(b) <= raise(b); view high(max(b)) <= seen(b); told(k, h) @ p <~ set(k, _, _), high(h), peer(p);";
    check(&node(derived), "k", Err(("partial.replicated", "high(h)")));
    let view = format!(
        "{RAISE} view fresh(k, v) <= kv(k, v), top(t), if v >= t; told(k, v) @ p <~ set(k, _, _), fresh(k, v), peer(p);"
    );
    check(&node(&view), "k", Err(("partial.view", "fresh(k, v)")));
    let event = format!("{RAISE} told(k, v) @ p <~ set(k, _, _), kv(k, v), top(t), if v >= t, peer(p);");
    check(&node(&event), "k", Ok(&["set_now"]));
}

#[test]
fn outputs_tell_the_key_or_are_sealed() {
    let each = format!("{RAISE} told(k, v) @ p <~ raise(_), kv(k, v), peer(p);");
    check(&node(&each), "k", Ok(&["order_raise(ballot", "on"][1..]));
    // N acknowledgements for one.
    let ack = format!("{RAISE} raised(b) @ p <~ raise(b), kv(_, _), peer(p);");
    check(&node(&ack), "k", Err(("partial.outputs", "raised(b) @ p")));
    let sum = |head: &str| {
        format!(
            "{RAISE} event all(b => {head}) <= raise(b), kv(k, v); told_all(b, all[b].unwrap_or(0)) @ p <~ raise(b), peer(p);"
        )
    };
    check(&node(&sum("count(k)")), "k", Ok(&["all_total(n, x0, sum(x1))"]));
    check(&node(&sum("max(v)")), "k", Ok(&["all_total(n, x0, max(x1))"]));
    check(&node(&sum("count(v)")), "k", Err(("sealing.aggregate", "count(v)")));
    check(&node(&sum("first_gap(v)")), "k", Err(("sealing.aggregate", "first_gap(v)")));
    let within = format!("{} table totals(b: u64, n: u64); totals(b, n) <= all(b, n);", sum("count(k)"));
    check(&node(&within), "k", Err(("sealing.head", "totals(b, n)")));
    let keyed = format!("{} told(k, n) @ p <~ set(k, _, b), all(b, n), peer(p);", sum("count(k)"));
    check(&node(&keyed), "k", Err(("sealing.keyless", "told(k, n)")));
}

#[test]
fn steps_write_nothing_durable() {
    let wipe = |qualifier: &str, forget: &str| {
        node(&format!("{RAISE} {forget} kv(k, v) <- raise(b), kv(k, v), if v < b;"))
            .replace("table kv", &format!("{qualifier} table kv"))
    };
    check(&wipe("", ""), "k", Ok(&["kv(k, v) <-"]));
    check(&wipe("durable", "forget"), "k", Ok(&["forget kv"]));
    check(&wipe("durable", ""), "k", Err(("partial.durable", "kv(k, v) <- raise(b)")));
}

#[test]
fn timers_and_the_rest() {
    let every = format!(
        "{RAISE} timer again(k: u64) every 1s while kv(k, _); told(k, t) @ p <~ again(k), top(t), peer(p);"
    );
    check(&node(&every), "k", Ok(&["old frozen_at(frozen_number)"]));
    check(&node(&every.replace("every", "after")), "k", Err(("partial.timer", "again")));
    let shared = format!(
        "{RAISE} timer bump(t: u64) every 1s while top(t); told(k, v) @ p <~ bump(_), kv(k, v), peer(p);"
    );
    check(&node(&shared), "k", Err(("partial.timer", "bump")));
    let negated = format!("{RAISE} told(k, v) @ p <~ set(k, v, b), !raise(b), top(_), peer(p);");
    check(&node(&negated), "k", Ok(&["!raise_seen(b)"]));
    let start = format!("{RAISE} told(k, v) @ p <~ start(_), kv(k, v), peer(p);");
    check(&node(&start), "k", Err(("partial.start", "start(_)")));
}
