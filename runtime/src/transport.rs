//! Bytes between nodes and clients: connections. What travels over them, and how streams survive broken
//! ones, is in core's [`session`](anabranch_core::session).

pub(crate) mod conn;
pub(crate) mod hello;

pub(crate) use anabranch_core::session::{frame, stream};
