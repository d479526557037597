//! Runs in words.

use super::{Move, World};
use crate::engine::Row;
use anabranch_core::value::Value;
use anabranch_dsl::ir::{RelId, RoleId};
use std::fmt::Write;

impl World {
    /// A value with the names of roles.
    pub fn show(&self, value: &Value) -> String {
        let all = |items: &[Value]| items.iter().map(|v| self.show(v)).collect::<Vec<_>>().join(", ");
        match value {
            Value::Addr(role, instance) => {
                let role = &self.system.protocol.role(RoleId(u32::from(*role))).name;
                format!("{role}.{instance}")
            }
            Value::Tuple(items) => format!("({})", all(items)),
            Value::List(items) => format!("[{}]", all(items)),
            Value::Option(Some(item)) => format!("Some({})", self.show(item)),
            other => format!("{other:?}"),
        }
    }

    pub(crate) fn show_row(&self, rel: RelId, row: &Row) -> String {
        let values: Vec<String> = row.iter().map(|v| self.show(v)).collect();
        format!("{}({})", self.system.protocol.relation(rel).name, values.join(", "))
    }

    fn show_fact(&self, fact: u32) -> String {
        let fact = self.facts.get(fact);
        self.show_row(fact.rel, &fact.row)
    }

    /// What some moves do, one per line, from the first state.
    pub fn story(&mut self, moves: &[Move]) -> String {
        let mut out = String::new();
        let mut state = self.first();
        for (i, chosen) in moves.iter().enumerate() {
            let _ = write!(out, "{:3}. ", i + 1);
            match chosen {
                Move::Tick { node, flights, fired, crash, .. } => {
                    let name = self.system.node_name(*node);
                    let taken = flights.iter().map(|f| self.show_fact(self.messages.get(f.message).fact));
                    let fires = fired.iter().map(|f| format!("timer {}", self.show_fact(*f)));
                    let all: Vec<String> = taken.chain(fires).collect();
                    let what = if all.is_empty() {
                        "starts".to_string()
                    } else {
                        format!("takes {}", all.join(", "))
                    };
                    let _ = write!(out, "{name} {what}");
                    if let Some(k) = crash {
                        let _ = write!(out, " and crashes after tick {}", k + 1);
                    }
                    let _ = writeln!(out);
                }
                Move::Crash { node, lost } => {
                    let name = self.system.node_name(*node);
                    let lost = if *lost == 0 { "" } else { ", and answers on the way are lost" };
                    let _ = writeln!(out, "{name} crashes and restarts{lost}");
                }
                Move::GiveUp { client } => {
                    let _ = writeln!(out, "client.{client} gives up: the outcome is unknown");
                }
                Move::AskAgain { client, to } => {
                    let _ = writeln!(out, "client.{client} asks {} again", self.system.node_name(*to));
                }
            }
            let Some(moved) = self.make(&state, chosen) else {
                let _ = writeln!(out, "     which is not possible there");
                return out;
            };
            if let Some(step) = &moved.step {
                let ticks = match chosen {
                    Move::Tick { crash: Some(k), .. } => *k as usize + 1,
                    _ => step.ticks.len(),
                };
                for tick in &step.ticks[..ticks.min(step.ticks.len())] {
                    for message in &tick.sent {
                        let message = *self.messages.get(*message);
                        let (fact, to) = (self.show_fact(message.fact), self.system.node_name(message.to));
                        let _ = writeln!(out, "       sends {fact} to {to}");
                    }
                    for (client, op, answer) in &tick.answered {
                        let given = self.answers.get(*answer);
                        let values: Vec<String> = given.values.iter().map(|v| self.show(v)).collect();
                        let verb = if given.refused { "refuses" } else { "answers" };
                        let number = self.offsets[*client as usize] + *op as usize;
                        let _ = writeln!(
                            out,
                            "       {verb} #{number} of client.{client}: {}",
                            values.join(", ")
                        );
                    }
                    for (client, _, to) in &tick.redirected {
                        let _ =
                            writeln!(out, "       sends client.{client} to {}", self.system.node_name(*to));
                    }
                }
            }
            match moved.state {
                Ok(next) => state = next,
                Err(message) => {
                    let _ = writeln!(out, "       and breaks: {message}");
                    return out;
                }
            }
        }
        out
    }
}
