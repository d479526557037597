//! A scaled protocol written by hand over TCP: a part, partitions, routed messages and requests.

use anabranch::Exit;
use anabranch::core::node::{NodeIndex, Protocol, Seat};
use anabranch::core::value::Value;
use anabranch::deploy::Deployment;
use anabranch::embed::LocalCluster;
use std::path::Path;
use std::sync::Arc;

anabranch::protocol! {
    /// Work that is given out, done by everyone, and reported, each piece in one partition.
    protocol works;
    role leader;
    /// Counts who is done.
    role counter of leader, partitioned;
    role worker, partitioned;

    request begin(payload: u64) -> (work: Id, drawn_at: u64, back_at: u64) at counter routed by req;
    request find(work: Id) -> (payload: Option<u64>, at: u64) at worker by work routed by work;
    request many(n: u64) -> (leader: u64, partitions: u64) at leader;
    message do_it(work: Id, from: leader, payload: u64) to worker routed by work;
    message done(work: Id, by: worker, at: u64) to counter routed by work;
    message hail(from: leader) to counter routed to all;
    message hailed(by: leader, partition_: u64) to leader;
    message third(from: leader) to worker routed to 2;
    message thirds(by: worker, partition_: u64) to leader;

    at leader {
        table asked(req: Req);
        table heard(by: leader, partition_: u64);
        table heard_third(by: worker, partition_: u64);
        on many(req, _) {
            asked(req) <=;
            hail(me) @ l <~ leader(l);
            third(me) @ w <~ worker(w);
        }
        heard(by, p) <= hailed(by, p);
        heard_third(by, p) <= thirds(by, p);
        view all(count()) <= heard(_, _);
        view right(count()) <= heard_third(_, 2);
        reply many(req, counter.len(), n) <~
            new (all(n), right(w), asked(req), if n == leader.len() * counter.partitions() && w == worker.len());
    }

    at counter {
        table open(work: Id => req: Req, at_: u64);
        table by_whom(work: Id, by: worker);
        event draw(work: Id, req: Req, payload: u64);
        draw(unique(), req, payload) <= begin(req, payload);
        on draw(work, req, payload) {
            open(work, req, partition) <=;
            do_it(work, me, payload) @ w <~ worker(w);
        }
        by_whom(work, by) <= done(work, by, _), open(work, ..);
        view ready(work => count(by)) <= by_whom(work, by);
        view whole(work) <= ready(work, n), if n == worker.len();
        on new whole(work), open(work, req, at_) {
            reply begin(req, work, at_, partition) <~;
            open(work, ..) <-;
            by_whom(work, _) <-;
        }
        hailed(me, partition) @ l <~ hail(l);
    }

    at worker {
        durable table kept(work: Id => payload: u64) routed by work;
        on do_it(work, l, payload) {
            kept(work, payload) <=;
            done(work, me, partition) @ l <~;
        }
        reply find(req, kept[work], partition) <~ find(req, work);
        thirds(me, partition) @ l <~ third(l);
    }
}

anabranch::protocol! {
    protocol unrouted;
    role store, partitioned;
    request put(x: u64) -> () at store routed by x;
    at store {
        durable table kept(x: u64);
        durable var same(x: u64) routed to all = 3;
        on put(req, x), same(_) {
            kept(x) <=;
            reply put(req) <~;
        }
        event again(x) <= start(n), kept(x), if n > 0;
        on again(_) {}
    }
}

fn protocol() -> Arc<dyn Protocol> {
    Arc::new(works::protocol())
}

fn deployment(counters: u32, workers: u32) -> Deployment {
    Deployment::local(works::protocol(), &[2, 3])
        .with_partitions("counter", counters)
        .with_partitions("worker", workers)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime")
}

