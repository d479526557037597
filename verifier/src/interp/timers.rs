//! Timers: which rows wait, and since when.

use super::Program;
use super::body::{Moment, World};
use crate::draw;
use crate::engine::{Facts, Row, Waiting};
use anabranch_core::node::TickArgs;
use anabranch_core::value::Value;
use anabranch_dsl::ir::*;
use std::collections::{BTreeMap, BTreeSet};

/// The rows of all timers that hold.
#[derive(Clone, Debug, Default)]
pub struct Waits(BTreeMap<(RelId, Row), Wait>);

#[derive(Clone, Debug)]
struct Wait {
    /// When it is due; `None` if it has fired once and for all.
    due_ms: Option<u64>,
    /// The delay that it waits, without jitter.
    delay_ms: u64,
}

impl Waits {
    /// Of the rows that are to fire, those that wait. They hold as the tick begins, since it was at the end of
    /// the last one that this was looked at.
    pub fn accept(&self, fired: &Facts) -> Facts {
        let waits =
            |rel: &RelId, row: &&Row| self.0.get(&(*rel, (*row).clone())).is_some_and(|w| w.due_ms.is_some());
        fired
            .iter()
            .map(|(rel, rows)| (*rel, rows.iter().filter(|row| waits(rel, row)).cloned().collect()))
            .collect()
    }

    /// At the end of a tick: rows that no longer hold are dropped, new ones begin to wait, repeated ones that
    /// fired in this tick wait anew with twice the delay. Returns who waits.
    pub fn settle(
        &mut self,
        program: &Program,
        after: &Facts,
        fired: &Facts,
        args: TickArgs,
    ) -> BTreeSet<Waiting> {
        let fired = self.accept(fired);
        let mut waits = BTreeMap::new();
        for (id, relation) in program.relations() {
            let RelationKind::Timer(timer) = &relation.kind else { continue };
            let ms = |delay: &Delay| match delay {
                Delay::Millis(ms) => *ms,
                Delay::Param(name) => match &program.env.params[name] {
                    Value::Int(ms) => *ms as u64,
                    other => panic!("the parameter `{name}` is {other:?}, not a duration"),
                },
            };
            let (first, jitter) = match &timer.schedule {
                Schedule::After { delay, jitter } => (ms(delay), jitter),
                Schedule::Every { from, jitter, .. } => (ms(from), jitter),
            };
            for row in program.timer_rows(relation, timer, after) {
                let key = (id, row);
                let jitter = jitter.as_ref().map_or(0, |j| draw::hash(&key.1, args.seed) % (ms(j) + 1));
                let start = |delay_ms| Wait { due_ms: Some(args.now_ms + delay_ms + jitter), delay_ms };
                let has_fired = fired.get(&id).is_some_and(|rows| rows.contains(&key.1));
                let wait = match (self.0.get(&key), &timer.schedule) {
                    (None, _) => start(first),
                    (Some(wait), Schedule::After { .. }) if has_fired => {
                        Wait { due_ms: None, ..wait.clone() }
                    }
                    (Some(wait), Schedule::Every { from, to, .. }) if has_fired => {
                        start((wait.delay_ms * 2).min(ms(to.as_ref().unwrap_or(from))))
                    }
                    (Some(wait), _) => wait.clone(),
                };
                waits.insert(key, wait);
            }
        }
        self.0 = waits;
        let waiting = |((timer, row), wait): (&(RelId, Row), &Wait)| {
            Some(Waiting { timer: *timer, row: row.clone(), due_ms: wait.due_ms? })
        };
        self.0.iter().filter_map(waiting).collect()
    }
}

impl Program {
    /// The rows of a timer that hold in a state: its `while` projected on its columns, or the one row.
    fn timer_rows(&self, relation: &Relation, timer: &Timer, state: &Facts) -> BTreeSet<Row> {
        let none = Facts::new();
        let world = World { now: state, before: &none, last: &none, kept: &none };
        let moment = Moment { args: TickArgs { now_ms: 0, seed: 0 }, incarnation: 0, tick: 0 };
        let found = self.solve(&timer.rows, &world, moment);
        let value = |b: &super::body::Binding<'_>, c: &Column| {
            b.get(&c.name)
                .cloned()
                .unwrap_or_else(|| panic!("column `{}` of timer `{}`", c.name, relation.name))
        };
        found.iter().map(|b| relation.columns.iter().map(|c| value(b, c)).collect()).collect()
    }
}
