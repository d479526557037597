//! Where everything stands in the canonical text, and the numbering that follows from it.
//!
//! The IR does not know where a declaration stood among the rules, so the printer decides: before the
//! first rule that mentions the relation or one declared later, or with the rule that declares it. Order
//! among declarations and among rules is kept, and the place depends on nothing that printing loses: so
//! printing what was parsed from printed text changes nothing.

use super::visit::{Visitor, walk_literals, walk_rule};
use crate::ir::{GroupId, Head, MachineId, Protocol, RelId, RelationKind, Rule, RuleId};

/// One thing in an `at` block.
#[derive(Debug)]
pub(super) enum Entry {
    /// A declaration by itself.
    Declare(RelId),
    /// A rule; if so flagged, the declaration of its relation too.
    Rule(RuleId, bool),
    /// An `on` block: the length of its prefix, an example of it, its rules.
    On(usize, RuleId, Vec<RuleId>),
}

/// The contents of the `at` block of each role, in order.
pub(super) fn arrange(ir: &Protocol) -> Vec<Vec<Entry>> {
    (0..ir.roles.len()).map(|role| block(ir, role)).collect()
}

fn block(ir: &Protocol, role: usize) -> Vec<Entry> {
    let by_itself = |rel: &RelId| {
        let relation = ir.relation(*rel);
        let declared = match relation.kind {
            RelationKind::Event | RelationKind::View => declaring(ir, *rel).is_none(),
            _ => super::Printer::lasts(relation),
        };
        declared && relation.role.is_some_and(|r| r.index() == role)
    };
    let declared: Vec<RelId> = (0..ir.relations.len()).map(|i| RelId(i as u32)).filter(by_itself).collect();
    let rules: Vec<RuleId> = ids(ir.rules.len()).filter(|r| rule(ir, *r).role.index() == role).collect();
    let mut block = Vec::new();
    let mut done = 0;
    for entry in group(ir, &rules) {
        let mentioned = mentions(ir, &entry);
        let needed =
            declared[done..].iter().rposition(|rel| mentioned.contains(&rel.index())).map_or(0, |i| i + 1);
        block.extend(declared[done..done + needed].iter().map(|rel| Entry::Declare(*rel)));
        done += needed;
        block.push(entry);
    }
    // What no rule mentions is read by invariants and timers, if at all.
    block.extend(declared[done..].iter().map(|rel| Entry::Declare(*rel)));
    block
}

fn ids(n: usize) -> impl Iterator<Item = RuleId> {
    (0..n).map(|i| RuleId(i as u32))
}

fn rule(ir: &Protocol, id: RuleId) -> &Rule {
    &ir.rules[id.index()]
}

/// The rule that can declare a relation, if its `declared_by` still names one.
fn declaring(ir: &Protocol, rel: RelId) -> Option<RuleId> {
    let relation = ir.relation(rel);
    let id = relation.declared_by?;
    let rule = ir.rules.get(id.index())?;
    let derives = match &rule.head {
        Head::Now { rel: r, args } | Head::Next { rel: r, args } => {
            *r == rel && args.len() == relation.columns.len()
        }
        _ => false,
    };
    let plain = rule.on.is_none_or(|(_, n)| n == 0) && !rule.body.is_empty();
    (derives && plain && Some(rule.role) == relation.role).then_some(id)
}

/// Rules, those of one `on` block together where they stand together and begin alike.
fn group(ir: &Protocol, rules: &[RuleId]) -> Vec<Entry> {
    let printer = super::Printer::new(ir);
    let text = |id: RuleId, n: usize| -> Vec<String> {
        printer.body(&rule(ir, id).body[..n]).into_iter().map(|t| t.text).collect()
    };
    let mut entries: Vec<Entry> = Vec::new();
    let mut last: Option<GroupId> = None;
    for &id in rules {
        let this = rule(ir, id);
        let nothing = this.head == Head::Nothing;
        let on = if nothing { this.on.or(Some((GroupId(u32::MAX), this.body.len()))) } else { this.on };
        match on.filter(|(_, n)| *n > 0) {
            None => {
                let declares = this.head.relation().is_some_and(|rel| declaring(ir, rel) == Some(id));
                entries.push(Entry::Rule(id, declares));
                last = None;
            }
            Some((group, n)) => {
                let joins = match entries.last_mut() {
                    Some(Entry::On(m, first, inside))
                        if *m == n && last == Some(group) && text(*first, n) == text(id, n) =>
                    {
                        Some(inside)
                    }
                    _ => None,
                };
                let new = (!nothing).then_some(id);
                match joins {
                    Some(inside) => inside.extend(new),
                    None => entries.push(Entry::On(n, id, new.into_iter().collect())),
                }
                last = Some(group);
            }
        }
    }
    entries
}

fn mentions(ir: &Protocol, entry: &Entry) -> Vec<usize> {
    let rules: Vec<RuleId> = match entry {
        Entry::Declare(_) => Vec::new(),
        Entry::Rule(id, _) => vec![*id],
        Entry::On(_, first, rules) => std::iter::once(*first).chain(rules.iter().copied()).collect(),
    };
    let mut out = Vec::new();
    for id in rules {
        walk_rule(&mut rule(ir, id).clone(), &mut |rel| out.push(rel.index()));
    }
    out
}

