//! Expressions and patterns: holes are cut out at the token level, the rest goes to syn, names are told
//! apart into variables, parameters, roles, constants and functions.

use super::cut::renumber_holes;
use super::names::Names;
use super::vars;
use crate::diag::Diagnostic;
use crate::ir::{Expr, Hole, LeafId, Place, RoleId, Tokens};
use crate::syntax::cursor::{Raw, span_of};
use proc_macro2::{Ident, Span, TokenTree};
use quote::ToTokens;
use std::collections::BTreeMap;
use syn::parse::Parser;
use syn::punctuated::Punctuated;

/// What syn made of a leaf, kept for inference.
pub enum Parsed {
    /// An expression.
    Expr(Box<syn::Expr>),
    /// A nested pattern.
    Pat(Box<syn::Pat>),
}

/// Where an expression stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Site {
    /// In a head: aggregates are meant.
    Head,
    /// In a body.
    Body,
    /// Inside an aggregate's argument.
    Aggregate,
    /// In an invariant, a first value or a `require`: no rule is there to take ids or time from.
    Still,
}

/// What leaves are read against.
pub struct Leaves<'a> {
    /// All names.
    pub names: &'a Names,
    /// Whose rule it is; `None` in invariants and `require`.
    pub role: Option<RoleId>,
    /// Parsed leaves, by provisional number.
    pub parsed: &'a mut Vec<Parsed>,
    /// Where mistakes go.
    pub errors: &'a mut Vec<Diagnostic>,
    /// Variables bound so far, with their first place.
    pub bound: BTreeMap<String, Span>,
    /// Part of the body could not be read: what seems unbound may be bound there.
    pub doubtful: bool,
    /// Variables that some later part of the body binds: for a better message.
    pub later: BTreeMap<String, Span>,
}

impl Leaves<'_> {
    pub(super) fn number(&mut self, parsed: Parsed) -> LeafId {
        self.parsed.push(parsed);
        LeafId(self.parsed.len() as u32 - 1)
    }

    /// One expression.
    pub fn expr(&mut self, raw: &Raw, site: Site) -> Option<Expr> {
        let (tokens, holes) = self.cut(&raw.tokens, site)?;
        let parsed = self.syntax(syn::parse2::<syn::Expr>(tokens), raw.span)?;
        self.finish(parsed, holes, raw.span)
    }

    /// Expressions between commas. `None` in the result stands for `_`; `(exprs, rest)` where `rest` says
    /// that `..` came last.
    pub fn exprs(&mut self, raw: &Raw, site: Site) -> Option<(Vec<Option<Expr>>, Option<Span>)> {
        let (tokens, mut holes) = self.cut(&raw.tokens, site)?;
        let list = Punctuated::<syn::Expr, syn::Token![,]>::parse_terminated.parse2(tokens);
        let list = self.syntax(list, raw.span)?;
        let mut out = Vec::new();
        let mut rest = None;
        let mut fine = true;
        let count = list.len();
        for (i, parsed) in list.into_iter().enumerate() {
            let span = expr_span(&parsed);
            match &parsed {
                syn::Expr::Infer(_) => out.push(None),
                syn::Expr::Range(r) if r.start.is_none() && r.end.is_none() => {
                    rest = Some(span);
                    if i + 1 < count {
                        self.errors.push(Diagnostic::error("syntax", span, "`..` comes last"));
                        fine = false;
                    }
                }
                _ => {
                    // Holes were numbered over the whole list; each expression takes its own.
                    let (parsed, own) = renumber_holes(parsed, &mut holes);
                    match self.finish(parsed, own, span) {
                        Some(expr) => out.push(Some(expr)),
                        None => fine = false,
                    }
                }
            }
        }
        fine.then_some((out, rest))
    }

    pub(super) fn syntax<T>(&mut self, result: syn::Result<T>, outer: Span) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                let text = error.to_string();
                let at_end = text.contains("unexpected end of input");
                self.errors.push(Diagnostic::error(
                    "syntax",
                    if at_end { outer } else { error.span() },
                    text,
                ));
                None
            }
        }
    }

    /// Checks the names of a parsed expression and makes the leaf.
    pub(super) fn finish(&mut self, parsed: syn::Expr, holes: Vec<Hole>, span: Span) -> Option<Expr> {
        let mut used = Vec::new();
        let mut fine = true;
        if let Some((span, what)) = vars::escape(&parsed) {
            self.errors.push(Diagnostic::error("expression", span, what));
            fine = false;
        }
        for free in vars::free(&parsed) {
            let name = free.ident.to_string();
            if name.starts_with("__hole") || used.contains(&name) {
                continue;
            }
            if self.bound.contains_key(&name) {
                used.push(name);
            } else if !free.lenient && !self.is_ambient(&free.ident) {
                self.unbound(&free.ident);
                fine = false;
            }
        }
        if !fine {
            return None;
        }
        let tokens = parsed.to_token_stream();
        let var = match &parsed {
            syn::Expr::Path(p) => p.path.get_ident().map(|i| i.to_string()).filter(|n| used.contains(n)),
            _ => None,
        };
        let leaf = self.number(Parsed::Expr(Box::new(parsed)));
        Some(Expr { leaf, tokens: Tokens(tokens), holes, vars: used, var, place: Place(span) })
    }

    /// Names that are there without being bound: `me`, parameters, roles, constants, imports.
    fn is_ambient(&self, ident: &Ident) -> bool {
        let name = ident.to_string();
        (matches!(name.as_str(), "me" | "partition") && self.role.is_some())
            || self.names.params.contains(&name)
            || self.names.roles.contains_key(&name)
            || self.names.imported.contains(&name)
            || vars::is_constant(ident)
    }

    fn unbound(&mut self, ident: &Ident) {
        if self.doubtful {
            return;
        }
        let name = ident.to_string();
        let mut error =
            Diagnostic::error("unbound-variable", ident.span(), format!("`{name}` is not bound here"));
        if name == "me" || name == "partition" {
            error = Diagnostic::error(
                "unbound-variable",
                ident.span(),
                format!("`{name}` has no meaning here: this belongs to no rule of a node"),
            );
        } else if let Some(later) = self.later.get(&name) {
            error = error.label(*later, "it is bound only here").help("move what binds it to the left");
        } else if self.names.relation(self.role, &name).is_some() {
            error = error.help(format!("`{name}` is a relation: bind a variable with an atom `{name}(x)`, or look a key up with `{name}[key]`"));
        } else if let Some(near) =
            super::names::nearest(&name, self.bound.keys().chain(self.names.params.iter()))
        {
            error = error.help(format!("did you mean `{near}`?"));
        } else {
            error = error.help("a variable is bound by a positive atom, `let` or `for`; a constant begins with a capital letter or is imported with `use`");
        }
        self.errors.push(error);
    }
}

/// The span of a syntax node, from its first to its last token.
pub fn expr_span(node: &impl ToTokens) -> Span {
    let tokens: Vec<TokenTree> = node.to_token_stream().into_iter().collect();
    span_of(&tokens).unwrap_or_else(Span::call_site)
}
