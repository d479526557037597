//! Resolves reads to writers, and finds what is wrong already in that.

use super::{Facts, Micro, Read, Shape, Txn};
use crate::check::{Verdict, Violation};
use crate::history::Outcome;
use anabranch_core::value::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A write: who, and whether the same transaction wrote the key again later.
#[derive(Clone, Copy)]
struct Written {
    txn: usize,
    last: bool,
}

pub(super) fn facts(shape: Shape, all: Vec<Txn>) -> Result<Facts, Verdict> {
    let mut written: BTreeMap<(Value, Value), Written> = BTreeMap::new();
    for (t, txn) in all.iter().enumerate() {
        for (i, step) in txn.steps.iter().enumerate() {
            let (Micro::Append(k, v) | Micro::Write(k, v)) = step else { continue };
            let again = |s: &Micro| matches!(s, Micro::Append(l, _) | Micro::Write(l, _) if l == k);
            let last = !txn.steps[i + 1..].iter().any(again);
            if let Some(other) = written.insert((k.clone(), v.clone()), Written { txn: t, last }) {
                return Err(Verdict::undecided(format!(
                    "{v:?} is written to {k:?} twice, by [{}] and [{}]: a read cannot tell which it saw",
                    all[other.txn].op.invoked, txn.op.invoked
                )));
            }
        }
    }
    let mut longest: BTreeMap<Value, (Vec<Value>, usize)> = BTreeMap::new();
    let mut reads: Vec<(usize, Value, Vec<Value>)> = Vec::new();
    for (t, txn) in all.iter().enumerate() {
        if txn.op.outcome.is_ok() {
            outside(shape, &all, t, &mut reads)?;
        }
    }
    for (t, key, seen) in &reads {
        resolve(&all, &written, *t, key, seen)?;
        if shape == Shape::Lists {
            let (best, by) = longest.entry(key.clone()).or_insert_with(|| (seen.clone(), *t));
            let common = best.len().min(seen.len());
            if best[..common] != seen[..common] {
                let because = vec![format!(
                    "{key:?} cannot have been both {best:?} and {seen:?}: neither is a beginning of the other"
                )];
                return Err(found("incompatible orders", &all, &[*by, *t], because));
            }
            if seen.len() > best.len() {
                (*best, *by) = (seen.clone(), *t);
            }
        }
    }
    Ok(settle(shape, all, &written, &reads, &longest))
}

/// The first thing that a transaction sees of each key; later reads must follow from it and its own writes.
fn outside(
    shape: Shape,
    all: &[Txn],
    t: usize,
    reads: &mut Vec<(usize, Value, Vec<Value>)>,
) -> Result<(), Verdict> {
    let mut base: BTreeMap<&Value, Vec<Value>> = BTreeMap::new();
    let mut own: BTreeMap<&Value, Vec<Value>> = BTreeMap::new();
    for step in &all[t].steps {
        match step {
            Micro::Append(k, v) => own.entry(k).or_default().push(v.clone()),
            Micro::Write(k, v) => drop(own.insert(k, vec![v.clone()])),
            Micro::Read(_, None) => {}
            Micro::Read(k, Some(seen)) => {
                let mine = own.get(k).map_or(&[][..], Vec::as_slice);
                let expected = match (shape, base.get(k)) {
                    (Shape::Registers, _) if !mine.is_empty() => Some(mine.to_vec()),
                    (_, Some(before)) => Some([before, mine].concat()),
                    _ => None,
                };
                if let Some(expected) = expected {
                    if expected != *seen {
                        let because = vec![format!(
                            "by its own steps it must see {expected:?} of {k:?}, but it sees {seen:?}"
                        )];
                        return Err(found("contradicts its own steps", all, &[t], because));
                    }
                    continue;
                }
                let Some(before) = seen.strip_suffix(mine) else {
                    let because = vec![format!("it appended {mine:?} to {k:?}, and then sees {seen:?}")];
                    return Err(found("contradicts its own steps", all, &[t], because));
                };
                base.insert(k, before.to_vec());
                reads.push((t, k.clone(), before.to_vec()));
            }
        }
    }
    Ok(())
}

