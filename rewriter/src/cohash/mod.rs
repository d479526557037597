//! Partitioning by co-hashing: an instance of a role becomes several nodes, and everything that ever meets in a rule
//! meets in one of them, since it is routed by the same key.
//!
//! **Precondition** (items as refusals name them):
//! - `agree`: atoms that meet in a rule, negated ones and look-ups included, are routed alike in every binding. What
//!   is the same in every partition need not be: instances of roles, replicated tables, what follows from such alone.
//!   Events of `forget` rules neither, since those may see them late or never.
//! - `timer`: timers carry the key, and route as their `while` does.
//! - `head`: a local head is routed like its body, deletions included, whose key is no `_`.
//! - `same`: a rule whose body holds in every partition neither sends, nor writes what is routed, nor waits for an edge.
//! - `group`: groups of aggregates, `choose` and `index` determine the key.
//! - `needs`: what is joined, negated, aggregated, read under `new`, keyed or merging has a routing, and so has what
//!   is deleted from if invariants read it; `value`: over columns of the key. Unread tables, and events that stand
//!   alone in their rules, need none: senders then take the first column.
//! - `all`: only `forget` rules read what is sent to all partitions.
//! - `machine`, `start`, `clock`: there is none of these; `ends`: no macro-step is seen to run for ever.
//! - `ordered`: streams in and out keep their order where it matters; see [`ordered`].
//! - `once`: the role is neither partitioned yet nor a sequencer.
//!
//! **Why it is right.** Partition ticks, in the order of real time, are ticks of the original: a tick of one partition
//! finds there all the rows that the original's tick would join with its events, and none that it would not. No step
//! moves, so replies keep their order. Ids drawn by `unique()` carry the routing value of what drew them. An invariant
//! reads the union of the partitions' rows, which is the original's state.
//!
//! **Crashes.** Nothing crosses between partitions. If a table is lost in a crash they share fate, since the original
//! loses all of it at once, or if an `after` timer would fire again for all keys; otherwise they restart apart. Durable tables keep their routing, so that rows can move when
//! the number of partitions changes.
//!
//! Beyond the published conditions: `clock` (two partitions' clocks may run apart), `start` (it would happen once for
//! each partition) and `same` are refused; they could be admitted in cases that nobody has asked for.

pub(crate) mod check;
pub(crate) mod infer;
pub(crate) mod ordered;
#[cfg(test)]
mod tests;
pub(crate) mod uses;

use crate::routing::{Key, Routings, is_input, plain, routable};
use crate::verdict::{Justification, Outcome, Refusal, Rewritten};
use anabranch_dsl::ir::{Expr, Protocol, RelId, RoleId, Routing};
use infer::Start;
use std::collections::{BTreeMap, BTreeSet};
use uses::Uses;

/// Partitions a role. Routings that are not given are inferred from those that are.
pub fn cohash(p: &Protocol, role: RoleId, routings: &Routings) -> Outcome {
    let mut uses = Uses::of(p, role);
    let start = Start { given: routings.clone(), key: None };
    finish(p, &mut uses, &start)
}

/// Partitions a role by a key, as [`Key::parse`] reads it: `txn`, `prepare.txn`, `put by hash(&key)`.
pub fn cohash_by(p: &Protocol, role: RoleId, key: &str) -> Outcome {
    let mut uses = Uses::of(p, role);
    let start = start(p, &uses, key)?;
    finish(p, &mut uses, &start)
}

fn start(p: &Protocol, uses: &Uses<'_>, key: &str) -> Result<Start, Box<Refusal>> {
    let role = p.role(uses.role);
    Start::of(p, uses, &Key::parse(p, uses.role, key)).ok_or_else(|| {
        let message = format!("no relation of `{}` can be routed by `{key}`", role.name);
        check::refuse("key", role.place, message).help(
            "a key is a column, `relation.column` or `relation by expression`; columns behind `=>` and those that merge are none",
        )
    })
}

