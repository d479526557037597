//! Bytes between nodes and clients: connections, handshakes, streams that survive broken connections.

pub(crate) mod conn;
pub(crate) mod frame;
pub(crate) mod hello;
pub(crate) mod stream;
