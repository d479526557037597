//! The precondition of partial partitioning and of sealing.

use super::divide::{Division, Kind, driven, edge, local_head};
use crate::cohash::uses::Uses;
use crate::keys::{Mode, aggregates_of};
use crate::routing::{Routings, is_input};
use crate::verdict::{Assumption, Evidence, Item, Justification, Refusal};
use anabranch_dsl::diag::Diagnostic;
use anabranch_dsl::ir::{
    AggregateFn, Head, Place, Protocol, RelId, RelationKind, RoleId, Routing, RuleId, Schedule,
};

fn refuse(
    rewrite: &'static str,
    name: &'static str,
    place: Place,
    message: impl Into<String>,
    here: impl Into<String>,
    notes: &[(Place, String)],
    help: &str,
) -> Box<Refusal> {
    let mut diagnostic = Diagnostic::error(rewrite, place.0, message).here(here).help(help);
    for (place, text) in notes {
        diagnostic = diagnostic.label(place.0, text.clone());
    }
    Box::new(Refusal { item: Item { rewrite, name }, diagnostic })
}

/// Checks every item, and says what establishes it.
pub(super) fn check(p: &Protocol, role: RoleId, d: &Division) -> Result<Justification, Box<Refusal>> {
    let uses = Uses::of(p, role);
    whole(p, role, d)?;
    independent(p, &uses, d)?;
    left(p, role, d)?;
    sequencer(p, &uses, d)?;
    replicated(p, &uses, d)?;
    applied(p, role, &uses, d)?;
    sealed(p, role, &uses, d)?;
    let masked = d.partitions(p, role);
    let mut partitions = Uses::of(&masked, role);
    let mut inner = crate::cohash::check::check(&mut partitions, &d.routings)?;
    Ok(justify(p, role, d, &mut inner))
}

fn whole(p: &Protocol, role: RoleId, d: &Division) -> Result<(), Box<Refusal>> {
    let r = p.role(role);
    if d.shared.is_empty() && d.parts.is_empty() {
        return Err(refuse(
            "partial",
            "needless",
            r.place,
            format!("all of `{}` carries the key", r.name),
            "",
            &[],
            "partition it by co-hashing, which needs no sequencer",
        ));
    }
    if r.held {
        return Err(refuse(
            "partial",
            "held",
            r.place,
            format!("`{}` is held: what it sends waits for its stream", r.name),
            "",
            &[],
            "partition it by co-hashing",
        ));
    }
    if let Some(machine) = p.machines.iter().find(|m| m.role == role) {
        return Err(refuse(
            "partial",
            "machine",
            machine.place,
            format!("`{}` runs the machine `{}`", r.name, machine.name),
            "",
            &[],
            "split the rules that feed the machine off, and partition the rest",
        ));
    }
    for (id, rule) in p.rules_of(role) {
        for m in crate::analysis::walk::mentions(rule) {
            let relation = p.relation(m.rel);
            if relation.kind == RelationKind::Start {
                return Err(refuse(
                    "partial",
                    "start",
                    m.place,
                    "sequencer and partitions start by themselves",
                    "an event of the whole node",
                    &[],
                    "recover by a timer over the rows that are to be taken up again",
                ));
            }
            let plain = relation.delivery == Default::default();
            if is_input(relation) && !plain {
                return Err(refuse(
                    "partial",
                    "ordered",
                    m.place,
                    format!("`{}` comes in a stream, in parts, or logged", relation.name),
                    "its units would come apart",
                    &[],
                    "partition before the sender is split by streams",
                ));
            }
        }
        if let Head::Send { rel, .. } = &rule.head
            && p.relation(*rel).delivery.ordered
        {
            return Err(refuse(
                "partial",
                "ordered",
                rule.place,
                format!("the stream of `{}` would come from several nodes", p.relation(*rel).name),
                "nothing orders them",
                &[],
                "partition before splitting by streams",
            ));
        }
        let _ = id;
    }
    for invariant in &p.invariants {
        for literal in &invariant.body {
            if let anabranch_dsl::ir::Literal::Atom(a) = literal
                && d.copied.contains(&a.rel)
            {
                return Err(refuse(
                    "partial",
                    "invariant",
                    a.place,
                    format!(
                        "`{}` would exist twice: at the sequencer and, copied, at the partitions",
                        p.relation(a.rel).name
                    ),
                    "",
                    &[],
                    "let the invariant read a ghost table of its own",
                ));
            }
        }
    }
    Ok(())
}

