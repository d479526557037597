//! Views by derivation counts.
//!
//! Rules add and retract derivations at any time; rows appear and disappear only when the view is settled,
//! which the tick does in the order of the views. In between, readers see the view as it was settled last.

use super::map::Map;
use std::hash::Hash;

#[derive(Clone, Copy, Debug)]
struct Count {
    derivations: i64,
    visible: bool,
    dirty: bool,
}

/// A view's rows with the number of their derivations.
#[derive(Clone, Debug)]
pub struct Counted<R> {
    rows: Map<R, Count>,
    /// Visible rows that lost their last derivation, and invisible ones that got a first. (Visibility only
    /// changes in between.)
    lost: Vec<R>,
    gained: Vec<R>,
    visible: usize,
}

impl<R> Default for Counted<R> {
    fn default() -> Self {
        Counted { rows: Map::default(), lost: Vec::new(), gained: Vec::new(), visible: 0 }
    }
}

impl<R: Hash + Eq + Clone> Counted<R> {
    /// Adds derivations of a row, or retracts them.
    #[inline]
    pub fn add(&mut self, row: R, derivations: i64) {
        let count = self.rows.get_or_insert_with(row.clone(), || Count {
            derivations: 0,
            visible: false,
            dirty: false,
        });
        count.derivations += derivations;
        if (count.derivations != 0) != count.visible && !count.dirty {
            count.dirty = true;
            if count.visible {
                self.lost.push(row);
            } else {
                self.gained.push(row);
            }
        }
    }
    /// Whether anything may have to be settled.
    #[inline]
    pub fn is_dirty(&self) -> bool {
        !self.lost.is_empty() || !self.gained.is_empty()
    }
    /// Takes the rows that may have to be settled: those that may disappear and those that may appear. Hand
    /// the vectors back to [`Counted::recycle`].
    #[inline]
    pub fn take(&mut self) -> (Vec<R>, Vec<R>) {
        (std::mem::take(&mut self.lost), std::mem::take(&mut self.gained))
    }
    /// Keeps vectors' memory for the next time.
    #[inline]
    pub fn recycle(&mut self, mut lost: Vec<R>, mut gained: Vec<R>) {
        lost.clear();
        gained.clear();
        if self.lost.is_empty() {
            self.lost = lost;
        }
        if self.gained.is_empty() {
            self.gained = gained;
        }
    }
    /// Whether a visible row has no derivation any more: settling it would make it disappear.
    #[inline]
    pub fn is_lost(&self, row: &R) -> bool {
        self.rows.get(row).is_some_and(|count| count.visible && count.derivations == 0)
    }
    /// After [`Counted::take`]: the row need not be settled now, it keeps its state.
    #[inline]
    pub fn keep(&mut self, row: &R) {
        if let Some(count) = self.rows.get_mut(row) {
            count.dirty = false;
        }
    }
    /// Settles one row: `Some(true)` if it appears now, `Some(false)` if it disappears.
    #[inline]
    pub fn settle(&mut self, row: &R) -> Option<bool> {
        let mut change = None;
        let visible = &mut self.visible;
        self.rows.update_or_remove(row, |count| {
            assert!(count.derivations >= 0, "a view's row was retracted more often than derived");
            count.dirty = false;
            let holds = count.derivations > 0;
            if holds != count.visible {
                count.visible = holds;
                change = Some(holds);
                if holds {
                    *visible += 1;
                } else {
                    *visible -= 1;
                }
            }
            holds
        });
        change
    }
    /// Whether a row is in the view as it was settled last.
    #[inline]
    pub fn contains(&self, row: &R) -> bool {
        self.rows.get(row).is_some_and(|count| count.visible)
    }
    /// The rows of the view as it was settled last, in an order that means nothing.
    pub fn iter(&self) -> impl Iterator<Item = &R> {
        self.rows.iter().filter(|(_, count)| count.visible).map(|(row, _)| row)
    }
    /// The number of rows of the view as it was settled last.
    #[inline]
    pub fn len(&self) -> usize {
        self.visible
    }
    /// Whether the view has no rows.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.visible == 0
    }
    /// Forgets everything.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.lost.clear();
        self.gained.clear();
        self.visible = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::Dice;
    use std::collections::{BTreeMap, BTreeSet};

    #[test]
    fn shows_what_has_derivations() {
        let mut dice = Dice::new(5);
        let mut view = Counted::<(u64,)>::default();
        let (mut counts, mut shown) = (BTreeMap::<u64, i64>::new(), BTreeSet::new());
        for _ in 0..5_000 {
            for _ in 0..dice.below(6) {
                let row = dice.below(20);
                let count = counts.entry(row).or_default();
                let change = if *count > 0 && dice.below(2) == 0 { -1 } else { 1 };
                *count += change;
                view.add((row,), change);
            }
            // Not settled yet: readers see the old rows.
            assert!(view.iter().map(|r| r.0).collect::<BTreeSet<_>>() == shown);
            let (lost, gained) = view.take();
            for row in &lost {
                assert!(!view.is_lost(row) || view.contains(row));
                match view.settle(row) {
                    Some(gained) => assert!(!gained && shown.remove(&row.0)),
                    None => assert!(view.contains(row)),
                }
            }
            for row in &gained {
                match view.settle(row) {
                    Some(gained) => assert!(gained && shown.insert(row.0)),
                    None => assert!(!view.contains(row)),
                }
            }
            view.recycle(lost, gained);
            let holds: BTreeSet<_> = counts.iter().filter(|c| *c.1 > 0).map(|c| *c.0).collect();
            assert_eq!(shown, holds);
            assert_eq!(view.len(), holds.len());
            assert!((0..20).all(|n| view.contains(&(n,)) == holds.contains(&n)));
        }
        let kept = counts.values().filter(|c| **c > 0).count();
        assert_eq!(view.rows.len(), kept, "rows without derivations are forgotten");
    }
}
