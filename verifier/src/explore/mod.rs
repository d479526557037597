//! Exhaustive search of small scopes: every order of events that a [`World`](crate::world::World) permits.
//!
//! States are kept as 128-bit hashes, or whole ([`Options::exact`]); breadth first by default, so that the way to what
//! it finds is a shortest one. Three reductions, each tested against the search without it:
//!
//! - **Symmetry** ([`canon`]): instances of a role that neither rules nor clients tell apart, and drawn ids, may
//!   change their names; of the states that differ in names only, one is searched.
//! - **Sleep sets** (Godefroid, *Partial-Order Methods for the Verification of Concurrent Systems*, 1996): of two moves of
//!   different nodes one order is followed. They spare transitions, not states, so they hide no state
//!   from a property. They go depth first and not together with symmetry.
//!
//! - **Keys** ([`keys`]): what a rewriter knows of a protocol, that deliveries that concern different keys do not meet,
//!   spares transitions of the one, and states where one key after the other is followed.
//!
//! What a search reports is what it saw: [`Report::stopped`] says which bound ended it, and a search that was stopped
//! is *incomplete*, never a pass. `sometimes` must have held in some state. `eventually` is asked where runs end:
//! in each set of states that a run cannot leave except by further faults, some state must satisfy it.

pub mod canon;
pub mod command;
mod ends;
pub mod keys;
pub mod search;
mod sleep;

#[cfg(test)]
pub(crate) mod tests;

use crate::world::{History, Move};
use std::collections::BTreeSet;
use std::fmt;

/// In which order states are searched.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Order {
    /// The shortest way to everything.
    #[default]
    Breadth,
    /// Little memory for states that still wait.
    Depth,
}

/// How to search.
#[derive(Clone, Debug)]
pub struct Options {
    /// In which order.
    pub order: Order,
    /// Whether states that differ in names only are one.
    pub symmetry: bool,
    /// Whether of two orders of independent moves one is followed. Sets `order` to depth and `symmetry`
    /// off; has no effect together with `ends`.
    pub sleep: bool,
    /// Deliveries that concern different keys are followed in one order.
    pub keys: keys::Keys,
    /// Whether states are kept whole, not as hashes (without symmetry only).
    pub exact: bool,
    /// Stop after so many states.
    pub max_states: usize,
    /// Do not go beyond so many moves.
    pub max_depth: usize,
    /// Stop after so many seconds.
    pub max_seconds: Option<f64>,
    /// Whether to find out where runs end: for `eventually` and for complete histories.
    pub ends: bool,
    /// Whether to go on after the first violation.
    pub all: bool,
    /// Whether the protocol's properties are left out.
    pub without_properties: bool,
    /// A history that the way is wanted to: of a complete run, if `ends` is set.
    pub goal: Option<History>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            order: Order::Breadth,
            symmetry: true,
            sleep: false,
            keys: keys::Keys::new(),
            exact: false,
            max_states: 10_000_000,
            max_depth: usize::MAX,
            max_seconds: None,
            ends: false,
            all: false,
            without_properties: false,
            goal: None,
        }
    }
}

/// What ended a search before everything was seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bound {
    /// [`Options::max_states`].
    States,
    /// [`Options::max_depth`].
    Depth,
    /// [`Options::max_seconds`].
    Time,
    /// It found what it looked for.
    Found,
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Bound::States => "the bound on states",
            Bound::Depth => "the bound on depth",
            Bound::Time => "the bound on time",
            Bound::Found => "a violation",
        })
    }
}

/// What is wrong, and how to get there from the first state.
#[derive(Clone, Debug)]
pub struct Found {
    /// The property, or `broken` for a rule's fault.
    pub name: String,
    /// In the protocol's words.
    pub message: String,
    /// The moves.
    pub moves: Vec<Move>,
}

/// What a search saw.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Different states.
    pub states: usize,
    /// Moves that were made.
    pub transitions: usize,
    /// The greatest number of moves to a state, as it was first reached.
    pub depth: usize,
    /// What ended the search early; `None` if it finished.
    pub stopped: Option<Bound>,
    /// Violations of `never` and broken rules; the first one, or all.
    pub violations: Vec<Found>,
    /// `sometimes` properties that never held. Of a finished search.
    pub never_held: Vec<String>,
    /// `eventually` properties that some run never satisfies, with a way to where it cannot any more.
    pub not_reached: Vec<Found>,
    /// States in which one key's moves were followed alone.
    pub divided: usize,
    /// Hashes of states without a move, the same in every search. (With symmetry of one state for all that differ in names.)
    pub last: BTreeSet<u128>,
    /// Moves by kind: ticks, ticks in which timers fired, crashes, clients that gave up or asked again.
    pub kinds: [usize; 4],
    /// Histories of states, if the scope keeps them.
    pub histories: BTreeSet<History>,
    /// Histories of complete runs, if ends were asked for.
    pub complete: BTreeSet<History>,
    /// The way to the goal.
    pub way: Option<Vec<Move>>,
    /// Macro-steps that engines ran, and different states of nodes.
    pub effort: (usize, usize),
}

impl Report {
    /// Whether everything in scope was seen and nothing is wrong.
    pub fn passed(&self) -> bool {
        self.stopped.is_none()
            && self.violations.is_empty()
            && self.never_held.is_empty()
            && self.not_reached.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [ticks, timers, crashes, clients] = self.kinds;
        writeln!(f, "{} states, {} transitions, depth {}", self.states, self.transitions, self.depth)?;
        writeln!(
            f,
            "{ticks} ticks, {timers} of them with timers, {crashes} crashes, {clients} times a client gave up or asked again"
        )?;
        writeln!(f, "{} macro-steps were run, {} states of nodes", self.effort.0, self.effort.1)?;
        if self.divided > 0 {
            writeln!(f, "in {} states one key's moves were followed alone", self.divided)?;
        }
        match self.stopped {
            None => writeln!(f, "finished: this is all there is in this scope")?,
            Some(bound) => writeln!(f, "INCOMPLETE: stopped by {bound}")?,
        }
        for found in self.violations.iter().chain(&self.not_reached) {
            writeln!(f, "{}\n  after {} moves", found.message, found.moves.len())?;
        }
        for name in &self.never_held {
            writeln!(f, "`{name}` never held: nothing here tested it")?;
        }
        Ok(())
    }
}
