//! Events and state: who may read which version of what, and which rules need an event.

use super::walk::{atoms, body_exprs, exprs, holes, lookups};
use crate::diag::Diagnostic;
use crate::ir::{AggregateFn, Atom, Head, Hole, Literal, Protocol, Relation, RelationKind, Rule, Version};
use crate::resolve::describe;

/// Checks all rules, timers and invariants.
pub fn check(p: &Protocol, errors: &mut Vec<Diagnostic>) {
    for rule in &p.rules {
        versions(p, &rule.body, errors);
        let in_view = matches!(&rule.head, Head::Now { rel, .. } if matches!(p.relation(*rel).kind, RelationKind::View));
        if in_view {
            only_state(p, rule, errors);
        } else {
            needs_event(p, rule, errors);
        }
        if let (Head::Now { .. }, false) = (&rule.head, has_event(p, &rule.body))
            && atoms(&rule.body).is_empty()
        {
            errors.push(Diagnostic::error("no-atom", rule.place.0, "this rule reads nothing").help(
                "a body needs an atom; a value that always holds is a `param` or the first value of a `var`",
            ));
        }
    }
    for relation in &p.relations {
        if let RelationKind::Timer(timer) = &relation.kind {
            versions(p, &timer.rows, errors);
            if !timer.rows.is_empty() && atoms(&timer.rows).is_empty() {
                errors.push(
                    Diagnostic::error(
                        "no-atom",
                        relation.place.0,
                        format!("the rows of timer `{}` read nothing", relation.name),
                    )
                    .help("`while` needs an atom; leave it away for a timer that always runs"),
                );
            }
            state_body(p, &timer.rows, &format!("the rows of timer `{}`", relation.name), relation, errors);
        }
    }
    for invariant in &p.invariants {
        for (atom, joined) in atoms(&invariant.body) {
            let relation = p.relation(atom.rel);
            if relation.is_event() {
                errors.push(
                    Diagnostic::error(
                        "invariant",
                        atom.place.0,
                        format!("`{}` is {}: an invariant is about state", relation.name, describe(relation)),
                    )
                    .help("keep what it needs in a `ghost table`"),
                );
            } else if joined || atom.version != Version::Now {
                errors.push(Diagnostic::error(
                    "invariant",
                    atom.place.0,
                    "an invariant reads neither `old` nor `new`",
                ));
            }
        }
        if !atoms(&invariant.body).iter().any(|(a, _)| !a.negated) {
            errors.push(Diagnostic::error(
                "invariant",
                invariant.place.0,
                "an invariant needs an atom that is not negated",
            ));
        }
    }
}

/// Whether some positive part of a body is an event.
pub fn has_event(p: &Protocol, body: &[Literal]) -> bool {
    body.iter().any(|literal| match literal {
        Literal::Atom(a) => is_driver(p, a),
        Literal::NewJoin(..) => true,
        _ => false,
    })
}

/// Whether an atom is a positive event. `old` of an event is a mistake of its own.
pub fn is_driver(p: &Protocol, atom: &Atom) -> bool {
    !atom.negated && (atom.version == Version::New || p.relation(atom.rel).is_event())
}

