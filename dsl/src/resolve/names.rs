//! Which name means what, and where.
//!
//! Messages, requests, roles, parameters and types are global; tables, views, events, timers and machines
//! belong to a role, so two roles may use one name.

use crate::diag::Diagnostic;
use crate::ir::{RelId, RoleId};
use proc_macro2::{Ident, Span};
use std::collections::{BTreeMap, BTreeSet};

/// All names of a protocol.
#[derive(Default)]
pub struct Names {
    /// Roles.
    pub roles: BTreeMap<String, RoleId>,
    /// Parameters.
    pub params: BTreeSet<String>,
    /// Names that `use` brings in.
    pub imported: BTreeSet<String>,
    /// Some `use` ends in `*`.
    pub glob: bool,
    /// Messages, requests and the roles' static relations.
    pub globals: BTreeMap<String, RelId>,
    /// What each role declares.
    pub locals: Vec<BTreeMap<String, RelId>>,
    /// Tables that the sequencer of each role's family replicates.
    pub shared: Vec<BTreeMap<String, RelId>>,
    /// Names of declarations that could not be read.
    pub broken: BTreeSet<String>,
    /// Where each global name was declared: one name space.
    pub declared: BTreeMap<String, Span>,
}

impl Names {
    /// What a relation's name means in a role's rule.
    pub fn relation(&self, role: Option<RoleId>, name: &str) -> Option<RelId> {
        role.and_then(|r| self.locals[r.index()].get(name).or_else(|| self.shared[r.index()].get(name)))
            .or_else(|| self.globals.get(name))
            .copied()
    }
    /// The relations of that name in any role.
    pub fn anywhere(&self, name: &str) -> Vec<(RoleId, RelId)> {
        let locals = self.locals.iter().enumerate();
        locals.filter_map(|(i, l)| Some((RoleId(i as u32), *l.get(name)?))).collect()
    }
    /// Declares a global name; reports a second one.
    pub fn declare(&mut self, ident: &Ident, errors: &mut Vec<Diagnostic>) -> bool {
        let name = ident.to_string();
        errors.extend(forbidden(ident));
        if super::types::is_known(&name) {
            errors.push(Diagnostic::error(
                "reserved",
                ident.span(),
                format!("`{name}` is a type that every protocol has"),
            ));
        }
        match self.declared.get(&name) {
            Some(first) => {
                errors.push(duplicate(ident, *first));
                self.broken.insert(name);
                false
            }
            None => {
                self.declared.insert(name, ident.span());
                true
            }
        }
    }
    /// The visible relation whose name is nearest to a misspelt one.
    pub fn similar(&self, role: Option<RoleId>, name: &str) -> Option<String> {
        let locals =
            role.into_iter().flat_map(|r| self.locals[r.index()].keys().chain(self.shared[r.index()].keys()));
        nearest(name, locals.chain(self.globals.keys()))
    }
}

/// The error for a second declaration.
pub fn duplicate(ident: &Ident, first: Span) -> Diagnostic {
    Diagnostic::error("duplicate", ident.span(), format!("`{ident}` is declared twice"))
        .label(first, "the first declaration")
}

/// Words that the language or Rust keep for themselves, and names that generated code uses.
pub fn forbidden(ident: &Ident) -> Option<Diagnostic> {
    let name = ident.to_string();
    if syn::parse_str::<syn::Ident>(&name).is_err() {
        return Some(Diagnostic::error("reserved", ident.span(), format!("`{name}` is a word of Rust")));
    }
    let words = [
        "me",
        "old",
        "new",
        "on",
        "at",
        "forget",
        "reply",
        "refuse",
        "redirect",
        "start",
        "never",
        "partition",
    ];
    if words.contains(&name.as_str()) {
        return Some(Diagnostic::error(
            "reserved",
            ident.span(),
            format!("`{name}` is a word of the language"),
        ));
    }
    if name.starts_with("__") || name.starts_with("r#") {
        return Some(Diagnostic::error(
            "reserved",
            ident.span(),
            "names that begin with `__` or `r#` are kept for generated code",
        ));
    }
    None
}

/// The nearest of some names, if it is near enough to be a slip.
pub fn nearest<'a>(name: &str, among: impl Iterator<Item = &'a String>) -> Option<String> {
    let limit = 1 + name.len() / 4;
    among
        .map(|other| (distance(name, other), other))
        .filter(|(d, other)| *d <= limit && *d < other.len())
        .min()
        .map(|(_, other)| other.clone())
}

/// Edit distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let next = (diagonal + (x != *y) as usize).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], next);
        }
    }
    row[b.len()]
}