/// The same protocol in the order and numbering of its canonical text: what parsing that text gives.
///
/// Rules are sorted by role, relations by where they are declared, leaves by where they stand. Rules that
/// were parted from their `on` block get one of their own.
pub fn normalize(ir: &Protocol) -> Protocol {
    let blocks = arrange(ir);
    let relations = relation_order(ir, &blocks);
    let mut new_rel = vec![RelId(u32::MAX); ir.relations.len()];
    for (new, old) in relations.iter().enumerate() {
        new_rel[old.index()] = RelId(new as u32);
    }
    let machine_order: Vec<MachineId> = relations
        .iter()
        .filter_map(|r| match ir.relation(*r).kind {
            RelationKind::MachineFeed(id) => Some(id),
            _ => None,
        })
        .collect();
    let mut new_machine = vec![MachineId(u32::MAX); ir.machines.len()];
    for (new, old) in machine_order.iter().enumerate() {
        new_machine[old.index()] = MachineId(new as u32);
    }

    let mut out = ir.clone();
    out.relations = relations.iter().map(|r| ir.relation(*r).clone()).collect();
    out.machines = machine_order.iter().map(|m| ir.machines[m.index()].clone()).collect();
    out.rules = Vec::new();
    out.relations.iter_mut().for_each(|r| r.declared_by = None);
    let mut groups = 0;
    for entry in blocks.iter().flatten() {
        match entry {
            Entry::Declare(_) => {}
            Entry::Rule(id, declares) => {
                let rule = rule(ir, *id).clone();
                if let (true, Some(rel)) = (declares, rule.head.relation()) {
                    out.relations[new_rel[rel.index()].index()].declared_by =
                        Some(RuleId(out.rules.len() as u32));
                }
                out.rules.push(Rule { on: None, ..rule });
            }
            Entry::On(n, first, rules) => {
                let group = GroupId(groups);
                groups += 1;
                let nothing = rules.is_empty().then_some(first);
                for id in rules.iter().chain(nothing) {
                    let mut rule = rule(ir, *id).clone();
                    rule.on = Some((group, *n));
                    out.rules.push(rule);
                }
            }
        }
    }
    renumber(&mut out, &new_rel, &new_machine);
    crate::resolve::number_leaves(&mut out);
    out
}

/// Relations in the order of the canonical text: those of roles, messages and requests, then by role what
/// is declared by itself and what rules declare.
fn relation_order(ir: &Protocol, blocks: &[Vec<Entry>]) -> Vec<RelId> {
    let mut order = Vec::new();
    for role in &ir.roles {
        order.extend([role.relation, role.start]);
    }
    let all = (0..ir.relations.len()).map(|i| RelId(i as u32));
    order.extend(
        all.filter(|r| matches!(ir.relation(*r).kind, RelationKind::Message | RelationKind::Request(_))),
    );
    for block in blocks {
        for entry in block {
            let Entry::Declare(rel) = entry else { continue };
            match ir.relation(*rel).kind {
                RelationKind::MachineFeed(id) => {
                    let m = &ir.machines[id.index()];
                    let mut parts = [m.feed, m.done, m.next, m.save, m.saved, m.load];
                    parts.sort();
                    order.extend(parts);
                }
                _ => order.push(*rel),
            }
        }
        for entry in block {
            if let Entry::Rule(id, true) = entry {
                order.extend(rule(ir, *id).head.relation());
            }
        }
    }
    assert_eq!(order.len(), ir.relations.len(), "every relation is declared somewhere");
    order
}

/// Gives relations and machines their new numbers.
fn renumber(ir: &mut Protocol, rels: &[RelId], machines: &[MachineId]) {
    let mut renumber = |rel: &mut RelId| *rel = rels[rel.index()];
    for role in &mut ir.roles {
        renumber(&mut role.relation);
        renumber(&mut role.start);
    }
    for m in &mut ir.machines {
        for rel in [&mut m.feed, &mut m.done, &mut m.next, &mut m.save, &mut m.saved, &mut m.load] {
            renumber(rel);
        }
    }
    ir.requires.iter_mut().for_each(|e| e.walk(&mut renumber));
    for relation in &mut ir.relations {
        use RelationKind::*;
        match &mut relation.kind {
            Var(Some(first)) => first.walk(&mut renumber),
            Timer(timer) => walk_literals(&mut timer.rows, &mut renumber),
            MachineFeed(m) | MachineDone(m) | MachineNext(m) | MachineSave(m) | MachineSaved(m)
            | MachineLoad(m) => {
                *m = machines[m.index()];
            }
            _ => {}
        }
    }
    ir.rules.iter_mut().for_each(|rule| walk_rule(rule, &mut renumber));
    for invariant in &mut ir.invariants {
        invariant.args.iter_mut().for_each(|e| e.walk(&mut renumber));
        walk_literals(&mut invariant.body, &mut renumber);
    }
}
