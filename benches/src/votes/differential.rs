//! Vote counting in differential-dataflow, fed in batches.
//!
//! [`Count::Voters`] computes what the others do: `distinct_total`, then `count_total`. [`Count::Votes`] is the
//! cheapest that could pass for it: nobody looks at who voted. Forgetting is done by the driver: the votes of an
//! emitted key are retracted with the next batch.

use super::{NEEDED, Vote};
use differential_dataflow::input::Input;
use differential_dataflow::operators::{CountTotal, ThresholdTotal};
use std::cell::RefCell;
use std::rc::Rc;
use timely::dataflow::operators::probe::Handle;

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Count {
    /// Different voters of a key.
    Voters,
    /// Votes for a key.
    Votes,
}

/// Feeds the votes in batches and says how many keys were emitted.
pub fn run(votes: Vec<Vote>, batch: usize, count: Count, forget: bool) -> u64 {
    timely::execute_directly(move |worker| {
        let emitted: Rc<RefCell<Vec<u64>>> = Rc::default();
        let seen = emitted.clone();
        let probe = Handle::new();
        let mut input = worker.dataflow::<u32, _, _>(|scope| {
            let (input, votes) = scope.new_collection::<Vote, isize>();
            let votes = if count == Count::Voters { votes.distinct_total() } else { votes };
            votes
                .map(|(key, _)| key)
                .count_total()
                .inspect(move |&((key, n), _, change)| {
                    if n == NEEDED as isize && change > 0 {
                        seen.borrow_mut().push(key);
                    }
                })
                .probe_with(&probe);
            input
        });
        let mut total = 0;
        let mut spent = Vec::new();
        for (time, votes) in votes.chunks(batch).enumerate() {
            for &vote in votes {
                input.insert(vote);
            }
            for key in spent.drain(..) {
                for src in 0..NEEDED as u32 {
                    input.remove((key, src));
                }
            }
            input.advance_to(time as u32 + 1);
            input.flush();
            worker.step_while(|| probe.less_than(input.time()));
            let mut emitted = emitted.borrow_mut();
            total += emitted.len() as u64;
            if forget {
                spent.append(&mut emitted);
            } else {
                emitted.clear();
            }
        }
        total
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::votes::stream::{Order, votes};

    #[test]
    fn emits_every_key_once() {
        for count in [Count::Voters, Count::Votes] {
            for forget in [false, true] {
                assert_eq!(run(votes(Order::Shuffled(50), 0, 500), 100, count, forget), 500);
            }
        }
    }
}
