//! Deployments: how many nodes, where they listen, with which parameters, durable or not.
//!
//! A deployment comes from a TOML file ([`Deployment::load`]) or is made in code ([`Deployment::local`]).
//! Addresses may be missing: a launcher then chooses free ports on the loopback interface and writes
//! them into a *running file* beside the deployment file, where `call` and `inspect` find them.
//! Deliberately absent: how to start processes (see `launch`), other machines.

mod file;
mod param;
mod running;

pub use file::{DeployError, DeployErrors};
pub use param::{duration_text, parse_duration};

use anabranch_core::node::{Layout, NodeIndex, Protocol, RoleLayout, Seat};
use anabranch_core::value::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A deployment of one protocol.
#[derive(Clone, Debug, PartialEq)]
pub struct Deployment {
    /// The protocol's name.
    pub protocol: String,
    /// Where it was read from.
    pub file: Option<PathBuf>,
    /// Roles, in the protocol's order.
    pub roles: Vec<RoleDeployment>,
    /// Parameters that were given; the others take their defaults. Durations are milliseconds.
    pub params: BTreeMap<String, Value>,
    /// Whether durable tables are written to disk.
    pub durability: Durability,
    /// Where nodes keep their logs: one folder per node in it.
    pub data_dir: PathBuf,
    /// Where nodes append the rows of durable events as text, a file per node; nowhere if not given.
    pub events_dir: Option<PathBuf>,
    /// Bounds.
    pub limits: Limits,
}

/// One role of a deployment.
#[derive(Clone, Debug, PartialEq)]
pub struct RoleDeployment {
    /// The role's name.
    pub name: String,
    /// Instances: what `role.len()` says.
    pub instances: u32,
    /// Partitions of each instance.
    pub partitions: u32,
    /// Where its nodes listen, instance by instance, partition by partition; empty: free loopback ports.
    pub addresses: Vec<SocketAddr>,
}

/// What becomes of writes to durable tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Nothing is written: a crash loses durable tables too. For measurements and tests.
    Off,
    /// Logged; outputs wait until the log is stable; many ticks share a sync.
    GroupCommit,
}

/// Bounds on what a node takes, keeps and sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes taken from one connection per tick.
    pub batch_bytes: usize,
    /// Frames longer than this close the connection.
    pub frame_bytes: usize,
    /// With more than this waiting for any receiver, no node takes requests.
    pub pressure_bytes: usize,
    /// With more than this waiting for a receiver, the receiver is given up: its incarnation must end.
    pub queue_bytes: usize,
    /// Log bytes after which a snapshot is taken.
    pub snapshot_bytes: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            batch_bytes: 256 << 10,
            frame_bytes: 16 << 20,
            pressure_bytes: 4 << 20,
            queue_bytes: 256 << 20,
            snapshot_bytes: crate::storage::SNAPSHOT_BYTES,
        }
    }
}

impl Deployment {
    /// A deployment on this machine with free loopback ports, without durability and with one partition each:
    /// `instances` by role, in the protocol's order, or those of the roles only that are parts of none.
    pub fn local(protocol: &dyn Protocol, instances: &[u32]) -> Deployment {
        let infos = protocol.role_infos();
        let wholes: Vec<usize> = (0..infos.len()).filter(|&i| infos[i].whole.is_none()).collect();
        let mut all = vec![0; infos.len()];
        if instances.len() == infos.len() {
            all.copy_from_slice(instances);
        } else {
            let name = protocol.name();
            assert_eq!(wholes.len(), instances.len(), "one number per role of {name} that is no part");
            wholes.iter().zip(instances).for_each(|(&role, &n)| all[role] = n);
        }
        for (role, info) in infos.iter().enumerate() {
            if let Some(whole) = info.whole {
                all[role] = all[usize::from(whole)];
            }
        }
        let role = |(name, &instances): (&&str, &u32)| RoleDeployment {
            name: name.to_string(),
            instances,
            partitions: 1,
            addresses: Vec::new(),
        };
        Deployment {
            protocol: protocol.name().to_string(),
            file: None,
            roles: protocol.roles().iter().zip(&all).map(role).collect(),
            params: BTreeMap::new(),
            durability: Durability::Off,
            data_dir: PathBuf::from("data"),
            events_dir: None,
            limits: Limits::default(),
        }
    }

