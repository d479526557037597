//! Telling a run: the world's events as a [`Trace`], in the protocol's own words.
//!
//! Kept apart from the world, which calls it at a few places and otherwise runs as if nobody listened. Messages
//! travel in frames; here each has a number of its own, found again by its bytes (of two equal ones the earlier).

use super::Violation;
use super::client::{Call, End, answer};
use super::plan::Plan;
use super::shapes::{Shapes, single};
use super::world::World;
use crate::trace::{Answer, Derived, Fact, NodeName, Peer, Reply, RuleRef, Step, TickStep, Trace, What};
use anabranch_core::data::Schema;
use anabranch_core::node::{self, NodeIndex, Protocol};
use anabranch_core::session::frame::{self, Kind as FrameKind};
use anabranch_core::value::Value;
use anabranch_core::wire::Reader;
use anabranch_dsl::ir;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Writes a trace.
pub(super) struct Teller {
    ir: Arc<ir::Protocol>,
    trace: Trace,
    next: u64,
    /// Messages between two places that have not arrived, in order of sending.
    pending: BTreeMap<(u32, u32), Vec<Pending>>,
    /// The last number under which some bytes arrived: for copies.
    arrived: BTreeMap<(u32, u32, Vec<u8>), u64>,
    /// Requests and answers under way: by client, number, node, and whether it is the answer.
    calls: BTreeMap<(u32, u64, u32, bool), u64>,
    nodes: Vec<Told>,
    /// By role and name: columns of state relations, messages and requests.
    columns: BTreeMap<(u16, String), Vec<Schema>>,
    /// When nodes crashed.
    crashes: Vec<(u64, u32)>,
    sent_at: BTreeMap<u64, (u64, u32, u32)>,
    time_us: u64,
}

struct Pending {
    number: u64,
    bytes: Vec<u8>,
    fact: Fact,
    sent: bool,
}

/// What was told of a node.
#[derive(Default)]
struct Told {
    incarnation: u64,
    tick: u64,
    inputs: Vec<Fact>,
    last: BTreeMap<&'static str, Vec<Value>>,
}

impl Teller {
    pub fn new(protocol: &'static dyn Protocol, ir: &Arc<ir::Protocol>, plan: &Plan) -> Teller {
        let layout = &plan.layout;
        let nodes = (0..layout.nodes()).filter_map(|n| layout.seat(NodeIndex(n)));
        let nodes: Vec<NodeName> = nodes
            .map(|seat| NodeName {
                role: protocol.roles()[usize::from(seat.role)].to_string(),
                instance: seat.instance,
                partition: (layout.roles[usize::from(seat.role)].partitions > 1).then_some(seat.partition),
            })
            .collect();
        let mut columns = BTreeMap::new();
        let only = |c: Vec<(&str, Schema)>| c.into_iter().map(|c| c.1).collect::<Vec<_>>();
        for t in protocol.tables() {
            columns.insert((t.role, t.name.to_string()), only(t.columns));
        }
        for m in protocol.messages() {
            columns.insert((m.role, m.name.to_string()), only(m.columns));
        }
        for r in protocol.requests() {
            let mut all = vec![Schema::Req];
            all.extend(only(r.args));
            columns.insert((r.role, r.name.to_string()), all);
        }
        let told = nodes.iter().map(|_| Told::default()).collect();
        let about = vec![format!("seed {}", plan.seed)];
        let trace = Trace {
            protocol: protocol.name().to_string(),
            about,
            nodes,
            clients: plan.clients.len(),
            steps: Vec::new(),
        };
        Teller {
            ir: ir.clone(),
            trace,
            next: 0,
            pending: BTreeMap::new(),
            arrived: BTreeMap::new(),
            calls: BTreeMap::new(),
            nodes: told,
            columns,
            crashes: Vec::new(),
            sent_at: BTreeMap::new(),
            time_us: 0,
        }
    }

