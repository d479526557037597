//! Which partitions of an instance take a message or request, or keep a row: `routed ..`, evaluated as senders do.
//!
//! Evaluators of one node ([`crate::engine`]) say which *instance* a message goes to; whoever runs several nodes asks
//! here which of the instance's nodes that means.

use anabranch_core::node::{Env, Layout, Leaves, NodeIndex, RoleInfo, Seat};
use anabranch_core::value::Value;
use anabranch_dsl::ir::{Expr, Protocol, RelId, Routing};

/// The partitions that take a row of a relation (a request with its `Req` first), in order.
///
/// # Panics
/// If the relation belongs to no role, or its routing cannot be evaluated on the row: programs that pass the checks
/// and rows that fit their columns exclude both.
pub fn partitions(
    protocol: &Protocol,
    leaves: &dyn Leaves,
    layout: &std::sync::Arc<Layout>,
    rel: RelId,
    row: &[Value],
) -> Vec<u32> {
    let relation = protocol.relation(rel);
    let role = relation.role.expect("messages and tables belong to a role");
    let count = layout.roles[role.index()].partitions.max(1);
    let by = match &relation.routing {
        None => return vec![0],
        Some(Routing::All) => return (0..count).collect(),
        Some(Routing::By(e)) => u64::from(value(protocol, leaves, layout, rel, e, row).route()),
        Some(Routing::To(e)) => match value(protocol, leaves, layout, rel, e, row) {
            Value::Int(n) => u64::try_from(n).unwrap_or_else(|_| panic!("a partition's number is {n}")),
            other => panic!("a partition's number is {other:?}"),
        },
    };
    vec![(by % u64::from(count)) as u32]
}

/// The roles' descriptions, as a compiled protocol gives them: for [`anabranch_core::node::fate_groups`].
pub fn role_infos(protocol: &Protocol) -> Vec<RoleInfo> {
    let info = |role: &anabranch_dsl::ir::Role| RoleInfo {
        whole: role.part_of.map(|whole| whole.0 as u16),
        partitioned: role.partitioned,
        shares_fate: role.shares_fate,
    };
    protocol.roles.iter().map(info).collect()
}

/// The nodes that take a message to an instance; none if there is no such instance.
pub fn receivers(
    protocol: &Protocol,
    leaves: &dyn Leaves,
    layout: &std::sync::Arc<Layout>,
    rel: RelId,
    row: &[Value],
    instance: u32,
) -> Vec<NodeIndex> {
    let role = protocol.relation(rel).role.expect("messages belong to a role");
    if instance >= layout.roles[role.index()].instances {
        return Vec::new();
    }
    let seat = |partition| Seat { role: role.0 as u16, instance, partition };
    partitions(protocol, leaves, layout, rel, row).into_iter().map(|p| layout.index(seat(p))).collect()
}

fn value(
    protocol: &Protocol,
    leaves: &dyn Leaves,
    layout: &std::sync::Arc<Layout>,
    rel: RelId,
    e: &Expr,
    row: &[Value],
) -> Value {
    let columns = &protocol.relation(rel).columns;
    let of = |name: &String| columns.iter().position(|c| c.name == *name).and_then(|i| row.get(i)).cloned();
    if let Some(value) = e.var.as_ref().and_then(of) {
        return value;
    }
    let values: Option<Vec<Value>> = e.vars.iter().map(of).collect();
    // A routing reads its columns alone.
    let seat = Seat { role: 0, instance: 0, partition: 0 };
    let env = Env { layout: layout.clone(), seat, params: Default::default() };
    let found = values.and_then(|values| leaves.eval(e.leaf.0, &values, &env));
    found.unwrap_or_else(|| panic!("`{}` is not routed by {row:?}", protocol.relation(rel).name))
}
