//! Asking running nodes: counters and tables. Blocking, for tools.

use crate::client::ConnectError;
use crate::deploy::Deployment;
use crate::metrics::NodeStats;
use crate::transport::frame::{self, Header, Kind};
use crate::transport::hello::{self, Hello, Refusal, Who};
use anabranch_core::data::Schema;
use anabranch_core::node::{NodeIndex, Protocol};
use anabranch_core::value::Value;
use anabranch_core::wire::Reader;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Why a question was not answered.
#[derive(Debug)]
pub enum AskError {
    /// The node could not be asked.
    Connect(ConnectError),
    /// The node says that the question makes no sense, and why.
    Declined(String),
    /// What came back was no answer.
    Malformed(String),
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AskError::Connect(error) => write!(f, "{error}"),
            AskError::Declined(why) => f.write_str(why),
            AskError::Malformed(why) => write!(f, "malformed answer: {why}"),
        }
    }
}
impl std::error::Error for AskError {}

impl From<io::Error> for AskError {
    fn from(error: io::Error) -> AskError {
        AskError::Connect(ConnectError::Io(error))
    }
}

/// A connection to one node.
pub struct Control {
    socket: TcpStream,
    input: Vec<u8>,
    frame_bytes: usize,
    tables: Vec<(String, Schema)>,
}

impl Control {
    /// Connects to a node of a running deployment.
    pub fn connect(
        protocol: &dyn Protocol,
        deployment: &Deployment,
        node: NodeIndex,
    ) -> Result<Control, AskError> {
        let name = deployment.node_name(node);
        let layout = deployment.layout();
        let addresses = deployment.addresses().ok_or(AskError::Connect(ConnectError::NoAddresses))?;
        let seat = layout.seat(node).ok_or_else(|| AskError::Declined(format!("there is no {name}")))?;
        let address = addresses[node.0 as usize];
        let unreachable = |error: io::Error| {
            AskError::Connect(ConnectError::Unreachable {
                node: format!("{name} at {address}"),
                reason: error.to_string(),
            })
        };
        let socket = TcpStream::connect_timeout(&address, Duration::from_secs(3)).map_err(unreachable)?;
        socket.set_read_timeout(Some(Duration::from_secs(10)))?;
        let of_role = protocol.tables().into_iter().filter(|t| t.role == seat.role);
        let tables = of_role
            .map(|t| (t.name.to_string(), Schema::Tuple(t.columns.into_iter().map(|c| c.1).collect())));
        let frame_bytes = deployment.limits.frame_bytes;
        let mut control = Control { socket, input: Vec::new(), frame_bytes, tables: tables.collect() };
        let hello = Hello {
            fingerprint: protocol.fingerprint(),
            layout: hello::layout_hash(&layout),
            from: Who::Tool,
            to: node.0,
            boot: hello::fresh_boot(),
            peer_boot: 0,
            received: 0,
        };
        control.send(Kind::Hello, &hello.encode())?;
        match control.receive()? {
            (Kind::Welcome, _) => Ok(control),
            (Kind::Reject, payload) => {
                let refusal = Refusal::decode(&payload);
                Err(AskError::Connect(ConnectError::Refused { node: name, refusal }))
            }
            (kind, _) => Err(AskError::Malformed(format!("{kind:?}"))),
        }
    }

    /// The node's counters.
    pub fn stats(&mut self) -> Result<NodeStats, AskError> {
        let answer = self.ask("stats")?.concat();
        serde_json::from_slice(&answer).map_err(|error| AskError::Malformed(error.to_string()))
    }

    /// The rows of a table or view, sorted.
    pub fn rows(&mut self, table: &str) -> Result<Vec<Value>, AskError> {
        let schema = self.tables.iter().find(|(name, _)| name == table).map(|(_, schema)| schema.clone());
        let parts = self.ask(&format!("rows {table}"))?;
        let schema = schema.ok_or_else(|| AskError::Declined(format!("there is no table `{table}`")))?;
        let mut rows = Vec::new();
        for part in parts {
            let mut input = Reader::new(&part);
            while !input.rest().is_empty() {
                rows.push(schema.decode(&mut input).map_err(|error| AskError::Malformed(error.to_string()))?);
            }
        }
        Ok(rows)
    }

    fn ask(&mut self, question: &str) -> Result<Vec<Vec<u8>>, AskError> {
        self.send(Kind::Ask, question.as_bytes())?;
        let mut parts = Vec::new();
        loop {
            let (kind, payload) = self.receive()?;
            match (kind, payload.split_first()) {
                (Kind::Tell, Some((&code @ (0 | 1), part))) => {
                    parts.push(part.to_vec());
                    if code == 0 {
                        return Ok(parts);
                    }
                }
                (Kind::Tell, Some((2, message))) => {
                    return Err(AskError::Declined(String::from_utf8_lossy(message).into_owned()));
                }
                (Kind::Beat, _) => {}
                (kind, _) => return Err(AskError::Malformed(format!("{kind:?}"))),
            }
        }
    }

    fn send(&mut self, kind: Kind, payload: &[u8]) -> io::Result<()> {
        let mut bytes = Vec::new();
        frame::push(&mut bytes, Header { kind, pressed: false, seq: 0, ack: 0 }, payload);
        self.socket.write_all(&bytes)
    }

    fn receive(&mut self) -> Result<(Kind, Vec<u8>), AskError> {
        loop {
            let parsed = frame::parse(&self.input, self.frame_bytes)
                .map_err(|e| AskError::Malformed(e.to_string()))?;
            if let Some((header, payload, used)) = parsed {
                let found = (header.kind, payload.to_vec());
                self.input.drain(..used);
                return Ok(found);
            }
            let mut chunk = [0; 16 * 1024];
            match self.socket.read(&mut chunk)? {
                0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                n => self.input.extend_from_slice(&chunk[..n]),
            }
        }
    }
}
