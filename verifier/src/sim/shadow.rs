//! The reference interpreter beside every node: each tick of the compiled node must do what it says.

use super::plan::Plan;
use super::tester::Thunks;
use crate::campaign::run::difference;
use crate::compiled::RoleShapes;
use crate::engine::{Engine as _, Facts, Input};
use crate::interp::{Interp, Machines};
use crate::sim::check::items;
use anabranch_core::id::Req;
use anabranch_core::node::{Broken, Ids, Layout, Node, NodeIndex, Outbox, Protocol, Setup, TickArgs};
use anabranch_core::value::Value;
use anabranch_dsl::ir::{self, RelId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Interpreters of all nodes.
pub(super) struct Shadow {
    protocol: &'static dyn Protocol,
    ir: Arc<ir::Protocol>,
    layout: Arc<Layout>,
    roles: Vec<RoleShapes>,
    nodes: Vec<Half>,
    /// Ticks compared.
    pub ticks: u64,
}

struct Half {
    role: u16,
    interp: Interp,
    /// What restarts an incarnation needs before its first tick.
    restart: Option<u64>,
    arrived: Facts,
    fired: Facts,
    /// If the role has machines: by round that wrote a record, as they were after it.
    machines: Option<Vec<(u64, Machines)>>,
}

impl Shadow {
    pub fn new(protocol: &'static dyn Protocol, ir: &Arc<ir::Protocol>, plan: &Plan) -> Shadow {
        let layout = plan.layout.clone();
        let defaults: BTreeMap<String, Value> =
            protocol.params().into_iter().filter_map(|p| Some((p.name.to_string(), p.default?))).collect();
        let nodes = (0..layout.nodes()).filter_map(|n| layout.seat(NodeIndex(n)));
        let nodes = nodes.map(|seat| {
            let (layout, params) = (layout.clone(), plan.params.clone());
            let setup = Setup { layout, seat, params, incarnation: 1, ids: Ids::Hashed };
            let mut interp = Interp::new(ir.clone(), Arc::new(Thunks(protocol)), &setup, &defaults);
            interp.lazy(plan.vary.forgets);
            let machines = ir.machines.iter().any(|m| m.role.0 == u32::from(seat.role));
            Half {
                role: seat.role,
                interp,
                restart: None,
                arrived: Facts::new(),
                fired: Facts::new(),
                machines: machines.then(Vec::new),
            }
        });
        let nodes = nodes.collect();
        let roles = (0..layout.roles.len() as u16).map(|role| RoleShapes::new(ir, protocol, role)).collect();
        Shadow { protocol, ir: ir.clone(), layout, roles, nodes, ticks: 0 }
    }

    pub fn start(&mut self, node: u32, incarnation: u64) {
        self.nodes[node as usize].restart = (incarnation > 1).then_some(incarnation);
    }

    pub fn crash(&mut self, node: u32) {
        let half = &mut self.nodes[node as usize];
        (half.arrived, half.fired) = (Facts::new(), Facts::new());
    }

    /// A round wrote a record: what machines are now is what they are when it is recovered.
    pub fn logged(&mut self, node: u32, round: u64) {
        let half = &mut self.nodes[node as usize];
        if let Some(known) = &mut half.machines {
            known.push((round, half.interp.machines()));
        }
    }

    pub fn messages(&mut self, node: u32, bytes: &[u8]) {
        let half = &mut self.nodes[node as usize];
        for (rel, row) in self.roles[usize::from(half.role)].messages(bytes) {
            half.arrived.entry(rel).or_default().insert(row);
        }
    }

    pub fn request(&mut self, node: u32, tag: u16, req: Req, args: &[u8]) {
        let half = &mut self.nodes[node as usize];
        let mut row = vec![Value::Req(req)];
        row.extend(self.roles[usize::from(half.role)].args(tag, args));
        half.arrived.entry(RelId(u32::from(tag))).or_default().insert(row);
    }

    pub fn fired(&mut self, node: u32, timer: u16, row: &Value) {
        let half = &mut self.nodes[node as usize];
        half.fired.entry(RelId(u32::from(timer))).or_default().insert(items(row.clone()));
    }

    /// Restarts the interpreter from what the node recovered, up to a round, before the node's first tick.
    pub fn recovered(&mut self, node: u32, round: u64, compiled: &dyn Node) {
        let half = &mut self.nodes[node as usize];
        let Some(incarnation) = half.restart.take() else { return };
        let mut durable = self.roles[usize::from(half.role)].resting(&self.ir, compiled);
        durable.retain(|rel, _| {
            let relation = self.ir.relation(*rel);
            relation.is_table() && relation.durable
        });
        // Rounds after that are lost.
        let machines = half.machines.as_mut().and_then(|known| {
            known.retain(|(at, _)| *at <= round);
            known.last().map(|(_, machines)| machines.clone())
        });
        half.interp.restart(incarnation, durable, machines.unwrap_or_default());
    }

    /// How a tick differs from the interpreter's.
    pub fn tick(
        &mut self,
        node: u32,
        args: &TickArgs,
        result: &Result<(), Broken>,
        out: &Outbox,
        compiled: &dyn Node,
    ) -> Option<String> {
        let half = &mut self.nodes[node as usize];
        let (arrived, fired) = (std::mem::take(&mut half.arrived), std::mem::take(&mut half.fired));
        let interp = &mut half.interp;
        self.ticks += 1;
        let expected = interp.tick(&Input { args: *args, arrived, fired });
        match (expected, result) {
            (Err(_), Err(_)) => None,
            (Ok(_), Err(broken)) => Some(format!("the node broke, the interpreter did not: {broken}")),
            (Err(broken), Ok(())) => Some(format!("the interpreter broke, the node did not: {broken}")),
            (Ok(expected), Ok(())) => {
                let shapes = &self.roles[usize::from(half.role)];
                let found = shapes.outcome(&self.ir, self.protocol, &self.layout, compiled, out);
                let after = shapes.resting(&self.ir, compiled);
                difference(&self.ir, &expected, &interp.resting(), &found, &after)
            }
        }
    }
}
