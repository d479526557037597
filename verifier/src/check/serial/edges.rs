//! Which transaction must precede which, and why.

use crate::check::cycle::Graph;
use crate::check::txn::{Facts, Shape};
use std::collections::{BTreeMap, BTreeSet};

/// Wrote the version before.
pub(super) const WW: u8 = 0;
/// Wrote what was read.
pub(super) const WR: u8 = 1;
/// Read the version before.
pub(super) const RW: u8 = 2;
/// Was over before the other began.
pub(super) const RT: u8 = 3;

/// A reason to precede.
#[derive(Clone, Debug)]
pub(super) struct Edge {
    pub kind: u8,
    pub why: String,
    /// Another transaction that the reason names.
    pub witness: Option<usize>,
}

impl Edge {
    pub fn rank(&self) -> u8 {
        self.kind
    }
}

fn edge(kind: u8, why: String) -> Edge {
    Edge { kind, why, witness: None }
}

/// Edges that the reads (and the clock) show at once.
pub(super) fn known(facts: &Facts, strict: bool, graph: &mut Graph<Edge>) {
    for read in &facts.reads {
        if let Some(from) = read.from {
            graph.add(
                from,
                read.by,
                edge(WR, format!("it wrote the {} that the other read of {:?}", read.saw, read.key)),
            );
        }
    }
    if facts.shape == Shape::Lists {
        lists(facts, graph);
    }
    if strict {
        real_time(facts, graph);
    }
}

fn lists(facts: &Facts, graph: &mut Graph<Edge>) {
    // By key: what may come next after each position of the order. Several, where nobody saw which.
    let next = |key, at: usize| -> Vec<usize> {
        let order = &facts.orders[key];
        match order.get(at) {
            Some(&t) => vec![t],
            None => facts.unseen.get(key).cloned().unwrap_or_default(),
        }
    };
    for (key, order) in &facts.orders {
        for (i, &writer) in order.iter().enumerate() {
            for after in next(key, i + 1) {
                let why = format!(
                    "it appended {:?} to {key:?} before the other appended {:?}",
                    facts.writes[writer][key], facts.writes[after][key]
                );
                graph.add(writer, after, edge(WW, why));
            }
        }
    }
    for read in &facts.reads {
        let order = &facts.orders[&read.key];
        let at = read.from.map_or(0, |w| order.iter().rposition(|&t| t == w).map_or(0, |i| i + 1));
        for after in next(&read.key, at) {
            let why = format!(
                "it read {} of {:?}, without the {:?} that the other appended",
                read.saw, read.key, facts.writes[after][&read.key]
            );
            graph.add(read.by, after, edge(RW, why));
        }
    }
}

/// Edges from what is over to what begins, without those that follow from others: only transactions that none
/// that began after them have outlasted.
fn real_time(facts: &Facts, graph: &mut Graph<Edge>) {
    let mut events: Vec<(usize, usize, bool)> = Vec::new();
    for (t, txn) in facts.txns.iter().enumerate() {
        events.push((txn.op.invoked, t, false));
        events.extend(txn.op.returned().map(|at| (at, t, true)));
    }
    events.sort_unstable();
    let mut latest: BTreeSet<usize> = BTreeSet::new();
    let mut before: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for (_, t, end) in events {
        if end {
            let covered = &before[&t];
            latest.retain(|l| !covered.contains(l));
            latest.insert(t);
            continue;
        }
        for &earlier in &latest {
            let over = facts.txns[earlier].op.completed.unwrap_or(0);
            let why =
                format!("it was over by event {over}, and the other began at {}", facts.txns[t].op.invoked);
            graph.add(earlier, t, edge(RT, why));
        }
        before.insert(t, latest.clone());
    }
}

/// Registers: if R reads x from W and V writes x too, then V precedes W or R precedes V. So if V must precede R,
/// it precedes W, and if W must precede V, R precedes V. A read of the initial value precedes all writers.
pub(super) fn infer(facts: &Facts, graph: &mut Graph<Edge>) {
    for read in facts.reads.iter().filter(|r| r.from.is_none()) {
        for writer in facts.writers(&read.key) {
            let why = format!(
                "it found {:?} unwritten, and the other wrote {:?}",
                read.key, facts.writes[writer][&read.key]
            );
            graph.add(read.by, writer, edge(RW, why));
        }
    }
    loop {
        // A cycle is the caller's to tell.
        let Some(reach) = closure(facts.txns.len(), graph) else { return };
        let has = |from: usize, to: usize| reach[from][to / 64] >> (to % 64) & 1 == 1;
        let mut changed = false;
        for read in &facts.reads {
            let Some(writer) = read.from else { continue };
            for other in facts.writers(&read.key).filter(|&v| v != writer && v != read.by) {
                let (key, value) = (&read.key, &facts.writes[other][&read.key]);
                if has(other, read.by) && !has(other, writer) {
                    let why = format!(
                        "it wrote {value:?} to {key:?} before {} read the other's {}{}",
                        facts.name(read.by),
                        read.saw,
                        way(facts, graph, other, read.by)
                    );
                    graph.add(other, writer, Edge { kind: WW, why, witness: Some(read.by) });
                    changed = true;
                }
                if has(writer, other) && !has(read.by, other) {
                    let why = format!(
                        "it read {} of {key:?} from {}, before the other wrote {value:?}{}",
                        read.saw,
                        facts.name(writer),
                        way(facts, graph, writer, other)
                    );
                    graph.add(read.by, other, Edge { kind: RW, why, witness: Some(writer) });
                    changed = true;
                }
            }
        }
        if !changed {
            return;
        }
    }
}

/// By node: the set of nodes that can be reached, as bits; `None` if the graph has a cycle.
fn closure(nodes: usize, graph: &Graph<Edge>) -> Option<Vec<Vec<u64>>> {
    let mut reach: Vec<Option<Vec<u64>>> = vec![None; nodes];
    let mut open = vec![false; nodes];
    for start in 0..nodes {
        // Successors first; a node is on the stack once to open it and once more to close it.
        let mut stack = vec![start];
        while let Some(node) = stack.pop() {
            if reach[node].is_some() {
                continue;
            }
            if !open[node] {
                open[node] = true;
                stack.push(node);
                for to in graph.after(node) {
                    if reach[to].is_none() {
                        if open[to] {
                            return None;
                        }
                        stack.push(to);
                    }
                }
                continue;
            }
            let mut bits = vec![0u64; nodes.div_ceil(64)];
            for to in graph.after(node) {
                bits[to / 64] |= 1 << (to % 64);
                let further = reach[to].as_ref().expect("successors are closed first");
                bits.iter_mut().zip(further).for_each(|(b, f)| *b |= f);
            }
            reach[node] = Some(bits);
        }
    }
    reach.into_iter().collect()
}

/// ` (as T[0] < T[4] in real time)`: why one precedes the other, unless that is plain.
fn way(facts: &Facts, graph: &Graph<Edge>, from: usize, to: usize) -> String {
    let way = graph.way(from, to).unwrap_or_default();
    let how = |kind| match kind {
        WW => "overwritten by",
        WR => "read by",
        RW => "not seen, but overwritten by",
        _ => "over before",
    };
    let hops = way.iter().enumerate().map(|(i, (node, edge))| {
        let next = way.get(i + 1).map_or(to, |(n, _)| *n);
        let from = if i == 0 { facts.name(*node) } else { String::new() };
        format!("{from} {} {}", how(edge.kind), facts.name(next))
    });
    let hops: String = hops.collect();
    if hops.is_empty() { hops } else { format!(" ({hops})") }
}
