//! Runs a machine: slots in order, each once, early ones kept.

use crate::data::Bytes;
use crate::machine::Machine;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};

/// Slots from the next one on for which a place is kept in a row.
const WINDOW: u64 = 4096;

/// A machine with its next slot and the commands that came early.
#[derive(Clone, Debug, Default)]
pub struct Runner<M: Machine> {
    machine: M,
    next: u64,
    /// Commands for `next` and the slots that follow it, as far as one of them has come: nearly all come a little out
    /// of order only. Shorter than [`WINDOW`].
    window: VecDeque<Option<M::Command>>,
    /// Commands behind the window.
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
        let Some(ahead) = slot.checked_sub(self.next) else { return true };
        if ahead >= WINDOW {
            return match self.early.entry(slot) {
                Entry::Vacant(place) => {
                    place.insert(command);
                    true
                }
                Entry::Occupied(waiting) => *waiting.get() == command,
            };
        }
        let ahead = ahead as usize;
        if ahead >= self.window.len() {
            self.window.resize_with(ahead, || None);
            self.window.push_back(Some(command));
            return true;
        }
        match &mut self.window[ahead] {
            Some(waiting) => *waiting == command,
            free => {
                *free = Some(command);
                true
            }
        }
    }
    /// Takes into the window what the next slot has brought near.
    fn advance(&mut self) {
        while let Some(entry) = self.early.first_entry()
            && *entry.key() < self.next + WINDOW
        {
            let (slot, command) = entry.remove_entry();
            self.feed(slot, command);
        }
    }
    /// Whether a command for a slot waits for earlier ones.
    pub fn waits(&self, slot: u64) -> bool {
        let ahead = slot.checked_sub(self.next).and_then(|ahead| self.window.get(ahead as usize));
        ahead.is_some_and(Option::is_some) || self.early.contains_key(&slot)
    }
    /// Applies what has become contiguous.
    pub fn run(&mut self, mut done: impl FnMut(u64, M::Output)) {
        loop {
            if !self.early.is_empty() {
                self.advance();
            }
            let Some(Some(command)) = self.window.front_mut().map(Option::take) else { return };
            self.window.pop_front();
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
        let passed = (next - self.next).min(self.window.len() as u64);
        self.window.drain(..passed as usize);
        self.next = next;
        self.early = self.early.split_off(&next);
        self.advance();
        true
    }
    /// Commands that wait, by slot.
    pub fn early(&self) -> impl Iterator<Item = (u64, &M::Command)> {
        let window = (self.next..).zip(&self.window);
        let window = window.filter_map(|(slot, command)| Some((slot, command.as_ref()?)));
        window.chain(self.early.iter().map(|(slot, command)| (*slot, command)))
    }
}
