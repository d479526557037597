//! Ghost state is there for invariants: the program must run the same without it.

use super::walk::{atoms, body_exprs, exprs, lookups};
use crate::diag::Diagnostic;
use crate::ir::{Place, Protocol, RelId, RelationKind};

/// Reports ghost state that something other than ghost state reads.
pub fn check(p: &Protocol, errors: &mut Vec<Diagnostic>) {
    let mut report = |rel: RelId, place: Place, by: (proc_macro2::Span, String)| {
        let relation = p.relation(rel);
        if relation.ghost {
            errors.push(
                Diagnostic::error(
                    "ghost",
                    place.0,
                    format!(
                        "`{}` is ghost state: only invariants and other ghost state may read it",
                        relation.name
                    ),
                )
                .label(by.0, by.1)
                .label(relation.place.0, "declared here")
                .help("leave `ghost` away if the protocol needs it"),
            );
        }
    };
    for rule in &p.rules {
        if rule.head.relation().is_some_and(|r| p.relation(r).ghost) {
            continue;
        }
        let by = (rule.place.0, "read by this rule".to_string());
        atoms(&rule.body).iter().for_each(|(a, _)| report(a.rel, a.place, by.clone()));
        exprs(rule).into_iter().flat_map(lookups).for_each(|(rel, _, place)| report(rel, place, by.clone()));
    }
    for relation in &p.relations {
        if let RelationKind::Timer(timer) = &relation.kind {
            let by = (relation.place.0, "read by this timer".to_string());
            atoms(&timer.rows).iter().for_each(|(a, _)| report(a.rel, a.place, by.clone()));
            body_exprs(&timer.rows)
                .into_iter()
                .flat_map(lookups)
                .for_each(|(rel, _, place)| report(rel, place, by.clone()));
        }
    }
}
