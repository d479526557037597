//! Timing within one thread, by its CPU time: what else runs on the machine then matters less.

use super::{Counter, Vote};
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// CPU time of the calling thread.
pub fn thread_cpu() -> Duration {
    let t = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(t.tv_sec.unsigned_abs(), t.tv_nsec as u32)
}

/// What a series of ticks cost.
#[derive(Clone, Copy, Default, Debug)]
pub struct Cost {
    /// Votes taken.
    pub votes: u64,
    /// Keys emitted.
    pub emitted: u64,
    /// CPU time.
    pub cpu: Duration,
}

impl Cost {
    /// Nanoseconds per vote.
    pub fn ns_per_vote(&self) -> f64 {
        self.cpu.as_nanos() as f64 / self.votes.max(1) as f64
    }
    /// Votes per second of CPU time.
    pub fn rate(&self) -> f64 {
        1e9 / self.ns_per_vote()
    }
}

/// Runs votes through a counter in ticks.
pub fn run(counter: &mut dyn Counter, votes: &[Vote], per_tick: usize) -> Cost {
    let mut cost = Cost { votes: votes.len() as u64, ..Cost::default() };
    counter.stage(votes, per_tick);
    let before = thread_cpu();
    for number in 0..votes.len().div_ceil(per_tick) {
        cost.emitted += counter.tick(number) as u64;
    }
    cost.cpu = thread_cpu() - before;
    cost
}

/// The slowest ticks while a counter grows, by CPU time, slowest first. CPU time includes what the kernel does
/// for the thread (page faults), but not waiting for a CPU.
pub fn slowest_ticks(
    counter: &mut dyn Counter,
    votes: &[Vote],
    per_tick: usize,
    slowest: &mut Vec<Duration>,
) {
    counter.stage(votes, per_tick);
    for number in 0..votes.len().div_ceil(per_tick) {
        let before = thread_cpu();
        counter.tick(number);
        let took = thread_cpu() - before;
        if slowest.len() < 5 || took > slowest[4] {
            let at = slowest.partition_point(|t| *t > took);
            slowest.insert(at, took);
            slowest.truncate(5);
        }
    }
}
