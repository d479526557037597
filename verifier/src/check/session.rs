//! Session guarantees (Terry et al. 1994), as far as clients can tell.
//!
//! | guarantee | a session that … | then … |
//! |---|---|---|
//! | read your writes | wrote v to k, and later reads k | sees v or a newer version |
//! | monotonic reads | saw v of k, and later reads k | sees v or a newer version |
//! | monotonic writes | wrote v, then w | v is the older one (same key); who sees w of its key and, in the same transaction, reads v's key, sees v there or newer |
//! | writes follow reads | saw v, then wrote w | the same |
//!
//! "Newer" is the order of versions: that of the list where keys are lists, that of the values with
//! [`Versions::ByValue`], else any order that makes all guarantees asked for hold (a cycle shows that there is none).
//! The servers behind a session are not seen, so the last two bind other readers only within a transaction.
//!
//! A session is a client: process numbers modulo the number of clients, since a process ends with an unknown outcome
//! and its client does not. Writes with unknown outcome promise nothing to their session.

use super::Verdict;
use super::atomic::Versions;
use super::cycle::Graph;
use super::txn::{Facts, Read, Shape};
use crate::history::History;
use anabranch_core::value::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A promise to a session.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Guarantee {
    /// Reads see the session's earlier writes.
    ReadYourWrites,
    /// Reads do not go back in time.
    MonotonicReads,
    /// Writes take effect in the session's order.
    MonotonicWrites,
    /// Writes come after what the session saw before them.
    WritesFollowReads,
}

impl Guarantee {
    /// All four.
    pub const ALL: [Guarantee; 4] = [
        Guarantee::ReadYourWrites,
        Guarantee::MonotonicReads,
        Guarantee::MonotonicWrites,
        Guarantee::WritesFollowReads,
    ];
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Guarantee::ReadYourWrites => "read your writes",
            Guarantee::MonotonicReads => "monotonic reads",
            Guarantee::MonotonicWrites => "monotonic writes",
            Guarantee::WritesFollowReads => "writes follow reads",
        }
    }
}

/// "Of `key`, `newer` (a writer, or `None` for the initial version) must not be older than `older`'s version."
struct Demand {
    key: Value,
    older: usize,
    newer: Option<usize>,
    why: String,
    guarantee: Guarantee,
    witness: usize,
}

#[derive(Clone)]
struct Reason {
    why: String,
    guarantee: Guarantee,
    witness: usize,
}

/// Checks that the guarantees hold together, for the sessions of so many clients.
pub fn check(history: &History, clients: u64, guarantees: &[Guarantee], versions: Versions) -> Verdict {
    let facts = match Facts::of(history) {
        Ok(facts) => facts,
        Err(verdict) => return verdict,
    };
    let demands = demands(&facts, clients.max(1), guarantees);
    // A node for each version: a writer and a key.
    let mut nodes: BTreeMap<(&Value, usize), usize> = BTreeMap::new();
    for (t, keys) in facts.writes.iter().enumerate() {
        for key in keys.keys() {
            let next = nodes.len();
            nodes.insert((key, t), next);
        }
    }
    let mut graph = Graph::new(nodes.len(), |_: &Reason| 0);
    for d in &demands {
        let broken = match (d.newer, facts.shape, versions) {
            (Some(newer), ..) if newer == d.older => continue,
            (None, ..) => true,
            (Some(newer), Shape::Lists, _) => {
                let order = &facts.orders[&d.key];
                let at = |t| order.iter().position(|&o| o == t);
                // Versions that nobody saw come last, in an order that nobody knows.
                match (at(d.older), at(newer)) {
                    (Some(older), Some(newer)) => newer < older,
                    (None, Some(_)) => true,
                    _ => false,
                }
            }
            (Some(newer), Shape::Registers, Versions::ByValue) => {
                facts.writes[newer][&d.key] < facts.writes[d.older][&d.key]
            }
            (Some(newer), Shape::Registers, Versions::Inferred) => {
                let reason = Reason { why: d.why.clone(), guarantee: d.guarantee, witness: d.witness };
                graph.add(nodes[&(&d.key, d.older)], nodes[&(&d.key, newer)], reason);
                false
            }
        };
        if broken {
            let txns = [d.older, d.witness].into_iter().chain(d.newer).collect();
            return facts.violation(&format!("not {}", d.guarantee.name()), &txns, vec![d.why.clone()]);
        }
    }
    let Some(cycle) = graph.cycle(|_| true) else { return Verdict::Ok };
    let txns: BTreeSet<usize> = cycle.iter().map(|(_, reason)| reason.witness).collect();
    let names: BTreeSet<&str> = cycle.iter().map(|(_, reason)| reason.guarantee.name()).collect();
    let names: Vec<&str> = names.into_iter().collect();
    let because = cycle.into_iter().map(|(_, reason)| reason.why).collect();
    facts.violation(&format!("not {}", names.join(" with ")), &txns, because)
}

