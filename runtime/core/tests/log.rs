//! For any crash point and anything that a disk may do, recovery finds a prefix of what was written that
//! holds everything reported stable; and what rots is never taken for good.

use anabranch_core::data::StableHasher;
use anabranch_core::disk::{Crash, Disk, DiskErrorKind, SimDisk};
use anabranch_core::log::{Identity, Log, LogError, LogOptions, OpenError, Recovered};
use anabranch_core::node::Seat;

fn identity() -> Identity {
    let seat = Seat { role: 1, instance: 2, partition: 0 };
    Identity { protocol: "two_pc".into(), fingerprint: 0xfeed, seat }
}

const SMALL: LogOptions = LogOptions { segment_bytes: 300, reserve_bytes: 0 };

/// Segments that are lengthened never, for one more record, or for several.
fn reserving(dice: &mut Dice) -> LogOptions {
    LogOptions { reserve_bytes: [0, 50, 400][dice.below(3) as usize], ..SMALL }
}

/// Numbers from a seed.
struct Dice(StableHasher);
impl Dice {
    fn new(seed: u64) -> Dice {
        Dice(StableHasher::new(seed))
    }
    fn below(&mut self, n: u64) -> u64 {
        self.0.word(n);
        self.0.finish() % n
    }
}

type State = Vec<(u64, Vec<u8>)>;

/// A snapshot's image is the list of records that it stands for.
fn image(state: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (tick, body) in state {
        out.extend_from_slice(&tick.to_le_bytes());
        out.extend_from_slice(&(body.len() as u64).to_le_bytes());
        out.extend_from_slice(body);
    }
    out
}

fn state(recovered: &Recovered) -> State {
    let mut state = Vec::new();
    let mut rest = recovered.snapshot.as_deref().unwrap_or(&[]);
    while let Some((head, tail)) = rest.split_first_chunk::<16>() {
        let tick = u64::from_le_bytes(head[..8].try_into().unwrap());
        let len = u64::from_le_bytes(head[8..].try_into().unwrap()) as usize;
        state.push((tick, tail[..len].to_vec()));
        rest = &tail[len..];
    }
    state.extend(recovered.records.iter().cloned());
    state
}

/// What the outside knows.
#[derive(Default)]
struct Model {
    history: State,
    stable: usize,
    incarnation: u64,
    cuts: u64,
    lives: u64,
    snapshots: u64,
}

/// One life of a node, until the disk crashes or `steps` are over.
fn live(disk: &SimDisk, model: &mut Model, dice: &mut Dice) -> Result<(), String> {
    let options = reserving(dice);
    let (recovered, mut log) = match Log::open(disk.clone(), &identity(), options) {
        Ok(opened) => opened,
        Err(OpenError::Disk(error)) if error.kind == DiskErrorKind::Crashed => return Ok(()),
        Err(error) => return Err(format!("refused: {error}")),
    };
    let found = state(&recovered);
    if !model.history.starts_with(&found) {
        return Err(format!("{} records are no prefix of the {} written", found.len(), model.history.len()));
    }
    if found.len() < model.stable {
        return Err(format!("{} records found, {} were stable", found.len(), model.stable));
    }
    if recovered.incarnation <= model.incarnation {
        return Err(format!("incarnation {} after {}", recovered.incarnation, model.incarnation));
    }
    model.history.truncate(found.len());
    model.stable = found.len();
    model.incarnation = recovered.incarnation;
    model.lives += 1;
    model.cuts += u64::from(recovered.cut.is_some());
    let mut batch = log.batch();
    for _ in 0..dice.below(30) {
        let crashed = |error: LogError| match error {
            LogError::Disk(error) if error.kind == DiskErrorKind::Crashed => Ok(()),
            error => Err(format!("failed: {error}")),
        };
        if dice.below(6) == 0 && batch.is_empty() {
            let tick = model.history.last().map_or(0, |(tick, _)| *tick);
            if let Err(error) = log.snapshot(tick, &image(&model.history)) {
                return crashed(error);
            }
            // The snapshot covers everything, and is durable.
            model.stable = model.history.len();
            model.snapshots += 1;
        }
        for _ in 0..dice.below(5) {
            let tick = model.history.len() as u64 + 100;
            let body: Vec<u8> = (0..dice.below(70)).map(|_| dice.below(256) as u8).collect();
            batch.push(tick, &body, log.stable());
            model.history.push((tick, body));
        }
        if let Err(error) = log.commit(&batch) {
            return crashed(error);
        }
        model.stable = model.history.len();
        batch.clear();
        if dice.below(3) > 0 {
            log.mark();
        }
    }
    if dice.below(3) == 0 {
        let _ = log.close();
    }
    Ok(())
}

