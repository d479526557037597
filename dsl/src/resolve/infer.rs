//! Column types, by unification over the variables of all rules.
//!
//! The order of rules does not matter: they are gone through until nothing new is learnt, and only then
//! once more to report what does not agree.

use super::expr_type::Env;
use super::leaf::Parsed;
use super::types::{Ty, Types};
use crate::diag::Diagnostic;
use crate::ir::{Atom, Expr, Head, Literal, Pattern, Place, Protocol, RelId, RelationKind, Routing};
use proc_macro2::Span;
use std::collections::BTreeMap;

/// What inference works on.
pub struct Inference<'a> {
    /// The protocol; its columns' types are still to be filled in.
    pub protocol: &'a Protocol,
    /// Unification state.
    pub types: Types,
    /// Types of columns.
    pub columns: Vec<Vec<Ty>>,
    /// Types of the columns of answers and of refusals, by relation.
    pub answers: BTreeMap<RelId, (Vec<Ty>, Option<Ty>)>,
    /// Types of parameters.
    pub params: BTreeMap<String, Ty>,
    /// Parsed leaves.
    pub parsed: &'a [Parsed],
}

/// Runs until nothing new is learnt; returns the mismatches, and the types of variables by scope: rules, then
/// relations, then what stands outside of roles.
pub fn infer(work: &mut Inference) -> (Vec<Diagnostic>, Vec<BTreeMap<String, Ty>>) {
    let keys: Vec<Option<usize>> = work.protocol.relations.iter().map(|r| r.key).collect();
    let p = work.protocol;
    let scopes = p.rules.len() + p.relations.len() + p.invariants.len() + 1;
    let mut vars: Vec<BTreeMap<String, Ty>> = vec![BTreeMap::new(); scopes];
    let mut unknown = usize::MAX;
    loop {
        pass(work, &keys, &mut vars, &mut None);
        let open = |ty: &Ty| !work.types.is_complete(ty);
        let left = work.columns.iter().flatten().filter(|t| open(t)).count()
            + vars.iter().flat_map(|v| v.values()).filter(|t| open(t)).count();
        if left == 0 || left == unknown {
            break;
        }
        unknown = left;
    }
    work.types.default_integers();
    let mut errors = Some(Vec::new());
    pass(work, &keys, &mut vars, &mut errors);
    (errors.unwrap_or_default(), vars)
}

fn pass(
    work: &mut Inference,
    keys: &[Option<usize>],
    vars: &mut [BTreeMap<String, Ty>],
    errors: &mut Option<Vec<Diagnostic>>,
) {
    let p = work.protocol;
    let mut scope = 0;
    let Inference { types, columns, answers, params, parsed, .. } = work;
    let mut with = |role: Option<&str>, f: &mut dyn FnMut(&mut Walk)| {
        let me = role.map(Ty::known);
        let env = Env {
            types,
            columns,
            keys,
            params,
            vars: std::mem::take(&mut vars[scope]),
            me,
            mismatches: Vec::new(),
            parsed,
        };
        let mut walk = Walk { env, protocol: p, answers, errors, seen: BTreeMap::new() };
        f(&mut walk);
        for (place, expected, found, rel, i) in std::mem::take(&mut walk.env.mismatches) {
            let (relation, before) = (p.relation(rel), walk.count());
            let column = &relation.columns[i];
            walk.agree(&expected, &found, place, &|e, f| {
                format!(
                    "column `{}` of `{}` is {e}, but it is looked up with {f}",
                    column.name, relation.name
                )
            });
            walk.labelled(before, column.place.0, format!("column `{}` of `{}`", column.name, relation.name));
        }
        vars[scope] = walk.env.vars;
        scope += 1;
    };
    for rule in &p.rules {
        with(Some(&p.role(p.family(rule.role)).name), &mut |walk| {
            walk.body(&rule.body);
            walk.head(&rule.head);
        });
    }
    for (i, relation) in p.relations.iter().enumerate() {
        let role = relation.role.map(|r| p.role(p.family(r)).name.as_str());
        with(role, &mut |walk| match &relation.kind {
            _ if relation.routing.is_some() => {
                for (column, ty) in relation.columns.iter().zip(walk.env.columns[i].clone()) {
                    walk.bind(&column.name, column.place.0, &ty);
                }
                if let Some(Routing::To(e)) = &relation.routing {
                    let ty = walk.env.leaf(e);
                    walk.agree(&Ty::known("u64"), &ty, e.place, &|_, f| {
                        format!("a partition's number is `u64`, but this is {f}")
                    });
                }
            }
            RelationKind::Timer(timer) => {
                for (column, ty) in relation.columns.iter().zip(walk.env.columns[i].clone()) {
                    walk.bind(&column.name, column.place.0, &ty);
                }
                walk.body(&timer.rows);
            }
            RelationKind::Var(Some(first)) => {
                let expected = Ty::of_columns(walk.env.columns[i].clone());
                let found = walk.env.leaf(first);
                walk.agree(&expected, &found, first.place, &|e, f| {
                    format!("`{}` holds {e}, but its first value is {f}", relation.name)
                });
            }
            _ => {}
        });
    }
    with(None, &mut |walk| {
        for e in &p.requires {
            let ty = walk.env.leaf(e);
            walk.agree(&Ty::known("bool"), &ty, e.place, &|_, f| {
                format!("a requirement is a `bool`, but this is {f}")
            });
        }
    });
    for invariant in &p.invariants {
        with(None, &mut |walk| walk.body(&invariant.body));
    }
}

