//! MultiPaxos over TCP, nodes in this process: commands in one order at all replicas, a leader's death, a replica
//! that comes back, truncated logs.

mod counter;

use anabranch::core::node::{NodeIndex, Protocol};
use anabranch::core::value::Value;
use anabranch::deploy::Deployment;
use anabranch::embed::LocalCluster;
use anabranch_protocols::kv::{Command, Outcome};
use anabranch_protocols::multi_paxos::multi_paxos::{self, Client};
use counter::{check_counter, folder, get, increments, number, runtime, stop};
use std::sync::Arc;

const PROPOSERS: u32 = 2;
const REPLICA_0: u32 = PROPOSERS + 3;

fn protocol() -> Arc<dyn Protocol> {
    Arc::new(multi_paxos::protocol())
}

#[test]
fn compare_and_set_loses_no_increment() {
    let protocol = protocol();
    let deployment = Deployment::local(protocol.as_ref(), &[PROPOSERS, 3, 3]);
    let cluster = LocalCluster::start(protocol, deployment).expect("start");
    runtime().block_on(async {
        let client = Client::connect(cluster.deployment()).await.expect("connect");
        increments(&client, "n", 8, 10).await;
        check_counter(&client, 80).await;
    });
    stop(cluster);
}

#[test]
fn a_dead_leader_is_replaced_and_nothing_acknowledged_is_lost() {
    let folder = folder("leader");
    let protocol = protocol();
    let deployment = Deployment::local(protocol.as_ref(), &[PROPOSERS, 3, 3]).durable_in(&folder);
    let mut cluster = LocalCluster::start(protocol, deployment).expect("start");
    runtime().block_on(async {
        let client = Client::connect(cluster.deployment()).await.expect("connect");
        increments(&client, "n", 2, 5).await;
        check_counter(&client, 10).await;
        // One of the two leads; whichever it is, after both deaths it has died once.
        for proposer in 0..PROPOSERS {
            cluster.crash(NodeIndex(proposer));
            cluster.crash(NodeIndex(PROPOSERS)); // and an acceptor: a majority is left
            increments(&client, "n", 2, 5).await;
            cluster.restart(NodeIndex(proposer)).expect("restart");
            cluster.restart(NodeIndex(PROPOSERS)).expect("restart");
        }
        check_counter(&client, 30).await;
    });
    stop(cluster);
    let _ = std::fs::remove_dir_all(&folder);
}

#[test]
fn a_replica_that_was_away_catches_up_by_slots_or_by_image() {
    let folder = folder("replica");
    let protocol = protocol();
    // Replicas keep four slots only: whoever was away for longer needs an image.
    let deployment = Deployment::local(protocol.as_ref(), &[PROPOSERS, 3, 3])
        .with_param("keep", Value::Int(4))
        .durable_in(&folder);
    let mut cluster = LocalCluster::start(protocol, deployment).expect("start");
    runtime().block_on(async {
        let client = Client::connect(cluster.deployment()).await.expect("connect");
        increments(&client, "n", 1, 3).await;
        cluster.crash(NodeIndex(REPLICA_0 + 2));
        // Some slots fall to the dead replica: those commands are repeated, and a living one answers.
        for n in 0..8 {
            let before = (n > 0).then(|| number(7));
            let answer = client.submit(Command::Put("m".into(), number(7))).await;
            assert_eq!(answer, Ok(Outcome::Value(before)), "executed once, however often it is chosen");
        }
        cluster.restart(NodeIndex(REPLICA_0 + 2)).expect("restart");
        increments(&client, "n", 1, 3).await;
        check_counter(&client, 6).await;
        assert_eq!(get(&client, "m").await, Some(7));
        // The others go away: only with the one that was behind is there a majority, and it answers its slots.
        cluster.crash(NodeIndex(REPLICA_0));
        assert_eq!(get(&client, "m").await, Some(7));
    });
    cluster.stop();
    let _ = std::fs::remove_dir_all(&folder);
}
