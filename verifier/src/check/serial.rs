//! Serializability: some order of the transactions, one after the other, explains what each saw. *Strict*: that
//! order also keeps real time, so that a transaction sees those that were over before it began.
//!
//! Adya's dependencies (1999) as edges: *ww* from the writer of a version to that of the next, *wr* from a version's
//! writer to its readers, *rw* from those readers to the writer of the next version, *rt* in real time. A cycle means
//! that no order exists, and its edges say why, as in Elle (Kingsbury and Alvaro 2020).
//!
//! - Lists show their version order in what is read, so the edges are all there are: no cycle, then an order
//!   exists (any topological one).
//! - Registers do not. Orders of versions are inferred where every serial order must have them, again and again
//!   until nothing follows (as Biswas and Enea 2019 do for weaker promises); what is then still open is decided by
//!   search, which may run out of budget.
//!
//! Omitted: predicate reads, and order within a process (which strictness implies).

use super::cycle::Graph;
use super::txn::{Facts, Shape};
use super::{Budget, Verdict};
use crate::history::History;
use std::collections::BTreeSet;

mod edges;
mod place;

use edges::{Edge, RT, RW, WR, WW};

/// What is promised.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Promise {
    /// Some order explains all answers.
    Serializable,
    /// Some order that keeps real time does.
    Strict,
}

/// Checks with the default budget.
pub fn check(history: &History, promise: Promise) -> Verdict {
    check_with(history, promise, Budget::default())
}

/// Checks.
pub fn check_with(history: &History, promise: Promise, budget: Budget) -> Verdict {
    let facts = match Facts::of(history) {
        Ok(facts) => facts,
        Err(verdict) => return verdict,
    };
    let plain = judge(&facts, false, budget);
    // What is wrong without the clock is told without it.
    match promise {
        Promise::Strict if !matches!(plain, Verdict::Violated(_)) => judge(&facts, true, budget),
        _ => plain,
    }
}

fn judge(facts: &Facts, strict: bool, budget: Budget) -> Verdict {
    let mut graph = Graph::new(facts.txns.len(), Edge::rank);
    edges::known(facts, strict, &mut graph);
    if let Some(verdict) = cycle(facts, &graph, strict) {
        return verdict;
    }
    if facts.shape == Shape::Lists {
        return Verdict::Ok;
    }
    edges::infer(facts, &mut graph);
    if let Some(verdict) = cycle(facts, &graph, strict) {
        return verdict;
    }
    match place::place(facts, &graph, budget) {
        Some(true) => Verdict::Ok,
        Some(false) => facts.violation(
            if strict { "no serial order in real time" } else { "no serial order" },
            &(0..facts.txns.len()).collect(),
            vec!["no order of these transactions gives every read what it saw; all were tried".into()],
        ),
        None => Verdict::undecided(format!("no order found within {} steps", budget.steps)),
    }
}

/// Adya's name for a cycle depends on its edges; the gravest kind is looked for first.
fn cycle(facts: &Facts, graph: &Graph<Edge>, strict: bool) -> Option<Verdict> {
    let plain: [(&str, &[u8]); 2] = [("G0 write cycle", &[WW]), ("G1c circular information flow", &[WW, WR])];
    let suffix = if strict { ", in real time" } else { "" };
    // Edges of real time go with every kind, but what does without them is told without them.
    for timed in [false, true] {
        let also = |kinds: &'static [u8]| move |k: u8| kinds.contains(&k) || (timed && k == RT);
        for (name, kinds) in plain {
            if let Some(cycle) = graph.cycle(also(kinds)) {
                return Some(report(facts, &format!("{name}{suffix}"), &cycle));
            }
        }
        if let Some(cycle) = graph.cycle_with_one(RW, also(&[WW, WR])) {
            return Some(report(facts, &format!("G-single read skew{suffix}"), &cycle));
        }
        if let Some(cycle) = graph.cycle(also(&[WW, WR, RW])) {
            return Some(report(facts, &format!("G2 anti-dependency cycle{suffix}"), &cycle));
        }
    }
    None
}

fn report(facts: &Facts, anomaly: &str, cycle: &[(usize, Edge)]) -> Verdict {
    let txns: BTreeSet<usize> =
        cycle.iter().flat_map(|(t, edge)| std::iter::once(*t).chain(edge.witness)).collect();
    let mut because = Vec::new();
    for (i, (from, edge)) in cycle.iter().enumerate() {
        let to = cycle[(i + 1) % cycle.len()].0;
        let then = if i + 1 == cycle.len() { "but " } else { "" };
        because.push(format!("{then}{} precedes {}: {}", facts.name(*from), facts.name(to), edge.why));
    }
    facts.violation(anomaly, &txns, because)
}
