//! Accumulators of aggregates. Those of views take retractions; events only ever add.

use super::multi::SmallSet;
use super::range::{Integer, RangeSet};
use crate::data::{Data, StableHasher};
use std::collections::BTreeMap;
use std::hash::Hash;

/// A multiset in order: `min`, `max`, `min(b => v)`, `max(b => v)`, `collect`.
#[derive(Clone, Debug)]
pub struct Bag<T>(BTreeMap<T, i64>);

impl<T> Default for Bag<T> {
    fn default() -> Self {
        Bag(BTreeMap::new())
    }
}

impl<T: Ord + Clone> Bag<T> {
    /// Adds `sign` times x.
    pub fn add(&mut self, x: T, sign: i64) {
        use std::collections::btree_map::Entry;
        match self.0.entry(x) {
            Entry::Vacant(gap) => drop(gap.insert(sign)),
            Entry::Occupied(mut found) => {
                *found.get_mut() += sign;
                if *found.get() == 0 {
                    found.remove();
                }
            }
        }
    }
    /// The least.
    pub fn min(&self) -> Option<&T> {
        self.0.first_key_value().map(|e| e.0)
    }
    /// The greatest.
    pub fn max(&self) -> Option<&T> {
        self.0.last_key_value().map(|e| e.0)
    }
    /// How many different ones there are.
    pub fn distinct(&self) -> u64 {
        self.0.len() as u64
    }
    /// Different ones, in order.
    pub fn keys(&self) -> impl Iterator<Item = &T> {
        self.0.keys()
    }
    /// All in order, with repetitions.
    pub fn collect(&self) -> Vec<T> {
        self.0.iter().flat_map(|(x, n)| (0..*n).map(|_| x.clone())).collect()
    }
}

/// `min(b => v)` on a bag of pairs: the v of the least b, of those the least.
pub fn min_by<B: Ord + Clone, V: Ord + Clone>(bag: &Bag<(B, V)>) -> Option<V> {
    bag.min().map(|e| e.1.clone())
}

/// `max(b => v)` on a bag of pairs: the v of the greatest b, of those the greatest.
pub fn max_by<B: Ord + Clone, V: Ord + Clone>(bag: &Bag<(B, V)>) -> Option<V> {
    bag.max().map(|e| e.1.clone())
}

/// `count(x)`: different x, with multiplicities so that retractions are exact.
#[derive(Clone, Debug)]
pub struct Distinct<T>(SmallSet<T>);

impl<T> Default for Distinct<T> {
    fn default() -> Self {
        Distinct(SmallSet::default())
    }
}

impl<T: Hash + Eq + Clone> Distinct<T> {
    /// Adds `sign` times x.
    #[inline]
    pub fn add(&mut self, x: T, sign: i64) {
        self.0.add(x, sign);
    }
    /// How many different ones there are.
    #[inline]
    pub fn count(&self) -> u64 {
        self.0.len() as u64
    }
}

/// `first_gap(n)`: the least natural number missing.
#[derive(Clone, Debug)]
pub struct Gaps<T> {
    set: RangeSet<T>,
    /// Numbers added more than once, how often more.
    more: BTreeMap<T, i64>,
}

impl<T> Default for Gaps<T> {
    fn default() -> Self {
        Gaps { set: RangeSet::default(), more: BTreeMap::new() }
    }
}

impl<T: Integer> Gaps<T> {
    /// Adds n once, or retracts it once.
    pub fn add(&mut self, n: T, sign: i64) {
        if sign > 0 {
            for _ in 0..sign {
                if !self.set.insert(n) {
                    *self.more.entry(n).or_default() += 1;
                }
            }
        } else {
            for _ in 0..-sign {
                match self.more.get_mut(&n) {
                    Some(1) => drop(self.more.remove(&n)),
                    Some(more) => *more -= 1,
                    None => assert!(self.set.remove(n), "a number was retracted that was not there"),
                }
            }
        }
    }
    /// The least natural number missing.
    pub fn first(&self) -> T {
        self.set.first_gap().expect("a set of all numbers of a type cannot be held in memory")
    }
}

