//! Two-phase commit over TCP, nodes in this process: the typed client, aborts, durable restarts.

use anabranch::Bytes;
use anabranch::Exit;
use anabranch::client::CallError;
use anabranch::core::node::{NodeIndex, Protocol};
use anabranch::core::value::Value;
use anabranch::deploy::Deployment;
use anabranch::embed::LocalCluster;
use anabranch::observe::{Observer, Told};
use anabranch_protocols::two_pc::two_pc::{self, Client};
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn protocol() -> Arc<dyn Protocol> {
    Arc::new(two_pc::protocol())
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime")
}

fn payload(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

#[test]
fn commits_and_aborts() {
    let protocol = protocol();
    let deployment = Deployment::local(protocol.as_ref(), &[1, 3]);
    let cluster = LocalCluster::start(protocol, deployment).expect("start");
    runtime().block_on(async {
        let client = Client::connect(cluster.deployment()).await.expect("connect");
        assert_eq!(client.commit(payload("yes")).await, Ok(true));
        assert_eq!(client.commit(payload("no thanks")).await, Ok(false));
        let many = (0..200).map(|i| {
            let client = client.clone();
            tokio::spawn(async move { client.commit(payload(if i % 2 == 0 { "yes" } else { "no" })).await })
        });
        for (i, call) in many.collect::<Vec<_>>().into_iter().enumerate() {
            assert_eq!(call.await.expect("task"), Ok(i % 2 == 0));
        }
    });
    for exit in cluster.stop() {
        assert!(matches!(exit, Exit::Stopped), "{exit}");
    }
}

#[test]
fn a_dead_participant_aborts_and_a_dead_coordinator_leaves_it_unknown() {
    let protocol = protocol();
    let deployment = Deployment::local(protocol.as_ref(), &[1, 2]).with_param("patience", Value::Int(100));
    let mut cluster = LocalCluster::start(protocol, deployment).expect("start");
    runtime().block_on(async {
        let client = Client::connect(cluster.deployment()).await.expect("connect");
        cluster.crash(NodeIndex(2));
        assert_eq!(
            client.commit(payload("yes")).await,
            Ok(false),
            "aborted after the coordinator's patience"
        );
        let open = tokio::spawn({
            let client = client.clone();
            async move { client.commit(payload("yes")).await }
        });
        tokio::time::sleep(Duration::from_millis(20)).await;
        cluster.crash(NodeIndex(0));
        let outcome = open.await.expect("task");
        assert!(matches!(outcome, Err(CallError::Unknown(_))), "{outcome:?}");
    });
}

#[test]
fn what_was_applied_is_told_again_after_a_restart() {
    let folder = std::env::temp_dir().join(format!("anabranch-two-pc-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    let protocol = protocol();
    let deployment = Deployment::local(protocol.as_ref(), &[1, 2]).durable_in(&folder);
    let told: Arc<Mutex<Vec<(u32, Value)>>> = Arc::default();
    let hearer = told.clone();
    let observer = move |_| {
        let told = hearer.clone();
        let observer = move |row: &Told<'_>| {
            let Value::Tuple(columns) = row.decode().expect("a row") else { panic!("a tuple") };
            told.lock().expect("lock").push((row.seat.instance, columns[1].clone()));
        };
        Some(Box::new(observer) as Box<dyn Observer>)
    };
    let mut cluster = LocalCluster::start_observed(protocol, deployment, observer).expect("start");
    runtime().block_on(async {
        let client = Client::connect(cluster.deployment()).await.expect("connect");
        assert_eq!(client.commit(payload("one")).await, Ok(true));
        let all = || {
            let mut all = told.lock().expect("lock").clone();
            all.sort();
            all
        };
        let one = Value::Bytes(payload("one"));
        while all().len() < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(all(), [(0, one.clone()), (1, one.clone())]);
        cluster.restart(NodeIndex(1)).expect("restart");
        cluster.wait_ready(Duration::from_secs(10)).expect("ready");
        while all().len() < 3 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(all(), [(0, one.clone()), (0, one.clone()), (1, one.clone())], "at least once");
        assert_eq!(client.commit(payload("two")).await, Ok(true));
    });
    cluster.stop();
    let _ = std::fs::remove_dir_all(&folder);
}
