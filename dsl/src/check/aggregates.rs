//! Aggregates and look-ups: where they stand and what they may read.

use super::walk::{aggregates, exprs, lookups, other_exprs};
use crate::diag::Diagnostic;
use crate::ir::{Expr, Head, Hole, Protocol, RelId, RelationKind, Rule};
use crate::resolve::describe;
use crate::strata::has_aggregate;

/// Checks all rules.
pub fn check(p: &Protocol, errors: &mut Vec<Diagnostic>) {
    for rule in &p.rules {
        let found = aggregates(rule);
        if let (Some(first), Head::Delete { .. }) = (found.first(), &rule.head) {
            errors.push(
                Diagnostic::error(
                    "aggregate",
                    first.place.0,
                    "an aggregate cannot say which rows are deleted",
                )
                .label(rule.place.0, "in this rule")
                .help("compute it in an event or view, and read that in the body"),
            );
        }
        if let Head::Now { rel, args } = &rule.head
            && let Some(key) = p.relation(*rel).key
        {
            for arg in args.iter().take(key).filter(|a| has_aggregate(a)) {
                errors.push(
                    Diagnostic::error(
                        "aggregate",
                        arg.place.0,
                        format!("an aggregate cannot be part of the key of `{}`", p.relation(*rel).name),
                    )
                    .label(p.relation(*rel).place.0, "declared here")
                    .help("the key is what it is grouped by: write the aggregate after `=>`"),
                );
            }
        }
        for expr in answered(&rule.head).into_iter().filter(|e| has_aggregate(e)) {
            errors.push(Diagnostic::error(
                "aggregate",
                expr.place.0,
                "an aggregate cannot say which request is answered",
            ));
        }
        for expr in exprs(rule) {
            check_lookups(p, expr, errors);
        }
    }
    for expr in other_exprs(p) {
        check_lookups(p, expr, errors);
    }
    one_rule(p, errors);
}

fn answered(head: &Head) -> Option<&Expr> {
    match head {
        Head::Reply { req, .. } | Head::Refuse { req, .. } | Head::Redirect { req, .. } => Some(req),
        _ => None,
    }
}

/// A view or event with an aggregate has one rule: two would each give an own result.
fn one_rule(p: &Protocol, errors: &mut Vec<Diagnostic>) {
    for (i, relation) in p.relations.iter().enumerate() {
        if !matches!(relation.kind, RelationKind::View | RelationKind::Event) {
            continue;
        }
        let id = RelId(i as u32);
        let rules: Vec<&Rule> =
            p.rules.iter().filter(|r| matches!(&r.head, Head::Now { rel, .. } if *rel == id)).collect();
        let Some(first) = rules.iter().find(|r| !aggregates(r).is_empty()) else { continue };
        if rules.len() < 2 {
            continue;
        }
        let place = aggregates(first)[0].place;
        let mut error = Diagnostic::error(
            "aggregate",
            place.0,
            format!(
                "`{}` has an aggregate and therefore one rule, but {} derive it",
                relation.name,
                rules.len()
            ),
        );
        for rule in &rules {
            error = error.label(
                rule.place.0,
                if std::ptr::eq(*rule, *first) { "the rule with the aggregate" } else { "another rule" },
            );
        }
        errors.push(error.help("first unite what is aggregated in a view or event of its own"));
    }
}

fn check_lookups(p: &Protocol, expr: &Expr, errors: &mut Vec<Diagnostic>) {
    for (rel, args, place) in lookups(expr) {
        let relation = p.relation(rel);
        let name = &relation.name;
        match relation.key {
            None => errors.push(
                Diagnostic::error(
                    "lookup",
                    place.0,
                    format!("`{name}` has no key, so `{name}[..]` could mean several rows"),
                )
                .label(relation.place.0, format!("`{name}` is {}", describe(relation)))
                .help(format!(
                    "declare its key with `=>`, as in `{name}(key => value)`, or read it with an atom"
                )),
            ),
            Some(key) if key != args.len() => {
                let columns: Vec<&str> = relation.columns[..key].iter().map(|c| c.name.as_str()).collect();
                errors.push(
                    Diagnostic::error(
                        "arity",
                        place.0,
                        format!(
                            "the key of `{name}` has {key} column{}, but {} given",
                            if key == 1 { "" } else { "s" },
                            if args.len() == 1 { "1 is".into() } else { format!("{} are", args.len()) }
                        ),
                    )
                    .label(relation.place.0, "declared here")
                    .help(format!("write `{name}[{}]`", columns.join(", "))),
                );
            }
            Some(_) => {}
        }
        // An inner look-up is reported by its own place; aggregates inside one cannot be parsed.
        debug_assert!(!args.iter().any(|a| a.holes.iter().any(|h| matches!(h, Hole::Aggregate(_)))));
    }
}
