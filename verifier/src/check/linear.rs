//! Linearizability: each operation takes effect at one moment between its invocation and its answer.
//!
//! The search is Wing and Gong's (1993) with Lowe's memory of (operations placed, state) pairs that led nowhere
//! (2017), over a linked list of events as Horn and Kroening describe it (2015), who also show that a history
//! may be split by key (P-compositionality). An operation with unknown outcome has an invocation only: it may
//! be placed anywhere after that, or never. Two facts keep those cheap, as they are what costs most: placing one
//! that does not change the state is pointless, and of two unknown operations with equal arguments the one
//! invoked first may as well be the first to take effect.
//!
//! Why no library: `stateright` 0.31 has a tester that allows operations in flight, but it remembers nothing
//! (exponential on ordinary histories of a hundred operations), splits nothing and cannot give up; `todc-utils` 0.1.1
//! remembers, but wants every operation completed, and rests since 2023. Neither says why a history is bad.
//!
//! The explanation names the answer that no order gets past, and a set of answers, none of which can be left out,
//! that no order gives all of, whatever became of the other operations.

use super::{Budget, Model, Verdict, Violation, operations};
use crate::history::{History, Operation, Outcome};
use anabranch_core::value::Value;
use std::collections::BTreeMap;

mod search;

use search::{Found, search};

/// A mistake in the checker, put there on purpose: its tests must notice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Planted {
    /// All operations count as concurrent.
    NoRealTime,
    /// Operations with unknown outcome count as failed.
    InfoIsFail,
    /// The history is split by all arguments instead of the key.
    SplitByArguments,
    /// What was seen to lead nowhere is remembered without the state.
    MemoryWithoutState,
}

/// Checks with the default budget.
pub fn check<M: Model>(model: &M, history: &History) -> Verdict {
    check_with(model, history, Budget::default(), None)
}

/// Checks, with a budget and perhaps a planted mistake.
pub fn check_with<M: Model>(
    model: &M,
    history: &History,
    budget: Budget,
    planted: Option<Planted>,
) -> Verdict {
    let mut ops = match operations(history) {
        Ok(ops) => ops,
        Err(verdict) => return verdict,
    };
    ops.retain(|op| match op.outcome {
        Outcome::Failed => false,
        Outcome::Unknown => planted != Some(Planted::InfoIsFail),
        Outcome::Ok(_) => true,
    });
    let mut left = budget.steps;
    let mut undecided = None;
    for (key, part) in split(model, ops, planted) {
        match search(model, &part, &mut left, planted) {
            Found::Order => {}
            Found::Nothing(stuck) => {
                let small = weaken(model, &part, stuck.event, planted);
                return Verdict::Violated(explain(model, key.as_ref(), &part, &small, &stuck));
            }
            Found::OutOfBudget => {
                // Another part may be violated, which is more than undecided.
                undecided.get_or_insert_with(|| match key {
                    Some(key) => format!("no verdict on key {key:?} within {} steps", budget.steps),
                    None => format!("no verdict within {} steps", budget.steps),
                });
                left = budget.steps / 10;
            }
        }
    }
    undecided.map_or(Verdict::Ok, |why| Verdict::Undecided { why })
}

type Part = (Option<Value>, Vec<Operation>);

fn split<M: Model>(model: &M, ops: Vec<Operation>, planted: Option<Planted>) -> Vec<Part> {
    let key = |op: &Operation| match planted {
        Some(Planted::SplitByArguments) => Some(op.args.clone()),
        _ => model.key(&op.f, &op.args),
    };
    let mut parts: BTreeMap<Value, Vec<Operation>> = BTreeMap::new();
    let keys: Option<Vec<Value>> = ops.iter().map(key).collect();
    let Some(keys) = keys else { return vec![(None, ops)] };
    for (key, op) in keys.into_iter().zip(ops) {
        parts.entry(key).or_default().push(op);
    }
    parts.into_iter().map(|(key, ops)| (Some(key), ops)).collect()
}

/// Drops answers as long as no order gives the rest: what is left contradicts itself. An operation without its
/// answer stays, as one of unknown outcome.
fn weaken<M: Model>(model: &M, part: &[Operation], last: usize, planted: Option<Planted>) -> Vec<Operation> {
    let forget = |op: &mut Operation| (op.outcome, op.completed) = (Outcome::Unknown, None);
    let mut ops: Vec<Operation> = part.iter().filter(|op| op.invoked < last).cloned().collect();
    // What begins later cannot help. The latest answers are the likeliest to be in the way, so the earliest are
    // tried first.
    for i in 0..ops.len() {
        if !ops[i].outcome.is_ok() {
            continue;
        }
        let mut fewer = ops.clone();
        forget(&mut fewer[i]);
        let mut steps = 20_000;
        if let Found::Nothing(_) = search(model, &fewer, &mut steps, planted) {
            ops = fewer;
        }
    }
    ops
}

fn explain<M: Model>(
    model: &M,
    key: Option<&Value>,
    part: &[Operation],
    small: &[Operation],
    stuck: &search::Stuck<M::State>,
) -> Violation {
    let culprit = part.iter().find(|op| op.returned() == Some(stuck.event)).expect("an answer is in the way");
    let mut because = Vec::new();
    let of_key = key.map_or(String::new(), |k| format!(" of key {k:?}"));
    because.push(format!(
        "no order{of_key} explains {culprit}, which must take effect by event {}",
        stuck.event
    ));
    because.push("these answers cannot all be right, whatever became of other operations:".into());
    let kept: Vec<&Operation> = small.iter().filter(|op| op.outcome.is_ok()).collect();
    because.extend(kept.iter().map(|op| format!("  {op}, over by event {}", op.completed.unwrap_or(0))));
    let open = small.iter().filter(|op| {
        !op.outcome.is_ok() && part.iter().any(|o| o.invoked == op.invoked && !o.outcome.is_ok())
    });
    because.extend(open.map(|op| format!("  {op}: it may have happened or not, which does not help")));
    because.push("what can be explained before it leads to:".into());
    for (state, order) in stuck.states.iter().take(4) {
        let would = match model.apply(state, &culprit.f, &culprit.args) {
            Some((_, reply)) => format!("it would answer {reply:?}"),
            None => "it cannot happen".into(),
        };
        let tail: Vec<String> =
            order.iter().rev().take(6).rev().map(|&i| format!("[{}]", part[i].invoked)).collect();
        let dots = if order.len() > tail.len() { "… " } else { "" };
        because.push(format!("  state {state:?} after {dots}{}: {would}", tail.join(" ")));
    }
    let mut operations: Vec<usize> = kept.iter().map(|op| op.invoked).collect();
    if !operations.contains(&culprit.invoked) {
        operations.push(culprit.invoked);
    }
    Violation { anomaly: "not linearizable".into(), because, operations }
}
