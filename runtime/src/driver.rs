//! The driver: one event loop per node.
//!
//! A round waits once for the network, takes what has arrived (up to a bound), runs a macro-step on it, and
//! writes once to each destination. Batching is adaptive by itself: what arrives during a round is the next
//! round's batch. One thread does all of it, without locks and without tasks, since at small loads every
//! further wake-up costs more than the tick.
//!
//! **Durability.** A round's log record goes to the [`store`](crate::store); its frames are closed but not
//! released until the store says that the record is stable. The loop goes on ticking meanwhile, so that many
//! rounds share a sync.
//!
//! **Back-pressure.** Messages between nodes are always taken, so cycles of messages cannot block. What is
//! throttled is the source: while any receiver is slow, the node before it says so to all others
//! (*pressed*), and no node takes requests. A receiver that falls behind without bound is given up: what
//! waits for it is dropped, and its incarnation is refused from then on, which is a crash of the receiver
//! as far as the protocol can tell.
//!
//! Not here: what frames look like (`transport`), how the log is kept (`store`), processes (`launch`).

mod give;
mod house;
mod links;
mod take;
mod tools;

use crate::deploy::Limits;
use crate::metrics::Counters;
use crate::observe::Telling;
use crate::store::{Store, StoreError};
use crate::transport::conn::Conn;
use crate::transport::hello::{self, Refusal};
use crate::transport::stream::Stream;
use anabranch_core::node::{Batch, Broken, Layout, Node, NodeIndex, Outbox, Protocol, Seat, TickArgs};
use anabranch_core::session::Fate;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{fmt, io};

/// Ticks after which a macro-step is taken to be endless.
const ENDLESS: u32 = 1_000_000;
/// Timer rows fired per macro-step.
const TIMERS_AT_ONCE: usize = 4096;
/// Macro-steps on messages to itself before the network is looked at again.
const SELF_STEPS: u32 = 16;
const LISTENER: Token = Token(usize::MAX);
const WAKER: Token = Token(usize::MAX - 1);

/// What a driver needs to know.
pub(crate) struct Config {
    pub protocol: Arc<dyn Protocol>,
    pub layout: Arc<Layout>,
    pub seat: Seat,
    pub name: String,
    pub incarnation: u64,
    pub addresses: Vec<SocketAddr>,
    pub limits: Limits,
    /// Whether CPU time is the thread's or the process's.
    pub shares_process: bool,
}

/// Why a node ended.
#[derive(Debug)]
pub enum Exit {
    /// It was told to.
    Stopped,
    /// The program broke one of its own rules.
    Broken(Broken),
    /// It fell so far behind that another node dropped messages to it.
    GivenUp {
        /// The node that did so.
        by: String,
    },
    /// The log cannot be written.
    Store(StoreError),
    /// The operating system failed it.
    Io(io::Error),
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Stopped => f.write_str("stopped"),
            Exit::Broken(broken) => write!(f, "the program broke its own rules: {broken}"),
            Exit::GivenUp { by } => write!(f, "fell too far behind: {by} dropped messages; to be restarted"),
            Exit::Store(error) => write!(f, "{error}"),
            Exit::Io(error) => write!(f, "{error}"),
        }
    }
}
impl std::error::Error for Exit {}

impl From<io::Error> for Exit {
    fn from(error: io::Error) -> Exit {
        Exit::Io(error)
    }
}
impl From<StoreError> for Exit {
    fn from(error: StoreError) -> Exit {
        Exit::Store(error)
    }
}

/// What other threads may ask of a running driver.
#[derive(Clone)]
pub(crate) struct Remote {
    shared: Arc<Shared>,
}

struct Shared {
    waker: Waker,
    stop: AtomicBool,
    abort: AtomicBool,
    ready: AtomicBool,
}

impl Remote {
    /// Asks for an orderly end.
    pub fn stop(&self) {
        self.shared.stop.store(true, Ordering::Release);
        self.wake();
    }
    /// Ends at once, as a crash would.
    pub fn abort(&self) {
        self.shared.abort.store(true, Ordering::Release);
        self.wake();
    }
    /// Ends the current wait.
    pub fn wake(&self) {
        // A failing wake-up means that the loop is gone.
        let _ = self.shared.waker.wake();
    }
    /// Whether the node has met all others.
    pub fn ready(&self) -> bool {
        self.shared.ready.load(Ordering::Acquire)
    }
}

/// Another node, as seen from here.
#[derive(Default)]
struct Peer {
    stream: Stream,
    link: Option<usize>,
    /// Its incarnation, once met.
    boot: Option<u64>,
    /// It asks for no more requests.
    pressed: bool,
    /// Whether it was given up.
    fate: Fate,
    /// When to dial next, and how long to wait after that.
    dial_at: Option<Instant>,
    backoff: Duration,
    lost_at: Option<Instant>,
    complained: bool,
}

