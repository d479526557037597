//! Rules that contradict each other on a key, where that can be told: the same body, the same key, and
//! different constants.

use crate::diag::Diagnostic;
use crate::ir::{Expr, Head, Literal, Protocol, RelId, Rule};

/// Reports pairs of rules of which one cannot do what the other does.
pub fn check(p: &Protocol, errors: &mut Vec<Diagnostic>) {
    for (i, a) in p.rules.iter().enumerate() {
        let Some((rel, op, left)) = write(&a.head) else { continue };
        let Some(key) = p.relation(rel).key else { continue };
        if p.relation(rel).columns.iter().any(|c| c.lattice.is_some()) {
            continue;
        }
        for b in &p.rules[i + 1..] {
            let Some((other, other_op, right)) = write(&b.head) else { continue };
            if other != rel || other_op != op || !same_body(a, b) {
                continue;
            }
            let same_key = left.iter().zip(right).take(key).all(|(x, y)| text(x) == text(y));
            let conflict = left
                .iter()
                .zip(right)
                .skip(key)
                .find(|(x, y)| literal(x) && literal(y) && text(x) != text(y));
            if let (true, Some((x, y))) = (same_key, conflict) {
                let name = &p.relation(rel).name;
                errors.push(
                    Diagnostic::error(
                        "contradicting-keys",
                        y.place.0,
                        format!(
                            "two rules give `{name}` different values under one key, whenever both happen"
                        ),
                    )
                    .label(a.place.0, format!("this rule gives {}", text(x)))
                    .label(b.place.0, format!("this rule gives {}", text(y)))
                    .label(p.relation(rel).place.0, format!("`{name}` has one row per key")),
                );
            }
        }
    }
}

fn write(head: &Head) -> Option<(RelId, &'static str, &[Expr])> {
    match head {
        Head::Now { rel, args } => Some((*rel, "<=", args)),
        Head::Next { rel, args } => Some((*rel, "<+", args)),
        _ => None,
    }
}

fn text(e: &Expr) -> String {
    e.tokens.0.to_string()
}

fn literal(e: &Expr) -> bool {
    e.holes.is_empty() && matches!(syn::parse2::<syn::Expr>(e.tokens.0.clone()), Ok(syn::Expr::Lit(_)))
}

fn same_body(a: &Rule, b: &Rule) -> bool {
    a.role == b.role && a.body.len() == b.body.len() && a.body.iter().zip(&b.body).all(|(x, y)| same(x, y))
}

/// Equal but for the numbers of leaves.
fn same(a: &Literal, b: &Literal) -> bool {
    super::requests::literal_text(a) == super::requests::literal_text(b)
}
