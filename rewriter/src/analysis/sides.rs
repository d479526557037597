//! What a cut does to a role: which rules, relations and inputs lie on which side, and what crosses.
//!
//! Everything is derived from the rules that move. A relation lies where its rules are; what nothing in the role writes
//! (messages, requests, timers, `start`) lies where it is read, and if both sides read it, upstream. Static relations,
//! which never change, lie on both.

use super::against::Against;
use super::walk::{self, Form, Mention, ids};
use crate::cut::Cut;
use anabranch_dsl::ir::{
    Head, Literal, Pattern, Place, Protocol, RelId, Relation, RelationKind, RoleId, Rule, RuleId, Version,
};
use std::collections::{BTreeMap, BTreeSet};

/// One half of a role that is cut.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Side {
    /// What keeps the role's name.
    Stays,
    /// The new part.
    Moves,
}

impl Side {
    /// The other half.
    pub fn other(self) -> Side {
        match self {
            Side::Stays => Side::Moves,
            Side::Moves => Side::Stays,
        }
    }
}

/// In what way something crosses.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Way {
    /// A fact of a tick.
    Event,
    /// `new r(..)`, evaluated upstream; `true` marks the columns that the reader projects out.
    Edge(Vec<bool>),
    /// `new (..)` over upstream relations alone, as it is written.
    Join(String),
    /// State.
    Level,
}

/// A relation of one side that the other one reads.
#[derive(Clone, Debug)]
pub struct Crossing {
    /// The relation; for [`Way::Join`] the first one of the join.
    pub rel: RelId,
    /// How it is read.
    pub way: Way,
    /// Who reads it.
    pub to: Side,
    /// The rules that read it in this way.
    pub rules: BTreeSet<RuleId>,
    /// The timers whose rows read it.
    pub timers: BTreeSet<RelId>,
    /// A place where it is read.
    pub place: Place,
}

/// A role cut in two.
#[derive(Clone, Debug)]
pub struct Sides<'p> {
    /// The protocol.
    pub p: &'p Protocol,
    /// The role that is cut.
    pub role: RoleId,
    /// The side whose facts the other one may read.
    pub up: Side,
    /// The role's rules.
    pub rules: BTreeMap<RuleId, Side>,
    /// The role's relations that are not static.
    pub relations: BTreeMap<RelId, Side>,
    /// Relations that never change: instances, variables and tables that nothing writes, views over those.
    pub statics: BTreeSet<RelId>,
    /// Unread tables without key and deletion: rules of both sides may write one of their own.
    pub unread: BTreeSet<RelId>,
    /// Messages, requests, timers and the like that rules of both sides read.
    pub shared: BTreeSet<RelId>,
    /// What crosses, in the order of relations.
    pub crossings: Vec<Crossing>,
    /// The part has no inputs of its own: what only it reads is taken upstream, and crosses too.
    pub relayed: bool,
    /// What crosses in a tick crosses as a unit of an `ordered` stream.
    pub streamed: bool,
}

