//! Key agreement: which terms of a rule are equal in every binding of it, which are routed alike, and which determine
//! which.
//!
//! The terms of a rule live in an e-graph (Willsey and others: *egg: fast and extensible equality saturation*, POPL
//! 2021), whose congruence closure draws the conclusions and whose explanations say what they rest on. Equalities
//! come from
//!
//! - variables that occur twice, constants in atoms, `let P = e`, `if a == b`;
//! - functions of equal arguments, which are taken to be pure;
//! - tuples and constructors taken apart: their parts are equal if they are;
//! - keys: two rows of a keyed relation in one tick agree in their values if they agree in their key;
//! - `unique()`: the id is no equal of anything, but it is *routed* like the first column of the event that drew it.
//!
//! - what holds in every row of a relation ([`Dependencies`]).

mod proof;
mod terms;
#[cfg(test)]
mod tests;

use crate::dependencies::{Dependencies, kept};
use anabranch_dsl::ir::{
    Aggregate, Atom, Expr, Head, Hole, Literal, Pattern, Place, Protocol, RelId, RelationKind, Rule, Version,
};
use egg::{EGraph, SymbolLang};
use std::collections::{BTreeMap, BTreeSet};

/// A term of one rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Term(pub(crate) egg::Id);

/// How a relation is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// A positive atom.
    Positive,
    /// `!r(..)`.
    Negated,
    /// `r[k]`: columns outside of the key are terms of their own.
    Lookup,
}

/// One reading of a relation: an atom, also one inside of `new (..)`, or a look-up.
#[derive(Clone, Debug)]
pub struct Read {
    /// The relation.
    pub rel: RelId,
    /// How.
    pub mode: Mode,
    /// `old` or `new`; atoms inside of `new (..)` count as `new`.
    pub version: Version,
    /// One term for each column.
    pub columns: Vec<Term>,
    /// Which columns are `_`.
    pub wild: Vec<bool>,
    /// Where.
    pub place: Place,
}

impl Read {
    /// Whether it drives a rule: a positive event or edge.
    pub fn drives(&self, p: &Protocol) -> bool {
        self.mode == Mode::Positive && (self.version == Version::New || p.relation(self.rel).is_event())
    }
}

/// The terms of one rule, closed under congruence.
pub struct Closure<'p> {
    p: &'p Protocol,
    graph: EGraph<SymbolLang, ()>,
    vars: BTreeMap<String, Term>,
    /// All readings, in source order, look-ups of the head last.
    pub reads: Vec<Read>,
    /// The head's columns; `None` for `_` in deletions. For answers the `Req` comes first.
    pub head: Vec<Option<Term>>,
    /// The receiver of a message.
    pub to: Option<Term>,
    /// Variables that an aggregated head groups by; `None` if nothing is aggregated.
    pub group: Option<Vec<Term>>,
    /// Draws of the clock.
    pub reads_clock: bool,
    functions: BTreeSet<String>,
    shapes: BTreeMap<String, Vec<(String, String)>>,
    fresh: u32,
    /// What an id drawn here is routed like.
    driver: Option<Term>,
    driven: bool,
}

