//! Operations: an invocation with what became of it.

use super::{Event, History, Kind, Process};
use anabranch_core::value::Value;
use std::collections::BTreeMap;
use std::fmt;

/// An invocation with its completion.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Operation {
    /// Who.
    pub process: Process,
    /// The request's name.
    pub f: String,
    /// What was asked.
    pub args: Value,
    /// What became of it.
    pub outcome: Outcome,
    /// Index of the invocation's event.
    pub invoked: usize,
    /// Index of the completion's event, if there is one. Of an unknown outcome it bounds nothing: the operation
    /// may take effect later.
    pub completed: Option<usize>,
}

/// What became of an operation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It happened, with this answer.
    Ok(Value),
    /// It did not happen and never will.
    Failed,
    /// Nobody knows.
    Unknown,
}

impl Outcome {
    /// Whether it is known to have happened.
    pub fn is_ok(&self) -> bool {
        matches!(self, Outcome::Ok(_))
    }
}

impl Operation {
    /// Index of the event by which it must have taken effect; `None` if it may do so at any time.
    pub fn returned(&self) -> Option<usize> {
        self.completed.filter(|_| self.outcome.is_ok())
    }
    /// The answer, if there is one.
    pub fn reply(&self) -> Option<&Value> {
        match &self.outcome {
            Outcome::Ok(value) => Some(value),
            _ => None,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] p{} {}", self.invoked, self.process.0, self.f)?;
        match &self.args {
            Value::Tuple(_) | Value::Unit => write!(f, "{:?}", self.args)?,
            other => write!(f, "({other:?})")?,
        }
        match &self.outcome {
            Outcome::Ok(Value::Unit) => f.write_str(" ok"),
            Outcome::Ok(value) => write!(f, " -> {value:?}"),
            Outcome::Failed => f.write_str(" failed"),
            Outcome::Unknown => f.write_str(" unknown"),
        }
    }
}

/// A list of events that is no history.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HistoryError {
    /// A process invoked although its last operation is open, or ended in `info`.
    Busy {
        /// The event.
        index: usize,
        /// The process.
        process: Process,
    },
    /// A completion without an open operation of that name.
    Unopened {
        /// The event.
        index: usize,
        /// The process.
        process: Process,
    },
    /// An event whose index is not its position.
    Misnumbered {
        /// The position.
        index: usize,
    },
}

impl fmt::Display for HistoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HistoryError::Busy { index, process } => write!(
                f,
                "event {index}: process {} invokes while its last operation is open or unknown",
                process.0
            ),
            HistoryError::Unopened { index, process } => {
                write!(f, "event {index}: process {} completes what it has not invoked", process.0)
            }
            HistoryError::Misnumbered { index } => {
                write!(f, "event {index}: the index is not the position in the history")
            }
        }
    }
}
impl std::error::Error for HistoryError {}

pub(super) fn pair(history: &History) -> Result<Vec<Operation>, HistoryError> {
    enum Last {
        Open(usize),
        Spent,
    }
    let mut ops: Vec<Operation> = Vec::new();
    let mut last: BTreeMap<Process, Last> = BTreeMap::new();
    for (i, event) in history.events.iter().enumerate() {
        let &Event { index, process, kind, .. } = event;
        if index != i {
            return Err(HistoryError::Misnumbered { index: i });
        }
        if kind == Kind::Invoke {
            if last.insert(process, Last::Open(ops.len())).is_some() {
                return Err(HistoryError::Busy { index, process });
            }
            ops.push(Operation {
                process,
                f: event.f.clone(),
                args: event.value.clone(),
                outcome: Outcome::Unknown,
                invoked: i,
                completed: None,
            });
            continue;
        }
        let Some(Last::Open(at)) = last.remove(&process) else {
            return Err(HistoryError::Unopened { index, process });
        };
        let op = &mut ops[at];
        if op.f != event.f {
            return Err(HistoryError::Unopened { index, process });
        }
        op.completed = Some(i);
        match kind {
            Kind::Ok => op.outcome = Outcome::Ok(event.value.clone()),
            Kind::Fail => op.outcome = Outcome::Failed,
            Kind::Info | Kind::Invoke => {
                last.insert(process, Last::Spent);
            }
        }
    }
    Ok(ops)
}

