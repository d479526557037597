//! Heads of rules, aggregated ones included.
//!
//! An aggregated head over an event or a view makes that relation an aggregate. Any other aggregated head
//! (`next(p, min(i)) <+ ..`, a message, a table) goes through a hidden aggregate with the group's variables and the
//! results as columns.

use super::super::pipeline::*;
use super::super::types::*;
use super::builder::Builder;
use super::hidden::{draws, expr_draws};
use super::logical::{Atom, Lit, Pat};
use super::translate::{Scope, has_event, owned_text};
use crate::ir;
use quote::quote;
use std::collections::BTreeMap;

impl Builder<'_> {
    /// Translates a rule.
    pub fn rule(&mut self, id: ir::RuleId, rule: &ir::Rule) {
        let Some(exprs) = head_exprs(&rule.head) else { return };
        let event = has_event(self, &rule.body);
        let types = self.typed.rules[id.index()].clone();
        let prefix = rule.on.filter(|(_, n)| event && draws(&rule.body[..*n]));
        let (mut scope, rest) = match prefix {
            Some((group, n)) => (self.prefix(group, &rule.body[..n], &types), n),
            None => (Scope::typed(!event, &types), 0),
        };
        scope.unique |= draws(&rule.body) || exprs.iter().any(|e| expr_draws(e));
        let shared = match (prefix, rule.on) {
            (None, Some((group, n))) => {
                self.literals(&mut scope, &rule.body[..n]);
                let shared = scope.body.len();
                self.literals(&mut scope, &rule.body[n..]);
                Some((group, shared))
            }
            _ => {
                self.literals(&mut scope, &rule.body[rest..]);
                rule.on.map(|(group, _)| (group, 1))
            }
        };

        if exprs.iter().any(|e| aggregates(e)) {
            self.aggregated(id, rule, scope, &exprs);
            return;
        }
        let mut emit = self.emit(&rule.head, &mut |b, e| b.expr(&mut scope, e));
        if let (Emit::Row { rel, .. }, true) = (&mut emit, scope.state)
            && matches!(self.at(*rel).class, Class::Table | Class::Var(_))
        {
            *rel = self.stand(id, *rel);
        }
        let mut rule = scope.rule(Some(id), emit);
        rule.on = shared;
        self.rules.push(rule);
    }

    /// The hidden view of a standing rule.
    fn stand(&mut self, id: ir::RuleId, table: RelIx) -> RelIx {
        let columns = self.at(table).columns.iter().map(|c| Column { lattice: None, ..c.clone() }).collect();
        let view = self.hidden_view(format!("__stand{}_{}", id.0, self.at(table).name), columns);
        self.standing.push((id, table, view));
        view
    }

    fn aggregated(&mut self, id: ir::RuleId, rule: &ir::Rule, mut scope: Scope, exprs: &[&ir::Expr]) {
        // What the head says outside of aggregates: the group.
        let mut group: Vec<Slot> = vec![];
        let mut functions: Vec<AggregateColumn> = vec![];
        let mut args: Vec<Vec<PExpr>> = vec![];
        let mut looked_up: BTreeMap<(ir::LeafId, usize), Slot> = BTreeMap::new();
        let head_types = self.head_types(&rule.head, exprs.len());
        for e in exprs {
            self.group_of(&mut scope, e, &mut group, &mut looked_up);
        }
        for (e, head_ty) in exprs.iter().zip(&head_types) {
            for hole in &e.holes {
                if let ir::Hole::Aggregate(a) = hole {
                    let own: Vec<PExpr> = a.args.iter().map(|e| self.expr(&mut scope, e)).collect();
                    let type_of = |e: &PExpr| match e {
                        PExpr::Var(slot) => scope.vars[slot.index()].ty.clone(),
                        _ => None,
                    };
                    let told = |e: &ir::Expr| self.typed.args.get(&e.leaf).cloned();
                    let mut types: Vec<_> =
                        own.iter().zip(&a.args).map(|(own, e)| type_of(own).or_else(|| told(e))).collect();
                    use ir::AggregateFn as F;
                    let whole = e.tokens.0.to_string() == "__hole0";
                    if whole
                        && matches!(a.function, F::Sum | F::Min | F::Max | F::Choose)
                        && types[0].is_none()
                    {
                        types[0] = head_ty.clone();
                    }
                    if whole && matches!(a.function, F::MinBy | F::MaxBy) && types[1].is_none() {
                        types[1] = head_ty.clone();
                    }
                    functions.push(AggregateColumn {
                        function: a.function,
                        args: types,
                        each_once: false,
                        retracts: false,
                    });
                    args.push(own);
                }
            }
        }
        let mut spec_group: Vec<(String, Option<ir::Tokens>)> = group
            .iter()
            .map(|s| (scope.vars[s.index()].name.clone(), scope.vars[s.index()].ty.clone()))
            .collect();
        for (e, ty) in exprs.iter().zip(&head_types) {
            if let Some(v) = &e.var
                && let Some((_, known)) =
                    spec_group.iter_mut().find(|(name, known)| name == v && known.is_none())
            {
                known.clone_from(ty);
            }
        }
        let enumerates =
            functions.iter().any(|f| matches!(f.function, ir::AggregateFn::Index | ir::AggregateFn::IndexBy));

        // The head, as expressions over the group's slots and the results.
        let mut next = group.len();
        let names: BTreeMap<String, Slot> =
            spec_group.iter().enumerate().map(|(i, (name, _))| (name.clone(), Slot(i as u32))).collect();
        let place = |slot: Slot| Slot(group.iter().position(|s| *s == slot).expect("in the group") as u32);
        let looked_up = looked_up.into_iter().map(|(k, slot)| (k, place(slot))).collect();
        let mut convert =
            |b: &mut Self, e: &ir::Expr| b.over_group(e, &names, &looked_up, &mut next, scope.state);
        let numbers = functions.iter().any(|f| f.function == ir::AggregateFn::Index);
        let binding = if numbers { scope.named.clone() } else { vec![] };

        let direct = match &rule.head {
            ir::Head::Now { rel, .. } => {
                let rel = self.rel(*rel);
                let fits = match self.at(rel).class {
                    Class::Event { .. } => true,
                    Class::View { .. } => scope.state,
                    Class::Table | Class::Var(_) => scope.state,
                    _ => false,
                };
                fits.then_some(rel)
            }
            _ => None,
        };
        let Some(mut rel) = direct else {
            // A hidden event first, then the head.
            let mut columns: Vec<Column> = spec_group
                .iter()
                .map(|(name, ty)| Column { name: name.clone(), ty: ty.clone(), lattice: None })
                .collect();
            for (i, f) in functions.iter().enumerate() {
                columns.push(Column { name: format!("__result{i}"), ty: result_type(f), lattice: None });
            }
            let width = columns.len();
            let mut second = Scope::new(false);
            let slots: Vec<Slot> = columns
                .iter()
                .map(|c| {
                    let slot = Slot(second.vars.len() as u32);
                    second.vars.push(Variable {
                        name: c.name.clone(),
                        place: ir::Place::default(),
                        ty: c.ty.clone(),
                    });
                    slot
                })
                .collect();
            let emit = self.emit(&rule.head, &mut convert);
            let name = format!("__aggregate{}", id.0);
            let hidden = self.relation(name, columns, Class::Event { aggregate: None });
            self.set_aggregate(
                hidden,
                AggregateSpec {
                    rule: id,
                    group: spec_group,
                    functions,
                    head: (0..width).map(|i| PExpr::Var(Slot(i as u32))).collect(),
                    plain: Some((0..width).collect()),
                    merges: false,
                    enumerates,
                },
            );
            self.rules.push(scope.rule(Some(id), Emit::Contribute { rel: hidden, group, args, binding }));
            second.body.push(Lit::Atom(Atom {
                rel: hidden,
                version: Version::Now,
                negated: false,
                cols: slots.into_iter().map(Pat::Var).collect(),
            }));
            self.rules.push(second.rule(Some(id), emit));
            return;
        };
        let head: Vec<PExpr> = exprs.iter().map(|e| convert(self, e)).collect();
        if matches!(self.at(rel).class, Class::Table | Class::Var(_)) {
            rel = self.stand(id, rel);
        }
        let plain: Option<Vec<usize>> = (head.iter())
            .map(|e| match e {
                PExpr::Var(s) => Some(s.index()),
                _ => None,
            })
            .collect();
        let shown = |i: usize| head.iter().any(|e| matches!(e, PExpr::Var(s) if s.index() == i));
        let merges = !(0..group.len()).all(shown);
        let spec = AggregateSpec { rule: id, group: spec_group, functions, head, plain, merges, enumerates };
        self.set_aggregate(rel, spec);
        self.rules.push(scope.rule(Some(id), Emit::Contribute { rel, group, args, binding }));
    }

    fn set_aggregate(&mut self, rel: RelIx, spec: AggregateSpec) {
        match &mut self.relations[rel.index()].class {
            Class::Event { aggregate } => *aggregate = Some(spec),
            Class::View { kind, .. } => *kind = ViewKind::Aggregate(spec),
            other => panic!("{other:?} cannot be an aggregate"),
        }
    }

    /// Variables of a head's expression outside of aggregates. In rules over state, look-ups are made by the body
    /// and their results belong to the group.
    fn group_of(
        &mut self,
        scope: &mut Scope,
        e: &ir::Expr,
        group: &mut Vec<Slot>,
        looked_up: &mut BTreeMap<(ir::LeafId, usize), Slot>,
    ) {
        let mut add = |slot: Slot| {
            if !group.contains(&slot) {
                group.push(slot);
            }
        };
        e.vars.iter().for_each(|v| add(scope.bound(v)));
        for (i, hole) in e.holes.iter().enumerate() {
            if let ir::Hole::Lookup { args, .. } = hole {
                for e in args {
                    self.group_of(scope, e, group, looked_up);
                }
                if scope.state {
                    let single = ir::Expr { holes: vec![hole.clone()], vars: vec![], var: None, ..e.clone() };
                    let single = ir::Expr { tokens: ir::Tokens(quote!(__hole0)), ..single };
                    if let PExpr::Var(slot) = self.expr(scope, &single) {
                        looked_up.insert((e.leaf, i), slot);
                        if !group.contains(&slot) {
                            group.push(slot);
                        }
                    }
                }
            }
        }
    }

    /// An expression of an aggregated head over the group's slots.
    fn over_group(
        &mut self,
        e: &ir::Expr,
        names: &BTreeMap<String, Slot>,
        looked_up: &BTreeMap<(ir::LeafId, usize), Slot>,
        next: &mut usize,
        state: bool,
    ) -> PExpr {
        if let (Some(v), true) = (&e.var, e.holes.is_empty()) {
            return PExpr::Var(names[v]);
        }
        let mut holes = vec![];
        for (i, hole) in e.holes.iter().enumerate() {
            holes.push(match hole {
                ir::Hole::Aggregate(_) => {
                    *next += 1;
                    Hole::Slot(Slot(*next as u32 - 1))
                }
                ir::Hole::Lookup { .. } if state => Hole::Slot(looked_up[&(e.leaf, i)]),
                ir::Hole::Lookup { rel, args, .. } => {
                    let rel = self.rel(*rel);
                    let key: Vec<PExpr> =
                        args.iter().map(|e| self.over_group(e, names, looked_up, next, state)).collect();
                    let index = self.index(rel, (0..key.len()).collect());
                    self.relations[rel.index()].probed = true;
                    Hole::Lookup { rel, index, key }
                }
                ir::Hole::NowMs => Hole::NowMs,
                ir::Hole::Unique => {
                    Hole::Unique { binding: names.values().copied().collect(), route: None, fresh: false }
                }
                ir::Hole::Random => Hole::Random { binding: names.values().copied().collect() },
            });
        }
        if let ([Hole::Slot(slot)], "__hole0") = (&holes[..], e.tokens.0.to_string().as_str()) {
            return PExpr::Var(*slot);
        }
        let vars = e.vars.iter().map(|v| names[v]).collect();
        PExpr::Rust(RustExpr { expr: e.clone(), vars, holes })
    }

    /// A head, its expressions translated in the order of [`head_exprs`].
    fn emit(&mut self, head: &ir::Head, expr: &mut dyn FnMut(&mut Self, &ir::Expr) -> PExpr) -> Emit {
        let mut all =
            |b: &mut Self, args: &[ir::Expr]| -> Vec<PExpr> { args.iter().map(|e| expr(b, e)).collect() };
        let one = |mut v: Vec<PExpr>| v.remove(0);
        match head {
            ir::Head::Now { rel, args } => Emit::Row { rel: self.rel(*rel), args: all(self, args) },
            ir::Head::Next { rel, args } => Emit::Next { rel: self.rel(*rel), args: all(self, args) },
            ir::Head::Delete { rel, args, forget } => {
                let rel = self.rel(*rel);
                let given = (0..args.len()).filter(|c| args[*c].is_some()).collect();
                let index = self.index(rel, given);
                let types: Vec<_> = self.at(rel).columns.iter().map(|c| c.ty.clone()).collect();
                let mut arg = |e: &ir::Expr, ty: Option<ir::Tokens>| {
                    let owned = ty.and_then(|ty| owned_text(self.protocol, e, &ty));
                    one(all(self, std::slice::from_ref(owned.as_ref().unwrap_or(e))))
                };
                let args = args.iter().zip(types).map(|(e, ty)| e.as_ref().map(|e| arg(e, ty))).collect();
                Emit::Delete { rel, index, args, forget: *forget }
            }
            ir::Head::Send { rel, args, to } => {
                Emit::Send { rel: *rel, args: all(self, args), to: one(all(self, std::slice::from_ref(to))) }
            }
            ir::Head::Reply { rel, req, args } => Emit::Reply {
                rel: *rel,
                req: one(all(self, std::slice::from_ref(req))),
                args: all(self, args),
            },
            ir::Head::Refuse { rel, req, error } => {
                let mut both = all(self, &[req.clone(), error.clone()]);
                Emit::Refuse { rel: *rel, error: both.remove(1), req: both.remove(0) }
            }
            ir::Head::Redirect { rel, req, to } => {
                let mut both = all(self, &[req.clone(), to.clone()]);
                Emit::Redirect { rel: *rel, to: both.remove(1), req: both.remove(0) }
            }
            ir::Head::Nothing => unreachable!("rules without head are left out"),
        }
    }

    /// Column types of a head, in the order of [`head_exprs`]; `None` where there is no column.
    fn head_types(&self, head: &ir::Head, count: usize) -> Vec<Option<ir::Tokens>> {
        let rel = match head {
            ir::Head::Now { rel, .. } | ir::Head::Next { rel, .. } | ir::Head::Send { rel, .. } => *rel,
            _ => return vec![None; count],
        };
        let columns = &self.protocol.relation(rel).columns;
        (0..count).map(|i| columns.get(i).map(|c| c.ty.clone())).collect()
    }
}

