//! The cone of a cut: what depends on something that crosses. The rest depends on own inputs only.
//!
//! A rule whose only event is a timer counts as rest even if the rows of the timer are in the cone (section 5): the
//! original fires a row exactly when the rewritten protocol does. Whether such a rule reads nothing else of the cone is
//! for the rewrite to ask.

use super::sides::{Side, Sides};
use super::walk::Form;
use anabranch_dsl::ir::{Head, RelId, RelationKind, RuleId};
use std::collections::BTreeSet;

/// The downstream side of a cut, divided.
#[derive(Clone, Debug, Default)]
pub struct Cone {
    /// Relations that cross or depend on what crosses. Timers whose rows do are among them.
    pub relations: BTreeSet<RelId>,
    /// Rules that read one of those; rules of timers excepted.
    pub rules: BTreeSet<RuleId>,
    /// Rules whose only event is a timer whose rows are in the cone.
    pub timed: BTreeSet<RuleId>,
}

impl Cone {
    /// The cone of a cut on its downstream side.
    pub fn of(s: &Sides<'_>) -> Cone {
        let down = s.up.other();
        let mut cone = Cone::default();
        cone.relations.extend(s.crossings.iter().filter(|c| c.to == down).map(|c| c.rel));
        loop {
            let before = (cone.relations.len(), cone.rules.len(), cone.timed.len());
            for (rel, _) in s.relations.iter().filter(|(_, side)| **side == down) {
                if s.timer_reads(*rel).iter().any(|m| cone.relations.contains(&m.rel)) {
                    cone.relations.insert(*rel);
                }
                // A machine's outputs depend on all its inputs.
                if let Some(m) = s.p.machines.iter().find(|m| [m.done, m.next, m.saved].contains(rel))
                    && [m.feed, m.save, m.load].iter().any(|r| cone.relations.contains(r))
                {
                    cone.relations.insert(*rel);
                }
            }
            for id in s.rules_on(down) {
                let reads = s.reads(id);
                if !reads.iter().any(|m| cone.relations.contains(&m.rel)) {
                    continue;
                }
                if timer_of(s, id).is_some_and(|t| cone.relations.contains(&t)) {
                    cone.timed.insert(id);
                    continue;
                }
                cone.rules.insert(id);
                // Its author lets it see its events late or never, so what it deletes from is not the worse for it.
                if matches!(s.rule(id).head, Head::Delete { forget: true, .. }) {
                    continue;
                }
                if let Some(head) = super::sides::local_head(s.p, s.rule(id)) {
                    cone.relations.insert(head);
                }
            }
            if before == (cone.relations.len(), cone.rules.len(), cone.timed.len()) {
                return cone;
            }
        }
    }
}

/// The timer of a rule whose only event is one.
pub fn timer_of(s: &Sides<'_>, id: RuleId) -> Option<RelId> {
    let reads = s.reads(id);
    let mut events = reads.iter().filter(|m| m.drives(s.p));
    let first = events.next()?;
    let timer = matches!(s.relation(first.rel).kind, RelationKind::Timer(_))
        && matches!(first.form, Form::Atom { .. });
    (timer && events.next().is_none() && s.side(first.rel) == s.rules.get(&id).copied()).then_some(first.rel)
}

/// The side that a cone lies on.
pub fn down(s: &Sides<'_>) -> Side {
    s.up.other()
}
