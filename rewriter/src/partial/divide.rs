//! Which relations and rules of a role go to the sequencer, which stay with the partitions, and which are in between.

use crate::cohash::uses::{Scope, Uses};
use crate::cohash::{infer, infer::Start};
use crate::keys::{Mode, Read};
use crate::routing::{Key, Routings, is_input};
use anabranch_dsl::ir::{Head, Place, Protocol, RelId, RelationKind, RoleId, Rule, RuleId, Version};
use std::collections::{BTreeMap, BTreeSet};

/// Where a rule runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// At the sequencer: it reads and writes nothing with the key.
    Sequencer,
    /// At the partitions, on their own events, while they are not frozen.
    Partition,
    /// At the partitions, when they apply a step: an event of the sequencer triggers it.
    Applied,
    /// As `Applied`; derives an aggregate over the keys, of which each partition has a part.
    Part,
    /// At the sequencer, when the parts of all partitions are there.
    Sealed,
}

/// How a role divides.
pub struct Division {
    /// Relations of the sequencer.
    pub shared: BTreeSet<RelId>,
    /// The first input with the key that went to the sequencer because it writes what has none, and where.
    pub pulled: Option<(RelId, Place)>,
    /// Each rule's kind.
    pub kinds: BTreeMap<RuleId, Kind>,
    /// Events that are aggregates over all keys.
    pub parts: BTreeSet<RelId>,
    /// State of the sequencer that partitions read.
    pub copied: BTreeSet<RelId>,
    /// Events of the sequencer that partitions see.
    pub seen: BTreeSet<RelId>,
    /// Inputs of the sequencer that partitions may notice: they wait for a step.
    pub stepped: BTreeSet<RelId>,
    /// Routings of the partitions' relations.
    pub routings: Routings,
}

impl Division {
    /// Divides a role by a key. `None`: no relation has the key.
    pub fn of(p: &Protocol, role: RoleId, key: &Key) -> Option<Division> {
        let mut shared: BTreeSet<RelId> = BTreeSet::new();
        let mut pulled = None;
        let mut uses = Uses::of(p, role);
        let start = Start::of(p, &uses, key)?;
        let (routings, _) = infer::search(&mut uses, &start, |_, _| Ok::<(), ()>(()));
        let mut parts: BTreeSet<RelId> = p.rules_of(role).filter_map(|(_, r)| part(p, r)).collect();
        parts.retain(|r| !routings.0.contains_key(r));
        let routings = loop {
            let masked = mask(p, role, &shared, &parts, &BTreeMap::new());
            let mut uses = Uses::of(&masked, role);
            let Some(start) = Start::of(&masked, &uses, key) else { break Routings::default() };
            let (routings, _) = infer::search(&mut uses, &start, |_, _| Ok::<(), ()>(()));
            let before = shared.len();
            let open = uses.needs.keys().filter(|r| !routings.0.contains_key(r) && !parts.contains(r));
            // What is aggregated over the key is no state of the sequencer.
            shared.extend(open.copied());
            for (_, rule) in p.rules_of(role) {
                if local_head(rule).is_some_and(|h| shared.contains(&h)) {
                    for read in crate::analysis::walk::mentions(rule) {
                        let relation = p.relation(read.rel);
                        let keyed = routings.0.contains_key(&read.rel);
                        let follows = relation.role == Some(role) && (is_input(relation) || !keyed);
                        if follows && !uses.same.contains(&read.rel) && shared.insert(read.rel) && keyed {
                            pulled.get_or_insert((read.rel, rule.place));
                        }
                    }
                }
            }
            shared.retain(|r| p.relation(*r).role == Some(role) && !parts.contains(r));
            if shared.len() == before {
                break routings;
            }
        };
        // Without an event of the sequencer behind it, it is no sealed answer.
        let (sealed, open) = parts.into_iter().partition(|r| behind(p, role, *r, &shared));
        let parts: BTreeSet<RelId> = sealed;
        let open: BTreeSet<RelId> = open;
        shared.extend(open);
        let mut d = Division {
            shared,
            pulled,
            kinds: BTreeMap::new(),
            parts,
            copied: BTreeSet::new(),
            seen: BTreeSet::new(),
            stepped: BTreeSet::new(),
            routings,
        };
        d.routings.0.retain(|r, _| !d.shared.contains(r) && !d.parts.contains(r));
        d.kinds(p, role);
        d.crossing(p, role);
        Some(d)
    }

    fn kinds(&mut self, p: &Protocol, role: RoleId) {
        let uses = Uses::of(p, role);
        for scope in &uses.scopes {
            let Some((id, rule)) = scope.rule else { continue };
            let reads: Vec<&Read> =
                scope.closure.reads.iter().filter(|r| !uses.same.contains(&r.rel)).collect();
            let shared = reads.iter().any(|r| self.shared.contains(&r.rel));
            let driven = reads.iter().any(|r| self.shared.contains(&r.rel) && r.drives(p));
            let keyed = reads.iter().any(|r| !self.shared.contains(&r.rel) && !self.parts.contains(&r.rel));
            let sealed = reads.iter().any(|r| self.parts.contains(&r.rel));
            let head = local_head(rule);
            let kind = match head {
                _ if sealed => Kind::Sealed,
                Some(h) if self.parts.contains(&h) => Kind::Part,
                Some(h) if self.shared.contains(&h) => Kind::Sequencer,
                _ if driven && (keyed || head.is_some()) => Kind::Applied,
                None if shared && !keyed => Kind::Sequencer,
                _ => Kind::Partition,
            };
            self.kinds.insert(id, kind);
        }
    }

