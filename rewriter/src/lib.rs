//! Rewrites of protocols: splitting a role into parts and its instances into partitions, so that nobody outside can
//! tell the result from the original.
//!
//! A rewrite takes a checked [`Protocol`](anabranch_dsl::ir::Protocol) and gives another one with its
//! [`Justification`], or a [`Refusal`] that points at the rule that prevents it. The result is a protocol like any
//! other; nothing about it is remembered, and every precondition is checked afresh by the next rewrite. Its places are
//! those of its own canonical text (`print(&protocol)`).
//!
//! Decoupling moves some rules of a role into a part ([`Cut`]): [`independent()`], [`functional()`], [`monotone()`],
//! [`echo()`], [`state_machine()`], [`asymmetric()`], prepared by [`naming()`]. Each file states the precondition item by item, the mechanism, and why it holds.
//!
//! Not here: running anything. That a rewrite is right is argued in its file, and tested by the verifier.

// A reason against is large and made once.
#![allow(clippy::result_large_err)]

pub mod analysis;
pub mod asymmetric;
pub mod cohash;
mod common;
mod cut;
pub mod cuts;
mod decouple;
pub mod dependencies;
pub mod echo;
pub mod explain;
pub mod functional;
pub mod independent;
pub mod keys;
pub mod monotone;
pub mod naming;
pub mod partial;
pub mod plan;
pub mod routing;
pub mod split;
pub mod state_machine;
mod verdict;

#[cfg(test)]
mod tests;

pub use asymmetric::asymmetric;
pub use cut::{BadHead, Cut, Moved};
pub use cuts::{Explained, cuts, explain_role};
pub(crate) use decouple::{Shown, carried_out, decouple};
pub use echo::echo;
pub use functional::functional;
pub use independent::independent;
pub use monotone::monotone;
pub use naming::{Naming, naming};
pub use state_machine::state_machine;
pub use verdict::{Assumption, Evidence, Item, Justification, Outcome, Refusal, Rewritten};
