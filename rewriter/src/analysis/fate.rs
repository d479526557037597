//! What becomes of the parts when one of them crashes (section 12 of the notes on rewrites).
//!
//! Parts may restart apart if nothing volatile is lost that the other half would still remember: no volatile table, no
//! machine without durable state, and no `after` timer (its rows fire once more after a restart of the whole). Otherwise
//! they share fate. Facts that end in a durable table are logged until they are durable there. Where durable and
//! volatile tables mix, what is logged must not meet emptied tables.
//!
//! Not here: the exception for a part without tables whose feeder keeps each event until all of it is acknowledged.

use super::against::Against;
use super::sides::{Crossing, Sides, Way};
use super::walk;
use anabranch_dsl::ir::{Head, RelId, RelationKind, RuleId, Schedule};
use std::collections::BTreeSet;

/// What a cut asks of crashes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fate {
    /// The parts restart together.
    pub shared: bool,
    /// In words, why.
    pub because: String,
    /// Crossings (by number) whose facts are logged.
    pub logged: BTreeSet<usize>,
    /// Crossings of state that are kept in durable tables.
    pub durable: BTreeSet<usize>,
}

/// Decides the fate of the parts.
pub fn fate(s: &Sides<'_>) -> Result<Fate, Against> {
    let (shared, because) = match volatile(s) {
        Some(what) => (true, format!("{what}, so the parts share fate")),
        None => {
            (false, "nothing that a crash takes is remembered elsewhere: the parts may restart apart".into())
        }
    };
    let mut out = Fate { shared, because, logged: BTreeSet::new(), durable: BTreeSet::new() };
    for (n, crossing) in s.crossings.iter().enumerate() {
        if crossing.way == Way::Level {
            match durability(s, crossing.rel) {
                Durability::Durable => {
                    out.durable.insert(n);
                }
                Durability::Mixed => {
                    return Err(Against::new(
                        "durable",
                        crossing.place,
                        format!(
                            "after a crash, part of `{}` is still there and part of it is not",
                            s.name(crossing.rel)
                        ),
                    )
                    .here("it crosses as state")
                    .help("derive it from durable tables alone, or from volatile ones alone"));
                }
                Durability::Volatile => {}
            }
        }
        if out.durable.contains(&n) || !reached(s, crossing).1.is_empty() {
            out.logged.insert(n);
        }
    }
    let mixed = tables(s).any(|r| s.relation(r).durable) && tables(s).any(|r| !s.relation(r).durable);
    if mixed {
        for n in &out.logged {
            unmixed(s, &s.crossings[*n])?;
        }
    }
    Ok(out)
}

/// Tables and variables of the role that change and are more than a comment.
fn tables<'a>(s: &'a Sides<'_>) -> impl Iterator<Item = RelId> + 'a {
    s.relations.keys().copied().filter(|r| s.relation(*r).is_table() && !s.relation(*r).ghost)
}

