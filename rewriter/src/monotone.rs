//! Monotone decoupling (section 5): downstream only accumulates what crosses.
//!
//! **Precondition.** What stays is independent of the part, and every rule of the cone is of one kind:
//!
//! | kind | body | head |
//! |---|---|---|
//! | map | as in [`crate::functional()`] | as there |
//! | store | one fact that crosses or comes of one | a table that only grows |
//! | join | state that only grows, positive; thresholds of counts | a table that only grows, or a view |
//! | edge | `new r` alone, r of the kind that a join reads | an event, message or answer; a table that only grows |
//! | timer | one timer, whose rows only grow, and the rest of the part | anything |
//! | forgetting | as in [`crate::analysis::forget`], or a `forget` rule with one crossing event | |
//!
//! | item | asks |
//! |---|---|
//! | `independent` | what stays reads nothing that the part derives |
//! | `own-event` | no cone rule joins an event of the part's own with state that crosses (section 4) |
//! | `one-atom`, `pure`, `head`, `ordered`, `same-facts` | of maps, as there; of stores and edges too |
//! | `edge-alone` | an edge is not joined with other state: the facts may come in another order |
//! | `negation`, `lookup`, `old`, `aggregate` | nothing reads the absence or the exact contents of what crosses |
//! | `replaces`, `forgets` | nothing that is read loses or replaces rows, harmless deletions aside |
//! | `ceiling`, `exported-count`, `exported-lattice` | counts and lattices are tested upwards, not told |
//! | `timer` | a timer's rule reads of the cone only the rows that fired |
//! | `machine` | no machine is fed by what crosses |
//! | `answers` | no other rule answers the same request, unless both say the same or both in the tick that takes it ([`crate::analysis::answers`]) |
//! | `durable` | section 12 ([`crate::analysis::fate`]) |
//! | `heads`, `stream`, `event-driven`, `ends`, `start`, `clock`, `draws` | as for every decoupling ([`crate::common`]) |
//!
//! **Mechanism.** Events cross, edges evaluated upstream, and state as insertions, kept by the part.
//!
//! **Argument.** Let the original take the ticks of what stays, the part's own inputs and its timers' firings when the
//! rewritten protocol does; it sees crossing facts at once. The rest evolves alike. Facts of the cone are there no later
//! than in the part and never vanish, so each edge fires once in both, in the original not later. A timer's row fires in
//! the original exactly when it does in the part: it is there already.
//!
//! `forget` rules may see their event late, so late they are; but what they delete from no longer only grows.

use crate::analysis::accumulate::{Growing, Growth};
use crate::analysis::forget::{Forgetting, forgetting};
use crate::analysis::repeats::Facts;
use crate::analysis::walk::Form;
use crate::analysis::{Against, Cone, Side, Sides, Way, answers, cone, maps, walk};
use crate::common;
use crate::cut::Cut;
use crate::functional;
use crate::verdict::{Assumption, Evidence, Item, Outcome};
use anabranch_dsl::ir::{Head, Literal, Protocol, RelId, RelationKind, RuleId, Version};
use std::collections::BTreeMap;

/// The rewrite's name in items.
pub const NAME: &str = "monotone";

/// Splits off a part that accumulates what crosses to it.
pub fn monotone(p: &Protocol, cut: &Cut) -> Outcome {
    crate::decouple(p, cut, NAME, Side::Stays, check)
}

