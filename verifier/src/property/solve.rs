//! Joins a property's body over the rows of all nodes.

use super::{Held, NodeState, Properties, Witness};
use crate::engine::Row;
use anabranch_core::value::Value;
use anabranch_dsl::ir::*;
use std::collections::BTreeSet;

/// Where a search begins: a positive atom (its position in the body) with a row that it must take.
#[derive(Clone, Copy)]
pub struct Driver<'a> {
    pub atom: usize,
    pub node: usize,
    pub row: &'a Row,
}

#[derive(Clone, Default)]
struct Found<'p> {
    vars: Vec<(&'p str, Value)>,
    rows: Vec<Held>,
}

impl<'p> Found<'p> {
    fn get(&self, name: &str) -> Option<&Value> {
        self.vars.iter().find(|(n, _)| *n == name).map(|(_, v)| v)
    }
    fn unify(&mut self, name: &'p str, value: &Value) -> bool {
        match self.get(name) {
            Some(bound) => bound == value,
            None => {
                self.vars.push((name, value.clone()));
                true
            }
        }
    }
}

impl Properties {
    /// The first way to satisfy a body, or the first that uses the driver.
    pub(super) fn solve(
        &self,
        property: usize,
        states: &[NodeState<'_>],
        driver: Option<Driver<'_>>,
    ) -> Option<Witness> {
        let invariant = &self.protocol.invariants[property];
        let mut found = Found::default();
        if let Some(Driver { atom, node, row }) = driver {
            let Literal::Atom(atom) = &invariant.body[atom] else { return None };
            if !self.take(atom, states[node].seat, row, &mut found) {
                return None;
            }
        }
        let found = self.search(&invariant.body, 0, driver.map(|d| d.atom), states, found)?;
        let args = invariant.args.iter().map(|e| self.eval(e, &found)).collect();
        let binding = found.vars.iter().map(|(n, v)| (n.to_string(), v.clone())).collect();
        Some(Witness { binding, args, rows: found.rows })
    }

    /// Depth first through the literals from `next` on; the first solution.
    fn search<'p>(
        &'p self,
        body: &'p [Literal],
        next: usize,
        done: Option<usize>,
        states: &[NodeState<'_>],
        found: Found<'p>,
    ) -> Option<Found<'p>> {
        let Some(literal) = body.get(next) else {
            let negated = body.iter().filter_map(|l| match l {
                Literal::Atom(atom) if atom.negated => Some(atom),
                _ => None,
            });
            let mut all = negated.into_iter();
            return all.all(|atom| !self.any(atom, states, &found)).then_some(found);
        };
        match literal {
            _ if done == Some(next) => self.search(body, next + 1, done, states, found),
            Literal::Atom(atom) if atom.negated => self.search(body, next + 1, done, states, found),
            Literal::Atom(atom) => {
                for state in states {
                    for row in self.candidates(atom, state, &found) {
                        let mut more = found.clone();
                        if self.take(atom, state.seat, row, &mut more)
                            && let Some(found) = self.search(body, next + 1, done, states, more)
                        {
                            return Some(found);
                        }
                    }
                }
                None
            }
            Literal::NewJoin(..) => unreachable!("the checks keep `new` out of properties"),
            Literal::If(e) => match self.eval(e, &found) {
                Value::Bool(true) => self.search(body, next + 1, done, states, found),
                _ => None,
            },
            Literal::Let(pattern, e) => {
                let value = self.eval(e, &found);
                let mut more = found;
                let fits = self.unify(pattern, &value, &mut more);
                if fits { self.search(body, next + 1, done, states, more) } else { None }
            }
            Literal::For(pattern, e) => {
                let Value::List(items) = self.eval(e, &found) else { panic!("`for` on no list") };
                items.iter().find_map(|item| {
                    let mut more = found.clone();
                    let fits = self.unify(pattern, item, &mut more);
                    if fits { self.search(body, next + 1, done, states, more) } else { None }
                })
            }
        }
    }

    /// Whether some row of some node matches a negated atom.
    fn any(&self, atom: &Atom, states: &[NodeState<'_>], found: &Found<'_>) -> bool {
        states.iter().any(|state| {
            self.candidates(atom, state, found).any(|row| {
                let mut more = Found { vars: found.vars.clone(), rows: Vec::new() };
                self.take(atom, state.seat, row, &mut more)
            })
        })
    }

    /// Rows of a node that an atom may match: rows are sorted, so columns that are bound from the first on
    /// narrow them down.
    fn candidates<'a>(
        &self,
        atom: &Atom,
        state: &NodeState<'a>,
        found: &Found<'_>,
    ) -> impl Iterator<Item = &'a Row> + use<'a> {
        static NONE: BTreeSet<Row> = BTreeSet::new();
        let own = self.protocol.relation(atom.rel).role.is_none_or(|r| r.0 == u32::from(state.seat.role));
        let rows = state.rows.get(&atom.rel).filter(|_| own).unwrap_or(&NONE);
        let bound = |pattern: &Pattern| match pattern {
            Pattern::Var(var) => found.get(&var.name).cloned(),
            Pattern::Value(e) => self.leaves.eval(e.leaf.0, &[], &self.env),
            Pattern::Wild(_) | Pattern::Nested(_) => None,
        };
        let prefix: Vec<Value> = atom.args.iter().map_while(bound).collect();
        rows.range(prefix.clone()..).take_while(move |row| row.starts_with(&prefix))
    }

    /// Binds what an atom says of a row and its place.
    fn take<'p>(
        &'p self,
        atom: &'p Atom,
        seat: anabranch_core::node::Seat,
        row: &Row,
        found: &mut Found<'p>,
    ) -> bool {
        let here = atom.at.as_ref().is_none_or(|at| self.unify(at, &self.location(seat), found));
        let fits = here && atom.args.iter().zip(row).all(|(p, v)| self.unify(p, v, found));
        if fits {
            found.rows.push(Held { seat, rel: atom.rel, row: row.clone() });
        }
        fits
    }

    fn unify<'p>(&'p self, pattern: &'p Pattern, value: &Value, found: &mut Found<'p>) -> bool {
        match pattern {
            Pattern::Wild(_) => true,
            Pattern::Var(var) => found.unify(&var.name, value),
            Pattern::Value(e) => {
                let constant = self.leaves.eval(e.leaf.0, &[], &self.env);
                constant.unwrap_or_else(|| panic!("{:?}: no constant", e.place)) == *value
            }
            Pattern::Nested(nested) => {
                let matched = self.leaves.matches(nested.leaf.0, value, &self.env);
                let matched = matched
                    .unwrap_or_else(|| panic!("{:?}: the pattern does not fit {value:?}", nested.place));
                matched.is_some_and(|values| {
                    nested.vars.iter().zip(&values).all(|(var, value)| found.unify(&var.name, value))
                })
            }
        }
    }

    fn eval(&self, e: &Expr, found: &Found<'_>) -> Value {
        let var =
            |v: &String| found.get(v).cloned().unwrap_or_else(|| panic!("{:?}: `{v}` is not bound", e.place));
        assert!(e.holes.is_empty(), "{:?}: look-ups in properties are not part of the language", e.place);
        let values: Vec<Value> = e.vars.iter().map(var).collect();
        let value = self.leaves.eval(e.leaf.0, &values, &self.env);
        value.unwrap_or_else(|| panic!("{:?}: {:?} cannot be evaluated on {values:?}", e.place, e.tokens))
    }
}
