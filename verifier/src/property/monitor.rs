//! Properties along a run: told of changes, it looks only at what they can have completed.

use super::solve::Driver;
use super::{NodeState, Properties, Violation, Witness};
use crate::engine::{Facts, Row};
use anabranch_core::node::Seat;
use anabranch_dsl::ir::*;
use std::collections::{BTreeMap, BTreeSet};

/// The rows that properties read, of all nodes, along one run.
pub struct Monitor<'p> {
    properties: &'p Properties,
    seats: Vec<Seat>,
    rows: Vec<Facts>,
    /// `sometimes` and `eventually` that held, with their first witness.
    held: BTreeMap<usize, Witness>,
}

impl<'p> Monitor<'p> {
    /// A monitor of nodes that hold nothing yet.
    pub fn new(properties: &'p Properties, seats: Vec<Seat>) -> Monitor<'p> {
        let rows = vec![Facts::new(); seats.len()];
        Monitor { properties, seats, rows, held: BTreeMap::new() }
    }

    /// `sometimes` and `eventually` that have held in some state so far.
    pub fn held(&self) -> &BTreeMap<usize, Witness> {
        &self.held
    }

    /// Whether a property's body holds now.
    pub fn holds(&self, property: usize) -> Option<Witness> {
        self.properties.holds(property, &self.states())
    }

    fn states(&self) -> Vec<NodeState<'_>> {
        self.seats.iter().zip(&self.rows).map(|(seat, rows)| NodeState { seat: *seat, rows }).collect()
    }

    /// A node's state after a macro-step: at least its relations in [`Properties::reads`], others are ignored.
    /// Returns each `never` that a new or missing row makes hold, with one witness.
    ///
    /// All other nodes are taken to be as they were last told of: if some of them have run since, tell of all of
    /// them in one call of [`Monitor::states_are`].
    pub fn tick(&mut self, node: usize, rows: &Facts) -> Vec<Violation> {
        self.states_are([(node, rows)])
    }

    /// The states of some nodes, all of one moment. They are taken over together before any property is asked:
    /// a new state beside another node's old one is a state that never was.
    pub fn states_are<'f>(&mut self, nodes: impl IntoIterator<Item = (usize, &'f Facts)>) -> Vec<Violation> {
        let none = BTreeSet::new();
        let mut added: Vec<(usize, RelId, Vec<Row>)> = Vec::new();
        let mut removed = BTreeSet::new();
        for (node, rows) in nodes {
            for rel in self.properties.reads() {
                let before = self.rows[node].get(rel).unwrap_or(&none);
                let after = rows.get(rel).unwrap_or(&none);
                if before == after {
                    continue;
                }
                let plus: Vec<Row> = after.difference(before).cloned().collect();
                if before.len() + plus.len() > after.len() {
                    removed.insert(*rel);
                }
                if !plus.is_empty() {
                    added.push((node, *rel, plus));
                }
                self.rows[node].insert(*rel, after.clone());
            }
        }
        if added.is_empty() && removed.is_empty() {
            return Vec::new();
        }
        self.look(&added, &removed)
    }

    fn look(&mut self, added: &[(usize, RelId, Vec<Row>)], removed: &BTreeSet<RelId>) -> Vec<Violation> {
        let properties = self.properties;
        let states = self.states();
        let mut violations = Vec::new();
        let mut held = Vec::new();
        for i in 0..properties.len() {
            let (_, kind) = properties.of(i);
            if kind != PropertyKind::Never && self.held.contains_key(&i) {
                continue;
            }
            let body = &properties.protocol().invariants[i].body;
            let atoms = || {
                body.iter().enumerate().filter_map(|(k, l)| match l {
                    Literal::Atom(atom) => Some((k, atom)),
                    _ => None,
                })
            };
            // A row that went can complete a body only through a negated atom.
            let whole = atoms().any(|(_, a)| a.negated && removed.contains(&a.rel));
            let witness = if whole {
                properties.holds(i, &states)
            } else {
                let drivers = atoms().filter(|(_, a)| !a.negated).flat_map(|(k, a)| {
                    let rows = added.iter().filter(move |(_, rel, _)| *rel == a.rel);
                    rows.flat_map(move |(node, _, rows)| rows.iter().map(move |row| (k, *node, row)))
                });
                let mut drivers = drivers;
                drivers.find_map(|(atom, node, row)| {
                    properties.solve(i, &states, Some(Driver { atom, node, row }))
                })
            };
            match (witness, kind) {
                (None, _) => {}
                (Some(witness), PropertyKind::Never) => violations.push(properties.violation(i, witness)),
                (Some(witness), _) => held.push((i, witness)),
            }
        }
        drop(states);
        self.held.extend(held);
        violations
    }
}
