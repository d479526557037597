//! The order of a tick.

use super::Exec;
use super::aggregate::{Group, number, rows};
use super::apply::merge;
use super::pipe::{Emitted, delete_key};
use super::store::project;
use crate::engine::{Answer, Answered, Input, Outcome, Row, Sent, endless};
use anabranch_core::id::Req;
use anabranch_core::node::Broken;
use anabranch_core::value::Value;
use anabranch_dsl::plan::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What a tick schedules and sends.
#[derive(Default)]
struct Wishes {
    next: BTreeMap<RelIx, BTreeSet<Row>>,
    delete: BTreeSet<(RelIx, IndexIx, Vec<Option<Value>>)>,
    sent: Vec<Sent>,
    answered: Vec<Answered>,
}

impl Exec {
    /// Runs a tick.
    pub fn run_tick(&mut self, input: &Input) -> Result<Outcome, Broken> {
        let plan = self.plan.clone();
        self.args = input.args;
        for i in 0..self.stores.len() {
            if self.is_event(RelIx(i as u32)) {
                self.stores[i].clear_event();
            }
            self.stores[i].added.clear();
            self.stores[i].removed.clear();
        }
        self.contributed.clear();
        let accepted = self.accept(&input.fired);
        for (source, arrived) in input.arrived.iter().chain(&accepted) {
            let Some(rel) = self.rel(*source) else { continue };
            for row in arrived {
                self.append(rel, row.clone(), "what arrived")?;
                // The same fact may arrive twice. If the plan says that nobody notices, nobody must.
                if matches!(plan.relation(rel).class, Class::Input(InputKind::Message)) {
                    self.append(rel, row.clone(), "what arrived")?;
                }
            }
        }
        for (rel, rows) in std::mem::take(&mut self.scheduled) {
            for row in rows {
                self.append(rel, row, "what was scheduled")?;
            }
        }
        if self.tick == 0
            && let Some(rel) = self.rel(self.protocol.role(plan.role).start)
        {
            self.append(rel, vec![Value::Int(i128::from(self.incarnation))], "the start")?;
        }

        // Phase C.
        let mut wishes = Wishes::default();
        for step in &plan.steps {
            self.step(step, &mut wishes)?;
        }
        self.check_keys()?;
        self.check_size(self.plan.of.values())?;
        let facts = self.rows_of(|_| true);

        // Phase A.
        let deletions = self.deletions(&wishes);
        let touched: BTreeSet<RelIx> =
            deletions.iter().map(|(rel, _)| *rel).chain(wishes.next.keys().copied()).collect();
        let touched: Vec<RelIx> = touched.into_iter().filter(|rel| !self.is_event(*rel)).collect();
        let before: Vec<BTreeSet<Row>> =
            touched.iter().map(|r| self.stores[r.index()].rows.clone()).collect();
        for store in &mut self.stores {
            store.news.clear();
            store.lost.clear();
        }
        for (rel, row) in &deletions {
            self.apply(*rel, row, false);
        }
        self.release_all();
        for store in &mut self.stores {
            store.lost.clear();
        }

        // Phase B.
        for (rel, rows) in std::mem::take(&mut wishes.next) {
            if self.is_event(rel) {
                self.scheduled.insert(rel, rows);
                continue;
            }
            for row in rows {
                self.insert(rel, row, "`<+`")?;
            }
        }
        self.release_all();
        let changed = touched.iter().zip(&before).any(|(r, rows)| self.stores[r.index()].rows != *rows);
        let deferred = changed || self.scheduled.values().any(|rows| !rows.is_empty());

        let waiting = self.settle(&accepted);
        self.tick += 1;
        self.remember();
        Ok(Outcome {
            facts,
            sent: as_set(wishes.sent, "message"),
            answered: as_set(wishes.answered, "answer"),
            deferred,
            waiting,
        })
    }

    /// Appends a row to an event.
    pub fn append(&mut self, rel: RelIx, row: Row, origin: &str) -> Result<(), Broken> {
        let plan = self.plan.clone();
        let relation = plan.relation(rel);
        let store = &mut self.stores[rel.index()];
        let known = store.rows.contains(&row);
        if !known {
            if let Some(k) = relation.key
                && let Some(other) = store.rows.iter().find(|other| other[..k] == row[..k])
            {
                let name = &relation.name;
                let message = format!("two values for a key of `{name}`: {other:?}, and {row:?} by {origin}");
                return Err(Broken { message });
            }
            store.insert(&row);
        }
        if !known || relation.dedup == Dedup::Never {
            store.list.push(row.clone());
        }
        if !known && let Some(queue) = &mut self.queue {
            queue.push_back((rel, row));
        }
        Ok(())
    }

