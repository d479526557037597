//! Groups of an aggregated event: filled within a tick, read once, forgotten.

use super::map::hash_of;
use hashbrown::HashTable;
use std::hash::Hash;

/// Accumulators by group, in order of first contribution.
#[derive(Clone, Debug)]
pub struct EventGroups<G, A> {
    groups: Vec<(G, A)>,
    index: HashTable<u32>,
}

impl<G, A> Default for EventGroups<G, A> {
    fn default() -> Self {
        EventGroups { groups: Vec::new(), index: HashTable::new() }
    }
}

impl<G: Hash + Eq, A: Default> EventGroups<G, A> {
    /// The accumulator of a group.
    #[inline]
    pub fn group(&mut self, group: G) -> &mut A {
        use hashbrown::hash_table::Entry;
        let groups = &mut self.groups;
        let hash = |at: &u32| hash_of(&groups[*at as usize].0);
        let at = match self.index.entry(hash_of(&group), |&at| groups[at as usize].0 == group, hash) {
            Entry::Occupied(found) => *found.get(),
            Entry::Vacant(gap) => {
                let at = groups.len() as u32;
                gap.insert(at);
                groups.push((group, A::default()));
                at
            }
        };
        &mut self.groups[at as usize].1
    }
    /// The accumulator of a group that was made.
    pub fn get(&self, group: &G) -> Option<&A> {
        let groups = &self.groups;
        let at = self.index.find(hash_of(group), |&at| groups[at as usize].0 == *group)?;
        Some(&groups[*at as usize].1)
    }
    /// All groups.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = &(G, A)> {
        self.groups.iter()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }
    /// Forgets all, keeping memory.
    #[inline]
    pub fn clear(&mut self) {
        self.groups.clear();
        self.index.clear();
    }
}
