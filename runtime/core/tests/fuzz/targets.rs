//! Decoders against sound, damaged and random input. Each target makes one input from a seed, feeds it, and
//! checks what must hold of any input; nothing may panic or take more memory than the input justifies.
//!
//! Shared by the test (a hundred thousand inputs) and the example `fuzz` (as many as one likes).

use anabranch_core::data::Bytes;
use anabranch_core::data::{Data, StableHasher};
use anabranch_core::disk::{Crash, Disk, SimDisk};
use anabranch_core::id::{Id, Req};
use anabranch_core::log::{Identity, Log, LogOptions, OpenError};
use anabranch_core::node::Seat;
use anabranch_core::session::frame::{self, Header, Kind};
use anabranch_core::session::hello::{Hello, Refusal, Welcome, Who};
use anabranch_core::session::stream::{Accept, Stream};
use anabranch_core::session::{Fate, attach};
use anabranch_core::wire::Reader;
use std::collections::{BTreeMap, BTreeSet};

/// What became of an input.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Outcome {
    /// Taken.
    Accepted,
    /// Refused with a reason.
    Refused,
}

/// A target by name.
pub type Target = (&'static str, fn(&mut Dice) -> Outcome);

/// All targets.
pub const TARGETS: [Target; 6] =
    [("frame", frames), ("stream", streams), ("hello", hellos), ("data", data), ("text", text), ("log", log)];

/// Numbers from a seed.
pub struct Dice(StableHasher);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(StableHasher::new(seed))
    }
    pub fn word(&mut self) -> u64 {
        self.0.word(1);
        self.0.finish()
    }
    pub fn below(&mut self, n: usize) -> usize {
        (self.word() % n as u64) as usize
    }
    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
    fn bytes(&mut self, limit: usize) -> Vec<u8> {
        (0..self.below(limit)).map(|_| self.word() as u8).collect()
    }
    /// Numbers that are often at an edge.
    fn number(&mut self) -> u64 {
        match self.below(4) {
            0 => self.below(4) as u64,
            1 => u64::MAX - self.below(4) as u64,
            2 => 1 << self.below(64),
            _ => self.word(),
        }
    }
    /// Damages bytes, or not.
    fn damage(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..self.below(4) {
            let at = self.below(bytes.len() + 1);
            match self.below(6) {
                0 => bytes.truncate(at),
                1 => bytes.extend(self.bytes(20)),
                2 => bytes.insert(at, self.word() as u8),
                _ if at == bytes.len() => {}
                3 => bytes[at] ^= 1 << self.below(8),
                4 => bytes[at] = [0, 1, 0x7f, 0x80, 0xfe, 0xff][self.below(6)],
                _ => {
                    // A piece from elsewhere.
                    let from = self.below(bytes.len());
                    let len = self.below(16).min(bytes.len() - at.max(from));
                    bytes.copy_within(from..from + len, at);
                }
            }
        }
    }
}

fn frames(dice: &mut Dice) -> Outcome {
    const KINDS: [Kind; 5] = [Kind::Hello, Kind::Beat, Kind::Messages, Kind::Requests, Kind::Ask];
    let limit = 200;
    let mut bytes = Vec::new();
    if dice.one_in(10) {
        bytes = dice.bytes(300);
    } else {
        for _ in 0..dice.below(4) {
            let kind = KINDS[dice.below(KINDS.len())];
            let seq = if matches!(kind, Kind::Messages | Kind::Requests) { dice.number().max(1) } else { 0 };
            let header = Header { kind, pressed: dice.one_in(2), seq, ack: dice.number() };
            let payload = dice.bytes(limit);
            frame::push(&mut bytes, header, &payload);
        }
        dice.damage(&mut bytes);
    }
    let mut rest = &bytes[..];
    loop {
        match frame::parse(rest, limit) {
            Ok(Some((header, payload, used))) => {
                assert!(
                    used <= rest.len() && payload.len() + frame::HEADER <= used && payload.len() <= limit
                );
                assert_eq!(
                    header.seq != 0,
                    matches!(header.kind, Kind::Messages | Kind::Requests | Kind::Replies)
                );
                rest = &rest[used..];
            }
            // Whatever is waited for fits into the limit.
            Ok(None) => {
                assert!(rest.len() < frame::HEADER + limit);
                return Outcome::Accepted;
            }
            Err(error) => {
                assert!(!error.to_string().is_empty());
                return Outcome::Refused;
            }
        }
    }
}