impl<'p> Sides<'p> {
    /// Cuts a role; `up` is the side that takes the inputs that both read.
    pub fn of(p: &'p Protocol, cut: &Cut, up: Side) -> Result<Sides<'p>, Against> {
        Sides::cut(p, cut, up, false)
    }

    /// The same, but all messages and requests of the role lie upstream.
    pub fn relayed(p: &'p Protocol, cut: &Cut, up: Side) -> Result<Sides<'p>, Against> {
        let sides = Sides::cut(p, cut, up, true)?;
        Ok(Sides { streamed: true, ..sides })
    }

    /// As [`Sides::of`], and what crosses is a stream.
    pub fn streamed(p: &'p Protocol, cut: &Cut, up: Side) -> Result<Sides<'p>, Against> {
        let sides = Sides::cut(p, cut, up, false)?;
        Ok(Sides { streamed: true, ..sides })
    }

    fn cut(p: &'p Protocol, cut: &Cut, up: Side, relayed: bool) -> Result<Sides<'p>, Against> {
        let role = role_named(p, cut)?;
        let moved = moved_rules(p, role, cut)?;
        let rules: BTreeMap<RuleId, Side> = p
            .rules_of(role)
            .map(|(id, _)| (id, if moved.contains(&id) { Side::Moves } else { Side::Stays }))
            .collect();
        let mut sides = Sides {
            p,
            role,
            up,
            rules,
            relations: BTreeMap::new(),
            statics: statics(p),
            unread: unread(p, role),
            shared: BTreeSet::new(),
            crossings: Vec::new(),
            relayed,
            streamed: false,
        };
        sides.owners();
        sides.empty_blocks();
        if sides.rules.values().all(|s| *s == Side::Moves) {
            let place = p.role(role).place;
            return Err(Against::new("cut", place, format!("no rule of `{}` would stay", cut.role))
                .help("a part is less than the whole"));
        }
        sides.cross();
        Ok(sides)
    }

    /// A relation of the protocol.
    pub fn relation(&self, rel: RelId) -> &'p Relation {
        self.p.relation(rel)
    }
    /// A relation's name.
    pub fn name(&self, rel: RelId) -> &'p str {
        &self.p.relation(rel).name
    }
    /// A rule of the protocol.
    pub fn rule(&self, id: RuleId) -> &'p Rule {
        &self.p.rules[id.index()]
    }
    /// The rules of one side.
    pub fn rules_on(&self, side: Side) -> impl Iterator<Item = RuleId> {
        self.rules.iter().filter(move |(_, s)| **s == side).map(|(id, _)| *id)
    }
    /// Where a relation lies; `None` for static ones and those of other roles.
    pub fn side(&self, rel: RelId) -> Option<Side> {
        if self.statics.contains(&rel) { None } else { self.relations.get(&rel).copied() }
    }
    /// Whether a relation never changes.
    pub fn is_static(&self, rel: RelId) -> bool {
        self.statics.contains(&rel)
    }
    /// What a rule reads, static relations left out.
    pub fn reads(&self, id: RuleId) -> Vec<Mention<'p>> {
        self.moving(walk::mentions(self.rule(id)))
    }
    /// What the rows of a timer read, static relations left out.
    pub fn timer_reads(&self, timer: RelId) -> Vec<Mention<'p>> {
        self.moving(walk::timer_mentions(self.p, timer))
    }
    fn moving(&self, all: Vec<Mention<'p>>) -> Vec<Mention<'p>> {
        all.into_iter().filter(|m| !self.statics.contains(&m.rel)).collect()
    }
    /// The crossing under which a side reads a relation in any way.
    pub fn crossing(&self, rel: RelId, to: Side) -> Option<&Crossing> {
        self.crossings.iter().find(|c| c.rel == rel && c.to == to)
    }

    /// The first relation and the text of a `new (..)` all of whose relations lie on the other side.
    pub fn crossing_join(&self, literal: &Literal, side: Side) -> Option<(RelId, String)> {
        let Literal::NewJoin(body, _) = literal else { return None };
        let inside = self.moving(walk::body_mentions(std::slice::from_ref(literal)));
        let foreign = |rel: RelId| self.side(rel).is_some_and(|s| s != side);
        let all = !inside.is_empty() && inside.iter().all(|m| foreign(m.rel) && m.form != Form::Lookup);
        all.then(|| (inside[0].rel, anabranch_dsl::print::body_text(self.p, body)))
    }

    fn local(&self) -> Vec<RelId> {
        let own = |id: &RelId| self.p.relation(*id).role == Some(self.role);
        (0..self.p.relations.len()).map(|i| RelId(i as u32)).filter(own).collect()
    }

    /// The relations that lie together: those of one machine.
    fn bundle(&self, rel: RelId) -> Vec<RelId> {
        let parts = |m: &anabranch_dsl::ir::Machine| [m.feed, m.done, m.next, m.save, m.saved, m.load];
        let machine = self.p.machines.iter().map(parts).find(|m| m.contains(&rel));
        machine.map_or_else(|| vec![rel], |m| m.to_vec())
    }

    fn owners(&mut self) {
        let local = self.local();
        let mut open = Vec::new();
        for rel in local {
            if self.statics.contains(&rel) {
                continue;
            }
            let bundle = self.bundle(rel);
            let heads = self
                .rules
                .iter()
                .filter(|(id, _)| local_head(self.p, self.rule(**id)).is_some_and(|h| bundle.contains(&h)));
            let found: BTreeSet<Side> = heads.map(|(_, side)| *side).collect();
            match found.len() {
                0 => open.push(rel),
                1 => {
                    self.relations.insert(rel, *found.first().expect("one side"));
                }
                _ => {
                    self.relations.insert(rel, self.up);
                }
            }
        }
        // Timers before what only they read.
        open.sort_by_key(|rel| !matches!(self.relation(*rel).kind, RelationKind::Timer(_)));
        for rel in open {
            let bundle = self.bundle(rel);
            let mut found = BTreeSet::new();
            for (id, side) in &self.rules {
                let rule = self.rule(*id);
                let reads = |m: &Mention<'_>| bundle.contains(&m.rel);
                if rule.head != Head::Nothing && walk::mentions(rule).iter().any(reads) {
                    found.insert(*side);
                }
            }
            for (timer, side) in &self.relations {
                if walk::timer_mentions(self.p, *timer).iter().any(|m| m.rel == rel) {
                    found.insert(*side);
                }
            }
            let input = matches!(self.relation(rel).kind, RelationKind::Message | RelationKind::Request(_));
            let side = match found.len() {
                _ if self.relayed && input => self.up,
                0 => Side::Stays,
                1 => *found.first().expect("one side"),
                _ => {
                    self.shared.insert(rel);
                    self.up
                }
            };
            self.relations.insert(rel, side);
        }
    }

    /// `on e(..) {}` stays with its event.
    fn empty_blocks(&mut self) {
        let empty: Vec<RuleId> =
            self.rules.keys().copied().filter(|id| self.rule(*id).head == Head::Nothing).collect();
        for id in empty {
            let driver = self.reads(id).into_iter().find(|m| m.drives(self.p));
            if let Some(side) = driver.and_then(|m| self.side(m.rel)) {
                self.rules.insert(id, side);
            }
        }
    }

    fn cross(&mut self) {
        let mut found: BTreeMap<(RelId, Side, Way), Crossing> = BTreeMap::new();
        let mut add = |rel: RelId, to: Side, way: Way, reader: Result<RuleId, RelId>, place: Place| {
            let entry = found.entry((rel, to, way.clone())).or_insert_with(|| Crossing {
                rel,
                way,
                to,
                rules: BTreeSet::new(),
                timers: BTreeSet::new(),
                place,
            });
            match reader {
                Ok(rule) => entry.rules.insert(rule),
                Err(timer) => entry.timers.insert(timer),
            };
        };
        for (id, side) in &self.rules {
            let rule = self.rule(*id);
            if rule.head.relation().is_some_and(|h| self.statics.contains(&h)) {
                continue;
            }
            let foreign = |rel: RelId| self.side(rel).is_some_and(|s| s != *side);
            for literal in &rule.body {
                let inside = self.moving(walk::body_mentions(std::slice::from_ref(literal)));
                if let Some((rel, text)) = self.crossing_join(literal, *side) {
                    add(rel, *side, Way::Join(text), Ok(*id), inside[0].place);
                    continue;
                }
                for m in inside.iter().filter(|m| foreign(m.rel)) {
                    add(m.rel, *side, way(self.p, m), Ok(*id), m.place);
                }
            }
            let in_head = walk::mentions(rule).into_iter().skip(walk::body_mentions(&rule.body).len());
            for m in in_head.filter(|m| foreign(m.rel)) {
                add(m.rel, *side, way(self.p, &m), Ok(*id), m.place);
            }
        }
        for (rel, side) in &self.relations {
            for m in self.timer_reads(*rel) {
                if self.side(m.rel).is_some_and(|s| s != *side) {
                    add(m.rel, *side, Way::Level, Err(*rel), m.place);
                }
            }
        }
        self.crossings = found.into_values().collect();
    }
}

