//! Events of one tick.

use super::map::hash_of;
use hashbrown::HashTable;
use std::hash::Hash;

/// Events that several derivations may give: each is kept once. Events that cannot be derived twice are
/// plain vectors.
///
/// Most ticks have events from one rule only, which often cannot repeat itself: those are appended without
/// a look, and hashed only when another rule adds to them.
#[derive(Clone, Debug)]
pub struct EventSet<R> {
    rows: Vec<R>,
    /// Positions in `rows` by hash, of the first `indexed` rows.
    index: HashTable<u32>,
    indexed: usize,
    /// The rule that gave all rows, none of them twice.
    only: Option<u32>,
}

/// Up to this many rows are searched one by one.
const FEW: usize = 8;

impl<R> Default for EventSet<R> {
    fn default() -> Self {
        EventSet { rows: Vec::new(), index: HashTable::new(), indexed: 0, only: None }
    }
}

impl<R: Hash + Eq> EventSet<R> {
    #[cold]
    fn catch_up(&mut self) {
        let rows = &self.rows;
        let hash = |at: &u32| hash_of(&rows[*at as usize]);
        for at in self.indexed as u32..rows.len() as u32 {
            self.index.insert_unique(hash(&at), at, hash);
        }
        self.indexed = rows.len();
    }
    /// Adds an event; false if it was there.
    #[inline]
    pub fn insert(&mut self, row: R) -> bool {
        self.only = None;
        if self.rows.len() <= FEW {
            if self.rows.contains(&row) {
                return false;
            }
            self.rows.push(row);
            return true;
        }
        if self.indexed < self.rows.len() {
            self.catch_up();
        }
        use hashbrown::hash_table::Entry;
        let rows = &self.rows;
        let hash = |at: &u32| hash_of(&rows[*at as usize]);
        match self.index.entry(hash_of(&row), |&at| rows[at as usize] == row, hash) {
            Entry::Occupied(_) => return false,
            Entry::Vacant(gap) => drop(gap.insert(rows.len() as u32)),
        }
        self.rows.push(row);
        self.indexed += 1;
        true
    }
    /// Adds an event of a rule that gives none twice; false if it was there.
    #[inline]
    pub fn insert_distinct(&mut self, rule: u32, row: R) -> bool {
        if self.rows.is_empty() {
            self.only = Some(rule);
        }
        if self.only == Some(rule) {
            self.rows.push(row);
            return true;
        }
        self.insert(row)
    }
    /// All events, in order of insertion.
    #[inline]
    pub fn as_slice(&self) -> &[R] {
        &self.rows
    }
    /// All events, in order of insertion.
    pub fn into_rows(self) -> Vec<R> {
        self.rows
    }
    /// The number of events.
    #[inline]
    pub fn len(&self) -> usize {
        self.rows.len()
    }
    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
    /// Forgets all, keeping memory.
    #[inline]
    pub fn clear(&mut self) {
        if self.indexed > 0 {
            self.index.clear();
            self.indexed = 0;
        }
        self.rows.clear();
        self.only = None;
    }
}

/// An index over a tick's events: chains of positions by prefix.
#[derive(Clone, Debug)]
pub struct EventIndex<P> {
    /// First position by prefix.
    first: HashTable<(P, u32)>,
    /// Next position with the same prefix, by position.
    next: Vec<u32>,
}

const END: u32 = u32::MAX;

impl<P> Default for EventIndex<P> {
    fn default() -> Self {
        EventIndex { first: HashTable::new(), next: Vec::new() }
    }
}

impl<P: Hash + Eq> EventIndex<P> {
    /// How many rows are indexed.
    #[inline]
    pub fn len(&self) -> usize {
        self.next.len()
    }
    /// Whether no rows are indexed.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.next.is_empty()
    }
    /// Indexes the row at position [`EventIndex::len`].
    #[inline]
    pub fn push(&mut self, prefix: P) {
        use hashbrown::hash_table::Entry;
        let at = self.next.len() as u32;
        match self.first.entry(hash_of(&prefix), |e| e.0 == prefix, |e| hash_of(&e.0)) {
            Entry::Occupied(mut found) => {
                self.next.push(found.get().1);
                found.get_mut().1 = at;
            }
            Entry::Vacant(gap) => {
                self.next.push(END);
                gap.insert((prefix, at));
            }
        }
    }
    /// Positions of the rows with a prefix, latest first.
    #[inline]
    pub fn group(&self, prefix: &P) -> impl Iterator<Item = usize> {
        let first = self.first.find(hash_of(prefix), |e| e.0 == *prefix).map(|e| e.1);
        std::iter::successors(first, |&at| Some(self.next[at as usize]).filter(|&at| at != END))
            .map(|at| at as usize)
    }
    /// Forgets all, keeping memory.
    #[inline]
    pub fn clear(&mut self) {
        self.first.clear();
        self.next.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::Dice;
    use std::collections::BTreeSet;

    #[test]
    fn each_event_once_and_found_by_prefix() {
        let mut dice = Dice::new(11);
        let (mut set, mut index) = (EventSet::<(u64, u64)>::default(), EventIndex::<(u64,)>::default());
        for _ in 0..500 {
            let mut twin = BTreeSet::new();
            // A rule that does not repeat itself, then others; or others at once.
            let distinct = dice.below(40);
            for n in 0..distinct {
                assert!(set.insert_distinct(3, (n, 7)) && twin.insert((n, 7)));
            }
            for _ in 0..dice.below(60) {
                let row = (dice.below(6), dice.below(8));
                assert_eq!(set.insert(row), twin.insert(row));
            }
            assert_eq!(set.insert_distinct(3, (100, 7)), twin.insert((100, 7)));
            assert_eq!(set.as_slice().iter().copied().collect::<BTreeSet<_>>(), twin);
            assert_eq!(set.len(), twin.len());
            set.as_slice().iter().for_each(|row| index.push((row.0,)));
            for n in 0..6 {
                let group: BTreeSet<_> = index.group(&(n,)).map(|at| set.as_slice()[at]).collect();
                assert_eq!(group, twin.iter().filter(|r| r.0 == n).copied().collect());
                assert!(!set.insert((n, n)) || twin.insert((n, n)));
            }
            set.clear();
            index.clear();
        }
    }
}
