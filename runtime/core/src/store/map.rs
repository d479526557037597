//! A hash map whose growth never stalls and whose copies share what has not changed.
//!
//! The directory is extendible (Fagin et al. 1979): the upper bits of a hash choose a segment, a small
//! `hashbrown` table, which is split in two when it is full. A segment is owned, or shared with a copy and
//! then copied at the first write. Segments never merge; an empty one gives its memory back.
//!
//! Keys that count up (slots, ids, requests of a session) come and go in order. Their hashes keep eight neighbours
//! together, so that a batch of them touches a few stretches of memory and not as many places as it has keys.

use super::words::{Words, hash_by};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use rustc_hash::FxHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Rows at which a segment is split: a `hashbrown` table of 8192 buckets is full then.
const FULL: usize = 7168;
/// Spreads hashes over the directory: the segments themselves use the hash's own lowest and highest bits.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// The hash of rows in the lists of a tick; [`Map`] has its own.
#[inline]
pub fn hash_of<Q: Hash + ?Sized>(key: &Q) -> u64 {
    let mut hasher = FxHasher::default();
    key.hash(&mut hasher);
    hasher.finish()
}

/// Low bits of a key's last word that go into its hash as they are.
const NEIGHBOURS: u32 = 3;

/// A multiplicative hash (as `rustc-hash` has it) of all but the lowest bits of the last word. Those choose the bucket
/// within a stretch, and change the tag by which `hashbrown` tells the rows of a group apart.
#[derive(Default)]
struct Near {
    mixed: u64,
    last: u64,
}

impl Near {
    const FACTOR: u64 = 0xf135_7aea_2e62_a9c5;
}

impl Words for Near {
    #[inline(always)]
    fn word(&mut self, word: u64) {
        self.mixed = self.mixed.wrapping_add(self.last).wrapping_mul(Self::FACTOR);
        self.last = word;
    }
    #[inline(always)]
    fn hash(&self) -> u64 {
        let mixed = self.mixed.wrapping_add(self.last >> NEIGHBOURS).wrapping_mul(Self::FACTOR);
        let near = self.last & ((1 << NEIGHBOURS) - 1);
        (mixed.rotate_left(26) << NEIGHBOURS | near) ^ near << 57
    }
}

/// The hash of a key in a map.
#[inline]
fn near_hash<Q: Hash + ?Sized>(key: &Q) -> u64 {
    hash_by::<Near>(key)
}

/// Where a hash is in the directory. Neighbours, whose hashes differ in the lowest bits and the tag, are together.
#[inline(always)]
fn spread(hash: u64) -> u64 {
    (hash << 7 >> (7 + NEIGHBOURS)).wrapping_mul(SPREAD)
}

#[derive(Clone, Debug)]
enum Rows<K, V> {
    Owned(HashTable<(K, V)>),
    Shared(Arc<HashTable<(K, V)>>),
}

#[derive(Clone, Debug)]
struct Segment<K, V> {
    rows: Rows<K, V>,
    /// How many bits of the directory's index it answers to.
    depth: u32,
}

/// The segmented map.
#[derive(Clone, Debug)]
pub struct Map<K, V> {
    segments: Vec<Segment<K, V>>,
    /// Segment numbers by the upper `depth` bits of the spread hash; empty while there is one segment.
    directory: Vec<u32>,
    depth: u32,
    len: usize,
}

/// A set of rows: a map without values.
pub type Table<R> = Map<R, ()>;

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        let rows = Rows::Owned(HashTable::new());
        Map { segments: vec![Segment { rows, depth: 0 }], directory: Vec::new(), depth: 0, len: 0 }
    }
}

impl<K, V> Segment<K, V> {
    #[inline]
    fn read(&self) -> &HashTable<(K, V)> {
        match &self.rows {
            Rows::Owned(rows) => rows,
            Rows::Shared(rows) => rows,
        }
    }
}

