//! From expressions and patterns to nodes of the e-graph.
//!
//! References, dereferences, parentheses and `.clone()` do not change a value and are dropped; how they stood around
//! an argument is remembered, to be written again. What has no structure that matters (closures, macros, blocks) is
//! an opaque function, named by its text, of the variables in it.

use super::{Closure, Mode, Read, Term};
use anabranch_dsl::ir::{Expr, Hole, Pattern, Version};
use egg::SymbolLang;
use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use std::collections::BTreeMap;
use syn::parse::Parser;

/// What names in an expression stand for.
type Names = BTreeMap<String, Term>;

/// Rust's spelling without spaces between tokens that need none: names nodes.
fn text(tokens: &impl ToTokens) -> String {
    tokens.to_token_stream().to_string().replace(" :: ", "::")
}

/// An argument without what does not change its value, and what stood before and behind it.
fn bare(e: &syn::Expr) -> (&syn::Expr, String, String) {
    match e {
        syn::Expr::Paren(e) => bare(&e.expr),
        syn::Expr::Group(e) => bare(&e.expr),
        syn::Expr::Reference(r) if r.mutability.is_none() => {
            let (core, before, behind) = bare(&r.expr);
            (core, format!("&{before}"), behind)
        }
        syn::Expr::Unary(u) if matches!(u.op, syn::UnOp::Deref(_)) => {
            let (core, before, behind) = bare(&u.expr);
            (core, format!("*{before}"), behind)
        }
        syn::Expr::MethodCall(m) if m.method == "clone" && m.args.is_empty() => {
            let (core, before, behind) = bare(&m.receiver);
            let before = if before.is_empty() { before } else { format!("({before}") };
            let behind =
                if before.is_empty() { format!("{behind}.clone()") } else { format!("{behind}).clone()") };
            (core, before, behind)
        }
        _ => (e, String::new(), String::new()),
    }
}

