//! Patterns: wildcards, variables, values that compare, and everything else that Rust knows.

use super::leaf::{Leaves, Parsed, expr_span};
use super::vars;
use crate::diag::Diagnostic;
use crate::ir::{NestedPattern, Pattern, Place, Tokens, Var};
use crate::syntax::cursor::Raw;
use proc_macro2::{Ident, Span};
use quote::ToTokens;
use syn::parse::Parser;
use syn::punctuated::Punctuated;

impl Leaves<'_> {
    /// The names that a pattern mentions as variables, to be known before the body is read in order.
    pub fn pattern_names(raw: &Raw) -> Vec<Ident> {
        let parser = Punctuated::<syn::Pat, syn::Token![,]>::parse_terminated_with;
        let list =
            (|input: syn::parse::ParseStream| parser(input, syn::Pat::parse_multi)).parse2(raw.stream());
        list.map(|l| l.iter().flat_map(vars::bound).collect()).unwrap_or_default()
    }

    /// An atom's arguments; `..` becomes as many wildcards as are missing.
    pub fn patterns(&mut self, raw: &Raw, arity: usize) -> Option<Vec<Pattern>> {
        let parser = Punctuated::<syn::Pat, syn::Token![,]>::parse_terminated_with;
        let list =
            (|input: syn::parse::ParseStream| parser(input, syn::Pat::parse_multi)).parse2(raw.stream());
        let list = match list {
            Ok(list) => list,
            Err(error) => {
                let mut diagnostic = Diagnostic::error("syntax", error.span(), "this is not a pattern");
                // The frequent slip: an expression where a pattern is meant.
                let as_expr = Punctuated::<syn::Expr, syn::Token![,]>::parse_terminated.parse2(raw.stream());
                if as_expr.is_ok() {
                    diagnostic = diagnostic.help(
                        "arguments of a body's atom are patterns: bind a variable, and compare it with `if`",
                    );
                }
                self.errors.push(diagnostic);
                return None;
            }
        };
        let given = list.iter().filter(|p| !matches!(p, syn::Pat::Rest(_))).count();
        let mut out = Vec::new();
        let mut fine = true;
        let mut rest = false;
        for pat in list {
            if let syn::Pat::Rest(r) = &pat {
                if rest {
                    self.errors.push(Diagnostic::error("syntax", expr_span(r), "`..` stands once"));
                    return None;
                }
                rest = true;
                let missing = arity.saturating_sub(given);
                out.extend((0..missing).map(|_| Pattern::Wild(Place(expr_span(r)))));
                continue;
            }
            match self.pattern(pat) {
                Some(pattern) => out.push(pattern),
                None => fine = false,
            }
        }
        fine.then_some(out)
    }

    /// One pattern after `let`, `for` or `at`.
    pub fn one_pattern(&mut self, raw: &Raw) -> Option<Pattern> {
        let parsed = syn::Pat::parse_multi_with_leading_vert.parse2(raw.stream());
        let parsed = self.syntax(parsed, raw.span)?;
        if let syn::Pat::Type(t) = &parsed {
            self.errors.push(
                Diagnostic::error("syntax", expr_span(t), "a pattern has no type here")
                    .help("types follow from the columns"),
            );
            return None;
        }
        self.pattern(parsed)
    }

    fn pattern(&mut self, pat: syn::Pat) -> Option<Pattern> {
        let span = expr_span(&pat);
        match pat {
            syn::Pat::Wild(_) => Some(Pattern::Wild(Place(span))),
            syn::Pat::Paren(p) => self.pattern(*p.pat),
            syn::Pat::Ident(p) if p.by_ref.is_none() && p.mutability.is_none() && p.subpat.is_none() => {
                let name = p.ident.to_string();
                if (matches!(name.as_str(), "me" | "partition") && self.role.is_some())
                    || self.names.params.contains(&name)
                    || vars::is_constant(&p.ident)
                {
                    let ident = p.ident;
                    return self.value(syn::parse_quote!(#ident), span);
                }
                self.variable(&p.ident).map(Pattern::Var)
            }
            syn::Pat::Lit(l) => self.value(syn::Expr::Lit(l), span),
            syn::Pat::Path(p) => self.value(syn::Expr::Path(p), span),
            pat => {
                let mut names = Vec::new();
                let mut fine = true;
                for ident in vars::bound(&pat) {
                    match self.variable(&ident) {
                        Some(var) => names.push(var),
                        None => fine = false,
                    }
                }
                if !fine {
                    return None;
                }
                let tokens = Tokens(pat.to_token_stream());
                let leaf = self.number(Parsed::Pat(Box::new(pat)));
                Some(Pattern::Nested(NestedPattern { leaf, tokens, vars: names, place: Place(span) }))
            }
        }
    }

    fn value(&mut self, expr: syn::Expr, span: Span) -> Option<Pattern> {
        self.finish(expr, Vec::new(), span).map(Pattern::Value)
    }

    fn variable(&mut self, ident: &Ident) -> Option<Var> {
        let name = ident.to_string();
        let problem = if name == "me" || name == "partition" || self.names.params.contains(&name) {
            Some(format!(
                "`{name}` inside a pattern would bind a new variable; bind another name and compare with `if`"
            ))
        } else if self.names.roles.contains_key(&name) {
            Some(format!("`{name}` is a role, not a variable"))
        } else if name == "self" {
            Some("`self` is a word of Rust".to_string())
        } else if name.starts_with("__") || name.starts_with("r#") {
            Some("names that begin with `__` or `r#` are kept for generated code".to_string())
        } else {
            None
        };
        if let Some(problem) = problem {
            self.errors.push(Diagnostic::error("pattern", ident.span(), problem));
            return None;
        }
        Some(Var { name, place: Place(ident.span()) })
    }
}
