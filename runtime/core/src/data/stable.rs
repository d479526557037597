//! The hash that decides routing, `choose`, `index()` and `random()`.

use crate::value::Value;

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
    #[inline]
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
    #[inline]
    pub fn int(&mut self, n: i128) {
        self.word(n as u64);
        if n != i128::from(n as u64) {
            self.word((n >> 64) as u64);
        }
    }
    /// The result.
    #[inline]
    pub fn finish(&self) -> u64 {
        mix(self.state)
    }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014).
#[inline]
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

impl Value {
    /// The stable hash of the typed value that this one came from. Tuples feed their items one after the
    /// other, so that a one-column tuple hashes like its column; of an address only the instance counts, so
    /// that a role's parts agree with the role.
    pub fn stable_hash(&self, hasher: &mut StableHasher) {
        match self {
            Value::Unit => hasher.word(0),
            Value::Bool(b) => hasher.word(u64::from(*b)),
            Value::Int(n) => hasher.int(*n),
            Value::Str(s) => hasher.bytes(s.as_bytes()),
            Value::Bytes(b) => hasher.bytes(b),
            Value::Addr(_, instance) => hasher.word(u64::from(*instance)),
            Value::Id(id) => {
                hasher.word(u64::from(id.route) << 32 | u64::from(id.node));
                hasher.word(id.serial);
            }
            Value::Req(req) => {
                hasher.word(req.session);
                hasher.word(req.number);
            }
            Value::Tuple(items) => items.iter().for_each(|item| item.stable_hash(hasher)),
            Value::Option(None) => hasher.word(0),
            Value::Option(Some(item)) => {
                hasher.word(1);
                item.stable_hash(hasher);
            }
            Value::List(items) => {
                hasher.word(items.len() as u64);
                items.iter().for_each(|item| item.stable_hash(hasher));
            }
            Value::Variant(index, _, fields) => {
                hasher.word(u64::from(*index));
                fields.iter().for_each(|field| field.stable_hash(hasher));
            }
        }
    }

    /// What [`Data::route`](super::Data::route) says of the typed value.
    pub fn route(&self) -> u32 {
        if let Value::Id(id) = self {
            return id.route;
        }
        let mut hasher = StableHasher::new(0);
        self.stable_hash(&mut hasher);
        hasher.finish() as u32
    }
}
