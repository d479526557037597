//! Parts and partitions: whatever reaches a role of several nodes says which of them takes it.
//!
//! Whether a role may be partitioned as its routings say (rows that meet route alike) is the rewriter's affair;
//! a program written by hand answers for it itself.

use crate::diag::Diagnostic;
use crate::ir::{Expr, Head, Protocol, Relation, RelationKind, Role, RoleId, Routing};
use proc_macro2::Span;

/// Reports contradictions between roles and what is said of their inputs and tables.
pub fn check(p: &Protocol, errors: &mut Vec<Diagnostic>) {
    for (i, role) in p.roles.iter().enumerate() {
        families(p, RoleId(i as u32), role, errors);
    }
    for relation in &p.relations {
        let Some(id) = relation.role else { continue };
        match relation.kind {
            RelationKind::Message | RelationKind::Request(_) => input(relation, p.role(id), errors),
            RelationKind::Table | RelationKind::Var(_) => table(relation, p.role(id), errors),
            _ => {}
        }
    }
}

fn families(p: &Protocol, id: RoleId, role: &Role, errors: &mut Vec<Diagnostic>) {
    let name = &role.name;
    let family = || (0..p.roles.len() as u32).map(RoleId).filter(|r| p.family(*r) == p.family(id));
    if role.sequencer {
        if role.part_of.is_none() {
            errors.push(
                Diagnostic::error("part", role.place.0, format!("sequencer `{name}` is a part of nothing"))
                    .help(format!(
                        "name the role whose partitions it leads: `role {name} of whole, sequencer;`"
                    )),
            );
        }
        if role.partitioned {
            errors.push(Diagnostic::error(
                "part",
                role.place.0,
                format!(
                    "sequencer `{name}` cannot be partitioned: an instance has one that decides the order"
                ),
            ));
        }
        if let Some(other) =
            family().find(|r| *r < id && p.role(*r).sequencer).filter(|_| role.part_of.is_some())
        {
            errors.push(
                Diagnostic::error(
                    "part",
                    role.place.0,
                    format!("`{name}` is a second sequencer of one role"),
                )
                .label(p.role(other).place.0, "the first"),
            );
        }
    }
    if role.shares_fate && !role.partitioned && family().count() == 1 {
        errors.push(
            Diagnostic::warning("part", role.place.0, format!("`{name}` shares its fate with nobody"))
                .help("it has no parts and no partitions: leave `shares fate` away"),
        );
    }
    let streams = |head: &Head| matches!(head, Head::Send { rel, .. } if p.relation(*rel).delivery.ordered);
    if role.held && !p.rules_of(id).any(|(_, rule)| streams(&rule.head)) {
        errors.push(
            Diagnostic::warning(
                "part",
                role.place.0,
                format!("`{name}` is held, but sends no ordered message"),
            )
            .help("what it sends waits for nothing: leave `held` away"),
        );
    }
}

/// Messages and requests.
fn input(relation: &Relation, role: &Role, errors: &mut Vec<Diagnostic>) {
    let (name, to) = (&relation.name, &role.name);
    match (&relation.routing, role.partitioned) {
        (None, true) => {
            let column = relation.columns.first().map_or("column", |c| c.name.as_str());
            errors.push(
                Diagnostic::error(
                    "routing",
                    relation.place.0,
                    format!("an instance of `{to}` has several nodes: say which of them takes `{name}`"),
                )
                .label(role.place.0, "partitioned here")
                .help(format!("`routed by {column}`, `routed to number` or, for a message, `routed to all`")),
            );
        }
        (Some(_), false) => errors.push(needless(relation, role)),
        (Some(Routing::All), true) if matches!(relation.kind, RelationKind::Request(_)) => errors.push(
            Diagnostic::error(
                "routing",
                relation.place.0,
                format!("request `{name}` is taken by one node: it cannot be routed to all"),
            )
            .help("route it by a column, and let the node that takes it tell the others in a message"),
        ),
        _ => {}
    }
}

/// Tables and vars.
fn table(relation: &Relation, role: &Role, errors: &mut Vec<Diagnostic>) {
    let name = &relation.name;
    if relation.replicated && !role.sequencer {
        errors.push(
            Diagnostic::error(
                "part",
                relation.place.0,
                format!("`{name}` is replicated, but `{}` is no sequencer", role.name),
            )
            .label(role.place.0, "declared here")
            .help(format!(
                "only what a sequencer holds has copies: `role {} of whole, sequencer;`",
                role.name
            )),
        );
    }
    let Some(routing) = &relation.routing else { return };
    if !role.partitioned {
        errors.push(needless(relation, role));
    }
    let (Routing::By(e) | Routing::To(e)) = routing else { return };
    let key = relation.key.unwrap_or(relation.columns.len());
    if let Some(column) = relation.columns[key..].iter().find(|c| e.vars.contains(&c.name)) {
        errors.push(
            Diagnostic::error(
                "routing",
                place(e),
                format!("`{name}` cannot be routed by `{}`, which is no part of its key", column.name),
            )
            .label(column.place.0, "a value: two rows of one key would lie in two partitions")
            .help("route by columns of the key"),
        );
    }
}

fn needless(relation: &Relation, role: &Role) -> Diagnostic {
    let at = match &relation.routing {
        Some(Routing::By(e) | Routing::To(e)) => place(e),
        _ => relation.place.0,
    };
    Diagnostic::error(
        "routing",
        at,
        format!("`{}` is routed, but an instance of `{}` is one node", relation.name, role.name),
    )
    .label(role.place.0, "not partitioned")
    .help(format!("declare `role {}, partitioned;` or leave the routing away", role.name))
}

/// Where an expression stands.
fn place(e: &Expr) -> Span {
    e.place.0
}
