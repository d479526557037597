//! Typed addresses: what generated code has for each role.

use super::{Data, Schema, StableHasher};
use crate::value::Value;
use crate::wire::{Reader, WireError, put_varint};

/// The address of an instance of a role. Generated code has one type per role; it is [`Data`] by this.
///
/// Decoding accepts every instance number: only the node knows how many there are, so whoever sends must
/// check it.
pub trait Address: Copy + Eq + Ord + std::hash::Hash + std::fmt::Debug + Send + 'static {
    /// The role's index in the protocol.
    const ROLE: u16;
    /// The role's name.
    const NAME: &'static str;
    /// The address of an instance.
    fn from_index(index: u32) -> Self;
    /// The instance.
    fn to_index(self) -> u32;
}

impl<A: Address> Data for A {
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        put_varint(u64::from(self.to_index()), out);
    }
    #[inline]
    fn decode(input: &mut Reader<'_>) -> Result<Self, WireError> {
        let index = u32::try_from(input.varint()?).map_err(|_| WireError::Invalid(A::NAME))?;
        Ok(A::from_index(index))
    }
    fn schema() -> Schema {
        Schema::Addr(A::ROLE)
    }
    fn to_value(&self) -> Value {
        Value::Addr(A::ROLE, self.to_index())
    }
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Addr(role, index) if *role == A::ROLE => Some(A::from_index(*index)),
            _ => None,
        }
    }
    #[inline]
    fn stable_hash(&self, hasher: &mut StableHasher) {
        hasher.word(u64::from(self.to_index()));
    }
}
