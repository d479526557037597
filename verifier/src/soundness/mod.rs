//! Whether rewrites are sound, tried out: pairs of programs, one made from the other, are compared in exhaustive small
//! scopes and by random runs.
//!
//! [`pairs`] are the breaking programs of the preconditions, written by hand: each is a rewrite that leaves one item
//! of a precondition out and must be found to differ, next to right ones that must match. [`campaign`] takes
//! pairs from a function of a seed (a generator with a rewriter behind it), so that this crate knows no rewriter,
//! and makes those that differ small.

pub mod campaign;
pub mod pairs;

#[cfg(test)]
mod tests;