impl<K: Clone, V: Clone> Segment<K, V> {
    #[inline]
    fn write(&mut self) -> &mut HashTable<(K, V)> {
        if let Rows::Shared(_) = &self.rows {
            self.own();
        }
        match &mut self.rows {
            Rows::Owned(rows) => rows,
            Rows::Shared(_) => unreachable!("made owned above"),
        }
    }
    #[cold]
    fn own(&mut self) {
        if let Rows::Shared(rows) = &mut self.rows {
            let rows = std::mem::replace(rows, Arc::new(HashTable::new()));
            self.rows = Rows::Owned(Arc::unwrap_or_clone(rows));
        }
    }
}

impl<K, V> Map<K, V> {
    /// The number of rows.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }
    /// Whether there are no rows.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    #[inline]
    fn place(&self, hash: u64) -> usize {
        if self.depth == 0 {
            return 0;
        }
        self.directory[(spread(hash) >> (64 - self.depth)) as usize] as usize
    }
    /// All rows, in an order that means nothing.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.segments.iter().flat_map(|s| s.read().iter().map(|(k, v)| (k, v)))
    }
    /// A copy that shares all rows with this map until one of the two changes them.
    pub fn share(&mut self) -> Map<K, V>
    where
        K: Clone,
        V: Clone,
    {
        for segment in &mut self.segments {
            if let Rows::Owned(rows) = &mut segment.rows {
                segment.rows = Rows::Shared(Arc::new(std::mem::take(rows)));
            }
        }
        self.clone()
    }
}

