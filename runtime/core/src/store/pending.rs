//! Changes of a view whose rows never have two derivations, summed up until the view is released.

use super::map::Map;
use std::hash::Hash;

/// Accumulated derivations, where each row in the end gained one, lost one, or neither.
#[derive(Clone, Debug)]
pub struct Pending<R> {
    plus: Vec<R>,
    minus: Vec<R>,
}

impl<R> Default for Pending<R> {
    fn default() -> Self {
        Pending { plus: Vec::new(), minus: Vec::new() }
    }
}

impl<R: Hash + Eq + Clone> Pending<R> {
    /// Adds a derivation, or retracts one.
    #[inline]
    pub fn add(&mut self, row: R, derivations: i64) {
        debug_assert!(derivations.abs() == 1, "a change is one derivation");
        if derivations > 0 {
            self.plus.push(row);
        } else {
            self.minus.push(row);
        }
    }
    /// Whether anything may have changed.
    #[inline]
    pub fn is_dirty(&self) -> bool {
        !self.plus.is_empty() || !self.minus.is_empty()
    }
    /// Takes the net changes: rows lost and rows gained. Hand the vectors back to [`Pending::recycle`].
    #[inline]
    pub fn take(&mut self) -> (Vec<R>, Vec<R>) {
        // Rows on one side only cannot cancel, and cannot repeat: no row has two derivations.
        if !self.plus.is_empty() && !self.minus.is_empty() {
            self.cancel();
        }
        (std::mem::take(&mut self.minus), std::mem::take(&mut self.plus))
    }
    fn cancel(&mut self) {
        let mut sums = Map::<R, i64>::default();
        self.plus.iter().for_each(|row| *sums.get_or_insert_with(row.clone(), || 0) += 1);
        self.minus.iter().for_each(|row| *sums.get_or_insert_with(row.clone(), || 0) -= 1);
        // Each row once, at its first occurrence, so that the order stays that of derivation.
        let keep = |rows: &mut Vec<R>, sums: &mut Map<R, i64>, sign: i64| {
            rows.retain(|row| {
                let sum = sums.get_mut(row).expect("every row was summed up");
                let holds = *sum == sign;
                if holds {
                    *sum = 0;
                }
                debug_assert!(sum.abs() <= 1, "a row that should have one derivation has more");
                holds
            });
        };
        keep(&mut self.plus, &mut sums, 1);
        keep(&mut self.minus, &mut sums, -1);
    }
    /// Keeps the vectors' memory for the next time.
    #[inline]
    pub fn recycle(&mut self, mut lost: Vec<R>, mut gained: Vec<R>) {
        lost.clear();
        gained.clear();
        if self.minus.is_empty() {
            self.minus = lost;
        }
        if self.plus.is_empty() {
            self.plus = gained;
        }
    }
    /// Forgets everything.
    pub fn clear(&mut self) {
        self.plus.clear();
        self.minus.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::Dice;
    use std::collections::BTreeSet;

    #[test]
    fn sums_up_to_the_difference() {
        let mut dice = Dice::new(21);
        let (mut pending, mut now) = (Pending::<(u64,)>::default(), BTreeSet::new());
        for _ in 0..2_000 {
            let before = now.clone();
            for _ in 0..dice.below(12) {
                let row = (dice.below(8),);
                // The retraction may come before the derivation, as pipelines of several atoms give them.
                if now.contains(&row) && dice.below(3) == 0 {
                    pending.add(row, 1);
                    pending.add(row, -1);
                } else if now.insert(row) {
                    pending.add(row, 1);
                } else {
                    now.remove(&row);
                    pending.add(row, -1);
                }
            }
            let (lost, gained) = pending.take();
            assert_eq!(lost.iter().copied().collect::<BTreeSet<_>>(), &before - &now);
            assert_eq!(gained.iter().copied().collect::<BTreeSet<_>>(), &now - &before);
            assert_eq!(lost.len() + gained.len(), (&before ^ &now).len());
            pending.recycle(lost, gained);
        }
    }
}
