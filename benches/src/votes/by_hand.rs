//! Vote counting as one would write it by hand: one hash map entry per key.

use super::{Counter, NEEDED, Vote};
use rustc_hash::FxHashMap;
use std::collections::hash_map::Entry;

/// The voters of a key, in place.
#[derive(Clone, Copy, Default)]
struct Voters {
    len: u32,
    by: [u32; NEEDED],
}

impl Voters {
    /// Counts a voter once; whether it was the third.
    #[inline]
    fn add(&mut self, src: u32) -> bool {
        let len = self.len as usize;
        if len == NEEDED || self.by[..len].contains(&src) {
            return false;
        }
        self.by[len] = src;
        self.len += 1;
        self.len as usize == NEEDED
    }
}

/// Forgets a key when it has been emitted.
#[derive(Default)]
pub struct Forgetting {
    votes: FxHashMap<u64, Voters>,
}

impl Counter for Forgetting {
    fn name(&self) -> &'static str {
        "by hand"
    }
    #[inline(never)]
    fn tick(&mut self, votes: &[Vote], emitted: &mut Vec<u64>) {
        for &(key, src) in votes {
            match self.votes.entry(key) {
                Entry::Vacant(entry) => {
                    entry.insert(Voters { len: 1, by: [src; NEEDED] });
                }
                Entry::Occupied(mut entry) => {
                    if entry.get_mut().add(src) {
                        entry.remove();
                        emitted.push(key);
                    }
                }
            }
        }
    }
}

/// Keeps every key and its voters.
#[derive(Default)]
pub struct Keeping {
    votes: FxHashMap<u64, Voters>,
}

impl Counter for Keeping {
    fn name(&self) -> &'static str {
        "by hand, kept"
    }
    #[inline(never)]
    fn tick(&mut self, votes: &[Vote], emitted: &mut Vec<u64>) {
        for &(key, src) in votes {
            if self.votes.entry(key).or_default().add(src) {
                emitted.push(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emits_at_the_third_different_voter() {
        let counters: [&mut dyn Counter; 2] = [&mut Forgetting::default(), &mut Keeping::default()];
        for counter in counters {
            let mut emitted = Vec::new();
            counter.tick(&[(1, 0), (1, 0), (2, 7), (1, 1), (1, 1)], &mut emitted);
            assert!(emitted.is_empty());
            counter.tick(&[(1, 2), (2, 7), (2, 8), (2, 9)], &mut emitted);
            assert_eq!(emitted, [1, 2], "{}", counter.name());
        }
        let mut keeping = Keeping::default();
        let mut emitted = Vec::new();
        keeping.tick(&[(1, 0), (1, 1), (1, 2), (1, 3), (1, 0)], &mut emitted);
        assert_eq!(emitted, [1]);
    }
}
