//! Co-hashing, accepted and refused.

use super::*;
use anabranch_dsl::parse_str;

const TWO_PC: &str = include_str!("../../../protocols/src/two_pc/mod.rs");
const MULTI_PAXOS: &str = include_str!("../../../protocols/src/multi_paxos/mod.rs");

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

/// What `check` expects of a rewrite.
enum Expect<'a> {
    /// It holds; these are the inputs' routings.
    Holds(&'a [&'a str]),
    /// It is refused for this item, at this text on the line of the primary place.
    Refused(&'a str, &'a str),
}
use Expect::{Holds, Refused};

fn check(text: &str, role_name: &str, key: &str, expect: Expect<'_>) {
    let p = parse(text);
    judge(&p, text, role_name, key, expect);
}

fn judge(p: &Protocol, text: &str, role_name: &str, key: &str, expect: Expect<'_>) {
    let got = cohash_by(p, role(p, role_name), key);
    match (got, expect) {
        (Ok(done), Holds(inputs)) => {
            let r = role(p, role_name);
            let written = Routings::written(&done.protocol, r).inputs(&done.protocol);
            let written: Vec<String> = written.into_iter().map(|(n, t)| format!("{n} {t}")).collect();
            assert_eq!(written, inputs, "{text}");
            assert!(done.protocol.role(r).partitioned);
        }
        (Err(refusal), Refused(item, at)) => {
            assert_eq!(refusal.item.to_string(), format!("cohash.{item}"), "{}", refusal.diagnostic);
            let found = refusal.diagnostic.primary.0.source_text().unwrap_or_default();
            assert!(found.contains(at), "at `{found}`: {}", refusal.diagnostic);
            assert!(refusal.diagnostic.help.is_some());
        }
        (Ok(_), Refused(item, _)) => panic!("accepted in spite of {item}: {text}"),
        (Err(refusal), Holds(_)) => panic!("{}\n{text}", refusal.diagnostic),
    }
}

#[test]
fn two_phase_commit() {
    let p = shipped(TWO_PC);
    let expect = Holds(&["prepare by txn", "decide by txn"]);
    judge(&p, TWO_PC, "participant", "txn", expect);
    let expect = ["commit by req", "vote by txn", "ack by txn", "inquire by txn"];
    judge(&p, TWO_PC, "coordinator", "txn", Holds(&expect));
    judge(&p, TWO_PC, "coordinator", "commit.req", Holds(&expect));
    let done = cohash_by(&p, role(&p, "coordinator"), "txn").unwrap();
    assert!(done.protocol.role(role(&p, "coordinator")).shares_fate, "`active` is volatile");
    let done = cohash_by(&p, role(&p, "participant"), "txn").unwrap();
    assert!(!done.protocol.role(role(&p, "participant")).shares_fate, "`prepared` is durable");
}

/// A program of a role `node`, its partner `peer` and the given declarations and rules.
fn node(globals: &str, rules: &str) -> String {
    format!(
        "protocol p; use crate::{{f, M}}; role node; role peer; message out(v: u64) to peer; {globals} at node {{ {rules} }}"
    )
}

const KV: &str =
    "request put(k: u64, v: u64) -> () at node; request get(k: u64) -> (v: Option<u64>) at node;";

#[test]
fn printed_and_read_again() {
    for (text, name, key) in [(TWO_PC, "participant", "txn"), (TWO_PC, "coordinator", "txn")] {
        let p = shipped(text);
        let done = cohash_by(&p, role(&p, name), key).unwrap().protocol;
        let printed = anabranch_dsl::print::print(&anabranch_dsl::print::settle(&done).expect("a protocol"));
        assert!(printed.contains(&format!("role {name}, partitioned")), "{printed}");
        assert!(printed.contains("routed by txn"), "{printed}");
        let again = parse(&printed);
        let refusal = cohash_by(&again, role(&again, name), key).unwrap_err();
        assert_eq!(refusal.item.to_string(), "cohash.once");
    }
}

#[test]
fn votes() {
    let rules = "table votes(b: u64, by: peer); votes(b, v) <= vote(b, v); view n(b => count(v)) <= votes(b, v); \
        view done(b) <= n(b, c), if c >= peer.majority(); out(b) @ v <~ new done(b), peer(v);";
    check(&node("message vote(b: u64, by: peer) to node;", rules), "node", "b", Holds(&["vote by b"]));
    let text = node("message vote(b: u64, by: peer) to node;", rules);
    check(&text, "node", "by", Refused("group", "n(b => count(v))"));
}

