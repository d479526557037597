//! Changing state relations and releasing views, exactly as `plan`'s overview says.

use super::Exec;
use super::aggregate::{Numbering, rows};
use super::pipe::Emitted;
use super::store::project;
use crate::engine::Row;
use anabranch_core::node::Broken;
use anabranch_core::value::Value;
use anabranch_dsl::ir::Lattice;
use anabranch_dsl::plan::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

impl Exec {
    /// Applies one visible change of a state relation.
    pub fn apply(&mut self, rel: RelIx, row: &Row, inserted: bool) {
        let plan = self.plan.clone();
        let relation = plan.relation(rel);
        assert!(inserted || relation.removable, "`{}` lost {row:?}", relation.name);
        if inserted {
            self.stores[rel.index()].insert(row);
        }
        for p in &relation.deltas {
            let weight = if inserted != p.negated { 1 } else { -1 };
            for emitted in self.run(p, Some(row)) {
                self.accumulate(emitted, weight);
            }
        }
        if !inserted {
            self.stores[rel.index()].remove(row);
        }
        self.stores[rel.index()].note(row, inserted);
        self.dirty_units.extend(&relation.dirties);
        for (i, s) in plan.standing.iter().enumerate() {
            if s.view == rel && inserted {
                self.pending[i].insert(row.clone());
            }
        }
        if !inserted {
            for i in &relation.watchers {
                let s = &plan.standing[*i];
                let columns = &plan.relation(s.view).indexes[s.index.index()].columns;
                let key = project(row, columns);
                let again: Vec<Row> =
                    self.stores[s.view.index()].probe(s.index.index(), &key).cloned().collect();
                self.pending[*i].extend(again);
            }
        }
        if let Some(queue) = &mut self.queue
            && inserted
        {
            queue.push_back((rel, row.clone()));
        }
    }

    /// Accumulates what a delta pipeline emits into a view.
    pub fn accumulate(&mut self, emitted: Emitted, weight: i64) {
        match emitted {
            Emitted::Row(view, row) => match &self.plan.relation(view).class {
                Class::View { kind: ViewKind::Counted, .. } => {
                    let state = self.views.entry(view).or_default();
                    *state.counts.entry(row.clone()).or_default() += weight;
                    state.dirty.insert(row);
                }
                Class::View { kind: ViewKind::Recursive(n), .. } => {
                    assert!(self.plan.recursive[*n].insert_only && weight == 1, "only ever added to");
                    self.candidates.entry(view).or_default().insert(row);
                }
                other => panic!("a delta into {other:?}"),
            },
            Emitted::Contribute(view, contribution) => {
                let state = self.views.entry(view).or_default();
                let group = state.groups.entry(contribution.group.clone()).or_default();
                let times = group.members.entry(contribution.clone()).or_default();
                *times += weight;
                if *times == 0 {
                    group.members.remove(&contribution);
                }
                state.dirty_groups.insert(contribution.group);
            }
            other => panic!("a delta that does {other:?}"),
        }
    }

    /// Releases a unit: what was accumulated becomes visible.
    pub fn release(&mut self, unit: Unit) {
        let changes = match unit {
            Unit::View(view) => self.view_changes(view),
            Unit::Recursive(n) if self.plan.recursive[n].insert_only => {
                self.dirty_units.remove(&n);
                return self.grow(n);
            }
            Unit::Recursive(n) => {
                if !self.dirty_units.remove(&n) {
                    return;
                }
                self.recompute(n)
            }
        };
        for inserted in [false, true] {
            for (view, row, _) in changes.iter().filter(|(_, _, i)| *i == inserted) {
                self.apply(*view, row, inserted);
            }
        }
        if let Unit::View(view) = unit {
            self.assert_storage(view);
        }
    }

    /// Releases all units in order.
    pub fn release_all(&mut self) {
        for unit in self.plan.units.clone() {
            self.release(unit);
        }
    }

    fn view_changes(&mut self, view: RelIx) -> Vec<(RelIx, Row, bool)> {
        let plan = self.plan.clone();
        let Some(mut state) = self.views.remove(&view) else { return vec![] };
        if let Class::View { kind: ViewKind::Aggregate(spec), .. } = &plan.relation(view).class {
            for key in std::mem::take(&mut state.dirty_groups) {
                let group = state.groups.get_mut(&key).expect("dirty groups are there");
                let numbers = Numbering::default();
                let now = match group.members.is_empty() {
                    true => BTreeSet::new(),
                    false => rows(spec, group, &numbers, 0, &|e, slot| self.evaluate(e, slot)),
                };
                for (rows, weight) in [(&group.shown, -1), (&now, 1)] {
                    for row in rows {
                        *state.counts.entry(row.clone()).or_default() += weight;
                        state.dirty.insert(row.clone());
                    }
                }
                group.shown = now;
                if group.members.is_empty() {
                    state.groups.remove(&key);
                }
            }
            for row in &state.dirty {
                assert!(spec.merges || state.counts[row] <= 1, "groups give different rows");
            }
        }
        let mut changes = vec![];
        for row in std::mem::take(&mut state.dirty) {
            let count = state.counts[&row];
            assert!(count >= 0, "{row:?} of `{}` was retracted too often", plan.relation(view).name);
            if let Class::View { storage, .. } = &plan.relation(view).class {
                let many = matches!(storage, ViewStorage::Counts | ViewStorage::Projection { .. });
                let once = count <= 1 || many;
                assert!(once, "{row:?} of `{}` has {count} derivations", plan.relation(view).name);
            }
            if count == 0 {
                state.counts.remove(&row);
            }
            let visible = self.stores[view.index()].rows.contains(&row);
            if visible != (count > 0) {
                changes.push((view, row, count > 0));
            }
        }
        self.views.insert(view, state);
        changes
    }

