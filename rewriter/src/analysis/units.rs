//! What the rewrites whose facts cross in units (state machine, asymmetric) ask of a role. What to say of it is theirs.

use super::sides::{Crossing, Sides, Way, local_head};
use super::walk;
use anabranch_dsl::ir::{Head, Hole, Place, RelId, RelationKind, RuleId};
use std::collections::BTreeSet;

/// A relation that crosses as state, which units do not carry.
pub fn level<'a>(s: &'a Sides<'_>) -> Option<&'a Crossing> {
    s.crossings.iter().find(|c| c.way == Way::Level)
}

/// What a rule writes, if a restart finds it again.
pub fn durable_head(s: &Sides<'_>, id: RuleId) -> Option<RelId> {
    let head = local_head(s.p, s.rule(id))?;
    // What is asked of a machine by `save` changes nothing of it.
    let machine = s.p.machines.iter().any(|m| m.durable && [m.feed, m.load].contains(&head));
    let table = s.relation(head).durable && !s.relation(head).ghost;
    (machine || table).then_some(head)
}

/// Where a rule reads the clock.
pub fn clock(s: &Sides<'_>, id: RuleId) -> Option<Place> {
    let exprs = walk::exprs(s.rule(id)).into_iter();
    exprs
        .map(|e| (e, walk::holes(e)))
        .find(|(_, h)| h.iter().any(|h| matches!(h, Hole::NowMs)))
        .map(|(e, _)| e.place)
}

/// Whether a rule takes effect at once and has one of these events.
pub fn driven(s: &Sides<'_>, events: &BTreeSet<RelId>, id: RuleId) -> bool {
    let rule = s.rule(id);
    matches!(rule.head, Head::Now { .. })
        && walk::mentions(rule).iter().any(|m| m.drives(s.p) && events.contains(&m.rel))
}

/// Events that hold only in the first tick of a macro-step: inputs, timers, and those of which each rule is `right`, given
/// the events known so far.
pub fn first_tick(s: &Sides<'_>, right: impl Fn(&BTreeSet<RelId>, RuleId) -> bool) -> BTreeSet<RelId> {
    let input = |r: &RelId| {
        matches!(
            s.relation(*r).kind,
            RelationKind::Message | RelationKind::Request(_) | RelationKind::Timer(_)
        )
    };
    let mut out: BTreeSet<RelId> = s.relations.keys().copied().filter(input).collect();
    loop {
        let more: Vec<RelId> = s
            .relations
            .keys()
            .copied()
            .filter(|r| !out.contains(r) && matches!(s.relation(*r).kind, RelationKind::Event))
            .filter(|r| {
                let rules = walk::writers(s.p, *r);
                !rules.is_empty() && rules.iter().all(|id| right(&out, *id))
            })
            .collect();
        if more.is_empty() {
            return out;
        }
        out.extend(more);
    }
}