#[test]
fn a_store_by_key() {
    let text = node(
        KV,
        "table kv(k: u64 => v: u64); kv(k, v) <+ put(_, k, v); reply put(r) <~ put(r, _, _); reply get(r, kv[k]) <~ get(r, k);",
    );
    check(&text, "node", "k", Holds(&["put by k", "get by k"]));
    // Item 4: two rows for a key.
    check(&text, "node", "v", Refused("needs", "get(r, k)"));
    let p = parse(&text);
    let by_value = Routings::default().by(&p, role(&p, "node"), "kv", "v").unwrap();
    let refusal = cohash(&p, role(&p, "node"), &by_value).unwrap_err();
    assert_eq!(refusal.item.to_string(), "cohash.value");
}

#[test]
fn what_meets_agrees() {
    let globals = format!("{KV} request shift(a: u64, b: u64) -> () at node;");
    let kv = "table kv(k: u64 => v: u64); kv(k, v) <+ put(_, k, v);";
    let good = format!("{kv} reply get(r, Some(v)) <~ get(r, k), kv(k, v);");
    check(&node(&globals, &good), "node", "k", Holds(&["put by k", "get by k", "shift by req"]));
    let bad = format!("{kv} kv(b, v) <+ shift(_, a, b), kv(a, v), !kv(b, _);");
    check(&node(&globals, &bad), "node", "k", Refused("agree", "kv"));
    check(
        &node(&globals, &format!("{kv} kv(b, v) <+ shift(_, a, b), kv(a, v);")),
        "node",
        "k",
        Refused("head", "kv(b, v)"),
    );
    check(
        &node(&globals, &format!("{kv} out(v) @ p <~ shift(_, a, b), kv(a, v), !kv(b, _), peer(p);")),
        "node",
        "k",
        Refused("agree", "kv"),
    );
    check(
        &node(&globals, &format!("{kv} out(kv[b].unwrap_or(0)) @ p <~ shift(_, a, b), kv(a, _), peer(p);")),
        "node",
        "k",
        Refused("agree", "kv"),
    );
    // Equal by a condition: at the boundary.
    let meets = format!("{kv} out(v) @ p <~ shift(_, a, b), kv(a, v), !kv(b, 7), if a == b, peer(p);");
    check(&node(&globals, &meets), "node", "k", Holds(&["put by k", "get by k", "shift by a"]));
}

#[test]
fn heads_lie_where_readers_look() {
    let g = "message m(id: u64, v: u64) to node; message q(v: u64) to node;";
    check(
        &node(g, "table seen(v: u64); seen(v) <= m(_, v); out(v) @ p <~ new seen(v), peer(p);"),
        "node",
        "v",
        Holds(&["m by v", "q by v"]),
    );
    let by_id = |rules: &str, item: &str| {
        let text = node(g, rules);
        let p = parse(&text);
        let given = Routings::default().by(&p, role(&p, "node"), "m", "id").unwrap();
        let refusal = cohash(&p, role(&p, "node"), &given).unwrap_err();
        assert_eq!(refusal.item.to_string(), format!("cohash.{item}"), "{}", refusal.diagnostic);
    };
    // Two ids with one value would send it twice.
    by_id("table seen(v: u64); seen(v) <= m(_, v); out(v) @ p <~ new seen(v), peer(p);", "needs");
    by_id("table seen(v: u64); seen(v) <= m(_, v); out(v) @ p <~ q(v), seen(v), peer(p);", "needs");
    // Unread tables, and events that stand alone, need no place.
    let text =
        node(g, "table log(v: u64); log(v) <= m(_, v); event e(v) <= m(_, v); out(v) @ p <~ e(v), peer(p);");
    check(&text, "node", "id", Holds(&["m by id", "q by v"]));
    // Deletions without the key.
    let table = "table t(k: u64, v: u64); t(k, v) <= m(k, v); out(v) @ p <~ m(k, _), t(k, v), peer(p);";
    check(&node(g, &format!("{table} t(k, _) <- m(k, 0);")), "node", "k", Holds(&["m by id", "q by v"]));
    check(&node(g, &format!("{table} t(_, v) <- q(v);")), "node", "k", Refused("head", "t(_, v)"));
    check(&node(g, &format!("{table} t(k, v) <- q(v), t(k, v);")), "node", "k", Refused("needs", "q(v)"));
}

