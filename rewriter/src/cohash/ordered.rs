//! Item 6: streams keep what their receivers rely on.
//!
//! An ordered *input* is sliced: each partition takes its part of a unit, at its own time. That is right if nothing
//! else tells the partitions apart (the receiver has no other inputs), or if the sender might as well have sent the
//! slices one by one, since it is partitioned by the same key. In the first case what leaves must tell the key: two facts
//! of one unit that send the same would send it once in the original, and twice from two partitions. An ordered *output* becomes one stream from each
//! partition, and nothing orders the streams among each other. That is right if outputs are held until acknowledged,
//! or if what is streamed for a key comes from one partition and meets only itself at the receiver.

use super::check::{refuse, sends};
use super::uses::Uses;
use crate::keys::{Closure, Term};
use crate::routing::{Routings, is_input, over_columns, routable};
use crate::verdict::Refusal;
use anabranch_dsl::ir::{Protocol, RelId, RelationKind, RoleId, Routing, Rule};

pub(crate) fn check(uses: &mut Uses<'_>, routings: &Routings) -> Result<(), Box<Refusal>> {
    let p = uses.p;
    let inputs: Vec<RelId> = uses.own().filter(|rel| is_input(p.relation(*rel))).collect();
    if let Some(stream) = inputs.iter().find(|rel| p.relation(**rel).delivery.ordered) {
        let own = inputs.iter().find(|rel| !p.relation(**rel).delivery.ordered);
        for input in &inputs {
            for rule in p.rules.iter().filter(|r| sends(r, *input)) {
                if own.is_none()
                    || p.relation(*input).delivery.ordered && agrees(p, rule, routings.0.get(input))
                {
                    continue;
                }
                if !p.relation(*input).delivery.ordered {
                    continue;
                }
                let relation = p.relation(*stream);
                let own = p.relation(*own.expect("seen above"));
                return Err(refuse(
                    "ordered",
                    rule.place,
                    format!("a unit of `{}` would come apart", relation.name),
                )
                .here("its facts go to several partitions, each at its own time")
                .note(
                    own.place,
                    format!("`{}` reaches them beside it, and could see one and not the other", own.name),
                )
                .help("partition the sender by the same key first"));
            }
        }
    }
    for (_, rule) in p.rules_of(uses.role) {
        let anabranch_dsl::ir::Head::Send { rel, .. } = &rule.head else { continue };
        let delivery = p.relation(*rel).delivery;
        if !delivery.ordered || delivery.sealed || p.role(uses.role).held {
            continue;
        }
        let receiver = p.relation(*rel).role.filter(|r| p.role(*r).partitioned);
        let mut own = routings.clone();
        let written = receiver.map(|r| Routings::written(p, r)).unwrap_or_default();
        own.0.extend(written.0);
        if receiver.is_none() || !alike(p, uses.role, rule, &own) {
            let name = &p.relation(*rel).name;
            return Err(refuse(
                "ordered",
                rule.place,
                format!("the stream of `{name}` would come from several partitions"),
            )
            .here("nothing orders their streams among each other")
            .help(
                "partition the receiver by the same key first, or split with acknowledgements (`asymmetric`)",
            ));
        }
    }
    slices(uses, routings)
}

