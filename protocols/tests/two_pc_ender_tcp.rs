//! Two-phase commit with an ender, over TCP: what it answers, that coordinators carry fewer messages than without the
//! ender, and that crashes of single parts lose nothing.

use anabranch::Bytes;
use anabranch::Exit;
use anabranch::control::Control;
use anabranch::core::node::{NodeIndex, Protocol};
use anabranch::core::value::Value;
use anabranch::deploy::Deployment;
use anabranch::embed::LocalCluster;
use anabranch::observe::{Observer, Told};
use anabranch_protocols::two_pc::two_pc_ender::two_pc_ender::{self, Client};
use anabranch_protocols::two_pc::two_pc_scaled::two_pc_scaled;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PARTICIPANTS: u32 = 3;
const PARTITIONS: u32 = 2;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime")
}

fn payload(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// Partitions of everything.
fn deployment(protocol: &dyn Protocol, patience: i128) -> Deployment {
    let roles = protocol.roles();
    let sizes: Vec<u32> =
        roles.iter().map(|role| if *role == "participant" { PARTICIPANTS } else { 1 }).collect();
    let whole = Deployment::local(protocol, &sizes).with_param("patience", Value::Int(patience));
    roles.iter().fold(whole, |d, role| d.with_partitions(role, PARTITIONS))
}

fn stop(cluster: LocalCluster) {
    for exit in cluster.stop() {
        assert!(matches!(exit, Exit::Stopped), "{exit}");
    }
}

/// The most messages, requests and answers that a node of a role took and sent, per transaction and partition.
fn busiest(protocol: &dyn Protocol, deployment: &Deployment, role: &str, transactions: u64) -> f64 {
    let nodes = (0..deployment.layout().nodes()).map(NodeIndex);
    let mine = nodes.filter(|n| deployment.node_name(*n).starts_with(&format!("{role}.")));
    let all: u64 = mine
        .map(|node| {
            let stats =
                Control::connect(protocol, deployment, node).and_then(|mut c| c.stats()).expect("stats");
            let c = stats.counters;
            c.messages_in + c.messages_out + c.requests_in + c.replies_out
        })
        .sum();
    all as f64 / transactions as f64
}

macro_rules! commit_many {
    ($module:ident, $count:expr) => {{
        let protocol: Arc<dyn Protocol> = Arc::new($module::protocol());
        let cluster =
            LocalCluster::start(protocol.clone(), deployment(protocol.as_ref(), 60_000)).expect("start");
        runtime().block_on(async {
            let client = $module::Client::connect(cluster.deployment()).await.expect("connect");
            let many = (0..$count).map(|_| {
                let client = client.clone();
                tokio::spawn(async move { client.commit(payload("yes")).await })
            });
            for call in many.collect::<Vec<_>>() {
                assert_eq!(call.await.expect("task"), Ok(true));
            }
            assert_eq!(client.commit(payload("no")).await, Ok(false));
        });
        let at = |role: &str| busiest(protocol.as_ref(), cluster.deployment(), role, $count);
        let counts: BTreeMap<String, f64> =
            protocol.roles().iter().map(|role| (role.to_string(), at(role))).collect();
        stop(cluster);
        counts
    }};
}

#[test]
fn it_answers_and_the_coordinator_carries_less() {
    let ender = commit_many!(two_pc_ender, 400);
    let without = commit_many!(two_pc_scaled, 400);
    println!(
        "messages a transaction, all partitions of a role: {ender:.2?}; without the ender: {without:.2?}"
    );
    // On paper 7 (and the ender's acknowledgements, one for each batch) against 9.
    assert!(ender["coordinator"] < without["coordinator"], "{ender:?} against {without:?}");
}

#[test]
fn parts_crash_and_nothing_is_lost() {
    let folder = std::env::temp_dir().join(format!("anabranch-ender-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    let protocol: Arc<dyn Protocol> = Arc::new(two_pc_ender::protocol());
    let deployment = deployment(protocol.as_ref(), 300).durable_in(&folder);
    let told: Arc<Mutex<BTreeMap<Value, BTreeSet<u32>>>> = Arc::default();
    let hearer = told.clone();
    let observer = move |_| {
        let told = hearer.clone();
        let observer = move |row: &Told<'_>| {
            let Value::Tuple(columns) = row.decode().expect("a row") else { panic!("a tuple") };
            told.lock().expect("lock").entry(columns[1].clone()).or_default().insert(row.seat.instance);
        };
        Some(Box::new(observer) as Box<dyn Observer>)
    };
    let mut cluster = LocalCluster::start_observed(protocol, deployment, observer).expect("start");
    let node = |cluster: &LocalCluster, name: &str| {
        let deployment = cluster.deployment();
        let found = (0..deployment.layout().nodes()).find(|n| deployment.node_name(NodeIndex(*n)) == name);
        NodeIndex(found.unwrap_or_else(|| panic!("no node {name}")))
    };
    let (mut committed, mut ended) = (BTreeSet::new(), 0);
    runtime().block_on(async {
        let client = Client::connect(cluster.deployment()).await.expect("connect");
        for (round, victim) in
            ["ender.0.1", "coordinator.0.0", "participant.1.0", "announcer.0.1"].iter().enumerate()
        {
            let calls: Vec<_> = (0..40)
                .map(|i| {
                    let (client, text) = (client.clone(), format!("{round}-{i}"));
                    tokio::spawn(async move { (text.clone(), client.commit(payload(&text)).await) })
                })
                .collect();
            tokio::task::yield_now().await;
            tokio::time::sleep(Duration::from_millis(3)).await;
            let victim = node(&cluster, victim);
            cluster.crash(victim);
            cluster.restart(victim).expect("restart");
            for call in calls {
                let (text, outcome) = call.await.expect("task");
                ended += 1;
                if outcome == Ok(true) {
                    committed.insert(Value::Bytes(payload(&text)));
                }
            }
            cluster.wait_ready(Duration::from_secs(20)).expect("ready");
        }
        // Afterwards all is as before.
        let mut last = client.commit(payload("last")).await;
        while last != Ok(true) {
            last = client.commit(payload("last")).await;
        }
        committed.insert(Value::Bytes(payload("last")));
        let whole = || {
            let told = told.lock().expect("lock");
            let all = told.values().all(|at| at.len() == PARTICIPANTS as usize);
            all && committed.iter().all(|c| told.contains_key(c))
        };
        while !whole() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    println!("{ended} ended, {} answered committed", committed.len());
    stop(cluster);
    let _ = std::fs::remove_dir_all(&folder);
}
