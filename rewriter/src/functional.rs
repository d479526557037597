//! Functional decoupling (section 3): downstream maps one fact at a time.
//!
//! **Precondition.**
//!
//! | item | asks |
//! |---|---|
//! | `independent` | what stays reads nothing that the part derives |
//! | `one-atom` | a rule of the cone reads one fact that crosses or comes of one that did, and nothing else that changes |
//! | `pure` | it neither aggregates nor draws values nor reads the clock |
//! | `head` | it derives an event, a message or an answer; no timer's rows depend on what crosses |
//! | `ordered` | no head of the cone is an `ordered` message |
//! | `same-facts` | facts of one tick that differ give different messages, or the receivers take repeats alike |
//! | `answers` | no other rule answers the same request, unless both say the same or both in the tick that takes it ([`crate::analysis::answers`]) |
//! | `durable` | what crosses into durable tables does not meet emptied ones after a crash ([`crate::analysis::fate`]) |
//! | `heads`, `stream`, `event-driven`, `ends`, `start`, `clock`, `draws` | as for every decoupling ([`crate::common`]) |
//!
//! **Mechanism.** Events cross, and `new r(..)` evaluated upstream; the part keeps nothing of them.
//!
//! **Argument.** Pull the part's step for a crossing fact up into the tick that sent it. A map reads nothing else, so it
//! gives the same facts, earlier; what leaves earlier in the original is no loss. Equal facts that melt in one tick of the
//! part stem from different ticks of the original, whose receivers may take them in one tick.
//! The other direction needs `same-facts`, which the notes on rewrites lack: two facts of *one* tick that a map makes
//! equal leave the original once, and the part perhaps twice.
//! ```text
//! f(x, y) <= m(x, y);   out(x) @ c <~ f(x, y);      // the cut between them
//! ```
//! The rest of the part reads its own inputs only: it is mutually independent of everything else.

use crate::analysis::repeats::{self, Facts};
use crate::analysis::{Against, Cone, Side, Sides, answers, local_head, maps, walk};
use crate::common;
use crate::cut::Cut;
use crate::verdict::{Assumption, Evidence, Item, Outcome};
use anabranch_dsl::ir::{Head, Literal, Protocol, RelId, RelationKind, RuleId};

/// The rewrite's name in items.
pub const NAME: &str = "functional";

/// Splits off a part that maps what crosses to it.
pub fn functional(p: &Protocol, cut: &Cut) -> Outcome {
    crate::decouple(p, cut, NAME, Side::Stays, check)
}

fn check(s: &Sides<'_>, cone: &Cone) -> Result<crate::Shown, Against> {
    let mut established = common::check(s, NAME)?;
    let item = |name| Item { rewrite: NAME, name };
    upstream(s)?;
    established.push(Evidence {
        item: item("independent"),
        because: "what stays reads nothing of the part".into(),
        rules: Vec::new(),
    });
    timers(s, cone)?;
    let rules: Vec<RuleId> = cone.rules.iter().chain(&cone.timed).copied().collect();
    let mut assumptions = Vec::new();
    for id in &rules {
        assumptions.extend(map(s, *id)?);
    }
    assumptions.extend(answers::check(s, &cone.rules, false)?);
    for name in ["one-atom", "pure", "head", "ordered", "same-facts", "answers"] {
        established.push(Evidence { item: item(name), because: said(name).into(), rules: rules.clone() });
    }
    assumptions.extend(
        common::functions(s, rules.iter().copied()).into_iter().map(|function| Assumption::Pure { function }),
    );
    Ok(crate::Shown { established, assumptions })
}

fn said(name: &str) -> &'static str {
    match name {
        "one-atom" => "each rule of the cone reads one fact",
        "pure" => "and computes from it alone",
        "head" => "into an event, a message or an answer",
        "ordered" => "that is no part of a stream",
        "answers" => "no other rule answers otherwise what the part answers",
        _ => "and tells different facts of a tick apart, or nobody minds repeats",
    }
}

/// What stays reads nothing of what moves. For asymmetric cuts, the other way round.
pub(crate) fn upstream(s: &Sides<'_>) -> Result<(), Against> {
    let Some(c) = s.crossings.iter().find(|c| c.to == s.up) else { return Ok(()) };
    let (half, other) = if s.up == Side::Stays { ("stays", "moves") } else { ("moves", "stays") };
    let mut why =
        Against::new("independent", c.place, format!("what {half} reads `{}`, which {other}", s.name(c.rel)))
            .here("read here");
    if let Some(id) = written_at(s, c.rel) {
        why = why.label(s.rule(id).place, format!("`{}` is derived here", s.name(c.rel)));
    }
    for rule in &c.rules {
        why = why.label(s.rule(*rule).place, format!("by a rule that {half}"));
    }
    Err(why.help("facts may cross in one direction only: move the reader too, or leave both"))
}

