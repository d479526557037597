//! The `Data` trait: everything that may stand in a column.
//!
//! Implemented for `()`, `bool`, `u8` to `u128`, `i8` to `i128`, `String`, `Bytes`, [`Id`](crate::id::Id),
//! [`Req`](crate::id::Req), `Duration` (in whole milliseconds), tuples up to eight, arrays, `Option`, `Vec`, `BTreeSet`,
//! `BTreeMap`, and every [`Address`]; structs and enums derive it. Not for `usize` (its width depends on
//! the machine), floats (no total order) and recursive types (a [`Schema`] is finite, and so is the depth
//! of decoding).

mod address;
mod bytes;
mod compound;
mod dynamic;
pub mod laws;
mod prims;
mod schema;
mod stable;
mod text;

pub use self::bytes::Bytes;
pub use address::Address;
pub use anabranch_derive::Data;
pub use dynamic::Mismatch;
pub use schema::Schema;
pub use stable::StableHasher;
pub use text::TextError;

use crate::value::Value;
use crate::wire::{Reader, WireError};
use std::hash::Hash;

/// A column type. Derived with `#[derive(Data)]` for structs and enums.
///
/// Obligations (checked by [`laws::check`] in tests, which a user may call for own types):
/// - `decode(encode(x)) == x`, and an encoding takes at least one byte: the memory that decoding may take
///   is bounded by its input's length;
/// - `from_value(to_value(x)) == Some(x)`; `to_value` keeps order and equality;
/// - `stable_hash` depends only on `to_value(x)`, as [`Value::stable_hash`] does, and is the same on every
///   machine and version.
pub trait Data: Clone + Eq + Ord + Hash + std::fmt::Debug + Send + 'static {
    /// Appends the wire form.
    fn encode(&self, out: &mut Vec<u8>);
    /// Reads the wire form.
    fn decode(input: &mut Reader<'_>) -> Result<Self, WireError>;
    /// The shape of the type; part of the protocol's fingerprint.
    fn schema() -> Schema;
    /// Erases the type.
    fn to_value(&self) -> Value;
    /// The inverse of `to_value`; `None` if the value has another shape.
    fn from_value(value: &Value) -> Option<Self>;
    /// Feeds a hasher whose result decides routing, `choose`, `index()` and `random()`. Integers of all
    /// widths hash alike, so that it agrees with [`Value`]'s.
    fn stable_hash(&self, hasher: &mut StableHasher);
    /// What `role.of(..)` and partitions take the remainder of: the low half of the stable hash with seed 0,
    /// except that an [`Id`](crate::id::Id) carries its own.
    fn route(&self) -> u32 {
        let mut hasher = StableHasher::new(0);
        self.stable_hash(&mut hasher);
        hasher.finish() as u32
    }
    /// Reads a value that must take the whole input.
    fn decode_all(input: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(input);
        let value = Self::decode(&mut reader)?;
        if reader.is_empty() { Ok(value) } else { Err(WireError::Trailing) }
    }
}
