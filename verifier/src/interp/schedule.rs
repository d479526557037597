//! What a tick wants done after it: `<+`, `<-`, `<~`.

use super::Program;
use super::body::{Moment, World, rows_of};
use super::table::{Conflict, is_lattice, key_of};
use crate::engine::{Answer, Answered, Facts, Row, Sent};
use anabranch_core::code::forgets;
use anabranch_core::data::StableHasher;
use anabranch_core::node::Broken;
use anabranch_core::value::Value;
use anabranch_dsl::ir::*;
use std::collections::{BTreeMap, BTreeSet};

/// What a tick's rules want.
#[derive(Default, Debug)]
pub struct Wish {
    /// Rows of *now* that `<-` rules match.
    deleted: Facts,
    /// `<+` rows of tables.
    inserted: Facts,
    /// `<+` rows of events: events of the next tick.
    pub events: Facts,
    pub sent: BTreeSet<Sent>,
    pub answered: BTreeSet<Answered>,
}

impl Program {
    /// Evaluates all rules whose heads are not `<=`, in *now*.
    pub fn wishes(&self, world: &World<'_>, moment: Moment) -> Result<Wish, Broken> {
        let mut wish = Wish::default();
        for (_, rule) in self.protocol.rules_of(self.role) {
            let rows = |exprs: &[Option<&Expr>]| self.head_rows(rule, exprs, world, moment);
            let plain = |args: &[Expr], more: &[&Expr]| -> Vec<Row> {
                let exprs: Vec<Option<&Expr>> = args.iter().chain(more.iter().copied()).map(Some).collect();
                let value = |v: Option<Value>| v.expect("no `_` in this head");
                rows(&exprs).into_iter().map(|row| row.into_iter().map(value).collect()).collect()
            };
            match &rule.head {
                Head::Now { .. } | Head::Nothing => {}
                Head::Next { rel, args } => {
                    let table = self.protocol.relation(*rel).is_table();
                    let into = if table { &mut wish.inserted } else { &mut wish.events };
                    for row in plain(args, &[]) {
                        self.insert(into, *rel, row.clone()).map_err(|Conflict(other)| {
                            let name = &self.protocol.relation(*rel).name;
                            let place = rule.place;
                            let message = format!(
                                "two `<+` rows for a key of `{name}`: {other:?}, and {row:?} by {place:?}"
                            );
                            Broken { message }
                        })?;
                    }
                }
                Head::Delete { rel, args, forget } => {
                    let patterns: Vec<Option<&Expr>> = args.iter().map(Option::as_ref).collect();
                    for pattern in rows(&patterns) {
                        let seen =
                            |h: &mut StableHasher| pattern.iter().flatten().for_each(|v| v.stable_hash(h));
                        if *forget && self.lazy && !forgets(moment.args.seed, rel.0, seen) {
                            continue;
                        }
                        let matches = |row: &&Row| {
                            row.iter().zip(&pattern).all(|(v, p)| p.as_ref().is_none_or(|p| p == v))
                        };
                        let hit = rows_of(world.now, *rel).iter().filter(matches).cloned();
                        wish.deleted.entry(*rel).or_default().extend(hit);
                    }
                }
                Head::Send { rel, args, to } => {
                    for mut row in plain(args, &[to]) {
                        let to = instance(row.pop());
                        wish.sent.insert(Sent { rel: *rel, to, row });
                    }
                }
                Head::Reply { rel, req, args } => {
                    for mut row in plain(args, &[req]) {
                        let req = request(row.pop());
                        wish.answered.insert(Answered { rel: *rel, req, answer: Answer::Reply(row) });
                    }
                }
                Head::Refuse { rel, req, error } => {
                    for mut row in plain(&[], &[error, req]) {
                        let req = request(row.pop());
                        let error = row.pop().expect("two expressions");
                        wish.answered.insert(Answered { rel: *rel, req, answer: Answer::Refuse(error) });
                    }
                }
                Head::Redirect { rel, req, to } => {
                    for mut row in plain(&[], &[to, req]) {
                        let req = request(row.pop());
                        let to = instance(row.pop());
                        wish.answered.insert(Answered { rel: *rel, req, answer: Answer::Redirect(to) });
                    }
                }
            }
        }
        Ok(wish)
    }

    /// How many rows each rule gives in a world.
    pub fn row_counts(&self, world: &World<'_>, moment: Moment) -> BTreeMap<RuleId, u64> {
        let rules = self.protocol.rules_of(self.role);
        let counts = rules.map(|(id, rule)| {
            let exprs: Vec<Option<&Expr>> = match &rule.head {
                Head::Now { args, .. } | Head::Next { args, .. } => args.iter().map(Some).collect(),
                Head::Delete { args, .. } => args.iter().map(Option::as_ref).collect(),
                Head::Send { args, to, .. } => args.iter().chain([to]).map(Some).collect(),
                Head::Reply { req, args, .. } => args.iter().chain([req]).map(Some).collect(),
                Head::Refuse { req, error: other, .. } | Head::Redirect { req, to: other, .. } => {
                    vec![Some(req), Some(other)]
                }
                Head::Nothing => vec![],
            };
            (id, self.head_rows(rule, &exprs, world, moment).len() as u64)
        });
        counts.collect()
    }

    /// The tables less what is deleted and what is replaced.
    ///
    /// A row that is both matched by a `<-` and scheduled by a `<+` is not touched at all, so it is not new in
    /// the next tick and causes none. A `<+` row of a keyed table replaces the row under its key. In a
    /// lattice it merges, so nothing is taken out for it.
    pub fn without(&self, tables: &Facts, wish: &Wish) -> Facts {
        let mut tables = tables.clone();
        for (rel, rows) in &mut tables {
            let relation = self.protocol.relation(*rel);
            let (deleted, inserted) = (rows_of(&wish.deleted, *rel), rows_of(&wish.inserted, *rel));
            let keyed = relation.key.is_some() && !is_lattice(relation);
            rows.retain(|row| {
                let replaced =
                    keyed && inserted.iter().any(|new| key_of(relation, new) == key_of(relation, row));
                inserted.contains(row) || !(deleted.contains(row) || replaced)
            });
        }
        tables
    }

    /// The tables with what is scheduled.
    pub fn with(&self, mut tables: Facts, wish: &Wish) -> Facts {
        for (rel, rows) in &wish.inserted {
            for row in rows {
                self.insert(&mut tables, *rel, row.clone())
                    .expect("replaced rows are out, and `<+` rows agree");
            }
        }
        tables
    }
}

fn instance(value: Option<Value>) -> u32 {
    match value {
        Some(Value::Addr(_, instance)) => instance,
        other => panic!("an address was expected, not {other:?}"),
    }
}

fn request(value: Option<Value>) -> anabranch_core::id::Req {
    match value {
        Some(Value::Req(req)) => req,
        other => panic!("a request's identity was expected, not {other:?}"),
    }
}
