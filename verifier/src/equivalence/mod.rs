//! Equivalence: whether everything that clients see of one protocol they could have seen of another.
//!
//! `derived` (typically emitted from `base`) is a correct rewrite of it if (a) every finite history of requests and
//! replies that it shows is one that `base` could show, and (b) every *complete* history, of runs in which all that
//! is under way arrives and timers go on firing, is a complete history of `base`. Without (b) a protocol that loses
//! replies would pass. Histories are compared up to the names of drawn ids.
//!
//! Searches keep only the strongest history of each run, in which operations begin when they are taken and end when they
//! are answered ([`crate::world::history`]); a history of `derived` is shown by `base` if `base` has one with the same
//! answers in which at least the same operations precede each other: begun earlier and ended later, that becomes
//! the other.
//!
//! [`exhaustive`] compares all histories of a small scope. [`sample::sampled`] takes random runs of `derived` and searches
//! `base` for one that matches. Three verdicts, and only the first is a pass: *matched*; *not matched* within the
//! budget; *counterexample*: all of `base` within the scope was seen, and nothing matches.

pub mod matching;
pub mod sample;
pub mod shown;
pub mod shrink;

#[cfg(test)]
mod tests;

use crate::explore::search::search;
use crate::explore::{Bound, Options, Order, Report};
use crate::world::{Move, Scope, System, World};
use shown::{Shown, Strongest};
use std::fmt;

/// Two systems under the same clients.
#[derive(Clone)]
pub struct Pair {
    /// What is permitted.
    pub base: System,
    /// What is asked about.
    pub derived: System,
    /// Clients and faults. `together` and `timers` of the base are one more each, so that a step of several parts
    /// can be one of the whole.
    pub scope: Scope,
}

/// How much to search.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// States of the derived system, or of all runs that are sampled.
    pub derived: usize,
    /// States of the base.
    pub base: usize,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget { derived: 300_000, base: 1_000_000 }
    }
}

/// A history that the base does not have.
#[derive(Clone, Debug)]
pub struct Difference {
    /// Whether it is the history of a complete run; otherwise of a finite one.
    pub complete: bool,
    /// The history, in words.
    pub history: String,
    /// How the derived system came to show it.
    pub moves: Vec<Move>,
    /// The moves, in words.
    pub story: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.complete { "complete history" } else { "history" };
        writeln!(f, "this {kind} is none of the base's:\n{}", self.history)?;
        write!(f, "it is shown so:\n{}", self.story)
    }
}

/// What a comparison found.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// Everything seen of the derived system is permitted by the base.
    Matched,
    /// A bound was reached first.
    NotMatched {
        /// Which one.
        why: String,
    },
    /// The base, all of which was seen, never shows this.
    Counterexample(Box<Difference>),
}

impl Verdict {
    /// Whether it is a pass.
    pub fn matched(&self) -> bool {
        matches!(self, Verdict::Matched)
    }
    /// Whether it is a counterexample.
    pub fn refuted(&self) -> bool {
        matches!(self, Verdict::Counterexample(_))
    }
    /// The exit code of a command that ends with it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Verdict::Matched => 0,
            Verdict::Counterexample(_) => 1,
            Verdict::NotMatched { .. } => 5,
        }
    }
}

/// A comparison with its figures.
#[derive(Clone, Debug)]
pub struct Compared {
    /// What came out.
    pub verdict: Verdict,
    /// States of the base and of the derived system.
    pub states: (usize, usize),
    /// Different histories that were compared: finite and complete ones of the derived system.
    pub histories: (usize, usize),
    /// Whether the base answers some request twice, and differently: which answer comes first may then be told.
    pub contradicts: bool,
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.verdict {
            Verdict::Matched => writeln!(f, "matched")?,
            Verdict::NotMatched { why } => writeln!(f, "NOT MATCHED within the budget: {why}")?,
            Verdict::Counterexample(difference) => writeln!(f, "COUNTEREXAMPLE: {difference}")?,
        }
        let (base, derived) = self.states;
        let (finite, complete) = self.histories;
        write!(
            f,
            "{base} states of the base, {derived} of the derived protocol; {finite} histories, {complete} complete ones"
        )
    }
}

impl Pair {
    /// The world of one of the two.
    fn world(&self, derived: bool) -> Result<World, String> {
        let mut scope = Scope { histories: true, ..self.scope.clone() };
        if derived {
            return World::new(self.derived.clone(), scope);
        }
        scope.together += 1;
        scope.timers += 1;
        World::new(self.base.clone(), scope)
    }
}

/// Compares all histories within the scope.
pub fn exhaustive(pair: &Pair, budget: Budget) -> Result<Compared, String> {
    let (mut base, mut derived) = (pair.world(false)?, pair.world(true)?);
    let options = |max_states| Options {
        order: Order::Breadth,
        ends: true,
        all: true,
        max_states,
        without_properties: true,
        ..Options::default()
    };
    let ours = search(&mut derived, &options(budget.derived));
    let theirs = search(&mut base, &options(budget.base));
    let permitted = (strongest(&base, &theirs, false), strongest(&base, &theirs, true));
    let mut compared = Compared {
        verdict: Verdict::Matched,
        states: (theirs.states, ours.states),
        histories: (ours.histories.len(), ours.complete.len()),
        contradicts: base.contradicted,
    };
    // A broken rule stops a node for good: the base may do so too, but not the derived system alone.
    if let (Some(found), true) =
        (ours.violations.first(), theirs.violations.is_empty() && theirs.stopped.is_none())
    {
        compared.verdict = Verdict::Counterexample(Box::new(Difference {
            complete: false,
            history: format!("  a rule breaks: {}", found.message),
            moves: found.moves.clone(),
            story: derived.story(&found.moves),
        }));
        return Ok(compared);
    }
    for (complete, histories, permitted) in
        [(false, &ours.histories, &permitted.0), (true, &ours.complete, &permitted.1)]
    {
        for history in histories {
            let shown = Shown::of(&derived, history);
            if permitted.permits(&shown, complete) {
                continue;
            }
            if let Some(why) = unfinished(&theirs, "base") {
                compared.verdict = Verdict::NotMatched { why };
                continue;
            }
            let moves = sample::way_to(&mut derived, history, complete, budget.derived);
            compared.verdict = Verdict::Counterexample(Box::new(Difference {
                complete,
                history: shown.tell(&derived),
                story: derived.story(&moves),
                moves,
            }));
            return Ok(compared);
        }
    }
    if let (Verdict::Matched, Some(why)) = (&compared.verdict, unfinished(&ours, "derived protocol")) {
        compared.verdict = Verdict::NotMatched { why };
    }
    Ok(compared)
}

fn unfinished(report: &Report, which: &str) -> Option<String> {
    let bound: Bound = report.stopped?;
    Some(format!("the search of the {which} was stopped by {bound} after {} states", report.states))
}

fn strongest(world: &World, report: &Report, complete: bool) -> Strongest {
    let histories = if complete { &report.complete } else { &report.histories };
    histories.iter().map(|h| Shown::of(world, h)).collect()
}
