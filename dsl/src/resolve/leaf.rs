//! Expressions and patterns: holes are cut out at the token level, the rest goes to syn, names are told
//! apart into variables, parameters, roles, constants and functions.

use super::names::Names;
use super::vars;
use crate::diag::Diagnostic;
use crate::ir::{
    Aggregate, AggregateFn, Expr, Hole, LeafId, NestedPattern, Pattern, Place, RoleId, Tokens, Var,
};
use crate::syntax::cursor::{Raw, find_fat_arrow, flatten, is_pair, is_punct, span_of, split_commas};
use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
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
    fn number(&mut self, parsed: Parsed) -> LeafId {
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

    fn syntax<T>(&mut self, result: syn::Result<T>, outer: Span) -> Option<T> {
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
    fn finish(&mut self, parsed: syn::Expr, holes: Vec<Hole>, span: Span) -> Option<Expr> {
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
        (name == "me" && self.role.is_some())
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
        if name == "me" {
            error = Diagnostic::error(
                "unbound-variable",
                ident.span(),
                "`me` has no meaning here: no node evaluates this",
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

    /// Cuts out look-ups, aggregates and `unique()`, `now_ms()`, `random()`.
    fn cut(&mut self, tokens: &[TokenTree], site: Site) -> Option<(TokenStream, Vec<Hole>)> {
        let before = self.errors.len();
        let mut holes = Vec::new();
        let stream = self.cut_into(tokens, site, &mut holes);
        (self.errors.len() == before).then_some((stream, holes))
    }

    fn cut_into(&mut self, tokens: &[TokenTree], site: Site, holes: &mut Vec<Hole>) -> TokenStream {
        let mut out: Vec<TokenTree> = Vec::new();
        let mut i = 0;
        while i < tokens.len() {
            let field =
                (i > 0 && is_punct(tokens.get(i - 1), '.') && !(i > 1 && is_punct(tokens.get(i - 2), '.')))
                    || (i > 1 && is_pair(tokens, i - 2, [':', ':']));
            if let (TokenTree::Ident(name), false) = (&tokens[i], field)
                && let Some((hole, len)) = self.hole(name, &tokens[i..], site)
            {
                let span = span_of(&tokens[i..i + len]).unwrap_or(name.span());
                if let Some(hole) = hole {
                    out.push(Ident::new(&format!("__hole{}", holes.len()), span).into());
                    holes.push(hole);
                }
                i += len;
                continue;
            }
            match &tokens[i] {
                TokenTree::Ident(name) if name.to_string().starts_with("__") => {
                    self.errors.push(Diagnostic::error(
                        "reserved",
                        name.span(),
                        "names that begin with `__` or `r#` are kept for generated code",
                    ))
                }
                TokenTree::Literal(l) if matches!(crate::syntax::millis(l), Ok(Some(_))) => self.errors.push(
                    Diagnostic::error(
                        "syntax",
                        l.span(),
                        "durations are written so only in timers and parameters",
                    )
                    .help("declare a `param` of type `Duration` and use that"),
                ),
                TokenTree::Group(g) => {
                    let inner = self.cut_into(&flatten(g.stream()), site, holes);
                    let mut group = Group::new(g.delimiter(), inner);
                    group.set_span(g.span());
                    out.push(group.into());
                }
                tree => out.push(tree.clone()),
            }
            i += 1;
        }
        out.into_iter().collect()
    }

    /// The hole that begins here, if any, and how many tokens it takes. An inner `None` is a mistake that
    /// has been reported.
    fn hole(&mut self, name: &Ident, tokens: &[TokenTree], site: Site) -> Option<(Option<Hole>, usize)> {
        let text = name.to_string();
        let group = |i: usize, delimiter: Delimiter| match tokens.get(i) {
            Some(TokenTree::Group(g)) if g.delimiter() == delimiter => Some(g),
            _ => None,
        };
        if let (true, Some(TokenTree::Ident(part)), Some(g)) =
            (is_punct(tokens.get(1), '.'), tokens.get(2), group(3, Delimiter::Bracket))
            && let Some(rel) = self.names.relation(self.role, &format!("{text}.{part}"))
        {
            let span = span_of(&tokens[..4]).unwrap_or(name.span());
            return Some((self.lookup(rel, g, span), 4));
        }
        if let Some(g) = group(1, Delimiter::Bracket) {
            if self.bound.contains_key(&text) {
                return None;
            }
            let rel = self.names.relation(self.role, &text)?;
            let span = span_of(&tokens[..2]).unwrap_or(name.span());
            return Some((self.lookup(rel, g, span), 2));
        }
        let g = group(1, Delimiter::Parenthesis)?;
        let span = span_of(&tokens[..2]).unwrap_or(name.span());
        let clock = match text.as_str() {
            "unique" => Some(Hole::Unique),
            "now_ms" => Some(Hole::NowMs),
            "random" => Some(Hole::Random),
            _ => None,
        };
        if let Some(hole) = clock {
            if self.names.imported.contains(&text) {
                return None;
            }
            if !g.stream().is_empty() {
                self.errors.push(Diagnostic::error("arity", span, format!("`{text}()` takes no arguments")));
                return Some((None, 2));
            }
            if site == Site::Still {
                self.errors.push(Diagnostic::error(
                    "misplaced",
                    span,
                    format!("`{text}()` needs a rule with an event"),
                ));
                return Some((None, 2));
            }
            return Some((Some(hole), 2));
        }
        let known = ["count", "sum", "min", "max", "collect", "choose", "index", "first_gap"];
        if !known.contains(&text.as_str()) || (site != Site::Head && self.names.imported.contains(&text)) {
            return None;
        }
        if site != Site::Head {
            let place = match site {
                Site::Aggregate => "inside another aggregate",
                Site::Body => "in a body",
                _ => "here",
            };
            let mut error =
                Diagnostic::error("aggregate", span, format!("the aggregate `{text}` cannot stand {place}"));
            if site == Site::Body {
                error = error
                    .help("aggregates stand in heads: give the aggregate a view of its own and read that");
            } else if site == Site::Aggregate {
                error = error.help("give the inner one a view of its own");
            }
            self.errors.push(error);
            return Some((None, 2));
        }
        Some((self.aggregate(&text, g, span), 2))
    }

    fn aggregate(&mut self, name: &str, group: &Group, span: Span) -> Option<Hole> {
        let inside = Raw::inside(group);
        let by = find_fat_arrow(&inside.tokens);
        let parts: Vec<&[TokenTree]> = match by {
            Some(i) => vec![&inside.tokens[..i], &inside.tokens[i + 2..]],
            None => split_commas(&inside.tokens, false),
        };
        use AggregateFn::*;
        let function = match (name, parts.len(), by.is_some()) {
            ("count", 0, _) => Count,
            ("count", 1, _) => CountDistinct,
            ("sum", 1, _) => Sum,
            ("min", 1, _) => Min,
            ("max", 1, _) => Max,
            ("min", 2, true) => MinBy,
            ("max", 2, true) => MaxBy,
            ("collect", 1, _) => Collect,
            ("choose", 1, _) => Choose,
            ("index", 0, _) => Index,
            ("index", 1, _) => IndexBy,
            ("first_gap", 1, _) => FirstGap,
            _ => {
                let shape = match name {
                    "count" => "`count()` or `count(x)`",
                    "min" => "`min(x)` or `min(b => v)`",
                    "max" => "`max(x)` or `max(b => v)`",
                    "index" => "`index()` or `index(x)`",
                    _ => "one argument",
                };
                let mut error = Diagnostic::error("aggregate", span, format!("`{name}` takes {shape}"));
                if matches!(name, "min" | "max") && by.is_none() && parts.len() == 2 {
                    error = error.help(format!(
                        "for the {} of two values write `a.{name}(b)`; several values go into a tuple",
                        if name == "min" { "lesser" } else { "greater" }
                    ));
                }
                self.errors.push(error);
                return None;
            }
        };
        let args: Vec<Option<Expr>> =
            parts.iter().map(|p| self.expr(&Raw::new(p, span), Site::Aggregate)).collect();
        let args = args.into_iter().collect::<Option<Vec<_>>>()?;
        Some(Hole::Aggregate(Aggregate { function, args, place: Place(span) }))
    }

    fn lookup(&mut self, rel: crate::ir::RelId, group: &Group, span: Span) -> Option<Hole> {
        let (args, rest) = self.exprs(&Raw::inside(group), Site::Body)?;
        if rest.is_some() || args.iter().any(Option::is_none) {
            self.errors.push(Diagnostic::error(
                "syntax",
                span,
                "a look-up names the whole key: `_` and `..` cannot stand in it",
            ));
            return None;
        }
        Some(Hole::Lookup { rel, args: args.into_iter().flatten().collect(), place: Place(span) })
    }

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
                if (name == "me" && self.role.is_some())
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
        let problem = if name == "me" || self.names.params.contains(&name) {
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

/// Gives an expression of a list its own holes, numbered from 0.
fn renumber_holes(expr: syn::Expr, holes: &mut [Hole]) -> (syn::Expr, Vec<Hole>) {
    let mut own = Vec::new();
    let stream = rename(expr.to_token_stream(), holes, &mut own);
    if own.is_empty() {
        return (expr, own);
    }
    // What was parsed once parses again: only identifiers changed.
    (syn::parse2(stream).unwrap_or(expr), own)
}

fn rename(stream: TokenStream, holes: &[Hole], own: &mut Vec<Hole>) -> TokenStream {
    stream
        .into_iter()
        .map(|tree| match tree {
            TokenTree::Ident(i) => {
                match i.to_string().strip_prefix("__hole").and_then(|n| n.parse::<usize>().ok()) {
                    Some(n) => {
                        own.push(holes[n].clone());
                        Ident::new(&format!("__hole{}", own.len() - 1), i.span()).into()
                    }
                    None => i.into(),
                }
            }
            TokenTree::Group(g) => {
                let mut group = Group::new(g.delimiter(), rename(g.stream(), holes, own));
                group.set_span(g.span());
                group.into()
            }
            tree => tree,
        })
        .collect()
}

/// The span of a syntax node, from its first to its last token.
pub fn expr_span(node: &impl ToTokens) -> Span {
    let tokens: Vec<TokenTree> = node.to_token_stream().into_iter().collect();
    span_of(&tokens).unwrap_or_else(Span::call_site)
}
