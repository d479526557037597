//! Types of variables and of aggregates' arguments in a finished IR, for whoever must write them down: plans name
//! the columns of hidden relations, and generated code declares them.
//!
//! It is the inference of [`super::infer`] once more, over columns that are all known by now. What it cannot
//! tell is absent: functions of the user's and fields of the user's types are rustc's affair.

use super::expr_type::Env;
use super::infer::{self, Inference};
use super::leaf::Parsed;
use super::types::{Ty, Types};
use crate::ir::*;
use std::collections::BTreeMap;
use syn::parse::Parser;

/// Types by name of variable.
pub type Vars = BTreeMap<String, Tokens>;

/// What is known of a protocol's variables.
#[derive(Clone, Default, Debug)]
pub struct Typed {
    /// By rule.
    pub rules: Vec<Vars>,
    /// By relation: variables of a timer's rows; empty for others.
    pub relations: Vec<Vars>,
    /// Arguments of aggregates that are more than a variable.
    pub args: BTreeMap<LeafId, Tokens>,
}

/// Infers them. The protocol's leaves must be numbered as [`super::number_leaves`] does.
pub fn typed(protocol: &Protocol) -> Typed {
    let mut types = Types::default();
    for role in &protocol.roles {
        types.roles.insert(role.name.clone());
        types.role_order.push(role.name.clone());
    }
    for (i, role) in protocol.roles.iter().enumerate() {
        let whole = protocol.role(protocol.family(RoleId(i as u32)));
        if whole.name != role.name {
            types.wholes.insert(role.name.clone(), whole.name.clone());
        }
    }
    types.imported = protocol.uses.iter().flat_map(|u| super::globals::imported(&u.0)).collect();
    for alias in &protocol.aliases {
        let ty = parse(&types, &alias.ty);
        types.aliases.insert(alias.name.clone(), ty);
    }
    let columns = protocol.relations.iter();
    let columns = columns.map(|r| r.columns.iter().map(|c| parse(&types, &c.ty)).collect()).collect();
    let params = protocol.params.iter().map(|p| (p.name.clone(), parse(&types, &p.ty))).collect();
    let mut answers = BTreeMap::new();
    for (i, relation) in protocol.relations.iter().enumerate() {
        if let RelationKind::Request(request) = &relation.kind {
            let reply = request.reply.iter().map(|c| parse(&types, &c.ty)).collect();
            let error = request.error.as_ref().map(|e| parse(&types, e));
            answers.insert(RelId(i as u32), (reply, error));
        }
    }
    let parsed = leaves(protocol);
    let mut work = Inference { protocol, types, columns, answers, params, parsed: &parsed };
    let (_, scopes) = infer::infer(&mut work);

    let told = |types: &Types, vars: &BTreeMap<String, Ty>| -> Vars {
        let complete = vars.iter().filter(|(_, ty)| types.is_complete(ty));
        complete.map(|(name, ty)| (name.clone(), Tokens(types.tokens(ty)))).collect()
    };
    let (rules, rest) = scopes.split_at(protocol.rules.len());
    let mut out = Typed {
        rules: rules.iter().map(|vars| told(&work.types, vars)).collect(),
        relations: rest[..protocol.relations.len()].iter().map(|vars| told(&work.types, vars)).collect(),
        args: BTreeMap::new(),
    };
    let keys: Vec<Option<usize>> = protocol.relations.iter().map(|r| r.key).collect();
    for (rule, vars) in protocol.rules.iter().zip(rules) {
        let me = Some(Ty::known(&protocol.role(protocol.family(rule.role)).name));
        let Inference { types, columns, params, .. } = &mut work;
        let mut env = Env {
            types,
            columns,
            keys: &keys,
            params,
            vars: vars.clone(),
            me,
            mismatches: Vec::new(),
            parsed: &parsed,
        };
        for arg in arguments(&rule.head) {
            let ty = env.leaf(arg);
            if env.types.is_complete(&ty) || env.types.is_integer(&ty) {
                out.args.insert(arg.leaf, Tokens(env.types.tokens(&ty)));
            }
        }
    }
    out
}

fn parse(types: &Types, tokens: &Tokens) -> Ty {
    match syn::parse2::<syn::Type>(tokens.0.clone()) {
        Ok(ty) => types.parse(&ty),
        Err(_) => Ty::Opaque(tokens.0.clone()),
    }
}

