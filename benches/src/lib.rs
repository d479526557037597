//! Workloads, hand-written baselines and measurements.
//!
//! - [`measure`]: closed-loop load, latency, CPU time per operation, ratios; `anabranch bench` is made of it.
//! - [`baseline`]: two-phase commit without the DSL.
//! - [`votes`]: vote counting, by hand and otherwise.
//!
//! What takes longer than a test may is in the binaries; `docs/performance.md` shows their figures.

pub mod baseline;
pub mod measure;
pub mod on_runtime;
pub mod protocols;
pub mod votes;
