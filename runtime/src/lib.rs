//! Distributed protocols as dataflow rules: the protocol! macro and its TCP runtime.

pub use anabranch_core as core;
pub use anabranch_core::data::Data;

pub mod storage;

pub mod deploy;
mod transport;
