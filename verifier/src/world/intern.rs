//! Numbers for what is met again and again.

use super::{Scope, System};
use crate::engine::Row;
use anabranch_core::id::Id;
use anabranch_core::value::Value;
use anabranch_dsl::ir::RelId;
use rustc_hash::{FxHashMap, FxHashSet};
use std::hash::Hash;

/// Gives each different thing a number, from 0.
#[derive(Debug)]
pub(crate) struct Interner<T> {
    numbers: FxHashMap<T, u32>,
    things: Vec<T>,
}

impl<T> Default for Interner<T> {
    fn default() -> Interner<T> {
        Interner { numbers: FxHashMap::default(), things: Vec::new() }
    }
}

impl<T: Clone + Eq + Hash> Interner<T> {
    pub fn number(&mut self, thing: T) -> u32 {
        if let Some(number) = self.numbers.get(&thing) {
            return *number;
        }
        let number = self.things.len() as u32;
        self.things.push(thing.clone());
        self.numbers.insert(thing, number);
        number
    }
    pub fn get(&self, number: u32) -> &T {
        &self.things[number as usize]
    }
}

/// What may change places with its like without anybody noticing: instances of a role that no rule tells apart,
/// and drawn ids.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) enum Atom {
    /// An instance of a role and of all its parts.
    Instance(u16, u32),
    /// An id.
    Id(Id),
}

/// A fact, cut into its atoms and the rest.
#[derive(Clone, Debug)]
pub(crate) struct Fact {
    pub rel: RelId,
    pub row: Row,
    /// Hash of the relation and of all that are no atoms.
    pub shape: u64,
    /// The atoms in order of appearance.
    pub atoms: Vec<u32>,
}

/// All facts, with their atoms.
pub(crate) struct Facts {
    facts: Interner<(RelId, Row)>,
    cut: Vec<Fact>,
    pub atoms: Interner<Atom>,
    /// By role: the role at the root of its family, if instances of it are interchangeable.
    symmetric: Vec<Option<u16>>,
    /// Whether ids may be renamed.
    opaque: bool,
    /// Atoms that something outside of nodes and messages mentions: they keep their names.
    pub pinned: FxHashSet<u32>,
}

impl Facts {
    pub fn new(system: &System, scope: &Scope) -> Facts {
        Facts {
            facts: Interner::default(),
            cut: Vec::new(),
            atoms: Interner::default(),
            symmetric: system.symmetric_roles(scope),
            opaque: super::flow::ids_are_opaque(&system.protocol),
            pinned: FxHashSet::default(),
        }
    }

    /// The atom that a node belongs to.
    pub fn instance(&mut self, role: u16, instance: u32) -> Option<u32> {
        let family = self.symmetric[usize::from(role)]?;
        Some(self.atoms.number(Atom::Instance(family, instance)))
    }

    pub fn number(&mut self, rel: RelId, row: &Row) -> u32 {
        let number = self.facts.number((rel, row.clone()));
        if number as usize == self.cut.len() {
            let mut fact = Fact { rel, row: row.clone(), shape: mix(0, u64::from(rel.0)), atoms: Vec::new() };
            for value in row {
                self.cut(value, &mut fact);
            }
            self.cut.push(fact);
        }
        number
    }

    /// Lets the atoms of some values keep their names.
    pub fn pin(&mut self, values: &[Value]) {
        let mut fact = Fact { rel: RelId(0), row: Vec::new(), shape: 0, atoms: Vec::new() };
        values.iter().for_each(|value| self.cut(value, &mut fact));
        self.pinned.extend(fact.atoms);
    }

    /// Whether anything may be renamed.
    pub fn renames(&self) -> bool {
        self.opaque || self.symmetric.iter().any(Option::is_some)
    }

    pub fn get(&self, number: u32) -> &Fact {
        &self.cut[number as usize]
    }

    fn cut(&mut self, value: &Value, fact: &mut Fact) {
        let atom = match value {
            Value::Addr(role, instance) => self
                .symmetric
                .get(usize::from(*role))
                .copied()
                .flatten()
                .map(|family| Atom::Instance(family, *instance)),
            Value::Id(id) if self.opaque => Some(Atom::Id(*id)),
            _ => None,
        };
        if let Some(atom) = atom {
            let number = self.atoms.number(atom);
            fact.atoms.push(number);
            fact.shape = mix(fact.shape, 1);
            return;
        }
        let (tag, items): (u64, &[Value]) = match value {
            Value::Tuple(items) => (2, items),
            Value::List(items) => (3, items),
            Value::Option(Some(item)) => (4, std::slice::from_ref(&**item)),
            Value::Variant(index, _, items) => (5 + (u64::from(*index) << 8), items),
            plain => {
                fact.shape = mix(fact.shape, crate::draw::hash(std::slice::from_ref(plain), 6));
                if let Value::Addr(role, _) = plain {
                    fact.shape = mix(fact.shape, u64::from(*role));
                }
                return;
            }
        };
        fact.shape = mix(mix(fact.shape, tag), items.len() as u64);
        for item in items {
            self.cut(item, fact);
        }
    }
}

/// Feeds a word into a hash.
#[inline]
pub(crate) fn mix(hash: u64, word: u64) -> u64 {
    let mut x = (hash ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
