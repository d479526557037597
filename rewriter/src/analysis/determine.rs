//! Which columns determine others, among the rows that hold together in one tick.
//!
//! From keys, from requests (a `Req` determines what was asked), from `unique()` (which never repeats), and, for a
//! relation with one rule, from the same facts about what the rule reads. Stronger claims, over all time, are section 9's.

use super::maps::recoverable;
use super::walk;
use anabranch_dsl::ir::{Expr, Head, Hole, Literal, Pattern, Protocol, RelId, RelationKind, Version};
use anabranch_dsl::strata::head_exprs;
use std::collections::BTreeSet;

/// The columns that are fixed once some are.
pub fn determined(p: &Protocol, rel: RelId, known: &BTreeSet<usize>) -> BTreeSet<usize> {
    close(p, rel, known.clone(), 4)
}

fn close(p: &Protocol, rel: RelId, mut known: BTreeSet<usize>, depth: usize) -> BTreeSet<usize> {
    let relation = p.relation(rel);
    let all: BTreeSet<usize> = (0..relation.columns.len()).collect();
    let keyed = relation.key.is_some_and(|k| (0..k).all(|i| known.contains(&i)));
    let asked = matches!(relation.kind, RelationKind::Request(_)) && known.contains(&0);
    if keyed || asked || known.iter().any(|i| drawn(p, rel, *i)) {
        return all;
    }
    if depth > 0 && matches!(relation.kind, RelationKind::Event | RelationKind::View) {
        let rules = walk::writers(p, rel);
        if let [id] = rules[..]
            && let Head::Now { args, .. } = &p.rules[id.index()].head
        {
            let rule = &p.rules[id.index()];
            let kept =
                args.iter().enumerate().filter(|(i, _)| known.contains(i)).map(|(_, e)| e.clone()).collect();
            let mut vars = recoverable(&Head::Now { rel, args: kept }, &rule.body);
            spread(p, &rule.body, &mut vars, depth);
            let fixed = |e: &Expr| e.holes.is_empty() && e.vars.iter().all(|v| vars.contains(v));
            known.extend(args.iter().enumerate().filter(|(_, e)| fixed(e)).map(|(i, _)| i));
        }
    }
    known
}

/// Adds the variables of a body that others determine.
fn spread(p: &Protocol, body: &[Literal], vars: &mut BTreeSet<String>, depth: usize) {
    loop {
        let before = vars.len();
        for literal in body {
            match literal {
                Literal::Atom(a) if !a.negated && a.version == Version::Now => {
                    let told = |p: &Pattern| match p {
                        Pattern::Var(v) => vars.contains(&v.name),
                        Pattern::Value(_) => true,
                        _ => false,
                    };
                    let known = (0..a.args.len()).filter(|i| told(&a.args[*i])).collect();
                    let found = close(p, a.rel, known, depth - 1);
                    let more = found.iter().flat_map(|i| walk::pattern_vars(&a.args[*i])).map(String::from);
                    vars.extend(more.collect::<Vec<_>>());
                }
                Literal::Let(pattern, e) if e.holes.is_empty() && e.vars.iter().all(|v| vars.contains(v)) => {
                    vars.extend(walk::pattern_vars(pattern).into_iter().map(String::from));
                }
                _ => {}
            }
        }
        if vars.len() == before {
            return;
        }
    }
}

/// Whether every row of an event has a fresh `unique()` in a column.
fn drawn(p: &Protocol, rel: RelId, column: usize) -> bool {
    let rules = walk::writers(p, rel);
    let fresh = |e: &Expr| matches!(e.holes[..], [Hole::Unique]) && e.tokens.0.to_string() == "__hole0";
    matches!(p.relation(rel).kind, RelationKind::Event)
        && !rules.is_empty()
        && rules.iter().all(|id| {
            let rule = &p.rules[id.index()];
            let now = matches!(rule.head, Head::Now { .. } | Head::Next { .. });
            now && !walk::aggregates(rule) && head_exprs(&rule.head).get(column).is_some_and(|e| fresh(e))
        })
}
