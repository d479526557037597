//! Atoms, and which relation their names mean.

use super::rules::{Rules, arity_error};
use crate::diag::Diagnostic;
use crate::ir::{Atom, Place, RelId, RoleId};
use crate::syntax::ast;
use proc_macro2::Span;
use std::collections::BTreeMap;

impl Rules<'_> {
    pub(super) fn atom(
        &mut self,
        role: Option<RoleId>,
        atom: &ast::Atom,
        bound: &mut BTreeMap<String, Span>,
        later: &BTreeMap<String, Span>,
    ) -> Option<Atom> {
        let rel = match role {
            Some(role) => self.readable(role, &atom.name),
            None => self.anywhere(&atom.name),
        };
        let arity = rel.map(|r| self.relations[r.index()].columns.len());
        let mut leaves = self.leaves(role);
        (leaves.bound, leaves.later) = (bound.clone(), later.clone());
        let args = leaves.patterns(&atom.args, arity.unwrap_or(0));
        let at = atom.at.as_ref().map(|raw| leaves.one_pattern(raw));
        self.doubtful |= args.is_none();
        let names = self.binds(&atom.args);
        if atom.negated && !self.doubtful {
            for ident in names.iter().filter(|i| !bound.contains_key(&i.to_string())) {
                let mut error = Diagnostic::error(
                    "unbound-variable",
                    ident.span(),
                    format!("`{ident}` is not bound, and a negated atom binds nothing"),
                );
                error = match later.get(&ident.to_string()) {
                    Some(later) => {
                        error.label(*later, "it is bound only here").help("move what binds it to the left")
                    }
                    None => error.help(format!("if any `{ident}` will do, write `_`")),
                };
                self.errors.push(error);
            }
        } else if !atom.negated {
            for ident in names.into_iter().chain(atom.at.iter().flat_map(|at| self.binds(at))) {
                bound.entry(ident.to_string()).or_insert(ident.span());
            }
        }
        let (rel, args) = (rel?, args?);
        let relation = &self.relations[rel.index()];
        if args.len() != relation.columns.len() {
            self.errors.push(arity_error(relation, args.len(), atom.span));
            return None;
        }
        match (role, &at) {
            (Some(_), Some(_)) => {
                self.errors.push(
                    Diagnostic::error("syntax", atom.span, "`at` stands only in invariants").help(
                        "a rule reads the tables of its own node; to hear of another's, send a message",
                    ),
                );
                return None;
            }
            (None, None) if relation.role.is_some() => {
                self.errors.push(
                    Diagnostic::error(
                        "invariant",
                        atom.span,
                        format!("say at which node `{}` is read", atom.name.text()),
                    )
                    .help(format!("`{}(..) at _` for any node, or `at p` to name it", atom.name.text())),
                );
                return None;
            }
            _ => {}
        }
        let at = match at {
            Some(None) => return None,
            Some(at) => at,
            None => None,
        };
        Some(Atom { rel, version: atom.version, negated: atom.negated, args, at, place: Place(atom.span) })
    }

    /// The relation that a rule of this role reads under a name.
    fn readable(&mut self, role: RoleId, name: &ast::Name) -> Option<RelId> {
        let text = name.text();
        let Some(rel) = self.names.relation(Some(role), &text) else {
            self.unknown(role, name);
            return None;
        };
        let relation = &self.relations[rel.index()];
        if let Some(owner) = relation.role.filter(|r| *r != role && !relation.replicated) {
            let (here, there) = (&self.role_names[role.index()], &self.role_names[owner.index()]);
            self.errors.push(
                Diagnostic::error(
                    "spans-roles",
                    name.span(),
                    format!("`{text}` arrives at `{there}`, but this rule belongs to `{here}`"),
                )
                .label(relation.place.0, format!("declared here, for `{there}`"))
                .help("the body of a rule reads one node: send what it needs there in a message"),
            );
            return None;
        }
        Some(rel)
    }

    pub(super) fn unknown(&mut self, role: RoleId, name: &ast::Name) {
        let text = name.text();
        if self.names.broken.contains(&name.base.to_string()) {
            return;
        }
        let here = &self.role_names[role.index()];
        let elsewhere = self.names.anywhere(&text);
        let error = if let Some((owner, rel)) = elsewhere.first() {
            let there = &self.role_names[owner.index()];
            Diagnostic::error(
                "spans-roles",
                name.span(),
                format!("`{text}` is known at `{there}` only, but this rule belongs to `{here}`"),
            )
            .label(self.relations[rel.index()].place.0, format!("declared here, for `{there}`"))
            .help("the body of a rule reads one node: send what it needs there in a message")
        } else {
            let error =
                Diagnostic::error("unknown-relation", name.span(), format!("unknown relation `{text}`"));
            let machine = self.names.relation(Some(role), &format!("{}.done", name.base)).is_some();
            if let (Some(part), true) = (&name.part, machine) {
                self.errors.push(error.help(format!(
                    "a machine has no `{part}`: its parts are `done`, `next`, `save`, `saved` and `load`"
                )));
                return;
            }
            match self.names.similar(Some(role), &text) {
                Some(near) => error.help(format!("did you mean `{near}`?")),
                None => error.help(format!("declare it: `table {text}(column: Type);`, `event`, `view` or, outside of `at`, `message`")),
            }
        };
        self.errors.push(error);
    }

    /// The relation that an invariant reads under a name.
    fn anywhere(&mut self, name: &ast::Name) -> Option<RelId> {
        let text = name.text();
        let found = self.names.anywhere(&text);
        if let [(_, rel)] = found[..] {
            return Some(rel);
        }
        if let Some(rel) = self.names.globals.get(&text) {
            return Some(*rel);
        }
        if self.names.broken.contains(&name.base.to_string()) {
            return None;
        }
        let mut error;
        if found.is_empty() {
            error = Diagnostic::error("unknown-relation", name.span(), format!("unknown relation `{text}`"));
            let all: Vec<String> = self.names.locals.iter().flat_map(|l| l.keys().cloned()).collect();
            if let Some(near) = super::names::nearest(&text, all.iter()) {
                error = error.help(format!("did you mean `{near}`?"));
            }
        } else {
            error = Diagnostic::error("invariant", name.span(), format!("several roles have a `{text}`"));
            for (role, rel) in found {
                let there = &self.role_names[role.index()];
                error = error.label(self.relations[rel.index()].place.0, format!("that of `{there}`"));
            }
            error = error.help("give them different names");
        }
        self.errors.push(error);
        None
    }
}
