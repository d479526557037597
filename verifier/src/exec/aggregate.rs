//! States of aggregates: multisets of contributions, from which results are computed afresh.

use super::pipe::Contribution;
use crate::draw;
use crate::engine::Row;
use anabranch_core::value::Value;
use anabranch_dsl::ir::AggregateFn as F;
use anabranch_dsl::plan::{AggregateSpec, PExpr, Slot};
use std::collections::{BTreeMap, BTreeSet};

/// The contributions to one group, with how often each was made.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// Combinations.
    pub members: BTreeMap<Contribution, i64>,
    /// Rows that it showed at the last release.
    pub shown: BTreeSet<Row>,
}

/// What the rows of all groups depend on together: numbers given by `index`.
#[derive(Clone, Debug, Default)]
pub struct Numbering {
    bindings: BTreeMap<Vec<Value>, usize>,
    args: Vec<BTreeMap<Vec<Value>, usize>>,
}

/// Numbers all contributions of a tick.
pub fn number<'a>(all: impl Iterator<Item = &'a Contribution>, functions: usize, seed: u64) -> Numbering {
    let mut bindings = BTreeSet::new();
    let mut args = vec![BTreeSet::new(); functions];
    for c in all {
        bindings.insert((draw::hash(&c.binding, seed), c.binding.clone()));
        for (set, args) in args.iter_mut().zip(&c.args) {
            set.insert(args.clone());
        }
    }
    Numbering {
        bindings: bindings.into_iter().enumerate().map(|(i, (_, b))| (b, i)).collect(),
        args: args
            .into_iter()
            .map(|set| set.into_iter().enumerate().map(|(i, a)| (a, i)).collect())
            .collect(),
    }
}

/// Computes an expression over slots.
pub type Evaluate<'e> = dyn Fn(&PExpr, &dyn Fn(Slot) -> Value) -> Value + 'e;

/// The rows of a group. `evaluate` computes a head's expression over the slots.
pub fn rows(
    spec: &AggregateSpec,
    group: &Group,
    numbering: &Numbering,
    seed: u64,
    evaluate: &Evaluate<'_>,
) -> BTreeSet<Row> {
    let mut rows = BTreeSet::new();
    for (member, times) in &group.members {
        assert!(*times > 0, "a group was given back more than it had: {member:?}");
        let result = |f: usize| -> Value {
            let own = spec.functions[f].function;
            match own {
                F::Index => int(numbering.bindings[&member.binding]),
                F::IndexBy => int(numbering.args[f][&member.args[f]]),
                _ => aggregate(own, f, &group.members, seed),
            }
        };
        let results: Vec<Value> = (0..spec.functions.len()).map(result).collect();
        let slot = |s: Slot| -> Value {
            match s.index().checked_sub(spec.group.len()) {
                None => member.group[s.index()].clone(),
                Some(i) => results[i].clone(),
            }
        };
        rows.insert(spec.head.iter().map(|e| evaluate(e, &slot)).collect());
        if !spec.enumerates {
            break;
        }
    }
    for (f, function) in spec.functions.iter().enumerate() {
        if function.each_once {
            let different: BTreeSet<&Vec<Value>> = group.members.keys().map(|c| &c.args[f]).collect();
            let total: i64 = group.members.values().sum();
            assert_eq!(different.len() as i64, total, "each combination has its own value");
        }
    }
    rows
}

fn int(n: usize) -> Value {
    Value::Int(n as i128)
}

fn aggregate(function: F, f: usize, members: &BTreeMap<Contribution, i64>, seed: u64) -> Value {
    let number = |v: &Value| match v {
        Value::Int(n) => *n,
        other => panic!("a number was expected, not {other:?}"),
    };
    let firsts = || members.keys().map(|c| &c.args[f][0]);
    let combined = || members.keys().map(|c| (&c.args[f][0], &c.args[f][1]));
    match function {
        F::Count => Value::Int(members.values().map(|n| i128::from(*n)).sum()),
        F::CountDistinct => int(firsts().collect::<BTreeSet<_>>().len()),
        F::Sum => Value::Int(members.iter().map(|(c, n)| number(&c.args[f][0]) * i128::from(*n)).sum()),
        F::Min => firsts().min().expect("not empty").clone(),
        F::Max => firsts().max().expect("not empty").clone(),
        F::MinBy => combined().min().expect("not empty").1.clone(),
        F::MaxBy => combined().max().expect("not empty").1.clone(),
        F::Collect => {
            let mut items = vec![];
            for (c, n) in members {
                items.extend(std::iter::repeat_n(c.args[f][0].clone(), *n as usize));
            }
            items.sort();
            Value::List(items.into())
        }
        F::Choose => {
            let lot = |v: &&Value| (draw::hash(std::slice::from_ref(*v), seed), (*v).clone());
            firsts().min_by_key(lot).expect("not empty").clone()
        }
        F::FirstGap => {
            let present: BTreeSet<i128> = firsts().map(number).collect();
            Value::Int((0..).find(|n| !present.contains(n)).expect("sets are finite"))
        }
        F::Index | F::IndexBy => unreachable!("numbered for the whole tick"),
    }
}
