//! The network: connections between places, handshakes, cuts.
//!
//! A place is a node or a client. Of two places the one with the higher number dials. Bytes travel in the pieces
//! in which they were written, in order; a break lets a part of what is under way arrive and loses the rest. The
//! streams on top, their resending and their handshakes are the real ones.

use super::faults::Kind;
use super::world::{Event, World};
use crate::random::Dice;
use anabranch_core::session::attach;
use anabranch_core::session::hello::{Hello, Welcome};
use anabranch_core::session::stream::Stream;
use std::collections::VecDeque;

/// What travels.
#[derive(Clone, Debug)]
pub(super) enum Packet {
    Hello(Hello),
    Welcome(Welcome),
    Data(Vec<u8>),
}

/// One place's end of a stream with another.
#[derive(Default)]
pub(super) struct End {
    pub stream: Stream,
    /// The other's incarnation, once met.
    pub boot: Option<u64>,
}

/// One direction of a connection.
pub(super) struct Way {
    pub from: u32,
    pub to: u32,
    /// Under way; each has an arrival scheduled, or is stalled.
    flight: VecDeque<Packet>,
    stalled: u32,
    /// When the last of them arrives: nothing overtakes it.
    last_us: u64,
    /// Arrived, not read.
    pub inbox: VecDeque<Packet>,
    /// Extra delay, while a fault lasts: until when, and how much at most.
    pub lag: Option<(u64, u64)>,
    /// How many times as long as usual everything takes on it.
    far: u64,
    dice: Dice,
}

/// A connection, or the lack of one.
pub(super) struct Link {
    /// Way 0 goes from the lower place to the higher one.
    pub ways: [Way; 2],
    /// By side: whether it can write.
    pub up: [bool; 2],
    /// Grows whenever the connection is made or breaks.
    pub epoch: u32,
    dialling: bool,
}

impl Link {
    pub fn new(seed: u64, low: u32, high: u32, number: u32, uneven: bool) -> Link {
        let way = |from, to, side: u64| {
            let number = u64::from(number) << 1 | side;
            let far = [1, 1, 4, 16, 64][Dice::part(seed, 6 << 32 | number).below(5)];
            Way {
                from,
                to,
                flight: VecDeque::new(),
                stalled: 0,
                last_us: 0,
                inbox: VecDeque::new(),
                lag: None,
                far: if uneven { far } else { 1 },
                dice: Dice::part(seed, 1 << 32 | number),
            }
        };
        Link { ways: [way(low, high, 0), way(high, low, 1)], up: [false; 2], epoch: 0, dialling: false }
    }
}