    /// Reads and checks a deployment file: everything that can be told without starting a node.
    pub fn load(path: &Path, protocol: &dyn Protocol) -> Result<Deployment, DeployErrors> {
        file::load(path, protocol)
    }

    /// The same from text; `path` is for messages and as the base of relative paths.
    pub fn parse(path: &Path, text: &str, protocol: &dyn Protocol) -> Result<Deployment, DeployErrors> {
        file::parse(path, text, protocol)
    }

    /// Sets a parameter; durations are milliseconds.
    pub fn with_param(mut self, name: &str, value: Value) -> Deployment {
        self.params.insert(name.to_string(), value);
        self
    }

    /// Sets the number of partitions of a role's instances. Panics if there is no such role.
    pub fn with_partitions(mut self, role: &str, partitions: u32) -> Deployment {
        let found = self.roles.iter_mut().find(|r| r.name == role);
        found.unwrap_or_else(|| panic!("there is no role `{role}`")).partitions = partitions;
        self
    }

    /// Makes durable tables durable, under a folder.
    pub fn durable_in(mut self, data_dir: &Path) -> Deployment {
        self.durability = Durability::GroupCommit;
        self.data_dir = data_dir.to_path_buf();
        self
    }

    /// The layout that nodes see.
    pub fn layout(&self) -> Arc<Layout> {
        let size = |r: &RoleDeployment| RoleLayout { instances: r.instances, partitions: r.partitions };
        Arc::new(Layout { roles: self.roles.iter().map(size).collect() })
    }

    /// All addresses by [`NodeIndex`], if they are all known.
    pub fn addresses(&self) -> Option<Vec<SocketAddr>> {
        let all: Vec<SocketAddr> = self.roles.iter().flat_map(|r| r.addresses.iter().copied()).collect();
        (all.len() == self.layout().nodes() as usize).then_some(all)
    }

    /// Fixes all addresses, by [`NodeIndex`].
    pub fn set_addresses(&mut self, addresses: &[SocketAddr]) {
        let mut rest = addresses.iter().copied();
        for role in &mut self.roles {
            role.addresses = rest.by_ref().take((role.instances * role.partitions) as usize).collect();
        }
        assert!(self.addresses().is_some(), "as many addresses as nodes");
    }

    /// Problems that the protocol itself finds: `require`, parameters.
    pub fn check(&self, protocol: &dyn Protocol) -> Vec<String> {
        let mut problems = protocol.check(&self.layout(), &self.params);
        for (role, info) in self.roles.iter().zip(protocol.role_infos()) {
            let name = &role.name;
            if role.partitions == 0 {
                problems.push(format!("`{name}` has zero partitions"));
            } else if role.partitions > 1 && !info.partitioned {
                problems.push(format!(
                    "`{name}` is not partitioned: {} partitions are not possible",
                    role.partitions
                ));
            }
            if let Some(whole) = info.whole.map(|whole| &self.roles[usize::from(whole)])
                && whole.instances != role.instances
            {
                problems.push(format!(
                    "`{name}` is a part of `{}` and has its {} instances, not {}",
                    whole.name, whole.instances, role.instances
                ));
            }
        }
        problems
    }

    /// A node's name, as in `participant.2`.
    pub fn node_name(&self, index: NodeIndex) -> String {
        match self.layout().seat(index) {
            Some(seat) => self.seat_name(seat),
            None => format!("node {}", index.0),
        }
    }

    /// The same for a seat; the partition is named only where there are several.
    pub fn seat_name(&self, seat: Seat) -> String {
        let role = &self.roles[usize::from(seat.role)];
        match role.partitions {
            1 => format!("{}.{}", role.name, seat.instance),
            _ => format!("{}.{}.{}", role.name, seat.instance, seat.partition),
        }
    }

    /// The inverse of [`Deployment::seat_name`].
    pub fn find_seat(&self, name: &str) -> Option<Seat> {
        let layout = self.layout();
        (0..layout.nodes())
            .filter_map(|i| layout.seat(NodeIndex(i)))
            .find(|&seat| self.seat_name(seat) == name)
    }

    /// The folder of a node's log.
    pub fn node_dir(&self, seat: Seat) -> PathBuf {
        self.data_dir.join(self.seat_name(seat))
    }
}