/// A client, connected or gone a short while ago.
struct Client {
    session: u64,
    stream: Stream,
    link: Option<usize>,
    boot: Option<u64>,
    /// Numbers of requests that may be repeated and were taken for the macro-step after so many, in order: in one a
    /// request is taken once.
    seen: Vec<u64>,
    seen_for: u64,
    /// It sent something malformed.
    banned: bool,
    lost_at: Instant,
    dirty: bool,
}

/// Whom a connection is with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum With {
    /// Accepted, not introduced.
    Stranger,
    /// Connecting to a node.
    Dialled(u32),
    /// Connected to a node that has not agreed yet.
    Greeted(u32),
    Node(u32),
    /// By number in [`Driver::clients`].
    Client(usize),
    Tool,
}

struct Link {
    conn: Conn<TcpStream>,
    with: With,
    /// The socket may hold more.
    readable: bool,
    opened: Instant,
}

/// Outputs that wait for the log.
struct Held {
    /// The record they wait for.
    record: u64,
    /// Where they end, by peer and by client.
    peers: Vec<(u32, u64)>,
    clients: Vec<(usize, u64)>,
    /// What the application is told then.
    events: Batch,
}

pub(crate) struct Driver {
    config: Config,
    me: u32,
    boot: u64,
    layout_hash: u64,
    fingerprint: u64,
    /// By tag: whether the request may be repeated.
    resend: Vec<bool>,

    node: Box<dyn Node>,
    out: Outbox,
    self_inbox: Vec<u8>,
    self_count: u64,
    seed: u64,

    poll: Poll,
    listener: TcpListener,
    shared: Arc<Shared>,
    links: Vec<Option<Box<Link>>>,
    free: Vec<usize>,
    /// Links whose socket may hold more, or whose buffer does.
    readable: Vec<usize>,
    peers: Vec<Peer>,
    clients: Vec<Option<Client>>,
    sessions: FxHashMap<u64, usize>,
    dirty_peers: Vec<u32>,
    dirty_clients: Vec<usize>,

    store: Option<Store>,
    held: VecDeque<Held>,
    record: Vec<u8>,
    telling: Option<Telling>,
    /// What this round tells the application.
    events: Batch,

    pressed: bool,
    stopping: Option<Instant>,
    quiet_since: Instant,
    counters: Counters,
    started: Instant,
    base_ms: u64,
    house_at: Instant,
    inputs: u64,
    /// The first tick comes unasked: a recovered node may have something to tell.
    fresh: bool,
    /// Relations of this role, for tools.
    tables: BTreeMap<String, anabranch_core::data::Schema>,
}

impl Driver {
    /// A driver for a node that is ready for its first tick. The store, if any, is the one that the node
    /// was recovered from; `waker` makes it end the loop's wait when records become stable.
    pub fn new(config: Config, node: Box<dyn Node>, listener: std::net::TcpListener) -> io::Result<Driver> {
        let poll = Poll::new()?;
        listener.set_nonblocking(true)?;
        let mut listener = TcpListener::from_std(listener);
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let shared = Shared {
            waker,
            stop: AtomicBool::new(false),
            abort: AtomicBool::new(false),
            // A single node has nobody to meet.
            ready: AtomicBool::new(config.layout.nodes() == 1),
        };
        let nodes = config.layout.nodes();
        let me = config.layout.index(config.seat).0;
        let requests = config.protocol.requests();
        let mut resend = vec![false; requests.iter().map(|r| usize::from(r.tag) + 1).max().unwrap_or(0)];
        for request in &requests {
            resend[usize::from(request.tag)] = request.resend;
        }
        let now = Instant::now();
        let dials = |peer: u32| (peer < me).then_some(now);
        let peers = (0..nodes).map(|peer| Peer { dial_at: dials(peer), ..Peer::default() }).collect();
        let mut out = Outbox::default();
        out.batches.resize_with(nodes as usize, Default::default);
        let tables = config.protocol.tables().into_iter().filter(|t| t.role == config.seat.role);
        let tables = tables.map(|t| {
            let columns = t.columns.into_iter().map(|(_, schema)| schema).collect();
            (t.name.to_string(), anabranch_core::data::Schema::Tuple(columns))
        });
        let base = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let boot = hello::fresh_boot();
        Ok(Driver {
            me,
            boot,
            layout_hash: hello::layout_hash(&config.layout),
            fingerprint: config.protocol.fingerprint(),
            resend,
            node,
            out,
            self_inbox: Vec::new(),
            self_count: 0,
            seed: boot,
            poll,
            listener,
            shared: Arc::new(shared),
            links: Vec::new(),
            free: Vec::new(),
            readable: Vec::new(),
            peers,
            clients: Vec::new(),
            sessions: FxHashMap::default(),
            dirty_peers: Vec::new(),
            dirty_clients: Vec::new(),
            store: None,
            held: VecDeque::new(),
            record: Vec::new(),
            telling: None,
            events: Batch::default(),
            pressed: false,
            stopping: None,
            quiet_since: now,
            counters: Counters::default(),
            started: now,
            base_ms: base.as_millis() as u64,
            house_at: now,
            inputs: 0,
            fresh: true,
            tables: tables.collect(),
            config,
        })
    }

