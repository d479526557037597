//! Requests that may be neither answered nor kept: in some state, no rule takes them.
//!
//! A rule takes every request if nothing else in its body can fail. Otherwise the other parts are looked at
//! as propositions, and the rules together must cover all cases: `running(_)` in one and `!running(_)` in
//! another do. What is not understood counts as a condition of its own.

use super::walk::{is_fresh, vars};
use crate::diag::Diagnostic;
use crate::ir::{Atom, Head, Literal, Pattern, Protocol, RelId, RelationKind, Rule, Version};
use std::collections::{BTreeMap, BTreeSet};

/// Warns of requests that may get lost, and reports answers to the wrong one.
pub fn check(p: &Protocol, errors: &mut Vec<Diagnostic>) {
    p.rules.iter().for_each(|rule| wrong_request(p, rule, errors));
    for (i, relation) in p.relations.iter().enumerate() {
        let RelationKind::Request(_) = relation.kind else { continue };
        let id = RelId(i as u32);
        let answered = p.rules.iter().any(|r| {
            matches!(&r.head, Head::Reply { rel, .. } | Head::Refuse { rel, .. } | Head::Redirect { rel, .. } if *rel == id)
        });
        if !answered {
            errors.push(
                Diagnostic::warning(
                    "lost-request",
                    relation.place.0,
                    format!("no rule answers `{}`", relation.name),
                )
                .help(format!("`reply {}(req, ..) <~ ..`", relation.name)),
            );
            continue;
        }
        let takers: Vec<(&Rule, &Atom)> = p.rules.iter().filter_map(|r| Some((r, driver(r, id)?))).collect();
        if takers.is_empty() {
            // Reported as unused.
            continue;
        }
        let mut guards: Vec<BTreeMap<String, bool>> = takers.iter().map(|(r, a)| guard(p, r, a)).collect();
        // `!hit(req, _)` in one rule is complemented by whatever takes every `hit`.
        for (rule, _) in &takers {
            for literal in &rule.body {
                if let Literal::Atom(a) = literal
                    && a.negated
                    && taken(p, a.rel)
                {
                    guards.push(BTreeMap::from([(atom_text(a), true)]));
                }
            }
        }
        if !covers(&guards) {
            let mut warning = Diagnostic::warning(
                "lost-request",
                relation.place.0,
                format!(
                    "`{}` may be neither answered nor kept: in some state, no rule takes it",
                    relation.name
                ),
            );
            for (rule, _) in &takers {
                warning = warning.label(rule.place.0, "this rule takes it under conditions");
            }
            errors.push(
                warning.help("add a rule for the other cases: refuse it, redirect it, or keep it in a table"),
            );
        }
    }
}

/// `reply get(req, ..) <~ put(req, ..)` answers the wrong request.
fn wrong_request(p: &Protocol, rule: &Rule, errors: &mut Vec<Diagnostic>) {
    let (Head::Reply { rel, req, .. } | Head::Refuse { rel, req, .. } | Head::Redirect { rel, req, .. }) =
        &rule.head
    else {
        return;
    };
    let Some(name) = &req.var else { return };
    let asks = |a: &&Atom| {
        !a.negated
            && matches!(p.relation(a.rel).kind, RelationKind::Request(_))
            && matches!(a.args.first(), Some(Pattern::Var(v)) if v.name == *name)
    };
    let found: Vec<&Atom> = super::walk::atoms(&rule.body).into_iter().map(|(a, _)| a).filter(asks).collect();
    if let (Some(other), false) = (found.first(), found.iter().any(|a| a.rel == *rel)) {
        let (answered, asked) = (&p.relation(*rel).name, &p.relation(other.rel).name);
        errors.push(
            Diagnostic::error(
                "wrong-request",
                req.place.0,
                format!("`{name}` asks `{asked}`, but this answers `{answered}`"),
            )
            .label(other.place.0, format!("`{name}` comes from here"))
            .help(format!("the answer to `{asked}` is written `reply {asked}({name}, ..)`")),
        );
    }
}

/// Whether some rule takes every fact of an event.
fn taken(p: &Protocol, event: RelId) -> bool {
    p.relation(event).is_event()
        && p.rules.iter().any(|r| driver(r, event).is_some_and(|a| guard(p, r, a).is_empty()))
}

fn driver(rule: &Rule, rel: RelId) -> Option<&Atom> {
    rule.body.iter().find_map(|l| match l {
        Literal::Atom(a) if a.rel == rel && !a.negated && a.version == Version::Now => Some(a),
        _ => None,
    })
}

