//! Runs as traces, to be told and drawn.
//!
//! Time is a millisecond per move. A message that a crash put at risk and that nothing took afterwards is told
//! as lost in that crash.

use super::state::{Flight, State};
use super::{Move, World};
use crate::engine::{Facts, Input, Outcome, Row};
use crate::property::Violation;
use crate::trace::{Answer, Derived, Fact, NodeName, Peer, Reply, RuleRef, Step, TickStep, Trace, What};
use anabranch_core::value::Value;
use anabranch_dsl::ir::{Head, RelId, RelationKind, RoleId};
use std::collections::{BTreeMap, VecDeque};

/// A trace under way.
struct Writer {
    trace: Trace,
    time_us: u64,
    /// Numbers of messages in flight.
    numbers: BTreeMap<Flight, VecDeque<u64>>,
    next: u64,
    /// Messages at risk: the step of the crash after which they are lost if nothing takes them.
    risky: BTreeMap<u64, usize>,
    /// Incarnation and number of the next tick, by node.
    ticks: Vec<(u64, u64)>,
}

impl Writer {
    fn push(&mut self, what: What) {
        self.trace.steps.push(Step { time_us: self.time_us, what });
    }
}

impl World {
    /// A run as a trace; `violation` is told at its end.
    pub fn trace(&mut self, moves: &[Move], violation: Option<&Violation>) -> Trace {
        let nodes = self.seats.iter().map(|seat| NodeName {
            role: self.system.protocol.role(RoleId(u32::from(seat.role))).name.clone(),
            instance: seat.instance,
            partition: (self.system.layout.roles[usize::from(seat.role)].partitions > 1)
                .then_some(seat.partition),
        });
        let trace = Trace {
            protocol: self.system.protocol.name.clone(),
            about: vec!["explorer: one millisecond per move".into()],
            nodes: nodes.collect(),
            clients: self.calls.len(),
            steps: Vec::new(),
        };
        let ticks = vec![(1, 0); self.seats.len()];
        let mut writer =
            Writer { trace, time_us: 0, numbers: BTreeMap::new(), next: 1, risky: BTreeMap::new(), ticks };
        let mut state = self.first();
        for client in 0..self.calls.len() {
            self.tell_invoke(&mut writer, &state, client);
        }
        self.tell_asked(&mut writer, &state);
        for chosen in moves {
            writer.time_us += 1000;
            let Some(next) = self.tell(&mut writer, &state, chosen) else { break };
            state = next;
        }
        if let Some(violation) = violation {
            let seats: Vec<usize> = violation
                .witness
                .rows
                .iter()
                .filter_map(|held| self.seats.iter().position(|s| *s == held.seat))
                .collect();
            let facts = violation.witness.rows.iter().map(|held| self.fact(held.rel, &held.row)).collect();
            writer.push(What::Violation {
                property: violation.name.clone(),
                text: violation.message.clone(),
                nodes: seats,
                facts,
            });
        }
        // Insert from the back, so that earlier places stay right.
        let mut lost: Vec<(usize, u64)> = writer.risky.iter().map(|(m, step)| (*step, *m)).collect();
        lost.sort_unstable();
        for (place, message) in lost.into_iter().rev() {
            let time_us = writer.trace.steps[place].time_us;
            let what = What::Drop { message, why: "crash".into() };
            writer.trace.steps.insert(place + 1, Step { time_us, what });
        }
        writer.trace
    }

    fn fact(&self, rel: RelId, row: &Row) -> Fact {
        Fact::new(self.system.protocol.relation(rel).name.clone(), row.iter().map(|v| self.show(v)))
    }

    fn peer(&self, number: u32) -> Peer {
        match (number as usize).checked_sub(self.seats.len()) {
            Some(client) => Peer::Client(client),
            None => Peer::Node(number as usize),
        }
    }

    fn tell_invoke(&self, writer: &mut Writer, state: &State, client: usize) {
        let op = state.clients[client].op as usize;
        let Some((_, fact)) = self.calls[client].get(op) else { return };
        let fact = self.facts.get(*fact);
        let args = fact.row[1..].to_vec();
        let request = self.fact(fact.rel, &args);
        let args = match &args[..] {
            [] => Value::Unit,
            [one] => one.clone(),
            _ => Value::tuple(args),
        };
        let op = (self.offsets[client] + op) as u64;
        writer.push(What::Invoke { client, op, request, args });
    }

    /// Requests in flight that have no number yet were sent just now.
    fn tell_asked(&self, writer: &mut Writer, state: &State) {
        for flight in &state.net {
            let message = self.messages.get(flight.message);
            let there = state.net.iter().filter(|f| *f == flight).count();
            let known = writer.numbers.get(flight).map_or(0, VecDeque::len);
            if message.from >= self.seats.len() as u32 && known < there {
                self.tell_sent(writer, *flight);
            }
        }
    }

