//! The bytes of records, segment headers, snapshots and the `node` file.

use super::OpenError;
use crate::node::Seat;

/// The version of all files here.
pub(super) const VERSION: u32 = 2;
/// Bytes of a record's header.
pub(super) const RECORD: usize = 32;
/// Bytes of a segment's header.
pub(super) const SEGMENT: usize = 40;
/// Bytes of a snapshot's header.
const SNAPSHOT: usize = 48;
const MAGIC: u16 = 0xa96c;

/// Whose log it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// The protocol's name, for messages.
    pub protocol: String,
    /// Its fingerprint.
    pub fingerprint: u64,
    /// The node.
    pub seat: Seat,
}

impl Identity {
    /// Goes into every checksum, so that nothing of another log passes for a part of this one.
    pub(super) fn salt(&self) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.fingerprint.to_le_bytes());
        hasher.update(&self.seat.role.to_le_bytes());
        hasher.update(&self.seat.instance.to_le_bytes());
        hasher.update(&self.seat.partition.to_le_bytes());
        hasher.finalize()
    }
}

/// What a record is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// A tick's durable changes.
    Tick = 1,
    /// An orderly end.
    Closed = 2,
    /// Everything before is stable. Takes no number: it bears that of the record that will follow.
    Mark = 3,
}

/// Records on their way to the disk. Filled by the node, handed to the log, which writes and syncs them
/// together.
#[derive(Clone, Debug)]
pub struct Batch {
    bytes: Vec<u8>,
    next: u64,
    records: u64,
    salt: u32,
}

impl Batch {
    pub(super) fn new(salt: u32, next: u64) -> Batch {
        Batch { bytes: Vec::new(), next, records: 0, salt }
    }
    /// Appends a tick's record; `stable` is the last record known to be stable. Gives the record's number.
    pub fn push(&mut self, tick: u64, body: &[u8], stable: u64) -> u64 {
        self.put(Kind::Tick, tick, body, stable)
    }
    pub(super) fn put(&mut self, kind: Kind, tick: u64, body: &[u8], stable: u64) -> u64 {
        let index = self.next;
        let head = record_header(self.salt, kind, index, tick, body, stable);
        self.bytes.extend_from_slice(&head);
        self.bytes.extend_from_slice(body);
        self.next += 1;
        self.records += 1;
        index
    }
    /// The number that the next record gets.
    pub fn next(&self) -> u64 {
        self.next
    }
    /// How many records it holds.
    pub fn records(&self) -> u64 {
        self.records
    }
    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
    /// The records as they will be on the disk.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
    /// Empties it; numbering goes on.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.records = 0;
    }
    /// Takes what it holds, leaving it with another one's (empty) buffer, so that two buffers go to and
    /// fro between node and disk.
    pub fn take(&mut self, spare: Option<Batch>) -> Batch {
        let mut other = spare.unwrap_or_else(|| Batch::new(self.salt, self.next));
        other.clear();
        other.next = self.next;
        std::mem::replace(self, other)
    }
}

fn record_header(salt: u32, kind: Kind, index: u64, tick: u64, body: &[u8], stable: u64) -> [u8; RECORD] {
    assert!(stable < index, "what is not written cannot be stable");
    let len = u32::try_from(body.len()).expect("a tick's durable changes are less than 4 GB");
    let behind = u32::try_from(index - stable).unwrap_or(u32::MAX);
    let mut head = [0; RECORD];
    head[0..2].copy_from_slice(&MAGIC.to_le_bytes());
    head[2..4].copy_from_slice(&(kind as u16).to_le_bytes());
    head[4..8].copy_from_slice(&len.to_le_bytes());
    head[12..16].copy_from_slice(&behind.to_le_bytes());
    head[16..24].copy_from_slice(&index.to_le_bytes());
    head[24..32].copy_from_slice(&tick.to_le_bytes());
    let crc = record_crc(salt, &head, body);
    head[8..12].copy_from_slice(&crc.to_le_bytes());
    head
}

