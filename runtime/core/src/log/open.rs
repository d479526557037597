//! Recovery: what a folder holds, and whether it can be trusted.
//!
//! Everything is read and judged before anything is changed, so that a refusal leaves the evidence alone.

use super::format::{self, Kind, Life, SEGMENT, any_record, number, record, segment_name, snapshot_name};
use super::{Identity, Log, LogOptions, OpenError};
use crate::disk::{Disk, DiskError};

/// What a restarted node starts from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recovered {
    /// This start's number, from 1; durable already.
    pub incarnation: u64,
    /// The newest snapshot.
    pub snapshot: Option<Vec<u8>>,
    /// Records after it, in order: tick and body.
    pub records: Vec<(u64, Vec<u8>)>,
    /// The tick of the last record or of the snapshot; 0 if there is neither.
    pub tick: u64,
    /// The torn tail that was cut off.
    pub cut: Option<Cut>,
}

/// A torn tail: records that were being written at a crash, and that nothing depended on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cut {
    /// The segment.
    pub file: String,
    /// Where it was cut, in bytes.
    pub offset: u64,
}

/// What recovery found and what it will change.
struct Plan {
    recovered: Recovered,
    next: u64,
    last: Option<u64>,
    remove: Vec<String>,
}

impl<D: Disk> Log<D> {
    /// Opens a node's folder: reads what is there, repairs a torn tail, starts the next incarnation.
    pub fn open(disk: D, identity: &Identity, options: LogOptions) -> Result<(Recovered, Log<D>), OpenError> {
        Log::open_from(disk, identity, options, 0)
    }

    /// The same; the incarnation is at least this one, so that it is later than those of other folders.
    pub fn open_from(
        mut disk: D,
        identity: &Identity,
        options: LogOptions,
        least: u64,
    ) -> Result<(Recovered, Log<D>), OpenError> {
        let plan = judge(&mut disk, identity)?;
        let Plan { mut recovered, next, last, remove } = plan;
        recovered.incarnation = recovered.incarnation.max(least);
        if let Some(cut) = &recovered.cut {
            disk.truncate(&cut.file, cut.offset)?;
        }
        // What was read may so far be in the system's cache only, if just the process had died; and a
        // snapshot must be there for certain before what it covers goes.
        if let Some(last) = last {
            disk.sync(&segment_name(last))?;
        }
        disk.sync_dir()?;
        for name in &remove {
            disk.remove(name)?;
        }
        disk.sync_dir()?;
        // An empty last segment is about to be replaced; until then nobody may count on it.
        let segment = last.filter(|&last| last != next).unwrap_or(0);
        let life = Life { incarnation: recovered.incarnation, segment };
        write_node_file(&mut disk, identity, life)?;
        let log = Log::start(disk, identity, recovered.incarnation, next, options)?;
        Ok((recovered, log))
    }
}

/// Replaces the `node` file.
pub(super) fn write_node_file<D: Disk>(
    disk: &mut D,
    identity: &Identity,
    life: Life,
) -> Result<(), DiskError> {
    disk.create("node.tmp")?;
    disk.write("node.tmp", 0, &format::node_file(identity, life))?;
    disk.sync("node.tmp")?;
    disk.rename("node.tmp", "node")?;
    disk.sync_dir()
}

