//! Requests and their outcomes, over both clients.

use super::mock::*;
use crate::client::{CallError, Client, ConnectError, LoadClient, LoadOptions};
use crate::control::{AskError, Control};
use crate::deploy::Deployment;
use crate::embed::LocalCluster;
use crate::transport::hello::Refusal;
use anabranch_core::data::Bytes;
use anabranch_core::id::Req;
use anabranch_core::node::{Answer, NodeIndex, Protocol};
use anabranch_core::value::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime")
}

pub fn cluster(protocol: &Arc<dyn Protocol>, instances: &[u32]) -> LocalCluster {
    let deployment = Deployment::local(protocol.as_ref(), instances);
    LocalCluster::start(protocol.clone(), deployment).expect("start")
}

fn text(s: &str) -> Value {
    Value::Bytes(Bytes::copy_from_slice(s.as_bytes()))
}

#[test]
fn answers_over_values() {
    let protocol = Mock::new(Echo, &["server"]).shared();
    let cluster = cluster(&protocol, &[1]);
    runtime().block_on(async {
        let client = Client::connect(protocol.as_ref(), cluster.deployment()).await.expect("connect");
        let answer = client.call("ask", &[text("hello")]).await;
        assert_eq!(answer, Ok(Value::tuple([text("hello")])));
        let many = (0..100).map(|i| {
            let client = client.clone();
            tokio::spawn(async move { client.call("ask", &[text(&i.to_string())]).await })
        });
        for (i, call) in many.collect::<Vec<_>>().into_iter().enumerate() {
            assert_eq!(call.await.expect("task"), Ok(Value::tuple([text(&i.to_string())])));
        }
    });
    let mut control =
        Control::connect(protocol.as_ref(), cluster.deployment(), NodeIndex(0)).expect("control");
    let stats = control.stats().expect("stats");
    assert_eq!(stats.counters.requests_in, 101);
    assert_eq!(stats.counters.replies_out, 101);
    assert_eq!(stats.node, "server.0");
    cluster.stop();
}

#[test]
fn a_load_client_pipelines() {
    let protocol = Mock::new(Echo, &["server"]).shared();
    let cluster = cluster(&protocol, &[2]);
    let mut client = LoadClient::connect(protocol.as_ref(), cluster.deployment(), LoadOptions::default())
        .expect("connect");
    let (mut done, mut submitted, mut ended) = (Vec::new(), 0u64, 0);
    while ended < 20_000 {
        while submitted < 20_000 && client.open() < 500 {
            client.submit(ASK, &submitted.to_le_bytes(), None, submitted);
            submitted += 1;
        }
        client.poll(Duration::from_secs(5), &mut done).expect("poll");
        for completion in done.drain(..) {
            assert_eq!(completion.outcome.as_deref(), Ok(&completion.token.to_le_bytes()[..]));
            ended += 1;
        }
    }
    assert_eq!(client.open(), 0);
    let stats = Control::connect(protocol.as_ref(), cluster.deployment(), NodeIndex(0))
        .and_then(|mut c| c.stats())
        .expect("stats");
    assert_eq!(stats.counters.requests_in, 10_000, "instances take turns");
    assert!(stats.counters.steps < 5_000, "requests share ticks: {} macro-steps", stats.counters.steps);
}

/// Refuses everything.
#[derive(Clone)]
struct Refuser;
impl Behaviour for Refuser {
    fn request(&mut self, cx: &mut Cx<'_>, req: Req, _: &[u8]) {
        let mut bytes = Vec::new();
        anabranch_core::data::Schema::Str.encode(&Value::str("no"), &mut bytes).expect("a string");
        cx.answer(req, Answer::Refuse(bytes.into()));
    }
}

#[test]
fn refusals_carry_the_error() {
    let protocol = Mock::new(Refuser, &["server"]).shared();
    let cluster = cluster(&protocol, &[1]);
    let outcome = runtime().block_on(async {
        let client = Client::connect(protocol.as_ref(), cluster.deployment()).await.expect("connect");
        client.call("ask", &[text("please")]).await
    });
    assert_eq!(outcome, Err(CallError::Refused(Value::str("no"))));
}

/// Instance 0 sends everybody to instance 1.
#[derive(Clone)]
struct Redirector;
impl Behaviour for Redirector {
    fn request(&mut self, cx: &mut Cx<'_>, req: Req, args: &[u8]) {
        match cx.me.instance {
            1 => cx.reply(req, args),
            _ => cx.answer(req, Answer::Redirect(1)),
        }
    }
}

#[test]
fn redirects_are_followed() {
    let protocol = Arc::new(Mock { resend: true, ..Mock::new(Redirector, &["server"]) });
    let shared: Arc<dyn Protocol> = protocol.clone();
    let cluster = cluster(&shared, &[3]);
    runtime().block_on(async {
        let client = Client::connect(protocol.as_ref(), cluster.deployment()).await.expect("connect");
        for i in 0..10 {
            assert_eq!(
                client.call("ask", &[text(&i.to_string())]).await,
                Ok(Value::tuple([text(&i.to_string())]))
            );
        }
    });
    let stats = Control::connect(protocol.as_ref(), cluster.deployment(), NodeIndex(0))
        .and_then(|mut c| c.stats())
        .expect("stats");
    assert_eq!(stats.counters.requests_in, 1, "the client remembers who is in charge");
}

