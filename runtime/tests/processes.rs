//! A process per node: started, watched, restarted, stopped, and never left behind.
//!
//! Without libtest's harness, since this program is also the node process and a launcher that dies.

#[path = "../src/tests/mock.rs"]
#[allow(dead_code)]
mod mock;

use anabranch::StartError;
use anabranch::client::{LoadClient, LoadOptions};
use anabranch::control::Control;
use anabranch::deploy::Deployment;
use anabranch::launch::{Cluster, LaunchOptions, Progress, child};
use anabranch_core::node::{NodeIndex, Protocol};
use anabranch_core::value::Value;
use mock::{ASK, Echo, Keeper, Mock};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("node") => std::process::exit(child(|name| (name == "mock").then(protocol))),
        Some("fated") => std::process::exit(child(|name| (name == "mock").then(fated))),
        Some("keeper") => std::process::exit(child(|name| (name == "mock").then(keeper))),
        Some("launcher") => return launcher(),
        _ => {}
    }
    let filter = std::env::args().nth(1).filter(|arg| !arg.starts_with('-'));
    let tests: [(&str, fn()); 6] = [
        ("calls_and_stops", calls_and_stops),
        ("a_killed_node_is_noticed_and_restarted", a_killed_node_is_noticed_and_restarted),
        ("nodes_that_share_fate_restart_behind_a_barrier", nodes_that_share_fate_restart_behind_a_barrier),
        ("nodes_end_with_their_launcher", nodes_end_with_their_launcher),
        ("a_port_in_use_is_named", a_port_in_use_is_named),
        ("a_full_disk_stops_the_node_and_loses_nothing", a_full_disk_stops_the_node_and_loses_nothing),
    ];
    for (name, test) in tests {
        if filter.as_ref().is_none_or(|f| name.contains(f.as_str())) {
            test();
            println!("test {name} ... ok");
        }
    }
}

fn protocol() -> Arc<dyn Protocol> {
    Mock::new(Echo, &["server", "other"]).shared()
}

fn fated() -> Arc<dyn Protocol> {
    Mock { fate: true, ..Mock::new(Echo, &["server", "other"]) }.shared()
}

fn keeper() -> Arc<dyn Protocol> {
    Mock::new(Keeper::default(), &["server"]).shared()
}

fn launch(instances: &[u32]) -> Cluster {
    let protocol = protocol();
    let deployment = Deployment::local(protocol.as_ref(), instances);
    let options = LaunchOptions::this_program(&["node"]).expect("this program");
    let mut ready = 0;
    let mut count = |progress| ready += u32::from(matches!(progress, Progress::Ready { .. }));
    let cluster = Cluster::launch(protocol, deployment, options, &mut count).expect("launch");
    assert_eq!(ready, instances.iter().sum::<u32>());
    cluster
}

fn ask(cluster: &Cluster) {
    let protocol = protocol();
    let mut client = LoadClient::connect(protocol.as_ref(), cluster.deployment(), LoadOptions::default())
        .expect("connect");
    let mut done = Vec::new();
    for token in 0..10 {
        client.submit(ASK, b"hello", None, token);
    }
    while client.open() > 0 {
        client.poll(Duration::from_secs(10), &mut done).expect("poll");
    }
    assert!(done.iter().all(|c| c.outcome.as_deref() == Ok(&b"hello"[..])), "{done:?}");
}

fn calls_and_stops() {
    let cluster = launch(&[2, 1]);
    ask(&cluster);
    let stats =
        Control::connect(protocol().as_ref(), cluster.deployment(), NodeIndex(1)).and_then(|mut c| c.stats());
    let stats = stats.expect("stats");
    assert_eq!((stats.node.as_str(), stats.pid), ("server.1", cluster.pid(NodeIndex(1)).expect("runs")));
    let pids: Vec<u32> = (0..3).map(|i| cluster.pid(NodeIndex(i)).expect("runs")).collect();
    for ended in cluster.stop(Duration::from_secs(10)) {
        assert!(ended.orderly, "{ended:?}");
    }
    assert!(!pids.iter().any(|&pid| alive(pid)), "nothing is left");
}

fn a_killed_node_is_noticed_and_restarted() {
    let mut cluster = launch(&[2, 1]);
    assert_eq!(cluster.ended(), []);
    let node = NodeIndex(1);
    let pid = cluster.pid(node).expect("runs").to_string();
    assert!(Command::new("kill").args(["-9", &pid]).status().expect("kill").success());
    let ended = wait_for(|| cluster.ended().pop());
    assert_eq!(
        (ended.name.as_str(), ended.how.as_str(), ended.restartable),
        ("server.1", "killed by signal 9", true)
    );
    cluster.restart(node).expect("restart");
    cluster.wait_ready(node).expect("ready");
    ask(&cluster);
    cluster.stop(Duration::from_secs(10));
}

