//! All leaves of a protocol, parsed once.

use super::pattern::Pat;
use super::tree::{self, Frame, Tree};
use super::ty::Ty;
use super::{machine, run};
use anabranch_core::machine::ErasedMachine;
use anabranch_core::node::{Env, Leaves};
use anabranch_core::value::Value;
use anabranch_dsl::ir::*;
use std::collections::BTreeMap;
use std::fmt;

/// The leaves of a protocol whose expressions all lie in the closed subset.
#[derive(Clone, Debug, Default)]
pub struct Closed {
    exprs: BTreeMap<u32, Tree>,
    /// The pattern, and for each of its variables in the IR's order where the pattern binds it.
    patterns: BTreeMap<u32, (Pat, Vec<usize>)>,
    machines: Vec<String>,
    /// Parameters' defaults.
    defaults: BTreeMap<String, Value>,
}

/// An expression or pattern outside the closed subset.
#[derive(Clone, Debug)]
pub struct Unsupported {
    /// What is not understood.
    pub what: String,
    /// Where.
    pub place: Place,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: the closed evaluator does not know {}", self.place, self.what)
    }
}
impl std::error::Error for Unsupported {}

impl Closed {
    /// Takes in a protocol; says what lies outside the subset.
    pub fn new(protocol: &Protocol) -> Result<Closed, Vec<Unsupported>> {
        let mut walk =
            Walk { protocol, me: None, vars: BTreeMap::new(), out: Closed::default(), errors: Vec::new() };
        let me = |role: RoleId| protocol.family(role).0 as u16;
        for rule in &protocol.rules {
            walk.me = Some(me(rule.role));
            walk.rule(rule);
        }
        for relation in &protocol.relations {
            walk.vars.clear();
            walk.me = relation.role.map(me);
            if let Some(Routing::By(e) | Routing::To(e)) = &relation.routing {
                for column in &relation.columns {
                    walk.bind(&column.name, &Ty::parse(&column.ty, protocol));
                }
                walk.expr(e, &Ty::Unknown);
                walk.vars.clear();
            }
            match &relation.kind {
                RelationKind::Timer(timer) => walk.body(&timer.rows),
                RelationKind::Var(first) => walk.var(relation, first.as_ref()),
                _ => {}
            }
        }
        walk.me = None;
        for invariant in &protocol.invariants {
            walk.vars.clear();
            walk.body(&invariant.body);
            for arg in &invariant.args {
                walk.expr(arg, &Ty::Unknown);
            }
        }
        for require in &protocol.requires {
            walk.vars.clear();
            walk.expr(require, &Ty::Bool);
        }
        for param in &protocol.params {
            let ty = Ty::parse(&param.ty, protocol);
            match &param.default {
                None => {}
                Some(Constant::Millis(ms)) => {
                    walk.out.defaults.insert(param.name.clone(), Value::Int(i128::from(*ms)));
                }
                Some(Constant::Rust(tokens)) => {
                    if let Some((tree, _)) = walk.parse(tokens, &ty, &Frame::default(), param.place) {
                        match run::eval(
                            &tree,
                            &mut Vec::new(),
                            &Env { layout: Default::default(), seat: NOWHERE, params: BTreeMap::new() },
                        ) {
                            Some(value) => drop(walk.out.defaults.insert(param.name.clone(), value)),
                            None => walk.error(format!("the default of `{}`", param.name), param.place),
                        }
                    }
                }
            }
        }
        for m in &protocol.machines {
            let name =
                m.implementation.0.clone().into_iter().last().map(|t| t.to_string()).unwrap_or_default();
            if machine::named(&name).is_none() {
                walk.error(format!("the machine `{name}`"), m.place);
            }
            walk.out.machines.push(name);
        }
        if walk.errors.is_empty() { Ok(walk.out) } else { Err(walk.errors) }
    }

    /// Parameters' defaults, for [`Env::params`].
    pub fn defaults(&self) -> BTreeMap<String, Value> {
        self.defaults.clone()
    }
}

const NOWHERE: anabranch_core::node::Seat = anabranch_core::node::Seat { role: 0, instance: 0, partition: 0 };

