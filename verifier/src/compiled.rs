//! Compiled nodes as an [`Engine`]: values are encoded into messages and requests, outcomes decoded from the
//! outbox. So codec, routing, log records and recovery are compared along the way.

use crate::engine::{Answer, Answered, Engine, Facts, Input, Outcome, Row, Sent, Waiting, tidy};
use anabranch_core::data::Schema;
use anabranch_core::node::{self, Broken, Node, NodeIndex, Outbox, Setup};
use anabranch_core::value::Value;
use anabranch_core::wire::{Reader, put_varint};
use anabranch_dsl::ir::{Protocol, RelId, RelationKind};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A node of a compiled protocol.
pub struct Compiled {
    protocol: Arc<Protocol>,
    descriptor: &'static dyn node::Protocol,
    setup: Setup,
    node: Box<dyn Node>,
    /// Log records of this and earlier incarnations.
    log: Vec<Vec<u8>>,
    shapes: RoleShapes,
}

/// How the relations of a role look: for telling what a compiled node did in the interpreter's terms.
#[derive(Clone)]
pub struct RoleShapes {
    /// Relations of the role (and those of all) by name.
    names: BTreeMap<String, RelId>,
    /// Shapes by relation: of its columns (messages, and requests without their `Req`), and of answers.
    columns: BTreeMap<RelId, Vec<Schema>>,
    replies: BTreeMap<RelId, (Vec<Schema>, Option<Schema>)>,
}

impl RoleShapes {
    /// Those of one role.
    pub fn new(protocol: &Protocol, descriptor: &dyn node::Protocol, role: u16) -> RoleShapes {
        let own = |r: &anabranch_dsl::ir::Relation| r.role.is_none_or(|own| own.0 == u32::from(role));
        let ids = || (0..).map(RelId).zip(&protocol.relations);
        let names = ids().filter(|(_, r)| own(r)).map(|(id, r)| (r.name.clone(), id)).collect();
        let shapes = |columns: Vec<(&str, Schema)>| columns.into_iter().map(|c| c.1).collect::<Vec<_>>();
        let mut columns = BTreeMap::new();
        let mut replies = BTreeMap::new();
        for m in descriptor.messages() {
            columns.insert(RelId(u32::from(m.tag)), shapes(m.columns));
        }
        for r in descriptor.requests() {
            let id = RelId(u32::from(r.tag));
            columns.insert(id, shapes(r.args));
            replies.insert(id, (shapes(r.reply), r.error));
        }
        RoleShapes { names, columns, replies }
    }

    fn decode(schemas: &[Schema], input: &mut Reader<'_>) -> Row {
        schemas.iter().map(|s| s.decode(input).expect("nodes send what can be decoded")).collect()
    }

    /// Messages, as facts by relation.
    pub fn messages(&self, bytes: &[u8]) -> Vec<(RelId, Row)> {
        let mut input = Reader::new(bytes);
        let mut all = Vec::new();
        while !input.is_empty() {
            let rel = RelId(input.varint().expect("a tag") as u32);
            all.push((rel, Self::decode(&self.columns[&rel], &mut input)));
        }
        all
    }

    /// A request's arguments.
    pub fn args(&self, tag: u16, bytes: &[u8]) -> Row {
        Self::decode(&self.columns[&RelId(u32::from(tag))], &mut Reader::new(bytes))
    }

    /// What a tick of a node that keeps its facts did.
    pub fn outcome(
        &self,
        protocol: &Protocol,
        descriptor: &dyn node::Protocol,
        layout: &Arc<node::Layout>,
        node: &dyn Node,
        out: &Outbox,
    ) -> Outcome {
        let mut outcome = Outcome { deferred: node.deferred(), ..Outcome::default() };
        for (name, rows) in node.facts() {
            outcome.facts.insert(self.names[name], rows.into_iter().map(items).collect());
        }
        outcome.facts = tidy(outcome.facts);
        // A message that every partition takes is sent to each of them.
        let mut taken: BTreeMap<Sent, Vec<u32>> = BTreeMap::new();
        for to in &out.dirty {
            let seat = layout.seat(NodeIndex(to.0)).expect("only nodes are sent to");
            for (rel, row) in self.messages(&out.batches[to.0 as usize].bytes) {
                let partitions = taken.entry(Sent { rel, to: seat.instance, row }).or_default();
                assert!(!partitions.contains(&seat.partition), "a message is sent twice");
                partitions.push(seat.partition);
            }
        }
        for (sent, mut partitions) in taken {
            partitions.sort_unstable();
            let leaves = descriptor.leaves();
            let expected = crate::routing::partitions(protocol, leaves, layout, sent.rel, &sent.row);
            assert_eq!(partitions, expected, "the partitions that take {sent:?}");
            outcome.sent.insert(sent);
        }
        for reply in &out.replies {
            let rel = RelId(u32::from(reply.request));
            let (columns, error) = &self.replies[&rel];
            let answer = match &reply.answer {
                node::Answer::Reply(bytes) => Answer::Reply(Self::decode(columns, &mut Reader::new(bytes))),
                node::Answer::Refuse(bytes) => {
                    let schema = error.clone().unwrap_or(Schema::Unit);
                    Answer::Refuse(schema.decode(&mut Reader::new(bytes)).expect("an error can be decoded"))
                }
                node::Answer::Redirect(to) => Answer::Redirect(*to),
            };
            let new = outcome.answered.insert(Answered { rel, req: reply.req, answer });
            assert!(new, "an answer is given twice");
        }
        for row in node.waiting() {
            let timer = RelId(u32::from(row.timer));
            outcome.waiting.insert(Waiting { timer, row: items(row.row), due_ms: row.due_ms });
        }
        outcome
    }