    /// Makes the node durable.
    pub fn with_store(&mut self, store: Store) {
        self.store = Some(store);
    }

    /// Tells an application about durable events.
    pub fn with_observer(&mut self, telling: Telling) {
        self.telling = Some(telling);
    }

    /// A handle for other threads.
    pub fn remote(&self) -> Remote {
        Remote { shared: self.shared.clone() }
    }

    /// Runs until told to stop, or until something breaks.
    pub fn run(mut self) -> Exit {
        let mut events = Events::with_capacity(1024);
        loop {
            match self.round(&mut events) {
                Ok(None) => {}
                Ok(Some(Exit::Stopped)) if self.stopping.is_some() => {
                    let closed = self.store.map_or(Ok(()), Store::close);
                    return closed.map_or_else(Exit::Store, |()| Exit::Stopped);
                }
                Ok(Some(exit)) | Err(exit) => return exit,
            }
        }
    }

    fn round(&mut self, events: &mut Events) -> Result<Option<Exit>, Exit> {
        let timeout = self.timeout();
        match self.poll.poll(events, Some(timeout)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => other?,
        }
        let now = Instant::now();
        self.counters.rounds += 1;
        if self.shared.abort.load(Ordering::Acquire) {
            return Ok(Some(Exit::Stopped));
        }
        for event in events.iter() {
            match event.token() {
                LISTENER => self.accept(now),
                WAKER => {}
                Token(link) => self.event(link, event.is_writable(), now),
            }
        }
        self.take_all(now)?;
        self.step(now)?;
        self.give(now)?;
        if now >= self.house_at {
            self.house(now)?;
        }
        Ok(self.drained(now).then_some(Exit::Stopped))
    }

    /// How long to wait for the network.
    fn timeout(&mut self) -> Duration {
        if self.fresh || !self.self_inbox.is_empty() || self.node.has_input() || self.may_read() {
            return Duration::ZERO;
        }
        let now = Instant::now();
        let mut until = self.house_at.saturating_duration_since(now);
        if self.stopping.is_some() {
            until = until.min(Duration::from_millis(10));
        }
        if let Some(due) = self.node.next_due_ms() {
            let wait = due.saturating_sub(self.now_ms(now));
            until = until.min(Duration::from_millis(wait));
        }
        until
    }

    fn now_ms(&self, now: Instant) -> u64 {
        self.base_ms + now.saturating_duration_since(self.started).as_millis() as u64
    }

    /// Runs a macro-step on what has arrived and on what is due, and further ones on what the node sends to
    /// itself.
    fn step(&mut self, now: Instant) -> Result<(), Exit> {
        let now_ms = self.now_ms(now);
        if self.node.next_due_ms().is_some_and(|due| due <= now_ms) {
            let fired = self.node.fire_due(now_ms, TIMERS_AT_ONCE) as u64;
            self.counters.timers_fired += fired;
            self.inputs += fired;
        }
        for _ in 0..SELF_STEPS {
            if !self.self_inbox.is_empty() {
                let inbox = std::mem::take(&mut self.self_inbox);
                let taken = self.node.deliver(&mut anabranch_core::wire::Reader::new(&inbox));
                taken.expect("a node understands its own messages");
                self.inputs += std::mem::take(&mut self.self_count);
                self.self_inbox = inbox;
                self.self_inbox.clear();
            }
            if !self.node.has_input() && !std::mem::take(&mut self.fresh) {
                return Ok(());
            }
            let inputs = std::mem::take(&mut self.inputs);
            self.counters.batch(inputs);
            self.counters.steps += 1;
            let mut ticks = 0;
            loop {
                self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let args = TickArgs { now_ms, seed: self.seed };
                self.node.tick(&args, &mut self.out).map_err(Exit::Broken)?;
                ticks += 1;
                self.counters.ticks += 1;
                self.collect()?;
                if !self.node.deferred() {
                    break;
                }
                if ticks == ENDLESS {
                    let message = format!(
                        "a macro-step of {} did not end within {ENDLESS} ticks: a rule keeps deferring to the next tick (`<+` fed by its own effect)",
                        self.config.name
                    );
                    return Err(Exit::Broken(Broken { message }));
                }
            }
            if self.self_inbox.is_empty() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn peer_name(&self, peer: u32) -> String {
        let Some(seat) = self.config.layout.seat(NodeIndex(peer)) else { return format!("node {peer}") };
        format!("{}.{}", self.config.protocol.roles()[usize::from(seat.role)], seat.instance)
    }

    fn refused(&mut self, refusal: &Refusal) {
        self.counters.refused += 1;
        self.counters.refused_reason = refusal.to_string();
    }
}