/// `old`, `new` and machine parts where they mean something.
fn versions(p: &Protocol, body: &[Literal], errors: &mut Vec<Diagnostic>) {
    for (atom, joined) in atoms(body) {
        let relation = p.relation(atom.rel);
        let name = &relation.name;
        match relation.kind {
            RelationKind::MachineFeed(_) | RelationKind::MachineSave(_) | RelationKind::MachineLoad(_) => {
                let base = name.split('.').next().unwrap_or(name);
                errors.push(
                    Diagnostic::error("misplaced", atom.place.0, format!("`{name}` is a machine's input: it stands only in heads"))
                        .help(format!("a machine is read with `{base}.done(slot, output)`, `{base}.next(n)` and `{base}.saved(tag, n, image)`")),
                );
                continue;
            }
            _ => {}
        }
        if relation.is_event() {
            let word = if joined || atom.version == Version::New { "new" } else { "old" };
            if joined {
                errors.push(
                    Diagnostic::error(
                        "new-join",
                        atom.place.0,
                        format!("`{name}` is {}: inside `new (..)` only state can stand", describe(relation)),
                    )
                    .label(relation.place.0, "declared here")
                    .help("move the event outside of the parentheses"),
                );
            } else if atom.version != Version::Now {
                let help = if word == "new" {
                    "an event is new by itself: leave `new` away"
                } else {
                    "an event lasts for one tick: keep it in a table to read it later"
                };
                errors.push(
                    Diagnostic::error(
                        "misplaced",
                        atom.place.0,
                        format!("`{name}` is {}: it has no `{word}`", describe(relation)),
                    )
                    .label(relation.place.0, "declared here")
                    .help(help),
                );
            }
        } else if let (RelationKind::Instances(_), Version::New) = (&relation.kind, atom.version) {
            errors.push(Diagnostic::error(
                "misplaced",
                atom.place.0,
                format!("the instances of `{name}` never change, so this never happens"),
            ));
        }
    }
}

/// A view reads state only.
fn only_state(p: &Protocol, rule: &Rule, errors: &mut Vec<Diagnostic>) {
    let Some(head) = rule.head.relation() else { return };
    let view = p.relation(head);
    state_body(p, &rule.body, &format!("view `{}`", view.name), view, errors);
    for expr in crate::strata::head_exprs(&rule.head) {
        for (rel, _, place) in lookups(expr) {
            if p.relation(rel).is_event() {
                errors.push(view_reads(&format!("view `{}`", view.name), p.relation(rel), place.0, view));
            }
        }
    }
    for expr in exprs(rule) {
        for hole in holes(expr) {
            if let Some((word, place)) = tick_bound(hole, expr) {
                errors.push(
                    Diagnostic::error(
                        "needs-event",
                        place,
                        format!("`{word}` depends on the tick, so view `{}` cannot use it", view.name),
                    )
                    .label(rule.place.0, "in this rule of a view")
                    .help("derive an event or a table from an event instead"),
                );
            }
        }
    }
}

fn state_body(p: &Protocol, body: &[Literal], what: &str, of: &Relation, errors: &mut Vec<Diagnostic>) {
    for literal in body {
        match literal {
            Literal::Atom(atom) => {
                let relation = p.relation(atom.rel);
                if relation.is_event() {
                    errors.push(view_reads(what, relation, atom.place.0, of));
                } else if atom.version != Version::Now {
                    let word = if atom.version == Version::Old { "old" } else { "new" };
                    errors.push(
                        Diagnostic::error(
                            "view",
                            atom.place.0,
                            format!("{what} cannot read `{word}`: it is about the present state"),
                        )
                        .label(of.place.0, "declared here")
                        .help(format!("derive an event: `event e(..) <= {word} {}(..), ..`", relation.name)),
                    );
                }
            }
            Literal::NewJoin(_, place) => errors.push(
                Diagnostic::error(
                    "view",
                    place.0,
                    format!("{what} cannot read `new`: it is about the present state"),
                )
                .label(of.place.0, "declared here"),
            ),
            _ => {}
        }
    }
    for expr in body_exprs(body) {
        for (rel, _, place) in lookups(expr) {
            if p.relation(rel).is_event() {
                errors.push(view_reads(what, p.relation(rel), place.0, of));
            }
        }
        if matches!(of.kind, RelationKind::Timer(_)) {
            for hole in holes(expr) {
                if let Some((word, place)) = tick_bound(hole, expr) {
                    errors.push(Diagnostic::error(
                        "needs-event",
                        place,
                        format!("`{word}` depends on the tick, so {what} cannot use it"),
                    ));
                }
            }
        }
    }
}

