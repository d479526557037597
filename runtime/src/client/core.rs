//! The client without its event loop: requests to streams, frames to completions.
//!
//! The loop around it (tokio or mio) dials what [`Core::dials`] asks for, says which sockets are ready, and
//! calls [`Core::flush`] before it waits. Requests are numbered from 1 and kept in a window indexed by
//! number, so that a completion is found without hashing.

mod late;
mod take;

use super::{CallError, Completion, ConnectError};
use crate::deploy::Deployment;
use crate::transport::conn::{Conn, Sock};
use crate::transport::frame::{Header, Kind};
use crate::transport::hello::{self, Refusal};
use crate::transport::stream::Stream;
use anabranch_core::data::Bytes;
use anabranch_core::id::Req;
use anabranch_core::node::{Layout, NodeIndex, Protocol, RequestRoute};
use anabranch_core::sessions::REMEMBERED;
use anabranch_core::wire::Reader;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

const BEAT_AFTER: Duration = Duration::from_millis(400);
const SILENT: Duration = Duration::from_secs(5);
const ACK_BYTES: usize = 256 << 10;
/// A request that may be repeated goes to another instance after this time without an answer.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Redirects followed at once; later ones wait a little, since nobody seems to know.
const QUICK_REDIRECTS: u32 = 3;
/// With more than this waiting for a node, the client takes no further requests.
const QUEUE_BYTES: usize = 4 << 20;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Down,
    Dialled,
    Greeted,
    Up,
}

struct Remote<S> {
    name: String,
    address: SocketAddr,
    phase: Phase,
    conn: Option<Conn<S>>,
    stream: Stream,
    boot: Option<u64>,
    dial_at: Option<Instant>,
    backoff: Duration,
    /// Requests that wait for the connection.
    waiting: Vec<u64>,
    dirty: bool,
    problem: Option<String>,
    refusal: Option<Refusal>,
}

#[derive(Clone, Debug)]
struct RequestKind {
    role: u16,
    resend: bool,
    by: bool,
    route: Option<RequestRoute>,
}

struct Pending {
    token: u64,
    tag: u16,
    /// Where it is, or waits to go.
    node: u32,
    /// The partition that takes it, at whichever instance.
    partition: u32,
    sent: bool,
    resend: bool,
    /// Kept while it may have to be sent (again).
    args: Option<Bytes>,
    tries: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Alarm {
    Retry,
    Deadline,
}

pub(crate) struct Core<S> {
    fingerprint: u64,
    layout: Arc<Layout>,
    layout_hash: u64,
    frame_bytes: usize,
    session: u64,
    /// By tag.
    kinds: Vec<Option<RequestKind>>,
    /// By node number; only those that a client talks to.
    remotes: Vec<Option<Remote<S>>>,
    /// The window of requests: the first has number `first`.
    pending: VecDeque<Option<Pending>>,
    first: u64,
    open: usize,
    alarms: BinaryHeap<Reverse<(Instant, u64, Alarm)>>,
    /// By role: the instance that last seemed to be in charge.
    preferred: Vec<u32>,
    turn: u32,
    pub done: Vec<Completion>,
    house_at: Instant,
}

impl<S: Sock> Core<S> {
    pub fn new(
        protocol: &dyn Protocol,
        deployment: &Deployment,
        now: Instant,
    ) -> Result<Core<S>, ConnectError> {
        let addresses = deployment.addresses().ok_or(ConnectError::NoAddresses)?;
        let layout = deployment.layout();
        let requests = protocol.requests();
        let mut roles: Vec<u16> =
            requests.iter().flat_map(|r| r.answered_by.iter().copied().chain([r.role])).collect();
        roles.sort_unstable();
        roles.dedup();
        let remote = |(i, &address): (usize, &SocketAddr)| {
            let index = NodeIndex(i as u32);
            let seat = layout.seat(index).expect("an address per node");
            roles.contains(&seat.role).then(|| Remote {
                name: deployment.node_name(index),
                address,
                phase: Phase::Down,
                conn: None,
                stream: Stream::default(),
                boot: None,
                dial_at: Some(now),
                backoff: Duration::ZERO,
                waiting: Vec::new(),
                dirty: false,
                problem: None,
                refusal: None,
            })
        };
        let remotes = addresses.iter().enumerate().map(remote).collect();
        let mut kinds = vec![None; requests.iter().map(|r| usize::from(r.tag) + 1).max().unwrap_or(0)];
        for r in &requests {
            kinds[usize::from(r.tag)] =
                Some(RequestKind { role: r.role, resend: r.resend, by: r.by.is_some(), route: r.route });
        }
        Ok(Core {
            fingerprint: protocol.fingerprint(),
            layout_hash: hello::layout_hash(&layout),
            preferred: vec![0; layout.roles.len()],
            layout,
            frame_bytes: deployment.limits.frame_bytes,
            session: hello::fresh_boot(),
            kinds,
            remotes,
            pending: VecDeque::new(),
            first: 1,
            open: 0,
            alarms: BinaryHeap::new(),
            turn: 0,
            done: Vec::new(),
            house_at: now,
        })
    }

