//! Transactions, and who read what from whom.
//!
//! A transaction is an operation `txn` whose argument is a list of steps, and whose answer is the list with what
//! was read filled in. A step is an enum's variant or a tuple that begins with a name: `append(k, v)`, `w(k, v)`,
//! `r(k, seen)`. Lists and registers do not mix. What a register's read saw is an `Option`, or the value itself; a
//! list's is a `Vec`, or `None` for an empty one. Single operations are transactions of one step: `put(k, v)`,
//! `write(v)`, `append(k, v)`, `get(k)`, `read`.
//!
//! Every written value must be new for its key, so that a read says whose write it saw (Adya 1999 assumes version
//! numbers; Kingsbury and Alvaro 2020 recover them this way). Otherwise the verdict is *undecided*.
//!
//! Some anomalies show in one transaction and are found here, since every checker forbids them: reads of what was
//! never written, of what a failed transaction wrote (G1a), of what its writer overwrote itself (G1b), and reads
//! that do not fit the transaction's own earlier steps.
//!
//! A transaction of unknown outcome counts as committed if somebody saw a write of it, and not at all otherwise.

use super::{Verdict, Violation, operations};
use crate::history::{History, Operation, Outcome, Process};
use anabranch_core::value::Value;
use std::collections::{BTreeMap, BTreeSet};

mod direct;
mod parse;

/// A step of a transaction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Micro {
    /// Appends to a list.
    Append(Value, Value),
    /// Sets a register.
    Write(Value, Value),
    /// Reads: for a list all its elements, for a register one or none. `None` if it is not known what was seen.
    Read(Value, Option<Vec<Value>>),
}

/// A transaction.
#[derive(Clone, Debug)]
pub struct Txn {
    /// Its operation.
    pub op: Operation,
    /// Its steps; of one that is known to have happened with what they saw.
    pub steps: Vec<Micro>,
}

/// What kind of object the keys are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// Lists that are appended to.
    Lists,
    /// Registers that are overwritten.
    Registers,
}

/// What a transaction saw of a key before its own writes to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Read {
    /// Who read: position in [`Facts::txns`].
    pub by: usize,
    /// The key.
    pub key: Value,
    /// Whose version; `None` for the initial one.
    pub from: Option<usize>,
    /// What it looked like.
    pub saw: String,
}

/// A history of transactions, with reads resolved to their writers.
#[derive(Debug)]
pub struct Facts {
    /// Lists or registers.
    pub shape: Shape,
    /// Transactions that happened, in order of invocation.
    pub txns: Vec<Txn>,
    /// All reads from outside, by transactions in order.
    pub reads: Vec<Read>,
    /// By transaction: the last value that it wrote to each key.
    pub writes: Vec<BTreeMap<Value, Value>>,
    /// Of lists: by key, writers in the order of their versions, as far as anybody saw them.
    pub orders: BTreeMap<Value, Vec<usize>>,
    /// Of lists: by key, writers whose committed versions nobody saw. They come after all others.
    pub unseen: BTreeMap<Value, Vec<usize>>,
    /// By key and value: who wrote it. Over all transactions, as positions in `txns`; failed ones are left out.
    writer: BTreeMap<(Value, Value), usize>,
}

impl Facts {
    /// Reads a history. The error is the verdict that already follows.
    pub fn of(history: &History) -> Result<Facts, Verdict> {
        let ops = operations(history)?;
        let (shape, all) = parse::parse(ops)?;
        direct::facts(shape, all)
    }

    /// Who wrote a value.
    pub fn writer(&self, key: &Value, value: &Value) -> Option<usize> {
        self.writer.get(&(key.clone(), value.clone())).copied()
    }

    /// Who wrote to a key.
    pub fn writers<'a>(&'a self, key: &'a Value) -> impl Iterator<Item = usize> + 'a {
        (0..self.txns.len()).filter(|&t| self.writes[t].contains_key(key))
    }

    /// `T[3]`: a short name, by the index of the invocation.
    pub fn name(&self, txn: usize) -> String {
        format!("T[{}]", self.txns[txn].op.invoked)
    }

    /// The process of a transaction.
    pub fn process(&self, txn: usize) -> Process {
        self.txns[txn].op.process
    }

    /// A line for each transaction, in its steps.
    pub fn describe(&self, txns: &BTreeSet<usize>) -> Vec<String> {
        txns.iter().map(|&t| format!("{} = {}", self.name(t), self.txns[t])).collect()
    }

    /// A violation of some transactions: their steps, then why.
    pub fn violation(&self, anomaly: &str, txns: &BTreeSet<usize>, because: Vec<String>) -> Verdict {
        let mut lines = self.describe(txns);
        lines.extend(because);
        Verdict::Violated(Violation {
            anomaly: anomaly.to_owned(),
            because: lines,
            operations: txns.iter().map(|&t| self.txns[t].op.invoked).collect(),
        })
    }
}

/// `p3: append(x, 1) r(y) -> [2]`.
impl std::fmt::Display for Txn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "process {}:", self.op.process.0)?;
        for step in &self.steps {
            match step {
                Micro::Append(k, v) => write!(f, " append({k:?}, {v:?})")?,
                Micro::Write(k, v) => write!(f, " w({k:?}, {v:?})")?,
                Micro::Read(k, None) => write!(f, " r({k:?})")?,
                Micro::Read(k, Some(seen)) => write!(f, " r({k:?}) -> {seen:?}")?,
            }
        }
        match self.op.outcome {
            Outcome::Ok(_) => Ok(()),
            Outcome::Failed => f.write_str(", failed"),
            Outcome::Unknown => f.write_str(", outcome unknown"),
        }
    }
}