fn check(s: &Sides<'_>, cone: &Cone) -> Result<crate::Shown, Against> {
    let mut established = common::check(s, NAME)?;
    let item = |name| Item { rewrite: NAME, name };
    let mut say =
        |name, because: String, rules| established.push(Evidence { item: item(name), because, rules });
    functional::upstream(s)?;
    say("independent", "what stays reads nothing of the part".into(), Vec::new());

    let forgetting = forgetting(s, &cone.relations);
    let mut growing = Growing::new(s);
    growing.harmless = forgetting.rules.clone();
    growing.answers = forgetting.answers.clone();
    growing.because = forgetting.against.clone();
    let mut kinds: BTreeMap<&'static str, Vec<RuleId>> = BTreeMap::new();
    let mut assumptions = forgetting.assumptions.clone();
    for id in &cone.rules {
        let (kind, more) = kind(s, cone, &forgetting, &mut growing, *id)?;
        kinds.entry(kind).or_default().push(*id);
        assumptions.extend(more);
    }
    for id in &cone.timed {
        timed(s, cone, &mut growing, *id)?;
        kinds.entry("timer").or_default().push(*id);
    }
    for (n, c) in s.crossings.iter().enumerate().filter(|(_, c)| c.way == Way::Level) {
        let _ = n;
        level(s, &mut growing, c.rel)
            .map_err(|why| why.label(c.place, "it crosses as state, because it is read here"))?;
    }
    machines(s, cone)?;
    assumptions.extend(answers::check(s, &cone.rules, false)?);
    say("answers", "no other rule answers otherwise what the part answers".into(), Vec::new());
    for (kind, rules) in kinds {
        say(kind, format!("{} rules of the cone are of this kind", rules.len()), rules);
    }
    let rules = cone.rules.iter().chain(&cone.timed).copied();
    assumptions.extend(common::functions(s, rules).into_iter().map(|function| Assumption::Pure { function }));
    Ok(crate::Shown { established, assumptions })
}

/// State may cross as insertions if it only grows, row by row.
fn level(s: &Sides<'_>, growing: &mut Growing<'_, '_>, rel: RelId) -> Result<(), Against> {
    match growing.relation(rel)? {
        Growth::Rows => Ok(()),
        Growth::Count => Err(Against::new(
            "exported-count",
            s.relation(rel).place,
            format!("the values of `{}` pass through steps that the original skips", s.name(rel)),
        )
        .here("a count crosses")
        .help("test it where it is counted, and let the threshold cross")),
    }
}

