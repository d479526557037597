//! What compiled Anabranch protocols run on: data, tables, wire and log formats, without I/O.

pub mod data;
pub mod disk;
pub mod id;
pub mod log;
pub mod machine;
pub mod node;
pub mod session;
pub mod sessions;
pub mod store;
pub mod value;
pub mod wire;
