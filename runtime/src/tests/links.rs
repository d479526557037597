//! Broken connections between nodes: what was sent arrives once, whatever breaks.

use super::mock::*;
use crate::client::{LoadClient, LoadOptions};
use crate::deploy::Deployment;
use crate::driver::Exit;
use crate::start;
use anabranch_core::id::Req;
use anabranch_core::node::{NodeIndex, Protocol};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Role 0 forwards each request to role 1, which counts it and sends it back; role 0 answers.
#[derive(Clone, Default)]
struct Relay {
    seen: Arc<Mutex<BTreeMap<u64, u32>>>,
}

impl Behaviour for Relay {
    fn request(&mut self, cx: &mut Cx<'_>, req: Req, args: &[u8]) {
        let mut body = req.session.to_le_bytes().to_vec();
        body.extend(req.number.to_le_bytes());
        body.extend(args);
        let to = cx.node(1, 0);
        cx.send(to, &body);
    }
    fn message(&mut self, cx: &mut Cx<'_>, body: &[u8]) {
        let word = |at: usize| u64::from_le_bytes(body[at..at + 8].try_into().expect("eight bytes"));
        if cx.me.role == 1 {
            *self.seen.lock().expect("lock").entry(word(8)).or_default() += 1;
            let to = cx.node(0, 0);
            cx.send(to, body);
        } else {
            cx.reply(Req { session: word(0), number: word(8) }, &body[16..]);
        }
    }
}

/// Passes bytes on, and breaks each connection after a number of them.
fn flaky_proxy(to: SocketAddr, breaks: Arc<AtomicU64>, calm: Arc<AtomicBool>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("address");
    std::thread::spawn(move || {
        for (i, near) in listener.incoming().enumerate() {
            let (Ok(near), Ok(far)) = (near, TcpStream::connect(to)) else { continue };
            let pass = |mut from: TcpStream,
                        mut to: TcpStream,
                        mut budget: usize,
                        breaks: Arc<AtomicU64>,
                        calm: Arc<AtomicBool>| {
                std::thread::spawn(move || {
                    let mut chunk = [0; 1000];
                    while let Ok(n @ 1..) = from.read(&mut chunk) {
                        let n = n.min(budget);
                        if to.write_all(&chunk[..n]).is_err() {
                            break;
                        }
                        if !calm.load(Ordering::SeqCst) {
                            budget -= n;
                        }
                        if budget == 0 {
                            breaks.fetch_add(1, Ordering::SeqCst);
                            break;
                        }
                    }
                    let _ = from.shutdown(std::net::Shutdown::Both);
                    let _ = to.shutdown(std::net::Shutdown::Both);
                })
            };
            let clone = |s: &TcpStream| s.try_clone().expect("clone");
            let (there, back) = (3_000 + i * 977 % 5_000, 4_000 + i * 1_201 % 5_000);
            pass(clone(&near), clone(&far), there, breaks.clone(), calm.clone());
            pass(far, near, back, breaks.clone(), calm.clone());
        }
    });
    address
}

#[test]
fn messages_arrive_once_over_breaking_connections() {
    let relay = Relay::default();
    let protocol: Arc<dyn Protocol> = Mock::new(relay.clone(), &["front", "back"]).shared();
    let deployment = Deployment::local(protocol.as_ref(), &[1, 1]);
    let listeners: Vec<TcpListener> =
        (0..2).map(|_| TcpListener::bind("127.0.0.1:0").expect("bind")).collect();
    let addresses: Vec<SocketAddr> = listeners.iter().map(|l| l.local_addr().expect("address")).collect();
    let (breaks, calm) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let detour = flaky_proxy(addresses[0], breaks.clone(), calm.clone());
    let mut nodes = Vec::new();
    for (i, listener) in listeners.into_iter().enumerate() {
        let seat = deployment.layout().seat(NodeIndex(i as u32)).expect("seat");
        // Node 1 dials node 0, through the proxy.
        let addresses = if i == 1 { vec![detour, addresses[1]] } else { addresses.clone() };
        let driver =
            start::driver(&protocol, &deployment, seat, listener, addresses, 1, true, None).expect("driver");
        let remote = driver.remote();
        nodes.push((remote, std::thread::spawn(move || driver.run())));
    }
    let mut direct = deployment.clone();
    direct.set_addresses(&addresses);
    let options = LoadOptions { timeout: Duration::from_secs(60), ..LoadOptions::default() };
    let mut client = LoadClient::connect(protocol.as_ref(), &direct, options).expect("connect");
    let (mut done, mut ended) = (Vec::new(), 0);
    let mut submitted = 0u64;
    while ended < 1_000 {
        while submitted < 1_000 && client.open() < 50 {
            client.submit(ASK, &[0; 60], None, submitted);
            submitted += 1;
        }
        client.poll(Duration::from_secs(1), &mut done).expect("poll");
        for completion in done.drain(..) {
            assert!(completion.outcome.is_ok(), "{completion:?}");
            ended += 1;
        }
    }
    calm.store(true, Ordering::SeqCst);
    assert!(breaks.load(Ordering::SeqCst) > 10, "connections did break");
    let seen = relay.seen.lock().expect("lock").clone();
    assert_eq!(seen.len(), 1_000);
    assert!(seen.values().all(|&n| n == 1), "a message arrived twice");
    drop(client);
    for (remote, thread) in nodes {
        remote.stop();
        let exit = thread.join().expect("thread");
        assert!(matches!(exit, Exit::Stopped), "{exit}");
    }
}