/// Something is left for the partitions.
fn left(p: &Protocol, role: RoleId, d: &Division) -> Result<(), Box<Refusal>> {
    let r = p.role(role);
    let read =
        |rel: RelId| crate::analysis::walk::readers(p, rel).iter().any(|id| p.rules[id.index()].role == role);
    let mut inputs = (0..p.relations.len() as u32).map(RelId).filter(|i| p.relation(*i).role == Some(role));
    if !inputs.any(|i| is_input(p.relation(i)) && !d.shared.contains(&i) && read(i)) {
        let place = d.pulled.map_or(r.place, |(_, place)| place);
        return Err(refuse(
            "partial",
            "independent",
            place,
            format!("nothing of `{}` is left for partitions", r.name),
            "what has no key depends on what has it",
            &[],
            "let a keyed event compare with keyless state, never write it; write by a message of its own",
        ));
    }
    Ok(())
}

/// Item 1: nothing with the key decides what has none.
fn independent(p: &Protocol, uses: &Uses<'_>, d: &Division) -> Result<(), Box<Refusal>> {
    for scope in &uses.scopes {
        let head = match scope.rule {
            Some((id, _)) if d.kinds[&id] != Kind::Sequencer => continue,
            Some((_, rule)) => local_head(rule),
            None => scope.writes.filter(|w| d.shared.contains(w)),
        };
        if scope.rule.is_none() && head.is_none() {
            continue;
        }
        if let Some(read) = scope
            .closure
            .reads
            .iter()
            .find(|r| uses.same.contains(&r.rel) && p.relation(r.rel).role.is_some())
        {
            return Err(refuse(
                "partial",
                "static",
                read.place,
                format!("`{}` would be needed at the sequencer", p.relation(read.rel).name),
                "it lies at the partitions",
                &[],
                "read the role's instances directly",
            ));
        }
        let foreign =
            scope.closure.reads.iter().find(|r| !d.shared.contains(&r.rel) && !uses.same.contains(&r.rel));
        if let Some(read) = foreign {
            let head = head.map_or("this", |h| p.relation(h).name.as_str());
            return Err(refuse(
                "partial",
                "independent",
                scope.place,
                format!(
                    "`{head}`, which has no key, depends on `{}`, which lies in partitions",
                    p.relation(read.rel).name
                ),
                "the sequencer would need rows of all partitions",
                &[(read.place, "lies in partitions".into())],
                "let a keyed event compare with keyless state, never write it; write by a message of its own",
            ));
        }
    }
    // An input that would write keyless state, though it carries the key: it would freeze all partitions each time.
    for scope in &uses.scopes {
        let Some((id, rule)) = scope.rule else { continue };
        if d.kinds[&id] != Kind::Applied {
            continue;
        }
        let mut closure = crate::keys::Closure::of_rule(p, rule, &crate::dependencies::Dependencies::of(p));
        let mut keyed: Vec<(RelId, Vec<crate::keys::Term>)> =
            closure.reads.iter().map(|r| (r.rel, r.columns.clone())).collect();
        if let (Some(head), Some(columns)) =
            (local_head(rule), closure.head.iter().copied().collect::<Option<Vec<_>>>())
        {
            keyed.push((head, columns));
        }
        let reads = closure.reads.clone();
        for (rel, columns) in keyed {
            let Some(Routing::By(e)) = d.routings.0.get(&rel) else { continue };
            let names =
                p.relation(rel).columns.iter().map(|c| c.name.as_str()).zip(columns).collect::<Vec<_>>();
            let key = closure.over(e, &names);
            for read in reads.iter().filter(|r| d.shared.contains(&r.rel) && is_input(p.relation(r.rel))) {
                if closure.determines(&read.columns, key) {
                    let writes = |s: &&crate::cohash::uses::Scope<'_>| {
                        s.closure.reads.iter().any(|r| r.rel == read.rel)
                            && s.writes.is_some_and(|w| d.shared.contains(&w))
                    };
                    let place = uses.scopes.iter().find(writes).map_or(rule.place, |s| s.place);
                    let name = &p.relation(read.rel).name;
                    return Err(refuse(
                        "partial",
                        "keyed-event",
                        place,
                        format!("`{name}` carries the key, and writes state that all keys share"),
                        "each one would freeze all partitions",
                        &[(rule.place, format!("here `{name}` works for its key"))],
                        "let it compare only, and write by a message of its own",
                    ));
                }
            }
        }
    }
    Ok(())
}

