//! Walks over rules: what they read, and which variables stand where.

use anabranch_dsl::ir::{
    Atom, Expr, Head, Hole, Literal, Pattern, Place, Protocol, RelId, RelationKind, Rule, RuleId, Version,
};
use anabranch_dsl::strata::head_exprs;

pub use anabranch_dsl::check::walk::{body_exprs, exprs, holes};

/// How a rule or a timer mentions a relation that it reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// An atom of the body.
    Atom {
        /// The version that it reads.
        version: Version,
        /// `!`.
        negated: bool,
        /// Inside `new (..)`.
        joined: bool,
    },
    /// `r[k]`.
    Lookup,
}

/// One mention of a relation in a body or in a head's expressions.
#[derive(Clone, Copy, Debug)]
pub struct Mention<'a> {
    /// The relation.
    pub rel: RelId,
    /// How.
    pub form: Form,
    /// The atom, unless it is a look-up.
    pub atom: Option<&'a Atom>,
    /// Where.
    pub place: Place,
}

impl Mention<'_> {
    /// Whether this makes the rule happen: a positive event, or `new` of state.
    pub fn drives(&self, p: &Protocol) -> bool {
        match self.form {
            Form::Atom { negated: true, .. } | Form::Lookup => false,
            Form::Atom { version: Version::New, .. } | Form::Atom { joined: true, .. } => true,
            Form::Atom { .. } => p.relation(self.rel).is_event(),
        }
    }
}

/// All relations that a body reads, in order; look-ups inside its expressions too.
pub fn body_mentions(body: &[Literal]) -> Vec<Mention<'_>> {
    let mut out = Vec::new();
    literals(body, false, &mut out);
    out
}

/// All relations that a rule reads: its body, then look-ups in its head.
pub fn mentions(rule: &Rule) -> Vec<Mention<'_>> {
    let mut out = body_mentions(&rule.body);
    head_exprs(&rule.head).into_iter().for_each(|e| lookups(e, &mut out));
    out
}

/// What the rows of a timer read; nothing for other relations.
pub fn timer_mentions(p: &Protocol, rel: RelId) -> Vec<Mention<'_>> {
    match &p.relation(rel).kind {
        RelationKind::Timer(timer) => body_mentions(&timer.rows),
        _ => Vec::new(),
    }
}

fn literals<'a>(body: &'a [Literal], joined: bool, out: &mut Vec<Mention<'a>>) {
    for literal in body {
        match literal {
            Literal::Atom(atom) => {
                atom.args.iter().for_each(|p| pattern(p, out));
                let form = Form::Atom { version: atom.version, negated: atom.negated, joined };
                out.push(Mention { rel: atom.rel, form, atom: Some(atom), place: atom.place });
            }
            Literal::NewJoin(inner, _) => literals(inner, true, out),
            Literal::If(e) => lookups(e, out),
            Literal::Let(p, e) | Literal::For(p, e) => {
                pattern(p, out);
                lookups(e, out);
            }
        }
    }
}

fn pattern<'a>(pattern: &'a Pattern, out: &mut Vec<Mention<'a>>) {
    if let Pattern::Value(e) = pattern {
        lookups(e, out);
    }
}

fn lookups<'a>(expr: &'a Expr, out: &mut Vec<Mention<'a>>) {
    for hole in &expr.holes {
        match hole {
            Hole::Lookup { rel, args, place } => {
                args.iter().for_each(|e| lookups(e, out));
                out.push(Mention { rel: *rel, form: Form::Lookup, atom: None, place: *place });
            }
            Hole::Aggregate(a) => a.args.iter().for_each(|e| lookups(e, out)),
            Hole::Unique | Hole::NowMs | Hole::Random => {}
        }
    }
}

/// All variables of an expression, those inside of its holes too.
pub fn expr_vars(expr: &Expr) -> Vec<String> {
    let mut out = expr.vars.clone();
    for hole in &expr.holes {
        let inner: Vec<&Expr> = match hole {
            Hole::Lookup { args, .. } => args.iter().collect(),
            Hole::Aggregate(a) => a.args.iter().collect(),
            Hole::Unique | Hole::NowMs | Hole::Random => Vec::new(),
        };
        out.extend(inner.into_iter().flat_map(expr_vars));
    }
    out
}