/// What a sliced unit makes leave tells the key.
fn slices(uses: &mut Uses<'_>, routings: &Routings) -> Result<(), Box<Refusal>> {
    let p = uses.p;
    let ordered = |rel: &RelId| is_input(p.relation(*rel)) && p.relation(*rel).delivery.ordered;
    let Some(stream) = uses.own().find(ordered) else { return Ok(()) };
    let role = uses.role;
    let apart = |rule: &Rule| match &rule.head {
        anabranch_dsl::ir::Head::Send { rel, .. } => {
            p.relation(*rel).role == Some(role) && !agrees(p, rule, routings.0.get(rel))
        }
        _ => false,
    };
    if !p.rules.iter().any(apart) {
        return Ok(());
    }
    for i in 0..uses.scopes.len() {
        let meeting: Vec<_> = uses.meeting(&uses.scopes[i]).into_iter().cloned().collect();
        let scope = &mut uses.scopes[i];
        let leaves = scope.rule.is_some_and(|(_, r)| !matches!(r.head, anabranch_dsl::ir::Head::Nothing));
        if scope.writes.is_some() || !leaves {
            continue;
        }
        let mut base: Vec<Term> = scope.closure.head.iter().flatten().copied().collect();
        base.extend(scope.closure.to);
        let told = meeting.iter().any(|read| {
            let Some(Routing::By(e)) = routings.0.get(&read.rel) else { return false };
            let names = p.relation(read.rel).columns.iter().map(|c| c.name.as_str());
            let names: Vec<(&str, Term)> = names.zip(read.columns.iter().copied()).collect();
            let key = scope.closure.over(e, &names);
            let key = scope.closure.route(key);
            scope.closure.determines(&base, key)
        });
        if !told {
            let name = &p.relation(stream).name;
            return Err(refuse("ordered", scope.place, format!("a unit of `{name}` would come apart"))
                .here("two of its facts may send this: once in the original, and once from each partition")
                .note(p.relation(stream).place, "the stream")
                .help("send the key along, or partition the sender by the same key first"));
        }
    }
    Ok(())
}

/// Whether a sender that is partitioned already sends facts of one key from rules of that key.
fn agrees(p: &Protocol, rule: &Rule, routing: Option<&Routing>) -> bool {
    let (Some(routing), true) = (routing, p.role(rule.role).partitioned) else { return false };
    let written = super::complete(p, rule.role, Routings::written(p, rule.role));
    let mut all = written;
    if let Some(rel) = rule.head.relation() {
        all.0.insert(rel, routing.clone());
    }
    alike(p, rule.role, rule, &all)
}

/// Whether what a rule derives or sends is routed like what the rule reads.
fn alike(p: &Protocol, role: RoleId, rule: &Rule, routings: &Routings) -> bool {
    let mut closure = Closure::of_rule(p, rule, &crate::dependencies::Dependencies::of(p));
    let term = |closure: &mut Closure<'_>, rel: RelId, columns: &[Term]| {
        let Some(Routing::By(e)) = routings.0.get(&rel) else { return None };
        let columns: Vec<(&str, Term)> =
            p.relation(rel).columns.iter().map(|c| c.name.as_str()).zip(columns.iter().copied()).collect();
        let key = closure.over(e, &columns);
        Some(closure.route(key))
    };
    let Some(sent) = rule.head.relation() else { return false };
    let columns: Vec<Term> = closure.head.iter().flatten().copied().collect();
    let Some(sent) = term(&mut closure, sent, &columns) else { return false };
    let reads = closure.reads.clone();
    let own = |rel: RelId| p.relation(rel).role == Some(role);
    // All that a rule reads here meets; one routing found stands for all.
    let told = reads
        .iter()
        .filter(|r| own(r.rel))
        .any(|r| term(&mut closure, r.rel, &r.columns).is_some_and(|read| closure.equal(read, sent)));
    if told {
        return true;
    }
    // An event that needs no routing lies where its rules derive it.
    let derived = |rel: RelId| matches!(p.relation(rel).kind, RelationKind::Event) && own(rel);
    for read in reads.iter().filter(|r| derived(r.rel) && !routings.0.contains_key(&r.rel)) {
        let relation = p.relation(read.rel);
        for i in routable(relation) {
            let key = closure.route(read.columns[i]);
            let Some(by) = over_columns(relation, &relation.columns[i].name) else { continue };
            if !closure.equal(key, sent) {
                continue;
            }
            let mut routings = routings.clone();
            routings.0.insert(read.rel, Routing::By(by));
            let mut writers =
                p.rules.iter().filter(|w| w.head.relation() == Some(read.rel) && w.role == role);
            if writers.all(|w| alike(p, role, w, &routings)) {
                return true;
            }
        }
    }
    false
}
