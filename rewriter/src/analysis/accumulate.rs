//! What only ever grows: accumulating relations, and tests that stay true once they are.

use super::against::Against;
use super::sides::Sides;
use super::walk::{self, Form};
use anabranch_dsl::ir::{
    AggregateFn, Atom, Expr, Head, Hole, Lattice, Literal, Pattern, RelId, RelationKind, Rule, RuleId,
    Version,
};
use std::collections::{BTreeMap, BTreeSet};

/// How a relation grows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Growth {
    /// Rows come and stay.
    Rows,
    /// A view that counts: its last column grows, so only tests may read it.
    Count,
}

/// Answers about growth, remembered.
pub struct Growing<'s, 'p> {
    s: &'s Sides<'p>,
    known: BTreeMap<RelId, Result<Growth, Against>>,
    /// Deletions that take nothing away that could still matter.
    pub harmless: BTreeSet<RuleId>,
    /// Views whose rows come once each and go when they are answered.
    pub answers: BTreeSet<RelId>,
    /// Why other deletions are not harmless.
    pub because: BTreeMap<RuleId, Against>,
    open: BTreeSet<RelId>,
}

impl<'s, 'p> Growing<'s, 'p> {
    /// Nothing known yet.
    pub fn new(s: &'s Sides<'p>) -> Growing<'s, 'p> {
        Growing {
            s,
            known: BTreeMap::new(),
            harmless: BTreeSet::new(),
            answers: BTreeSet::new(),
            because: BTreeMap::new(),
            open: BTreeSet::new(),
        }
    }

    /// Whether and how a relation grows.
    pub fn relation(&mut self, rel: RelId) -> Result<Growth, Against> {
        if self.s.is_static(rel) || self.answers.contains(&rel) || !self.open.insert(rel) {
            // Recursion among views that otherwise grow.
            return Ok(Growth::Rows);
        }
        let answer = match self.known.get(&rel) {
            Some(known) => known.clone(),
            None => self.look(rel),
        };
        self.open.remove(&rel);
        // Amid a recursion, what is true rests on what is not yet known.
        if answer.is_err() || self.open.is_empty() {
            self.known.insert(rel, answer.clone());
        }
        answer
    }

    fn look(&mut self, rel: RelId) -> Result<Growth, Against> {
        let relation = self.s.relation(rel);
        let writers = walk::writers(self.s.p, rel);
        match relation.kind {
            RelationKind::Table | RelationKind::Var(_) => {
                let merges = relation.columns.iter().any(|c| c.lattice.is_some());
                for id in writers {
                    let rule = self.s.rule(id);
                    match &rule.head {
                        Head::Delete { .. } if !self.harmless.contains(&id) => {
                            if let Some(why) = self.because.get(&id) {
                                return Err(why.clone());
                            }
                            return Err(Against::new(
                                "forgets",
                                rule.place,
                                format!("`{}` forgets rows, and one that crosses late is not there to be seen", relation.name),
                            )
                            .here("deleted here")
                            .help("delete only what is spent or answered, with a tombstone that stays (see the rewrites' documentation)"));
                        }
                        Head::Next { .. } if relation.key.is_some() && !merges => {
                            return Err(Against::new(
                                "replaces",
                                rule.place,
                                format!(
                                    "`{}` replaces values, and what crosses may arrive in another order",
                                    relation.name
                                ),
                            )
                            .here("replaced here")
                            .help("keep all values, or merge them with `Max` or `Min`"));
                        }
                        _ => {}
                    }
                }
                if matches!(relation.kind, RelationKind::Var(_)) && !merges {
                    return Err(Against::new(
                        "replaces",
                        relation.place,
                        format!("`{}` has one row, which changes", relation.name),
                    ));
                }
                Ok(Growth::Rows)
            }
            RelationKind::View => {
                let mut growth = Growth::Rows;
                for id in writers {
                    if let Some(count) = counts(self.s.rule(id))? {
                        growth = count;
                    }
                    self.body(id, &self.s.rule(id).body.clone())?;
                }
                Ok(growth)
            }
            RelationKind::MachineNext(_) | RelationKind::Instances(_) => {
                Err(Against::new("grows", relation.place, format!("`{}` changes its value", relation.name)))
            }
            _ => {
                Err(Against::new("grows", relation.place, format!("`{}` lasts for one tick", relation.name)))
            }
        }
    }

