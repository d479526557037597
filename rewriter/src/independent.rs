//! Mutually independent decoupling (section 2): the halves share nothing.
//!
//! **Precondition.**
//!
//! | item | asks |
//! |---|---|
//! | `nothing-crosses` | neither half reads what the other derives, timers' rows included |
//! | `own-inputs` | no message, request or timer is read by both |
//! | `heads`, `stream`, `event-driven`, `ends`, `start`, `clock`, `draws` | as for every decoupling ([`crate::common`]) |
//!
//! **Mechanism.** The part's inputs are redirected to it; nothing is sent between the halves.
//!
//! **Argument.** Every tick of a half becomes a tick of the whole at the same moment, in which the other half has no
//! event and therefore does nothing. Deletion, negation and aggregates are unrestricted.
//!
//! The notes on rewrites let a timer that both read be copied. That is wrong: in the original one firing moves both
//! halves, so a client that has seen the one half's effect sees the other's too; the copies fire apart.
//! `docs/soundness.md` has the program.

use crate::analysis::{Against, Cone, Side, Sides};
use crate::common;
use crate::cut::Cut;
use crate::verdict::{Evidence, Item, Outcome};
use anabranch_dsl::ir::{Protocol, RelationKind};

/// The rewrite's name in items.
pub const NAME: &str = "independent";

/// Splits off a part that shares nothing with the rest of its role.
pub fn independent(p: &Protocol, cut: &Cut) -> Outcome {
    crate::decouple(p, cut, NAME, Side::Stays, check)
}

fn check(s: &Sides<'_>, _: &Cone) -> Result<crate::Shown, Against> {
    let mut shown = common::check(s, NAME)?;
    own_inputs(s)?;
    if let Some(c) = s.crossings.first() {
        let there = if c.to == Side::Moves { "stays" } else { "moves" };
        let by = crate::functional::written_at(s, c.rel);
        let mut why = Against::new(
            "nothing-crosses",
            c.place,
            format!("`{}` {there}, and the other half reads it", s.name(c.rel)),
        )
        .here("read by the other half");
        if let Some(id) = by {
            why = why.label(s.rule(id).place, "derived here");
        }
        return Err(why.help(
            "move what derives it too; or use the functional or monotone rewrite, which let facts cross",
        ));
    }
    let item = |name| Item { rewrite: NAME, name };
    shown.push(Evidence {
        item: item("nothing-crosses"),
        because: "neither half reads what the other derives".into(),
        rules: Vec::new(),
    });
    shown.push(Evidence {
        item: item("own-inputs"),
        because: "no input is read by both".into(),
        rules: Vec::new(),
    });
    Ok(crate::Shown { established: shown, assumptions: Vec::new() })
}

fn own_inputs(s: &Sides<'_>) -> Result<(), Against> {
    let Some(rel) = s.shared.iter().next() else { return Ok(()) };
    let relation = s.relation(*rel);
    let reader = |side: Side| s.rules_on(side).find(|id| s.reads(*id).iter().any(|m| m.rel == *rel));
    let place = reader(Side::Moves).map_or(relation.place, |id| s.rule(id).place);
    let mut why = Against::new("own-inputs", place, format!("both halves read `{}`", relation.name))
        .here("read by the half that moves");
    if let Some(id) = reader(Side::Stays) {
        why = why.label(s.rule(id).place, "read by the half that stays");
    }
    Err(why.help(match relation.kind {
        RelationKind::Timer(_) => "one firing moves both halves, and copies would fire apart: give each half a timer of its own, if the protocol stays right",
        _ => "let one half take it, and pass on what the other needs: the functional rewrite",
    }))
}
