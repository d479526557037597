//! Faults from outside: garbage, ports in use, orderly and disorderly ends.

use super::calls::cluster;
use super::mock::*;
use crate::StartError;
use crate::client::{LoadClient, LoadOptions};
use crate::control::Control;
use crate::deploy::Deployment;
use crate::embed::LocalCluster;
use crate::transport::frame::{self, Header, Kind};
use anabranch_core::id::Req;
use anabranch_core::node::NodeIndex;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

#[test]
fn garbage_closes_the_connection_and_harms_nothing_else() {
    let protocol = Mock::new(Echo, &["server"]).shared();
    let cluster = cluster(&protocol, &[1]);
    let address = cluster.deployment().addresses().expect("addresses")[0];
    let mut client = LoadClient::connect(protocol.as_ref(), cluster.deployment(), LoadOptions::default())
        .expect("connect");
    let side = |kind| Header { kind, pressed: false, seq: 0, ack: 0 };
    let mut frames: Vec<(&str, Vec<u8>)> =
        vec![("random bytes", (0..200u32).map(|i| (i * 37 % 251) as u8).collect())];
    let mut oversized = Vec::new();
    frame::push(&mut oversized, side(Kind::Hello), &[0; 10_000]);
    frames.push(("oversized", oversized));
    let mut corrupt = Vec::new();
    frame::push(&mut corrupt, side(Kind::Hello), &[0; 72]);
    *corrupt.last_mut().expect("not empty") ^= 1;
    frames.push(("flipped bit", corrupt));
    let mut early = Vec::new();
    frame::push(&mut early, Header { kind: Kind::Requests, pressed: false, seq: 1, ack: 0 }, &[0; 16]);
    frames.push(("request before the handshake", early));
    for (i, (what, bytes)) in frames.iter().enumerate() {
        let mut socket = TcpStream::connect(address).expect("connect");
        socket.write_all(bytes).expect("write");
        socket.set_read_timeout(Some(Duration::from_secs(10))).expect("timeout");
        let end = socket.read(&mut [0; 100]);
        assert!(!matches!(end, Ok(1..)), "{what}: {end:?}");
        let stats = Control::connect(protocol.as_ref(), cluster.deployment(), NodeIndex(0))
            .and_then(|mut c| c.stats());
        assert_eq!(stats.expect("stats").counters.malformed, i as u64 + 1, "{what}");
        // The other connection goes on.
        let mut done = Vec::new();
        client.submit(ASK, b"still there?", None, 1);
        client.poll(Duration::from_secs(5), &mut done).expect("poll");
        assert_eq!(done[0].outcome.as_deref(), Ok(&b"still there?"[..]), "{what}");
    }
    // A frame that stops in the middle is no error, only an end.
    let mut socket = TcpStream::connect(address).expect("connect");
    socket.write_all(&frames[1].1[..10]).expect("write");
    drop(socket);
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = taken.local_addr().expect("address");
    let protocol = Mock::new(Echo, &["server"]).shared();
    let mut deployment = Deployment::local(protocol.as_ref(), &[1]);
    deployment.set_addresses(&[address]);
    match LocalCluster::start(protocol, deployment) {
        Err(error @ StartError::PortInUse { .. }) => {
            let expect = format!(
                "server.0: the port of {address} is in use: stop what listens there, or choose another port under `addresses` (or none, for a free one)"
            );
            assert_eq!(error.to_string(), expect);
        }
        other => panic!("{:?}", other.err()),
    }
}

#[derive(Clone)]
struct Counting(Arc<AtomicU64>);
impl Behaviour for Counting {
    fn request(&mut self, cx: &mut Cx<'_>, req: Req, args: &[u8]) {
        self.0.fetch_add(1, Ordering::SeqCst);
        cx.reply(req, args);
    }
}

#[test]
fn an_orderly_end_answers_what_was_taken() {
    let count = Arc::new(AtomicU64::new(0));
    let protocol = Mock::new(Counting(count.clone()), &["server"]).shared();
    let cluster = cluster(&protocol, &[1]);
    let options = LoadOptions { timeout: Duration::from_secs(2), ..LoadOptions::default() };
    let mut client = LoadClient::connect(protocol.as_ref(), cluster.deployment(), options).expect("connect");
    let mut done = Vec::new();
    for i in 0..10_000u64 {
        client.submit(ASK, &[0; 100], None, i);
    }
    client.poll(Duration::from_secs(5), &mut done).expect("poll");
    let stopper = std::thread::spawn(move || cluster.stop());
    while client.open() > 0 {
        client.poll(Duration::from_secs(1), &mut done).expect("poll");
    }
    stopper.join().expect("stop");
    let answered = done.iter().filter(|c| c.outcome.is_ok()).count() as u64;
    assert_eq!(answered, count.load(Ordering::SeqCst), "each request taken was answered");
    assert_eq!(done.len(), 10_000, "each request had an end");
}
