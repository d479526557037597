//! `anabranch deploy`: all nodes of a deployment as processes of this machine.

use crate::Protocols;
use crate::args::{Deploy, Format};
use crate::deployment::{load, shared};
use crate::exit::{CommandError, Exit, Result};
use anabranch::control::Control;
use anabranch::core::node::{NodeIndex, Protocol};
use anabranch::deploy::Deployment;
use anabranch::launch::{Cluster, LaunchOptions, Progress};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How long nodes may take to drain.
const GRACE: Duration = Duration::from_secs(10);
/// A node that dies so often within a minute is not started again.
const RESTARTS: usize = 5;

/// Starts all nodes of a deployment as processes that run this program again.
pub(crate) fn launch(
    protocol: Arc<dyn Protocol>,
    deployment: Deployment,
    progress: &mut dyn FnMut(Progress),
) -> Result<Cluster> {
    let options = LaunchOptions::this_program(&["node", "--launched"])
        .map_err(|e| CommandError::failure(format!("this program cannot be found: {e}")))?;
    Cluster::launch(protocol, deployment, options, progress).map_err(|e| CommandError::failure(e.to_string()))
}

/// Runs the command.
pub fn run(args: &Deploy, protocols: &Protocols) -> Result {
    let (protocol, deployment) = load(&args.deployment, protocols)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| CommandError::failure(e.to_string()))?;
    // Whoever interrupts us while nodes start means the nodes too: they end with this process's pipes.
    let mut stop = Stop::new(&runtime)?;
    let mut show = Show::new(args.format, deployment.layout().nodes());
    let cluster = launch(shared(protocol), deployment, &mut |p| show.progress(&p))?;
    cluster
        .deployment()
        .write_running()
        .map_err(|e| CommandError::failure(format!("the running file cannot be written: {e}")))?;
    let deployment = cluster.deployment().clone();
    show.ready(&deployment);
    let result = follow(cluster, protocol, &runtime, &mut stop, &mut show);
    deployment.remove_running();
    result
}

/// Watches the nodes until someone says stop or one of them cannot be helped.
fn follow(
    mut cluster: Cluster,
    protocol: &'static dyn Protocol,
    runtime: &tokio::runtime::Runtime,
    stop: &mut Stop,
    show: &mut Show,
) -> Result {
    let mut restarts: Vec<Instant> = Vec::new();
    let mut controls: Vec<Option<Control>> = Vec::new();
    let mut shown = Instant::now();
    let failed = loop {
        if runtime.block_on(stop.within(Duration::from_millis(100))) {
            break None;
        }
        let mut failed = None;
        for ended in cluster.ended() {
            restarts.retain(|at| at.elapsed() < Duration::from_secs(60));
            let group = cluster.fate_of(ended.node);
            if ended.restartable && cluster.pid(ended.node).is_some() {
                // Another node of its group ended too, and has brought it back.
                continue;
            }
            let others: Vec<String> = group
                .iter()
                .filter(|&&node| node != ended.node)
                .map(|&node| cluster.deployment().node_name(node))
                .collect();
            let again = ended.restartable && restarts.len() < RESTARTS;
            show.event(
                json!({
                    "event": "ended", "node": ended.name, "how": ended.how, "restarts": again,
                    "with": others,
                }),
                || {
                    let what = match (again, &others[..]) {
                        (false, _) => String::new(),
                        (true, []) => "; starting it again".to_string(),
                        (true, others) => format!(
                            "; stopping {}, which share{} its fate, and starting all again",
                            others.join(", "),
                            if others.len() == 1 { "s" } else { "" }
                        ),
                    };
                    format!("{} ended: {}{what}", ended.name, ended.how)
                },
            );
            if !again {
                failed = Some(format!("{}: {}", ended.name, ended.how));
                continue;
            }
            restarts.push(Instant::now());
            let node = ended.node;
            let mut started = cluster.restart(node);
            if started.is_ok() {
                started = cluster.wait_ready(node);
            }
            if let Err(error) = started {
                failed = Some(error.to_string());
                continue;
            }
            for name in std::iter::once(&ended.name).chain(&others) {
                show.event(json!({ "event": "ready", "node": name }), || format!("{name} is ready again"));
            }
        }
        if failed.is_some() {
            break failed;
        }
        if show.terminal() && shown.elapsed() > Duration::from_secs(1) {
            shown = Instant::now();
            show.health(&mut controls, protocol, cluster.deployment());
        }
    };
    show.event(json!({ "event": "stopping" }), || "stopping".to_string());
    let unclean: Vec<String> = cluster
        .stop(GRACE)
        .into_iter()
        .filter(|e| !e.orderly)
        .map(|e| format!("{}: {}", e.name, e.how))
        .collect();
    show.event(json!({ "event": "stopped" }), || "stopped".to_string());
    match failed {
        Some(why) => Err(CommandError::failure(why)),
        None if unclean.is_empty() => Ok(Exit::Ok),
        None => Err(CommandError::failure(unclean.join("\n"))),
    }
}

