//! `Data` for tuples, arrays, `Option` and the collections.

use super::{Data, Schema, StableHasher};
use crate::value::Value;
use crate::wire::{Reader, WireError, put_varint};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

macro_rules! tuples {
    ($($len:literal: $($ty:ident $field:tt),*;)*) => {$(
        impl<$($ty: Data),*> Data for ($($ty,)*) {
            #[inline]
            fn encode(&self, out: &mut Vec<u8>) {
                $(self.$field.encode(out);)*
            }
            #[inline]
            fn decode(input: &mut Reader<'_>) -> Result<Self, WireError> {
                Ok(($($ty::decode(input)?,)*))
            }
            fn schema() -> Schema {
                Schema::Tuple(vec![$($ty::schema()),*])
            }
            fn to_value(&self) -> Value {
                Value::Tuple([$(self.$field.to_value()),*].into())
            }
            fn from_value(value: &Value) -> Option<Self> {
                match value {
                    Value::Tuple(items) if items.len() == $len => Some(($($ty::from_value(&items[$field])?,)*)),
                    _ => None,
                }
            }
            #[inline]
            fn stable_hash(&self, hasher: &mut StableHasher) {
                $(self.$field.stable_hash(hasher);)*
            }
        }
    )*};
}

tuples! {
    1: A 0;
    2: A 0, B 1;
    3: A 0, B 1, C 2;
    4: A 0, B 1, C 2, D 3;
    5: A 0, B 1, C 2, D 3, E 4;
    6: A 0, B 1, C 2, D 3, E 4, F 5;
    7: A 0, B 1, C 2, D 3, E 4, F 5, G 6;
    8: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7;
}

/// Arrays are tuples of equal items; an empty one takes a byte like `()`.
impl<T: Data, const N: usize> Data for [T; N] {
    fn encode(&self, out: &mut Vec<u8>) {
        if N == 0 {
            out.push(0);
        }
        self.iter().for_each(|item| item.encode(out));
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, WireError> {
        if N == 0 {
            <()>::decode(input)?;
        }
        let mut items = Vec::with_capacity(N.min(input.rest().len()));
        for _ in 0..N {
            items.push(T::decode(input)?);
        }
        items.try_into().map_err(|_| WireError::Invalid("array"))
    }
    fn schema() -> Schema {
        Schema::Tuple(vec![T::schema(); N])
    }
    fn to_value(&self) -> Value {
        Value::tuple(self.iter().map(T::to_value))
    }
    fn from_value(value: &Value) -> Option<Self> {
        let Value::Tuple(items) = value else { return None };
        items.iter().map(T::from_value).collect::<Option<Vec<T>>>()?.try_into().ok()
    }
    fn stable_hash(&self, hasher: &mut StableHasher) {
        self.iter().for_each(|item| item.stable_hash(hasher));
    }
}

impl<T: Data> Data for Option<T> {
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            None => out.push(0),
            Some(item) => {
                out.push(1);
                item.encode(out);
            }
        }
    }
    #[inline]
    fn decode(input: &mut Reader<'_>) -> Result<Self, WireError> {
        match input.byte()? {
            0 => Ok(None),
            1 => T::decode(input).map(Some),
            _ => Err(WireError::Invalid("Option")),
        }
    }
    fn schema() -> Schema {
        Schema::Option(Box::new(T::schema()))
    }
    fn to_value(&self) -> Value {
        Value::Option(self.as_ref().map(|item| Box::new(item.to_value())))
    }
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Option(None) => Some(None),
            Value::Option(Some(item)) => T::from_value(item).map(Some),
            _ => None,
        }
    }
    fn stable_hash(&self, hasher: &mut StableHasher) {
        match self {
            None => hasher.word(0),
            Some(item) => {
                hasher.word(1);
                item.stable_hash(hasher);
            }
        }
    }
}

/// As its content: for what is large and rare among the variants of an enum.
impl<T: Data + Sync> Data for Arc<T> {
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        (**self).encode(out);
    }
    #[inline]
    fn decode(input: &mut Reader<'_>) -> Result<Self, WireError> {
        T::decode(input).map(Arc::new)
    }
    fn schema() -> Schema {
        T::schema()
    }
    fn to_value(&self) -> Value {
        (**self).to_value()
    }
    fn from_value(value: &Value) -> Option<Self> {
        T::from_value(value).map(Arc::new)
    }
    fn stable_hash(&self, hasher: &mut StableHasher) {
        (**self).stable_hash(hasher);
    }
    fn route(&self) -> u32 {
        (**self).route()
    }
}

impl<T: Data> Data for Vec<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        put_varint(self.len() as u64, out);
        self.iter().for_each(|item| item.encode(out));
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, WireError> {
        // Every item takes a byte at least. A large type could still ask for many times the input's length
        // at once, so that the room is given gradually.
        let len = input.length()?;
        let room = input.rest().len() / size_of::<T>().max(1);
        let mut items = Vec::with_capacity(len.min(room.max(4)));
        for _ in 0..len {
            items.push(T::decode(input)?);
        }
        Ok(items)
    }
    fn schema() -> Schema {
        Schema::List(Box::new(T::schema()))
    }
    fn to_value(&self) -> Value {
        Value::List(self.iter().map(T::to_value).collect())
    }
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::List(items) = value { items.iter().map(T::from_value).collect() } else { None }
    }
    fn stable_hash(&self, hasher: &mut StableHasher) {
        hasher.word(self.len() as u64);
        self.iter().for_each(|item| item.stable_hash(hasher));
    }
}

/// Sorted collections travel as lists that must be strictly ascending.
macro_rules! sorted {
    ($ty:ty, $item:ty, [$($params:tt)*], |$set:ident| $items:expr, |$vec:ident| $key:expr) => {
        impl<$($params)*> Data for $ty {
            fn encode(&self, out: &mut Vec<u8>) {
                put_varint(self.len() as u64, out);
                let $set = self;
                $items.for_each(|item| item.encode(out));
            }
            fn decode(input: &mut Reader<'_>) -> Result<Self, WireError> {
                let $vec = Vec::<$item>::decode(input)?;
                if $key { Ok($vec.into_iter().collect()) } else { Err(WireError::Invalid("set: not ascending")) }
            }
            fn schema() -> Schema {
                Vec::<$item>::schema()
            }
            fn to_value(&self) -> Value {
                let $set = self;
                Value::List($items.map(|item| item.to_value()).collect())
            }
            fn from_value(value: &Value) -> Option<Self> {
                let $vec = Vec::<$item>::from_value(value)?;
                if $key { Some($vec.into_iter().collect()) } else { None }
            }
            fn stable_hash(&self, hasher: &mut StableHasher) {
                hasher.word(self.len() as u64);
                let $set = self;
                $items.for_each(|item| item.stable_hash(hasher));
            }
        }
    };
}
sorted!(BTreeSet<T>, T, [T: Data], |set| set.iter(), |items| items.is_sorted_by(|a, b| a < b));
sorted!(
    BTreeMap<K, V>, (K, V), [K: Data, V: Data],
    |map| map.iter().map(|(k, v)| (k.clone(), v.clone())),
    |items| items.is_sorted_by(|a, b| a.0 < b.0)
);
