//! The node process: under a launcher, or by itself.

use super::spec::Spec;
use crate::deploy::Deployment;
use crate::driver::{Driver, Exit, Remote};
use crate::start::{self, StartError};
use anabranch_core::node::{Protocol, Seat};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Exit code of a node that another node gave up: starting it again is the cure.
pub(super) const GIVEN_UP: i32 = 75;
/// Exit code of a node that failed otherwise.
const FAILED: i32 = 1;

/// Runs one node under a launcher, which speaks over standard input and output; gives the exit code.
/// `find` knows the protocols of this program by name.
pub fn child(find: impl Fn(&str) -> Option<Arc<dyn Protocol>>) -> i32 {
    match launched(find) {
        Ok(Exit::Stopped) => 0,
        Ok(exit) => {
            say(&format!("failed {}", one_line(&exit.to_string())));
            if matches!(exit, Exit::GivenUp { .. }) { GIVEN_UP } else { FAILED }
        }
        Err(why) => {
            say(&format!("failed {}", one_line(&why)));
            FAILED
        }
    }
}

fn launched(find: impl Fn(&str) -> Option<Arc<dyn Protocol>>) -> Result<Exit, String> {
    let mut lines = BufReader::new(io::stdin()).lines().map_while(Result::ok);
    let spec = lines.next().ok_or("the launcher is gone")?;
    let spec: Spec =
        serde_json::from_str(&spec).map_err(|error| format!("not started by a launcher: {error}"))?;
    let protocol =
        find(&spec.protocol).ok_or_else(|| format!("this program has no protocol `{}`", spec.protocol))?;
    let deployment = spec.deployment(protocol.as_ref()).ok_or("the launcher is of another version")?;
    let seat = deployment.find_seat(&spec.seat).ok_or("the launcher is of another version")?;
    let address = start::address_of(&deployment, &deployment.layout(), seat);
    let patience = Duration::from_secs(if spec.incarnation > 1 { 5 } else { 0 });
    let listener = bind_patiently(&spec.seat, address, patience).map_err(|e| without_name(&e, &spec.seat))?;
    let at = listener.local_addr().map_err(|e| e.to_string())?;
    say(&format!("listening {at}"));
    let peers = lines.next().ok_or("the launcher is gone")?;
    let peers = peers.strip_prefix("peers ").ok_or("the launcher is of another version")?;
    let peers: Result<Vec<SocketAddr>, _> = peers.split(' ').map(str::parse).collect();
    let peers = peers.map_err(|e| e.to_string())?;
    let driver = start::driver(&protocol, &deployment, seat, listener, peers, spec.incarnation, false, None)
        .map_err(|e| without_name(&e, &spec.seat))?;
    let remote = driver.remote();
    // Nothing more is said on standard input: its end means the node's.
    let stopper = remote.clone();
    std::thread::spawn(move || {
        lines.for_each(drop);
        stopper.stop();
    });
    watch_ready(remote);
    Ok(driver.run())
}

fn watch_ready(remote: Remote) {
    std::thread::spawn(move || {
        while !remote.ready() {
            std::thread::sleep(Duration::from_millis(1));
        }
        say("ready");
    });
}

/// Runs one node of a deployment whose addresses are all known, until SIGINT or SIGTERM. `ready` is called
/// when it has met all others. `incarnation` of a node without a log is taken from the clock.
pub fn run_node(
    protocol: Arc<dyn Protocol>,
    deployment: &Deployment,
    seat: Seat,
    ready: impl FnOnce() + Send + 'static,
) -> Result<Exit, StartError> {
    start::check(protocol.as_ref(), deployment)?;
    let name = deployment.seat_name(seat);
    let Some(addresses) = deployment.addresses().filter(|all| all.iter().all(|a| a.port() != 0)) else {
        let problem =
            "a node that is started by itself needs all `addresses` in the deployment file".to_string();
        return Err(StartError::Invalid(vec![problem]));
    };
    let listener = start::bind(&name, addresses[deployment.layout().index(seat).0 as usize])?;
    let driver =
        start::driver(&protocol, deployment, seat, listener, addresses, clock_incarnation(), false, None)?;
    stop_on_signals(&driver)?;
    let remote = driver.remote();
    std::thread::spawn(move || {
        while !remote.ready() {
            std::thread::sleep(Duration::from_millis(5));
        }
        ready();
    });
    Ok(driver.run())
}

fn stop_on_signals(driver: &Driver) -> io::Result<()> {
    let remote = driver.remote();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (interrupt, terminate) = {
        use tokio::signal::unix::{SignalKind, signal};
        let _guard = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    std::thread::spawn(move || {
        runtime.block_on(async move {
            let (mut interrupt, mut terminate) = (interrupt, terminate);
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                remote.stop();
            }
        });
    });
    Ok(())
}

/// Seconds since 2025, in the 24 bits that ids have for it: grows with each start for half a year, and a
/// node without a log that is down for longer has no peers left that remember it.
fn clock_incarnation() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    (now.as_secs().saturating_sub(1_735_689_600) & 0xff_ffff).max(1)
}

/// A restarted node may find its port still taken for a moment.
fn bind_patiently(node: &str, address: SocketAddr, patience: Duration) -> Result<TcpListener, StartError> {
    let until = Instant::now() + patience;
    loop {
        match start::bind(node, address) {
            Err(StartError::PortInUse { .. }) if Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(50));
            }
            other => return other,
        }
    }
}

/// The launcher knows which node it is.
fn without_name(error: &StartError, name: &str) -> String {
    let text = error.to_string();
    text.strip_prefix(&format!("{name}: ")).map(str::to_string).unwrap_or(text)
}

fn one_line(text: &str) -> String {
    text.lines().collect::<Vec<_>>().join("; ")
}

fn say(line: &str) {
    let mut out = io::stdout().lock();
    // If nobody listens, standard input has ended too.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
