//! Clients: each asks for one thing after the other, thinks in between, repeats what may be repeated, follows
//! redirects, and gives up when its patience ends or the node that it asked is gone.
//!
//! After `runtime/src/client`, which has sockets in it and is therefore not shared; the streams are the real ones.

use super::net::Packet;
use super::plan::Plan;
use super::world::{Event, World};
use crate::random::Dice;
use anabranch_core::data::Bytes;
use anabranch_core::id::Req;
use anabranch_core::node::Seat;
use anabranch_core::session::frame::{self, Kind as FrameKind};
use anabranch_core::session::stream::Accept;
use anabranch_core::wire::Reader;

/// A request that may be repeated goes to another instance after this time without an answer.
const RETRY_AFTER_US: u64 = 400_000;

/// How a request ended for its client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum End {
    /// It was answered.
    Ok(Bytes),
    /// It was refused, or never sent: it was not done, and will not be.
    Fail(String),
    /// Nobody knows.
    Unknown(String),
    /// The run ended before.
    Open,
}

/// A request as its client saw it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    /// Who.
    pub client: u32,
    /// Position in the client's session, from 1.
    pub number: u64,
    /// The request's tag.
    pub tag: u16,
    /// When it was sent.
    pub invoked_us: u64,
    /// When it ended.
    pub ended_us: u64,
    /// How.
    pub end: End,
}

pub(super) struct Client {
    pub session: u64,
    /// The next request of its script.
    next: usize,
    open: Option<Open>,
    preferred: Vec<u32>,
    pub calls: Vec<Call>,
    pub dice: Dice,
}

struct Open {
    number: u64,
    tag: u16,
    node: u32,
    /// The partition that takes it, at whichever instance.
    partition: u32,
    sent: bool,
    tries: u32,
}

impl Client {
    pub fn new(plan: &Plan, number: u32) -> Client {
        let mut dice = Dice::part(plan.seed, 4 << 32 | u64::from(number));
        let preferred =
            plan.layout.roles.iter().map(|r| dice.below(r.instances.max(1) as usize) as u32).collect();
        // Far from the incarnations of nodes; small enough to be read.
        Client { session: 0xc0 + u64::from(number), next: 0, open: None, preferred, calls: Vec::new(), dice }
    }
}

