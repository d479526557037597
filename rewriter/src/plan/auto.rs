//! A plan where none is given: split off what lightens a role, partition what may be partitioned by the finest key.
//!
//! The strategy is simple and looks at nothing but the rules:
//!
//! 1. Role by role, in order of declaration, the candidate [`cuts`](mod@crate::cuts) and groups of outputs that hang on one
//!    event are tried, those that take most off the role first: messages sent and taken and functions called for a
//!    request, less what must cross ([`traffic`](super::traffic)). What takes nothing off stays. The first that a decoupling
//!    admits is carried out, and the rest looked at again. Streams of whole ticks ([`mod@crate::state_machine`]) cost
//!    more than single facts and bind the part to one node: they are tried last, on roles that have no key.
//!    The asymmetric rewrite, under which answers wait for acknowledgements, is left to those who write plans.
//! 2. Every role is then partitioned by its finest key, if it has one; if co-hashing refuses all, with a sequencer.
//!
//! It knows no costs. An optimizer that does would also make a [`Plan`].

use super::traffic::{Traffic, asked, broadcasts};
use super::{Plan, Rewrite, Size, Step, carry_out};
use crate::cuts::{self, DECOUPLINGS};
use crate::split::{fresh, names};
use crate::{Cut, Moved, asymmetric, cohash, explain, state_machine};
use anabranch_dsl::ir::{Head, Literal, Protocol, RelationKind, RoleId, Rule};
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

/// Splits off a role whatever lightens it, for as long as anything does.
fn split_off(p: &mut Protocol, role: RoleId, plan: &mut Plan) {
    let streams = |name: &str| name == state_machine::NAME;
    let waits = |name: &str| name == asymmetric::NAME;
    while split_once(p, role, plan, |name| !streams(name) && !waits(name)) {}
    if !cohash::find_keys(p, role).iter().any(|key| key.verdict.is_ok()) {
        while split_once(p, role, plan, streams) {}
    }
}

/// The first cut that some of these decouplings admit, those that take most off the role first.
fn split_once(p: &mut Protocol, role: RoleId, plan: &mut Plan, by: impl Fn(&str) -> bool) -> bool {
    let name = p.role(role).name.clone();
    let traffic = Traffic::of(p);
    let single = groups(p, role).into_iter().map(|heads| {
        let part = fresh(&mut names(p), &format!("{name}_{}", heads[0].head));
        Cut { role: name.clone(), part, heads, force: false }
    });
    // Of equals the smaller: `cuts` gives those first.
    let all = single.chain(cuts::cuts(p, &name));
    let mut found: Vec<(i64, Cut)> = all.map(|cut| (traffic.saving(&cut), cut)).collect();
    found.retain(|(saving, _)| *saving > 0);
    found.sort_by_key(|(saving, _)| -saving);
    for (_, mut cut) in found {
        cut.part = fresh(&mut names(p), stem(&cut.part));
        for (_, _, step) in DECOUPLINGS.iter().filter(|(name, ..)| by(name)) {
            if take(p, plan, step(cut.clone())) {
                return true;
            }
        }
    }
    false
}

/// A candidate's name without the number that tells it from other candidates.
fn stem(part: &str) -> &str {
    let number = |tail: &str| tail.bytes().all(|b| b.is_ascii_digit());
    part.rsplit_once('_').filter(|(_, tail)| number(tail)).map_or(part, |(stem, _)| stem)
}

/// The outputs of a role that hang on one event each, with what else hangs on that event, if any reaches several
/// receivers.
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

/// Partitions a role by the finest key that it may be partitioned by.
fn partition(p: &mut Protocol, role: RoleId, plan: &mut Plan) {
    let name = p.role(role).name.clone();
    let found = cohash::find_keys(p, role);
    let whole = found.iter().filter(|c| c.verdict.is_ok()).map(|c| c.key.clone()).next();
    let keys = found.into_iter().flat_map(|c| [c.key].into_iter().chain(c.also));
    let done = match whole {
        Some(key) => take(p, plan, Rewrite::Cohash { role: name.clone(), key }),
        None => {
            let sequencer = explain::sequencer(p, &name);
            let mut ways =
                keys.map(|key| Rewrite::Partial { role: name.clone(), key, sequencer: sequencer.clone() });
            ways.any(|way| take(p, plan, way))
        }
    };
    if done {
        plan.roles.entry(name).or_default().partitions = Some(PARTITIONS);
    }
}

/// A deployment to try it on: one instance of what clients call, several of the rest.
fn sizes(p: &Protocol, plan: &mut Plan) {
    for (n, role) in p.roles.iter().enumerate().filter(|(_, r)| r.part_of.is_none()) {
        let size: &mut Size = plan.roles.entry(role.name.clone()).or_default();
        size.instances = Some(if asked(p, RoleId(n as u32)) { 1 } else { INSTANCES });
    }
}
