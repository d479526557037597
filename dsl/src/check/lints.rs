//! Rules that are allowed and may not mean what was intended.

use super::walk::{aggregates, atoms};
use crate::diag::Diagnostic;
use crate::ir::{AggregateFn, Atom, Head, Literal, Pattern, Protocol, RelId, RelationKind, Rule, Version};
use std::collections::BTreeSet;

/// Runs the lints.
pub fn check(p: &Protocol, errors: &mut Vec<Diagnostic>) {
    for rule in &p.rules {
        new_and_more(p, rule, errors);
        new_count(p, rule, errors);
        tick_aggregate(p, rule, errors);
        same_tick(p, rule, errors);
    }
}

/// Two things from outside in one body: they would have to arrive in the same tick.
fn same_tick(p: &Protocol, rule: &Rule, errors: &mut Vec<Diagnostic>) {
    let outside = |a: &Atom| {
        !a.negated
            && matches!(
                p.relation(a.rel).kind,
                RelationKind::Message | RelationKind::Request(_) | RelationKind::Timer(_)
            )
    };
    let found: Vec<&Atom> = atoms(&rule.body).into_iter().map(|(a, _)| a).filter(|a| outside(a)).collect();
    if let [first, second, ..] = found[..] {
        let (a, b) = (&p.relation(first.rel).name, &p.relation(second.rel).name);
        errors.push(
            Diagnostic::warning(
                "same-tick",
                second.place.0,
                format!("`{a}` and `{b}` hardly ever happen in the same tick"),
            )
            .label(first.place.0, format!("`{a}` lasts for one tick"))
            .help("keep the one that comes first in a table"),
        );
    }
}

/// `new a, b` does not see a `b` that comes after `a`.
fn new_and_more(p: &Protocol, rule: &Rule, errors: &mut Vec<Diagnostic>) {
    let plain: Vec<&Atom> =
        rule.body.iter().filter_map(|l| if let Literal::Atom(a) = l { Some(a) } else { None }).collect();
    let drivers: Vec<&&Atom> = plain.iter().filter(|a| a.version == Version::New && !a.negated).collect();
    // With another event, the rule is about that one's moment.
    let [new] = drivers[..] else { return };
    if plain.iter().any(|a| !a.negated && p.relation(a.rel).is_event())
        || rule.body.iter().any(|l| matches!(l, Literal::NewJoin(..)))
    {
        return;
    }
    for other in plain.iter().filter(|a| !a.negated && a.version == Version::Now) {
        let relation = p.relation(other.rel);
        // What always has a row, or never changes, cannot come later.
        if !matches!(relation.kind, RelationKind::Table | RelationKind::View) {
            continue;
        }
        if implies(p, new.rel, other.rel, &mut BTreeSet::new()) || consumes(p, rule, other.rel) {
            continue;
        }
        let (a, b) = (&p.relation(new.rel).name, &relation.name);
        errors.push(
            Diagnostic::warning(
                "new-and-more",
                new.place.0,
                format!("this happens when `{a}` becomes true, not when `{b}` does later"),
            )
            .label(other.place.0, format!("a row of `{b}` that comes after is missed"))
            .help(format!("write `new ({a}(..), {b}(..))` if whichever comes last should count")),
        );
    }
}

/// Whether every row of `a` was derived with one of `b` in the body.
fn implies(p: &Protocol, a: RelId, b: RelId, seen: &mut BTreeSet<RelId>) -> bool {
    if a == b {
        return true;
    }
    if !seen.insert(a) {
        return false;
    }
    let rules: Vec<&Rule> = p
        .rules
        .iter()
        .filter(|r| matches!(&r.head, Head::Now { rel, .. } | Head::Next { rel, .. } if *rel == a))
        .collect();
    !rules.is_empty()
        && rules
            .iter()
            .all(|r| atoms(&r.body).iter().any(|(atom, _)| !atom.negated && implies(p, atom.rel, b, seen)))
}

/// Whether this rule, or another of its `on` block, deletes from a table: then it is about the rows that
/// are there.
fn consumes(p: &Protocol, rule: &Rule, table: RelId) -> bool {
    let deletes = |r: &Rule| matches!(&r.head, Head::Delete { rel, .. } if *rel == table);
    let group = rule.on.map(|(g, _)| g);
    deletes(rule) || group.is_some() && p.rules.iter().any(|r| r.on.map(|(g, _)| g) == group && deletes(r))
}

