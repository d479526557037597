//! Numbers the leaves of a protocol: `require`s, then relations (first values, timers' rows, routings), rules (body
//! before head, each `on` prefix again in every rule) and invariants, in the order of their vectors. An
//! expression comes before those in its holes.

use crate::ir::{Expr, Head, Hole, LeafId, Literal, Pattern, Protocol, RelationKind, Routing};

/// Gives all leaves fresh numbers. Two protocols that differ in numbers only are equal afterwards.
pub fn number_leaves(p: &mut Protocol) {
    let mut n = Numbers(0);
    p.requires.iter_mut().for_each(|e| n.expr(e));
    for relation in &mut p.relations {
        match &mut relation.kind {
            RelationKind::Var(Some(first)) => n.expr(first),
            RelationKind::Timer(timer) => n.body(&mut timer.rows),
            _ => {}
        }
        if let Some(Routing::By(e) | Routing::To(e)) = &mut relation.routing {
            n.expr(e);
        }
    }
    for rule in &mut p.rules {
        n.body(&mut rule.body);
        n.head(&mut rule.head);
    }
    for invariant in &mut p.invariants {
        n.body(&mut invariant.body);
        invariant.args.iter_mut().for_each(|e| n.expr(e));
    }
}

struct Numbers(u32);

impl Numbers {
    fn next(&mut self) -> LeafId {
        self.0 += 1;
        LeafId(self.0 - 1)
    }
    fn expr(&mut self, e: &mut Expr) {
        e.leaf = self.next();
        for hole in &mut e.holes {
            match hole {
                Hole::Lookup { args, .. } => args.iter_mut().for_each(|e| self.expr(e)),
                Hole::Aggregate(a) => a.args.iter_mut().for_each(|e| self.expr(e)),
                Hole::Unique | Hole::NowMs | Hole::Random => {}
            }
        }
    }
    fn pattern(&mut self, p: &mut Pattern) {
        match p {
            Pattern::Value(e) => self.expr(e),
            Pattern::Nested(n) => n.leaf = self.next(),
            Pattern::Wild(_) | Pattern::Var(_) => {}
        }
    }
    fn body(&mut self, body: &mut [Literal]) {
        for literal in body {
            match literal {
                Literal::Atom(a) => {
                    a.args.iter_mut().for_each(|p| self.pattern(p));
                    a.at.iter_mut().for_each(|p| self.pattern(p));
                }
                Literal::NewJoin(inner, _) => self.body(inner),
                Literal::If(e) => self.expr(e),
                Literal::Let(p, e) | Literal::For(p, e) => {
                    self.pattern(p);
                    self.expr(e);
                }
            }
        }
    }
    fn head(&mut self, head: &mut Head) {
        match head {
            Head::Now { args, .. } | Head::Next { args, .. } => args.iter_mut().for_each(|e| self.expr(e)),
            Head::Delete { args, .. } => args.iter_mut().flatten().for_each(|e| self.expr(e)),
            Head::Send { args, to, .. } => {
                args.iter_mut().for_each(|e| self.expr(e));
                self.expr(to);
            }
            Head::Reply { req, args, .. } => {
                self.expr(req);
                args.iter_mut().for_each(|e| self.expr(e));
            }
            Head::Refuse { req, error, .. } => {
                self.expr(req);
                self.expr(error);
            }
            Head::Redirect { req, to, .. } => {
                self.expr(req);
                self.expr(to);
            }
            Head::Nothing => {}
        }
    }
}