/// What else must hold for the rule to take the request: propositions by their text.
fn guard(p: &Protocol, rule: &Rule, request: &Atom) -> BTreeMap<String, bool> {
    let mut guard = BTreeMap::new();
    let mut seen: Vec<String> = Vec::new();
    for pattern in &request.args {
        if !is_fresh(pattern, &seen) {
            guard.insert(format!("the request: {}", pattern_text(pattern)), true);
        }
        seen.extend(vars(pattern));
    }
    for literal in &rule.body {
        match literal {
            Literal::Atom(a) if std::ptr::eq(a, request) => {}
            Literal::Atom(a) => {
                let always = matches!(
                    p.relation(a.rel).kind,
                    RelationKind::Var(_) | RelationKind::MachineNext(_) | RelationKind::Instances(_)
                ) && a.version != Version::New
                    && !a.negated
                    && a.args.iter().all(|pat| is_fresh(pat, &seen));
                if !always {
                    guard.insert(atom_text(a), !a.negated);
                }
                seen.extend(a.args.iter().flat_map(vars));
            }
            Literal::If(e) => {
                for (text, truth) in condition(&e.tokens.0) {
                    guard.insert(text, truth);
                }
            }
            Literal::Let(pattern, _) => {
                if !is_fresh(pattern, &seen) {
                    guard.insert(literal_text(literal), true);
                }
                seen.extend(vars(pattern));
            }
            Literal::For(pattern, _) => {
                guard.insert(literal_text(literal), true);
                seen.extend(vars(pattern));
            }
            Literal::NewJoin(..) => {
                guard.insert(literal_text(literal), true);
            }
        }
    }
    guard
}

/// A condition as a conjunction of propositions that negation and opposite comparisons map to each other.
fn condition(tokens: &proc_macro2::TokenStream) -> Vec<(String, bool)> {
    fn add(e: &syn::Expr, truth: bool, out: &mut Vec<(String, bool)>) {
        use quote::ToTokens;
        let text = |e: &syn::Expr| e.to_token_stream().to_string();
        match e {
            syn::Expr::Paren(p) => add(&p.expr, truth, out),
            syn::Expr::Unary(u) if matches!(u.op, syn::UnOp::Not(_)) => add(&u.expr, !truth, out),
            syn::Expr::Binary(b) => {
                let (l, r) = (text(&b.left), text(&b.right));
                match b.op {
                    syn::BinOp::And(_) if truth => {
                        add(&b.left, true, out);
                        add(&b.right, true, out);
                    }
                    syn::BinOp::Or(_) if !truth => {
                        add(&b.left, false, out);
                        add(&b.right, false, out);
                    }
                    syn::BinOp::Lt(_) => out.push((format!("{l} < {r}"), truth)),
                    syn::BinOp::Ge(_) => out.push((format!("{l} < {r}"), !truth)),
                    syn::BinOp::Gt(_) => out.push((format!("{r} < {l}"), truth)),
                    syn::BinOp::Le(_) => out.push((format!("{r} < {l}"), !truth)),
                    syn::BinOp::Eq(_) => out.push((format!("{l} == {r}"), truth)),
                    syn::BinOp::Ne(_) => out.push((format!("{l} == {r}"), !truth)),
                    _ => out.push((text(e), truth)),
                }
            }
            e => out.push((text(e), truth)),
        }
    }
    let mut out = Vec::new();
    match syn::parse2::<syn::Expr>(tokens.clone()) {
        Ok(e) => add(&e, true, &mut out),
        Err(_) => out.push((tokens.to_string(), true)),
    }
    out
}

/// Whether some guard holds in every case. With more than a few propositions the answer is yes: a warning
/// should be right.
fn covers(guards: &[BTreeMap<String, bool>]) -> bool {
    let names: Vec<&String> =
        guards.iter().flat_map(|g| g.keys()).collect::<BTreeSet<_>>().into_iter().collect();
    if names.len() > 12 {
        return true;
    }
    (0..1u32 << names.len()).all(|case| {
        guards.iter().any(|g| {
            g.iter().all(|(name, truth)| {
                let i = names.iter().position(|n| *n == name).unwrap_or(0);
                (case >> i & 1 == 1) == *truth
            })
        })
    })
}

/// An atom without its `!`, variables that stand alone in it as `_`.
fn atom_text(atom: &Atom) -> String {
    let args: Vec<String> = atom.args.iter().map(pattern_text).collect();
    format!("{:?} {}({})", atom.version, atom.rel.0, args.join(", "))
}

fn pattern_text(pattern: &Pattern) -> String {
    match pattern {
        Pattern::Wild(_) => "_".into(),
        Pattern::Var(v) => v.name.clone(),
        Pattern::Value(e) => e.tokens.0.to_string(),
        Pattern::Nested(n) => n.tokens.0.to_string(),
    }
}

/// A literal's text, equal for literals that differ in numbers and places only.
pub fn literal_text(literal: &Literal) -> String {
    match literal {
        Literal::Atom(a) => format!("{}{}", if a.negated { "!" } else { "" }, atom_text(a)),
        Literal::NewJoin(inner, _) => {
            format!("new ({})", inner.iter().map(literal_text).collect::<Vec<_>>().join(", "))
        }
        Literal::If(e) => format!("if {}", expr_text(e)),
        Literal::Let(p, e) => format!("let {} = {}", pattern_text(p), expr_text(e)),
        Literal::For(p, e) => format!("for {} in {}", pattern_text(p), expr_text(e)),
    }
}

fn expr_text(e: &crate::ir::Expr) -> String {
    let holes: Vec<String> = e
        .holes
        .iter()
        .map(|h| match h {
            crate::ir::Hole::Lookup { rel, args, .. } => {
                format!("{}[{}]", rel.0, args.iter().map(expr_text).collect::<Vec<_>>().join(", "))
            }
            crate::ir::Hole::Aggregate(a) => {
                format!("{:?}({})", a.function, a.args.iter().map(expr_text).collect::<Vec<_>>().join(", "))
            }
            other => format!("{other:?}"),
        })
        .collect();
    format!("{} {}", e.tokens.0, holes.join(" "))
}
