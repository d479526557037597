//! Connections: accepting, dialling, handshakes, closing.
//!
//! Of two nodes, the one with the higher number dials. A connection that replaces an older one with the same
//! node or client closes the older one.

use super::{Client, Driver, Exit, Link, Peer, With};
use crate::transport::conn::{Conn, Sock as _};
use crate::transport::frame::{Header, Kind};
use crate::transport::hello::{Hello, Refusal, Welcome, Who};
use crate::transport::stream::Stream;
use anabranch_core::session::attach;
use mio::net::TcpStream;
use mio::{Interest, Token};
use std::io;
use std::time::{Duration, Instant};

const FIRST_BACKOFF: Duration = Duration::from_millis(10);
const LAST_BACKOFF: Duration = Duration::from_secs(1);

/// A frame that belongs to no stream.
pub(super) fn side(kind: Kind) -> Header {
    Header { kind, pressed: false, seq: 0, ack: 0 }
}

impl Driver {
    pub(super) fn accept(&mut self, now: Instant) {
        loop {
            match self.listener.accept() {
                Ok((socket, _)) => {
                    // Without it the connection works, only slower.
                    let _ = socket.set_nodelay(true);
                    if let Err(error) = self.add_link(socket, With::Stranger, now) {
                        tracing::warn!(node = %self.config.name, %error, "a connection could not be registered");
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    // Out of descriptors, say: those that are open go on.
                    tracing::warn!(node = %self.config.name, %error, "a connection could not be accepted");
                    return;
                }
            }
        }
    }

    fn add_link(&mut self, mut socket: TcpStream, with: With, now: Instant) -> io::Result<usize> {
        let number = self.free.pop().unwrap_or_else(|| {
            self.links.push(None);
            self.links.len() - 1
        });
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self.poll.registry().register(&mut socket, Token(number), interest) {
            self.free.push(number);
            return Err(error);
        }
        let conn = Conn::new(socket, now);
        self.links[number] = Some(Box::new(Link { conn, with, readable: false, opened: now }));
        Ok(number)
    }

    /// Dials a node with a lower number.
    pub(super) fn dial(&mut self, peer: u32, now: Instant) {
        let state = &mut self.peers[peer as usize];
        state.backoff = (state.backoff * 2).clamp(FIRST_BACKOFF, LAST_BACKOFF);
        state.dial_at = Some(now + state.backoff);
        let address = self.config.addresses[peer as usize];
        let link =
            TcpStream::connect(address).and_then(|socket| self.add_link(socket, With::Dialled(peer), now));
        match link {
            Ok(link) => {
                self.peers[peer as usize].dial_at = None;
                self.peers[peer as usize].link = Some(link);
            }
            Err(error) => tracing::debug!(node = %self.config.name, %address, %error, "cannot dial"),
        }
    }

    /// The poller says that a socket is ready.
    pub(super) fn event(&mut self, number: usize, writable: bool, now: Instant) {
        let Some(Some(link)) = self.links.get_mut(number) else { return };
        if let With::Dialled(peer) = link.with {
            match link.conn.sock.connected() {
                Ok(true) => self.greet(number, peer, now),
                Ok(false) => return,
                Err(error) => {
                    tracing::debug!(node = %self.config.name, peer = %self.peer_name(peer), %error, "not reached");
                    return self.close(number, now);
                }
            }
        }
        if let Some(Some(link)) = self.links.get_mut(number) {
            if !link.readable {
                link.readable = true;
                self.readable.push(number);
            }
            if writable && link.conn.blocked {
                self.flush(number, now);
            }
        }
    }

    fn greet(&mut self, number: usize, peer: u32, now: Instant) {
        let state = &self.peers[peer as usize];
        let hello = Hello {
            fingerprint: self.fingerprint,
            layout: self.layout_hash,
            from: Who::Node(self.me),
            to: peer,
            boot: self.boot,
            peer_boot: state.boot.unwrap_or(0),
            received: state.stream.received(),
        };
        let link = self.links[number].as_mut().expect("the link is open");
        let _ = link.conn.sock.set_nodelay(true);
        link.with = With::Greeted(peer);
        link.conn.push(side(Kind::Hello), &hello.encode());
        self.flush(number, now);
    }

    /// A stranger introduces itself on a link that is out of the table.
    pub(super) fn introduced(
        &mut self,
        number: usize,
        link: &mut Link,
        payload: &[u8],
        now: Instant,
    ) -> Result<(), Refusal> {
        let hello = Hello::decode(payload).ok_or(Refusal::Malformed)?;
        if hello.fingerprint != self.fingerprint {
            return Err(Refusal::Fingerprint { expected: self.fingerprint, found: hello.fingerprint });
        }
        if hello.layout != self.layout_hash {
            return Err(Refusal::Layout);
        }
        if hello.to != self.me {
            return Err(Refusal::Seat { meant: hello.to, is: self.me });
        }
        if self.stopping.is_some() && hello.from != Who::Tool {
            return Err(Refusal::Stopping);
        }
        let knows_us = hello.peer_boot == self.boot;
        let mut received = 0;
        match hello.from {
            Who::Tool => link.with = With::Tool,
            Who::Node(from) => {
                // Of two nodes the higher one dials, so a lower one is no node of this deployment.
                if from <= self.me || from as usize >= self.peers.len() {
                    return Err(Refusal::Malformed);
                }
                self.peers[from as usize].fate.admit(hello.boot)?;
                if let Some(old) = self.peers[from as usize].link.take() {
                    self.close(old, now);
                }
                let peer = &mut self.peers[from as usize];
                if !attach(&mut peer.boot, &mut peer.stream, hello.boot, knows_us, hello.received) {
                    return Err(Refusal::Malformed);
                }
                received = peer.stream.received();
                self.met(from, number);
                link.with = With::Node(from);
            }
            Who::Client(session) => {
                let slot = self.client(session, now);
                let client = self.clients[slot].as_mut().expect("a known client");
                if client.banned {
                    return Err(Refusal::Malformed);
                }
                if let Some(old) = client.link.take() {
                    self.close(old, now);
                }
                let client = self.clients[slot].as_mut().expect("a known client");
                if !attach(&mut client.boot, &mut client.stream, hello.boot, knows_us, hello.received) {
                    return Err(Refusal::Malformed);
                }
                received = client.stream.received();
                client.link = Some(number);
                link.with = With::Client(slot);
            }
        }
        let welcome = Welcome { boot: self.boot, peer_boot: hello.boot, received };
        link.conn.push(side(Kind::Welcome), &welcome.encode());
        Ok(())
    }

    /// A node that was greeted agrees.
    pub(super) fn welcomed(
        &mut self,
        number: usize,
        link: &mut Link,
        peer: u32,
        payload: &[u8],
    ) -> Result<(), Refusal> {
        let welcome = Welcome::decode(payload).ok_or(Refusal::Malformed)?;
        let state = &mut self.peers[peer as usize];
        let knows_us = welcome.peer_boot == self.boot;
        state.fate.admit(welcome.boot)?;
        if !knows_us || !attach(&mut state.boot, &mut state.stream, welcome.boot, true, welcome.received) {
            return Err(Refusal::Malformed);
        }
        link.with = With::Node(peer);
        self.met(peer, number);
        Ok(())
    }

    fn met(&mut self, peer: u32, number: usize) {
        let state = &mut self.peers[peer as usize];
        state.link = Some(number);
        state.backoff = Duration::ZERO;
        state.lost_at = None;
        state.pressed = false;
        state.complained = false;
        let all = self.peers.iter().enumerate().all(|(i, p)| i as u32 == self.me || p.boot.is_some());
        if all {
            self.shared.ready.store(true, std::sync::atomic::Ordering::Release);
        }
        // It learns at once whether requests are held back.
        self.dirty_peers.push(peer);
    }

    /// The client with a session, new or known; gives its number.
    pub(super) fn client(&mut self, session: u64, now: Instant) -> usize {
        if let Some(&slot) = self.sessions.get(&session) {
            return slot;
        }
        let client = Client {
            session,
            stream: Stream::default(),
            link: None,
            boot: None,
            seen: Vec::new(),
            seen_for: 0,
            banned: false,
            lost_at: now,
            dirty: false,
        };
        let slot = match self.clients.iter().position(Option::is_none) {
            Some(slot) => slot,
            None => {
                self.clients.push(None);
                self.clients.len() - 1
            }
        };
        self.clients[slot] = Some(client);
        self.sessions.insert(session, slot);
        slot
    }

    /// Closes a link; what its stream holds waits for the next one.
    pub(super) fn close(&mut self, number: usize, now: Instant) {
        let Some(link) = self.links.get_mut(number).and_then(Option::take) else { return };
        self.closed(number, *link, now);
    }

    /// The same for a link that is out of the table.
    pub(super) fn closed(&mut self, number: usize, mut link: Link, now: Instant) {
        let _ = self.poll.registry().deregister(&mut link.conn.sock);
        self.counters.bytes_in += link.conn.bytes_in;
        self.counters.bytes_out += link.conn.bytes_out;
        self.free.push(number);
        let me = self.me;
        let lost = |peer: u32, state: &mut Peer| {
            if state.link == Some(number) {
                state.link = None;
                state.pressed = false;
                if peer < me {
                    state.dial_at = Some(now + state.backoff.max(FIRST_BACKOFF));
                }
            }
        };
        match link.with {
            With::Stranger | With::Tool => {}
            With::Dialled(peer) | With::Greeted(peer) => lost(peer, &mut self.peers[peer as usize]),
            With::Node(peer) => {
                self.counters.broken_links += 1;
                self.peers[peer as usize].lost_at = Some(now);
                lost(peer, &mut self.peers[peer as usize]);
            }
            With::Client(slot) => {
                if let Some(client) = &mut self.clients[slot]
                    && client.link == Some(number)
                {
                    client.link = None;
                    client.lost_at = now;
                }
            }
        }
    }

    /// Another node refuses to talk: says so once, and tries again later.
    pub(super) fn refused_by(&mut self, peer: u32, refusal: Refusal) -> Result<(), Exit> {
        self.refused(&refusal);
        if refusal == Refusal::GivenUp {
            return Err(Exit::GivenUp { by: self.peer_name(peer) });
        }
        let name = self.peer_name(peer);
        let state = &mut self.peers[peer as usize];
        state.backoff = LAST_BACKOFF;
        if !std::mem::replace(&mut state.complained, true) && refusal != Refusal::Stopping {
            tracing::error!(node = %self.config.name, peer = %name, "refused: {refusal}");
        }
        Ok(())
    }
}