fn finish(p: &Protocol, uses: &mut Uses<'_>, start: &Start) -> Outcome {
    let mut found = None;
    let judge = |uses: &mut Uses<'_>, routings: &Routings| {
        found = Some(check::check(uses, routings)?);
        Ok(())
    };
    let (routings, verdict) = infer::search(uses, start, judge);
    verdict.map_err(|e: Box<Refusal>| e)?;
    let shares_fate = check::shares_fate(uses);
    let protocol = apply(p, uses.role, &routings, shares_fate);
    Ok(Rewritten { protocol, justification: found.expect("the verdict was favourable") })
}

/// All routings that follow from some, unchecked: of a role that is partitioned already, from those of its inputs.
pub fn complete(p: &Protocol, role: RoleId, given: Routings) -> Routings {
    let mut uses = Uses::of(p, role);
    infer::search(&mut uses, &Start { given, key: None }, |_, _| Ok::<(), ()>(())).0
}

/// Partitions a role without asking whether that is right, for tests that must find out that it is not.
#[doc(hidden)]
pub fn force(p: &Protocol, role: RoleId, routings: &Routings) -> Protocol {
    let routings = complete(p, role, routings.clone());
    let uses = Uses::of(p, role);
    let shares_fate = check::shares_fate(&uses);
    let mut all = routings;
    for rel in uses.own().filter(|r| is_input(p.relation(*r))) {
        all.0.entry(rel).or_insert_with(|| infer::first_column(p, rel));
    }
    apply(p, role, &all, shares_fate)
}

/// [`force`] by a key.
#[doc(hidden)]
pub fn force_by(p: &Protocol, role: RoleId, key: &str) -> Result<Protocol, Box<Refusal>> {
    let mut uses = Uses::of(p, role);
    let start = start(p, &uses, key)?;
    let routings = infer::search(&mut uses, &start, |_, _| Ok::<(), ()>(())).0;
    Ok(force(p, role, &routings))
}

fn apply(p: &Protocol, role: RoleId, routings: &Routings, shares_fate: bool) -> Protocol {
    let mut out = p.clone();
    let r = &mut out.roles[role.index()];
    r.partitioned = true;
    r.shares_fate |= shares_fate;
    for (rel, routing) in &routings.0 {
        let relation = &mut out.relations[rel.index()];
        if is_input(relation) || relation.is_table() && relation.durable {
            relation.routing = Some(routing.clone());
        }
    }
    anabranch_dsl::resolve::number_leaves(&mut out);
    // Places of the result are those of its own text; what cannot be read again is reported by whoever prints it.
    crate::split::finish(&out).unwrap_or(out)
}

/// A key by which a role might be partitioned, and whether it can.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The key, as a plan writes it.
    pub key: String,
    /// Other keys that fail for the same reason at the same place.
    pub also: Vec<String>,
    /// The routings of all relations that have one.
    pub routings: Routings,
    /// Why it is right, or the rule that prevents it.
    pub verdict: Result<Justification, Box<Refusal>>,
}

