//! Histories: what clients asked and what they were told, in Jepsen's form.
//!
//! A history is a list of [`Event`]s in real-time order. A *process* is a logical thread: it has at most one
//! operation open, opened by an [`Kind::Invoke`] and closed by
//! - [`Kind::Ok`]: it happened, and this is the answer;
//! - [`Kind::Fail`]: it did not happen and never will;
//! - [`Kind::Info`]: nobody knows. It may have happened, may happen at any later time, or never. The process
//!   is spent; its client goes on under a new number (its old one plus the number of clients, as Jepsen does).
//!
//! An operation that is never closed is as unknown as one closed by `info`.
//!
//! [`Recorder`] writes histories, [`History::operations`] pairs invocations with completions, [`json`] and
//! [`edn`] are the forms on disk.
//!
//! Omitted: Jepsen's nemesis events (faults are told by a [`Trace`](crate::trace::Trace)).

pub mod edn;
pub mod json;
pub mod lanes;
mod operation;
mod recorder;
pub mod value;

pub use operation::{HistoryError, Operation, Outcome};
pub use recorder::Recorder;

use anabranch_core::value::Value;

/// A logical thread of operations, one at a time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Process(pub u64);

/// What an event says of its operation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// It begins.
    Invoke,
    /// It happened.
    Ok,
    /// It did not happen, and never will.
    Fail,
    /// It may have happened, or may still.
    Info,
}

impl Kind {
    /// Jepsen's word.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Invoke => "invoke",
            Kind::Ok => "ok",
            Kind::Fail => "fail",
            Kind::Info => "info",
        }
    }
    /// The kind with a name.
    pub fn named(name: &str) -> Option<Kind> {
        [Kind::Invoke, Kind::Ok, Kind::Fail, Kind::Info].into_iter().find(|k| k.name() == name)
    }
}

/// One line of a history.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// Position in the history.
    pub index: usize,
    /// Virtual time in microseconds. (On disk: nanoseconds, as Jepsen has it.)
    pub time_us: u64,
    /// Who.
    pub process: Process,
    /// What.
    pub kind: Kind,
    /// The request's name; the same in an invocation and its completion.
    pub f: String,
    /// Of an invocation: the arguments. Of `ok`: the answer. Of `fail` and `info`: the arguments again.
    /// Several columns are a tuple, one is itself, none is [`Value::Unit`].
    pub value: Value,
    /// Why it failed, or why nothing is known.
    pub error: Option<String>,
}

/// Events in real-time order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct History {
    /// The events; each one's `index` is its position.
    pub events: Vec<Event>,
}

impl History {
    /// Pairs invocations with their completions, in order of invocation.
    pub fn operations(&self) -> Result<Vec<Operation>, HistoryError> {
        operation::pair(self)
    }

    /// The history in another vocabulary: `rename` says for each operation what it is called, what it was asked
    /// and what became of it, in the words of a checker's model; `None` leaves it out. (To Knossos a compare-and-swap
    /// that was told `false` is a failure.)
    ///
    /// An operation that had no end keeps none, so that its outcome stays unknown whatever `rename` says.
    pub fn project(
        &self,
        mut rename: impl FnMut(&Operation) -> Option<(String, Value, Outcome)>,
    ) -> Result<History, HistoryError> {
        let mut events = Vec::new();
        for op in self.operations()? {
            let Some((f, args, outcome)) = rename(&op) else { continue };
            let invoked = &self.events[op.invoked];
            events.push(Event { f: f.clone(), value: args.clone(), ..invoked.clone() });
            if let Some(at) = op.completed {
                let (kind, value) = match outcome {
                    Outcome::Ok(reply) => (Kind::Ok, reply),
                    Outcome::Failed => (Kind::Fail, args),
                    Outcome::Unknown => (Kind::Info, args),
                };
                events.push(Event { f, value, kind, ..self.events[at].clone() });
            }
        }
        events.sort_by_key(|e| e.index);
        events.iter_mut().enumerate().for_each(|(i, e)| e.index = i);
        Ok(History { events })
    }
}