    fn tell_sent(&self, writer: &mut Writer, flight: Flight) -> u64 {
        let message = *self.messages.get(flight.message);
        let number = writer.next;
        writer.next += 1;
        writer.numbers.entry(flight).or_default().push_back(number);
        let fact = self.facts.get(message.fact);
        let fact = self.fact(fact.rel, &fact.row);
        writer.push(What::Send {
            message: number,
            from: self.peer(message.from),
            to: self.peer(message.to),
            fact,
        });
        number
    }

    /// Tells one move; `None` if the run ends with it.
    fn tell(&mut self, writer: &mut Writer, state: &State, chosen: &Move) -> Option<State> {
        let moved = self.make(state, chosen)?;
        let mut told: Vec<(u32, u32, u32)> = Vec::new();
        if let Move::Tick { node, flights, fired, choice, crash } = chosen {
            for flight in flights {
                let number = writer.numbers.get_mut(flight).and_then(VecDeque::pop_front);
                if let Some(message) = number {
                    writer.risky.remove(&message);
                    writer.push(What::Deliver { message });
                }
            }
            for row in fired {
                let timer = self.facts.get(*row);
                let timer = self.fact(timer.rel, &timer.row);
                writer.push(What::Fire { node: *node as usize, timer });
            }
            let given = self.given_of(state, *node, flights, fired, *choice);
            let mut seen: Vec<(Input, Outcome)> = Vec::new();
            let step = self.run(&given, &mut |input, outcome| seen.push((input.clone(), outcome.clone())));
            let ticks = crash.map_or(step.ticks.len(), |k| k as usize + 1);
            let mut before = self.locals.resting(state.locals[*node as usize], &self.facts);
            for (i, (out, (input, outcome))) in step.ticks.iter().zip(&seen).take(ticks).enumerate() {
                let place = writer.trace.steps.len();
                let sends: Vec<u64> = out
                    .sent
                    .iter()
                    .map(|message| self.tell_sent(writer, Flight { message: *message, risk: false }))
                    .collect();
                told.extend(&out.answered);
                let tick = self.tick_step(writer, *node as usize, i > 0, &before, input, outcome, sends);
                // The tick comes before what it sends.
                let time_us = writer.time_us;
                writer.trace.steps.insert(place, Step { time_us, what: What::Tick(tick) });
                before = self.state_rows(&outcome.facts);
            }
        }
        let next = match moved.state {
            Ok(next) => next,
            Err(message) => {
                let nodes = chosen.node().map(|n| n as usize).into_iter().collect();
                writer.push(What::Violation {
                    property: "broken".into(),
                    text: message,
                    nodes,
                    facts: vec![],
                });
                return None;
            }
        };
        self.tell_crash(writer, state, chosen);
        if let Move::GiveUp { client } = chosen {
            let op = (self.offsets[*client as usize] + state.clients[*client as usize].op as usize) as u64;
            let answer = Answer::Unknown { error: "the connection broke".into() };
            writer.push(What::Return { client: *client as usize, op, answer });
        }
        for client in 0..self.calls.len() {
            let (was, is) = (state.clients[client].op, next.clients[client].op);
            if was == is {
                continue;
            }
            let mine = told.iter().find(|(c, op, _)| *c as usize == client && *op == was);
            if let Some((_, _, answer)) = mine {
                let given = self.answers.get(*answer);
                let text = given.values.iter().map(|v| self.show(v)).collect::<Vec<_>>().join(", ");
                let value = match &given.values[..] {
                    [] => Value::Unit,
                    [one] => one.clone(),
                    all => Value::tuple(all.iter().cloned()),
                };
                let answer =
                    if given.refused { Answer::Fail { error: text } } else { Answer::Ok { value, text } };
                let op = (self.offsets[client] + was as usize) as u64;
                writer.push(What::Return { client, op, answer });
            }
            self.tell_invoke(writer, &next, client);
        }
        self.tell_asked(writer, &next);
        Some(next)
    }

