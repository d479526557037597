//! A process per node on this machine: the launcher's side, and the node process's.
//!
//! The launcher starts its own program again for each node, with arguments that lead to [`child`], and
//! talks to it over standard input and output:
//!
//! ```text
//! launcher → node   one line of JSON: everything about the node      (Spec)
//! node → launcher   listening 127.0.0.1:23456
//! launcher → node   peers 127.0.0.1:23456 127.0.0.1:23457 …
//! node → launcher   ready
//! ```
//!
//! So free ports are chosen without a race. When standard input ends, the node stops in good order: that is
//! how it is stopped, and also what happens if the launcher dies. Nodes are in process groups of their own,
//! so that Ctrl-C reaches the launcher only. The launcher kills nothing but its own children, and
//! those only if they do not stop in time, or share the fate of one that ended.

mod child;
mod spec;

pub use child::{child, run_node};

use crate::deploy::Deployment;
use crate::start::{self, StartError};
use anabranch_core::node::{NodeIndex, Protocol, fate_of};
use spec::Spec;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How node processes are started.
pub struct LaunchOptions {
    /// The program; this one unless told otherwise.
    pub program: PathBuf,
    /// Arguments that make it call [`child`].
    pub args: Vec<OsString>,
    /// How long all nodes together may take to become ready.
    pub patience: Duration,
}

impl LaunchOptions {
    /// This program again, with some arguments.
    pub fn this_program(args: &[&str]) -> std::io::Result<LaunchOptions> {
        let args = args.iter().map(OsString::from).collect();
        Ok(LaunchOptions { program: std::env::current_exe()?, args, patience: Duration::from_secs(30) })
    }
}

/// What a launch is at, for progress displays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The node's process listens.
    Listening {
        /// The node.
        node: String,
        /// Its address.
        address: SocketAddr,
        /// Its process.
        pid: u32,
    },
    /// The node has recovered and met all others.
    Ready {
        /// The node.
        node: String,
    },
}

/// How a node's process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The node.
    pub node: NodeIndex,
    /// Its name.
    pub name: String,
    /// Whether it was told to.
    pub orderly: bool,
    /// Whether the cure is to start it again: it was killed, or another node gave it up.
    pub restartable: bool,
    /// In words.
    pub how: String,
}

/// A deployment whose nodes are processes of this machine, started and watched by this one.
pub struct Cluster {
    protocol: Arc<dyn Protocol>,
    deployment: Deployment,
    options: LaunchOptions,
    nodes: Vec<Slot>,
}

struct Slot {
    name: String,
    incarnation: u64,
    process: Option<Process>,
    /// It was restarted, and has not said that it is ready.
    late: bool,
}

