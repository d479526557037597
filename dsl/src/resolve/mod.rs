//! Names, arity, variables, holes and types: from the syntax tree to the rule IR.
//!
//! Relations are put into a canonical order, so that printing an IR and reading it again gives the same:
//! first the relations that come with roles (instances, `start`), then messages and requests, then role by
//! role what is declared with its columns or as a machine, then what its first rule declares. Rules are
//! grouped by role and otherwise stay in source order.
//!
//! A relation whose columns follow from its first rule gets their types by unification over all rules.
//! Where that fails, the user declares the columns first: `event e(x: T);` or `view v(k: K => x: T);` and
//! writes the rule by itself.

// A diagnostic is large and made once per mistake.
#![allow(clippy::result_large_err)]

mod atoms;
mod cut;
mod declare;
pub mod expr_type;
mod globals;
mod head;
mod infer;
mod leaf;
mod names;
mod number;
mod operators;
mod pattern;
mod rules;
mod settle;
pub mod typed;
pub mod types;
pub mod vars;

pub use number::number_leaves;
pub use operators::describe;

use crate::diag::Diagnostic;
use crate::ir::{
    Delay, Expr, GroupId, LeafId, Place, Protocol, RelId, RelationKind, RoleId, Routing, Rule, RuleId,
    Schedule, Tokens,
};
use crate::syntax::ast::{self, Item, Kind};
use names::Names;
use std::collections::BTreeSet;
use types::{Ty, Types};

/// Resolves a protocol. What is wrong is left out of the result, which is complete only if no errors were
/// added.
pub fn resolve(ast: &ast::Protocol, errors: &mut Vec<Diagnostic>) -> Protocol {
    let mut r = Resolver::new(ast);
    r.globals(ast, errors);
    r.relations(ast, errors);
    r.bodies(ast, errors);
    r.types(errors);
    number_leaves(&mut r.protocol);
    r.protocol
}

struct Resolver {
    protocol: Protocol,
    names: Names,
    parsed: Vec<leaf::Parsed>,
    types: Types,
    /// Written column types; `None` for columns that a rule declares.
    written: Vec<Vec<Option<Ty>>>,
    /// Relations that a rule declares but whose rule could not be read.
    broken: BTreeSet<RelId>,
}

/// An item of a role with the role's number.
type Local<'a> = (RoleId, &'a Item);

impl Resolver {
    fn new(ast: &ast::Protocol) -> Resolver {
        Resolver {
            protocol: Protocol {
                name: ast.name.to_string(),
                docs: ast.docs.clone(),
                uses: Vec::new(),
                aliases: Vec::new(),
                roles: Vec::new(),
                params: Vec::new(),
                requires: Vec::new(),
                relations: Vec::new(),
                machines: Vec::new(),
                rules: Vec::new(),
                invariants: Vec::new(),
                place: Place(ast.name.span()),
            },
            names: Names::default(),
            parsed: Vec::new(),
            types: Types::default(),
            written: Vec::new(),
            broken: BTreeSet::new(),
        }
    }

    fn rules<'a>(&'a mut self, errors: &'a mut Vec<Diagnostic>) -> rules::Rules<'a> {
        rules::Rules {
            names: &self.names,
            relations: &self.protocol.relations,
            role_names: &self.types.role_order,
            parsed: &mut self.parsed,
            errors,
            doubtful: false,
        }
    }

    /// `routed ..` of a declaration.
    fn routing(&mut self, rel: RelId, ast: &ast::Relation, errors: &mut Vec<Diagnostic>) {
        let Some(routing) = &ast.routing else { return };
        let declared = self.protocol.relations[rel.index()].clone();
        if declared.place.0.start() != ast.name.span().start() {
            return;
        }
        let found = self.rules(errors).routing(&declared, routing);
        // One that is wrong has been reported: the declaration does say something.
        let nothing = || Expr {
            leaf: LeafId(0),
            tokens: Tokens(Default::default()),
            holes: Vec::new(),
            vars: Vec::new(),
            var: None,
            place: declared.place,
        };
        self.protocol.relations[rel.index()].routing = found.or_else(|| Some(Routing::By(nothing())));
    }

    /// Rules, timers' rows, invariants and `require`.
    fn bodies(&mut self, ast: &ast::Protocol, errors: &mut Vec<Diagnostic>) {
        for item in &ast.items {
            if let Item::Require(raw) = item {
                let expr = self.rules(errors).still(None, raw);
                self.protocol.requires.extend(expr);
            }
        }
        for item in &ast.items {
            if let Item::Relation(relation) = item
                && let Some(rel) = self.names.globals.get(&relation.name.to_string()).copied()
            {
                self.routing(rel, relation, errors);
            }
        }
        let mut group = 0;
        for (role, item) in self.locals(ast, &mut Vec::new()) {
            match item {
                Item::Rule(rule) => {
                    let rule = self.rules(errors).rule(role, rule, None);
                    self.protocol.rules.extend(rule);
                }
                Item::On(on) => {
                    let id = GroupId(group);
                    group += 1;
                    let mut r = self.rules(errors);
                    let made: Vec<Rule> = if on.rules.is_empty() {
                        r.nothing(role, on, id).into_iter().collect()
                    } else {
                        on.rules.iter().filter_map(|rule| r.rule(role, rule, Some((on, id)))).collect()
                    };
                    self.protocol.rules.extend(made);
                }
                Item::Relation(relation) => {
                    let Some(rel) = self.names.locals[role.index()].get(&relation.name.to_string()).copied()
                    else {
                        continue;
                    };
                    // A second declaration under this name has been reported and has no rules of its own.
                    if self.protocol.relations[rel.index()].place.0.start() != relation.name.span().start() {
                        continue;
                    }
                    self.routing(rel, relation, errors);
                    if let Some(rule) = &relation.rule {
                        match self.rules(errors).rule(role, rule, None) {
                            Some(rule) => {
                                self.protocol.relations[rel.index()].declared_by =
                                    Some(RuleId(self.protocol.rules.len() as u32));
                                self.protocol.rules.push(rule);
                            }
                            None => {
                                self.broken.insert(rel);
                            }
                        }
                    } else if let Kind::Timer(_, _, body) = &relation.kind {
                        let declared = self.protocol.relations[rel.index()].clone();
                        let rows = self.rules(errors).timer_rows(role, &declared, body);
                        if let (Some(rows), RelationKind::Timer(timer)) =
                            (rows, &mut self.protocol.relations[rel.index()].kind)
                        {
                            timer.rows = rows;
                        }
                    }
                }
                _ => {}
            }
        }
        for item in &ast.items {
            if let Item::Never(never) = item {
                if let Some(first) = self.protocol.invariants.iter().find(|i| never.name == i.name) {
                    let first = first.place.0;
                    errors.push(names::duplicate(&never.name, first));
                }
                let invariant = self.rules(errors).never(never);
                self.protocol.invariants.extend(invariant);
            }
        }
    }
}

/// Durations in timers that name parameters.
pub fn delays(schedule: &Schedule) -> Vec<&Delay> {
    match schedule {
        Schedule::After { delay, jitter } => std::iter::once(delay).chain(jitter).collect(),
        Schedule::Every { from, to, jitter } => std::iter::once(from).chain(to).chain(jitter).collect(),
    }
}
