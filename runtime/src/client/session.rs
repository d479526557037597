//! The asynchronous client: a task on the caller's tokio runtime, and handles to it.
//!
//! On a current-thread runtime a call costs no wake-up of another thread. The task ends when the last handle
//! is dropped and its requests have ended.

use super::core::Core;
use super::{CallError, Completion, ConnectError};
use crate::deploy::Deployment;
use crate::transport::conn::Sock;
use anabranch_core::data::{Bytes, Schema};
use anabranch_core::node::{Protocol, RequestInfo};
use anabranch_core::value::Value;
use anabranch_core::wire::Reader;
use rustc_hash::FxHashMap;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind, IoSlice};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};

/// Calls that may wait for the task; further callers wait before they are queued.
const QUEUE: usize = 1024;

/// A client of a running deployment. Clones share its session and connections.
#[derive(Clone)]
pub struct Client {
    calls: mpsc::Sender<Call>,
    requests: Arc<Vec<RequestInfo>>,
    timeout: Duration,
    session: u64,
}

struct Call {
    tag: u16,
    args: Bytes,
    route: Option<u64>,
    timeout: Duration,
    answer: oneshot::Sender<Result<Bytes, CallError<Bytes>>>,
}

impl Client {
    /// Connects to all nodes that take or answer requests; of every role one must be reached within ten
    /// seconds. Must be called within a tokio runtime with I/O and time enabled.
    pub async fn connect(protocol: &dyn Protocol, deployment: &Deployment) -> Result<Client, ConnectError> {
        let core = Core::new(protocol, deployment, Instant::now())?;
        let (calls, queue) = mpsc::channel(QUEUE);
        let (ready, connected) = oneshot::channel();
        let session = core.session();
        tokio::spawn(
            Task { core, queue, ready: Some(ready), waiting: FxHashMap::default(), token: 0, closed: false }
                .run(),
        );
        connected.await.expect("the task answers before it ends")?;
        Ok(Client {
            calls,
            requests: Arc::new(protocol.requests()),
            timeout: Duration::from_secs(10),
            session,
        })
    }

    /// How long calls wait for an answer before they end as [`CallError::Unknown`]; ten seconds unless set.
    pub fn with_timeout(mut self, timeout: Duration) -> Client {
        self.timeout = timeout;
        self
    }

    /// The session's number: `Req::session` of all its requests.
    pub fn session(&self) -> u64 {
        self.session
    }

    /// A request by tag with encoded arguments; gives the encoded reply columns. `route` is the route
    /// ([`Data::route`](anabranch_core::data::Data::route)) of the argument named by `by`, for requests that have one.
    pub async fn call_raw(
        &self,
        tag: u16,
        args: Bytes,
        route: Option<u64>,
    ) -> Result<Bytes, CallError<Bytes>> {
        let (answer, answered) = oneshot::channel();
        let call = Call { tag, args, route, timeout: self.timeout, answer };
        if self.calls.send(call).await.is_err() {
            return Err(CallError::NotSent("the client's runtime has ended".into()));
        }
        match answered.await {
            Ok(outcome) => outcome,
            Err(_) => Err(CallError::Unknown("the client's runtime ended before an answer came".into())),
        }
    }

    /// A request by name over erased values; gives the reply columns as a tuple. Panics if there is no such
    /// request or the arguments do not fit: ask [`Client::request`] first.
    pub async fn call(&self, name: &str, args: &[Value]) -> Result<Value, CallError<Value>> {
        let info = self.request(name).unwrap_or_else(|| panic!("there is no request `{name}`"));
        assert_eq!(args.len(), info.args.len(), "number of arguments of `{name}`");
        let mut bytes = Vec::new();
        for ((column, schema), value) in info.args.iter().zip(args) {
            if let Err(mismatch) = schema.encode(value, &mut bytes) {
                panic!("`{column}` of `{name}`: {mismatch}");
            }
        }
        let route = info.by.map(|by| u64::from(args[by].route()));
        match self.call_raw(info.tag, bytes.into(), route).await {
            Ok(reply) => {
                // Column by column: an answer without columns has no bytes, unlike an empty tuple.
                let mut input = Reader::new(&reply);
                let columns = info.reply.iter().map(|(_, schema)| schema.decode(&mut input));
                let columns: Result<Vec<Value>, _> = columns.collect();
                columns
                    .map(Value::tuple)
                    .map_err(|e| CallError::Unknown(format!("the answer is malformed: {e}")))
            }
            Err(CallError::Refused(error)) => {
                let schema = info.error.clone().unwrap_or(Schema::Unit);
                Err(match decode(&schema, &error) {
                    Ok(error) => CallError::Refused(error),
                    Err(malformed) => malformed,
                })
            }
            Err(CallError::NotSent(why)) => Err(CallError::NotSent(why)),
            Err(CallError::Unknown(why)) => Err(CallError::Unknown(why)),
        }
    }