#[test]
fn forgetting_is_no_obligation() {
    let g = "message m(id: u64, v: u64) to node; message q(v: u64) to node;";
    let table = "table t(k: u64, v: u64); t(k, v) <= m(k, v); out(v) @ p <~ m(k, _), t(k, v), peer(p);";
    check(
        &node(g, &format!("{table} forget t(k, v) <- q(x), t(k, v), if v < x;")),
        "node",
        "k",
        Holds(&["m by id", "q to all"]),
    );
    check(&node(g, &format!("{table} forget t(k, _) <- q(k);")), "node", "k", Holds(&["m by id", "q by v"]));
    // Its other atoms must meet.
    let two = format!(
        "{table} table u(k: u64, v: u64); u(k, v) <= m(k, v); out(v) @ p <~ m(k, _), u(k, v), peer(p); forget t(k, v) <- q(x), t(k, v), !u(x, v);"
    );
    check(&node(g, &two), "node", "k", Refused("agree", "u(x, v)"));
    // Sent to all, but read otherwise too.
    let text = node(
        g,
        "table t(k: u64, v: u64); t(k, v) <= m(k, v); forget t(k, v) <- q(x), t(k, v), if v < x; out(v) @ p <~ q(v), peer(p);",
    );
    let p = parse(&text);
    let mut given = Routings::default().by(&p, role(&p, "node"), "m", "id").unwrap();
    given.0.insert(crate::routing::find(&p, role(&p, "node"), "q").unwrap(), Routing::All);
    let refusal = cohash(&p, role(&p, "node"), &given).unwrap_err();
    assert_eq!(refusal.item.to_string(), "cohash.all");
    assert_eq!(refusal.diagnostic.primary.0.source_text().unwrap(), "q(v)");
}

#[test]
fn groups_determine_the_key() {
    let g = "message ask(k: u64, c: u64) to node;";
    let won = |head: &str| {
        format!("table want(k: u64, c: u64); want(k, c) <= ask(k, c); table won(k: u64, c: u64); {head}")
    };
    let good = won("event grant(k, choose(c)) <= ask(k, _), want(k, c); out(c) @ p <~ grant(_, c), peer(p);");
    check(&node(g, &good), "node", "k", Holds(&["ask by k"]));
    let bad = won("event grant(choose(c)) <= ask(k, _), want(k, c); out(c) @ p <~ grant(c), peer(p);");
    check(&node(g, &bad), "node", "k", Refused("group", "grant(choose(c))"));
    let bad = won(
        "event grant(k, choose(c)) <= ask(k, _), want(k, c); out(c) @ p <~ grant(_, c), peer(p); view n(count(c)) <= want(_, c); out(n) @ p <~ new n(n), peer(p);",
    );
    check(&node(g, &bad), "node", "k", Refused("group", "n(count(c))"));
}

#[test]
fn timers_carry_the_key() {
    let g = "message ask(k: u64, c: u64) to node;";
    let t = "table want(k: u64, c: u64); want(k, c) <= ask(k, c); want(k, c) <- ask(k, 0), want(k, c);";
    let good = format!(
        "{t} timer again(k: u64) every 100ms while want(k, _); out(c) @ p <~ again(k), want(k, c), peer(p);"
    );
    check(&node(g, &good), "node", "k", Holds(&["ask by k"]));
    let bad =
        format!("{t} timer again(c: u64) every 100ms while want(_, c); out(c) @ p <~ again(c), peer(p);");
    check(&node(g, &bad), "node", "k", Refused("timer", "again"));
    let bad = format!("{t} timer pulse every 100ms; out(1) @ p <~ pulse(), peer(p);");
    check(&node(g, &bad), "node", "k", Refused("timer", "pulse"));
}

#[test]
fn what_is_alike_everywhere() {
    let g = "message ask(k: u64, c: u64) to node;";
    let t = "table want(k: u64, c: u64); want(k, c) <= ask(k, c); table known(c: peer, x: u64); known(c, 1) <= peer(c); view pairs(c) <= known(c, x), if x > 0;";
    check(
        &node(g, &format!("{t} out(c) @ p <~ ask(k, _), want(k, c), pairs(p);")),
        "node",
        "k",
        Holds(&["ask by k"]),
    );
    let edge = format!("{t} out(c) @ p <~ ask(k, _), want(k, c), pairs(p); out(1) @ p <~ new pairs(p);");
    check(&node(g, &edge), "node", "k", Refused("same", "pairs(p)"));
    let mixed = format!("{t} want(5, 5) <= peer(_); out(c) @ p <~ ask(k, _), want(k, c), pairs(p);");
    check(&node(g, &mixed), "node", "k", Refused("same", "want(5, 5)"));
}

