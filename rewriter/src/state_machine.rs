//! State-machine decoupling (section 6): the part sees whole ticks, in order, and nothing else.
//!
//! **Precondition.**
//!
//! | item | asks |
//! |---|---|
//! | `independent` | what stays reads nothing that the part derives |
//! | `level` | no state crosses: only events, and edges evaluated upstream |
//! | `sub-ticks` | what crosses does so in the first tick of a macro-step, or the part rests between units (below) |
//! | `kept` | the part has nothing durable, and tells the application nothing: units are lost with the incarnation |
//! | `answers` | no other rule answers the same request, unless both say the same or both in the tick that takes it ([`crate::analysis::answers`]) |
//! | `clock` | the part does not read `now_ms()`: its clock would be later than the tick that it belongs to |
//! | `ordered` | the part sends nothing ordered itself |
//! | `heads`, `stream`, `event-driven`, `ends`, `start`, `draws` | as for every decoupling ([`crate::common`]) |
//!
//! That the part has no inputs of its own is no precondition but mechanism: the half that stays takes them, and they
//! cross in the unit of the tick that took them. (An input of the part's own would overtake what it was caused by:
//! section 4.) Timers stay with the part.
//!
//! **Mechanism.** All that crosses in a tick is a unit of an `ordered` stream; the part takes one unit in a macro-step. The
//! parts share fate, so a stream begins anew with each incarnation.
//!
//! **Argument.** Pull the part's step for a unit up to the tick that sent it: same facts, same order, same batches, hence
//! the same state. A unit is a tick, not a macro-step, so the part takes the facts that it defers *before* the next
//! unit, where the original takes them *together with* what crosses in the next sub-tick. That cannot be told if
//! nothing crosses in later sub-ticks, or if such a tick without a unit does nothing but change tables: the part
//! defers no event, reads neither `new` nor `old`, and has no rule for a table without an event. Or it defers nothing at all.

use crate::analysis::walk::Form;
use crate::analysis::{Against, Cone, Side, Sides, Way, answers, units, walk};
use crate::common;
use crate::cut::Cut;
use crate::functional;
use crate::verdict::{Assumption, Evidence, Item, Outcome};
use anabranch_dsl::ir::{Head, Protocol, RuleId, Version};

/// The rewrite's name in items.
pub const NAME: &str = "state_machine";

/// Splits off a part that sees whole ticks in order.
pub fn state_machine(p: &Protocol, cut: &Cut) -> Outcome {
    let sides = Sides::relayed(p, cut, Side::Stays).map_err(|why| why.refuse(NAME))?;
    crate::carried_out(p, cut, NAME, &sides, check)
}

fn check(s: &Sides<'_>, cone: &Cone) -> Result<crate::Shown, Against> {
    let mut established = common::check(s, NAME)?;
    let item = |name| Item { rewrite: NAME, name };
    functional::upstream(s)?;
    levels(s)?;
    let moved: Vec<RuleId> = s.rules_on(Side::Moves).collect();
    for id in &moved {
        keeps(s, *id)?;
        clock(s, *id)?;
        functional::stream(s, *id)?;
    }
    let why = sub_ticks(s, &moved)?;
    answers::check(s, &cone.rules, true)?;
    let said = [
        ("independent", "what stays reads nothing of the part"),
        ("level", "no state crosses"),
        ("sub-ticks", why),
        ("kept", "nothing durable lies in the part"),
        ("clock", "the part reads no clock"),
        ("answers", "no rule that stays answers otherwise what the part answers"),
        ("ordered", "the part sends nothing ordered"),
    ];
    established.extend(said.map(|(name, because)| Evidence {
        item: item(name),
        because: because.into(),
        rules: moved.clone(),
    }));
    let assumptions =
        common::functions(s, moved).into_iter().map(|function| Assumption::Pure { function }).collect();
    Ok(crate::Shown { established, assumptions })
}

fn levels(s: &Sides<'_>) -> Result<(), Against> {
    match units::level(s) {
        None => Ok(()),
        Some(c) => Err(Against::new("level", c.place, format!("`{}` crosses as state", s.name(c.rel)))
            .here("read here")
            .help("move it too, or join it upstream into an event")),
    }
}

fn keeps(s: &Sides<'_>, id: RuleId) -> Result<(), Against> {
    let Some(head) = units::durable_head(s, id) else { return Ok(()) };
    Err(Against::new(
        "kept",
        s.rule(id).place,
        format!("`{}` is durable, and a unit that a crash takes would be missing in it", s.name(head)),
    )
    .here("written in the part")
    .help("leave what is durable with the half that stays"))
}

fn clock(s: &Sides<'_>, id: RuleId) -> Result<(), Against> {
    match units::clock(s, id) {
        None => Ok(()),
        Some(place) => {
            Err(Against::new("clock", place, "the part takes a unit later than the tick that it comes from")
                .here("reads the clock")
                .help("read the time upstream, and let it cross in a column"))
        }
    }
}

/// Which of the three ways makes a unit of one tick enough.
fn sub_ticks(s: &Sides<'_>, moved: &[RuleId]) -> Result<&'static str, Against> {
    let defers = |id: &&RuleId| matches!(s.rule(**id).head, Head::Next { .. } | Head::Delete { .. });
    let Some(deferring) = moved.iter().find(defers) else {
        return Ok("the part defers nothing");
    };
    let first = units::first_tick(s, |events, id| units::driven(s, events, id));
    let late =
        s.crossings.iter().find(|c| c.to == Side::Moves && !(c.way == Way::Event && first.contains(&c.rel)));
    let Some(late) = late else {
        return Ok("what crosses does so in the first tick of a macro-step");
    };
    let restless = |place, what: &str, help: &str| {
        Err(Against::new("sub-ticks", place, "the part would tell apart what it defers and what crosses in the next tick of the same macro-step")
            .here(what)
            .label(s.rule(*deferring).place, "the part defers here")
            .label(late.place, format!("`{}` may cross in a later tick of a macro-step", s.name(late.rel)))
            .help(help))
    };
    for id in moved {
        let rule = s.rule(*id);
        if let Head::Next { rel, .. } = &rule.head
            && s.relation(*rel).is_event()
        {
            return restless(rule.place, "it defers an event", "let a message to itself carry it");
        }
        for m in s.reads(*id).iter().filter(|m| s.side(m.rel) == Some(Side::Moves)) {
            match m.form {
                Form::Atom { version: Version::New, .. } | Form::Atom { joined: true, .. } => {
                    return restless(
                        m.place,
                        "it waits for something to become true",
                        "let what crosses make it happen",
                    );
                }
                Form::Atom { version: Version::Old, .. } => {
                    return restless(m.place, "it reads what the tick began with", "read the present");
                }
                _ => {}
            }
        }
        if let Head::Now { rel, .. } = &rule.head
            && s.relation(*rel).is_table()
            && !walk::mentions(rule).iter().any(|m| m.drives(s.p))
        {
            return restless(rule.place, "a table that follows other state", "make it a view");
        }
    }
    Ok("the part does nothing between units but change tables")
}