    /// The session's number.
    pub fn session(&self) -> u64 {
        self.session
    }

    /// Requests without a completion.
    pub fn open(&self) -> usize {
        self.open
    }

    /// Whether no more should be submitted: so much waits to be written, or an old request that is repeated would be
    /// so far behind that replicas take it for forgotten.
    pub fn clogged(&self) -> bool {
        let behind = self.pending.len() as u64 >= REMEMBERED
            && self.pending.front().and_then(Option::as_ref).is_some_and(|oldest| oldest.resend);
        behind || self.remotes.iter().flatten().any(|r| r.stream.queued() > QUEUE_BYTES)
    }

    /// Whether every role has a node that agreed to talk, and whether all nodes have.
    pub fn connected(&self) -> Result<(bool, bool), ConnectError> {
        let mut roles: Vec<(u16, bool)> = Vec::new();
        let mut all = true;
        for (i, remote) in self.remotes.iter().enumerate() {
            let Some(remote) = remote else { continue };
            if let Some(refusal) = &remote.refusal {
                return Err(ConnectError::Refused { node: remote.name.clone(), refusal: refusal.clone() });
            }
            let role = self.layout.seat(NodeIndex(i as u32)).expect("a known node").role;
            let up = remote.phase == Phase::Up;
            all &= up;
            match roles.last_mut() {
                Some((last, any)) if *last == role => *any |= up,
                _ => roles.push((role, up)),
            }
        }
        Ok((roles.iter().all(|&(_, any)| any), all))
    }

    /// The first node that is not connected, as an error.
    pub fn unreachable(&self) -> ConnectError {
        let remote = self.remotes.iter().flatten().find(|r| r.phase != Phase::Up);
        let (node, reason) = remote
            .map_or((String::new(), None), |r| (format!("{} at {}", r.name, r.address), r.problem.clone()));
        ConnectError::Unreachable { node, reason: reason.unwrap_or_else(|| "no answer".into()) }
    }

    /// Nodes to dial now. Answer each with [`Core::dialled`].
    pub fn dials(&mut self, now: Instant) -> Vec<(usize, SocketAddr)> {
        let mut dials = Vec::new();
        for (i, remote) in self.remotes.iter_mut().enumerate() {
            if let Some(remote) = remote
                && remote.dial_at.is_some_and(|at| at <= now)
            {
                remote.dial_at = None;
                dials.push((i, remote.address));
            }
        }
        dials
    }

    /// A connect was begun, or could not be.
    pub fn dialled(&mut self, node: usize, socket: io::Result<S>, now: Instant) {
        let Some(remote) = &mut self.remotes[node] else { return };
        match socket {
            Ok(socket) => {
                remote.conn = Some(Conn::new(socket, now));
                remote.phase = Phase::Dialled;
            }
            Err(error) => {
                remote.problem = Some(error.to_string());
                self.broken(node, now);
            }
        }
    }

    /// The socket of a node's connection.
    pub fn socket(&mut self, node: usize) -> Option<&mut S> {
        self.remotes[node].as_mut()?.conn.as_mut().map(|conn| &mut conn.sock)
    }

    /// Whether a node's connection waits for its socket to take more, or to be connected.
    pub fn wants_write(&self, node: usize) -> bool {
        let Some(Some(remote)) = self.remotes.get(node) else { return false };
        remote.phase == Phase::Dialled || remote.conn.as_ref().is_some_and(|conn| conn.blocked)
    }

    /// The number of nodes, those included that this client does not talk to.
    pub fn nodes(&self) -> usize {
        self.remotes.len()
    }

    /// Queues a request; its completion carries the token. `route` is the route of the `by` argument.
    pub fn submit(
        &mut self,
        tag: u16,
        args: &[u8],
        route: Option<u64>,
        token: u64,
        timeout: Duration,
        now: Instant,
    ) {
        let kind =
            self.kinds.get(usize::from(tag)).and_then(Option::as_ref).expect("a request of this protocol");
        let role = kind.role;
        let resend = kind.resend;
        let instances = self.layout.roles[usize::from(role)].instances;
        if args.len() + 64 > self.frame_bytes {
            let why =
                format!("{} bytes of arguments exceed the frame limit of {}", args.len(), self.frame_bytes);
            self.done.push(Completion { token, outcome: Err(CallError::NotSent(why)) });
            return;
        }
        let number = self.first + self.pending.len() as u64;
        let partition = match kind.route {
            None => 0,
            Some(by) => {
                let req = Req { session: self.session, number };
                let partitions = self.layout.roles[usize::from(role)].partitions.max(1);
                match by(req, &mut Reader::new(args)) {
                    Some(by) => (by % u64::from(partitions)) as u32,
                    None => {
                        let why = "the arguments do not fit the request".to_string();
                        return self.done.push(Completion { token, outcome: Err(CallError::NotSent(why)) });
                    }
                }
            }
        };
        let node = match route {
            Some(hash) if kind.by => self.node(role, (hash % u64::from(instances)) as u32, partition),
            _ if resend => self.node(role, self.preferred[usize::from(role)], partition),
            _ => self.next_up(role, partition),
        };
        self.open += 1;
        let pending = Pending { token, tag, node, partition, sent: false, resend, args: None, tries: 0 };
        self.pending.push_back(Some(pending));
        self.alarms.push(Reverse((now + timeout, number, Alarm::Deadline)));
        if resend {
            self.alarms.push(Reverse((now + RETRY_AFTER, number, Alarm::Retry)));
        }
        let up = self.remote(node).phase == Phase::Up;
        // One instance redirects to nobody: the arguments need not be kept.
        if up && !resend && instances == 1 {
            self.write(number, tag, node, args);
            self.pending_mut(number).expect("just queued").sent = true;
        } else {
            self.pending_mut(number).expect("just queued").args = Some(Bytes::copy_from_slice(args));
            self.send(number);
        }
    }

