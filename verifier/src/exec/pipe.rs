//! Running a pipeline: a nested loop over the state as it is, whose emissions are collected.

use super::Exec;
use super::store::project;
use crate::draw::{self, Minter};
use crate::engine::Row;
use anabranch_core::value::Value;
use anabranch_dsl::ir;
use anabranch_dsl::plan::*;
use std::collections::BTreeSet;

/// One emission: its expressions evaluated.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Emitted {
    /// [`Emit::Row`].
    Row(RelIx, Row),
    /// [`Emit::Contribute`].
    Contribute(RelIx, Contribution),
    /// [`Emit::Next`].
    Next(RelIx, Row),
    /// [`Emit::Delete`]: the index and the values given.
    Delete(RelIx, IndexIx, Vec<Option<Value>>),
    /// [`Emit::Send`].
    Send(ir::RelId, Row, Value),
    /// [`Emit::Reply`].
    Reply(ir::RelId, Value, Row),
    /// [`Emit::Refuse`].
    Refuse(ir::RelId, Value, Value),
    /// [`Emit::Redirect`].
    Redirect(ir::RelId, Value, Value),
}

/// One combination of an aggregated rule.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Contribution {
    /// Values of the group's variables.
    pub group: Vec<Value>,
    /// By aggregate: its arguments.
    pub args: Vec<Vec<Value>>,
    /// What `index()` numbers.
    pub binding: Vec<Value>,
}

/// The values of a pipeline's slots.
type Slots = Vec<Option<Value>>;

struct Run<'e> {
    exec: &'e Exec,
    /// Tails go here.
    out: Vec<(usize, Emitted)>,
    start: Option<(RelIx, &'e Row)>,
}

impl Exec {
    /// Runs a pipeline from a row (`Source::Change`) or from all rows of its start.
    pub fn run(&self, p: &Pipeline, change: Option<&Row>) -> Vec<Emitted> {
        let mut run = Run { exec: self, out: vec![], start: None };
        let mut slots: Slots = vec![None; p.vars.len()];
        let mut distinct_start = true;
        match &p.start {
            Start::Unit => run.ops(p, 0, &mut slots),
            Start::Rows { rel, source, cols } => {
                let store = &self.stores[rel.index()];
                let rows: Vec<&Row> = match source {
                    Source::Change => {
                        let row = change.expect("a row to start from");
                        run.start = Some((*rel, row));
                        vec![row]
                    }
                    Source::New => store.news.iter().collect(),
                    Source::All if self.is_event(*rel) => store.list.iter().collect(),
                    Source::All => store.rows.iter().collect(),
                };
                distinct_start = rows.iter().collect::<BTreeSet<_>>().len() == rows.len();
                for row in rows {
                    let mut slots = slots.clone();
                    if self.columns(p, cols, row, &mut slots) {
                        run.ops(p, 0, &mut slots);
                    }
                }
            }
        }
        let reads_lists = p.ops.iter().any(|op| matches!(op, Op::Probe(a) if self.is_event(a.rel)));
        for (t, tail) in p.tails.iter().enumerate() {
            if tail.distinct && distinct_start && !reads_lists {
                let own: Vec<&Emitted> = run.out.iter().filter(|(n, _)| *n == t).map(|(_, e)| e).collect();
                let set: BTreeSet<&&Emitted> = own.iter().collect();
                assert_eq!(set.len(), own.len(), "not distinct: {}\n{own:?}", self.plan.text(p));
            }
        }
        run.out.into_iter().map(|(_, e)| e).collect()
    }

    /// Matches the columns of a row; binds slots.
    fn columns(&self, p: &Pipeline, cols: &[Col], row: &[Value], slots: &mut Slots) -> bool {
        cols.iter().zip(row).all(|(col, value)| self.column(p, col, value, slots))
    }

