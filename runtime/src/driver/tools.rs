//! Questions from tools: counters, the contents of a table.
//!
//! An answer is one or more frames whose first byte says what follows: 0 the last part, 1 a part with more
//! to come, 2 an error message.

use super::links::side;
use super::{Driver, Link};
use crate::metrics::{NodeStats, cpu_us, rss_bytes};
use crate::transport::frame::Kind;
use std::time::Instant;

impl Driver {
    pub(super) fn answer(&mut self, link: &mut Link, question: &str, now: Instant) {
        match question.split_once(' ').unwrap_or((question, "")) {
            ("stats", _) => {
                let text = serde_json::to_vec(&self.stats(now)).expect("counters are plain data");
                tell(link, 0, &text);
            }
            ("rows", name) => self.rows(link, name),
            _ => tell(link, 2, b"unknown question"),
        }
    }

    fn stats(&self, now: Instant) -> NodeStats {
        let (cpu_user_us, cpu_system_us) = cpu_us(self.config.shares_process);
        let mut counters = self.counters.clone();
        for link in self.links.iter().flatten() {
            counters.bytes_in += link.conn.bytes_in;
            counters.bytes_out += link.conn.bytes_out;
        }
        if let Some(store) = &self.store {
            (counters.log_writes, counters.syncs) = store.writes_and_syncs();
        }
        NodeStats {
            node: self.config.name.clone(),
            incarnation: self.config.incarnation,
            ready: self.shared.ready.load(std::sync::atomic::Ordering::Acquire),
            uptime_ms: (now - self.started).as_millis() as u64,
            cpu_user_us,
            cpu_system_us,
            rss_bytes: rss_bytes(),
            pid: std::process::id(),
            counters,
        }
    }

    fn rows(&mut self, link: &mut Link, name: &str) {
        let (Some(schema), Some(rows)) = (self.tables.get(name), self.node.rows(name)) else {
            let names: Vec<&str> = self.tables.keys().map(String::as_str).collect();
            let role = self.config.protocol.roles()[usize::from(self.config.seat.role)];
            let message = format!("`{role}` has no table or view `{name}`; it has {}", names.join(", "));
            return tell(link, 2, message.as_bytes());
        };
        let part = self.config.limits.frame_bytes / 2;
        let mut bytes = Vec::new();
        for row in rows {
            let start = bytes.len();
            if let Err(mismatch) = schema.encode(&row, &mut bytes) {
                return tell(link, 2, format!("a row of `{name}` has another shape: {mismatch}").as_bytes());
            }
            if start > 0 && bytes.len() > part {
                tell(link, 1, &bytes[..start]);
                bytes.drain(..start);
            }
        }
        tell(link, 0, &bytes);
    }
}

fn tell(link: &mut Link, code: u8, bytes: &[u8]) {
    let mut payload = Vec::with_capacity(bytes.len() + 1);
    payload.push(code);
    payload.extend_from_slice(bytes);
    link.conn.push(side(Kind::Tell), &payload);
}
