//! Where the entries of a [`Joint`](super::Joint) map are.
//!
//! Entries stand in slots, which are taken again as soon as they are free: those of keys that come and go stay
//! near. While there are few, a key's slot is said by a cell, chosen by some bits of the key; only keys whose cell
//! is another's are in a map. So keys that count up, as ids do, are found, made and closed by one load and
//! one comparison. Beyond that all keys are in the map, and the cells remember those that were found last.

use super::super::map::Map;
use super::super::words::{Words, hash_by};
use std::cell::Cell;
use std::hash::Hash;

/// A key with its entry, or a free place.
#[derive(Clone, Debug)]
struct Slot<K, E> {
    key: K,
    entry: E,
}

/// Slots by key.
#[derive(Clone, Debug)]
pub struct Slots<K, E> {
    /// Slots of keys that no cell owns; of all keys if `many`.
    index: Map<K, u32>,
    slots: Vec<Slot<K, E>>,
    free: Vec<u32>,
    /// By some bits of a key: the slot of the one that owns the cell or, if `many`, of the latest that was found.
    /// Never a free slot that had just that key.
    cells: Vec<Cell<u32>>,
    many: bool,
}

/// No slot.
const NONE: u32 = u32::MAX;
/// The fewest cells.
const LEAST: usize = 16;
/// The most cells.
const MOST: usize = 8192;
/// So many slots may be owned by cells. If all of more are free, their memory is given back.
const FEW: usize = MOST / 2;

impl<K, E> Default for Slots<K, E> {
    fn default() -> Self {
        Slots {
            index: Map::default(),
            slots: Vec::new(),
            free: Vec::new(),
            cells: vec![Cell::new(NONE); LEAST],
            many: false,
        }
    }
}

/// Chooses cells. Numbers in order get cells in order, so that what comes together lies together.
#[derive(Default)]
struct Chooser(u64);

impl Words for Chooser {
    #[inline(always)]
    fn word(&mut self, word: u64) {
        self.0 = self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ word;
    }
    #[inline(always)]
    fn hash(&self) -> u64 {
        self.0 ^ self.0 >> 16 ^ self.0 >> 32
    }
}

impl<K: Hash + Eq + Clone, E: Default> Slots<K, E> {
    /// The cell of a key.
    #[inline(always)]
    fn cell(&self, key: &K) -> &Cell<u32> {
        let place = hash_by::<Chooser>(key) as usize & (self.cells.len() - 1);
        &self.cells[place]
    }
    /// The slot of a key.
    #[inline(always)]
    pub fn spot(&self, key: &K) -> Option<usize> {
        let cell = self.cell(key);
        let at = cell.get() as usize;
        if self.slots.get(at).is_some_and(|slot| slot.key == *key) {
            return Some(at);
        }
        if self.index.is_empty() { None } else { self.look_up(key, cell) }
    }
    #[inline(never)]
    fn look_up(&self, key: &K, cell: &Cell<u32>) -> Option<usize> {
        let at = *self.index.get(key)?;
        if self.many {
            cell.set(at);
        }
        Some(at as usize)
    }
    /// The slot of a key, made first if there is none.
    #[inline(always)]
    pub fn make(&mut self, key: K) -> usize {
        let at = self.cell(&key).get() as usize;
        match self.slots.get(at) {
            Some(slot) if slot.key == key => at,
            _ => self.open(key),
        }
    }
    #[inline(never)]
    fn open(&mut self, key: K) -> usize {
        if self.slots.len() * 2 >= self.cells.len() && self.cells.len() < MOST {
            self.spread();
        }
        if self.slots.len() >= FEW && !self.many && self.free.is_empty() {
            self.map_all();
        }
        let free = self.cell(&key).get() == NONE;
        if free && !self.many && (self.index.is_empty() || !self.index.contains(&key)) {
            let at = self.take(key);
            self.cell(&self.slots[at as usize].key).set(at);
            return at as usize;
        }
        if let Some(&at) = self.index.get(&key) {
            if self.many {
                self.cell(&key).set(at);
            }
            return at as usize;
        }
        let at = self.take(key);
        let key = &self.slots[at as usize].key;
        self.index.insert(key.clone(), at);
        if self.many {
            self.cell(key).set(at);
        }
        at as usize
    }
    /// A slot for a key.
    #[inline(always)]
    fn take(&mut self, key: K) -> u32 {
        match self.free.pop() {
            Some(at) => {
                self.slots[at as usize].key = key;
                at
            }
            None => {
                self.slots.push(Slot { key, entry: E::default() });
                self.slots.len() as u32 - 1
            }
        }
    }
    /// More cells.
    #[cold]
    fn spread(&mut self) {
        let cells = vec![Cell::new(NONE); self.cells.len() * 2];
        let owned: Vec<u32> =
            std::mem::replace(&mut self.cells, cells).into_iter().map(Cell::into_inner).collect();
        // Keys with different cells keep different ones.
        for at in owned.into_iter().filter(|at| *at != NONE) {
            self.cell(&self.slots[at as usize].key).set(at);
        }
    }
    /// From here on the map knows all keys.
    #[cold]
    fn map_all(&mut self) {
        self.many = true;
        for cell in &self.cells {
            let at = cell.get();
            if at != NONE {
                self.index.insert(self.slots[at as usize].key.clone(), at);
            }
        }
    }
    /// Frees the slot of a key.
    #[inline(never)]
    pub fn close(&mut self, key: &K, at: usize) {
        let cell = self.cell(key);
        let owned = cell.get() == at as u32;
        if owned {
            cell.set(NONE);
        }
        if self.many || !owned {
            self.index.remove(key);
        }
        self.free.push(at as u32);
        if self.slots.len() > FEW && self.index.is_empty() {
            *self = Slots::default();
        }
    }
    /// The entry in a slot.
    #[inline(always)]
    pub fn entry(&self, at: usize) -> &E {
        &self.slots[at].entry
    }
    /// The entry in a slot, to be changed.
    #[inline(always)]
    pub fn entry_mut(&mut self, at: usize) -> &mut E {
        &mut self.slots[at].entry
    }
    /// All entries, and free ones, which have nothing.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &E)> {
        self.slots.iter().map(|slot| (&slot.key, &slot.entry))
    }
    /// How many keys there are.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }
    /// See [`Map::is_large`].
    #[inline(always)]
    pub fn is_large(&self) -> bool {
        self.index.is_large()
    }
    /// The slot of a key, by the map alone: see [`Map::warm`].
    #[inline(always)]
    pub fn warm(&self, key: &K) -> Option<&E> {
        self.index.get(key).map(|&at| self.entry(at as usize))
    }
}
