//! Candidate cuts of a role, and what every decoupling says of them.
//!
//! Not all subsets: a cut worth looking at follows the role's dependencies. For everything that rules read there are
//! what depends on it, with and without itself, and the messages and answers that it alone makes happen; besides, each
//! message by itself and the parts of the role that share nothing. That is at most four cuts for each relation, in an
//! order that depends on the protocol alone.

use crate::analysis::{local_head, sides, walk};
use crate::cut::{Cut, Moved};
use crate::plan::Rewrite;
use crate::verdict::Outcome;
use anabranch_dsl::ir::{Head, Protocol, RelId, RelationKind, RoleId, RuleId};
use std::collections::{BTreeMap, BTreeSet};

/// What a decoupling makes of a cut.
pub type Decoupling = fn(&Protocol, &Cut) -> Outcome;

/// The step of a plan that a decoupling of a cut is.
pub type AsStep = fn(Cut) -> Rewrite;

/// All decouplings that take a cut, those that ask least of a deployment first: by name, what they do, and as a step
/// of a plan. Plan files, `explain` and the choice of a plan go by this list.
pub const DECOUPLINGS: &[(&str, Decoupling, AsStep)] = &[
    (crate::independent::NAME, crate::independent::independent, Rewrite::Independent),
    (crate::functional::NAME, crate::functional::functional, Rewrite::Functional),
    (crate::monotone::NAME, crate::monotone::monotone, Rewrite::Monotone),
    (crate::echo::NAME, crate::echo::echo, Rewrite::Echo),
    (crate::state_machine::NAME, crate::state_machine::state_machine, Rewrite::StateMachine),
    (
        crate::asymmetric::NAME,
        |p, cut| crate::asymmetric::asymmetric(p, cut, true),
        |cut| Rewrite::Asymmetric { cut, general: true },
    ),
];

/// The step that a decoupling of this name makes of a cut.
pub fn step(name: &str, cut: Cut) -> Option<Rewrite> {
    DECOUPLINGS.iter().find(|(known, ..)| *known == name).map(|(.., step)| step(cut))
}

/// A cut and what each decoupling says of it.
#[derive(Clone, Debug)]
pub struct Explained {
    /// The cut, under a made-up name for the part.
    pub cut: Cut,
    /// By decoupling, in the order of [`DECOUPLINGS`].
    pub verdicts: Vec<(&'static str, Outcome)>,
}

impl Explained {
    /// The first decoupling that fires.
    pub fn fires(&self) -> Option<(&'static str, &crate::Rewritten)> {
        self.verdicts.iter().find_map(|(name, outcome)| Some((*name, outcome.as_ref().ok()?)))
    }
}

/// What can be split off a role, and why the rest cannot.
pub fn explain_role(p: &Protocol, role: &str) -> Vec<Explained> {
    let explain = |cut: Cut| {
        let verdicts = DECOUPLINGS.iter().map(|(name, f, _)| (*name, f(p, &cut))).collect();
        Explained { cut, verdicts }
    };
    cuts(p, role).into_iter().map(explain).collect()
}

/// The candidate cuts of a role; none if there is no such role.
pub fn cuts(p: &Protocol, role: &str) -> Vec<Cut> {
    let Some(id) = p.roles.iter().position(|r| r.name == role).map(|i| RoleId(i as u32)) else {
        return Vec::new();
    };
    let graph = Graph::of(p, id);
    let mut found: Vec<(String, BTreeSet<RuleId>)> = Vec::new();
    for rel in &graph.read {
        let name = p.relation(*rel).name.replace('.', "_");
        let reads: BTreeSet<RuleId> = graph.readers(*rel).collect();
        let leaves: BTreeSet<RuleId> =
            reads.iter().copied().filter(|id| graph.leaves.contains(id) && graph.driven(*id, *rel)).collect();
        found.push((name.clone(), leaves));
        found.push((name.clone(), graph.closed(reads.clone())));
        let own: BTreeSet<RuleId> = graph.writers(*rel).collect();
        if !own.is_empty() {
            found.push((name, graph.closed(reads.union(&own).copied().collect())));
        }
    }
    let mut heads: BTreeMap<RelId, BTreeSet<RuleId>> = BTreeMap::new();
    for id in &graph.leaves {
        heads.entry(graph.head(*id)).or_default().insert(*id);
    }
    found.extend(heads.into_iter().map(|(rel, rules)| (p.relation(rel).name.clone(), rules)));
    found.extend(graph.components().into_iter().map(|rules| {
        let first = rules
            .first()
            .map(|id| graph.head(*id))
            .map_or(String::new(), |r| p.relation(r).name.replace('.', "_"));
        (first, rules)
    }));

    let mut seen = BTreeSet::new();
    let mut out = Vec::new();
    for (name, rules) in found {
        let whole =
            graph.rules.iter().all(|id| rules.contains(id) || p.rules[id.index()].head == Head::Nothing);
        if rules.is_empty() || whole || !seen.insert(rules.clone()) {
            continue;
        }
        out.push((rules.len(), name, graph.moved(&rules)));
    }
    out.sort();
    let mut taken = crate::split::names(p);
    let mut cuts = Vec::new();
    for (_, name, heads) in out {
        let part = crate::split::fresh(&mut taken, &format!("{role}_{name}"));
        cuts.push(Cut { role: role.to_string(), part, heads, force: false });
    }
    cuts
}

/// A role's rules and what they read.
struct Graph<'p> {
    p: &'p Protocol,
    rules: Vec<RuleId>,
    /// What rules read, by rule; timers stand for what their rows read as well.
    reads: BTreeMap<RuleId, BTreeSet<RelId>>,
    /// Everything that is read and can change.
    read: BTreeSet<RelId>,
    /// Rules that send or answer.
    leaves: BTreeSet<RuleId>,
}

