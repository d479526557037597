//! Frames: what travels over a connection.
//!
//! A frame is a header and a payload. Sequenced frames belong to a stream and are resent until
//! acknowledged; the others concern the connection only. Every header carries the acknowledgement of what
//! came the other way, and whether the sender is under pressure, so that busy connections need no frames
//! for either.

use std::fmt;

/// The version of this format; checked in the handshake and in every frame.
pub(crate) const VERSION: u8 = 1;
/// Bytes of a header.
pub(crate) const HEADER: usize = 32;

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// The dialling side introduces itself.
    Hello = 1,
    /// The accepting side agrees.
    Welcome = 2,
    /// The accepting side refuses, and closes.
    Reject = 3,
    /// Header only: acknowledgement, pressure, sign of life.
    Beat = 4,
    /// A batch of messages between nodes. Sequenced.
    Messages = 5,
    /// Requests of a client. Sequenced.
    Requests = 6,
    /// Answers to a client. Sequenced.
    Replies = 7,
    /// A question to the driver: counters, tables.
    Ask = 8,
    /// Its answer.
    Tell = 9,
    /// The sender closes in good order.
    Bye = 10,
}

impl Kind {
    fn from(byte: u8) -> Option<Kind> {
        use Kind::*;
        [Hello, Welcome, Reject, Beat, Messages, Requests, Replies, Ask, Tell, Bye]
            .into_iter()
            .find(|&k| k as u8 == byte)
    }
    fn sequenced(self) -> bool {
        matches!(self, Kind::Messages | Kind::Requests | Kind::Replies)
    }
}

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub kind: Kind,
    /// The sender takes no requests for now.
    pub pressed: bool,
    /// Position in the stream, from 1; 0 for frames that are not sequenced.
    pub seq: u64,
    /// All frames of the other direction up to this one have arrived.
    pub ack: u64,
}

/// Why bytes are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameError {
    Version(u8),
    Kind(u8),
    Oversized(usize),
    Checksum,
    Sequence,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameError::Version(v) => write!(f, "frame of version {v}, expected {VERSION}"),
            FrameError::Kind(k) => write!(f, "unknown kind of frame {k}"),
            FrameError::Oversized(n) => write!(f, "frame of {n} bytes is over the limit"),
            FrameError::Checksum => f.write_str("wrong checksum"),
            FrameError::Sequence => f.write_str("frame out of sequence"),
        }
    }
}

/// Reserves a header at the end of `out`.
pub(crate) fn begin(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.resize(start + HEADER, 0);
    start
}

/// Fills in the header of the frame that began at `start` and ends at the end of `out`.
pub(crate) fn finish(out: &mut [u8], start: usize, header: Header) {
    let (head, payload) = out[start..].split_at_mut(HEADER);
    head[0..4].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    head[4] = VERSION;
    head[5] = header.kind as u8;
    head[6] = u8::from(header.pressed);
    head[8..16].copy_from_slice(&header.seq.to_le_bytes());
    head[16..24].copy_from_slice(&header.ack.to_le_bytes());
    head[24..28].copy_from_slice(&crc32fast::hash(payload).to_le_bytes());
}

/// Appends a whole frame.
pub(crate) fn push(out: &mut Vec<u8>, header: Header, payload: &[u8]) {
    let start = begin(out);
    out.extend_from_slice(payload);
    finish(out, start, header);
}

/// Takes one frame from the beginning of `bytes`: header, payload, bytes used; `None` if it is not whole.
pub(crate) fn parse(bytes: &[u8], limit: usize) -> Result<Option<(Header, &[u8], usize)>, FrameError> {
    let Some(head) = bytes.get(..HEADER) else { return Ok(None) };
    let word = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().expect("eight bytes"));
    let half = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().expect("four bytes"));
    let len = half(0) as usize;
    if head[4] != VERSION {
        return Err(FrameError::Version(head[4]));
    }
    let kind = Kind::from(head[5]).ok_or(FrameError::Kind(head[5]))?;
    if len > limit {
        return Err(FrameError::Oversized(len));
    }
    let Some(payload) = bytes.get(HEADER..HEADER + len) else { return Ok(None) };
    if crc32fast::hash(payload) != half(24) {
        return Err(FrameError::Checksum);
    }
    let header = Header { kind, pressed: head[6] & 1 == 1, seq: word(8), ack: word(16) };
    if kind.sequenced() != (header.seq != 0) {
        return Err(FrameError::Sequence);
    }
    Ok(Some((header, payload, HEADER + len)))
}

/// Renumbers a frame in place and sets its acknowledgement.
pub(crate) fn restamp(frame: &mut [u8], seq: u64, ack: u64) {
    frame[8..16].copy_from_slice(&seq.to_le_bytes());
    frame[16..24].copy_from_slice(&ack.to_le_bytes());
}
