//! Taking in what has arrived: frames of nodes, clients and strangers.
//!
//! A frame of messages is taken whole or not at all; of a client's frame, requests before a malformed one
//! count, and nothing more is taken from that client. Anything malformed closes the connection it came by, is counted and
//! logged with its reason, and touches nothing else.

use super::links::side;
use super::{Driver, Exit, Link, With};
use crate::transport::conn::Fill;
use crate::transport::frame::{FrameError, Header, Kind};
use crate::transport::hello::Refusal;
use crate::transport::stream::{Accept, Stream};
use anabranch_core::id::Req;
use anabranch_core::wire::{Reader, WireError};
use std::time::Instant;

/// Before it has introduced itself, nobody may send more than this.
const STRANGER_BYTES: usize = 4096;
/// Bytes received after which an acknowledgement is sent even if nothing else is.
const ACK_BYTES: usize = 256 << 10;

/// Why a connection ends.
pub(super) enum End {
    /// The other side closed it, or it broke.
    Closed,
    Malformed(String),
    /// A handshake is refused; the other side is told.
    Refused(Refusal),
    /// The other side refuses.
    RefusedBy(u32, Refusal),
}

impl From<FrameError> for End {
    fn from(error: FrameError) -> End {
        End::Malformed(error.to_string())
    }
}

impl Driver {
    /// Whether a link waits to be read that may be.
    pub(super) fn may_read(&self) -> bool {
        if self.readable.is_empty() {
            return false;
        }
        let admit = self.admits();
        self.readable.iter().any(|&number| match &self.links[number] {
            Some(link) => admit || !self.is_client(link),
            None => true,
        })
    }

    fn is_client(&self, link: &Link) -> bool {
        matches!(link.with, With::Client(_))
    }

    /// Whether requests are taken.
    pub(super) fn admits(&self) -> bool {
        !self.pressed && self.stopping.is_none() && !self.peers.iter().any(|peer| peer.pressed)
    }

    /// Reads all links that may hold something, once each and up to a bound.
    pub(super) fn take_all(&mut self, now: Instant) -> Result<(), Exit> {
        if self.readable.is_empty() {
            return Ok(());
        }
        let admit = self.admits();
        let queue = std::mem::take(&mut self.readable);
        for &number in &queue {
            let Some(mut link) = self.links[number].take() else { continue };
            if !admit && self.is_client(&link) {
                self.links[number] = Some(link);
                self.readable.push(number);
                continue;
            }
            match self.take(number, &mut link, now) {
                Ok(more) => {
                    link.readable = more;
                    if more {
                        self.readable.push(number);
                    }
                    self.links[number] = Some(link);
                }
                Err(end) => self.end(number, *link, end, now)?,
            }
        }
        // Keeps the longer of the two buffers.
        if self.readable.is_empty() {
            self.readable = queue;
            self.readable.clear();
        }
        Ok(())
    }

    /// Reads a link that is out of the table; says whether there may be more.
    fn take(&mut self, number: usize, link: &mut Link, now: Instant) -> Result<bool, End> {
        self.counters.reads += 1;
        let fill = link.conn.fill(self.config.limits.batch_bytes, now);
        // Frames that arrived before the end still count.
        self.frames(number, link, now)?;
        match fill {
            Ok(Fill::Drained) => Ok(false),
            Ok(Fill::More) => Ok(true),
            Ok(Fill::Closed) => Err(End::Closed),
            Err(error) => {
                tracing::debug!(node = %self.config.name, %error, "connection broke");
                Err(End::Closed)
            }
        }
    }

