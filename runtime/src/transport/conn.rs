//! One non-blocking connection: what was read and not yet parsed, what must be written and is not a
//! stream's.

use super::frame::{self, FrameError, Header};
use super::stream::Stream;
use std::io::{self, ErrorKind, IoSlice};
use std::time::Instant;

const FIRST_BUFFER: usize = 16 << 10;
const BUSY_BUFFER: usize = 256 << 10;
const LEAST_ROOM: usize = 4 << 10;

/// A non-blocking socket.
pub(crate) trait Sock {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize>;
    fn write(&mut self, from: &[IoSlice<'_>]) -> io::Result<usize>;
    /// Whether a connect that was begun has succeeded.
    fn connected(&mut self) -> io::Result<bool>;
}

impl Sock for mio::net::TcpStream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        io::Read::read(self, into)
    }
    fn write(&mut self, from: &[IoSlice<'_>]) -> io::Result<usize> {
        match from {
            [one] => io::Write::write(self, one),
            _ => io::Write::write_vectored(self, from),
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

/// What a read found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fill {
    /// All that had arrived.
    Drained,
    /// The limit; there may be more.
    More,
    /// The end: the other side closed.
    Closed,
}

#[derive(Debug)]
pub(crate) struct Conn<S> {
    pub sock: S,
    input: Vec<u8>,
    start: usize,
    end: usize,
    /// Frames that belong to no stream.
    side: Vec<u8>,
    /// The stream's bytes were last written up to the middle of a frame.
    within: bool,
    /// The socket took less than it was given; an event says when it takes more.
    pub blocked: bool,
    pub last_heard: Instant,
    pub last_wrote: Instant,
    pub bytes_in: u64,
    pub bytes_out: u64,
}

impl<S: Sock> Conn<S> {
    pub fn new(sock: S, now: Instant) -> Conn<S> {
        Conn {
            sock,
            input: Vec::new(),
            start: 0,
            end: 0,
            side: Vec::new(),
            within: false,
            blocked: false,
            last_heard: now,
            last_wrote: now,
            bytes_in: 0,
            bytes_out: 0,
        }
    }

    /// Reads what has arrived, up to about `limit` bytes.
    pub fn fill(&mut self, limit: usize, now: Instant) -> io::Result<Fill> {
        let mut got = 0;
        loop {
            if self.start == self.end {
                (self.start, self.end) = (0, 0);
            }
            if self.input.len() - self.end < LEAST_ROOM {
                self.input.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
                if self.input.len() - self.end < LEAST_ROOM {
                    let size = (self.input.len() * 2).max(FIRST_BUFFER);
                    self.input.resize(size, 0);
                }
            }
            let room = self.input.len() - self.end;
            match self.sock.read(&mut self.input[self.end..]) {
                Ok(0) => return Ok(Fill::Closed),
                Ok(n) => {
                    self.end += n;
                    got += n;
                    self.bytes_in += n as u64;
                    self.last_heard = now;
                    // A short read has emptied the socket; asking again would cost a system call.
                    if n < room {
                        return Ok(Fill::Drained);
                    }
                    // Busy connections get larger buffers, so that a round's input takes one call.
                    if self.input.len() < BUSY_BUFFER {
                        self.input.resize(self.input.len() * 2, 0);
                    }
                    if got >= limit {
                        return Ok(Fill::More);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Fill::Drained),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The next whole frame that was read. Call [`Conn::consume`] with its length after use.
    pub fn frame(&self, limit: usize) -> Result<Option<frame::Parsed<'_>>, FrameError> {
        frame::parse(&self.input[self.start..self.end], limit)
    }

    pub fn consume(&mut self, n: usize) {
        self.start += n;
        // A large frame's buffer is given back.
        if self.start == self.end && self.input.len() > 2 * BUSY_BUFFER {
            self.input = Vec::new();
            (self.start, self.end) = (0, 0);
        }
    }

    /// Queues a frame that belongs to no stream.
    pub fn push(&mut self, header: Header, payload: &[u8]) {
        frame::push(&mut self.side, header, payload);
    }

    /// Writes as much as the socket takes, in one system call where possible.
    pub fn flush(&mut self, mut stream: Option<&mut Stream>, now: Instant) -> io::Result<()> {
        loop {
            let body = stream.as_deref().map_or(&[][..], Stream::unwritten);
            if self.side.is_empty() && body.is_empty() {
                self.blocked = false;
                return Ok(());
            }
            // A frame under way is finished first: with its stream's other bytes, to keep it simple.
            let slices = match (self.side.is_empty(), body.is_empty()) {
                (true, _) => &[IoSlice::new(body)][..],
                (_, true) => &[IoSlice::new(&self.side)][..],
                _ if self.within => &[IoSlice::new(body), IoSlice::new(&self.side)][..],
                _ => &[IoSlice::new(&self.side), IoSlice::new(body)][..],
            };
            let (side_len, body_len) = (self.side.len(), body.len());
            let n = match self.sock.write(slices) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(n) => n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.blocked = true;
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.last_wrote = now;
            self.bytes_out += n as u64;
            let body_first = self.within || side_len == 0;
            let body_wrote = if body_first { n.min(body_len) } else { n.saturating_sub(side_len) };
            let side_wrote = n - body_wrote;
            if let Some(stream) = &mut stream
                && body_wrote > 0
            {
                stream.wrote(body_wrote);
                self.within = body_wrote < body_len;
            }
            self.side.drain(..side_wrote);
            if n < side_len + body_len {
                self.blocked = true;
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::Kind;
    use super::*;

    /// A socket that takes a few bytes at a time.
    struct Narrow {
        taken: Vec<u8>,
        at_once: usize,
        room: usize,
    }

    impl Sock for Narrow {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(ErrorKind::WouldBlock.into())
        }
        fn write(&mut self, from: &[IoSlice<'_>]) -> io::Result<usize> {
            let all: Vec<u8> = from.iter().flat_map(|s| s.iter().copied()).collect();
            let n = all.len().min(self.at_once).min(self.room);
            if n == 0 {
                return Err(ErrorKind::WouldBlock.into());
            }
            self.room -= n;
            self.taken.extend_from_slice(&all[..n]);
            Ok(n)
        }
        fn connected(&mut self) -> io::Result<bool> {
            Ok(true)
        }
    }

    /// Frames of a stream and others never cut each other, wherever the socket stops.
    #[test]
    fn frames_stay_whole() {
        for at_once in 1..100 {
            let now = Instant::now();
            let mut conn = Conn::new(Narrow { taken: Vec::new(), at_once, room: 0 }, now);
            let mut stream = Stream::default();
            for i in 0..5u8 {
                stream.payload(Kind::Messages).extend_from_slice(&[i; 7]);
                stream.close(false);
                stream.release_all();
                let beat = stream.beat(false);
                conn.push(beat, b"");
                conn.sock.room = 50;
                conn.flush(Some(&mut stream), now).expect("flush");
            }
            while conn.blocked {
                conn.sock.room = 50;
                conn.flush(Some(&mut stream), now).expect("flush");
            }
            let (mut rest, mut seqs, mut beats) = (&conn.sock.taken[..], Vec::new(), 0);
            while let Some((header, _, used)) = frame::parse(rest, 100).expect("whole frames") {
                match header.kind {
                    Kind::Beat => beats += 1,
                    _ => seqs.push(header.seq),
                }
                rest = &rest[used..];
            }
            assert_eq!((seqs, beats, rest.len()), (vec![1, 2, 3, 4, 5], 5, 0), "{at_once} bytes at a time");
        }
    }
}
