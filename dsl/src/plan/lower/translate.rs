//! From IR rules to logical rules: names become slots, relations those of the plan, and what the plan does not
//! know becomes hidden relations ([`super::hidden`]).

use super::super::pipeline::*;
use super::super::types::*;
use super::builder::{Builder, is_event};
use super::logical::{Atom, Lit, Pat, Rule};
use crate::ir;
use crate::resolve::typed::Vars;
use quote::quote;
use std::collections::BTreeMap;

/// A rule under translation.
pub struct Scope {
    /// Variables.
    pub vars: Vec<Variable>,
    /// Named ones.
    pub names: BTreeMap<String, Slot>,
    /// Named ones of the body, in order of first appearance.
    pub named: Vec<Slot>,
    /// Literals so far.
    pub body: Vec<Lit>,
    /// Over state alone: look-ups become literals.
    pub state: bool,
    /// The first column of the first positive event.
    pub route: Option<Slot>,
    /// That event was met.
    pub driven: bool,
    /// `unique()` occurs, so the first column of that event must be known.
    pub unique: bool,
    /// Types of named variables that no column tells.
    pub types: Vars,
    /// Negated atoms with variables that are bound further to the right.
    late: Vec<ir::Atom>,
}

impl Scope {
    /// An empty one.
    pub fn new(state: bool) -> Scope {
        Scope {
            vars: vec![],
            names: BTreeMap::new(),
            named: vec![],
            body: vec![],
            state,
            route: None,
            driven: false,
            unique: false,
            types: Vars::new(),
            late: vec![],
        }
    }

    /// An empty one, for variables of known types.
    pub fn typed(state: bool, types: &Vars) -> Scope {
        Scope { types: types.clone(), ..Scope::new(state) }
    }

    /// A new hidden variable.
    pub fn hidden(&mut self, what: &str, ty: Option<ir::Tokens>) -> Slot {
        let slot = Slot(self.vars.len() as u32);
        self.vars.push(Variable { name: format!("__{what}{}", slot.0), place: ir::Place::default(), ty });
        slot
    }

    /// The slot of a named variable, made if need be.
    pub fn name(&mut self, name: &str, place: ir::Place, ty: Option<ir::Tokens>) -> Slot {
        let ty = ty.or_else(|| self.types.get(name).cloned());
        if let Some(slot) = self.names.get(name) {
            let known = &mut self.vars[slot.index()].ty;
            if known.is_none() {
                *known = ty;
            }
            return *slot;
        }
        let slot = Slot(self.vars.len() as u32);
        self.vars.push(Variable { name: name.to_owned(), place, ty });
        self.names.insert(name.to_owned(), slot);
        self.named.push(slot);
        slot
    }

    /// The slot of a variable that is bound somewhere.
    pub fn bound(&self, name: &str) -> Slot {
        match self.names.get(name) {
            Some(slot) => *slot,
            None => panic!("range restriction: `{name}` is not bound"),
        }
    }

    fn knows(&self, atom: &ir::Atom) -> bool {
        atom.args.iter().all(|p| match p {
            ir::Pattern::Wild(_) | ir::Pattern::Value(_) => true,
            ir::Pattern::Var(v) => self.names.contains_key(&v.name),
            ir::Pattern::Nested(n) => n.vars.iter().all(|v| self.names.contains_key(&v.name)),
        })
    }

    /// Ends as a rule.
    pub fn rule(self, id: Option<ir::RuleId>, emit: Emit) -> Rule {
        Rule { id, vars: self.vars, body: self.body, emit, state: self.state, on: None }
    }
}

/// Whether a body is driven by events.
pub fn has_event(b: &Builder<'_>, body: &[ir::Literal]) -> bool {
    body.iter().any(|l| match l {
        ir::Literal::Atom(a) => {
            !a.negated && (a.version == ir::Version::New || b.protocol.relation(a.rel).is_event())
        }
        ir::Literal::NewJoin(..) => true,
        _ => false,
    })
}

