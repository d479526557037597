//! Atomic commitment: all who decide a transaction decide alike, and clients are told what was decided.
//!
//! The history's operations, the transaction's name being the first argument:
//! - `commit(txn, …) -> bool`: a client asks, and is told whether it committed. *Fail* means it was told that it did
//!   not and will not;
//! - `vote(txn, participant) -> bool`: a participant votes (once: `ok` at once after the invocation will do);
//! - `decide(txn, participant) -> bool`: a participant (or coordinator) takes the decision to commit or abort.
//!
//! Checked: no two decisions differ, no participant decides twice differently, nobody decides commit when someone
//! votes no, and answers fit decisions and each other. Not checked: that a decision is ever taken (liveness), and
//! that a transaction without failures commits (an abort is always allowed).

use super::{Verdict, Violation, operations};
use crate::history::{History, Operation, Outcome};
use anabranch_core::value::Value;
use std::collections::BTreeMap;

#[derive(Default)]
struct Txn<'a> {
    commit: Vec<&'a Operation>,
    abort: Vec<&'a Operation>,
    against: Vec<&'a Operation>,
}

/// Checks all transactions of a history; operations of other names are left out.
pub fn atomic_commit(history: &History) -> Verdict {
    let ops = match operations(history) {
        Ok(ops) => ops,
        Err(verdict) => return verdict,
    };
    let mut txns: BTreeMap<&Value, Txn> = BTreeMap::new();
    for op in ops.iter().filter(|op| ["commit", "vote", "decide"].contains(&op.f.as_str())) {
        let name = match &op.args {
            Value::Tuple(items) if !items.is_empty() => &items[0],
            other => other,
        };
        let txn = txns.entry(name).or_default();
        match (&op.outcome, op.f.as_str()) {
            (Outcome::Ok(Value::Bool(true)), "vote") => {}
            (Outcome::Ok(Value::Bool(false)), "vote") => txn.against.push(op),
            (Outcome::Ok(Value::Bool(true)), _) => txn.commit.push(op),
            (Outcome::Ok(Value::Bool(false)), _) => txn.abort.push(op),
            // A client may be refused and so knows that nothing happened; a participant that fails to decide has
            // not decided.
            (Outcome::Failed, "commit") => txn.abort.push(op),
            (Outcome::Unknown | Outcome::Failed, _) => {}
            (Outcome::Ok(other), _) => {
                return Verdict::undecided(format!("{op} answers {other:?} instead of true or false"));
            }
        }
    }
    for (name, txn) in &txns {
        if let (Some(yes), Some(no)) = (txn.commit.first(), txn.abort.first()) {
            let decided = |ops: &[&Operation]| ops.iter().any(|op| op.f == "decide");
            let anomaly = match (decided(&txn.commit), decided(&txn.abort)) {
                (true, true) => "split decision",
                (false, false) => "contradicting answers",
                _ => "answer contradicts decision",
            };
            let told =
                |ops: &[&Operation]| ops.iter().map(|op| op.to_string()).collect::<Vec<_>>().join("; ");
            return bad(
                anomaly,
                vec![
                    format!("transaction {name:?} is committed: {}", told(&txn.commit)),
                    format!("and it is aborted: {}", told(&txn.abort)),
                ],
                &[yes, no],
            );
        }
        if let (Some(yes), Some(no)) = (txn.commit.first(), txn.against.first()) {
            let because = vec![format!("transaction {name:?} is committed by {yes}, although {no} is a no")];
            return bad("commit against a vote", because, &[yes, no]);
        }
    }
    Verdict::Ok
}

fn bad(anomaly: &str, because: Vec<String>, ops: &[&Operation]) -> Verdict {
    let operations = ops.iter().map(|op| op.invoked).collect();
    Verdict::Violated(Violation { anomaly: anomaly.into(), because, operations })
}