/// In what way a mention of something from the other side crosses; `new (..)` as a whole aside.
pub fn way(p: &Protocol, m: &Mention<'_>) -> Way {
    if p.relation(m.rel).is_event() {
        return Way::Event;
    }
    match (m.form, m.atom) {
        (Form::Atom { version: Version::New, negated: false, joined: false }, Some(atom)) => {
            Way::Edge(atom.args.iter().map(|a| matches!(a, Pattern::Wild(_))).collect())
        }
        _ => Way::Level,
    }
}

/// The relation of the role itself that a rule writes.
pub fn local_head(p: &Protocol, rule: &Rule) -> Option<RelId> {
    match &rule.head {
        Head::Now { rel, .. } | Head::Next { rel, .. } | Head::Delete { rel, .. } => {
            Some(*rel).filter(|r| p.relation(*r).role == Some(rule.role))
        }
        _ => None,
    }
}

fn role_named(p: &Protocol, cut: &Cut) -> Result<RoleId, Against> {
    let found = p.roles.iter().position(|r| r.name == cut.role);
    let Some(role) = found else {
        let roles: Vec<&str> = p.roles.iter().map(|r| r.name.as_str()).collect();
        return Err(Against::new("cut", p.place, format!("there is no role `{}`", cut.role))
            .help(format!("the roles are {}", roles.join(", "))));
    };
    let role = RoleId(role as u32);
    if p.role(role).partitioned {
        return Err(Against::new(
            "cut",
            p.role(role).place,
            format!("`{}` is partitioned already", cut.role),
        )
        .help("split a role first, then partition its parts"));
    }
    if p.role(role).held {
        let message = format!("`{}` is held: what it sends waits for its stream", cut.role);
        return Err(Against::new("cut", p.role(role).place, message)
            .help("split off what may be split off before the asymmetric step"));
    }
    if p.role(role).sequencer {
        let message = format!("`{}` is a sequencer: its steps are one order", cut.role);
        return Err(Against::new("cut", p.role(role).place, message)
            .help("split a role first, then partition its parts"));
    }
    Ok(role)
}

