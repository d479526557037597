//! A small map in place: the rows of a table under one key of a [`Joint`](super::Joint).

use super::map::Map;
use std::hash::Hash;

/// Rows that are searched one by one.
const FEW: usize = 12;

/// Values by key. Up to four are in place, in no order.
#[derive(Clone, Debug, Default)]
pub enum Pairs<S, V> {
    /// None.
    #[default]
    Empty,
    /// One.
    One([(S, V); 1]),
    /// Two.
    Two([(S, V); 2]),
    /// Three.
    Three([(S, V); 3]),
    /// Four.
    Four([(S, V); 4]),
    /// A few.
    Few(Vec<(S, V)>),
    /// Many.
    Many(Box<Map<S, V>>),
}

impl<S, V> Pairs<S, V> {
    /// The rows, unless there are many.
    #[inline(always)]
    fn few(&self) -> &[(S, V)] {
        match self {
            Pairs::One(rows) => rows,
            Pairs::Two(rows) => rows,
            Pairs::Three(rows) => rows,
            Pairs::Four(rows) => rows,
            Pairs::Few(rows) => rows,
            Pairs::Empty | Pairs::Many(_) => &[],
        }
    }
    /// The same, to be changed.
    #[inline(always)]
    fn few_mut(&mut self) -> &mut [(S, V)] {
        match self {
            Pairs::One(rows) => rows,
            Pairs::Two(rows) => rows,
            Pairs::Three(rows) => rows,
            Pairs::Four(rows) => rows,
            Pairs::Few(rows) => rows,
            Pairs::Empty | Pairs::Many(_) => &mut [],
        }
    }
    /// How many there are.
    #[inline]
    pub fn len(&self) -> usize {
        match self {
            Pairs::Many(rows) => rows.len(),
            _ => self.few().len(),
        }
    }
    /// Whether there are none.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        matches!(self, Pairs::Empty)
    }
    /// All, in an order that means nothing.
    pub fn iter(&self) -> impl Iterator<Item = (&S, &V)> {
        let many = match self {
            Pairs::Many(rows) => Some(rows),
            _ => None,
        };
        let few = self.few().iter().map(|(s, v)| (s, v));
        few.chain(many.into_iter().flat_map(|rows| rows.iter()))
    }
    /// Takes the place of nothing, which there is no need to drop.
    #[inline(always)]
    fn put(&mut self, pairs: Pairs<S, V>) {
        std::mem::forget(std::mem::replace(self, pairs));
    }
}

impl<S: Hash + Eq + Clone, V: Clone> Pairs<S, V> {
    /// The value under a key.
    #[inline(always)]
    pub fn get(&self, key: &S) -> Option<&V> {
        match self {
            Pairs::Many(rows) => rows.get(key),
            _ => self.few().iter().find(|row| row.0 == *key).map(|row| &row.1),
        }
    }
    /// Puts a value, made only then, under a key unless there is one, which is returned then.
    #[inline(always)]
    pub fn try_insert_with(&mut self, key: S, make: impl FnOnce() -> V) -> Option<&V> {
        if !matches!(self, Pairs::Empty) && self.get(&key).is_some() {
            return self.get(&key);
        }
        self.add(key, make());
        None
    }
    /// Adds a row under a key that has none.
    #[inline(always)]
    fn add(&mut self, key: S, value: V) {
        let row = (key, value);
        let more = match std::mem::take(self) {
            Pairs::Empty => Pairs::One([row]),
            Pairs::One([a]) => Pairs::Two([a, row]),
            Pairs::Two([a, b]) => Pairs::Three([a, b, row]),
            Pairs::Three([a, b, c]) => Pairs::Four([a, b, c, row]),
            full => full.spill(row),
        };
        self.put(more);
    }
    /// What does not fit in place.
    #[inline(never)]
    fn spill(self, row: (S, V)) -> Pairs<S, V> {
        match self {
            Pairs::Many(mut rows) => {
                rows.insert(row.0, row.1);
                Pairs::Many(rows)
            }
            Pairs::Few(mut rows) if rows.len() < FEW => {
                rows.push(row);
                Pairs::Few(rows)
            }
            Pairs::Few(rows) => {
                let mut many = Map::default();
                rows.into_iter().chain([row]).for_each(|(s, v)| {
                    many.insert(s, v);
                });
                Pairs::Many(Box::new(many))
            }
            small => Pairs::Few(small.few().iter().cloned().chain([row]).collect()),
        }
    }
    /// Puts a value under a key and returns the one before.
    #[inline(always)]
    pub fn insert(&mut self, key: S, value: V) -> Option<V> {
        if let Pairs::Many(rows) = self {
            return rows.insert(key, value);
        }
        match self.few_mut().iter_mut().find(|row| row.0 == key) {
            Some(row) => Some(std::mem::replace(&mut row.1, value)),
            None => {
                self.add(key, value);
                None
            }
        }
    }
    /// Takes a row out.
    #[inline(always)]
    pub fn remove(&mut self, key: &S) -> Option<V> {
        match self {
            Pairs::Few(_) | Pairs::Many(_) => self.remove_spilt(key),
            _ => self.remove_near(key),
        }
    }
    #[inline(always)]
    fn remove_near(&mut self, key: &S) -> Option<V> {
        let at = self.few().iter().position(|row| row.0 == *key)?;
        let (rest, row) = match std::mem::take(self) {
            Pairs::One([a]) => (Pairs::Empty, a),
            Pairs::Two([a, b]) => match at {
                0 => (Pairs::One([b]), a),
                _ => (Pairs::One([a]), b),
            },
            Pairs::Three([a, b, c]) => match at {
                0 => (Pairs::Two([c, b]), a),
                1 => (Pairs::Two([a, c]), b),
                _ => (Pairs::Two([a, b]), c),
            },
            Pairs::Four([a, b, c, d]) => match at {
                0 => (Pairs::Three([d, b, c]), a),
                1 => (Pairs::Three([a, d, c]), b),
                2 => (Pairs::Three([a, b, d]), c),
                _ => (Pairs::Three([a, b, c]), d),
            },
            Pairs::Empty | Pairs::Few(_) | Pairs::Many(_) => unreachable!("these are not in place"),
        };
        self.put(rest);
        Some(row.1)
    }
    #[inline(never)]
    fn remove_spilt(&mut self, key: &S) -> Option<V> {
        let removed = match self {
            Pairs::Few(rows) => {
                let at = rows.iter().position(|row| row.0 == *key)?;
                Some(rows.swap_remove(at).1)
            }
            Pairs::Many(rows) => rows.remove(key),
            _ => None,
        };
        if self.len() == 0 {
            *self = Pairs::Empty;
        }
        removed
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
