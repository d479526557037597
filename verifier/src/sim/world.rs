//! The simulated world: places, virtual time, the loop over events.

use super::check::{Checks, View};
use super::client::Client;
use super::faults::{FaultKind, Kind, Point};
use super::host::Host;
use super::net::{End, Link};
use super::plan::Plan;
use super::shadow::Shadow;
use super::shapes::Shapes;
use super::tell::Teller;
use super::{Outcome, Violation};
use anabranch_core::log::Identity;
use anabranch_core::node::{Batch, Ids, Node, NodeIndex, Protocol, Setup, fate_groups};
use anabranch_core::session::hello::layout_hash;
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Something that will happen.
#[derive(Debug)]
pub(super) enum Event {
    Arrive { link: u32, side: u8, epoch: u32 },
    Round { node: u32, life: u32 },
    Flushed { node: u32, life: u32 },
    Late { node: u32, life: u32, from: u32, bytes: Vec<u8> },
    Dial { link: u32, epoch: u32 },
    Restart { node: u32 },
    Doom { node: u32, life: u32, power: bool, down_us: u64 },
    Think { client: u32 },
    Retry { client: u32, number: u64, try_: u32 },
    Deadline { client: u32, number: u64 },
    Fault { index: u32 },
    Heal { index: u32 },
    Calm,
}

/// An event with its time; those of one time happen in the order in which they were scheduled.
pub(super) struct Entry {
    at: u64,
    number: u64,
    event: Event,
}

impl Entry {
    pub fn new(at: u64, number: &mut u64, event: Event) -> Entry {
        *number += 1;
        Entry { at, number: *number, event }
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    /// The earliest is the greatest, as the heap wants it.
    fn cmp(&self, other: &Entry) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

/// A cut that is in force.
pub(super) struct Cut {
    index: u32,
    pub from: Vec<u32>,
    pub to: Vec<u32>,
    pub both: bool,
    pub felt: bool,
}

pub(super) struct World<'a> {
    pub protocol: &'a dyn Protocol,
    pub plan: &'a Plan,
    pub shapes: &'a Shapes,
    pub now_us: u64,
    pub heap: BinaryHeap<Entry>,
    pub number: u64,
    pub hosts: Vec<Host>,
    pub clients: Vec<Client>,
    pub links: Vec<Link>,
    /// By pair of places; `u32::MAX` for those that never talk.
    pub link_at: Vec<u32>,
    pub ends: Vec<End>,
    /// By pair of places: how many cuts there are.
    pub cut: Vec<u16>,
    pub cuts: Vec<Cut>,
    pub fingerprint: u64,
    pub layout_hash: u64,
    pub outcome: Outcome,
    pub checks: Checks<'a>,
    pub teller: Option<Teller>,
    pub shadow: Option<Box<Shadow>>,
    /// The run is cut off after so many events.
    pub most_events: u64,
    /// Clients that are not done.
    pub busy: u32,
    /// Nodes that crash together.
    pub fates: Vec<Vec<NodeIndex>>,
    calm: bool,
    /// Nodes that are down.
    down: u32,
}

impl<'a> World<'a> {
    pub fn new(
        protocol: &'a dyn Protocol,
        plan: &'a Plan,
        shapes: &'a Shapes,
        checks: Checks<'a>,
    ) -> World<'a> {
        let nodes = plan.layout.nodes();
        let places = nodes + plan.clients.len() as u32;
        let mut links = Vec::new();
        let mut link_at = vec![u32::MAX; (places * places) as usize];
        for high in 0..places {
            for low in 0..high.min(nodes) {
                let role = plan.layout.seat(NodeIndex(low)).expect("a node of the layout").role;
                if high < nodes || shapes.meets_clients(role) {
                    let number = links.len() as u32;
                    links.push(Link::new(plan.seed, low, high, number, plan.vary.uneven));
                    link_at[(low * places + high) as usize] = number;
                    link_at[(high * places + low) as usize] = number;
                }
            }
        }
        let mut ends = Vec::new();
        ends.resize_with((places * places) as usize, End::default);
        World {
            protocol,
            plan,
            shapes,
            now_us: 0,
            heap: BinaryHeap::with_capacity(256),
            number: 0,
            hosts: (0..nodes).map(|n| Host::new(plan.seed, n, nodes)).collect(),
            clients: (0..plan.clients.len()).map(|c| Client::new(plan, c as u32)).collect(),
            links,
            link_at,
            ends,
            cut: vec![0; (places * places) as usize],
            cuts: Vec::new(),
            fingerprint: protocol.fingerprint(),
            layout_hash: layout_hash(&plan.layout),
            outcome: Outcome::default(),
            checks,
            teller: None,
            shadow: None,
            most_events: u64::MAX,
            busy: 0,
            fates: fate_groups(&protocol.role_infos(), &plan.layout),
            calm: false,
            down: 0,
        }
    }

