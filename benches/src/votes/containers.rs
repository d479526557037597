//! Vote counting by hand over the engine's own containers: what is left of the DSL's cost if rules were free.

use super::{Counter, NEEDED, Vote};
use anabranch_core::store::Multi;

/// Forgets a key when it has been emitted.
#[derive(Default)]
pub struct Forgetting {
    votes: Multi<u64, u32>,
}

impl Counter for Forgetting {
    fn name(&self) -> &'static str {
        "containers"
    }
    #[inline(never)]
    fn tick(&mut self, votes: &[Vote], emitted: &mut Vec<u64>) {
        for &(key, src) in votes {
            if self.votes.insert(key, src) && self.votes.count(&key) == NEEDED {
                self.votes.remove_group(&key);
                emitted.push(key);
            }
        }
    }
}

/// Keeps every key and its voters.
#[derive(Default)]
pub struct Keeping {
    votes: Multi<u64, u32>,
}

impl Counter for Keeping {
    fn name(&self) -> &'static str {
        "containers, kept"
    }
    #[inline(never)]
    fn tick(&mut self, votes: &[Vote], emitted: &mut Vec<u64>) {
        if self.votes.len() > 100_000 {
            let mut n = 0;
            for &(key, _) in votes {
                n += usize::from(self.votes.any(&key));
            }
            std::hint::black_box(n);
        }
        for &(key, src) in votes {
            if self.votes.insert(key, src) && self.votes.count(&key) == NEEDED {
                emitted.push(key);
            }
        }
    }
}
