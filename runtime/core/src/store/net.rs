//! Net changes of a relation since some moment: what `new` and `old` read, and what timers go by.

use super::map::hash_of;
use hashbrown::HashTable;
use std::hash::Hash;

/// Rows that appeared and rows that disappeared, each at most once, none on both sides.
///
/// Changes must alternate for each row, as visible changes of a relation do. So as long as rows only appear,
/// none can repeat, and nothing is looked up.
#[derive(Clone, Debug)]
pub struct Net<R> {
    /// All rows that changed, with +1, −1 or 0 (changed back).
    rows: Vec<(R, i8)>,
    /// Positions in `rows` by hash, of the first `indexed` ones.
    index: HashTable<u32>,
    indexed: usize,
    /// Whether a row ever disappeared.
    lost: bool,
}

/// Up to this many rows are searched one by one.
const FEW: usize = 8;

impl<R> Default for Net<R> {
    fn default() -> Self {
        Net { rows: Vec::new(), index: HashTable::new(), indexed: 0, lost: false }
    }
}

impl<R: Hash + Eq + Clone> Net<R> {
    #[inline]
    fn find(&mut self, row: &R) -> Option<usize> {
        if self.rows.len() <= FEW {
            return self.rows.iter().position(|r| r.0 == *row);
        }
        if self.indexed < self.rows.len() {
            let rows = &self.rows;
            let hash = |at: &u32| hash_of(&rows[*at as usize].0);
            for at in self.indexed as u32..rows.len() as u32 {
                self.index.insert_unique(hash(&at), at, hash);
            }
            self.indexed = rows.len();
        }
        self.index.find(hash_of(row), |&at| self.rows[at as usize].0 == *row).map(|&at| at as usize)
    }
    /// Notes that a row appeared.
    #[inline]
    pub fn plus(&mut self, row: &R) {
        if self.lost {
            self.note(row, 1);
        } else {
            self.rows.push((row.clone(), 1));
        }
    }
    /// Notes that a row disappeared.
    #[inline]
    pub fn minus(&mut self, row: &R) {
        self.lost = true;
        self.note(row, -1);
    }
    /// Notes a change of sign `sign`.
    #[inline]
    fn note(&mut self, row: &R, sign: i8) {
        match self.find(row) {
            Some(at) => {
                self.rows[at].1 += sign;
                debug_assert!(self.rows[at].1.abs() <= 1, "a row appeared or disappeared twice");
            }
            None => self.rows.push((row.clone(), sign)),
        }
    }
    /// +1 if the row appeared, −1 if it disappeared, else 0.
    #[inline]
    pub fn sign(&mut self, row: &R) -> i8 {
        self.find(row).map_or(0, |at| self.rows[at].1)
    }
    /// How many entries there are, also those that changed back: the bound for [`Net::entry`].
    #[inline]
    pub fn entries(&self) -> usize {
        self.rows.len()
    }
    /// An entry by position: entries are only added at the end.
    #[inline]
    pub fn entry(&self, at: usize) -> (&R, i8) {
        (&self.rows[at].0, self.rows[at].1)
    }
    /// Rows that appeared.
    #[inline]
    pub fn appeared(&self) -> impl Iterator<Item = &R> {
        self.rows.iter().filter(|r| r.1 > 0).map(|r| &r.0)
    }
    /// Rows that disappeared.
    #[inline]
    pub fn disappeared(&self) -> impl Iterator<Item = &R> {
        self.rows.iter().filter(|r| r.1 < 0).map(|r| &r.0)
    }
    /// Forgets the rows that disappeared: from here on they were not there.
    pub fn forget_disappeared(&mut self) {
        if self.lost && self.rows.iter().any(|r| r.1 < 0) {
            let rows = std::mem::take(self).rows;
            rows.into_iter().filter(|r| r.1 > 0).for_each(|r| self.plus(&r.0));
        }
    }
    /// Whether nothing was noted.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
    /// Forgets everything, keeping memory.
    #[inline]
    pub fn clear(&mut self) {
        if self.indexed > 0 {
            self.index.clear();
            self.indexed = 0;
        }
        self.rows.clear();
        self.lost = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::Dice;
    use std::collections::BTreeSet;

    #[test]
    fn is_the_difference_of_two_sets() {
        let mut dice = Dice::new(9);
        let mut now = BTreeSet::new();
        let mut net = Net::<(u64,)>::default();
        for _ in 0..3_000 {
            let before = now.clone();
            let span = [5, 40][dice.below(2) as usize];
            for _ in 0..dice.below(30) {
                let row = (dice.below(span),);
                if now.insert(row) {
                    net.plus(&row);
                } else {
                    now.remove(&row);
                    net.minus(&row);
                }
            }
            assert!(net.appeared().copied().collect::<BTreeSet<_>>().iter().eq(now.difference(&before)));
            assert!(net.disappeared().copied().collect::<BTreeSet<_>>().iter().eq(before.difference(&now)));
            for n in 0..40 {
                let sign = i8::from(now.contains(&(n,))) - i8::from(before.contains(&(n,)));
                assert_eq!(net.sign(&(n,)), sign);
            }
            net.clear();
        }
    }
}
