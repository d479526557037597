//! Runs a machine: slots in order, each once, early ones kept.

use crate::data::Bytes;
use crate::machine::Machine;
use std::cmp::Ordering;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};

/// A machine with its next slot and the commands that came early.
#[derive(Clone, Debug, Default)]
pub struct Runner<M: Machine> {
    machine: M,
    next: u64,
    /// Commands for `next` and the slots that follow it, without a gap: nearly all come in order.
    due: VecDeque<M::Command>,
    /// Commands behind a gap.
    early: BTreeMap<u64, M::Command>,
}

impl<M: Machine> Runner<M> {
    /// The first slot not yet applied.
    pub fn next(&self) -> u64 {
        self.next
    }
    /// The machine.
    pub fn machine(&self) -> &M {
        &self.machine
    }
    /// The first slot without a command.
    fn gap(&self) -> u64 {
        self.next + self.due.len() as u64
    }
    /// Takes a command; false if the slot waits already with another one.
    pub fn feed(&mut self, slot: u64, command: M::Command) -> bool {
        if slot < self.next {
            return true;
        }
        match slot.cmp(&self.gap()) {
            Ordering::Less => self.due[(slot - self.next) as usize] == command,
            Ordering::Equal => {
                self.due.push_back(command);
                self.close_gap();
                true
            }
            Ordering::Greater => match self.early.entry(slot) {
                Entry::Vacant(place) => {
                    place.insert(command);
                    true
                }
                Entry::Occupied(waiting) => *waiting.get() == command,
            },
        }
    }
    fn close_gap(&mut self) {
        while !self.early.is_empty()
            && let Some(command) = self.early.remove(&self.gap())
        {
            self.due.push_back(command);
        }
    }
    /// Whether a command for a slot waits for earlier ones.
    pub fn waits(&self, slot: u64) -> bool {
        (self.next..self.gap()).contains(&slot) || self.early.contains_key(&slot)
    }
    /// Applies what has become contiguous.
    pub fn run(&mut self, mut done: impl FnMut(u64, M::Output)) {
        while let Some(command) = self.due.pop_front() {
            let output = self.machine.apply(self.next, &command);
            done(self.next, output);
            self.next += 1;
        }
    }
    /// The machine's image, to go with [`Runner::next`].
    pub fn save(&self) -> Bytes {
        self.machine.save()
    }
    /// Jumps forward to an image; ignored if it is no progress. False if it is not an image.
    pub fn load(&mut self, next: u64, image: &[u8]) -> bool {
        if next <= self.next {
            return true;
        }
        let Some(machine) = M::load(image) else { return false };
        self.machine = machine;
        let passed = (next - self.next).min(self.due.len() as u64);
        self.due.drain(..passed as usize);
        self.next = next;
        self.early = self.early.split_off(&next);
        self.close_gap();
        true
    }
    /// Commands that wait, by slot.
    pub fn early(&self) -> impl Iterator<Item = (u64, &M::Command)> {
        let due = (self.next..).zip(&self.due);
        due.chain(self.early.iter().map(|(slot, command)| (*slot, command)))
    }
}
