//! A node's host: what the runtime's driver does, in virtual time.
//!
//! Rounds, macro-steps, streams, held outputs, group commit, snapshots and recovery follow `runtime/src/driver`; the
//! log, the disk and the streams are the real ones.

use super::faults::{Kind, Point};
use super::net::Packet;
use super::world::{Event, World};
use crate::random::Dice;
use anabranch_core::disk::{Crash, SimDisk};
use anabranch_core::id::Req;
use anabranch_core::log::{Batch as Records, Log};
use anabranch_core::node::{Answer, Batch, Node, NodeIndex, Outbox, TickArgs};
use anabranch_core::session::frame::{self, Kind as FrameKind};
use anabranch_core::session::stream::Accept;
use anabranch_core::wire::{Reader, WireError};
use std::collections::{BTreeSet, VecDeque};

/// Macro-steps on messages to itself before the network is looked at again.
const SELF_STEPS: u32 = 16;
/// Ticks of a macro-step after which it is taken to be endless.
const ENDLESS: u32 = 10_000;

/// Outputs that wait for the log.
struct Held {
    record: u64,
    marks: Vec<(u32, u64)>,
    told: Batch,
}

/// What a running node has; gone when it crashes.
pub(super) struct Life {
    pub node: Box<dyn Node>,
    pub boot: u64,
    log: Log<SimDisk>,
    records: Records,
    /// The group that is being written.
    flushing: Option<Records>,
    stable: u64,
    held: VecDeque<Held>,
    rounds: u64,
    self_inbox: Vec<u8>,
    /// By client: requests that may be repeated and were taken for the next tick: it takes them once.
    seen: Vec<BTreeSet<u64>>,
    fresh: bool,
    dice: Dice,
}

pub(super) struct Host {
    pub life: Option<Life>,
    pub incarnation: u64,
    /// Grows with each crash, so that events of a former life are told.
    pub lives: u32,
    pub disk: SimDisk,
    out: Outbox,
    record: Vec<u8>,
    told: Batch,
    dirty: Vec<u32>,
    /// Connections with something to read.
    pub ready: Vec<u32>,
    pub round_at: Option<u64>,
    /// A crash that waits for its point.
    pub doomed: Option<(Point, bool, u64)>,
    /// While a fault lasts: until when, by how much.
    pub slow: Option<(u64, u64)>,
    pub disk_slow: Option<(u64, u64)>,
    pub reorder: Option<(u64, u64)>,
    /// The clock: at this virtual time it said so much, and goes at this rate.
    pub clock: (u64, u64, i64),
    dice: Dice,
    snapshot_bytes: u64,
}

impl Host {
    pub fn new(seed: u64, number: u32, nodes: u32) -> Host {
        let mut dice = Dice::part(seed, 2 << 32 | u64::from(number));
        let mut out = Outbox::default();
        out.batches.resize_with(nodes as usize, Default::default);
        let snapshot_bytes = [300, 2000, 10_000, u64::MAX][dice.below(4)];
        Host {
            life: None,
            incarnation: 0,
            lives: 0,
            disk: SimDisk::new(),
            out,
            record: Vec::new(),
            told: Batch::default(),
            dirty: Vec::new(),
            ready: Vec::new(),
            round_at: None,
            doomed: None,
            slow: None,
            disk_slow: None,
            reorder: None,
            clock: (0, 1_000_000_000, 0),
            dice,
            snapshot_bytes,
        }
    }

    /// What the current tick wants done.
    pub fn outbox(&self) -> &Outbox {
        &self.out
    }

    pub fn clock_us(&self, now_us: u64) -> u64 {
        let (since, said, rate) = self.clock;
        let passed = now_us - since;
        said + passed.saturating_add_signed(passed as i64 * rate / 1000)
    }

    /// The virtual time at which the clock says so much.
    fn when(&self, clock_us: u64) -> u64 {
        let (since, said, rate) = self.clock;
        since + (clock_us.saturating_sub(said) as u128 * 1000 / (1000 + rate) as u128) as u64 + 1
    }
}