fn view_reads(what: &str, read: &Relation, span: proc_macro2::Span, of: &Relation) -> Diagnostic {
    let view = matches!(of.kind, RelationKind::View);
    Diagnostic::error(
        "view",
        span,
        format!("{what} cannot read `{}`: it is {}, and lasts for one tick", read.name, describe(read)),
    )
    .label(of.place.0, "declared here")
    .label(read.place.0, format!("`{}` is declared here", read.name))
    .help(if view {
        "declare an `event` instead of a view, or keep what has happened in a table"
    } else {
        "keep what has happened in a table"
    })
}

/// The holes that take a value from the tick.
fn tick_bound(hole: &Hole, expr: &crate::ir::Expr) -> Option<(&'static str, proc_macro2::Span)> {
    match hole {
        Hole::Unique => Some(("unique()", expr.place.0)),
        Hole::NowMs => Some(("now_ms()", expr.place.0)),
        Hole::Random => Some(("random()", expr.place.0)),
        Hole::Aggregate(a) => match a.function {
            AggregateFn::Choose => Some(("choose(..)", a.place.0)),
            AggregateFn::Index | AggregateFn::IndexBy => Some(("index(..)", a.place.0)),
            _ => None,
        },
        Hole::Lookup { .. } => None,
    }
}

/// Heads that happen, and expressions that take a value from the tick, need an event.
fn needs_event(p: &Protocol, rule: &Rule, errors: &mut Vec<Diagnostic>) {
    if has_event(p, &rule.body) {
        return;
    }
    let why = match &rule.head {
        Head::Now { rel, .. } => {
            let relation = p.relation(*rel);
            match relation.kind {
                RelationKind::Table | RelationKind::Var(_) => None,
                _ => {
                    Some(format!("`{}` is {}, so its rule needs an event", relation.name, describe(relation)))
                }
            }
        }
        Head::Next { .. } => Some("a rule with `<+` needs an event".to_string()),
        Head::Delete { .. } => Some("a rule with `<-` needs an event".to_string()),
        Head::Send { .. } => Some("a rule that sends needs an event".to_string()),
        Head::Reply { .. } | Head::Refuse { .. } | Head::Redirect { .. } => {
            Some("a rule that answers needs an event".to_string())
        }
        Head::Nothing => Some("an `on` block needs an event".to_string()),
    };
    if let Some(why) = why {
        let mut error =
            Diagnostic::error("missing-event", rule.place.0, format!("{why}, but its body is only state"));
        if let Some((atom, _)) =
            atoms(&rule.body).into_iter().find(|(a, _)| a.negated && p.relation(a.rel).is_event())
        {
            error = error.label(atom.place.0, "that something does not happen is no event");
        }
        let positive: Vec<&Atom> = atoms(&rule.body)
            .into_iter()
            .map(|(a, _)| a)
            .filter(|a| !a.negated && !matches!(p.relation(a.rel).kind, RelationKind::Instances(_)))
            .collect();
        if let Some(atom) = positive.first() {
            let name = &p.relation(atom.rel).name;
            error = error.label(atom.place.0, format!("`{name}` is {}", describe(p.relation(atom.rel))));
            error = if positive.len() > 1 {
                error.help("write `new (a, b)` around the atoms that must become true, for the moment in which they first all hold")
            } else {
                error.help(format!("write `new {name}(..)` for the moment in which it becomes true"))
            };
        } else {
            error = error.help("a message, request, timer, `event` or `new r(..)` makes a rule happen");
        }
        errors.push(error);
        return;
    }
    for expr in exprs(rule) {
        for hole in holes(expr) {
            if let Some((word, place)) = tick_bound(hole, expr) {
                errors.push(
                    Diagnostic::error("needs-event", place, format!("`{word}` needs an event in the body"))
                        .label(
                            rule.place.0,
                            "without one, this rule holds again in every tick, with another value",
                        ),
                );
            }
        }
    }
}