impl<'p> Closure<'p> {
    fn empty(p: &'p Protocol) -> Closure<'p> {
        Closure {
            p,
            graph: EGraph::default().with_explanations_enabled(),
            vars: BTreeMap::new(),
            reads: Vec::new(),
            head: Vec::new(),
            to: None,
            group: None,
            reads_clock: false,
            functions: BTreeSet::new(),
            shapes: BTreeMap::new(),
            fresh: 0,
            driver: None,
            driven: false,
        }
    }

    /// The closure of a rule, head included.
    pub fn of_rule(p: &'p Protocol, rule: &Rule, known: &Dependencies) -> Closure<'p> {
        let mut c = Closure::empty(p);
        c.find_driver(&rule.body);
        c.literals(&rule.body, false);
        c.head(&rule.head);
        c.depend(known);
        c
    }

    /// The closure of a timer's `while`, with its columns as head.
    pub fn of_timer(p: &'p Protocol, timer: RelId, known: &Dependencies) -> Closure<'p> {
        let mut c = Closure::empty(p);
        let relation = p.relation(timer);
        if let RelationKind::Timer(t) = &relation.kind {
            c.literals(&t.rows, false);
        }
        for column in &relation.columns {
            let term = c.variable(&column.name);
            c.head.push(Some(term));
        }
        c.depend(known);
        c
    }

    /// States what holds in every row that is read.
    fn depend(&mut self, known: &Dependencies) {
        self.close();
        for read in self.reads.clone() {
            known.state(self.p, self, &read);
        }
        self.close();
    }

    /// The first positive event in source order drives; ids inherit from its first column.
    fn find_driver(&mut self, body: &[Literal]) {
        for literal in body {
            match literal {
                Literal::Atom(a) if !a.negated => {
                    if a.version != Version::New && !self.p.relation(a.rel).is_event() {
                        continue;
                    }
                    // Columns matched by `_` are projected out before `new`, and what is first then is not seen here.
                    let projected =
                        a.version == Version::New && a.args.iter().any(|p| matches!(p, Pattern::Wild(_)));
                    self.driven = !projected && !a.args.is_empty();
                    return;
                }
                Literal::NewJoin(..) => return,
                _ => {}
            }
        }
    }

    fn literals(&mut self, body: &[Literal], new: bool) {
        for literal in body {
            match literal {
                Literal::Atom(atom) => self.atom(atom, new),
                Literal::NewJoin(inner, _) => self.literals(inner, true),
                Literal::If(e) => self.condition(e),
                Literal::Let(pattern, e) => {
                    let value = self.expr(e);
                    self.unify(pattern, value, "`let`");
                }
                Literal::For(pattern, e) => {
                    self.expr(e);
                    let item = self.fresh("item");
                    self.unify(pattern, item, "`for`");
                }
            }
        }
    }

    fn atom(&mut self, atom: &Atom, new: bool) {
        let relation = self.p.relation(atom.rel);
        let mut columns = Vec::new();
        let mut wild = Vec::new();
        for pattern in &atom.args {
            wild.push(matches!(pattern, Pattern::Wild(_)));
            let term = match pattern {
                Pattern::Var(v) => self.variable(&v.name),
                Pattern::Wild(_) => self.fresh("any"),
                Pattern::Value(_) | Pattern::Nested(_) => {
                    let term = self.fresh("column");
                    self.unify(pattern, term, &format!("`{}`", relation.name));
                    term
                }
            };
            columns.push(term);
        }
        let version = if new { Version::New } else { atom.version };
        let mode = if atom.negated { Mode::Negated } else { Mode::Positive };
        let read = Read { rel: atom.rel, mode, version, columns, wild, place: atom.place };
        if read.drives(self.p) && self.driven && self.driver.is_none() {
            self.driver = read.columns.first().copied();
        }
        // Within a tick a key has one value. Lattice columns may be read before they are final.
        let lattice = relation.columns.iter().any(|c| c.lattice.is_some());
        if let (Some(k), Mode::Positive, false) = (relation.key, mode, lattice) {
            let old = if version == Version::Old { "old " } else { "" };
            let row = self.node(&format!("lookup {old}{}", relation.name), &read.columns[..k]);
            let values = &read.columns[k..];
            let value = if let [one] = values { *one } else { self.node("tuple", values) };
            let some = self.node("ctor Some", &[value]);
            self.merge(row, some, &format!("the key of `{}`", relation.name));
            if kept(self.p, atom.rel) {
                for (i, value) in values.iter().enumerate() {
                    let for_ever = self.kept(atom.rel, i, &read.columns[..k]);
                    self.merge(*value, for_ever, &format!("the key of `{}`", relation.name));
                }
            }
        }
        self.reads.push(read);
    }

    fn head(&mut self, head: &Head) {
        let mut all: Vec<&Expr> = Vec::new();
        match head {
            Head::Now { args, .. } | Head::Next { args, .. } => all.extend(args),
            Head::Delete { args, .. } => {
                for arg in args {
                    let term = arg.as_ref().map(|e| self.expr(e));
                    self.head.push(term);
                }
            }
            Head::Send { args, to, .. } => {
                all.extend(args);
                let to = self.expr(to);
                self.to = Some(to);
            }
            Head::Reply { req, args, .. } => {
                all.push(req);
                all.extend(args);
            }
            Head::Refuse { req, error: other, .. } | Head::Redirect { req, to: other, .. } => {
                all.extend([req, other])
            }
            Head::Nothing => {}
        }
        if all.iter().any(|e| aggregates(e)) {
            // An aggregated head has no driving event: what it draws belongs to the group.
            self.driver = None;
            let names: BTreeSet<String> = all.iter().flat_map(|e| outside_aggregates(e)).collect();
            let group = names.iter().map(|n| self.variable(n)).collect();
            self.group = Some(group);
        }
        for e in all {
            let term = self.expr(e);
            self.head.push(Some(term));
        }
    }

    fn condition(&mut self, e: &Expr) {
        self.expr(e);
        self.equations(e);
    }
}

/// Whether an aggregate occurs in an expression.
fn aggregates(e: &Expr) -> bool {
    e.holes.iter().any(|h| match h {
        Hole::Aggregate(_) => true,
        Hole::Lookup { args, .. } => args.iter().any(aggregates),
        Hole::Unique | Hole::NowMs | Hole::Random => false,
    })
}

/// Variables of an expression outside of its aggregates.
fn outside_aggregates(e: &Expr) -> Vec<String> {
    let mut out = e.vars.clone();
    for hole in &e.holes {
        if let Hole::Lookup { args, .. } = hole {
            out.extend(args.iter().flat_map(outside_aggregates));
        }
    }
    out
}

/// The aggregates of a head, for those who need to know which.
pub fn aggregates_of(head: &Head) -> Vec<&Aggregate> {
    fn within<'a>(e: &'a Expr, out: &mut Vec<&'a Aggregate>) {
        for hole in &e.holes {
            match hole {
                Hole::Aggregate(a) => out.push(a),
                Hole::Lookup { args, .. } => args.iter().for_each(|e| within(e, out)),
                Hole::Unique | Hole::NowMs | Hole::Random => {}
            }
        }
    }
    let mut out = Vec::new();
    for e in anabranch_dsl::strata::head_exprs(head) {
        within(e, &mut out);
    }
    out
}
