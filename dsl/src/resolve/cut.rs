//! Cuts what is not Rust out of expressions: look-ups, aggregates and the arguments of the tick.

use super::leaf::{Leaves, Site};
use crate::diag::Diagnostic;
use crate::ir::{Aggregate, AggregateFn, Expr, Hole, Place};
use crate::syntax::cursor::{Raw, find_fat_arrow, flatten, is_pair, is_punct, span_of, split_commas};
use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;

impl Leaves<'_> {
    /// Cuts out look-ups, aggregates and `unique()`, `now_ms()`, `random()`.
    pub(super) fn cut(&mut self, tokens: &[TokenTree], site: Site) -> Option<(TokenStream, Vec<Hole>)> {
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
            let rel = self.names.relation(self.role, &text);
            let known = g.stream().is_empty() || !self.names.anywhere(&text).is_empty();
            if rel.is_none() && site == Site::Still && known {
                let text = format!("`{text}[..]` reads a relation, and there is none to read here");
                self.errors.push(Diagnostic::error("misplaced", name.span(), text));
                return Some((None, 2));
            }
            let rel = rel?;
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
}

/// Gives an expression of a list its own holes, numbered from 0.
pub(super) fn renumber_holes(expr: syn::Expr, holes: &mut [Hole]) -> (syn::Expr, Vec<Hole>) {
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
