//! The nodes, what is under way between them, and the steps.

use super::script::call;
use super::text::{Names, request};
use crate::deploy::Deployment;
use anabranch_core::data::Schema;
use anabranch_core::id::Req;
use anabranch_core::node::{Answer, Ids, Node, NodeIndex, Outbox, Protocol, Setup, TickArgs};
use anabranch_core::value::Value;
use anabranch_core::wire::{Reader, WireError};
use std::path::Path;

/// So many deliveries in one step are taken for a loop.
const LIMIT: usize = 10_000;
/// So many ticks of one macro-step are taken for one that never ends.
const DEFERRED: usize = 1_000;

type Step<T = Vec<String>> = Result<T, String>;

pub(super) struct World {
    protocol: &'static dyn Protocol,
    deployment: Option<Deployment>,
    seats: Vec<Place>,
    /// Messages under way, oldest first.
    pending: Vec<Message>,
    names: Names,
    messages: usize,
    requests: Vec<(u16, Vec<u8>)>,
    now_ms: u64,
    ticks: u64,
}

struct Place {
    name: String,
    node: Option<Box<dyn Node>>,
    incarnation: u64,
    /// Everything that it logged.
    log: Vec<Vec<u8>>,
}

struct Message {
    number: usize,
    from: usize,
    to: usize,
    name: &'static str,
    text: String,
    bytes: Vec<u8>,
}

impl World {
    pub fn new(protocol: &'static dyn Protocol) -> World {
        World {
            protocol,
            deployment: None,
            seats: Vec::new(),
            pending: Vec::new(),
            names: Names::new(protocol.roles()),
            messages: 0,
            requests: Vec::new(),
            now_ms: 0,
            ticks: 0,
        }
    }

