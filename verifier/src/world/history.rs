//! What clients asked and were told.
//!
//! An operation counts as begun when a node takes it and as ended when a node answers. All other histories of the
//! same run have it begin earlier or end later, and what those show is weaker: fewer operations precede each other. So
//! a history is which operation was told what, and for each taken operation which ones had ended before it.

use super::World;
use super::intern::Interner;
use anabranch_core::value::Value;

/// What a client was told.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Given {
    /// Refused, not answered.
    pub refused: bool,
    /// The columns of the reply, or the error.
    pub values: Vec<Value>,
}

/// One operation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Operation {
    /// Whether a node took it.
    pub taken: bool,
    /// Operations (by number, as bits) that had ended when it was first taken.
    pub after: u64,
    /// What it was told: the answer's number and the node that gave it.
    pub(crate) told: Option<(u32, u32)>,
    /// The client went on without an answer.
    pub unknown: bool,
}

/// A history: operations in order of clients and scripts.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct History(pub Vec<Operation>);

/// All histories that were met; number 0 is the empty one.
pub(crate) struct Histories(Interner<History>);

impl Histories {
    pub fn new(operations: usize) -> Histories {
        let mut all = Interner::default();
        all.number(History(vec![Operation::default(); operations]));
        Histories(all)
    }
    pub fn get(&self, number: u32) -> &History {
        self.0.get(number)
    }
    /// Changes one operation of a history.
    pub fn change(&mut self, number: u32, change: impl FnOnce(&mut History)) -> u32 {
        let mut history = self.get(number).clone();
        change(&mut history);
        self.0.number(history)
    }
}

impl History {
    /// The operations that have ended, as bits.
    pub fn ended(&self) -> u64 {
        self.0.iter().enumerate().filter(|(_, o)| o.told.is_some()).fold(0, |bits, (i, _)| bits | 1 << i)
    }

    /// An answer turns out to have been lost: the operation never ended, so none came after it.
    pub(crate) fn lose(&mut self, number: usize) {
        self.0[number].told = None;
        self.0[number].unknown = true;
        for other in &mut self.0 {
            other.after &= !(1 << number);
        }
    }
}

impl World {
    /// A history that a state carries.
    pub fn history(&self, number: u32) -> &History {
        self.histories.get(number)
    }
    /// What an operation was told.
    pub fn given(&self, operation: &Operation) -> Option<&Given> {
        operation.told.map(|(answer, _)| self.answers.get(answer))
    }
}
