//! Back-pressure: queues stay bounded, and cycles of messages do not block.

use super::mock::*;
use crate::Exit;
use crate::client::{LoadClient, LoadOptions};
use crate::control::Control;
use crate::deploy::{Deployment, Limits};
use crate::embed::LocalCluster;
use anabranch_core::id::Req;
use anabranch_core::node::NodeIndex;
use std::time::Duration;

/// Each request starts a message that goes round all nodes some times, then is answered.
#[derive(Clone)]
struct Rounds {
    /// How often a message is passed on.
    hops: u64,
    /// What role 1 does with each message: nothing, slowly.
    slow: Duration,
}

impl Rounds {
    fn pass(&self, cx: &mut Cx<'_>, body: &[u8]) {
        let next = NodeIndex((cx.layout.index(cx.me).0 + 1) % cx.layout.nodes());
        cx.send(next, body);
    }
}

impl Behaviour for Rounds {
    fn request(&mut self, cx: &mut Cx<'_>, req: Req, args: &[u8]) {
        let mut body = req.session.to_le_bytes().to_vec();
        body.extend(req.number.to_le_bytes());
        body.extend(self.hops.to_le_bytes());
        body.extend(args);
        self.pass(cx, &body);
    }
    fn message(&mut self, cx: &mut Cx<'_>, body: &[u8]) {
        if cx.me.role == 1 {
            std::thread::sleep(self.slow);
        }
        let word = |at: usize| u64::from_le_bytes(body[at..at + 8].try_into().expect("eight bytes"));
        match word(16) {
            0 => cx.reply(Req { session: word(0), number: word(8) }, b"round"),
            hops => {
                let mut body = body.to_vec();
                body[16..24].copy_from_slice(&(hops - 1).to_le_bytes());
                self.pass(cx, &body);
            }
        }
    }
}

fn run(rounds: Rounds, limits: Limits, requests: u64, at_once: usize, size: usize) -> (u64, u64) {
    let protocol = Mock::new(rounds, &["front", "back"]).shared();
    let mut deployment = Deployment::local(protocol.as_ref(), &[2, 1]);
    deployment.limits = limits;
    let cluster = LocalCluster::start(protocol.clone(), deployment).expect("start");
    let options = LoadOptions { timeout: Duration::from_secs(60), ..LoadOptions::default() };
    let mut client = LoadClient::connect(protocol.as_ref(), cluster.deployment(), options).expect("connect");
    let (mut done, mut submitted, mut ended) = (Vec::new(), 0, 0);
    while ended < requests {
        while submitted < requests && client.open() < at_once {
            client.submit(ASK, &vec![0; size], None, submitted);
            submitted += 1;
        }
        client.poll(Duration::from_secs(5), &mut done).expect("poll");
        for completion in done.drain(..) {
            assert!(completion.outcome.is_ok(), "{completion:?}");
            ended += 1;
        }
    }
    let stats = |i| {
        Control::connect(protocol.as_ref(), cluster.deployment(), NodeIndex(i))
            .and_then(|mut c| c.stats())
            .expect("stats")
    };
    let (mut pressed, mut peak) = (0, 0);
    for i in 0..3 {
        let counters = stats(i).counters;
        pressed += counters.pressed_rounds;
        peak = peak.max(counters.queued_peak);
    }
    (pressed, peak)
}

#[test]
fn cycles_of_messages_do_not_block() {
    let limits = Limits { pressure_bytes: 1024, batch_bytes: 1024, frame_bytes: 4096, ..Limits::default() };
    let rounds = Rounds { hops: 30, slow: Duration::ZERO };
    let (pressed, _) = run(rounds, limits, 2_000, 500, 500);
    assert!(pressed > 0, "the windows were never full");
}

#[test]
fn a_slow_receiver_slows_the_client_down() {
    let limits = Limits { pressure_bytes: 64 << 10, batch_bytes: 64 << 10, ..Limits::default() };
    let rounds = Rounds { hops: 2, slow: Duration::from_micros(100) };
    // Ten megabytes are offered at once; kernel buffers and clients keep most of it.
    let (pressed, peak) = run(rounds, limits, 1_000, 1_000, 10_000);
    assert!(pressed > 0, "nobody was pressed");
    assert!(peak < 4 << 20, "a queue grew to {peak} bytes");
}

/// A receiver that falls behind without bound is given up, which to the protocol is a crash of it.
#[test]
fn a_hopeless_receiver_is_given_up_and_restarted() {
    let rounds = Rounds { hops: 1, slow: Duration::from_millis(2) };
    let protocol = Mock::new(rounds, &["front", "back"]).shared();
    let mut deployment = Deployment::local(protocol.as_ref(), &[1, 1]);
    deployment.limits =
        Limits { pressure_bytes: 1 << 30, queue_bytes: 1 << 20, batch_bytes: 64 << 10, ..Limits::default() };
    let mut cluster = LocalCluster::start(protocol.clone(), deployment).expect("start");
    let options = LoadOptions { timeout: Duration::from_secs(2), ..LoadOptions::default() };
    let mut client = LoadClient::connect(protocol.as_ref(), cluster.deployment(), options).expect("connect");
    for i in 0..1_000 {
        client.submit(ASK, &vec![0; 10_000], None, i);
    }
    let mut done = Vec::new();
    while !cluster.ended(NodeIndex(1)) {
        client.poll(Duration::from_millis(20), &mut done).expect("poll");
    }
    match cluster.crash(NodeIndex(1)) {
        Some(Exit::GivenUp { by }) => assert_eq!(by, "front.0"),
        other => panic!("{other:?}"),
    }
    cluster.restart(NodeIndex(1)).expect("restart");
    cluster.wait_ready(Duration::from_secs(10)).expect("ready");
    while client.open() > 0 {
        client.poll(Duration::from_secs(5), &mut done).expect("poll");
    }
    done.clear();
    client.submit(ASK, b"again", None, 0);
    client.poll(Duration::from_secs(5), &mut done).expect("poll");
    assert_eq!(done[0].outcome.as_deref(), Ok(&b"round"[..]));
}
