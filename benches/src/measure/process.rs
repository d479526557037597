//! What a process has used so far, read from `/proc` from outside, so that nodes need not cooperate.
//!
//! `schedstat` counts on-CPU time in nanoseconds, but does not tell user from system; `stat` tells them apart
//! in ticks of 10 ms. So the total comes from the former and the division from the latter. Threads that have
//! ended since are not counted.

use serde::Serialize;
use std::ops::Sub;

/// A node and the process that runs it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeProcess {
    /// The node's name, such as `coordinator.0`.
    pub name: String,
    /// Its process. Nodes that share one process also share its figures.
    pub pid: u32,
}

/// What a process has used. Differences of two are what it used in between.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize)]
pub struct Usage {
    /// Time on a CPU, in nanoseconds.
    pub cpu_ns: u64,
    /// Part of it in user mode, as far as ticks tell.
    pub user_ticks: u64,
    /// Part of it in the kernel.
    pub system_ticks: u64,
    /// Voluntary context switches: it slept and was woken.
    pub wakeups: u64,
    /// Involuntary ones: it was made to wait.
    pub preemptions: u64,
    /// Resident memory in KiB: a level, not a difference.
    pub rss_kib: u64,
}

impl Usage {
    /// Reads a process' figures. `None` if it has ended.
    pub fn of(pid: u32) -> Option<Usage> {
        let mut usage = Usage::default();
        for task in std::fs::read_dir(format!("/proc/{pid}/task")).ok()? {
            let dir = task.ok()?.path();
            // A thread may end between listing and reading.
            let Ok(schedstat) = std::fs::read_to_string(dir.join("schedstat")) else { continue };
            let Ok(status) = std::fs::read_to_string(dir.join("status")) else { continue };
            usage.cpu_ns += schedstat.split_ascii_whitespace().next()?.parse::<u64>().ok()?;
            usage.wakeups += field(&status, "voluntary_ctxt_switches:")?;
            usage.preemptions += field(&status, "nonvoluntary_ctxt_switches:")?;
        }
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        usage.rss_kib = field(&status, "VmRSS:").unwrap_or(0);
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may hold spaces; utime and stime are the 12th and 13th after it.
        let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
        usage.user_ticks = fields.next()?.parse().ok()?;
        usage.system_ticks = fields.next()?.parse().ok()?;
        Some(usage)
    }

    /// Of the CPU time, the part in user mode, between 0 and 1. The tick counters are the only source.
    pub fn user_share(&self) -> f64 {
        let ticks = self.user_ticks + self.system_ticks;
        if ticks == 0 { 0.5 } else { self.user_ticks as f64 / ticks as f64 }
    }
}

fn field(status: &str, name: &str) -> Option<u64> {
    status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|rest| rest.split_ascii_whitespace().next()?.parse().ok())
}

impl Sub for Usage {
    type Output = Usage;
    fn sub(self, before: Usage) -> Usage {
        Usage {
            cpu_ns: self.cpu_ns.saturating_sub(before.cpu_ns),
            user_ticks: self.user_ticks.saturating_sub(before.user_ticks),
            system_ticks: self.system_ticks.saturating_sub(before.system_ticks),
            wakeups: self.wakeups.saturating_sub(before.wakeups),
            preemptions: self.preemptions.saturating_sub(before.preemptions),
            rss_kib: self.rss_kib,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_usage_grows_with_work_and_an_absent_process_has_none() {
        let before = Usage::of(std::process::id()).unwrap();
        let mut x = 1u64;
        while Usage::of(std::process::id()).unwrap().cpu_ns < before.cpu_ns + 5_000_000 {
            for _ in 0..100_000 {
                x = std::hint::black_box(x.wrapping_mul(3));
            }
        }
        let used = Usage::of(std::process::id()).unwrap() - before;
        assert!(used.cpu_ns >= 5_000_000 && used.rss_kib > 0);
        assert_eq!(Usage::of(u32::MAX), None);
    }

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let status = "VmRSS:\t  123 kB\nvoluntary_ctxt_switches:\t7\nnonvoluntary_ctxt_switches:\t9\n";
        assert_eq!(field(status, "voluntary_ctxt_switches:"), Some(7));
        assert_eq!(field(status, "nonvoluntary_ctxt_switches:"), Some(9));
        assert_eq!(field(status, "VmRSS:"), Some(123));
        assert_eq!(field(status, "VmSwap:"), None);
    }
}
