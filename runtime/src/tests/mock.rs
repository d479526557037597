//! Protocols without rules: nodes whose behaviour is a Rust type.

use anabranch_core::data::Schema;
use anabranch_core::id::Req;
use anabranch_core::node::*;
use anabranch_core::value::Value;
use anabranch_core::wire::{Reader, WireError, put_varint};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The only request's tag.
pub const ASK: u16 = 7;

/// The only durable event's tag.
pub const TOLD: u16 = 9;

/// What a node does.
pub trait Behaviour: Clone + Send + Sync + 'static {
    fn request(&mut self, _cx: &mut Cx<'_>, _req: Req, _args: &[u8]) {}
    fn message(&mut self, _cx: &mut Cx<'_>, _body: &[u8]) {}
    fn rows(&self) -> Vec<Value> {
        Vec::new()
    }
    fn replay(&mut self, _record: &[u8]) {}
    fn snapshot(&self) -> Vec<u8> {
        Vec::new()
    }
    fn restore(&mut self, _snapshot: &[u8]) {}
}

/// What a behaviour may do in a tick.
pub struct Cx<'a> {
    pub me: Seat,
    pub incarnation: u64,
    pub layout: &'a Layout,
    pub out: &'a mut Outbox,
}

impl Cx<'_> {
    pub fn node(&self, role: u16, instance: u32) -> NodeIndex {
        self.layout.index(Seat { role, instance, partition: 0 })
    }
    pub fn send(&mut self, to: NodeIndex, body: &[u8]) {
        let batch = &mut self.out.batches[to.0 as usize];
        if batch.ends.is_empty() {
            self.out.dirty.push(to);
        }
        batch.bytes.extend_from_slice(&(body.len() as u32).to_le_bytes());
        batch.bytes.extend_from_slice(body);
        batch.ends.push(batch.bytes.len() as u32);
    }
    pub fn answer(&mut self, req: Req, answer: Answer) {
        self.out.replies.push(Reply { req, request: ASK, answer });
    }
    pub fn reply(&mut self, req: Req, bytes: &[u8]) {
        self.answer(req, Answer::Reply(anabranch_core::data::Bytes::copy_from_slice(bytes)));
    }
    pub fn tell(&mut self, n: u64) {
        let events = &mut self.out.events;
        put_varint(TOLD.into(), &mut events.bytes);
        put_varint(n, &mut events.bytes);
        events.ends.push(events.bytes.len() as u32);
    }
    pub fn log(&mut self, bytes: &[u8]) {
        self.out.log.extend_from_slice(bytes);
    }
}

pub struct Mock<B> {
    pub behaviour: B,
    pub fingerprint: u64,
    pub roles: &'static [&'static str],
    pub resend: bool,
    /// All roles are parts of the first and share its fate.
    pub fate: bool,
    pub by: Option<usize>,
    pub params: Vec<ParamInfo>,
}

impl<B: Behaviour> Mock<B> {
    pub fn new(behaviour: B, roles: &'static [&'static str]) -> Mock<B> {
        Mock { behaviour, fingerprint: 42, roles, resend: false, fate: false, by: None, params: Vec::new() }
    }
    pub fn shared(self) -> Arc<dyn Protocol> {
        Arc::new(self)
    }
}

impl<B: Behaviour> Protocol for Mock<B> {
    fn name(&self) -> &'static str {
        "mock"
    }
    fn text(&self) -> &'static str {
        ""
    }
    fn fingerprint(&self) -> u64 {
        self.fingerprint
    }
    fn roles(&self) -> &'static [&'static str] {
        self.roles
    }
    fn role_infos(&self) -> Vec<RoleInfo> {
        let info = |role| RoleInfo {
            whole: (self.fate && role > 0).then_some(0),
            partitioned: false,
            shares_fate: self.fate,
        };
        (0..self.roles.len()).map(info).collect()
    }
    fn requests(&self) -> Vec<RequestInfo> {
        let all = (0..self.roles.len() as u16).collect();
        let info = RequestInfo {
            name: "ask",
            tag: ASK,
            role: 0,
            resend: self.resend,
            by: self.by,
            route: None,
            args: vec![("text", Schema::Bytes)],
            reply: vec![("text", Schema::Bytes)],
            error: Some(Schema::Str),
            answered_by: all,
        };
        vec![info]
    }
    fn messages(&self) -> Vec<MessageInfo> {
        Vec::new()
    }
    fn params(&self) -> Vec<ParamInfo> {
        self.params.clone()
    }
    fn tables(&self) -> Vec<TableInfo> {
        let table = |role| TableInfo {
            name: "state",
            tag: 0,
            role,
            durable: false,
            routing: anabranch_core::node::TableRouting::Unsaid,
            columns: vec![("n", U64)],
        };
        (0..self.roles.len() as u16).map(table).collect()
    }
    fn events(&self) -> Vec<MessageInfo> {
        vec![MessageInfo { name: "told", tag: TOLD, role: 0, columns: vec![("n", U64)] }]
    }
    fn check(&self, layout: &Layout, _: &BTreeMap<String, Value>) -> Vec<String> {
        match layout.roles.iter().any(|r| r.instances > 100) {
            true => vec!["`require node.len() <= 100` does not hold".into()],
            false => Vec::new(),
        }
    }
    fn node(&self, setup: Setup) -> Box<dyn Node> {
        Box::new(MockNode { behaviour: self.behaviour.clone(), setup, inbox: Vec::new() })
    }
    fn leaves(&self) -> &dyn Leaves {
        unreachable!("no expressions")
    }
}

