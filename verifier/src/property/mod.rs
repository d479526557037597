//! Properties: what a protocol's `never`, `sometimes` and `eventually` say of the states of all nodes.
//!
//! A property's body is a join over rows of any node; `at p` binds the address of the node that holds the row.
//! The node of a part, or of a partition, answers to the address of the instance that it belongs to, so a
//! property means the same before and after a rewrite. Positive atoms are joined in order, look up their rows by
//! the columns that are bound so far, and negated ones are asked last, of all nodes that fit.
//!
//! [`Properties::check`] looks at whole states; [`Monitor`] is told of changes and looks only at what
//! a new row can complete. When an `eventually` must hold is for the caller to say: only he knows of faults
//! and time. Omitted: look-ups and aggregates in properties, which the language does not have.

mod monitor;
mod solve;

#[cfg(test)]
mod tests;

pub use monitor::Monitor;

use crate::engine::{Facts, Row};
use anabranch_core::node::{Env, Layout, Leaves, Seat};
use anabranch_core::value::Value;
use anabranch_dsl::ir::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// The state of one node.
#[derive(Clone, Copy, Debug)]
pub struct NodeState<'a> {
    /// Which node.
    pub seat: Seat,
    /// Its state relations, at least those in [`Properties::reads`].
    pub rows: &'a Facts,
}

/// A row that takes part in a witness.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Held {
    /// The node that holds it.
    pub seat: Seat,
    /// The relation.
    pub rel: RelId,
    /// The row.
    pub row: Row,
}

/// A way to satisfy a property's body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Witness {
    /// Values of the variables, in order of first appearance.
    pub binding: Vec<(String, Value)>,
    /// What the property reports: its arguments.
    pub args: Vec<Value>,
    /// One row per positive atom.
    pub rows: Vec<Held>,
}

/// A `never` that held.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// Which property: its place in the protocol's list.
    pub property: usize,
    /// The property's name.
    pub name: String,
    /// How it held.
    pub witness: Witness,
    /// The whole story in the protocol's words.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// All properties of a protocol, ready to be asked.
pub struct Properties {
    protocol: Arc<Protocol>,
    leaves: Arc<dyn Leaves>,
    env: Env,
    reads: BTreeSet<RelId>,
}

impl Properties {
    /// The properties of a protocol. `params` must hold every parameter that they mention.
    pub fn new(
        protocol: Arc<Protocol>,
        leaves: Arc<dyn Leaves>,
        layout: Arc<Layout>,
        params: BTreeMap<String, Value>,
    ) -> Properties {
        let env = Env { layout, seat: Seat { role: 0, instance: 0, partition: 0 }, params };
        let atoms = protocol.invariants.iter().flat_map(|i| &i.body);
        let reads = atoms.filter_map(|l| if let Literal::Atom(a) = l { Some(a.rel) } else { None }).collect();
        Properties { protocol, leaves, env, reads }
    }

    /// The protocol whose properties these are.
    pub fn protocol(&self) -> &Arc<Protocol> {
        &self.protocol
    }

    /// The relations that some property reads: nothing else need be kept for it.
    pub fn reads(&self) -> &BTreeSet<RelId> {
        &self.reads
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.protocol.invariants.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A property's name and kind.
    pub fn of(&self, property: usize) -> (&str, PropertyKind) {
        let invariant = &self.protocol.invariants[property];
        (&invariant.name, invariant.kind)
    }

    /// The `never`s that hold in a state, with one witness each.
    pub fn check(&self, states: &[NodeState<'_>]) -> Vec<Violation> {
        let never = |i: &usize| self.of(*i).1 == PropertyKind::Never;
        let found =
            (0..self.len()).filter(never).filter_map(|i| Some(self.violation(i, self.holds(i, states)?)));
        found.collect()
    }

    /// How a property's body holds in a state, whatever its kind.
    pub fn holds(&self, property: usize, states: &[NodeState<'_>]) -> Option<Witness> {
        self.solve(property, states, None)
    }

    /// A violation with its message.
    pub fn violation(&self, property: usize, witness: Witness) -> Violation {
        let name = self.of(property).0.to_string();
        let args: Vec<String> = witness.args.iter().map(|v| self.show(v)).collect();
        let mut message = format!("`{name}({})` holds", args.join(", "));
        for held in &witness.rows {
            let relation = self.protocol.relation(held.rel);
            let values: Vec<String> = held.row.iter().map(|v| self.show(v)).collect();
            let at = self.show_seat(held.seat);
            message += &format!("\n  {}({}) at {at}", relation.name, values.join(", "));
            let writers: Vec<String> = self.writers(held.rel).map(|p| format!("{p:?}")).collect();
            if !writers.is_empty() {
                message += &format!(", by the rule at {}", writers.join(" or "));
            }
        }
        Violation { property, name, witness, message }
    }

    /// Where the rules stand that may have written a relation.
    fn writers(&self, rel: RelId) -> impl Iterator<Item = Place> {
        let writes = move |rule: &&Rule| match &rule.head {
            Head::Now { rel: head, .. } | Head::Next { rel: head, .. } => *head == rel,
            _ => false,
        };
        self.protocol.rules.iter().filter(writes).map(|rule| rule.place)
    }

    /// A value with the names of roles.
    fn show(&self, value: &Value) -> String {
        match value {
            Value::Addr(role, instance) => {
                format!("{}.{instance}", self.protocol.role(RoleId(u32::from(*role))).name)
            }
            Value::Tuple(items) => {
                format!("({})", items.iter().map(|v| self.show(v)).collect::<Vec<_>>().join(", "))
            }
            other => format!("{other:?}"),
        }
    }

    fn show_seat(&self, seat: Seat) -> String {
        let name = &self.protocol.role(RoleId(u32::from(seat.role))).name;
        match self.env.layout.roles.get(usize::from(seat.role)) {
            Some(role) if role.partitions > 1 => format!("{name}.{}.{}", seat.instance, seat.partition),
            _ => format!("{name}.{}", seat.instance),
        }
    }

    /// What `at p` binds for a node.
    fn location(&self, seat: Seat) -> Value {
        let family = self.protocol.family(RoleId(u32::from(seat.role)));
        Value::Addr(family.0 as u16, seat.instance)
    }
}
