//! Integer sets as ranges: "all slots below ten million" takes bytes.

use super::map::Map;
use std::collections::BTreeMap;
use std::hash::Hash;

/// Ranges that are searched one by one.
const FEW: usize = 8;

/// Integers that can stand in a [`RangeSet`].
pub trait Integer: Copy + Ord + Hash {
    /// The next greater one, if there is one.
    fn up(self) -> Option<Self>;
    /// The next smaller one, if there is one.
    fn down(self) -> Option<Self>;
    /// How many there are from here to `last`, both included.
    fn through(self, last: Self) -> usize;
    /// Zero.
    const ZERO: Self;
}

macro_rules! integers {
    ($($t:ty)*) => {$(
        impl Integer for $t {
            #[inline]
            fn up(self) -> Option<$t> {
                self.checked_add(1)
            }
            #[inline]
            fn down(self) -> Option<$t> {
                self.checked_sub(1)
            }
            #[inline]
            fn through(self, last: $t) -> usize {
                (last.abs_diff(self) as usize).wrapping_add(1)
            }
            const ZERO: $t = 0;
        }
    )*};
}
integers!(u8 u16 u32 u64 u128 i8 i16 i32 i64 i128);

/// A set of integers as disjoint ranges with gaps between them, bounds included. One or two are kept in place.
#[derive(Clone, Debug, Default)]
pub enum RangeSet<T> {
    /// No number.
    #[default]
    Empty,
    /// One range.
    One([(T, T); 1]),
    /// Two, in order.
    Two([(T, T); 2]),
    /// A few, in order.
    Few(Vec<(T, T)>),
    /// Many.
    Many(Box<Tree<T>>),
}

/// Many ranges.
#[derive(Clone, Debug)]
pub struct Tree<T> {
    /// Last by first.
    ranges: BTreeMap<T, T>,
    /// How many numbers there are.
    len: usize,
}