impl Closure<'_> {
    pub(super) fn node(&mut self, op: &str, children: &[Term]) -> Term {
        let children = children.iter().map(|t| t.0).collect();
        Term(self.graph.add(SymbolLang { op: op.into(), children }))
    }

    pub(super) fn merge(&mut self, a: Term, b: Term, reason: &str) {
        self.graph.union_trusted(a.0, b.0, reason);
    }

    /// A value of which nothing is known.
    pub(super) fn fresh(&mut self, what: &str) -> Term {
        self.fresh += 1;
        self.node(&format!("{what} #{}", self.fresh), &[])
    }

    pub(super) fn variable(&mut self, name: &str) -> Term {
        if let Some(known) = self.vars.get(name) {
            return *known;
        }
        let term = self.node(&format!("var {name}"), &[]);
        self.vars.insert(name.to_owned(), term);
        term
    }

    /// An expression of the rule.
    pub(crate) fn expr(&mut self, e: &Expr) -> Term {
        let names = e.vars.iter().map(|v| (v.clone(), self.variable(v))).collect();
        self.expr_in(e, names)
    }

    /// An expression over other names than the rule's variables: a routing over columns.
    pub(crate) fn over(&mut self, e: &Expr, columns: &[(&str, Term)]) -> Term {
        let names = columns.iter().map(|(n, t)| ((*n).to_owned(), *t)).collect();
        let term = self.expr_in(e, names);
        self.close();
        term
    }

    fn expr_in(&mut self, e: &Expr, mut names: Names) -> Term {
        for (i, hole) in e.holes.iter().enumerate() {
            let term = self.hole(e, i, hole);
            names.insert(format!("__hole{i}"), term);
        }
        match syn::parse2::<syn::Expr>(e.tokens.0.clone()) {
            Ok(parsed) => self.rust(&parsed, &names),
            Err(_) => self.fresh("text"),
        }
    }

    fn hole(&mut self, e: &Expr, i: usize, hole: &Hole) -> Term {
        match hole {
            Hole::Lookup { rel, args, place } => {
                let mut columns: Vec<Term> = args.iter().map(|a| self.expr(a)).collect();
                let relation = self.p.relation(*rel);
                let row = self.node(&format!("lookup {}", relation.name), &columns);
                let keys = columns.len();
                while columns.len() < relation.columns.len() {
                    let any = self.fresh("any");
                    columns.push(any);
                }
                let wild = (0..columns.len()).map(|i| i >= keys).collect();
                let version = Version::Now;
                self.reads.push(Read {
                    rel: *rel,
                    mode: Mode::Lookup,
                    version,
                    columns,
                    wild,
                    place: *place,
                });
                row
            }
            Hole::Aggregate(a) => {
                a.args.iter().for_each(|e| {
                    self.expr(e);
                });
                self.fresh("aggregate")
            }
            Hole::Unique => {
                let id = self.node(&format!("unique {} {i}", e.leaf.0), &[]);
                if let Some(driver) = self.driver {
                    let (drawn, inherited) = (self.node("route", &[id]), self.node("route", &[driver]));
                    self.merge(drawn, inherited, "`unique()` is routed like the first column of its event");
                }
                id
            }
            Hole::NowMs => {
                self.reads_clock = true;
                self.node("now_ms", &[])
            }
            Hole::Random => self.fresh("random"),
        }
    }

    /// Equations that a condition states.
    pub(super) fn equations(&mut self, e: &Expr) {
        let Ok(parsed) = syn::parse2::<syn::Expr>(e.tokens.0.clone()) else { return };
        if !e.holes.is_empty() {
            return;
        }
        let names: Names = e.vars.iter().map(|v| (v.clone(), self.variable(v))).collect();
        self.conjuncts(&parsed, &names);
    }

    fn conjuncts(&mut self, e: &syn::Expr, names: &Names) {
        let (e, ..) = bare(e);
        if let syn::Expr::Binary(b) = e {
            match b.op {
                syn::BinOp::And(_) => {
                    self.conjuncts(&b.left, names);
                    self.conjuncts(&b.right, names);
                }
                syn::BinOp::Eq(_) => {
                    let (left, right) = (self.rust(&b.left, names), self.rust(&b.right, names));
                    self.merge(left, right, &format!("`if {}`", text(b)));
                }
                _ => {}
            }
        }
    }

    fn rust(&mut self, e: &syn::Expr, names: &Names) -> Term {
        let (e, ..) = bare(e);
        match e {
            syn::Expr::Path(p) => {
                let name = text(p);
                match names.get(&name) {
                    Some(term) => *term,
                    None => self.node(&format!("const {name}"), &[]),
                }
            }
            syn::Expr::Lit(l) => self.node(&format!("const {}", text(l)), &[]),
            syn::Expr::Tuple(t) => self.apply("tuple".into(), t.elems.iter(), names),
            syn::Expr::Field(f) => {
                self.apply(format!("field {}", text(&f.member)), [&*f.base].into_iter(), names)
            }
            syn::Expr::Call(c) => {
                let syn::Expr::Path(path) = &*c.func else { return self.opaque(e, names) };
                let function = text(path);
                let last = path.path.segments.last().map(|s| s.ident.to_string()).unwrap_or_default();
                if names.contains_key(&function) {
                    return self.opaque(e, names);
                }
                let made = last.starts_with(char::is_uppercase);
                if !made {
                    self.functions.insert(function.clone());
                }
                let op = if made { format!("ctor {function}") } else { format!("call {function}") };
                self.apply(op, c.args.iter(), names)
            }
            syn::Expr::MethodCall(m) => {
                let turbofish = m.turbofish.as_ref().map(text).unwrap_or_default();
                let op = format!("method {}{turbofish}", m.method);
                self.apply(op, std::iter::once(&*m.receiver).chain(&m.args), names)
            }
            syn::Expr::Binary(b) => {
                self.apply(format!("binary {}", text(&b.op)), [&*b.left, &*b.right].into_iter(), names)
            }
            syn::Expr::Unary(u) => {
                self.apply(format!("unary {}", text(&u.op)), [&*u.expr].into_iter(), names)
            }
            syn::Expr::Cast(c) => self.apply(format!("as {}", text(&c.ty)), [&*c.expr].into_iter(), names),
            _ => self.opaque(e, names),
        }
    }

    fn apply<'e>(&mut self, op: String, args: impl Iterator<Item = &'e syn::Expr>, names: &Names) -> Term {
        let mut children = Vec::new();
        let mut around = Vec::new();
        for arg in args {
            children.push(self.rust(arg, names));
            let (_, before, behind) = bare(arg);
            around.push((before, behind));
        }
        self.shapes.entry(op.clone()).or_insert(around);
        self.node(&op, &children)
    }

    /// A function of the variables in its text.
    fn opaque(&mut self, e: &syn::Expr, names: &Names) -> Term {
        let mut found = Vec::new();
        mentioned(e.to_token_stream(), names, &mut found);
        self.functions.insert(text(e));
        self.node(&format!("opaque {}", text(e)), &found)
    }

    /// Takes a value apart by a pattern that it matches.
    pub(super) fn unify(&mut self, pattern: &Pattern, value: Term, reason: &str) {
        match pattern {
            Pattern::Wild(_) => {}
            Pattern::Var(v) => {
                let var = self.variable(&v.name);
                self.merge(var, value, reason);
            }
            Pattern::Value(e) => {
                let constant = self.expr(e);
                self.merge(constant, value, reason);
            }
            Pattern::Nested(n) => {
                let vars: Names = n.vars.iter().map(|v| (v.name.clone(), self.variable(&v.name))).collect();
                if let Ok(parsed) = syn::Pat::parse_multi.parse2(n.tokens.0.clone()) {
                    self.pattern(&parsed, value, &vars);
                }
            }
        }
    }

    /// `None` where nothing is known of the value.
    fn pattern(&mut self, pattern: &syn::Pat, value: Term, vars: &Names) {
        let reason = "a pattern";
        match pattern {
            syn::Pat::Paren(p) => self.pattern(&p.pat, value, vars),
            syn::Pat::Reference(p) => self.pattern(&p.pat, value, vars),
            syn::Pat::Ident(p) => {
                let name = p.ident.to_string();
                match vars.get(&name) {
                    Some(var) => self.merge(*var, value, reason),
                    None => {
                        let constant = self.node(&format!("const {name}"), &[]);
                        self.merge(constant, value, reason);
                    }
                }
                if let Some((_, inner)) = &p.subpat {
                    self.pattern(inner, value, vars);
                }
            }
            syn::Pat::Lit(p) => {
                let constant = self.node(&format!("const {}", text(p)), &[]);
                self.merge(constant, value, reason);
            }
            syn::Pat::Tuple(p) => self.parts("tuple", p.elems.iter(), value, vars),
            syn::Pat::TupleStruct(p) => {
                self.parts(&format!("ctor {}", text(&p.path)), p.elems.iter(), value, vars);
            }
            syn::Pat::Struct(p) => {
                for field in &p.fields {
                    let op = format!("part {}.{}", text(&p.path), text(&field.member));
                    let part = self.node(&op, &[value]);
                    self.pattern(&field.pat, part, vars);
                }
            }
            syn::Pat::Wild(_) | syn::Pat::Rest(_) => {}
            // Which alternative matched is not known; what it binds is a function of the value all the same.
            _ => {
                for (name, var) in vars {
                    let mut found = Vec::new();
                    mentioned(pattern.to_token_stream(), &Names::from([(name.clone(), *var)]), &mut found);
                    if !found.is_empty() {
                        let part = self.node(&format!("pattern {} {name}", text(pattern)), &[value]);
                        self.merge(*var, part, reason);
                    }
                }
            }
        }
    }

    fn parts<'e>(&mut self, op: &str, items: impl Iterator<Item = &'e syn::Pat>, value: Term, vars: &Names) {
        let items: Vec<&syn::Pat> = items.collect();
        let whole = !items.iter().any(|p| matches!(p, syn::Pat::Rest(_)));
        let mut children = Vec::new();
        for (i, item) in items.iter().enumerate() {
            if matches!(item, syn::Pat::Rest(_)) {
                break;
            }
            let get = if op == "tuple" { format!("field {i}") } else { format!("part {op}.{i}") };
            let part = self.node(&get, &[value]);
            children.push(part);
            self.pattern(item, part, vars);
        }
        if whole {
            let made = self.node(op, &children);
            self.merge(made, value, "a pattern");
        }
    }
}

/// The terms of the names that occur in some tokens.
fn mentioned(tokens: TokenStream, names: &Names, out: &mut Vec<Term>) {
    for tree in tokens {
        match tree {
            TokenTree::Ident(ident) => out.extend(names.get(&ident.to_string())),
            TokenTree::Group(group) => mentioned(group.stream(), names, out),
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}
