//! A key-value store as a deterministic machine, for replicated protocols.

use anabranch::Data;
use anabranch::core::machine::Machine;
use anabranch::core::wire::Reader;
use bytes::Bytes;
use std::collections::BTreeMap;

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Data)]
pub enum Command {
    /// Reads a key.
    Get(String),
    /// Writes a key.
    Put(String, Bytes),
    /// Writes a key if it has the expected value (`None`: is absent).
    CompareAndSet(String, Option<Bytes>, Bytes),
    /// Removes a key.
    Delete(String),
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
    entries: BTreeMap<String, Bytes>,
}

impl Machine for KvStore {
    type Command = Command;
    type Output = Outcome;

    fn apply(&mut self, _slot: u64, command: &Command) -> Outcome {
        match command {
            Command::Get(key) => Outcome::Value(self.entries.get(key).cloned()),
            Command::Put(key, value) => Outcome::Value(self.entries.insert(key.clone(), value.clone())),
            Command::Delete(key) => Outcome::Value(self.entries.remove(key)),
            Command::CompareAndSet(key, expected, value) => {
                let equal = self.entries.get(key) == expected.as_ref();
                if equal {
                    self.entries.insert(key.clone(), value.clone());
                }
                Outcome::Swapped(equal)
            }
        }
    }

    fn save(&self) -> Bytes {
        let mut image = Vec::new();
        let entries: Vec<(String, Bytes)> =
            self.entries.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        entries.encode(&mut image);
        image.into()
    }

    fn load(image: &[u8]) -> Option<KvStore> {
        let mut input = Reader::new(image);
        let entries = Vec::<(String, Bytes)>::decode(&mut input).ok()?;
        input.rest().is_empty().then(|| KvStore { entries: entries.into_iter().collect() })
    }
}
