//! Functional dependencies of a body: which variables follow from others, and whether a combination of
//! matched rows does.
//!
//! A keyed relation determines a row by its key; `let` determines its variables by those of its expression. A
//! combination is determined if each matched row is, and each item of a `for` (only items of a range differ from each other).

use crate::plan::lower::logical::{Lit, Pat, Rule};
use crate::plan::pipeline::*;
use crate::plan::types::Relation;
use std::collections::BTreeSet;

/// What the analysis looks at.
enum Item {
    /// Rows of a relation with its keys.
    Atom { keys: Vec<Vec<usize>>, cols: Vec<Known> },
    /// A `let`. `back`: what can be read off its value, if that is one variable's.
    Let { from: Vec<Slot>, to: Vec<Slot>, back: Vec<Slot> },
    /// A `for`; `var` if it runs over a range with one variable.
    For { from: Vec<Slot>, var: Option<Slot> },
}

/// When a column's value is known, and which variables it makes known.
struct Known {
    /// All of these must be known; `None`: never.
    needs: Option<Vec<Slot>>,
    /// These are known once the row is.
    gives: Vec<Slot>,
}

/// A body, ready to be asked.
pub struct Body(Vec<Item>);

impl Body {
    /// The body of a rule.
    pub(crate) fn of_rule(relations: &[Relation], rule: &Rule) -> Body {
        let items = rule.body.iter().filter_map(|lit| match lit {
            Lit::Atom(a) if a.negated => None,
            Lit::Atom(a) => Some(Item::Atom {
                keys: relations[a.rel.index()].keys.clone(),
                cols: a.cols.iter().map(of_pattern).collect(),
            }),
            Lit::Lookup { key, result, .. } => {
                Some(Item::Let { from: key.clone(), to: vec![*result], back: vec![] })
            }
            Lit::If(_) => None,
            Lit::Let(p, e) => {
                let back = if let Pat::Var(_) = p { visible(e) } else { vec![] };
                Some(Item::Let { from: e.slots(), to: p.vars(), back })
            }
            Lit::For(p, e) => {
                let var = match p {
                    Pat::Var(s) if is_range(e) => Some(*s),
                    _ => None,
                };
                Some(Item::For { from: e.slots(), var })
            }
        });
        Body(items.collect())
    }

    /// What a pipeline goes through to reach a tail. Probes that stop at the first match do not multiply.
    pub(crate) fn of_tail(relations: &[Relation], p: &Pipeline, tail: &Tail) -> Body {
        Body::of_ops(relations, p, &p.ops, &tail.ops)
    }

    /// What a pipeline goes through until some operations are done.
    pub(crate) fn of_ops(relations: &[Relation], p: &Pipeline, ops: &[Op], more: &[Op]) -> Body {
        let mut items = vec![];
        let mut atom = |rel: usize, cols: &[Col]| {
            items.push(Item::Atom {
                keys: relations[rel].keys.clone(),
                cols: cols.iter().map(of_column).collect(),
            });
        };
        if let Start::Rows { rel, cols, .. } = &p.start {
            atom(rel.index(), cols);
        }
        for op in ops.iter().chain(more) {
            match op {
                Op::Probe(a) if a.once => {}
                Op::Probe(a) => atom(a.rel.index(), &a.cols),
                _ => {}
            }
        }
        for op in ops.iter().chain(more) {
            match op {
                Op::Probe(_) | Op::Absent(_) | Op::If(_) => {}
                Op::Let(c, e) => {
                    let back = if let Col::Bind(_) = c { visible(e) } else { vec![] };
                    items.push(Item::Let { from: e.slots(), to: of_column(c).gives, back });
                }
                Op::For(c, e) => {
                    let var = match c {
                        Col::Bind(s) | Col::Check(PExpr::Var(s)) if is_range(e) => Some(*s),
                        _ => None,
                    };
                    items.push(Item::For { from: e.slots(), var });
                }
            }
        }
        Body(items)
    }

