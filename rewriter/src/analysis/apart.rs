//! Which deliveries concern different keys, all through a protocol: then no order of theirs matters.
//!
//! Co-hashing shows of one role that rules only bring together what is routed alike. If that holds of every role, and
//! messages are routed like what the rule read that sends them, then a protocol is as many protocols as there
//! are keys, which share nothing but their nodes: a delivery neither reads nor writes what one of another key does,
//! and leads to no message of another key. Searches need not try both orders of two such deliveries, at one node or at
//! two.
//!
//! **Items**, beyond those of [co-hashing](crate::cohash) for each role:
//! - `column`: inputs are routed by a column, not by an expression or to all partitions;
//! - `carried`: messages are routed like what the rule read, `forget` rules included, and so are answers if requests are
//!   redirected. (Else answers need not be, since nobody but the client sees them; whoever reckons with clients that ask
//!   again must not divide those.)
//! - `asked`: what an invariant reads has one key, so that whether it holds can be told for each key alone.
//!
//! Omitted: roles that are partitioned already (their partitions are nodes of their own).

use super::against::Against;
use crate::cohash::{find_keys, uses::Scope, uses::Uses};
use crate::keys::{Read, Term};
use crate::routing::{Routings, is_input};
use anabranch_dsl::ir::{
    Head, Invariant, Literal, Pattern, Protocol, RelId, Relation, RoleId, Routing, Rule,
};
use std::collections::{BTreeMap, BTreeSet};

/// How many ways to choose one key for each role are tried.
const TRIES: usize = 64;

/// By relation, the column whose routing value is the key: of all messages and requests, and of the state that has one.
pub type Apart = BTreeMap<RelId, usize>;

/// The keys that divide a protocol, or what keeps it together.
pub fn apart(p: &Protocol) -> Result<Apart, Against> {
    let mut choices: Vec<Vec<Apart>> = Vec::new();
    for role in (0..p.roles.len() as u32).map(RoleId) {
        let mut first = None;
        let mut found = Vec::new();
        for candidate in find_keys(p, role) {
            match candidate.verdict {
                Ok(_) => found.extend(columns(p, role, &candidate.routings)),
                Err(refusal) => drop(first.get_or_insert(refusal)),
            }
        }
        if found.is_empty() {
            let role = p.role(role);
            let why = first.map_or("nothing to route by".to_string(), |r| r.diagnostic.message.clone());
            let message = format!("`{}` has no key: {why}", role.name);
            return Err(Against::new("column", role.place, message));
        }
        choices.push(found);
    }
    let all: usize = choices.iter().map(Vec::len).product();
    let mut first = None;
    for number in 0..all.min(TRIES) {
        let mut rest = number;
        let mut keys = Apart::new();
        for of in &choices {
            keys.extend(of[rest % of.len()].clone());
            rest /= of.len();
        }
        match whole(p, &mut keys) {
            Ok(()) => return Ok(keys),
            Err(against) => drop(first.get_or_insert(against)),
        }
    }
    Err(first.expect("a protocol has a role, and each has a choice"))
}

/// The columns that a role's relations are routed by. `None` if an input is routed otherwise.
fn columns(p: &Protocol, role: RoleId, routings: &Routings) -> Option<Apart> {
    let mut keys = Apart::new();
    for (rel, relation) in own(p, role) {
        let column = match routings.0.get(&rel) {
            Some(Routing::By(e)) => {
                e.var.as_ref().and_then(|v| relation.columns.iter().position(|c| c.name == *v))
            }
            _ => None,
        };
        match column {
            Some(column) => drop(keys.insert(rel, column)),
            None if is_input(relation) || routings.0.contains_key(&rel) => return None,
            None => {}
        }
    }
    Some(keys)
}

fn own(p: &Protocol, role: RoleId) -> impl Iterator<Item = (RelId, &Relation)> {
    let all = p.relations.iter().enumerate();
    all.filter(move |(_, r)| r.role == Some(role)).map(|(i, r)| (RelId(i as u32), r))
}

/// Whether what leaves rules keeps the key, and invariants ask of one at a time.
fn whole(p: &Protocol, keys: &mut Apart) -> Result<(), Against> {
    let mut all: Vec<Uses<'_>> = (0..p.roles.len() as u32).map(|r| Uses::of(p, RoleId(r))).collect();
    spread(p, keys, &mut all);
    for uses in &mut all {
        let same = uses.same.clone();
        for scope in &mut uses.scopes {
            carried(p, keys, &same, scope)?;
        }
    }
    for invariant in &p.invariants {
        asked(p, keys, &mut all, invariant)?;
    }
    Ok(())
}