    fn step(&mut self, what: What) {
        self.trace.steps.push(Step { time_us: self.time_us, what });
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn peer(&self, place: u32) -> Peer {
        match (place as usize).checked_sub(self.trace.nodes.len()) {
            None => Peer::Node(place as usize),
            Some(client) => Peer::Client(client),
        }
    }

    fn send(&mut self, number: u64, from: u32, to: u32, fact: Fact) {
        self.sent_at.insert(number, (self.time_us, from, to));
        let (from, to) = (self.peer(from), self.peer(to));
        self.step(What::Send { message: number, from, to, fact });
    }

    fn deliver(&mut self, number: u64) {
        self.sent_at.remove(&number);
        self.step(What::Deliver { message: number });
    }

    /// The rules that may have derived a relation's facts.
    fn rules(&self, role: u16, name: &str) -> Vec<RuleRef> {
        let ir = &self.ir;
        let own = |r: &ir::Relation| r.name == name && r.role.is_some_and(|r| r.0 == u32::from(role));
        let Some(rel) = ir.relations.iter().position(own) else { return Vec::new() };
        let writes = |rule: &&ir::Rule| match &rule.head {
            ir::Head::Now { rel: head, .. } | ir::Head::Next { rel: head, .. } => head.index() == rel,
            _ => false,
        };
        ir.rules.iter().filter(writes).map(|rule| self.rule(rule)).collect()
    }

    fn rule(&self, rule: &ir::Rule) -> RuleRef {
        let place = format!("{}:{}", ir_name(&self.ir), rule.place.0.start().line);
        RuleRef { place, text: anabranch_dsl::print::rule_text(&self.ir, rule) }
    }

    /// Ends the trace: what never arrived was lost when one of its ends crashed.
    pub fn finish(mut self) -> Trace {
        let mut drops = Vec::new();
        for (&number, &(at, from, to)) in &self.sent_at {
            let crash = self.crashes.iter().find(|&&(when, node)| when >= at && (node == from || node == to));
            if let Some(&(when, _)) = crash {
                drops.push(Step { time_us: when, what: What::Drop { message: number, why: "crash".into() } });
            }
        }
        for drop in drops {
            let at = self.trace.steps.partition_point(|step| step.time_us <= drop.time_us);
            self.trace.steps.insert(at, drop);
        }
        self.trace
    }
}

fn ir_name(ir: &ir::Protocol) -> &str {
    &ir.name
}

/// A value as text, with the names of roles.
fn show(schema: Option<&Schema>, value: &Value, roles: &[&str]) -> String {
    match (schema, value) {
        (_, Value::Id(_) | Value::Req(_)) => format!("{value:?}"),
        (Some(schema), _) => schema.print(value, roles),
        (None, Value::Addr(role, instance)) => {
            format!("{}.{instance}", roles.get(usize::from(*role)).copied().unwrap_or("?"))
        }
        (None, Value::Tuple(items)) => {
            let items: Vec<String> = items.iter().map(|v| show(None, v, roles)).collect();
            format!("({})", items.join(", "))
        }
        (None, other) => format!("{other:?}"),
    }
}

fn fact(name: &str, columns: Option<&Vec<Schema>>, row: &[Value], roles: &[&str]) -> Fact {
    let text = |(i, value): (usize, &Value)| show(columns.and_then(|c| c.get(i)), value, roles);
    Fact::new(name, row.iter().enumerate().map(text))
}

fn row_of(value: &Value) -> &[Value] {
    match value {
        Value::Tuple(items) => items,
        Value::Unit => &[],
        other => std::slice::from_ref(other),
    }
}

impl World<'_> {
    fn teller(&mut self) -> Option<(&mut Teller, &Shapes)> {
        let now = self.now_us;
        let shapes = self.shapes;
        self.teller.as_mut().map(|teller| {
            teller.time_us = now;
            (teller, shapes)
        })
    }

    pub(super) fn tell_note(&mut self, text: String) {
        if let Some((teller, _)) = self.teller() {
            teller.step(What::Note { at: None, text });
        }
    }

