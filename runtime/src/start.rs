//! Bringing up one node: its socket, its recovery, its driver.

use crate::deploy::{Deployment, Durability};
use crate::driver::{Config, Driver, Remote};
use crate::observe::{EventFile, Observer, Telling};
use crate::storage::Identity;
use crate::store::{Store, StoreError};
use anabranch_core::node::{Ids, Layout, Protocol, Seat, Setup};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, OnceLock};
use std::{fmt, io};

/// Why a node or a cluster could not be started.
#[derive(Debug)]
pub enum StartError {
    /// The deployment does not fit the protocol.
    Invalid(Vec<String>),
    /// Somebody else listens at a node's address.
    PortInUse {
        /// The node.
        node: String,
        /// Its address.
        address: SocketAddr,
    },
    /// The address cannot be listened at for another reason.
    Bind {
        /// The node.
        node: String,
        /// Its address.
        address: SocketAddr,
        /// The reason.
        error: io::Error,
    },
    /// The node's log cannot be read or written.
    Store {
        /// The node.
        node: String,
        /// The reason.
        error: StoreError,
    },
    /// A process ended, or said something unexpected, before it was ready.
    Process {
        /// The node.
        node: String,
        /// What is known.
        reason: String,
    },
    /// Not all nodes met each other in time.
    NotReady(Vec<String>),
    /// The operating system failed.
    Io(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Invalid(problems) => f.write_str(&problems.join("\n")),
            StartError::PortInUse { node, address } => write!(
                f,
                "{node}: the port of {address} is in use: stop what listens there, or choose another port under `addresses` \
                 (or none, for a free one)"
            ),
            StartError::Bind { node, address, error } => {
                write!(f, "{node}: cannot listen at {address}: {error}")
            }
            StartError::Store { node, error } => write!(f, "{node}: {error}"),
            StartError::Process { node, reason } => write!(f, "{node}: {reason}"),
            StartError::NotReady(nodes) => write!(f, "not ready in time: {}", nodes.join(", ")),
            StartError::Io(error) => write!(f, "{error}"),
        }
    }
}
impl std::error::Error for StartError {}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> StartError {
        StartError::Io(error)
    }
}

/// Listens at an address; port 0 means any free one.
pub(crate) fn bind(node: &str, address: SocketAddr) -> Result<TcpListener, StartError> {
    let bound = if address.port() == 0 { bind_free(address) } else { TcpListener::bind(address) };
    bound.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => StartError::PortInUse { node: node.to_string(), address },
        _ => StartError::Bind { node: node.to_string(), address, error },
    })
}

/// A free port below those that the system gives to outgoing connections: a node that restarts must find
/// its port free, and dialling it meanwhile must not connect a socket to itself.
fn bind_free(address: SocketAddr) -> io::Result<TcpListener> {
    const PORTS: std::ops::Range<u64> = 20_000..32_000;
    let mut draw = crate::transport::hello::fresh_boot();
    for _ in 0..100 {
        let port = PORTS.start + draw % (PORTS.end - PORTS.start);
        match TcpListener::bind(SocketAddr::new(address.ip(), port as u16)) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                draw = crate::transport::hello::fresh_boot();
            }
            other => return other,
        }
    }
    TcpListener::bind(address)
}

/// Where a node is to listen: as the deployment says, or any free loopback port.
pub(crate) fn address_of(deployment: &Deployment, layout: &Layout, seat: Seat) -> SocketAddr {
    let role = &deployment.roles[usize::from(seat.role)];
    let first = layout.first(seat.role);
    let at = (layout.index(seat).0 - first) as usize;
    role.addresses.get(at).copied().unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)))
}

/// Problems that make a deployment unfit, found before anything is started.
pub(crate) fn check(protocol: &dyn Protocol, deployment: &Deployment) -> Result<(), StartError> {
    let mut problems = deployment.check(protocol);
    for role in deployment.roles.iter().filter(|role| role.instances == 0) {
        problems.push(format!("`{}` has zero instances", role.name));
    }
    if problems.is_empty() { Ok(()) } else { Err(StartError::Invalid(problems)) }
}

#[expect(clippy::too_many_arguments, reason = "each is one decision of the caller's")]
/// Makes a node's driver: recovers it from its log where there is one. `incarnation` counts for nodes
/// without a log.
pub(crate) fn driver(
    protocol: &Arc<dyn Protocol>,
    deployment: &Deployment,
    seat: Seat,
    listener: TcpListener,
    addresses: Vec<SocketAddr>,
    incarnation: u64,
    shares_process: bool,
    observer: Option<Box<dyn Observer>>,
) -> Result<Driver, StartError> {
    let layout = deployment.layout();
    let name = deployment.seat_name(seat);
    let failed = |error| StartError::Store { node: name.clone(), error };
    // The log's thread is there before the loop that it wakes.
    let loop_to_wake: Arc<OnceLock<Remote>> = Arc::default();
    let mut opened = match deployment.durability {
        Durability::Off => None,
        Durability::GroupCommit => {
            let identity =
                Identity { protocol: protocol.name().to_string(), fingerprint: protocol.fingerprint(), seat };
            let to_wake = loop_to_wake.clone();
            let wake = move || to_wake.get().into_iter().for_each(Remote::wake);
            let folder = deployment.node_dir(seat);
            let store = Store::open(&folder, &identity, deployment.limits.snapshot_bytes, wake);
            Some(store.map_err(failed)?)
        }
    };
    let incarnation = opened.as_ref().map_or(incarnation, |store| store.incarnation());
    let setup = Setup {
        layout: layout.clone(),
        seat,
        params: deployment.params.clone(),
        incarnation,
        ids: Ids::Counted,
    };
    let mut node = protocol.node(setup);
    if let Some(store) = &mut opened {
        store.recover(node.as_mut()).map_err(failed)?;
    }
    if opened.is_none() {
        node.without_log();
    }
    node.begin();
    let config = Config {
        protocol: protocol.clone(),
        layout,
        seat,
        name: name.clone(),
        incarnation,
        addresses,
        limits: deployment.limits,
        shares_process,
    };
    let mut driver = Driver::new(config, node, listener)?;
    if let Some(store) = opened {
        let set = loop_to_wake.set(driver.remote());
        assert!(set.is_ok(), "one loop per log");
        driver.with_store(store);
    }
    let observer = match (observer, &deployment.events_dir) {
        (None, Some(folder)) => {
            let path = folder.join(format!("{name}.events"));
            Some(Box::new(EventFile::open(&path, protocol.as_ref())?) as Box<dyn Observer>)
        }
        (observer, _) => observer,
    };
    if let Some(observer) = observer {
        driver.with_observer(Telling::new(protocol.as_ref(), seat, observer));
    }
    Ok(driver)
}