    /// A node's state between ticks.
    pub fn resting(&self, protocol: &Protocol, node: &dyn Node) -> Facts {
        let mut facts = Facts::new();
        for (name, &rel) in &self.names {
            let relation = protocol.relation(rel);
            let state = relation.is_table()
                || matches!(relation.kind, RelationKind::View | RelationKind::MachineNext(_));
            if let (true, Some(rows)) = (state, node.rows(name)) {
                facts.insert(rel, rows.into_iter().map(items).collect());
            }
        }
        tidy(facts)
    }
}

impl Compiled {
    /// A fresh node; `protocol` is what the descriptor was compiled from.
    pub fn new(protocol: Arc<Protocol>, descriptor: &'static dyn node::Protocol, setup: &Setup) -> Compiled {
        let shapes = RoleShapes::new(&protocol, descriptor, setup.seat.role);
        let setup = setup.clone();
        let node = fresh(descriptor, &setup);
        Compiled { protocol, descriptor, setup, node, log: Vec::new(), shapes }
    }

    fn hand(&mut self, input: &Input) {
        for (rel, rows) in &input.arrived {
            let tag = rel.0 as u16;
            for row in rows {
                let mut bytes = Vec::new();
                let request = matches!(self.protocol.relation(*rel).kind, RelationKind::Request(_));
                if !request {
                    put_varint(u64::from(tag), &mut bytes);
                }
                let values = if request { &row[1..] } else { &row[..] };
                for (schema, value) in self.shapes.columns[rel].iter().zip(values) {
                    schema.encode(value, &mut bytes).expect("inputs fit their columns");
                }
                let mut reader = Reader::new(&bytes);
                match &row.first() {
                    Some(Value::Req(req)) if request => {
                        self.node.request(tag, *req, &mut reader).expect("a valid request");
                    }
                    _ => drop(self.node.deliver(&mut reader).expect("a valid message")),
                }
                assert!(reader.is_empty(), "all of the message was read");
            }
        }
        for (rel, rows) in &input.fired {
            for row in rows {
                self.node.fire(rel.0 as u16, &Value::tuple(row.iter().cloned()));
            }
        }
    }
}

fn fresh(descriptor: &dyn node::Protocol, setup: &Setup) -> Box<dyn Node> {
    let mut node = descriptor.node(setup.clone());
    node.trace(true);
    node
}

fn items(value: Value) -> Row {
    match value {
        Value::Tuple(items) => items.to_vec(),
        Value::Unit => Vec::new(),
        other => panic!("a row is a tuple, not {other:?}"),
    }
}

impl Engine for Compiled {
    fn tick(&mut self, input: &Input) -> Result<Outcome, Broken> {
        self.hand(input);
        let mut out = Outbox::default();
        self.node.tick(&input.args, &mut out)?;
        if !out.log.is_empty() {
            self.log.push(std::mem::take(&mut out.log));
        }
        Ok(self.shapes.outcome(&self.protocol, self.descriptor, &self.setup.layout, &*self.node, &out))
    }

    fn resting(&self) -> Facts {
        self.shapes.resting(&self.protocol, &*self.node)
    }

    fn fork(&self) -> Box<dyn Engine> {
        Box::new(Compiled {
            protocol: self.protocol.clone(),
            descriptor: self.descriptor,
            setup: self.setup.clone(),
            node: self.node.fork(),
            log: self.log.clone(),
            shapes: self.shapes.clone(),
        })
    }

    fn hidden(&self) -> Option<Vec<Value>> {
        let mut own = self.protocol.machines.iter().filter(|m| m.role.0 == u32::from(self.setup.seat.role));
        match own.next() {
            None => Some(Vec::new()),
            Some(first) if first.durable && own.all(|m| m.durable) => {
                let mut image = Vec::new();
                self.node.snapshot(&mut image);
                Some(vec![Value::Bytes(image.into())])
            }
            Some(_) => None,
        }
    }

    fn crash(&mut self) {
        self.setup.incarnation += 1;
        let mut node = fresh(self.descriptor, &self.setup);
        // Half from a snapshot, half from the log: both ways of recovery are used.
        let half = self.log.len() / 2;
        let mut first = self.descriptor.node(self.setup.clone());
        for record in &self.log[..half] {
            first.replay(&mut Reader::new(record)).expect("own records can be read");
        }
        let mut image = Vec::new();
        first.snapshot(&mut image);
        let mut input = Reader::new(&image);
        node.restore(&mut input).expect("own snapshots can be read");
        assert!(input.is_empty(), "all of the snapshot was read");
        for record in &self.log[half..] {
            node.replay(&mut Reader::new(record)).expect("own records can be read");
        }
        node.begin();
        self.node = node;
    }
}
