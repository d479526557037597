//! What a rewrite answers: the new protocol and why it may stand for the old one, or why not.

use anabranch_dsl::diag::Diagnostic;
use anabranch_dsl::ir::{Protocol, RuleId};
use std::fmt;

/// A rewrite's answer.
pub type Outcome = Result<Rewritten, Box<Refusal>>;

/// A rewritten protocol.
#[derive(Clone, Debug)]
pub struct Rewritten {
    /// The new protocol: complete, ready to be printed and checked again.
    pub protocol: Protocol,
    /// Why it may stand for the old one.
    pub justification: Justification,
}

/// One item of a rewrite's precondition, as numbered in the rewrite's documentation: `functional.one-atom`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Item {
    /// The rewrite: `functional`.
    pub rewrite: &'static str,
    /// The item: `one-atom`.
    pub name: &'static str,
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.rewrite, self.name)
    }
}

/// Why a rewrite holds.
#[derive(Clone, Debug, Default)]
pub struct Justification {
    /// What was done, in one line: `functional: split announcer off coordinator`.
    pub title: String,
    /// Every item of the precondition, with what establishes it.
    pub established: Vec<Evidence>,
    /// What was taken on trust.
    pub assumptions: Vec<Assumption>,
}

/// What establishes one item of a precondition.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// The item.
    pub item: Item,
    /// In words.
    pub because: String,
    /// The rules of the *old* protocol that it rests on.
    pub rules: Vec<RuleId>,
}

/// What cannot be proved from the rules, and must be true for the rewrite to be right.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Assumption {
    /// A function named in rules has no effects and depends on its arguments alone.
    Pure {
        /// The function's path as written.
        function: String,
    },
    /// Columns of a relation determine the others, over all time.
    Key {
        /// The relation.
        relation: String,
        /// The determining columns, by name.
        columns: Vec<String>,
        /// What it is needed for.
        because: String,
    },
    /// Anything else, in words.
    Other(String),
}

impl fmt::Display for Assumption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Assumption::Pure { function } => write!(f, "`{function}` is pure"),
            Assumption::Key { relation, columns, because } => {
                write!(f, "`{relation}` has one row for each ({}), ever: {because}", columns.join(", "))
            }
            Assumption::Other(text) => f.write_str(text),
        }
    }
}

/// Why a rewrite does not hold, or could not be shown to.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The item of the precondition that fails.
    pub item: Item,
    /// The report: primary place on the rule that prevents it, notes on the other rules involved, and what would help.
    pub diagnostic: Diagnostic,
}