impl<T: Integer> RangeSet<T> {
    /// Whether there are no numbers.
    #[inline]
    pub fn is_empty(&self) -> bool {
        matches!(self, RangeSet::Empty)
    }
    /// How many numbers there are.
    #[inline]
    pub fn len(&self) -> usize {
        match self {
            RangeSet::Many(tree) => tree.len,
            _ => self.few().iter().map(|r| r.0.through(r.1)).sum(),
        }
    }
    /// The ranges, unless there are many.
    #[inline]
    fn few(&self) -> &[(T, T)] {
        match self {
            RangeSet::One(ranges) => ranges,
            RangeSet::Two(ranges) => ranges,
            RangeSet::Few(ranges) => ranges,
            RangeSet::Empty | RangeSet::Many(_) => &[],
        }
    }
    /// A set of a few ranges, in order.
    fn of_few(ranges: Vec<(T, T)>) -> RangeSet<T> {
        match ranges[..] {
            [] => RangeSet::Empty,
            [one] => RangeSet::One([one]),
            [one, other] => RangeSet::Two([one, other]),
            _ if ranges.len() <= FEW => RangeSet::Few(ranges),
            _ => {
                let len = ranges.iter().map(|r| r.0.through(r.1)).sum();
                RangeSet::Many(Box::new(Tree { ranges: ranges.into_iter().collect(), len }))
            }
        }
    }
    /// The range that holds the greatest number up to `n`.
    #[inline]
    fn at_or_below(&self, n: T) -> Option<(T, T)> {
        match self {
            RangeSet::Many(tree) => tree.ranges.range(..=n).next_back().map(|(&a, &b)| (a, b)),
            _ => self.few().iter().rev().find(|r| r.0 <= n).copied(),
        }
    }
    /// Whether a number is there.
    #[inline]
    pub fn contains(&self, n: T) -> bool {
        self.at_or_below(n).is_some_and(|(_, last)| n <= last)
    }
    /// Puts a number in; false if it was there.
    #[inline]
    pub fn insert(&mut self, n: T) -> bool {
        match self {
            RangeSet::Empty => {
                *self = RangeSet::One([(n, n)]);
                true
            }
            RangeSet::One([(first, last)]) => {
                let range = (*first, *last);
                if *first <= n && n <= *last {
                    return false;
                }
                if last.up() == Some(n) {
                    *last = n;
                } else if n.up() == Some(*first) {
                    *first = n;
                } else if n < *first {
                    *self = RangeSet::Two([(n, n), range]);
                } else {
                    *self = RangeSet::Two([range, (n, n)]);
                }
                true
            }
            _ => self.insert_more(n),
        }
    }
    fn insert_more(&mut self, n: T) -> bool {
        let below = self.at_or_below(n);
        if below.is_some_and(|(_, last)| n <= last) {
            return false;
        }
        // The neighbours that it touches.
        let low = below.filter(|&(_, last)| last.up() == Some(n));
        let high = n.up().and_then(|up| self.at_or_below(up)).filter(|&(first, _)| Some(first) == n.up());
        let (first, last) = (low.map_or(n, |r| r.0), high.map_or(n, |r| r.1));
        if let RangeSet::Many(tree) = self {
            if let Some((first, _)) = high {
                tree.ranges.remove(&first);
            }
            tree.ranges.insert(first, last);
            tree.len += 1;
            return true;
        }
        if let (RangeSet::Two(ranges), true) = (&mut *self, low.is_some() || high.is_some()) {
            // The commonest without a detour: an end moves, or two become one.
            match (low, high) {
                (Some(_), Some(_)) => *self = RangeSet::One([(first, last)]),
                _ => {
                    let at = usize::from(ranges[0] != low.or(high).unwrap_or((n, n)));
                    ranges[at] = (first, last);
                }
            }
            return true;
        }
        let mut ranges = self.take_few();
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
        *self = RangeSet::of_few(ranges);
        true
    }
    /// The ranges as a vector, leaving nothing.
    fn take_few(&mut self) -> Vec<(T, T)> {
        match std::mem::take(self) {
            RangeSet::Few(ranges) => ranges,
            other => other.few().to_vec(),
        }
    }
    /// Takes a number out; false if it was not there.
    pub fn remove(&mut self, n: T) -> bool {
        let Some((first, last)) = self.at_or_below(n).filter(|r| n <= r.1) else { return false };
        let low = n.down().filter(|_| first < n).map(|down| (first, down));
        let high = n.up().filter(|_| n < last).map(|up| (up, last));
        if let RangeSet::Many(tree) = self {
            tree.len -= 1;
            tree.ranges.remove(&first);
            tree.ranges.extend(low.into_iter().chain(high));
            if tree.ranges.len() <= FEW / 2 {
                *self = RangeSet::of_few(tree.ranges.iter().map(|(&a, &b)| (a, b)).collect());
            }
            return true;
        }
        if let (RangeSet::One(ranges), true) = (&mut *self, low.is_none() || high.is_none()) {
            match low.or(high) {
                Some(rest) => ranges[0] = rest,
                None => *self = RangeSet::Empty,
            }
            return true;
        }
        let mut ranges = self.take_few();
        let at = ranges.partition_point(|r| r.0 <= n) - 1;
        match (low, high) {
            (Some(low), Some(high)) => {
                ranges[at] = low;
                ranges.insert(at + 1, high);
            }
            (Some(one), None) | (None, Some(one)) => ranges[at] = one,
            (None, None) => drop(ranges.remove(at)),
        }
        *self = RangeSet::of_few(ranges);
        true
    }
    /// The ranges, bounds included, in order.
    pub fn ranges(&self) -> impl Iterator<Item = (T, T)> {
        let many = match self {
            RangeSet::Many(tree) => Some(&tree.ranges),
            _ => None,
        };
        self.few().iter().copied().chain(many.into_iter().flat_map(|m| m.iter().map(|(&a, &b)| (a, b))))
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
    groups: Map<P, RangeSet<T>>,
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
        let set = self.groups.get_or_insert_with(prefix, Default::default);
        let fresh = set.insert(row.0);
        self.len += usize::from(fresh);
        fresh.then(|| set.len())
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
        self.groups.update_or_remove(prefix, |set| {
            if set.remove(row.0) {
                left = Some(set.len());
            }
            !set.is_empty()
        });
        self.len -= usize::from(left.is_some());
        left
    }
    /// Takes all rows under a prefix out.
    #[inline]
    pub fn remove_group(&mut self, prefix: &P) -> RangeSet<T> {
        let set = self.groups.remove(prefix).unwrap_or_default();
        self.len -= set.len();
        set
    }
    /// Whether a row is there.
    pub fn contains(&self, prefix: &P, row: &(T,)) -> bool {
        self.groups.get(prefix).is_some_and(|set| set.contains(row.0))
    }
    /// Whether there is a row under a prefix.
    pub fn any(&self, prefix: &P) -> bool {
        self.groups.contains(prefix)
    }
    /// The number of rows under a prefix.
    pub fn count(&self, prefix: &P) -> usize {
        self.groups.get(prefix).map_or(0, RangeSet::len)
    }
    /// The rows under a prefix, in order.
    pub fn group(&self, prefix: &P) -> impl Iterator<Item = (T,)> {
        self.groups.get(prefix).into_iter().flat_map(|set| set.iter().map(|n| (n,)))
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
    /// All rows.
    pub fn iter(&self) -> impl Iterator<Item = (&P, (T,))> {
        self.groups.iter().flat_map(|(prefix, set)| set.iter().map(move |n| (prefix, (n,))))
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
                assert_eq!((set.len(), set.is_empty()), (twin.len(), twin.is_empty()));
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
        assert_eq!(rows.groups.get(&(1,)).expect("it holds rows").ranges().count(), 2);
    }
}