impl<K: Hash + Eq + Clone, V: Clone> Map<K, V> {
    /// The value under a key.
    #[inline]
    pub fn get(&self, key: &K) -> Option<&V> {
        let hash = near_hash(key);
        self.segments[self.place(hash)].read().find(hash, |row| row.0 == *key).map(|row| &row.1)
    }
    /// Whether the key is present.
    #[inline]
    pub fn contains(&self, key: &K) -> bool {
        self.get(key).is_some()
    }
    /// Whether the map is larger than a processor's nearest caches, so that [`Map::warm`] is worth its while.
    #[inline]
    pub fn is_large(&self) -> bool {
        self.segments.len() > 2
    }
    /// Looks a key up for nothing but to have it near: look-ups in a row that do not wait for each other's results
    /// wait for memory together.
    #[inline]
    pub fn warm(&self, key: &K) -> usize {
        usize::from(self.contains(key))
    }
    /// The value under a key, to be changed.
    #[inline]
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let hash = near_hash(key);
        let place = self.place(hash);
        self.segments[place].write().find_mut(hash, |row| row.0 == *key).map(|row| &mut row.1)
    }
    /// The value under a key, made first if it is absent.
    #[inline]
    pub fn get_or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        let hash = near_hash(&key);
        let mut place = self.place(hash);
        if self.segments[place].read().len() >= FULL {
            place = self.make_room(hash);
        }
        let rows = self.segments[place].write();
        match rows.entry(hash, |row| row.0 == key, |row| near_hash(&row.0)) {
            Entry::Occupied(found) => &mut found.into_mut().1,
            Entry::Vacant(gap) => {
                self.len += 1;
                &mut gap.insert((key, make())).into_mut().1
            }
        }
    }
    /// Puts a value under a key and returns the one before.
    #[inline]
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let hash = near_hash(&key);
        let mut place = self.place(hash);
        if self.segments[place].read().len() >= FULL {
            place = self.make_room(hash);
        }
        let rows = self.segments[place].write();
        match rows.entry(hash, |row| row.0 == key, |row| near_hash(&row.0)) {
            Entry::Occupied(found) => Some(std::mem::replace(&mut found.into_mut().1, value)),
            Entry::Vacant(gap) => {
                self.len += 1;
                gap.insert((key, value));
                None
            }
        }
    }
    /// Puts a value under a key unless there is one, which is returned then.
    #[inline]
    pub fn try_insert(&mut self, key: K, value: V) -> Option<&V> {
        let hash = near_hash(&key);
        let mut place = self.place(hash);
        if self.segments[place].read().len() >= FULL {
            place = self.make_room(hash);
        }
        let rows = self.segments[place].write();
        match rows.entry(hash, |row| row.0 == key, |row| near_hash(&row.0)) {
            Entry::Occupied(found) => Some(&found.into_mut().1),
            Entry::Vacant(gap) => {
                self.len += 1;
                gap.insert((key, value));
                None
            }
        }
    }
    /// Puts a value, made only then, under a key unless there is one, which is returned then.
    #[inline]
    pub fn try_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> Option<&V> {
        let hash = near_hash(&key);
        let mut place = self.place(hash);
        if self.segments[place].read().len() >= FULL {
            place = self.make_room(hash);
        }
        let rows = self.segments[place].write();
        match rows.entry(hash, |row| row.0 == key, |row| near_hash(&row.0)) {
            Entry::Occupied(found) => Some(&found.into_mut().1),
            Entry::Vacant(gap) => {
                self.len += 1;
                gap.insert((key, make()));
                None
            }
        }
    }
    /// Takes a row out.
    #[inline]
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let hash = near_hash(key);
        let place = self.place(hash);
        let rows = self.segments[place].write();
        let found = rows.find_entry(hash, |row| row.0 == *key).ok()?;
        let ((_, value), _) = found.remove();
        self.len -= 1;
        if self.depth > 0 && rows.is_empty() {
            *rows = HashTable::new();
        }
        Some(value)
    }
    /// Changes the value under a key, and takes the row out if the answer is false.
    #[inline]
    pub fn update_or_remove(&mut self, key: &K, change: impl FnOnce(&mut V) -> bool) -> bool {
        let hash = near_hash(key);
        let place = self.place(hash);
        let rows = self.segments[place].write();
        let Ok(mut found) = rows.find_entry(hash, |row| row.0 == *key) else { return false };
        if !change(&mut found.get_mut().1) {
            found.remove();
            self.len -= 1;
            if self.depth > 0 && rows.is_empty() {
                *rows = HashTable::new();
            }
        }
        true
    }
    /// Takes all rows out; a small map keeps its memory.
    pub fn clear(&mut self) {
        if self.depth == 0 && matches!(self.segments[0].rows, Rows::Owned(_)) {
            self.segments[0].write().clear();
            self.len = 0;
        } else {
            *self = Map::default();
        }
    }

    /// Splits the segment for `hash` until it has room (nearly always once).
    #[cold]
    fn make_room(&mut self, hash: u64) -> usize {
        loop {
            let place = self.place(hash);
            let depth = self.segments[place].depth;
            // Keys whose hashes agree in this many bits cannot be told apart by splitting: let it grow.
            if self.segments[place].read().len() < FULL || depth >= 40 {
                return place;
            }
            if depth == self.depth {
                if self.directory.is_empty() {
                    self.directory.push(0);
                }
                self.directory = self.directory.iter().flat_map(|&s| [s, s]).collect();
                self.depth += 1;
            }
            let bit = 63 - depth;
            let rows = std::mem::take(self.segments[place].write());
            let mut halves =
                [HashTable::with_capacity(rows.len() / 2), HashTable::with_capacity(rows.len() / 2)];
            for row in rows {
                let hash = near_hash(&row.0);
                let half = (spread(hash) >> bit) & 1;
                halves[half as usize].insert_unique(hash, row, |row| near_hash(&row.0));
            }
            let [low, high] = halves;
            let number = self.segments.len() as u32;
            self.segments[place] = Segment { rows: Rows::Owned(low), depth: depth + 1 };
            self.segments.push(Segment { rows: Rows::Owned(high), depth: depth + 1 });
            // The segment's part of the directory is contiguous: its upper half goes to the new one.
            let width = 1usize << (self.depth - depth);
            let index = (spread(hash) >> (64 - self.depth)) as usize;
            let start = index / width * width;
            self.directory[start + width / 2..start + width].fill(number);
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
        for (seed, keys, steps) in [(1, 50, 4000), (2, 40_000, 200_000)] {
            let mut dice = Dice::new(seed);
            let (mut map, mut twin) = (Map::<(u64, u32), u64>::default(), BTreeMap::new());
            let mut copies = Vec::new();
            for step in 0..steps {
                let key = (dice.below(keys) << 5, 7);
                match dice.below(9) {
                    8 => {
                        let found = match dice.below(2) {
                            0 => map.try_insert(key, step),
                            _ => map.try_insert_with(key, || step),
                        };
                        assert_eq!(found.copied(), twin.get(&key).copied());
                        twin.entry(key).or_insert(step);
                    }
                    0..4 => assert_eq!(map.insert(key, step), twin.insert(key, step)),
                    4 | 5 => assert_eq!(map.remove(&key), twin.remove(&key)),
                    6 => assert_eq!(*map.get_or_insert_with(key, || step), *twin.entry(key).or_insert(step)),
                    _ => {
                        let keep = dice.below(2) == 0;
                        let found = map.update_or_remove(&key, |v| {
                            *v += 1;
                            keep
                        });
                        assert_eq!(found, twin.contains_key(&key));
                        if keep {
                            twin.entry(key).and_modify(|v| *v += 1);
                        } else {
                            twin.remove(&key);
                        }
                    }
                }
                assert_eq!(map.get(&key), twin.get(&key));
                assert_eq!(map.len(), twin.len());
                if step % (steps / 4) == 17 {
                    copies.push((map.share(), twin.clone()));
                }
            }
            copies.push((map, twin));
            for (map, twin) in copies {
                let rows: BTreeMap<_, _> = map.iter().map(|(k, v)| (*k, *v)).collect();
                assert_eq!(rows, twin);
            }
        }
    }

    #[test]
    fn emptied_segments_give_memory_back() {
        let mut map = Map::<u64, ()>::default();
        (0..100_000).for_each(|k| assert!(map.insert(k, ()).is_none()));
        assert!(map.segments.len() > 10);
        (0..100_000).for_each(|k| assert!(map.remove(&k).is_some()));
        assert!(map.segments.iter().all(|s| s.read().capacity() == 0));
        map.clear();
        assert_eq!(map.segments.len(), 1);
    }

    /// However keys are spaced, look-ups find few others on their way: the directory and the tables stay balanced.
    #[test]
    fn spaced_keys_do_not_pile_up() {
        for shift in 0..40 {
            let keys: Vec<u64> = (0..8192u64).map(|k| k << shift).collect();
            let mut hashes: Vec<u64> = keys.iter().map(near_hash).collect();
            // Home buckets in a table of twice the size: groups of 16 see no more than a few times their share.
            let mut groups = vec![0u32; 1024];
            hashes.iter().for_each(|hash| groups[(*hash as usize & 0x3fff) / 16] += 1);
            let most = groups.iter().max().expect("there are groups");
            assert!(*most <= 40, "shift {shift}: {most} keys in a group");
            let mut parts = [0u32; 16];
            hashes.iter().for_each(|hash| parts[(spread(*hash) >> 60) as usize] += 1);
            assert!(parts.iter().all(|n| (200..=1000).contains(n)), "shift {shift}: {parts:?}");
            hashes.sort_unstable();
            hashes.dedup();
            assert!(hashes.len() + 1 >= keys.len(), "shift {shift}");
        }
    }

    #[test]
    fn neighbours_lie_together_and_are_told_apart() {
        for first in (0..4000u64).step_by(8) {
            let hashes: Vec<u64> = (first..first + 8).map(|k| near_hash(&k)).collect();
            assert!(hashes.windows(2).all(|two| (two[0] & 0xff) + 1 == two[1] & 0xff), "{first}");
            assert!(hashes.windows(2).all(|two| spread(two[0]) == spread(two[1])), "{first}");
            let mut tags: Vec<u64> = hashes.iter().map(|hash| hash >> 57).collect();
            tags.sort_unstable();
            tags.dedup();
            assert_eq!(tags.len(), 8, "{first}");
        }
    }
}
