//! Rules: bodies from left to right, then heads.

use super::leaf::{Leaves, Parsed, Site};
use super::names::Names;
use crate::diag::Diagnostic;
use crate::ir::{
    Atom, Expr, GroupId, Head, Invariant, Literal, Place, RelId, Relation, RelationKind, RoleId, Rule,
    Version,
};
use crate::syntax::ast::{self, Op, Verb};
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
    fn leaves<'b>(&'b mut self, role: Option<RoleId>) -> Leaves<'b>
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

    /// `never …`.
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
            name: never.name.to_string(),
            args: args.into_iter().flatten().collect(),
            body: body?,
            docs: never.docs.clone(),
            place: Place(never.span),
        })
    }

    /// The variables that patterns name. `me` and parameters compare.
    fn binds(&self, raw: &Raw) -> Vec<Ident> {
        let mut names = Leaves::pattern_names(raw);
        names.retain(|i| i != "me" && !self.names.params.contains(&i.to_string()));
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

    fn atom(
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
        if let Some(owner) = relation.role.filter(|r| *r != role) {
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

    fn unknown(&mut self, role: RoleId, name: &ast::Name) {
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

    fn head(&mut self, role: RoleId, head: &ast::Head, bound: BTreeMap<String, Span>) -> Option<Head> {
        let text = head.name.text();
        let rel = match self.names.relation(Some(role), &text) {
            Some(rel) => Some(rel),
            None => {
                self.unknown(role, &head.name);
                None
            }
        };
        let mut leaves = self.leaves(Some(role));
        leaves.bound = bound;
        // A declaration's `=>` is a comma here.
        let args = match &head.values {
            None => leaves.exprs(&head.args, Site::Head),
            Some(values) => {
                let before = leaves.exprs(&head.args, Site::Head);
                let after = leaves.exprs(values, Site::Head);
                match (before, after) {
                    (Some((mut a, None)), Some((b, None))) => {
                        a.extend(b);
                        Some((a, None))
                    }
                    _ => None,
                }
            }
        };
        let to = head.to.as_ref().map(|to| leaves.expr(to, Site::Body));
        let (rel, (args, rest)) = (rel?, args?);
        let relation = &self.relations[rel.index()];
        super::heads::suits(relation, head, self.role_names, role).map_err(|e| self.errors.push(e)).ok()?;
        let arity = super::heads::arity(relation, head.verb);
        if head.op == Op::Delete {
            let mut args = args;
            if let Some(_rest) = rest {
                while args.len() < arity {
                    args.push(None);
                }
            }
            if args.len() != arity {
                self.errors.push(arity_error(relation, args.len(), head.span));
                return None;
            }
            return Some(Head::Delete { rel, args, forget: head.verb == Verb::Forget });
        }
        if rest.is_some() || args.iter().any(Option::is_none) {
            self.errors.push(
                Diagnostic::error(
                    "head",
                    rest.unwrap_or(head.args.span),
                    "`_` and `..` stand only where rows are deleted (`<-`)",
                )
                .help("give every column a value"),
            );
            return None;
        }
        let mut args: Vec<Expr> = args.into_iter().flatten().collect();
        if args.len() != arity {
            self.errors.push(match head.verb {
                Verb::Plain | Verb::Forget => arity_error(relation, args.len(), head.span),
                verb => super::heads::answer_arity(relation, verb, args.len(), head.span),
            });
            return None;
        }
        Some(match (head.verb, head.op) {
            (Verb::Plain, Op::Send) => Head::Send { rel, args, to: to?? },
            (Verb::Plain, Op::Next) => Head::Next { rel, args },
            (Verb::Reply, _) => {
                let req = args.remove(0);
                Head::Reply { rel, req, args }
            }
            (Verb::Refuse, _) => {
                let error = args.remove(1);
                Head::Refuse { rel, req: args.remove(0), error }
            }
            (Verb::Redirect, _) => {
                let to = args.remove(1);
                Head::Redirect { rel, req: args.remove(0), to }
            }
            _ => Head::Now { rel, args },
        })
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
