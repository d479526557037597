//! Random soundness of the rewriter: small random programs, every rewrite that claims to hold, and the result compared
//! with the original ([`anabranch_verifier::equivalence`]).
//!
//! [`program`] makes programs that are near the rewrites' preconditions, since a rewriter that refuses everything
//! proves nothing; [`pairs`] asks the rewriter for all cuts and keys of a program, alone and in compositions, and
//! says how many it accepted.
//!
//! It stands apart because the verifier knows no rewriter, and the rewriter runs nothing.

#![allow(clippy::arc_with_non_send_sync)]

pub mod items;
pub mod pairs;
pub mod program;