type Kind = (&'static str, Vec<Assumption>);

fn kind(
    s: &Sides<'_>,
    cone: &Cone,
    forgetting: &Forgetting,
    growing: &mut Growing<'_, '_>,
    id: RuleId,
) -> Result<Kind, Against> {
    let rule = s.rule(id);
    if let Head::Delete { forget, .. } = &rule.head {
        if *forget {
            return forgets(s, cone, growing, id).map(|()| ("forget", Vec::new()));
        }
        return match forgetting.against.get(&id) {
            Some(why) => Err(why.clone()),
            None if forgetting.rules.contains(&id) => Ok(("forgetting", Vec::new())),
            None => Err(Against::new(
                "forgets",
                rule.place,
                "what crosses makes this delete rows of the part's own",
            )
            .here("deleted at another moment than in the original")
            .help("a `forget` rule may be late; other deletions must be spent or answered")),
        };
    }
    if crate::analysis::local_head(s.p, rule).is_some_and(|h| forgetting.answers.contains(&h)) {
        return Ok(("answer", Vec::new()));
    }
    let reads = s.reads(id);
    let drivers: Vec<_> = reads.iter().filter(|m| m.drives(s.p)).collect();
    if drivers.is_empty() {
        return join(s, growing, id).map(|()| ("join", Vec::new()));
    }
    // An edge of state that the part has or keeps: `new r`, and the joins that do not cross as a whole.
    let edge = |m: &&&walk::Mention<'_>| !s.relation(m.rel).is_event() && !crosses_as_event(s, id, m);
    if drivers.iter().all(|m| edge(&m)) {
        return edged(s, growing, id);
    }
    if let Some(m) = drivers.iter().find(|m| !cone.relations.contains(&m.rel)) {
        let with = reads.iter().find(|r| cone.relations.contains(&r.rel)).map_or(rule.place, |r| r.place);
        return Err(Against::new(
            "own-event",
            with,
            "an event of the part's own may come before what has crossed, though it was caused by it",
        )
        .here("this crosses, or depends on what does")
        .label(m.place, format!("`{}` comes to the part by itself", s.name(m.rel)))
        .help("let the half that stays take the event too, and join there; or let the event be an echo of what crosses"));
    }
    stored(s, forgetting, growing, id)
}

/// Whether `new ..` is evaluated upstream.
fn crosses_as_event(s: &Sides<'_>, id: RuleId, m: &walk::Mention<'_>) -> bool {
    let side = s.rules[&id];
    if s.side(m.rel) == Some(side) {
        return false;
    }
    match m.form {
        Form::Atom { joined: true, .. } => s.rule(id).body.iter().any(|l| {
            s.crossing_join(l, side)
                .is_some_and(|_| walk::body_mentions(std::slice::from_ref(l)).iter().any(|i| i.rel == m.rel))
        }),
        Form::Atom { version: Version::New, .. } => true,
        _ => false,
    }
}

/// A map, or one fact that is kept.
fn stored(
    s: &Sides<'_>,
    forgetting: &Forgetting,
    growing: &mut Growing<'_, '_>,
    id: RuleId,
) -> Result<Kind, Against> {
    let rule = s.rule(id);
    let table = match &rule.head {
        Head::Now { rel, .. } | Head::Next { rel, .. } if s.relation(*rel).is_table() => *rel,
        Head::Now { rel, .. }
            if matches!(
                s.relation(*rel).kind,
                RelationKind::MachineFeed(_) | RelationKind::MachineSave(_) | RelationKind::MachineLoad(_)
            ) =>
        {
            return Err(machine(s, id));
        }
        _ => return functional::map(s, id).map(|a| ("map", a)),
    };
    growing.relation(table).map_err(|why| why.label(rule.place, "what crosses is kept by this rule"))?;
    // A storing rule may leave out what is spent already.
    let spent = |l: &Literal| match (l, forgetting.spent.get(&table)) {
        (Literal::Atom(a), Some(spent)) if a.negated && a.rel == spent.by && a.version == Version::Now => {
            let args = anabranch_dsl::strata::head_exprs(&rule.head);
            spent.key.iter().zip(&spent.by_key).all(|(k, b)| {
                matches!((&args[*k].var, &a.args[*b]), (Some(v), anabranch_dsl::ir::Pattern::Var(w)) if *v == w.name)
            }) && a.args.len() == spent.by_key.len()
        }
        _ => false,
    };
    if rule.body.iter().any(spent) {
        let mut bare = s.p.clone();
        bare.rules[id.index()].body.retain(|l| !spent(l));
        let sides = Sides { p: &bare, ..s.clone() };
        maps::source(&sides, id).map_err(|why| why.label(rule.place, "in this rule"))?;
    } else {
        maps::source(s, id)?;
    }
    Ok(("store", Vec::new()))
}

fn join(s: &Sides<'_>, growing: &mut Growing<'_, '_>, id: RuleId) -> Result<(), Against> {
    let rule = s.rule(id);
    maps_only_counts(s, id)?;
    growing.body(id, &rule.body)?;
    if let Some(m) = walk::mentions(rule).into_iter().find(|m| m.form == Form::Lookup && !s.is_static(m.rel))
    {
        return Err(Against::new(
            "lookup",
            m.place,
            format!("a look-up in `{}` says what is there now", s.name(m.rel)),
        )
        .here("looked up here")
        .help("join with an atom instead"));
    }
    if let Head::Now { rel, .. } = &rule.head {
        growing.relation(*rel).map_err(|why| why.label(rule.place, "what crosses is kept by this rule"))?;
    }
    Ok(())
}

/// Drawn values and the clock have no place in what is derived again and again.
fn maps_only_counts(s: &Sides<'_>, id: RuleId) -> Result<(), Against> {
    if walk::aggregates(s.rule(id)) { Ok(()) } else { maps::pure(s, id) }
}

fn edged(s: &Sides<'_>, growing: &mut Growing<'_, '_>, id: RuleId) -> Result<Kind, Against> {
    let rule = s.rule(id);
    maps::pure(s, id)?;
    let mut facts = None;
    for literal in &rule.body {
        let inside: Vec<_> = walk::body_mentions(std::slice::from_ref(literal))
            .into_iter()
            .filter(|m| !s.is_static(m.rel))
            .collect();
        let Some(first) = inside.first() else { continue };
        let (driver, found) = match literal {
            Literal::NewJoin(body, _) => (true, Some(Facts::Join(body))),
            Literal::Atom(a) => (first.drives(s.p), Some(Facts::Atom(a))),
            _ => (false, None),
        };
        if !driver || facts.is_some() {
            let item = match first.form {
                Form::Atom { negated: true, .. } => "negation",
                Form::Lookup => "lookup",
                _ => "edge-alone",
            };
            return Err(Against::new(
                item,
                first.place,
                format!("this happens once, and `{}` may arrive later", s.name(first.rel)),
            )
            .here("read beside the edge")
            .label(rule.place, "in this rule")
            .help("name the join: `view both(..) <= ..`, and let `new both(..)` make it happen, or `new (.., ..)`"));
        }
        facts = found;
    }
    if let Some(m) = walk::mentions(rule)
        .into_iter()
        .skip(walk::body_mentions(&rule.body).len())
        .find(|m| !s.is_static(m.rel))
    {
        return Err(Against::new(
            "lookup",
            m.place,
            format!("`{}` may arrive later than this happens", s.name(m.rel)),
        )
        .here("looked up here")
        .help("name the join, and let `new` of it make it happen"));
    }
    growing.body(id, &rule.body)?;
    growing.edge(id, &rule.body)?;
    match &rule.head {
        Head::Now { rel, .. } | Head::Next { rel, .. } if s.relation(*rel).is_table() => {
            growing.relation(*rel)?;
            Ok(("edge", Vec::new()))
        }
        Head::Now { rel, .. }
            if matches!(
                s.relation(*rel).kind,
                RelationKind::MachineFeed(_) | RelationKind::MachineSave(_) | RelationKind::MachineLoad(_)
            ) =>
        {
            Err(machine(s, id))
        }
        _ => {
            functional::leaves(s, id)?;
            let facts = facts.expect("an edge has a driver");
            Ok(("edge", functional::told_apart(s, id, facts)?))
        }
    }
}

fn forgets(s: &Sides<'_>, cone: &Cone, growing: &mut Growing<'_, '_>, id: RuleId) -> Result<(), Against> {
    let rule = s.rule(id);
    let mut event = None;
    for m in s.reads(id).into_iter().filter(|m| cone.relations.contains(&m.rel)) {
        if m.drives(s.p) && !matches!(m.form, Form::Atom { joined: true, .. }) {
            if event.is_some() {
                return Err(Against::new(
                    "one-atom",
                    m.place,
                    "two events that cross may come of different ticks",
                )
                .here("a second one")
                .label(rule.place, "in this rule")
                .help("join them where they come from"));
            }
            event = Some(m);
        } else {
            growing.relation(m.rel).map_err(|why| why.label(m.place, "read by a `forget` rule"))?;
        }
    }
    match event {
        Some(_) => Ok(()),
        None => {
            Err(Against::new("own-event", rule.place, "state that crosses may come too late to forget by")
                .here("this rule has an event of the part's own")
                .help("let what crosses be its event"))
        }
    }
}

fn timed(s: &Sides<'_>, cone: &Cone, growing: &mut Growing<'_, '_>, id: RuleId) -> Result<(), Against> {
    let rule = s.rule(id);
    let timer = cone::timer_of(s, id).expect("a timer's rule has a timer");
    let RelationKind::Timer(rows) = &s.relation(timer).kind else { unreachable!("a timer") };
    growing
        .body(id, &rows.rows)
        .map_err(|why| why.label(s.relation(timer).place, "the rows of this timer"))?;
    for m in s.reads(id) {
        if m.rel == timer || !cone.relations.contains(&m.rel) {
            continue;
        }
        return Err(Against::new(
            "timer",
            m.place,
            format!("`{}` may hold less here than in the original when the timer fires", s.name(m.rel)),
        )
        .here("read beside the timer")
        .label(rule.place, "in this rule")
        .help("give the timer the columns that the rule needs, so that its row tells them"));
    }
    if let Some(head) = crate::analysis::local_head(s.p, rule)
        && cone.relations.contains(&head)
    {
        growing.relation(head).map_err(|why| why.label(rule.place, "a timer writes it"))?;
    }
    functional::stream(s, id)
}

fn machine(s: &Sides<'_>, id: RuleId) -> Against {
    Against::new("machine", s.rule(id).place, "a machine fed by what crosses answers by what has arrived")
        .here("fed here")
        .help("leave the machine with what feeds it, or use the state-machine rewrite")
}

fn machines(s: &Sides<'_>, cone: &Cone) -> Result<(), Against> {
    for id in &cone.rules {
        let feeds = s.rule(*id).head.relation().is_some_and(|h| {
            matches!(
                s.relation(h).kind,
                RelationKind::MachineFeed(_) | RelationKind::MachineSave(_) | RelationKind::MachineLoad(_)
            )
        });
        if feeds {
            return Err(machine(s, *id));
        }
    }
    Ok(())
}