#[test]
fn everything_reaches_its_partition() {
    let cluster = LocalCluster::start(protocol(), deployment(3, 4)).expect("start");
    runtime().block_on(async {
        let client = works::Client::connect(cluster.deployment()).await.expect("connect");
        let mut at = [0; 3];
        let mut found = [0; 4];
        for payload in 0..60 {
            let (work, drawn_at, back_at) = client.begin(payload).await.expect("an answer");
            assert_eq!(drawn_at, back_at, "an id comes back to the partition that drew it");
            assert_eq!(drawn_at, u64::from(work.route % 3), "and carries its routing value");
            at[drawn_at as usize] += 1;
            let (kept, partition) = client.find(work).await.expect("an answer");
            assert_eq!((kept, partition), (Some(payload), u64::from(work.route % 4)));
            found[partition as usize] += 1;
        }
        assert!(at.iter().all(|n| *n > 5), "requests spread over the partitions: {at:?}");
        assert!(found.iter().all(|n| *n > 3), "and messages do: {found:?}");
        // `routed to all` reaches every partition of every instance, `routed to 2` the third of each.
        assert_eq!(client.many(0).await, Ok((2, 6)));
        // The same by name.
        let dynamic = anabranch::client::Client::connect(works::protocol(), cluster.deployment()).await;
        let dynamic = dynamic.expect("connect");
        for payload in 0..10 {
            let reply = dynamic.call("begin", &[Value::Int(payload)]).await.expect("an answer");
            let Value::Tuple(items) = reply else { panic!("a tuple") };
            assert_eq!(items[1], items[2]);
        }
    });
    let layout = cluster.deployment().layout();
    assert_eq!(layout.nodes(), 2 + 2 * 3 + 3 * 4);
    assert_eq!(
        cluster.deployment().node_name(layout.index(Seat { role: 1, instance: 1, partition: 2 })),
        "counter.1.2"
    );
    for exit in cluster.stop() {
        assert!(matches!(exit, Exit::Stopped), "{exit}");
    }
}

#[test]
fn one_partition_is_enough() {
    let cluster = LocalCluster::start(protocol(), deployment(1, 3)).expect("start");
    runtime().block_on(async {
        let client = works::Client::connect(cluster.deployment()).await.expect("connect");
        assert_eq!(client.many(0).await, Ok((2, 2)));
        let (work, ..) = client.begin(7).await.expect("an answer");
        assert_eq!(client.find(work).await.expect("an answer").0, Some(7));
    });
}

#[test]
fn a_partition_restarts_by_itself() {
    let mut cluster = LocalCluster::start(protocol(), deployment(2, 3)).expect("start");
    runtime().block_on(async {
        let client = works::Client::connect(cluster.deployment()).await.expect("connect");
        let layout = cluster.deployment().layout();
        cluster.restart(layout.index(Seat { role: 2, instance: 0, partition: 1 })).expect("restart");
        cluster.wait_ready(std::time::Duration::from_secs(20)).expect("all meet");
        for payload in 0..10 {
            assert!(client.begin(payload).await.is_ok());
        }
    });
}

#[test]
fn deployment_files_are_checked() {
    let parse = |text: &str| Deployment::parse(Path::new("d.toml"), text, works::protocol());
    let head = "protocol = \"works\"\ndurability = \"off\"\n";
    let fine = format!(
        "{head}[roles.leader]\ninstances = 2\n[roles.counter]\npartitions = 3\n[roles.worker]\ninstances = 1\n"
    );
    let deployment = parse(&fine).expect("a valid file");
    let sizes: Vec<_> = deployment.roles.iter().map(|r| (r.instances, r.partitions)).collect();
    assert_eq!(sizes, [(2, 1), (2, 3), (1, 1)]);
    let without = fine.replace("[roles.counter]\npartitions = 3\n", "");
    assert_eq!(parse(&without).expect("a part may be left out").roles[1].instances, 2);
    for (from, to, message) in [
        (
            "partitions = 3",
            "instances = 3",
            "d.toml:6:13: `counter` is a part of `leader` and has its instances\n  help: set `instances` of `leader`, and here `partitions` if anything",
        ),
        (
            "partitions = 3",
            "partitions = 0",
            "d.toml:6:14: `counter` has zero partitions\n  help: every instance has at least one partition",
        ),
        (
            "instances = 2",
            "instances = 2\npartitions = 2",
            "d.toml:5:14: `leader` is not partitioned: 2 partitions are not possible\n  help: leave `partitions` out",
        ),
        (
            "partitions = 3",
            "partitions = 3\naddresses = [\"127.0.0.1:7001\"]",
            "d.toml:7:13: 1 addresses for 2 instances of `counter` with 3 partitions each\n  help: give one address per partition of each instance, or none for free loopback ports",
        ),
    ] {
        let errors = parse(&fine.replacen(from, to, 1)).expect_err("a wrong file");
        assert_eq!(errors.to_string(), message);
    }
    let wrong = Deployment::local(works::protocol(), &[2, 3]).with_partitions("leader", 2);
    let error = LocalCluster::start(protocol(), wrong).map(drop).expect_err("not partitioned");
    assert!(error.to_string().contains("`leader` is not partitioned"), "{error}");
    let _ = NodeIndex(0);
}

