//! Rewrites of protocols: splitting a role into parts and its instances into partitions, so that nobody outside can
//! tell the result from the original.
//!
//! A rewrite takes a checked [`Protocol`](anabranch_dsl::ir::Protocol) and gives another one with its
//! [`Justification`], or a [`Refusal`] that points at the rule that prevents it. The result is a protocol like any
//! other; nothing about it is remembered, and every precondition is checked afresh by the next rewrite.
//!
//! Not here: running anything. That a rewrite is right is argued in its file, and tested by the verifier.

pub mod cohash;
pub mod dependencies;
pub mod keys;
pub mod routing;
mod verdict;

pub use verdict::{Assumption, Evidence, Item, Justification, Outcome, Refusal, Rewritten};