#[test]
fn what_no_key_helps() {
    let g = "message ask(k: u64, c: u64) to node;";
    let t =
        "table want(k: u64, c: u64); want(k, c) <= ask(k, c); out(c) @ p <~ ask(k, _), want(k, c), peer(p);";
    check(&node(g, t), "node", "k", Holds(&["ask by k"]));
    check(
        &node(g, &format!("{t} out(c) @ p <~ start(_), want(_, c), peer(p);")),
        "node",
        "k",
        Refused("start", "start(_)"),
    );
    check(
        &node(g, &format!("{t} out(now_ms()) @ p <~ ask(k, 9), want(k, _), peer(p);")),
        "node",
        "k",
        Refused("clock", "now_ms"),
    );
    let machine = "machine m(slot: u64, v: u64) -> (done: u64) = M; m(k, c) <= ask(k, c);";
    check(&node(g, &format!("{t} {machine}")), "node", "k", Refused("machine", "m"));
    let shared = "var top(x: Max<u64>); top(c) <= ask(_, c); out(x) @ p <~ ask(_, 1), top(x), peer(p);";
    check(&node(g, &format!("{t} {shared}")), "node", "k", Refused("needs", "top(x)"));
}

#[test]
fn what_never_ends_or_fires_once() {
    let g = "message ask(k: u64, c: u64) to node;";
    let t =
        "table want(k: u64, c: u64); want(k, c) <= ask(k, c); out(c) @ p <~ ask(k, _), want(k, c), peer(p);";
    check(
        &node(g, &format!("{t} want(k, c + 1) <+ new want(k, c);")),
        "node",
        "k",
        Refused("ends", "want(k, c + 1)"),
    );
    let fate = |schedule: &str| {
        let rules = t.replace("table", "durable table");
        let text = node(
            g,
            &format!(
                "{rules} timer late(k: u64) {schedule} 1s while want(k, _); out(k) @ p <~ late(k), peer(p);"
            ),
        );
        let p = parse(&text);
        cohash_by(&p, role(&p, "node"), "k").unwrap().protocol.role(role(&p, "node")).shares_fate
    };
    assert!(fate("after"));
    assert!(!fate("every"));
}

#[test]
fn ordered_inputs() {
    let program = |own: &str, sender: &str| {
        format!(
            "protocol p; role feeder{sender}; role node; message feed(k: u64) to feeder{}; message unit(k: u64) to node, ordered; \
             message out(v: u64) to feeder{}; request get(k: u64) -> () at node; \
             at feeder {{ table s(k: u64); s(k) <= feed(k); unit(k) @ n <~ new s(k), node(n); }} \
             at node {{ table seen(k: u64); seen(k) <= unit(k); out(k) @ p <~ new seen(k), feeder(p); {own} }}",
            if sender.is_empty() { "" } else { " routed by k" },
            if sender.is_empty() { "" } else { " routed by v" },
        )
    };
    let own = "reply get(r) <~ get(r, k), seen(k);";
    check(&program("", ""), "node", "k", Refused("ordered", "unit(k) @ n"));
    check(&program(own, ", partitioned"), "node", "k", Holds(&["unit by k", "get by k"]));
    check(&program(own, ""), "node", "k", Refused("ordered", "unit(k) @ n"));
    let alone = program("", "").replace("request get(k: u64) -> () at node;", "");
    check(&alone, "node", "k", Holds(&["unit by k"]));
    // One message in the original, and perhaps one from each partition.
    let same = alone.replace("out(k) @ p <~ new seen(k)", "out(7) @ p <~ new seen(k)");
    check(&same, "node", "k", Refused("ordered", "out(7) @ p"));
    // The stream of a partitioned sender: only to a receiver by the same key.
    check(&alone, "feeder", "k", Refused("ordered", "unit(k) @ n"));
    let both = alone
        .replace("role node;", "role node, partitioned;")
        .replace("unit(k: u64) to node,", "unit(k: u64) to node routed by k,");
    check(&both, "feeder", "k", Holds(&["feed by k", "out by v"]));
    let other = alone
        .replace("role node;", "role node, partitioned;")
        .replace("unit(k: u64) to node,", "unit(k: u64) to node routed by k / 2,");
    check(&other, "feeder", "k", Refused("ordered", "unit(k) @ n"));
}

