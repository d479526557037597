//! Streams: one endpoint's side of a reliable exchange with another endpoint's incarnation.
//!
//! Outgoing frames are written into the end of one contiguous buffer and leave its beginning when they are
//! acknowledged, so that the steady path costs one copy and no allocation:
//!
//! ```text
//!   acked ≤ written ≤ released ≤ end      (positions in everything ever sent)
//! ```
//!
//! Between *released* and *end* lie frames whose log records are not stable yet. When a connection breaks,
//! `written` goes back to the first frame that the other side lacks. When the other side turns out to be a
//! new incarnation, frames that its predecessor may have seen are dropped (a crash loses what was in
//! flight) and the others are numbered anew.

use super::frame::{self, Header, Kind};
use std::collections::VecDeque;

/// One side of a two-way stream.
#[derive(Debug, Default)]
pub struct Stream {
    buf: Vec<u8>,
    /// Position of `buf[0]`.
    base: u64,
    acked: u64,
    written: u64,
    /// The furthest that `written` ever was for this incarnation of the other side.
    touched: u64,
    released: u64,
    /// Closed frames that are not acknowledged: number and end.
    frames: VecDeque<(u64, u64)>,
    last_seq: u64,
    acked_seq: u64,
    open: Option<(u64, Kind)>,

    received: u64,
    /// The acknowledgement that the other side was last given.
    told: u64,
    /// Bytes received since then.
    untold: usize,
}

/// What to do with a sequenced frame that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accept {
    /// Take it.
    New,
    /// It was taken before.
    Duplicate,
    /// A frame before it is missing: the connection must be closed.
    Gap,
}

impl Stream {
    fn end(&self) -> u64 {
        self.base + self.buf.len() as u64
    }

    /// The payload of the open frame, which is opened if there is none.
    pub fn payload(&mut self, kind: Kind) -> &mut Vec<u8> {
        match self.open {
            Some((_, open)) => assert!(open == kind, "one kind of frame at a time"),
            None => {
                self.open = Some((self.end(), kind));
                frame::begin(&mut self.buf);
            }
        }
        &mut self.buf
    }

    /// The payload bytes of the open frame.
    pub fn open_len(&self) -> usize {
        self.open.map_or(0, |(start, _)| (self.end() - start) as usize - frame::HEADER)
    }

    /// Closes the open frame, if any; it is not released yet.
    pub fn close(&mut self, pressed: bool) {
        let Some((start, kind)) = self.open.take() else { return };
        self.last_seq += 1;
        let header = Header { kind, pressed, seq: self.last_seq, ack: self.received };
        frame::finish(&mut self.buf, (start - self.base) as usize, header);
        self.frames.push_back((self.last_seq, self.end()));
        self.tell();
    }

    fn tell(&mut self) {
        self.told = self.received;
        self.untold = 0;
    }

    /// Where the closed frames end: an argument for [`Stream::release`].
    pub fn mark(&self) -> u64 {
        assert!(self.open.is_none(), "frames are closed before they are held");
        self.end()
    }

    /// Lets everything up to a mark leave.
    pub fn release(&mut self, mark: u64) {
        self.released = self.released.max(mark.min(self.end()));
    }

    /// Lets everything leave.
    pub fn release_all(&mut self) {
        self.released = self.mark();
    }

    /// What may be written now.
    pub fn unwritten(&self) -> &[u8] {
        &self.buf[(self.written - self.base) as usize..(self.released - self.base) as usize]
    }

    /// Counts bytes as written.
    pub fn wrote(&mut self, n: usize) {
        self.written += n as u64;
        assert!(self.written <= self.released, "only what was released is written");
        self.touched = self.touched.max(self.written);
    }

    /// Bytes that are kept: not acknowledged or not even written.
    pub fn queued(&self) -> usize {
        (self.end() - self.acked) as usize
    }

    /// Takes an acknowledgement; false if it is of a frame that was never sent.
    pub fn acked(&mut self, seq: u64) -> bool {
        if seq > self.last_seq {
            return false;
        }
        while let Some(&(first, end)) = self.frames.front()
            && first <= seq
        {
            if end > self.written {
                return false;
            }
            self.acked = end;
            self.acked_seq = first;
            self.frames.pop_front();
        }
        self.compact();
        true
    }

    fn compact(&mut self) {
        let spent = (self.acked - self.base) as usize;
        if spent == self.buf.len() {
            self.buf.clear();
            // A burst's buffer is given back.
            if self.buf.capacity() > 1 << 20 {
                self.buf.shrink_to(1 << 16);
            }
            self.base = self.acked;
        } else if spent > 4096 && spent >= self.buf.len() / 2 {
            self.buf.drain(..spent);
            self.base = self.acked;
        }
    }

    /// A sequenced frame arrived.
    pub fn accept(&mut self, seq: u64, bytes: usize) -> Accept {
        if seq <= self.received {
            return Accept::Duplicate;
        }
        if seq > self.received + 1 {
            return Accept::Gap;
        }
        self.received = seq;
        self.untold += bytes;
        Accept::New
    }

    /// Takes back [`Stream::accept`] of the last frame: it was malformed.
    pub fn unaccept(&mut self) {
        self.received -= 1;
    }

