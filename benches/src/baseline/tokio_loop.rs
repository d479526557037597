//! The event loop on tokio's current-thread runtime: one task that polls every connection per wake-up.

use super::{Logic, Out};
use std::future::{Future, poll_fn};
use std::io::{ErrorKind, Result};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

const SPACE: usize = 256 << 10;

struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    filled: usize,
    written: usize,
    closed: bool,
}

/// Runs until the logic has finished, or until every accepted connection has closed.
pub fn run(
    logic: &mut impl Logic,
    made: Vec<std::net::TcpStream>,
    listener: Option<std::net::TcpListener>,
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    runtime.block_on(async {
        let mut connections = Vec::new();
        let mut out = Out::default();
        for stream in made {
            stream.set_nonblocking(true)?;
            add(&mut connections, &mut out, TcpStream::from_std(stream)?)?;
        }
        let made = connections.len();
        let listener = match listener {
            None => None,
            Some(listener) => {
                listener.set_nonblocking(true)?;
                Some(TcpListener::from_std(listener)?)
            }
        };
        let mut accepted = 0;
        let far = Duration::from_secs(3600);
        let mut sleep = pin!(tokio::time::sleep(far));
        poll_fn(|cx| {
            while let Some(Poll::Ready(Ok((stream, _)))) = listener.as_ref().map(|l| l.poll_accept(cx)) {
                accepted += 1;
                add(&mut connections, &mut out, stream)?;
            }
            for (index, connection) in connections.iter_mut().enumerate() {
                read(cx, logic, connection, index, &mut out)?;
            }
            let now = Instant::now();
            // Moving a tokio timer is not free: only when it has gone off or must go off earlier.
            if let Some(timeout) = logic.end_round(now, &mut out) {
                let due = tokio::time::Instant::from_std(now + timeout);
                if sleep.is_elapsed() || due < sleep.deadline() {
                    sleep.as_mut().reset(due);
                }
                let _ = sleep.as_mut().poll(cx);
            }
            for (connection, bytes) in connections.iter_mut().zip(&mut out.to) {
                write(cx, connection, bytes)?;
            }
            if logic.finished() || (accepted > 0 && connections[made..].iter().all(|c| c.closed)) {
                return Poll::Ready(Ok(()));
            }
            Poll::Pending
        })
        .await
    })
}

fn add(connections: &mut Vec<Connection>, out: &mut Out, stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    connections.push(Connection { stream, input: vec![0; SPACE], filled: 0, written: 0, closed: false });
    out.to.push(Vec::new());
    Ok(())
}

fn read(
    cx: &mut Context<'_>,
    logic: &mut impl Logic,
    c: &mut Connection,
    index: usize,
    out: &mut Out,
) -> Result<()> {
    while !c.closed {
        let mut buffer = ReadBuf::new(&mut c.input[c.filled..]);
        match Pin::new(&mut c.stream).poll_read(cx, &mut buffer) {
            Poll::Pending => return Ok(()),
            Poll::Ready(Err(e)) if e.kind() != ErrorKind::ConnectionReset => return Err(e),
            Poll::Ready(_) if buffer.filled().is_empty() => c.closed = true,
            Poll::Ready(_) => {
                c.filled += buffer.filled().len();
                let taken = logic.take(index, &c.input[..c.filled], out);
                c.input.copy_within(taken..c.filled, 0);
                c.filled -= taken;
            }
        }
    }
    Ok(())
}

fn write(cx: &mut Context<'_>, c: &mut Connection, bytes: &mut Vec<u8>) -> Result<()> {
    while c.written < bytes.len() && !c.closed {
        match Pin::new(&mut c.stream).poll_write(cx, &bytes[c.written..]) {
            Poll::Pending => return Ok(()),
            Poll::Ready(Ok(n)) => c.written += n,
            Poll::Ready(Err(e)) if matches!(e.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {
                c.closed = true;
            }
            Poll::Ready(Err(e)) => return Err(e),
        }
    }
    c.written = 0;
    bytes.clear();
    Ok(())
}
