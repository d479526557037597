//! Printing and reading again gives the same, also for programs that were changed after reading.

use anabranch_dsl::diag::Severity;
use anabranch_dsl::ir::{Head, Protocol, RelationKind, RuleId};
use anabranch_dsl::print::{normalize, print, settle};
use anabranch_dsl::{fmt, parse_str};

const TWO_PC: &str = include_str!("../testdata/two_pc.anabranch");
const MULTI_PAXOS: &str = include_str!("../testdata/multi_paxos.anabranch");

fn parse(text: &str) -> Protocol {
    let outcome = parse_str(text);
    let errors: Vec<_> = outcome.diagnostics.iter().filter(|d| d.severity == Severity::Error).collect();
    assert!(errors.is_empty(), "{errors:#?}\n--- in ---\n{text}");
    outcome.protocol.expect("no errors")
}

/// Printed text reads as the same protocol, is formatted, and printing that changes nothing.
fn round_trip(ir: &Protocol) -> String {
    let text = print(ir);
    let again = parse(&text);
    assert_same(&again, ir, &text);
    assert_eq!(print(&again), text);
    assert_eq!(fmt::format_body(&text).unwrap(), text, "printed text is formatted text");
    text
}

fn assert_same(got: &Protocol, expect: &Protocol, text: &str) {
    for (g, e) in got.relations.iter().zip(&expect.relations) {
        assert_eq!(g, e, "\n--- in ---\n{text}");
    }
    for (g, e) in got.rules.iter().zip(&expect.rules) {
        assert_eq!(g, e, "\n--- in ---\n{text}");
    }
    assert!(got == expect, "{got:#?}\n{expect:#?}\n--- in ---\n{text}");
}

#[test]
fn the_two_programs_survive() {
    for source in [TWO_PC, MULTI_PAXOS] {
        let ir = parse(source);
        assert!(normalize(&ir) == ir, "what was parsed is normal already");
        round_trip(&ir);
    }
}