    /// The last frame received.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Bytes received that the other side does not know to have arrived.
    pub fn untold(&self) -> usize {
        if self.told == self.received { 0 } else { self.untold.max(1) }
    }

    /// The header of a frame without payload that says how far this side is.
    pub fn beat(&mut self, pressed: bool) -> Header {
        self.tell();
        Header { kind: Kind::Beat, pressed, seq: 0, ack: self.received }
    }

    /// Whether nothing has ever arrived, in either direction.
    pub fn untouched(&self) -> bool {
        self.received == 0 && self.acked_seq == 0
    }

    /// A new connection to the same incarnation, which has everything up to `seq`; false if that cannot be.
    #[must_use]
    pub fn resume(&mut self, seq: u64) -> bool {
        // Nobody can have a frame that was not wholly written once.
        let known = self.frames.iter().take_while(|&&(first, _)| first <= seq).last();
        let unseen = known.is_some_and(|&(_, end)| end > self.touched);
        if seq > self.last_seq || seq < self.acked_seq || unseen {
            return false;
        }
        while let Some(&(first, end)) = self.frames.front()
            && first <= seq
        {
            self.acked = end;
            self.acked_seq = first;
            self.frames.pop_front();
        }
        self.written = self.acked;
        self.compact();
        true
    }

    /// The other side is a new incarnation.
    pub fn restart(&mut self) {
        assert!(self.open.is_none(), "handshakes happen between rounds");
        // Frames of which a byte was written may have arrived.
        while let Some(&(_, end)) = self.frames.front() {
            let start = self.acked;
            if start >= self.touched {
                break;
            }
            self.acked = end;
            self.frames.pop_front();
        }
        self.released = self.released.max(self.acked);
        self.written = self.acked;
        self.touched = self.acked;
        self.received = 0;
        self.told = 0;
        self.untold = 0;
        self.last_seq = 0;
        self.acked_seq = 0;
        let mut start = (self.acked - self.base) as usize;
        for (seq, end) in &mut self.frames {
            self.last_seq += 1;
            *seq = self.last_seq;
            frame::restamp(&mut self.buf[start..], self.last_seq, 0);
            start = (*end - self.base) as usize;
        }
        self.compact();
    }

    /// Drops everything unsent and unacknowledged. What the other side sends still counts, so that the next
    /// handshake's accounts agree.
    pub fn drop_outgoing(&mut self) {
        self.open = None;
        let end = self.end();
        self.touched = end;
        self.frames.clear();
        (self.acked, self.written, self.released) = (end, end, end);
        self.compact();
    }

    /// Forgets both directions: for clients, who would rather know than wait.
    pub fn clear(&mut self) {
        self.drop_outgoing();
        self.restart();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(stream: &mut Stream, text: &str) {
        stream.payload(Kind::Messages).extend_from_slice(text.as_bytes());
        stream.close(false);
        stream.release_all();
    }

    /// Hands all that is unwritten over, and gives the payloads that are new to the receiver.
    fn pump(from: &mut Stream, to: &mut Stream) -> Vec<String> {
        let bytes = from.unwritten().to_vec();
        from.wrote(bytes.len());
        let (mut rest, mut got) = (&bytes[..], Vec::new());
        while let Some((header, payload, used)) = frame::parse(rest, 1000).expect("frame") {
            match to.accept(header.seq, used) {
                Accept::New => got.push(String::from_utf8(payload.to_vec()).expect("text")),
                Accept::Duplicate => {}
                Accept::Gap => panic!("gap"),
            }
            rest = &rest[used..];
        }
        got
    }

    #[test]
    fn arrives_once_over_broken_connections() {
        let (mut a, mut b) = (Stream::default(), Stream::default());
        send(&mut a, "one");
        send(&mut a, "two");
        assert_eq!(pump(&mut a, &mut b), ["one", "two"]);
        send(&mut a, "three");
        // The connection breaks in the middle of the third frame.
        let half = a.unwritten().len() / 2;
        a.wrote(half);
        assert!(a.resume(b.received()));
        send(&mut a, "four");
        assert_eq!(pump(&mut a, &mut b), ["three", "four"]);
        assert!(a.acked(4));
        assert_eq!(a.queued(), 0);
        assert!(!a.acked(5), "of a frame never sent");
    }

    #[test]
    fn a_new_incarnation_gets_what_its_predecessor_cannot_have_seen() {
        let (mut a, mut b) = (Stream::default(), Stream::default());
        send(&mut a, "one");
        assert_eq!(pump(&mut a, &mut b), ["one"]);
        send(&mut a, "two");
        send(&mut a, "three");
        a.wrote(1);
        let mut reborn = Stream::default();
        a.restart();
        assert_eq!(pump(&mut a, &mut reborn), ["three"]);
        assert!(a.acked(1));
        assert_eq!(a.queued(), 0);
    }

    #[test]
    fn held_frames_stay() {
        let (mut a, mut b) = (Stream::default(), Stream::default());
        a.payload(Kind::Messages).extend_from_slice(b"one");
        a.close(false);
        let mark = a.mark();
        a.payload(Kind::Messages).extend_from_slice(b"two");
        a.close(false);
        assert!(a.unwritten().is_empty());
        a.release(mark);
        assert_eq!(pump(&mut a, &mut b), ["one"]);
        a.release_all();
        assert_eq!(pump(&mut a, &mut b), ["two"]);
    }
}
