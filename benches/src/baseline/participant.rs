//! The baseline's participant.

use super::wire::{Message, Payload};
use super::{Logic, Out};
use rustc_hash::FxHashMap;
use std::time::{Duration, Instant};

/// A participant. It votes yes on every payload that does not begin with 0xff, and hands what is committed to
/// an application that adds up first bytes.
pub struct Participant {
    me: u32,
    prepared: FxHashMap<u64, Payload>,
    applied: u64,
    sum: u64,
    rounds: u64,
    messages: u64,
}

impl Participant {
    /// The participant with a number.
    pub fn new(me: u32) -> Participant {
        Participant { me, prepared: FxHashMap::default(), applied: 0, sum: 0, rounds: 0, messages: 0 }
    }
}

impl Logic for Participant {
    fn take(&mut self, from: usize, bytes: &[u8], out: &mut Out) -> usize {
        let out = &mut out.to[from];
        let mut at = 0;
        while let Some((message, n)) = Message::get(&bytes[at..]) {
            at += n;
            self.messages += 1;
            match message {
                Message::Prepare { txn, payload } => {
                    let yes = payload[0] != 0xff;
                    if yes {
                        self.prepared.insert(txn, payload);
                    }
                    Message::Vote { txn, by: self.me, yes }.put(out);
                }
                Message::Decide { txn, commit } => {
                    let payload = self.prepared.remove(&txn);
                    if commit {
                        if let Some(payload) = payload {
                            self.applied += 1;
                            self.sum = self.sum.wrapping_add(u64::from(payload[0]));
                        }
                        Message::Ack { txn, by: self.me }.put(out);
                    }
                }
                Message::Ask => Message::Counters { rounds: self.rounds, messages: self.messages }.put(out),
                other => panic!("{other:?} is not for a participant"),
            }
        }
        at
    }

    fn end_round(&mut self, _now: Instant, _out: &mut Out) -> Option<Duration> {
        self.rounds += 1;
        None
    }
}
