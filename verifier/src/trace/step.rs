//! The steps of a trace.

use super::Peer;
use crate::history::value::as_json;
use anabranch_core::value::Value;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Something that happened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Step {
    /// When, in virtual microseconds since the run began.
    pub time_us: u64,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum What {
    /// A client asks. (The request's way to a node is a [`What::Send`] of its own.)
    Invoke {
        /// Who.
        client: usize,
        /// The operation's number, unique in the run.
        op: u64,
        /// The request, for reading.
        request: Fact,
        /// Its arguments, for the history: a tuple, the one argument, or `()`.
        #[serde(with = "as_json")]
        args: Value,
    },
    /// A client's operation ends.
    Return {
        /// Who.
        client: usize,
        /// Which operation.
        op: u64,
        /// How.
        answer: Answer,
    },
    /// A message leaves. Requests and replies on their way are messages too.
    Send {
        /// The message's number, unique in the run.
        message: u64,
        /// From whom.
        from: Peer,
        /// To whom.
        to: Peer,
        /// What it says.
        fact: Fact,
    },
    /// A message arrives: it is in the receiver's inbox.
    Deliver {
        /// Which.
        message: u64,
    },
    /// A message is lost.
    Drop {
        /// Which.
        message: u64,
        /// Why: `crash`, `partition`, …
        why: String,
    },
    /// A message is in the network once more.
    Duplicate {
        /// Which.
        message: u64,
        /// The number of the copy.
        copy: u64,
    },
    /// A node runs a tick.
    Tick(TickStep),
    /// A timer's row fires: it is in the node's inbox.
    Fire {
        /// Where.
        node: usize,
        /// The timer and its row.
        timer: Fact,
    },
    /// A node stops, at once.
    Crash {
        /// Which.
        node: usize,
        /// The incarnation that ends.
        incarnation: u64,
        /// What was lost with it, in words: `2 log records`, `3 messages`, …
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        lost: Vec<String>,
    },
    /// A node is back.
    Restart {
        /// Which.
        node: usize,
        /// The incarnation that begins.
        incarnation: u64,
        /// What it found on disk.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        durable: Vec<Fact>,
    },
    /// A tick's log record is written, not yet stable.
    Append {
        /// Where.
        node: usize,
        /// The record's number in the node's log.
        record: u64,
        /// The durable changes in it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        changes: Vec<Change>,
    },
    /// A flush begins.
    Flush {
        /// Where.
        node: usize,
        /// All records up to this one.
        upto: u64,
    },
    /// A flush ends.
    Stable {
        /// Where.
        node: usize,
        /// All records up to this one are stable.
        upto: u64,
    },
    /// Part of the network is cut.
    Cut {
        /// The cut's number, unique in the run.
        cut: u64,
        /// Nothing passes from these …
        from: Vec<Peer>,
        /// … to these.
        to: Vec<Peer>,
        /// And nothing back, either.
        both_ways: bool,
    },
    /// A cut heals.
    Heal {
        /// Which.
        cut: u64,
    },
    /// Anything else worth telling: clock skew, a slow node, the end of all faults.
    Note {
        /// Where, if anywhere.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<Peer>,
        /// What.
        text: String,
    },
    /// A property does not hold, or a node stops with a broken invariant.
    Violation {
        /// The property's name.
        property: String,
        /// What is wrong, in words.
        text: String,
        /// The nodes whose state shows it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        nodes: Vec<usize>,
        /// The facts that show it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        facts: Vec<Fact>,
    },
}

/// A tick.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct TickStep {
    /// Where.
    pub node: usize,
    /// The node's incarnation.
    pub incarnation: u64,
    /// The tick's number in it, from 0.
    pub tick: u64,
    /// Whether it follows at once upon the one before, with nothing newly arrived.
    #[serde(default)]
    pub deferred: bool,
    /// Messages, requests and timer rows that it took.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<Fact>,
    /// Facts that hold now and did not as the tick before ended: events, and new rows of tables and views.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub derived: Vec<Derived>,
    /// Rows that held in the tick before and are gone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<Fact>,
    /// All other rows of state, if the writer kept them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<Fact>,
    /// What it sent, by message number. The messages may leave later, when the log is stable: their
    /// [`What::Send`] says when.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sends: Vec<u64>,
    /// What it answered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replies: Vec<Reply>,
}

/// A fact with the rules that derived it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Derived {
    /// The fact.
    pub fact: Fact,
    /// Rules that derived it, if the writer knows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleRef>,
}

/// A rule, by where it stands.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct RuleRef {
    /// `file:line`.
    pub place: String,
    /// The rule's text, or its beginning.
    pub text: String,
}

/// An answer that a tick gave.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Reply {
    /// The operation that it answers, if it is one of this run's.
    pub op: Option<u64>,
    /// The answer as text: `commit(true)`, `refused: …`, `redirect to replica.1`.
    pub text: String,
}

/// How an operation ends for its client.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The reply's columns: as value for the history (a tuple, the one column, or `()`), and as text.
    Ok {
        /// The value.
        #[serde(with = "as_json")]
        value: Value,
        /// For reading.
        text: String,
    },
    /// It did not happen and will not.
    Fail {
        /// Why.
        error: String,
    },
    /// The client gave up: nobody knows.
    Unknown {
        /// Why.
        error: String,
    },
}

/// A change of a durable table.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Change {
    /// Whether the row came; else it went.
    pub added: bool,
    /// The row.
    pub fact: Fact,
}

/// A row of a relation, as text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Fact {
    /// The relation's name.
    pub relation: String,
    /// Its columns.
    pub row: Vec<String>,
}

impl Fact {
    /// A fact.
    pub fn new(relation: impl Into<String>, row: impl IntoIterator<Item = impl Into<String>>) -> Fact {
        Fact { relation: relation.into(), row: row.into_iter().map(Into::into).collect() }
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.relation, self.row.join(", "))
    }
}

impl fmt::Display for RuleRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}
