//! Integer sets as ranges: "all slots below ten million" takes bytes.

use super::map::Map;
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::hash::Hash;

/// Ranges that are kept inline and searched one by one.
const FEW: usize = 8;

/// Integers that can stand in a [`RangeSet`].
pub trait Integer: Copy + Ord + Hash {
    /// The next greater one, if there is one.
    fn up(self) -> Option<Self>;
    /// The next smaller one, if there is one.
    fn down(self) -> Option<Self>;
    /// Zero.
    const ZERO: Self;
}

macro_rules! integers {
    ($($t:ty)*) => {$(
        impl Integer for $t {
            fn up(self) -> Option<$t> {
                self.checked_add(1)
            }
            fn down(self) -> Option<$t> {
                self.checked_sub(1)
            }
            const ZERO: $t = 0;
        }
    )*};
}
integers!(u8 u16 u32 u64 u128 i8 i16 i32 i64 i128);

/// A set of integers as disjoint ranges with gaps between them, bounds included.
#[derive(Clone, Debug)]
pub enum RangeSet<T> {
    /// A few ranges, in order.
    Few(SmallVec<[(T, T); 2]>),
    /// Many: last by first.
    Many(BTreeMap<T, T>),
}

impl<T> Default for RangeSet<T> {
    fn default() -> Self {
        RangeSet::Few(SmallVec::new())
    }
}

impl<T: Integer> RangeSet<T> {
    /// Whether there are no numbers.
    pub fn is_empty(&self) -> bool {
        match self {
            RangeSet::Few(ranges) => ranges.is_empty(),
            RangeSet::Many(ranges) => ranges.is_empty(),
        }
    }
    /// The range that holds the greatest number up to `n`.
    fn at_or_below(&self, n: T) -> Option<(T, T)> {
        match self {
            RangeSet::Few(ranges) => ranges.iter().rev().find(|r| r.0 <= n).copied(),
            RangeSet::Many(ranges) => ranges.range(..=n).next_back().map(|(&a, &b)| (a, b)),
        }
    }
    /// Whether a number is there.
    pub fn contains(&self, n: T) -> bool {
        self.at_or_below(n).is_some_and(|(_, last)| n <= last)
    }
    /// Puts a number in; false if it was there.
    pub fn insert(&mut self, n: T) -> bool {
        let below = self.at_or_below(n);
        if below.is_some_and(|(_, last)| n <= last) {
            return false;
        }
        // The neighbours that it touches.
        let low = below.filter(|&(_, last)| last.up() == Some(n));
        let high = n.up().and_then(|up| self.at_or_below(up)).filter(|&(first, _)| Some(first) == n.up());
        let (first, last) = (low.map_or(n, |r| r.0), high.map_or(n, |r| r.1));
        match self {
            RangeSet::Few(ranges) => {
                // One step changes one place: an end moves, two ranges join, or one is put in.
                let at = ranges.partition_point(|r| r.0 <= n);
                match (low, high) {
                    (Some(_), Some(_)) => {
                        ranges[at - 1].1 = last;
                        ranges.remove(at);
                    }
                    (Some(_), None) => ranges[at - 1].1 = last,
                    (None, Some(_)) => ranges[at].0 = first,
                    (None, None) => ranges.insert(at, (n, n)),
                }
                if ranges.len() > FEW {
                    *self = RangeSet::Many(ranges.iter().copied().collect());
                }
            }
            RangeSet::Many(ranges) => {
                if let Some((first, _)) = high {
                    ranges.remove(&first);
                }
                ranges.insert(first, last);
            }
        }
        true
    }
    /// Takes a number out; false if it was not there.
    pub fn remove(&mut self, n: T) -> bool {
        let Some((first, last)) = self.at_or_below(n).filter(|r| n <= r.1) else { return false };
        let low = n.down().filter(|_| first < n).map(|down| (first, down));
        let high = n.up().filter(|_| n < last).map(|up| (up, last));
        match self {
            RangeSet::Few(ranges) => {
                let at = ranges.partition_point(|r| r.0 <= n) - 1;
                match (low, high) {
                    (Some(low), Some(high)) => {
                        ranges[at] = low;
                        ranges.insert(at + 1, high);
                    }
                    (Some(one), None) | (None, Some(one)) => ranges[at] = one,
                    (None, None) => drop(ranges.remove(at)),
                }
                if ranges.len() > FEW {
                    *self = RangeSet::Many(ranges.iter().copied().collect());
                }
            }
            RangeSet::Many(ranges) => {
                ranges.remove(&first);
                ranges.extend(low.into_iter().chain(high));
                if ranges.len() <= FEW / 2 {
                    *self = RangeSet::Few(ranges.iter().map(|(&a, &b)| (a, b)).collect());
                }
            }
        }
        true
    }
    /// The ranges, bounds included, in order.
    pub fn ranges(&self) -> impl Iterator<Item = (T, T)> {
        let (few, many) = match self {
            RangeSet::Few(ranges) => (ranges.as_slice(), None),
            RangeSet::Many(ranges) => (&[][..], Some(ranges)),
        };
        few.iter().copied().chain(many.into_iter().flat_map(|m| m.iter().map(|(&a, &b)| (a, b))))
    }
    /// All numbers, in order.
    pub fn iter(&self) -> impl Iterator<Item = T> {
        self.ranges().flat_map(|(first, last)| {
            std::iter::successors(Some(first), move |&n| if n < last { n.up() } else { None })
        })
    }
    /// The least natural number that is missing; `None` if all that the type has are there.
    pub fn first_gap(&self) -> Option<T> {
        match self.at_or_below(T::ZERO) {
            Some((_, last)) if T::ZERO <= last => last.up(),
            _ => Some(T::ZERO),
        }
    }
}