    pub fn nodes(&self) -> u32 {
        self.hosts.len() as u32
    }
    pub fn places(&self) -> u32 {
        (self.hosts.len() + self.clients.len()) as u32
    }
    pub fn alive(&self, place: u32) -> bool {
        self.hosts.get(place as usize).is_none_or(|host| host.life.is_some())
    }
    pub fn boot(&self, place: u32) -> u64 {
        match self.hosts.get(place as usize) {
            Some(host) => host.life.as_ref().map_or(0, |life| life.boot),
            None => self.clients[(place - self.nodes()) as usize].session,
        }
    }

    /// A place's name.
    pub fn place(&self, place: u32) -> String {
        self.shapes.place(&self.plan.layout, place)
    }

    pub fn identity(&self, node: u32) -> Identity {
        let seat = self.plan.layout.seat(NodeIndex(node)).expect("a node of the layout");
        Identity { protocol: self.protocol.name().to_string(), fingerprint: self.fingerprint, seat }
    }

    pub fn new_node(&self, node: u32, incarnation: u64) -> Box<dyn Node> {
        let seat = self.plan.layout.seat(NodeIndex(node)).expect("a node of the layout");
        let (layout, params) = (self.plan.layout.clone(), self.plan.params.clone());
        // Hashed ids, so that a run is the same whether or not the interpreter looks on.
        let mut made = self.protocol.node(Setup { layout, seat, params, incarnation, ids: Ids::Hashed });
        made.ghosts(self.checks.wants_ghosts());
        made.lazy(self.plan.vary.forgets);
        let told = self.teller.is_some() || self.shadow.is_some();
        made.trace(told || !self.checks.sees(seat.role, &*made));
        made
    }

    pub fn schedule(&mut self, at: u64, event: Event) {
        self.heap.push(Entry::new(at.max(self.now_us), &mut self.number, event));
    }

    /// Mixes something that happened into the run's hash.
    pub fn fold(&mut self, word: u64) {
        let hash = (self.outcome.hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.outcome.hash = hash ^ hash >> 29;
    }

    /// The run ends: something is wrong.
    pub fn violation(&mut self, property: &str, text: String) {
        if self.outcome.violation.is_none() {
            self.outcome.violation = Some(Violation {
                property: property.to_string(),
                text,
                time_us: self.now_us,
                nodes: Vec::new(),
            });
        }
    }

    /// Runs to the end.
    pub fn run(&mut self) {
        for node in 0..self.nodes() {
            self.start(node);
        }
        for client in 0..self.clients.len() as u32 {
            self.client_begins(client);
        }
        for (index, fault) in self.plan.faults.iter().enumerate() {
            self.schedule(fault.at_us, Event::Fault { index: index as u32 });
        }
        self.schedule(self.plan.calm_us, Event::Calm);
        let last = self.plan.calm_us + self.plan.settle_us;
        // Once clients are done and faults have stopped, so long is waited for what is still to come.
        let mut rest_until = u64::MAX;
        while let Some(Entry { at, event, .. }) = self.heap.pop() {
            if at > last || at > rest_until {
                break;
            }
            if self.outcome.events >= self.most_events {
                return;
            }
            self.now_us = at;
            self.outcome.events += 1;
            self.event(event);
            if self.outcome.violation.is_some() {
                break;
            }
            if rest_until == u64::MAX && self.busy == 0 && self.calm && self.down == 0 {
                rest_until = self.now_us + self.checks.patience_us();
            }
        }
        self.finish();
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Arrive { link, side, epoch } => self.arrive(link, usize::from(side), epoch),
            Event::Round { node, life } => {
                let host = &self.hosts[node as usize];
                if host.lives == life && host.round_at == Some(self.now_us) {
                    self.round(node);
                }
            }
            Event::Flushed { node, life } => {
                if self.hosts[node as usize].lives == life {
                    self.flushed(node);
                }
            }
            Event::Late { node, life, from, bytes } => {
                if self.hosts[node as usize].lives == life {
                    if let Err(error) = self.hand(node, from, &bytes) {
                        self.violation(
                            "wire",
                            format!("{} cannot read a message: {error}", self.place(node)),
                        );
                    }
                    self.wake(node);
                }
            }
            Event::Dial { link, epoch } => self.dial(link, epoch),
            Event::Restart { node } => {
                self.down -= 1;
                self.start(node);
            }
            Event::Doom { node, life, power, down_us } => {
                if self.hosts[node as usize].lives == life {
                    self.crash(node, power, down_us);
                }
            }
            Event::Think { client } => self.client_asks(client),
            Event::Retry { client, number, try_ } => self.client_retries(client, number, try_),
            Event::Deadline { client, number } => self.client_gives_up(client, number),
            Event::Fault { index } => self.fault(index),
            Event::Heal { index } => self.over(index),
            Event::Calm => {
                self.calm = true;
                // Whoever waits for a point that did not come is spared.
                self.hosts.iter_mut().for_each(|host| host.doomed = None);
                self.tell_note("faults have stopped".into());
            }
        }
    }