struct Walk<'a, 'b> {
    env: Env<'a>,
    protocol: &'a Protocol,
    answers: &'a BTreeMap<RelId, (Vec<Ty>, Option<Ty>)>,
    errors: &'b mut Option<Vec<Diagnostic>>,
    /// First places of variables in this scope.
    seen: BTreeMap<String, Span>,
}

impl Walk<'_, '_> {
    fn agree(&mut self, expected: &Ty, found: &Ty, place: Place, message: &dyn Fn(&str, &str) -> String) {
        if !self.env.types.unify(expected, found)
            && let Some(errors) = &mut self.errors
        {
            let (e, f) = (self.env.types.text(expected), self.env.types.text(found));
            errors.push(Diagnostic::error("type", place.0, message(&e, &f)));
        }
    }

    fn labelled(&mut self, before: usize, span: Span, label: String) {
        if let Some(errors) = &mut self.errors
            && errors.len() > before
            && let Some(last) = errors.pop()
        {
            errors.push(last.label(span, label));
        }
    }

    fn count(&self) -> usize {
        self.errors.as_ref().map_or(0, Vec::len)
    }

    fn bind(&mut self, name: &str, span: Span, ty: &Ty) {
        let before = self.count();
        let var = self.env.var(name);
        self.agree(&var, ty, Place(span), &|v, t| {
            format!("`{name}` is {v} elsewhere in this rule, but {t} here")
        });
        match self.seen.get(name) {
            Some(first) => {
                let first = *first;
                self.labelled(before, first, format!("`{name}` is bound here"));
            }
            None => {
                self.seen.insert(name.to_string(), span);
            }
        }
    }

    fn body(&mut self, body: &[Literal]) {
        for literal in body {
            match literal {
                Literal::Atom(atom) => self.atom(atom),
                Literal::NewJoin(inner, _) => self.body(inner),
                Literal::If(e) => {
                    let ty = self.env.leaf(e);
                    self.agree(&Ty::known("bool"), &ty, e.place, &|_, f| {
                        format!("a condition is a `bool`, but this is {f}")
                    });
                }
                Literal::Let(p, e) => {
                    let ty = self.env.leaf(e);
                    self.pattern(p, &ty, "the value");
                }
                Literal::For(p, e) => {
                    let whole = self.env.leaf(e);
                    if self.env.types.is_integer(&whole)
                        && let Some(errors) = &mut self.errors
                    {
                        errors.push(
                            Diagnostic::error(
                                "type",
                                e.place.0,
                                "`for` goes through a collection, but this is a number",
                            )
                            .help("a range is written `for i in 0..n`"),
                        );
                    }
                    let ty = self.env.items(e);
                    self.pattern(p, &ty, "an item");
                }
            }
        }
    }

    fn atom(&mut self, atom: &Atom) {
        let relation = self.protocol.relation(atom.rel);
        let columns = self.env.columns[atom.rel.index()].clone();
        for ((pattern, ty), column) in atom.args.iter().zip(&columns).zip(&relation.columns) {
            let before = self.count();
            self.pattern(pattern, ty, &format!("column `{}` of `{}`", column.name, relation.name));
            self.labelled(before, column.place.0, format!("column `{}` of `{}`", column.name, relation.name));
        }
        if let (Some(at), Some(role)) = (&atom.at, relation.role) {
            let ty = Ty::known(&self.protocol.role(self.protocol.family(role)).name);
            self.pattern(at, &ty, "the node");
        }
    }