    fn column(&self, p: &Pipeline, col: &Col, value: &Value, slots: &mut Slots) -> bool {
        match col {
            Col::Skip => true,
            Col::Bind(s) => {
                assert!(slots[s.index()].is_none(), "bound twice: {}", p.vars[s.index()].name);
                slots[s.index()] = Some(value.clone());
                true
            }
            Col::Check(e) => self.value(p, e, slots) == *value,
            Col::Same(s) => slots[s.index()].as_ref().expect("bound to the left") == value,
            Col::Match(n, vars) => {
                let matched = self.leaves.matches(n.leaf.0, value, &self.env);
                let matched =
                    matched.unwrap_or_else(|| panic!("the pattern {:?} does not fit {value:?}", n.tokens));
                let Some(values) = matched else { return false };
                vars.iter().zip(values).all(|((slot, binds), value)| {
                    if *binds {
                        slots[slot.index()] = Some(value);
                        return true;
                    }
                    *slots[slot.index()].as_ref().expect("bound before") == value
                })
            }
        }
    }

    /// The value of an expression.
    pub fn value(&self, p: &Pipeline, e: &PExpr, slots: &Slots) -> Value {
        self.evaluate(e, &|s| match &slots[s.index()] {
            Some(value) => value.clone(),
            None => panic!("`{}` is not bound in {}", p.vars[s.index()].name, self.plan.text(p)),
        })
    }

    /// The value of an expression over given slots.
    pub fn evaluate(&self, e: &PExpr, slot: &dyn Fn(Slot) -> Value) -> Value {
        let tuple = |slots: &[Slot]| match slots {
            [one] => slot(*one),
            all => Value::tuple(all.iter().map(|s| slot(*s))),
        };
        let e = match e {
            PExpr::Var(s) => return slot(*s),
            PExpr::Found(_, slots) => return Value::Option(Some(Box::new(tuple(slots)))),
            PExpr::Missing(_) => return Value::Option(None),
            PExpr::Rust(e) => e,
        };
        let mut values: Vec<Value> = e.vars.iter().map(|s| slot(*s)).collect();
        for (i, hole) in e.holes.iter().enumerate() {
            let all = |binding: &[Slot]| binding.iter().map(|s| slot(*s)).collect::<Vec<_>>();
            values.push(match hole {
                Hole::Lookup { rel, index, key } => {
                    let key: Vec<Value> = key.iter().map(|k| self.evaluate(k, slot)).collect();
                    let row = self.stores[rel.index()].probe(index.index(), &key).next();
                    Value::Option(row.map(|row| {
                        Box::new(match &row[key.len()..] {
                            [one] => one.clone(),
                            all => Value::tuple(all.iter().cloned()),
                        })
                    }))
                }
                Hole::Slot(s) => slot(*s),
                Hole::Unique { binding, route, .. } => {
                    let minter =
                        Minter::new(self.ids, self.node, self.incarnation, self.tick, self.args.seed);
                    let key = route.map(slot);
                    Value::Id(draw::unique(minter, e.expr.leaf, i, &all(binding), key.as_ref()))
                }
                Hole::Random { binding } => {
                    let drawn = draw::random(self.args.seed, e.expr.leaf, i, &all(binding));
                    Value::Int(i128::from(drawn))
                }
                Hole::NowMs => Value::Int(i128::from(self.args.now_ms)),
            });
        }
        let value = self.leaves.eval(e.expr.leaf.0, &values, &self.env);
        value.unwrap_or_else(|| panic!("{:?} cannot be evaluated on {values:?}", e.expr.tokens))
    }
}

impl<'e> Run<'e> {
    fn ops(&mut self, p: &Pipeline, at: usize, slots: &mut Slots) {
        match p.ops.get(at) {
            Some(op) => self.op(p, op, slots, &mut |run, slots| run.ops(p, at + 1, slots)),
            None => (0..p.tails.len()).for_each(|t| self.tail(p, t, 0, slots)),
        }
    }

    fn tail(&mut self, p: &Pipeline, t: usize, at: usize, slots: &mut Slots) {
        match p.tails[t].ops.get(at) {
            Some(op) => self.op(p, op, slots, &mut |run, slots| run.tail(p, t, at + 1, slots)),
            None => {
                let emitted = self.emitted(p, &p.tails[t].emit, slots);
                self.out.push((t, emitted));
            }
        }
    }

