//! MultiPaxos as the rewriter scaled it, over TCP: proxy leaders and acceptors in partitions lose nothing, and a
//! leader or an acceptor dies and comes back with all its parts.

mod counter;

use anabranch::core::node::{NodeIndex, Protocol};
use anabranch::deploy::Deployment;
use anabranch::embed::LocalCluster;
use anabranch_protocols::kv::{Command, Outcome};
use anabranch_protocols::multi_paxos::multi_paxos_scaled::multi_paxos_scaled::{self, Client};
use counter::{check_counter, folder, get, increments, number, runtime, stop, submit};
use std::sync::Arc;

const PROPOSERS: u32 = 2;
const PARTITIONS: u32 = 2;

fn protocol() -> Arc<dyn Protocol> {
    Arc::new(multi_paxos_scaled::protocol())
}

fn deployment(protocol: &dyn Protocol) -> Deployment {
    let sizes: Vec<u32> = protocol
        .roles()
        .iter()
        .map(|role| if ["proposer", "proxy"].contains(role) { PROPOSERS } else { 3 })
        .collect();
    Deployment::local(protocol, &sizes)
        .with_partitions("acceptor", PARTITIONS)
        .with_partitions("proxy", PARTITIONS)
}

/// A node by its name: `proposer.0`, `acceptor.0.1`.
fn node(deployment: &Deployment, name: &str) -> NodeIndex {
    let all = 0..deployment.layout().nodes();
    let names: Vec<String> = all.clone().map(|n| deployment.node_name(NodeIndex(n))).collect();
    let at = names.iter().position(|n| n == name);
    NodeIndex(at.unwrap_or_else(|| panic!("`{name}` is none of {names:?}")) as u32)
}

#[test]
fn compare_and_set_loses_no_increment() {
    let protocol = protocol();
    let deployment = deployment(protocol.as_ref());
    let cluster = LocalCluster::start(protocol, deployment).expect("start");
    runtime().block_on(async {
        let client = Client::connect(cluster.deployment()).await.expect("connect");
        increments(&client, "n", 8, 10).await;
        check_counter(&client, 80).await;
        // Slots at all partitions: what one key's commands wrote is read through any of them.
        for n in 0..20u64 {
            let before = n.checked_sub(1).map(number);
            assert_eq!(submit(&client, Command::Put("m".into(), number(n))).await, Outcome::Value(before));
            assert_eq!(get(&client, "m").await, Some(n));
        }
    });
    stop(cluster);
}

#[test]
fn leaders_and_acceptors_die_with_all_their_parts() {
    let folder = folder("scaled");
    let protocol = protocol();
    let deployment = deployment(protocol.as_ref()).durable_in(&folder);
    let mut cluster = LocalCluster::start(protocol, deployment).expect("start");
    runtime().block_on(async {
        let client = Client::connect(cluster.deployment()).await.expect("connect");
        increments(&client, "n", 2, 5).await;
        // A proxy of the one, the other proposer itself; each with an acceptor's partition or its sequencer. The new
        // leader's phase 1 needs a step of every sequencer that is left, and its sealed counts.
        for (leader, voter) in [("proxy.0.1", "acceptor.0.0"), ("proposer.1", "arbiter.1")] {
            let [leader, voter] = [leader, voter].map(|name| node(cluster.deployment(), name));
            cluster.crash(leader);
            cluster.crash(voter);
            cluster.restart(leader).expect("restart");
            increments(&client, "n", 2, 5).await;
            cluster.restart(voter).expect("restart");
        }
        increments(&client, "n", 2, 5).await;
        check_counter(&client, 40).await;
    });
    stop(cluster);
    let _ = std::fs::remove_dir_all(&folder);
}
