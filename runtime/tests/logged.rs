//! `logged` messages between processes that are killed with `kill -9`.
//!
//! Without libtest's harness, since this program is also the node process.

use anabranch::control::Control;
use anabranch::core::node::{NodeIndex, Protocol};
use anabranch::core::value::Value;
use anabranch::deploy::Deployment;
use anabranch::launch::{Cluster, LaunchOptions, child};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const TAKER: NodeIndex = NodeIndex(0);
const WORKER: NodeIndex = NodeIndex(1);

anabranch::protocol! {
    /// Who answers is not who works.
    protocol crossing;
    role taker;
    role worker of taker;
    request put(x: u64) -> () at taker;
    message work(x: u64) to worker logged;
    at taker {
        durable table took(x: u64);
        on put(req, x) { took(x) <=; work(x) @ me <~; reply put(req) <~; }
    }
    at worker {
        durable table times(x: u64 => n: u64);
        times(x, 1) <= work(x), !old times(x, _);
        times(x, n + 1) <+ work(x), old times(x, n);
    }
}

anabranch::protocol! {
    /// The same without the word.
    protocol careless;
    role taker;
    role worker of taker;
    request put(x: u64) -> () at taker;
    message work(x: u64) to worker;
    at taker {
        durable table took(x: u64);
        on put(req, x) { took(x) <=; work(x) @ me <~; reply put(req) <~; }
    }
    at worker {
        durable table times(x: u64 => n: u64);
        times(x, 1) <= work(x), !old times(x, _);
        times(x, n + 1) <+ work(x), old times(x, n);
    }
}

fn main() {
    if std::env::args().nth(1).is_some_and(|arg| arg == "node") {
        std::process::exit(child(|name| match name {
            "crossing" => Some(Arc::new(crossing::protocol()) as Arc<dyn Protocol>),
            "careless" => Some(Arc::new(careless::protocol())),
            _ => None,
        }));
    }
    let filter = std::env::args().nth(1).filter(|arg| !arg.starts_with('-'));
    let tests: [(&str, fn()); 3] = [
        ("both_ends_die_and_the_fact_arrives", || assert_eq!(both_ends_die(true), [0, 1, 2])),
        ("without_the_word_it_is_lost", || {
            // Even what the worker had taken may be, if it was killed before that was on disk.
            let all = both_ends_die(false);
            assert!(!all.contains(&1) && all.contains(&2), "{all:?}");
        }),
        ("under_load_nothing_is_lost_or_repeated", under_load),
    ];
    for (name, test) in tests {
        if filter.as_ref().is_none_or(|f| name.contains(f.as_str())) {
            test();
            println!("test {name} ... ok");
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime")
}

fn launch(protocol: &Arc<dyn Protocol>, name: &str) -> (Cluster, PathBuf) {
    let folder = std::env::temp_dir().join(format!("anabranch-logged-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    let deployment = Deployment::local(protocol.as_ref(), &[1, 1]).durable_in(&folder);
    let options = LaunchOptions::this_program(&["node"]).expect("this program");
    let cluster = Cluster::launch(protocol.clone(), deployment, options, &mut |_| {}).expect("launch");
    (cluster, folder)
}

/// The first column of a table's rows, and the second.
fn rows(protocol: &dyn Protocol, cluster: &Cluster, node: NodeIndex, table: &str) -> Vec<(u64, u64)> {
    let control = Control::connect(protocol, cluster.deployment(), node);
    let rows = control.and_then(|mut c| c.rows(table)).expect("rows");
    let number = |v: Option<&Value>| match v {
        Some(Value::Int(n)) => *n as u64,
        _ => 0,
    };
    let pair = |row: &Value| match row {
        Value::Tuple(columns) => (number(columns.first()), number(columns.get(1))),
        other => (number(Some(other)), 0),
    };
    rows.iter().map(pair).collect()
}

fn worked(protocol: &dyn Protocol, cluster: &Cluster) -> Vec<u64> {
    let rows = rows(protocol, cluster, WORKER, "times");
    assert!(rows.iter().all(|(_, times)| *times == 1), "worked on twice: {rows:?}");
    rows.into_iter().map(|(x, _)| x).collect()
}

fn wait_for(mut done: impl FnMut() -> bool) {
    while !done() {
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn end(cluster: Cluster, folder: &Path) {
    for ended in cluster.stop(Duration::from_secs(10)) {
        assert!(ended.orderly, "{ended:?}");
    }
    let _ = std::fs::remove_dir_all(folder);
}

/// The worker is dead when the fact is sent, and the sender dies before the worker is back.
fn both_ends_die(logged: bool) -> Vec<u64> {
    let protocol: Arc<dyn Protocol> =
        if logged { Arc::new(crossing::protocol()) } else { Arc::new(careless::protocol()) };
    let (mut cluster, folder) = launch(&protocol, if logged { "both" } else { "careless" });
    let put = |cluster: &Cluster, x: u64| {
        runtime().block_on(async {
            if logged {
                let client = crossing::Client::connect(cluster.deployment()).await.expect("connect");
                assert_eq!(client.put(x).await, Ok(()));
            } else {
                let client = careless::Client::connect(cluster.deployment()).await.expect("connect");
                assert_eq!(client.put(x).await, Ok(()));
            }
        });
    };
    put(&cluster, 0);
    wait_for(|| worked(protocol.as_ref(), &cluster) == [0]);
    cluster.kill(WORKER).expect("kill");
    put(&cluster, 1);
    cluster.kill(TAKER).expect("kill");
    for node in [TAKER, WORKER] {
        cluster.restart(node).expect("restart");
    }
    for node in [TAKER, WORKER] {
        cluster.wait_ready(node).expect("ready");
    }
    put(&cluster, 2);
    wait_for(|| {
        let all = worked(protocol.as_ref(), &cluster);
        all.contains(&2) && (!logged || all.len() == 3)
    });
    let all = worked(protocol.as_ref(), &cluster);
    end(cluster, &folder);
    all
}

fn under_load() {
    let protocol: Arc<dyn Protocol> = Arc::new(crossing::protocol());
    let (mut cluster, folder) = launch(&protocol, "load");
    for round in 0..4u64 {
        runtime().block_on(async {
            let client = crossing::Client::connect(cluster.deployment()).await.expect("connect");
            let calls: Vec<_> = (0..100)
                .map(|i| {
                    let client = client.clone();
                    tokio::spawn(async move { client.put(round * 100 + i).await })
                })
                .collect();
            tokio::time::sleep(Duration::from_millis(round + 1)).await;
            let victim = if round % 2 == 0 { WORKER } else { TAKER };
            cluster.kill(victim).expect("kill");
            cluster.restart(victim).expect("restart");
            // Whether they were answered does not matter.
            for call in calls {
                let _ = call.await.expect("task");
            }
        });
        for node in [TAKER, WORKER] {
            cluster.wait_ready(node).expect("ready");
        }
    }
    let took = || -> Vec<u64> {
        rows(protocol.as_ref(), &cluster, TAKER, "took").into_iter().map(|(x, _)| x).collect()
    };
    wait_for(|| worked(protocol.as_ref(), &cluster) == took());
    assert!(took().len() > 100, "some were taken: {}", took().len());
    wait_for(|| rows(protocol.as_ref(), &cluster, TAKER, "work_log_kept").is_empty());
    end(cluster, &folder);
}