/// The expressions of a head in a fixed order; `None` if it derives nothing.
pub fn head_exprs(head: &ir::Head) -> Option<Vec<&ir::Expr>> {
    Some(match head {
        ir::Head::Now { args, .. } | ir::Head::Next { args, .. } => args.iter().collect(),
        ir::Head::Delete { args, .. } => args.iter().flatten().collect(),
        ir::Head::Send { args, to, .. } => args.iter().chain([to]).collect(),
        ir::Head::Reply { req, args, .. } => [req].into_iter().chain(args).collect(),
        ir::Head::Refuse { req, error, .. } => vec![req, error],
        ir::Head::Redirect { req, to, .. } => vec![req, to],
        ir::Head::Nothing => return None,
    })
}

fn aggregates(e: &ir::Expr) -> bool {
    e.holes.iter().any(|h| matches!(h, ir::Hole::Aggregate(_)))
}

/// The type of an aggregate's result, if it can be told.
fn result_type(f: &AggregateColumn) -> Option<ir::Tokens> {
    use ir::AggregateFn as F;
    match f.function {
        F::Count | F::CountDistinct | F::Index | F::IndexBy => Some(ir::Tokens(quote!(u64))),
        F::Sum | F::Min | F::Max | F::Choose | F::FirstGap => f.args[0].clone(),
        F::MinBy | F::MaxBy => f.args[1].clone(),
        F::Collect => f.args[0].as_ref().map(|ty| {
            let ty = &ty.0;
            ir::Tokens(quote!(Vec<#ty>))
        }),
    }
}
