//! Heads: the rows that a rule gives, aggregates included.

use super::Program;
use super::body::{Binding, Moment, World};
use crate::draw;
use anabranch_core::value::Value;
use anabranch_dsl::ir::*;
use std::collections::{BTreeMap, BTreeSet};

/// One row per way to satisfy a rule: values of the head's expressions, `None` for `_` in a deletion.
pub type HeadRows = BTreeSet<Vec<Option<Value>>>;

impl Program {
    /// All rows of a rule's head. `exprs` are the head's expressions in any order that the caller knows.
    pub fn head_rows(
        &self,
        rule: &Rule,
        exprs: &[Option<&Expr>],
        world: &World<'_>,
        moment: Moment,
    ) -> HeadRows {
        let found = self.solve_rule(rule, world, moment);
        let mut aggregates = Vec::new();
        let mut group_by = BTreeSet::new();
        for e in exprs.iter().flatten() {
            outside(e, &mut group_by, &mut aggregates);
        }
        let row = |b: &Binding<'_>, results: &[(LeafId, usize, Value)]| -> Vec<Option<Value>> {
            exprs.iter().map(|e| e.map(|e| self.eval(e, b, results, world, moment))).collect()
        };
        if aggregates.is_empty() {
            return found.iter().map(|b| row(b, &[])).collect();
        }

        // Combinations that agree on all variables outside of aggregates form a group. Without any combination
        // there is no group, also if there is nothing to group by.
        let value = |b: &Binding<'_>, v: &str| b.get(v).cloned().expect("range restriction");
        let mut groups: BTreeMap<Vec<Value>, Vec<&Binding<'_>>> = BTreeMap::new();
        for b in &found {
            groups.entry(group_by.iter().map(|v| value(b, v)).collect()).or_default().push(b);
        }
        // Arguments of an aggregate under a binding.
        let arguments = |a: &Aggregate, b: &Binding<'_>| -> Vec<Value> {
            a.args.iter().map(|e| self.eval(e, b, &[], world, moment)).collect()
        };
        let mut rows = HeadRows::new();
        for members in groups.values() {
            // `index` differs within a group, so every member gives a row; if there is none, they are equal.
            for b in members {
                let result = |(leaf, hole, a): &(LeafId, usize, &Aggregate)| {
                    let value = match a.function {
                        // These number all of the tick's bindings, whatever the other columns say.
                        AggregateFn::Index => {
                            let order = |t: &Vec<Value>| (draw::hash(t, moment.args.seed), t.clone());
                            Value::Int(place(b.tuple(), found.iter().map(Binding::tuple), order))
                        }
                        AggregateFn::IndexBy => {
                            let all = found.iter().map(|b| arguments(a, b));
                            Value::Int(place(arguments(a, b), all, Clone::clone))
                        }
                        function => {
                            let all: Vec<Vec<Value>> = members.iter().map(|b| arguments(a, b)).collect();
                            aggregate(function, &all, moment.args.seed)
                        }
                    };
                    (*leaf, *hole, value)
                };
                let results: Vec<_> = aggregates.iter().map(result).collect();
                rows.insert(row(&b.of_group(&group_by), &results));
                if !aggregates
                    .iter()
                    .any(|(_, _, a)| matches!(a.function, AggregateFn::Index | AggregateFn::IndexBy))
                {
                    break;
                }
            }
        }
        rows
    }
}

/// How many different ones of `all` come before `one` in the order of `key`.
fn place<K: Ord>(
    one: Vec<Value>,
    all: impl Iterator<Item = Vec<Value>>,
    key: impl Fn(&Vec<Value>) -> K,
) -> i128 {
    let own = key(&one);
    all.collect::<BTreeSet<_>>().iter().filter(|other| key(other) < own).count() as i128
}

/// Collects an expression's variables outside of aggregates, and its aggregates with their places.
fn outside<'e>(
    e: &'e Expr,
    vars: &mut BTreeSet<&'e str>,
    aggregates: &mut Vec<(LeafId, usize, &'e Aggregate)>,
) {
    vars.extend(e.vars.iter().map(String::as_str));
    for (i, hole) in e.holes.iter().enumerate() {
        match hole {
            Hole::Lookup { args, .. } => args.iter().for_each(|e| outside(e, vars, aggregates)),
            Hole::Aggregate(a) => aggregates.push((e.leaf, i, a)),
            Hole::Unique | Hole::NowMs | Hole::Random => {}
        }
    }
}

/// An aggregate over its arguments, one element per combination.
fn aggregate(function: AggregateFn, all: &[Vec<Value>], seed: u64) -> Value {
    let int = |v: &Value| match v {
        Value::Int(n) => *n,
        other => panic!("a number was expected, not {other:?}"),
    };
    let first = || all.iter().map(|args| &args[0]);
    let least = || first().min().expect("groups are not empty").clone();
    let greatest = || first().max().expect("groups are not empty").clone();
    match function {
        AggregateFn::Count => Value::Int(all.len() as i128),
        AggregateFn::CountDistinct => Value::Int(first().collect::<BTreeSet<_>>().len() as i128),
        AggregateFn::Sum => Value::Int(first().map(int).sum()),
        AggregateFn::Min => least(),
        AggregateFn::Max => greatest(),
        // `min(b => v)`: the least v of the least b. `max(b => v)`: the greatest v of the greatest b.
        AggregateFn::MinBy => {
            all.iter().filter(|a| a[0] == least()).map(|a| &a[1]).min().expect("not empty").clone()
        }
        AggregateFn::MaxBy => {
            all.iter().filter(|a| a[0] == greatest()).map(|a| &a[1]).max().expect("not empty").clone()
        }
        AggregateFn::Collect => {
            let mut items: Vec<Value> = first().cloned().collect();
            items.sort();
            Value::List(items.into())
        }
        AggregateFn::Choose => {
            let lot = |x: &&Value| (draw::hash(std::slice::from_ref(*x), seed), (*x).clone());
            first().min_by_key(lot).expect("groups are not empty").clone()
        }
        AggregateFn::FirstGap => {
            let present: BTreeSet<i128> = first().map(int).collect();
            Value::Int((0..).find(|n| !present.contains(n)).expect("sets are finite"))
        }
        AggregateFn::Index | AggregateFn::IndexBy => unreachable!("handled by the caller"),
    }
}