    pub(super) fn tell_start(&mut self, node: u32, incarnation: u64) {
        let durable: Vec<(&'static str, Vec<Value>)> = match (&self.teller, &self.hosts[node as usize].life) {
            (Some(_), Some(life)) if incarnation > 1 => {
                let role = self.plan.layout.seat(NodeIndex(node)).map_or(0, |seat| seat.role);
                let tables = self.protocol.tables().into_iter().filter(|t| t.durable && t.role == role);
                tables.filter_map(|t| Some((t.name, life.node.rows(t.name)?))).collect()
            }
            _ => Vec::new(),
        };
        let role = self.plan.layout.seat(NodeIndex(node)).map_or(0, |seat| seat.role);
        let Some((teller, shapes)) = self.teller() else { return };
        teller.nodes[node as usize] = Told { incarnation, ..Told::default() };
        if incarnation > 1 {
            let mut facts = Vec::new();
            for (name, rows) in &durable {
                let columns = teller.columns.get(&(role, name.to_string()));
                facts.extend(rows.iter().map(|row| fact(name, columns, row_of(row), shapes.roles())));
            }
            teller.step(What::Restart { node: node as usize, incarnation, durable: facts });
        }
    }

    pub(super) fn tell_crash(&mut self, node: u32, incarnation: u64, held: usize) {
        let Some((teller, _)) = self.teller() else { return };
        let lost = if held > 0 {
            vec![format!("outputs of {held} rounds that waited for the log")]
        } else {
            Vec::new()
        };
        teller.crashes.push((teller.time_us, node));
        for ((from, _), pending) in &mut teller.pending {
            if *from == node {
                pending.retain(|p| p.sent);
            }
        }
        teller.step(What::Crash { node: node as usize, incarnation, lost });
    }

    pub(super) fn tell_tick(&mut self, node: u32, deferred: bool) {
        if self.teller.is_none() {
            return;
        }
        let seat = self.plan.layout.seat(NodeIndex(node)).expect("a node of the layout");
        let host = &self.hosts[node as usize];
        let Some(life) = &host.life else { return };
        let facts = life.node.facts();
        let out = host.outbox();
        let mut sent = Vec::new();
        for to in &out.dirty {
            let mut start = 0;
            let batch = &out.batches[to.0 as usize];
            for &end in &batch.ends {
                sent.push((to.0, batch.bytes[start..end as usize].to_vec()));
                start = end as usize;
            }
        }
        let replies = out.replies.clone();
        let sessions: Vec<u64> = self.clients.iter().map(|c| c.session).collect();
        let states: BTreeSet<&'static str> =
            self.protocol.tables().into_iter().filter(|t| t.role == seat.role).map(|t| t.name).collect();
        let Some((teller, shapes)) = self.teller() else { return };
        let roles = shapes.roles();
        let mut sends = Vec::new();
        for (to, bytes) in sent {
            let number = teller.number();
            let mut input = Reader::new(&bytes);
            let fact = match shapes.message(&mut input) {
                Ok((info, row)) => {
                    let schemas: Vec<Schema> = info.columns.iter().map(|c| c.1.clone()).collect();
                    fact(info.name, Some(&schemas), &row, roles)
                }
                Err(_) => Fact::new("?", [""; 0]),
            };
            sends.push(number);
            if to == node {
                teller.send(number, node, node, fact.clone());
            }
            let pending = Pending { number, bytes, fact, sent: to == node };
            teller.pending.entry((node, to)).or_default().push(pending);
        }
        let replies = replies
            .iter()
            .map(|reply| {
                let name = shapes.request(reply.request).name;
                let text = match &reply.answer {
                    node::Answer::Reply(bytes) => {
                        let values = shapes.reply(reply.request, bytes);
                        let columns = &shapes.request(reply.request).reply;
                        format!("{name}({})", shapes.texts(columns, &values).join(", "))
                    }
                    node::Answer::Refuse(bytes) => shapes.refusal(reply.request, bytes),
                    node::Answer::Redirect(to) => format!("redirect to instance {to}"),
                };
                let client = sessions.iter().position(|s| *s == reply.req.session);
                Reply { op: client.map(|c| op(c as u32, reply.req.number)), text }
            })
            .collect();
        let told = &mut teller.nodes[node as usize];
        let inputs = std::mem::take(&mut told.inputs);
        let (incarnation, tick) = (told.incarnation, told.tick);
        told.tick += 1;
        let last = std::mem::replace(&mut told.last, facts.clone());
        let mut derived = Vec::new();
        let mut gone = Vec::new();
        let arrived: BTreeSet<String> = inputs.iter().map(|f| f.relation.clone()).collect();
        let none = Vec::new();
        for (name, rows) in &facts {
            let before = last.get(name).unwrap_or(&none);
            let state = states.contains(name);
            let columns = teller.columns.get(&(seat.role, name.to_string()));
            let rules = if arrived.contains(*name) { Vec::new() } else { teller.rules(seat.role, name) };
            for row in rows {
                let fresh = !state || before.binary_search(row).is_err();
                if fresh && !arrived.contains(*name) {
                    let fact = fact(name, columns, row_of(row), roles);
                    derived.push(Derived { fact, rules: rules.clone() });
                }
            }
        }
        for (name, rows) in &last {
            if states.contains(name) {
                let now = facts.get(name).unwrap_or(&none);
                let columns = teller.columns.get(&(seat.role, name.to_string()));
                let left = rows.iter().filter(|row| now.binary_search(row).is_err());
                gone.extend(left.map(|row| fact(name, columns, row_of(row), roles)));
            }
        }
        let step = TickStep {
            node: node as usize,
            incarnation,
            tick,
            deferred,
            inputs,
            derived,
            gone,
            kept: Vec::new(),
            sends,
            replies,
        };
        teller.step(What::Tick(step));
    }

