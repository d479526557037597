//! What compiled Anabranch protocols run on: data, tables, wire and log formats, without I/O.

pub mod data;
pub mod id;
pub mod machine;
pub mod node;
pub mod store;
pub mod value;
pub mod wire;
