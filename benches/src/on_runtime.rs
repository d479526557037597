//! Two-phase commit written by hand against the node interface: what the compiled program would cost if its
//! rules cost no more than hand-written ones.
//!
//! It tells the runtime's share of the cost from the rules'. The messages are exactly the DSL program's. It
//! has no timers and nothing durable, and tools cannot look into it.

use anabranch_core::data::Bytes;
use anabranch_core::data::{Data, Schema};
use anabranch_core::id::{Id, Req};
use anabranch_core::node::{
    Answer, Broken, Layout, Leaves, MessageInfo, Node, NodeIndex, Outbox, ParamInfo, Protocol, Reply,
    RequestInfo, Seat, Setup, TableInfo, TickArgs, TimerRow,
};
use anabranch_core::value::Value;
use anabranch_core::wire::{Reader, WireError, put_varint};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

const COMMIT: u16 = 0;
const PREPARE: u16 = 0;
const VOTE: u16 = 1;
const DECIDE: u16 = 2;
const ACK: u16 = 3;

/// The protocol.
pub struct ByHand;

#[derive(Clone)]
enum Input {
    Commit(Req, Bytes),
    Prepare(Id, Bytes),
    Vote(Id, u32, bool),
    Decide(Id, bool),
    Ack(Id, u32),
}

#[derive(Clone)]
struct Txn {
    req: Req,
    decided: bool,
    votes: u64,
}

#[derive(Clone)]
struct Actor {
    me: u32,
    node: u32,
    first_participant: u32,
    participants: u32,
    inbox: Vec<Input>,
    txns: FxHashMap<Id, Txn>,
    prepared: FxHashMap<Id, Bytes>,
    serial: u64,
}

fn send(out: &mut Outbox, to: u32, tag: u16, columns: impl FnOnce(&mut Vec<u8>)) {
    let batch = &mut out.batches[to as usize];
    if batch.bytes.is_empty() {
        out.dirty.push(NodeIndex(to));
    }
    put_varint(u64::from(tag), &mut batch.bytes);
    columns(&mut batch.bytes);
    batch.ends.push(batch.bytes.len() as u32);
}

fn reply(out: &mut Outbox, req: Req, committed: bool) {
    let bytes = if committed { &[1][..] } else { &[0][..] };
    out.replies.push(Reply { req, request: COMMIT, answer: Answer::Reply(Bytes::from_static(bytes)) });
}

impl Actor {
    fn participants(&self) -> std::ops::Range<u32> {
        self.first_participant..self.first_participant + self.participants
    }

    fn decide(&self, txn: Id, commit: bool, out: &mut Outbox) {
        for to in self.participants() {
            send(out, to, DECIDE, |b| {
                put_varint(u64::from(self.me), b);
                txn.encode(b);
                commit.encode(b);
            });
        }
    }

    fn take(&mut self, input: Input, out: &mut Outbox) {
        match input {
            Input::Commit(req, payload) => {
                self.serial += 1;
                let txn = Id { route: 0, node: self.node, serial: self.serial };
                self.txns.insert(txn, Txn { req, decided: false, votes: 0 });
                for to in self.participants() {
                    send(out, to, PREPARE, |b| {
                        put_varint(u64::from(self.me), b);
                        txn.encode(b);
                        payload.encode(b);
                    });
                }
            }
            Input::Prepare(txn, payload) => {
                let yes = payload.first() != Some(&0xff);
                if yes {
                    self.prepared.insert(txn, payload);
                }
                send(out, 0, VOTE, |b| {
                    txn.encode(b);
                    put_varint(u64::from(self.me), b);
                    yes.encode(b);
                });
            }
            Input::Vote(txn, by, yes) => {
                let Some(open) = self.txns.get_mut(&txn).filter(|t| !t.decided) else { return };
                open.votes |= 1 << by;
                if !yes {
                    let req = open.req;
                    self.txns.remove(&txn);
                    self.decide(txn, false, out);
                    reply(out, req, false);
                } else if open.votes.count_ones() == self.participants {
                    open.decided = true;
                    let req = open.req;
                    self.decide(txn, true, out);
                    reply(out, req, true);
                }
            }
            Input::Decide(txn, commit) => {
                self.prepared.remove(&txn);
                if commit {
                    send(out, 0, ACK, |b| {
                        txn.encode(b);
                        put_varint(u64::from(self.me), b);
                    });
                }
            }
            Input::Ack(txn, by) => {
                if let Some(owed) = self.txns.get_mut(&txn).filter(|t| t.decided) {
                    owed.votes &= !(1 << by);
                    if owed.votes == 0 {
                        self.txns.remove(&txn);
                    }
                }
            }
        }
    }
}

fn address(input: &mut Reader<'_>) -> Result<u32, WireError> {
    u32::try_from(input.varint()?).map_err(|_| WireError::Invalid("address"))
}

