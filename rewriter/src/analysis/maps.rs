//! Maps: rules that turn one fact into others, reading nothing else that changes.
//!
//! Beyond section 3 of the notes on rewrites, a map must not draw values: two equal facts that arrive in one tick of the
//! new part draw once, where the original drew twice.

use super::against::Against;
use super::sides::Sides;
use super::walk::{self, Form};
use anabranch_dsl::ir::{Atom, Expr, Head, Hole, Literal, Pattern, RuleId, Version};
use std::collections::BTreeSet;

/// The one atom of a map, with its number among the literals of the body.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The atom; `None` for a `new (..)` that crosses as a whole.
    pub atom: Option<&'a Atom>,
    /// Its place in the body.
    pub literal: usize,
}

/// Whether a rule is a map, and of what. Looks at the body and the head's expressions, not at what the head is.
pub fn source<'p>(s: &Sides<'p>, id: RuleId) -> Result<Source<'p>, Against> {
    let rule = s.rule(id);
    pure(s, id)?;
    let mut found: Option<(Source<'p>, anabranch_dsl::ir::Place)> = None;
    let second = |first: anabranch_dsl::ir::Place, second: anabranch_dsl::ir::Place, name: &str| {
        Against::new(
            "one-atom",
            second,
            "a rule that moves may read one crossing fact and nothing else that changes",
        )
        .here(format!("it reads `{name}` too"))
        .label(first, "the fact that crosses")
        .label(rule.place, "in this rule")
        .help("join them in the half that has both, into an event, and let only the event cross")
    };
    for (n, literal) in rule.body.iter().enumerate() {
        let inside: Vec<_> = walk::body_mentions(std::slice::from_ref(literal))
            .into_iter()
            .filter(|m| !s.is_static(m.rel))
            .collect();
        let whole = matches!(literal, Literal::NewJoin(..));
        for m in &inside {
            if let Some((_, first)) = found {
                if whole && found.is_some_and(|(f, _)| f.literal == n) {
                    continue;
                }
                return Err(second(first, m.place, s.name(m.rel)));
            }
            if !m.drives(s.p) {
                let what = match m.form {
                    Form::Atom { negated: true, .. } => "it is negated",
                    Form::Lookup => "it is looked up",
                    Form::Atom { version: Version::Old, .. } => "it is read as `old`",
                    Form::Atom { .. } => "it is state",
                };
                return Err(Against::new(
                    "one-atom",
                    m.place,
                    format!("`{}` may have changed before what crosses arrives", s.name(m.rel)),
                )
                .here(what)
                .label(rule.place, "in this rule")
                .help("read it in the half that has it, and let an event with its value cross"));
            }
            let atom = m.atom.filter(|_| !whole);
            found = Some((Source { atom, literal: n }, m.place));
        }
    }
    let in_head = walk::mentions(rule).into_iter().skip(walk::body_mentions(&rule.body).len());
    if let Some(m) = in_head.filter(|m| !s.is_static(m.rel)).last() {
        let first = found.map_or(rule.place, |(_, place)| place);
        return Err(second(first, m.place, s.name(m.rel)));
    }
    match found {
        Some((source, _)) => Ok(source),
        None => Err(Against::new("one-atom", rule.place, "this rule reads nothing that crosses")),
    }
}

/// No aggregates, nothing drawn, no clock.
pub fn pure(s: &Sides<'_>, id: RuleId) -> Result<(), Against> {
    let rule = s.rule(id);
    for expr in walk::exprs(rule) {
        for hole in walk::holes(expr) {
            let (what, place) = match hole {
                Hole::Aggregate(a) => ("aggregates over the facts of one tick", a.place),
                Hole::Unique => ("draws `unique()`", expr.place),
                Hole::Random => ("draws `random()`", expr.place),
                Hole::NowMs => ("reads `now_ms()`", expr.place),
                Hole::Lookup { .. } => continue,
            };
            return Err(Against::new(
                "pure",
                place,
                format!("this {what}, and what crosses arrives in other ticks than it came from"),
            )
            .here("here")
            .label(rule.place, "in this rule")
            .help("compute it where the fact comes from, into an event, and let that cross"));
        }
    }
    Ok(())
}

/// The variables whose values a fact of the head gives back, directly or through `let`.
pub fn recoverable(head: &Head, body: &[Literal]) -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for expr in anabranch_dsl::strata::head_exprs(head) {
        known.extend(invert(expr));
    }
    loop {
        let before = known.len();
        for literal in body {
            if let Literal::Let(pattern, value) = literal
                && let Pattern::Var(v) = pattern
                && known.contains(&v.name)
            {
                known.extend(invert(value));
            }
        }
        if known.len() == before {
            return known;
        }
    }
}

/// The variables that the value of an expression determines: those under constructors alone.
fn invert(expr: &Expr) -> BTreeSet<String> {
    fn go(e: &syn::Expr, vars: &[String], out: &mut BTreeSet<String>) {
        match e {
            syn::Expr::Paren(p) => go(&p.expr, vars, out),
            syn::Expr::Group(g) => go(&g.expr, vars, out),
            syn::Expr::Reference(r) => go(&r.expr, vars, out),
            syn::Expr::Path(p) => {
                out.extend(p.path.get_ident().map(|i| i.to_string()).filter(|n| vars.contains(n)));
            }
            syn::Expr::Tuple(t) => t.elems.iter().for_each(|e| go(e, vars, out)),
            syn::Expr::Call(c) => {
                let constructor = matches!(&*c.func, syn::Expr::Path(p) if p.path.segments.last().is_some_and(|s| matches!(s.ident.to_string().as_str(), "Some" | "Ok" | "Err")));
                if constructor {
                    c.args.iter().for_each(|e| go(e, vars, out));
                }
            }
            // An address is its index; other types do not have that method.
            syn::Expr::MethodCall(m) if (m.method == "clone" || m.method == "index") && m.args.is_empty() => {
                go(&m.receiver, vars, out)
            }
            _ => {}
        }
    }
    let mut out = BTreeSet::new();
    if let Ok(parsed) = syn::parse2::<syn::Expr>(expr.tokens.0.clone()) {
        go(&parsed, &expr.vars, &mut out);
    }
    out
}
