//! Tables with one kind of key in one map: what a program looks up together lies together.
//!
//! An entry holds, for one key, what each of the tables has under it; it is there while any of them has
//! something. Each table is reached through a door that offers what a container of
//! its own would: [`Single`] and [`SingleMut`] for [`Map`], [`Several`] and [`SeveralMut`] for
//! [`Multi`](super::Multi), [`Spans`] and [`SpansMut`] for [`Ranges`](super::Ranges), [`Split`] and [`SplitMut`] for
//! a map whose keys begin with the joint key.

#[cfg(doc)]
use super::map::Map;
use super::multi::Group;
use super::pairs::Pairs;
use super::range::{Integer, RangeSet};
use slots::Slots;
use std::hash::Hash;

mod slots;

/// What one table has under a key.
pub trait Part: Default + Clone {
    /// Whether that is nothing.
    fn is_nothing(&self) -> bool;
}

impl<V: Clone> Part for Option<V> {
    #[inline(always)]
    fn is_nothing(&self) -> bool {
        self.is_none()
    }
}
impl<S: Hash + Eq + Clone> Part for Group<S> {
    #[inline(always)]
    fn is_nothing(&self) -> bool {
        matches!(self, Group::Empty)
    }
}
impl<T: Integer> Part for RangeSet<T> {
    #[inline(always)]
    fn is_nothing(&self) -> bool {
        self.is_empty()
    }
}
impl<S: Clone, V: Clone> Part for Pairs<S, V> {
    #[inline(always)]
    fn is_nothing(&self) -> bool {
        self.is_empty()
    }
}

/// What all tables have under a key: a tuple of [`Part`]s.
pub trait Parts: Default + Clone {
    /// Whether none has anything.
    fn is_nothing(&self) -> bool;
}

/// One of the [`Parts`].
pub trait Has<const N: usize>: Parts {
    /// Its type.
    type Part: Part;
    /// The part.
    fn part(&self) -> &Self::Part;
    /// The part, to be changed.
    fn part_mut(&mut self) -> &mut Self::Part;
}

macro_rules! parts {
    ($($name:ident)*: $($all:tt)*) => {
        impl<$($name: Part),*> Parts for ($($name,)*) {
            #[inline(always)]
            fn is_nothing(&self) -> bool {
                let ($($name,)*) = self;
                true $(&& $name.is_nothing())*
            }
        }
        parts!(@ [$($name)*] $($all)*);
    };
    (@ [$($all:ident)*] $n:tt $name:ident $($rest:tt)*) => {
        impl<$($all: Part),*> Has<$n> for ($($all,)*) {
            type Part = $name;
            #[inline(always)]
            fn part(&self) -> &$name {
                &self.$n
            }
            #[inline(always)]
            fn part_mut(&mut self) -> &mut $name {
                &mut self.$n
            }
        }
        parts!(@ [$($all)*] $($rest)*);
    };
    (@ [$($all:ident)*]) => {};
}
#[allow(non_snake_case)]
mod tuples {
    use super::*;
    parts!(A B: 0 A 1 B);
    parts!(A B C: 0 A 1 B 2 C);
    parts!(A B C D: 0 A 1 B 2 C 3 D);
    parts!(A B C D E: 0 A 1 B 2 C 3 D 4 E);
    parts!(A B C D E F: 0 A 1 B 2 C 3 D 4 E 5 F);
}

/// How many tables a joint map holds at most.
pub const MOST: usize = 6;

/// The tables.
#[derive(Clone, Debug)]
pub struct Joint<K, E> {
    slots: Slots<K, E>,
}

impl<K, E> Default for Joint<K, E> {
    fn default() -> Self {
        Joint { slots: Slots::default() }
    }
}

