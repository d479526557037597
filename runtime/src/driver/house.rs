//! Housekeeping a few times a second: signs of life, silence, give-ups, dialling, snapshots, and the end.

use super::links::side;
use super::{Driver, Exit, With};
use crate::transport::frame::Kind;
use crate::transport::hello::Refusal;
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_millis(100);
/// A connection that carried nothing for so long gets a beat.
const BEAT_AFTER: Duration = Duration::from_millis(400);
/// A connection that was silent for so long is broken.
const SILENT: Duration = Duration::from_secs(5);
/// Answers for a client that does not come back are kept for so long.
const CLIENT_GRACE: Duration = Duration::from_secs(60);
/// An orderly end waits for silence of this length, and for its outputs for no longer than that.
const QUIET: Duration = Duration::from_millis(60);
const LAST_WAIT: Duration = Duration::from_secs(3);

impl Driver {
    pub(super) fn house(&mut self, now: Instant) -> Result<(), Exit> {
        self.house_at = now + EVERY;
        self.stop_if_asked(now);
        for peer in 0..self.peers.len() as u32 {
            if self.stopping.is_none() && self.peers[peer as usize].dial_at.is_some_and(|at| at <= now) {
                self.dial(peer, now);
            }
            self.give_up(peer, now);
        }
        for number in 0..self.links.len() {
            self.beat(number, now);
        }
        for slot in 0..self.clients.len() {
            let Some(client) = &self.clients[slot] else { continue };
            let flooded = client.stream.queued() > self.config.limits.queue_bytes;
            let gone = client.link.is_none() && (client.banned || now - client.lost_at > CLIENT_GRACE);
            if flooded && let Some(link) = client.link {
                tracing::warn!(node = %self.config.name, "a client does not read its answers: dropped");
                self.close(link, now);
            }
            if gone || flooded {
                let client = self.clients[slot].take().expect("seen above");
                self.sessions.remove(&client.session);
                // Its number may be given to another client, whose outputs wait for other records.
                for held in &mut self.held {
                    held.clients.retain(|&(c, _)| c != slot);
                }
                self.dirty_clients.retain(|&c| c != slot);
            }
        }
        self.snapshot_if_due()?;
        Ok(())
    }

    fn beat(&mut self, number: usize, now: Instant) {
        let Some(link) = &mut self.links[number] else { return };
        let silent = now.saturating_duration_since(link.conn.last_heard);
        let greeting = matches!(link.with, With::Stranger | With::Dialled(_) | With::Greeted(_));
        // A client that is held back, or a tool, may be silent.
        let held_back = link.readable && matches!(link.with, With::Client(_));
        let dead = silent > SILENT && !held_back && link.with != With::Tool;
        if dead || (greeting && now - link.opened > SILENT) {
            tracing::debug!(node = %self.config.name, with = ?link.with, "connection silent: closed");
            return self.close(number, now);
        }
        let idle = now.saturating_duration_since(link.conn.last_wrote) > BEAT_AFTER;
        let stream = match link.with {
            With::Node(peer) => &mut self.peers[peer as usize].stream,
            With::Client(slot) => match &mut self.clients[slot] {
                Some(client) => &mut client.stream,
                None => return,
            },
            _ => return,
        };
        if !link.conn.blocked && (idle || stream.untold() > 0) {
            let beat = stream.beat(self.pressed);
            link.conn.push(beat, &[]);
            self.flush(number, now);
        }
    }

    /// Drops what waits for a node that fell too far behind, and that incarnation of it.
    fn give_up(&mut self, peer: u32, now: Instant) {
        let state = &mut self.peers[peer as usize];
        if state.stream.queued() <= self.config.limits.queue_bytes {
            return;
        }
        let linked = state.link.and_then(|number| self.links[number].as_ref());
        let connected = state.boot.filter(|_| linked.is_some_and(|link| link.with == With::Node(peer)));
        state.fate.give_up(&mut state.stream, connected);
        self.counters.given_up += 1;
        let link = self.peers[peer as usize].link;
        tracing::error!(node = %self.config.name, peer = %self.peer_name(peer), "fell too far behind: given up");
        // What was held for the log is gone with the rest.
        for held in &mut self.held {
            held.peers.retain(|&(p, _)| p != peer);
        }
        if let Some(number) = link {
            if let Some(Some(link)) = self.links.get_mut(number) {
                link.conn.push(side(Kind::Reject), &Refusal::GivenUp.encode());
                let _ = link.conn.flush(None, now);
            }
            self.close(number, now);
        }
    }

    pub(super) fn stop_if_asked(&mut self, now: Instant) {
        if self.shared.stop.load(std::sync::atomic::Ordering::Acquire) && self.stopping.is_none() {
            self.stopping = Some(now);
            self.quiet_since = now;
        }
    }

    /// In an orderly end: whether everything has been handed out.
    pub(super) fn drained(&mut self, now: Instant) -> bool {
        if self.stopping.is_none() {
            self.stop_if_asked(now);
        }
        let Some(since) = self.stopping else { return false };
        let written = |stream: &crate::transport::stream::Stream| stream.unwritten().is_empty();
        let peers = self.peers.iter().all(|peer| peer.link.is_none() || written(&peer.stream));
        let clients =
            self.clients.iter().flatten().all(|client| client.link.is_none() || written(&client.stream));
        let idle = self.self_inbox.is_empty() && !self.node.has_input() && self.held.is_empty();
        let quiet = now.saturating_duration_since(self.quiet_since) > QUIET;
        let done = peers && clients && idle && quiet;
        if !done && now - since < LAST_WAIT {
            return false;
        }
        for number in 0..self.links.len() {
            if let Some(link) = &mut self.links[number] {
                link.conn.push(side(Kind::Bye), &[]);
                self.flush(number, now);
            }
        }
        true
    }
}
