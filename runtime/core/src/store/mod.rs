//! Containers that compiled roles keep their state in.
//!
//! All are deterministic (a fixed hash function), none grows by a stall that depends on its size, and none
//! allocates for each row while groups are small. What is public here is called by generated code; nothing
//! else should need it.

pub mod aggregate;
pub mod counted;
pub mod event;
pub mod fold;
pub mod groups;
pub mod joint;
pub mod machine;
pub mod map;
pub mod multi;
pub mod net;
pub mod one;
pub mod pairs;
pub mod pending;
pub mod range;
pub mod timer;
mod words;

pub use aggregate::Aggregated;
pub use counted::Counted;
pub use event::{EventIndex, EventSet};
pub use groups::EventGroups;
pub use joint::Joint;
pub use map::{Map, Table};
pub use multi::{Group, Multi};
pub use net::Net;
pub use one::One;
pub use pairs::Pairs;
pub use pending::Pending;
pub use range::{RangeSet, Ranges};

/// A few rows, without an allocation up to two.
pub type Few<R> = smallvec::SmallVec<[R; 2]>;

#[cfg(test)]
pub(crate) mod tests {
    /// Random numbers for property tests (SplitMix64).
    pub struct Dice(u64);

    impl Dice {
        pub fn new(seed: u64) -> Dice {
            Dice(seed)
        }
        /// A number below `n`.
        pub fn below(&mut self, n: u64) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut x = self.0;
            x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (x ^ (x >> 31)) % n
        }
    }
}
