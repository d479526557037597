//! Hidden relations: what rules say in one word and plans carry out in several steps.
//!
//! - `new r(x, _)`: columns matched by `_` are projected out first, into a view of the others. (Without it, a row
//!   of which another was carried over would count as new.)
//! - `new (a, b)`: a view of the join's named variables. Variables that a `let` computes from others are
//!   not columns of it, but computed again outside, where their types need not be known.
//! - A timer: a view of the rows that hold.
//! - A prefix of an `on` block that draws `unique()` or `random()`: an event, so that all rules of the block
//!   see the same values.

use super::super::pipeline::*;
use super::super::types::*;
use super::builder::Builder;
use super::logical::{Atom, Lit, Pat, Rule};
use super::translate::Scope;
use crate::ir;
use crate::resolve::typed::Vars;

/// The hidden event of an `on` block's prefix.
#[derive(Clone)]
pub struct Prefix {
    rel: RelIx,
    vars: Vec<Variable>,
    route: bool,
}

impl Builder<'_> {
    /// The view of some columns of a relation.
    pub fn projection(&mut self, rel: RelIx, kept: &[usize]) -> RelIx {
        if let Some(known) = self.projections.get(&(rel, kept.to_vec())) {
            return *known;
        }
        let of = self.at(rel);
        let columns: Vec<Column> = kept.iter().map(|c| of.columns[*c].clone()).collect();
        let columns = columns.into_iter().map(|c| Column { lattice: None, ..c }).collect();
        let mask: String = (0..of.columns.len()).map(|c| if kept.contains(&c) { 'x' } else { '_' }).collect();
        let name = format!("__new_{}_{mask}", of.name.replace('.', "_"));
        let all: Vec<Column> = of.columns.clone();
        let view = self.hidden_view(name, columns);
        self.projections.insert((rel, kept.to_vec()), view);

        let mut scope = Scope::new(true);
        let mut slots = vec![];
        let cols = (0..all.len()).map(|c| match kept.contains(&c) {
            true => {
                let slot = scope.hidden(&all[c].name, all[c].ty.clone());
                slots.push(slot);
                Pat::Var(slot)
            }
            false => Pat::Wild,
        });
        let cols = cols.collect();
        scope.body.push(Lit::Atom(Atom { rel, version: Version::Now, negated: false, cols }));
        let args = slots.into_iter().map(PExpr::Var).collect();
        self.rules.push(scope.rule(None, Emit::Row { rel: view, args }));
        view
    }

    /// `new (body)` at the end of a scope.
    pub fn new_join(&mut self, scope: &mut Scope, body: &[ir::Literal]) {
        let mut inner = Scope::typed(true, &scope.types);
        let mut again = vec![];
        for literal in body {
            let known = inner.named.len();
            self.literals(&mut inner, std::slice::from_ref(literal));
            // A `let` without look-ups is a function of other variables.
            if let ir::Literal::Let(_, e) = literal
                && e.holes.is_empty()
                && inner.named.len() > known
            {
                again.push((literal, inner.named[known..].to_vec()));
            }
        }
        let computed: Vec<Slot> = again.iter().flat_map(|(_, vars)| vars.clone()).collect();
        let kept: Vec<Slot> = inner.named.iter().copied().filter(|s| !computed.contains(s)).collect();
        let columns = kept.iter().map(|s| {
            let var = &inner.vars[s.index()];
            Column { name: var.name.clone(), ty: var.ty.clone(), lattice: None }
        });
        let name = format!("__new_join{}", self.relations.len());
        let columns: Vec<Column> = columns.collect();
        let view = self.hidden_view(name, columns.clone());
        let names: Vec<Variable> = inner.named.iter().map(|s| inner.vars[s.index()].clone()).collect();
        let vars: Vec<Variable> = kept.iter().map(|s| inner.vars[s.index()].clone()).collect();
        let args = kept.into_iter().map(PExpr::Var).collect();
        self.rules.push(inner.rule(None, Emit::Row { rel: view, args }));

        // Named variables keep the order in which the join names them.
        for var in names {
            scope.name(&var.name, var.place, var.ty);
        }
        let cols: Vec<Pat> = vars.iter().map(|v| Pat::Var(scope.bound(&v.name))).collect();
        if !scope.driven {
            scope.driven = true;
            scope.route = match cols.first() {
                Some(Pat::Var(slot)) => Some(*slot),
                _ => None,
            };
        }
        scope.body.push(Lit::Atom(Atom { rel: view, version: Version::New, negated: false, cols }));
        for (literal, _) in again {
            self.literals(scope, std::slice::from_ref(literal));
        }
    }

    /// The views of all timers' rows.
    pub fn timers(&mut self) {
        let timers: Vec<(RelIx, ir::Timer)> = (self.of.iter())
            .filter_map(|(id, rel)| match &self.protocol.relation(*id).kind {
                ir::RelationKind::Timer(t) => Some((*rel, t.clone())),
                _ => None,
            })
            .collect();
        for (timer, declaration) in timers {
            let columns = self.at(timer).columns.clone();
            let rows = self.hidden_view(format!("__rows_{}", self.at(timer).name), columns.clone());
            self.relations[timer.index()].class = Class::Input(InputKind::Timer { rows });
            self.relations[rows.index()].track.timer = true;
            self.relations[rows.index()].probed = true;
            self.index(rows, (0..columns.len()).collect());
            let source = self.at(timer).source.expect("timers are declared");
            let mut scope = Scope::typed(true, &self.typed.relations[source.index()]);
            self.literals(&mut scope, &declaration.rows);
            let args = columns.iter().map(|c| PExpr::Var(scope.bound(&c.name))).collect();
            self.rules.push(scope.rule(None, Emit::Row { rel: rows, args }));
        }
    }

    /// The scope that a rule of an `on` block with drawing prefix starts from: one atom over the prefix's event,
    /// which is made for the first such rule.
    pub fn prefix(&mut self, group: ir::GroupId, literals: &[ir::Literal], types: &Vars) -> Scope {
        let prefix = match self.prefixes.get(&group) {
            Some(known) => known.clone(),
            None => self.make_prefix(group, literals, types),
        };
        let mut scope = Scope::typed(false, types);
        let mut cols: Vec<Pat> =
            prefix.vars.iter().map(|v| Pat::Var(scope.name(&v.name, v.place, v.ty.clone()))).collect();
        scope.driven = true;
        scope.unique = true;
        if prefix.route {
            let slot = scope.hidden("route", None);
            cols.push(Pat::Var(slot));
            scope.route = Some(slot);
        }
        scope.body.push(Lit::Atom(Atom { rel: prefix.rel, version: Version::Now, negated: false, cols }));
        scope
    }

    fn make_prefix(&mut self, group: ir::GroupId, literals: &[ir::Literal], types: &Vars) -> Prefix {
        let mut scope = Scope::typed(false, types);
        scope.unique = true;
        self.literals(&mut scope, literals);
        let vars: Vec<Variable> = scope.named.iter().map(|s| scope.vars[s.index()].clone()).collect();
        let mut columns: Vec<Column> =
            vars.iter().map(|v| Column { name: v.name.clone(), ty: v.ty.clone(), lattice: None }).collect();
        let mut args: Vec<PExpr> = scope.named.iter().map(|s| PExpr::Var(*s)).collect();
        let route = scope.route;
        if let Some(slot) = route {
            let ty = scope.vars[slot.index()].ty.clone();
            columns.push(Column { name: "__route".to_owned(), ty, lattice: None });
            args.push(PExpr::Var(slot));
        }
        let rel = self.relation(format!("__on{}", group.0), columns, Class::Event { aggregate: None });
        let rule: Rule = scope.rule(None, Emit::Row { rel, args });
        self.rules.push(rule);
        let prefix = Prefix { rel, vars, route: route.is_some() };
        self.prefixes.insert(group, prefix.clone());
        prefix
    }
}

/// Whether literals draw `unique()` or `random()`.
pub fn draws(literals: &[ir::Literal]) -> bool {
    literals.iter().any(|l| match l {
        ir::Literal::If(e) | ir::Literal::Let(_, e) | ir::Literal::For(_, e) => expr_draws(e),
        ir::Literal::Atom(_) | ir::Literal::NewJoin(..) => false,
    })
}

/// Whether an expression draws.
pub fn expr_draws(e: &ir::Expr) -> bool {
    e.holes.iter().any(|h| match h {
        ir::Hole::Unique | ir::Hole::Random => true,
        ir::Hole::Lookup { args, .. } => args.iter().any(expr_draws),
        ir::Hole::Aggregate(a) => a.args.iter().any(expr_draws),
        ir::Hole::NowMs => false,
    })
}
