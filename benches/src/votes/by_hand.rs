//! Vote counting as one would write it by hand: one hash map entry per key.

use super::{Counter, NEEDED, Staged, Vote};
use anabranch_core::data::Data;
use anabranch_core::wire::{Reader, put_varint};
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
    staged: Staged,
    votes: FxHashMap<u64, Voters>,
    emitted: Vec<u64>,
}

fn forget(table: &mut FxHashMap<u64, Voters>, (key, src): Vote) -> bool {
    match table.entry(key) {
        Entry::Vacant(entry) => {
            entry.insert(Voters { len: 1, by: [src; NEEDED] });
            false
        }
        Entry::Occupied(mut entry) => {
            let third = entry.get_mut().add(src);
            if third {
                entry.remove();
            }
            third
        }
    }
}

impl Counter for Forgetting {
    fn name(&self) -> &'static str {
        "by hand"
    }
    fn stage(&mut self, votes: &[Vote], per_tick: usize) {
        self.staged.stage(votes, per_tick);
    }
    fn tick(&mut self, number: usize) -> usize {
        self.emitted.clear();
        for &vote in self.staged.tick(number) {
            if forget(&mut self.votes, vote) {
                self.emitted.push(vote.0);
            }
        }
        self.emitted.len()
    }
}

/// As [`Forgetting`], but takes and gives the frames that the compiled program takes and gives.
#[derive(Default)]
pub struct Framed {
    frames: Vec<Vec<u8>>,
    votes: FxHashMap<u64, Voters>,
    emitted: Vec<u8>,
}

impl Counter for Framed {
    fn name(&self) -> &'static str {
        "by hand, from frames"
    }
    fn stage(&mut self, votes: &[Vote], per_tick: usize) {
        self.frames = votes.chunks(per_tick).map(|votes| frame(0, votes)).collect();
    }
    fn tick(&mut self, number: usize) -> usize {
        self.emitted.clear();
        let mut n = 0;
        let mut input = Reader::new(&self.frames[number]);
        while !input.is_empty() {
            let tag = input.varint();
            let (Ok(0), Ok(key), Ok(src)) = (tag, u64::decode(&mut input), u32::decode(&mut input)) else {
                panic!("a frame that was made here cannot be read");
            };
            if forget(&mut self.votes, (key, src)) {
                put_varint(1, &mut self.emitted);
                key.encode(&mut self.emitted);
                n += 1;
            }
        }
        n
    }
}

/// A frame of vote messages.
pub fn frame(tag: u16, votes: &[Vote]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (key, src) in votes {
        put_varint(u64::from(tag), &mut bytes);
        key.encode(&mut bytes);
        src.encode(&mut bytes);
    }
    bytes
}

/// Keeps every key and its voters.
#[derive(Default)]
pub struct Keeping {
    staged: Staged,
    votes: FxHashMap<u64, Voters>,
    emitted: Vec<u64>,
}

impl Counter for Keeping {
    fn name(&self) -> &'static str {
        "by hand, kept"
    }
    fn stage(&mut self, votes: &[Vote], per_tick: usize) {
        self.staged.stage(votes, per_tick);
    }
    fn tick(&mut self, number: usize) -> usize {
        self.emitted.clear();
        for &(key, src) in self.staged.tick(number) {
            if self.votes.entry(key).or_default().add(src) {
                self.emitted.push(key);
            }
        }
        self.emitted.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::votes::{containers, dsl};

    #[test]
    fn all_emit_at_the_third_different_voter() {
        let counters: [&mut dyn Counter; 7] = [
            &mut Forgetting::default(),
            &mut Framed::default(),
            &mut Keeping::default(),
            &mut containers::Forgetting::default(),
            &mut containers::Keeping::default(),
            &mut dsl::Compiled::forgetting(),
            &mut dsl::Compiled::keeping(),
        ];
        for counter in counters {
            counter.stage(&[(1, 0), (1, 0), (2, 7), (1, 1), (1, 2), (2, 7), (2, 8), (2, 9)], 4);
            assert_eq!((counter.tick(0), counter.tick(1)), (0, 2), "{}", counter.name());
        }
        let mut keeping = Keeping::default();
        keeping.stage(&[(1, 0), (1, 1), (1, 2), (1, 3), (1, 0), (1, 1)], 6);
        assert_eq!(keeping.tick(0), 1);
    }
}