/// What the sequencer decides is decided in one tick.
fn sequencer(p: &Protocol, uses: &Uses<'_>, d: &Division) -> Result<(), Box<Refusal>> {
    for scope in &uses.scopes {
        let Some((id, rule)) = scope.rule else { continue };
        if d.kinds[&id] == Kind::Sequencer && matches!(rule.head, Head::Next { .. } | Head::Delete { .. }) {
            return Err(refuse(
                "partial",
                "deferred",
                rule.place,
                "a step of the sequencer would take two ticks",
                "partitions apply a step as one",
                &[],
                "let keyless state only grow: `<=`, lattice columns, no deletion",
            ));
        }
    }
    for rel in uses.own() {
        let relation = p.relation(rel);
        let RelationKind::Timer(timer) = &relation.kind else { continue };
        if d.shared.contains(&rel) {
            let leads = uses.scopes.iter().any(|s| {
                s.closure.reads.iter().any(|r| r.rel == rel)
                    && (s.rule.is_some_and(|(id, _)| d.kinds[&id] != Kind::Sequencer)
                        || s.writes.is_some_and(|w| d.copied.contains(&w) || d.seen.contains(&w)))
            });
            if leads {
                return Err(refuse(
                    "partial",
                    "timer",
                    relation.place,
                    format!("the timer `{}` would have to wait for a step", relation.name),
                    "its row may not hold any more when the step is decided",
                    &[],
                    "let the timer send a message to `me`, and act on that",
                ));
            }
        } else if matches!(timer.schedule, Schedule::After { .. }) {
            return Err(refuse(
                "partial",
                "timer",
                relation.place,
                format!("the timer `{}` fires once, perhaps while its partition is frozen", relation.name),
                "it would be lost",
                &[],
                "let it repeat: `every`",
            ));
        }
    }
    Ok(())
}

/// What partitions read of the sequencer is a copy that only grows.
fn replicated(p: &Protocol, uses: &Uses<'_>, d: &Division) -> Result<(), Box<Refusal>> {
    for rel in &d.copied {
        let relation = p.relation(*rel);
        let read = uses
            .scopes
            .iter()
            .flat_map(|s| &s.closure.reads)
            .find(|r| r.rel == *rel)
            .map_or(relation.place, |r| r.place);
        if !relation.is_table() {
            return Err(refuse(
                "partial",
                "replicated",
                read,
                format!("partitions would read `{}`, which is derived", relation.name),
                "only tables are copied",
                &[(relation.place, "declared here".into())],
                "keep what partitions read in a table",
            ));
        }
    }
    for scope in &uses.scopes {
        let kind = scope.rule.map(|(id, _)| d.kinds[&id]);
        if matches!(kind, Some(Kind::Sequencer | Kind::Sealed))
            || scope.rule.is_none() && scope.writes.is_some_and(|w| d.shared.contains(&w))
        {
            continue;
        }
        if driven(p, scope) {
            continue;
        }
        if let Some(read) = scope.closure.reads.iter().find(|r| d.shared.contains(&r.rel)) {
            return Err(refuse(
                "partial",
                "view",
                scope.place,
                format!(
                    "this holds as long as `{}` does, which is copied anew after a crash",
                    p.relation(read.rel).name
                ),
                "it would become new then, though it had been so before",
                &[(read.place, "state of the sequencer".into())],
                "compare with it in rules that have an event",
            ));
        }
    }
    Ok(())
}

