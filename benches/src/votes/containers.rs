//! Vote counting by hand over the engine's own containers: what is left of the DSL's cost if rules were free.

use super::{Counter, NEEDED, Staged, Vote};
use anabranch_core::store::Multi;

/// Forgets a key when it has been emitted.
#[derive(Default)]
pub struct Forgetting {
    staged: Staged,
    votes: Multi<u64, u32>,
    emitted: Vec<u64>,
}

impl Counter for Forgetting {
    fn name(&self) -> &'static str {
        "containers"
    }
    fn stage(&mut self, votes: &[Vote], per_tick: usize) {
        self.staged.stage(votes, per_tick);
    }
    fn tick(&mut self, number: usize) -> usize {
        self.emitted.clear();
        for &(key, src) in self.staged.tick(number) {
            if self.votes.insert(key, src) && self.votes.count(&key) == NEEDED {
                self.votes.remove_group(&key);
                self.emitted.push(key);
            }
        }
        self.emitted.len()
    }
}

/// Keeps every key and its voters.
#[derive(Default)]
pub struct Keeping {
    staged: Staged,
    votes: Multi<u64, u32>,
    emitted: Vec<u64>,
}

impl Counter for Keeping {
    fn name(&self) -> &'static str {
        "containers, kept"
    }
    fn stage(&mut self, votes: &[Vote], per_tick: usize) {
        self.staged.stage(votes, per_tick);
    }
    fn tick(&mut self, number: usize) -> usize {
        self.emitted.clear();
        for &(key, src) in self.staged.tick(number) {
            if self.votes.insert(key, src) && self.votes.count(&key) == NEEDED {
                self.emitted.push(key);
            }
        }
        self.emitted.len()
    }
}