/// Something that a crash of one part takes and the other part remembers.
fn volatile(s: &Sides<'_>) -> Option<String> {
    if let Some(table) = tables(s).find(|r| !s.relation(*r).durable) {
        return Some(format!("`{}` is lost in a crash", s.name(table)));
    }
    if let Some(machine) = s.p.machines.iter().find(|m| m.role == s.role && !m.durable) {
        return Some(format!("machine `{}` is lost in a crash", machine.name));
    }
    let once = |r: &RelId| match &s.relation(*r).kind {
        RelationKind::Timer(t) => matches!(t.schedule, Schedule::After { .. }),
        _ => false,
    };
    if let Some(timer) = s.relations.keys().find(|r| once(r)) {
        return Some(format!("timer `{}` starts anew after a crash", s.name(*timer)));
    }
    let start = s.p.role(s.role).start;
    s.rules
        .keys()
        .any(|id| s.reads(*id).iter().any(|m| m.rel == start))
        .then(|| "a rule reads `start`".to_string())
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Durability {
    Durable,
    Volatile,
    Mixed,
}

fn durability(s: &Sides<'_>, rel: RelId) -> Durability {
    let (mut durable, mut lost) = (false, false);
    let (mut seen, mut todo) = (BTreeSet::new(), vec![rel]);
    while let Some(rel) = todo.pop() {
        if s.is_static(rel) || !seen.insert(rel) {
            continue;
        }
        let relation = s.relation(rel);
        match relation.kind {
            RelationKind::View => {
                for id in walk::writers(s.p, rel) {
                    todo.extend(walk::mentions(s.rule(id)).iter().map(|m| m.rel));
                }
            }
            RelationKind::MachineNext(m) => {
                let machine = &s.p.machines[m.index()];
                durable |= machine.durable;
                lost |= !machine.durable;
            }
            _ => {
                durable |= relation.durable;
                lost |= !relation.durable;
            }
        }
    }
    match (durable, lost) {
        (true, true) => Durability::Mixed,
        (true, false) => Durability::Durable,
        _ => Durability::Volatile,
    }
}

/// What the facts of a crossing come to on the other side: relations, and rules with a durable head.
fn reached(s: &Sides<'_>, crossing: &Crossing) -> (BTreeSet<RelId>, BTreeSet<RuleId>) {
    let mut relations = BTreeSet::from([crossing.rel]);
    let mut durable = BTreeSet::new();
    loop {
        let before = relations.len();
        for id in s.rules_on(crossing.to) {
            let rule = s.rule(id);
            if !s.reads(id).iter().any(|m| relations.contains(&m.rel)) {
                continue;
            }
            if let Some(head) = super::sides::local_head(s.p, rule) {
                if super::units::durable_head(s, id).is_some() {
                    durable.insert(id);
                }
                relations.insert(head);
            }
        }
        for (rel, _) in s.relations.iter().filter(|(_, side)| **side == crossing.to) {
            if s.timer_reads(*rel).iter().any(|m| relations.contains(&m.rel)) {
                relations.insert(*rel);
            }
        }
        if before == relations.len() {
            return (relations, durable);
        }
    }
}

/// What a logged fact leads to is durable throughout.
fn unmixed(s: &Sides<'_>, crossing: &Crossing) -> Result<(), Against> {
    let (relations, durable) = reached(s, crossing);
    let lost = |rel: RelId| {
        let relation = s.relation(rel);
        !relation.ghost
            && match relation.kind {
                RelationKind::View => durability(s, rel) != Durability::Durable,
                _ => {
                    (relation.is_table() && !relation.durable)
                        || matches!(relation.kind, RelationKind::MachineNext(_))
                }
            }
    };
    let name = s.name(crossing.rel);
    for id in &durable {
        if let Some(m) = s.reads(*id).into_iter().find(|m| lost(m.rel) && m.rel != crossing.rel) {
            return Err(Against::new(
                "durable",
                m.place,
                format!("`{name}` is sent again after a crash, and `{}` is then empty", s.name(m.rel)),
            )
            .here("lost in a crash")
            .label(s.rule(*id).place, "this rule writes a durable table")
            .help(format!("make `{}` durable", s.name(m.rel))));
        }
    }
    let written = relations.iter().find(|r| **r != crossing.rel && s.relation(**r).is_table() && lost(**r));
    match written {
        None => Ok(()),
        Some(table) => {
            let by = walk::writers(s.p, *table)
                .into_iter()
                .find(|id| !matches!(s.rule(*id).head, Head::Delete { .. }));
            let place = by.map_or(s.relation(*table).place, |id| s.rule(id).place);
            Err(Against::new(
                "durable",
                place,
                format!("`{name}` ends in a durable table, so it is sent again after a crash, and comes here again too"),
            )
            .here(format!("`{}` is lost in a crash", s.name(*table)))
            .help(format!("make `{}` durable, or let a fact of its own cross to it", s.name(*table))))
        }
    }
}
