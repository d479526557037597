//! Rows of one relation, with the indexes and net changes that its plan asks for.

use crate::engine::Row;
use anabranch_core::value::Value;
use anabranch_dsl::plan::{Index, Relation, Track};
use std::collections::{BTreeMap, BTreeSet};

/// Rows by the values that they have in the columns of an index.
type Groups = BTreeMap<Vec<Value>, BTreeSet<Row>>;

/// The rows of a relation.
#[derive(Clone, Debug, Default)]
pub struct Store {
    /// Visible rows; for events, the rows of the tick as a set.
    pub rows: BTreeSet<Row>,
    /// Events: the list that rules start from, with repetitions if the plan allows them.
    pub list: Vec<Row>,
    indexes: Vec<(Index, Groups)>,
    track: Track,
    /// True now and not carried over.
    pub news: BTreeSet<Row>,
    /// Carried over and not true now.
    pub lost: BTreeSet<Row>,
    /// Net change since *before*.
    pub added: BTreeSet<Row>,
    /// Net change since *before*.
    pub removed: BTreeSet<Row>,
    /// Net change since the last tick's end, for timers.
    pub started: BTreeSet<Row>,
    /// Net change since the last tick's end, for timers.
    pub stopped: BTreeSet<Row>,
}

impl Store {
    /// An empty one.
    pub fn new(relation: &Relation) -> Store {
        let indexes = relation.indexes.iter().map(|i| (i.clone(), BTreeMap::new())).collect();
        Store { indexes, track: relation.track, ..Store::default() }
    }

    /// Puts a row into storage.
    pub fn insert(&mut self, row: &Row) {
        assert!(self.rows.insert(row.clone()), "inserted twice: {row:?}");
        for (index, map) in &mut self.indexes {
            map.entry(project(row, &index.columns)).or_default().insert(row.clone());
        }
    }

    /// Takes a row out of storage.
    pub fn remove(&mut self, row: &Row) {
        assert!(self.rows.remove(row), "removed without being there: {row:?}");
        for (index, map) in &mut self.indexes {
            let key = project(row, &index.columns);
            let group = map.get_mut(&key).expect("indexed");
            group.remove(row);
            if group.is_empty() {
                map.remove(&key);
            }
        }
    }

    /// Notes a change of what is visible.
    pub fn note(&mut self, row: &Row, inserted: bool) {
        let net = |on: bool, plus: &mut BTreeSet<Row>, minus: &mut BTreeSet<Row>| {
            let (with, against) = if inserted { (plus, minus) } else { (minus, plus) };
            if on && !against.remove(row) {
                with.insert(row.clone());
            }
        };
        net(self.track.new, &mut self.news, &mut self.lost);
        net(self.track.old, &mut self.added, &mut self.removed);
        net(self.track.timer, &mut self.started, &mut self.stopped);
    }

    /// The rows with some values in the columns of an index.
    pub fn probe(&self, index: usize, key: &[Value]) -> impl Iterator<Item = &Row> {
        self.indexes[index].1.get(key).into_iter().flatten()
    }

    /// How many rows have some values in the columns of an index.
    pub fn group_size(&self, index: usize, key: &[Value]) -> usize {
        self.indexes[index].1.get(key).map_or(0, BTreeSet::len)
    }

    /// The groups of an index.
    pub fn groups(&self, index: usize) -> impl Iterator<Item = (&Vec<Value>, &BTreeSet<Row>)> {
        self.indexes[index].1.iter()
    }

    /// The rows as of *before*.
    pub fn old(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|r| !self.added.contains(*r)).chain(&self.removed)
    }

    /// Forgets the rows of an event.
    pub fn clear_event(&mut self) {
        self.rows.clear();
        self.list.clear();
        self.indexes.iter_mut().for_each(|(_, map)| map.clear());
    }
}

/// Some columns of a row.
pub fn project(row: &Row, columns: &[usize]) -> Vec<Value> {
    columns.iter().map(|c| row[*c].clone()).collect()
}
