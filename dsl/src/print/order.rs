//! Where everything stands in the canonical text, and the numbering that follows from it.
//!
//! The IR does not know where a declaration stood among the rules, so the printer decides: what lasts
//! (tables, variables, machines, timers) stands at the top of its role, events and views before the first
//! rule that mentions them or with the rule that declares them. The order depends on nothing that printing
//! loses, so printing what was parsed from printed text changes nothing.

use super::visit::{Part, Visitor, walk_literals, walk_rule};
use crate::ir::{GroupId, Head, LeafId, MachineId, Protocol, RelId, RelationKind, Rule, RuleId};

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
    let mut blocks: Vec<Vec<Entry>> = Vec::new();
    for role in 0..ir.roles.len() {
        let mut declared = vec![false; ir.relations.len()];
        let local = |rel: usize| ir.relations[rel].role.is_some_and(|r| r.index() == role);
        let mut block: Vec<Entry> = Vec::new();
        let rules: Vec<RuleId> = ids(ir.rules.len()).filter(|r| rule(ir, *r).role.index() == role).collect();
        let entries = group(ir, &rules);
        let mut late = Vec::new();
        for rel in (0..ir.relations.len()).filter(|r| local(*r)) {
            match ir.relations[rel].kind {
                RelationKind::Table
                | RelationKind::Var(_)
                | RelationKind::Timer(_)
                | RelationKind::MachineFeed(_) => {
                    block.push(Entry::Declare(RelId(rel as u32)));
                }
                RelationKind::Event | RelationKind::View if declaring(ir, RelId(rel as u32)).is_none() => {
                    late.push(rel);
                }
                _ => {}
            }
        }
        for entry in entries {
            let mentioned = mentions(ir, &entry);
            for rel in late.iter().filter(|r| mentioned.contains(r)) {
                if !std::mem::replace(&mut declared[*rel], true) {
                    block.push(Entry::Declare(RelId(*rel as u32)));
                }
            }
            block.push(entry);
        }
        let unused = late.iter().filter(|r| !declared[**r]).map(|r| Entry::Declare(RelId(*r as u32)));
        block.extend(unused);
        blocks.push(block);
    }
    blocks
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
        let mut rule = rule(ir, id).clone();
        walk_rule(&mut rule, 0, &mut |part: Part<'_>| {
            if let Part::Relation(rel) = part {
                out.push(rel.index());
            }
        });
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
    // Where each rule's prefix has been numbered already: it is written once for the whole block.
    let mut shared: Vec<usize> = Vec::new();
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
                shared.push(0);
            }
            Entry::On(n, first, rules) => {
                let group = GroupId(groups);
                groups += 1;
                let nothing = rules.is_empty().then_some(first);
                for (i, id) in rules.iter().chain(nothing).enumerate() {
                    let mut rule = rule(ir, *id).clone();
                    rule.on = Some((group, *n));
                    if i > 0 {
                        let model = out.rules[out.rules.len() - 1].body[..*n].to_vec();
                        rule.body.splice(..*n, model);
                    }
                    out.rules.push(rule);
                    shared.push(if i > 0 { *n } else { 0 });
                }
            }
        }
    }
    renumber(&mut out, &new_rel, &new_machine, &shared);
    out
}

/// Relations in the order of the canonical text: those of roles, messages and requests, then by role.
fn relation_order(ir: &Protocol, blocks: &[Vec<Entry>]) -> Vec<RelId> {
    let mut order = Vec::new();
    for role in &ir.roles {
        order.extend([role.relation, role.start]);
    }
    let all = (0..ir.relations.len()).map(|i| RelId(i as u32));
    order.extend(
        all.filter(|r| matches!(ir.relation(*r).kind, RelationKind::Message | RelationKind::Request(_))),
    );
    for entry in blocks.iter().flatten() {
        match entry {
            Entry::Declare(rel) => match ir.relation(*rel).kind {
                RelationKind::MachineFeed(id) => {
                    let m = &ir.machines[id.index()];
                    order.extend([m.feed, m.done, m.next, m.save, m.saved, m.load]);
                }
                _ => order.push(*rel),
            },
            Entry::Rule(id, true) => order.extend(rule(ir, *id).head.relation()),
            _ => {}
        }
    }
    assert_eq!(order.len(), ir.relations.len(), "every relation is declared somewhere");
    order
}

/// Gives relations, machines and leaves their new numbers.
fn renumber(ir: &mut Protocol, rels: &[RelId], machines: &[MachineId], shared: &[usize]) {
    let mut next = 0;
    let mut renumber = |part: Part<'_>| match part {
        Part::Relation(rel) => *rel = rels[rel.index()],
        Part::Leaf(leaf) => {
            *leaf = LeafId(next);
            next += 1;
        }
    };
    for role in &mut ir.roles {
        role.relation = rels[role.relation.index()];
        role.start = rels[role.start.index()];
    }
    for m in &mut ir.machines {
        for rel in [&mut m.feed, &mut m.done, &mut m.next, &mut m.save, &mut m.saved, &mut m.load] {
            *rel = rels[rel.index()];
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
    for (i, &n) in shared.iter().enumerate() {
        if n > 0 {
            let model = ir.rules[i - 1].body[..n].to_vec();
            ir.rules[i].body.splice(..n, model);
        }
        walk_rule(&mut ir.rules[i], n, &mut renumber);
    }
    for invariant in &mut ir.invariants {
        invariant.args.iter_mut().for_each(|e| e.walk(&mut renumber));
        walk_literals(&mut invariant.body, &mut renumber);
    }
}