fn lives(seed: u64) -> Model {
    let disk = SimDisk::new();
    let mut dice = Dice::new(seed);
    let mut model = Model::default();
    for _ in 0..6 {
        disk.crash_after(dice.below(60));
        live(&disk, &mut model, &mut dice).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        disk.restart(if dice.below(4) == 0 { Crash::Process } else { Crash::Power(dice.below(u64::MAX)) });
    }
    model
}

#[test]
fn every_crash_leaves_a_prefix_with_all_that_was_stable() {
    let (mut cuts, mut records, mut snapshots, mut starts) = (0, 0, 0, 0);
    for seed in 0..8000 {
        let model = lives(seed);
        cuts += model.cuts;
        records += model.stable;
        snapshots += model.snapshots;
        starts += model.lives;
    }
    // The test is worth something only if these happen.
    assert!(cuts > 200, "{cuts} torn tails");
    assert!(records > 30_000 && snapshots > 3000 && starts > 6000, "{records} {snapshots} {starts}");
}

/// A log with several segments and perhaps a snapshot.
fn written(seed: u64, mark: bool, close: bool) -> (SimDisk, State, usize) {
    let disk = SimDisk::new();
    let mut dice = Dice::new(seed);
    let options = reserving(&mut dice);
    let (_, mut log) = Log::open(disk.clone(), &identity(), options).expect("a new log");
    let mut history = State::new();
    let mut batch = log.batch();
    let mut provable = 0;
    for round in 0..5 + dice.below(20) {
        provable = history.len();
        for _ in 0..1 + dice.below(3) {
            let body: Vec<u8> = (0..dice.below(60)).map(|_| dice.below(256) as u8).collect();
            batch.push(round, &body, log.stable());
            history.push((round, body));
        }
        log.commit(&batch).expect("commit");
        batch.clear();
        if mark {
            log.mark();
            provable = history.len();
        }
        if dice.below(8) == 0 {
            log.snapshot(round, &image(&history)).expect("snapshot");
        }
    }
    if close {
        log.close().expect("close");
        provable = history.len();
    }
    (disk, history, provable)
}

#[test]
fn a_flipped_bit_is_reported_or_harmless() {
    let (mut refused, mut harmless) = (0, 0);
    for seed in 0..4000 {
        let (disk, history, provable) = written(seed, seed % 2 == 0, seed % 3 == 0);
        let mut dice = Dice::new(seed ^ 77);
        let sizes = disk.sizes();
        let (name, size) = &sizes[dice.below(sizes.len() as u64) as usize];
        if *size == 0 {
            continue;
        }
        let offset = dice.below(*size as u64);
        disk.flip(name, offset as usize, dice.below(8) as u8);
        match Log::open(disk.clone(), &identity(), SMALL) {
            Err(OpenError::Corrupt { file, .. }) => {
                assert_eq!(&file, name, "seed {seed}: the damaged file is named");
                refused += 1;
            }
            Err(OpenError::OtherFormat { .. }) => refused += 1,
            Err(error) => panic!("seed {seed}: {error}"),
            Ok((recovered, _)) => {
                let found = state(&recovered);
                assert!(history.starts_with(&found), "seed {seed}: a damaged record was believed");
                assert!(found.len() >= provable, "seed {seed}: {} of {provable} records", found.len());
                harmless += 1;
            }
        }
    }
    assert!(refused > 2000 && harmless > 50, "{refused} refused, {harmless} harmless");
}

