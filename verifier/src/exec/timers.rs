//! Timers: rows that wait, kept by the net changes of their views.

use super::Exec;
use crate::draw;
use crate::engine::{Facts, Row, Waiting};
use anabranch_core::value::Value;
use anabranch_dsl::ir::{Delay, RelId, RelationKind, Schedule};
use anabranch_dsl::plan::{Class, InputKind};
use std::collections::{BTreeMap, BTreeSet};

/// The rows of all timers that hold.
#[derive(Clone, Debug, Default)]
pub struct Waits(BTreeMap<(RelId, Row), Wait>);

#[derive(Clone, Debug)]
struct Wait {
    /// `None`: fired once and for all.
    due_ms: Option<u64>,
    delay_ms: u64,
}

impl Exec {
    /// Of the rows that are to fire, those that hold and wait.
    pub fn accept(&self, fired: &Facts) -> Facts {
        let mut accepted = Facts::new();
        for (timer, rows) in fired {
            let Some(rel) = self.rel(*timer) else { continue };
            let Class::Input(InputKind::Timer { rows: view }) = self.plan.relation(rel).class else {
                continue;
            };
            let holds = &self.stores[view.index()].rows;
            for row in rows.intersection(holds) {
                let wait = self.waits.0.get(&(*timer, row.clone()));
                if wait.is_some_and(|w| w.due_ms.is_some()) {
                    accepted.entry(*timer).or_default().insert(row.clone());
                }
            }
        }
        accepted
    }

    /// At the end of a tick: rows begin and cease to wait by the net changes; rows that fired wait anew.
    pub fn settle(&mut self, accepted: &Facts) -> BTreeSet<Waiting> {
        let plan = self.plan.clone();
        for relation in &plan.relations {
            let (Class::Input(InputKind::Timer { rows: view }), Some(id)) =
                (&relation.class, relation.source)
            else {
                continue;
            };
            let protocol = self.protocol.clone();
            let RelationKind::Timer(timer) = &protocol.relation(id).kind else { panic!("a timer") };
            let (first, to, jitter) = match &timer.schedule {
                Schedule::After { delay, jitter } => (self.ms(delay), None, jitter),
                Schedule::Every { from, to, jitter } => {
                    (self.ms(from), Some(self.ms(to.as_ref().unwrap_or(from))), jitter)
                }
            };
            let jitter = jitter.as_ref().map(|j| self.ms(j));
            let args = self.args;
            let start = |row: &Row, delay_ms: u64| {
                let extra = jitter.map_or(0, |j| draw::hash(row, args.seed) % (j + 1));
                Wait { due_ms: Some(args.now_ms + delay_ms + extra), delay_ms }
            };
            let store = &mut self.stores[view.index()];
            for row in std::mem::take(&mut store.stopped) {
                self.waits.0.remove(&(id, row));
            }
            for row in accepted.get(&id).into_iter().flatten() {
                if let Some(wait) = self.waits.0.get_mut(&(id, row.clone())) {
                    *wait = match to {
                        None => Wait { due_ms: None, ..wait.clone() },
                        Some(to) => start(row, (wait.delay_ms * 2).min(to)),
                    };
                }
            }
            for row in std::mem::take(&mut store.started) {
                let wait = start(&row, first);
                self.waits.0.insert((id, row), wait);
            }
        }
        let waiting = |((timer, row), wait): (&(RelId, Row), &Wait)| {
            Some(Waiting { timer: *timer, row: row.clone(), due_ms: wait.due_ms? })
        };
        self.waits.0.iter().filter_map(waiting).collect()
    }

    fn ms(&self, delay: &Delay) -> u64 {
        match delay {
            Delay::Millis(ms) => *ms,
            Delay::Param(name) => match &self.env.params[name] {
                Value::Int(ms) => *ms as u64,
                other => panic!("the parameter `{name}` is {other:?}, not a duration"),
            },
        }
    }
}