/// Items 1 and 3 for rules that run when a step is applied.
fn applied(p: &Protocol, role: RoleId, uses: &Uses<'_>, d: &Division) -> Result<(), Box<Refusal>> {
    let masked = d.partitions(p, role);
    for scope in &uses.scopes {
        let Some((id, rule)) = scope.rule else { continue };
        if d.kinds[&id] != Kind::Applied {
            continue;
        }
        if let Some(read) =
            scope.closure.reads.iter().find(|r| {
                r.mode == Mode::Negated && d.shared.contains(&r.rel) && p.relation(r.rel).is_event()
            })
        {
            return Err(refuse(
                "partial",
                "negated",
                read.place,
                format!("`{}` happens at the sequencer", p.relation(read.rel).name),
                "that it does not is known there only",
                &[],
                "negate it where it is derived",
            ));
        }
        let durable = local_head(rule).filter(|h| p.relation(*h).durable);
        if let (Some(head), false) = (durable, scope.forgets()) {
            return Err(refuse(
                "partial",
                "durable",
                rule.place,
                format!(
                    "a step would be durable at the sequencer, and what it does to `{}` not yet",
                    p.relation(head).name
                ),
                "a crash between the two keeps one without the other",
                &[],
                "if it only cleans up, say `forget`; else let the partition do it on an event of its own",
            ));
        }
        // A message of which two partitions might send a copy each.
        if matches!(
            rule.head,
            Head::Send { .. } | Head::Reply { .. } | Head::Refuse { .. } | Head::Redirect { .. }
        ) {
            let mut closure =
                crate::keys::Closure::of_rule(&masked, rule, &crate::dependencies::Dependencies::of(p));
            let mut base: Vec<_> = closure.head.iter().flatten().copied().collect();
            base.extend(closure.to);
            let reads = closure.reads.clone();
            let keyed = reads.iter().find_map(|r| match d.routings.0.get(&r.rel) {
                Some(Routing::By(e)) => Some((r, e)),
                _ => None,
            });
            if let Some((read, e)) = keyed {
                let columns = &p.relation(read.rel).columns;
                let names: Vec<_> =
                    columns.iter().map(|c| c.name.as_str()).zip(read.columns.iter().copied()).collect();
                let key = closure.over(e, &names);
                if !closure.determines(&base, key) {
                    return Err(refuse(
                        "partial",
                        "outputs",
                        rule.place,
                        "each partition would send this once",
                        "what is sent does not tell the key",
                        &[(read.place, format!("lies in partitions, by {}", crate::routing::plain(e)))],
                        "send the key along, or aggregate over the keys and seal the sum",
                    ));
                }
            }
        }
    }
    Ok(())
}