    fn frames(&mut self, number: usize, link: &mut Link, now: Instant) -> Result<(), End> {
        loop {
            let limit = match link.with {
                With::Stranger | With::Dialled(_) | With::Greeted(_) => STRANGER_BYTES,
                _ => self.config.limits.frame_bytes,
            };
            let Some((header, payload, used)) = link.conn.frame(limit)? else { return Ok(()) };
            match (link.with, header.kind) {
                (With::Stranger, Kind::Hello) => {
                    let payload = payload.to_vec();
                    link.conn.consume(used);
                    self.introduced(number, link, &payload, now).map_err(End::Refused)?;
                    self.flush_link(number, link, now).map_err(|_| End::Closed)?;
                    continue;
                }
                (With::Greeted(peer), Kind::Welcome) => {
                    let payload = payload.to_vec();
                    link.conn.consume(used);
                    self.welcomed(number, link, peer, &payload).map_err(End::Refused)?;
                    continue;
                }
                (With::Greeted(peer), Kind::Reject) => {
                    return Err(End::RefusedBy(peer, Refusal::decode(payload)));
                }
                (With::Node(peer), Kind::Reject) => {
                    return Err(End::RefusedBy(peer, Refusal::decode(payload)));
                }
                (With::Node(peer), kind) => {
                    let state = &mut self.peers[peer as usize];
                    state.pressed = header.pressed;
                    match kind {
                        Kind::Messages => {
                            if fresh(&mut state.stream, &header, used)? {
                                match self.node.deliver(&mut Reader::new(payload)) {
                                    Ok(count) => {
                                        self.counters.frames_in += 1;
                                        self.counters.messages_in += u64::from(count);
                                        self.inputs += u64::from(count);
                                    }
                                    Err(error) => {
                                        self.peers[peer as usize].stream.unaccept();
                                        return Err(End::Malformed(format!("message: {error}")));
                                    }
                                }
                            }
                        }
                        Kind::Beat => acknowledged(&mut state.stream, &header)?,
                        Kind::Bye => return Err(End::Closed),
                        kind => return Err(End::Malformed(format!("unexpected {kind:?} from a node"))),
                    }
                    let stream = &mut self.peers[peer as usize].stream;
                    if stream.untold() > ACK_BYTES {
                        let beat = stream.beat(self.pressed);
                        link.conn.push(beat, &[]);
                        self.dirty_peers.push(peer);
                    }
                }
                (With::Client(slot), kind) => {
                    let client = self.clients[slot].as_mut().expect("a link's client is known");
                    match kind {
                        Kind::Requests => {
                            if fresh(&mut client.stream, &header, used)? {
                                self.counters.frames_in += 1;
                                if let Err(error) = self.requests(slot, payload) {
                                    self.clients[slot].as_mut().expect("as before").banned = true;
                                    return Err(End::Malformed(format!("request: {error}")));
                                }
                            }
                        }
                        Kind::Beat => acknowledged(&mut client.stream, &header)?,
                        Kind::Bye => {
                            client.banned = true; // nothing comes of this session any more
                            return Err(End::Closed);
                        }
                        kind => return Err(End::Malformed(format!("unexpected {kind:?} from a client"))),
                    }
                    let stream = &mut self.clients[slot].as_mut().expect("as before").stream;
                    if stream.untold() > ACK_BYTES {
                        let beat = stream.beat(self.pressed);
                        link.conn.push(beat, &[]);
                        self.client_dirty(slot);
                    }
                }
                (With::Tool, Kind::Ask) => {
                    let question = String::from_utf8_lossy(payload).into_owned();
                    link.conn.consume(used);
                    self.answer(link, &question, now);
                    self.flush_link(number, link, now).map_err(|_| End::Closed)?;
                    continue;
                }
                (With::Tool, Kind::Beat) => {}
                (With::Tool, Kind::Bye) => return Err(End::Closed),
                (with, kind) => return Err(End::Malformed(format!("unexpected {kind:?} from {with:?}"))),
            }
            link.conn.consume(used);
        }
    }

    /// A frame of requests: the lowest number that the client still waits for, then number, tag, length and
    /// arguments of each.
    fn requests(&mut self, slot: usize, payload: &[u8]) -> Result<(), WireError> {
        let client = self.clients[slot].as_mut().expect("a link's client is known");
        let mut input = Reader::new(payload);
        let _waited_for = word(&mut input)?;
        if client.seen_for != self.counters.steps {
            client.seen_for = self.counters.steps;
            client.seen.clear();
        }
        while !input.rest().is_empty() {
            let number = word(&mut input)?;
            let tag = u16::from_le_bytes(input.take(2)?.try_into().expect("two bytes"));
            let len = u32::from_le_bytes(input.take(4)?.try_into().expect("four bytes"));
            let args = input.take(len as usize)?;
            let resend = *self.resend.get(usize::from(tag)).ok_or(WireError::UnknownTag(tag))?;
            // A tick takes it once. Later ones take it again: what it was told may have died with whoever said it.
            if resend {
                // Nearly always they count up.
                let after_all = client.seen.last().is_none_or(|last| *last < number);
                match if after_all { Err(client.seen.len()) } else { client.seen.binary_search(&number) } {
                    Ok(_) => continue,
                    Err(at) => client.seen.insert(at, number),
                }
            }
            let req = Req { session: client.session, number };
            self.node.request(tag, req, &mut Reader::new(args))?;
            self.counters.requests_in += 1;
            self.inputs += 1;
        }
        Ok(())
    }

    /// Closes a link that is out of the table, for a reason.
    fn end(&mut self, number: usize, mut link: Link, end: End, now: Instant) -> Result<(), Exit> {
        let mut by = None;
        match end {
            End::Closed => {}
            End::Malformed(reason) => {
                self.counters.malformed += 1;
                tracing::warn!(node = %self.config.name, from = ?link.with, "connection closed: {reason}");
                self.counters.malformed_reason = reason;
            }
            End::Refused(refusal) => {
                self.refused(&refusal);
                if refusal != Refusal::Stopping {
                    tracing::warn!(node = %self.config.name, "handshake refused: {refusal}");
                }
                link.conn.push(side(Kind::Reject), &refusal.encode());
                let _ = link.conn.flush(None, now);
            }
            End::RefusedBy(peer, refusal) => by = Some((peer, refusal)),
        }
        self.closed(number, link, now);
        match by {
            Some((peer, refusal)) => self.refused_by(peer, refusal),
            None => Ok(()),
        }
    }
}

/// Takes a sequenced frame's header: whether its payload is news.
fn fresh(stream: &mut Stream, header: &Header, used: usize) -> Result<bool, End> {
    acknowledged(stream, header)?;
    match stream.accept(header.seq, used) {
        Accept::New => Ok(true),
        Accept::Duplicate => Ok(false),
        Accept::Gap => Err(FrameError::Sequence.into()),
    }
}

fn acknowledged(stream: &mut Stream, header: &Header) -> Result<(), End> {
    match stream.acked(header.ack) {
        true => Ok(()),
        false => Err(End::Malformed("acknowledges what was not sent".into())),
    }
}

fn word(input: &mut Reader<'_>) -> Result<u64, WireError> {
    Ok(u64::from_le_bytes(input.take(8)?.try_into().expect("eight bytes")))
}
