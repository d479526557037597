//! What nodes say to a client: handshakes, answers, redirects.

use super::{ACK_BYTES, Alarm, Core, Phase, QUICK_REDIRECTS, Remote};
use crate::client::CallError;
use crate::transport::conn::{Fill, Sock};
use crate::transport::frame::{Header, Kind};
use crate::transport::hello::{Hello, Refusal, Welcome, Who};
use crate::transport::stream::Accept;
use anabranch_core::data::Bytes;
use anabranch_core::node::NodeIndex;
use anabranch_core::session::attach;
use anabranch_core::wire::{Reader, WireError};
use std::cmp::Reverse;
use std::time::{Duration, Instant};

impl<S: Sock> Core<S> {
    /// A node's socket is ready.
    pub fn ready(&mut self, node: usize, now: Instant) {
        let Some(remote) = &mut self.remotes[node] else { return };
        let Some(conn) = &mut remote.conn else { return };
        if remote.phase == Phase::Dialled {
            match conn.sock.connected() {
                Ok(true) => {
                    let hello = Hello {
                        fingerprint: self.fingerprint,
                        layout: self.layout_hash,
                        from: Who::Client(self.session),
                        to: node as u32,
                        boot: self.session,
                        peer_boot: remote.boot.unwrap_or(0),
                        received: remote.stream.received(),
                    };
                    conn.push(Header { kind: Kind::Hello, pressed: false, seq: 0, ack: 0 }, &hello.encode());
                    remote.phase = Phase::Greeted;
                    if conn.flush(None, now).is_err() {
                        return self.broken(node, now);
                    }
                }
                Ok(false) => return,
                Err(error) => {
                    remote.problem = Some(error.to_string());
                    return self.broken(node, now);
                }
            }
        }
        loop {
            let Some(remote) = &mut self.remotes[node] else { return };
            let Some(conn) = &mut remote.conn else { return };
            let fill = conn.fill(1 << 20, now);
            if let Err(problem) = self.frames(node, now) {
                if let Some(remote) = &mut self.remotes[node] {
                    remote.problem = Some(problem);
                }
                return self.broken(node, now);
            }
            match fill {
                Ok(Fill::Drained) => break,
                Ok(Fill::More) => {}
                Ok(Fill::Closed) | Err(_) => return self.broken(node, now),
            }
        }
        if let Some(remote) = &mut self.remotes[node] {
            remote.dirty |= remote.conn.as_ref().is_some_and(|conn| conn.blocked);
        }
    }

    fn frames(&mut self, node: usize, now: Instant) -> Result<(), String> {
        loop {
            let Some(remote) = &mut self.remotes[node] else { return Ok(()) };
            let Some(conn) = &mut remote.conn else { return Ok(()) };
            let Some((header, payload, used)) = conn.frame(self.frame_bytes).map_err(|e| e.to_string())?
            else {
                return Ok(());
            };
            match (remote.phase, header.kind) {
                (Phase::Greeted, Kind::Welcome) => {
                    let welcome = Welcome::decode(payload).ok_or("malformed handshake")?;
                    conn.consume(used);
                    self.welcomed(node, welcome, now)?;
                    continue;
                }
                (_, Kind::Reject) => {
                    let refusal = Refusal::decode(payload);
                    let problem = refusal.to_string();
                    conn.consume(used);
                    match refusal {
                        Refusal::Stopping => {}
                        // It does not know this session any more: begin afresh.
                        Refusal::Malformed if remote.boot.is_some() => self.lost(node, now),
                        refusal => remote.refusal = Some(refusal),
                    }
                    return Err(problem);
                }
                (Phase::Up, Kind::Replies) => {
                    if !remote.stream.acked(header.ack) {
                        return Err("acknowledges what was not sent".into());
                    }
                    match remote.stream.accept(header.seq, used) {
                        Accept::New => {
                            let payload = payload.to_vec();
                            self.replies(&payload, now).map_err(|e| e.to_string())?;
                        }
                        Accept::Duplicate => {}
                        Accept::Gap => return Err("frame out of sequence".into()),
                    }
                }
                (Phase::Up, Kind::Beat) => {
                    if !remote.stream.acked(header.ack) {
                        return Err("acknowledges what was not sent".into());
                    }
                }
                (_, Kind::Bye) => return Err("the node stopped".into()),
                (phase, kind) => return Err(format!("unexpected {kind:?} while {phase:?}")),
            }
            let Some(Remote { conn: Some(conn), stream, dirty, .. }) = &mut self.remotes[node] else {
                return Ok(());
            };
            conn.consume(used);
            if stream.untold() > ACK_BYTES {
                let beat = stream.beat(false);
                conn.push(beat, &[]);
                *dirty = true;
            }
        }
    }

