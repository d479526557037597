//! Rules: bodies from left to right, then heads.

use super::leaf::{Leaves, Parsed, Site};
use super::names::Names;
use crate::diag::Diagnostic;
use crate::ir::{
    Expr, GroupId, Head, Invariant, Literal, Place, Relation, RelationKind, RoleId, Routing, Rule, Version,
};
use crate::syntax::ast::{self};
use crate::syntax::cursor::Raw;
use proc_macro2::{Ident, Span};
use std::collections::BTreeMap;

/// What rules are read against.
pub struct Rules<'a> {
    /// All names.
    pub names: &'a Names,
    /// All relations; columns of derived ones have names but no types yet.
    pub relations: &'a [Relation],
    /// Role names, for messages.
    pub role_names: &'a [String],
    /// Parsed leaves.
    pub parsed: &'a mut Vec<Parsed>,
    /// Where mistakes go.
    pub errors: &'a mut Vec<Diagnostic>,
    /// Part of the present body could not be read.
    pub doubtful: bool,
}

impl<'a> Rules<'a> {
    pub(super) fn leaves<'b>(&'b mut self, role: Option<RoleId>) -> Leaves<'b>
    where
        'a: 'b,
    {
        Leaves {
            names: self.names,
            role,
            parsed: self.parsed,
            errors: self.errors,
            bound: BTreeMap::new(),
            doubtful: self.doubtful,
            later: BTreeMap::new(),
        }
    }

    /// An expression outside of rules.
    pub fn still(&mut self, role: Option<RoleId>, raw: &Raw) -> Option<Expr> {
        self.leaves(role).expr(raw, Site::Still)
    }

    /// A rule, with the prefix of its `on` block.
    pub fn rule(&mut self, role: RoleId, rule: &ast::Rule, on: Option<(&ast::On, GroupId)>) -> Option<Rule> {
        self.doubtful = false;
        let prefix: &[ast::Literal] = on.map_or(&[], |(on, _)| &on.prefix);
        let all: Vec<&ast::Literal> = prefix.iter().chain(&rule.body).collect();
        let (body, bound) = self.body(Some(role), &all, BTreeMap::new());
        let head = self.head(role, &rule.head, bound);
        let on = on.map(|(on, group)| (group, on.prefix.len()));
        Some(Rule { role, head: head?, body: body?, on, docs: rule.docs.clone(), place: Place(rule.span) })
    }

    /// An empty `on` block.
    pub fn nothing(&mut self, role: RoleId, on: &ast::On, group: GroupId) -> Option<Rule> {
        let all: Vec<&ast::Literal> = on.prefix.iter().collect();
        let (body, _) = self.body(Some(role), &all, BTreeMap::new());
        let on_len = on.prefix.len();
        Some(Rule {
            role,
            head: Head::Nothing,
            body: body?,
            on: Some((group, on_len)),
            docs: on.docs.clone(),
            place: Place(on.span),
        })
    }

    /// The rows of a timer; its columns must be bound by them.
    pub fn timer_rows(
        &mut self,
        role: RoleId,
        relation: &Relation,
        body: &[ast::Literal],
    ) -> Option<Vec<Literal>> {
        let all: Vec<&ast::Literal> = body.iter().collect();
        let (rows, bound) = self.body(Some(role), &all, BTreeMap::new());
        let rows = rows?;
        let missing: Vec<_> = relation.columns.iter().filter(|c| !bound.contains_key(&c.name)).collect();
        if let Some(column) = missing.first() {
            let mut error = Diagnostic::error(
                "unbound-variable",
                column.place.0,
                format!("column `{}` of timer `{}` is not bound by its `while`", column.name, relation.name),
            );
            error = if body.is_empty() {
                error.help("a timer with columns needs `while` and the rows that it waits for")
            } else {
                error.help(format!("use `{}` as a variable in the atoms after `while`", column.name))
            };
            self.errors.push(error);
            return None;
        }
        Some(rows)
    }

    /// `routed ..`: an expression over the columns alone, since clients and other nodes evaluate it as well.
    pub fn routing(&mut self, relation: &Relation, routing: &ast::Routing) -> Option<Routing> {
        let (raw, by) = match routing {
            ast::Routing::All(_) => return Some(Routing::All),
            ast::Routing::By(raw) => (raw, true),
            ast::Routing::To(raw) => (raw, false),
        };
        self.doubtful = false;
        let mut leaves = self.leaves(None);
        leaves.bound = relation.columns.iter().map(|c| (c.name.clone(), c.place.0)).collect();
        let expr = leaves.expr(raw, Site::Still)?;
        if let Parsed::Expr(parsed) = &self.parsed[expr.leaf.index()] {
            let foreign = super::vars::free(parsed).into_iter().find(|f| {
                let name = f.ident.to_string();
                !expr.vars.contains(&name)
                    && (self.names.params.contains(&name) || self.names.roles.contains_key(&name))
            });
            if let Some(foreign) = foreign {
                self.errors.push(
                    Diagnostic::error(
                        "routing",
                        foreign.ident.span(),
                        format!("a routing depends on the columns alone, not on `{}`", foreign.ident),
                    )
                    .help("senders and clients evaluate it too: it may use columns, constants and functions"),
                );
                return None;
            }
        }
        Some(if by { Routing::By(expr) } else { Routing::To(expr) })
    }

    /// `never …` and its kin.
    pub fn never(&mut self, never: &ast::Never) -> Option<Invariant> {
        let all: Vec<&ast::Literal> = never.body.iter().collect();
        let (body, bound) = self.body(None, &all, BTreeMap::new());
        body.as_ref()?;
        let mut leaves = self.leaves(None);
        leaves.bound = bound;
        let (args, rest) = leaves.exprs(&never.args, Site::Still)?;
        if rest.is_some() || args.iter().any(Option::is_none) {
            self.errors.push(Diagnostic::error("syntax", never.args.span, "`_` has no value to report"));
            return None;
        }
        Some(Invariant {
            kind: never.kind,
            name: never.name.to_string(),
            args: args.into_iter().flatten().collect(),
            body: body?,
            docs: never.docs.clone(),
            place: Place(never.span),
        })
    }

    /// The variables that patterns name. `me` and parameters compare.
    pub(super) fn binds(&self, raw: &Raw) -> Vec<Ident> {
        let mut names = Leaves::pattern_names(raw);
        names.retain(|i| i != "me" && i != "partition" && !self.names.params.contains(&i.to_string()));
        names
    }

    /// What a literal binds, by name; the first place wins.
    fn binders(&self, literal: &ast::Literal, out: &mut BTreeMap<String, Span>) {
        let patterns = match literal {
            ast::Literal::Atom(a) if !a.negated => &a.args,
            ast::Literal::Let(p, _) | ast::Literal::For(p, _) => p,
            ast::Literal::NewJoin(inner, _) => return inner.iter().for_each(|l| self.binders(l, out)),
            ast::Literal::Atom(_) | ast::Literal::If(_) | ast::Literal::Broken => return,
        };
        for ident in self.binds(patterns) {
            out.entry(ident.to_string()).or_insert(ident.span());
        }
    }

    /// A body; `None` if some part is wrong. The variables bound are returned in any case, so that the
    /// head can be checked as well.
    fn body(
        &mut self,
        role: Option<RoleId>,
        body: &[&ast::Literal],
        mut bound: BTreeMap<String, Span>,
    ) -> (Option<Vec<Literal>>, BTreeMap<String, Span>) {
        let mut later = BTreeMap::new();
        body.iter().for_each(|l| self.binders(l, &mut later));
        let mut out = Vec::new();
        let mut fine = true;
        let broken = |l: &&&ast::Literal| match l {
            ast::Literal::NewJoin(inner, _) => inner.iter().any(|l| matches!(l, ast::Literal::Broken)),
            l => matches!(l, ast::Literal::Broken),
        };
        self.doubtful |= body.iter().any(|l| broken(&l));
        for literal in body {
            let result = match literal {
                ast::Literal::Broken => None,
                ast::Literal::Atom(atom) => self.atom(role, atom, &mut bound, &later).map(Literal::Atom),
                ast::Literal::NewJoin(inner, span) => self.new_join(role, inner, *span, &mut bound),
                ast::Literal::If(raw) => {
                    let mut leaves = self.leaves(role);
                    (leaves.bound, leaves.later) = (bound.clone(), later.clone());
                    leaves.expr(raw, Site::Body).map(Literal::If)
                }
                ast::Literal::Let(pat, raw) | ast::Literal::For(pat, raw) => {
                    let mut leaves = self.leaves(role);
                    (leaves.bound, leaves.later) = (bound.clone(), later.clone());
                    let expr = leaves.expr(raw, Site::Body);
                    let pattern = leaves.one_pattern(pat);
                    // Even if the expression is wrong, what the pattern names counts as bound.
                    for ident in self.binds(pat) {
                        bound.entry(ident.to_string()).or_insert(ident.span());
                    }
                    match (pattern, expr, literal) {
                        (Some(p), Some(e), ast::Literal::Let(..)) => Some(Literal::Let(p, e)),
                        (Some(p), Some(e), _) => Some(Literal::For(p, e)),
                        _ => None,
                    }
                }
            };
            match result {
                Some(literal) => out.push(literal),
                None => fine = false,
            }
        }
        (fine.then_some(out), bound)
    }

    fn new_join(
        &mut self,
        role: Option<RoleId>,
        inner: &[ast::Literal],
        span: Span,
        bound: &mut BTreeMap<String, Span>,
    ) -> Option<Literal> {
        let all: Vec<&ast::Literal> = inner.iter().collect();
        let mut fine = true;
        for literal in inner {
            match literal {
                ast::Literal::Atom(a) if a.negated || a.version != Version::Now => {
                    self.errors.push(
                        Diagnostic::error(
                            "new-join",
                            a.span,
                            "inside `new (..)` only plain atoms over state can stand",
                        )
                        .help("move `!`, `old` and `new` outside of the parentheses"),
                    );
                    fine = false;
                }
                ast::Literal::NewJoin(_, inner) => {
                    self.errors.push(Diagnostic::error("new-join", *inner, "`new (..)` does not nest"));
                    fine = false;
                }
                _ => {}
            }
        }
        // The join is a view of its own: it sees only what it binds.
        let (body, inside) = self.body(role, &all, BTreeMap::new());
        for (name, span) in inside {
            bound.entry(name).or_insert(span);
        }
        let body = body?;
        if !body.iter().any(|l| matches!(l, Literal::Atom(_))) {
            self.errors.push(Diagnostic::error("new-join", span, "`new (..)` needs an atom"));
            fine = false;
        }
        fine.then_some(Literal::NewJoin(body, Place(span)))
    }
}

/// The error for a wrong number of arguments.
pub fn arity_error(relation: &Relation, given: usize, span: Span) -> Diagnostic {
    let columns: Vec<&str> = relation.columns.iter().map(|c| c.name.as_str()).collect();
    let n = columns.len();
    let mut error = Diagnostic::error(
        "arity",
        span,
        format!(
            "`{}` has {n} column{}, but {given} {} given",
            relation.name,
            if n == 1 { "" } else { "s" },
            if given == 1 { "is" } else { "are" }
        ),
    )
    .label(relation.place.0, "declared here");
    if !columns.is_empty() {
        error = error.help(format!("its columns are ({})", columns.join(", ")));
    }
    if matches!(relation.kind, RelationKind::Request(_)) && given + 1 == n {
        error = error.help(format!(
            "the first column is the request itself: `{}({})`",
            relation.name,
            columns.join(", ")
        ));
    }
    error
}