    fn pattern(&mut self, pattern: &Pattern, ty: &Ty, what: &str) {
        match pattern {
            Pattern::Wild(_) => {}
            Pattern::Var(v) => self.bind(&v.name, v.place.0, ty),
            Pattern::Value(e) => {
                let found = self.env.leaf(e);
                self.agree(ty, &found, e.place, &|t, f| {
                    format!("{what} is {t}, but it is compared with {f}")
                });
            }
            Pattern::Nested(n) => {
                let Parsed::Pat(pat) = &self.env.parsed[n.leaf.index()] else { return };
                if !self.env.pattern(pat, ty)
                    && let Some(errors) = &mut self.errors
                {
                    let t = self.env.types.text(ty);
                    errors.push(Diagnostic::error(
                        "type",
                        n.place.0,
                        format!("this pattern cannot match: {what} is {t}"),
                    ));
                }
            }
        }
    }

    fn column(&mut self, rel: RelId, i: usize, expr: &Expr) {
        let relation = self.protocol.relation(rel);
        let Some(ty) = self.env.columns[rel.index()].get(i).cloned() else { return };
        let found = self.env.leaf(expr);
        let before = self.count();
        let name = &relation.columns[i].name;
        self.agree(&ty, &found, expr.place, &|e, f| {
            format!("column `{name}` of `{}` is {e}, but {f} is given", relation.name)
        });
        self.labelled(before, relation.columns[i].place.0, format!("column `{name}` of `{}`", relation.name));
    }

    fn head(&mut self, head: &Head) {
        match head {
            Head::Now { rel, args } | Head::Next { rel, args } => {
                args.iter().enumerate().for_each(|(i, e)| self.column(*rel, i, e));
            }
            Head::Delete { rel, args, .. } => {
                for (i, e) in args.iter().enumerate() {
                    if let Some(e) = e {
                        self.column(*rel, i, e);
                    }
                }
            }
            Head::Send { rel, args, to } => {
                args.iter().enumerate().for_each(|(i, e)| self.column(*rel, i, e));
                self.address(*rel, to, "is sent to");
            }
            Head::Reply { rel, req, args } => {
                self.req(*rel, req);
                let Some((columns, _)) = self.answers.get(rel) else { return };
                let RelationKind::Request(request) = &self.protocol.relation(*rel).kind else { return };
                for ((e, ty), column) in args.iter().zip(columns).zip(&request.reply) {
                    let found = self.env.leaf(e);
                    let before = self.count();
                    self.agree(ty, &found, e.place, &|t, f| {
                        format!("`{}` of the answer is {t}, but {f} is given", column.name)
                    });
                    self.labelled(before, column.place.0, format!("`{}` of the answer", column.name));
                }
            }
            Head::Refuse { rel, req, error } => {
                self.req(*rel, req);
                if let Some((_, Some(ty))) = self.answers.get(rel) {
                    let found = self.env.leaf(error);
                    self.agree(ty, &found, error.place, &|t, f| {
                        format!("the error is {t}, but {f} is given")
                    });
                }
            }
            Head::Redirect { rel, req, to } => {
                self.req(*rel, req);
                self.address(*rel, to, "is redirected to");
            }
            Head::Nothing => {}
        }
    }

    fn req(&mut self, rel: RelId, req: &Expr) {
        let found = self.env.leaf(req);
        let name = &self.protocol.relation(rel).name;
        self.agree(&Ty::known("Req"), &found, req.place, &|_, f| {
            format!("an answer begins with the `Req` of the request, but {f} is given: `{name}(req, ..)`")
        });
    }

    fn address(&mut self, rel: RelId, to: &Expr, how: &str) {
        let relation = self.protocol.relation(rel);
        let Some(role) = relation.role else { return };
        let role = &self.protocol.role(self.protocol.family(role)).name;
        let found = self.env.leaf(to);
        let before = self.count();
        self.agree(&Ty::known(role), &found, to.place, &|_, f| {
            format!("`{}` {how} an address of `{role}`, but this is {f}", relation.name)
        });
        self.labelled(before, relation.place.0, format!("`{}` is declared for `{role}`", relation.name));
    }
}
