//! Power failures: the disk keeps any part of what was not synced, and still nothing that left the node is
//! lost: no answer, no message, no row told to the application.

use super::mock::*;
use crate::client::{LoadClient, LoadOptions};
use crate::control::Control;
use crate::deploy::Deployment;
use crate::embed::LocalCluster;
use crate::observe::{Observer, Told};
use crate::storage::simulated;
use anabranch_core::disk::Crash;
use anabranch_core::id::Req;
use anabranch_core::node::{NodeIndex, Seat};
use anabranch_core::value::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const KEEPER: NodeIndex = NodeIndex(0);
const MIRROR: NodeIndex = NodeIndex(1);

/// The keeper logs numbers, answers, and tells the mirror, which has no power failures.
#[derive(Clone, Default)]
struct Kept(BTreeSet<u64>);

impl Behaviour for Kept {
    fn request(&mut self, cx: &mut Cx<'_>, req: Req, args: &[u8]) {
        let n = u64::from_le_bytes(args.try_into().expect("eight bytes"));
        self.0.insert(n);
        cx.log(args);
        cx.tell(n);
        cx.send(cx.node(1, 0), args);
        cx.reply(req, &[]);
    }
    fn message(&mut self, _: &mut Cx<'_>, body: &[u8]) {
        self.0.insert(u64::from_le_bytes(body.try_into().expect("eight bytes")));
    }
    fn rows(&self) -> Vec<Value> {
        self.0.iter().map(|&n| Value::tuple([Value::Int(n.into())])).collect()
    }
    fn replay(&mut self, record: &[u8]) {
        self.0.extend(record.as_chunks::<8>().0.iter().map(|n| u64::from_le_bytes(*n)));
    }
    fn snapshot(&self) -> Vec<u8> {
        self.0.iter().flat_map(|n| n.to_le_bytes()).collect()
    }
    fn restore(&mut self, snapshot: &[u8]) {
        self.replay(snapshot);
    }
}

fn number(row: &Value) -> u64 {
    match row {
        Value::Tuple(columns) => match columns[0] {
            Value::Int(n) => n as u64,
            _ => panic!("a number"),
        },
        _ => panic!("a row"),
    }
}

#[test]
fn nothing_that_left_is_lost_with_the_power() {
    let protocol = Mock::new(Kept::default(), &["keeper", "mirror"]).shared();
    let mut deployment =
        Deployment::local(protocol.as_ref(), &[1, 1]).durable_in(Path::new("simulated-power"));
    deployment.limits.snapshot_bytes = 6_000;
    let disk = simulated::mount(&deployment.node_dir(Seat { role: 0, instance: 0, partition: 0 }));
    simulated::mount(&deployment.node_dir(Seat { role: 1, instance: 0, partition: 0 }));
    let told = Arc::new(Mutex::new(BTreeSet::new()));
    let hearer = told.clone();
    let observer = move |_| {
        let told = hearer.clone();
        let observer = move |row: &Told<'_>| {
            told.lock().expect("lock").insert(number(&row.decode().expect("a row")));
        };
        Some(Box::new(observer) as Box<dyn Observer>)
    };
    let mut cluster = LocalCluster::start_observed(protocol.clone(), deployment, observer).expect("start");
    let mut client = LoadClient::connect(protocol.as_ref(), cluster.deployment(), LoadOptions::default())
        .expect("connect");
    let rows = |cluster: &LocalCluster, node| -> BTreeSet<u64> {
        let control = Control::connect(protocol.as_ref(), cluster.deployment(), node);
        control.and_then(|mut c| c.rows("state")).expect("rows").iter().map(number).collect()
    };
    let (mut done, mut next, mut answered, mut torn) = (Vec::new(), 0u64, BTreeSet::new(), 0);
    for life in 0..12u64 {
        let target = answered.len() + 100 + 37 * (life as usize % 5);
        let mut failing = false;
        while !cluster.ended(KEEPER) {
            while client.open() < 40 {
                client.submit(ASK, &next.to_le_bytes(), None, next);
                next += 1;
            }
            client.poll(Duration::from_millis(2), &mut done).expect("poll");
            answered.extend(done.drain(..).filter(|c| c.outcome.is_ok()).map(|c| c.token));
            if answered.len() >= target && !failing {
                // The disk dies a few operations later, in the middle of things.
                disk.crash_after(life % 4);
                failing = true;
            }
        }
        cluster.crash(KEEPER);
        while client.open() > 0 {
            client.poll(Duration::from_secs(5), &mut done).expect("poll");
            answered.extend(done.drain(..).filter(|c| c.outcome.is_ok()).map(|c| c.token));
        }
        torn += usize::from(disk.restart(Crash::Power(life)));
        cluster.restart(KEEPER).expect("restart");
        let kept = rows(&cluster, KEEPER);
        let lost = |seen: &BTreeSet<u64>| seen.difference(&kept).count();
        assert_eq!(lost(&answered), 0, "answered and lost in life {life}");
        assert_eq!(lost(&told.lock().expect("lock")), 0, "told and lost in life {life}");
        assert_eq!(lost(&rows(&cluster, MIRROR)), 0, "sent and lost in life {life}");
    }
    assert!(answered.len() > 1000 && torn > 2, "{} answers, {torn} disks lost something", answered.len());
}
