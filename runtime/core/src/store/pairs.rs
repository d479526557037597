//! A small map in place: the rows of a table under one key of a [`Joint`](super::Joint).

use super::map::Map;
use smallvec::SmallVec;
use std::hash::Hash;

/// Rows that are searched one by one.
const FEW: usize = 12;

/// Values by key. Up to four are in place.
#[derive(Clone, Debug)]
pub enum Pairs<S, V> {
    /// A few, in no order.
    Few(SmallVec<[(S, V); 4]>),
    /// Many.
    Many(Box<Map<S, V>>),
}

impl<S, V> Default for Pairs<S, V> {
    fn default() -> Self {
        Pairs::Few(SmallVec::new())
    }
}

impl<S, V> Pairs<S, V> {
    /// How many there are.
    #[inline(always)]
    pub fn len(&self) -> usize {
        match self {
            Pairs::Few(rows) => rows.len(),
            Pairs::Many(rows) => rows.len(),
        }
    }
    /// Whether there are none.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// All, in an order that means nothing.
    pub fn iter(&self) -> impl Iterator<Item = (&S, &V)> {
        let (few, many) = match self {
            Pairs::Few(rows) => (Some(rows), None),
            Pairs::Many(rows) => (None, Some(rows)),
        };
        let few = few.into_iter().flatten().map(|(s, v)| (s, v));
        few.chain(many.into_iter().flat_map(|rows| rows.iter()))
    }
}

impl<S: Hash + Eq + Clone, V: Clone> Pairs<S, V> {
    /// The value under a key.
    #[inline(always)]
    pub fn get(&self, key: &S) -> Option<&V> {
        match self {
            Pairs::Few(rows) => rows.iter().find(|row| row.0 == *key).map(|row| &row.1),
            Pairs::Many(rows) => rows.get(key),
        }
    }
    /// Puts a value, made only then, under a key unless there is one, which is returned then.
    #[inline(always)]
    pub fn try_insert_with(&mut self, key: S, make: impl FnOnce() -> V) -> Option<&V> {
        if let Pairs::Few(rows) = self
            && rows.len() >= FEW
            && !rows.iter().any(|row| row.0 == key)
        {
            self.spread();
        }
        match self {
            Pairs::Few(rows) => match rows.iter().position(|row| row.0 == key) {
                Some(at) => Some(&rows[at].1),
                None => {
                    rows.push((key, make()));
                    None
                }
            },
            Pairs::Many(rows) => rows.try_insert_with(key, make),
        }
    }
    /// Puts a value under a key and returns the one before.
    #[inline(always)]
    pub fn insert(&mut self, key: S, value: V) -> Option<V> {
        match self {
            Pairs::Few(rows) => match rows.iter_mut().find(|row| row.0 == key) {
                Some(row) => Some(std::mem::replace(&mut row.1, value)),
                None => {
                    self.try_insert_with(key, || value);
                    None
                }
            },
            Pairs::Many(rows) => rows.insert(key, value),
        }
    }
    /// Takes a row out.
    #[inline(always)]
    pub fn remove(&mut self, key: &S) -> Option<V> {
        match self {
            Pairs::Few(rows) => {
                let at = rows.iter().position(|row| row.0 == *key)?;
                Some(rows.swap_remove(at).1)
            }
            Pairs::Many(rows) => rows.remove(key),
        }
    }
    #[cold]
    fn spread(&mut self) {
        if let Pairs::Few(rows) = self {
            let mut many = Map::default();
            rows.drain(..).for_each(|(s, v)| {
                many.insert(s, v);
            });
            *self = Pairs::Many(Box::new(many));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::Dice;
    use std::collections::BTreeMap;

    #[test]
    fn behaves_as_a_btree_map() {
        for (seed, keys) in [(1, 4), (2, 12), (3, 40)] {
            let mut dice = Dice::new(seed);
            let (mut pairs, mut twin) = (Pairs::<u64, u64>::default(), BTreeMap::new());
            for step in 0..5000 {
                let key = dice.below(keys);
                match dice.below(5) {
                    0 => assert_eq!(pairs.insert(key, step), twin.insert(key, step)),
                    1 | 2 => {
                        let there = pairs.try_insert_with(key, || step).copied();
                        assert_eq!(there, twin.get(&key).copied());
                        twin.entry(key).or_insert(step);
                    }
                    _ => assert_eq!(pairs.remove(&key), twin.remove(&key)),
                }
                assert_eq!(pairs.get(&key), twin.get(&key));
                assert_eq!((pairs.len(), pairs.is_empty()), (twin.len(), twin.is_empty()));
                let all: BTreeMap<_, _> = pairs.iter().map(|(s, v)| (*s, *v)).collect();
                assert_eq!(all, twin);
            }
        }
    }
}
