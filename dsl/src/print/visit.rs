//! Visiting relations and leaves of rules in the order of the text.

use crate::ir::{Expr, Head, Hole, LeafId, Literal, Pattern, RelId, Rule};

/// What a visitor sees.
pub(crate) enum Part<'a> {
    /// A mention of a relation.
    Relation(&'a mut RelId),
    /// An expression's or nested pattern's number.
    Leaf(&'a mut LeafId),
}

/// Something that can be walked through.
pub(crate) trait Visitor {
    /// Shows every part, in the order of the text.
    fn walk(&mut self, see: &mut dyn FnMut(Part<'_>));
}

impl Visitor for Expr {
    fn walk(&mut self, see: &mut dyn FnMut(Part<'_>)) {
        see(Part::Leaf(&mut self.leaf));
        for hole in &mut self.holes {
            match hole {
                Hole::Lookup { rel, args, .. } => {
                    see(Part::Relation(rel));
                    args.iter_mut().for_each(|e| e.walk(see));
                }
                Hole::Aggregate(aggregate) => aggregate.args.iter_mut().for_each(|e| e.walk(see)),
                Hole::Unique | Hole::NowMs | Hole::Random => {}
            }
        }
    }
}

impl Visitor for Pattern {
    fn walk(&mut self, see: &mut dyn FnMut(Part<'_>)) {
        match self {
            Pattern::Wild(_) | Pattern::Var(_) => {}
            Pattern::Value(expr) => expr.walk(see),
            Pattern::Nested(nested) => see(Part::Leaf(&mut nested.leaf)),
        }
    }
}

impl Visitor for Literal {
    fn walk(&mut self, see: &mut dyn FnMut(Part<'_>)) {
        match self {
            Literal::Atom(atom) => {
                see(Part::Relation(&mut atom.rel));
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
    fn walk(&mut self, see: &mut dyn FnMut(Part<'_>)) {
        match self {
            Head::Now { rel, args } | Head::Next { rel, args } => {
                see(Part::Relation(rel));
                args.iter_mut().for_each(|e| e.walk(see));
            }
            Head::Delete { rel, args, .. } => {
                see(Part::Relation(rel));
                args.iter_mut().flatten().for_each(|e| e.walk(see));
            }
            Head::Send { rel, args, to } => {
                see(Part::Relation(rel));
                args.iter_mut().for_each(|e| e.walk(see));
                to.walk(see);
            }
            Head::Reply { rel, req, args } => {
                see(Part::Relation(rel));
                req.walk(see);
                args.iter_mut().for_each(|e| e.walk(see));
            }
            Head::Refuse { rel, req, error: other } | Head::Redirect { rel, req, to: other } => {
                see(Part::Relation(rel));
                req.walk(see);
                other.walk(see);
            }
            Head::Nothing => {}
        }
    }
}

pub(crate) fn walk_literals(literals: &mut [Literal], see: &mut dyn FnMut(Part<'_>)) {
    literals.iter_mut().for_each(|l| l.walk(see));
}

/// A rule without the first `skip` literals of its body: prefix, head, rest.
pub(crate) fn walk_rule(rule: &mut Rule, skip: usize, see: &mut dyn FnMut(Part<'_>)) {
    let prefix = rule.on.map_or(0, |(_, n)| n);
    walk_literals(&mut rule.body[skip..prefix.max(skip)], see);
    rule.head.walk(see);
    walk_literals(&mut rule.body[prefix.max(skip)..], see);
}
