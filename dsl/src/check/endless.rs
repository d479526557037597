//! Macro-steps that never end, where that can be seen: `n(x + 1) <+ new n(x)`.
//!
//! Only rules without conditions are followed (one event, and besides it only what always holds), so a
//! reported cycle goes on for ever once it has begun. A cycle that has a condition somewhere is left to the
//! bound at run time.

use super::walk::{is_fresh, vars};
use crate::diag::Diagnostic;
use crate::ir::{Head, Literal, Pattern, Protocol, RelId, RelationKind, Rule, RuleId, Version};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

struct Step {
    from: RelId,
    to: RelId,
    rule: RuleId,
    /// Written at the next tick.
    deferred: bool,
    /// It may give a row that differs from the one that caused it.
    changes: bool,
}

/// Warns of each such cycle once, at the rule that crosses into the next tick.
pub fn check(p: &Protocol, errors: &mut Vec<Diagnostic>) {
    let steps: Vec<Step> =
        p.rules.iter().enumerate().filter_map(|(i, r)| step(p, RuleId(i as u32), r)).collect();
    within_tick(p, &steps, errors);
    let mut reported = BTreeSet::new();
    for first in steps.iter().filter(|s| s.deferred) {
        let Some(rest) = path(&steps, first.to, first.from) else { continue };
        let cycle: Vec<&Step> = std::iter::once(first).chain(rest).collect();
        let events_only = cycle.iter().all(|s| p.relation(s.from).is_event());
        if !(events_only || cycle.iter().any(|s| s.changes)) {
            continue;
        }
        let members: BTreeSet<RelId> = cycle.iter().map(|s| s.from).collect();
        if !reported.insert(members) {
            continue;
        }
        let name = &p.relation(first.to).name;
        let mut warning = Diagnostic::warning(
            "endless",
            p.rules[first.rule.index()].place.0,
            format!(
                "once begun, this never ends: every tick causes the next one through `{name}`, and nothing else is taken in between"
            ),
        );
        for step in cycle.iter().skip(1) {
            warning = warning.label(
                p.rules[step.rule.index()].place.0,
                format!("which leads to `{}`", p.relation(step.to).name),
            );
        }
        errors.push(warning.help("add a condition that ends it, or wait with a timer"));
    }
}

fn step(p: &Protocol, id: RuleId, rule: &Rule) -> Option<Step> {
    let (to, args, deferred) = match &rule.head {
        Head::Now { rel, args } => (*rel, args, false),
        Head::Next { rel, args } => (*rel, args, true),
        _ => return None,
    };
    let mut from = None;
    let mut seen: Vec<String> = Vec::new();
    for literal in &rule.body {
        match literal {
            Literal::Atom(a) if a.negated || !a.args.iter().all(|pattern| is_fresh(pattern, &seen)) => {
                return None;
            }
            Literal::Atom(a) => {
                let relation = p.relation(a.rel);
                let always = matches!(relation.kind, RelationKind::Var(_) | RelationKind::MachineNext(_))
                    && a.version != Version::New;
                let stands = !deferred && a.version == Version::Now;
                if a.version == Version::New || relation.is_event() || stands {
                    if from.replace((a.rel, &a.args)).is_some() {
                        return None;
                    }
                } else if !always {
                    return None;
                }
                seen.extend(a.args.iter().flat_map(vars));
            }
            Literal::Let(pattern, _) if is_fresh(pattern, &seen) => seen.extend(vars(pattern)),
            _ => return None,
        }
    }
    let (from, patterns) = from?;
    let same = patterns.len() == args.len()
        && patterns
            .iter()
            .zip(args)
            .all(|(pattern, arg)| matches!(pattern, Pattern::Var(v) if arg.var.as_ref() == Some(&v.name)));
    // A derived table or view passes a change on only if the row itself is passed on or computed.
    let changes = !same && args.iter().any(|a| a.var.is_none() && !a.vars.is_empty());
    Some(Step { from, to, rule: id, deferred, changes })
}

/// `e(x + 1) <= e(x)`: the fixpoint of the tick itself is infinite.
fn within_tick(p: &Protocol, steps: &[Step], errors: &mut Vec<Diagnostic>) {
    let now: Vec<&Step> = steps.iter().filter(|s| !s.deferred).collect();
    let mut reported = BTreeSet::new();
    for first in now.iter().filter(|s| s.changes) {
        let Some(rest) = path(steps, first.to, first.from) else { continue };
        let cycle: Vec<&Step> = std::iter::once(*first).chain(rest).collect();
        if cycle.iter().any(|s| s.deferred)
            || !reported.insert(cycle.iter().map(|s| s.from).collect::<BTreeSet<_>>())
        {
            continue;
        }
        let mut warning = Diagnostic::warning(
            "endless",
            p.rules[first.rule.index()].place.0,
            format!(
                "once begun, this never ends: every row of `{}` gives another one within the same tick",
                p.relation(first.to).name
            ),
        );
        for step in cycle.iter().skip(1) {
            warning = warning.label(
                p.rules[step.rule.index()].place.0,
                format!("which leads to `{}`", p.relation(step.to).name),
            );
        }
        errors.push(warning.help("add a condition that ends it"));
    }
}

fn path<'a>(steps: &'a [Step], from: RelId, to: RelId) -> Option<Vec<&'a Step>> {
    let mut came: BTreeMap<RelId, &'a Step> = BTreeMap::new();
    let mut queue = VecDeque::from([from]);
    while let Some(at) = queue.pop_front() {
        if at == to {
            break;
        }
        for step in steps.iter().filter(|s| s.from == at) {
            if step.to != from && !came.contains_key(&step.to) {
                came.insert(step.to, step);
                queue.push_back(step.to);
            }
        }
    }
    let mut out = Vec::new();
    let mut at = to;
    while at != from {
        let step = came.get(&at)?;
        out.push(*step);
        at = step.from;
    }
    out.reverse();
    Some(out)
}