    /// A crash at once, or at the next point of a kind.
    fn doom(&mut self, node: u32, point: Point, power: bool, down_us: u64) {
        let host = &mut self.hosts[node as usize];
        if host.life.is_none() {
            return;
        }
        if point == Point::Now {
            self.crash(node, power, down_us);
        } else {
            host.doomed = Some((point, power, down_us));
        }
    }

    fn fault(&mut self, index: u32) {
        let fault = &self.plan.faults[index as usize];
        let until = self.now_us;
        match fault.what.clone() {
            FaultKind::Crash { node, point, power, down_us } => self.doom(node, point, power, down_us),
            FaultKind::Partition { from, to, both, broken, .. } => {
                self.tell_cut(index, &from, &to, both);
                self.cuts.push(Cut { index, from: from.clone(), to: to.clone(), both, felt: false });
                self.cut(&from, &to, both, broken);
            }
            FaultKind::Break { a, b } => {
                if let Some(link) = self.link_of(a, b)
                    && self.links[link as usize].up.contains(&true)
                {
                    self.outcome.faults.count(Kind::Break);
                    let text = format!("the connection of {} and {} breaks", self.place(a), self.place(b));
                    self.tell_note(text);
                    self.break_link(link);
                }
            }
            FaultKind::Slow { node, by_us, for_us } => {
                self.hosts[node as usize].slow = Some((until + for_us, by_us));
            }
            FaultKind::Disk { node, by_us, for_us } => {
                self.hosts[node as usize].disk_slow = Some((until + for_us, by_us));
            }
            FaultKind::Reorder { node, by_us, for_us } => {
                self.hosts[node as usize].reorder = Some((until + for_us, by_us));
            }
            FaultKind::Delay { from, to, by_us, for_us } => {
                if let Some(link) = self.link_of(from, to) {
                    let way = &mut self.links[link as usize].ways[usize::from(from > to)];
                    way.lag = Some((until + for_us, by_us));
                }
            }
            FaultKind::Skew { node, by_ms, rate } => {
                let now = self.now_us;
                let host = &mut self.hosts[node as usize];
                let said = host.clock_us(now) + by_ms * 1000;
                host.clock = (now, said, i64::from(rate));
                if host.life.is_some() {
                    self.outcome.faults.count(Kind::Skew);
                    let text =
                        format!("the clock of {} jumps by {by_ms} ms, rate {rate}/1000", self.place(node));
                    self.tell_note(text);
                    self.wake(node);
                }
            }
        }
        if matches!(fault.what, FaultKind::Partition { .. }) {
            self.schedule(fault.ends_us(), Event::Heal { index });
        }
    }

    fn over(&mut self, index: u32) {
        let Some(at) = self.cuts.iter().position(|cut| cut.index == index) else { return };
        let cut = self.cuts.remove(at);
        self.tell_heal(index);
        self.heal(&cut.from, &cut.to, cut.both);
    }

    /// What a node tells the application, now that it is stable.
    pub fn told(&mut self, node: u32, events: &Batch) {
        let mut start = 0;
        for &end in &events.ends {
            let bytes = &events.bytes[start..end as usize];
            start = end as usize;
            self.outcome.told += 1;
            self.checks.told(node, bytes);
        }
    }

    /// Lets the checks look at a node whose state has changed, or is about to be lost.
    pub fn sample(&mut self, node: u32, last: bool) {
        if !self.checks.due(node, last) {
            return;
        }
        let view = View { now_us: self.now_us, layout: &self.plan.layout };
        let nodes = self.hosts.iter().map(|host| host.life.as_ref().map(|life| &*life.node));
        if let Some(violation) = self.checks.look(&view, nodes) {
            self.outcome.violation.get_or_insert(violation);
        }
    }

    fn finish(&mut self) {
        for node in 0..self.nodes() {
            if self.outcome.violation.is_none() {
                self.sample(node, true);
            }
        }
        self.outcome.span_us = self.now_us;
        self.outcome.calls = self.clients.iter_mut().flat_map(|c| std::mem::take(&mut c.calls)).collect();
        self.outcome.calls.sort_by_key(|call| (call.invoked_us, call.client, call.number));
        if self.outcome.violation.is_none() {
            let view = View { now_us: self.now_us, layout: &self.plan.layout };
            self.outcome.violation = self.checks.end(&view, self.plan, &self.outcome.calls, self.busy > 0);
        }
        if let Some(violation) = self.outcome.violation.clone() {
            self.tell_violation(&violation);
        }
    }

    /// A node has gone down, and will be back.
    pub fn went_down(&mut self) {
        self.down += 1;
    }
}
