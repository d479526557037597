//! Two-phase commit, driven tick by tick without a runtime.

use anabranch::Bytes;
use anabranch::core::data::Data;
use anabranch::core::id::{Id, Req};
use anabranch::core::node::{Answer, Ids, Layout, Node, NodeIndex, Outbox, Seat, Setup, TickArgs};
use anabranch::core::value::Value;
use anabranch::core::wire::Reader;
use anabranch_protocols::two_pc::two_pc;
use std::collections::VecDeque;
use std::sync::Arc;

struct World {
    nodes: Vec<Box<dyn Node>>,
    queue: VecDeque<(usize, Vec<u8>)>,
    replies: Vec<(Req, bool)>,
    logs: Vec<Vec<Vec<u8>>>,
    applied: Vec<usize>,
    now: u64,
}

fn node(layout: &Arc<Layout>, i: u32, incarnation: u64) -> Box<dyn Node> {
    let seat = layout.seat(NodeIndex(i)).unwrap();
    two_pc::protocol().node(Setup {
        layout: layout.clone(),
        seat,
        params: Default::default(),
        incarnation,
        ids: Ids::Counted,
    })
}

impl World {
    fn new(participants: u32) -> World {
        let layout = Arc::new(Layout::of(&[1, participants]));
        assert_eq!(two_pc::protocol().check(&layout, &Default::default()), Vec::<String>::new());
        let mut nodes = (0..layout.nodes()).map(|i| node(&layout, i, 1)).collect::<Vec<_>>();
        nodes.iter_mut().for_each(|n| n.trace(true));
        let logs = vec![Vec::new(); nodes.len()];
        World {
            nodes,
            queue: VecDeque::new(),
            replies: Vec::new(),
            logs,
            applied: vec![0; 1 + participants as usize],
            now: 0,
        }
    }
    fn commit(&mut self, number: u64, payload: &[u8]) {
        let tag = two_pc::protocol().requests()[0].tag;
        let mut args = Vec::new();
        Bytes::copy_from_slice(payload).encode(&mut args);
        self.nodes[0].request(tag, Req { session: 7, number }, &mut Reader::new(&args)).unwrap();
    }
    fn tick(&mut self, i: usize) {
        let mut out = Outbox::default();
        loop {
            self.nodes[i].tick(&TickArgs { now_ms: self.now, seed: 5 }, &mut out).unwrap();
            if !self.nodes[i].deferred() {
                break;
            }
        }
        for to in out.dirty {
            self.queue.push_back((to.0 as usize, out.batches[to.0 as usize].bytes.clone()));
        }
        for reply in out.replies {
            let Answer::Reply(bytes) = reply.answer else { panic!("{reply:?}") };
            self.replies.push((reply.req, bool::decode_all(&bytes).unwrap()));
        }
        self.applied[i] += out.events.ends.len();
        if !out.log.is_empty() {
            self.logs[i].push(out.log);
        }
    }
    fn run(&mut self) {
        for i in 0..self.nodes.len() {
            if self.nodes[i].has_input() {
                self.tick(i);
            }
        }
        while let Some((to, bytes)) = self.queue.pop_front() {
            self.nodes[to].deliver(&mut Reader::new(&bytes)).unwrap();
            self.tick(to);
        }
    }
    fn rows(&self, i: usize, table: &str) -> usize {
        self.nodes[i].rows(table).unwrap_or_else(|| panic!("no table {table}")).len()
    }
}

#[test]
fn commits_and_aborts() {
    let mut world = World::new(3);
    for n in 0..10 {
        world.commit(n, if n % 5 == 4 { b"no" } else { b"yes" });
    }
    world.run();
    let mut replies = world.replies.clone();
    replies.sort();
    let expected: Vec<_> = (0..10).map(|number| (Req { session: 7, number }, number % 5 != 4)).collect();
    assert_eq!(replies, expected);
    for i in 1..4 {
        assert_eq!((world.rows(i, "prepared"), world.applied[i]), (0, 8));
    }
    for table in ["active", "yes", "owed"] {
        assert_eq!(world.rows(0, table), 0, "{table}");
    }
    assert_eq!(world.rows(0, "refused"), 2);
}

