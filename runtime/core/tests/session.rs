//! Two endpoints whose connections break at any byte, which crash, hold frames back and give each other up:
//! what one live incarnation sends another arrives exactly once and in order.

use anabranch_core::data::StableHasher;
use anabranch_core::session::frame::{self, Kind};
use anabranch_core::session::hello::Refusal;
use anabranch_core::session::stream::{Accept, Stream};
use anabranch_core::session::{Fate, attach};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

struct Dice(StableHasher);
impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0.word(n as u64);
        (self.0.finish() % n as u64) as usize
    }
}

/// One side, in one incarnation.
struct Side {
    boot: u64,
    stream: Stream,
    peer: Option<u64>,
    fate: Fate,
    /// Marks of frames that wait for the log.
    held: VecDeque<u64>,
    connected: bool,
    /// Bytes on their way here.
    inbox: Vec<u8>,
}

impl Side {
    fn new(boot: u64) -> Side {
        Side {
            boot,
            stream: Stream::default(),
            peer: None,
            fate: Fate::default(),
            held: VecDeque::new(),
            connected: false,
            inbox: Vec::new(),
        }
    }
}

/// Who sent a message, and when.
struct Sent {
    from: usize,
    boot: u64,
    at: u64,
}

#[derive(Default)]
struct Tally {
    delivered: usize,
    duplicates: usize,
    lost: usize,
    resumed: usize,
    crashes: usize,
    refused: usize,
    contradictions: usize,
}

struct World {
    sides: [Side; 2],
    clock: u64,
    boots: u64,
    sent: BTreeMap<u64, Sent>,
    delivered: BTreeSet<u64>,
    /// The last message taken, by receiver, of the sender's incarnation.
    last: [Option<(u64, u64)>; 2],
    /// When an incarnation of a side last died.
    death: [u64; 2],
    tally: Tally,
}

impl World {
    fn new() -> World {
        World {
            sides: [Side::new(1), Side::new(2)],
            clock: 1,
            boots: 2,
            sent: BTreeMap::new(),
            delivered: BTreeSet::new(),
            last: [None; 2],
            death: [0; 2],
            tally: Tally::default(),
        }
    }

    fn send(&mut self, from: usize) {
        let id = self.sent.len() as u64;
        let side = &mut self.sides[from];
        side.stream.payload(Kind::Messages).extend_from_slice(&id.to_le_bytes());
        side.stream.close(false);
        side.held.push_back(side.stream.mark());
        self.sent.insert(id, Sent { from, boot: side.boot, at: self.clock });
    }

    fn release(&mut self, side: usize) {
        let side = &mut self.sides[side];
        if let Some(mark) = side.held.pop_front() {
            side.stream.release(mark);
        }
    }

    /// Puts up to `n` bytes on the wire.
    fn write(&mut self, from: usize, n: usize) {
        if !self.sides[from].connected {
            return;
        }
        let bytes = self.sides[from].stream.unwritten();
        let bytes = bytes[..n.min(bytes.len())].to_vec();
        self.sides[from].stream.wrote(bytes.len());
        self.sides[1 - from].inbox.extend(bytes);
    }

    /// Takes all whole frames that have arrived.
    fn read(&mut self, at: usize) {
        let input = std::mem::take(&mut self.sides[at].inbox);
        let mut rest = &input[..];
        while let Some((header, payload, used)) = frame::parse(rest, 100).expect("sound frames") {
            rest = &rest[used..];
            if !self.sides[at].stream.acked(header.ack) {
                // The dialler read on after it had said how far it was: the next handshake puts it right.
                self.tally.contradictions += 1;
                return self.disconnect();
            }
            if header.kind == Kind::Beat {
                continue;
            }
            match self.sides[at].stream.accept(header.seq, used) {
                Accept::New => {}
                Accept::Duplicate => {
                    self.tally.duplicates += 1;
                    continue;
                }
                Accept::Gap => panic!("frames come in order"),
            }
            let id = u64::from_le_bytes(payload.try_into().expect("eight bytes"));
            let sent = &self.sent[&id];
            assert_eq!(sent.from, 1 - at);
            assert!(self.delivered.insert(id), "message {id} arrives twice");
            if let Some((boot, before)) = self.last[at] {
                assert!(boot != sent.boot || before < id, "message {id} after {before}");
            }
            self.last[at] = Some((sent.boot, id));
            self.tally.delivered += 1;
        }
        self.sides[at].inbox = rest.to_vec();
    }

