//! History checkers: whether what clients saw fits what they were promised.
//!
//! | promise | checker | operations |
//! |---|---|---|
//! | linearizability | [`linear::check`] | those of a [`Model`], see [`models`] |
//! | serializability, strict or not | [`serial::check`] | transactions, see [`txn`] |
//! | read atomicity | [`atomic::read_atomic`] | transactions |
//! | session guarantees | [`session::check`] | transactions (of one read or write, mostly) |
//! | atomic commitment | [`commit::atomic_commit`] | `vote`, `decide`, `commit` |
//!
//! A verdict is *ok*, *violated* with an explanation that names the operations, or *undecided*, when the budget
//! ran out or the history does not say enough. Undecided is never ok.
//!
//! Operations of a history are told as `[index] process name(arguments) -> answer`; the index is that of the
//! invocation's event.
//!
//! A protocol has its own vocabulary; [`History::project`] translates it.
//!
//! ```
//! use anabranch_verifier::check::{linear, models::Builtin};
//! use anabranch_verifier::history::lanes;
//!
//! let history = lanes::read("
//! 0: [write 1] [write 2]
//! 1:                     [read -> some(1)]").unwrap();
//! let verdict = linear::check(&Builtin::Register, &history);
//! assert_eq!(verdict.word(), "bad");
//! println!("{verdict}"); // names the read, and both writes
//! ```

pub mod atomic;
pub mod commit;
mod cycle;
pub mod linear;
pub mod models;
pub mod serial;
pub mod session;
pub mod txn;

use crate::history::{History, HistoryError, Operation};
use std::fmt;

pub use models::Model;

/// What a checker says.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub enum Verdict {
    /// The promise was kept.
    Ok,
    /// It was not.
    Violated(Violation),
    /// The checker cannot tell.
    Undecided {
        /// Why not.
        why: String,
    },
}

/// How a promise was broken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// The anomaly's name: `not linearizable`, `G1a aborted read`, …
    pub anomaly: String,
    /// Why, in words that name the operations; one sentence a line.
    pub because: Vec<String>,
    /// The operations involved: indexes of their invocations.
    pub operations: Vec<usize>,
}

impl Verdict {
    /// Whether the promise was kept. Undecided is not ok.
    pub fn is_ok(&self) -> bool {
        *self == Verdict::Ok
    }
    /// One word: `ok`, `bad`, `undecided`.
    pub fn word(&self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Violated(_) => "bad",
            Verdict::Undecided { .. } => "undecided",
        }
    }
    /// The violation, if there is one.
    pub fn violation(&self) -> Option<&Violation> {
        match self {
            Verdict::Violated(violation) => Some(violation),
            _ => None,
        }
    }
    fn undecided(why: impl Into<String>) -> Verdict {
        Verdict::Undecided { why: why.into() }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Ok => f.write_str("ok"),
            Verdict::Undecided { why } => write!(f, "undecided: {why}"),
            Verdict::Violated(v) => {
                f.write_str(&v.anomaly)?;
                v.because.iter().try_for_each(|line| write!(f, "\n  {line}"))
            }
        }
    }
}

/// How much a search may cost before it ends undecided.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Budget {
    /// Steps of the search: operations put in place, over all attempts.
    pub steps: u64,
}

impl Default for Budget {
    /// Two million steps: a few seconds.
    fn default() -> Budget {
        Budget { steps: 2_000_000 }
    }
}

fn operations(history: &History) -> Result<Vec<Operation>, Verdict> {
    history.operations().map_err(|e: HistoryError| Verdict::undecided(format!("not a history: {e}")))
}