/// Never answers, but counts.
#[derive(Clone)]
struct Silent(Arc<AtomicU64>);
impl Behaviour for Silent {
    fn request(&mut self, cx: &mut Cx<'_>, req: Req, args: &[u8]) {
        self.0.fetch_add(1, Ordering::SeqCst);
        if cx.me.instance == 1 {
            cx.reply(req, args);
        }
    }
    fn rows(&self) -> Vec<Value> {
        vec![Value::tuple([Value::Int(self.0.load(Ordering::SeqCst).into())])]
    }
}

#[test]
fn an_open_request_at_a_dead_node_is_unknown() {
    let count = Arc::new(AtomicU64::new(0));
    let protocol = Mock::new(Silent(count.clone()), &["server"]).shared();
    let mut cluster = cluster(&protocol, &[1]);
    runtime().block_on(async {
        let client = Client::connect(protocol.as_ref(), cluster.deployment()).await.expect("connect");
        let impatient = client.clone().with_timeout(Duration::from_millis(200));
        let outcome = impatient.call("ask", &[text("a")]).await;
        assert!(matches!(outcome, Err(CallError::Unknown(_))), "{outcome:?}");
        let other = client.clone();
        let open = tokio::spawn(async move { other.call("ask", &[text("b")]).await });
        while count.load(Ordering::SeqCst) < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        cluster.crash(NodeIndex(0));
        let outcome = open.await.expect("task");
        assert!(matches!(outcome, Err(CallError::Unknown(_))), "{outcome:?}");
        let outcome = impatient.call("ask", &[text("c")]).await;
        assert!(matches!(outcome, Err(CallError::NotSent(_))), "{outcome:?}");
    });
    assert_eq!(count.load(Ordering::SeqCst), 2, "what was not sent did not arrive");
}

#[test]
fn a_repeatable_request_finds_another_instance() {
    let count = Arc::new(AtomicU64::new(0));
    let protocol = Arc::new(Mock { resend: true, ..Mock::new(Silent(count.clone()), &["server"]) });
    let shared: Arc<dyn Protocol> = protocol.clone();
    let cluster = cluster(&shared, &[2]);
    runtime().block_on(async {
        let client = Client::connect(protocol.as_ref(), cluster.deployment()).await.expect("connect");
        // Instance 0 takes it and says nothing.
        assert_eq!(client.call("ask", &[text("x")]).await, Ok(Value::tuple([text("x")])));
    });
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

/// Answers whoever asks twice.
#[derive(Clone)]
struct Deaf(BTreeSet<Req>);
impl Behaviour for Deaf {
    fn request(&mut self, cx: &mut Cx<'_>, req: Req, args: &[u8]) {
        if !self.0.insert(req) {
            cx.reply(req, args);
        }
    }
}

#[test]
fn a_repeat_reaches_the_node_that_has_taken_the_request_before() {
    let protocol = Arc::new(Mock { resend: true, ..Mock::new(Deaf(BTreeSet::new()), &["server"]) });
    let shared: Arc<dyn Protocol> = protocol.clone();
    let cluster = cluster(&shared, &[1]);
    runtime().block_on(async {
        let client = Client::connect(protocol.as_ref(), cluster.deployment()).await.expect("connect");
        assert_eq!(client.call("ask", &[text("x")]).await, Ok(Value::tuple([text("x")])));
    });
}

#[test]
fn tables_can_be_read_from_outside() {
    let protocol = Mock::new(Silent(Arc::new(AtomicU64::new(5))), &["server"]).shared();
    let cluster = cluster(&protocol, &[1]);
    let mut control =
        Control::connect(protocol.as_ref(), cluster.deployment(), NodeIndex(0)).expect("control");
    assert_eq!(control.rows("state").expect("rows"), [Value::tuple([Value::Int(5)])]);
    match control.rows("nothing") {
        Err(AskError::Declined(why)) => {
            assert_eq!(why, "`server` has no table or view `nothing`; it has state")
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn other_programs_are_refused() {
    let protocol = Mock::new(Echo, &["server"]).shared();
    let cluster = cluster(&protocol, &[1]);
    let other = Mock { fingerprint: 43, ..Mock::new(Echo, &["server"]) };
    match LoadClient::connect(&other, cluster.deployment(), LoadOptions::default()) {
        Err(ConnectError::Refused { node, refusal }) => {
            assert_eq!(node, "server.0");
            assert_eq!(refusal, Refusal::Fingerprint { expected: 43, found: 42 });
        }
        other => panic!("{:?}", other.err()),
    }
    let mut larger = cluster.deployment().clone();
    larger.roles[0].instances = 2;
    let address = larger.roles[0].addresses[0];
    larger.roles[0].addresses.push(address);
    match LoadClient::connect(protocol.as_ref(), &larger, LoadOptions::default()) {
        Err(ConnectError::Refused { refusal, .. }) => assert_eq!(refusal, Refusal::Layout),
        other => panic!("{:?}", other.err()),
    }
    let stats = Control::connect(protocol.as_ref(), cluster.deployment(), NodeIndex(0))
        .and_then(|mut c| c.stats())
        .expect("stats");
    assert!(stats.counters.refused >= 2);
}
