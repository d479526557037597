//! The shape of a type.

use super::StableHasher;

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
    /// A struct: name and fields (`0`, `1` … in a tuple struct). Its erased values are tuples.
    Struct(String, Vec<(String, Schema)>),
    /// An enum: name and variants with their fields.
    Enum(String, Vec<(String, Vec<(String, Schema)>)>),
}

impl Schema {
    /// Feeds the shape, names included, to a hasher: part of a protocol's fingerprint, so that two nodes
    /// whose enums differ never talk.
    pub fn stable_hash(&self, hasher: &mut StableHasher) {
        let fields = |hasher: &mut StableHasher, fields: &[(String, Schema)]| {
            hasher.word(fields.len() as u64);
            for (name, schema) in fields {
                hasher.bytes(name.as_bytes());
                schema.stable_hash(hasher);
            }
        };
        match self {
            Schema::Unit => hasher.word(1),
            Schema::Bool => hasher.word(2),
            Schema::Int { signed, bits } => hasher.word(3 | u64::from(*signed) << 8 | u64::from(*bits) << 16),
            Schema::Str => hasher.word(4),
            Schema::Bytes => hasher.word(5),
            Schema::Addr(role) => hasher.word(6 | u64::from(*role) << 8),
            Schema::Id => hasher.word(7),
            Schema::Req => hasher.word(8),
            Schema::Tuple(items) => {
                hasher.word(9 | (items.len() as u64) << 8);
                items.iter().for_each(|item| item.stable_hash(hasher));
            }
            Schema::Option(item) => {
                hasher.word(10);
                item.stable_hash(hasher);
            }
            Schema::List(item) => {
                hasher.word(11);
                item.stable_hash(hasher);
            }
            Schema::Struct(name, parts) => {
                hasher.word(12);
                hasher.bytes(name.as_bytes());
                fields(hasher, parts);
            }
            Schema::Enum(name, variants) => {
                hasher.word(13 | (variants.len() as u64) << 8);
                hasher.bytes(name.as_bytes());
                for (name, parts) in variants {
                    hasher.bytes(name.as_bytes());
                    fields(hasher, parts);
                }
            }
        }
    }

    /// A fingerprint over a protocol's canonical text and the shapes of all types in it, in order.
    pub fn fingerprint<'a>(text: &str, schemas: impl IntoIterator<Item = &'a Schema>) -> u64 {
        let mut hasher = StableHasher::new(0);
        hasher.bytes(text.as_bytes());
        schemas.into_iter().for_each(|schema| schema.stable_hash(&mut hasher));
        hasher.finish()
    }
}
