//! Partial partitioning, with sealing: what has no key is held by a sequencer, a part of the role, and copied to the
//! partitions; a change of it is decided while all of them are frozen.
//!
//! **Precondition** (items as refusals name them), after the sections on partial partitioning and on sealing:
//! - `independent`: the sequencer's rules read nothing that lies in partitions; `keyed-event`: and no input that
//!   carries the key writes what the sequencer has. `static`: nor do they read tables that are alike everywhere.
//! - every item of [co-hashing](crate::cohash) for the rest, where what the sequencer has counts as alike everywhere.
//! - `outputs`: what a rule sends that an event of the sequencer triggers tells the key of what it reads, or is
//!   *sealed*: `sealing.aggregate` (`count`, `sum`, `min`, `max`; what is counted tells the key), `sealing.keyless`,
//!   `sealing.head`, `sealing.trigger`, `sealing.lookup`.
//! - `replicated`, `deferred`: what partitions read of the sequencer is in tables that only grow, and a step takes one
//!   tick: the sequencer neither deletes, nor replaces, nor defers.
//! - `view`: partitions compare with copies in rules that have an event. A copy is brought anew after a crash, and a
//!   view over it would become new again.
//! - `durable`: a step writes nothing durable at the partitions, deletions by `forget` excepted: a crash between the
//!   decision and its application would keep half of a tick.
//! - `timer`: the sequencer's timers lead to nothing that partitions notice; those of the partitions repeat.
//! - `negated`, `ordered`, `machine`, `start`, `invariant`, `needless`: cases that are not treated.
//!
//! **Mechanism**: see [`build`]; all of it is rules of the language, so that evaluators and checks know nothing of it.
//! Sealing differs from the published form: the parts go to the sequencer, which sends the whole, rather than to the
//! receivers. That costs a message more where it is rare, and leaves receivers as they are.
//!
//! **Why it is right.** Put each decision into the original where it happens at the sequencer: a tick that takes all
//! the inputs that waited. Ticks of a partition before it answered `frozen` saw the state before, and those after it
//! thawed the state after; in between it takes nothing, and what it does when it applies the step belongs to the
//! decision's own tick and to those that follow it at once: the copies are as at the decision, and its own state as
//! then, since it was frozen. Inputs are taken later, never earlier; outputs of a step leave later, never earlier.
//! A step's own effects come before what was kept, in ticks of their own. Inputs of the sequencer that partitions
//! cannot notice need no step. A step begins when all partitions have applied the one before, so nothing overtakes.
//!
//! **Crashes.** Sequencer and partitions share fate: copies, marks and what is kept are volatile, and what was kept
//! was in flight. What a partition answers with `frozen` is durable there, and a decision is durable before it leaves,
//! so the durable state is one that a single node could have left.

mod build;
mod check;
mod divide;
#[cfg(test)]
mod tests;

use crate::routing::Key;
use crate::verdict::{Item, Outcome, Refusal, Rewritten};
use anabranch_dsl::diag::Diagnostic;
use anabranch_dsl::ir::{Protocol, RoleId};
use divide::Division;

/// Partitions a role by a key, with a sequencer of the given name for what has no key.
pub fn partial(p: &Protocol, role: RoleId, key: &str, sequencer: &str) -> Outcome {
    let d = divide(p, role, key)?;
    let justification = check::check(p, role, &d)?;
    let protocol = build::build(p, role, &d, sequencer).map_err(|e| failed(p, role, e))?;
    Ok(Rewritten { protocol, justification })
}

/// The same without asking whether it is right, for tests that must find out that it is not.
#[doc(hidden)]
pub fn force_partial(
    p: &Protocol,
    role: RoleId,
    key: &str,
    sequencer: &str,
) -> Result<Protocol, Box<Refusal>> {
    let d = divide(p, role, key)?;
    build::build(p, role, &d, sequencer).map_err(|e| failed(p, role, e))
}

fn divide(p: &Protocol, role: RoleId, key: &str) -> Result<Division, Box<Refusal>> {
    let r = p.role(role);
    let item = |name| Item { rewrite: "partial", name };
    if r.partitioned || r.sequencer {
        let diagnostic =
            Diagnostic::error("partial", r.place.0, format!("`{}` is partitioned already", r.name))
                .help("to change the key, partition the original");
        return Err(Box::new(Refusal { item: item("once"), diagnostic }));
    }
    Division::of(p, role, &Key::parse(p, role, key)).ok_or_else(|| {
        let message = format!("no relation of `{}` can be routed by `{key}`", r.name);
        let diagnostic = Diagnostic::error("partial", r.place.0, message)
            .help("a key is a column, `relation.column` or `relation by expression`");
        Box::new(Refusal { item: item("key"), diagnostic })
    })
}

fn failed(p: &Protocol, role: RoleId, error: String) -> Box<Refusal> {
    let place = p.role(role).place;
    let diagnostic = Diagnostic::error("partial", place.0, format!("the result is no protocol: {error}"))
        .help("this may be a fault of the rewriter: please report it with the protocol");
    Box::new(Refusal { item: Item { rewrite: "partial", name: "checks" }, diagnostic })
}
