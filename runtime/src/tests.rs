//! The runtime with hand-written nodes: what only the driver is responsible for.

mod calls;
mod durable;
mod faults;
mod files;
mod links;
mod mock;
mod power;
mod pressure;