/// The place of x in the order of `choose(x)`: least hash first, then least x.
pub fn lot<T: Data>(seed: u64, x: &T) -> u64 {
    let mut hasher = StableHasher::new(seed);
    x.stable_hash(&mut hasher);
    hasher.finish()
}

/// `choose(x)` over a bag: the one whose lot is drawn.
pub fn choose<T: Data>(bag: &Bag<T>, seed: u64) -> Option<T> {
    bag.keys().min_by_key(|x| (lot(seed, *x), *x)).cloned()
}

/// Numbers that can be summed up.
pub trait Summand: Copy {
    /// Adds `x` so many times; overflow is the program's mistake and panics.
    fn add_times(&mut self, x: Self, times: i64);
}

macro_rules! summands {
    ($($t:ty)*) => {$(
        impl Summand for $t {
            #[inline]
            fn add_times(&mut self, x: $t, times: i64) {
                for _ in 0..times.unsigned_abs() {
                    let sum = if times > 0 { self.checked_add(x) } else { self.checked_sub(x) };
                    *self = sum.expect("a sum exceeds its type");
                }
            }
        }
    )*};
}
summands!(u8 u16 u32 u64 u128 i8 i16 i32 i64 i128);

/// `sum(n)`.
#[inline]
pub fn sum<T: Summand>(into: &mut T, x: T, sign: i64) {
    into.add_times(x, sign);
}

/// `min(x)` of something that is never taken back.
#[inline]
pub fn keep_min<T: Ord>(into: &mut Option<T>, x: T) {
    if into.as_ref().is_none_or(|best| x < *best) {
        *into = Some(x);
    }
}

/// `max(x)` of something that is never taken back.
#[inline]
pub fn keep_max<T: Ord>(into: &mut Option<T>, x: T) {
    if into.as_ref().is_none_or(|best| x > *best) {
        *into = Some(x);
    }
}

/// Keeps the greater value; true if that changed it.
#[inline]
pub fn merge_max<T: Ord + Clone>(into: &mut T, with: &T) -> bool {
    let grows = *with > *into;
    if grows {
        into.clone_from(with);
    }
    grows
}

/// Keeps the smaller value; true if that changed it.
#[inline]
pub fn merge_min<T: Ord + Clone>(into: &mut T, with: &T) -> bool {
    let shrinks = *with < *into;
    if shrinks {
        into.clone_from(with);
    }
    shrinks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::Dice;

    #[test]
    fn accumulators_follow_a_multiset() {
        let mut dice = Dice::new(13);
        let (mut bag, mut distinct, mut gaps) =
            (Bag::<u64>::default(), Distinct::<u64>::default(), Gaps::<u64>::default());
        let mut twin = Vec::new();
        for _ in 0..20_000 {
            let x = dice.below(25);
            let sign = if dice.below(2) == 0 && twin.contains(&x) { -1 } else { 1 };
            match sign {
                1 => twin.push(x),
                _ => drop(twin.swap_remove(twin.iter().position(|y| *y == x).expect("it is there"))),
            }
            if twin.len() > 60 {
                twin.clear();
                (bag, distinct, gaps) = Default::default();
                continue;
            }
            bag.add(x, sign);
            distinct.add(x, sign);
            gaps.add(x, sign);
            twin.sort_unstable();
            assert_eq!(bag.collect(), twin);
            assert_eq!((bag.min(), bag.max()), (twin.first(), twin.last()));
            let mut different = twin.clone();
            different.dedup();
            assert_eq!(distinct.count(), different.len() as u64);
            assert_eq!(bag.distinct(), different.len() as u64);
            assert_eq!(gaps.first(), (0..).find(|n| !twin.contains(n)).expect("there is one"));
        }
    }
}