fn streams(dice: &mut Dice) -> Outcome {
    let mut stream = Stream::default();
    let (mut boot, mut fate) = (None, Fate::default());
    let mut refused = false;
    for _ in 0..dice.below(40) {
        let before = stream.received();
        match dice.below(9) {
            0 => {
                stream.payload(Kind::Messages).extend(dice.bytes(20));
                stream.close(dice.one_in(2));
            }
            1 => stream.release_all(),
            2 => {
                let len = stream.unwritten().len();
                stream.wrote(dice.below(len + 1));
            }
            3 | 4 => {
                let seq = if dice.one_in(3) { dice.number() } else { before + dice.below(3) as u64 };
                let accepted = stream.accept(seq, dice.below(100));
                let expected = match seq {
                    seq if seq <= before => Accept::Duplicate,
                    seq if seq == before + 1 => Accept::New,
                    _ => Accept::Gap,
                };
                assert_eq!(accepted, expected);
                assert_eq!(stream.received(), before + u64::from(accepted == Accept::New));
            }
            5 => refused |= !stream.acked(if dice.one_in(2) { dice.number() } else { dice.below(6) as u64 }),
            6 => {
                let theirs = dice.below(3) as u64;
                let received = if dice.one_in(2) { dice.number() } else { dice.below(6) as u64 };
                refused |= fate.admit(theirs).is_err()
                    || !attach(&mut boot, &mut stream, theirs, dice.one_in(2), received);
            }
            7 => fate.give_up(&mut stream, boot.filter(|_| dice.one_in(2))),
            _ => assert!(stream.beat(false).ack == before),
        }
        assert!(stream.unwritten().len() <= stream.queued());
    }
    if refused { Outcome::Refused } else { Outcome::Accepted }
}

fn hellos(dice: &mut Dice) -> Outcome {
    let from = match dice.below(3) {
        0 => Who::Node(dice.word() as u32),
        1 => Who::Client(dice.number()),
        _ => Who::Tool,
    };
    let hello = Hello {
        fingerprint: dice.number(),
        layout: dice.number(),
        from,
        to: dice.word() as u32,
        boot: dice.number(),
        peer_boot: dice.number(),
        received: dice.number(),
    };
    assert_eq!(Hello::decode(&hello.encode()), Some(hello));
    let welcome = Welcome { boot: dice.number(), peer_boot: dice.number(), received: dice.number() };
    assert_eq!(Welcome::decode(&welcome.encode()), Some(welcome));
    let mut bytes = match dice.below(3) {
        0 => welcome.encode(),
        1 => dice.bytes(100),
        _ => hello.encode(),
    };
    dice.damage(&mut bytes);
    let refusal = Refusal::decode(&bytes);
    assert!(refusal == Refusal::Malformed || bytes.len() == 24, "{refusal}");
    match (Hello::decode(&bytes), Welcome::decode(&bytes)) {
        (None, None) => Outcome::Refused,
        _ => Outcome::Accepted,
    }
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Data)]
#[data(crate = anabranch_core)]
enum Command {
    Nothing,
    Put { key: String, value: Bytes, when: Option<u128> },
    Many(Vec<(Req, i16)>, Unit),
    Sets(BTreeSet<i64>, BTreeMap<u8, Vec<bool>>),
    Pair([u32; 2], Id),
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Data)]
#[data(crate = anabranch_core)]
struct Unit;

fn command(dice: &mut Dice) -> Command {
    match dice.below(5) {
        0 => Command::Nothing,
        1 => {
            let key = String::from_utf8_lossy(&dice.bytes(9)).into_owned();
            let when = dice.one_in(2).then(|| u128::from(dice.number()) << dice.below(64));
            Command::Put { key, value: dice.bytes(40).into(), when }
        }
        2 => {
            let req = |dice: &mut Dice| Req { session: dice.number(), number: dice.number() };
            Command::Many((0..dice.below(5)).map(|_| (req(dice), dice.word() as i16)).collect(), Unit)
        }
        3 => {
            let set = (0..dice.below(5)).map(|_| dice.number() as i64).collect();
            let bools = |dice: &mut Dice| (0..dice.below(4)).map(|_| dice.one_in(2)).collect();
            Command::Sets(set, (0..dice.below(3)).map(|_| (dice.word() as u8, bools(dice))).collect())
        }
        _ => {
            let id = Id { route: dice.word() as u32, node: dice.word() as u32, serial: dice.number() };
            Command::Pair([dice.number() as u32, 7], id)
        }
    }
}