    /// Whether a combination of matched rows follows from the values of some variables.
    pub fn determined_by(&self, known: impl IntoIterator<Item = Slot>) -> bool {
        let mut known: BTreeSet<Slot> = known.into_iter().collect();
        loop {
            let before = known.len();
            for item in &self.0 {
                match item {
                    Item::Atom { keys, cols } if keys.iter().any(|k| known_at(cols, k, &known)) => {
                        known.extend(cols.iter().flat_map(|c| &c.gives));
                    }
                    Item::Let { from, to, back } => {
                        if from.iter().all(|s| known.contains(s)) {
                            known.extend(to);
                        }
                        if !to.is_empty() && to.iter().all(|s| known.contains(s)) {
                            known.extend(back);
                        }
                    }
                    _ => {}
                }
            }
            if known.len() == before {
                break;
            }
        }
        self.0.iter().all(|item| match item {
            Item::Atom { keys, cols } => {
                let all: Vec<usize> = (0..cols.len()).collect();
                [&all].into_iter().chain(keys).any(|k| known_at(cols, k, &known))
            }
            Item::Let { .. } => true,
            Item::For { from, var } => {
                var.is_some_and(|v| known.contains(&v)) && from.iter().all(|s| known.contains(s))
            }
        })
    }
}

fn known_at(cols: &[Known], at: &[usize], known: &BTreeSet<Slot>) -> bool {
    at.iter().all(|c| cols[*c].needs.as_ref().is_some_and(|needs| needs.iter().all(|s| known.contains(s))))
}

fn of_pattern(p: &Pat) -> Known {
    match p {
        Pat::Wild => Known { needs: None, gives: vec![] },
        Pat::Const(_) => Known { needs: Some(vec![]), gives: vec![] },
        Pat::Var(s) => Known { needs: Some(vec![*s]), gives: vec![*s] },
        Pat::Nested(_, vars) => Known { needs: p.determines().then(|| vars.clone()), gives: vars.clone() },
    }
}

fn of_column(c: &Col) -> Known {
    match c {
        Col::Skip => Known { needs: None, gives: vec![] },
        Col::Bind(s) | Col::Same(s) | Col::Check(PExpr::Var(s)) => {
            Known { needs: Some(vec![*s]), gives: vec![*s] }
        }
        Col::Check(e) => Known { needs: Some(e.slots()), gives: vec![] },
        Col::Match(n, vars) => {
            let vars: Vec<Slot> = vars.iter().map(|(s, _)| *s).collect();
            of_pattern(&Pat::Nested(n.clone(), vars))
        }
    }
}

fn is_range(e: &PExpr) -> bool {
    matches!(e, PExpr::Rust(e) if syn::parse2::<syn::ExprRange>(e.expr.tokens.0.clone()).is_ok())
}

/// Variables whose values can be read off the value of an expression: the variable itself, or a tuple or `Some` of
/// such. An id from `unique()` belongs to one binding.
pub fn visible(e: &PExpr) -> Vec<Slot> {
    match e {
        PExpr::Var(s) => vec![*s],
        PExpr::Found(..) | PExpr::Missing(_) => vec![],
        PExpr::Rust(e) => {
            if let ([Hole::Unique { binding, .. }], "__hole0") =
                (&e.holes[..], e.expr.tokens.0.to_string().as_str())
            {
                return binding.clone();
            }
            let mut names = vec![];
            if let Ok(expr) = syn::parse2::<syn::Expr>(e.expr.tokens.0.clone()) {
                visible_names(&expr, &mut names);
            }
            let slot = |n: &String| e.expr.vars.iter().position(|v| v == n).map(|i| e.vars[i]);
            names.iter().filter_map(slot).collect()
        }
    }
}

fn visible_names(e: &syn::Expr, names: &mut Vec<String>) {
    match e {
        syn::Expr::Path(p) => names.extend(p.path.get_ident().map(ToString::to_string)),
        syn::Expr::Paren(p) => visible_names(&p.expr, names),
        syn::Expr::Reference(r) => visible_names(&r.expr, names),
        syn::Expr::Tuple(t) => t.elems.iter().for_each(|e| visible_names(e, names)),
        syn::Expr::MethodCall(m) if m.method == "clone" && m.args.is_empty() => {
            visible_names(&m.receiver, names)
        }
        syn::Expr::Call(c) => {
            if matches!(&*c.func, syn::Expr::Path(p) if p.path.is_ident("Some")) {
                c.args.iter().for_each(|e| visible_names(e, names));
            }
        }
        _ => {}
    }
}