impl World<'_> {
    /// Sees to it that a node has a round soon.
    pub(super) fn wake(&mut self, node: u32) {
        let (now, vary) = (self.now_us, self.plan.vary.delays);
        let host = &mut self.hosts[node as usize];
        if host.life.is_none() {
            return;
        }
        let mut wait = if vary { 5 + host.dice.word() % 60 } else { 20 };
        if let Some((until, by)) = host.slow
            && now < until
        {
            wait += if vary { by / 2 + host.dice.word() % by.max(1) } else { by };
        }
        self.round_by(node, now + wait);
    }

    fn round_by(&mut self, node: u32, at: u64) {
        let host = &mut self.hosts[node as usize];
        if host.round_at.is_none_or(|earlier| at < earlier) {
            host.round_at = Some(at);
            let life = host.lives;
            self.schedule(at, Event::Round { node, life });
        }
    }

    /// Starts a node, the first time or after a crash.
    pub(super) fn start(&mut self, node: u32) {
        let identity = self.identity(node);
        let options = anabranch_core::log::LogOptions { segment_bytes: 20_000, reserve_bytes: 500 };
        let disk = self.hosts[node as usize].disk.clone();
        let (mut recovered, log) = match Log::open(disk, &identity, options) {
            Ok(opened) => opened,
            Err(error) => {
                return self.violation("recovery", format!("{}: {error}", self.place(node)));
            }
        };
        if self.plan.runtime.loses_a_record {
            recovered.records.pop();
        }
        let incarnation = recovered.incarnation;
        let mut compiled = self.new_node(node, incarnation);
        let restored =
            recovered.snapshot.as_ref().map_or(Ok(()), |image| compiled.restore(&mut Reader::new(image)));
        let restored = restored.and_then(|()| {
            recovered.records.iter().try_for_each(|(_, record)| replay(&mut *compiled, record))
        });
        if let Err(error) = restored {
            return self
                .violation("recovery", format!("{} does not understand its log: {error}", self.place(node)));
        }
        if let Some(shadow) = &mut self.shadow {
            shadow.start(node, incarnation);
            shadow.recovered(node, recovered.tick, &*compiled);
        }
        compiled.begin();
        let seed = self.plan.seed;
        let clients = self.plan.clients.len();
        let host = &mut self.hosts[node as usize];
        host.incarnation = incarnation;
        host.ready.clear();
        let (records, stable) = (log.batch(), log.stable());
        host.life = Some(Life {
            node: compiled,
            boot: (u64::from(node) + 1) << 32 | incarnation,
            log,
            records,
            flushing: None,
            stable,
            held: VecDeque::new(),
            rounds: recovered.tick,
            self_inbox: Vec::new(),
            seen: vec![BTreeSet::new(); clients],
            fresh: true,
            dice: Dice::part(seed, 3 << 32 | u64::from(node) << 16 | incarnation),
        });
        self.tell_start(node, incarnation);
        for other in 0..node {
            if let Some(link) = self.link_of(node, other) {
                let epoch = self.links[link as usize].epoch;
                self.schedule(self.now_us + 10, Event::Dial { link, epoch });
            }
        }
        self.wake(node);
    }

    /// Stops a node at once, and with it those that share its fate. They start again together: that is the barrier.
    pub(super) fn crash(&mut self, node: u32, power: bool, down_us: u64) {
        let group = self.fates.iter().find(|group| group.contains(&NodeIndex(node))).cloned();
        for NodeIndex(member) in group.unwrap_or_else(|| vec![NodeIndex(node)]) {
            self.crash_one(member, power, down_us);
        }
    }

    fn crash_one(&mut self, node: u32, power: bool, down_us: u64) {
        self.sample(node, true);
        let host = &mut self.hosts[node as usize];
        let Some(mut life) = host.life.take() else { return };
        host.lives += 1;
        host.round_at = None;
        host.doomed = None;
        host.ready.clear();
        host.record.clear();
        host.told = Batch::default();
        host.dirty.clear();
        let seed = host.dice.word();
        if let Some(batch) = life.flushing.take() {
            // The write was under way: any part of it may have been done.
            host.disk.crash_after(host.dice.below(4) as u64);
            let _ = life.log.commit(&batch);
        }
        drop(life.log);
        host.disk.restart(if power { Crash::Power(seed) } else { Crash::Process });
        self.outcome.faults.count(if power { Kind::Power } else { Kind::Crash });
        let incarnation = self.hosts[node as usize].incarnation;
        self.tell_crash(node, incarnation, life.held.len());
        if let Some(shadow) = &mut self.shadow {
            shadow.crash(node);
        }
        for other in 0..self.places() {
            let end = self.end(node, other);
            *end = super::net::End::default();
            if let Some(link) = self.link_of(node, other) {
                for way in &mut self.links[link as usize].ways {
                    if way.to == node {
                        way.inbox.clear();
                    }
                }
                self.break_link(link);
            }
        }
        self.went_down();
        self.schedule(self.now_us + down_us.max(100), Event::Restart { node });
    }

    /// Strikes if a crash waits for this point; then there is nothing left to do.
    fn strikes(&mut self, node: u32, point: Point) -> bool {
        match self.hosts[node as usize].doomed {
            Some((doom, power, down_us)) if doom == point => {
                self.crash(node, power, down_us);
                true
            }
            _ => false,
        }
    }

    /// A round: takes what has arrived, or a part of it, ticks, logs, and writes.
    pub(super) fn round(&mut self, node: u32) {
        let now = self.now_us;
        self.hosts[node as usize].round_at = None;
        if self.hosts[node as usize].slow.is_some_and(|(until, _)| now < until) {
            self.outcome.faults.count(Kind::Slow);
        }
        self.take_all(node);
        self.fire(node);
        self.step(node);
        if self.outcome.violation.is_some() || self.hosts[node as usize].life.is_none() {
            return;
        }
        self.log_round(node);
        if self.strikes(node, Point::Unwritten) {
            return;
        }
        self.begin_flush(node);
        if self.write_dirty(node) && self.strikes(node, Point::Sent) {
            return;
        }
        let host = &mut self.hosts[node as usize];
        let Some(life) = &mut host.life else { return };
        if !host.ready.is_empty() || !life.self_inbox.is_empty() || life.node.has_input() {
            self.wake(node);
        }
        let host = &mut self.hosts[node as usize];
        let Some(life) = &mut host.life else { return };
        if let Some(due) = life.node.next_due_ms() {
            let mut at = host.when(due * 1000).max(now + 1);
            if due * 1000 <= host.clock_us(now) {
                at = now + 500 + host.dice.word() % 20_000; // left over: it fires later
            }
            self.round_by(node, at);
        }
    }

    fn take_all(&mut self, node: u32) {
        let vary = self.plan.vary.batches;
        let mut ready = std::mem::take(&mut self.hosts[node as usize].ready);
        let all = !vary || self.hosts[node as usize].dice.percent(60);
        if vary && ready.len() > 1 {
            let by = self.hosts[node as usize].dice.below(ready.len());
            ready.rotate_left(by);
        }
        for (i, &link) in ready.iter().enumerate() {
            let side = usize::from(self.links[link as usize].ways[0].to != node);
            let waiting = self.links[link as usize].ways[side].inbox.len();
            let mut take = waiting;
            if !all {
                take = self.hosts[node as usize].dice.below(waiting + 1).max(usize::from(i == 0));
            }
            for _ in 0..take {
                let Some(packet) = self.links[link as usize].ways[side].inbox.pop_front() else { break };
                match packet {
                    Packet::Hello(hello) => {
                        let state = &self.links[link as usize];
                        if state.up[0] || self.hosts[node as usize].life.is_none() {
                            continue;
                        }
                        self.introduced(node, link, &hello);
                    }
                    Packet::Welcome(welcome) => {
                        if !self.links[link as usize].up[1] {
                            self.welcomed(node, link, &welcome);
                        }
                    }
                    Packet::Data(bytes) => {
                        let from = self.links[link as usize].ways[side].from;
                        self.take(node, from, &bytes);
                    }
                }
                if self.outcome.violation.is_some() {
                    return;
                }
            }
            if !self.links[link as usize].ways[side].inbox.is_empty() {
                self.hosts[node as usize].ready.push(link);
            }
        }
    }

    /// Frames from another place.
    fn take(&mut self, node: u32, from: u32, bytes: &[u8]) {
        let mut rest = bytes;
        while let Ok(Some((header, payload, used))) = frame::parse(rest, 1 << 24) {
            rest = &rest[used..];
            let end = self.end(node, from);
            if !end.stream.acked(header.ack) {
                return; // of a connection that is no more
            }
            match end.stream.accept(header.seq, used) {
                Accept::New => {}
                Accept::Duplicate => continue,
                Accept::Gap => return,
            }
            let result = match header.kind {
                FrameKind::Messages => self.messages(node, from, payload),
                FrameKind::Requests => self.requests(node, from, payload),
                _ => Ok(()),
            };
            if let Err(error) = result {
                return self.violation(
                    "wire",
                    format!("{} sent what {} cannot read: {error}", self.place(from), self.place(node)),
                );
            }
        }
    }

    fn messages(&mut self, node: u32, from: u32, payload: &[u8]) -> Result<(), WireError> {
        let now = self.now_us;
        let host = &mut self.hosts[node as usize];
        let twice = self.plan.runtime.takes_twice && host.dice.percent(10);
        if twice {
            let life = host.lives;
            let at = now + 1 + host.dice.word() % 3000;
            self.schedule(at, Event::Late { node, life, from, bytes: payload.to_vec() });
        }
        let host = &mut self.hosts[node as usize];
        if let Some((until, by)) = host.reorder
            && now < until
        {
            for message in self.shapes.split(payload)? {
                let host = &mut self.hosts[node as usize];
                let at = now + host.dice.word() % by.max(1);
                let life = host.lives;
                if host.dice.percent(70) {
                    self.outcome.faults.count(Kind::Reorder);
                    self.schedule(at, Event::Late { node, life, from, bytes: message.to_vec() });
                } else {
                    self.hand(node, from, message)?;
                }
            }
            return Ok(());
        }
        self.hand(node, from, payload)
    }

    /// Puts messages into a node's inbox.
    pub(super) fn hand(&mut self, node: u32, from: u32, messages: &[u8]) -> Result<(), WireError> {
        self.tell_taken(node, from, messages);
        let Some(life) = &mut self.hosts[node as usize].life else { return Ok(()) };
        if let Some(shadow) = &mut self.shadow {
            shadow.messages(node, messages);
        }
        let count = life.node.deliver(&mut Reader::new(messages))?;
        self.outcome.messages += u64::from(count);
        Ok(())
    }

    fn requests(&mut self, node: u32, from: u32, payload: &[u8]) -> Result<(), WireError> {
        let client = (from - self.nodes()) as usize;
        let mut input = Reader::new(payload);
        let _waited_for = word(&mut input)?;
        while !input.rest().is_empty() {
            let number = word(&mut input)?;
            let tag = u16::from_le_bytes(input.take(2)?.try_into().expect("two bytes"));
            let len = u32::from_le_bytes(input.take(4)?.try_into().expect("four bytes"));
            let args = input.take(len as usize)?;
            let resend = self.shapes.request(tag).resend;
            let Some(life) = &mut self.hosts[node as usize].life else { return Ok(()) };
            if resend && !life.seen[client].insert(number) {
                continue;
            }
            let req = Req { session: self.clients[client].session, number };
            life.node.request(tag, req, &mut Reader::new(args))?;
            self.outcome.messages += 1;
            self.tell_requested(node, client, number);
            if let Some(shadow) = &mut self.shadow {
                shadow.request(node, tag, req, args);
            }
        }
        Ok(())
    }

    /// Due timers: all of them, or some.
    fn fire(&mut self, node: u32) {
        let (now, vary) = (self.now_us, self.plan.vary.timers);
        let host = &mut self.hosts[node as usize];
        let now_ms = host.clock_us(now) / 1000;
        let Some(life) = &mut host.life else { return };
        if life.node.next_due_ms().is_none_or(|due| due > now_ms) {
            return;
        }
        let some = vary && life.dice.percent(25);
        let due: Vec<_> = life.node.waiting().into_iter().filter(|row| row.due_ms <= now_ms).collect();
        for row in due {
            let Some(life) = &mut self.hosts[node as usize].life else { return };
            if some && life.dice.percent(50) {
                continue;
            }
            if life.node.fire(row.timer, &row.row) {
                self.tell_fired(node, row.timer, &row.row);
                if let Some(shadow) = &mut self.shadow {
                    shadow.fired(node, row.timer, &row.row);
                }
            }
        }
    }

    /// Macro-steps: on what has arrived, then on what the node sends to itself.
    fn step(&mut self, node: u32) {
        let now = self.now_us;
        for number in 0..SELF_STEPS {
            let host = &mut self.hosts[node as usize];
            let now_ms = host.clock_us(now) / 1000;
            let Some(life) = &mut host.life else { return };
            if !life.self_inbox.is_empty() {
                // Now, or when something else has come between.
                if self.plan.vary.batches && number > 0 && life.dice.percent(30) {
                    return;
                }
                let inbox = std::mem::take(&mut life.self_inbox);
                if let Err(error) = self.hand(node, node, &inbox) {
                    return self.violation(
                        "wire",
                        format!("{} cannot read its own messages: {error}", self.place(node)),
                    );
                }
            }
            let Some(life) = &mut self.hosts[node as usize].life else { return };
            if !life.node.has_input() && !std::mem::take(&mut life.fresh) {
                return;
            }
            let mut ticks = 0;
            loop {
                let host = &mut self.hosts[node as usize];
                let Some(life) = &mut host.life else { return };
                let args = TickArgs { now_ms, seed: life.dice.word() };
                let result = life.node.tick(&args, &mut host.out);
                life.seen.iter_mut().for_each(BTreeSet::clear);
                self.outcome.ticks += 1;
                if let Some(shadow) = &mut self.shadow
                    && let Some(difference) = shadow.tick(node, &args, &result, &host.out, &*life.node)
                {
                    return self.violation("interpreter", format!("{}: {difference}", self.place(node)));
                }
                if let Err(broken) = result {
                    return self.violation("broken", format!("{}: {broken}", self.place(node)));
                }
                let deferred = life.node.deferred();
                self.fold(now ^ u64::from(node) << 48);
                self.tell_tick(node, ticks > 0);
                self.collect(node);
                ticks += 1;
                if !deferred {
                    break;
                }
                if ticks == ENDLESS {
                    let what =
                        format!("a macro-step of {} did not end within {ENDLESS} ticks", self.place(node));
                    return self.violation("endless", what);
                }
            }
            self.sample(node, false);
            if self.outcome.violation.is_some() {
                return;
            }
        }
    }

    /// Moves a tick's output into open frames and the round's record.
    fn collect(&mut self, node: u32) {
        let (nodes, places) = (self.nodes(), self.places());
        let host = &mut self.hosts[node as usize];
        let Some(life) = &mut host.life else { return };
        let ends = &mut self.ends[(node * places) as usize..((node + 1) * places) as usize];
        for i in 0..host.out.dirty.len() {
            let to = host.out.dirty[i].0;
            let batch = &mut host.out.batches[to as usize];
            if to == node {
                life.self_inbox.extend_from_slice(&batch.bytes);
            } else {
                let stream = &mut ends[to as usize].stream;
                if stream.open_len() == 0 {
                    host.dirty.push(to);
                }
                stream.payload(FrameKind::Messages).extend_from_slice(&batch.bytes);
            }
            batch.bytes.clear();
            batch.ends.clear();
        }
        host.out.dirty.clear();
        for reply in &host.out.replies {
            let Some(client) = self.clients.iter().position(|c| c.session == reply.req.session) else {
                continue;
            };
            let place = nodes + client as u32;
            let (kind, bytes, index) = match &reply.answer {
                Answer::Reply(bytes) => (0u8, &bytes[..], [0; 4]),
                Answer::Refuse(bytes) => (1, &bytes[..], [0; 4]),
                Answer::Redirect(instance) => (2, &[][..], instance.to_le_bytes()),
            };
            let bytes = if kind == 2 { &index[..] } else { bytes };
            let stream = &mut ends[place as usize].stream;
            if stream.open_len() == 0 {
                host.dirty.push(place);
            }
            let payload = stream.payload(FrameKind::Replies);
            payload.extend_from_slice(&reply.req.number.to_le_bytes());
            payload.push(kind);
            payload.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
            payload.extend_from_slice(bytes);
        }
        host.out.replies.clear();
        if !host.out.log.is_empty() {
            host.record.extend_from_slice(&(host.out.log.len() as u32).to_le_bytes());
            host.record.extend_from_slice(&host.out.log);
            host.out.log.clear();
        }
        if !host.out.events.ends.is_empty() {
            let before = host.told.bytes.len() as u32;
            host.told.bytes.extend_from_slice(&host.out.events.bytes);
            host.told.ends.extend(host.out.events.ends.iter().map(|end| before + end));
            host.out.events.bytes.clear();
            host.out.events.ends.clear();
        }
    }

    /// Closes the round's frames and appends its record; what leaves waits for it.
    fn log_round(&mut self, node: u32) {
        let places = self.places();
        let early = self.plan.runtime.releases_early;
        let host = &mut self.hosts[node as usize];
        let Some(life) = &mut host.life else { return };
        let ends = &mut self.ends[(node * places) as usize..((node + 1) * places) as usize];
        let mut marks = Vec::with_capacity(host.dirty.len());
        for to in host.dirty.drain(..) {
            let stream = &mut ends[to as usize].stream;
            stream.close(false);
            marks.push((to, stream.mark()));
        }
        let mut appended = None;
        if !host.record.is_empty() {
            life.rounds += 1;
            let record = life.records.push(life.rounds, &host.record, life.stable);
            host.record.clear();
            appended = Some(record);
            if let Some(shadow) = &mut self.shadow {
                shadow.logged(node, life.rounds);
            }
        }
        let told = std::mem::take(&mut host.told);
        if !marks.is_empty() || !told.ends.is_empty() {
            let record = if early { 0 } else { life.records.next() - 1 };
            life.held.push_back(Held { record, marks, told });
        }
        let stable = life.stable;
        if let Some(record) = appended {
            self.tell_appended(node, record);
        }
        self.release(node, stable);
    }

    /// Lets everything leave that waits for records up to this one.
    fn release(&mut self, node: u32, stable: u64) {
        loop {
            let Some(life) = &mut self.hosts[node as usize].life else { return };
            if life.held.front().is_none_or(|held| held.record > stable) {
                return;
            }
            let held = life.held.pop_front().expect("there is a front");
            for (to, mark) in held.marks {
                self.end(node, to).stream.release(mark);
                self.hosts[node as usize].dirty.push(to);
            }
            if !held.told.ends.is_empty() {
                self.told(node, &held.told);
            }
        }
    }

    /// Whether something was written.
    fn write_dirty(&mut self, node: u32) -> bool {
        let mut dirty = std::mem::take(&mut self.hosts[node as usize].dirty);
        dirty.sort_unstable();
        dirty.dedup();
        let mut wrote = false;
        for &to in &dirty {
            wrote |= self.write(node, to);
        }
        dirty.clear();
        self.hosts[node as usize].dirty = dirty;
        wrote
    }

    fn begin_flush(&mut self, node: u32) {
        let (now, vary) = (self.now_us, self.plan.vary.delays);
        let host = &mut self.hosts[node as usize];
        let Some(life) = &mut host.life else { return };
        if life.flushing.is_some() || life.records.is_empty() {
            return;
        }
        let upto = life.records.next() - 1;
        life.flushing = Some(life.records.take(None));
        let mut took = if vary { 60 + life.dice.word() % 600 } else { 300 };
        if vary && life.dice.below(20) == 0 {
            took += life.dice.word() % 8000;
        }
        let slow = host.disk_slow.filter(|&(until, _)| now < until);
        if let Some((_, by)) = slow {
            took += if vary { life.dice.word() % by.max(1) } else { by };
            self.outcome.faults.count(Kind::Disk);
        }
        let host = &mut self.hosts[node as usize];
        let at = match host.doomed {
            Some((Point::Flushing, power, down_us)) => {
                let at = now + took / 2;
                host.doomed = None;
                let life = host.lives;
                self.schedule(at, Event::Doom { node, life, power, down_us });
                now + took
            }
            _ => now + took,
        };
        let life = self.hosts[node as usize].lives;
        self.tell_flush(node, upto);
        self.schedule(at, Event::Flushed { node, life });
    }

    /// The disk has done what it was asked.
    pub(super) fn flushed(&mut self, node: u32) {
        let host = &mut self.hosts[node as usize];
        let Some(life) = &mut host.life else { return };
        let Some(batch) = life.flushing.take() else { return };
        match life.log.commit(&batch) {
            Ok(stable) => life.stable = stable,
            Err(error) => return self.violation("log", format!("{}: {error}", self.place(node))),
        }
        life.log.mark();
        let stable = life.stable;
        self.tell_stable(node, stable);
        if self.strikes(node, Point::Flushed) {
            return;
        }
        self.release(node, stable);
        if self.write_dirty(node) && self.strikes(node, Point::Sent) {
            return;
        }
        self.snapshot(node);
        if self.strikes(node, Point::Released) {
            return;
        }
        self.begin_flush(node);
    }

    /// Takes a snapshot if the log has grown enough: once all is stable, nothing was done since, and the application
    /// was told what the records say.
    fn snapshot(&mut self, node: u32) {
        let host = &mut self.hosts[node as usize];
        let Some(life) = &mut host.life else { return };
        if life.log.since_snapshot() <= host.snapshot_bytes
            || !life.records.is_empty()
            || !life.held.is_empty()
        {
            return;
        }
        let dies = host.doomed.is_some_and(|(point, ..)| point == Point::Released);
        if dies {
            // In the middle of it.
            host.disk.crash_after(host.dice.below(12) as u64);
        }
        let mut image = Vec::new();
        life.node.snapshot(&mut image);
        if let Err(error) = life.log.snapshot(life.rounds, &image)
            && !dies
        {
            self.violation("log", format!("{}: {error}", self.place(node)));
        }
    }
}

/// A record holds the changes of a round's ticks, each with its length.
fn replay(node: &mut dyn Node, record: &[u8]) -> Result<(), WireError> {
    let mut input = Reader::new(record);
    while !input.rest().is_empty() {
        let len = u32::from_le_bytes(input.take(4)?.try_into().expect("four bytes"));
        node.replay(&mut Reader::new(input.take(len as usize)?))?;
    }
    Ok(())
}

fn word(input: &mut Reader<'_>) -> Result<u64, WireError> {
    Ok(u64::from_le_bytes(input.take(8)?.try_into().expect("eight bytes")))
}