    /// Whether a body, once true for some values, stays true for them: positive atoms over what grows, and thresholds.
    pub fn body(&mut self, id: RuleId, body: &[Literal]) -> Result<(), Against> {
        let rule = self.s.rule(id);
        for m in walk::body_mentions(body) {
            if self.s.is_static(m.rel) {
                continue;
            }
            let name = self.s.name(m.rel);
            match m.form {
                Form::Lookup => {
                    return Err(Against::new(
                        "lookup",
                        m.place,
                        format!("a look-up in `{name}` says what is there now, which may be too little"),
                    )
                    .here("looked up here")
                    .help(format!("join with an atom `{name}(..)` instead")));
                }
                Form::Atom { negated: true, .. } => {
                    return Err(Against::new(
                        "negation",
                        m.place,
                        format!("`{name}` may be on its way, so its absence says nothing"),
                    )
                    .here("negated here")
                    .label(rule.place, "in this rule")
                    .help("ask the half that knows, and let the answer cross"));
                }
                Form::Atom { version: Version::Old, .. } => {
                    return Err(Against::new(
                        "old",
                        m.place,
                        format!("`old {name}` depends on the tick in which it arrives"),
                    )
                    .here("read here"));
                }
                Form::Atom { .. } => {
                    let atom = m.atom.expect("an atom");
                    let growth = self
                        .relation(m.rel)
                        .map_err(|why| why.label(m.place, format!("`{name}` is read here")))?;
                    if growth == Growth::Count {
                        self.threshold(rule, atom, body)?;
                    } else {
                        self.merged(rule, atom, body)?;
                    }
                }
            }
        }
        for expr in walk::body_exprs(body) {
            if walk::holes(expr).iter().any(|h| matches!(h, Hole::Unique | Hole::NowMs | Hole::Random)) {
                return Err(Against::new("pure", expr.place, "this takes a value from the tick").here("here"));
            }
        }
        Ok(())
    }

    /// `new` of a count or of a column that merges happens at every step of it, and the original skips steps; unless the
    /// value is pinned by its ceiling, or projected out.
    pub fn edge(&mut self, id: RuleId, body: &[Literal]) -> Result<(), Against> {
        let rule = self.s.rule(id);
        for m in walk::body_mentions(body).into_iter().filter(|m| m.drives(self.s.p)) {
            let (Some(atom), relation) = (m.atom, self.s.relation(m.rel)) else { continue };
            let merges = atom
                .args
                .iter()
                .zip(&relation.columns)
                .any(|(p, c)| c.lattice.is_some() && !matches!(p, Pattern::Wild(_)));
            if merges {
                return Err(Against::new(
                    "exported-lattice",
                    atom.place,
                    format!("`new {}` happens at every step of its value", relation.name),
                )
                .here("the original skips steps")
                .label(rule.place, "in this rule")
                .help("name the test: `view enough(..) <= .., if n >= k`"));
            }
            if self.relation(m.rel)? != Growth::Count {
                continue;
            }
            let by = self.s.rule(walk::writers(self.s.p, m.rel)[0]);
            for (pattern, count) in counted(by, atom) {
                let pinned = ceiling(self.s, by, count).is_some_and(|role| {
                    equals(pattern, body, &format!("{}.len()", self.s.p.role(role).name))
                });
                if !matches!(pattern, Pattern::Wild(_)) && !pinned {
                    return Err(Against::new(
                        "exported-count",
                        atom.place,
                        format!("`new {}` happens at every step of the count", relation.name),
                    )
                    .here("the original jumps over steps")
                    .label(rule.place, "in this rule")
                    .help("name the threshold: `view enough(..) <= .., if n >= k`"));
                }
            }
        }
        Ok(())
    }

