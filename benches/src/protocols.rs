//! The protocols that the benchmarks know.

use crate::on_runtime::ByHand;
use anabranch::core::node::Protocol;
use anabranch_protocols::two_pc::two_pc;
use std::sync::Arc;

/// By name, for node processes.
pub fn find(name: &str) -> Option<Arc<dyn Protocol>> {
    all().into_iter().find(|p| p.name() == name)
}

/// All of them.
pub fn all() -> Vec<Arc<dyn Protocol>> {
    vec![Arc::new(ByHand), Arc::new(two_pc::protocol())]
}