/// The bottom of a lattice variable that is declared without a first value, where its type is known.
pub fn bottom(relation: &Relation, protocol: &Protocol) -> Option<Vec<Value>> {
    relation.columns.iter().map(|c| Ty::parse(&c.ty, protocol).default()).collect()
}

impl Leaves for Closed {
    fn eval(&self, leaf: u32, values: &[Value], env: &Env) -> Option<Value> {
        run::eval(self.exprs.get(&leaf)?, &mut values.to_vec(), env)
    }

    fn matches(&self, leaf: u32, value: &Value, env: &Env) -> Option<Option<Vec<Value>>> {
        let (pattern, order) = self.patterns.get(&leaf)?;
        let mut bound = vec![None; run::pattern_size(pattern)];
        if !pattern.matches(value, &mut bound, env) {
            return Some(None);
        }
        Some(Some(order.iter().map(|i| bound[*i].clone()).collect::<Option<_>>()?))
    }

    fn machine(&self, machine: u32) -> Option<Box<dyn ErasedMachine>> {
        machine::named(self.machines.get(machine as usize)?)
    }
}

/// Goes through the rules with the types of the variables.
struct Walk<'a> {
    protocol: &'a Protocol,
    /// The role whose addresses `me` has.
    me: Option<u16>,
    vars: BTreeMap<String, Ty>,
    out: Closed,
    errors: Vec<Unsupported>,
}

