//! A key-value store as a deterministic machine, for replicated protocols.

use anabranch::Bytes;
use anabranch::Data;
use anabranch::core::machine::Machine;
use anabranch::core::wire::Reader;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// What a client asks for. Keys are byte strings, of which a message's bytes are shared and not copied.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Data)]
pub enum Command {
    /// Reads a key.
    Get(Bytes),
    /// Writes a key.
    Put(Bytes, Bytes),
    /// Writes a key if it has the expected value (`None`: is absent). Shared, so that commands are small: they lie in many tables.
    CompareAndSet(Bytes, Arc<Option<Bytes>>, Arc<Bytes>),
    /// Removes a key.
    Delete(Bytes),
}

/// What it gives.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Data)]
pub enum Outcome {
    /// The value before the command.
    Value(Option<Bytes>),
    /// Whether `CompareAndSet` wrote.
    Swapped(bool),
}

/// The store.
#[derive(Clone, Debug, Default)]
pub struct KvStore {
    entries: FxHashMap<Bytes, Bytes>,
}

impl KvStore {
    /// Writes, and gives what was there. A new key is copied: a slice of a message would hold on to all of it.
    fn put(&mut self, key: &Bytes, value: &Bytes) -> Option<Bytes> {
        match self.entries.get_mut(key) {
            Some(old) => Some(std::mem::replace(old, value.clone())),
            None => self.entries.insert(Bytes::copy_from_slice(key), value.clone()),
        }
    }
}

impl Machine for KvStore {
    type Command = Command;
    type Output = Outcome;

    fn apply(&mut self, _slot: u64, command: &Command) -> Outcome {
        match command {
            Command::Get(key) => Outcome::Value(self.entries.get(key).cloned()),
            Command::Put(key, value) => Outcome::Value(self.put(key, value)),
            Command::Delete(key) => Outcome::Value(self.entries.remove(key)),
            Command::CompareAndSet(key, expected, value) => {
                let equal = self.entries.get(key) == Option::as_ref(expected);
                if equal {
                    self.put(key, value);
                }
                Outcome::Swapped(equal)
            }
        }
    }

    fn save(&self) -> Bytes {
        let mut image = Vec::new();
        let mut entries: Vec<(Bytes, Bytes)> =
            self.entries.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        // Equal stores have equal images.
        entries.sort_unstable();
        entries.encode(&mut image);
        image.into()
    }

    fn load(image: &[u8]) -> Option<KvStore> {
        let mut input = Reader::new(image);
        let entries = Vec::<(Bytes, Bytes)>::decode(&mut input).ok()?;
        input.rest().is_empty().then(|| KvStore { entries: entries.into_iter().collect() })
    }
}