fn moved_rules(p: &Protocol, role: RoleId, cut: &Cut) -> Result<BTreeSet<RuleId>, Against> {
    let mut moved = BTreeSet::new();
    for wanted in &cut.heads {
        let named = |rel: RelId| {
            let name = &p.relation(rel).name;
            *name == wanted.head || name.split('.').next() == Some(&wanted.head)
        };
        let all: Vec<RuleId> = ids(p)
            .filter(|id| p.rules[id.index()].role == role)
            .filter(|id| p.rules[id.index()].head.relation().is_some_and(named))
            .collect();
        let found = match wanted.rule {
            None => all.clone(),
            Some(n) => all.get(n).copied().into_iter().collect(),
        };
        if found.is_empty() {
            let message = match wanted.rule {
                Some(n) if !all.is_empty() => {
                    format!(
                        "`{}` has {} rules in `{}`, so there is no `#{n}`",
                        wanted.head,
                        all.len(),
                        cut.role
                    )
                }
                _ => format!("no rule of `{}` has the head `{}`", cut.role, wanted.head),
            };
            return Err(Against::new("cut", p.role(role).place, message).help(
                "a head is a relation of the role, a message that it sends, or a request that it answers",
            ));
        }
        moved.extend(found);
    }
    if moved.is_empty() {
        return Err(Against::new("cut", p.role(role).place, "nothing moves").help("name the heads that move"));
    }
    Ok(moved)
}

/// Relations that never change.
pub fn statics(p: &Protocol) -> BTreeSet<RelId> {
    let mut out = BTreeSet::new();
    let all: Vec<RelId> = (0..p.relations.len()).map(|i| RelId(i as u32)).collect();
    for rel in &all {
        let fixed = match p.relation(*rel).kind {
            RelationKind::Instances(_) => true,
            RelationKind::Var(_) => walk::writers(p, *rel).is_empty(),
            _ => false,
        };
        if fixed {
            out.insert(*rel);
        }
    }
    loop {
        let more: Vec<RelId> = all
            .iter()
            .copied()
            .filter(|rel| !out.contains(rel) && matches!(p.relation(*rel).kind, RelationKind::View))
            .filter(|rel| {
                let rules = walk::writers(p, *rel);
                let fixed =
                    |id: &RuleId| walk::mentions(&p.rules[id.index()]).iter().all(|m| out.contains(&m.rel));
                !rules.is_empty() && rules.iter().all(fixed)
            })
            .collect();
        if more.is_empty() {
            return out;
        }
        out.extend(more);
    }
}

/// Tables that nothing reads, without key and deletion.
fn unread(p: &Protocol, role: RoleId) -> BTreeSet<RelId> {
    let all = (0..p.relations.len()).map(|i| RelId(i as u32));
    all.filter(|rel| {
        let relation = p.relation(*rel);
        let written = walk::writers(p, *rel);
        matches!(relation.kind, RelationKind::Table)
            && relation.role == Some(role)
            && relation.key.is_none()
            && !written.is_empty()
            && !written.iter().any(|id| matches!(p.rules[id.index()].head, Head::Delete { .. }))
            && walk::readers(p, *rel).is_empty()
            && walk::timers_on(p, *rel).is_empty()
            && !walk::observed(p, *rel)
    })
    .collect()
}