/// The variables of a pattern.
pub fn pattern_vars(pattern: &Pattern) -> Vec<&str> {
    match pattern {
        Pattern::Var(v) => vec![&v.name],
        Pattern::Nested(n) => n.vars.iter().map(|v| v.name.as_str()).collect(),
        Pattern::Wild(_) | Pattern::Value(_) => Vec::new(),
    }
}

/// The variables that a literal binds or compares in patterns.
pub fn literal_vars(literal: &Literal) -> Vec<&str> {
    match literal {
        Literal::Atom(a) => a.args.iter().flat_map(pattern_vars).collect(),
        Literal::NewJoin(inner, _) => inner.iter().flat_map(literal_vars).collect(),
        Literal::Let(p, _) | Literal::For(p, _) => pattern_vars(p),
        Literal::If(_) => Vec::new(),
    }
}

/// Whether a rule's head aggregates.
pub fn aggregates(rule: &Rule) -> bool {
    head_exprs(&rule.head).iter().any(|e| holes(e).iter().any(|h| matches!(h, Hole::Aggregate(_))))
}

/// The rules of any role that read a relation, timers excluded.
pub fn readers(p: &Protocol, rel: RelId) -> Vec<RuleId> {
    let reads = |r: &Rule| mentions(r).iter().any(|m| m.rel == rel);
    ids(p).filter(|id| reads(&p.rules[id.index()])).collect()
}

/// The timers whose rows read a relation.
pub fn timers_on(p: &Protocol, rel: RelId) -> Vec<RelId> {
    let all = (0..p.relations.len()).map(|i| RelId(i as u32));
    all.filter(|t| timer_mentions(p, *t).iter().any(|m| m.rel == rel)).collect()
}

/// The rules that write a relation: `<=`, `<+`, `<-`, messages.
pub fn writers(p: &Protocol, rel: RelId) -> Vec<RuleId> {
    let writes = |r: &Rule| matches!(&r.head, Head::Now { rel: h, .. } | Head::Next { rel: h, .. } | Head::Delete { rel: h, .. } | Head::Send { rel: h, .. } if *h == rel);
    ids(p).filter(|id| writes(&p.rules[id.index()])).collect()
}

/// Whether an invariant or other property reads a relation.
pub fn observed(p: &Protocol, rel: RelId) -> bool {
    p.invariants.iter().any(|i| body_mentions(&i.body).iter().any(|m| m.rel == rel))
}

/// All rules' numbers.
pub fn ids(p: &Protocol) -> impl Iterator<Item = RuleId> + use<> {
    (0..p.rules.len()).map(|i| RuleId(i as u32))
}

/// Shows every relation number in a rule's literals for change.
pub fn rename_in(body: &mut [Literal], see: &mut dyn FnMut(&mut RelId)) {
    for literal in body {
        match literal {
            Literal::Atom(atom) => {
                see(&mut atom.rel);
                for arg in &mut atom.args {
                    if let Pattern::Value(e) = arg {
                        rename_in_expr(e, see);
                    }
                }
            }
            Literal::NewJoin(inner, _) => rename_in(inner, see),
            Literal::If(e) => rename_in_expr(e, see),
            Literal::Let(p, e) | Literal::For(p, e) => {
                if let Pattern::Value(v) = p {
                    rename_in_expr(v, see);
                }
                rename_in_expr(e, see);
            }
        }
    }
}

/// Shows every relation number in an expression's look-ups for change.
pub fn rename_in_expr(expr: &mut Expr, see: &mut dyn FnMut(&mut RelId)) {
    for hole in &mut expr.holes {
        match hole {
            Hole::Lookup { rel, args, .. } => {
                see(rel);
                args.iter_mut().for_each(|e| rename_in_expr(e, see));
            }
            Hole::Aggregate(a) => a.args.iter_mut().for_each(|e| rename_in_expr(e, see)),
            Hole::Unique | Hole::NowMs | Hole::Random => {}
        }
    }
}

/// Shows every expression of a head for change.
pub fn head_exprs_mut(head: &mut Head) -> Vec<&mut Expr> {
    match head {
        Head::Now { args, .. } | Head::Next { args, .. } => args.iter_mut().collect(),
        Head::Delete { args, .. } => args.iter_mut().flatten().collect(),
        Head::Send { args, to, .. } => args.iter_mut().chain([to]).collect(),
        Head::Reply { req, args, .. } => [req].into_iter().chain(args).collect(),
        Head::Refuse { req, error, .. } => vec![req, error],
        Head::Redirect { req, to, .. } => vec![req, to],
        Head::Nothing => Vec::new(),
    }
}
