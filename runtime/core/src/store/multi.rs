//! Rows under a prefix: one probe reaches all of them.
//!
//! [`Multi`] holds a relation as a map from some columns to the group of the others. A group is inline
//! while it is small, and a segmented set beyond.

use super::map::Map;
use smallvec::SmallVec;
use std::hash::Hash;

/// Rows that a group holds before it becomes a set.
const SMALL: usize = 12;

/// The rows under one prefix.
#[derive(Clone, Debug)]
pub enum Group<S> {
    /// A few, searched one by one; inline up to four.
    Small(SmallVec<[S; 4]>),
    /// Many.
    Large(Box<Map<S, ()>>),
}

impl<S> Default for Group<S> {
    fn default() -> Self {
        Group::Small(SmallVec::new())
    }
}

impl<S: Hash + Eq + Clone> Group<S> {
    /// The number of rows.
    #[inline]
    pub fn len(&self) -> usize {
        match self {
            Group::Small(rows) => rows.len(),
            Group::Large(rows) => rows.len(),
        }
    }
    /// Whether there are no rows.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Whether a row is there.
    #[inline]
    pub fn contains(&self, row: &S) -> bool {
        match self {
            Group::Small(rows) => rows.contains(row),
            Group::Large(rows) => rows.contains(row),
        }
    }
    /// Puts a row in; false if it was there.
    #[inline]
    pub fn insert(&mut self, row: S) -> bool {
        match self {
            Group::Small(rows) => {
                if rows.contains(&row) {
                    return false;
                }
                if rows.len() < SMALL {
                    rows.push(row);
                    return true;
                }
                self.enlarge(row);
                true
            }
            Group::Large(rows) => rows.insert(row, ()).is_none(),
        }
    }
    #[cold]
    fn enlarge(&mut self, row: S) {
        let mut large = Map::default();
        if let Group::Small(rows) = self {
            rows.drain(..).for_each(|row| {
                large.insert(row, ());
            });
        }
        large.insert(row, ());
        *self = Group::Large(Box::new(large));
    }
    /// Takes a row out; false if it was not there.
    #[inline]
    pub fn remove(&mut self, row: &S) -> bool {
        match self {
            Group::Small(rows) => match rows.iter().position(|r| r == row) {
                Some(at) => {
                    rows.swap_remove(at);
                    true
                }
                None => false,
            },
            Group::Large(rows) => rows.remove(row).is_some(),
        }
    }
    /// All rows, in an order that means nothing.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = &S> {
        let (small, large) = match self {
            Group::Small(rows) => (rows.as_slice(), None),
            Group::Large(rows) => (&[][..], Some(rows)),
        };
        small.iter().chain(large.into_iter().flat_map(|rows| rows.iter().map(|(row, ())| row)))
    }
    /// Takes all rows out; keeps a small group's memory.
    pub fn clear(&mut self) {
        match self {
            Group::Small(rows) => rows.clear(),
            Group::Large(_) => *self = Group::default(),
        }
    }
}

/// A small multiset: what `count(x)` counts.
#[derive(Clone, Debug)]
pub struct SmallSet<T>(SmallOrLarge<T>);

#[derive(Clone, Debug)]
enum SmallOrLarge<T> {
    Small(SmallVec<[(T, i64); 2]>),
    Large(Box<Map<T, i64>>),
}

impl<T> Default for SmallSet<T> {
    fn default() -> Self {
        SmallSet(SmallOrLarge::Small(SmallVec::new()))
    }
}

impl<T: Hash + Eq + Clone> SmallSet<T> {
    /// How many different ones there are.
    #[inline]
    pub fn len(&self) -> usize {
        match &self.0 {
            SmallOrLarge::Small(rows) => rows.len(),
            SmallOrLarge::Large(rows) => rows.len(),
        }
    }
    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Adds `n` times x; n may be negative.
    #[inline]
    pub fn add(&mut self, x: T, n: i64) {
        match &mut self.0 {
            SmallOrLarge::Small(rows) => match rows.iter().position(|r| r.0 == x) {
                Some(at) => {
                    rows[at].1 += n;
                    if rows[at].1 == 0 {
                        rows.swap_remove(at);
                    }
                }
                None if rows.len() < SMALL => rows.push((x, n)),
                None => {
                    let mut large: Map<T, i64> = Map::default();
                    rows.drain(..).for_each(|(x, n)| {
                        large.insert(x, n);
                    });
                    large.insert(x, n);
                    self.0 = SmallOrLarge::Large(Box::new(large));
                }
            },
            SmallOrLarge::Large(rows) => {
                *rows.get_or_insert_with(x.clone(), || 0) += n;
                rows.update_or_remove(&x, |n| *n != 0);
            }
        }
    }
}

/// Rows by prefix.
#[derive(Clone, Debug)]
pub struct Multi<P, S> {
    groups: Map<P, Group<S>>,
    len: usize,
}

impl<P, S> Default for Multi<P, S> {
    fn default() -> Self {
        Multi { groups: Map::default(), len: 0 }
    }
}

