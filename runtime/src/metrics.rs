//! What a node counts, and how it is handed out.

use serde::{Deserialize, Serialize};

/// Counters of one incarnation of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Turns of the event loop: each is one wait for the network.
    pub rounds: u64,
    /// Ticks.
    pub ticks: u64,
    /// Ticks that took inputs: macro-steps.
    pub steps: u64,
    /// Messages taken from other nodes.
    pub messages_in: u64,
    /// Messages to other nodes.
    pub messages_out: u64,
    /// Messages to itself.
    pub messages_self: u64,
    /// Requests taken.
    pub requests_in: u64,
    /// Answers given.
    pub replies_out: u64,
    /// Timer rows fired.
    pub timers_fired: u64,
    /// Frames taken from other nodes and clients.
    pub frames_in: u64,
    /// Frames written for other nodes and clients, beats aside.
    pub frames_out: u64,
    /// Bytes read from connections that are closed, and from open ones.
    pub bytes_in: u64,
    /// Bytes written.
    pub bytes_out: u64,
    /// Reads and writes of sockets.
    pub reads: u64,
    /// Writes of sockets.
    pub writes: u64,
    /// Log records.
    pub log_records: u64,
    /// Bytes of log records.
    pub log_bytes: u64,
    /// Writes to the log file: records share them.
    pub log_writes: u64,
    /// Syncs of the log file: writes share them.
    pub syncs: u64,
    /// Snapshots taken.
    pub snapshots: u64,
    /// Connections closed because of malformed frames or messages.
    pub malformed: u64,
    /// Why the last of them was.
    pub malformed_reason: String,
    /// Handshakes refused.
    pub refused: u64,
    /// Why the last of them was.
    pub refused_reason: String,
    /// Connections to other nodes that broke.
    pub broken_links: u64,
    /// Receivers given up because they fell too far behind.
    pub given_up: u64,
    /// Rounds in which no requests were taken because a receiver was slow.
    pub pressed_rounds: u64,
    /// The most bytes that ever waited for one other node.
    pub queued_peak: u64,
    /// Macro-steps by number of inputs: bucket i counts those with fewer than 2^i, and not fewer than half.
    pub batches: Vec<u64>,
}

impl Counters {
    pub(crate) fn batch(&mut self, inputs: u64) {
        let bucket = (u64::BITS - inputs.leading_zeros()) as usize;
        if self.batches.len() <= bucket {
            self.batches.resize(bucket + 1, 0);
        }
        self.batches[bucket] += 1;
    }
}

/// A node's state as tools see it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStats {
    /// Its name, as in `participant.2`.
    pub node: String,
    /// Which life this is.
    pub incarnation: u64,
    /// Whether it has met all other nodes.
    pub ready: bool,
    /// How long it has run.
    pub uptime_ms: u64,
    /// CPU time in user mode, of the process or, where several nodes share one, of the node's thread.
    pub cpu_user_us: u64,
    /// CPU time in the kernel.
    pub cpu_system_us: u64,
    /// Memory of the process.
    pub rss_bytes: u64,
    /// Its process.
    pub pid: u32,
    /// What it counted.
    pub counters: Counters,
}

/// User and system CPU time in microseconds: of this process, or of this thread alone.
pub fn cpu_us(thread: bool) -> (u64, u64) {
    use nix::sys::resource::{UsageWho, getrusage};
    let who = if thread { UsageWho::RUSAGE_THREAD } else { UsageWho::RUSAGE_SELF };
    let Ok(usage) = getrusage(who) else { return (0, 0) };
    let us = |t: nix::sys::time::TimeVal| (t.tv_sec() as u64) * 1_000_000 + t.tv_usec() as u64;
    (us(usage.user_time()), us(usage.system_time()))
}

/// Resident memory of this process in bytes; 0 where it cannot be told.
pub fn rss_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap_or("");
    line.split_whitespace().next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) * 1024
}
