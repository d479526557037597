//! Decoupling by echoes (section 5): the part hears, besides what crosses, only answers to it.
//!
//! A collector that counts votes only for what is open joins own events with a state that crosses. That is right if the
//! votes answer what the crossing fact has caused.
//!
//! **Precondition.**
//!
//! | item | asks |
//! |---|---|
//! | `independent` | what stays reads nothing that the part derives |
//! | `event` | one event crosses, and no state (what `forget` rules read aside); its key comes once, ever: assumed |
//! | `key` | columns of the event stand, equal, in every atom and every local head of every rule of the cone |
//! | `echo` | what the cone reads beyond itself and its timers are echoes ([`crate::analysis::echo`]) |
//! | `pure` | no rule of the cone draws values or reads the clock |
//! | `machine`, `ordered` | it feeds no machine and no stream |
//! | `same-facts` | as in [`crate::functional()`], of the rules that may fire in the tick of the crossing fact itself |
//! | `answers` | no other rule answers the same request, unless both say the same or both in the tick that takes it ([`crate::analysis::answers`]) |
//! | `durable`, `heads`, `stream`, `event-driven`, `ends`, `start`, `clock` | as for every decoupling |
//!
//! **Mechanism.** The event crosses; echoes are redirected to the part. Rules of the cone may delete, negate, replace and
//! count exactly.
//!
//! **Argument.** Until the fact for a key has crossed, nothing under that key reaches the part: in the original it waits
//! in its first state, its timers at rest. So the part's step for the fact may be pulled up to the tick that sent it.
//! From then on both do the same, and different keys never meet.

use crate::analysis::repeats::Facts;
use crate::analysis::{Against, Cone, Side, Sides, Way, answers, cone, echo as echoing, walk};
use crate::common;
use crate::cut::Cut;
use crate::functional;
use crate::verdict::{Assumption, Evidence, Item, Outcome};
use anabranch_dsl::ir::{Head, Literal, Protocol, RelationKind, RuleId};
use std::collections::BTreeSet;

/// The rewrite's name in items.
pub const NAME: &str = "echo";

/// Splits off a part that hears only answers to what crosses to it.
pub fn echo(p: &Protocol, cut: &Cut) -> Outcome {
    crate::decouple(p, cut, NAME, Side::Stays, check)
}

fn check(s: &Sides<'_>, cone: &Cone) -> Result<crate::Shown, Against> {
    let mut established = common::check(s, NAME)?;
    let item = |name| Item { rewrite: NAME, name };
    functional::upstream(s)?;
    let rules = echoing::bound_rules(s, cone);
    let event = event(s, &rules)?;
    if let Some(place) = echoing::drawn(s, &rules) {
        return Err(Against::new(
            "pure",
            place,
            "a value that is taken from the tick would be taken from another one",
        )
        .here("here")
        .help("let it cross in a column"));
    }
    if let Some(place) = echoing::lookup(s, &rules) {
        return Err(Against::new("key", place, "a look-up is not seen to be under the key")
            .here("looked up here")
            .help("join with an atom instead"));
    }
    for id in &rules {
        functional::stream(s, *id)?;
        let head = s.rule(*id).head.relation().map(|h| &s.relation(h).kind);
        if matches!(
            head,
            Some(RelationKind::MachineFeed(_) | RelationKind::MachineSave(_) | RelationKind::MachineLoad(_))
        ) {
            return Err(Against::new("machine", s.rule(*id).place, "a machine takes all keys in one order")
                .here("fed here")
                .help("leave the machine with what stays"));
        }
    }
    // Each column that holds everything together is part of the key.
    let columns = s.relation(event).columns.len();
    let found: Vec<Result<_, Against>> = (0..columns).map(|c| echoing::column(s, cone, event, c)).collect();
    let key: Vec<usize> = (0..columns).filter(|c| found[*c].is_ok()).collect();
    if key.is_empty() {
        return Err(found.into_iter().next().and_then(Result::err).unwrap_or_else(|| {
            Against::new("key", s.relation(event).place, format!("`{}` has no columns", s.name(event)))
                .help("give it a key")
        }));
    }
    let places: Vec<_> = found.into_iter().flatten().collect();
    let mut echoed = BTreeSet::new();
    for id in &rules {
        for m in s.reads(*id) {
            if cone.relations.contains(&m.rel) {
                continue;
            }
            if s.relation(m.rel).kind != RelationKind::Message {
                return Err(Against::new(
                    "echo",
                    m.place,
                    format!("`{}` does not come of what crosses", s.name(m.rel)),
                )
                .here("read by the part")
                .label(s.rule(*id).place, "in this rule")
                .help("let the half that stays read it, or let it be a message that answers the part"));
            }
            if echoed.insert(m.rel) {
                echoing::echoes(s, cone, m.rel, &places)
                    .map_err(|why| why.label(m.place, format!("`{}` is read here", s.name(m.rel))))?;
            }
        }
    }
    let early = echoing::early(s, cone, event);
    let mut assumptions = Vec::new();
    for id in rules.iter().filter(|id| echoing::fires_early(s, &early, **id)) {
        for facts in sources(s, *id) {
            // What waits for an echo or a timer has no row yet when the fact crosses.
            let later = |other: RuleId| {
                s.rules[&other] == Side::Moves
                    && !(cone.rules.contains(&other) && echoing::fires_early(s, &early, other))
            };
            assumptions.extend(functional::apart_from(s, *id, facts, later)?);
        }
    }
    forgets(s, cone)?;
    assumptions.extend(answers::check(s, &cone.rules, false)?);
    let names: Vec<String> = key.iter().map(|c| s.relation(event).columns[*c].name.clone()).collect();
    assumptions.push(Assumption::Key {
        relation: s.name(event).to_string(),
        columns: names.clone(),
        because: "what the part does for it begins once, at any instance and in any incarnation".into(),
    });
    assumptions.extend(
        common::functions(s, rules.iter().copied()).into_iter().map(|function| Assumption::Pure { function }),
    );
    let echoed: Vec<&str> = echoed.into_iter().map(|r| s.name(r)).collect();
    let said = [
        ("independent", "what stays reads nothing of the part".to_string()),
        ("event", format!("`{}` crosses, and nothing else", s.name(event))),
        ("key", format!("every rule of the part is about one ({})", names.join(", "))),
        (
            "echo",
            format!(
                "the part hears of {}, which answer it",
                if echoed.is_empty() { "nothing else".into() } else { echoed.join(", ") }
            ),
        ),
        ("pure", "nothing is drawn".to_string()),
        ("answers", "no other rule answers otherwise what the part answers".to_string()),
        ("same-facts", "what is sent at once tells the keys apart, or nobody minds repeats".to_string()),
    ];
    established.extend(said.map(|(name, because)| Evidence {
        item: item(name),
        because,
        rules: rules.clone(),
    }));
    Ok(crate::Shown { established, assumptions })
}

