//! Durable nodes: what was answered survives, whenever the node dies.

use super::calls::cluster;
use super::mock::*;
use crate::client::{LoadClient, LoadOptions};
use crate::control::Control;
use crate::deploy::Deployment;
use crate::embed::LocalCluster;
use crate::observe::{Observer, Told};
use crate::{Exit, StartError};
use anabranch_core::node::NodeIndex;
use anabranch_core::value::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A folder that is removed in the end.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("anabranch-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn what_was_answered_survives() {
    let folder = Folder::new("answered");
    let protocol = Mock::new(Keeper::default(), &["server"]).shared();
    let mut deployment = Deployment::local(protocol.as_ref(), &[1]).durable_in(&folder.0);
    // Snapshots and truncation happen on the way.
    deployment.limits.snapshot_bytes = 20_000;
    let heard = Arc::new(Mutex::new(BTreeSet::new()));
    let hearer = heard.clone();
    let observer = move |_| {
        let heard = hearer.clone();
        let observer = move |row: &Told<'_>| {
            assert_eq!(row.name, "told");
            heard.lock().expect("lock").insert(number(row.decode().expect("a row")));
        };
        Some(Box::new(observer) as Box<dyn Observer>)
    };
    let mut cluster = LocalCluster::start_observed(protocol.clone(), deployment, observer).expect("start");
    let mut client = LoadClient::connect(protocol.as_ref(), cluster.deployment(), LoadOptions::default())
        .expect("connect");
    let (mut done, mut next, mut answered) = (Vec::new(), 0u64, BTreeSet::new());
    for life in 1..=5u64 {
        let target = answered.len() + 1_500;
        while answered.len() < target {
            while client.open() < 64 {
                client.submit(ASK, &next.to_le_bytes(), None, next);
                next += 1;
            }
            client.poll(Duration::from_secs(5), &mut done).expect("poll");
            for completion in done.drain(..) {
                if let Ok(reply) = completion.outcome {
                    assert_eq!(reply[..], life.to_le_bytes(), "incarnations are counted");
                    answered.insert(completion.token);
                }
            }
        }
        // In the middle of things.
        cluster.crash(NodeIndex(0));
        while client.open() > 0 {
            client.poll(Duration::from_secs(5), &mut done).expect("poll");
        }
        for completion in done.drain(..) {
            if completion.outcome.is_ok() {
                answered.insert(completion.token);
            }
        }
        cluster.restart(NodeIndex(0)).expect("restart");
        let rows = Control::connect(protocol.as_ref(), cluster.deployment(), NodeIndex(0))
            .and_then(|mut c| c.rows("state"));
        let kept: BTreeSet<u64> = rows.expect("rows").into_iter().map(number).collect();
        let lost: Vec<&u64> = answered.difference(&kept).collect();
        assert!(lost.is_empty(), "answered and lost: {lost:?}");
        let heard = heard.lock().expect("lock");
        let untold: Vec<&u64> = answered.difference(&heard).collect();
        assert!(untold.is_empty(), "answered, and the application was not told: {untold:?}");
        let early: Vec<&u64> = heard.difference(&kept).collect();
        assert!(early.is_empty(), "told, and then lost: {early:?}");
    }
    let stats = Control::connect(protocol.as_ref(), cluster.deployment(), NodeIndex(0))
        .and_then(|mut c| c.stats())
        .expect("stats");
    assert_eq!(stats.incarnation, 6);
    drop(client);
    for exit in cluster.stop() {
        assert!(matches!(exit, Exit::Stopped), "{exit}");
    }
}

fn number(row: Value) -> u64 {
    match row {
        Value::Tuple(columns) => match columns[0] {
            Value::Int(n) => n as u64,
            _ => panic!("a number"),
        },
        _ => panic!("a row"),
    }
}

#[test]
fn another_programs_folder_is_refused() {
    let folder = Folder::new("foreign");
    let protocol = Mock::new(Keeper::default(), &["server"]).shared();
    let deployment = Deployment::local(protocol.as_ref(), &[1]).durable_in(&folder.0);
    LocalCluster::start(protocol, deployment.clone()).expect("start").stop();
    let other = Mock { fingerprint: 43, ..Mock::new(Keeper::default(), &["server"]) }.shared();
    match LocalCluster::start(other, deployment) {
        Err(StartError::Store { node, .. }) => assert_eq!(node, "server.0"),
        other => panic!("{:?}", other.err()),
    }
}

#[test]
fn without_durability_nothing_is_written() {
    let protocol = Mock::new(Keeper::default(), &["server"]).shared();
    let cluster = cluster(&protocol, &[1]);
    assert!(!cluster.deployment().data_dir.join("server.0").exists());
}
