//! Asymmetric decoupling (section 7): the half that feeds the other waits until the other has taken what it was fed.
//!
//! Where the functional and monotone rewrites let facts cross and arrive whenever they like, here the receiving half may be
//! order-sensitive, have inputs of its own, count, negate and forget: what a tick of the feeding half sends to anybody
//! leaves only when the other half has taken that tick's facts. Which half feeds follows from the cut: either the new part
//! feeds what stays (a collector that moves out), or what stays feeds the new part (two-phase commit's ender).
//!
//! **Precondition.**
//!
//! | item | asks |
//! |---|---|
//! | `independent` | the half that feeds reads nothing that the other derives |
//! | `level` | no state crosses: only events, and edges evaluated where they are derived |
//! | `first-tick` | what crosses does so in the first tick of a macro-step: the other half may take an input of its own before what crosses later |
//! | `kept` | the half that feeds has nothing durable and tells the application nothing: a unit that a crash takes is a tick that never was |
//! | `clock` | it does not read `now_ms()`: its ticks are placed later than they were |
//! | `ordered` | it sends nothing else that is ordered, and is not held already |
//! | `general` | it only accumulates and maps; otherwise the plan says `general = true` (below) |
//! | `heads`, `stream`, `event-driven`, `ends`, `start`, `draws` | as for every decoupling ([`crate::common`]) |
//!
//! Inputs that both halves read are taken by the half that feeds, and cross.
//!
//! **Mechanism.** All that crosses in a tick is a unit of an `ordered` stream; the other half takes one unit in a
//! macro-step and acknowledges it in the same tick. The half that feeds is `held`: what a tick sends waits for the
//! acknowledgements of all units up to and including its own. Both share fate, so streams begin anew with each incarnation.
//!
//! **Argument.** Push the feeding half's macro-step down to the tick in which the other half took its unit; one without a
//! unit to the one before, or its own time if that is later. Its outputs had not left, since they waited for
//! that tick; its inputs are merely taken later; its own order is kept, since units are taken in order; the other half's
//! own inputs stay where they are. It reads nothing of the other half, so it does the same there. Since nothing crosses
//! in the later ticks of its macro-step, those come after the unit's tick with the other half's, as in the original.
//!
//! The published precondition also wants the feeding half monotone or functional. The argument does not use that, and no
//! search of ours has found a need; but until somebody proves it, such a half must be asked for by `general = true`,
//! and the plan's header says so under what was taken on trust.

use crate::analysis::accumulate::Growing;
use crate::analysis::walk::{self, Form};
use crate::analysis::{Against, Cone, Side, Sides, Way, units};
use crate::common;
use crate::cut::Cut;
use crate::functional;
use crate::verdict::{Assumption, Evidence, Item, Outcome};
use anabranch_dsl::ir::{Head, Literal, Protocol, RelId, RelationKind, RuleId, Version};
use std::collections::BTreeSet;

/// The rewrite's name in items.
pub const NAME: &str = "asymmetric";

/// Splits off a part, one half of which waits for the other. `general` admits a feeding half that forgets, replaces or
/// negates.
pub fn asymmetric(p: &Protocol, cut: &Cut, general: bool) -> Outcome {
    let sides = sides(p, cut).map_err(|why| why.refuse(NAME))?;
    crate::carried_out(p, cut, NAME, &sides, |s, _: &Cone| check(s, general))
}

/// The half that feeds is the one that reads nothing of the other: what stays if that can be said of both.
fn sides<'p>(p: &'p Protocol, cut: &Cut) -> Result<Sides<'p>, Against> {
    let one_way = |s: &Sides<'_>| s.crossings.iter().all(|c| c.to != s.up);
    let stays = Sides::streamed(p, cut, Side::Stays)?;
    if one_way(&stays) {
        return Ok(stays);
    }
    let moves = Sides::streamed(p, cut, Side::Moves)?;
    Ok(if one_way(&moves) { moves } else { stays })
}

fn check(s: &Sides<'_>, general: bool) -> Result<crate::Shown, Against> {
    let mut established = common::check(s, NAME)?;
    let item = |name| Item { rewrite: NAME, name };
    functional::upstream(s)?;
    levels(s)?;
    let feeds: Vec<RuleId> = s.rules_on(s.up).collect();
    for id in &feeds {
        kept(s, *id)?;
        clock(s, *id)?;
        ordered(s, *id)?;
    }
    first_ticks(s)?;
    let mut assumptions: Vec<Assumption> = common::functions(s, feeds.clone())
        .into_iter()
        .map(|function| Assumption::Pure { function })
        .collect();
    let how = match feeds.iter().try_for_each(|id| accumulates(s, *id)) {
        Ok(()) => "the half that feeds only accumulates and maps",
        Err(why) if !general => return Err(why),
        Err(_) => {
            assumptions.push(Assumption::Other(
                "the half that feeds need not be monotone, since its units are taken in order and its outputs wait \
                 for them (asked for by `general`)"
                    .into(),
            ));
            "asked for: the half that feeds forgets, replaces or negates"
        }
    };
    let said = [
        ("independent", "the half that feeds reads nothing of the other"),
        ("level", "no state crosses"),
        ("first-tick", "what crosses does so in the first tick of a macro-step"),
        ("kept", "the half that feeds has nothing durable"),
        ("clock", "and reads no clock"),
        ("ordered", "and sends nothing else that is ordered"),
        ("general", how),
    ];
    established.extend(said.map(|(name, because)| Evidence {
        item: item(name),
        because: because.into(),
        rules: feeds.clone(),
    }));
    Ok(crate::Shown { established, assumptions })
}