    pub fn step(&mut self, text: &str) -> Step {
        let (verb, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let rest = rest.trim();
        if verb == "deploy" {
            return self.deploy(rest);
        }
        if self.deployment.is_none() {
            return Err("a transcript begins with `> deploy role=N …`".into());
        }
        match verb {
            "request" => self.request(rest),
            "deliver" => self.deliver(rest, false),
            "together" => self.deliver(rest, true),
            "drop" => {
                let chosen = self.choose(rest)?;
                self.pending.retain(|m| !chosen.contains(&m.number));
                Ok(Vec::new())
            }
            "pass" => self.pass(rest),
            "fire" => self.fire(rest),
            "crash" => self.crash(rest),
            "restart" => self.restart(rest),
            "show" => self.show(rest),
            "waiting" => self.waiting(rest),
            "pending" => Ok(self.pending.iter().map(Message::line).collect()),
            _ => Err(format!("there is no step `{verb}`")),
        }
    }

    /// As if from a deployment file, so that parameters are written and checked as there.
    fn deploy(&mut self, rest: &str) -> Step {
        let mut file = format!("protocol = {:?}\n", self.protocol.name());
        let mut params = String::from("[params]\n");
        for word in rest.split_whitespace() {
            let (name, value) =
                word.split_once('=').ok_or_else(|| format!("expected `name=value`, found `{word}`"))?;
            if self.protocol.roles().contains(&name) {
                // `role=2`, `role=2x3` with partitions, `part=x3`.
                let (instances, partitions) = value.split_once('x').unwrap_or((value, "1"));
                file += &format!("[roles.{name}]\npartitions = {partitions}\n");
                if !instances.is_empty() {
                    file += &format!("instances = {instances}\n");
                }
            } else if value.parse::<f64>().is_ok()
                || value == "true"
                || value == "false"
                || value.starts_with(['"', '['])
            {
                params += &format!("{name} = {value}\n");
            } else {
                params += &format!("{name} = {value:?}\n");
            }
        }
        file += &params;
        let deployment = Deployment::parse(Path::new("deploy"), &file, self.protocol)
            .map_err(|e| e.errors.iter().map(|e| e.message.clone()).collect::<Vec<_>>().join("; "))?;
        let nodes = deployment.layout().nodes();
        *self = World::new(self.protocol);
        for i in 0..nodes {
            let name = deployment.node_name(NodeIndex(i));
            self.seats.push(Place { name, node: None, incarnation: 0, log: Vec::new() });
        }
        self.deployment = Some(deployment);
        let mut lines = Vec::new();
        for i in 0..nodes as usize {
            lines.extend(self.start(i)?);
        }
        Ok(lines)
    }

    /// Makes a node out of what it logged.
    fn start(&mut self, i: usize) -> Step {
        let deployment = self.deployment.as_ref().expect("deployed before nodes start");
        let layout = deployment.layout();
        let seat = layout.seat(NodeIndex(i as u32)).ok_or("no such node")?;
        let place = &mut self.seats[i];
        place.incarnation += 1;
        let setup = Setup {
            layout,
            seat,
            params: deployment.params.clone(),
            incarnation: place.incarnation,
            ids: Ids::Counted,
        };
        let mut node = self.protocol.node(setup);
        for record in &place.log {
            node.replay(&mut Reader::new(record))
                .map_err(|e| format!("{} cannot read its log: {e}", place.name))?;
        }
        node.begin();
        place.node = Some(node);
        self.macro_step(i)
    }

    fn seat(&self, name: &str) -> Step<usize> {
        self.seats.iter().position(|s| s.name == name).ok_or_else(|| format!("there is no node `{name}`"))
    }

    fn live(&mut self, i: usize) -> Step<&mut Box<dyn Node>> {
        let place = &mut self.seats[i];
        place.node.as_mut().ok_or_else(|| format!("{} has crashed", place.name))
    }

    /// Ticks until nothing is deferred; what came of it, under the node's name.
    fn macro_step(&mut self, i: usize) -> Step {
        let mut lines = Vec::new();
        for deferred in 0.. {
            if deferred > DEFERRED {
                return Err(format!("{}: a step that never ends", self.seats[i].name));
            }
            self.ticks += 1;
            let args = TickArgs { now_ms: self.now_ms, seed: self.ticks };
            let mut out = Outbox::default();
            let broken = self.live(i)?.tick(&args, &mut out).err();
            if let Some(broken) = broken {
                self.seats[i].node = None;
                lines.push(format!("  stops: {broken}"));
                break;
            }
            if !out.log.is_empty() {
                self.seats[i].log.push(std::mem::take(&mut out.log));
            }
            lines.extend(self.take(i, &out)?);
            if !self.live(i)?.deferred() {
                break;
            }
        }
        if !lines.is_empty() {
            lines.insert(0, self.seats[i].name.clone());
        }
        Ok(lines)
    }

    /// Takes over what a tick wants to leave, sorted.
    fn take(&mut self, from: usize, out: &Outbox) -> Step {
        let infos = self.protocol.messages();
        let mut sent = Vec::new();
        for to in &out.dirty {
            let batch = &out.batches[to.0 as usize];
            let mut start = 0;
            for end in &batch.ends {
                let bytes = &batch.bytes[start..*end as usize];
                start = *end as usize;
                let mut reader = Reader::new(bytes);
                let tag = reader.varint().map_err(|e| e.to_string())?;
                let info = infos.iter().find(|m| u64::from(m.tag) == tag).ok_or("an unknown message")?;
                let row = columns(&info.columns, &mut reader).map_err(|e| format!("{}: {e}", info.name))?;
                sent.push((info.name, to.0 as usize, row, bytes.to_vec()));
            }
        }
        sent.sort_by(|a, b| (a.0, a.1, &a.2).cmp(&(b.0, b.1, &b.2)));
        let mut lines = Vec::new();
        for (name, to, row, bytes) in sent {
            let info = infos.iter().find(|m| m.name == name).expect("found above");
            self.messages += 1;
            let text = format!("{name}{}", self.names.row(&info.columns, &row));
            let message = Message { number: self.messages, from, to, name, text, bytes };
            lines.push(format!("  m{} {} to {}", message.number, message.text, self.seats[to].name));
            self.pending.push(message);
        }
        lines.extend(self.told(out)?);
        let mut answers: Vec<String> = Vec::new();
        for reply in &out.replies {
            answers.push(self.answer(reply.request, reply.req, &reply.answer)?);
        }
        answers.sort();
        lines.extend(answers);
        Ok(lines)
    }

    /// Durable events, which go to the application.
    fn told(&mut self, out: &Outbox) -> Step {
        let infos = self.protocol.events();
        let mut lines = Vec::new();
        let mut start = 0;
        for end in &out.events.ends {
            let mut reader = Reader::new(&out.events.bytes[start..*end as usize]);
            start = *end as usize;
            let tag = reader.varint().map_err(|e| e.to_string())?;
            let info = infos.iter().find(|m| u64::from(m.tag) == tag).ok_or("an unknown durable event")?;
            let row = columns(&info.columns, &mut reader).map_err(|e| format!("{}: {e}", info.name))?;
            lines.push(format!("  tells {}{}", info.name, self.names.row(&info.columns, &row)));
        }
        lines.sort();
        Ok(lines)
    }

    fn answer(&mut self, tag: u16, req: Req, answer: &Answer) -> Step<String> {
        let requests = self.protocol.requests();
        let info = requests.iter().find(|r| r.tag == tag).ok_or("an answer to an unknown request")?;
        let name = self.names.value(&Schema::Req, &Value::Req(req));
        Ok(match answer {
            Answer::Reply(bytes) => {
                let row = columns(&info.reply, &mut Reader::new(bytes)).map_err(|e| e.to_string())?;
                format!("  reply {name} {}", self.names.row(&info.reply, &row))
            }
            Answer::Refuse(bytes) => {
                let shape = info.error.clone().unwrap_or(Schema::Unit);
                let error = shape.decode(&mut Reader::new(bytes)).map_err(|e| e.to_string())?;
                format!("  refuse {name} {}", self.names.value(&shape, &error))
            }
            Answer::Redirect(to) => {
                format!("  redirect {name} to {}.{to}", self.protocol.roles()[usize::from(info.role)])
            }
        })
    }

    fn request(&mut self, rest: &str) -> Step {
        let again = rest.strip_prefix('r').and_then(|r| r.split_once(" at "));
        if let Some((number, at)) = again.and_then(|(n, at)| Some((n.trim().parse::<u64>().ok()?, at))) {
            let at = self.seat(at.trim())?;
            let (tag, bytes) =
                self.requests.get(number.wrapping_sub(1) as usize).cloned().ok_or("no such request")?;
            return self.ask(at, tag, number, &bytes);
        }
        let (name, args, at) = call(rest).ok_or("expected `request name(args) at node`")?;
        let place = at.strip_prefix("at ").ok_or("expected `at node` after the request")?.trim();
        let requests = self.protocol.requests();
        let info = requests
            .iter()
            .find(|r| r.name == name)
            .ok_or_else(|| format!("there is no request `{name}`"))?;
        if info.args.len() != args.len() {
            return Err(format!("`{name}` takes {} arguments, not {}", info.args.len(), args.len()));
        }
        let mut bytes = Vec::new();
        for ((_, schema), text) in info.args.iter().zip(args) {
            schema.encode(&self.names.parse(schema, text)?, &mut bytes).map_err(|e| e.to_string())?;
        }
        let number = self.requests.len() as u64 + 1;
        let at = match info.route {
            // An instance of several nodes: clients choose the one that takes it.
            Some(by) if !self.seats.iter().any(|s| s.name == place) => {
                let role = usize::from(info.role);
                let deployed = &self.deployment.as_ref().expect("deployed before requests").roles[role];
                let by = by(request(number), &mut Reader::new(&bytes)).ok_or("malformed arguments")?;
                self.seat(&format!("{place}.{}", by % u64::from(deployed.partitions)))?
            }
            _ => self.seat(place)?,
        };
        self.requests.push((info.tag, bytes.clone()));
        self.ask(at, info.tag, self.requests.len() as u64, &bytes)
    }

    fn ask(&mut self, at: usize, tag: u16, number: u64, bytes: &[u8]) -> Step {
        self.live(at)?.request(tag, request(number), &mut Reader::new(bytes)).map_err(|e| e.to_string())?;
        self.macro_step(at)
    }

    /// Numbers of the messages that a choice means.
    fn choose(&self, rest: &str) -> Step<Vec<usize>> {
        let words: Vec<&str> = rest.split_whitespace().collect();
        let fits: Box<dyn Fn(&Message) -> bool> = match words[..] {
            [] => Box::new(|_| true),
            ["to", name] => {
                let to = self.seat(name)?;
                Box::new(move |m| m.to == to)
            }
            ["from", name] => {
                let from = self.seat(name)?;
                Box::new(move |m| m.from == from)
            }
            ["from", a, "to", b] => {
                let ends = (self.seat(a)?, self.seat(b)?);
                Box::new(move |m| (m.from, m.to) == ends)
            }
            [name] if self.protocol.messages().iter().any(|m| m.name == name) => {
                let name = name.to_string();
                Box::new(move |m| m.name == name)
            }
            _ => return self.numbered(&words),
        };
        Ok(self.pending.iter().filter(|m| fits(m)).map(|m| m.number).collect())
    }

    fn numbered(&self, words: &[&str]) -> Step<Vec<usize>> {
        let number = |word: &&str| {
            let number = word.strip_prefix('m').and_then(|n| n.parse().ok());
            let known = number.filter(|n| self.pending.iter().any(|m| m.number == *n));
            known.ok_or_else(|| format!("`{word}` is no message under way, nor the name of one"))
        };
        words.iter().map(number).collect()
    }

    fn deliver(&mut self, rest: &str, together: bool) -> Step {
        let mut lines = Vec::new();
        for round in 0.. {
            let chosen = self.choose(rest)?;
            // Without a choice, also what comes of it is delivered.
            if chosen.is_empty() || (round > 0 && !rest.is_empty()) {
                return Ok(lines);
            }
            if round > LIMIT {
                return Err("messages without end".into());
            }
            let mut ready: Vec<Message> = Vec::new();
            let limit = if rest.is_empty() && !together { 1 } else { chosen.len() };
            for number in &chosen[..limit] {
                let at =
                    self.pending.iter().position(|m| m.number == *number).expect("chosen among the pending");
                ready.push(self.pending.remove(at));
            }
            if together {
                ready.sort_by_key(|m| m.to);
            }
            for (i, message) in ready.iter().enumerate() {
                let name = self.seats[message.to].name.clone();
                let Ok(node) = self.live(message.to) else {
                    lines.push(format!("m{} is lost: {name} has crashed", message.number));
                    continue;
                };
                let taken = node.deliver(&mut Reader::new(&message.bytes)).map_err(|e| e.to_string());
                taken.map_err(|e| format!("{name} cannot read m{}: {e}", message.number))?;
                if !together || ready.get(i + 1).is_none_or(|next| next.to != message.to) {
                    lines.extend(self.macro_step(message.to)?);
                }
            }
        }
        Ok(lines)
    }

    fn pass(&mut self, rest: &str) -> Step {
        let time = crate::deploy::parse_duration(rest).ok_or_else(|| format!("`{rest}` is no duration"))?;
        let until = self.now_ms + time;
        let mut lines = Vec::new();
        loop {
            let mut nodes = self.seats.iter_mut().enumerate();
            let due = nodes.by_ref().filter_map(|(i, s)| Some((s.node.as_mut()?.next_due_ms()?, i))).min();
            let Some((due, i)) = due.filter(|(due, _)| *due <= until) else { break };
            self.now_ms = self.now_ms.max(due);
            let now = self.now_ms;
            if self.live(i)?.fire_due(now, usize::MAX) == 0 {
                return Err(format!("{}: a timer is due and does not fire", self.seats[i].name));
            }
            let at = lines.len();
            lines.extend(self.macro_step(i)?);
            if lines.len() > at {
                lines[at] += &format!(" at {now} ms");
            }
            if lines.len() > LIMIT {
                return Err("timers without end".into());
            }
        }
        self.now_ms = until;
        Ok(lines)
    }

    fn fire(&mut self, rest: &str) -> Step {
        let (name, timer) = rest.split_once(' ').ok_or("expected `fire node timer`")?;
        let i = self.seat(name)?;
        let timers = self.protocol.timers();
        let tags: Vec<u16> = timers.iter().filter(|t| t.name == timer.trim()).map(|t| t.tag).collect();
        let rows = self.live(i)?.waiting();
        let mut fired = 0;
        for row in rows.iter().filter(|r| tags.contains(&r.timer)) {
            fired += usize::from(self.live(i)?.fire(row.timer, &row.row));
        }
        if fired == 0 {
            return Err(format!("no row of `{}` waits at {name}", timer.trim()));
        }
        self.macro_step(i)
    }

    fn crash(&mut self, rest: &str) -> Step {
        let i = self.seat(rest)?;
        self.live(i)?;
        self.seats[i].node = None;
        Ok(Vec::new())
    }

    fn restart(&mut self, rest: &str) -> Step {
        let i = self.seat(rest)?;
        if self.seats[i].node.is_some() {
            return Err(format!("{rest} runs"));
        }
        self.start(i)
    }

    fn show(&mut self, rest: &str) -> Step {
        let (name, table) = rest.split_once(' ').ok_or("expected `show node table`")?;
        let i = self.seat(name)?;
        let table = table.trim();
        let role = self.names.roles.iter().position(|r| name.starts_with(&format!("{r}.")));
        let tables = self.protocol.tables();
        let info = tables.iter().find(|t| t.name == table && Some(usize::from(t.role)) == role);
        let info = info.ok_or_else(|| format!("there is no table `{table}` at {name}"))?;
        let rows = self.live(i)?.rows(table).unwrap_or_default();
        Ok(rows.iter().map(|row| format!("  {table}{}", self.names.row(&info.columns, row))).collect())
    }

    fn waiting(&mut self, rest: &str) -> Step {
        let i = self.seat(rest)?;
        let timers = self.protocol.timers();
        let rows = self.live(i)?.waiting();
        let line = |row: &anabranch_core::node::TimerRow| match timers.iter().find(|t| t.tag == row.timer) {
            Some(info) => {
                format!("  {}{} due at {} ms", info.name, self.names.row(&info.columns, &row.row), row.due_ms)
            }
            None => format!("  timer {} {:?} due at {} ms", row.timer, row.row, row.due_ms),
        };
        Ok(rows.iter().map(line).collect())
    }
}

impl Message {
    fn line(&self) -> String {
        format!("  m{} {}", self.number, self.text)
    }
}

/// A row; without columns it has no bytes, unlike an empty tuple.
fn columns(columns: &[(&'static str, Schema)], input: &mut Reader<'_>) -> Result<Value, WireError> {
    let items: Result<Vec<Value>, WireError> =
        columns.iter().map(|(_, schema)| schema.decode(input)).collect();
    items.map(Value::tuple)
}