fn nodes_that_share_fate_restart_behind_a_barrier() {
    let protocol = fated();
    let deployment = Deployment::local(protocol.as_ref(), &[2, 2]);
    let options = LaunchOptions::this_program(&["fated"]).expect("this program");
    let mut cluster = Cluster::launch(protocol, deployment, options, &mut |_| {}).expect("launch");
    // Parts of one instance: `server.1` and `other.1`.
    let (one, other) = (NodeIndex(1), NodeIndex(3));
    assert_eq!(cluster.fate_of(one), [one, other]);
    let pids = |cluster: &Cluster| -> Vec<u32> {
        (0..4).map(|i| cluster.pid(NodeIndex(i)).expect("runs")).collect()
    };
    let before = pids(&cluster);
    assert!(Command::new("kill").args(["-9", &before[1].to_string()]).status().expect("kill").success());
    let ended = wait_for(|| cluster.ended().pop());
    assert_eq!(ended.node, one);
    assert!(alive(before[3]), "until the launcher acts, the other part goes on");
    cluster.restart(one).expect("restart");
    assert!(!alive(before[3]), "it was stopped before any part began anew");
    cluster.wait_ready(one).expect("ready");
    let after = pids(&cluster);
    let same: Vec<bool> = before.iter().zip(&after).map(|(a, b)| a == b).collect();
    assert_eq!(same, [true, false, true, false], "the other instance is not touched");
    assert_eq!(cluster.ended(), []);
    ask(&cluster);
    cluster.stop(Duration::from_secs(10));
}

/// Launches a cluster, says its processes, and waits to be killed.
fn launcher() {
    let cluster = launch(&[1, 1]);
    for i in 0..2 {
        println!("{}", cluster.pid(NodeIndex(i)).expect("runs"));
    }
    std::thread::sleep(Duration::from_secs(60));
}

fn nodes_end_with_their_launcher() {
    let program = std::env::current_exe().expect("this program");
    let mut launcher = Command::new(program).arg("launcher").stdout(Stdio::piped()).spawn().expect("spawn");
    let lines = BufReader::new(launcher.stdout.take().expect("piped")).lines();
    let pids: Vec<u32> = lines.take(2).map(|line| line.expect("a line").parse().expect("a pid")).collect();
    assert!(pids.iter().all(|&pid| alive(pid)));
    launcher.kill().expect("kill");
    launcher.wait().expect("wait");
    wait_for(|| (!pids.iter().any(|&pid| alive(pid))).then_some(()));
}

fn a_port_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = taken.local_addr().expect("address");
    let protocol = protocol();
    let mut deployment = Deployment::local(protocol.as_ref(), &[1, 1]);
    deployment.roles[1].addresses = vec![address];
    let options = LaunchOptions::this_program(&["node"]).expect("this program");
    match Cluster::launch(protocol, deployment, options, &mut |_| {}) {
        Err(StartError::Process { node, reason }) => {
            assert_eq!(node, "other.0");
            assert!(
                reason.starts_with(&format!("the port of {address} is in use: stop what listens there")),
                "{reason}"
            );
        }
        other => panic!("{:?}", other.err()),
    }
}

/// The system refuses to let files grow beyond a limit, as a full disk would.
fn a_full_disk_stops_the_node_and_loses_nothing() {
    let folder = std::env::temp_dir().join(format!("anabranch-full-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    let protocol = keeper();
    let deployment = Deployment::local(protocol.as_ref(), &[1]).durable_in(&folder);
    let program = std::env::current_exe().expect("this program");
    let small = "trap '' XFSZ; ulimit -f 8192; exec \"$0\" keeper";
    let args = vec!["-c".into(), small.into(), program.clone().into()];
    let options = LaunchOptions { program: "/bin/sh".into(), args, patience: Duration::from_secs(30) };
    let mut cluster =
        Cluster::launch(protocol.clone(), deployment.clone(), options, &mut |_| {}).expect("launch");
    let mut client = LoadClient::connect(protocol.as_ref(), cluster.deployment(), LoadOptions::default())
        .expect("connect");
    let (mut done, mut next, mut answered) = (Vec::new(), 0u64, Vec::new());
    let ended = loop {
        while client.open() < 20 {
            client.submit(ASK, &next.to_le_bytes().repeat(512), None, next);
            next += 1;
        }
        client.poll(Duration::from_millis(10), &mut done).expect("poll");
        answered.extend(done.drain(..).filter(|c| c.outcome.is_ok()).map(|c| c.token));
        if let Some(ended) = cluster.ended().pop() {
            break ended;
        }
        assert!(next < 1_000_000, "the disk is never full");
    };
    assert!(!ended.orderly && !ended.restartable, "{ended:?}");
    assert!(ended.how.contains("no space is left on the disk"), "{ended:?}");
    drop(cluster);
    // With room again, everything is there that was answered.
    let options = LaunchOptions::this_program(&["keeper"]).expect("this program");
    let cluster = Cluster::launch(protocol.clone(), deployment, options, &mut |_| {}).expect("launch");
    let rows = Control::connect(protocol.as_ref(), cluster.deployment(), NodeIndex(0))
        .and_then(|mut c| c.rows("state"));
    let rows = rows.expect("rows");
    assert!(!answered.is_empty());
    for n in answered {
        assert!(rows.contains(&Value::tuple([Value::Int(n.into())])), "{n} was answered and is lost");
    }
    cluster.stop(Duration::from_secs(10));
    let _ = std::fs::remove_dir_all(&folder);
}

/// Whether a process runs (and is no zombie).
fn alive(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().any(|line| line.starts_with("State:") && !line.contains("Z"))
}

fn wait_for<T>(mut what: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = what() {
            return found;
        }
        assert!(Instant::now() < until, "waited for too long");
        std::thread::sleep(Duration::from_millis(5));
    }
}