/// A rule that derives a relation.
pub(crate) fn written_at(s: &Sides<'_>, rel: RelId) -> Option<RuleId> {
    s.rules.keys().copied().find(|id| local_head(s.p, s.rule(*id)) == Some(rel))
}

fn timers(s: &Sides<'_>, cone: &Cone) -> Result<(), Against> {
    let on = |rel: &&RelId| {
        matches!(s.relation(**rel).kind, RelationKind::Timer(_)) && s.side(**rel) == Some(Side::Moves)
    };
    match cone.relations.iter().find(on) {
        None => Ok(()),
        Some(timer) => Err(Against::new(
            "head",
            s.relation(*timer).place,
            format!("the rows of timer `{}` depend on what crosses", s.name(*timer)),
        )
        .here("a part that keeps nothing has no such rows")
        .help("leave the timer upstream, or use the monotone rewrite")),
    }
}

/// Whether a rule of the cone is a map whose head may leave the part. Gives what must be assumed.
pub(crate) fn map(s: &Sides<'_>, id: RuleId) -> Result<Vec<Assumption>, Against> {
    let rule = s.rule(id);
    let source = maps::source(s, id)?;
    leaves(s, id)?;
    let facts = match (&rule.body[source.literal], source.atom) {
        (_, Some(atom)) => Facts::Atom(atom),
        (Literal::NewJoin(body, _), None) => Facts::Join(body),
        (other, None) => unreachable!("a map reads an atom or a join, not {other:?}"),
    };
    told_apart(s, id, facts)
}

/// The head is an event, a message outside of streams, or an answer.
pub(crate) fn leaves(s: &Sides<'_>, id: RuleId) -> Result<(), Against> {
    let rule = s.rule(id);
    let wrong = match &rule.head {
        Head::Now { rel, .. } | Head::Next { rel, .. } => {
            let to = s.relation(*rel);
            if !matches!(to.kind, RelationKind::Event) {
                Some("keeps what crosses")
            } else if to.durable {
                Some("tells the application, in the order of the ticks")
            } else {
                None
            }
        }
        Head::Delete { .. } => Some("deletes"),
        _ => None,
    };
    if let Some(what) = wrong {
        return Err(Against::new("head", rule.place, format!("a map keeps nothing, and this rule {what}"))
            .here("derived from what crosses")
            .help("leave this rule upstream, or use the monotone rewrite"));
    }
    stream(s, id)
}

/// No head of the cone feeds a stream.
pub(crate) fn stream(s: &Sides<'_>, id: RuleId) -> Result<(), Against> {
    let rule = s.rule(id);
    if let Head::Send { rel, .. } = &rule.head
        && s.relation(*rel).delivery.ordered
    {
        return Err(Against::new(
            "ordered",
            rule.place,
            format!("`{}` is ordered: its units are the ticks of the half that stays", s.name(*rel)),
        )
        .here("sent from other ticks")
        .help("leave this rule upstream, or use the state-machine rewrite"));
    }
    Ok(())
}

/// The item `same-facts`: from which facts a message comes, and which other rules send it in the same tick.
pub(crate) fn told_apart(s: &Sides<'_>, id: RuleId, facts: Facts<'_>) -> Result<Vec<Assumption>, Against> {
    // Rules on own inputs have ticks of their own, which the original may part from this one.
    apart_from(s, id, facts, |other| s.rules[&other] == Side::Moves && !depends(s, other))
}

/// The same, where some rules are known to fire in other ticks.
pub(crate) fn apart_from(
    s: &Sides<'_>,
    id: RuleId,
    facts: Facts<'_>,
    elsewhen: impl Fn(RuleId) -> bool,
) -> Result<Vec<Assumption>, Against> {
    let rule = s.rule(id);
    let head = match &rule.head {
        Head::Send { rel, .. } => *rel,
        Head::Now { rel, .. } | Head::Next { rel, .. } if s.relation(*rel).is_event() => *rel,
        // State is a set, and the first answer counts.
        _ => return Ok(Vec::new()),
    };
    let next = matches!(rule.head, Head::Next { .. });
    if !next && repeats::harmless(s.p, head) {
        return Ok(Vec::new());
    }
    repeats::melts(s, rule, facts)?;
    let mut out = Vec::new();
    for other in repeats::rivals(s, id) {
        if elsewhen(other) {
            continue;
        }
        let (a, b) = (id.min(other), id.max(other));
        let text = |id: RuleId| anabranch_dsl::print::rule_text(s.p, s.rule(id));
        out.push(Assumption::Other(format!(
            "no tick gives the same `{}` by `{}` and by `{}`",
            s.name(head),
            text(a),
            text(b)
        )));
    }
    Ok(out)
}

fn depends(s: &Sides<'_>, id: RuleId) -> bool {
    let cone = Cone::of(s);
    walk::mentions(s.rule(id)).iter().any(|m| cone.relations.contains(&m.rel))
}