impl<K: Hash + Eq + Clone, E: Parts> Joint<K, E> {
    #[inline(always)]
    fn find<const N: usize>(&self, key: &K) -> Option<&E::Part>
    where
        E: Has<N>,
    {
        Some(Has::<N>::part(self.slots.entry(self.slots.spot(key)?)))
    }
    #[inline(always)]
    fn make<const N: usize>(&mut self, key: K) -> &mut E::Part
    where
        E: Has<N>,
    {
        let at = self.slots.make(key);
        Has::<N>::part_mut(self.slots.entry_mut(at))
    }
    /// Takes something out of a part; an entry of which nothing is left goes.
    #[inline(always)]
    fn take<const N: usize, R>(&mut self, key: &K, take: impl FnOnce(&mut E::Part) -> R) -> Option<R>
    where
        E: Has<N>,
    {
        let at = self.slots.spot(key)?;
        let entry = self.slots.entry_mut(at);
        let taken = take(Has::<N>::part_mut(entry));
        if entry.is_nothing() {
            self.slots.close(key, at);
        }
        Some(taken)
    }
    /// All entries, and free ones, which have nothing.
    fn iter(&self) -> impl Iterator<Item = (&K, &E)> {
        self.slots.iter()
    }
    /// See [`Map::warm`].
    #[inline(always)]
    fn warm(&self, key: &K) -> usize {
        self.slots.warm(key).map_or(0, |entry| usize::from(entry.is_nothing()))
    }
    /// A table with at most one row under a key.
    #[inline(always)]
    pub fn single<const N: usize>(&self) -> Single<'_, K, E, N> {
        Single(self)
    }
    /// The same, to be changed.
    #[inline(always)]
    pub fn single_mut<const N: usize>(&mut self) -> SingleMut<'_, K, E, N> {
        SingleMut(self)
    }
    /// A table with any rows under a key.
    #[inline(always)]
    pub fn several<const N: usize>(&self) -> Several<'_, K, E, N> {
        Several(self)
    }
    /// The same, to be changed.
    #[inline(always)]
    pub fn several_mut<const N: usize>(&mut self) -> SeveralMut<'_, K, E, N> {
        SeveralMut(self)
    }
    /// A table with integers under a key.
    #[inline(always)]
    pub fn spans<const N: usize>(&self) -> Spans<'_, K, E, N> {
        Spans(self)
    }
    /// The same, to be changed.
    #[inline(always)]
    pub fn spans_mut<const N: usize>(&mut self) -> SpansMut<'_, K, E, N> {
        SpansMut(self)
    }
    /// A table whose keys begin with the joint one.
    #[inline(always)]
    pub fn split<const N: usize>(&self) -> Split<'_, K, E, N> {
        Split(self)
    }
    /// The same, to be changed.
    #[inline(always)]
    pub fn split_mut<const N: usize>(&mut self) -> SplitMut<'_, K, E, N> {
        SplitMut(self)
    }
}

/// See [`Joint::single`].
pub struct Single<'a, K, E, const N: usize>(&'a Joint<K, E>);
/// See [`Joint::single_mut`].
pub struct SingleMut<'a, K, E, const N: usize>(&'a mut Joint<K, E>);
/// See [`Joint::several`].
pub struct Several<'a, K, E, const N: usize>(&'a Joint<K, E>);
/// See [`Joint::several_mut`].
pub struct SeveralMut<'a, K, E, const N: usize>(&'a mut Joint<K, E>);
/// See [`Joint::spans`].
pub struct Spans<'a, K, E, const N: usize>(&'a Joint<K, E>);
/// See [`Joint::spans_mut`].
pub struct SpansMut<'a, K, E, const N: usize>(&'a mut Joint<K, E>);
/// See [`Joint::split`].
pub struct Split<'a, K, E, const N: usize>(&'a Joint<K, E>);
/// See [`Joint::split_mut`].
pub struct SplitMut<'a, K, E, const N: usize>(&'a mut Joint<K, E>);

macro_rules! nearness {
    ($key:ty, $joint_key:expr) => {
        /// See [`Map::is_large`].
        #[inline(always)]
        pub fn is_large(self) -> bool {
            self.0.slots.is_large()
        }
        /// See [`Map::warm`].
        #[inline(always)]
        pub fn warm(self, key: &$key) -> usize {
            #[allow(clippy::redundant_closure_call)]
            self.0.warm(&$joint_key(key))
        }
    };
}

