//! A plan where none is given: split off what may be split off, partition what may be partitioned by the finest key.
//!
//! The strategy is simple and looks at nothing but the rules:
//!
//! 1. Role by role, in order of declaration, try to move *single outputs*: a message or the answers to a request, and
//!    the whole of what only they need, by [`independent`](mod@crate::independent), then
//!    [`functional`](mod@crate::functional), then [`monotone`](mod@crate::monotone). Outputs that depend on the same event
//!    move together, so that it crosses once. A part must take work with it, so outputs to one receiver stay: moving
//!    those would cost a message to save one.
//! 2. Every role is then partitioned by its finest key, if it has one.
//!
//! It knows no costs. An optimizer that does would also make a [`Plan`].

use super::{Plan, Rewrite, Size, Step, carry_out};
use crate::{Cut, Moved, cohash};
use anabranch_dsl::ir::{Expr, Head, Literal, Protocol, RelationKind, RoleId, Rule};
use std::collections::BTreeMap;

/// How many partitions the emitted deployment gives a role that can be partitioned.
pub const PARTITIONS: u32 = 3;
/// How many instances it gives to roles that take no requests.
pub const INSTANCES: u32 = 3;

/// Chooses a plan.
pub fn choose(base: &Protocol) -> Plan {
    let mut plan =
        Plan { protocol: Some(base.name.clone()), name: format!("{}_scaled", base.name), ..Plan::default() };
    let mut p = base.clone();
    let whole = p.roles.len();
    for n in 0..whole {
        split_off(&mut p, RoleId(n as u32), &mut plan);
    }
    for n in 0..p.roles.len() {
        partition(&mut p, RoleId(n as u32), &mut plan);
    }
    sizes(&p, &mut plan);
    plan
}

fn take(p: &mut Protocol, plan: &mut Plan, rewrite: Rewrite) -> bool {
    let Ok(rewritten) = carry_out(p, &rewrite) else { return false };
    *p = rewritten.protocol;
    plan.steps.push(Step { rewrite, place: 0..0 });
    true
}

/// Moves groups of outputs out of a role, for as long as any may go.
fn split_off(p: &mut Protocol, role: RoleId, plan: &mut Plan) {
    let name = p.role(role).name.clone();
    let mut tried: Vec<Vec<Moved>> = Vec::new();
    while let Some(group) = groups(p, role).into_iter().find(|g| !tried.contains(g)) {
        tried.push(group.clone());
        let part = fresh(p, &format!("{name}_{}", group[0].head));
        let cut = Cut { role: name.clone(), part, heads: group, force: false };
        let ways = [
            Rewrite::Independent as fn(Cut) -> Rewrite,
            Rewrite::Functional,
            Rewrite::Monotone,
            Rewrite::Echo,
        ];
        for way in ways {
            if take(p, plan, way(cut.clone())) {
                break;
            }
        }
    }
}

/// The outputs of a role that hang on one event each and reach several receivers, with what else hangs on that event.
fn groups(p: &Protocol, role: RoleId) -> Vec<Vec<Moved>> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut by_event: BTreeMap<String, (bool, Vec<Moved>)> = BTreeMap::new();
    for (_, rule) in p.rules_of(role) {
        let Some(rel) = outgoing(rule) else { continue };
        let head = p.relation(rel).name.clone();
        let n = counts.entry(head.clone()).or_default();
        let moved = Moved { head, rule: Some(*n) };
        *n += 1;
        let Some(event) = only_event(p, rule) else { continue };
        let group = by_event.entry(event).or_default();
        group.0 |= broadcasts(p, rule);
        group.1.push(moved);
    }
    let mut groups: Vec<Vec<Moved>> =
        by_event.into_values().filter(|(wide, _)| *wide).map(|(_, g)| g).collect();
    for group in &mut groups {
        // A head all of whose rules move needs no number.
        for moved in group.iter_mut() {
            if counts[&moved.head] == 1 {
                moved.rule = None;
            }
        }
    }
    groups
}

fn outgoing(rule: &Rule) -> Option<anabranch_dsl::ir::RelId> {
    match &rule.head {
        Head::Send { rel, .. } | Head::Reply { rel, .. } | Head::Refuse { rel, .. } => Some(*rel),
        _ => None,
    }
}

/// The one derived event that a rule reads besides static relations.
fn only_event(p: &Protocol, rule: &Rule) -> Option<String> {
    let mut found = None;
    for literal in &rule.body {
        match literal {
            Literal::Atom(atom) => {
                let relation = p.relation(atom.rel);
                match relation.kind {
                    RelationKind::Instances(_) if !atom.negated => {}
                    RelationKind::Event if !atom.negated && found.is_none() => {
                        found = Some(relation.name.clone())
                    }
                    _ => return None,
                }
            }
            Literal::NewJoin(..) => return None,
            Literal::If(_) | Literal::Let(..) | Literal::For(..) => {}
        }
    }
    found
}

/// Whether a rule sends to all instances of a role.
fn broadcasts(p: &Protocol, rule: &Rule) -> bool {
    let Head::Send { to: Expr { var: Some(to), .. }, .. } = &rule.head else { return false };
    rule.body.iter().any(|literal| match literal {
        Literal::Atom(atom) => {
            matches!(p.relation(atom.rel).kind, RelationKind::Instances(_))
                && matches!(&atom.args[..], [anabranch_dsl::ir::Pattern::Var(v)] if v.name == *to)
        }
        _ => false,
    })
}

fn fresh(p: &Protocol, name: &str) -> String {
    let taken = |name: &str| {
        p.roles.iter().any(|r| r.name == name)
            || p.relations.iter().any(|r| r.name == name)
            || p.params.iter().any(|q| q.name == name)
            || p.aliases.iter().any(|a| a.name == name)
    };
    let mut all = std::iter::once(name.to_owned()).chain((2..).map(|n| format!("{name}{n}")));
    all.find(|n| !taken(n)).expect("names do not run out")
}

/// Partitions a role by the finest key that it may be partitioned by.
fn partition(p: &mut Protocol, role: RoleId, plan: &mut Plan) {
    let name = p.role(role).name.clone();
    let found = cohash::find_keys(p, role).into_iter().find(|key| key.verdict.is_ok());
    if let Some(candidate) = found {
        let rewrite = Rewrite::Cohash { role: name.clone(), key: candidate.key };
        if take(p, plan, rewrite) {
            plan.roles.entry(name).or_default().partitions = Some(PARTITIONS);
        }
    }
}

/// A deployment to try it on: one instance of what clients call, several of the rest.
fn sizes(p: &Protocol, plan: &mut Plan) {
    for (n, role) in p.roles.iter().enumerate().filter(|(_, r)| r.part_of.is_none()) {
        let asked = p.relations.iter().any(|r| {
            matches!(r.kind, RelationKind::Request(_)) && r.role.is_some_and(|to| p.family(to).index() == n)
        });
        let size: &mut Size = plan.roles.entry(role.name.clone()).or_default();
        size.instances = Some(if asked { 1 } else { INSTANCES });
    }
}