impl World<'_> {
    pub(super) fn client_begins(&mut self, client: u32) {
        self.busy += 1;
        for node in 0..self.nodes() {
            if let Some(link) = self.link_of(self.nodes() + client, node) {
                let at = self.clients[client as usize].dice.word() % 500;
                self.schedule(at, Event::Dial { link, epoch: 0 });
            }
        }
        self.client_thinks(client);
    }

    fn client_thinks(&mut self, client: u32) {
        let script = &self.plan.clients[client as usize];
        let next = self.clients[client as usize].next;
        match script.get(next) {
            Some(ask) => self.schedule(self.now_us + ask.think_us, Event::Think { client }),
            None => self.busy -= 1,
        }
    }

    fn instance(&self, role: u16, instance: u32, partition: u32) -> u32 {
        self.plan.layout.index(Seat { role, instance, partition }).0
    }

    /// The next request of its script.
    pub(super) fn client_asks(&mut self, client: u32) {
        let now = self.now_us;
        let plan = self.plan;
        let state = &mut self.clients[client as usize];
        let ask = &plan.clients[client as usize][state.next];
        state.next += 1;
        let number = state.next as u64;
        let request = self.shapes.request(ask.tag);
        let role = usize::from(request.role);
        let instances = plan.layout.roles[role].instances.max(1);
        let instance = match self.shapes.route(ask.tag, &ask.args) {
            Some(route) => route % instances,
            None if request.resend => state.preferred[role] % instances,
            None => state.dice.below(instances as usize) as u32,
        };
        let (tag, resend) = (ask.tag, request.resend);
        let req = Req { session: state.session, number };
        let partitions = plan.layout.roles[role].partitions.max(1);
        let by = request.route.and_then(|route| route(req, &mut Reader::new(&ask.args))).unwrap_or(0);
        let partition = (by % u64::from(partitions)) as u32;
        let node = self.instance(role as u16, instance, partition);
        let state = &mut self.clients[client as usize];
        state.open = Some(Open { number, tag, node, partition, sent: false, tries: 0 });
        state.calls.push(Call { client, number, tag, invoked_us: now, ended_us: now, end: End::Open });
        self.tell_invoke(client, number, tag, &ask.args);
        self.client_sends(client);
        self.schedule(now + plan.patience_us, Event::Deadline { client, number });
        if resend {
            self.schedule(now + RETRY_AFTER_US, Event::Retry { client, number, try_: 0 });
        }
    }

    /// Sends the open request, if its node is connected; else it waits.
    fn client_sends(&mut self, client: u32) {
        let place = self.nodes() + client;
        let Some(open) = &self.clients[client as usize].open else { return };
        let (number, tag, node) = (open.number, open.tag, open.node);
        let Some(link) = self.link_of(place, node) else { return };
        if !self.links[link as usize].up[1] {
            return;
        }
        let plan = self.plan;
        let args = &plan.clients[client as usize][number as usize - 1].args;
        let stream = &mut self.end(place, node).stream;
        let payload = stream.payload(FrameKind::Requests);
        payload.extend_from_slice(&number.to_le_bytes());
        payload.extend_from_slice(&number.to_le_bytes());
        payload.extend_from_slice(&tag.to_le_bytes());
        payload.extend_from_slice(&(args.len() as u32).to_le_bytes());
        payload.extend_from_slice(args);
        stream.close(false);
        stream.release_all();
        if let Some(open) = &mut self.clients[client as usize].open {
            open.sent = true;
        }
        self.tell_asked(client, number, tag, node);
        self.write(place, node);
    }

    /// Something arrives for a client.
    pub(super) fn client_takes(&mut self, place: u32, from: u32, link: u32, packet: Packet) {
        let client = place - self.nodes();
        match packet {
            Packet::Hello(_) => {}
            Packet::Welcome(welcome) => {
                let known = self.end(place, from).boot;
                if known.is_some_and(|boot| boot != welcome.boot) {
                    self.client_lost(client, from);
                }
                self.welcomed(place, link, &welcome);
                let open = &self.clients[client as usize].open;
                if open.as_ref().is_some_and(|open| open.node == from && !open.sent) {
                    self.client_sends(client);
                }
            }
            Packet::Data(bytes) => {
                let mut rest = &bytes[..];
                while let Ok(Some((header, payload, used))) = frame::parse(rest, 1 << 24) {
                    rest = &rest[used..];
                    let stream = &mut self.end(place, from).stream;
                    if !stream.acked(header.ack) {
                        return;
                    }
                    if header.kind == FrameKind::Replies && stream.accept(header.seq, used) == Accept::New {
                        self.client_answered(client, from, payload);
                    }
                }
            }
        }
    }

    fn client_answered(&mut self, client: u32, from: u32, payload: &[u8]) {
        let mut input = Reader::new(payload);
        while !input.rest().is_empty() {
            let (number, kind, content) = answer(&mut input);
            self.outcome.messages += 1;
            self.tell_answered(client, from, number);
            let state = &mut self.clients[client as usize];
            let Some(open) = state.open.as_mut().filter(|open| open.number == number) else { continue };
            match kind {
                0 => {
                    let content = Bytes::copy_from_slice(content);
                    let seat = self.plan.layout.seat(anabranch_core::node::NodeIndex(open.node));
                    if let Some(seat) = seat {
                        state.preferred[usize::from(seat.role)] = seat.instance;
                    }
                    self.client_ends(client, End::Ok(content));
                }
                1 => {
                    let text = self.shapes.refusal(open.tag, content);
                    self.client_ends(client, End::Fail(text));
                }
                _ => {
                    let instance = u32::from_le_bytes(content.try_into().unwrap_or([0; 4]));
                    let (tag, tries, partition) = (open.tag, open.tries + 1, open.partition);
                    let role = self.shapes.request(tag).role;
                    let instances = self.plan.layout.roles[usize::from(role)].instances.max(1);
                    let node = self.instance(role, instance % instances, partition);
                    let state = &mut self.clients[client as usize];
                    state.preferred[usize::from(role)] = instance % instances;
                    let Some(open) = &mut state.open else { continue };
                    (open.node, open.sent, open.tries) = (node, false, tries);
                    if tries > 3 {
                        let at = self.now_us + 20_000;
                        self.schedule(at, Event::Retry { client, number, try_: tries });
                    } else {
                        self.client_sends(client);
                    }
                }
            }
        }
    }

    fn client_ends(&mut self, client: u32, end: End) {
        let now = self.now_us;
        let state = &mut self.clients[client as usize];
        if state.open.take().is_none() {
            return;
        }
        let call = state.calls.last_mut().expect("an open request was made");
        (call.ended_us, call.end) = (now, end);
        let call = call.clone();
        self.fold(call.number << 20 ^ u64::from(client));
        self.tell_return(&call);
        self.client_thinks(client);
    }

    /// The connection to a node is gone; a later one may reach the same incarnation.
    pub(super) fn client_cut_off(&mut self, place: u32, node: u32) {
        if !self.alive(node) {
            self.client_lost(place - self.nodes(), node);
        }
    }

    /// An incarnation is gone: what was sent to it may or may not have been done.
    fn client_lost(&mut self, client: u32, node: u32) {
        let place = self.nodes() + client;
        let end = self.end(place, node);
        if end.boot.take().is_none() {
            return;
        }
        end.stream.clear();
        let Some(open) = &mut self.clients[client as usize].open else { return };
        if open.node != node || !open.sent {
            return;
        }
        let (number, tag, tries) = (open.number, open.tag, open.tries);
        if self.shapes.request(tag).resend {
            let at = self.now_us + 1;
            self.schedule(at, Event::Retry { client, number, try_: tries });
        } else {
            let why = format!("the connection to {} broke before an answer came", self.place(node));
            self.client_ends(client, End::Unknown(why));
        }
    }

    pub(super) fn client_retries(&mut self, client: u32, number: u64, try_: u32) {
        let nodes = self.nodes();
        let Some(open) = &mut self.clients[client as usize].open else { return };
        if open.number != number {
            return;
        }
        let (tag, node, sent) = (open.tag, open.node, open.sent);
        let request = self.shapes.request(tag);
        let (role, fixed, resend) = (request.role, request.by.is_some(), request.resend);
        if sent && !resend {
            return;
        }
        let up = self.link_of(nodes + client, node).is_some_and(|link| self.links[link as usize].up[1]);
        let state = &mut self.clients[client as usize];
        let Some(open) = &mut state.open else { return };
        if (sent || !up) && resend && !fixed {
            let instances = self.plan.layout.roles[usize::from(role)].instances.max(1);
            let instance = state.dice.below(instances as usize) as u32;
            open.tries += u32::from(sent);
            open.sent = false;
            open.node = self.plan.layout.index(Seat { role, instance, partition: open.partition }).0;
        } else if sent {
            open.sent = false;
        }
        self.client_sends(client);
        if resend {
            self.schedule(self.now_us + RETRY_AFTER_US, Event::Retry { client, number, try_: try_ + 1 });
        }
    }

    pub(super) fn client_gives_up(&mut self, client: u32, number: u64) {
        let Some(open) = &self.clients[client as usize].open else { return };
        if open.number != number {
            return;
        }
        let end = match open.sent || open.tries > 0 {
            true => End::Unknown("no answer in time".into()),
            false => End::Fail("never sent".into()),
        };
        self.client_ends(client, end);
    }
}

/// One answer of a frame: number, kind, content.
pub(super) fn answer<'a>(input: &mut Reader<'a>) -> (u64, u8, &'a [u8]) {
    let mut take = |n: usize| input.take(n).expect("nodes write whole answers");
    let number = u64::from_le_bytes(take(8).try_into().expect("eight bytes"));
    let kind = take(1)[0];
    let len = u32::from_le_bytes(take(4).try_into().expect("four bytes"));
    (number, kind, take(len as usize))
}
