//! A protocol's descriptions, arranged for quick look-ups.

use anabranch_core::data::{Schema, StableHasher};
use anabranch_core::node::{Layout, MessageInfo, NodeIndex, Protocol, RequestInfo};
use anabranch_core::value::Value;
use anabranch_core::wire::{Reader, WireError};

/// What is known of a protocol's relations.
pub struct Shapes {
    roles: &'static [&'static str],
    requests: Vec<Option<RequestInfo>>,
    messages: Vec<Option<MessageInfo>>,
    events: Vec<Option<MessageInfo>>,
    /// By role: whether clients connect to it.
    meets: Vec<bool>,
}

fn by_tag<T>(items: Vec<T>, tag: impl Fn(&T) -> u16) -> Vec<Option<T>> {
    let mut all: Vec<Option<T>> = Vec::new();
    for item in items {
        let at = usize::from(tag(&item));
        if all.len() <= at {
            all.resize_with(at + 1, || None);
        }
        all[at] = Some(item);
    }
    all
}

impl Shapes {
    /// Takes in a protocol's descriptions.
    pub fn new(protocol: &dyn Protocol) -> Shapes {
        let requests = protocol.requests();
        let meets = |role: usize| {
            requests
                .iter()
                .any(|r| usize::from(r.role) == role || r.answered_by.iter().any(|&a| usize::from(a) == role))
        };
        Shapes {
            roles: protocol.roles(),
            meets: (0..protocol.roles().len()).map(meets).collect(),
            requests: by_tag(requests, |r| r.tag),
            messages: by_tag(protocol.messages(), |m| m.tag),
            events: by_tag(protocol.events(), |m| m.tag),
        }
    }

    /// Whether clients connect to a role.
    pub fn meets_clients(&self, role: u16) -> bool {
        self.meets[usize::from(role)]
    }

    /// A request.
    pub fn request(&self, tag: u16) -> &RequestInfo {
        self.requests[usize::from(tag)].as_ref().expect("a request of this protocol")
    }

    /// The route of the argument that chooses a request's instance.
    pub fn route(&self, tag: u16, args: &[u8]) -> Option<u32> {
        let request = self.request(tag);
        let by = request.by?;
        let values = columns(&request.args, &mut Reader::new(args)).ok()?;
        Some(match &values[by] {
            Value::Id(id) => id.route,
            value => {
                let mut hasher = StableHasher::new(0);
                value.stable_hash(&mut hasher);
                hasher.finish() as u32
            }
        })
    }

    /// Takes messages apart.
    pub fn split<'a>(&self, messages: &'a [u8]) -> Result<Vec<&'a [u8]>, WireError> {
        let mut parts = Vec::new();
        let mut rest = messages;
        while !rest.is_empty() {
            let mut input = Reader::new(rest);
            self.message(&mut input)?;
            let used = rest.len() - input.rest().len();
            parts.push(&rest[..used]);
            rest = &rest[used..];
        }
        Ok(parts)
    }

    /// Reads one message: its description and columns.
    pub fn message(&self, input: &mut Reader<'_>) -> Result<(&MessageInfo, Vec<Value>), WireError> {
        read(&self.messages, input)
    }

    /// Reads a durable event.
    pub fn event(&self, input: &mut Reader<'_>) -> Result<(&MessageInfo, Vec<Value>), WireError> {
        read(&self.events, input)
    }

    /// A request's arguments.
    pub fn args(&self, tag: u16, args: &[u8]) -> Vec<Value> {
        columns(&self.request(tag).args, &mut Reader::new(args)).unwrap_or_default()
    }

    /// A reply's columns.
    pub fn reply(&self, tag: u16, bytes: &[u8]) -> Vec<Value> {
        columns(&self.request(tag).reply, &mut Reader::new(bytes)).unwrap_or_default()
    }

    /// A refusal as text.
    pub fn refusal(&self, tag: u16, bytes: &[u8]) -> String {
        let Some(schema) = &self.request(tag).error else { return "refused".into() };
        match schema.decode(&mut Reader::new(bytes)) {
            Ok(error) => format!("refused: {}", schema.print(&error, self.roles)),
            Err(_) => "refused".into(),
        }
    }

    /// Columns as texts.
    pub fn texts(&self, columns: &[(&'static str, Schema)], values: &[Value]) -> Vec<String> {
        columns.iter().zip(values).map(|((_, schema), value)| schema.print(value, self.roles)).collect()
    }

    /// A place's name.
    pub fn place(&self, layout: &Layout, place: u32) -> String {
        match layout.seat(NodeIndex(place)) {
            Some(seat) => {
                let name = format!("{}.{}", self.roles[usize::from(seat.role)], seat.instance);
                match layout.roles[usize::from(seat.role)].partitions {
                    1 => name,
                    _ => format!("{name}/{}", seat.partition),
                }
            }
            None => format!("client.{}", place - layout.nodes()),
        }
    }

    /// The names of roles.
    pub fn roles(&self) -> &'static [&'static str] {
        self.roles
    }
}

fn read<'m>(
    all: &'m [Option<MessageInfo>],
    input: &mut Reader<'_>,
) -> Result<(&'m MessageInfo, Vec<Value>), WireError> {
    let tag = input.varint()?;
    let info = usize::try_from(tag).ok().and_then(|t| all.get(t)).and_then(Option::as_ref);
    let info = info.ok_or(WireError::UnknownTag(tag as u16))?;
    Ok((info, columns(&info.columns, input)?))
}

fn columns(columns: &[(&'static str, Schema)], input: &mut Reader<'_>) -> Result<Vec<Value>, WireError> {
    columns.iter().map(|(_, schema)| schema.decode(input)).collect()
}

/// Several columns are a tuple, one is itself, none is `()`: the form of histories.
pub fn single(mut values: Vec<Value>) -> Value {
    match values.len() {
        0 => Value::Unit,
        1 => values.remove(0),
        _ => Value::tuple(values),
    }
}