/// Every key by which a role might be partitioned: those that can come first, and among them the finest (ids and
/// requests before numbers and texts, those before addresses and truth values; several columns before one).
///
/// Keys are the names of columns that may route, and pairs of two that can. Two names that lead to the same routings
/// are one key.
pub fn find_keys(p: &Protocol, role: RoleId) -> Vec<Candidate> {
    let mut uses = Uses::of(p, role);
    let mut names: Vec<String> = Vec::new();
    for rel in uses.own().filter(|r| !uses.same.contains(r) && uses.needs.contains_key(r)) {
        let relation = p.relation(rel);
        for column in routable(relation) {
            let name = &relation.columns[column].name;
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
    }
    if names.is_empty() {
        // Nothing meets: any column of an input will do, and the finest spreads best.
        let mut inputs = uses.own().map(|r| p.relation(r)).filter(|r| is_input(r));
        let first = inputs.find(|r| !routable(r).is_empty());
        let finest = first.and_then(|r| {
            let columns = routable(r).into_iter().map(|c| &r.columns[c]);
            columns.min_by_key(|c| rank(p, &c.ty.0.to_string()))
        });
        names.extend(finest.map(|c| c.name.clone()));
    }
    let mut out: Vec<Candidate> = names.iter().filter_map(|key| candidate(p, &mut uses, key)).collect();
    let can: Vec<String> = out.iter().filter(|c| c.verdict.is_ok()).map(|c| c.key.clone()).collect();
    for (i, a) in can.iter().enumerate() {
        for b in &can[i + 1..] {
            let pair = candidate(p, &mut uses, &format!("({a}, {b})"));
            out.extend(pair.filter(|c| c.verdict.is_ok()));
        }
    }
    let mut seen: Vec<BTreeMap<RelId, String>> = Vec::new();
    out.retain(|c| {
        let routed = c.routings.0.iter().filter(|(r, _)| uses.needs.contains_key(r));
        let routed: BTreeMap<RelId, String> = routed.map(|(r, x)| (*r, crate::routing::text(x))).collect();
        let known = c.verdict.is_ok() && seen.contains(&routed);
        seen.push(routed);
        !known
    });
    out.sort_by_key(|c| (c.verdict.is_err(), coarseness(p, c)));
    let mut merged: Vec<Candidate> = Vec::new();
    for candidate in out {
        let reason = |c: &Candidate| {
            let refusal = c.verdict.as_ref().err()?;
            let start = refusal.diagnostic.primary.0.start();
            Some((refusal.item, start.line, start.column))
        };
        let known = merged.iter_mut().find(|c| reason(c).is_some() && reason(c) == reason(&candidate));
        match known {
            Some(known) => known.also.push(candidate.key),
            None => merged.push(candidate),
        }
    }
    merged
}

fn candidate(p: &Protocol, uses: &mut Uses<'_>, key: &str) -> Option<Candidate> {
    let start = Start::of(p, uses, &Key { relation: None, expression: key.to_owned() })?;
    let mut found = None;
    let (routings, verdict) = infer::search(uses, &start, |uses, routings| {
        found = Some(check::check(uses, routings)?);
        Ok(())
    });
    let verdict = verdict.map(|()| found.expect("the verdict was favourable"));
    Some(Candidate { key: key.to_owned(), also: Vec::new(), routings, verdict })
}

/// The coarsest column among those that route; a pair counts as its finer half, and before it.
fn coarseness(p: &Protocol, c: &Candidate) -> (usize, bool) {
    let of = |rel: &RelId, routing: &Routing| {
        let Routing::By(e) = routing else { return None };
        let columns = &p.relation(*rel).columns;
        let ranks = e.vars.iter().filter_map(|v| columns.iter().find(|c| c.name == *v));
        ranks.map(|c| rank(p, &c.ty.0.to_string())).min()
    };
    let worst = c.routings.0.iter().filter_map(|(rel, routing)| of(rel, routing)).max().unwrap_or(0);
    (worst, !c.key.starts_with('('))
}

fn rank(p: &Protocol, ty: &str) -> usize {
    match ty {
        "Id" | "Req" => 0,
        "bool" | "()" => 3,
        _ if p.roles.iter().any(|r| r.name == ty) => 2,
        _ => 1,
    }
}

/// Functions and methods of the user that an expression calls.
pub(crate) fn functions(e: &Expr) -> BTreeSet<String> {
    struct Calls(BTreeSet<String>);
    impl<'a> syn::visit::Visit<'a> for Calls {
        fn visit_expr_call(&mut self, call: &'a syn::ExprCall) {
            if let syn::Expr::Path(path) = &*call.func {
                self.0.insert(quote::quote!(#path).to_string().replace(" :: ", "::"));
            }
            syn::visit::visit_expr_call(self, call);
        }
    }
    let mut calls = Calls(BTreeSet::new());
    if let Ok(parsed) = syn::parse_str::<syn::Expr>(&plain(e)) {
        syn::visit::Visit::visit_expr(&mut calls, &parsed);
    }
    calls.0
}