fn judge<D: Disk>(disk: &mut D, identity: &Identity) -> Result<Plan, OpenError> {
    let names = disk.list()?;
    let mut remove: Vec<String> = names.iter().filter(|name| name.ends_with(".tmp")).cloned().collect();
    let mut segments: Vec<u64> = names.iter().filter_map(|name| number(name, ".log")).collect();
    let mut snapshots: Vec<u64> = names.iter().filter_map(|name| number(name, ".snap")).collect();
    let life = if names.iter().any(|name| name == "node") {
        let (found, life) = format::read_node_file(&disk.read("node")?)?;
        let expected = identity.clone();
        if found.fingerprint != identity.fingerprint {
            return Err(OpenError::OtherProtocol { found, expected });
        }
        if found.seat != identity.seat {
            return Err(OpenError::OtherNode { found, expected });
        }
        life
    } else if segments.is_empty() && snapshots.is_empty() {
        Life { incarnation: 0, segment: 0 }
    } else {
        let what = "it is missing, but there are log files";
        return Err(OpenError::Corrupt { file: "node".into(), offset: 0, what });
    };

    if segments.last().copied().unwrap_or(0) < life.segment {
        let what = "the segment is missing";
        return Err(OpenError::Corrupt { file: segment_name(life.segment), offset: 0, what });
    }
    let base = snapshots.pop();
    remove.extend(snapshots.into_iter().map(snapshot_name));
    let (mut tick, snapshot) = match base {
        None => (0, None),
        Some(last) => {
            let file = snapshot_name(last);
            let bytes = disk.read(&file)?;
            let corrupt =
                |offset| OpenError::Corrupt { file, offset, what: "the snapshot's checksum is wrong" };
            let (tick, image) = format::snapshot(identity, bytes, last).map_err(corrupt)?;
            (tick, Some(image))
        }
    };
    let base = base.unwrap_or(0);

    // Leftovers before the snapshot: their removal was not durable yet. Any of them may be gone.
    let begin = segments.iter().rposition(|&first| first <= base + 1).unwrap_or(0);
    remove.extend(segments.drain(..begin).map(segment_name));
    let mut next = base + 1;
    if let Some(&first) = segments.first() {
        if first > base + 1 {
            let what = "the segment before it is missing";
            return Err(OpenError::Corrupt { file: segment_name(first), offset: 0, what });
        }
        next = first;
    }

    let salt = identity.salt();
    let mut records = Vec::new();
    let mut cut = None;
    for (i, &first) in segments.iter().enumerate() {
        let file = segment_name(first);
        let last_one = i + 1 == segments.len();
        let bytes = disk.read(&file)?;
        let corrupt =
            |offset: usize, what| OpenError::Corrupt { file: file.clone(), offset: offset as u64, what };
        if first != next {
            return Err(corrupt(0, "records before it are missing"));
        }
        if !format::is_segment(identity, &bytes, first) {
            // Records are written after the header is durable, and `node` says so. What was in the file before it
            // became this segment bears lower numbers.
            let begun = first <= life.segment || any_record(salt, &bytes, |record| record.index >= first);
            if !last_one || begun {
                return Err(corrupt(0, "the segment's header is damaged"));
            }
            break; // the next segment takes its place
        }
        let mut at = SEGMENT;
        while let Some(found) = record(salt, &bytes[at..]).filter(|found| found.index == next) {
            if found.kind == Kind::Mark {
                at += format::RECORD;
                continue;
            }
            if found.index > base && found.kind == Kind::Tick {
                tick = found.tick;
                records.push((found.tick, found.body.to_vec()));
            }
            next += 1;
            at += format::RECORD + found.body.len();
        }
        if at < bytes.len() {
            // Behind its last record a segment may end in a mark that was never synced, in zeros, and in records of the
            // segment that it was before.
            if segments.get(i + 1) == Some(&next) {
                continue;
            }
            if !last_one {
                return Err(corrupt(at, "a record is damaged, but later ones are there"));
            }
            let mut torn = format::begins(&bytes[at..], next);
            let called_stable = |later: &format::Record<'_>| {
                torn |= later.index > next;
                later.index > next && later.stable >= next
            };
            if any_record(salt, &bytes[at..], called_stable) {
                return Err(corrupt(at, "a record is damaged that a later one knows to have been durable"));
            }
            if torn {
                cut = Some(Cut { file: file.clone(), offset: at as u64 });
            }
        }
        if last_one && next == first {
            cut = None; // nothing in it: the next segment takes its place
        }
    }
    if next <= base {
        let what = "records that the snapshot covers are missing, so later ones may be too";
        return Err(OpenError::Corrupt { file: snapshot_name(base), offset: 0, what });
    }
    let incarnation = life.incarnation + 1;
    let recovered = Recovered { incarnation, snapshot, records, tick, cut };
    let last = segments.last().copied();
    Ok(Plan { recovered, next, last, remove })
}