impl<'a, K: Hash + Eq + Clone, V: Clone + 'a, E: Has<N, Part = Option<V>>, const N: usize>
    Single<'a, K, E, N>
{
    nearness!(K, K::clone);
    /// See [`Map::get`].
    #[inline(always)]
    pub fn get(self, key: &K) -> Option<&'a V> {
        self.0.find::<N>(key)?.as_ref()
    }
    /// See [`Map::contains`].
    #[inline(always)]
    pub fn contains(self, key: &K) -> bool {
        self.get(key).is_some()
    }
    /// See [`Map::iter`].
    pub fn iter(self) -> impl Iterator<Item = (&'a K, &'a V)> {
        self.0.iter().filter_map(|(k, e)| Some((k, e.part().as_ref()?)))
    }
    /// How many rows there are; counts them.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(self) -> usize {
        self.iter().count()
    }
}

impl<'a, K: Hash + Eq + Clone, V: Clone + 'a, E: Has<N, Part = Option<V>>, const N: usize>
    SingleMut<'a, K, E, N>
{
    /// See [`Map::insert`].
    #[inline(always)]
    pub fn insert(self, key: K, value: V) -> Option<V> {
        self.0.make::<N>(key).replace(value)
    }
    /// See [`Map::try_insert`].
    #[inline(always)]
    pub fn try_insert(self, key: K, value: V) -> Option<&'a V> {
        self.try_insert_with(key, || value)
    }
    /// See [`Map::try_insert_with`].
    #[inline(always)]
    pub fn try_insert_with(self, key: K, make: impl FnOnce() -> V) -> Option<&'a V> {
        match self.0.make::<N>(key) {
            Some(value) => Some(value),
            gap => {
                *gap = Some(make());
                None
            }
        }
    }
    /// See [`Map::remove`].
    #[inline(always)]
    pub fn remove(self, key: &K) -> Option<V> {
        self.0.take::<N, _>(key, Option::take)?
    }
}

impl<'a, K: Hash + Eq + Clone, S: Hash + Eq + Clone + 'a, E: Has<N, Part = Group<S>>, const N: usize>
    Several<'a, K, E, N>
{
    nearness!(K, K::clone);
    /// See [`Multi::contains`](super::Multi::contains).
    #[inline(always)]
    pub fn contains(self, key: &K, row: &S) -> bool {
        self.0.find::<N>(key).is_some_and(|group| group.contains(row))
    }
    /// See [`Multi::any`](super::Multi::any).
    #[inline(always)]
    pub fn any(self, key: &K) -> bool {
        self.count(key) > 0
    }
    /// See [`Multi::count`](super::Multi::count).
    #[inline(always)]
    pub fn count(self, key: &K) -> usize {
        self.0.find::<N>(key).map_or(0, Group::len)
    }
    /// See [`Multi::group`](super::Multi::group).
    #[inline(always)]
    pub fn group(self, key: &K) -> impl Iterator<Item = &'a S> + use<'a, K, S, E, N> {
        self.0.find::<N>(key).into_iter().flat_map(Group::iter)
    }
    /// See [`Multi::iter`](super::Multi::iter).
    pub fn iter(self) -> impl Iterator<Item = (&'a K, &'a S)> {
        self.0.iter().flat_map(|(k, e)| e.part().iter().map(move |s| (k, s)))
    }
    /// How many rows there are; counts them.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(self) -> usize {
        self.0.iter().map(|(_, e)| e.part().len()).sum()
    }
}