impl Builder<'_> {
    /// Translates literals at the end of a scope's body.
    pub fn literals(&mut self, scope: &mut Scope, body: &[ir::Literal]) {
        for literal in body {
            match literal {
                // Negated atoms bind nothing, so their place does not matter.
                ir::Literal::Atom(a) if a.negated && !scope.knows(a) => scope.late.push(a.clone()),
                _ => self.literal(scope, literal),
            }
            let (ready, late) = std::mem::take(&mut scope.late).into_iter().partition(|a| scope.knows(a));
            scope.late = late;
            let ready: Vec<ir::Atom> = ready;
            ready.iter().for_each(|a| self.atom(scope, a));
        }
    }

    fn literal(&mut self, scope: &mut Scope, literal: &ir::Literal) {
        match literal {
            ir::Literal::Atom(atom) => self.atom(scope, atom),
            ir::Literal::NewJoin(body, _) => self.new_join(scope, body),
            ir::Literal::If(e) => {
                let e = self.expr(scope, e);
                scope.body.push(Lit::If(e));
            }
            ir::Literal::Let(p, e) => {
                let ty = e
                    .var
                    .as_ref()
                    .and_then(|v| scope.vars[scope.bound(v).index()].ty.clone())
                    .or_else(|| drawn(e));
                let e = self.expr(scope, e);
                let p = self.pattern(scope, p, ty);
                scope.body.push(Lit::Let(p, e));
            }
            ir::Literal::For(p, e) => {
                let e = self.expr(scope, e);
                let p = self.pattern(scope, p, None);
                scope.body.push(Lit::For(p, e));
            }
        }
    }

    fn atom(&mut self, scope: &mut Scope, atom: &ir::Atom) {
        let rel = self.rel(atom.rel);
        let version = match atom.version {
            ir::Version::Now => Version::Now,
            ir::Version::Old => Version::Old,
            ir::Version::New => Version::New,
        };
        let event = version == Version::New || is_event(&self.at(rel).class);
        let drives = event && !atom.negated && !scope.driven;
        let types: Vec<_> = self.at(rel).columns.iter().map(|c| c.ty.clone()).collect();
        let mut cols: Vec<Pat> =
            atom.args.iter().zip(types.iter().cloned()).map(|(p, ty)| self.pattern(scope, p, ty)).collect();
        if drives {
            scope.driven = true;
            scope.route = match cols.first() {
                Some(Pat::Var(v)) => Some(*v),
                _ => None,
            };
        }
        let mut rel = rel;
        if version == Version::New && cols.iter().any(|p| matches!(p, Pat::Wild)) {
            let kept: Vec<usize> = (0..cols.len()).filter(|c| !matches!(cols[*c], Pat::Wild)).collect();
            rel = self.projection(rel, &kept);
            cols.retain(|p| !matches!(p, Pat::Wild));
        }
        let mut first = None;
        if drives && scope.unique && scope.route.is_none() && types.len() == cols.len() && !cols.is_empty() {
            // The ids that the rule draws inherit the routing value of this column.
            let slot = scope.hidden("route", types[0].clone());
            first = Some(std::mem::replace(&mut cols[0], Pat::Var(slot))).filter(|p| !matches!(p, Pat::Wild));
            scope.route = Some(slot);
        }
        scope.body.push(Lit::Atom(Atom { rel, version, negated: atom.negated, cols }));
        if let (Some(pattern), Some(slot)) = (first, scope.route) {
            scope.body.push(Lit::Let(pattern, PExpr::Var(slot)));
        }
    }

    /// Translates a pattern; variables in it become known.
    pub fn pattern(&mut self, scope: &mut Scope, p: &ir::Pattern, ty: Option<ir::Tokens>) -> Pat {
        match p {
            ir::Pattern::Wild(_) => Pat::Wild,
            ir::Pattern::Var(v) => Pat::Var(scope.name(&v.name, v.place, ty)),
            ir::Pattern::Value(e) => Pat::Const(self.expr_for(scope, e, ty)),
            ir::Pattern::Nested(n) => {
                let vars = n.vars.iter().map(|v| scope.name(&v.name, v.place, None)).collect();
                Pat::Nested(n.clone(), vars)
            }
        }
    }

    /// Translates an expression for a place of some type: see [`owned_text`].
    pub fn expr_for(&mut self, scope: &mut Scope, e: &ir::Expr, ty: Option<ir::Tokens>) -> PExpr {
        match ty.and_then(|ty| owned_text(self.protocol, e, &ty)) {
            Some(owned) => self.expr(scope, &owned),
            None => self.expr(scope, e),
        }
    }

    /// Translates an expression. In rules over state, its look-ups are added to the body first.
    pub fn expr(&mut self, scope: &mut Scope, e: &ir::Expr) -> PExpr {
        if let (Some(v), true) = (&e.var, e.holes.is_empty()) {
            return PExpr::Var(scope.bound(v));
        }
        let vars = e.vars.iter().map(|v| scope.bound(v)).collect();
        let holes: Vec<Hole> = e.holes.iter().map(|h| self.hole(scope, h)).collect();
        if let ([Hole::Slot(slot)], "__hole0") = (&holes[..], e.tokens.0.to_string().as_str()) {
            return PExpr::Var(*slot);
        }
        PExpr::Rust(RustExpr { expr: e.clone(), vars, holes })
    }

    fn hole(&mut self, scope: &mut Scope, hole: &ir::Hole) -> Hole {
        match hole {
            ir::Hole::Lookup { rel, args, .. } => {
                let rel = self.rel(*rel);
                let types: Vec<_> = self.at(rel).columns.iter().map(|c| c.ty.clone()).collect();
                let key: Vec<PExpr> =
                    args.iter().zip(types).map(|(e, ty)| self.expr_for(scope, e, ty)).collect();
                if scope.state {
                    return Hole::Slot(self.lookup(scope, rel, key));
                }
                let index = self.index(rel, (0..key.len()).collect());
                self.relations[rel.index()].probed = true;
                Hole::Lookup { rel, index, key }
            }
            ir::Hole::Unique => {
                Hole::Unique { binding: scope.named.clone(), route: scope.route, fresh: false }
            }
            ir::Hole::Random => Hole::Random { binding: scope.named.clone() },
            ir::Hole::NowMs => Hole::NowMs,
            ir::Hole::Aggregate(_) => panic!("an aggregate outside of a head"),
        }
    }

    /// Adds a look-up to the body of a rule over state; gives the variable that holds its value.
    fn lookup(&mut self, scope: &mut Scope, rel: RelIx, key: Vec<PExpr>) -> Slot {
        let columns: Vec<_> = self.at(rel).columns.iter().map(|c| c.ty.clone()).collect();
        let mut slots = vec![];
        for (e, ty) in key.into_iter().zip(&columns) {
            slots.push(match e {
                PExpr::Var(slot) => slot,
                e => {
                    let slot = scope.hidden("key", ty.clone());
                    scope.body.push(Lit::Let(Pat::Var(slot), e));
                    slot
                }
            });
        }
        let types = &columns[slots.len()..];
        let values: Vec<Slot> = types.iter().map(|ty| scope.hidden("value", ty.clone())).collect();
        let ty = match types {
            [one] => one.clone(),
            all => all
                .iter()
                .map(|ty| ty.as_ref().map(|t| t.0.clone()))
                .collect::<Option<Vec<_>>>()
                .map(|all| ir::Tokens(quote!((#(#all),*)))),
        };
        let result = scope.hidden("found", ty.map(|ty| ir::Tokens(option(&ty))));
        scope.body.push(Lit::Lookup { rel, key: slots, values, result });
        result
    }
}

fn option(ty: &ir::Tokens) -> proc_macro2::TokenStream {
    let ty = &ty.0;
    quote!(Option<#ty>)
}

/// `"text"` in the place of a `String`: a constant of that type, as whoever writes the pattern means it.
pub fn owned_text(protocol: &ir::Protocol, e: &ir::Expr, ty: &ir::Tokens) -> Option<ir::Expr> {
    let text = syn::parse2::<syn::LitStr>(e.tokens.0.clone()).ok()?;
    let mut ty = ty.0.to_string();
    for _ in 0..8 {
        if let Some(alias) = protocol.aliases.iter().find(|a| a.name == ty) {
            ty = alias.ty.0.to_string();
        }
    }
    let tokens = ir::Tokens(quote!(::std::string::String::from(#text)));
    (ty == "String").then(|| ir::Expr { tokens, ..e.clone() })
}

/// The type of an expression that is nothing but a draw.
fn drawn(e: &ir::Expr) -> Option<ir::Tokens> {
    match (&e.holes[..], e.tokens.0.to_string().as_str()) {
        ([ir::Hole::Random | ir::Hole::NowMs], "__hole0") => Some(ir::Tokens(quote!(u64))),
        _ => None,
    }
}
