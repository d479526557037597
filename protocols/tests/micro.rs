//! The microbenchmarks and voting answer what their clients expect, over TCP with nodes in this process.

use anabranch::Bytes;
use anabranch::Exit;
use anabranch::core::node::Protocol;
use anabranch::deploy::Deployment;
use anabranch::embed::LocalCluster;
use anabranch_protocols::micro::cipher::{chain, digest, open, seal};
use anabranch_protocols::micro::{
    cohash::cohash, dependencies::dependencies, functional::functional, independent::independent,
    monotone::monotone, partial::partial, state_machine::state_machine,
};
use anabranch_protocols::voting::voting;
use std::sync::Arc;

fn on(protocol: impl Protocol + 'static, instances: &[u32], test: impl AsyncFnOnce(&Deployment)) {
    let protocol: Arc<dyn Protocol> = Arc::new(protocol);
    let deployment = Deployment::local(protocol.as_ref(), instances);
    let cluster = LocalCluster::start(protocol, deployment).expect("start");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(test(cluster.deployment()));
    for exit in cluster.stop() {
        assert!(matches!(exit, Exit::Stopped), "{exit}");
    }
}

fn payload(n: u8) -> Bytes {
    vec![n; 16].into()
}

#[test]
fn voting_answers_when_all_have_voted() {
    on(voting::protocol(), &[1, 3], async |deployment| {
        let client = voting::Client::connect(deployment).await.expect("connect");
        for n in 0..20 {
            assert_eq!(client.propose(payload(n)).await, Ok(()));
        }
    });
}

#[test]
fn independent_gives_back_what_it_stored() {
    on(independent::protocol(), &[1, 3], async |deployment| {
        let client = independent::Client::connect(deployment).await.expect("connect");
        for n in 0..20 {
            assert_eq!(client.put(seal(&payload(n))).await, Ok(seal(&payload(n))));
        }
    });
}

#[test]
fn functional_and_monotone_answer_the_highest_ballot() {
    on(functional::protocol(), &[1], async |deployment| {
        let client = functional::Client::connect(deployment).await.expect("connect");
        for (ballot, top) in [(3, 3), (1, 3), (7, 7), (5, 7)] {
            assert_eq!(client.put(ballot, seal(&payload(1))).await, Ok((top, seal(&payload(1)))));
        }
    });
    on(monotone::protocol(), &[1, 3], async |deployment| {
        let client = monotone::Client::connect(deployment).await.expect("connect");
        for (ballot, top) in [(3, 3), (1, 3), (7, 7), (5, 7)] {
            assert_eq!(client.put(ballot, seal(&payload(1))).await, Ok((top, seal(&payload(1)))));
        }
    });
}

#[test]
fn the_state_machine_chains_payloads_in_one_order() {
    on(state_machine::protocol(), &[1], async |deployment| {
        let client = state_machine::Client::connect(deployment).await.expect("connect");
        let mut history = 0;
        for n in 0..5 {
            history = chain(history, &payload(n));
            assert_eq!(client.put(seal(&payload(n))).await, Ok((seal(&payload(n)), history)));
        }
        // Concurrent ones: each takes its own step of one chain.
        let calls = (0..50).map(|n| {
            let client = client.clone();
            tokio::spawn(async move { (n, client.put(seal(&payload(n))).await.expect("answer").1) })
        });
        let mut left = Vec::new();
        for call in calls.collect::<Vec<_>>() {
            left.push(call.await.expect("task"));
        }
        while let Some(i) = left.iter().position(|(n, hash)| chain(history, &payload(*n)) == *hash) {
            history = left.swap_remove(i).1;
        }
        assert_eq!(left, [], "all are on the chain");
    });
}

#[test]
fn replicas_encrypt_deduplicate_and_stamp() {
    on(cohash::protocol(), &[1, 1], async |deployment| {
        let client = cohash::Client::connect(deployment).await.expect("connect");
        assert_eq!(client.put(payload(9)).await.map(|sealed| open(&sealed)), Ok(payload(9)));
    });
    on(dependencies::protocol(), &[1, 1], async |deployment| {
        let client = dependencies::Client::connect(deployment).await.expect("connect");
        for n in [1, 2, 1] {
            assert_eq!(client.put(payload(n)).await, Ok(seal(&payload(n))));
        }
    });
    on(partial::protocol(), &[1, 1], async |deployment| {
        let client = partial::Client::connect(deployment).await.expect("connect");
        for (raise, top) in [(4, 4), (2, 4), (6, 6)] {
            assert_eq!(client.raise(raise).await, Ok(top));
            assert_eq!(client.put(payload(raise as u8)).await, Ok((top, seal(&payload(raise as u8)))));
        }
    });
}

#[test]
fn opens_what_it_sealed() {
    let payload =
        Bytes::from_static(b"a payload that is longer than one block of sixty-four bytes, as most are");
    assert_ne!(seal(&payload), payload);
    assert_eq!(open(&seal(&payload)), payload);
    assert_eq!(seal(&payload), seal(&payload), "pure");
}

#[test]
fn hashes_as_published() {
    // SHA-256 of "abc" begins with ba7816bf8f01cfea (FIPS 180-4).
    assert_eq!(
        digest(&Bytes::from_static(b"abc")),
        u64::from_le_bytes([0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea])
    );
    assert_ne!(chain(0, &Bytes::from_static(b"abc")), chain(1, &Bytes::from_static(b"abc")));
}