#[test]
fn a_silent_participant_means_abort_after_patience() {
    let mut world = World::new(2);
    world.commit(1, b"x");
    world.tick(0);
    let lost = world.queue.pop_back().unwrap();
    world.run();
    assert!(world.replies.is_empty());
    assert_eq!(world.nodes[0].next_due_ms(), Some(500));
    world.now = 499;
    assert_eq!(world.nodes[0].fire_due(499, 10), 0);
    world.now = 500;
    assert_eq!(world.nodes[0].fire_due(500, 10), 1);
    world.tick(0);
    world.run();
    assert_eq!(world.replies, [(Req { session: 7, number: 1 }, false)]);
    // The other one prepares after all, is in doubt, and asks.
    world.nodes[lost.0].deliver(&mut Reader::new(&lost.1)).unwrap();
    world.tick(lost.0);
    world.run();
    assert_eq!(world.rows(lost.0, "prepared"), 1);
    world.now = 1000;
    assert_eq!(world.nodes[lost.0].waiting().len(), 1);
    let waiting = world.nodes[lost.0].waiting()[0].clone();
    assert!(world.nodes[lost.0].fire(waiting.timer, &waiting.row));
    world.tick(lost.0);
    world.run();
    assert_eq!((world.rows(lost.0, "prepared"), world.applied[lost.0]), (0, 0));
}

#[test]
fn what_was_logged_comes_back() {
    let mut world = World::new(3);
    for n in 0..4 {
        world.commit(n, b"payload");
    }
    world.tick(0);
    let batches: Vec<_> = world.queue.drain(..).collect();
    for (to, bytes) in &batches {
        world.nodes[*to].deliver(&mut Reader::new(bytes)).unwrap();
        world.tick(*to);
    }
    let layout = Arc::new(Layout::of(&[1, 3]));
    // From the log alone, and from a snapshot.
    let mut fresh = node(&layout, 1, 2);
    for record in &world.logs[1] {
        fresh.replay(&mut Reader::new(record)).unwrap();
    }
    fresh.begin();
    assert_eq!(fresh.rows("prepared"), world.nodes[1].rows("prepared"));
    assert_eq!(fresh.rows("prepared").unwrap().len(), 4);
    let mut image = Vec::new();
    world.nodes[1].snapshot(&mut image);
    let mut copy = node(&layout, 1, 2);
    let mut input = Reader::new(&image);
    copy.restore(&mut input).unwrap();
    assert!(input.is_empty());
    copy.begin();
    assert_eq!(copy.rows("prepared"), world.nodes[1].rows("prepared"));
    // A restarted participant is in doubt about all four.
    let mut out = Outbox::default();
    copy.tick(&TickArgs { now_ms: 0, seed: 0 }, &mut out).unwrap();
    assert_eq!(copy.waiting().len(), 4);
}

#[test]
fn malformed_messages_change_nothing() {
    let mut world = World::new(1);
    let tag = two_pc::protocol().messages().iter().find(|m| m.name == "ack").unwrap().tag;
    let mut good = Vec::new();
    anabranch::core::wire::put_varint(u64::from(tag), &mut good);
    Id::default().encode(&mut good);
    0u8.encode(&mut good);
    let mut bad = good.clone();
    bad.extend_from_slice(&good[..good.len() - 1]);
    assert!(world.nodes[0].deliver(&mut Reader::new(&bad)).is_err());
    assert!(!world.nodes[0].has_input());
    assert_eq!(world.nodes[0].deliver(&mut Reader::new(&good)), Ok(1));
    assert!(world.nodes[0].deliver(&mut Reader::new(&[0xfe])).is_err());
}

#[test]
fn thunks_evaluate_the_programs_expressions() {
    let protocol = two_pc::protocol();
    let env = anabranch::core::node::Env {
        layout: Arc::new(Layout::of(&[1, 3])),
        seat: Seat { role: 1, instance: 2, partition: 0 },
        params: [("patience".to_string(), Value::Int(500))].into(),
    };
    let payload = |text: &'static [u8]| [Value::Bytes(Bytes::from_static(text))];
    // `acceptable(&payload)` is the only expression that depends on it; constants need no values.
    let all = |text: &'static [u8]| -> Vec<Option<Value>> {
        (0..200).map(|leaf| protocol.leaves().eval(leaf, &payload(text), &env)).collect()
    };
    let (no, yes) = (all(b"no"), all(b"yes"));
    let differ: Vec<_> = no
        .iter()
        .zip(&yes)
        .filter(|(a, b)| a != b)
        .filter(|(a, _)| !matches!(a, Some(Value::Bytes(_))))
        .collect();
    // The prefix of an `on` block has leaves of its own in each rule of the block.
    let differs = (&Some(Value::Bool(false)), &Some(Value::Bool(true)));
    assert_eq!(differ, [differs, differs]);
}
