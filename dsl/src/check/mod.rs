//! Checks of a resolved protocol, each a diagnostic that names every rule involved.
//!
//! Errors: events and state ([`events`]), aggregates and look-ups ([`aggregates`]), stratification
//! ([`cycles`]), keys ([`keys`]), ghost state ([`ghosts`]), parts and
//! partitions ([`scale`]). Warnings: [`lints`] on rules that may not mean
//! what was intended, [`unused`] on what is never read or written, [`requests`] on requests that may be lost,
//! [`endless`] on macro-steps that never end.
//!
//! What needs types or names (unknown relations, arity, unbound variables, operators that do not suit) was
//! found before, in [`crate::resolve`].

pub mod aggregates;
pub mod cycles;
pub mod endless;
pub mod events;
pub mod ghosts;
pub mod keys;
pub mod lints;
pub mod requests;
pub mod scale;
pub mod unused;
pub mod walk;

use crate::diag::Diagnostic;
use crate::ir::Protocol;

/// Runs all checks. `whole` says that nothing was left out because of earlier errors: checks that look at
/// the whole program (what is unused, what is lost) would otherwise report consequences of those.
pub fn check(protocol: &Protocol, whole: bool, errors: &mut Vec<Diagnostic>) {
    events::check(protocol, errors);
    aggregates::check(protocol, errors);
    cycles::check(protocol, errors);
    keys::check(protocol, errors);
    ghosts::check(protocol, errors);
    scale::check(protocol, errors);
    lints::check(protocol, errors);
    if whole {
        unused::check(protocol, errors);
        requests::check(protocol, errors);
        endless::check(protocol, errors);
    }
}