    /// A column that merges may only be compared upwards.
    fn merged(&self, rule: &Rule, atom: &Atom, body: &[Literal]) -> Result<(), Against> {
        for (pattern, column) in atom.args.iter().zip(&self.s.relation(atom.rel).columns) {
            let Some(lattice) = column.lattice else { continue };
            if !matches!(pattern, Pattern::Wild(_)) && !tested(rule, pattern, body, lattice) {
                return Err(Against::new(
                    "exported-lattice",
                    atom.place,
                    format!("the value of `{}` passes through steps that the original skips", column.name),
                )
                .here("its exact value is used")
                .label(rule.place, "in this rule")
                .help("compare it upwards only: `if n >= k`"));
            }
        }
        Ok(())
    }

    /// A count may only be tested: `n >= k`, or `n == r.len()` where it counts different addresses of `r`.
    fn threshold(&self, rule: &Rule, atom: &Atom, body: &[Literal]) -> Result<(), Against> {
        let view = walk::writers(self.s.p, atom.rel);
        let by = self.s.rule(view[0]);
        for (pattern, count) in counted(by, atom) {
            if matches!(pattern, Pattern::Wild(_)) || tested(rule, pattern, body, Lattice::Max) {
                continue;
            }
            if let Some(role) = ceiling(self.s, by, count) {
                let len = format!("{}.len()", self.s.p.role(role).name);
                if equals(pattern, body, &len) {
                    continue;
                }
            }
            let exported = pattern_name(pattern).is_some_and(|n| {
                anabranch_dsl::strata::head_exprs(&rule.head).iter().any(|e| walk::expr_vars(e).contains(&n))
            });
            let (item, message, help) = if exported {
                (
                    "exported-count",
                    format!(
                        "the count of `{}` takes values that the original jumps over",
                        self.s.name(atom.rel)
                    ),
                    "name the threshold: `view enough(..) <= .., if n >= k`",
                )
            } else {
                (
                    "ceiling",
                    format!(
                        "the original may jump over one value of the count of `{}`",
                        self.s.name(atom.rel)
                    ),
                    "test with `>=`, or with `== r.len()` a count of different addresses of `r`",
                )
            };
            return Err(Against::new(item, atom.place, message)
                .here("counted")
                .label(rule.place, "in this rule")
                .help(help));
        }
        Ok(())
    }
}

/// The columns of an atom that hold counts, with the counts.
fn counted<'a>(by: &'a Rule, atom: &'a Atom) -> Vec<(&'a Pattern, &'a anabranch_dsl::ir::Aggregate)> {
    let Head::Now { args, .. } = &by.head else { return Vec::new() };
    let count =
        |e: &'a Expr| e.holes.iter().find_map(|h| if let Hole::Aggregate(a) = h { Some(a) } else { None });
    atom.args.iter().zip(args).filter_map(|(p, e)| Some((p, count(e)?))).collect()
}

/// Whether a view's rule counts; other aggregates never grow row by row.
fn counts(rule: &Rule) -> Result<Option<Growth>, Against> {
    let mut found = None;
    for expr in anabranch_dsl::strata::head_exprs(&rule.head) {
        for hole in walk::holes(expr) {
            let Hole::Aggregate(a) = hole else { continue };
            let whole = expr.holes.len() == 1 && expr.tokens.0.to_string() == "__hole0";
            let plain = matches!(a.function, AggregateFn::Count | AggregateFn::CountDistinct);
            if !plain || !whole {
                return Err(Against::new(
                    "aggregate",
                    a.place,
                    "the exact value of an aggregate changes as facts arrive",
                )
                .here("aggregated here")
                .help("only `count` that is compared with `>=` stays true once it is"));
            }
            found = Some(Growth::Count);
        }
    }
    Ok(found)
}

fn pattern_name(pattern: &Pattern) -> Option<String> {
    match pattern {
        Pattern::Var(v) => Some(v.name.clone()),
        _ => None,
    }
}

/// Whether a variable stands in its atom and otherwise only in comparisons that stay true while it grows.
fn tested(rule: &Rule, pattern: &Pattern, body: &[Literal], lattice: Lattice) -> bool {
    let Some(name) = pattern_name(pattern) else { return false };
    if anabranch_dsl::strata::head_exprs(&rule.head).iter().any(|e| walk::expr_vars(e).contains(&name)) {
        return false;
    }
    let mut bound = 0;
    for literal in body {
        bound += walk::literal_vars(literal).iter().filter(|v| **v == name).count();
    }
    bound == 1
        && conditions(body)
            .iter()
            .all(|(e, is_if)| !walk::expr_vars(e).contains(&name) || (*is_if && upward(e, &name, lattice)))
}

