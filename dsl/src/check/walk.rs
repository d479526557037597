//! Walks that several checks share.

use crate::ir::{
    Aggregate, Atom, Expr, Hole, Invariant, Literal, Pattern, Place, Protocol, RelId, RelationKind, Rule,
};
use crate::strata::head_exprs;

/// All atoms of a body, those of `new (..)` included; `true` marks the latter.
pub fn atoms(body: &[Literal]) -> Vec<(&Atom, bool)> {
    let mut out = Vec::new();
    for literal in body {
        match literal {
            Literal::Atom(atom) => out.push((atom, false)),
            Literal::NewJoin(inner, _) => out.extend(atoms(inner).into_iter().map(|(a, _)| (a, true))),
            _ => {}
        }
    }
    out
}

/// The expressions of a body, outermost only.
pub fn body_exprs(body: &[Literal]) -> Vec<&Expr> {
    let mut out = Vec::new();
    for literal in body {
        match literal {
            Literal::Atom(atom) => out.extend(atom.args.iter().filter_map(|p| match p {
                Pattern::Value(e) => Some(e),
                _ => None,
            })),
            Literal::NewJoin(inner, _) => out.extend(body_exprs(inner)),
            Literal::If(e) => out.push(e),
            Literal::Let(p, e) | Literal::For(p, e) => {
                if let Pattern::Value(value) = p {
                    out.push(value);
                }
                out.push(e);
            }
        }
    }
    out
}

/// All expressions of a rule, outermost only: body, then head.
pub fn exprs(rule: &Rule) -> Vec<&Expr> {
    let mut out = body_exprs(&rule.body);
    out.extend(head_exprs(&rule.head));
    out
}

/// All holes of an expression, outer before inner.
pub fn holes(expr: &Expr) -> Vec<&Hole> {
    let mut out = Vec::new();
    for hole in &expr.holes {
        out.push(hole);
        match hole {
            Hole::Lookup { args, .. } => out.extend(args.iter().flat_map(holes)),
            Hole::Aggregate(a) => out.extend(a.args.iter().flat_map(holes)),
            Hole::Unique | Hole::NowMs | Hole::Random => {}
        }
    }
    out
}

/// The look-ups of an expression.
pub fn lookups(expr: &Expr) -> Vec<(RelId, &[Expr], Place)> {
    let all = holes(expr).into_iter();
    all.filter_map(|h| {
        if let Hole::Lookup { rel, args, place } = h { Some((*rel, &args[..], *place)) } else { None }
    })
    .collect()
}

/// The aggregates of a rule's head.
pub fn aggregates(rule: &Rule) -> Vec<&Aggregate> {
    let all = head_exprs(&rule.head).into_iter().flat_map(holes);
    all.filter_map(|h| if let Hole::Aggregate(a) = h { Some(a) } else { None }).collect()
}

/// Every expression of the protocol that is not part of a rule: `require`, first values, timers' rows,
/// invariants.
pub fn other_exprs(p: &Protocol) -> Vec<&Expr> {
    let mut out: Vec<&Expr> = p.requires.iter().collect();
    for relation in &p.relations {
        match &relation.kind {
            RelationKind::Var(Some(first)) => out.push(first),
            RelationKind::Timer(timer) => out.extend(body_exprs(&timer.rows)),
            _ => {}
        }
    }
    for Invariant { body, args, .. } in &p.invariants {
        out.extend(body_exprs(body));
        out.extend(args);
    }
    out
}

/// Whether a pattern takes every value: `_` or a variable that occurs nowhere before.
pub fn is_fresh(pattern: &Pattern, seen: &[String]) -> bool {
    match pattern {
        Pattern::Wild(_) => true,
        Pattern::Var(v) => !seen.contains(&v.name),
        Pattern::Value(_) | Pattern::Nested(_) => false,
    }
}

/// The variables of a pattern.
pub fn vars(pattern: &Pattern) -> Vec<String> {
    match pattern {
        Pattern::Var(v) => vec![v.name.clone()],
        Pattern::Nested(n) => n.vars.iter().map(|v| v.name.clone()).collect(),
        Pattern::Wild(_) | Pattern::Value(_) => Vec::new(),
    }
}