impl<K: Hash + Eq + Clone, S: Hash + Eq + Clone, E: Has<N, Part = Group<S>>, const N: usize>
    SeveralMut<'_, K, E, N>
{
    /// See [`Multi::insert`](super::Multi::insert).
    #[inline(always)]
    pub fn insert(self, key: K, row: S) -> bool {
        self.insert_sized(key, row).is_some()
    }
    /// See [`Multi::insert_sized`](super::Multi::insert_sized).
    #[inline(always)]
    pub fn insert_sized(self, key: K, row: S) -> Option<usize> {
        self.0.make::<N>(key).insert_sized(row)
    }
    /// See [`Multi::remove`](super::Multi::remove).
    #[inline(always)]
    pub fn remove(self, key: &K, row: &S) -> bool {
        self.0.take::<N, _>(key, |group| group.remove(row)).unwrap_or(false)
    }
    /// See [`Multi::remove_sized`](super::Multi::remove_sized).
    #[inline(always)]
    pub fn remove_sized(self, key: &K, row: &S) -> Option<usize> {
        self.0.take::<N, _>(key, |group| group.remove(row).then(|| group.len()))?
    }
    /// See [`Multi::remove_group`](super::Multi::remove_group).
    #[inline(always)]
    pub fn remove_group(self, key: &K) -> Group<S> {
        self.0.take::<N, _>(key, std::mem::take).unwrap_or_default()
    }
}

impl<'a, K: Hash + Eq + Clone, T: Integer + 'a, E: Has<N, Part = RangeSet<T>>, const N: usize>
    Spans<'a, K, E, N>
{
    nearness!(K, K::clone);
    /// See [`Ranges::contains`](super::Ranges::contains).
    #[inline(always)]
    pub fn contains(self, key: &K, row: &(T,)) -> bool {
        self.0.find::<N>(key).is_some_and(|set| set.contains(row.0))
    }
    /// See [`Ranges::any`](super::Ranges::any).
    #[inline(always)]
    pub fn any(self, key: &K) -> bool {
        self.0.find::<N>(key).is_some_and(|set| !set.is_empty())
    }
    /// See [`Ranges::count`](super::Ranges::count).
    #[inline(always)]
    pub fn count(self, key: &K) -> usize {
        self.0.find::<N>(key).map_or(0, RangeSet::len)
    }
    /// See [`Ranges::group`](super::Ranges::group).
    #[inline(always)]
    pub fn group(self, key: &K) -> impl Iterator<Item = (T,)> + use<'a, K, T, E, N> {
        self.0.find::<N>(key).into_iter().flat_map(|set| set.iter().map(|n| (n,)))
    }
    /// See [`Ranges::iter`](super::Ranges::iter).
    pub fn iter(self) -> impl Iterator<Item = (&'a K, (T,))> {
        self.0.iter().flat_map(|(k, e)| e.part().iter().map(move |n| (k, (n,))))
    }
    /// How many rows there are; counts them.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(self) -> usize {
        self.0.iter().map(|(_, e)| e.part().len()).sum()
    }
}

impl<K: Hash + Eq + Clone, T: Integer, E: Has<N, Part = RangeSet<T>>, const N: usize> SpansMut<'_, K, E, N> {
    /// See [`Ranges::insert`](super::Ranges::insert).
    #[inline(always)]
    pub fn insert(self, key: K, row: (T,)) -> bool {
        self.0.make::<N>(key).insert(row.0)
    }
    /// See [`Ranges::insert_sized`](super::Ranges::insert_sized).
    #[inline(always)]
    pub fn insert_sized(self, key: K, row: (T,)) -> Option<usize> {
        let set = self.0.make::<N>(key);
        set.insert(row.0).then(|| set.len())
    }
    /// See [`Ranges::remove`](super::Ranges::remove).
    #[inline(always)]
    pub fn remove(self, key: &K, row: &(T,)) -> bool {
        self.0.take::<N, _>(key, |set| set.remove(row.0)).unwrap_or(false)
    }
    /// See [`Ranges::remove_sized`](super::Ranges::remove_sized).
    #[inline(always)]
    pub fn remove_sized(self, key: &K, row: &(T,)) -> Option<usize> {
        self.0.take::<N, _>(key, |set| set.remove(row.0).then(|| set.len()))?
    }
    /// See [`Ranges::remove_group`](super::Ranges::remove_group).
    #[inline(always)]
    pub fn remove_group(self, key: &K) -> RangeSet<T> {
        self.0.take::<N, _>(key, std::mem::take).unwrap_or_default()
    }
}

/// A tuple that is a shorter one and a tail.
pub trait Splits<K, S> {
    /// Its beginning.
    fn head(&self) -> K;
    /// Its end.
    fn tail(&self) -> S;
    /// Puts it together.
    fn join(head: &K, tail: &S) -> Self;
}