/// Checks that everything seen was there to be seen.
fn resolve(
    all: &[Txn],
    written: &BTreeMap<(Value, Value), Written>,
    t: usize,
    key: &Value,
    seen: &[Value],
) -> Result<(), Verdict> {
    let different: BTreeSet<&Value> = seen.iter().collect();
    if different.len() < seen.len() {
        let because = vec![format!("{seen:?} holds a value twice that was appended to {key:?} once")];
        return Err(found("duplicate element", all, &[t], because));
    }
    for (i, value) in seen.iter().enumerate() {
        let Some(write) = written.get(&(key.clone(), value.clone())) else {
            let because = vec![format!("nobody ever wrote {value:?} to {key:?}")];
            return Err(found("garbage read", all, &[t], because));
        };
        let name = format!("T[{}]", all[write.txn].op.invoked);
        if all[write.txn].op.outcome == Outcome::Failed {
            let because = vec![format!("{value:?} of {key:?} was written by {name}, which failed")];
            return Err(found("G1a aborted read", all, &[t, write.txn], because));
        }
        if write.txn == t {
            let because = vec![format!("it sees its own {value:?} of {key:?} before it writes it")];
            return Err(found("contradicts its own steps", all, &[t], because));
        }
        if i + 1 == seen.len() && !write.last {
            let because = vec![format!("{value:?} of {key:?} is not what {name} left there")];
            return Err(found("G1b intermediate read", all, &[t, write.txn], because));
        }
    }
    Ok(())
}

/// Leaves out what did not happen, and renumbers.
fn settle(
    shape: Shape,
    all: Vec<Txn>,
    written: &BTreeMap<(Value, Value), Written>,
    reads: &[(usize, Value, Vec<Value>)],
    longest: &BTreeMap<Value, (Vec<Value>, usize)>,
) -> Facts {
    let who = |k: &Value, v: &Value| written[&(k.clone(), v.clone())].txn;
    let mut happened: BTreeSet<usize> = (0..all.len()).filter(|&t| all[t].op.outcome.is_ok()).collect();
    for (_, key, seen) in reads {
        happened.extend(seen.iter().map(|v| who(key, v)));
    }
    let number: BTreeMap<usize, usize> = happened.iter().enumerate().map(|(new, &old)| (old, new)).collect();
    let txns: Vec<Txn> = happened.iter().map(|&t| all[t].clone()).collect();
    let mut writes = vec![BTreeMap::new(); txns.len()];
    for (t, txn) in txns.iter().enumerate() {
        for step in &txn.steps {
            if let Micro::Append(k, v) | Micro::Write(k, v) = step {
                writes[t].insert(k.clone(), v.clone());
            }
        }
    }
    let (mut orders, mut unseen) = (BTreeMap::new(), BTreeMap::<Value, Vec<usize>>::new());
    if shape == Shape::Lists {
        for (key, (list, _)) in longest {
            let mut order: Vec<usize> = list.iter().map(|v| number[&who(key, v)]).collect();
            order.dedup();
            orders.insert(key.clone(), order);
        }
        for (t, keys) in writes.iter().enumerate() {
            for key in keys.keys() {
                let order = orders.entry(key.clone()).or_default();
                if !order.contains(&t) {
                    unseen.entry(key.clone()).or_default().push(t);
                }
            }
        }
    }
    let reads = reads
        .iter()
        .map(|(t, key, seen)| Read {
            by: number[t],
            key: key.clone(),
            from: seen.last().map(|v| number[&who(key, v)]),
            saw: match shape {
                Shape::Lists => format!("{seen:?}"),
                Shape::Registers => seen.last().map_or("nothing".into(), |v| format!("{v:?}")),
            },
        })
        .collect();
    let writer =
        written.iter().filter_map(|(place, w)| Some((place.clone(), *number.get(&w.txn)?))).collect();
    Facts { shape, txns, reads, writes, orders, unseen, writer }
}

fn found(anomaly: &str, all: &[Txn], txns: &[usize], because: Vec<String>) -> Verdict {
    let txns: BTreeSet<usize> = txns.iter().copied().collect();
    let mut lines: Vec<String> =
        txns.iter().map(|&t| format!("T[{}] = {}", all[t].op.invoked, all[t])).collect();
    lines.extend(because);
    Verdict::Violated(Violation {
        anomaly: anomaly.to_owned(),
        because: lines,
        operations: txns.iter().map(|&t| all[t].op.invoked).collect(),
    })
}
