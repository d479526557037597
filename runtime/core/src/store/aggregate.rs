//! Aggregated views: a state per group, from which the group's row follows.

use super::map::Map;
use std::hash::Hash;

#[derive(Clone, Debug)]
struct Slot<A, O> {
    /// Combinations of matched rows in the group: none, no row.
    support: i64,
    state: A,
    /// The row as it was settled last.
    shown: Option<O>,
    dirty: bool,
}

/// Groups by the head's plain columns `G`, with accumulators `A` and aggregated columns `O`.
#[derive(Clone, Debug)]
pub struct Aggregated<G, A, O> {
    groups: Map<G, Slot<A, O>>,
    dirty: Vec<G>,
    visible: usize,
}

impl<G, A, O> Default for Aggregated<G, A, O> {
    fn default() -> Self {
        Aggregated { groups: Map::default(), dirty: Vec::new(), visible: 0 }
    }
}

impl<G: Hash + Eq + Clone, A: Default + Clone, O: Clone + PartialEq> Aggregated<G, A, O> {
    /// A group's accumulators, to add a combination of matched rows (`sign` 1) or retract one (−1).
    #[inline]
    pub fn change(&mut self, group: G, sign: i64) -> &mut A {
        let dirty = &mut self.dirty;
        let slot = self.groups.get_or_insert_with(group.clone(), || Slot {
            support: 0,
            state: A::default(),
            shown: None,
            dirty: false,
        });
        if !slot.dirty {
            slot.dirty = true;
            dirty.push(group);
        }
        slot.support += sign;
        &mut slot.state
    }
    /// Whether anything may have to be settled.
    #[inline]
    pub fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }
    /// Takes the groups that may have to be settled. Hand the vector back to [`Aggregated::recycle`].
    #[inline]
    pub fn take_dirty(&mut self) -> Vec<G> {
        std::mem::take(&mut self.dirty)
    }
    /// Keeps a vector's memory for the next tick.
    #[inline]
    pub fn recycle(&mut self, mut groups: Vec<G>) {
        groups.clear();
        if self.dirty.is_empty() {
            self.dirty = groups;
        }
    }
    /// Settles a group; `value` computes its row. Gives the old and the new row where they differ.
    #[inline]
    pub fn settle(&mut self, group: &G, value: impl FnOnce(&A) -> O) -> Option<(Option<O>, Option<O>)> {
        let mut change = None;
        let visible = &mut self.visible;
        self.groups.update_or_remove(group, |slot| {
            assert!(slot.support >= 0, "an aggregate lost more than it was given");
            slot.dirty = false;
            let row = (slot.support > 0).then(|| value(&slot.state));
            if row != slot.shown {
                *visible += usize::from(row.is_some());
                let old = std::mem::replace(&mut slot.shown, row.clone());
                *visible -= usize::from(old.is_some());
                change = Some((old, row));
            }
            slot.support > 0
        });
        change
    }
    /// A group's aggregated columns as settled last.
    #[inline]
    pub fn get(&self, group: &G) -> Option<&O> {
        self.groups.get(group).and_then(|slot| slot.shown.as_ref())
    }
    /// All rows as settled last, in an order that means nothing.
    pub fn iter(&self) -> impl Iterator<Item = (&G, &O)> {
        self.groups.iter().filter_map(|(group, slot)| Some((group, slot.shown.as_ref()?)))
    }
    /// The number of rows as settled last.
    #[inline]
    pub fn len(&self) -> usize {
        self.visible
    }
    /// Whether there are no rows.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.visible == 0
    }
    /// Forgets everything.
    pub fn clear(&mut self) {
        self.groups.clear();
        self.dirty.clear();
        self.visible = 0;
    }
}