    /// A request's description.
    pub fn request(&self, name: &str) -> Option<&RequestInfo> {
        self.requests.iter().find(|info| info.name == name)
    }
}

fn decode(schema: &Schema, bytes: &[u8]) -> Result<Value, CallError<Value>> {
    let malformed = |error| CallError::Unknown(format!("the answer is malformed: {error}"));
    schema.decode(&mut Reader::new(bytes)).map_err(malformed)
}

impl Sock for TcpStream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.try_read(into)
    }
    fn write(&mut self, from: &[IoSlice<'_>]) -> io::Result<usize> {
        match from {
            [one] => self.try_write(one),
            _ => self.try_write_vectored(from),
        }
    }
    fn connected(&mut self) -> io::Result<bool> {
        if let Some(error) = self.take_error()? {
            return Err(error);
        }
        match self.peer_addr() {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }
}

struct Task {
    core: Core<TcpStream>,
    queue: mpsc::Receiver<Call>,
    ready: Option<oneshot::Sender<Result<(), ConnectError>>>,
    waiting: FxHashMap<u64, oneshot::Sender<Result<Bytes, CallError<Bytes>>>>,
    token: u64,
    /// All handles are gone.
    closed: bool,
}

impl Task {
    async fn run(mut self) {
        let start = Instant::now();
        loop {
            let now = Instant::now();
            for (node, address) in self.core.dials(now) {
                self.core.dialled(node, begin_connect(address), now);
            }
            self.core.flush(now);
            if let Some(ready) = self.ready.take() {
                let waited = now - start;
                match self.core.connected() {
                    Err(error) => return drop(ready.send(Err(error))),
                    Ok((enough, all)) if all || (enough && waited > Duration::from_secs(1)) => {
                        drop(ready.send(Ok(())))
                    }
                    Ok(_) if waited > Duration::from_secs(10) => {
                        return drop(ready.send(Err(self.core.unreachable())));
                    }
                    Ok(_) => self.ready = Some(ready),
                }
            }
            for Completion { token, outcome } in std::mem::take(&mut self.core.done) {
                if let Some(answer) = self.waiting.remove(&token) {
                    // A caller that went away does not care.
                    let _ = answer.send(outcome);
                }
            }
            if self.closed && self.core.open() == 0 {
                return self.core.bye(Instant::now());
            }
            let pause =
                if self.ready.is_some() { now + Duration::from_millis(20) } else { self.core.next_alarm() };
            let mut alarm = pin!(tokio::time::sleep_until(pause.min(self.core.next_alarm()).into()));
            poll_fn(|cx| {
                self.poll(cx).is_ready().then_some(()).map_or_else(|| alarm.as_mut().poll(cx), Poll::Ready)
            })
            .await;
            self.core.alarms(Instant::now());
        }
    }

    /// Takes calls and lets sockets work; ready if anything happened.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let now = Instant::now();
        let mut busy = false;
        while !self.closed && self.ready.is_none() && !self.core.clogged() {
            match self.queue.poll_recv(cx) {
                Poll::Ready(Some(call)) => {
                    self.token += 1;
                    self.waiting.insert(self.token, call.answer);
                    self.core.submit(call.tag, &call.args, call.route, self.token, call.timeout, now);
                    busy = true;
                }
                Poll::Ready(None) => {
                    self.closed = true;
                    busy = true;
                }
                Poll::Pending => break,
            }
        }
        for node in 0..self.core.nodes() {
            let wants_write = self.core.wants_write(node);
            let Some(socket) = self.core.socket(node) else { continue };
            let readable = socket.poll_read_ready(cx).is_ready();
            let writable = wants_write && socket.poll_write_ready(cx).is_ready();
            if readable || writable {
                self.core.ready(node, now);
                busy = true;
            }
        }
        if busy { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// Begins to connect without waiting for the outcome.
fn begin_connect(address: std::net::SocketAddr) -> io::Result<TcpStream> {
    let socket = mio::net::TcpStream::connect(address)?;
    // Without it the connection works, only slower.
    let _ = socket.set_nodelay(true);
    TcpStream::from_std(std::net::TcpStream::from(socket))
}
