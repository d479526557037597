//! Streams of votes, the same in every run.

use super::{NEEDED, Vote};

/// In which order votes come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// Key by key.
    Sequential,
    /// Shuffled within windows of so many keys: about that many keys are open at a time.
    Shuffled(usize),
}

/// The votes for keys `from..from + keys`.
pub fn votes(order: Order, from: u64, keys: usize) -> Vec<Vote> {
    let mut all = Vec::with_capacity(keys * NEEDED);
    for key in from..from + keys as u64 {
        for src in 0..NEEDED as u32 {
            all.push((key, src));
        }
    }
    if let Order::Shuffled(window) = order {
        let mut random = Random(from + 1);
        for window in all.chunks_mut(window.max(1) * NEEDED) {
            for i in (1..window.len()).rev() {
                window.swap(i, (random.next() % (i as u64 + 1)) as usize);
            }
        }
    }
    all
}

/// SplitMix64: small, good enough to shuffle.
pub struct Random(pub u64);

impl Random {
    /// The next number.
    #[allow(clippy::should_implement_trait, reason = "it never ends")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shuffling_keeps_the_votes_and_stays_within_windows() {
        let plain = votes(Order::Sequential, 5, 20);
        let mut mixed = votes(Order::Shuffled(10), 5, 20);
        assert_ne!(plain, mixed);
        assert!(mixed[..30].iter().all(|v| v.0 < 15));
        mixed.sort_unstable();
        assert_eq!(plain, mixed);
    }
}