    fn tell_crash(&self, writer: &mut Writer, state: &State, chosen: &Move) {
        if !chosen.is_fault() {
            return;
        }
        let Some(node) = chosen.node() else { return };
        let place = writer.trace.steps.len();
        let group = &self.fates[node as usize];
        for member in group {
            let incarnation = writer.ticks[*member].0;
            writer.push(What::Crash { node: *member, incarnation, lost: Vec::new() });
        }
        for member in group {
            writer.ticks[*member] = (writer.ticks[*member].0 + 1, 0);
            let incarnation = writer.ticks[*member].0;
            let crashed = self.locals.key(state.locals[*member]);
            let durable = crashed.rows.iter().map(|f| self.facts.get(*f));
            let durable = durable.filter(|f| self.system.protocol.relation(f.rel).durable);
            let durable = durable.map(|f| self.fact(f.rel, &f.row)).collect();
            writer.push(What::Restart { node: *member, incarnation, durable });
        }
        let hit = |n: u32| group.contains(&(n as usize));
        let flights: Vec<Flight> = writer.numbers.keys().copied().filter(|f| !f.risk).collect();
        for flight in flights {
            let message = self.messages.get(flight.message);
            let logged = self.system.protocol.relation(self.facts.get(message.fact).rel).delivery.logged;
            if !(hit(message.from) || hit(message.to)) || logged {
                continue;
            }
            let numbers = writer.numbers.remove(&flight).unwrap_or_default();
            writer.risky.extend(numbers.iter().map(|n| (*n, place)));
            writer.numbers.entry(Flight { risk: true, ..flight }).or_default().extend(numbers);
        }
        if let Move::Crash { lost, .. } = chosen
            && *lost != 0
        {
            let text = "answers that were on the way are lost".into();
            writer.push(What::Note { at: Some(Peer::Node(node as usize)), text });
        }
    }

    /// State relations alone.
    fn state_rows(&self, facts: &Facts) -> Facts {
        let state = |rel: &RelId| !self.system.protocol.relation(*rel).is_event();
        facts.iter().filter(|(rel, _)| state(rel)).map(|(rel, rows)| (*rel, rows.clone())).collect()
    }

    #[allow(clippy::too_many_arguments)]
    fn tick_step(
        &self,
        writer: &mut Writer,
        node: usize,
        deferred: bool,
        before: &Facts,
        input: &Input,
        outcome: &Outcome,
        sends: Vec<u64>,
    ) -> TickStep {
        let (incarnation, tick) = writer.ticks[node];
        writer.ticks[node].1 += 1;
        let inputs = input.arrived.iter().chain(&input.fired);
        let inputs = inputs.flat_map(|(rel, rows)| rows.iter().map(|row| self.fact(*rel, row))).collect();
        let none = Default::default();
        let mut derived = Vec::new();
        for (rel, rows) in &outcome.facts {
            let given = input.arrived.get(rel).or(input.fired.get(rel)).unwrap_or(&none);
            let old = before.get(rel).unwrap_or(&none);
            for row in rows.iter().filter(|row| !given.contains(*row) && !old.contains(*row)) {
                derived.push(Derived { fact: self.fact(*rel, row), rules: self.only_rule(*rel) });
            }
        }
        let now = self.state_rows(&outcome.facts);
        let gone = before.iter().flat_map(|(rel, rows)| {
            let left = now.get(rel);
            let gone = rows.iter().filter(move |row| left.is_none_or(|left| !left.contains(*row)));
            gone.map(|row| self.fact(*rel, row))
        });
        let replies = outcome.answered.iter().map(|answered| {
            let client = (answered.req.session as usize).checked_sub(1);
            let op =
                client.and_then(|c| self.offsets.get(c)).map(|first| *first as u64 + answered.req.number - 1);
            let values = |row: &Row| row.iter().map(|v| self.show(v)).collect::<Vec<_>>().join(", ");
            let name = &self.system.protocol.relation(answered.rel).name;
            let text = match &answered.answer {
                crate::engine::Answer::Reply(row) => format!("{name}({})", values(row)),
                crate::engine::Answer::Refuse(error) => format!("refused: {}", self.show(error)),
                crate::engine::Answer::Redirect(to) => format!("redirect to instance {to}"),
            };
            Reply { op, text }
        });
        TickStep {
            node,
            incarnation,
            tick,
            deferred,
            inputs,
            derived,
            gone: gone.collect(),
            kept: Vec::new(),
            sends,
            replies: replies.collect(),
        }
    }

    /// The rule that derives a relation, if there is only one.
    fn only_rule(&self, rel: RelId) -> Vec<RuleRef> {
        let p = &self.system.protocol;
        if matches!(p.relation(rel).kind, RelationKind::Start) {
            return Vec::new();
        }
        let writes = |head: &Head| match head {
            Head::Now { rel: head, .. } | Head::Next { rel: head, .. } => *head == rel,
            _ => false,
        };
        let mut rules = p.rules.iter().filter(|r| writes(&r.head));
        match (rules.next(), rules.next()) {
            (Some(rule), None) => {
                let text = format!("{} <= …", p.relation(rel).name);
                vec![RuleRef { place: format!("{:?}", rule.place), text }]
            }
            _ => Vec::new(),
        }
    }
}