/// Expressions of a body, those inside of `new (..)` too; `true` marks an `if`.
fn conditions(body: &[Literal]) -> Vec<(&Expr, bool)> {
    let mut out = Vec::new();
    for literal in body {
        match literal {
            Literal::If(e) => out.push((e, true)),
            Literal::Let(_, e) | Literal::For(_, e) => out.push((e, false)),
            Literal::NewJoin(inner, _) => out.extend(conditions(inner)),
            Literal::Atom(a) => out.extend(a.args.iter().filter_map(|p| match p {
                Pattern::Value(e) => Some((e, false)),
                _ => None,
            })),
        }
    }
    out
}

fn upward(expr: &Expr, name: &str, lattice: Lattice) -> bool {
    fn go(e: &syn::Expr, name: &str, lattice: Lattice) -> bool {
        let is_var = |e: &syn::Expr| matches!(e, syn::Expr::Path(p) if p.path.is_ident(name));
        let free = |e: &syn::Expr| !anabranch_dsl::resolve::vars::free(e).iter().any(|f| f.ident == name);
        match e {
            syn::Expr::Paren(p) => go(&p.expr, name, lattice),
            syn::Expr::Binary(b) => match b.op {
                syn::BinOp::And(_) => go(&b.left, name, lattice) && go(&b.right, name, lattice),
                syn::BinOp::Ge(_) | syn::BinOp::Gt(_) | syn::BinOp::Le(_) | syn::BinOp::Lt(_) => {
                    let greater = matches!(b.op, syn::BinOp::Ge(_) | syn::BinOp::Gt(_));
                    let (var, other) = if greater == (lattice == Lattice::Max) {
                        (&b.left, &b.right)
                    } else {
                        (&b.right, &b.left)
                    };
                    is_var(var) && free(other) || (free(&b.left) && free(&b.right))
                }
                _ => free(e),
            },
            _ => free(e),
        }
    }
    syn::parse2::<syn::Expr>(expr.tokens.0.clone()).is_ok_and(|e| go(&e, name, lattice))
}

/// The static role whose different addresses a view counts, if it counts so.
fn ceiling(
    s: &Sides<'_>,
    view: &Rule,
    count: &anabranch_dsl::ir::Aggregate,
) -> Option<anabranch_dsl::ir::RoleId> {
    if count.function != AggregateFn::CountDistinct {
        return None;
    }
    let name = count.args.first()?.var.clone()?;
    for literal in &view.body {
        let Literal::Atom(atom) = literal else { continue };
        for (pattern, column) in atom.args.iter().zip(&s.relation(atom.rel).columns) {
            if pattern_name(pattern).as_ref() == Some(&name) {
                let ty = column.ty.0.to_string();
                let role = s.p.roles.iter().position(|r| r.name == ty);
                if let Some(role) = role {
                    return Some(anabranch_dsl::ir::RoleId(role as u32));
                }
            }
        }
    }
    None
}

/// Whether a variable is only compared for equality with a text.
fn equals(pattern: &Pattern, body: &[Literal], with: &str) -> bool {
    let Some(name) = pattern_name(pattern) else {
        return matches!(pattern, Pattern::Value(e) if squeeze(&e.tokens.0) == with);
    };
    let mut compared = false;
    for (e, is_if) in conditions(body) {
        if !walk::expr_vars(e).contains(&name) {
            continue;
        }
        let text = squeeze(&e.tokens.0);
        if is_if && (text == format!("{name}=={with}") || text == format!("{with}=={name}")) {
            compared = true;
        } else {
            return false;
        }
    }
    let bound: usize =
        body.iter().map(|l| walk::literal_vars(l).iter().filter(|v| **v == name).count()).sum();
    // Pinned by the test, so the head may carry it.
    compared && bound == 1
}

fn squeeze(tokens: &proc_macro2::TokenStream) -> String {
    tokens.to_string().chars().filter(|c| !c.is_whitespace()).collect()
}