impl<P: Hash + Eq + Clone, S: Hash + Eq + Clone> Multi<P, S> {
    /// The number of rows under all prefixes.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }
    /// Whether there are no rows.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// Puts a row in; false if it was there.
    #[inline]
    pub fn insert(&mut self, prefix: P, row: S) -> bool {
        let fresh = self.groups.get_or_insert_with(prefix, Group::default).insert(row);
        self.len += usize::from(fresh);
        fresh
    }
    /// Puts a row in; the size of its group then, or `None` if it was there.
    #[inline]
    pub fn insert_sized(&mut self, prefix: P, row: S) -> Option<usize> {
        let group = self.groups.get_or_insert_with(prefix, Group::default);
        let fresh = group.insert(row);
        self.len += usize::from(fresh);
        fresh.then(|| group.len())
    }
    /// Takes a row out; the size of its group then, or `None` if it was not there.
    #[inline]
    pub fn remove_sized(&mut self, prefix: &P, row: &S) -> Option<usize> {
        let mut left = None;
        self.groups.update_or_remove(prefix, |group| {
            if group.remove(row) {
                left = Some(group.len());
            }
            !group.is_empty()
        });
        self.len -= usize::from(left.is_some());
        left
    }
    /// Takes a row out; false if it was not there.
    #[inline]
    pub fn remove(&mut self, prefix: &P, row: &S) -> bool {
        let mut found = false;
        self.groups.update_or_remove(prefix, |group| {
            found = group.remove(row);
            !group.is_empty()
        });
        self.len -= usize::from(found);
        found
    }
    /// Takes all rows under a prefix out.
    #[inline]
    pub fn remove_group(&mut self, prefix: &P) -> Group<S> {
        let group = self.groups.remove(prefix).unwrap_or_default();
        self.len -= group.len();
        group
    }
    /// Whether a row is there.
    #[inline]
    pub fn contains(&self, prefix: &P, row: &S) -> bool {
        self.groups.get(prefix).is_some_and(|group| group.contains(row))
    }
    /// Whether there is a row under a prefix.
    #[inline]
    pub fn any(&self, prefix: &P) -> bool {
        self.groups.contains(prefix)
    }
    /// The number of rows under a prefix.
    #[inline]
    pub fn count(&self, prefix: &P) -> usize {
        self.groups.get(prefix).map_or(0, Group::len)
    }
    /// The rows under a prefix.
    #[inline]
    pub fn group(&self, prefix: &P) -> impl Iterator<Item = &S> {
        self.groups.get(prefix).into_iter().flat_map(Group::iter)
    }
    /// All rows, in an order that means nothing.
    pub fn iter(&self) -> impl Iterator<Item = (&P, &S)> {
        self.groups.iter().flat_map(|(prefix, group)| group.iter().map(move |row| (prefix, row)))
    }
    /// Takes all rows out.
    pub fn clear(&mut self) {
        self.groups.clear();
        self.len = 0;
    }
    /// A copy that shares all rows with this one until one of the two changes them.
    pub fn share(&mut self) -> Multi<P, S> {
        Multi { groups: self.groups.share(), len: self.len }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::Dice;
    use std::collections::BTreeSet;

    #[test]
    fn behaves_as_a_set_of_pairs() {
        let mut dice = Dice::new(3);
        let (mut multi, mut twin) = (Multi::<u64, u32>::default(), BTreeSet::new());
        for step in 0..60_000 {
            let (p, s) = (dice.below(40), dice.below(30) as u32);
            match dice.below(20) {
                0..6 => assert_eq!(multi.insert(p, s), twin.insert((p, s))),
                6..12 => {
                    let size = twin.insert((p, s)).then(|| twin.iter().filter(|r| r.0 == p).count());
                    assert_eq!(multi.insert_sized(p, s), size);
                }
                12..15 => {
                    let size = twin.remove(&(p, s)).then(|| twin.iter().filter(|r| r.0 == p).count());
                    assert_eq!(multi.remove_sized(&p, &s), size);
                }
                15..19 => assert_eq!(multi.remove(&p, &s), twin.remove(&(p, s))),
                _ => {
                    let gone: BTreeSet<_> = multi.remove_group(&p).iter().copied().collect();
                    let expected: BTreeSet<_> = twin.iter().filter(|r| r.0 == p).map(|r| r.1).collect();
                    assert_eq!(gone, expected);
                    twin.retain(|r| r.0 != p);
                }
            }
            assert_eq!(multi.contains(&p, &s), twin.contains(&(p, s)));
            assert_eq!(multi.count(&p), twin.iter().filter(|r| r.0 == p).count());
            assert_eq!((multi.any(&p), multi.len()), (multi.count(&p) > 0, twin.len()));
            if step % 1000 == 0 {
                let rows: BTreeSet<_> = multi.iter().map(|(p, s)| (*p, *s)).collect();
                assert_eq!(rows, twin);
                let group: BTreeSet<_> = multi.group(&p).copied().collect();
                assert_eq!(group, twin.iter().filter(|r| r.0 == p).map(|r| r.1).collect());
            }
        }
    }
}