    /// Releases an insert-only recursive unit.
    fn grow(&mut self, n: usize) {
        let members = self.plan.recursive[n].members.clone();
        loop {
            let next =
                members.iter().find_map(|m| self.candidates.get_mut(m)?.pop_first().map(|row| (*m, row)));
            let Some((member, row)) = next else { return };
            if !self.stores[member.index()].rows.contains(&row) {
                self.apply(member, &row, true);
            }
        }
    }

    /// Recomputes a recursive unit; gives the difference.
    fn recompute(&mut self, n: usize) -> Vec<(RelIx, Row, bool)> {
        let plan = self.plan.clone();
        let unit = &plan.recursive[n];
        self.work = unit.members.iter().map(|m| (*m, BTreeSet::new())).collect();
        let mut queue: VecDeque<(RelIx, Row)> = VecDeque::new();
        let mut found: Vec<Emitted> = unit.seeds.iter().flat_map(|p| self.run(p, None)).collect();
        loop {
            for emitted in found {
                let Emitted::Row(member, row) = emitted else { panic!("recursive views have rows") };
                if self.work.get_mut(&member).expect("a member").insert(row.clone()) {
                    queue.push_back((member, row));
                }
            }
            let Some((member, row)) = queue.pop_front() else { break };
            let starts = |p: &&Pipeline| matches!(&p.start, Start::Rows { rel, .. } if *rel == member);
            found = unit.steps.iter().filter(starts).flat_map(|p| self.run(p, Some(&row))).collect();
        }
        let mut changes = vec![];
        for (member, now) in std::mem::take(&mut self.work) {
            let before = &self.stores[member.index()].rows;
            changes.extend(before.difference(&now).map(|row| (member, row.clone(), false)));
            changes.extend(now.difference(before).map(|row| (member, row.clone(), true)));
        }
        changes
    }

    /// Inserts a row into a table as `<=` does (`origin` names the rule in messages), or as `<+` in phase B.
    pub fn insert(&mut self, rel: RelIx, row: Row, origin: &str) -> Result<(), Broken> {
        let plan = self.plan.clone();
        let relation = plan.relation(rel);
        if self.stores[rel.index()].rows.contains(&row) {
            return Ok(());
        }
        if let Some(k) = relation.key {
            let index = relation
                .indexes
                .iter()
                .position(|i| i.columns.len() == k && i.columns.iter().all(|c| *c < k));
            let index = index.expect("keyed tables have an index on the key");
            let other = self.stores[rel.index()].probe(index, &row[..k]).next().cloned();
            if let Some(other) = other {
                if relation.columns.iter().all(|c| c.lattice.is_none()) {
                    let name = &relation.name;
                    let message =
                        format!("two values for a key of `{name}`: {other:?}, and {row:?} by {origin}");
                    return Err(Broken { message });
                }
                let merged = merge(relation, &other, &row);
                if merged != other {
                    self.apply(rel, &other, false);
                    self.apply(rel, &merged, true);
                }
                return Ok(());
            }
        }
        self.apply(rel, &row, true);
        Ok(())
    }

    /// Checks what the plan says about a view's storage.
    fn assert_storage(&self, view: RelIx) {
        let relation = self.plan.relation(view);
        let Class::View { storage, .. } = &relation.class else { return };
        let visible = &self.stores[view.index()].rows;
        let expected: BTreeSet<Row> = match storage {
            ViewStorage::Counts | ViewStorage::Set | ViewStorage::Nothing => return,
            ViewStorage::Projection { rel, index, columns } => {
                let groups = self.stores[rel.index()].groups(index.index());
                groups.map(|(_, rows)| project(rows.first().expect("not empty"), columns)).collect()
            }
            ViewStorage::GroupSize { rel, index, columns, .. } => {
                let groups = self.stores[rel.index()].groups(index.index());
                let row = |rows: &BTreeSet<Row>| -> Row {
                    let first = rows.first().expect("not empty");
                    let size = Value::Int(rows.len() as i128);
                    columns.iter().map(|c| c.map_or(size.clone(), |c| first[c].clone())).collect()
                };
                groups.map(|(_, rows)| row(rows)).collect()
            }
        };
        assert_eq!(*visible, expected, "`{}` is not what it is said to be stored as", relation.name);
    }

    /// Checks that a relation said to be probed never is not.
    pub fn assert_probed(&self, rel: RelIx) {
        let relation = self.plan.relation(rel);
        let nothing = matches!(relation.class, Class::View { storage: ViewStorage::Nothing, .. });
        assert!(relation.probed && !nothing, "`{}` is probed", relation.name);
    }
}

/// The merged row of a lattice table.
pub fn merge(relation: &Relation, a: &Row, b: &Row) -> Row {
    let columns = relation.columns.iter().zip(a.iter().zip(b));
    columns
        .map(|(column, (a, b))| match column.lattice {
            Some(Lattice::Max) => a.max(b).clone(),
            Some(Lattice::Min) => a.min(b).clone(),
            None => a.clone(),
        })
        .collect()
}

/// A view between releases.
#[derive(Clone, Debug, Default)]
pub struct ViewState {
    /// Derivations by row (of aggregates: groups by row).
    pub counts: BTreeMap<Row, i64>,
    /// Rows whose count changed since the last release.
    pub dirty: BTreeSet<Row>,
    /// Aggregates: groups by their variables.
    pub groups: BTreeMap<Vec<Value>, super::aggregate::Group>,
    /// Groups that changed since the last release.
    pub dirty_groups: BTreeSet<Vec<Value>>,
}
