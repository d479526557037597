//! The event loop on mio.

use super::{Logic, Out};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use std::io::{ErrorKind, Read, Result, Write};
use std::time::Instant;

const LISTENER: Token = Token(usize::MAX);
const SPACE: usize = 256 << 10;

struct Connection {
    stream: TcpStream,
    /// Bytes read and not yet taken are `input[..filled]`.
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
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(64);
    let mut connections = Vec::new();
    let mut out = Out::default();
    let mut accepted = 0;
    for stream in made {
        stream.set_nonblocking(true)?;
        add(&poll, &mut connections, &mut out, TcpStream::from_std(stream))?;
    }
    let made = connections.len();
    let listener = match listener {
        None => None,
        Some(listener) => {
            listener.set_nonblocking(true)?;
            let mut listener = TcpListener::from_std(listener);
            poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
            Some(listener)
        }
    };
    let mut timeout = logic.end_round(Instant::now(), &mut out);
    for (connection, bytes) in connections.iter_mut().zip(&mut out.to) {
        write(connection, bytes)?;
    }
    loop {
        match poll.poll(&mut events, timeout) {
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            other => other?,
        }
        for event in &events {
            if event.token() == LISTENER {
                while let Some(Ok((stream, _))) = listener.as_ref().map(TcpListener::accept) {
                    accepted += 1;
                    add(&poll, &mut connections, &mut out, stream)?;
                }
            } else if event.is_readable() {
                let index = event.token().0;
                read(logic, &mut connections[index], index, &mut out)?;
            }
        }
        timeout = logic.end_round(Instant::now(), &mut out);
        for (connection, bytes) in connections.iter_mut().zip(&mut out.to) {
            write(connection, bytes)?;
        }
        if logic.finished() || (accepted > 0 && connections[made..].iter().all(|c| c.closed)) {
            return Ok(());
        }
    }
}

fn add(poll: &Poll, connections: &mut Vec<Connection>, out: &mut Out, mut stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let token = Token(connections.len());
    poll.registry().register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
    connections.push(Connection { stream, input: vec![0; SPACE], filled: 0, written: 0, closed: false });
    out.to.push(Vec::new());
    Ok(())
}

fn read(logic: &mut impl Logic, c: &mut Connection, index: usize, out: &mut Out) -> Result<()> {
    loop {
        let space = c.input.len() - c.filled;
        let n = match c.stream.read(&mut c.input[c.filled..]) {
            Ok(0) => {
                c.closed = true;
                return Ok(());
            }
            Ok(n) => n,
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(e) if e.kind() == ErrorKind::ConnectionReset => {
                c.closed = true;
                return Ok(());
            }
            Err(e) => return Err(e),
        };
        c.filled += n;
        let taken = logic.take(index, &c.input[..c.filled], out);
        c.input.copy_within(taken..c.filled, 0);
        c.filled -= taken;
        // A short read has emptied the socket; the next edge will tell.
        if n < space {
            return Ok(());
        }
    }
}

fn write(c: &mut Connection, bytes: &mut Vec<u8>) -> Result<()> {
    while c.written < bytes.len() && !c.closed {
        match c.stream.write(&bytes[c.written..]) {
            Ok(n) => c.written += n,
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(e) if matches!(e.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {
                c.closed = true
            }
            Err(e) => return Err(e),
        }
    }
    c.written = 0;
    bytes.clear();
    Ok(())
}