/// Finds the key in what co-hashing needs no place for: events that stand alone in rules, and tables that nobody reads.
fn spread(p: &Protocol, keys: &mut Apart, all: &mut [Uses<'_>]) {
    loop {
        let before = keys.len();
        for uses in &mut *all {
            let open: Vec<RelId> =
                uses.own().filter(|r| !keys.contains_key(r) && !uses.same.contains(r)).collect();
            for rel in open {
                let written_at_all = uses.scopes.iter().any(|s| s.writes == Some(rel));
                let mut columns = 0..p.relation(rel).columns.len();
                let found = columns.find(|i| written_at_all && written(keys, uses, rel, *i));
                keys.extend(found.map(|column| (rel, column)));
            }
        }
        if keys.len() == before {
            return;
        }
    }
}

/// The key of what a scope reads.
fn met(keys: &Apart, same: &BTreeSet<RelId>, reads: &[Read]) -> Option<Term> {
    let routed = |r: &Read| (!same.contains(&r.rel)).then(|| keys.get(&r.rel).map(|c| r.columns[*c]))?;
    reads.iter().find_map(routed)
}

fn carried(p: &Protocol, keys: &Apart, same: &BTreeSet<RelId>, scope: &mut Scope<'_>) -> Result<(), Against> {
    let reads = scope.closure.reads.clone();
    let met = met(keys, same, &reads);
    for read in reads.iter().filter(|r| !same.contains(&r.rel)) {
        // What has no key stands alone in its rule, or in a `forget` rule.
        let alike = match (keys.get(&read.rel), met) {
            (Some(column), Some(met)) => scope.closure.routed_alike(read.columns[*column], met),
            _ => reads.iter().filter(|r| !same.contains(&r.rel)).count() == 1,
        };
        if !alike {
            let message = format!("`{}` may have another key than what it meets", p.relation(read.rel).name);
            return Err(Against::new("carried", read.place, message));
        }
    }
    let Some((_, rule)) = scope.rule else { return Ok(()) };
    // An answer and a redirection of one request do not commute.
    let redirects = p.rules.iter().any(|rule| matches!(rule.head, Head::Redirect { .. }));
    let leaves = match &rule.head {
        Head::Send { rel, .. } => keys.get(rel).map(|c| (scope.closure.head[*c], p.relation(*rel))),
        Head::Reply { .. } | Head::Refuse { .. } if met.is_some() && !redirects => return Ok(()),
        Head::Reply { rel, .. } | Head::Refuse { rel, .. } | Head::Redirect { rel, .. } => {
            Some((scope.closure.head[0], p.relation(*rel)))
        }
        Head::Now { .. } | Head::Next { .. } | Head::Delete { .. } | Head::Nothing => return Ok(()),
    };
    let against = |what: &str| {
        Err(Against::new("carried", rule.place, format!("{what} may have another key than what is read")))
    };
    match (leaves, met) {
        (Some((Some(term), relation)), Some(met)) if !scope.closure.routed_alike(term, met) => {
            against(&format!("what is said of `{}`", relation.name))
        }
        (Some((Some(_), _)), Some(_)) => Ok(()),
        _ => against("what leaves"),
    }
}

/// An invariant whose atoms over state have a variable in common, each in a column that holds the key.
fn asked(p: &Protocol, keys: &Apart, all: &mut [Uses<'_>], invariant: &Invariant) -> Result<(), Against> {
    let against = |message: String| Err(Against::new("asked", invariant.place, message));
    let mut common: Option<BTreeSet<String>> = None;
    for literal in &invariant.body {
        let (atom, exprs) = match literal {
            Literal::Atom(atom) => (Some(atom), Vec::new()),
            Literal::If(e) | Literal::Let(_, e) | Literal::For(_, e) => (None, vec![e]),
            Literal::NewJoin(..) => return against(format!("`{}` asks for an edge", invariant.name)),
        };
        if exprs.iter().any(|e| !e.holes.is_empty()) {
            return against(format!("`{}` looks something up", invariant.name));
        }
        let Some(atom) = atom else { continue };
        let relation = p.relation(atom.rel);
        let Some(role) = relation.role else { continue };
        if all[role.index()].same.contains(&atom.rel) {
            continue;
        }
        let uses = &mut all[role.index()];
        let fit = |i: &usize| keys.get(&atom.rel) == Some(i) || written(keys, uses, atom.rel, *i);
        let named = |i: usize| match &atom.args[i] {
            Pattern::Var(v) => Some(v.name.clone()),
            _ => None,
        };
        let mine: BTreeSet<String> = (0..atom.args.len()).filter(fit).filter_map(named).collect();
        common = Some(match common {
            None => mine,
            Some(before) => before.intersection(&mine).cloned().collect(),
        });
    }
    match common {
        None => Ok(()),
        Some(names) if names.is_empty() => {
            against(format!("`{}` asks about several keys at once", invariant.name))
        }
        Some(_) => Ok(()),
    }
}

/// Whether a column of a relation without a routing always holds the key of what wrote the row.
fn written(keys: &Apart, uses: &mut Uses<'_>, rel: RelId, column: usize) -> bool {
    let same = uses.same.clone();
    uses.scopes.iter_mut().filter(|s| s.writes == Some(rel)).all(|scope| {
        let reads = scope.closure.reads.clone();
        let deletes = matches!(scope.rule, Some((_, Rule { head: Head::Delete { .. }, .. })));
        match (met(keys, &same, &reads), scope.closure.head.get(column).copied().flatten()) {
            (Some(met), Some(term)) => !deletes && scope.closure.routed_alike(term, met),
            _ => false,
        }
    })
}
