//! Histories as JSON lines: one object per event.
//!
//! ```text
//! {"index":0,"time":1500000,"type":"invoke","process":0,"f":"put","value":["k",1]}
//! {"index":1,"time":2700000,"type":"ok","process":0,"f":"put","value":{}}
//! {"index":2,"time":3000000,"type":"info","process":1,"f":"get","value":"k","error":"timeout"}
//! ```
//!
//! `time` is in nanoseconds, as Jepsen has it; values are as [`super::value`] says; `error` only where there is one.

use super::value::{from_json, to_json};
use super::{Event, History, Kind, Process};
use serde_json::{Value as Json, json};
use std::fmt;

/// A line that is no event.
#[derive(Debug)]
pub struct LineError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: String,
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.problem)
    }
}
impl std::error::Error for LineError {}

/// Writes a history.
pub fn write(history: &History) -> String {
    let mut out = String::new();
    for event in &history.events {
        let mut line = json!({
            "index": event.index,
            "time": event.time_us.saturating_mul(1000),
            "type": event.kind.name(),
            "process": event.process.0,
            "f": event.f,
            "value": to_json(&event.value),
        });
        if let Some(error) = &event.error {
            line["error"] = json!(error);
        }
        out += &line.to_string();
        out.push('\n');
    }
    out
}

/// Reads a history. Empty lines are skipped; without `index`, events are numbered as they come.
pub fn read(text: &str) -> Result<History, LineError> {
    let mut events = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let wrong = |problem: String| LineError { line: at + 1, problem };
        let json: Json = serde_json::from_str(line).map_err(|e| wrong(e.to_string()))?;
        let text = |key: &str| json[key].as_str();
        let index = match &json["index"] {
            Json::Null => events.len(),
            index => index.as_u64().ok_or_else(|| wrong("`index` is no natural number".into()))? as usize,
        };
        if index != events.len() {
            return Err(wrong(format!("`index` is {index}, but {} events precede", events.len())));
        }
        events.push(Event {
            index,
            time_us: json["time"].as_u64().unwrap_or(0) / 1000,
            process: Process(
                json["process"].as_u64().ok_or_else(|| wrong("`process` is no natural number".into()))?,
            ),
            kind: text("type")
                .and_then(Kind::named)
                .ok_or_else(|| wrong("`type` is none of invoke, ok, fail, info".into()))?,
            f: text("f").ok_or_else(|| wrong("`f` is no text".into()))?.to_owned(),
            value: from_json(&json["value"])
                .ok_or_else(|| wrong(format!("`value` {} stands for no value", json["value"])))?,
            error: text("error").map(str::to_owned),
        });
    }
    Ok(History { events })
}
