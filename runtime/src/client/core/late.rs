//! What does not come: broken connections, dead nodes, deadlines, retries.

use super::{Alarm, BEAT_AFTER, Core, Phase, RETRY_AFTER, SILENT};
use crate::client::CallError;
use crate::transport::conn::Sock;
use anabranch_core::node::NodeIndex;
use std::cmp::Reverse;
use std::time::{Duration, Instant};

impl<S: Sock> Core<S> {
    /// A connection broke, or was not to be had.
    pub(super) fn broken(&mut self, node: usize, now: Instant) {
        let Some(remote) = &mut self.remotes[node] else { return };
        let dead = remote.phase == Phase::Dialled || remote.phase == Phase::Down;
        remote.conn = None;
        remote.phase = Phase::Down;
        remote.backoff = (remote.backoff * 2).clamp(Duration::from_millis(10), Duration::from_millis(500));
        remote.dial_at = Some(now + remote.backoff);
        if dead {
            // Nobody listens there any more: the incarnation is gone, or as good as gone.
            self.lost(node, now);
        }
    }

    /// An incarnation is gone: what was sent to it may or may not have been done.
    pub(super) fn lost(&mut self, node: usize, now: Instant) {
        let Some(remote) = &mut self.remotes[node] else { return };
        if remote.boot.take().is_none() {
            return;
        }
        remote.stream.clear();
        let name = remote.name.clone();
        for number in self.first..self.first + self.pending.len() as u64 {
            let Some(pending) = self.pending_mut(number) else { continue };
            if pending.node != node as u32 || !pending.sent {
                continue;
            }
            if pending.resend {
                self.alarms.push(Reverse((now, number, Alarm::Retry)));
            } else {
                let why = format!("the connection to {name} broke before an answer came");
                self.complete(number, Err(CallError::Unknown(why)));
            }
        }
    }

    /// Deadlines, retries, signs of life. Call it when [`Core::next_alarm`] has come.
    pub fn alarms(&mut self, now: Instant) {
        while let Some(&Reverse((at, number, alarm))) = self.alarms.peek() {
            let stale = self.pending_mut(number).is_none();
            if !stale && at > now {
                break;
            }
            self.alarms.pop();
            if stale {
                continue;
            }
            match alarm {
                Alarm::Deadline => self.expire(number),
                Alarm::Retry => self.retry(number, now),
            }
        }
        if now < self.house_at {
            return;
        }
        self.house_at = now + Duration::from_millis(100);
        for node in 0..self.remotes.len() {
            let Some(remote) = &mut self.remotes[node] else { continue };
            let Some(conn) = &mut remote.conn else { continue };
            if now.saturating_duration_since(conn.last_heard) > SILENT {
                remote.problem = Some("silent for too long".into());
                self.broken(node, now);
                continue;
            }
            let idle = now.saturating_duration_since(conn.last_wrote) > BEAT_AFTER;
            if remote.phase == Phase::Up && !conn.blocked && (idle || remote.stream.untold() > 0) {
                let beat = remote.stream.beat(false);
                conn.push(beat, &[]);
                remote.dirty = true;
            }
        }
    }

    fn expire(&mut self, number: u64) {
        let Some(pending) = self.pending_mut(number) else { return };
        let (sent, tries, node) = (pending.sent || pending.tries > 0, pending.tries, pending.node);
        let remote = self.remote(node);
        let outcome = match sent {
            true => {
                CallError::Unknown(format!("no answer from {} in time ({} tries)", remote.name, tries + 1))
            }
            false => {
                let problem = remote.problem.clone().unwrap_or_else(|| "not connected".into());
                CallError::NotSent(format!("{} could not be reached: {problem}", remote.name))
            }
        };
        self.complete(number, Err(outcome));
    }

    fn retry(&mut self, number: u64, now: Instant) {
        let Some(pending) = self.pending_mut(number) else { return };
        let (tag, was_sent, node) = (pending.tag, pending.sent, pending.node);
        let partition = pending.partition;
        let kind = self.kinds[usize::from(tag)].clone().expect("a known request");
        // After a redirect it goes where it was told to; else to the next instance.
        if was_sent || self.remote(node).phase != Phase::Up {
            let seat = self.layout.seat(NodeIndex(node)).expect("a known node");
            let instances = self.layout.roles[usize::from(kind.role)].instances;
            let nth = |i: u32| self.node(kind.role, (seat.instance + i) % instances, partition);
            let others = (1..=instances).map(nth);
            let up = |&n: &u32| self.remotes[n as usize].as_ref().is_some_and(|r| r.phase == Phase::Up);
            let next = if kind.by { node } else { others.clone().find(up).unwrap_or(node) };
            let pending = self.pending_mut(number).expect("seen above");
            pending.node = next;
            pending.tries += u32::from(was_sent);
            pending.sent = false;
        }
        self.send(number);
        self.alarms.push(Reverse((now + RETRY_AFTER, number, Alarm::Retry)));
    }

    /// When [`Core::alarms`] must be called next, or [`Core::dials`].
    pub fn next_alarm(&self) -> Instant {
        let mut at = self.house_at;
        if let Some(Reverse((alarm, ..))) = self.alarms.peek() {
            at = at.min(*alarm);
        }
        for remote in self.remotes.iter().flatten() {
            if let Some(dial) = remote.dial_at {
                at = at.min(dial);
            }
        }
        at
    }
}
