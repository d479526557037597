//! Rows under a prefix: one probe reaches all of them.
//!
//! [`Multi`] holds a relation as a map from some columns to the group of the others. A group is inline
//! while it is small, and a segmented set beyond.

use super::map::Map;
use smallvec::SmallVec;
use std::hash::Hash;

/// Rows that a group holds before it becomes a set.
const SMALL: usize = 12;

/// The rows under one prefix. Up to four are in place.
#[derive(Clone, Debug, Default)]
pub enum Group<S> {
    /// None.
    #[default]
    Empty,
    /// One.
    One([S; 1]),
    /// Two.
    Two([S; 2]),
    /// Three.
    Three([S; 3]),
    /// Four.
    Four([S; 4]),
    /// A few, searched one by one.
    Few(Vec<S>),
    /// Many.
    Large(Box<Map<S, ()>>),
}

impl<S: Hash + Eq + Clone> Group<S> {
    /// The rows, unless there are many.
    #[inline]
    fn few(&self) -> &[S] {
        match self {
            Group::One(rows) => rows,
            Group::Two(rows) => rows,
            Group::Three(rows) => rows,
            Group::Four(rows) => rows,
            Group::Few(rows) => rows,
            Group::Empty | Group::Large(_) => &[],
        }
    }
    /// The number of rows.
    #[inline]
    pub fn len(&self) -> usize {
        match self {
            Group::Large(rows) => rows.len(),
            _ => self.few().len(),
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
            Group::Large(rows) => rows.contains(row),
            _ => self.few().contains(row),
        }
    }
    /// Puts a row in; false if it was there.
    #[inline]
    pub fn insert(&mut self, row: S) -> bool {
        self.insert_sized(row).is_some()
    }
    /// Puts a row in; how many there are then, or `None` if it was there.
    #[inline]
    pub fn insert_sized(&mut self, row: S) -> Option<usize> {
        let there = match &*self {
            Group::Empty => false,
            Group::One([a]) => *a == row,
            Group::Two([a, b]) => *a == row || *b == row,
            Group::Three([a, b, c]) => *a == row || *b == row || *c == row,
            _ => return self.insert_more(row),
        };
        if there {
            return None;
        }
        let (group, size) = match std::mem::take(self) {
            Group::One([a]) => (Group::Two([a, row]), 2),
            Group::Two([a, b]) => (Group::Three([a, b, row]), 3),
            Group::Three([a, b, c]) => (Group::Four([a, b, c, row]), 4),
            _ => (Group::One([row]), 1),
        };
        self.put(group);
        Some(size)
    }
    /// Takes the place of an empty group, which there is no need to drop.
    #[inline]
    fn put(&mut self, group: Group<S>) {
        std::mem::forget(std::mem::replace(self, group));
    }
    fn insert_more(&mut self, row: S) -> Option<usize> {
        if self.contains(&row) {
            return None;
        }
        let group = match std::mem::take(self) {
            Group::Large(mut rows) => {
                rows.insert(row, ());
                Group::Large(rows)
            }
            Group::Few(mut rows) if rows.len() < SMALL => {
                rows.push(row);
                Group::Few(rows)
            }
            Group::Few(rows) => {
                let mut large = Map::default();
                rows.into_iter().chain([row]).for_each(|row| {
                    large.insert(row, ());
                });
                Group::Large(Box::new(large))
            }
            small => Group::Few(small.few().iter().cloned().chain([row]).collect()),
        };
        self.put(group);
        Some(self.len())
    }
    /// Takes a row out; false if it was not there.
    #[inline]
    pub fn remove(&mut self, row: &S) -> bool {
        if let Group::Large(rows) = self {
            return rows.remove(row).is_some();
        }
        let Some(at) = self.few().iter().position(|r| r == row) else { return false };
        let group = match std::mem::take(self) {
            Group::One(_) => Group::Empty,
            Group::Two([a, b]) => Group::One([if at == 0 { b } else { a }]),
            Group::Three([a, b, c]) => Group::Two(match at {
                0 => [c, b],
                1 => [a, c],
                _ => [a, b],
            }),
            Group::Four([a, b, c, d]) => Group::Three(match at {
                0 => [d, b, c],
                1 => [a, d, c],
                2 => [a, b, d],
                _ => [a, b, c],
            }),
            Group::Few(mut rows) => {
                rows.swap_remove(at);
                Group::Few(rows)
            }
            other => other,
        };
        self.put(group);
        true
    }
    /// All rows, in an order that means nothing.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = &S> {
        let large = match self {
            Group::Large(rows) => Some(rows),
            _ => None,
        };
        self.few().iter().chain(large.into_iter().flat_map(|rows| rows.iter().map(|(row, ())| row)))
    }
    /// Takes all rows out.
    pub fn clear(&mut self) {
        *self = Group::Empty;
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
        let size = self.groups.get_or_insert_with(prefix, Group::default).insert_sized(row);
        self.len += usize::from(size.is_some());
        size
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
    /// See [`Map::is_large`].
    #[inline]
    pub fn is_large(&self) -> bool {
        self.groups.is_large()
    }
    /// See [`Map::warm`].
    #[inline]
    pub fn warm(&self, prefix: &P) -> usize {
        self.groups.warm(prefix)
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