const ALL: &str = "
        /// Documented.
        ///
        /// At length.
        protocol all;
        use crate::stuff::{Kind, Thing as Other};
        use std::collections::*;
        /// A role.
        role a;
        role b;
        /// A part.
        role part of a, partitioned, shares fate, held;
        role order of a, sequencer;
        role beside of a, partitioned;
        message unit(x: u64, p: a) to part routed by x % 7, ordered;
        message wide(x: u64) to part routed to all, ordered, logged;
        message by_number(n: u64) to part routed to n, sealed;
        message several(x: u64, y: u64) to beside routed by (x, y), logged;
        request ask(x: u64) -> () at part by x routed by req, resend;
        param limit: u64 = 10 + 2;
        param wait: Duration = 1500ms;
        param must: Option<u64>;
        type Pair = (u64, Option<b>);
        require a.len() > 3 * limit && b.len() >= 1;
        /// A message.
        message m(x: u64, p: Pair) to b;
        message n(x: u64, from: b) to a;
        request put(key: u64, value: Bytes) -> (ok: bool, n: u64) else String at a by key, resend;
        request get(key: u64) -> () at a;
        at a {
            durable table kv(k: u64 => v: Bytes, n: u64);
            table one(=> x: u64);
            table best(who: b, upto: Max<u64>, low: Min<u64>);
            table set(x: u64, y: u64);
            durable var top(x: Max<u64>);
            var count_(n: u64, s: String) = (0, String::new());
            ghost table seen(x: u64);
            timer tick every 100ms;
            timer late(x: u64) after wait jitter 20ms while set(x, _), !one(x);
            timer again(x: u64) every wait..1h jitter wait while set(x, y), if y > x;
            durable machine log(slot: u64, c: u64) -> (done: Pair) = crate::stuff::Log<u64>;

            /// Documented rules.
            set(x, y) <= n(x, _), let y = x + 1;
            event e(x, f.index()) <= n(x, f), if x!=limit&&!(x==3||-1<-2||x==-1i64 as u64);
            event keyed(x => count()) <= e(x, _), set(x, ..);
            view v(x => max(y => y * 2), min(y)) <= set(x, y);
            view w(=> sum(y)) <= set(_, y);
            view plain(x: u64);
            plain(x) <= set(x, 1);
            plain(x) <= set(1, x);
            on put(req, k, v), let n = kv[k].map_or(0, |(_, n)| n + 1), if limit > 0 {
                kv(k, v, n) <+;
                reply put(req, true, n) <~ if n < 5;
                refuse put(req, String::from(\"no\")) <~ if n >= 5;
                redirect put(req, a.at(0)) <~ set(n, _), if w[].is_some();
                m(n, (random() % 7, None)) @ p <~ b(p), for i in 0..n, if i == 2;
            }
            on tick() {}
            one(x) <- new (one(x), set(x, _), if x > 1);
            forget set(x, ..) <- e(x, _), new plain(_), !old set(x, _);
            set(now_ms(), unique().serial) <+ start(_);
            top(x) <= e(x, _);
            best(f, x, x) <= n(x, f);
            log(slot, c) <= e(slot, c);
            log.save(x) <= e(x, _);
            log.load(n, bytes) <= e(n, _), let bytes = Bytes::new();
            seen(n) <= log.saved(_, n, bytes), if !bytes.is_empty();
            seen(s) <= log.done(s, (_, Some(_))), log.next(n), if s < n;
            seen(first) <= new all(xs), let [first, ..] = &xs[..], let first = *first;
            view all(collect(x)) <= set(x, _);
            event c(choose(x), index(), index(y)) <= e(x, 0..=9), set(x, y);
            view gap(first_gap(x)) <= set(x, _);
        }
        at b {
            n(x, me) @ a.of(x) <~ m(x, (_, Some(to))), if to == me;
        }
        at part {
            durable table row(x: u64, y: u64) routed by (x, y);
            var copies(x: u64) routed to all = 0;
            row(x, partition) <= unit(x, _), if x < part.partitions() && x != order.len();
            row(x, n) <= wide(x), next_(n);
            copies(x + 1) <+ by_number(partition), copies(x);
            on unit(x, p) { n(x, b.at(x)) @ p <~ part(p); }
            reply ask(req) <~ ask(req, _);
        }
        at order {
            durable replicated var next_(n: Max<u64>);
            replicated table seen_too(x: u64);
            next_(n) <= start(n);
            unit(n, me) @ me <~ start(n);
            wide(n) @ me <~ start(n), seen_too(_);
            seen_too(n) <= start(n);
            by_number(n) @ me <~ start(n);
            several(n, n) @ p <~ start(n), a(p);
        }
        at beside {
            on several(..) {}
        }
        /// Documented.
        never split(x) <= set(x, _) at p, set(x, 1) at q, if p != q;
        sometimes joined(x) <= set(x, _) at _;
        eventually done(x) within 90s <= row(x, _) at p, set(x, _) at p;
    ";

#[test]
fn every_construct_survives() {
    round_trip(&parse(ALL));
}

/// Rules in a new order; `declared_by` follows.
fn reorder(ir: &mut Protocol, order: &[usize]) {
    ir.rules = order.iter().map(|i| ir.rules[*i].clone()).collect();
    for relation in &mut ir.relations {
        let by = relation.declared_by.and_then(|id| order.iter().position(|i| *i == id.index()));
        relation.declared_by = by.map(|i| RuleId(i as u32));
    }
}

/// A fixed sequence of numbers that look random.
fn shuffled(n: usize, seed: u64) -> Vec<usize> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut order: Vec<usize> = (0..n).collect();
    for i in (1..n).rev() {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        order.swap(i, (state >> 33) as usize % (i + 1));
    }
    order
}

#[test]
fn reordered_rules_survive() {
    for source in [TWO_PC, MULTI_PAXOS, ALL] {
        for seed in 0..20 {
            let mut ir = parse(source);
            let n = ir.rules.len();
            reorder(&mut ir, &shuffled(n, seed));
            let settled = settle(&ir).expect("the order of rules means nothing");
            round_trip(&settled);
            assert_eq!(settled.rules.len(), n);
        }
    }
}

#[test]
fn removed_and_repeated_rules_survive() {
    let mut survived = 0;
    let mut wrong = 0;
    for source in [TWO_PC, MULTI_PAXOS, ALL] {
        let whole = parse(source);
        for i in 0..whole.rules.len() {
            let mut ir = whole.clone();
            let order: Vec<usize> = (0..ir.rules.len()).filter(|j| *j != i).collect();
            reorder(&mut ir, &order);
            // What nobody derives any more may not be read either: that is a mistake of the mutation.
            match settle(&ir) {
                Ok(settled) => {
                    round_trip(&settled);
                    survived += 1;
                }
                Err(_) => wrong += 1,
            }
            let mut ir = whole.clone();
            ir.rules.push(whole.rules[i].clone());
            if let Ok(settled) = settle(&ir) {
                round_trip(&settled);
                survived += 1;
            }
        }
    }
    assert!(survived > 4 * wrong, "{survived} survived, {wrong} were wrong");
}

#[test]
fn renamed_relations_survive() {
    for source in [TWO_PC, MULTI_PAXOS, ALL] {
        let mut ir = parse(source);
        for (i, relation) in ir.relations.iter_mut().enumerate() {
            if matches!(
                relation.kind,
                RelationKind::Table | RelationKind::Event | RelationKind::View | RelationKind::Message
            ) {
                relation.name = format!("{}_{i}", relation.name);
            }
        }
        round_trip(&settle(&ir).expect("names mean nothing"));
    }
}

#[test]
fn parted_blocks_get_a_block_for_each_part() {
    let source = "protocol p; role a; message m(x: u64) to a; at a {
        table t(x: u64); table u(x: u64); table v(x: u64);
        on m(x) { t(x) <=; u(x) <=; v(x) <= if x > 1; }
        t(x) <- u(x), m(x);
    }";
    let mut ir = parse(source);
    reorder(&mut ir, &[0, 3, 1, 2]);
    let text = round_trip(&settle(&ir).unwrap());
    assert_eq!(
        text,
        "\
protocol p;

role a;

message m(x: u64) to a;

at a {
    table t(x: u64);
    on m(x) {
        t(x) <=;
    }

    table u(x: u64);
    t(x) <- u(x), m(x);

    table v(x: u64);
    on m(x) {
        u(x) <=;
        v(x) <= if x > 1;
    }
}
"
    );
}

#[test]
fn types_that_no_rule_tells_are_written() {
    let source = "protocol p; role a; message m(x: u64) to a; at a {
        event e(x) <= m(x);
        table t(x: u64);
        e(x) <= m(x), t(_);
        t(x) <= e(x);
    }";
    let mut ir = parse(source);
    // The rule that told the type of `e` is gone, and what is left computes it in Rust.
    let declaring = ir.relations.iter().find_map(|r| r.declared_by).unwrap();
    let Head::Now { args, .. } = &mut ir.rules[declaring.index()].head else { panic!("`e` is derived now") };
    args[0].tokens.0 = "helper(x)".parse().unwrap();
    args[0].var = None;
    reorder(&mut ir, &[0, 2]);
    ir.rules.pop();
    let text = round_trip(&settle(&ir).unwrap());
    assert!(text.contains("    event e(x: u64);\n    e(helper(x)) <= m(x);\n"), "{text}");
}