    fn node(&self, role: u16, instance: u32, partition: u32) -> u32 {
        self.layout.first(role) + instance * self.layout.roles[usize::from(role)].partitions + partition
    }

    /// The next instance that is connected, in turn; if none is, the next in turn.
    fn next_up(&mut self, role: u16, partition: u32) -> u32 {
        let instances = self.layout.roles[usize::from(role)].instances;
        self.turn = self.turn.wrapping_add(1);
        let nth = |i: u32| self.node(role, (self.turn.wrapping_add(i)) % instances, partition);
        let up = (0..instances)
            .map(nth)
            .find(|&node| self.remotes[node as usize].as_ref().is_some_and(|r| r.phase == Phase::Up));
        up.unwrap_or(nth(0))
    }

    fn remote(&mut self, node: u32) -> &mut Remote<S> {
        self.remotes[node as usize].as_mut().expect("clients know the nodes that take requests")
    }

    fn pending_mut(&mut self, number: u64) -> Option<&mut Pending> {
        let at = number.checked_sub(self.first)?;
        self.pending.get_mut(at as usize)?.as_mut()
    }

    /// Sends a request that keeps its arguments, or lets it wait for its node.
    fn send(&mut self, number: u64) {
        let Some(pending) = self.pending_mut(number) else { return };
        let (node, tag) = (pending.node, pending.tag);
        let args = pending.args.clone().expect("kept while it may be sent");
        if self.remote(node).phase != Phase::Up {
            self.remote(node).waiting.push(number);
            return;
        }
        self.write(number, tag, node, &args);
        self.pending_mut(number).expect("seen above").sent = true;
    }

    fn write(&mut self, number: u64, tag: u16, node: u32, args: &[u8]) {
        let (low, soft) = (self.first, (1 << 20).min(self.frame_bytes));
        let remote = self.remote(node);
        let stream = &mut remote.stream;
        if stream.open_len() > 0 && stream.open_len() + args.len() + 64 > soft {
            stream.close(false);
        }
        let fresh = stream.open_len() == 0;
        let payload = stream.payload(Kind::Requests);
        if fresh {
            payload.extend_from_slice(&low.to_le_bytes());
        }
        payload.extend_from_slice(&number.to_le_bytes());
        payload.extend_from_slice(&tag.to_le_bytes());
        payload.extend_from_slice(&(args.len() as u32).to_le_bytes());
        payload.extend_from_slice(args);
        remote.dirty = true;
    }

    fn complete(&mut self, number: u64, outcome: Result<Bytes, CallError<Bytes>>) {
        let Some(at) = number.checked_sub(self.first) else { return };
        let Some(pending) = self.pending.get_mut(at as usize).and_then(Option::take) else { return };
        self.open -= 1;
        self.done.push(Completion { token: pending.token, outcome });
        while let Some(None) = self.pending.front() {
            self.pending.pop_front();
            self.first += 1;
        }
    }

    /// Closes frames and writes.
    pub fn flush(&mut self, now: Instant) {
        for node in 0..self.remotes.len() {
            let Some(remote) = &mut self.remotes[node] else { continue };
            if !remote.dirty || remote.phase != Phase::Up {
                continue;
            }
            remote.dirty = false;
            if remote.stream.open_len() > 0 {
                remote.stream.close(false);
            }
            remote.stream.release_all();
            let Some(conn) = &mut remote.conn else { continue };
            if conn.flush(Some(&mut remote.stream), now).is_err() {
                self.broken(node, now);
            }
        }
    }

    /// Says good-bye, so that nodes need not keep answers.
    pub fn bye(&mut self, now: Instant) {
        self.flush(now);
        for remote in self.remotes.iter_mut().flatten() {
            if let (Some(conn), Phase::Up) = (&mut remote.conn, remote.phase) {
                conn.push(Header { kind: Kind::Bye, pressed: false, seq: 0, ack: 0 }, &[]);
                // Nothing depends on it.
                let _ = conn.flush(Some(&mut remote.stream), now);
            }
        }
    }
}
