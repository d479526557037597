//! A running Anabranch deployment as a target.

use super::process::NodeProcess;
use super::{Outcome, Recorder, Shape, Target, Workload};
use anabranch::client::{CallError, Completion, LoadClient, LoadOptions};
use anabranch::control::Control;
use anabranch::core::node::{NodeIndex, Protocol};
use anabranch::deploy::Deployment;
use anabranch::launch::{Cluster, LaunchOptions};
use std::collections::BTreeMap;
use std::io::{Error, Result};
use std::sync::Arc;
use std::time::{Duration, Instant};

const NODE: &str = "deployed-node";

/// Becomes a node if the command line says so; otherwise returns.
pub fn maybe_node(find: impl Fn(&str) -> Option<Arc<dyn Protocol>>) {
    if std::env::args().nth(1).is_some_and(|a| a == NODE) {
        std::process::exit(anabranch::launch::child(find));
    }
}

/// A running deployment, its addresses resolved. Whoever started it stops it, unless it was launched here.
pub struct Deployed {
    name: String,
    protocol: Arc<dyn Protocol>,
    deployment: Deployment,
    workload: Workload,
    nodes: Vec<(NodeProcess, Control)>,
    /// Stops the nodes when it goes.
    cluster: Option<Cluster>,
}

impl Deployed {
    /// Connects to every node's control port.
    pub fn new(
        name: &str,
        protocol: Arc<dyn Protocol>,
        deployment: Deployment,
        workload: Workload,
    ) -> Result<Deployed> {
        let mut nodes = Vec::new();
        for index in (0..deployment.layout().nodes()).map(NodeIndex) {
            let mut control =
                Control::connect(protocol.as_ref(), &deployment, index).map_err(Error::other)?;
            let stats = control.stats().map_err(Error::other)?;
            nodes.push((NodeProcess { name: stats.node, pid: stats.pid }, control));
        }
        Ok(Deployed { name: name.to_owned(), protocol, deployment, workload, nodes, cluster: None })
    }

    /// Starts a process per node and loads it with the protocol's first request. The nodes are this program
    /// again: it must call [`maybe_node`] first.
    pub fn launch(name: &str, protocol: Arc<dyn Protocol>, deployment: Deployment) -> Result<Deployed> {
        let options = LaunchOptions::this_program(&[NODE])?;
        let cluster =
            Cluster::launch(protocol.clone(), deployment, options, &mut |_| {}).map_err(Error::other)?;
        let deployment = cluster.deployment().clone();
        let workload = Workload::new(protocol.as_ref(), &deployment.layout(), &[], &Shape::default())
            .map_err(Error::other)?;
        let mut deployed = Deployed::new(name, protocol, deployment, workload)?;
        deployed.cluster = Some(cluster);
        Ok(deployed)
    }

    /// Stops the nodes, if they were launched here.
    pub fn stop(&mut self) {
        self.nodes.clear();
        if let Some(cluster) = self.cluster.take() {
            cluster.stop(Duration::from_secs(5));
        }
    }
}

impl Target for Deployed {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn nodes(&self) -> Vec<NodeProcess> {
        self.nodes.iter().map(|n| n.0.clone()).collect()
    }

    fn drive(&mut self, recorder: &mut Recorder) -> Result<()> {
        let options = LoadOptions::default();
        let mut client =
            LoadClient::connect(self.protocol.as_ref(), &self.deployment, options).map_err(Error::other)?;
        let mut issued = vec![Instant::now(); recorder.clients];
        let mut done: Vec<Completion> = Vec::new();
        let mut next = 0;
        let mut submit = |client: &mut LoadClient, token: usize| {
            let request = self.workload.nth(next);
            next += 1;
            client.submit(request.tag, &request.args, request.route, token as u64);
        };
        for token in 0..recorder.clients {
            submit(&mut client, token);
        }
        while client.open() > 0 || !done.is_empty() {
            client.poll(Duration::from_millis(100), &mut done)?;
            let now = Instant::now();
            for completion in done.drain(..) {
                let token = completion.token as usize;
                recorder.ended(issued[token], now, outcome(&completion));
                if recorder.running() {
                    issued[token] = now;
                    submit(&mut client, token);
                }
            }
            recorder.at(now);
        }
        Ok(())
    }

    fn counters(&mut self) -> BTreeMap<String, BTreeMap<String, u64>> {
        let mut all = BTreeMap::new();
        for (node, control) in &mut self.nodes {
            let Ok(stats) = control.stats() else { continue };
            // Whatever grows; a new counter of the runtime needs no change here.
            let Ok(serde_json::Value::Object(counters)) = serde_json::to_value(&stats.counters) else {
                continue;
            };
            let numbers = counters.into_iter().filter_map(|(k, v)| Some((k, v.as_u64()?)));
            all.insert(node.name.clone(), numbers.collect());
        }
        all
    }
}

fn outcome(completion: &Completion) -> Outcome {
    match &completion.outcome {
        Ok(_) => Outcome::Answered,
        Err(CallError::Refused(_)) => Outcome::Refused,
        // What was never sent counts as a failure too: the figures must not hide it.
        Err(_) => Outcome::Unknown,
    }
}
