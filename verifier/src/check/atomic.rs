//! Read atomicity: a transaction that sees one write of another sees all of that other's writes, or newer ones; and
//! nothing of transactions that did not commit (Bailis et al. 2014, *RAMP*; the promise of AFT).
//!
//! If T reads x from V, which wrote y too, and reads y from W, then V's y must not be newer than W's. Where versions
//! show their order (lists, or values that carry it) that is checked as it stands. Otherwise some order of versions
//! must exist: "V before W" is an edge, as is every read, and a cycle means that there is none (Biswas and Enea 2019,
//! whose sessions are left out, since read atomicity promises nothing across transactions). A version that was
//! never written is older than all others, so reading nothing beside a write of V breaks the promise by itself.
//!
//! Own writes and repeated reads are checked too: see [`super::txn`].

use super::Verdict;
use super::cycle::Graph;
use super::txn::{Facts, Read, Shape};
use crate::history::History;
use std::collections::{BTreeMap, BTreeSet};

/// How the versions of a register are ordered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Versions {
    /// As follows from what was read.
    Inferred,
    /// As the written values are: they begin with a timestamp, say.
    ByValue,
}

#[derive(Clone)]
struct Reason {
    kind: u8,
    why: String,
    reader: usize,
}

/// Checks that no read is fractured.
pub fn read_atomic(history: &History, versions: Versions) -> Verdict {
    let facts = match Facts::of(history) {
        Ok(facts) => facts,
        Err(verdict) => return verdict,
    };
    let mut graph = Graph::new(facts.txns.len(), |r: &Reason| r.kind);
    let mut by_txn: BTreeMap<usize, Vec<&Read>> = BTreeMap::new();
    for read in &facts.reads {
        by_txn.entry(read.by).or_default().push(read);
        if let Some(from) = read.from {
            let why = format!("it wrote the {} that the other read of {:?}", read.saw, read.key);
            graph.add(from, read.by, Reason { kind: 0, why, reader: read.by });
        }
    }
    for reads in by_txn.values() {
        for a in reads {
            let Some(v) = a.from else { continue };
            for b in reads.iter().filter(|b| b.key != a.key && b.from != Some(v)) {
                let Some(written) = facts.writes[v].get(&b.key) else { continue };
                let fractured = match (b.from, facts.shape, versions) {
                    (None, ..) => true,
                    (Some(w), Shape::Lists, _) => position(&facts, b, w) < position(&facts, b, v),
                    (Some(w), Shape::Registers, Versions::ByValue) => facts.writes[w][&b.key] < *written,
                    (Some(w), Shape::Registers, Versions::Inferred) => {
                        let why = format!(
                            "{} read {:?} from it and {:?} from the other, so its {written:?} is older than {}",
                            facts.name(a.by),
                            a.key,
                            b.key,
                            b.saw
                        );
                        graph.add(v, w, Reason { kind: 1, why, reader: a.by });
                        false
                    }
                };
                if fractured {
                    return fracture(&facts, a, b, v);
                }
            }
        }
    }
    let Some(cycle) = graph.cycle(|_| true) else { return Verdict::Ok };
    let txns: BTreeSet<usize> = cycle.iter().flat_map(|(t, reason)| [*t, reason.reader]).collect();
    let because = cycle
        .iter()
        .enumerate()
        .map(|(i, (from, reason))| {
            let to = cycle[(i + 1) % cycle.len()].0;
            format!("{} precedes {}: {}", facts.name(*from), facts.name(to), reason.why)
        })
        .collect();
    let fractured = cycle.iter().any(|(_, reason)| reason.kind == 1);
    facts.violation(
        if fractured { "fractured read" } else { "G1c circular information flow" },
        &txns,
        because,
    )
}

/// Where a writer's version stands in a list's order; one that nobody saw comes after all.
fn position(facts: &Facts, read: &Read, writer: usize) -> usize {
    let order = &facts.orders[&read.key];
    order.iter().rposition(|&t| t == writer).unwrap_or(order.len())
}

fn fracture(facts: &Facts, a: &Read, b: &Read, v: usize) -> Verdict {
    let txns: BTreeSet<usize> = [a.by, v].into_iter().chain(b.from).collect();
    let because = vec![format!(
        "{} sees {}'s {:?} of {:?}, but of {:?} it sees {}, which is older than {}'s {:?}",
        facts.name(a.by),
        facts.name(v),
        facts.writes[v][&a.key],
        a.key,
        b.key,
        b.saw,
        facts.name(v),
        facts.writes[v][&b.key],
    )];
    facts.violation("fractured read", &txns, because)
}
