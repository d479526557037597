//! When two facts of one tick become the same fact downstream.
//!
//! What a tick sends is a set: two facts that give equal messages give one. Once the facts cross separately they arrive
//! in different ticks, and the receiver gets the message twice. (The other way round is harmless: messages sent in
//! different ticks may melt in a receiving tick of the original too.) The notes on rewrites overlook this; so each moved
//! message must tell apart the facts that it comes from, or those who receive it must not care.

use super::against::Against;
use super::maps::recoverable;
use super::sides::Sides;
use super::walk;
use anabranch_dsl::ir::{Atom, Expr, Head, Literal, Pattern, Protocol, RelId, RelationKind, Rule, RuleId};
use std::collections::BTreeSet;

/// Whether every receiver does the same however often it takes a fact: it stores it among what only accumulates,
/// answers a request (the first answer counts), or passes it on to such receivers, by rules that read nothing else.
pub fn harmless(p: &Protocol, rel: RelId) -> bool {
    fn go(p: &Protocol, rel: RelId, seen: &mut BTreeSet<RelId>) -> bool {
        if !seen.insert(rel) {
            return true;
        }
        if p.relation(rel).durable {
            return false;
        }
        let statics = super::sides::statics(p);
        walk::timers_on(p, rel).is_empty()
            && walk::readers(p, rel).into_iter().all(|id| {
                let rule = &p.rules[id.index()];
                let reads: Vec<_> =
                    walk::mentions(rule).into_iter().filter(|m| !statics.contains(&m.rel)).collect();
                let draws = walk::exprs(rule).into_iter().flat_map(walk::holes).next().is_some();
                let alone = reads.len() == 1 && reads[0].drives(p) && !draws;
                match &rule.head {
                    Head::Nothing => true,
                    Head::Reply { .. } | Head::Refuse { .. } | Head::Redirect { .. } => alone,
                    Head::Now { rel: to, .. } if p.relation(*to).is_table() => alone && grows(p, *to),
                    Head::Now { rel: to, .. } => {
                        alone && matches!(p.relation(*to).kind, RelationKind::Event) && go(p, *to, seen)
                    }
                    Head::Send { rel: to, .. } => alone && go(p, *to, seen),
                    _ => false,
                }
            })
    }
    go(p, rel, &mut BTreeSet::new())
}

/// Whether a table never loses or replaces a row.
pub fn grows(p: &Protocol, table: RelId) -> bool {
    let relation = p.relation(table);
    let merges = relation.columns.iter().any(|c| c.lattice.is_some());
    walk::writers(p, table).iter().all(|id| match p.rules[id.index()].head {
        Head::Delete { .. } => false,
        Head::Next { .. } => relation.key.is_none() || merges,
        _ => true,
    })
}

