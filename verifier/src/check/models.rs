//! Sequential models: what an object would do if its operations came one at a time.

use anabranch_core::value::Value;
use std::collections::BTreeMap;
use std::hash::Hash;

/// A sequential object.
///
/// Obligations: [`Model::apply`] is a function of its arguments alone; operations with different keys neither
/// see nor change each other's state (nothing checks that). Of an object that splits, each key has a state of
/// its own, which begins as [`Model::initial`].
pub trait Model {
    /// Its state.
    type State: Clone + Eq + Hash + std::fmt::Debug;
    /// The state in the beginning.
    fn initial(&self) -> Self::State;
    /// What an operation does and answers; `None` if it cannot happen in that state (taking a lock that is
    /// held), or if there is no such operation.
    fn apply(&self, state: &Self::State, f: &str, args: &Value) -> Option<(Self::State, Value)>;
    /// The part of the object that an operation is about. `None` for an operation that is about all of it: then
    /// the history is not split at all.
    fn key(&self, f: &str, args: &Value) -> Option<Value> {
        let _ = (f, args);
        None
    }
}

/// The built-in models, by name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Builtin {
    /// `write(v) -> ()`, `read -> Option`.
    Register,
    /// A register with `cas(old, new) -> bool`, which writes if the value is `old`.
    CasRegister,
    /// `put(k, v) -> ()`, `get(k) -> Option`, `delete(k) -> ()`, `cas(k, old, new) -> bool`. Splits by key.
    Map,
    /// `acquire(lock, owner) -> ()` and `release(lock, owner) -> ()`, which wait until they can happen;
    /// `try_acquire(lock, owner) -> bool`. Splits by lock.
    Lock,
    /// `add(n) -> ()`, `read -> int`, `add_and_get(n) -> int`.
    Counter,
    /// `append(k, v) -> ()`, `read(k) -> Vec`. Splits by key.
    AppendList,
}

/// All of them with their names.
pub const BUILTIN: [(&str, Builtin); 6] = [
    ("register", Builtin::Register),
    ("cas-register", Builtin::CasRegister),
    ("map", Builtin::Map),
    ("lock", Builtin::Lock),
    ("counter", Builtin::Counter),
    ("append-list", Builtin::AppendList),
];

impl Builtin {
    /// The model with a name.
    pub fn named(name: &str) -> Option<Builtin> {
        BUILTIN.into_iter().find(|(n, _)| *n == name).map(|(_, model)| model)
    }
    fn splits(self) -> bool {
        matches!(self, Builtin::Map | Builtin::Lock | Builtin::AppendList)
    }
}

fn some(value: &Value) -> Value {
    Value::Option(Some(Box::new(value.clone())))
}

const NONE: Value = Value::Option(None);

impl Model for Builtin {
    type State = Value;

    fn initial(&self) -> Value {
        match self {
            Builtin::Register | Builtin::CasRegister | Builtin::Map | Builtin::Lock => NONE,
            Builtin::Counter => Value::Int(0),
            Builtin::AppendList => Value::List([].into()),
        }
    }

    fn key(&self, _: &str, args: &Value) -> Option<Value> {
        match args {
            Value::Tuple(items) if self.splits() => items.first().cloned(),
            other if self.splits() => Some(other.clone()),
            _ => None,
        }
    }

    fn apply(&self, state: &Value, f: &str, args: &Value) -> Option<(Value, Value)> {
        let stay = |reply: Value| Some((state.clone(), reply));
        let done = |state: Value| Some((state, Value::Unit));
        // Where the model splits, the first argument is the key, and the state is that of the key.
        let items: &[Value] = match args {
            Value::Tuple(items) => items,
            Value::Unit => &[],
            one => std::slice::from_ref(one),
        };
        let items = if self.splits() { items.get(1..)? } else { items };
        match (self, f, items) {
            (Builtin::Register | Builtin::CasRegister, "write", [v]) => done(some(v)),
            (Builtin::Register | Builtin::CasRegister, "read", []) => stay(state.clone()),
            (Builtin::Map, "put", [v]) => done(some(v)),
            (Builtin::Map, "get", []) => stay(state.clone()),
            (Builtin::Map, "delete", []) => done(NONE),
            (Builtin::CasRegister | Builtin::Map, "cas", [old, new]) => {
                let same = *state == some(old);
                Some((if same { some(new) } else { state.clone() }, Value::Bool(same)))
            }
            (Builtin::Lock, "acquire", [owner]) if *state == NONE => done(some(owner)),
            (Builtin::Lock, "release", [owner]) if *state == some(owner) => done(NONE),
            (Builtin::Lock, "try_acquire", [owner]) => {
                let free = *state == NONE;
                Some((if free { some(owner) } else { state.clone() }, Value::Bool(free)))
            }
            (Builtin::Counter, _, _) => {
                let Value::Int(n) = state else { return None };
                match (f, items) {
                    ("read", []) => stay(state.clone()),
                    ("add", [Value::Int(by)]) => done(Value::Int(n + by)),
                    ("add_and_get", [Value::Int(by)]) => Some((Value::Int(n + by), Value::Int(n + by))),
                    _ => None,
                }
            }
            (Builtin::AppendList, "read", []) => stay(state.clone()),
            (Builtin::AppendList, "append", [v]) => {
                let Value::List(items) = state else { return None };
                done(Value::List(items.iter().chain([v]).cloned().collect()))
            }
            _ => None,
        }
    }
}

/// An object without keys, made of one that splits: for tests, and where a model's keys are in doubt.
#[derive(Clone, Copy, Debug)]
pub struct Whole<M>(pub M);

impl<M: Model<State = Value>> Model for Whole<M> {
    type State = BTreeMap<Value, Value>;

    fn initial(&self) -> Self::State {
        BTreeMap::new()
    }
    fn apply(&self, state: &Self::State, f: &str, args: &Value) -> Option<(Self::State, Value)> {
        let key = self.0.key(f, args).unwrap_or(Value::Unit);
        let part = state.get(&key).cloned().unwrap_or_else(|| self.0.initial());
        let (part, reply) = self.0.apply(&part, f, args)?;
        let mut state = state.clone();
        state.insert(key, part);
        Some((state, reply))
    }
}
