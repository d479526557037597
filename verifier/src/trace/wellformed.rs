//! Whether a trace keeps the obligations of its writer.

use super::{Peer, Trace, What};
use std::collections::{BTreeMap, BTreeSet};

impl Trace {
    /// What is wrong with the trace itself, one sentence each; empty if nothing is. For those who write traces,
    /// and for reading files.
    pub fn problems(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut messages = BTreeSet::new();
        let mut cuts = BTreeSet::new();
        let mut open: BTreeMap<usize, u64> = BTreeMap::new();
        let mut last = 0;
        for (i, step) in self.steps.iter().enumerate() {
            let mut wrong = |what: String| found.push(format!("step {i}: {what}"));
            if step.time_us < last {
                wrong(format!("time falls from {last} to {}", step.time_us));
            }
            last = step.time_us;
            let peers: Vec<Peer> = match &step.what {
                What::Invoke { client, op, .. } => {
                    if open.insert(*client, *op).is_some() {
                        wrong(format!("client {client} asks before its last operation is closed"));
                    }
                    vec![Peer::Client(*client)]
                }
                What::Return { client, op, .. } => {
                    if open.remove(client) != Some(*op) {
                        wrong(format!("client {client} has not asked operation {op}"));
                    }
                    vec![Peer::Client(*client)]
                }
                What::Send { message, from, to, .. } => {
                    if !messages.insert(*message) {
                        wrong(format!("message {message} is sent twice"));
                    }
                    vec![*from, *to]
                }
                What::Duplicate { message, copy } => {
                    if !messages.contains(message) {
                        wrong(format!("message {message} was never sent"));
                    }
                    if !messages.insert(*copy) {
                        wrong(format!("message {copy} is sent twice"));
                    }
                    Vec::new()
                }
                What::Deliver { message } | What::Drop { message, .. } => {
                    if !messages.contains(message) {
                        wrong(format!("message {message} was never sent"));
                    }
                    Vec::new()
                }
                What::Cut { cut, from, to, .. } => {
                    if !cuts.insert(*cut) {
                        wrong(format!("cut {cut} begins twice"));
                    }
                    from.iter().chain(to).copied().collect()
                }
                What::Heal { cut } => {
                    if !cuts.contains(cut) {
                        wrong(format!("cut {cut} never began"));
                    }
                    Vec::new()
                }
                What::Tick(tick) => vec![Peer::Node(tick.node)],
                What::Fire { node, .. }
                | What::Crash { node, .. }
                | What::Restart { node, .. }
                | What::Append { node, .. }
                | What::Flush { node, .. }
                | What::Stable { node, .. } => vec![Peer::Node(*node)],
                What::Note { at, .. } => at.iter().copied().collect(),
                What::Violation { nodes, .. } => nodes.iter().map(|&n| Peer::Node(n)).collect(),
            };
            for peer in peers {
                match peer {
                    Peer::Node(n) if n >= self.nodes.len() => wrong(format!("there is no node {n}")),
                    Peer::Client(c) if c >= self.clients => wrong(format!("there is no client {c}")),
                    _ => {}
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use crate::trace::{Answer, Fact, NodeName, Peer, Step, TickStep, Trace, What};
    use anabranch_core::value::Value;

    fn sample() -> Trace {
        let (client, op) = (0, 7);
        let fact = Fact::new("commit", ["true"]);
        let step = |time_us, what| Step { time_us, what };
        let to = Peer::Node(0);
        Trace {
            protocol: "two_pc".into(),
            about: vec!["seed 1".into()],
            nodes: vec![NodeName { role: "coordinator".into(), instance: 0, partition: Some(1) }],
            clients: 1,
            steps: vec![
                step(1, What::Invoke { client, op, request: fact.clone(), args: Value::Bool(true) }),
                step(1, What::Send { message: 1, from: Peer::Client(0), to, fact: fact.clone() }),
                step(5, What::Deliver { message: 1 }),
                step(6, What::Tick(TickStep { inputs: vec![fact], ..TickStep::default() })),
                step(
                    9,
                    What::Return { client, op, answer: Answer::Ok { value: Value::Unit, text: "ok".into() } },
                ),
            ],
        }
    }

    #[test]
    fn a_trace_is_read_back() {
        let trace = sample();
        let text = trace.to_json();
        assert_eq!(Trace::from_json(&text).unwrap(), trace);
        assert_eq!(text.lines().count(), 2 + trace.steps.len(), "one step per line");
        assert_eq!(trace.problems(), [""; 0]);
        assert_eq!(trace.history().operations().unwrap()[0].to_string(), "[0] p0 commit(true) ok");
    }

    #[test]
    fn broken_traces_are_named() {
        let check = |change: &dyn Fn(&mut Trace), problem: &str| {
            let mut trace = sample();
            change(&mut trace);
            assert_eq!(trace.problems(), [problem]);
        };
        check(&|t| t.steps[3].time_us = 2, "step 3: time falls from 5 to 2");
        check(&|t| drop(t.steps.remove(0)), "step 3: client 0 has not asked operation 7");
        check(&|t| drop(t.steps.remove(1)), "step 1: message 1 was never sent");
        check(
            &|t| {
                t.nodes.clear();
                t.steps.truncate(2);
            },
            "step 1: there is no node 0",
        );
    }
}
