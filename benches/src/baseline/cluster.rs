//! Starts the baseline's processes and loads them.
//!
//! A node is this very program, started again with `baseline-node` as its first argument: a binary that uses
//! [`Cluster`] calls [`maybe_node`] first. Nodes end when their last accepted connection closes.

use super::coordinator::Coordinator;
use super::drive::Clients;
use super::participant::Participant;
use super::wire::Message;
use super::{Loop, run};
use crate::measure::{NodeProcess, Recorder, Target};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Error, Read, Result, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

const NODE: &str = "baseline-node";

/// Becomes a node if the command line says so; otherwise returns.
pub fn maybe_node() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_none_or(|a| a != NODE) {
        return;
    }
    let code = match node(&args[1..]) {
        Ok(()) => 0,
        Err(e) => {
            eprintln!("baseline node: {e}");
            1
        }
    };
    std::process::exit(code);
}

fn node(args: &[String]) -> Result<()> {
    let usage = || Error::other(format!("usage: {NODE} mio|tokio coordinator ADDRESS… | participant NUMBER"));
    let [kind, role, rest @ ..] = args else { return Err(usage()) };
    let kind = if kind == "mio" { Loop::Mio } else { Loop::Tokio };
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    std::io::stdout().flush()?;
    match role.as_str() {
        "coordinator" => {
            let made: Vec<TcpStream> = rest.iter().map(TcpStream::connect).collect::<Result<_>>()?;
            run(kind, &mut Coordinator::new(made.len()), made, Some(listener))
        }
        "participant" => {
            let me = rest.first().and_then(|n| n.parse().ok()).ok_or_else(usage)?;
            run(kind, &mut Participant::new(me), Vec::new(), Some(listener))
        }
        _ => Err(usage()),
    }
}

/// A running baseline: one coordinator, some participants.
pub struct Cluster {
    kind: Loop,
    nodes: Vec<(NodeProcess, SocketAddr, Child)>,
    /// Keeps the nodes alive between runs; asks for counters.
    control: Vec<TcpStream>,
}

impl Cluster {
    /// Starts the processes and connects to them.
    pub fn start(kind: Loop, participants: usize) -> Result<Cluster> {
        let mut cluster = Cluster { kind, nodes: Vec::new(), control: Vec::new() };
        for p in 0..participants {
            cluster.spawn(format!("participant.{p}"), &["participant".into(), p.to_string()])?;
        }
        let mut args = vec!["coordinator".to_owned()];
        args.extend(cluster.nodes.iter().map(|n| n.1.to_string()));
        cluster.spawn("coordinator.0".into(), &args)?;
        cluster.nodes.rotate_right(1);
        for (_, address, _) in &cluster.nodes {
            cluster.control.push(TcpStream::connect(address)?);
        }
        Ok(cluster)
    }

    fn spawn(&mut self, name: String, args: &[String]) -> Result<()> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(NODE)
            .arg(self.kind.name())
            .args(args)
            .stdout(Stdio::piped())
            .stdin(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("stdout is piped")).read_line(&mut line)?;
        let node = NodeProcess { name, pid: child.id() };
        let address = line.trim().parse();
        if address.is_err() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let address = address.map_err(|_| Error::other(format!("{} printed no address", node.name)))?;
        self.nodes.push((node, address, child));
        Ok(())
    }

    fn ask(control: &mut TcpStream) -> Result<BTreeMap<String, u64>> {
        let mut bytes = Vec::new();
        Message::Ask.put(&mut bytes);
        control.write_all(&bytes)?;
        let mut answer = [0; 17];
        control.read_exact(&mut answer)?;
        match Message::get(&answer) {
            Some((Message::Counters { rounds, messages }, _)) => {
                Ok(BTreeMap::from([("ticks".into(), rounds), ("messages".into(), messages)]))
            }
            other => Err(Error::other(format!("expected counters, got {other:?}"))),
        }
    }
}

impl Target for Cluster {
    fn name(&self) -> String {
        format!("by hand ({})", self.kind.name())
    }

    fn nodes(&self) -> Vec<NodeProcess> {
        self.nodes.iter().map(|n| n.0.clone()).collect()
    }

    fn drive(&mut self, recorder: &mut Recorder) -> Result<()> {
        let stream = TcpStream::connect(self.nodes[0].1)?;
        run(self.kind, &mut Clients::new(recorder), vec![stream], None)
    }

    fn counters(&mut self) -> BTreeMap<String, BTreeMap<String, u64>> {
        let names = self.nodes.iter().map(|n| n.0.name.clone());
        names.zip(&mut self.control).filter_map(|(name, c)| Some((name, Cluster::ask(c).ok()?))).collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.control.clear();
        for (_, _, child) in &mut self.nodes {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