/// What the guarantees demand of versions, session by session.
fn demands(facts: &Facts, clients: u64, guarantees: &[Guarantee]) -> Vec<Demand> {
    let mut reads: Vec<Vec<&Read>> = vec![Vec::new(); facts.txns.len()];
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); facts.txns.len()];
    for read in &facts.reads {
        reads[read.by].push(read);
        if let Some(from) = read.from {
            readers[from].push(read.by);
        }
    }
    let mut sessions: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for t in (0..facts.txns.len()).filter(|&t| facts.txns[t].op.outcome.is_ok()) {
        sessions.entry(facts.process(t).0 % clients).or_default().push(t);
    }
    let mut out = Out { facts, reads, readers, wanted: guarantees, demands: Vec::new() };
    sessions.values().for_each(|session| out.session(session));
    out.demands
}

struct Out<'a> {
    facts: &'a Facts,
    reads: Vec<Vec<&'a Read>>,
    /// By transaction: who read from it.
    readers: Vec<Vec<usize>>,
    wanted: &'a [Guarantee],
    demands: Vec<Demand>,
}

impl<'a> Out<'a> {
    fn session(&mut self, session: &[usize]) {
        let facts = self.facts;
        // By key: the session's writes so far, and the versions it saw with who saw them.
        let mut wrote: BTreeMap<&Value, Vec<usize>> = BTreeMap::new();
        let mut saw: BTreeMap<&Value, Vec<(usize, usize)>> = BTreeMap::new();
        for &t in session {
            for read in self.reads[t].clone() {
                let (key, name) = (&read.key, facts.name(t));
                for &own in wrote.get(key).map_or(&[][..], Vec::as_slice) {
                    let why = format!(
                        "{name} reads {} of {key:?}, after its session wrote {:?} in {}",
                        read.saw,
                        facts.writes[own][key],
                        facts.name(own)
                    );
                    self.demand(Guarantee::ReadYourWrites, key, own, read.from, why, t);
                }
                let seen = saw.entry(key).or_default();
                if let Some(&(version, reader)) = seen.last() {
                    let why = format!(
                        "{name} reads {} of {key:?}, after its session saw {:?} in {}",
                        read.saw,
                        facts.writes[version][key],
                        facts.name(reader)
                    );
                    self.demand(Guarantee::MonotonicReads, key, version, read.from, why, t);
                }
                seen.extend(read.from.map(|from| (from, t)));
            }
            for (key, value) in &facts.writes[t] {
                if let Some(&own) = wrote.get(key).and_then(|w| w.last()) {
                    let (name, before) = (facts.name(t), facts.name(own));
                    let why = format!(
                        "{name} writes {value:?} to {key:?}, after its session wrote {:?} in {before}",
                        facts.writes[own][key]
                    );
                    self.demand(Guarantee::MonotonicWrites, key, own, Some(t), why, t);
                }
                if let Some(&(version, reader)) = saw.get(key).and_then(|s| s.last()) {
                    let why = format!(
                        "{} writes {value:?} to {key:?}, after its session saw {:?} in {}",
                        facts.name(t),
                        facts.writes[version][key],
                        facts.name(reader)
                    );
                    self.demand(Guarantee::WritesFollowReads, key, version, Some(t), why, t);
                }
            }
            let earlier = wrote.iter().filter_map(|(key, w)| Some((*key, *w.last()?)));
            let earlier: Vec<_> = earlier.collect();
            self.observers(Guarantee::MonotonicWrites, t, &earlier, "wrote");
            let earlier: Vec<_> = saw.iter().filter_map(|(key, s)| Some((*key, s.last()?.0))).collect();
            self.observers(Guarantee::WritesFollowReads, t, &earlier, "saw");
            for key in facts.writes[t].keys() {
                wrote.entry(key).or_default().push(t);
            }
        }
    }

    /// Whoever sees a write of `t` and reads one of these keys in the same transaction sees these versions or newer.
    fn observers(&mut self, guarantee: Guarantee, t: usize, earlier: &[(&'a Value, usize)], did: &str) {
        let facts = self.facts;
        for reader in self.readers[t].clone() {
            for read in self.reads[reader].clone() {
                let Some(&(key, version)) = earlier.iter().find(|(key, _)| **key == read.key) else {
                    continue;
                };
                let why = format!(
                    "{} sees a write of {}, whose session {did} {:?} of {key:?} before, and reads {} of {key:?}",
                    facts.name(reader),
                    facts.name(t),
                    facts.writes[version][key],
                    read.saw
                );
                self.demand(guarantee, key, version, read.from, why, reader);
            }
        }
    }

    fn demand(
        &mut self,
        guarantee: Guarantee,
        key: &Value,
        older: usize,
        newer: Option<usize>,
        why: String,
        witness: usize,
    ) {
        if self.wanted.contains(&guarantee) {
            self.demands.push(Demand { key: key.clone(), older, newer, why, guarantee, witness });
        }
    }
}
