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

pub mod expr_type;
mod heads;
mod infer;
mod leaf;
mod names;
mod number;
mod rules;
pub mod types;
pub mod vars;

pub use heads::describe;
pub use number::number_leaves;

use crate::diag::Diagnostic;
use crate::ir::{
    Alias, Column, Constant, Delay, GroupId, Lattice, Machine, MachineId, Param, Place, Protocol, RelId,
    Relation, RelationKind, Request, Role, RoleId, Rule, RuleId, Schedule, Timer, Tokens,
};
use crate::syntax::ast::{self, Item, Kind};
use crate::syntax::cursor::{Raw, split_commas};
use infer::Inference;
use names::Names;
use proc_macro2::{Ident, TokenTree};
use quote::ToTokens;
use std::collections::{BTreeMap, BTreeSet};
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

    /// `use`, `type`, `role` and `param`.
    fn globals(&mut self, ast: &ast::Protocol, errors: &mut Vec<Diagnostic>) {
        for item in &ast.items {
            match item {
                Item::Broken(name) => {
                    self.names.broken.insert(name.to_string());
                }
                Item::At(_, items) => self.names.broken.extend(items.iter().filter_map(|item| match item {
                    Item::Broken(name) => Some(name.to_string()),
                    _ => None,
                })),
                Item::Use(raw) => {
                    imports(&raw.tokens, &mut self.names);
                    self.protocol.uses.push(Tokens(raw.stream()));
                }
                Item::Role(name, docs) => {
                    let first = self.names.declare(name, errors);
                    if first {
                        let role = RoleId(self.protocol.roles.len() as u32);
                        self.names.roles.insert(name.to_string(), role);
                        self.names.locals.push(BTreeMap::new());
                        self.types.roles.insert(name.to_string());
                        self.types.role_order.push(name.to_string());
                        // Two static relations per role come first of all.
                        let relation = RelId(2 * role.0);
                        let start = RelId(2 * role.0 + 1);
                        self.names.globals.insert(name.to_string(), relation);
                        self.names.locals[role.index()].insert("start".into(), start);
                        self.protocol.roles.push(Role {
                            name: name.to_string(),
                            docs: docs.clone(),
                            relation,
                            start,
                            place: Place(name.span()),
                        });
                    }
                }
                _ => {}
            }
        }
        self.types.imported = self.names.imported.clone();
        errors.extend(names::forbidden(&ast.name));
        for item in &ast.items {
            if let Item::Role(name, _) | Item::Alias(name, _) = item
                && self.names.imported.contains(&name.to_string())
            {
                errors.push(Diagnostic::error(
                    "duplicate",
                    name.span(),
                    format!("`{name}` is imported with `use` as well"),
                ));
            }
        }
        // An alias may use one that follows: what is resolved grows until the last is.
        let aliases = ast
            .items
            .iter()
            .filter_map(|i| if let Item::Alias(name, raw) = i { Some((name, raw)) } else { None });
        for _ in aliases.clone() {
            for (name, raw) in aliases.clone() {
                if let Ok(ty) = syn::parse2::<syn::Type>(raw.stream())
                    && !mentions(&ty, &name.to_string())
                {
                    let ty = self.types.parse(&ty);
                    self.types.aliases.insert(name.to_string(), ty);
                }
            }
        }
        for item in &ast.items {
            match item {
                Item::Alias(name, raw) => {
                    if self.names.declare(name, errors)
                        && let Some((_, tokens)) = self.parse_type(raw, errors)
                    {
                        self.protocol.aliases.push(Alias {
                            name: name.to_string(),
                            ty: tokens,
                            place: Place(name.span()),
                        });
                    }
                }
                Item::Param(name, raw, default) => {
                    let first = self.names.declare(name, errors);
                    if first {
                        self.names.params.insert(name.to_string());
                        if let Some((_, ty)) = self.parse_type(raw, errors) {
                            let duration = is_duration(&ty);
                            let number = matches!(default, Some(Constant::Rust(t)) if syn::parse2::<syn::LitInt>(t.0.clone()).is_ok());
                            if matches!(default, Some(Constant::Millis(_))) && !duration {
                                errors.push(
                                    Diagnostic::error(
                                        "type",
                                        name.span(),
                                        format!("the default of `{name}` is a duration"),
                                    )
                                    .help(format!("`param {name}: Duration = …;`")),
                                );
                            } else if duration && number {
                                errors.push(
                                    Diagnostic::error(
                                        "type",
                                        name.span(),
                                        format!("the default of `{name}` needs a unit"),
                                    )
                                    .help("write `500ms`, `2s`, `5min` or `1h`"),
                                );
                            }
                            self.protocol.params.push(Param {
                                name: name.to_string(),
                                ty,
                                default: default.clone(),
                                place: Place(name.span()),
                            });
                        }
                    }
                }
                _ => {}
            }
        }
        if self.protocol.roles.is_empty() {
            errors.push(
                Diagnostic::error("roles", ast.name.span(), "a protocol needs a role").help("`role server;`"),
            );
        }
    }

    fn parse_type(&self, raw: &Raw, errors: &mut Vec<Diagnostic>) -> Option<(Ty, Tokens)> {
        match syn::parse2::<syn::Type>(raw.stream()) {
            Ok(syn::Type::Reference(r)) => {
                errors.push(Diagnostic::error(
                    "type",
                    leaf::expr_span(&r),
                    "values in rows are owned: a reference cannot be stored or sent",
                ));
                None
            }
            Ok(ty) => {
                if let Some(word) = unportable(&ty) {
                    let error = if word.to_string().starts_with('f') {
                        Diagnostic::error(
                            "type",
                            word.span(),
                            format!("`{word}` has no total order, which rows need"),
                        )
                        .help("use an integer in a smaller unit")
                    } else {
                        Diagnostic::error("type", word.span(), format!("`{word}` differs between machines"))
                            .help(format!("use `{}`", if word == "usize" { "u64" } else { "i64" }))
                    };
                    errors.push(error);
                    return None;
                }
                Some((self.types.parse(&ty), Tokens(ty.to_token_stream())))
            }
            Err(error) => {
                errors.push(Diagnostic::error(
                    "syntax",
                    error.span(),
                    format!("this is not a type: {error}"),
                ));
                None
            }
        }
    }

    fn role(&self, name: &Ident, errors: &mut Vec<Diagnostic>) -> Option<RoleId> {
        let found = self.names.roles.get(&name.to_string()).copied();
        if found.is_none() && !self.names.broken.contains(&name.to_string()) {
            let mut error = Diagnostic::error("unknown-role", name.span(), format!("unknown role `{name}`"));
            error = match names::nearest(&name.to_string(), self.names.roles.keys()) {
                Some(near) => error.help(format!("did you mean `{near}`?")),
                None => error.help(format!("declare it: `role {name};`")),
            };
            errors.push(error);
        }
        found
    }

    fn locals<'a>(&self, ast: &'a ast::Protocol, errors: &mut Vec<Diagnostic>) -> Vec<Local<'a>> {
        let mut out = Vec::new();
        for item in &ast.items {
            if let Item::At(name, items) = item
                && let Some(role) = self.role(name, errors)
            {
                out.extend(items.iter().map(|item| (role, item)));
            }
        }
        out.sort_by_key(|(role, _)| *role);
        out
    }

    /// Declares all relations, in canonical order.
    fn relations(&mut self, ast: &ast::Protocol, errors: &mut Vec<Diagnostic>) {
        for i in 0..self.protocol.roles.len() {
            let role = &self.protocol.roles[i];
            let (name, place, id) = (role.name.clone(), role.place, RoleId(i as u32));
            let address = (
                Column { name: "instance".into(), ty: ident_tokens(&name), lattice: None, place },
                Some(Ty::known(&name)),
            );
            self.push(plain(&name, None, RelationKind::Instances(id), None, place), vec![address]);
            let n = self.column("n", "u64", place);
            self.push(plain("start", Some(id), RelationKind::Start, None, place), vec![n]);
        }
        for item in &ast.items {
            if let Item::Relation(relation) = item {
                self.communication(relation, errors);
            }
        }
        let locals = self.locals(ast, errors);
        let mut role = None;
        let mut late: Vec<(RoleId, &ast::Relation)> = Vec::new();
        for (owner, item) in &locals {
            if role != Some(*owner) {
                late.drain(..).for_each(|(owner, relation)| self.local(owner, relation, errors));
                role = Some(*owner);
            }
            match item {
                Item::Relation(relation) if relation.rule.is_some() => late.push((*owner, relation)),
                Item::Relation(relation) => self.local(*owner, relation, errors),
                Item::Machine(machine) => self.machine(*owner, machine, errors),
                _ => {}
            }
        }
        late.drain(..).for_each(|(owner, relation)| self.local(owner, relation, errors));
    }

    fn column(&self, name: &str, ty: &str, place: Place) -> (Column, Option<Ty>) {
        (Column { name: name.into(), ty: ident_tokens(ty), lattice: None, place }, Some(Ty::known(ty)))
    }

    fn push(&mut self, mut relation: Relation, columns: Vec<(Column, Option<Ty>)>) -> RelId {
        let (columns, written) = columns.into_iter().unzip();
        relation.columns = columns;
        self.protocol.relations.push(relation);
        self.written.push(written);
        RelId(self.protocol.relations.len() as u32 - 1)
    }

    /// Written columns, with types and lattices.
    fn columns(
        &mut self,
        columns: &[ast::Column],
        lattices: bool,
        errors: &mut Vec<Diagnostic>,
    ) -> Vec<(Column, Option<Ty>)> {
        let mut out: Vec<(Column, Option<Ty>)> = Vec::new();
        for column in columns {
            let own_word =
                ["me", "old", "new", "on", "at", "start", "never", "forget", "reply", "refuse", "redirect"];
            if !own_word.contains(&column.name.to_string().as_str()) {
                errors.extend(names::forbidden(&column.name));
            }
            let name = column.name.to_string();
            if let Some((first, _)) = out.iter().find(|(c, _)| c.name == name) {
                errors.push(names::duplicate(&column.name, first.place.0));
            }
            let place = Place(column.name.span());
            let mut lattice = None;
            let mut parsed = None;
            if let Ok(syn::Type::Path(p)) = syn::parse2::<syn::Type>(column.ty.stream())
                && let (Some(last), 1) = (p.path.segments.last(), p.path.segments.len())
                && !self.names.imported.contains(&last.ident.to_string())
                && let syn::PathArguments::AngleBracketed(args) = &last.arguments
                && let (Some(syn::GenericArgument::Type(inner)), 1) = (args.args.first(), args.args.len())
            {
                lattice = match last.ident.to_string().as_str() {
                    "Max" => Some(Lattice::Max),
                    "Min" => Some(Lattice::Min),
                    _ => None,
                };
                if lattice.is_some() {
                    let raw =
                        Raw { tokens: inner.to_token_stream().into_iter().collect(), span: column.ty.span };
                    parsed = self.parse_type(&raw, errors);
                    if !lattices {
                        errors.push(
                            Diagnostic::error(
                                "lattice",
                                column.ty.span,
                                format!("`{}` merges only in tables and vars", last.ident),
                            )
                            .help(format!(
                                "declare the column as `{name}: {}`",
                                types::tidy(&inner.to_token_stream().to_string())
                            )),
                        );
                    }
                }
            }
            if lattice.is_none() {
                parsed = self.parse_type(&column.ty, errors);
            }
            // A type that is wrong has been reported and agrees with everything.
            let (ty, tokens) =
                parsed.unwrap_or_else(|| (Ty::Opaque(column.ty.stream()), Tokens(column.ty.stream())));
            out.push((Column { name, ty: tokens, lattice, place }, Some(ty)));
        }
        out
    }

    fn communication(&mut self, ast: &ast::Relation, errors: &mut Vec<Diagnostic>) {
        let mut columns = self.columns(&ast.columns, false, errors);
        let place = Place(ast.name.span());
        let (role, kind) = match &ast.kind {
            Kind::Message(role) => (self.role(role, errors), RelationKind::Message),
            Kind::Request { at, reply, error, by, resend } => {
                let mut chosen = None;
                if let Some(by) = by {
                    chosen = columns.iter().position(|(c, _)| by == &c.name).map(|i| i + 1);
                    if chosen.is_none() {
                        errors.push(Diagnostic::error(
                            "unknown-column",
                            by.span(),
                            format!("`{}` has no column `{by}`", ast.name),
                        ));
                    }
                }
                if let Some((column, _)) = columns.iter().find(|(c, _)| c.name == "req") {
                    errors.push(
                        Diagnostic::error(
                            "duplicate",
                            column.place.0,
                            "every request has a first column `req` already",
                        )
                        .help("name this one differently"),
                    );
                }
                columns.insert(0, self.column("req", "Req", place));
                let reply = self.columns(reply, false, errors).into_iter().map(|(c, _)| c).collect();
                let error =
                    error.as_ref().and_then(|raw| self.parse_type(raw, errors)).map(|(_, tokens)| tokens);
                (
                    self.role(at, errors),
                    RelationKind::Request(Request { reply, error, resend: *resend, by: chosen }),
                )
            }
            _ => return,
        };
        if !self.names.declare(&ast.name, errors) {
            return;
        }
        // Even for an unknown role the name is declared: one mistake, one message.
        let role = Some(role.unwrap_or(RoleId(0))).filter(|_| !self.protocol.roles.is_empty());
        let mut relation = plain(&ast.name.to_string(), role, kind, None, place);
        relation.docs = ast.docs.clone();
        let id = self.push(relation, columns);
        self.names.globals.insert(ast.name.to_string(), id);
    }

    /// Whether a role may use a name for a relation of its own.
    fn claim(&mut self, role: RoleId, ident: &Ident, errors: &mut Vec<Diagnostic>) -> bool {
        errors.extend(names::forbidden(ident));
        let name = ident.to_string();
        let first = match self.names.locals[role.index()].get(&name) {
            Some(rel) => Some(self.protocol.relations[rel.index()].place.0),
            None => self.names.declared.get(&name).copied(),
        };
        if let Some(first) = first {
            errors.push(names::duplicate(ident, first));
        }
        first.is_none()
    }

    fn local(&mut self, role: RoleId, ast: &ast::Relation, errors: &mut Vec<Diagnostic>) {
        if !self.claim(role, &ast.name, errors) {
            return;
        }
        let place = Place(ast.name.span());
        let lattices = matches!(ast.kind, Kind::Table | Kind::Var(_));
        let mut columns = match &ast.rule {
            None => self.columns(&ast.columns, lattices, errors),
            Some(rule) => derived_columns(&rule.head),
        };
        let mut key = ast.key;
        let kind = match &ast.kind {
            Kind::Event => RelationKind::Event,
            Kind::Table => {
                key = table_key(&columns, key, &ast.name, errors);
                RelationKind::Table
            }
            Kind::View => RelationKind::View,
            Kind::Var(first) => {
                if let Some(k) = key.filter(|k| *k > 0) {
                    errors.push(
                        Diagnostic::error(
                            "key",
                            columns[k - 1].0.place.0,
                            format!("var `{}` has one row and therefore no key", ast.name),
                        )
                        .help("declare a `table`"),
                    );
                }
                key = Some(0);
                let bottom = columns.iter().all(|(c, _)| c.lattice == Some(Lattice::Max));
                if first.is_none() && !bottom {
                    errors.push(
                        Diagnostic::error("var", ast.name.span(), format!("var `{}` needs a first value", ast.name))
                            .help(format!("`var {}(..) = value;`; only `Max<..>` columns start by themselves, at the least value", ast.name)),
                    );
                }
                if columns.iter().any(|(c, _)| c.lattice.is_some())
                    && columns.iter().any(|(c, _)| c.lattice.is_none())
                {
                    errors.push(
                        Diagnostic::error(
                            "lattice",
                            ast.name.span(),
                            format!("some columns of `{}` merge and some are replaced", ast.name),
                        )
                        .help("declare two vars"),
                    );
                }
                let mut r = self.rules(errors);
                RelationKind::Var(first.as_ref().and_then(|raw| r.still(None, raw)))
            }
            Kind::Timer(schedule, params, _) => {
                for (name, _) in params {
                    match self.protocol.params.iter().find(|p| name == &p.name) {
                        None => errors.push(
                            Diagnostic::error(
                                "unknown-param",
                                name.span(),
                                format!("unknown parameter `{name}`"),
                            )
                            .help(format!("declare it: `param {name}: Duration = 500ms;`")),
                        ),
                        Some(p) if !is_duration(&p.ty) => errors.push(
                            Diagnostic::error("type", name.span(), format!("`{name}` is not a `Duration`"))
                                .label(p.place.0, "declared here"),
                        ),
                        Some(_) => {}
                    }
                }
                RelationKind::Timer(Timer { schedule: schedule.clone(), rows: Vec::new() })
            }
            Kind::Message(_) | Kind::Request { .. } => return,
        };
        if columns.is_empty() && matches!(kind, RelationKind::Var(_)) {
            errors.push(Diagnostic::error("var", ast.name.span(), "a var holds at least one value"));
        }
        if key == Some(columns.len()) && !matches!(kind, RelationKind::Var(_)) {
            errors.push(
                Diagnostic::error(
                    "syntax",
                    ast.name.span(),
                    format!("no column of `{}` follows `=>`: all columns are the key", ast.name),
                )
                .help("leave `=>` away: without it, a relation is a set of rows"),
            );
        }
        unique_names(&mut columns);
        let mut relation = plain(&ast.name.to_string(), Some(role), kind, key, place);
        relation.docs = ast.docs.clone();
        relation.durable = ast.durable.is_some();
        relation.ghost = ast.ghost.is_some();
        let id = self.push(relation, columns);
        self.names.locals[role.index()].insert(ast.name.to_string(), id);
    }

    fn machine(&mut self, role: RoleId, ast: &ast::Machine, errors: &mut Vec<Diagnostic>) {
        if !self.claim(role, &ast.name, errors) {
            return;
        }
        let place = Place(ast.name.span());
        let name = ast.name.to_string();
        let id = MachineId(self.protocol.machines.len() as u32);
        let feed = self.columns(&ast.feed, false, errors);
        let mut done = self.columns(&ast.done, false, errors);
        if feed[0].0.ty.0.to_string() != "u64" {
            errors.push(Diagnostic::error("machine", feed[0].0.place.0, "slots are `u64`"));
        }
        let slot = feed[0].clone();
        done.insert(0, slot);
        unique_names(&mut done);
        if let Err(error) = syn::parse2::<syn::Type>(ast.implementation.stream()) {
            errors.push(Diagnostic::error("syntax", error.span(), format!("this is not a type: {error}")));
        }
        let n = self.column("n", "u64", place);
        let bytes = self.column("image", "Bytes", place);
        // The tag's type follows from the rules.
        let tag = (Column { name: "tag".into(), ty: Tokens(quote::quote!(_)), lattice: None, place }, None);
        let mut part =
            |suffix: &str, kind: RelationKind, key: Option<usize>, columns: Vec<(Column, Option<Ty>)>| {
                let full = if suffix.is_empty() { name.clone() } else { format!("{name}.{suffix}") };
                let mut relation = plain(&full, Some(role), kind, key, place);
                relation.durable = ast.durable;
                let id = self.push(relation, columns);
                self.names.locals[role.index()].insert(full, id);
                id
            };
        let machine = Machine {
            name: name.clone(),
            role,
            durable: ast.durable,
            implementation: Tokens(ast.implementation.stream()),
            feed: part("", RelationKind::MachineFeed(id), None, feed),
            done: part("done", RelationKind::MachineDone(id), None, done),
            next: part("next", RelationKind::MachineNext(id), Some(0), vec![n.clone()]),
            save: part("save", RelationKind::MachineSave(id), None, vec![tag.clone()]),
            saved: part("saved", RelationKind::MachineSaved(id), None, vec![tag, n.clone(), bytes.clone()]),
            load: part("load", RelationKind::MachineLoad(id), None, vec![n, bytes]),
            place,
        };
        let feed = machine.feed.index();
        self.protocol.relations[feed].docs = ast.docs.clone();
        self.protocol.machines.push(machine);
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

    /// Rules, timers' rows, invariants and `require`.
    fn bodies(&mut self, ast: &ast::Protocol, errors: &mut Vec<Diagnostic>) {
        for item in &ast.items {
            if let Item::Require(raw) = item {
                let expr = self.rules(errors).still(None, raw);
                self.protocol.requires.extend(expr);
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

    /// Fills in column types.
    fn types(&mut self, errors: &mut Vec<Diagnostic>) {
        let mut types = std::mem::take(&mut self.types);
        let mut columns: Vec<Vec<Ty>> = Vec::new();
        for row in &self.written {
            columns.push(row.iter().map(|ty| ty.clone().unwrap_or_else(|| types.fresh())).collect());
        }
        for machine in &self.protocol.machines {
            columns[machine.saved.index()][0] = columns[machine.save.index()][0].clone();
        }
        let parse = |types: &Types, tokens: &Tokens| match syn::parse2::<syn::Type>(tokens.0.clone()) {
            Ok(ty) => types.parse(&ty),
            Err(_) => Ty::Opaque(tokens.0.clone()),
        };
        let params = self.protocol.params.iter().map(|p| (p.name.clone(), parse(&types, &p.ty))).collect();
        let mut answers = BTreeMap::new();
        for (i, relation) in self.protocol.relations.iter().enumerate() {
            if let RelationKind::Request(request) = &relation.kind {
                let reply = request.reply.iter().map(|c| parse(&types, &c.ty)).collect();
                let error = request.error.as_ref().map(|e| parse(&types, e));
                answers.insert(RelId(i as u32), (reply, error));
            }
        }
        let before = errors.len();
        let mut work =
            Inference { protocol: &self.protocol, types, columns, answers, params, parsed: &self.parsed };
        errors.extend(infer::infer(&mut work));
        let Inference { mut types, columns, .. } = work;
        // An image that nobody asks for has no tag whose type matters.
        for machine in &self.protocol.machines {
            if !self.protocol.rules.iter().any(|r| r.head.relation() == Some(machine.save)) {
                types.unify(&columns[machine.save.index()][0], &Ty::known("u64"));
            }
        }
        let clean = errors.len() == before;
        for (i, row) in columns.iter().enumerate() {
            for (j, ty) in row.iter().enumerate() {
                let column = &mut self.protocol.relations[i].columns[j];
                if self.written[i][j].is_none() {
                    column.ty = Tokens(types.tokens(ty));
                }
            }
            let relation = &self.protocol.relations[i];
            let unknown: Vec<&str> = row
                .iter()
                .zip(&relation.columns)
                .filter(|(ty, _)| !types.is_complete(ty))
                .map(|(_, c)| c.name.as_str())
                .collect();
            if unknown.is_empty() || self.broken.contains(&RelId(i as u32)) || !clean {
                continue;
            }
            errors.extend(unknown_type(relation, &unknown));
        }
        self.types = types;
    }
}

fn unknown_type(relation: &Relation, unknown: &[&str]) -> Option<Diagnostic> {
    let what = if unknown.len() == 1 {
        format!("the type of `{}`", unknown[0])
    } else {
        format!("the types of {}", list(unknown))
    };
    match relation.kind {
        RelationKind::MachineSaved(_) => None,
        RelationKind::MachineSave(_) => Some(
            Diagnostic::error(
                "unknown-type",
                relation.place.0,
                format!("{what} in `{}` does not follow from its rules", relation.name),
            )
            .help("pass a value whose type a column gives"),
        ),
        _ => {
            let columns: Vec<String> = relation
                .columns
                .iter()
                .map(|c| {
                    format!(
                        "{}: {}",
                        c.name,
                        if unknown.contains(&c.name.as_str()) {
                            "Type".into()
                        } else {
                            types::tidy(&c.ty.0.to_string())
                        }
                    )
                })
                .collect();
            let word = if matches!(relation.kind, RelationKind::View) { "view" } else { "event" };
            let (key, value) = columns.split_at(relation.key.unwrap_or(0));
            let columns = match relation.key {
                Some(_) => format!("{} => {}", key.join(", "), value.join(", ")),
                None => columns.join(", "),
            };
            Some(
                Diagnostic::error(
                    "unknown-type",
                    relation.place.0,
                    format!("{what} in `{}` does not follow from its rules", relation.name),
                )
                .help(format!(
                    "declare the columns first: `{word} {}({});`",
                    relation.name,
                    columns.trim_start()
                )),
            )
        }
    }
}

fn list(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|n| format!("`{n}`")).collect();
    quoted.join(", ")
}

fn ident_tokens(name: &str) -> Tokens {
    Tokens(quote::format_ident!("{name}").into_token_stream())
}

fn plain(name: &str, role: Option<RoleId>, kind: RelationKind, key: Option<usize>, place: Place) -> Relation {
    Relation {
        name: name.to_string(),
        docs: Vec::new(),
        role,
        kind,
        columns: Vec::new(),
        key,
        durable: false,
        ghost: false,
        declared_by: None,
        place,
    }
}

/// The columns that a head declares: a variable's name, an aggregate's, or `c0`, `c1`, … by position.
fn derived_columns(head: &ast::Head) -> Vec<(Column, Option<Ty>)> {
    let values = head.values.as_ref().map_or(&[][..], |v| &v.tokens);
    let parts = split_commas(&head.args.tokens, false).into_iter().chain(split_commas(values, false));
    let named = parts.enumerate().map(|(i, part)| {
        let name = match part {
            [TokenTree::Ident(name)] if name != "me" && name != "_" => name.to_string(),
            [TokenTree::Ident(f), TokenTree::Group(_)] => f.to_string(),
            _ => format!("c{i}"),
        };
        let span = part.first().map_or(head.span, |t| t.span());
        (Column { name, ty: Tokens(quote::quote!(_)), lattice: None, place: Place(span) }, None)
    });
    named.collect()
}

/// Makes made-up names differ.
fn unique_names(columns: &mut [(Column, Option<Ty>)]) {
    let mut seen = BTreeSet::new();
    for (column, _) in columns {
        let base = column.name.clone();
        let mut n = 2;
        while !seen.insert(column.name.clone()) {
            column.name = format!("{base}{n}");
            n += 1;
        }
    }
}

/// A table with lattice columns is keyed by the others.
fn table_key(
    columns: &[(Column, Option<Ty>)],
    key: Option<usize>,
    name: &Ident,
    errors: &mut Vec<Diagnostic>,
) -> Option<usize> {
    let first = columns.iter().position(|(c, _)| c.lattice.is_some());
    let Some(first) = first else { return key };
    if let Some((plain, _)) = columns[first..].iter().find(|(c, _)| c.lattice.is_none()) {
        errors.push(
            Diagnostic::error(
                "lattice",
                plain.place.0,
                format!("column `{}` of `{name}` follows one that merges", plain.name),
            )
            .label(columns[first].0.place.0, "this one merges")
            .help("the columns that merge come last: the others are their key"),
        );
    } else if let Some(k) = key.filter(|k| *k != first) {
        let (plain, _) = &columns[k.min(first)];
        let what = if k < first {
            "is neither part of the key nor merges"
        } else {
            "merges, so it cannot be part of the key"
        };
        errors.push(
            Diagnostic::error(
                "lattice",
                plain.place.0,
                format!("column `{}` of `{name}` {what}", plain.name),
            )
            .help("a table with columns that merge is keyed by all others"),
        );
    }
    Some(first)
}

fn is_duration(ty: &Tokens) -> bool {
    let text = ty.0.to_string();
    text == "Duration" || text.ends_with(":: Duration")
}

/// Whether a type mentions a name.
fn mentions(ty: &syn::Type, name: &str) -> bool {
    fn any(stream: proc_macro2::TokenStream, name: &str) -> bool {
        stream.into_iter().any(|t| match t {
            TokenTree::Ident(i) => i == name,
            TokenTree::Group(g) => any(g.stream(), name),
            _ => false,
        })
    }
    any(ty.to_token_stream(), name)
}

/// `usize`, `isize`, `f32` and `f64` anywhere in a type.
fn unportable(ty: &syn::Type) -> Option<Ident> {
    struct Find(Option<Ident>);
    impl<'a> syn::visit::Visit<'a> for Find {
        fn visit_path(&mut self, p: &'a syn::Path) {
            if let Some(i) =
                p.get_ident().filter(|i| *i == "usize" || *i == "isize" || *i == "f32" || *i == "f64")
            {
                self.0.get_or_insert(i.clone());
            }
            syn::visit::visit_path(self, p);
        }
    }
    let mut find = Find(None);
    syn::visit::Visit::visit_type(&mut find, ty);
    find.0
}

/// The names that a `use` brings in.
fn imports(tokens: &[TokenTree], names: &mut Names) {
    fn tree(t: &syn::UseTree, names: &mut Names) {
        match t {
            syn::UseTree::Path(p) => tree(&p.tree, names),
            syn::UseTree::Name(n) => {
                names.imported.insert(n.ident.to_string());
            }
            syn::UseTree::Rename(r) => {
                names.imported.insert(r.rename.to_string());
            }
            syn::UseTree::Glob(_) => names.glob = true,
            syn::UseTree::Group(g) => g.items.iter().for_each(|t| tree(t, names)),
        }
    }
    let mut stream: proc_macro2::TokenStream = tokens.iter().cloned().collect();
    stream.extend(quote::quote!(;));
    if let Ok(item) = syn::parse2::<syn::ItemUse>(stream) {
        tree(&item.tree, names);
    }
}

/// Durations in timers that name parameters.
pub fn delays(schedule: &Schedule) -> Vec<&Delay> {
    match schedule {
        Schedule::After { delay, jitter } => std::iter::once(delay).chain(jitter).collect(),
        Schedule::Every { from, to, jitter } => std::iter::once(from).chain(to).chain(jitter).collect(),
    }
}