/// SIGINT and SIGTERM.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    fn new(runtime: &tokio::runtime::Runtime) -> Result<Stop> {
        let _inside = runtime.enter();
        let listen = |kind| signal(kind).map_err(|e| CommandError::failure(e.to_string()));
        Ok(Stop { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }
    async fn within(&mut self, time: Duration) -> bool {
        tokio::select! {
            _ = self.interrupt.recv() => true,
            _ = self.terminate.recv() => true,
            () = tokio::time::sleep(time) => false,
        }
    }
}

/// What the user sees: a bar and a status line on a terminal, plain lines or JSON otherwise.
struct Show {
    format: Format,
    bar: Option<ProgressBar>,
    began: Instant,
    requests: u64,
}

impl Show {
    fn new(format: Format, nodes: u32) -> Show {
        let bar = (format == Format::Text && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::new(u64::from(nodes));
            let style = ProgressStyle::with_template("{bar:30} {pos}/{len} nodes ready  {msg}");
            bar.set_style(style.expect("the template is well-formed"));
            bar
        });
        Show { format, bar, began: Instant::now(), requests: 0 }
    }

    fn terminal(&self) -> bool {
        self.bar.is_some()
    }

    fn progress(&mut self, progress: &Progress) {
        match progress {
            Progress::Listening { node, address, pid } => {
                let value =
                    json!({ "event": "listening", "node": node, "address": address.to_string(), "pid": pid });
                self.event(value, || format!("{node} listens at {address} (process {pid})"));
            }
            Progress::Ready { node } => {
                self.bar.iter().for_each(|bar| bar.inc(1));
                self.event(json!({ "event": "ready", "node": node }), || format!("{node} is ready"));
            }
        }
    }

    fn ready(&mut self, deployment: &Deployment) {
        if let Some(bar) = &self.bar {
            bar.set_style(
                ProgressStyle::with_template("{spinner} {msg}").expect("the template is well-formed"),
            );
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        let text = || format!("{} is ready; Ctrl-C stops it", deployment.protocol);
        self.event(json!({ "event": "running", "protocol": deployment.protocol }), text);
    }

    fn event(&self, value: Value, text: impl Fn() -> String) {
        match (self.format, &self.bar) {
            (Format::Json, _) => println!("{value}"),
            (Format::Text, Some(bar)) => bar.println(text()),
            (Format::Text, None) => eprintln!("{}", text()),
        }
    }

    fn health(
        &mut self,
        controls: &mut Vec<Option<Control>>,
        protocol: &dyn Protocol,
        deployment: &Deployment,
    ) {
        let nodes = deployment.layout().nodes();
        controls.resize_with(nodes as usize, || None);
        let (mut up, mut requests, mut memory) = (0, 0, 0);
        for (i, control) in controls.iter_mut().enumerate() {
            if control.is_none() {
                *control = Control::connect(protocol, deployment, NodeIndex(i as u32)).ok();
            }
            match control.as_mut().map(Control::stats) {
                Some(Ok(stats)) => {
                    up += u32::from(stats.ready);
                    requests += stats.counters.requests_in;
                    memory += stats.rss_bytes;
                }
                _ => *control = None,
            }
        }
        let rate = requests.saturating_sub(std::mem::replace(&mut self.requests, requests));
        let seconds = self.began.elapsed().as_secs();
        if let Some(bar) = &self.bar {
            bar.set_message(format!(
                "{up}/{nodes} nodes ready, up {seconds} s, {rate} requests/s, {} MiB",
                memory >> 20
            ));
        }
    }
}