    /// What partitions read of the sequencer, and which of its inputs lead to it.
    fn crossing(&mut self, p: &Protocol, role: RoleId) {
        let uses = Uses::of(p, role);
        let mut leads: BTreeSet<RelId> = BTreeSet::new();
        for scope in &uses.scopes {
            let Some((id, _)) = scope.rule else { continue };
            let kind = self.kinds[&id];
            for read in scope.closure.reads.iter().filter(|r| self.shared.contains(&r.rel)) {
                match kind {
                    Kind::Sequencer => continue,
                    Kind::Sealed => {}
                    _ if p.relation(read.rel).is_event() => {
                        self.seen.insert(read.rel);
                    }
                    _ => {
                        self.copied.insert(read.rel);
                    }
                }
                // Sealed rules read state as well, which does not make its writers steps.
                if kind != Kind::Sealed || read.drives(p) {
                    leads.insert(read.rel);
                }
            }
        }
        loop {
            let before = leads.len();
            let led: Vec<&Scope<'_>> =
                uses.scopes.iter().filter(|s| s.writes.is_some_and(|w| leads.contains(&w))).collect();
            for scope in led {
                leads.extend(scope.closure.reads.iter().map(|r| r.rel).filter(|r| self.shared.contains(r)));
            }
            if leads.len() == before {
                break;
            }
        }
        self.stepped = leads.into_iter().filter(|r| is_input(p.relation(*r))).collect();
    }

    /// The role as the partitions have it: what the sequencer has is the same everywhere.
    pub fn partitions(&self, p: &Protocol, role: RoleId) -> Protocol {
        mask(p, role, &self.shared, &self.parts, &self.kinds)
    }
}

/// The event in which a rule aggregates.
fn part(p: &Protocol, rule: &Rule) -> Option<RelId> {
    let rel = local_head(rule)?;
    let relation = p.relation(rel);
    let event = relation.kind == RelationKind::Event && !relation.durable;
    (event && crate::analysis::walk::aggregates(rule)).then_some(rel)
}

/// Whether an event of the sequencer leads to another, at any distance.
fn behind(p: &Protocol, role: RoleId, rel: RelId, shared: &BTreeSet<RelId>) -> bool {
    let mut all = BTreeSet::from([rel]);
    loop {
        let before = all.len();
        for (_, rule) in p.rules_of(role) {
            if local_head(rule).is_some_and(|h| all.contains(&h)) {
                let events = crate::analysis::walk::mentions(rule)
                    .into_iter()
                    .filter(|m| p.relation(m.rel).is_event());
                all.extend(events.map(|m| m.rel));
            }
        }
        if all.len() == before {
            return all.iter().any(|r| shared.contains(r));
        }
    }
}

fn mask(
    p: &Protocol,
    role: RoleId,
    shared: &BTreeSet<RelId>,
    parts: &BTreeSet<RelId>,
    kinds: &BTreeMap<RuleId, Kind>,
) -> Protocol {
    let mut out = p.clone();
    for rel in shared.iter().chain(parts) {
        out.relations[rel.index()].replicated = true;
    }
    for (i, rule) in out.rules.iter_mut().enumerate().filter(|(_, r)| r.role == role) {
        let head = local_head(rule);
        match kinds.get(&RuleId(i as u32)) {
            Some(Kind::Sequencer | Kind::Sealed) => {
                rule.body.clear();
                rule.head = Head::Nothing;
            }
            Some(Kind::Part) => rule.head = Head::Nothing,
            Some(Kind::Partition | Kind::Applied) => {}
            None if head.is_some_and(|h| shared.contains(&h) || parts.contains(&h)) => {
                rule.head = Head::Nothing;
            }
            None => {}
        }
    }
    for rel in shared {
        if let RelationKind::Timer(timer) = &mut out.relations[rel.index()].kind {
            timer.rows.clear();
        }
    }
    out
}

pub(super) fn local_head(rule: &Rule) -> Option<RelId> {
    match &rule.head {
        Head::Now { rel, .. } | Head::Next { rel, .. } | Head::Delete { rel, .. } => Some(*rel),
        Head::Send { .. }
        | Head::Reply { .. }
        | Head::Refuse { .. }
        | Head::Redirect { .. }
        | Head::Nothing => None,
    }
}

/// A reading of shared state as an edge.
pub(super) fn edge(p: &Protocol, read: &Read) -> bool {
    read.mode == Mode::Positive && read.version == Version::New && !p.relation(read.rel).is_event()
}

/// Whether a scope is driven by any event.
pub(super) fn driven(p: &Protocol, scope: &Scope<'_>) -> bool {
    scope.closure.reads.iter().any(|r| r.drives(p))
}