/// The one relation or join that a cone rule takes its facts from.
#[derive(Clone, Copy, Debug)]
pub enum Facts<'a> {
    /// An atom. Columns that an edge projects out are no part of its facts.
    Atom(&'a Atom),
    /// `new (..)`: its facts are the values of its variables.
    Join(&'a [Literal]),
}

/// Whether two different facts may give this rule the same head.
pub fn melts(s: &Sides<'_>, rule: &Rule, facts: Facts<'_>) -> Result<(), Against> {
    let known = recoverable(&rule.head, &rule.body);
    let lost = |what: &str, place: anabranch_dsl::ir::Place| {
        let head = rule.head.relation().map_or("", |r| s.name(r));
        Err(Against::new(
            "same-facts",
            place,
            format!("two facts of one tick may give the same `{head}`, which then would be sent twice"),
        )
        .here(what.to_string())
        .label(rule.place, "in this rule")
        .help("name what is sent: an event with exactly the columns that the head needs, derived where the facts come from"))
    };
    match facts {
        Facts::Join(body) => {
            for literal in body {
                for var in walk::literal_vars(literal) {
                    if !known.contains(var) {
                        return lost(&format!("the head does not tell `{var}`"), rule.place);
                    }
                }
            }
            Ok(())
        }
        Facts::Atom(atom) => {
            let relation = s.relation(atom.rel);
            let edge = !relation.is_event();
            let told = |p: &Pattern| match p {
                Pattern::Var(v) => known.contains(&v.name),
                Pattern::Value(_) => true,
                Pattern::Wild(_) => edge,
                Pattern::Nested(n) => {
                    let loses = n.tokens.0.clone().into_iter().any(loses);
                    !loses && n.vars.iter().all(|v| known.contains(&v.name))
                }
            };
            // What the head tells of the fact, with all that this determines.
            let known = (0..atom.args.len()).filter(|i| told(&atom.args[*i])).collect();
            let known = super::determine::determined(s.p, atom.rel, &known);
            match (0..atom.args.len()).find(|i| !known.contains(i)) {
                None => Ok(()),
                Some(i) => {
                    let column = &relation.columns[i].name;
                    lost(&format!("the head does not tell `{column}` of `{}`", relation.name), atom.place)
                }
            }
        }
    }
}

/// Whether a pattern's token lets different values match alike.
fn loses(tree: proc_macro2::TokenTree) -> bool {
    match tree {
        proc_macro2::TokenTree::Ident(i) => i == "_",
        proc_macro2::TokenTree::Punct(p) => matches!(p.as_char(), '.' | '|'),
        proc_macro2::TokenTree::Group(g) => g.stream().into_iter().any(loses),
        proc_macro2::TokenTree::Literal(_) => false,
    }
}

/// Whether the heads of two rules can never be equal, because a literal stands in the same column of both with different
/// values, or because they come from the same fact in the same way.
pub fn apart(a: &Rule, b: &Rule) -> bool {
    let (x, y) = (anabranch_dsl::strata::head_exprs(&a.head), anabranch_dsl::strata::head_exprs(&b.head));
    let constant = |e: &Expr| {
        let parsed = syn::parse2::<syn::Expr>(e.tokens.0.clone()).ok()?;
        let syn::Expr::Lit(l) = parsed else { return None };
        Some(quote_lit(&l.lit))
    };
    let differ = x.iter().zip(&y).any(|(a, b)| match (constant(a), constant(b)) {
        (Some(a), Some(b)) => a != b,
        _ => false,
    });
    differ || (same_source(a, b) && columns(a) == columns(b))
}

fn quote_lit(lit: &syn::Lit) -> String {
    match lit {
        syn::Lit::Int(i) => i.base10_digits().to_string(),
        syn::Lit::Bool(b) => b.value.to_string(),
        syn::Lit::Str(s) => format!("{:?}", s.value()),
        other => format!("{:?}", other.suffix()),
    }
}

fn same_source(a: &Rule, b: &Rule) -> bool {
    let events =
        |r: &Rule| -> Vec<RelId> { walk::body_mentions(&r.body).into_iter().map(|m| m.rel).collect() };
    events(a).first() == events(b).first()
}

/// For every column of a rule's first atom, the columns of the head that hold it unchanged.
fn columns(rule: &Rule) -> Option<Vec<Vec<usize>>> {
    let atom = rule.body.iter().find_map(|l| if let Literal::Atom(a) = l { Some(a) } else { None })?;
    let head = anabranch_dsl::strata::head_exprs(&rule.head);
    let at = |p: &Pattern| match p {
        Pattern::Var(v) => (0..head.len()).filter(|i| head[*i].var.as_ref() == Some(&v.name)).collect(),
        _ => Vec::new(),
    };
    let found: Vec<Vec<usize>> = atom.args.iter().map(at).collect();
    found.iter().all(|c| !c.is_empty()).then_some(found)
}

/// The other rules of the role that send a message which this rule sends and which may coincide with it.
pub fn rivals(s: &Sides<'_>, id: RuleId) -> Vec<RuleId> {
    let rule = s.rule(id);
    let Some(head) = rule.head.relation() else { return Vec::new() };
    let same = |r: &Rule| {
        r.head.relation() == Some(head)
            && std::mem::discriminant(&r.head) == std::mem::discriminant(&rule.head)
    };
    s.rules
        .keys()
        .copied()
        .filter(|other| *other != id && same(s.rule(*other)) && !apart(rule, s.rule(*other)))
        .collect()
}
