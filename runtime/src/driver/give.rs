//! Handing out what ticks produced: into streams, held until the log is stable, then one write each.

use super::{Driver, Exit, Held, Link, With};
use crate::observe::Telling;
use crate::store::push_tick;
use crate::transport::frame::Kind;
use anabranch_core::node::{Answer, Batch, Broken};
use std::io;
use std::time::Instant;

/// Frames are closed when they have grown to this, whatever the limit.
const FRAME_SOFT: usize = 1 << 20;

impl Driver {
    /// Moves a tick's output into the open frames and the round's log record.
    pub(super) fn collect(&mut self) -> Result<(), Exit> {
        let soft = FRAME_SOFT.min(self.config.limits.frame_bytes);
        for i in 0..self.out.dirty.len() {
            let to = self.out.dirty[i].0;
            let batch = &mut self.out.batches[to as usize];
            let count = batch.ends.len() as u64;
            if to == self.me {
                self.counters.messages_self += count;
                self.self_count += count;
                self.self_inbox.extend_from_slice(&batch.bytes);
            } else {
                self.counters.messages_out += count;
                let stream = &mut self.peers[to as usize].stream;
                if stream.open_len() == 0 {
                    self.dirty_peers.push(to);
                }
                if stream.open_len() + batch.bytes.len() <= soft {
                    stream.payload(Kind::Messages).extend_from_slice(&batch.bytes);
                } else {
                    let mut start = 0;
                    for &end in &batch.ends {
                        let message = &batch.bytes[start..end as usize];
                        start = end as usize;
                        if message.len() > self.config.limits.frame_bytes {
                            return Err(Exit::Broken(oversized(
                                message.len(),
                                self.config.limits.frame_bytes,
                            )));
                        }
                        if stream.open_len() > 0 && stream.open_len() + message.len() > soft {
                            stream.close(self.pressed);
                            self.counters.frames_out += 1;
                        }
                        stream.payload(Kind::Messages).extend_from_slice(message);
                    }
                }
            }
            batch.bytes.clear();
            batch.ends.clear();
        }
        self.out.dirty.clear();

        let replies = std::mem::take(&mut self.out.replies);
        for reply in &replies {
            // A client that has not come by yet, or comes back, finds its answer.
            let slot = match self.sessions.get(&reply.req.session) {
                Some(&slot) => slot,
                None => self.client(reply.req.session, Instant::now()),
            };
            let client = self.clients[slot].as_mut().expect("a session's client is known");
            if client.banned {
                continue;
            }
            let (kind, bytes, index) = match &reply.answer {
                Answer::Reply(bytes) => (0u8, &bytes[..], [0; 4]),
                Answer::Refuse(bytes) => (1, &bytes[..], [0; 4]),
                Answer::Redirect(instance) => (2, &[][..], instance.to_le_bytes()),
            };
            let bytes = if kind == 2 { &index[..] } else { bytes };
            if bytes.len() + 64 > self.config.limits.frame_bytes {
                return Err(Exit::Broken(oversized(bytes.len(), self.config.limits.frame_bytes)));
            }
            if client.stream.open_len() + bytes.len() + 64 > soft && client.stream.open_len() > 0 {
                client.stream.close(self.pressed);
                self.counters.frames_out += 1;
            }
            let payload = client.stream.payload(Kind::Replies);
            payload.extend_from_slice(&reply.req.number.to_le_bytes());
            payload.extend_from_slice(&reply.request.to_le_bytes());
            payload.push(kind);
            payload.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
            payload.extend_from_slice(bytes);
            self.counters.replies_out += 1;
            if !client.dirty {
                client.dirty = true;
                self.dirty_clients.push(slot);
            }
        }
        self.out.replies = replies;
        self.out.replies.clear();

        if !self.out.log.is_empty() {
            if self.store.is_some() {
                // Several ticks share a record: outputs wait for all of them together anyway.
                push_tick(&mut self.record, &self.out.log);
            }
            self.out.log.clear();
        }
        if !self.out.events.ends.is_empty() {
            if self.telling.is_some() {
                let before = self.events.bytes.len() as u32;
                self.events.bytes.extend_from_slice(&self.out.events.bytes);
                self.events.ends.extend(self.out.events.ends.iter().map(|end| before + end));
            }
            self.out.events.bytes.clear();
            self.out.events.ends.clear();
        }
        Ok(())
    }

    /// Notes that a client's connection has something to write.
    pub(super) fn client_dirty(&mut self, slot: usize) {
        let client = self.clients[slot].as_mut().expect("a link's client is known");
        if !client.dirty {
            client.dirty = true;
            self.dirty_clients.push(slot);
        }
    }

    /// Ends a round: closes its frames, logs its record, releases what is stable, and writes.
    pub(super) fn give(&mut self, now: Instant) -> Result<(), Exit> {
        self.log_round()?;
        let before = self.pressed;
        self.pressed = self.under_pressure();
        if self.pressed {
            self.counters.pressed_rounds += 1;
        }
        if before != self.pressed {
            self.tell_pressure();
        }
        let mut dirty = std::mem::take(&mut self.dirty_peers);
        for &peer in &dirty {
            if let Some(link) = self.peers[peer as usize].link {
                self.flush(link, now);
            }
        }
        dirty.clear();
        self.dirty_peers = dirty;
        let mut dirty = std::mem::take(&mut self.dirty_clients);
        for &slot in &dirty {
            let Some(client) = &mut self.clients[slot] else { continue };
            client.dirty = false;
            if let Some(link) = client.link {
                self.flush(link, now);
            }
        }
        dirty.clear();
        self.dirty_clients = dirty;
        Ok(())
    }