    /// Bytes leave a node or a client.
    pub(super) fn tell_written(&mut self, from: u32, to: u32, bytes: &[u8]) {
        let nodes = self.nodes();
        let Some((teller, shapes)) = self.teller() else { return };
        let mut rest = bytes;
        while let Ok(Some((header, payload, used))) = frame::parse(rest, 1 << 24) {
            rest = &rest[used..];
            if header.kind == FrameKind::Messages {
                for message in shapes.split(payload).unwrap_or_default() {
                    let pending = teller.pending.entry((from, to)).or_default();
                    let Some(found) = pending.iter_mut().find(|p| !p.sent && p.bytes == message) else {
                        continue;
                    };
                    found.sent = true;
                    let (number, fact) = (found.number, found.fact.clone());
                    teller.send(number, from, to, fact);
                }
            }
            if header.kind == FrameKind::Replies {
                let mut input = Reader::new(payload);
                while !input.rest().is_empty() {
                    let (number, kind, _) = answer(&mut input);
                    let client = to - nodes;
                    let message = teller.number();
                    if teller.calls.contains_key(&(client, number, from, true)) {
                        continue;
                    }
                    teller.calls.insert((client, number, from, true), message);
                    let name = ["reply", "refusal", "redirect"][usize::from(kind.min(2))];
                    teller.send(message, from, to, Fact::new(name, [format!("r{client}.{number}")]));
                }
            }
        }
    }

    /// Messages come into a node's inbox.
    pub(super) fn tell_taken(&mut self, node: u32, from: u32, bytes: &[u8]) {
        let Some((teller, shapes)) = self.teller() else { return };
        for message in shapes.split(bytes).unwrap_or_default() {
            let pending = teller.pending.entry((from, node)).or_default();
            let at = pending.iter().position(|p| p.sent && p.bytes == message);
            let key = (from, node, message.to_vec());
            let number = match at {
                Some(at) => {
                    let found = pending.remove(at);
                    teller.arrived.insert(key, found.number);
                    found.number
                }
                None => {
                    let Some(&message) = teller.arrived.get(&key) else { continue };
                    let copy = teller.number();
                    teller.step(What::Duplicate { message, copy });
                    copy
                }
            };
            teller.deliver(number);
            if let Ok((info, row)) = shapes.message(&mut Reader::new(message)) {
                let schemas: Vec<Schema> = info.columns.iter().map(|c| c.1.clone()).collect();
                let fact = fact(info.name, Some(&schemas), &row, shapes.roles());
                teller.nodes[node as usize].inputs.push(fact);
            }
        }
    }

    pub(super) fn tell_fired(&mut self, node: u32, timer: u16, row: &Value) {
        let name = self.protocol.timers().into_iter().find(|t| t.tag == timer);
        let Some((teller, shapes)) = self.teller() else { return };
        let Some(info) = name else { return };
        let schemas: Vec<Schema> = info.columns.into_iter().map(|c| c.1).collect();
        let timer = fact(info.name, Some(&schemas), row_of(row), shapes.roles());
        teller.nodes[node as usize].inputs.push(timer.clone());
        teller.step(What::Fire { node: node as usize, timer });
    }