#[test]
fn corruption_in_the_middle_names_segment_and_offset() {
    let disk = SimDisk::new();
    let (_, mut log) = Log::open(disk.clone(), &identity(), LogOptions::default()).expect("a new log");
    let mut batch = log.batch();
    for tick in 1..=3 {
        batch.push(tick, b"sixteen bytes...", log.stable());
        log.commit(&batch).expect("commit");
        batch.clear();
    }
    drop(log);
    disk.flip("0000000000000001.log", 40 + 48 + 32 + 5, 3);
    let before = disk.sizes();
    let error = Log::open(disk.clone(), &identity(), LogOptions::default()).expect_err("damaged");
    assert_eq!(
        error.to_string(),
        "`0000000000000001.log` is corrupt at byte 88: a record is damaged that a later one knows to have been durable; \
         this node's durable state cannot be trusted, restore the folder from a copy or remove it"
    );
    assert_eq!(disk.sizes(), before, "a refusal changes nothing");
    // The third record was never called stable by anything: damaged, it passes for a torn tail.
    disk.flip("0000000000000001.log", 40 + 48 + 32 + 5, 3);
    disk.flip("0000000000000001.log", 40 + 48 + 48 + 32 + 5, 3);
    let (recovered, _) = Log::open(disk.clone(), &identity(), LogOptions::default()).expect("torn");
    assert_eq!(recovered.records.len(), 2);
    let cut = recovered.cut.expect("a cut");
    assert_eq!((cut.file.as_str(), cut.offset), ("0000000000000001.log", 136));
}

#[test]
fn a_missing_file_is_noticed() {
    for seed in 0..600 {
        let (disk, ..) = written(seed, seed % 2 == 0, seed % 3 == 0);
        for (name, _) in disk.sizes().into_iter().filter(|(name, _)| name != "spare.tmp") {
            let (disk, ..) = written(seed, seed % 2 == 0, seed % 3 == 0);
            disk.clone().remove(&name).expect("remove");
            let error = Log::open(disk, &identity(), SMALL).map(|_| ()).expect_err("refused");
            assert!(matches!(error, OpenError::Corrupt { .. }), "seed {seed}, {name}: {error}");
        }
    }
}

/// A log in one segment, two groups, whose process died after the second was reported (and its mark written, if
/// `mark`), and where in it the second group begins.
fn killed(mark: bool) -> (SimDisk, usize) {
    let disk = SimDisk::new();
    let options = LogOptions { reserve_bytes: 0, ..LogOptions::default() };
    let (_, mut log) = Log::open(disk.clone(), &identity(), options).expect("a new log");
    let mut batch = log.batch();
    let mut begin = 0;
    for group in 0..2 {
        begin = disk.sizes()[0].1;
        batch.push(2 * group, b"acknowledged", log.stable());
        batch.push(2 * group + 1, b"acknowledged too", log.stable());
        log.commit(&batch).expect("commit");
        batch.clear();
        if mark {
            log.mark();
        }
    }
    drop(log);
    disk.restart(Crash::Process);
    (disk, begin)
}

#[test]
fn a_last_group_that_rotted_is_told_from_a_torn_tail() {
    let open = |disk: SimDisk| Log::open(disk, &identity(), LogOptions::default());
    let (disk, begin) = killed(true);
    let (segment, len) = disk.sizes()[0].clone();
    let group = len - format_bytes() - begin;
    assert_eq!(group, 2 * format_bytes() + 12 + 16);
    for offset in begin..begin + group {
        let (disk, _) = killed(true);
        disk.flip(&segment, offset, (offset % 8) as u8);
        let error = open(disk).map(|_| ()).expect_err("damaged").to_string();
        assert!(error.contains("a later one knows to have been durable"), "{offset}: {error}");
    }
    // A mark that rotted takes nothing with it.
    for offset in begin + group..len {
        let (disk, _) = killed(true);
        disk.flip(&segment, offset, (offset % 8) as u8);
        let (recovered, _) = open(disk).expect("nothing is lost");
        assert_eq!(recovered.records.len(), 4);
    }
    // Without the mark (power failed before it was written back) nothing tells: this is the limit.
    let (disk, begin) = killed(false);
    disk.flip(&segment, begin + 5, 0);
    let (recovered, _) = open(disk).expect("taken for a torn tail");
    assert_eq!((recovered.records.len(), recovered.cut.is_some()), (2, true));
}

/// The bytes of a mark, and of a record without its body.
fn format_bytes() -> usize {
    32
}

