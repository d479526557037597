//! What compiled Anabranch protocols run on: data, tables, wire and log formats, without I/O.

pub mod code;
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

/// Types that every protocol has without `use`.
pub mod prelude {
    pub use crate::data::Bytes;
    pub use crate::id::{Id, Req};
    pub use crate::sessions::Sessions;
    pub use std::time::Duration;
}