/// Arguments of a head's aggregates.
pub fn arguments(head: &Head) -> Vec<&Expr> {
    let exprs: Vec<&Expr> = match head {
        Head::Now { args, .. } | Head::Next { args, .. } => args.iter().collect(),
        Head::Send { args, to, .. } => args.iter().chain([to]).collect(),
        Head::Reply { args, req, .. } => args.iter().chain([req]).collect(),
        Head::Refuse { error, req, .. } => vec![req, error],
        Head::Redirect { to, req, .. } => vec![req, to],
        Head::Delete { .. } | Head::Nothing => vec![],
    };
    let holes = exprs.into_iter().flat_map(|e| &e.holes);
    let aggregates = holes.filter_map(|hole| match hole {
        Hole::Aggregate(a) => Some(a),
        _ => None,
    });
    aggregates.flat_map(|a| &a.args).collect()
}

/// All leaves, parsed, by number.
fn leaves(protocol: &Protocol) -> Vec<Parsed> {
    let mut walk = Leaves(BTreeMap::new());
    protocol.requires.iter().for_each(|e| walk.expr(e));
    for relation in &protocol.relations {
        match &relation.kind {
            RelationKind::Var(Some(first)) => walk.expr(first),
            RelationKind::Timer(timer) => walk.body(&timer.rows),
            _ => {}
        }
        if let Some(Routing::By(e) | Routing::To(e)) = &relation.routing {
            walk.expr(e);
        }
    }
    for rule in &protocol.rules {
        walk.body(&rule.body);
        walk.head(&rule.head);
    }
    for invariant in &protocol.invariants {
        walk.body(&invariant.body);
        invariant.args.iter().for_each(|e| walk.expr(e));
    }
    let count = walk.0.keys().next_back().map_or(0, |last| *last as usize + 1);
    let nothing = || Parsed::Expr(Box::new(syn::Expr::PLACEHOLDER));
    (0..count).map(|i| walk.0.remove(&(i as u32)).unwrap_or_else(nothing)).collect()
}

struct Leaves(BTreeMap<u32, Parsed>);

impl Leaves {
    fn expr(&mut self, e: &Expr) {
        if let Ok(parsed) = syn::parse2::<syn::Expr>(e.tokens.0.clone()) {
            self.0.insert(e.leaf.0, Parsed::Expr(Box::new(parsed)));
        }
        for hole in &e.holes {
            match hole {
                Hole::Lookup { args, .. } => args.iter().for_each(|e| self.expr(e)),
                Hole::Aggregate(a) => a.args.iter().for_each(|e| self.expr(e)),
                Hole::Unique | Hole::NowMs | Hole::Random => {}
            }
        }
    }

    fn pattern(&mut self, p: &Pattern) {
        match p {
            Pattern::Value(e) => self.expr(e),
            Pattern::Nested(n) => {
                if let Ok(parsed) = syn::Pat::parse_multi_with_leading_vert.parse2(n.tokens.0.clone()) {
                    self.0.insert(n.leaf.0, Parsed::Pat(Box::new(parsed)));
                }
            }
            Pattern::Wild(_) | Pattern::Var(_) => {}
        }
    }

    fn body(&mut self, body: &[Literal]) {
        for literal in body {
            match literal {
                Literal::Atom(a) => a.args.iter().chain(&a.at).for_each(|p| self.pattern(p)),
                Literal::NewJoin(inner, _) => self.body(inner),
                Literal::If(e) => self.expr(e),
                Literal::Let(p, e) | Literal::For(p, e) => {
                    self.pattern(p);
                    self.expr(e);
                }
            }
        }
    }

    fn head(&mut self, head: &Head) {
        match head {
            Head::Now { args, .. } | Head::Next { args, .. } => args.iter().for_each(|e| self.expr(e)),
            Head::Delete { args, .. } => args.iter().flatten().for_each(|e| self.expr(e)),
            Head::Send { args, to, .. } => args.iter().chain([to]).for_each(|e| self.expr(e)),
            Head::Reply { req, args, .. } => args.iter().chain([req]).for_each(|e| self.expr(e)),
            Head::Refuse { req, error, .. } => [req, error].into_iter().for_each(|e| self.expr(e)),
            Head::Redirect { req, to, .. } => [req, to].into_iter().for_each(|e| self.expr(e)),
            Head::Nothing => {}
        }
    }
}