impl<'p> Graph<'p> {
    fn of(p: &'p Protocol, role: RoleId) -> Graph<'p> {
        let statics = sides::statics(p);
        let rules: Vec<RuleId> = p.rules_of(role).map(|(id, _)| id).collect();
        let mut reads = BTreeMap::new();
        let mut read = BTreeSet::new();
        for id in &rules {
            let mut mine: BTreeSet<RelId> = walk::mentions(&p.rules[id.index()])
                .iter()
                .map(|m| m.rel)
                .filter(|r| !statics.contains(r))
                .collect();
            for timer in mine.clone() {
                mine.extend(
                    walk::timer_mentions(p, timer).iter().map(|m| m.rel).filter(|r| !statics.contains(r)),
                );
            }
            read.extend(mine.iter().copied());
            reads.insert(*id, mine);
        }
        let leaf = |id: &RuleId| {
            let rule = &p.rules[id.index()];
            local_head(p, rule).is_none() && rule.head != Head::Nothing
        };
        let leaves = rules.iter().copied().filter(leaf).collect();
        Graph { p, rules, reads, read, leaves }
    }

    fn head(&self, id: RuleId) -> RelId {
        let rule = &self.p.rules[id.index()];
        rule.head.relation().unwrap_or_else(|| self.p.role(rule.role).relation)
    }
    fn readers(&self, rel: RelId) -> impl Iterator<Item = RuleId> {
        let empty = |id: &RuleId| self.p.rules[id.index()].head == Head::Nothing;
        self.rules.iter().copied().filter(move |id| self.reads[id].contains(&rel) && !empty(id))
    }
    /// The rules of a relation, or of a machine.
    fn writers(&self, rel: RelId) -> impl Iterator<Item = RuleId> {
        let machine = |r: RelId| match self.p.relation(r).kind {
            RelationKind::MachineFeed(m)
            | RelationKind::MachineDone(m)
            | RelationKind::MachineNext(m)
            | RelationKind::MachineSave(m)
            | RelationKind::MachineSaved(m)
            | RelationKind::MachineLoad(m) => Some(m),
            _ => None,
        };
        self.rules.iter().copied().filter(move |id| {
            local_head(self.p, &self.p.rules[id.index()])
                .is_some_and(|h| h == rel || (machine(h).is_some() && machine(h) == machine(rel)))
        })
    }
    /// Whether a relation is the only event of a rule.
    fn driven(&self, id: RuleId, rel: RelId) -> bool {
        let all = walk::mentions(&self.p.rules[id.index()]);
        let mut drivers = all.iter().filter(|m| m.drives(self.p)).map(|m| m.rel);
        drivers.all(|r| r == rel)
    }

    /// With all that depends on the rules, and all rules of their heads.
    fn closed(&self, start: BTreeSet<RuleId>) -> BTreeSet<RuleId> {
        let mut out = BTreeSet::new();
        let mut todo: Vec<RuleId> = start.into_iter().collect();
        while let Some(id) = todo.pop() {
            if !out.insert(id) {
                continue;
            }
            let Some(head) = local_head(self.p, &self.p.rules[id.index()]) else { continue };
            todo.extend(self.writers(head));
            let machine = self.p.machines.iter().find(|m| [m.feed, m.save, m.load].contains(&head));
            let outputs = machine.map_or_else(|| vec![head], |m| vec![m.done, m.next, m.saved]);
            todo.extend(outputs.into_iter().flat_map(|r| self.readers(r)));
        }
        out
    }

    /// The groups of rules that share no relation.
    fn components(&self) -> Vec<BTreeSet<RuleId>> {
        let mut open: BTreeSet<RuleId> = self.rules.iter().copied().collect();
        let touches = |id: &RuleId| -> BTreeSet<RelId> {
            let mut all = self.reads[id].clone();
            let head = local_head(self.p, &self.p.rules[id.index()]);
            all.extend(head);
            all
        };
        let mut out = Vec::new();
        while let Some(first) = open.pop_first() {
            let mut group = BTreeSet::from([first]);
            let mut relations = touches(&first);
            loop {
                let near: Vec<RuleId> =
                    open.iter().copied().filter(|id| !touches(id).is_disjoint(&relations)).collect();
                if near.is_empty() {
                    break;
                }
                for id in near {
                    open.remove(&id);
                    relations.extend(touches(&id));
                    group.insert(id);
                }
            }
            out.push(group);
        }
        if out.len() > 1 { out } else { Vec::new() }
    }

    /// The heads of rules, single ones only where others with the same head are left behind.
    fn moved(&self, rules: &BTreeSet<RuleId>) -> Vec<Moved> {
        let mut heads: BTreeMap<String, (BTreeSet<usize>, usize)> = BTreeMap::new();
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for id in &self.rules {
            let rule = &self.p.rules[id.index()];
            let Some(rel) = rule.head.relation() else { continue };
            let full = &self.p.relation(rel).name;
            let name = full.split('.').next().unwrap_or(full).to_string();
            let n = counts.entry(name.clone()).or_default();
            let entry = heads.entry(name).or_default();
            if rules.contains(id) {
                entry.0.insert(*n);
            }
            *n += 1;
            entry.1 = *n;
        }
        let mut out = Vec::new();
        for (head, (found, all)) in heads {
            if found.is_empty() {
                continue;
            }
            if found.len() == all {
                out.push(Moved { head, rule: None });
            } else {
                out.extend(found.into_iter().map(|n| Moved { head: head.clone(), rule: Some(n) }));
            }
        }
        out
    }
}
