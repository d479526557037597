//! A counter in a replicated key-value store, whatever protocol replicates it: increments by compare-and-set, of which
//! none may be lost.

use anabranch::Bytes;
use anabranch::Exit;
use anabranch::client::CallError;
use anabranch::embed::LocalCluster;
use anabranch_protocols::kv::{Command, Outcome};
use anabranch_protocols::multi_paxos::{multi_paxos, multi_paxos_scaled::multi_paxos_scaled};
use std::future::Future;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

/// A client of a protocol that takes commands.
pub trait Submits: Clone + Send + Sync + 'static {
    /// One command; `None` if its outcome is unknown.
    fn command(&self, command: Command) -> impl Future<Output = Option<Outcome>> + Send;
}

impl Submits for multi_paxos::Client {
    async fn command(&self, command: Command) -> Option<Outcome> {
        match self.submit(command).await {
            Ok(outcome) => Some(outcome),
            Err(CallError::Unknown(_)) => None,
            Err(other) => panic!("{other:?}"),
        }
    }
}

impl Submits for multi_paxos_scaled::Client {
    async fn command(&self, command: Command) -> Option<Outcome> {
        match self.submit(command).await {
            Ok(outcome) => Some(outcome),
            Err(CallError::Unknown(_)) => None,
            Err(other) => panic!("{other:?}"),
        }
    }
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime")
}

pub fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("anabranch-paxos-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

pub fn number(n: u64) -> Bytes {
    Bytes::copy_from_slice(&n.to_le_bytes())
}

pub fn number_of(value: Option<Bytes>) -> Option<u64> {
    value.map(|v| u64::from_le_bytes(v.as_ref().try_into().expect("eight bytes")))
}

/// Calls that ended as *unknown*, by all tests of this process: each may have taken effect beside its repetition.
static UNKNOWN: AtomicU64 = AtomicU64::new(0);

/// A command's outcome. The client repeats a call under its `Req` for as long as it waits; a call that ended as
/// *unknown* is made again under a new one.
pub async fn submit(client: &impl Submits, command: Command) -> Outcome {
    loop {
        match client.command(command.clone()).await {
            Some(outcome) => return outcome,
            None => UNKNOWN.fetch_add(1, Ordering::Relaxed),
        };
    }
}

/// The counter has every acknowledged increment, and at most those of unknown outcome besides.
pub async fn check_counter(client: &impl Submits, acknowledged: u64) {
    let n = get(client, "n").await.expect("written");
    let most = acknowledged + UNKNOWN.load(Ordering::Relaxed);
    assert!((acknowledged..=most).contains(&n), "{n} is not in {acknowledged}..={most}");
}

pub async fn get(client: &impl Submits, key: &'static str) -> Option<u64> {
    match submit(client, Command::Get(key.into())).await {
        Outcome::Value(value) => number_of(value),
        other => panic!("{other:?}"),
    }
}

/// Adds one to a counter by compare-and-set.
async fn increment(client: &impl Submits, key: &'static str) {
    loop {
        let seen = get(client, key).await;
        let next = number(seen.unwrap_or(0) + 1);
        let command = Command::CompareAndSet(key.into(), seen.map(number).into(), next.into());
        if submit(client, command).await == Outcome::Swapped(true) {
            return;
        }
    }
}

pub async fn increments(client: &impl Submits, key: &'static str, tasks: u64, each: u64) {
    let tasks = (0..tasks).map(|_| {
        let client = client.clone();
        tokio::spawn(async move {
            for _ in 0..each {
                increment(&client, key).await;
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("task");
    }
}

pub fn stop(cluster: LocalCluster) {
    for exit in cluster.stop() {
        assert!(matches!(exit, Exit::Stopped), "{exit}");
    }
}
