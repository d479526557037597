//! Checks that come with the simulator, beside a protocol's own properties.

use super::check::{Check, RunEnd};
use super::client::End;
use super::tester::CheckMaker;
use anabranch_core::value::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Atomic commitment, seen from outside: what was answered "committed" every node applies, what was answered
/// "aborted" none does, and of what nobody knows either all do or none.
///
/// Requests and applications are matched by a column (the payload), so the workload must not ask for the same
/// twice. Applications are durable events: they count once stable, and survive crashes.
pub struct AtomicCommit {
    request: &'static str,
    event: &'static str,
    column: usize,
    role: &'static str,
    applied: BTreeMap<Value, BTreeSet<u32>>,
}

impl AtomicCommit {
    /// For a request whose first argument is the payload and whose first answer column says whether it was
    /// committed; `event` has the payload in `column`, and is told by each instance of `role`.
    pub fn maker(
        request: &'static str,
        event: &'static str,
        column: usize,
        role: &'static str,
    ) -> CheckMaker {
        Arc::new(move || Box::new(AtomicCommit { request, event, column, role, applied: BTreeMap::new() }))
    }
}

impl Check for AtomicCommit {
    fn name(&self) -> &'static str {
        "atomic_commit"
    }

    fn rest_us(&self) -> u64 {
        30_000_000 // whoever is in doubt asks again within ten seconds, and may be unlucky
    }

    fn told(&mut self, node: u32, event: &str, row: &[Value]) {
        if event == self.event {
            self.applied.entry(row[self.column].clone()).or_default().insert(node);
        }
    }

    fn end(&mut self, end: &RunEnd<'_>) -> Result<(), String> {
        let none = BTreeSet::new();
        let role = end.shapes.roles().iter().position(|r| *r == self.role);
        let nodes = role.map_or(0, |role| end.plan.layout.roles[role].instances);
        for call in end.calls {
            if end.shapes.request(call.tag).name != self.request {
                continue;
            }
            let payload = end.args(call).remove(0);
            let by = self.applied.get(&payload).unwrap_or(&none).len() as u32;
            let said = match (&call.end, end.reply(call)) {
                (End::Ok(_), Some(reply)) => reply.first() == Some(&Value::Bool(true)),
                (End::Fail(_), _) => false,
                _ if by == 0 || by == nodes => continue,
                _ => {
                    return Err(format!(
                        "{payload:?} is applied by {by} of {} nodes, though nothing was in their way any more",
                        nodes
                    ));
                }
            };
            if said && by < nodes {
                return Err(format!(
                    "client.{} was told that {payload:?} is committed, but {by} of {} nodes applied it",
                    call.client, nodes
                ));
            }
            if !said && by > 0 {
                return Err(format!(
                    "client.{} was told that {payload:?} is aborted, but {by} of {} nodes applied it",
                    call.client, nodes
                ));
            }
        }
        Ok(())
    }
}
