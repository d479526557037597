//! How often each construct did something.

use super::constructs;
use crate::engine::{Facts, Outcome};
use anabranch_dsl::ir::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// By construct.
#[derive(Clone, Default, Debug)]
pub struct Stats(pub BTreeMap<String, Count>);

/// What one construct did.
#[derive(Clone, Copy, Default, Debug)]
pub struct Count {
    /// Programs with a rule that uses it.
    pub programs: u64,
    /// Rows that such rules gave, over all ticks. For `<-`: patterns.
    pub derived: u64,
    /// Rows of relations with such a rule that went: deleted, replaced, retracted.
    pub gone: u64,
}

impl Stats {
    /// Adds another campaign's numbers.
    pub fn merge(&mut self, other: &Stats) {
        for (name, count) in &other.0 {
            let own = self.0.entry(name.clone()).or_default();
            own.programs += count.programs;
            own.derived += count.derived;
            own.gone += count.gone;
        }
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:24} {:>9} {:>12} {:>12}", "construct", "programs", "derived", "gone")?;
        for (name, c) in &self.0 {
            writeln!(f, "{name:24} {:>9} {:>12} {:>12}", c.programs, c.derived, c.gone)?;
        }
        Ok(())
    }
}

/// Watches the ticks of one program.
pub struct Watcher<'a> {
    protocol: &'a Protocol,
    constructs: Vec<BTreeSet<String>>,
    /// By state relation: constructs of the rules that make its rows go.
    takers: BTreeMap<RelId, BTreeSet<String>>,
    last: Facts,
    /// What was seen.
    pub stats: Stats,
}

impl<'a> Watcher<'a> {
    /// Begins to watch.
    pub fn new(protocol: &'a Protocol) -> Watcher<'a> {
        let constructs: Vec<BTreeSet<String>> =
            protocol.rules.iter().map(|r| constructs::of_rule(protocol, r)).collect();
        let mut stats = Stats::default();
        for name in constructs.iter().flatten().collect::<BTreeSet<_>>() {
            stats.0.entry(name.clone()).or_default().programs += 1;
        }
        let mut takers: BTreeMap<RelId, BTreeSet<String>> = BTreeMap::new();
        for (rule, names) in protocol.rules.iter().zip(&constructs) {
            let rel = match &rule.head {
                Head::Now { rel, .. } if protocol.relation(*rel).kind == RelationKind::View => *rel,
                Head::Delete { rel, .. } => *rel,
                Head::Next { rel, .. } if protocol.relation(*rel).key.is_some() => *rel,
                _ => continue,
            };
            takers.entry(rel).or_default().extend(names.iter().cloned());
        }
        Watcher { protocol, constructs, takers, last: Facts::new(), stats }
    }

    /// Takes note of a tick: rows by rule, what is true now and what remains.
    pub fn tick(&mut self, derived: &BTreeMap<RuleId, u64>, outcome: &Outcome, resting: &Facts) {
        for (rule, rows) in derived {
            for name in &self.constructs[rule.index()] {
                self.stats.0.entry(name.clone()).or_default().derived += rows;
            }
        }
        let none = BTreeSet::new();
        for (rel, names) in &self.takers {
            // Views lose rows at any point between two fixpoints, tables after a tick.
            let view = self.protocol.relation(*rel).kind == RelationKind::View;
            let (from, to) = if view { (&self.last, &outcome.facts) } else { (&outcome.facts, resting) };
            let (from, to) = (from.get(rel).unwrap_or(&none), to.get(rel).unwrap_or(&none));
            let gone = from.difference(to).count() as u64;
            if gone > 0 {
                for name in names {
                    self.stats.0.entry(name.clone()).or_default().gone += gone;
                }
            }
        }
        self.last = outcome.facts.clone();
    }
}
