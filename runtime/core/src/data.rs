//! The `Data` trait: everything that may stand in a column.

use crate::value::Value;
use crate::wire::{Reader, WireError};
use std::hash::Hash;

/// A column type. Derived with `#[derive(Data)]` for structs and enums.
///
/// Obligations (checked by `data::laws` in tests, which a user may call for own types):
/// `decode(encode(x)) == x`; `from_value(to_value(x)) == Some(x)`; `to_value` keeps order and equality;
/// `stable_hash` depends only on `to_value(x)` and is the same on every machine and version.
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
}

/// The shape of a type, enough to parse, print, encode and decode its values without the type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Schema {
    /// `()`.
    Unit,
    /// `bool`.
    Bool,
    /// An integer.
    Int {
        /// Whether it has a sign.
        signed: bool,
        /// Its width.
        bits: u8,
    },
    /// `String`.
    Str,
    /// `Bytes`.
    Bytes,
    /// An address of a role (index in the protocol).
    Addr(u16),
    /// `Id`.
    Id,
    /// `Req`.
    Req,
    /// A tuple.
    Tuple(Vec<Schema>),
    /// `Option`.
    Option(Box<Schema>),
    /// `Vec`.
    List(Box<Schema>),
    /// A struct: name and fields.
    Struct(String, Vec<(String, Schema)>),
    /// An enum: name and variants with their fields.
    Enum(String, Vec<(String, Vec<(String, Schema)>)>),
}

/// A hash function that never changes: the same on all machines and in all versions.
#[derive(Clone, Debug)]
pub struct StableHasher {
    state: u64,
}

impl StableHasher {
    /// A hasher that starts from a seed.
    pub fn new(seed: u64) -> StableHasher {
        StableHasher { state: seed ^ 0x9e37_79b9_7f4a_7c15 }
    }
    /// Feeds one word.
    pub fn word(&mut self, word: u64) {
        self.state = mix(self.state ^ mix(word));
    }
    /// Feeds bytes, with their length.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.word(u64::from_le_bytes(word));
        }
    }
    /// Feeds an integer of any width.
    pub fn int(&mut self, n: i128) {
        self.word(n as u64);
        if n != i128::from(n as u64) {
            self.word((n >> 64) as u64);
        }
    }
    /// The result.
    pub fn finish(&self) -> u64 {
        mix(self.state)
    }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014).
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
