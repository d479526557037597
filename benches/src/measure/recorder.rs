//! Records one run: warm-up, measured interval, latencies, and what the nodes used in that interval.

use super::load::Outcome;
use super::process::{NodeProcess, Usage};
use hdrhistogram::Histogram;
use std::time::{Duration, Instant};

/// The longest latency that is told from longer ones.
const HOUR_NS: u64 = 3_600_000_000_000;

/// Collects what a target's [`drive`](super::Target::drive) reports.
#[derive(Debug)]
pub struct Recorder {
    /// How many logical clients to keep busy.
    pub clients: usize,
    /// How long nothing is counted.
    pub warm_up: Duration,
    /// How long is measured.
    pub duration: Duration,
    /// Stop after so many operations, if that comes first: for runs that count operations, not seconds.
    pub at_most: Option<u64>,
    /// Called with the part of the run that has passed, between 0 and 1, some ten times a second.
    pub progress: Option<fn(f64)>,
    nodes: Vec<NodeProcess>,
    started: Instant,
    state: State,
    shown: Instant,
    pub(super) latency: Histogram<u64>,
    pub(super) answered: u64,
    pub(super) refused: u64,
    pub(super) unknown: u64,
    /// Operations that ended at any time: what a target's counters, read before and after, have seen.
    pub(super) total: u64,
    pub(super) measured: Duration,
    pub(super) usage: Vec<Option<Usage>>,
    pub(super) own: Usage,
}

#[derive(Debug)]
enum State {
    WarmUp,
    Measuring { since: Instant, before: Vec<Option<Usage>>, own: Usage },
    Over,
}

impl Recorder {
    /// A recorder that starts now.
    pub fn new(clients: usize, warm_up: Duration, duration: Duration, nodes: Vec<NodeProcess>) -> Recorder {
        let now = Instant::now();
        Recorder {
            clients,
            warm_up,
            duration,
            at_most: None,
            progress: None,
            nodes,
            started: now,
            shown: now,
            state: State::WarmUp,
            latency: Histogram::new_with_bounds(1, HOUR_NS, 3).expect("these bounds are allowed"),
            answered: 0,
            refused: 0,
            unknown: 0,
            total: 0,
            measured: Duration::ZERO,
            usage: Vec::new(),
            own: Usage::default(),
        }
    }

    /// Whether new operations are to be issued.
    pub fn running(&self) -> bool {
        !matches!(self.state, State::Over)
    }

    /// Operations counted so far.
    pub fn operations(&self) -> u64 {
        self.answered + self.refused + self.unknown
    }

    /// Tells that time has passed. Call it once per round of the load generator; it opens and closes the
    /// measured interval.
    pub fn at(&mut self, now: Instant) {
        match &self.state {
            State::WarmUp if now >= self.started + self.warm_up => {
                let before = self.sample();
                let own = Usage::of(std::process::id()).unwrap_or_default();
                self.state = State::Measuring { since: Instant::now(), before, own };
            }
            State::Measuring { since, before, own }
                if now >= *since + self.duration || self.at_most.is_some_and(|n| self.operations() >= n) =>
            {
                self.measured = now.saturating_duration_since(*since);
                self.own = Usage::of(std::process::id()).unwrap_or_default() - *own;
                self.usage = self.sample().iter().zip(before).map(|(a, b)| Some((*a)? - (*b)?)).collect();
                self.state = State::Over;
            }
            _ => {}
        }
        if let Some(show) = self.progress
            && now.saturating_duration_since(self.shown) > Duration::from_millis(100)
        {
            self.shown = now;
            let all = (self.warm_up + self.duration).as_secs_f64();
            show((now.saturating_duration_since(self.started).as_secs_f64() / all).min(1.0));
        }
    }

    /// Records an operation that ended.
    pub fn ended(&mut self, issued: Instant, now: Instant, outcome: Outcome) {
        self.total += 1;
        let State::Measuring { since, .. } = &self.state else { return };
        if now < *since {
            return;
        }
        match outcome {
            Outcome::Answered => self.answered += 1,
            Outcome::Refused => self.refused += 1,
            Outcome::Unknown => self.unknown += 1,
        }
        self.latency.saturating_record(now.saturating_duration_since(issued).as_nanos() as u64);
    }

    pub(super) fn nodes(&self) -> &[NodeProcess] {
        &self.nodes
    }

    fn sample(&self) -> Vec<Option<Usage>> {
        self.nodes.iter().map(|n| Usage::of(n.pid)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_measured_interval_counts() {
        let second = Duration::from_secs(1);
        let mut r = Recorder::new(1, second, second, Vec::new());
        let t = r.started;
        r.at(t + second / 2);
        r.ended(t, t + second / 2, Outcome::Answered);
        assert_eq!(r.operations(), 0);
        r.at(t + second);
        let State::Measuring { since, .. } = r.state else { panic!("should measure now") };
        r.ended(since, since + second / 2, Outcome::Answered);
        r.ended(since, since + second / 2, Outcome::Unknown);
        r.at(since + second);
        assert!(!r.running());
        r.ended(since, since + second * 2, Outcome::Answered);
        assert_eq!((r.answered, r.refused, r.unknown), (1, 0, 1));
        assert_eq!(r.measured, second);
        assert!(r.latency.value_at_quantile(0.5).abs_diff(500_000_000) < 1_000_000);
    }

    #[test]
    fn a_bound_on_operations_ends_it_early() {
        let mut r = Recorder::new(1, Duration::ZERO, Duration::from_secs(1000), Vec::new());
        r.at_most = Some(2);
        r.at(r.started);
        for _ in 0..2 {
            assert!(r.running());
            let now = Instant::now();
            r.ended(now, now, Outcome::Answered);
            r.at(now);
        }
        assert!(!r.running());
    }
}