#[cfg(test)]
mod tests {
    use crate::history::{History, Outcome, Process, Recorder, edn, json};
    use anabranch_core::value::Value;

    fn sample() -> History {
        let mut r = Recorder::new(2);
        r.invoke(0, 1, "put", Value::tuple([Value::str("k"), Value::Int(1)]));
        r.invoke(1, 2, "get", Value::str("k"));
        r.ok(0, 3, Value::Unit);
        r.info(1, 4, "timeout");
        r.invoke(1, 5, "get", Value::str("k"));
        r.ok(1, 6, Value::Option(Some(Box::new(Value::Int(1)))));
        r.invoke(0, 7, "put", Value::tuple([Value::str("k"), Value::Int(2)]));
        r.fail(0, 8, "refused");
        r.finish()
    }

    #[test]
    fn invocations_find_their_completions() {
        let ops = sample().operations().unwrap();
        let told: Vec<String> = ops.iter().map(|o| o.to_string()).collect();
        assert_eq!(
            told,
            [
                r#"[0] p0 put("k", 1) ok"#,
                r#"[1] p1 get("k") unknown"#,
                r#"[4] p3 get("k") -> Some(1)"#,
                r#"[6] p0 put("k", 2) failed"#
            ]
        );
        assert_eq!((ops[1].completed, ops[1].returned(), ops[1].process), (Some(3), None, Process(1)));
        assert_eq!(ops[3].outcome, Outcome::Failed);
    }

    #[test]
    fn json_lines_are_read_back_and_edn_is_natural() {
        let history = sample();
        let text = json::write(&history);
        assert_eq!(json::read(&text).unwrap(), history);
        let edn = edn::write(&history);
        let lines: Vec<&str> = edn.lines().collect();
        assert_eq!(lines[0], r#"{:index 0, :time 1000, :type :invoke, :process 0, :f :put, :value ["k" 1]}"#);
        assert_eq!(
            lines[3],
            r#"{:index 3, :time 4000, :type :info, :process 1, :f :get, :value "k", :error "timeout"}"#
        );
        assert_eq!(lines[2], r#"{:index 2, :time 3000, :type :ok, :process 0, :f :put, :value ["k" 1]}"#);
        assert_eq!(lines[5], "{:index 5, :time 6000, :type :ok, :process 3, :f :get, :value 1}");
    }

    #[test]
    fn operations_are_renamed() {
        let register = sample().project(|op| {
            let Value::Str(key) = (if let Value::Tuple(items) = &op.args { &items[0] } else { &op.args })
            else {
                panic!("keys are strings")
            };
            let name = if op.f == "put" { "write" } else { "read" };
            (**key == *"k").then(|| (name.to_owned(), Value::Unit, op.outcome.clone()))
        });
        let told: Vec<String> =
            register.unwrap().operations().unwrap().iter().map(|o| o.to_string()).collect();
        assert_eq!(
            told,
            [
                "[0] p0 write() ok",
                "[1] p1 read() unknown",
                "[4] p3 read() -> Some(1)",
                "[6] p0 write() failed"
            ]
        );
    }

    #[test]
    fn what_is_no_history_is_refused() {
        let sample = json::write(&sample());
        let lines: Vec<&str> = sample.lines().collect();
        let check = |picked: &[usize], problem: &str| {
            let text: Vec<&str> = picked.iter().map(|&i| lines[i]).collect();
            let mut history = History::default();
            for (i, line) in text.iter().enumerate() {
                let line = line.replace(&format!("\"index\":{}", picked[i]), "\"index\":0");
                let mut event = json::read(&line).unwrap().events.remove(0);
                event.index = i;
                history.events.push(event);
            }
            assert_eq!(history.operations().unwrap_err().to_string(), problem);
        };
        check(&[0, 6], "event 1: process 0 invokes while its last operation is open or unknown");
        check(&[1, 3, 1], "event 2: process 1 invokes while its last operation is open or unknown");
        check(&[2], "event 0: process 0 completes what it has not invoked");
        assert_eq!(json::read("{}\n").unwrap_err().to_string(), "line 1: `process` is no natural number");
        assert!(json::read(lines[1]).unwrap_err().to_string().contains("but 0 events precede"));
    }
}