/// Sealing: what is taken over all keys is put together from parts.
fn sealed(p: &Protocol, role: RoleId, uses: &Uses<'_>, d: &Division) -> Result<(), Box<Refusal>> {
    for scope in &uses.scopes {
        let Some((id, rule)) = scope.rule else { continue };
        match d.kinds[&id] {
            Kind::Part => part(p, role, id, d)?,
            Kind::Sealed => {
                let sends = matches!(
                    rule.head,
                    Head::Send { .. } | Head::Reply { .. } | Head::Refuse { .. } | Head::Redirect { .. }
                );
                let whole = |r: &&crate::keys::Read| {
                    !d.shared.contains(&r.rel) && !d.parts.contains(&r.rel) && !uses.same.contains(&r.rel)
                };
                let keyed = scope.closure.reads.iter().find(whole);
                if let Some(read) = keyed {
                    return Err(refuse(
                        "sealing",
                        "keyless",
                        rule.place,
                        format!("`{}` lies in partitions, and the sum does not", p.relation(read.rel).name),
                        "this reads both",
                        &[(read.place, "by the key".into())],
                        "send what has the key by itself",
                    ));
                }
                if !sends {
                    return Err(refuse(
                        "sealing",
                        "head",
                        rule.place,
                        "the sum is known only when all partitions have answered",
                        "this needs it within the tick",
                        &[],
                        "use the aggregate in what is sent, and nowhere else",
                    ));
                }
                let drives = scope.closure.reads.iter().any(|r| d.shared.contains(&r.rel) && r.drives(p));
                if !drives {
                    return Err(refuse(
                        "sealing",
                        "trigger",
                        rule.place,
                        "no event of the sequencer triggers this",
                        "",
                        &[],
                        "join the event that asks for it",
                    ));
                }
                for read in scope.closure.reads.iter().filter(|r| d.shared.contains(&r.rel)) {
                    if read.mode == Mode::Lookup || edge(p, read) && read.wild.iter().any(|w| *w) {
                        return Err(refuse(
                            "sealing",
                            "lookup",
                            read.place,
                            format!(
                                "`{}` is looked up when the parts are together, and may have changed",
                                p.relation(read.rel).name
                            ),
                            "",
                            &[],
                            "bind its value by an atom",
                        ));
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn part(p: &Protocol, role: RoleId, id: RuleId, d: &Division) -> Result<(), Box<Refusal>> {
    let masked = d.partitions(p, role);
    let rule = &p.rules[id.index()];
    let aggregates = aggregates_of(&rule.head);
    let [aggregate] = &aggregates[..] else {
        return Err(refuse(
            "sealing",
            "aggregate",
            rule.place,
            "several aggregates in one head",
            "",
            &[],
            "give each an event of its own",
        ));
    };
    let apart = |here: &str, help: &str| {
        Err(refuse(
            "sealing",
            "aggregate",
            aggregate.place,
            "the parts of this aggregate do not make up the whole",
            here,
            &[],
            help,
        ))
    };
    match aggregate.function {
        AggregateFn::Count | AggregateFn::Sum | AggregateFn::Min | AggregateFn::Max => {}
        AggregateFn::CountDistinct => {
            let mut closure =
                crate::keys::Closure::of_rule(&masked, rule, &crate::dependencies::Dependencies::of(p));
            let counted = closure.expr(&aggregate.args[0]);
            let reads = closure.reads.clone();
            let keyed = reads.iter().find_map(|r| match d.routings.0.get(&r.rel) {
                Some(Routing::By(e)) => Some((r, e)),
                _ => None,
            });
            if let Some((read, e)) = keyed {
                let columns = &p.relation(read.rel).columns;
                let names: Vec<_> =
                    columns.iter().map(|c| c.name.as_str()).zip(read.columns.iter().copied()).collect();
                let key = closure.over(e, &names);
                if !closure.determines(&[counted], key) {
                    return apart("two partitions may count the same", "count something that tells the key");
                }
            }
        }
        _ => {
            return apart(
                "only counts, sums, least and greatest can be put together",
                "use `count`, `sum`, `min` or `max`",
            );
        }
    }
    if matches!(rule.head, Head::Next { .. }) {
        return apart("derived at the next tick", "derive it with `<=`");
    }
    Ok(())
}

fn justify(p: &Protocol, role: RoleId, d: &Division, inner: &mut Justification) -> Justification {
    let names = |rels: &mut dyn Iterator<Item = &RelId>| {
        rels.map(|r| format!("`{}`", p.relation(*r).name)).collect::<Vec<_>>().join(", ")
    };
    let rules = |kind: Kind| -> Vec<RuleId> {
        d.kinds.iter().filter(|(_, k)| **k == kind).map(|(id, _)| *id).collect()
    };
    let item = |rewrite: &'static str, name: &'static str| Item { rewrite, name };
    let mut established = vec![
        Evidence {
            item: item("partial", "independent"),
            because: format!(
                "the sequencer has {}, and reads nothing that lies in partitions",
                names(&mut d.shared.iter())
            ),
            rules: rules(Kind::Sequencer),
        },
        Evidence {
            item: item("partial", "replicated"),
            because: format!(
                "partitions read {}, which only grows, and change nothing of it",
                names(&mut d.copied.iter())
            ),
            rules: rules(Kind::Partition),
        },
        Evidence {
            item: item("partial", "outputs"),
            because: format!(
                "on {} each partition does what belongs to its keys; nothing of it is durable but forgetting",
                names(&mut d.seen.iter())
            ),
            rules: rules(Kind::Applied),
        },
        Evidence {
            item: item("partial", "fate"),
            because: "what waits, is frozen or copied is volatile: sequencer and partitions share fate"
                .into(),
            rules: Vec::new(),
        },
    ];
    if !d.parts.is_empty() {
        established.push(Evidence {
            item: item("sealing", "aggregate"),
            because: format!(
                "{} put together from the parts of all partitions before anything is sent",
                names(&mut d.parts.iter())
            ),
            rules: rules(Kind::Part).into_iter().chain(rules(Kind::Sealed)).collect(),
        });
    }
    established.append(&mut inner.established);
    let mut assumptions: Vec<Assumption> = std::mem::take(&mut inner.assumptions);
    assumptions.sort();
    let inputs: Vec<String> =
        Routings(d.routings.0.clone()).inputs(p).into_iter().map(|(n, t)| format!("{n} {t}")).collect();
    let sealing = if d.parts.is_empty() { "" } else { " with sealing" };
    Justification {
        title: format!("partial{sealing}: partition {}, {}", p.role(role).name, inputs.join(", ")),
        established,
        assumptions,
    }
}
