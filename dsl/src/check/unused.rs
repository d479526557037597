//! What is declared and never read, or read and never written.

use super::walk::{atoms, body_exprs, exprs, lookups, other_exprs};
use crate::diag::Diagnostic;
use crate::ir::{Delay, Head, Pattern, Protocol, RelId, RelationKind};
use crate::resolve::delays;
use proc_macro2::{TokenStream, TokenTree};
use std::collections::BTreeSet;

/// Warns of unused relations and parameters.
pub fn check(p: &Protocol, errors: &mut Vec<Diagnostic>) {
    let read = read(p);
    let written: BTreeSet<RelId> = p
        .rules
        .iter()
        .filter_map(|r| match &r.head {
            Head::Now { rel, .. } | Head::Next { rel, .. } | Head::Send { rel, .. } => Some(*rel),
            _ => None,
        })
        .collect();
    for (i, relation) in p.relations.iter().enumerate() {
        let id = RelId(i as u32);
        let name = &relation.name;
        use RelationKind::*;
        if !read.contains(&id) {
            match relation.kind {
                // The application takes what a durable event tells.
                Event if relation.durable => {}
                Message | Request(_) | Event => errors.push(
                    Diagnostic::warning(
                        "unused",
                        relation.place.0,
                        format!("no rule takes `{name}`: it is lost"),
                    )
                    .help(format!("if that is meant, say so: `on {name}(..) {{}}`")),
                ),
                Table | Var(_) | View | Timer(_) => {
                    errors.push(Diagnostic::warning(
                        "unused",
                        relation.place.0,
                        format!("`{name}` is never read"),
                    ));
                }
                _ => {}
            }
        } else if !written.contains(&id) {
            match relation.kind {
                Message => errors.push(Diagnostic::warning(
                    "unused",
                    relation.place.0,
                    format!("no rule sends `{name}`"),
                )),
                Event | Table | View => errors.push(Diagnostic::warning(
                    "unused",
                    relation.place.0,
                    format!("no rule derives `{name}`: it stays empty"),
                )),
                _ => {}
            }
        }
    }
    let words = words(p);
    for param in p.params.iter().filter(|param| !words.contains(&param.name)) {
        errors.push(Diagnostic::warning(
            "unused",
            param.place.0,
            format!("parameter `{}` is never used", param.name),
        ));
    }
}

fn read(p: &Protocol) -> BTreeSet<RelId> {
    let mut read = BTreeSet::new();
    for rule in &p.rules {
        read.extend(atoms(&rule.body).iter().map(|(a, _)| a.rel));
        read.extend(exprs(rule).into_iter().flat_map(lookups).map(|(r, _, _)| r));
    }
    for relation in &p.relations {
        if let RelationKind::Timer(timer) = &relation.kind {
            read.extend(atoms(&timer.rows).iter().map(|(a, _)| a.rel));
        }
    }
    for invariant in &p.invariants {
        read.extend(atoms(&invariant.body).iter().map(|(a, _)| a.rel));
    }
    read.extend(other_exprs(p).into_iter().flat_map(lookups).map(|(r, _, _)| r));
    read
}

/// All identifiers in expressions, and parameters in timers.
fn words(p: &Protocol) -> BTreeSet<String> {
    fn add(tokens: TokenStream, words: &mut BTreeSet<String>) {
        for tree in tokens {
            match tree {
                TokenTree::Ident(i) => {
                    words.insert(i.to_string());
                }
                TokenTree::Group(g) => add(g.stream(), words),
                _ => {}
            }
        }
    }
    fn add_expr(e: &crate::ir::Expr, words: &mut BTreeSet<String>) {
        add(e.tokens.0.clone(), words);
        for hole in &e.holes {
            match hole {
                crate::ir::Hole::Lookup { args, .. } => args.iter().for_each(|e| add_expr(e, words)),
                crate::ir::Hole::Aggregate(a) => a.args.iter().for_each(|e| add_expr(e, words)),
                _ => {}
            }
        }
    }
    let mut words = BTreeSet::new();
    p.rules.iter().flat_map(exprs).for_each(|e| add_expr(e, &mut words));
    other_exprs(p).into_iter().for_each(|e| add_expr(e, &mut words));
    for relation in &p.relations {
        if let RelationKind::Timer(timer) = &relation.kind {
            words.extend(
                delays(&timer.schedule)
                    .into_iter()
                    .filter_map(|d| if let Delay::Param(name) = d { Some(name.clone()) } else { None }),
            );
            body_exprs(&timer.rows).into_iter().for_each(|e| add_expr(e, &mut words));
        }
    }
    for pattern in p.invariants.iter().flat_map(|i| atoms(&i.body)).flat_map(|(a, _)| &a.args) {
        if let Pattern::Value(e) = pattern {
            add_expr(e, &mut words);
        }
    }
    words
}
