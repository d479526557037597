//! Accumulators of aggregates. Those of views take retractions; events only ever add.

use super::multi::SmallSet;
use super::range::{Integer, RangeSet};
use crate::data::{Data, StableHasher};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::hash::Hash;

/// How far from its ends the run of a [`Bag`] is searched and shifted.
const NEAR: usize = 64;

/// A multiset in order: `min`, `max`, `min(b => v)`, `max(b => v)`, `collect`.
///
/// What is counted up and forgotten in order (slots, rounds, times) comes and goes near the ends, where a row of
/// values costs a tenth of a tree; what comes elsewhere is kept in a tree.
#[derive(Clone, Debug)]
pub struct Bag<T> {
    /// In order, with multiplicities. Where one is zero the value is not there; never at the ends.
    run: VecDeque<(T, i64)>,
    /// Zeros in the run: at most half of it.
    zeros: usize,
    /// Values that are not in the run, with multiplicities that are not zero.
    rest: BTreeMap<T, i64>,
}

impl<T> Default for Bag<T> {
    fn default() -> Self {
        Bag { run: VecDeque::new(), zeros: 0, rest: BTreeMap::new() }
    }
}

impl<T: Ord + Clone> Bag<T> {
    /// Adds `sign` times x.
    pub fn add(&mut self, x: T, sign: i64) {
        let len = self.run.len();
        let place = if len <= NEAR || x > self.run[len - NEAR].0 {
            self.search(&x, len.saturating_sub(NEAR), len)
        } else if x <= self.run[NEAR].0 {
            self.search(&x, 0, NEAR + 1)
        } else {
            self.search(&x, NEAR, len - NEAR + 1)
        };
        match place {
            Ok(at) => {
                let times = &mut self.run[at].1;
                let was = *times;
                *times += sign;
                match (was, *times) {
                    (0, _) => self.zeros -= 1,
                    (_, 0) => self.drop_zero(at),
                    _ => {}
                }
            }
            Err(at) => self.add_absent(at, x, sign),
        }
    }
    /// Where x is in this part of the run, or would be.
    fn search(&self, x: &T, from: usize, to: usize) -> Result<usize, usize> {
        let (mut low, mut high) = (from, to);
        while low < high {
            let middle = (low + high) / 2;
            if self.run[middle].0 < *x { low = middle + 1 } else { high = middle }
        }
        if low < self.run.len() && self.run[low].0 == *x { Ok(low) } else { Err(low) }
    }
    /// Adds what is not in the run, where it would be at `at`.
    fn add_absent(&mut self, at: usize, x: T, sign: i64) {
        let near = at <= NEAR || at + NEAR >= self.run.len();
        match if near && self.rest.is_empty() { None } else { Some(self.rest.entry(x.clone())) } {
            Some(Entry::Occupied(mut found)) => {
                *found.get_mut() += sign;
                if *found.get() == 0 {
                    found.remove();
                }
            }
            Some(Entry::Vacant(gap)) if !near => drop(gap.insert(sign)),
            _ => self.run.insert(at, (x, sign)),
        }
    }
    /// Takes a value out whose multiplicity has become zero: at once near the ends, otherwise some time.
    fn drop_zero(&mut self, at: usize) {
        if at <= NEAR || at + NEAR >= self.run.len() {
            self.run.remove(at);
        } else {
            self.zeros += 1;
        }
        while self.run.front().is_some_and(|(_, times)| *times == 0) {
            self.run.pop_front();
            self.zeros -= 1;
        }
        while self.run.back().is_some_and(|(_, times)| *times == 0) {
            self.run.pop_back();
            self.zeros -= 1;
        }
        if self.zeros * 2 > self.run.len() {
            self.run.retain(|(_, times)| *times != 0);
            self.zeros = 0;
        }
    }
    /// The least.
    pub fn min(&self) -> Option<&T> {
        let (run, rest) = (self.run.front().map(|e| &e.0), self.rest.first_key_value().map(|e| e.0));
        if run.is_some() && rest.is_some() { run.min(rest) } else { run.or(rest) }
    }
    /// The greatest.
    pub fn max(&self) -> Option<&T> {
        let (run, rest) = (self.run.back().map(|e| &e.0), self.rest.last_key_value().map(|e| e.0));
        run.max(rest)
    }
    /// How many different ones there are.
    pub fn distinct(&self) -> u64 {
        (self.run.len() - self.zeros + self.rest.len()) as u64
    }
    /// Different ones, with how often each is there, in order.
    fn iter(&self) -> impl Iterator<Item = (&T, i64)> {
        let mut run = self.run.iter().filter(|(_, n)| *n != 0).map(|(x, n)| (x, *n)).peekable();
        let mut rest = self.rest.iter().map(|(x, n)| (x, *n)).peekable();
        std::iter::from_fn(move || match (run.peek(), rest.peek()) {
            (Some(a), Some(b)) if b.0 < a.0 => rest.next(),
            (Some(_), _) => run.next(),
            (None, _) => rest.next(),
        })
    }
    /// Different ones, in order.
    pub fn keys(&self) -> impl Iterator<Item = &T> {
        self.iter().map(|(x, _)| x)
    }
    /// All in order, with repetitions.
    pub fn collect(&self) -> Vec<T> {
        self.iter().flat_map(|(x, n)| (0..n).map(|_| x.clone())).collect()
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

    /// Values that come nearly in order and go in order, as slots do, and some from anywhere.
    #[test]
    fn a_bag_of_many_follows_a_multiset() {
        for anywhere in [0, 5, 50] {
            let mut dice = Dice::new(anywhere);
            let (mut bag, mut twin) = (Bag::<u64>::default(), BTreeMap::<u64, i64>::new());
            let add = |bag: &mut Bag<u64>, twin: &mut BTreeMap<u64, i64>, x: u64, sign: i64| {
                bag.add(x, sign);
                let times = twin.entry(x).or_default();
                *times += sign;
                if *times == 0 {
                    twin.remove(&x);
                }
            };
            let mut in_tree = 0;
            for step in 0..12_000 {
                let front = 1000 + step;
                let x = match dice.below(100) < anywhere {
                    true => dice.below(front + 500),
                    false => front - dice.below(8),
                };
                add(&mut bag, &mut twin, x, 1);
                let goes = match dice.below(100) < anywhere {
                    // From the middle, too.
                    true => twin.keys().nth(dice.below(twin.len() as u64) as usize).copied(),
                    false => twin.keys().next().copied().filter(|x| *x + 400 < front),
                };
                if let Some(x) = goes {
                    add(&mut bag, &mut twin, x, -1);
                }
                assert_eq!((bag.min(), bag.max()), (twin.keys().next(), twin.keys().next_back()));
                assert_eq!(bag.distinct(), twin.len() as u64);
                assert!(bag.zeros * 2 <= bag.run.len(), "{} of {}", bag.zeros, bag.run.len());
                in_tree += bag.rest.len();
                if step % 500 == 0 {
                    assert!(bag.iter().eq(twin.iter().map(|(x, n)| (x, *n))));
                }
            }
            assert_eq!(in_tree == 0, anywhere == 0, "what comes in order needs no tree");
        }
    }
}
