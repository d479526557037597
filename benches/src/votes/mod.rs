//! Vote counting: three votes per key, emit the key at the third, then forget it or keep it.
//!
//! The smallest thing that consensus protocols do all day, and thus the yardstick for the engine's cost per
//! fact. Counted by hand ([`by_hand`]), by the compiled DSL ([`dsl`]), and by differential-dataflow
//! (`differential`, a Cargo feature, since it takes a while to compile).

pub mod by_hand;
pub mod containers;
#[cfg(feature = "differential")]
pub mod differential;
pub mod dsl;
pub mod stream;
pub mod timing;

/// A vote: which key, and who voted.
pub type Vote = (u64, u32);

/// How many votes a key needs.
pub const NEEDED: usize = 3;

/// Something that counts votes, tick by tick.
pub trait Counter {
    /// What it is called in reports.
    fn name(&self) -> &'static str;
    /// Gets the votes of the coming ticks ready in the form that it takes. Not measured.
    fn stage(&mut self, votes: &[Vote], per_tick: usize);
    /// Runs a staged tick and says how many keys reached three in it.
    fn tick(&mut self, number: usize) -> usize;
}

/// Staged votes of those who take them as they are.
#[derive(Default)]
struct Staged {
    votes: Vec<Vote>,
    per_tick: usize,
}

impl Staged {
    fn stage(&mut self, votes: &[Vote], per_tick: usize) {
        self.votes.clear();
        self.votes.extend_from_slice(votes);
        self.per_tick = per_tick;
    }
    fn tick(&self, number: usize) -> &[Vote] {
        let start = number * self.per_tick;
        &self.votes[start..self.votes.len().min(start + self.per_tick)]
    }
}
