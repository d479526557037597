//! What a role's relations are used for: which are the same in every partition, and which must know their place.

use crate::dependencies::Dependencies;
use crate::keys::{Closure, Mode, Read, aggregates_of};
use crate::routing::is_input;
use anabranch_dsl::ir::{Head, Literal, Place, Protocol, RelId, RelationKind, RoleId, Rule, RuleId, Version};
use std::collections::{BTreeMap, BTreeSet};

/// One scope of terms: a rule, or a timer's `while`.
pub struct Scope<'p> {
    /// Terms and readings.
    pub closure: Closure<'p>,
    /// The rule; `None` for a timer.
    pub rule: Option<(RuleId, &'p Rule)>,
    /// What it writes here: a relation of the role, with `None` for messages, answers and nothing.
    pub writes: Option<RelId>,
    /// Where it stands.
    pub place: Place,
}

impl Scope<'_> {
    /// Whether it is a `forget` rule, which may see its events anywhere, late or never.
    pub fn forgets(&self) -> bool {
        matches!(self.rule, Some((_, Rule { head: Head::Delete { forget: true, .. }, .. })))
    }
    /// Whether it deletes.
    pub fn deletes(&self) -> bool {
        matches!(self.rule, Some((_, Rule { head: Head::Delete { .. }, .. })))
    }
}

/// Why a relation must have a routing, with the place that asks for it.
#[derive(Clone, Debug)]
pub struct Need {
    /// In words: `is joined here`.
    pub why: &'static str,
    /// Where.
    pub place: Place,
}

/// A role seen from its relations.
pub struct Uses<'p> {
    /// The protocol.
    pub p: &'p Protocol,
    /// The role.
    pub role: RoleId,
    /// Rules and timers of the role.
    pub scopes: Vec<Scope<'p>>,
    /// Relations that are the same in every partition: instances, replicated tables, what is derived from such
    /// alone, and tables that nothing writes.
    pub same: BTreeSet<RelId>,
    /// Relations that must have a routing, with the first reason.
    pub needs: BTreeMap<RelId, Need>,
}

impl<'p> Uses<'p> {
    /// Looks at a role.
    pub fn of(p: &'p Protocol, role: RoleId) -> Uses<'p> {
        let known = Dependencies::of(p);
        let mut scopes: Vec<Scope<'p>> = p
            .rules_of(role)
            .map(|(id, rule)| Scope {
                closure: Closure::of_rule(p, rule, &known),
                rule: Some((id, rule)),
                writes: local_head(rule),
                place: rule.place,
            })
            .collect();
        for (i, relation) in p.relations.iter().enumerate() {
            if relation.role == Some(role) && matches!(relation.kind, RelationKind::Timer(_)) {
                let rel = RelId(i as u32);
                let closure = Closure::of_timer(p, rel, &known);
                scopes.push(Scope { closure, rule: None, writes: Some(rel), place: relation.place });
            }
        }
        let mut uses = Uses { p, role, scopes, same: BTreeSet::new(), needs: BTreeMap::new() };
        uses.find_same();
        uses.find_needs();
        uses
    }

    /// The role's own relations.
    pub fn own(&self) -> impl Iterator<Item = RelId> + '_ {
        let all = self.p.relations.iter().enumerate();
        all.filter(|(_, r)| r.role == Some(self.role)).map(|(i, _)| RelId(i as u32))
    }

    /// The readings of a scope that must meet: not those of what every partition has, and for `forget` rules not
    /// their events.
    pub fn meeting<'s>(&'s self, scope: &'s Scope<'p>) -> Vec<&'s Read> {
        let exempt =
            |r: &Read| scope.forgets() && r.mode == Mode::Positive && self.p.relation(r.rel).is_event();
        scope.closure.reads.iter().filter(|r| !self.same.contains(&r.rel) && !exempt(r)).collect()
    }

    fn find_same(&mut self) {
        for (i, relation) in self.p.relations.iter().enumerate() {
            if matches!(relation.kind, RelationKind::Instances(_)) || relation.replicated {
                self.same.insert(RelId(i as u32));
            }
        }
        // What only such relations lead to, and nothing takes away, is alike everywhere.
        loop {
            let found = self.own().find(|rel| {
                let relation = self.p.relation(*rel);
                let state = relation.is_table() || relation.kind == RelationKind::View;
                let fixed = |s: &&Scope<'_>| {
                    let now = matches!(s.rule, Some((_, Rule { head: Head::Now { .. }, .. })));
                    let alike = |r: &Read| self.same.contains(&r.rel) && !r.drives(self.p);
                    now && s.closure.reads.iter().all(alike) && !s.closure.reads_clock
                };
                let mut writers = self.scopes.iter().filter(|s| s.writes == Some(*rel));
                state && !self.same.contains(rel) && writers.all(|s| fixed(&s))
            });
            match found {
                Some(rel) => self.same.insert(rel),
                None => return,
            };
        }
    }

    fn find_needs(&mut self) {
        let mut needs: BTreeMap<RelId, Need> = BTreeMap::new();
        let mut need = |rel: RelId, why: &'static str, place: Place| {
            needs.entry(rel).or_insert(Need { why, place });
        };
        for scope in &self.scopes {
            let meeting = self.meeting(scope);
            // An event that all partitions see runs this in each: what it reads must not lie in two.
            let everywhere =
                scope.closure.reads.iter().any(|r| self.same.contains(&r.rel) && r.drives(self.p));
            let aggregated = scope.rule.is_some_and(|(_, r)| !aggregates_of(&r.head).is_empty());
            for read in &meeting {
                let why = match (read.mode, read.version) {
                    (Mode::Negated, _) => "is negated here",
                    (Mode::Lookup, _) => "is looked up here",
                    (_, Version::New) => "is read under `new` here",
                    _ if meeting.len() > 1 => "is joined here",
                    _ if everywhere => "is read here in every partition",
                    _ if aggregated => "is aggregated here",
                    _ => continue,
                };
                need(read.rel, why, read.place);
            }
        }
        for rel in self.own().filter(|rel| !self.same.contains(rel)) {
            let relation = self.p.relation(rel);
            let used = self
                .scopes
                .iter()
                .any(|s| s.writes == Some(rel) || s.closure.reads.iter().any(|r| r.rel == rel));
            if matches!(relation.kind, RelationKind::Timer(_)) {
                need(rel, "is a timer", relation.place);
            } else if relation.columns.iter().any(|c| c.lattice.is_some()) && used {
                need(rel, "has a lattice column", relation.place);
            } else if relation.key.is_some() && used && !is_input(relation) {
                need(rel, "is keyed", relation.place);
            }
        }
        // Invariants read the union of the partitions: what is taken away must be taken away where it lies.
        for invariant in &self.p.invariants {
            for literal in &invariant.body {
                let Literal::Atom(atom) = literal else { continue };
                let of_role =
                    self.p.relation(atom.rel).role == Some(self.role) && !self.same.contains(&atom.rel);
                let deleted = self.scopes.iter().any(|s| s.writes == Some(atom.rel) && s.deletes());
                if of_role && deleted {
                    need(atom.rel, "is deleted from, and an invariant reads it", atom.place);
                }
            }
        }
        self.needs = needs;
    }
}

/// The relation of the node itself that a rule writes.
fn local_head(rule: &Rule) -> Option<RelId> {
    match &rule.head {
        Head::Now { rel, .. } | Head::Next { rel, .. } | Head::Delete { rel, .. } => Some(*rel),
        Head::Send { .. }
        | Head::Reply { .. }
        | Head::Refuse { .. }
        | Head::Redirect { .. }
        | Head::Nothing => None,
    }
}
