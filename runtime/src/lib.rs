//! Distributed protocols as dataflow rules: the protocol! macro and its TCP runtime.

pub use anabranch_core as core;
pub use anabranch_core::data::{Bytes, Data};
pub use anabranch_macros::protocol;

pub mod client;
pub mod control;
pub mod deploy;
mod driver;
pub mod embed;
pub mod launch;
pub mod metrics;
pub mod observe;
pub mod rescale;
mod start;
pub mod storage;
mod store;
#[cfg(test)]
mod tests;
pub mod transcript;
mod transport;
#[doc(hidden)]
pub mod typed;

pub use driver::Exit;
pub use start::StartError;
pub use store::StoreError;
pub use transport::hello::Refusal;