struct Process {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Cluster {
    /// Starts all nodes and waits until they are ready. If one fails, the others are stopped again.
    pub fn launch(
        protocol: Arc<dyn Protocol>,
        deployment: Deployment,
        options: LaunchOptions,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Cluster, StartError> {
        start::check(protocol.as_ref(), &deployment)?;
        let layout = deployment.layout();
        let names = (0..layout.nodes()).map(|i| deployment.node_name(NodeIndex(i)));
        let nodes = names.map(|name| Slot { name, incarnation: 0, process: None, late: false }).collect();
        let mut cluster = Cluster { protocol, deployment, options, nodes };
        let until = Instant::now() + cluster.options.patience;
        for node in 0..cluster.nodes.len() {
            cluster.spawn(node)?;
        }
        let mut addresses = Vec::new();
        for node in 0..cluster.nodes.len() {
            let address = cluster.listening(node, until)?;
            let process = cluster.nodes[node].process.as_ref().expect("just started");
            let pid = process.child.id();
            progress(Progress::Listening { node: cluster.nodes[node].name.clone(), address, pid });
            addresses.push(address);
        }
        cluster.deployment.set_addresses(&addresses);
        for node in 0..cluster.nodes.len() {
            cluster.introduce(node)?;
        }
        for node in 0..cluster.nodes.len() {
            cluster.expect_line(node, "ready", until)?;
            progress(Progress::Ready { node: cluster.nodes[node].name.clone() });
        }
        Ok(cluster)
    }

    /// The deployment with all addresses.
    pub fn deployment(&self) -> &Deployment {
        &self.deployment
    }

    /// A node's process, if it runs.
    pub fn pid(&self, node: NodeIndex) -> Option<u32> {
        self.nodes[node.0 as usize].process.as_ref().map(|process| process.child.id())
    }

    /// Nodes that have ended since the last call.
    pub fn ended(&mut self) -> Vec<Ended> {
        let mut ended = Vec::new();
        for (i, slot) in self.nodes.iter_mut().enumerate() {
            let Some(process) = &mut slot.process else { continue };
            if let Ok(Some(status)) = process.child.try_wait() {
                let last = process.lines.try_iter().last();
                slot.process = None;
                ended.push(describe(i, &slot.name, status, last));
            }
        }
        ended
    }

    /// The nodes that share a node's fate, itself included.
    pub fn fate_of(&self, node: NodeIndex) -> Vec<NodeIndex> {
        fate_of(&self.protocol.role_infos(), &self.deployment.layout(), node)
    }

    /// Starts a node again that has ended, and with it all that share its fate: those that still run are killed
    /// first, and none starts before all have ended.
    pub fn restart(&mut self, node: NodeIndex) -> Result<(), StartError> {
        let until = Instant::now() + self.options.patience;
        assert!(self.nodes[node.0 as usize].process.is_none(), "{} runs", self.nodes[node.0 as usize].name);
        let group = self.fate_of(node);
        for &node in &group {
            // The barrier: a new incarnation does not begin while any of the old one can still answer a client.
            self.kill(node)?;
        }
        let group: Vec<usize> = group.into_iter().map(|node| node.0 as usize).collect();
        for &node in &group {
            self.spawn(node)?;
            self.nodes[node].late = true;
        }
        for &node in &group {
            self.listening(node, until)?;
        }
        for &node in &group {
            self.introduce(node)?;
        }
        Ok(())
    }

    /// Waits until a node that was restarted, and those that were restarted with it, have met the others.
    pub fn wait_ready(&mut self, node: NodeIndex) -> Result<(), StartError> {
        let until = Instant::now() + self.options.patience;
        for node in self.fate_of(node) {
            if std::mem::take(&mut self.nodes[node.0 as usize].late) {
                self.expect_line(node.0 as usize, "ready", until)?;
            }
        }
        Ok(())
    }

    /// Kills a node as `kill -9` does: for tests of what then happens.
    pub fn kill(&mut self, node: NodeIndex) -> std::io::Result<()> {
        if let Some(mut process) = self.nodes[node.0 as usize].process.take() {
            process.child.kill()?;
            process.child.wait()?;
        }
        Ok(())
    }

    /// Stops all nodes in good order; those that do not end within the grace time are killed.
    pub fn stop(mut self, grace: Duration) -> Vec<Ended> {
        self.end(grace)
    }

    fn end(&mut self, grace: Duration) -> Vec<Ended> {
        let until = Instant::now() + grace;
        // All at once, so that each still finds the others while it drains.
        for slot in &mut self.nodes {
            if let Some(process) = &mut slot.process {
                process.input = None;
            }
        }
        let mut ended = Vec::new();
        for (i, slot) in self.nodes.iter_mut().enumerate() {
            let Some(mut process) = slot.process.take() else { continue };
            let status = loop {
                match process.child.try_wait() {
                    Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(5)),
                    Ok(None) => {
                        // It is ours, and had its time.
                        let _ = process.child.kill();
                        break process.child.wait();
                    }
                    Ok(Some(status)) => break Ok(status),
                    Err(error) => break Err(error),
                }
            };
            if let Ok(status) = status {
                let last = process.lines.try_iter().last();
                ended.push(describe(i, &slot.name, status, last));
            }
        }
        ended
    }