macro_rules! splits {
    ($($h:ident $i:tt)*; $($t:ident $j:tt $k:tt)*) => {
        impl<$($h: Clone,)* $($t: Clone),*> Splits<($($h,)*), ($($t,)*)> for ($($h,)* $($t,)*) {
            #[inline(always)]
            fn head(&self) -> ($($h,)*) {
                ($(self.$i.clone(),)*)
            }
            #[inline(always)]
            fn tail(&self) -> ($($t,)*) {
                ($(self.$j.clone(),)*)
            }
            #[inline(always)]
            fn join(head: &($($h,)*), tail: &($($t,)*)) -> Self {
                ($(head.$i.clone(),)* $(tail.$k.clone(),)*)
            }
        }
    };
}
splits!(A 0; B 1 0);
splits!(A 0; B 1 0 C 2 1);
splits!(A 0 B 1; C 2 0);
splits!(A 0; B 1 0 C 2 1 D 3 2);
splits!(A 0 B 1; C 2 0 D 3 1);
splits!(A 0 B 1 C 2; D 3 0);

/// The longest tuple that [`Splits`] is about.
pub const LONGEST: usize = 4;

impl<
    'a,
    K: Hash + Eq + Clone,
    S: Hash + Eq + Clone + 'a,
    V: Clone + 'a,
    E: Has<N, Part = Pairs<S, V>>,
    const N: usize,
> Split<'a, K, E, N>
{
    /// See [`Map::is_large`].
    #[inline(always)]
    pub fn is_large(self) -> bool {
        self.0.slots.is_large()
    }
    /// See [`Map::warm`].
    #[inline(always)]
    pub fn warm<P: Splits<K, S>>(self, key: &P) -> usize {
        self.0.warm(&key.head())
    }
    /// See [`Map::get`].
    #[inline(always)]
    pub fn get<P: Splits<K, S>>(self, key: &P) -> Option<&'a V> {
        self.0.find::<N>(&key.head())?.get(&key.tail())
    }
    /// See [`Map::contains`].
    #[inline(always)]
    pub fn contains<P: Splits<K, S>>(self, key: &P) -> bool {
        self.get(key).is_some()
    }
    /// See [`Map::iter`].
    pub fn iter<P: Splits<K, S>>(self) -> impl Iterator<Item = (P, &'a V)> + use<'a, K, S, V, E, N, P> {
        self.0.iter().flat_map(|(k, e)| e.part().iter().map(move |(s, v)| (P::join(k, s), v)))
    }
    /// How many rows there are; counts them.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(self) -> usize {
        self.0.iter().map(|(_, e)| e.part().len()).sum()
    }
}

impl<
    'a,
    K: Hash + Eq + Clone,
    S: Hash + Eq + Clone + 'a,
    V: Clone + 'a,
    E: Has<N, Part = Pairs<S, V>>,
    const N: usize,
> SplitMut<'a, K, E, N>
{
    /// See [`Map::insert`].
    #[inline(always)]
    pub fn insert<P: Splits<K, S>>(self, key: P, value: V) -> Option<V> {
        self.0.make::<N>(key.head()).insert(key.tail(), value)
    }
    /// See [`Map::try_insert`].
    #[inline(always)]
    pub fn try_insert<P: Splits<K, S>>(self, key: P, value: V) -> Option<&'a V> {
        self.try_insert_with(key, || value)
    }
    /// See [`Map::try_insert_with`].
    #[inline(always)]
    pub fn try_insert_with<P: Splits<K, S>>(self, key: P, make: impl FnOnce() -> V) -> Option<&'a V> {
        self.0.make::<N>(key.head()).try_insert_with(key.tail(), make)
    }
    /// See [`Map::remove`].
    #[inline(always)]
    pub fn remove<P: Splits<K, S>>(self, key: &P) -> Option<V> {
        self.0.take::<N, _>(&key.head(), |pairs| pairs.remove(&key.tail()))?
    }
}

#[cfg(test)]
#[path = "joint/tests.rs"]
mod tests;