    fn beat(&mut self, from: usize) {
        let side = &mut self.sides[from];
        // Only between frames, as the driver does.
        if side.connected && side.stream.unwritten().is_empty() {
            let header = side.stream.beat(false);
            let mut bytes = Vec::new();
            frame::push(&mut bytes, header, &[]);
            self.sides[1 - from].inbox.extend(bytes);
        }
    }

    fn disconnect(&mut self) {
        for side in &mut self.sides {
            side.connected = false;
            side.inbox.clear();
        }
    }

    fn crash(&mut self, who: usize) {
        self.disconnect();
        self.boots += 1;
        self.clock += 1;
        self.death[who] = self.clock;
        self.clock += 1;
        self.sides[who] = Side::new(self.boots);
        self.tally.crashes += 1;
    }

    /// Side 0 dials side 1. The handshake may break off in the middle. A refused side restarts.
    fn connect(&mut self, breaks: usize) {
        // What the dialler says. It may still read what came by the old connection.
        let (knows, received) = (self.sides[0].peer, self.sides[0].stream.received());
        if breaks > 1 {
            self.read(0);
        }
        self.disconnect();
        let [dialler, acceptor] = &mut self.sides;
        if acceptor.fate.admit(dialler.boot) == Err(Refusal::GivenUp) {
            self.tally.refused += 1;
            return self.crash(0);
        }
        let knows_us = knows == Some(acceptor.boot);
        let resumed = acceptor.peer == Some(dialler.boot) && knows_us;
        assert!(
            attach(&mut acceptor.peer, &mut acceptor.stream, dialler.boot, knows_us, received),
            "accounts agree"
        );
        let received = acceptor.stream.received();
        acceptor.connected = true;
        if breaks == 0 {
            // The welcome is lost, and with it whatever the acceptor writes before it notices.
            let lost = acceptor.stream.unwritten().len();
            acceptor.stream.wrote(lost / 2);
            return self.disconnect();
        }
        if dialler.fate.admit(acceptor.boot) == Err(Refusal::GivenUp) {
            self.tally.refused += 1;
            return self.crash(1);
        }
        assert!(
            attach(&mut dialler.peer, &mut dialler.stream, acceptor.boot, true, received),
            "accounts agree"
        );
        dialler.connected = true;
        self.tally.resumed += usize::from(resumed);
    }

    fn give_up(&mut self, who: usize) {
        let connected = self.sides[who].connected;
        let side = &mut self.sides[who];
        let peer = side.peer.filter(|_| connected);
        side.fate.give_up(&mut side.stream, peer);
        side.held.clear();
        self.disconnect();
        if connected {
            self.crash(1 - who);
        }
    }

    /// Lets everything arrive, then looks for what is missing without excuse.
    fn settle(&mut self) {
        while !(self.sides[0].connected && self.sides[1].connected) {
            self.connect(1);
        }
        for round in 0..4 {
            if !self.sides[0].connected {
                self.connect(1);
            }
            for side in 0..2 {
                while !self.sides[side].held.is_empty() {
                    self.release(side);
                }
                self.write(side, usize::MAX);
                self.beat(side);
                self.read(1 - side);
            }
            assert!(
                round < 3 || self.sides.iter().all(|side| side.stream.queued() == 0),
                "all is acknowledged"
            );
        }
        for (id, sent) in &self.sent {
            let sender_lives = self.sides[sent.from].boot == sent.boot;
            let receiver_lived = self.death[1 - sent.from] < sent.at;
            if !self.delivered.contains(id) {
                assert!(!(sender_lives && receiver_lived), "message {id} is lost between live incarnations");
                self.tally.lost += 1;
            }
        }
    }
}