    fn spawn(&mut self, node: usize) -> Result<(), StartError> {
        let slot = &mut self.nodes[node];
        slot.incarnation += 1;
        let spec = Spec::new(self.protocol.as_ref(), &self.deployment, &slot.name, slot.incarnation);
        let mut command = Command::new(&self.options.program);
        command.args(&self.options.args).stdin(Stdio::piped()).stdout(Stdio::piped());
        command.process_group(0);
        let failed = |reason: String| StartError::Process { node: slot.name.clone(), reason };
        let mut child = command
            .spawn()
            .map_err(|error| failed(format!("cannot start {}: {error}", self.options.program.display())))?;
        let mut input = child.stdin.take().expect("standard input is piped");
        let output = child.stdout.take().expect("standard output is piped");
        let (sender, lines) = channel();
        std::thread::Builder::new().name(format!("output of {}", slot.name)).spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        })?;
        let mut line = serde_json::to_string(&spec).expect("a spec is plain data");
        line.push('\n');
        let wrote = input.write_all(line.as_bytes()).and_then(|()| input.flush());
        slot.process = Some(Process { child, input: Some(input), lines });
        wrote.map_err(|error| StartError::Process {
            node: self.nodes[node].name.clone(),
            reason: error.to_string(),
        })
    }

    fn listening(&mut self, node: usize, until: Instant) -> Result<SocketAddr, StartError> {
        let line = self.expect_line(node, "listening ", until)?;
        let address = line.parse().map_err(|_| StartError::Process {
            node: self.nodes[node].name.clone(),
            reason: format!("listens at {line:?}, which is no address"),
        })?;
        Ok(address)
    }

    fn introduce(&mut self, node: usize) -> Result<(), StartError> {
        let addresses = self.deployment.addresses().expect("all nodes listen");
        let addresses: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
        let line = format!("peers {}\n", addresses.join(" "));
        let slot = &mut self.nodes[node];
        let process = slot.process.as_mut().expect("just started");
        let input = process.input.as_mut().expect("not stopped");
        input
            .write_all(line.as_bytes())
            .and_then(|()| input.flush())
            .map_err(|error| StartError::Process { node: slot.name.clone(), reason: error.to_string() })
    }

    /// The rest of the node's next line, which must begin with a word.
    fn expect_line(&mut self, node: usize, word: &str, until: Instant) -> Result<String, StartError> {
        let slot = &mut self.nodes[node];
        let failed = |reason: String| StartError::Process { node: slot.name.clone(), reason };
        let process = slot.process.as_mut().ok_or_else(|| failed("has ended".into()))?;
        let line = match process.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => return Err(StartError::NotReady(vec![slot.name.clone()])),
            Err(RecvTimeoutError::Disconnected) => {
                let status = process.child.wait()?;
                return Err(failed(format!("ended before it was ready ({status})")));
            }
        };
        match line.strip_prefix(word) {
            Some(rest) => Ok(rest.to_string()),
            None => Err(failed(line.strip_prefix("failed ").unwrap_or(&line).to_string())),
        }
    }
}

/// Nothing is left behind, also after a failure half-way.
impl Drop for Cluster {
    fn drop(&mut self) {
        self.end(Duration::from_secs(5));
    }
}

fn describe(node: usize, name: &str, status: ExitStatus, last: Option<String>) -> Ended {
    let said = last.and_then(|line| line.strip_prefix("failed ").map(str::to_string));
    let how = match (said, status.signal()) {
        (Some(said), _) => said,
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => format!("{status}"),
    };
    Ended {
        node: NodeIndex(node as u32),
        name: name.to_string(),
        orderly: status.success(),
        restartable: status.signal().is_some() || status.code() == Some(child::GIVEN_UP),
        how,
    }
}