#[test]
fn rows_move_when_the_number_of_partitions_changes() {
    use anabranch::rescale::{RescaleError, rescale};
    let folder = std::env::temp_dir().join(format!("anabranch-rescale-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    let before = deployment(2, 2).durable_in(&folder);
    let cluster = LocalCluster::start(protocol(), before.clone()).expect("start");
    let mut works_done = Vec::new();
    runtime().block_on(async {
        let client = works::Client::connect(cluster.deployment()).await.expect("connect");
        for payload in 0..40 {
            works_done.push((client.begin(payload).await.expect("an answer").0, payload));
        }
    });
    match rescale(works::protocol(), &before, "worker", 3) {
        Err(RescaleError::Open(_, error)) => {
            assert!(error.to_string().contains("another process uses this folder"), "{error}")
        }
        other => panic!("nodes run: {other:?}"),
    }
    cluster.stop();
    for (role, n, why) in [
        ("nobody", 3, "there is no role `nobody`"),
        ("leader", 3, "`leader` is not partitioned"),
        ("worker", 0, "`worker` cannot have zero partitions"),
    ] {
        let error = rescale(works::protocol(), &before, role, n).expect_err("impossible");
        assert_eq!(error.to_string(), why);
    }

    let done = rescale(works::protocol(), &before, "worker", 3).expect("rescaled");
    assert_eq!(done.partitions, (2, 3));
    let rows = &done.rows["kept"];
    assert_eq!(
        (rows.len(), rows.iter().sum::<usize>()),
        (9, 120),
        "40 rows at each of 3 instances: {rows:?}"
    );
    assert!(rows.iter().all(|n| *n > 0) && done.moved > 0);
    assert!(done.before.join("worker.0.1").is_dir(), "what was before is kept");

    let after = deployment(2, 3).durable_in(&folder);
    let cluster = LocalCluster::start(protocol(), after.clone()).expect("start");
    runtime().block_on(async {
        let client = works::Client::connect(cluster.deployment()).await.expect("connect");
        for (work, payload) in &works_done {
            let (found, at) = client.find(*work).await.expect("an answer");
            assert_eq!((found, at), (Some(*payload), u64::from(work.route % 3)));
        }
        // Nodes have other numbers now: no id is drawn twice all the same.
        for payload in 100..140 {
            let (work, ..) = client.begin(payload).await.expect("an answer");
            assert!(works_done.iter().all(|(old, _)| *old != work));
            works_done.push((work, payload));
        }
    });
    cluster.stop();
    match rescale(works::protocol(), &after, "worker", 1) {
        Err(RescaleError::Leftover(path)) => std::fs::remove_dir_all(path).expect("removed"),
        other => panic!("what was before is still kept: {other:?}"),
    }
    let done = rescale(works::protocol(), &after, "worker", 1).expect("rescaled");
    assert_eq!(done.rows["kept"], [80, 80, 80]);
    let cluster = LocalCluster::start(protocol(), deployment(2, 1).durable_in(&folder)).expect("start");
    runtime().block_on(async {
        let client = works::Client::connect(cluster.deployment()).await.expect("connect");
        for (work, payload) in &works_done {
            assert_eq!(client.find(*work).await.expect("an answer").0, Some(*payload));
        }
    });
    cluster.stop();
    let _ = std::fs::remove_dir_all(&folder);
}

#[test]
fn tables_without_routing_are_not_guessed_about() {
    use anabranch::rescale::rescale;
    let folder = std::env::temp_dir().join(format!("anabranch-unrouted-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    let deployment =
        Deployment::local(unrouted::protocol(), &[1]).with_partitions("store", 2).durable_in(&folder);
    // Empty ones may stay as they are.
    assert_eq!(rescale(unrouted::protocol(), &deployment, "store", 3).expect("empty").moved, 0);
    let _ = std::fs::remove_dir_all(&folder);
    let protocol: Arc<dyn Protocol> = Arc::new(unrouted::protocol());
    let cluster = LocalCluster::start(protocol, deployment.clone()).expect("start");
    runtime().block_on(async {
        let client = unrouted::Client::connect(cluster.deployment()).await.expect("connect");
        client.put(7).await.expect("an answer");
    });
    cluster.stop();
    let error = rescale(unrouted::protocol(), &deployment, "store", 3).expect_err("whose rows are they?");
    assert!(
        error.to_string().starts_with("`kept` does not say which partition its rows belong to"),
        "{error}"
    );
    let _ = std::fs::remove_dir_all(&folder);
}

#[test]
fn fingerprints_know_how_a_protocol_is_scaled() {
    let text = works::protocol().text();
    for said in ["role counter of leader, partitioned;", "to counter routed to all;", "routed by work;"] {
        assert!(text.contains(said), "{said} is part of the text that the fingerprint hashes:\n{text}");
    }
    let infos = works::protocol().role_infos();
    assert_eq!(
        infos.iter().map(|r| (r.whole, r.partitioned)).collect::<Vec<_>>(),
        [(None, false), (Some(0), true), (None, true)]
    );
}
