//! *Now*, and views over given tables.

use super::Program;
use super::body::{Moment, Versions, World};
use super::machines::MachineState;
use super::table::{Conflict, key_of};
use crate::engine::{Facts, Row, endless};
use anabranch_core::node::{Broken, TickArgs};
use anabranch_core::value::Value;
use anabranch_dsl::ir::*;
use std::collections::BTreeMap;

/// Who put a row under a key first, for messages.
type Origins = BTreeMap<(RelId, Vec<Value>), String>;

impl Program {
    /// The fixpoint of before's tables, the tick's events and the `<=` rules. In each stratum all rules are
    /// evaluated again and again until nothing changes; what they read strictly is in lower strata, hence final.
    pub fn fixpoint(
        &self,
        events: &Facts,
        versions: &Versions<'_>,
        machines: &BTreeMap<MachineId, MachineState>,
        moment: Moment,
    ) -> Result<Facts, Broken> {
        let mut now = self.instances();
        now.extend(self.tables_of(versions.before));
        let mut origins = Origins::new();
        for (rel, rows) in events {
            for row in rows {
                self.put(&mut now, *rel, row.clone(), "what arrived or was scheduled", &mut origins)?;
            }
        }
        for stratum in &self.strata {
            self.give_outputs(&stratum.outputs, machines, &mut now)?;
            loop {
                let mut changed = false;
                for id in &stratum.rules {
                    let rule = &self.protocol.rules[id.index()];
                    let Head::Now { rel, args } = &rule.head else { continue };
                    let exprs: Vec<Option<&Expr>> = args.iter().map(Some).collect();
                    let world = World {
                        now: &now,
                        before: versions.before,
                        last: versions.last,
                        kept: versions.kept,
                    };
                    for row in self.head_rows(rule, &exprs, &world, moment) {
                        let row = row.into_iter().map(|v| v.expect("no `_` in this head")).collect();
                        let origin = format!("the rule at {:?}", rule.place);
                        changed |= self.put(&mut now, *rel, row, &origin, &mut origins)?;
                    }
                }
                if !changed {
                    break;
                }
            }
        }
        Ok(now)
    }

    /// Inserts, and breaks on a second value for a key.
    fn put(
        &self,
        now: &mut Facts,
        rel: RelId,
        row: Row,
        origin: &str,
        origins: &mut Origins,
    ) -> Result<bool, Broken> {
        let relation = self.protocol.relation(rel);
        let key = key_of(relation, &row);
        match self.insert(now, rel, row.clone()) {
            Ok(changed) => {
                if now[&rel].len() > self.bound {
                    return Err(endless(&relation.name, self.bound));
                }
                if changed {
                    origins.entry((rel, key)).or_insert_with(|| origin.to_string());
                }
                Ok(changed)
            }
            Err(Conflict(other)) => {
                let first = origins.get(&(rel, key)).map_or("an earlier tick", String::as_str);
                let name = &relation.name;
                let message =
                    format!("two values for a key of `{name}`: {other:?} by {first}, {row:?} by {origin}");
                Err(Broken { message })
            }
        }
    }

    /// A whole state from its tables: views evaluated over them, machines' `next`, and instances. Keys of views are
    /// not enforced here: where rows stand between two ticks, nobody looks at them.
    pub fn state(&self, tables: Facts, machines: &BTreeMap<MachineId, MachineState>) -> Facts {
        let mut state = self.instances();
        state.extend(tables);
        for (id, machine) in machines {
            let next = self.protocol.machines[id.index()].next;
            state.insert(next, [vec![Value::Int(i128::from(machine.next))]].into());
        }
        let none = Facts::new();
        let moment = Moment { args: TickArgs { now_ms: 0, seed: 0 }, incarnation: 0, tick: 0 };
        for stratum in &self.strata {
            loop {
                let mut changed = false;
                for id in &stratum.rules {
                    let rule = &self.protocol.rules[id.index()];
                    let Head::Now { rel, args } = &rule.head else { continue };
                    if self.protocol.relation(*rel).kind != RelationKind::View {
                        continue;
                    }
                    let exprs: Vec<Option<&Expr>> = args.iter().map(Some).collect();
                    let world = World { now: &state, before: &none, last: &none, kept: &none };
                    for row in self.head_rows(rule, &exprs, &world, moment) {
                        let row = row.into_iter().map(|v| v.expect("no `_` in this head")).collect();
                        changed |= state.entry(*rel).or_default().insert(row);
                    }
                }
                if !changed {
                    break;
                }
            }
        }
        state
    }
}