impl Walk<'_> {
    fn error(&mut self, what: String, place: Place) {
        self.errors.push(Unsupported { what, place });
    }

    fn ty(&self, rel: RelId, column: usize) -> Ty {
        let columns = &self.protocol.relation(rel).columns;
        columns.get(column).map_or(Ty::Unknown, |c| Ty::parse(&c.ty, self.protocol))
    }

    fn rule(&mut self, rule: &Rule) {
        self.vars.clear();
        self.body(&rule.body);
        match &rule.head {
            Head::Now { rel, args } | Head::Next { rel, args } => self.args(*rel, args),
            Head::Delete { rel, args, .. } => {
                for (i, arg) in args.iter().enumerate() {
                    if let Some(arg) = arg {
                        self.expr(arg, &self.ty(*rel, i));
                    }
                }
            }
            Head::Send { rel, args, to } => {
                self.args(*rel, args);
                self.expr(to, &Ty::Unknown);
            }
            Head::Reply { rel, req, args } => {
                self.expr(req, &Ty::Req);
                if let RelationKind::Request(request) = &self.protocol.relation(*rel).kind {
                    for (arg, column) in args.iter().zip(&request.reply) {
                        self.expr(arg, &Ty::parse(&column.ty, self.protocol));
                    }
                }
            }
            Head::Refuse { rel, req, error } => {
                self.expr(req, &Ty::Req);
                let ty = match &self.protocol.relation(*rel).kind {
                    RelationKind::Request(Request { error: Some(ty), .. }) => Ty::parse(ty, self.protocol),
                    _ => Ty::Unknown,
                };
                self.expr(error, &ty);
            }
            Head::Redirect { req, to, .. } => {
                self.expr(req, &Ty::Req);
                self.expr(to, &Ty::Unknown);
            }
            Head::Nothing => {}
        }
    }

    fn args(&mut self, rel: RelId, args: &[Expr]) {
        for (i, arg) in args.iter().enumerate() {
            self.expr(arg, &self.ty(rel, i));
        }
    }

    fn body(&mut self, body: &[Literal]) {
        for literal in body {
            match literal {
                Literal::Atom(atom) => {
                    for (i, arg) in atom.args.iter().enumerate() {
                        self.pattern(arg, &self.ty(atom.rel, i));
                    }
                }
                Literal::NewJoin(literals, _) => self.body(literals),
                Literal::If(e) => drop(self.expr(e, &Ty::Bool)),
                Literal::Let(p, e) => {
                    let ty = self.expr(e, &Ty::Unknown);
                    self.pattern(p, &ty);
                }
                Literal::For(p, e) => {
                    let ty = self.expr(e, &Ty::Unknown).item();
                    self.pattern(p, &ty);
                }
            }
        }
    }

    fn bind(&mut self, name: &str, ty: &Ty) {
        let known = self.vars.entry(name.to_string()).or_insert(Ty::Unknown);
        *known = known.clone().or(ty.clone());
    }

    fn pattern(&mut self, pattern: &Pattern, ty: &Ty) {
        match pattern {
            Pattern::Wild(_) => {}
            Pattern::Var(var) => self.bind(&var.name, ty),
            Pattern::Value(e) => drop(self.expr(e, ty)),
            Pattern::Nested(nested) => {
                let known: Vec<String> = nested.vars.iter().map(|v| v.name.clone()).collect();
                let mut names = Vec::new();
                let parsed = syn::parse::Parser::parse2(
                    syn::Pat::parse_multi_with_leading_vert,
                    nested.tokens.0.clone(),
                )
                .map_err(|e| e.to_string())
                .and_then(|p| Pat::parse(&p, ty, Some(&known), &mut names, self.protocol));
                match parsed {
                    Err(what) => self.error(what, nested.place),
                    Ok(parsed) => {
                        let order =
                            known.iter().filter_map(|v| names.iter().position(|(n, _)| n == v)).collect();
                        self.out.patterns.insert(nested.leaf.0, (parsed, order));
                        for (name, ty) in names {
                            self.bind(&name, &ty);
                        }
                    }
                }
            }
        }
    }

    fn expr(&mut self, e: &Expr, want: &Ty) -> Ty {
        let known = |v: &String| self.vars.get(v).cloned().unwrap_or(Ty::Unknown);
        let mut frame = Frame(e.vars.iter().map(|v| (v.clone(), known(v))).collect(), self.me);
        for (i, hole) in e.holes.iter().enumerate() {
            let ty = self.hole(hole);
            frame.0.push((format!("__hole{i}"), ty));
        }
        match self.parse(&e.tokens, want, &frame, e.place) {
            Some((tree, ty)) => {
                self.out.exprs.insert(e.leaf.0, tree);
                ty
            }
            None => Ty::Unknown,
        }
    }

    fn parse(&mut self, tokens: &Tokens, want: &Ty, frame: &Frame, place: Place) -> Option<(Tree, Ty)> {
        let parsed = syn::parse2::<syn::Expr>(tokens.0.clone())
            .map_err(|e| e.to_string())
            .and_then(|e| tree::parse(&e, want, frame, self.protocol));
        match parsed {
            Ok(parsed) => Some(parsed),
            Err(what) => {
                self.error(what, place);
                None
            }
        }
    }

    fn hole(&mut self, hole: &Hole) -> Ty {
        match hole {
            Hole::Lookup { rel, args, .. } => {
                self.args(*rel, args);
                let arity = self.protocol.relation(*rel).columns.len();
                let mut values: Vec<Ty> = (args.len()..arity).map(|i| self.ty(*rel, i)).collect();
                let value = if values.len() == 1 { values.remove(0) } else { Ty::Tuple(values) };
                Ty::Option(Box::new(value))
            }
            Hole::Aggregate(aggregate) => {
                let types: Vec<Ty> = aggregate.args.iter().map(|e| self.expr(e, &Ty::Unknown)).collect();
                use AggregateFn::*;
                match (aggregate.function, types.last()) {
                    (Count | CountDistinct | Index | IndexBy, _) | (_, None) => {
                        Ty::Int(super::ty::Width::U64)
                    }
                    (Collect, Some(ty)) => Ty::List(Box::new(ty.clone())),
                    (Sum | Min | Max | MinBy | MaxBy | Choose | FirstGap, Some(ty)) => ty.clone(),
                }
            }
            Hole::Unique => Ty::Id,
            Hole::NowMs | Hole::Random => Ty::Int(super::ty::Width::U64),
        }
    }

    fn var(&mut self, relation: &Relation, first: Option<&Expr>) {
        let mut types: Vec<Ty> = relation.columns.iter().map(|c| Ty::parse(&c.ty, self.protocol)).collect();
        let whole = if types.len() == 1 { types.remove(0) } else { Ty::Tuple(types) };
        match first {
            Some(first) => drop(self.expr(first, &whole)),
            None if bottom(relation, self.protocol).is_some() => {}
            None => self.error(format!("the bottom of `{}`", relation.name), relation.place),
        }
    }
}
