//! Putting rows into relations: keys and lattices.

use super::Program;
use crate::engine::{Facts, Row};
use anabranch_core::value::Value;
use anabranch_dsl::ir::*;

/// A row that stands in the way: another value under the same key.
#[derive(Debug)]
pub struct Conflict(pub Row);

impl Program {
    /// Inserts a row into a relation, as `<=` does, and says whether that changed anything. Lattice columns
    /// merge with the row of the same other columns; otherwise a key may have one value only.
    pub fn insert(&self, facts: &mut Facts, rel: RelId, row: Row) -> Result<bool, Conflict> {
        let relation = self.protocol.relation(rel);
        let rows = facts.entry(rel).or_default();
        if rows.contains(&row) {
            return Ok(false);
        }
        if is_lattice(relation) {
            let Some(old) = rows.iter().find(|old| key_of(relation, old) == key_of(relation, &row)).cloned()
            else {
                return Ok(rows.insert(row));
            };
            let merged = merge(relation, &old, &row);
            if merged == old {
                return Ok(false);
            }
            rows.remove(&old);
            return Ok(rows.insert(merged));
        }
        if relation.key.is_some()
            && let Some(other) = rows.iter().find(|other| key_of(relation, other) == key_of(relation, &row))
        {
            return Err(Conflict(other.clone()));
        }
        Ok(rows.insert(row))
    }
}

/// Whether a relation has lattice columns: all columns outside the key then are.
pub fn is_lattice(relation: &Relation) -> bool {
    relation.columns.iter().any(|c| c.lattice.is_some())
}

/// What identifies a row: the key columns, all columns that do not merge, or the whole row.
pub fn key_of(relation: &Relation, row: &Row) -> Vec<Value> {
    let columns = relation.columns.iter().zip(row).enumerate();
    let own = columns.filter(|(i, (c, _))| match relation.key {
        _ if is_lattice(relation) => c.lattice.is_none(),
        Some(key) => *i < key,
        None => true,
    });
    own.map(|(_, (_, v))| v.clone()).collect()
}

fn merge(relation: &Relation, a: &Row, b: &Row) -> Row {
    let columns = relation.columns.iter().zip(a.iter().zip(b));
    columns
        .map(|(column, (a, b))| match column.lattice {
            Some(Lattice::Max) => a.max(b).clone(),
            Some(Lattice::Min) => a.min(b).clone(),
            None => a.clone(),
        })
        .collect()
}