/// Says that every record before `next` is stable.
pub(super) fn mark(salt: u32, next: u64) -> [u8; RECORD] {
    record_header(salt, Kind::Mark, next, 0, &[], next - 1)
}

fn record_crc(salt: u32, head: &[u8; RECORD], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(salt);
    hasher.update(&head[..8]);
    hasher.update(&head[12..]);
    hasher.update(body);
    hasher.finalize()
}

/// A sound record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'a> {
    pub kind: Kind,
    pub index: u64,
    pub tick: u64,
    /// The last record that was stable when this one was written.
    pub stable: u64,
    pub body: &'a [u8],
}

/// The record at the beginning of `bytes`, if it is sound.
pub(super) fn record(salt: u32, bytes: &[u8]) -> Option<Record<'_>> {
    let head = bytes.first_chunk::<RECORD>()?;
    if u16_at(head, 0) != MAGIC {
        return None;
    }
    let kind = match u16_at(head, 2) {
        1 => Kind::Tick,
        2 => Kind::Closed,
        3 => Kind::Mark,
        _ => return None,
    };
    let body = bytes.get(RECORD..RECORD.checked_add(u32_at(head, 4) as usize)?)?;
    if record_crc(salt, head, body) != u32_at(head, 8) {
        return None;
    }
    let index = u64_at(head, 16);
    let stable = index.saturating_sub(u64::from(u32_at(head, 12)));
    Some(Record { kind, index, tick: u64_at(head, 24), stable, body })
}

/// Whether `bytes` begins with the header of record `index`, sound or not.
pub(super) fn begins(bytes: &[u8], index: u64) -> bool {
    bytes.first_chunk::<RECORD>().is_some_and(|head| u16_at(head, 0) == MAGIC && u64_at(head, 16) == index)
}

/// Whether any sound record in `bytes`, at whatever offset, satisfies the condition.
pub(super) fn any_record(salt: u32, bytes: &[u8], mut found: impl FnMut(&Record<'_>) -> bool) -> bool {
    let [low, high] = MAGIC.to_le_bytes();
    (0..bytes.len().saturating_sub(RECORD - 1))
        .filter(|&at| bytes[at] == low && bytes[at + 1] == high)
        .any(|at| record(salt, &bytes[at..]).is_some_and(|record| found(&record)))
}

/// A segment's header: magic, version, fingerprint, incarnation, first record, checksum.
pub(super) fn segment_header(identity: &Identity, incarnation: u64, first: u64) -> [u8; SEGMENT] {
    let mut head = [0; SEGMENT];
    head[0..8].copy_from_slice(b"anab-log");
    head[8..12].copy_from_slice(&VERSION.to_le_bytes());
    head[12..20].copy_from_slice(&identity.fingerprint.to_le_bytes());
    head[20..28].copy_from_slice(&incarnation.to_le_bytes());
    head[28..36].copy_from_slice(&first.to_le_bytes());
    let crc = crc(identity.salt(), &head[..36]);
    head[36..40].copy_from_slice(&crc.to_le_bytes());
    head
}

/// Whether `bytes` begins with the sound header of the segment that begins at `first`.
pub(super) fn is_segment(identity: &Identity, bytes: &[u8], first: u64) -> bool {
    bytes.first_chunk::<SEGMENT>().is_some_and(|head| {
        &head[..8] == b"anab-log"
            && u32_at(head, 8) == VERSION
            && u64_at(head, 28) == first
            && crc(identity.salt(), &head[..36]) == u32_at(head, 36)
    })
}

/// A snapshot file's header: magic, version, fingerprint, last record, its tick, length, checksum.
pub(super) fn snapshot_header(identity: &Identity, last: u64, tick: u64, image: &[u8]) -> [u8; SNAPSHOT] {
    let mut head = [0; SNAPSHOT];
    head[0..8].copy_from_slice(b"anabsnap");
    head[8..12].copy_from_slice(&VERSION.to_le_bytes());
    head[12..20].copy_from_slice(&identity.fingerprint.to_le_bytes());
    head[20..28].copy_from_slice(&last.to_le_bytes());
    head[28..36].copy_from_slice(&tick.to_le_bytes());
    head[36..44].copy_from_slice(&(image.len() as u64).to_le_bytes());
    let mut hasher = crc32fast::Hasher::new_with_initial(identity.salt());
    hasher.update(&head[..44]);
    hasher.update(image);
    head[44..48].copy_from_slice(&hasher.finalize().to_le_bytes());
    head
}

/// The tick and image of a sound snapshot after record `last`; otherwise where it is damaged.
pub(super) fn snapshot(identity: &Identity, mut file: Vec<u8>, last: u64) -> Result<(u64, Vec<u8>), u64> {
    let Some(&head) = file.first_chunk::<SNAPSHOT>() else { return Err(file.len() as u64) };
    let image = file.split_off(SNAPSHOT);
    let tick = u64_at(&head, 28);
    if head != snapshot_header(identity, last, tick, &image) { Err(0) } else { Ok((tick, image)) }
}

/// What the `node` file says beside whose folder it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Life {
    /// Starts so far.
    pub incarnation: u64,
    /// The first record of the newest segment that certainly is there with its header; 0 if there is none.
    pub segment: u64,
}

