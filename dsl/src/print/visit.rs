//! Visiting the relations that rules mention.

use crate::ir::{Expr, Head, Hole, Literal, Pattern, RelId, Rule};

/// Something that can be walked through.
pub(crate) trait Visitor {
    /// Shows every mention.
    fn walk(&mut self, see: &mut dyn FnMut(&mut RelId));
}

impl Visitor for Expr {
    fn walk(&mut self, see: &mut dyn FnMut(&mut RelId)) {
        for hole in &mut self.holes {
            match hole {
                Hole::Lookup { rel, args, .. } => {
                    see(rel);
                    args.iter_mut().for_each(|e| e.walk(see));
                }
                Hole::Aggregate(aggregate) => aggregate.args.iter_mut().for_each(|e| e.walk(see)),
                Hole::Unique | Hole::NowMs | Hole::Random => {}
            }
        }
    }
}

impl Visitor for Pattern {
    fn walk(&mut self, see: &mut dyn FnMut(&mut RelId)) {
        match self {
            Pattern::Value(expr) => expr.walk(see),
            Pattern::Wild(_) | Pattern::Var(_) | Pattern::Nested(_) => {}
        }
    }
}

impl Visitor for Literal {
    fn walk(&mut self, see: &mut dyn FnMut(&mut RelId)) {
        match self {
            Literal::Atom(atom) => {
                see(&mut atom.rel);
                atom.args.iter_mut().chain(&mut atom.at).for_each(|p| p.walk(see));
            }
            Literal::NewJoin(body, _) => walk_literals(body, see),
            Literal::If(condition) => condition.walk(see),
            Literal::Let(pattern, expr) | Literal::For(pattern, expr) => {
                pattern.walk(see);
                expr.walk(see);
            }
        }
    }
}

impl Visitor for Head {
    fn walk(&mut self, see: &mut dyn FnMut(&mut RelId)) {
        match self {
            Head::Now { rel, args } | Head::Next { rel, args } => {
                see(rel);
                args.iter_mut().for_each(|e| e.walk(see));
            }
            Head::Delete { rel, args, .. } => {
                see(rel);
                args.iter_mut().flatten().for_each(|e| e.walk(see));
            }
            Head::Send { rel, args, to } => {
                see(rel);
                args.iter_mut().for_each(|e| e.walk(see));
                to.walk(see);
            }
            Head::Reply { rel, req, args } => {
                see(rel);
                req.walk(see);
                args.iter_mut().for_each(|e| e.walk(see));
            }
            Head::Refuse { rel, req, error: other } | Head::Redirect { rel, req, to: other } => {
                see(rel);
                req.walk(see);
                other.walk(see);
            }
            Head::Nothing => {}
        }
    }
}

pub(crate) fn walk_literals(literals: &mut [Literal], see: &mut dyn FnMut(&mut RelId)) {
    literals.iter_mut().for_each(|l| l.walk(see));
}

pub(crate) fn walk_rule(rule: &mut Rule, see: &mut dyn FnMut(&mut RelId)) {
    rule.head.walk(see);
    walk_literals(&mut rule.body, see);
}
