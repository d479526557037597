//! A client for load generators: one thread, one event loop, no runtime.
//!
//! ```text
//! loop {
//!     client.poll(timeout, &mut done)?;          // one write per node, one wait, then reads
//!     for completion in done.drain(..) { … client.submit(…, completion.token) }
//! }
//! ```

use super::core::Core;
use super::{CallError, ConnectError};
use crate::deploy::Deployment;
use anabranch_core::data::Bytes;
use anabranch_core::node::Protocol;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use std::io;
use std::time::{Duration, Instant};

/// How a load client behaves.
#[derive(Clone, Copy, Debug)]
pub struct LoadOptions {
    /// How long to wait for an answer.
    pub timeout: Duration,
    /// How long to try to connect.
    pub connect_timeout: Duration,
}

impl Default for LoadOptions {
    fn default() -> LoadOptions {
        LoadOptions { timeout: Duration::from_secs(10), connect_timeout: Duration::from_secs(10) }
    }
}

/// The end of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// What was given to [`LoadClient::submit`].
    pub token: u64,
    /// The encoded reply columns, or the encoded error.
    pub outcome: Result<Bytes, CallError<Bytes>>,
}

/// A client for many requests at once.
pub struct LoadClient {
    core: Core<TcpStream>,
    poll: Poll,
    events: Events,
    options: LoadOptions,
}

impl LoadClient {
    /// Connects to all nodes that take or answer requests; every role must have one that can be reached.
    pub fn connect(
        protocol: &dyn Protocol,
        deployment: &Deployment,
        options: LoadOptions,
    ) -> Result<LoadClient, ConnectError> {
        let start = Instant::now();
        let core = Core::new(protocol, deployment, start)?;
        let mut client = LoadClient { core, poll: Poll::new()?, events: Events::with_capacity(64), options };
        loop {
            let now = Instant::now();
            let (enough, all) = client.core.connected()?;
            // Those that are late may join later.
            if all || (enough && now - start > Duration::from_secs(1)) {
                return Ok(client);
            }
            if now - start > options.connect_timeout {
                return Err(client.core.unreachable());
            }
            client.turn(Duration::from_millis(20))?;
        }
    }

    /// The session's number: `Req::session` of all its requests.
    pub fn session(&self) -> u64 {
        self.core.session()
    }

    /// Requests that have not ended.
    pub fn open(&self) -> usize {
        self.core.open()
    }

    /// Queues a request; [`LoadClient::poll`] writes it. `route` is the route of the argument named
    /// by `by`, for requests that have one.
    ///
    /// Unlike a [`Client`](super::Client) it holds nothing back: where machines remember sessions
    /// ([`Sessions`](anabranch_core::sessions::Sessions)), no more than [`REMEMBERED`](anabranch_core::sessions::REMEMBERED)
    /// requests should be open at once.
    pub fn submit(&mut self, tag: u16, args: &[u8], route: Option<u64>, token: u64) {
        self.core.submit(tag, args, route, token, self.options.timeout, Instant::now());
    }

    /// Writes what was submitted, waits for answers, and appends the requests that ended. Returns at once
    /// if some have ended already.
    pub fn poll(&mut self, timeout: Duration, done: &mut Vec<Completion>) -> io::Result<()> {
        let until = Instant::now() + timeout;
        loop {
            let now = Instant::now();
            let wait =
                if self.core.done.is_empty() { until.saturating_duration_since(now) } else { Duration::ZERO };
            self.turn(wait)?;
            if !self.core.done.is_empty() {
                done.append(&mut self.core.done);
                return Ok(());
            }
            if Instant::now() >= until {
                return Ok(());
            }
        }
    }

    fn turn(&mut self, wait: Duration) -> io::Result<()> {
        let now = Instant::now();
        for (node, address) in self.core.dials(now) {
            let socket = TcpStream::connect(address).and_then(|mut socket| {
                let interest = Interest::READABLE | Interest::WRITABLE;
                self.poll.registry().register(&mut socket, Token(node), interest)?;
                // Without it the connection works, only slower.
                let _ = socket.set_nodelay(true);
                Ok(socket)
            });
            self.core.dialled(node, socket, now);
        }
        self.core.flush(now);
        let wait = wait.min(self.core.next_alarm().saturating_duration_since(now));
        match self.poll.poll(&mut self.events, Some(wait)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => other?,
        }
        let now = Instant::now();
        for event in self.events.iter() {
            self.core.ready(event.token().0, now);
        }
        self.core.alarms(now);
        Ok(())
    }
}

impl Drop for LoadClient {
    fn drop(&mut self) {
        self.core.bye(Instant::now());
    }
}