#[test]
fn a_last_segment_that_lost_its_header_is_refused() {
    for len in 0..40 {
        let (disk, _) = killed(true);
        let (segment, _) = disk.sizes()[0].clone();
        disk.clone().truncate(&segment, len).expect("cut");
        let error = Log::open(disk, &identity(), SMALL).map(|_| ()).expect_err("refused").to_string();
        assert!(error.contains("the segment's header is damaged"), "{len}: {error}");
    }
}

#[test]
fn another_program_or_node_is_refused() {
    let disk = SimDisk::new();
    drop(Log::open(disk.clone(), &identity(), SMALL).expect("a new log"));
    let mut newer = identity();
    newer.fingerprint += 1;
    let error = Log::open(disk.clone(), &newer, SMALL).expect_err("another version").to_string();
    assert_eq!(
        error,
        "the folder belongs to protocol `two_pc` (fingerprint 000000000000feed), this program runs `two_pc` (fingerprint \
         000000000000feee): use the program that wrote it, or another folder"
    );
    let mut other = identity();
    other.seat.instance = 3;
    assert!(matches!(Log::open(disk.clone(), &other, SMALL), Err(OpenError::OtherNode { .. })));
    let mut file = disk.clone().read("node").expect("node");
    file[8] = 9;
    disk.put("node", &file);
    let error = Log::open(disk.clone(), &identity(), SMALL).expect_err("another format").to_string();
    assert_eq!(error, "`node` has format version 9, this program reads 2");
}

#[test]
fn a_full_disk_stops_the_log_and_loses_nothing_stable() {
    for room in 0..400 {
        let disk = SimDisk::new();
        let options = reserving(&mut Dice::new(room as u64));
        let (_, mut log) = Log::open(disk.clone(), &identity(), options).expect("a new log");
        let used: usize = disk.sizes().iter().map(|(_, size)| size).sum();
        disk.limit(Some(used + room));
        let mut batch = log.batch();
        let mut stable = 0;
        let error = loop {
            batch.push(1, &[7; 30], log.stable());
            match log.commit(&batch) {
                Ok(n) => stable = n,
                Err(error) => break error,
            }
            log.mark();
            batch.clear();
        };
        assert!(error.to_string().ends_with("no space is left on the disk"), "{error}");
        assert_eq!(log.commit(&batch), Err(error));
        drop(log);
        disk.limit(None);
        disk.restart(Crash::Process);
        let (recovered, _) = Log::open(disk, &identity(), SMALL).expect("recovers");
        assert_eq!(recovered.records.len() as u64, stable);
    }
}

#[test]
fn most_groups_do_not_change_the_files_length() {
    let disk = SimDisk::new();
    let options = LogOptions { reserve_bytes: 1000, ..LogOptions::default() };
    let (_, mut log) = Log::open(disk.clone(), &identity(), options).expect("a new log");
    let mut batch = log.batch();
    let mut lengths = std::collections::BTreeSet::new();
    for tick in 0..100 {
        batch.push(tick, &[5; 18], log.stable());
        log.commit(&batch).expect("commit");
        batch.clear();
        log.mark();
        lengths.insert(disk.sizes()[0].1);
    }
    // 100 records of 50 bytes with 32 bytes of mark each, a thousand bytes at a time.
    assert!((7..=10).contains(&lengths.len()), "{lengths:?}");
    drop(log);
    disk.restart(Crash::Process);
    let (recovered, _) = Log::open(disk, &identity(), options).expect("opens");
    assert_eq!(
        (recovered.records.len(), recovered.cut),
        (100, None),
        "room that was not used is no torn tail"
    );
}

#[test]
fn snapshots_free_what_they_cover() {
    let disk = SimDisk::new();
    let (_, mut log) = Log::open(disk.clone(), &identity(), SMALL).expect("a new log");
    let mut batch = log.batch();
    for round in 0..200 {
        batch.push(round, &[1; 50], log.stable());
        log.commit(&batch).expect("commit");
        batch.clear();
        log.mark();
        if log.since_snapshot() > 2000 {
            log.snapshot(round, b"").expect("snapshot");
        }
        let total: usize = disk.sizes().iter().map(|(_, size)| size).sum();
        assert!(total < 3500, "{total} bytes after {round} rounds");
    }
    // One write and one sync per group, and four more for a segment.
    assert!(disk.syncs() < 550, "{}", disk.syncs());
}