fn data(dice: &mut Dice) -> Outcome {
    let mut bytes = if dice.one_in(8) { dice.bytes(60) } else { Vec::new() };
    if bytes.is_empty() {
        command(dice).encode(&mut bytes);
        dice.damage(&mut bytes);
    }
    let whole = Bytes::from(bytes);
    let mut reader = Reader::shared(&whole);
    let typed = Command::decode(&mut reader);
    let used = whole.len() - reader.rest().len();
    let schema = Command::schema();
    let mut erased_reader = Reader::new(&whole);
    let erased = schema.decode(&mut erased_reader);
    match typed {
        Err(_) => {
            // Erased decoding knows lists only, and takes unsorted sets.
            if let Ok(value) = erased {
                assert_eq!(Command::from_value(&value), None, "only what is no set may differ");
            }
            Outcome::Refused
        }
        Ok(command) => {
            // There is one encoding of each value, so what was read is what it is written as.
            let mut again = Vec::new();
            command.encode(&mut again);
            assert_eq!(again, whole[..used]);
            assert_eq!(erased.as_ref(), Ok(&command.to_value()));
            assert_eq!(erased_reader.rest().len(), whole.len() - used);
            Outcome::Accepted
        }
    }
}

fn text(dice: &mut Dice) -> Outcome {
    let schema = Command::schema();
    let roles = ["a", "b"];
    let value = command(dice).to_value();
    let mut bytes = schema.print(&value, &roles).into_bytes();
    assert_eq!(schema.parse(std::str::from_utf8(&bytes).expect("printed"), &roles), Ok(value));
    dice.damage(&mut bytes);
    let text = String::from_utf8_lossy(&bytes);
    match schema.parse(&text, &roles) {
        Ok(value) => {
            assert!(Command::from_value(&value).is_some() || schema.encode(&value, &mut Vec::new()).is_ok());
            Outcome::Accepted
        }
        Err(error) => {
            assert!(error.at <= text.len(), "{error}");
            assert!(text.is_char_boundary(error.at));
            Outcome::Refused
        }
    }
}

fn log(dice: &mut Dice) -> Outcome {
    let identity = Identity {
        protocol: "fuzz".into(),
        fingerprint: 1,
        seat: Seat { role: 0, instance: 0, partition: 0 },
    };
    let options = LogOptions { segment_bytes: 200, reserve_bytes: 64 };
    let disk = SimDisk::new();
    let (_, mut log) = Log::open(disk.clone(), &identity, options).expect("an empty disk");
    let mut batch = log.batch();
    let mut bodies = Vec::new();
    for tick in 0..dice.below(8) as u64 {
        let body = dice.bytes(60);
        batch.push(tick, &body, log.stable());
        bodies.push(body);
        if dice.one_in(2) {
            log.commit(&batch).expect("commit");
            batch.clear();
            if dice.one_in(6) {
                log.snapshot(tick, &(bodies.len() as u64).to_le_bytes()).expect("snapshot");
            }
        }
    }
    drop(log);
    let names: Vec<String> = disk.sizes().into_iter().map(|(name, _)| name).collect();
    for _ in 0..1 + dice.below(2) {
        let name = &names[dice.below(names.len())];
        let Ok(mut bytes) = disk.clone().read(name) else { continue };
        match dice.below(8) {
            0 => disk.clone().remove(name).expect("remove"),
            1 => disk.put(name, &dice.bytes(200)),
            2 => disk.put(&format!("{:016x}.log", dice.number()), &bytes),
            3 => disk.put(&format!("{:016x}.snap", dice.number()), &bytes),
            _ => {
                dice.damage(&mut bytes);
                disk.put(name, &bytes);
            }
        }
    }
    let sizes = disk.sizes();
    match Log::open(disk.clone(), &identity, options) {
        Ok((recovered, log)) => {
            let skip = recovered
                .snapshot
                .map_or(0, |n| u64::from_le_bytes(n.try_into().expect("eight bytes")) as usize);
            let found: Vec<&Vec<u8>> = recovered.records.iter().map(|(_, body)| body).collect();
            let expected: Vec<&Vec<u8>> = bodies.iter().skip(skip).take(found.len()).collect();
            assert_eq!(found, expected, "what is recovered was written, from the snapshot on");
            drop(log);
            disk.restart(Crash::Power(dice.word()));
            let (again, _) = Log::open(disk, &identity, options).expect("what was repaired opens");
            assert!(again.records.len() == recovered.records.len() && again.cut.is_none());
            Outcome::Accepted
        }
        Err(OpenError::Disk(error)) => panic!("{error}"),
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert_eq!(disk.sizes(), sizes, "a refusal changes nothing");
            Outcome::Refused
        }
    }
}
