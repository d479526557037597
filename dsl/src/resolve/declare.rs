//! Declarations of relations, in canonical order.

use super::Resolver;
use super::globals::is_duration;
use super::names;
use super::types::{self, Ty};
use crate::diag::Diagnostic;
use crate::ir::{
    Column, Lattice, Machine, MachineId, Place, RelId, Relation, RelationKind, Request, RoleId, Timer, Tokens,
};
use crate::syntax::ast::{self, Item, Kind};
use crate::syntax::cursor::{Raw, split_commas};
use proc_macro2::{Ident, TokenTree};
use quote::ToTokens;
use std::collections::BTreeSet;

impl Resolver {
    /// Declares all relations, in canonical order.
    pub(super) fn relations(&mut self, ast: &ast::Protocol, errors: &mut Vec<Diagnostic>) {
        for i in 0..self.protocol.roles.len() {
            let role = &self.protocol.roles[i];
            let (name, place, id) = (role.name.clone(), role.place, RoleId(i as u32));
            // A part's instances are those of its whole.
            let whole = &self.protocol.role(self.protocol.family(id)).name;
            let address = (
                Column { name: "instance".into(), ty: ident_tokens(whole), lattice: None, place },
                Some(Ty::known(whole)),
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
            let own_word = [
                "me",
                "old",
                "new",
                "on",
                "at",
                "start",
                "never",
                "forget",
                "reply",
                "refuse",
                "redirect",
                "partition",
            ];
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
        relation.delivery = ast.delivery;
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
        relation.replicated = ast.replicated.is_some();
        let id = self.push(relation, columns);
        self.names.locals[role.index()].insert(ast.name.to_string(), id);
        if ast.replicated.is_some() {
            let whole = self.protocol.family(role);
            for other in (0..self.protocol.roles.len() as u32).map(RoleId) {
                if other != role && self.protocol.family(other) == whole {
                    self.names.shared[other.index()].insert(ast.name.to_string(), id);
                }
            }
        }
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
        routing: None,
        delivery: Default::default(),
        replicated: false,
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
            [TokenTree::Ident(name)] if name != "me" && name != "partition" && name != "_" => {
                name.to_string()
            }
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