    fn step(&mut self, step: &Step, wishes: &mut Wishes) -> Result<(), Broken> {
        match step {
            Step::Run(pipelines) => {
                for p in pipelines {
                    for emitted in self.run(p, None) {
                        self.emit(emitted, wishes)?;
                    }
                }
                Ok(())
            }
            Step::Finish(rel) => self.finish(*rel),
            Step::Release(unit) => {
                self.release(*unit);
                Ok(())
            }
            Step::Stand(n) => self.stand(*n),
            Step::Machine(m) => self.run_machine(*m),
            Step::Save(m) => self.save_machine(*m),
            Step::Fixpoint(fix) => self.fixpoint(fix, wishes),
        }
    }

    fn emit(&mut self, emitted: Emitted, wishes: &mut Wishes) -> Result<(), Broken> {
        match emitted {
            Emitted::Row(rel, row) => match self.plan.relation(rel).class {
                Class::Table | Class::Var(_) => self.insert(rel, row, "`<=`")?,
                _ => self.append(rel, row, "`<=`")?,
            },
            Emitted::Contribute(rel, c) => self.contributed.entry(rel).or_default().push(c),
            Emitted::Next(rel, row) => self.schedule(rel, row, wishes)?,
            Emitted::Delete(rel, index, given) => {
                wishes.delete.insert((rel, index, given));
            }
            Emitted::Send(rel, row, to) => {
                let sent = Sent { rel, to: instance(&to), row };
                if self.plan.sends[&rel] == Dedup::Never || !wishes.sent.contains(&sent) {
                    wishes.sent.push(sent);
                }
            }
            Emitted::Reply(rel, req, row) => self.answer(rel, &req, Answer::Reply(row), wishes),
            Emitted::Refuse(rel, req, error) => self.answer(rel, &req, Answer::Refuse(error), wishes),
            Emitted::Redirect(rel, req, to) => {
                self.answer(rel, &req, Answer::Redirect(instance(&to)), wishes);
            }
        }
        Ok(())
    }

    fn answer(&self, rel: anabranch_dsl::ir::RelId, req: &Value, answer: Answer, wishes: &mut Wishes) {
        let answered = Answered { rel, req: request(req), answer };
        if self.plan.answers[&rel] == Dedup::Never || !wishes.answered.contains(&answered) {
            wishes.answered.push(answered);
        }
    }

    /// `<+`: two different rows for a key are a broken invariant; lattice rows merge.
    fn schedule(&self, rel: RelIx, row: Row, wishes: &mut Wishes) -> Result<(), Broken> {
        let relation = self.plan.relation(rel);
        let rows = wishes.next.entry(rel).or_default();
        if let Some(k) = relation.key
            && let Some(other) = rows.iter().find(|other| other[..k] == row[..k]).cloned()
            && other != row
        {
            if relation.columns.iter().all(|c| c.lattice.is_none()) {
                let name = &relation.name;
                let message = format!("two `<+` rows for a key of `{name}`: {other:?}, and {row:?}");
                return Err(Broken { message });
            }
            rows.remove(&other);
            rows.insert(merge(relation, &other, &row));
            return Ok(());
        }
        rows.insert(row);
        Ok(())
    }

    /// Rows that leave in phase A: deleted ones that are not also scheduled, and replaced ones.
    fn deletions(&self, wishes: &Wishes) -> BTreeSet<(RelIx, Row)> {
        let mut out = BTreeSet::new();
        for (rel, index, given) in &wishes.delete {
            let columns = &self.plan.relation(*rel).indexes[index.index()].columns;
            let matches = |row: &&Row| given.iter().zip(*row).all(|(g, v)| g.as_ref().is_none_or(|g| g == v));
            let key = delete_key(columns, given);
            let rows = self.stores[rel.index()].probe(index.index(), &key).filter(matches);
            out.extend(rows.map(|row| (*rel, row.clone())));
        }
        for (rel, rows) in &wishes.next {
            let relation = self.plan.relation(*rel);
            let lattice = relation.columns.iter().any(|c| c.lattice.is_some());
            let Some(k) = relation.key.filter(|_| !lattice && !self.is_event(*rel)) else { continue };
            for row in rows {
                let hit = self.stores[rel.index()].rows.iter().filter(|other| other[..k] == row[..k]);
                out.extend(hit.map(|other| (*rel, other.clone())));
            }
        }
        out.retain(|(rel, row)| !wishes.next.get(rel).is_some_and(|rows| rows.contains(row)));
        out
    }

    fn finish(&mut self, rel: RelIx) -> Result<(), Broken> {
        let plan = self.plan.clone();
        let Class::Event { aggregate: Some(spec) } = &plan.relation(rel).class else {
            panic!("an aggregate")
        };
        let all = self.contributed.remove(&rel).unwrap_or_default();
        let numbers = number(all.iter(), spec.functions.len(), self.args.seed);
        let mut groups: BTreeMap<Vec<Value>, Group> = BTreeMap::new();
        for c in &all {
            *groups.entry(c.group.clone()).or_default().members.entry(c.clone()).or_default() += 1;
        }
        for group in groups.values() {
            for row in rows(spec, group, &numbers, self.args.seed, &|e, slot| self.evaluate(e, slot)) {
                self.append(rel, row, "an aggregate")?;
            }
        }
        Ok(())
    }