pub const U64: Schema = Schema::Int { signed: false, bits: 64 };

#[derive(Clone)]
enum Input {
    Request(Req, Vec<u8>),
    Message(Vec<u8>),
}

#[derive(Clone)]
struct MockNode<B> {
    behaviour: B,
    setup: Setup,
    inbox: Vec<Input>,
}

impl<B: Behaviour> Node for MockNode<B> {
    fn deliver(&mut self, messages: &mut Reader<'_>) -> Result<u32, WireError> {
        let mut found = Vec::new();
        while !messages.rest().is_empty() {
            let len = u32::from_le_bytes(messages.take(4)?.try_into().expect("four bytes"));
            found.push(Input::Message(messages.take(len as usize)?.to_vec()));
        }
        let count = found.len() as u32;
        self.inbox.extend(found);
        Ok(count)
    }
    fn request(&mut self, tag: u16, req: Req, args: &mut Reader<'_>) -> Result<(), WireError> {
        if tag != ASK {
            return Err(WireError::UnknownTag(tag));
        }
        let all = args.take(args.rest().len())?;
        self.inbox.push(Input::Request(req, all.to_vec()));
        Ok(())
    }
    fn tick(&mut self, _: &TickArgs, out: &mut Outbox) -> Result<(), Broken> {
        let mut cx =
            Cx { me: self.setup.seat, incarnation: self.setup.incarnation, layout: &self.setup.layout, out };
        for input in std::mem::take(&mut self.inbox) {
            match input {
                Input::Request(req, args) => self.behaviour.request(&mut cx, req, &args),
                Input::Message(body) => self.behaviour.message(&mut cx, &body),
            }
        }
        Ok(())
    }
    fn deferred(&self) -> bool {
        false
    }
    fn has_input(&self) -> bool {
        !self.inbox.is_empty()
    }
    fn next_due_ms(&mut self) -> Option<u64> {
        None
    }
    fn fire_due(&mut self, _: u64, _: usize) -> usize {
        0
    }
    fn waiting(&self) -> Vec<TimerRow> {
        Vec::new()
    }
    fn fire(&mut self, _: u16, _: &Value) -> bool {
        false
    }
    fn snapshot(&self, out: &mut Vec<u8>) {
        out.extend(self.behaviour.snapshot());
    }
    fn restore(&mut self, snapshot: &mut Reader<'_>) -> Result<(), WireError> {
        let all = snapshot.take(snapshot.rest().len())?;
        self.behaviour.restore(all);
        Ok(())
    }
    fn replay(&mut self, record: &mut Reader<'_>) -> Result<(), WireError> {
        let all = record.take(record.rest().len())?;
        self.behaviour.replay(all);
        Ok(())
    }
    fn begin(&mut self) {}
    fn fork(&self) -> Box<dyn Node> {
        Box::new(self.clone())
    }
    fn rows(&self, relation: &str) -> Option<Vec<Value>> {
        (relation == "state").then(|| self.behaviour.rows())
    }
    fn facts(&self) -> BTreeMap<&'static str, Vec<Value>> {
        BTreeMap::new()
    }
    fn trace(&mut self, _: bool) {}
}

/// Says back what it hears.
#[derive(Clone)]
pub struct Echo;

impl Behaviour for Echo {
    fn request(&mut self, cx: &mut Cx<'_>, req: Req, args: &[u8]) {
        cx.reply(req, args);
    }
}

/// Keeps the number of each request on disk, then answers. Arguments: the number, once or more often.
#[derive(Clone, Default)]
pub struct Keeper(BTreeSet<u64>);

impl Behaviour for Keeper {
    fn request(&mut self, cx: &mut Cx<'_>, req: Req, args: &[u8]) {
        let n = u64::from_le_bytes(args[..8].try_into().expect("eight bytes"));
        self.0.insert(n);
        cx.log(args);
        cx.tell(n);
        cx.reply(req, &cx.incarnation.to_le_bytes());
    }
    fn rows(&self) -> Vec<Value> {
        self.0.iter().map(|&n| Value::tuple([Value::Int(n.into())])).collect()
    }
    fn replay(&mut self, record: &[u8]) {
        self.0.extend(record.chunks(8).map(|c| u64::from_le_bytes(c.try_into().expect("eight bytes"))));
    }
    fn snapshot(&self) -> Vec<u8> {
        self.0.iter().flat_map(|n| n.to_le_bytes()).collect()
    }
    fn restore(&mut self, snapshot: &[u8]) {
        self.replay(snapshot);
    }
}