fn levels(s: &Sides<'_>) -> Result<(), Against> {
    match units::level(s) {
        None => Ok(()),
        Some(c) => Err(Against::new("level", c.place, format!("`{}` crosses as state", s.name(c.rel)))
            .here("read here")
            .help("move it too, or let an event carry what is read")),
    }
}

fn kept(s: &Sides<'_>, id: RuleId) -> Result<(), Against> {
    let Some(head) = units::durable_head(s, id) else { return Ok(()) };
    Err(Against::new(
        "kept",
        s.rule(id).place,
        format!("`{}` is durable, and a crash may take the unit of the tick that wrote it", s.name(head)),
    )
    .here("written by the half that feeds the other")
    .help("let the half that is fed keep it"))
}

fn clock(s: &Sides<'_>, id: RuleId) -> Result<(), Against> {
    match units::clock(s, id) {
        None => Ok(()),
        Some(place) => Err(Against::new("clock", place, "this tick counts as later than it was")
            .here("reads the clock")
            .help("let whoever sends the input read the time")),
    }
}

fn ordered(s: &Sides<'_>, id: RuleId) -> Result<(), Against> {
    let rule = s.rule(id);
    match &rule.head {
        Head::Send { rel, .. } if s.relation(*rel).delivery.ordered => Err(Against::new(
            "ordered",
            rule.place,
            format!("`{}` is ordered, and would wait for another stream", s.name(*rel)),
        )
        .here("sent by the half that feeds the other")
        .help("leave it with the half that is fed")),
        _ => Ok(()),
    }
}

/// What crosses does so in the first tick of a macro-step.
fn first_ticks(s: &Sides<'_>) -> Result<(), Against> {
    let events = units::first_tick(s, |events, id| first(s, events, id));
    for c in s.crossings.iter().filter(|c| c.to != s.up) {
        let rules = c.rules.iter().map(|id| s.rule(*id));
        let edges: Vec<&[Literal]> = rules
            .flat_map(|r| r.body.iter())
            .filter(|l| walk::body_mentions(std::slice::from_ref(*l)).iter().any(|m| m.rel == c.rel))
            .map(std::slice::from_ref)
            .collect();
        let right = match &c.way {
            Way::Event => events.contains(&c.rel),
            Way::Edge(_) | Way::Join(_) => {
                let reader = *c.rules.first().expect("an edge is read by rules");
                edges.iter().all(|body| first_edge(s, &events, reader, body))
            }
            Way::Level => false,
        };
        if !right {
            let mut why = Against::new(
                "first-tick",
                c.place,
                format!("`{}` may cross in a later tick of a macro-step", s.name(c.rel)),
            )
            .here("read here, where an input may have been taken since its first tick");
            if let Some(id) = functional::written_at(s, c.rel) {
                why = why.label(s.rule(id).place, "derived here");
            }
            return Err(why.help("derive it from inputs, timers and what they alone make true, without `<+`"));
        }
    }
    Ok(())
}

/// A rule that takes effect at once, and has an event of a first tick.
fn first(s: &Sides<'_>, events: &BTreeSet<RelId>, id: RuleId) -> bool {
    let rule = s.rule(id);
    let edge = || rule.body.iter().any(|l| first_edge(s, events, id, std::slice::from_ref(l)));
    units::driven(s, events, id) || matches!(rule.head, Head::Now { .. }) && edge()
}

/// An edge that only first ticks can bring. What it reads grows in first ticks alone: deletions make nothing true that
/// holds of more and more rows.
fn first_edge(s: &Sides<'_>, events: &BTreeSet<RelId>, id: RuleId, literal: &[Literal]) -> bool {
    let mut growing = Growing::new(s);
    growing.harmless =
        s.rules.keys().copied().filter(|id| matches!(s.rule(*id).head, Head::Delete { .. })).collect();
    let inside: &[Literal] = match literal {
        [Literal::NewJoin(body, _)] => body,
        [Literal::Atom(atom)] if atom.version == Version::New && !atom.negated => literal,
        _ => return false,
    };
    if growing.body(id, inside).is_err() || growing.edge(id, literal).is_err() {
        return false;
    }
    let (mut seen, mut todo) = (BTreeSet::new(), Vec::new());
    todo.extend(walk::body_mentions(inside).iter().map(|m| m.rel));
    while let Some(rel) = todo.pop() {
        if s.is_static(rel) || !seen.insert(rel) {
            continue;
        }
        let view = matches!(s.relation(rel).kind, RelationKind::View);
        for id in walk::writers(s.p, rel) {
            let rule = s.rule(id);
            if view {
                todo.extend(walk::body_mentions(&rule.body).iter().map(|m| m.rel));
            } else if !matches!(rule.head, Head::Delete { .. }) && !units::driven(s, events, id) {
                return false;
            }
        }
    }
    true
}

/// A rule of a half that is monotone or maps: no deletion, no `<+`, no negation, no exact count.
fn accumulates(s: &Sides<'_>, id: RuleId) -> Result<(), Against> {
    let rule = s.rule(id);
    let not = |place, what: &str| {
        Err(Against::new("general", place, format!("the half that feeds the other {what}"))
            .here("here")
            .help("nothing is known against it: say `general = true` in the plan's step"))
    };
    match &rule.head {
        Head::Delete { .. } => return not(rule.place, "forgets"),
        Head::Next { .. } => return not(rule.place, "defers or replaces"),
        _ => {}
    }
    for m in s.reads(id) {
        match m.form {
            Form::Lookup => return not(m.place, "looks up an exact value"),
            Form::Atom { negated: true, .. } => return not(m.place, "negates"),
            Form::Atom { version: Version::Old, .. } => return not(m.place, "reads the past"),
            Form::Atom { .. } => {}
        }
    }
    Ok(())
}
