//! Frames: what travels over a connection.
//!
//! A frame is a header, room for a dependency header, and a payload. Sequenced frames belong to a stream and
//! are resent until acknowledged; the others concern the connection only. Every header carries the
//! acknowledgement of what came the other way, and whether the sender is under pressure, so that busy
//! connections need no frames for either.
//!
//! ```text
//!  0  length of what follows the header   u32
//!  4  version                             u8
//!  5  kind                                u8
//!  6  flags: 1 pressed                    u8
//!  7  0
//!  8  position in the stream, from 1      u64
//! 16  acknowledged up to                  u64
//! 24  checksum of all but itself          u32
//! 28  length of the dependency header     u16    bytes right behind the header; skipped
//! 30  partition                           u16    reserved: 0
//! 32  incarnation                         u64    reserved: 0; the handshake settles it for a connection
//! ```
//!
//! Integers are little-endian. The checksum is not TCP's business alone: it also finds our own faults, in a
//! buffer that outlives its connection.

use std::fmt;

/// The version of this format; checked in the handshake and in every frame.
pub const VERSION: u8 = 1;
/// Bytes of a header.
pub const HEADER: usize = 40;

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
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
pub struct Header {
    /// What it holds.
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
pub enum FrameError {
    /// Another version of the format, or no frame at all.
    Version(u8),
    /// An unknown kind.
    Kind(u8),
    /// Longer than the limit.
    Oversized(usize),
    /// The checksum is wrong.
    Checksum,
    /// A number where there should be none, none where there should be one, or one too far on.
    Sequence,
    /// A dependency header longer than its frame.
    Dependencies,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameError::Version(v) => write!(f, "frame of version {v}, expected {VERSION}"),
            FrameError::Kind(k) => write!(f, "unknown kind of frame {k}"),
            FrameError::Oversized(n) => write!(f, "frame of {n} bytes is over the limit"),
            FrameError::Checksum => f.write_str("wrong checksum"),
            FrameError::Sequence => f.write_str("frame out of sequence"),
            FrameError::Dependencies => f.write_str("dependency header longer than its frame"),
        }
    }
}
impl std::error::Error for FrameError {}

/// Reserves a header at the end of `out`.
pub fn begin(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.resize(start + HEADER, 0);
    start
}

/// Fills in the header of the frame that began at `start` and ends at the end of `out`.
pub fn finish(out: &mut [u8], start: usize, header: Header) {
    let frame = &mut out[start..];
    let len = u32::try_from(frame.len() - HEADER).expect("a frame is less than 4 GB");
    frame[0..4].copy_from_slice(&len.to_le_bytes());
    frame[4] = VERSION;
    frame[5] = header.kind as u8;
    frame[6] = u8::from(header.pressed);
    frame[8..16].copy_from_slice(&header.seq.to_le_bytes());
    frame[16..24].copy_from_slice(&header.ack.to_le_bytes());
    seal(frame);
}

fn seal(frame: &mut [u8]) {
    let sum = checksum(frame);
    frame[24..28].copy_from_slice(&sum.to_le_bytes());
}

fn checksum(frame: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&frame[..24]);
    hasher.update(&frame[28..]);
    hasher.finalize()
}

/// Appends a whole frame.
pub fn push(out: &mut Vec<u8>, header: Header, payload: &[u8]) {
    let start = begin(out);
    out.extend_from_slice(payload);
    finish(out, start, header);
}

/// A frame's header and payload, and how many bytes it took.
pub type Parsed<'a> = (Header, &'a [u8], usize);

/// Takes one frame from the beginning of `bytes`: header, payload, bytes used; `None` if it is not whole.
/// Judges the header as soon as it is there, so that a lie about the length costs no memory.
pub fn parse(bytes: &[u8], limit: usize) -> Result<Option<Parsed<'_>>, FrameError> {
    // The first bytes already tell strangers from friends.
    if let Some(&version) = bytes.get(4)
        && version != VERSION
    {
        return Err(FrameError::Version(version));
    }
    let Some(head) = bytes.first_chunk::<HEADER>() else { return Ok(None) };
    let word = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().expect("eight bytes"));
    let half = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().expect("four bytes"));
    let kind = Kind::from(head[5]).ok_or(FrameError::Kind(head[5]))?;
    let len = half(0) as usize;
    if len > limit {
        return Err(FrameError::Oversized(len));
    }
    let header = Header { kind, pressed: head[6] & 1 == 1, seq: word(8), ack: word(16) };
    if kind.sequenced() != (header.seq != 0) {
        return Err(FrameError::Sequence);
    }
    let dependencies = usize::from(u16::from_le_bytes([head[28], head[29]]));
    if dependencies > len {
        return Err(FrameError::Dependencies);
    }
    let Some(frame) = bytes.get(..HEADER + len) else { return Ok(None) };
    if checksum(frame) != half(24) {
        return Err(FrameError::Checksum);
    }
    Ok(Some((header, &frame[HEADER + dependencies..], HEADER + len)))
}

/// Renumbers a frame in place and sets its acknowledgement.
pub fn restamp(frame: &mut [u8], seq: u64, ack: u64) {
    let len = HEADER + u32::from_le_bytes(frame[0..4].try_into().expect("four bytes")) as usize;
    let frame = &mut frame[..len];
    frame[8..16].copy_from_slice(&seq.to_le_bytes());
    frame[16..24].copy_from_slice(&ack.to_le_bytes());
    seal(frame);
}