/// `new v(k, n), if n == 3`: the count may go from 2 to 4 in one tick.
fn new_count(p: &Protocol, rule: &Rule, errors: &mut Vec<Diagnostic>) {
    for (atom, joined) in atoms(&rule.body) {
        if atom.negated || !(joined || atom.version == Version::New) {
            continue;
        }
        let Some(by) = p.rules.iter().find(|r| {
            matches!(&r.head, Head::Now { rel, .. } if *rel == atom.rel) && !aggregates(r).is_empty()
        }) else {
            continue;
        };
        let Head::Now { args, .. } = &by.head else { continue };
        for (pattern, arg) in atom.args.iter().zip(args) {
            let counts = arg.holes.iter().any(|h| {
                matches!(h, crate::ir::Hole::Aggregate(a) if matches!(a.function, AggregateFn::Count | AggregateFn::CountDistinct | AggregateFn::Sum))
            });
            if !counts {
                continue;
            }
            let tested = match pattern {
                Pattern::Value(e) => Some(e.place),
                Pattern::Var(v) => conditions(&rule.body).find(|e| {
                    matches!(syn::parse2::<syn::Expr>(e.tokens.0.clone()), Ok(parsed) if tests_equal(&parsed, &v.name))
                }).map(|e| e.place),
                _ => None,
            };
            if let Some(place) = tested {
                let name = &p.relation(atom.rel).name;
                errors.push(
                    Diagnostic::warning("new-count", place.0, format!("the count in `{name}` can jump over this value within one tick"))
                        .label(by.place.0, "it is counted here")
                        .label(atom.place.0, "only counts at the end of a tick are seen here")
                        .help(format!("name the threshold as a view, `view enough(..) <= {name}(.., n), if n >= ..`, and use `new enough(..)`")),
                );
            }
        }
    }
}

fn conditions(body: &[Literal]) -> Box<dyn Iterator<Item = &crate::ir::Expr> + '_> {
    Box::new(body.iter().flat_map(|l| -> Box<dyn Iterator<Item = &crate::ir::Expr>> {
        match l {
            Literal::If(e) => Box::new(std::iter::once(e)),
            Literal::NewJoin(inner, _) => conditions(inner),
            _ => Box::new(std::iter::empty()),
        }
    }))
}

fn tests_equal(expr: &syn::Expr, name: &str) -> bool {
    let is = |e: &syn::Expr| matches!(e, syn::Expr::Path(p) if p.path.is_ident(name));
    match expr {
        syn::Expr::Paren(p) => tests_equal(&p.expr, name),
        syn::Expr::Binary(b) => match b.op {
            syn::BinOp::Eq(_) => is(&b.left) || is(&b.right),
            syn::BinOp::And(_) | syn::BinOp::Or(_) => {
                tests_equal(&b.left, name) || tests_equal(&b.right, name)
            }
            _ => false,
        },
        _ => false,
    }
}

/// `count` or `sum` straight over what arrives from outside counts the arrivals of one tick.
fn tick_aggregate(p: &Protocol, rule: &Rule, errors: &mut Vec<Diagnostic>) {
    let counting = aggregates(rule)
        .into_iter()
        .find(|a| matches!(a.function, AggregateFn::Count | AggregateFn::CountDistinct | AggregateFn::Sum));
    let Some(counting) = counting else { return };
    if matches!(&rule.head, Head::Now { rel, .. } if matches!(p.relation(*rel).kind, RelationKind::View)) {
        // A view over an event is an error already.
        return;
    }
    let arrives = |a: &&Atom| {
        !a.negated && matches!(p.relation(a.rel).kind, RelationKind::Message | RelationKind::Request(_))
    };
    let found = atoms(&rule.body).into_iter().map(|(a, _)| a).find(arrives);
    if let Some(atom) = found {
        let name = &p.relation(atom.rel).name;
        errors.push(
            Diagnostic::warning(
                "tick-aggregate",
                counting.place.0,
                "this covers one tick only: what arrives in the next one is counted afresh",
            )
            .label(atom.place.0, format!("`{name}` lasts for one tick"))
            .help(format!("keep `{name}` in a table and aggregate over that in a view")),
        );
    }
}
