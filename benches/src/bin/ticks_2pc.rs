//! The coordinator's ticks of two-phase commit, in process and without a network: CPU time and, under
//! callgrind, instructions per transaction. Measured is what the runtime has a node do: taking requests and
//! messages from frames, the ticks, and putting messages into frames.
//!
//! `ticks_2pc [PROTOCOL] [CLIENTS] [ROUNDS]`; see `benches/instructions_2pc.sh`.

use anabranch::core::data::Data;
use anabranch::core::id::Req;
use anabranch::core::node::{Ids, Layout, Node, NodeIndex, Outbox, Setup, TickArgs};
use anabranch::core::wire::Reader;
use anabranch_benches::protocols;
use anabranch_benches::votes::timing::thread_cpu;
use anabranch_core::data::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const PARTICIPANTS: u32 = 3;

struct World {
    nodes: Vec<Box<dyn Node>>,
    /// Frames under way, by receiver.
    inboxes: Vec<Vec<u8>>,
    outs: Vec<Outbox>,
    replies: u64,
    requests: Vec<(Req, Vec<u8>)>,
    tag: u16,
    now: u64,
    cpu: Duration,
    ticks: u64,
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let name = args.first().map_or("two_pc", String::as_str);
    let number = |i: usize, default: u64| args.get(i).and_then(|n| n.parse().ok()).unwrap_or(default);
    let (clients, rounds) = (number(1, 1024), number(2, 1000));
    let Some(protocol) = protocols::find(name) else {
        eprintln!("there is no protocol `{name}`");
        std::process::exit(2);
    };
    let layout = Arc::new(Layout::of(&[1, PARTICIPANTS]));
    let nodes = (0..=PARTICIPANTS).map(|i| {
        let seat = layout.seat(NodeIndex(i)).expect("all nodes have seats");
        let params = BTreeMap::new();
        let mut node =
            protocol.node(Setup { layout: layout.clone(), seat, params, incarnation: 1, ids: Ids::Counted });
        // As the runtime does where nothing is durable.
        node.without_log();
        node.begin();
        node
    });
    let n = PARTICIPANTS as usize + 1;
    let mut outs = vec![Outbox::default(); n];
    outs.iter_mut().for_each(|o| o.batches.resize_with(n, Default::default));
    let mut world = World {
        nodes: nodes.collect(),
        inboxes: vec![Vec::new(); n],
        outs,
        replies: 0,
        requests: Vec::new(),
        tag: protocol.requests()[0].tag,
        now: 1,
        cpu: Duration::ZERO,
        ticks: 0,
    };
    let warm_up = rounds / 10 + 1;
    for round in 0..warm_up + rounds {
        if round == warm_up {
            (world.cpu, world.ticks, world.replies) = (Duration::ZERO, 0, 0);
        }
        world.round(clients, round);
    }
    let transactions = clients * rounds;
    assert_eq!(world.replies, transactions, "some transactions did not end");
    println!(
        "{name:16} {clients:>5} clients: {:>8.1} ns/transaction at the coordinator, {:.1} transactions a tick",
        world.cpu.as_nanos() as f64 / transactions as f64,
        transactions as f64 / world.ticks as f64
    );
}

impl World {
    /// All clients' next transactions, to their ends.
    fn round(&mut self, clients: u64, round: u64) {
        self.now += 1;
        let mut args = Vec::new();
        Bytes::from_static(&[7; 16]).encode(&mut args);
        let session = 0x5e55_1011;
        self.requests =
            (0..clients).map(|c| (Req { session, number: round * clients + c + 1 }, args.clone())).collect();
        loop {
            let before = thread_cpu();
            let busy = coordinator(self);
            self.cpu += thread_cpu() - before;
            self.carry(0);
            if !busy {
                return;
            }
            for i in 1..self.nodes.len() {
                let frame = std::mem::take(&mut self.inboxes[i]);
                self.nodes[i].deliver(&mut Reader::new(&frame)).expect("own frames can be read");
                tick(self.nodes[i].as_mut(), &mut self.outs[i], self.now);
                self.carry(i);
            }
        }
    }

    /// Moves what a node put out to where it goes.
    fn carry(&mut self, from: usize) {
        let out = &mut self.outs[from];
        self.replies += out.replies.len() as u64;
        out.replies.clear();
        out.log.clear();
        for NodeIndex(to) in out.dirty.drain(..) {
            let batch = &mut out.batches[to as usize];
            self.inboxes[to as usize].extend_from_slice(&batch.bytes);
            batch.bytes.clear();
            batch.ends.clear();
        }
    }
}

/// One turn of the coordinator: what is to be counted.
#[inline(never)]
fn coordinator(world: &mut World) -> bool {
    let node = world.nodes[0].as_mut();
    for (req, args) in world.requests.drain(..) {
        node.request(world.tag, req, &mut Reader::new(&args)).expect("requests can be read");
    }
    node.deliver(&mut Reader::new(&world.inboxes[0])).expect("own frames can be read");
    world.inboxes[0].clear();
    if !node.has_input() {
        return false;
    }
    world.ticks += tick(node, &mut world.outs[0], world.now);
    true
}

fn tick(node: &mut dyn Node, out: &mut Outbox, now_ms: u64) -> u64 {
    if !node.has_input() {
        return 0;
    }
    let mut ticks = 0;
    loop {
        node.tick(&TickArgs { now_ms, seed: 1 }, out).expect("the program keeps its own rules");
        ticks += 1;
        if !node.deferred() {
            return ticks;
        }
    }
}
