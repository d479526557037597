//! Erased values: what interpreter, plan executor, `inspect` and `call` work on.

use crate::data::Bytes;
use std::fmt;
use std::sync::Arc;

/// A value of any [`Data`](crate::data::Data) type. The order is that of the typed values.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// `()`.
    Unit,
    /// `bool`.
    Bool(bool),
    /// Any integer type.
    Int(i128),
    /// `String`.
    Str(Arc<str>),
    /// `Bytes`.
    Bytes(Bytes),
    /// The address of an instance: role (index in the protocol) and instance.
    Addr(u16, u32),
    /// An id from `unique()`.
    Id(crate::id::Id),
    /// A request's identity.
    Req(crate::id::Req),
    /// Tuples and structs.
    Tuple(Arc<[Value]>),
    /// `Option`. (`None` is less than `Some`, as in Rust.)
    Option(Option<Box<Value>>),
    /// `Vec`.
    List(Arc<[Value]>),
    /// An enum: variant index, name, fields. Compared by index, then fields.
    Variant(u32, Arc<str>, Arc<[Value]>),
}

impl Value {
    /// A tuple.
    pub fn tuple(items: impl IntoIterator<Item = Value>) -> Value {
        Value::Tuple(items.into_iter().collect())
    }
    /// A string.
    pub fn str(s: &str) -> Value {
        Value::Str(s.into())
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, items: &[Value], open: &str, close: &str| {
            f.write_str(open)?;
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    f.write_str(", ")?;
                }
                write!(f, "{item:?}")?;
            }
            f.write_str(close)
        };
        match self {
            Value::Unit => f.write_str("()"),
            Value::Bool(b) => write!(f, "{b}"),
            Value::Int(n) => write!(f, "{n}"),
            Value::Str(s) => write!(f, "{s:?}"),
            Value::Bytes(b) => write!(f, "{b:?}"),
            Value::Addr(role, i) => write!(f, "@{role}.{i}"),
            Value::Id(id) => write!(f, "{id:?}"),
            Value::Req(req) => write!(f, "{req:?}"),
            Value::Tuple(items) => list(f, items, "(", ")"),
            Value::Option(None) => f.write_str("None"),
            Value::Option(Some(v)) => write!(f, "Some({v:?})"),
            Value::List(items) => list(f, items, "[", "]"),
            Value::Variant(_, name, fields) if fields.is_empty() => f.write_str(name),
            Value::Variant(_, name, fields) => list(f, fields, &format!("{name}("), ")"),
        }
    }
}