    fn op(&mut self, p: &Pipeline, op: &Op, slots: &mut Slots, go: &mut dyn FnMut(&mut Self, &mut Slots)) {
        match op {
            Op::Probe(access) => {
                let found = self.matches(p, access, slots);
                assert!(!access.unique || found.len() <= 1, "not unique: {}", self.exec.plan.text(p));
                let limit = if access.once { 1 } else { usize::MAX };
                found.into_iter().take(limit).for_each(|mut slots| go(self, &mut slots));
            }
            Op::Absent(access) => {
                if self.matches(p, access, slots).is_empty() {
                    go(self, slots);
                }
            }
            Op::If(e) => match self.exec.value(p, e, slots) {
                Value::Bool(true) => go(self, slots),
                Value::Bool(false) => {}
                other => panic!("`if` on {other:?}"),
            },
            Op::Let(col, e) => {
                let value = self.exec.value(p, e, slots);
                let mut slots = slots.clone();
                if self.exec.column(p, col, &value, &mut slots) {
                    go(self, &mut slots);
                }
            }
            Op::For(col, e) => {
                let Value::List(items) = self.exec.value(p, e, slots) else { panic!("`for` on no list") };
                for item in items.iter() {
                    let mut slots = slots.clone();
                    if self.exec.column(p, col, item, &mut slots) {
                        go(self, &mut slots);
                    }
                }
            }
        }
    }

    /// All ways in which an access can go on.
    fn matches(&self, p: &Pipeline, access: &Access, slots: &Slots) -> Vec<Slots> {
        let exec = self.exec;
        let store = &exec.stores[access.rel.index()];
        let index = &exec.plan.relation(access.rel).indexes[access.index.index()];
        let rows: Vec<&Row> = match access.version {
            Version::Now => {
                let key: Vec<Value> = (index.columns.iter())
                    .map(|c| match &access.cols[*c] {
                        Col::Check(e) => exec.value(p, e, slots),
                        other => panic!("column {c} of an index is {other:?}"),
                    })
                    .collect();
                exec.assert_probed(access.rel);
                store.probe(access.index.index(), &key).collect()
            }
            Version::Old => {
                assert!(index.old && exec.plan.relation(access.rel).track.old, "old is not kept");
                store.old().collect()
            }
            Version::New => {
                assert!(index.new && exec.plan.relation(access.rel).track.new, "news are not kept");
                store.news.iter().collect()
            }
            Version::Work => exec.work[&access.rel].iter().collect(),
        };
        let mut found = vec![];
        for row in rows {
            if access.exclude_start {
                let (rel, start) = self.start.expect("a pipeline that starts from a change");
                assert_eq!(rel, access.rel, "the start is of the same relation");
                if start == row {
                    continue;
                }
            }
            let mut slots = slots.clone();
            if exec.columns(p, &access.cols, row, &mut slots) {
                found.push(slots);
            }
        }
        found
    }

    fn emitted(&self, p: &Pipeline, emit: &Emit, slots: &Slots) -> Emitted {
        let one = |e: &PExpr| self.exec.value(p, e, slots);
        let all = |es: &[PExpr]| es.iter().map(one).collect::<Row>();
        let slot = |s: &Slot| slots[s.index()].clone().expect("bound");
        match emit {
            Emit::Row { rel, args } => Emitted::Row(*rel, all(args)),
            Emit::Contribute { rel, group, args, binding } => Emitted::Contribute(
                *rel,
                Contribution {
                    group: group.iter().map(slot).collect(),
                    args: args.iter().map(|a| all(a)).collect(),
                    binding: binding.iter().map(slot).collect(),
                },
            ),
            Emit::Next { rel, args } => Emitted::Next(*rel, all(args)),
            Emit::Delete { rel, index, args, .. } => {
                Emitted::Delete(*rel, *index, args.iter().map(|e| e.as_ref().map(one)).collect())
            }
            Emit::Send { rel, args, to } => Emitted::Send(*rel, all(args), one(to)),
            Emit::Reply { rel, req, args } => Emitted::Reply(*rel, one(req), all(args)),
            Emit::Refuse { rel, req, error } => Emitted::Refuse(*rel, one(req), one(error)),
            Emit::Redirect { rel, req, to } => Emitted::Redirect(*rel, one(req), one(to)),
        }
    }
}

/// The values that an index has under a pattern of a deletion.
pub fn delete_key(columns: &[usize], given: &[Option<Value>]) -> Vec<Value> {
    let row: Row = given.iter().map(|v| v.clone().unwrap_or(Value::Unit)).collect();
    project(&row, columns)
}
