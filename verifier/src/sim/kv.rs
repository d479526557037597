//! A key-value store behind one request `submit(command) -> outcome`, as replicated state machines offer it: what to
//! ask of it, and whether what it says is linearizable.
//!
//! Commands and outcomes are those of `anabranch_protocols::kv`, as erased values: any protocol with variants of these
//! names and fields will do.

use super::check::{Check, RunEnd};
use super::tester::CheckMaker;
use super::workload::Generator;
use crate::check::{Model, Verdict, linear};
use crate::random::Dice;
use anabranch_core::data::Bytes;
use anabranch_core::value::Value;
use std::sync::Arc;

/// A store in which every command is answered as if they came one at a time. Splits by key.
#[derive(Clone, Copy, Debug)]
pub struct Store;

impl Model for Store {
    /// The value of a key: an option.
    type State = Value;

    fn initial(&self) -> Value {
        Value::Option(None)
    }

    fn key(&self, _: &str, args: &Value) -> Option<Value> {
        match args {
            Value::Variant(_, _, fields) => fields.first().cloned(),
            _ => None,
        }
    }

    fn apply(&self, state: &Value, _: &str, args: &Value) -> Option<(Value, Value)> {
        let Value::Variant(_, name, fields) = args else { return None };
        let before = Value::Variant(0, "Value".into(), [state.clone()].into());
        let some = |value: &Value| Value::Option(Some(Box::new(value.clone())));
        match (&**name, &**fields) {
            ("Get", [_]) => Some((state.clone(), before)),
            ("Put", [_, value]) => Some((some(value), before)),
            ("Delete", [_]) => Some((Value::Option(None), before)),
            ("CompareAndSet", [_, expected, value]) => {
                let equal = state == expected;
                let swapped = Value::Variant(1, "Swapped".into(), [Value::Bool(equal)].into());
                Some((if equal { some(value) } else { state.clone() }, swapped))
            }
            _ => None,
        }
    }
}

/// Commands on four keys. Values written are all different but for one in eight, so that a read says whose
/// value it saw; half of the expectations of a compare-and-set are of a value that was written shortly before.
pub fn commands() -> Arc<Generator> {
    Arc::new(|dice: &mut Dice, number: u32| {
        let key = Value::Bytes(Bytes::from_static([b"a", b"b", b"c", b"d"][dice.below(4)]));
        let bytes = |n: u32| Value::Bytes(Bytes::from(format!("v{n}")));
        let fresh = if dice.below(8) == 0 { bytes(0) } else { bytes(number) };
        let command = match dice.below(8) {
            0..3 => Value::Variant(0, "Get".into(), [key].into()),
            3..6 => Value::Variant(1, "Put".into(), [key, fresh].into()),
            6 => {
                let guess = number.saturating_sub(1 + dice.below(12) as u32);
                let expected = dice.percent(80).then(|| Box::new(bytes(guess)));
                Value::Variant(2, "CompareAndSet".into(), [key, Value::Option(expected), fresh].into())
            }
            _ => Value::Variant(3, "Delete".into(), [key].into()),
        };
        ("submit".to_string(), vec![command])
    })
}

/// Linearizability of a run's history by a model; unknown outcomes may have taken effect or not.
pub struct Linearizable<M>(pub M);

impl<M: Model + Clone + Send + Sync + 'static> Linearizable<M> {
    /// For the runs of a campaign.
    pub fn maker(model: M) -> CheckMaker {
        Arc::new(move || Box::new(Linearizable(model.clone())))
    }
}

impl<M: Model> Check for Linearizable<M> {
    fn name(&self) -> &'static str {
        "linearizable"
    }

    fn end(&mut self, end: &RunEnd<'_>) -> Result<(), String> {
        match linear::check(&self.0, &end.history()) {
            Verdict::Ok => Ok(()),
            // A check that cannot tell has not passed.
            verdict => Err(verdict.to_string()),
        }
    }
}