    pub(super) fn tell_invoke(&mut self, client: u32, number: u64, tag: u16, args: &[u8]) {
        let Some((teller, shapes)) = self.teller() else { return };
        let values = shapes.args(tag, args);
        let info = shapes.request(tag);
        let request = Fact::new(info.name, shapes.texts(&info.args, &values));
        let op = op(client, number);
        teller.step(What::Invoke { client: client as usize, op, request, args: single(values) });
    }

    pub(super) fn tell_asked(&mut self, client: u32, number: u64, tag: u16, node: u32) {
        let from = self.nodes() + client;
        let Some((teller, shapes)) = self.teller() else { return };
        let message = teller.number();
        teller.calls.insert((client, number, node, false), message);
        let fact = Fact::new(shapes.request(tag).name, [format!("r{client}.{number}")]);
        teller.send(message, from, node, fact);
    }

    pub(super) fn tell_requested(&mut self, node: u32, client: usize, number: u64) {
        let tag = self.plan.clients[client][number as usize - 1].tag;
        let plan = self.plan;
        let Some((teller, shapes)) = self.teller() else { return };
        let args = &plan.clients[client][number as usize - 1].args;
        let info = shapes.request(tag);
        let mut texts = vec![format!("r{client}.{number}")];
        texts.extend(shapes.texts(&info.args, &shapes.args(tag, args)));
        teller.nodes[node as usize].inputs.push(Fact::new(info.name, texts));
        if let Some(message) = teller.calls.remove(&(client as u32, number, node, false)) {
            teller.deliver(message);
        }
    }

    pub(super) fn tell_answered(&mut self, client: u32, from: u32, number: u64) {
        let Some((teller, _)) = self.teller() else { return };
        if let Some(message) = teller.calls.remove(&(client, number, from, true)) {
            teller.deliver(message);
        }
    }

    pub(super) fn tell_return(&mut self, call: &Call) {
        let Some((teller, shapes)) = self.teller() else { return };
        let answer = match &call.end {
            End::Ok(bytes) => {
                let values = shapes.reply(call.tag, bytes);
                let text = shapes.texts(&shapes.request(call.tag).reply, &values).join(", ");
                Answer::Ok { value: single(values), text }
            }
            End::Fail(error) => Answer::Fail { error: error.clone() },
            End::Unknown(error) => Answer::Unknown { error: error.clone() },
            End::Open => return,
        };
        let (client, op) = (call.client as usize, op(call.client, call.number));
        teller.step(What::Return { client, op, answer });
    }

    pub(super) fn tell_appended(&mut self, node: u32, record: u64) {
        if let Some((teller, _)) = self.teller() {
            teller.step(What::Append { node: node as usize, record, changes: Vec::new() });
        }
    }

    pub(super) fn tell_flush(&mut self, node: u32, upto: u64) {
        if let Some((teller, _)) = self.teller() {
            teller.step(What::Flush { node: node as usize, upto });
        }
    }

    pub(super) fn tell_stable(&mut self, node: u32, upto: u64) {
        if let Some((teller, _)) = self.teller() {
            teller.step(What::Stable { node: node as usize, upto });
        }
    }

    pub(super) fn tell_cut(&mut self, index: u32, from: &[u32], to: &[u32], both_ways: bool) {
        let Some((teller, _)) = self.teller() else { return };
        let peers =
            |teller: &Teller, places: &[u32]| places.iter().map(|&p| teller.peer(p)).collect::<Vec<_>>();
        let (from, to) = (peers(teller, from), peers(teller, to));
        teller.step(What::Cut { cut: u64::from(index), from, to, both_ways });
    }

    pub(super) fn tell_heal(&mut self, index: u32) {
        if let Some((teller, _)) = self.teller() {
            teller.step(What::Heal { cut: u64::from(index) });
        }
    }

    pub(super) fn tell_violation(&mut self, violation: &Violation) {
        let Some((teller, _)) = self.teller() else { return };
        teller.step(What::Violation {
            property: violation.property.clone(),
            text: violation.text.clone(),
            nodes: violation.nodes.iter().map(|&n| n as usize).collect(),
            facts: Vec::new(),
        });
    }
}

/// An operation's number in the run.
fn op(client: u32, number: u64) -> u64 {
    u64::from(client) << 32 | number
}