    /// Inserts what a standing rule holds.
    fn stand(&mut self, n: usize) -> Result<(), Broken> {
        let s = &self.plan.standing[n];
        let (table, view) = (s.table, s.view);
        for row in std::mem::take(&mut self.pending[n]) {
            if self.stores[view.index()].rows.contains(&row) {
                self.insert(table, row, "a rule without event")?;
            }
        }
        Ok(())
    }

    fn fixpoint(&mut self, fix: &Fixpoint, wishes: &mut Wishes) -> Result<(), Broken> {
        let mut queue = VecDeque::new();
        for rel in &fix.members {
            if self.is_event(*rel) {
                queue.extend(self.stores[rel.index()].list.iter().map(|row| (*rel, row.clone())));
            }
        }
        self.queue = Some(queue);
        let result = self.fixpoint_queue(fix, wishes);
        self.queue = None;
        result
    }

    fn fixpoint_queue(&mut self, fix: &Fixpoint, wishes: &mut Wishes) -> Result<(), Broken> {
        // What lower strata took away must be gone before anything is derived from it.
        for unit in &fix.units {
            self.release(*unit);
        }
        for p in &fix.seeds {
            for emitted in self.run(p, None) {
                self.emit(emitted, wishes)?;
            }
        }
        loop {
            while let Some((rel, row)) = self.queue.as_mut().expect("in a fixpoint").pop_front() {
                self.check_size([rel].iter())?;
                for delta in fix.deltas.iter().filter(|d| d.rel == rel) {
                    if delta.new && !self.stores[rel.index()].news.contains(&row) {
                        continue;
                    }
                    for emitted in self.run(&delta.pipeline, Some(&row)) {
                        self.emit(emitted, wishes)?;
                    }
                }
            }
            for unit in &fix.units {
                self.release(*unit);
            }
            for n in &fix.standing {
                self.stand(*n)?;
            }
            let idle = |v: &&Unit| match v {
                Unit::View(v) => {
                    self.views.get(v).is_none_or(|s| s.dirty.is_empty() && s.dirty_groups.is_empty())
                }
                Unit::Recursive(n) => {
                    let members = &self.plan.recursive[*n].members;
                    let none = |m: &RelIx| self.candidates.get(m).is_none_or(BTreeSet::is_empty);
                    !self.dirty_units.contains(n) && members.iter().all(none)
                }
            };
            let units = fix.units.iter().all(|u| idle(&u));
            let standing = fix.standing.iter().all(|n| self.pending[*n].is_empty());
            if self.queue.as_ref().expect("in a fixpoint").is_empty() && units && standing {
                return Ok(());
            }
        }
    }

    /// Gives up on a fixpoint that seems to have no end.
    fn check_size<'a>(&self, rels: impl Iterator<Item = &'a RelIx>) -> Result<(), Broken> {
        for rel in rels {
            let relation = self.plan.relation(*rel);
            let static_ = matches!(relation.class, Class::Instances(_));
            if relation.source.is_some() && !static_ && self.stores[rel.index()].rows.len() > self.bound {
                return Err(endless(&relation.name, self.bound));
            }
        }
        Ok(())
    }

    /// Keys of views that only the fixpoint must respect.
    fn check_keys(&self) -> Result<(), Broken> {
        for (relation, store) in self.plan.relations.iter().zip(&self.stores) {
            let Some(k) = relation.checked_key else { continue };
            let columns: Vec<usize> = (0..k).collect();
            let mut seen: BTreeMap<Vec<Value>, &Row> = BTreeMap::new();
            for row in &store.rows {
                if let Some(other) = seen.insert(project(row, &columns), row) {
                    let name = &relation.name;
                    let message = format!("two values for a key of `{name}`: {other:?} and {row:?}");
                    return Err(Broken { message });
                }
            }
        }
        Ok(())
    }
}

fn as_set<T: Ord + std::fmt::Debug>(list: Vec<T>, what: &str) -> BTreeSet<T> {
    let n = list.len();
    let set: BTreeSet<T> = list.into_iter().collect();
    assert_eq!(set.len(), n, "a {what} is sent twice: {set:?}");
    set
}

fn instance(value: &Value) -> u32 {
    match value {
        Value::Addr(_, instance) => *instance,
        other => panic!("an address was expected, not {other:?}"),
    }
}

fn request(value: &Value) -> Req {
    match value {
        Value::Req(req) => *req,
        other => panic!("a request's identity was expected, not {other:?}"),
    }
}