    fn welcomed(&mut self, node: usize, welcome: Welcome, now: Instant) -> Result<(), String> {
        let session = self.session;
        let remote = self.remotes[node].as_mut().expect("it answered");
        if remote.boot.is_some_and(|boot| boot != welcome.boot) {
            self.lost(node, now);
        }
        let remote = self.remotes[node].as_mut().expect("it answered");
        let knows_us = welcome.peer_boot == session;
        if !knows_us || !attach(&mut remote.boot, &mut remote.stream, welcome.boot, true, welcome.received) {
            self.lost(node, now);
            return Err("malformed handshake".into());
        }
        remote.phase = Phase::Up;
        remote.backoff = Duration::ZERO;
        remote.dirty = true;
        remote.problem = None;
        for number in std::mem::take(&mut self.remote(node as u32).waiting) {
            if self.pending_mut(number).is_some_and(|p| p.node == node as u32 && !p.sent) {
                self.send(number);
            }
        }
        Ok(())
    }

    /// Number, tag, kind, length and content of each answer.
    fn replies(&mut self, payload: &[u8], now: Instant) -> Result<(), WireError> {
        let mut input = Reader::new(payload);
        while !input.rest().is_empty() {
            let number = u64::from_le_bytes(input.take(8)?.try_into().expect("eight bytes"));
            let _tag = input.take(2)?;
            let kind = input.take(1)?[0];
            let len = u32::from_le_bytes(input.take(4)?.try_into().expect("four bytes"));
            let content = input.take(len as usize)?;
            match kind {
                0 => {
                    if let Some(pending) = self.pending_mut(number)
                        && pending.tries > 0
                    {
                        // Whoever it went to last seems to be in charge.
                        let (tag, node) = (pending.tag, pending.node);
                        self.prefer(tag, node);
                    }
                    self.complete(number, Ok(Bytes::copy_from_slice(content)));
                }
                1 => self.complete(number, Err(CallError::Refused(Bytes::copy_from_slice(content)))),
                2 => {
                    let instance =
                        u32::from_le_bytes(content.try_into().map_err(|_| WireError::Invalid("redirect"))?);
                    self.redirected(number, instance, now);
                }
                _ => return Err(WireError::Invalid("answer")),
            }
        }
        Ok(())
    }

    fn prefer(&mut self, tag: u16, node: u32) {
        let role = self.kinds[usize::from(tag)].as_ref().expect("a known request").role;
        let seat = self.layout.seat(NodeIndex(node)).expect("a known node");
        if seat.role == role {
            self.preferred[usize::from(role)] = seat.instance;
        }
    }

    pub(super) fn redirected(&mut self, number: u64, instance: u32, now: Instant) {
        let Some(pending) = self.pending_mut(number) else { return };
        let (tag, partition) = (pending.tag, pending.partition);
        let kind = self.kinds[usize::from(tag)].clone().expect("a known request");
        let instances = self.layout.roles[usize::from(kind.role)].instances;
        let node = self.node(kind.role, instance.min(instances - 1), partition);
        let pending = self.pending_mut(number).expect("seen above");
        if pending.args.is_none() {
            // The only instance refers to itself: a later answer may still come.
            return;
        }
        pending.node = node;
        pending.sent = false;
        pending.tries += 1;
        let patient = pending.tries > QUICK_REDIRECTS;
        self.prefer(tag, node);
        match patient {
            true => self.alarms.push(Reverse((now + Duration::from_millis(20), number, Alarm::Retry))),
            false => self.send(number),
        }
    }
}
