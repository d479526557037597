//! Nodes inside the user's own process, one thread each: for tests, for tools, and for programs that bring
//! their own replicas along.

use crate::deploy::Deployment;
use crate::driver::{Exit, Remote};
use crate::observe::Observer;
use crate::start::{self, StartError};
use anabranch_core::node::{NodeIndex, Protocol, Seat, fate_of};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A deployment whose nodes are threads of this process.
pub struct LocalCluster {
    protocol: Arc<dyn Protocol>,
    deployment: Deployment,
    nodes: Vec<Slot>,
    observers: Observers,
}

/// Makes the observer of a node, each time it starts.
type Observers = Box<dyn Fn(Seat) -> Option<Box<dyn Observer>> + Send>;

struct Slot {
    incarnation: u64,
    running: Option<(Remote, JoinHandle<Exit>)>,
}

impl LocalCluster {
    /// Starts all nodes and waits until they have met each other. Missing addresses are filled in.
    pub fn start(protocol: Arc<dyn Protocol>, deployment: Deployment) -> Result<LocalCluster, StartError> {
        LocalCluster::start_observed(protocol, deployment, |_| None)
    }

    /// The same with an observer for each node that it is made for: it is told the rows of durable events.
    pub fn start_observed(
        protocol: Arc<dyn Protocol>,
        deployment: Deployment,
        observers: impl Fn(Seat) -> Option<Box<dyn Observer>> + Send + 'static,
    ) -> Result<LocalCluster, StartError> {
        start::check(protocol.as_ref(), &deployment)?;
        let layout = deployment.layout();
        let mut listeners = Vec::new();
        for i in 0..layout.nodes() {
            let seat = layout.seat(NodeIndex(i)).expect("a node of the layout");
            let address = start::address_of(&deployment, &layout, seat);
            listeners.push(start::bind(&deployment.seat_name(seat), address)?);
        }
        let addresses =
            listeners.iter().map(TcpListener::local_addr).collect::<Result<Vec<SocketAddr>, _>>()?;
        let mut deployment = deployment;
        deployment.set_addresses(&addresses);
        let nodes = (0..layout.nodes()).map(|_| Slot { incarnation: 0, running: None }).collect();
        let mut cluster = LocalCluster { protocol, deployment, nodes, observers: Box::new(observers) };
        for (i, listener) in listeners.into_iter().enumerate() {
            cluster.run(i, listener)?;
        }
        cluster.wait_ready(Duration::from_secs(20))?;
        Ok(cluster)
    }

    fn run(&mut self, node: usize, listener: TcpListener) -> Result<(), StartError> {
        let layout = self.deployment.layout();
        let seat = layout.seat(NodeIndex(node as u32)).expect("a node of the layout");
        let addresses = self.deployment.addresses().expect("filled in at the start");
        let observer = (self.observers)(seat);
        let slot = &mut self.nodes[node];
        slot.incarnation += 1;
        let driver = start::driver(
            &self.protocol,
            &self.deployment,
            seat,
            listener,
            addresses,
            slot.incarnation,
            true,
            observer,
        )?;
        let remote = driver.remote();
        let name = self.deployment.seat_name(seat);
        let thread = std::thread::Builder::new().name(name.clone()).spawn(move || {
            let exit = driver.run();
            if !matches!(exit, Exit::Stopped) {
                tracing::error!(node = %name, "{exit}");
            }
            exit
        })?;
        slot.running = Some((remote, thread));
        Ok(())
    }

    /// Waits until all running nodes have met all others.
    pub fn wait_ready(&self, timeout: Duration) -> Result<(), StartError> {
        let start = Instant::now();
        loop {
            let late = |(i, slot): (usize, &Slot)| match &slot.running {
                Some((remote, thread)) if !remote.ready() || thread.is_finished() => Some(i),
                _ => None,
            };
            let late: Vec<usize> = self.nodes.iter().enumerate().filter_map(late).collect();
            if late.is_empty() {
                return Ok(());
            }
            if start.elapsed() > timeout {
                let names = late.iter().map(|&i| self.deployment.node_name(NodeIndex(i as u32)));
                return Err(StartError::NotReady(names.collect()));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// The deployment with all addresses.
    pub fn deployment(&self) -> &Deployment {
        &self.deployment
    }

    /// Ends a node at once, as if its process had been killed. Gives what it ended with.
    pub fn crash(&mut self, node: NodeIndex) -> Option<Exit> {
        let (remote, thread) = self.nodes[node.0 as usize].running.take()?;
        remote.abort();
        Some(joined(thread))
    }

    /// Starts a node that was crashed or ended by itself, as a new incarnation. With it, all that share its fate:
    /// they are crashed first, and start when all have ended.
    pub fn restart(&mut self, node: NodeIndex) -> Result<(), StartError> {
        let group = fate_of(&self.protocol.role_infos(), &self.deployment.layout(), node);
        for &node in &group {
            self.crash(node);
        }
        for node in group {
            let address = self.deployment.addresses().expect("filled in at the start")[node.0 as usize];
            let listener = start::bind(&self.deployment.node_name(node), address)?;
            self.run(node.0 as usize, listener)?;
        }
        Ok(())
    }

    /// Whether a node's thread has ended by itself.
    pub fn ended(&self, node: NodeIndex) -> bool {
        self.nodes[node.0 as usize].running.as_ref().is_none_or(|(_, thread)| thread.is_finished())
    }

    /// Stops all nodes in good order and gives what each ended with.
    pub fn stop(mut self) -> Vec<Exit> {
        self.end()
    }

    fn end(&mut self) -> Vec<Exit> {
        for (remote, _) in self.nodes.iter().filter_map(|slot| slot.running.as_ref()) {
            remote.stop();
        }
        self.nodes
            .iter_mut()
            .filter_map(|slot| slot.running.take())
            .map(|(_, thread)| joined(thread))
            .collect()
    }
}

impl Drop for LocalCluster {
    fn drop(&mut self) {
        self.end();
    }
}

fn joined(thread: JoinHandle<Exit>) -> Exit {
    thread.join().unwrap_or_else(|_| Exit::Io(std::io::Error::other("the node's thread panicked")))
}