fn run(seed: u64) -> Tally {
    let mut dice = Dice(StableHasher::new(seed));
    let mut world = World::new();
    let calm = dice.below(3) == 0;
    for _ in 0..200 {
        world.clock += 1;
        let side = dice.below(2);
        match dice.below(40) {
            0..12 => world.send(side),
            12..20 => world.release(side),
            20..26 => world.write(side, dice.below(200)),
            26..32 => world.read(side),
            32..34 => world.beat(side),
            34..36 => world.disconnect(),
            36..38 => world.connect(dice.below(4)),
            38 if !calm => world.crash(side),
            39 if !calm => world.give_up(side),
            _ => {}
        }
    }
    world.settle();
    world.tally
}

#[test]
fn live_incarnations_get_everything_once_and_in_order() {
    let mut all = Tally::default();
    for seed in 0..5000 {
        let tally = run(seed);
        all.delivered += tally.delivered;
        all.duplicates += tally.duplicates;
        all.lost += tally.lost;
        all.resumed += tally.resumed;
        all.crashes += tally.crashes;
        all.refused += tally.refused;
        all.contradictions += tally.contradictions;
    }
    // The test is worth something only if these happen.
    assert!(all.delivered > 100_000 && all.lost > 10_000, "{} {}", all.delivered, all.lost);
    assert!(all.duplicates > 100, "{}", all.duplicates);
    assert!(all.contradictions < 1000, "{} of few late reads", all.contradictions);
    assert!(all.resumed > 1000 && all.crashes > 1000 && all.refused > 500, "{} {}", all.resumed, all.refused);
}

#[test]
fn a_dependency_header_is_skipped() {
    let mut bytes = Vec::new();
    let header = frame::Header { kind: Kind::Messages, pressed: false, seq: 1, ack: 0 };
    frame::push(&mut bytes, header, b"depspayload");
    bytes[28] = 4;
    assert_eq!(frame::parse(&bytes, 100), Err(frame::FrameError::Checksum));
    frame::restamp(&mut bytes, 1, 0);
    let (_, payload, used) = frame::parse(&bytes, 100).expect("sound").expect("whole");
    assert_eq!((payload, used), (&b"payload"[..], bytes.len()));
    bytes[28] = 12;
    frame::restamp(&mut bytes, 1, 0);
    assert_eq!(frame::parse(&bytes, 100), Err(frame::FrameError::Dependencies));
}

#[test]
fn each_fault_of_a_frame_has_its_name() {
    let mut sound = Vec::new();
    frame::push(&mut sound, frame::Header { kind: Kind::Replies, pressed: true, seq: 3, ack: 9 }, &[5; 20]);
    let (header, payload, used) = frame::parse(&sound, 20).expect("sound").expect("whole");
    assert_eq!((header.seq, header.ack, header.pressed, payload, used), (3, 9, true, &[5; 20][..], 60));
    for cut in 0..sound.len() {
        assert_eq!(frame::parse(&sound[..cut], 20), Ok(None), "cut after {cut}");
    }
    let with = |at: usize, value: u8| {
        let mut bytes = sound.clone();
        bytes[at] = value;
        frame::parse(&bytes, 20).expect_err("damaged").to_string()
    };
    assert_eq!(with(0, 21), "frame of 21 bytes is over the limit");
    assert_eq!(with(4, 7), "frame of version 7, expected 1");
    assert_eq!(with(5, 99), "unknown kind of frame 99");
    assert_eq!(with(5, 4), "frame out of sequence");
    assert_eq!(with(8, 0), "frame out of sequence");
    assert_eq!(with(50, 0), "wrong checksum");
    // Every single bit counts.
    for bit in 0..sound.len() * 8 {
        let mut bytes = sound.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(!matches!(frame::parse(&bytes, 20), Ok(Some(_))), "bit {bit}");
    }
}