/// The `node` file.
pub(super) fn node_file(identity: &Identity, life: Life) -> Vec<u8> {
    let mut out = b"anabnode".to_vec();
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&identity.fingerprint.to_le_bytes());
    out.extend_from_slice(&identity.seat.role.to_le_bytes());
    out.extend_from_slice(&identity.seat.instance.to_le_bytes());
    out.extend_from_slice(&identity.seat.partition.to_le_bytes());
    out.extend_from_slice(&life.incarnation.to_le_bytes());
    out.extend_from_slice(&life.segment.to_le_bytes());
    out.extend_from_slice(identity.protocol.as_bytes());
    out.extend_from_slice(&crc(0, &out).to_le_bytes());
    out
}

/// Whose folder it is, and its last life.
pub(super) fn read_node_file(bytes: &[u8]) -> Result<(Identity, Life), OpenError> {
    let corrupt = |what| OpenError::Corrupt { file: "node".into(), offset: 0, what };
    // The version is looked at first: later ones may have other checksums.
    let head = bytes.first_chunk::<46>().ok_or_else(|| corrupt("it is too short"))?;
    if &head[..8] != b"anabnode" {
        return Err(corrupt("it is not a node's file"));
    }
    let (rest, sum) = bytes.split_last_chunk::<4>().ok_or_else(|| corrupt("it is too short"))?;
    if crc(0, rest) != u32::from_le_bytes(*sum) {
        return Err(match u32_at(head, 8) {
            VERSION => corrupt("wrong checksum"),
            found => OpenError::OtherFormat { file: "node".into(), found },
        });
    }
    let name = rest.get(46..).ok_or_else(|| corrupt("it is too short"))?;
    let protocol = String::from_utf8_lossy(name).into_owned();
    let seat = Seat { role: u16_at(head, 20), instance: u32_at(head, 22), partition: u32_at(head, 26) };
    let life = Life { incarnation: u64_at(head, 30), segment: u64_at(head, 38) };
    Ok((Identity { protocol, fingerprint: u64_at(head, 12), seat }, life))
}

fn crc(salt: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(salt);
    hasher.update(bytes);
    hasher.finalize()
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}
fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// File names; the numbers sort as text.
pub(super) fn segment_name(first: u64) -> String {
    format!("{first:016x}.log")
}
pub(super) fn snapshot_name(last: u64) -> String {
    format!("{last:016x}.snap")
}
/// The number in a file name with this ending.
pub(super) fn number(name: &str, ending: &str) -> Option<u64> {
    let digits = name.strip_suffix(ending).filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}