    fn log_round(&mut self) -> Result<(), Exit> {
        if !self.dirty_peers.is_empty() || !self.dirty_clients.is_empty() {
            self.quiet_since = Instant::now();
        }
        for i in 0..self.dirty_peers.len() {
            let stream = &mut self.peers[self.dirty_peers[i] as usize].stream;
            if stream.open_len() > 0 {
                stream.close(self.pressed);
                self.counters.frames_out += 1;
            }
        }
        for i in 0..self.dirty_clients.len() {
            let Some(client) = &mut self.clients[self.dirty_clients[i]] else { continue };
            if client.stream.open_len() > 0 {
                client.stream.close(self.pressed);
                self.counters.frames_out += 1;
            }
        }
        let Some(store) = &mut self.store else {
            for &peer in &self.dirty_peers {
                self.peers[peer as usize].stream.release_all();
            }
            for &slot in &self.dirty_clients {
                if let Some(client) = &mut self.clients[slot] {
                    client.stream.release_all();
                }
            }
            let events = std::mem::take(&mut self.events);
            tell(&mut self.telling, &events)?;
            self.events = events;
            self.events.bytes.clear();
            self.events.ends.clear();
            return Ok(());
        };
        if !self.record.is_empty() {
            self.counters.log_records += 1;
            self.counters.log_bytes += self.record.len() as u64;
            store.append(&self.record);
            self.record.clear();
        }
        let record = store.appended();
        let (peers, clients) = (&self.peers, &self.clients);
        let marks = self.dirty_peers.iter().map(|&p| (p, peers[p as usize].stream.mark()));
        let held = Held {
            record,
            peers: marks.collect(),
            clients: self
                .dirty_clients
                .iter()
                .filter_map(|&c| Some((c, clients[c].as_ref()?.stream.mark())))
                .collect(),
            events: std::mem::take(&mut self.events),
        };
        if !held.peers.is_empty() || !held.clients.is_empty() || !held.events.ends.is_empty() {
            self.held.push_back(held);
        }
        let stable = store.stable()?;
        self.release(stable)
    }

    /// Lets everything leave that waits for records up to this one.
    fn release(&mut self, stable: u64) -> Result<(), Exit> {
        while let Some(held) = self.held.front()
            && held.record <= stable
        {
            let held = self.held.pop_front().expect("there is a front");
            tell(&mut self.telling, &held.events)?;
            for (peer, mark) in held.peers {
                self.peers[peer as usize].stream.release(mark);
                self.dirty_peers.push(peer);
            }
            for (slot, mark) in held.clients {
                let Some(client) = &mut self.clients[slot] else { continue };
                client.stream.release(mark);
                if !client.dirty {
                    client.dirty = true;
                    self.dirty_clients.push(slot);
                }
            }
        }
        self.dirty_peers.sort_unstable();
        self.dirty_peers.dedup();
        Ok(())
    }

    /// Takes a snapshot if the log has grown enough. What records tell the application must have been told
    /// before they may be forgotten, so this waits for the disk, once in a long while.
    pub(super) fn snapshot_if_due(&mut self) -> Result<(), Exit> {
        let Some(store) = &mut self.store else { return Ok(()) };
        if !store.wants_snapshot() {
            return Ok(());
        }
        let stable = store.flush()?;
        self.release(stable)?;
        if let Some(store) = &mut self.store {
            store.snapshot(self.node.fork());
        }
        self.counters.snapshots += 1;
        Ok(())
    }

    /// Whether a connected node is slow, or the disk is. (Nodes out of reach do not hold the others up.)
    fn under_pressure(&mut self) -> bool {
        let limit = self.config.limits.pressure_bytes;
        // Once pressed, the queues must fall to half before it ends.
        let limit = if self.pressed { limit / 2 } else { limit };
        let longest =
            self.peers.iter().filter(|peer| peer.link.is_some()).map(|peer| peer.stream.queued()).max();
        let longest = longest.unwrap_or(0);
        self.counters.queued_peak = self.counters.queued_peak.max(longest as u64);
        longest > limit || self.store.as_ref().is_some_and(|store| store.waiting_bytes() > limit)
    }

    fn tell_pressure(&mut self) {
        for peer in 0..self.peers.len() {
            let state = &mut self.peers[peer];
            let Some(number) = state.link else { continue };
            let Some(link) = &mut self.links[number] else { continue };
            if matches!(link.with, With::Node(_)) {
                let beat = state.stream.beat(self.pressed);
                link.conn.push(beat, &[]);
                self.dirty_peers.push(peer as u32);
            }
        }
    }

    /// Writes what a link's connection and stream have; closes it if that fails.
    pub(super) fn flush(&mut self, number: usize, now: Instant) {
        let Some(mut link) = self.links.get_mut(number).and_then(Option::take) else { return };
        match self.flush_link(number, &mut link, now) {
            Ok(()) => self.links[number] = Some(link),
            Err(_) => self.closed(number, *link, now),
        }
    }

    /// The same for a link that is out of the table, which stays open.
    pub(super) fn flush_link(&mut self, _number: usize, link: &mut Link, now: Instant) -> io::Result<()> {
        let stream = match link.with {
            With::Node(peer) => Some(&mut self.peers[peer as usize].stream),
            With::Client(slot) => self.clients[slot].as_mut().map(|client| &mut client.stream),
            _ => None,
        };
        self.counters.writes += 1;
        link.conn.flush(stream, now)
    }
}

fn tell(telling: &mut Option<Telling>, events: &Batch) -> Result<(), Exit> {
    match telling {
        Some(telling) if !events.ends.is_empty() => Ok(telling.tell(events)?),
        _ => Ok(()),
    }
}

fn oversized(len: usize, limit: usize) -> Broken {
    let message = format!(
        "a message of {len} bytes exceeds the frame limit of {limit}: raise `frame_bytes` under [limits], or send less"
    );
    Broken { message }
}
