//! What a tick draws: `unique()`, `random()`, and the order behind `choose` and `index()`.
//!
//! These are definitions rather than algorithms, so interpreter and executor share them; generated code must
//! arrive at the same numbers.

use anabranch_core::data::StableHasher;
use anabranch_core::id::Id;
use anabranch_core::node::Ids;
use anabranch_core::value::Value;
use anabranch_dsl::ir::LeafId;

/// The stable hash of some values, from a seed.
pub fn hash(values: &[Value], seed: u64) -> u64 {
    let mut hasher = StableHasher::new(seed);
    values.iter().for_each(|v| v.stable_hash(&mut hasher));
    hasher.finish()
}

/// `random()` at a hole of an expression, for one binding of the rule's named variables.
pub fn random(seed: u64, leaf: LeafId, hole: usize, binding: &[Value]) -> u64 {
    let mut hasher = StableHasher::new(seed);
    hasher.word(u64::from(leaf.0));
    hasher.word(hole as u64);
    binding.iter().for_each(|v| v.stable_hash(&mut hasher));
    hasher.finish()
}

/// Who draws an id, and when.
#[derive(Clone, Copy, Debug)]
pub struct Minter {
    /// Dense number of the node.
    pub node: u32,
    /// Its incarnation.
    pub incarnation: u64,
    /// The tick's number within the incarnation, from 0.
    pub tick: u64,
}

impl Minter {
    /// Under `Ids::Seeded` the tick's seed stands for all that came before.
    pub fn new(ids: Ids, node: u32, incarnation: u64, tick: u64, seed: u64) -> Minter {
        match ids {
            Ids::Seeded => Minter { node, incarnation: seed, tick: 0 },
            Ids::Counted | Ids::Hashed => Minter { node, incarnation, tick },
        }
    }
}

/// `unique()` under `Ids::Hashed`: `key` is the first column of the driving event. If that is an id, the new one goes
/// where it went.
pub fn unique(minter: Minter, leaf: LeafId, hole: usize, binding: &[Value], key: Option<&Value>) -> Id {
    let mut hasher = StableHasher::new(minter.incarnation);
    hasher.word(minter.tick);
    hasher.word(u64::from(leaf.0));
    hasher.word(hole as u64);
    binding.iter().for_each(|v| v.stable_hash(&mut hasher));
    let route = key.map_or(0, Value::route);
    Id { route, node: minter.node, serial: hasher.finish() }
}