/// The one event that crosses.
fn event(s: &Sides<'_>, rules: &[RuleId]) -> Result<anabranch_dsl::ir::RelId, Against> {
    let read: Vec<_> = s
        .crossings
        .iter()
        .filter(|c| !c.timers.is_empty() || c.rules.iter().any(|r| rules.contains(r)))
        .collect();
    for c in &read {
        if c.way != Way::Event {
            return Err(Against::new("event", c.place, format!("`{}` crosses as state", s.name(c.rel)))
                .here("read here")
                .help("let an event cross, once for each key"));
        }
    }
    match read[..] {
        [one] => Ok(one.rel),
        [] => Err(Against::new("event", s.p.role(s.role).place, "nothing crosses")
            .help("a part that shares nothing is split off by the independent rewrite")),
        [first, second, ..] => {
            Err(Against::new("event", second.place, "two events cross, and may come in another order")
                .here("the second")
                .label(first.place, "the first")
                .help("let one event begin each key"))
        }
    }
}

/// What a rule takes its facts from, for whether they can be told apart.
fn sources<'p>(s: &Sides<'p>, id: RuleId) -> Vec<Facts<'p>> {
    let rule = s.rule(id);
    let drives =
        |l: &&'p Literal| walk::body_mentions(std::slice::from_ref(*l)).iter().any(|m| m.drives(s.p));
    let facts = rule.body.iter().filter(drives).filter_map(|l| match l {
        Literal::Atom(a) => Some(Facts::Atom(a)),
        Literal::NewJoin(body, _) => Some(Facts::Join(body)),
        _ => None,
    });
    facts.take(1).collect()
}

/// `forget` rules: one event, and nothing that is negated or exact from across.
fn forgets(s: &Sides<'_>, cone: &Cone) -> Result<(), Against> {
    for id in &cone.rules {
        let rule = s.rule(*id);
        if !matches!(rule.head, Head::Delete { forget: true, .. }) {
            continue;
        }
        let crossing = s.crossings.iter().filter(|c| c.to == cone::down(s) && c.rules.contains(id));
        let mut seen = 0;
        for c in crossing {
            seen += 1;
            if c.way == Way::Level || seen > 1 {
                return Err(Against::new(
                    "event",
                    c.place,
                    "a `forget` rule may read one event from across, and no state",
                )
                .here("read here")
                .label(rule.place, "in this rule")
                .help("join what it needs where it comes from"));
            }
        }
    }
    Ok(())
}
