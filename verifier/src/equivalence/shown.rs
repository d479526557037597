//! Histories as clients see them: what can be compared between two protocols.

use crate::world::{History, World};
use anabranch_core::id::Id;
use anabranch_core::value::Value;
use anabranch_dsl::ir::RoleId;
use std::collections::BTreeMap;
use std::fmt::Write;

/// An operation as its client sees it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Seen {
    /// Refused or not, and what was said; ids by order of appearance, addresses by name.
    pub told: Option<(bool, Vec<Value>)>,
    /// Whether it was taken.
    pub taken: bool,
    /// The operations that had ended before, as bits.
    pub after: u64,
}

/// A history as clients see it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Shown(pub Vec<Seen>);

impl Shown {
    /// What clients see of a world's history.
    pub fn of(world: &World, history: &History) -> Shown {
        let mut ids = BTreeMap::new();
        let seen = history.0.iter().map(|operation| {
            let told = world.given(operation).map(|given| {
                (given.refused, given.values.iter().map(|v| named(world, v, &mut ids)).collect())
            });
            Seen { told, taken: operation.taken, after: operation.after }
        });
        Shown(seen.collect())
    }

    /// Whether the other history is this one with some operations begun earlier or ended later.
    ///
    /// An operation that here was not even taken, there taken but not answered, counts as asked last of all.
    /// In a finite history an answer may still be on its way; in a complete one only a crash can keep it.
    pub fn permits(&self, other: &Shown, complete: bool) -> bool {
        self.0.iter().zip(&other.0).all(|(here, there)| {
            (here.told == there.told || !complete && there.told.is_none())
                && (!here.taken || there.taken && there.after & !here.after == 0)
        })
    }

    /// What everybody was told.
    fn answers(&self) -> Vec<&Option<(bool, Vec<Value>)>> {
        self.0.iter().map(|s| &s.told).collect()
    }

    /// In words, an operation per line.
    pub fn tell(&self, world: &World) -> String {
        let mut out = String::new();
        let mut number = 0;
        for (client, script) in world.scope.clients.iter().enumerate() {
            for call in script {
                let seen = &self.0[number];
                let args: Vec<String> = call.args.iter().map(|v| format!("{v:?}")).collect();
                let told = match &seen.told {
                    None if seen.taken => "no answer".to_string(),
                    None => "not taken".to_string(),
                    Some((refused, values)) => {
                        let values: Vec<String> = values.iter().map(|v| format!("{v:?}")).collect();
                        format!("{}({})", if *refused { "refused " } else { "" }, values.join(", "))
                    }
                };
                let before: Vec<String> =
                    (0..64).filter(|i| seen.after >> i & 1 == 1).map(|i| format!("#{i}")).collect();
                let order =
                    if before.is_empty() { String::new() } else { format!(", after {}", before.join(" ")) };
                let _ = writeln!(
                    out,
                    "  #{number} client.{client}: {}({}) -> {told}{order}",
                    call.request,
                    args.join(", ")
                );
                number += 1;
            }
        }
        out
    }
}

fn named(world: &World, value: &Value, ids: &mut BTreeMap<Id, i128>) -> Value {
    let mut all = |items: &[Value]| -> Vec<Value> { items.iter().map(|v| named(world, v, ids)).collect() };
    match value {
        Value::Id(id) => {
            let next = ids.len() as i128;
            Value::tuple([Value::str("id"), Value::Int(*ids.entry(*id).or_insert(next))])
        }
        Value::Addr(role, instance) => {
            let protocol = &world.system.protocol;
            let family = protocol.family(RoleId(u32::from(*role)));
            Value::tuple([Value::str(&protocol.role(family).name), Value::Int(i128::from(*instance))])
        }
        Value::Tuple(items) => Value::Tuple(all(items).into()),
        Value::List(items) => Value::List(all(items).into()),
        Value::Option(Some(item)) => Value::Option(Some(Box::new(named(world, item, ids)))),
        Value::Variant(index, name, items) => Value::Variant(*index, name.clone(), all(items).into()),
        plain => plain.clone(),
    }
}

/// What everybody was told.
type Answers = Vec<Option<(bool, Vec<Value>)>>;

/// Histories by answers; of each kind only those that no other permits.
#[derive(Default)]
pub struct Strongest(BTreeMap<Answers, Vec<Shown>>);

impl FromIterator<Shown> for Strongest {
    fn from_iter<I: IntoIterator<Item = Shown>>(histories: I) -> Strongest {
        let mut all = Strongest::default();
        for history in histories {
            let key = history.answers().into_iter().cloned().collect();
            let same = all.0.entry(key).or_default();
            if !same.iter().any(|h| h.permits(&history, true)) {
                same.retain(|h| !history.permits(h, true));
                same.push(history);
            }
        }
        all
    }
}

impl Strongest {
    /// Whether one of them permits a history.
    pub fn permits(&self, other: &Shown, complete: bool) -> bool {
        let key: Vec<_> = other.answers().into_iter().cloned().collect();
        let same = self.0.get(&key).is_some_and(|same| same.iter().any(|h| h.permits(other, complete)));
        same || !complete && self.0.values().flatten().any(|h| h.permits(other, false))
    }
}