/// Keys of a role in order, those refused with item and line of the place.
fn keys(p: &Protocol, name: &str) -> Vec<String> {
    let line = |c: Candidate| match c.verdict {
        Ok(_) => c.key,
        Err(e) => {
            let text = e.diagnostic.primary.0.source_text().unwrap_or_default();
            let others: usize = c.also.len();
            format!("{} and {others} more: {} at {text}", c.key, e.item)
        }
    };
    find_keys(p, role(p, name)).into_iter().map(line).collect()
}

#[test]
fn keys_found() {
    let p = shipped(TWO_PC);
    assert_eq!(keys(&p, "participant")[0], "txn");
    let coordinator = keys(&p, "coordinator");
    assert_eq!(coordinator[0], "txn");
    assert!(coordinator[1..].iter().all(|k| k.contains("cohash.")), "{coordinator:?}");
    let p = shipped(MULTI_PAXOS);
    assert_eq!(keys(&p, "proposer"), ["req and 14 more: cohash.needs at top(b)"]);
    assert_eq!(keys(&p, "acceptor"), ["ballot and 7 more: cohash.needs at promised(top)"]);
    assert_eq!(keys(&p, "replica"), ["upto and 8 more: cohash.machine at kv"]);
    // Pairs come before their halves.
    let p = parse(&node(
        "message m(a: u64, b: peer) to node;",
        "table t(a: u64, b: peer); t(a, b) <= m(a, b); out(a) @ p <~ m(a, b), !old t(a, b), peer(p);",
    ));
    assert_eq!(keys(&p, "node"), ["(a, b)", "a", "b"]);
}

#[test]
fn by_the_coarser_value() {
    let text = include_str!("../../../protocols/src/micro/dependencies.rs");
    let p = shipped(text);
    judge(&p, text, "replica", "hash", Holds(&["store by digest(&payload)"]));
    let done = cohash_by(&p, role(&p, "replica"), "hash").unwrap();
    assert_eq!(done.justification.title, "dependencies: partition replica, store by digest(&payload)");
    assert!(done.justification.assumptions.contains(&crate::Assumption::Pure { function: "digest".into() }));
    // By the finer one, two payloads of one hash would part.
    judge(&p, text, "replica", "hashed.payload", Refused("needs", "seen(hash, _)"));
    assert_eq!(keys(&p, "replica")[0], "hash");
    let text = include_str!("../../../protocols/src/micro/cohash.rs");
    judge(&shipped(text), text, "replica", "req", Holds(&["store by req"]));
    let text = include_str!("../../../protocols/src/voting/mod.rs");
    judge(&shipped(text), text, "leader", "ballot", Holds(&["propose by req", "vote by ballot"]));
    judge(&shipped(text), text, "participant", "ballot", Holds(&["ask by ballot"]));
}

#[test]
fn dependencies_of_relations() {
    let g = "message m(v: u64) to node; message q(v: u64) to node;";
    let t = "table s(h: u64, v: u64); s(f(&v), v) <= m(v); table u(h: u64, v: u64); u(f(&v), v) <= q(v);";
    // They join on `v` and are routed by `h`.
    let good = format!("{t} view both(h, v) <= s(h, v), u(_, v); out(v) @ p <~ new both(_, v), peer(p);");
    check(&node(g, &good), "node", "h", Holds(&["m by f(&v)", "q by f(&v)"]));
    let other = good.replace("u(f(&v), v) <= q(v)", "u(f(&v) + 1, v) <= q(v)");
    check(&node(g, &other), "node", "h", Holds(&["m by f(&v)", "q by f(&v)"]));
    let text = node(g, &other);
    let p = parse(&text);
    let node = role(&p, "node");
    let given = Routings::default().by(&p, node, "s", "h").and_then(|r| r.by(&p, node, "u", "h")).unwrap();
    let refusal = cohash(&p, node, &given).unwrap_err();
    assert_eq!(refusal.item.to_string(), "cohash.agree", "{}", refusal.diagnostic);
    // What a table says, as long as it stays.
    let g = "message own(k: u64, s: u64) to node; message m(s: u64, k: u64, v: u64) to node; message q(s: u64, k: u64) to node;";
    let t = "durable table owner(s: u64, k: u64 => r: u64); owner(s, k, s) <= own(k, s); table data(k: u64, s: u64, v: u64); \
        data(k, s, v) <= m(s, k, v), owner(s, k, _); out(v) @ p <~ q(s, k), data(k, s, v), peer(p);";
    check(&super::tests::node(g, t), "node", "s", Holds(&["own by s", "m by s", "q by s"]));
}