/// Rows whose last column is an integer, as ranges by prefix. Rows are 1-tuples, as in
/// [`Multi`](super::multi::Multi) with one column.
#[derive(Clone, Debug)]
pub struct Ranges<P, T> {
    groups: Map<P, (RangeSet<T>, usize)>,
    len: usize,
}

impl<P, T> Default for Ranges<P, T> {
    fn default() -> Self {
        Ranges { groups: Map::default(), len: 0 }
    }
}

impl<P: Hash + Eq + Clone, T: Integer> Ranges<P, T> {
    /// The number of rows under all prefixes.
    pub fn len(&self) -> usize {
        self.len
    }
    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// Puts a row in; false if it was there.
    #[inline]
    pub fn insert(&mut self, prefix: P, row: (T,)) -> bool {
        self.insert_sized(prefix, row).is_some()
    }
    /// Puts a row in; the size of its group then, or `None` if it was there.
    #[inline]
    pub fn insert_sized(&mut self, prefix: P, row: (T,)) -> Option<usize> {
        let (set, len) = self.groups.get_or_insert_with(prefix, Default::default);
        let fresh = set.insert(row.0);
        *len += usize::from(fresh);
        self.len += usize::from(fresh);
        fresh.then_some(*len)
    }
    /// Takes a row out; false if it was not there.
    #[inline]
    pub fn remove(&mut self, prefix: &P, row: &(T,)) -> bool {
        self.remove_sized(prefix, row).is_some()
    }
    /// Takes a row out; the size of its group then, or `None` if it was not there.
    #[inline]
    pub fn remove_sized(&mut self, prefix: &P, row: &(T,)) -> Option<usize> {
        let mut left = None;
        self.groups.update_or_remove(prefix, |(set, len)| {
            if set.remove(row.0) {
                *len -= 1;
                left = Some(*len);
            }
            *len > 0
        });
        self.len -= usize::from(left.is_some());
        left
    }
    /// Takes all rows under a prefix out.
    #[inline]
    pub fn remove_group(&mut self, prefix: &P) -> RangeSet<T> {
        let (set, len) = self.groups.remove(prefix).unwrap_or_default();
        self.len -= len;
        set
    }
    /// Whether a row is there.
    pub fn contains(&self, prefix: &P, row: &(T,)) -> bool {
        self.groups.get(prefix).is_some_and(|(set, _)| set.contains(row.0))
    }
    /// Whether there is a row under a prefix.
    pub fn any(&self, prefix: &P) -> bool {
        self.groups.contains(prefix)
    }
    /// The number of rows under a prefix.
    pub fn count(&self, prefix: &P) -> usize {
        self.groups.get(prefix).map_or(0, |(_, len)| *len)
    }
    /// The rows under a prefix, in order.
    pub fn group(&self, prefix: &P) -> impl Iterator<Item = (T,)> {
        self.groups.get(prefix).into_iter().flat_map(|(set, _)| set.iter().map(|n| (n,)))
    }
    /// All rows.
    pub fn iter(&self) -> impl Iterator<Item = (&P, (T,))> {
        self.groups.iter().flat_map(|(prefix, (set, _))| set.iter().map(move |n| (prefix, (n,))))
    }
    /// Takes all rows out.
    pub fn clear(&mut self) {
        self.groups.clear();
        self.len = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::Dice;
    use std::collections::BTreeSet;

    #[test]
    fn behaves_as_a_set() {
        for (seed, span) in [(1, 12), (2, 60), (3, 200)] {
            let mut dice = Dice::new(seed);
            let (mut set, mut twin) = (RangeSet::<u8>::default(), BTreeSet::new());
            for _ in 0..20_000 {
                // Both ends of the type, where `up` and `down` fail.
                let n = (dice.below(span) as u8).wrapping_sub(span as u8 / 2);
                if dice.below(2) == 0 {
                    assert_eq!(set.insert(n), twin.insert(n));
                } else {
                    assert_eq!(set.remove(n), twin.remove(&n));
                }
                assert_eq!(set.contains(n), twin.contains(&n));
                assert!(set.iter().eq(twin.iter().copied()), "{set:?} {twin:?}");
                assert_eq!(set.first_gap(), (0..=255).find(|n| !twin.contains(n)));
                let ranges: Vec<_> = set.ranges().collect();
                assert!(ranges.windows(2).all(|w| w[0].1.up().and_then(Integer::up) <= Some(w[1].0)));
            }
        }
    }

    #[test]
    fn a_long_run_is_one_range() {
        let mut rows = Ranges::<(u8,), u64>::default();
        for n in 0..10_000_000 {
            rows.insert((1,), (n,));
        }
        assert_eq!((rows.len(), rows.count(&(1,))), (10_000_000, 10_000_000));
        assert!(rows.remove(&(1,), &(5,)) && !rows.remove(&(2,), &(5,)));
        assert_eq!(rows.groups.get(&(1,)).expect("it holds rows").0.ranges().count(), 2);
    }
}