impl World<'_> {
    /// The connection between two places, if they ever talk.
    pub(super) fn link_of(&self, a: u32, b: u32) -> Option<u32> {
        let number = self.link_at[(a * self.places() + b) as usize];
        (number != u32::MAX).then_some(number)
    }

    pub(super) fn end(&mut self, at: u32, with: u32) -> &mut End {
        let places = self.places();
        &mut self.ends[(at * places + with) as usize]
    }

    fn is_cut(&self, from: u32, to: u32) -> bool {
        self.cut[(from * self.places() + to) as usize] > 0
    }

    /// Puts a packet on its way.
    fn put(&mut self, link: u32, side: usize, packet: Packet) {
        let (now, vary) = (self.now_us, self.plan.vary.delays);
        let state = &mut self.links[link as usize];
        let epoch = state.epoch;
        let way = &mut state.ways[side];
        let mut delay = 300;
        if vary {
            delay = 80 + way.dice.word() % 400;
            if way.dice.below(16) == 0 {
                delay += way.dice.word() % 3000;
            }
        }
        delay *= way.far;
        let lagged = way.lag.filter(|&(until, _)| now < until);
        if let Some((_, by)) = lagged {
            delay += if vary { way.dice.word() % by.max(1) } else { by };
        }
        let at = (now + delay).max(way.last_us + 1);
        way.last_us = at;
        way.flight.push_back(packet);
        if lagged.is_some() {
            self.outcome.faults.count(Kind::Delay);
        }
        self.schedule(at, Event::Arrive { link, side: side as u8, epoch });
    }

    /// The first packet of a way arrives.
    pub(super) fn arrive(&mut self, link: u32, side: usize, epoch: u32) {
        let state = &mut self.links[link as usize];
        if state.epoch != epoch {
            return;
        }
        let (from, to) = (state.ways[side].from, state.ways[side].to);
        if self.is_cut(from, to) {
            self.links[link as usize].ways[side].stalled += 1;
            self.cut_felt(from, to);
            return;
        }
        let way = &mut self.links[link as usize].ways[side];
        let Some(packet) = way.flight.pop_front() else { return };
        if !self.alive(to) {
            // Nobody listens there.
            return self.break_link(link);
        }
        if to >= self.nodes() {
            return self.client_takes(to, from, link, packet);
        }
        let way = &mut self.links[link as usize].ways[side];
        let first = way.inbox.is_empty();
        way.inbox.push_back(packet);
        if first {
            self.hosts[to as usize].ready.push(link);
        }
        self.wake(to);
    }

    /// Writes whatever a stream may write; whether there was anything.
    pub(super) fn write(&mut self, from: u32, to: u32) -> bool {
        let Some(link) = self.link_of(from, to) else { return false };
        let side = usize::from(from > to);
        if !self.links[link as usize].up[side] {
            return false;
        }
        let end = self.end(from, to);
        let bytes = end.stream.unwritten().to_vec();
        if bytes.is_empty() {
            return false;
        }
        end.stream.wrote(bytes.len());
        self.fold(bytes.len() as u64 ^ u64::from(from) << 32 ^ u64::from(to) << 40);
        self.fold(u64::from(u32::from_le_bytes(bytes[24..28].try_into().expect("a frame's header"))));
        if self.teller.is_some() {
            self.tell_written(from, to, &bytes);
        }
        self.put(link, side, Packet::Data(bytes));
        true
    }

    /// The dialling side tries.
    pub(super) fn dial(&mut self, link: u32, epoch: u32) {
        let state = &mut self.links[link as usize];
        if state.epoch != epoch || state.dialling || state.up[1] {
            return;
        }
        let (low, high) = (state.ways[0].from, state.ways[0].to);
        if !self.alive(high) {
            return;
        }
        let state = &mut self.links[link as usize];
        state.epoch += 1;
        state.dialling = true;
        let boot = self.boot(high);
        let (fingerprint, layout) = (self.fingerprint, self.layout_hash);
        let from = match high < self.nodes() {
            true => anabranch_core::session::hello::Who::Node(high),
            false => anabranch_core::session::hello::Who::Client(boot),
        };
        let end = self.end(high, low);
        let (peer_boot, received) = (end.boot.unwrap_or(0), end.stream.received());
        let hello = Hello { fingerprint, layout, from, to: low, boot, peer_boot, received };
        self.put(link, 1, Packet::Hello(hello));
    }

    /// The accepting side hears who is there.
    pub(super) fn introduced(&mut self, at: u32, link: u32, hello: &Hello) {
        let from = self.links[link as usize].ways[1].from;
        let boot = self.boot(at);
        let knows_us = hello.peer_boot == boot;
        let end = self.end(at, from);
        if !attach(&mut end.boot, &mut end.stream, hello.boot, knows_us, hello.received) {
            return self.contradiction(at, from);
        }
        let received = end.stream.received();
        self.links[link as usize].up[0] = true;
        self.put(link, 0, Packet::Welcome(Welcome { boot, peer_boot: hello.boot, received }));
        self.write(at, from);
    }

    /// The dialling side hears that the other agrees.
    pub(super) fn welcomed(&mut self, at: u32, link: u32, welcome: &Welcome) {
        let from = self.links[link as usize].ways[0].from;
        let knows_us = welcome.peer_boot == self.boot(at);
        let end = self.end(at, from);
        if !knows_us || !attach(&mut end.boot, &mut end.stream, welcome.boot, true, welcome.received) {
            return self.contradiction(at, from);
        }
        self.links[link as usize].up[1] = true;
        self.links[link as usize].dialling = false;
        self.write(at, from);
    }

    /// Two accounts of one stream that cannot both be right: the session layer is at fault.
    fn contradiction(&mut self, at: u32, from: u32) {
        let (a, b) = (self.place(at), self.place(from));
        self.violation("sessions", format!("{a} and {b} disagree on what they exchanged"));
    }

    /// A connection breaks. A part of what is under way still arrives.
    pub(super) fn break_link(&mut self, link: u32) {
        let nodes = self.nodes();
        let state = &mut self.links[link as usize];
        state.epoch += 1;
        state.dialling = false;
        state.up = [false; 2];
        let (low, high, epoch) = (state.ways[0].from, state.ways[0].to, state.epoch);
        for side in 0..2 {
            let way = &mut self.links[link as usize].ways[side];
            let mut arrive = way.dice.below(way.flight.len() + 1);
            way.last_us = self.now_us;
            let (from, to) = (way.from, way.to);
            if to >= nodes || self.is_cut(from, to) || !self.alive(to) {
                arrive = 0;
            }
            let way = &mut self.links[link as usize].ways[side];
            way.stalled = 0;
            let arrived = way.flight.drain(..).take(arrive);
            let first = way.inbox.is_empty();
            way.inbox.extend(arrived);
            // A handshake is worth nothing on a broken connection, also if it has arrived and was not read yet; and what
            // follows it cannot be read without it.
            if let Some(place) = way.inbox.iter().position(|p| !matches!(p, Packet::Data(_))) {
                way.inbox.truncate(place);
            }
            if first && !way.inbox.is_empty() {
                self.hosts[to as usize].ready.push(link);
                self.wake(to);
            }
        }
        if self.alive(high) {
            if high >= nodes {
                self.client_cut_off(high, low);
            }
            let way = &mut self.links[link as usize].ways[1];
            let at = self.now_us + 1000 + way.dice.word() % 20_000;
            self.schedule(at, Event::Dial { link, epoch });
        }
    }

    /// Cuts a part of the network.
    pub(super) fn cut(&mut self, from: &[u32], to: &[u32], both: bool, broken: bool) {
        let places = self.places();
        let pairs = from.iter().flat_map(|&a| to.iter().map(move |&b| (a, b)));
        for (a, b) in pairs {
            self.cut[(a * places + b) as usize] += 1;
            if both {
                self.cut[(b * places + a) as usize] += 1;
            }
            if let Some(link) = self.link_of(a, b)
                && broken
                && self.links[link as usize].up.contains(&true)
            {
                self.cut_felt(a, b);
                self.break_link(link);
            }
        }
    }

    /// A cut heals: what waited goes on.
    pub(super) fn heal(&mut self, from: &[u32], to: &[u32], both: bool) {
        let places = self.places();
        let pairs = from.iter().flat_map(|&a| to.iter().map(move |&b| (a, b)));
        for (a, b) in pairs {
            self.cut[(a * places + b) as usize] -= 1;
            if both {
                self.cut[(b * places + a) as usize] -= 1;
            }
            let Some(link) = self.link_of(a, b) else { continue };
            for side in 0..2 {
                let way = &self.links[link as usize].ways[side];
                if self.is_cut(way.from, way.to) {
                    continue;
                }
                let state = &mut self.links[link as usize];
                let epoch = state.epoch;
                let way = &mut state.ways[side];
                for _ in 0..std::mem::take(&mut way.stalled) {
                    let at = (self.now_us + 100 + way.dice.word() % 500).max(way.last_us + 1);
                    way.last_us = at;
                    self.heap.push(super::world::Entry::new(
                        at,
                        &mut self.number,
                        Event::Arrive { link, side: side as u8, epoch },
                    ));
                }
            }
        }
    }

    fn cut_felt(&mut self, from: u32, to: u32) {
        for cut in &mut self.cuts {
            let one = cut.from.contains(&from) && cut.to.contains(&to);
            let back = cut.both && cut.from.contains(&to) && cut.to.contains(&from);
            if (one || back) && !std::mem::replace(&mut cut.felt, true) {
                self.outcome.faults.count(if cut.both { Kind::Partition } else { Kind::Oneway });
            }
        }
    }
}