impl Node for Actor {
    fn deliver(&mut self, messages: &mut Reader<'_>) -> Result<u32, WireError> {
        let before = self.inbox.len();
        while !messages.is_empty() {
            let tag = messages.varint()? as u16;
            let input = match tag {
                PREPARE => {
                    address(messages)?;
                    Input::Prepare(Id::decode(messages)?, Bytes::decode(messages)?)
                }
                VOTE => Input::Vote(Id::decode(messages)?, address(messages)?, bool::decode(messages)?),
                DECIDE => {
                    address(messages)?;
                    Input::Decide(Id::decode(messages)?, bool::decode(messages)?)
                }
                ACK => Input::Ack(Id::decode(messages)?, address(messages)?),
                tag => return Err(WireError::UnknownTag(tag)),
            };
            self.inbox.push(input);
        }
        Ok((self.inbox.len() - before) as u32)
    }
    fn request(&mut self, _tag: u16, req: Req, args: &mut Reader<'_>) -> Result<(), WireError> {
        self.inbox.push(Input::Commit(req, Bytes::decode(args)?));
        Ok(())
    }
    fn tick(&mut self, _args: &TickArgs, out: &mut Outbox) -> Result<(), Broken> {
        let nodes = (self.first_participant + self.participants) as usize;
        out.batches.resize_with(nodes.max(out.batches.len()), Default::default);
        let mut inbox = std::mem::take(&mut self.inbox);
        for input in inbox.drain(..) {
            self.take(input, out);
        }
        self.inbox = inbox;
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
    fn fire_due(&mut self, _now_ms: u64, _limit: usize) -> usize {
        0
    }
    fn waiting(&self) -> Vec<TimerRow> {
        Vec::new()
    }
    fn fire(&mut self, _timer: u16, _row: &Value) -> bool {
        false
    }
    fn snapshot(&self, _out: &mut Vec<u8>) {}
    fn restore(&mut self, _snapshot: &mut Reader<'_>) -> Result<(), WireError> {
        Ok(())
    }
    fn replay(&mut self, _record: &mut Reader<'_>) -> Result<(), WireError> {
        Ok(())
    }
    fn begin(&mut self) {}
    fn fork(&self) -> Box<dyn Node> {
        Box::new(self.clone())
    }
    fn rows(&self, _relation: &str) -> Option<Vec<Value>> {
        None
    }
    fn facts(&self) -> BTreeMap<&'static str, Vec<Value>> {
        BTreeMap::new()
    }
    fn trace(&mut self, _on: bool) {}
}

struct NoLeaves;

impl Leaves for NoLeaves {
    fn eval(&self, _: u32, _: &[Value], _: &anabranch_core::node::Env) -> Option<Value> {
        None
    }
    fn matches(&self, _: u32, _: &Value, _: &anabranch_core::node::Env) -> Option<Option<Vec<Value>>> {
        None
    }
    fn machine(&self, _: u32) -> Option<Box<dyn anabranch_core::machine::ErasedMachine>> {
        None
    }
}

impl Protocol for ByHand {
    fn name(&self) -> &'static str {
        "two_pc_by_hand"
    }
    fn text(&self) -> &'static str {
        ""
    }
    fn fingerprint(&self) -> u64 {
        0x2bc
    }
    fn roles(&self) -> &'static [&'static str] {
        &["coordinator", "participant"]
    }
    fn requests(&self) -> Vec<RequestInfo> {
        vec![RequestInfo {
            name: "commit",
            tag: COMMIT,
            role: 0,
            resend: false,
            by: None,
            route: None,
            args: vec![("payload", Schema::Bytes)],
            reply: vec![("committed", Schema::Bool)],
            error: None,
            answered_by: vec![0],
        }]
    }
    fn messages(&self) -> Vec<MessageInfo> {
        let message = |name, tag, role| MessageInfo { name, tag, role, columns: Vec::new() };
        vec![
            message("prepare", PREPARE, 1),
            message("vote", VOTE, 0),
            message("decide", DECIDE, 1),
            message("ack", ACK, 0),
        ]
    }
    fn params(&self) -> Vec<ParamInfo> {
        Vec::new()
    }
    fn tables(&self) -> Vec<TableInfo> {
        Vec::new()
    }
    fn check(&self, layout: &Layout, _params: &BTreeMap<String, Value>) -> Vec<String> {
        if layout.roles.len() == 2 && layout.roles[0].instances == 1 && layout.roles[1].instances <= 64 {
            return Vec::new();
        }
        vec!["needs one coordinator and at most 64 participants".into()]
    }
    fn node(&self, setup: Setup) -> Box<dyn Node> {
        let Seat { instance, .. } = setup.seat;
        Box::new(Actor {
            me: instance,
            node: setup.layout.index(setup.seat).0,
            first_participant: setup.layout.first(1),
            participants: setup.layout.roles[1].instances,
            inbox: Vec::new(),
            txns: FxHashMap::default(),
            prepared: FxHashMap::default(),
            serial: setup.incarnation << 40,
        })
    }
    fn leaves(&self) -> &dyn Leaves {
        &NoLeaves
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anabranch_core::node::Ids;
    use std::sync::Arc;

    /// Three nodes, messages delivered at once.
    #[test]
    fn a_transaction_ends() {
        let layout = Arc::new(Layout::of(&[1, 2]));
        let mut nodes: Vec<Box<dyn Node>> = (0..3)
            .map(|i| {
                let seat = layout.seat(NodeIndex(i)).unwrap();
                let params = BTreeMap::new();
                ByHand.node(Setup { layout: layout.clone(), seat, params, incarnation: 1, ids: Ids::Counted })
            })
            .collect();
        let mut args = Vec::new();
        Bytes::from_static(b"hello").encode(&mut args);
        let req = Req { session: 1, number: 1 };
        nodes[0].request(COMMIT, req, &mut Reader::new(&args)).unwrap();
        let mut replies = Vec::new();
        while let Some(at) = nodes.iter().position(|n| n.has_input()) {
            let mut out = Outbox::default();
            nodes[at].tick(&TickArgs { now_ms: 0, seed: 0 }, &mut out).unwrap();
            replies.append(&mut out.replies);
            for NodeIndex(to) in out.dirty {
                nodes[to as usize].deliver(&mut Reader::new(&out.batches[to as usize].bytes)).unwrap();
            }
        }
        assert_eq!(replies.len(), 1);
        assert_eq!(replies[0].answer, Answer::Reply(Bytes::from_static(&[1])));
    }
}
