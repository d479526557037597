//! What a launcher tells a node process: a line of JSON.

use crate::deploy::{Deployment, Durability, Limits, RoleDeployment};
use anabranch_core::node::Protocol;
use anabranch_core::wire::Reader;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A deployment and a seat in it.
#[derive(Serialize, Deserialize)]
pub(super) struct Spec {
    pub protocol: String,
    pub seat: String,
    pub incarnation: u64,
    roles: Vec<(u32, u32, Vec<SocketAddr>)>,
    /// Encoded by their shapes.
    params: BTreeMap<String, Vec<u8>>,
    durable: bool,
    data_dir: PathBuf,
    events_dir: Option<PathBuf>,
    limits: [u64; 5],
}

impl Spec {
    pub fn new(protocol: &dyn Protocol, deployment: &Deployment, seat: &str, incarnation: u64) -> Spec {
        let mut params = BTreeMap::new();
        for info in protocol.params() {
            let Some(value) = deployment.params.get(info.name) else { continue };
            let mut bytes = Vec::new();
            let fits = info.schema.encode(value, &mut bytes);
            assert!(fits.is_ok(), "the param `{}` was checked", info.name);
            params.insert(info.name.to_string(), bytes);
        }
        let roles =
            deployment.roles.iter().map(|r| (r.instances, r.partitions, r.addresses.clone())).collect();
        let limits = deployment.limits;
        Spec {
            protocol: deployment.protocol.clone(),
            seat: seat.to_string(),
            incarnation,
            roles,
            params,
            durable: deployment.durability == Durability::GroupCommit,
            data_dir: deployment.data_dir.clone(),
            events_dir: deployment.events_dir.clone(),
            limits: [
                limits.batch_bytes as u64,
                limits.frame_bytes as u64,
                limits.pressure_bytes as u64,
                limits.queue_bytes as u64,
                limits.snapshot_bytes,
            ],
        }
    }

    /// The inverse; `None` if it does not fit the protocol.
    pub fn deployment(&self, protocol: &dyn Protocol) -> Option<Deployment> {
        if self.roles.len() != protocol.roles().len() {
            return None;
        }
        let role = |(name, (instances, partitions, addresses)): (&&str, &(u32, u32, Vec<SocketAddr>))| {
            RoleDeployment {
                name: name.to_string(),
                instances: *instances,
                partitions: *partitions,
                addresses: addresses.clone(),
            }
        };
        let mut params = BTreeMap::new();
        for info in protocol.params() {
            if let Some(bytes) = self.params.get(info.name) {
                params.insert(info.name.to_string(), info.schema.decode(&mut Reader::new(bytes)).ok()?);
            }
        }
        let [batch, frame, pressure, queue, snapshot] = self.limits;
        Some(Deployment {
            protocol: self.protocol.clone(),
            file: None,
            roles: protocol.roles().iter().zip(&self.roles).map(role).collect(),
            params,
            durability: if self.durable { Durability::GroupCommit } else { Durability::Off },
            data_dir: self.data_dir.clone(),
            events_dir: self.events_dir.clone(),
            limits: Limits {
                batch_bytes: batch as usize,
                frame_bytes: frame as usize,
                pressure_bytes: pressure as usize,
                queue_bytes: queue as usize,
                snapshot_bytes: snapshot,
            },
        })
    }
}
