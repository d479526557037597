//! Measuring deployments: closed-loop load, latency, CPU time per operation of every node, ratios.
//!
//! A [`Target`] is a running deployment that can be loaded; [`interleave()`] loads several in turn, so that what
//! disturbs the machine disturbs all of them; [`report`] takes medians and prints, [`mod@compare`] sets a
//! scaled program against its base. Open-loop load and remote
//! hosts are left out: a node's CPU time is read from this machine's `/proc`.

pub mod compare;
pub mod deployed;
pub mod interleave;
pub mod load;
pub mod process;
pub mod recorder;
pub mod report;
pub mod workload;

pub use compare::{Comparison, comparisons};
pub use deployed::Deployed;
pub use interleave::{Plan, interleave};
pub use load::{Outcome, closed_loop};
pub use process::{NodeProcess, Usage};
pub use recorder::Recorder;
pub use report::{Measurement, NodeFigures, Report};
pub use workload::{Shape, Share, Workload, WorkloadError};

use std::collections::BTreeMap;

/// A running deployment under load.
pub trait Target {
    /// What it is called in reports.
    fn name(&self) -> String;
    /// Its node processes.
    fn nodes(&self) -> Vec<NodeProcess>;
    /// Keeps `recorder.clients` logical clients busy, each with one operation at a time, while
    /// `recorder.running()` holds, then waits for what is under way.
    fn drive(&mut self, recorder: &mut Recorder) -> std::io::Result<()>;
    /// Counters by node name that grow with time: `ticks`, `messages`, `log_writes` and the like. Read before
    /// and after; only differences count.
    fn counters(&mut self) -> BTreeMap<String, BTreeMap<String, u64>> {
        BTreeMap::new()
    }
}
