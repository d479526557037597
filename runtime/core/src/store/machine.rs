//! Runs a machine: slots in order, each once, early ones kept.

use crate::machine::Machine;
use bytes::Bytes;
use std::collections::BTreeMap;

/// A machine with its next slot and the commands that came early.
#[derive(Clone, Debug, Default)]
pub struct Runner<M: Machine> {
    machine: M,
    next: u64,
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
    /// Takes a command; false if the slot waits already with another one.
    pub fn feed(&mut self, slot: u64, command: M::Command) -> bool {
        slot < self.next || *self.early.entry(slot).or_insert_with(|| command.clone()) == command
    }
    /// Whether a command for a slot waits for earlier ones.
    pub fn waits(&self, slot: u64) -> bool {
        self.early.contains_key(&slot)
    }
    /// Applies what has become contiguous.
    pub fn run(&mut self, mut done: impl FnMut(u64, M::Output)) {
        while let Some(command) = self.early.remove(&self.next) {
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
        self.next = next;
        self.early = self.early.split_off(&next);
        true
    }
    /// Commands that wait for an earlier slot.
    pub fn early(&self) -> impl Iterator<Item = (u64, &M::Command)> {
        self.early.iter().map(|(slot, command)| (*slot, command))
    }
}
