//! Deployment files: TOML with places, every problem reported at once with its line and a way out.
//!
//! ```toml
//! protocol = "two_pc"
//! durability = "group-commit"          # or "off"
//! data_dir = "data"                    # relative to this file
//! events_dir = "events"                # durable events as text, a file per node; may be left out
//!
//! [roles.coordinator]
//! instances = 1
//!
//! [roles.participant]
//! instances = 3
//! addresses = ["127.0.0.1:7001", "127.0.0.1:7002", "127.0.0.1:7003"]   # or left out: free ports
//!
//! [roles.ender]                        # a part of `coordinator`: it has its instances; may be left out
//! partitions = 5                       # of each instance, where the role is partitioned; 1 if left out
//!
//! [params]
//! patience = "500ms"
//!
//! [limits]
//! frame_bytes = 16_777_216
//! ```

use super::param::{self, kind};
use super::{Deployment, Durability, Limits, RoleDeployment};
use anabranch_core::node::{NodeIndex, Protocol};
use std::collections::BTreeMap;
use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One problem with a deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeployError {
    /// Line in the file, from 1; 0 if it concerns the file as a whole.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

/// All problems with a deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeployErrors {
    /// The file.
    pub path: PathBuf,
    /// Its problems, in order of place.
    pub errors: Vec<DeployError>,
}

impl fmt::Display for DeployErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.errors.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            match error.line {
                0 => write!(f, "{}: {}", self.path.display(), error.message)?,
                line => write!(f, "{}:{line}:{}: {}", self.path.display(), error.column, error.message)?,
            }
            if let Some(help) = &error.help {
                write!(f, "\n  help: {help}")?;
            }
        }
        Ok(())
    }
}
impl std::error::Error for DeployErrors {}

pub(super) fn load(path: &Path, protocol: &dyn Protocol) -> Result<Deployment, DeployErrors> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        let message = format!("cannot be read: {error}");
        let errors = vec![DeployError { line: 0, column: 0, message, help: None }];
        DeployErrors { path: path.to_path_buf(), errors }
    })?;
    parse(path, &text, protocol)
}

pub(super) fn parse(path: &Path, text: &str, protocol: &dyn Protocol) -> Result<Deployment, DeployErrors> {
    let (document, syntax) = DeTable::parse_recoverable(text);
    let mut parser = Parser { text, errors: Vec::new() };
    for error in syntax {
        parser.error(error.span().unwrap_or(0..0), error.message(), None);
    }
    let mut deployment = None;
    if parser.errors.is_empty() {
        deployment = Some(parser.deployment(document.get_ref(), path, protocol));
    }
    let mut errors = parser.errors;
    errors.sort_by_key(|e| (e.line, e.column));
    match deployment {
        Some(deployment) if errors.is_empty() => Ok(deployment),
        _ => Err(DeployErrors { path: path.to_path_buf(), errors }),
    }
}

struct Parser<'t> {
    text: &'t str,
    errors: Vec<DeployError>,
}

type Table<'a, 't> = &'a DeTable<'t>;

impl Parser<'_> {
    fn error(&mut self, span: Range<usize>, message: impl Into<String>, help: Option<String>) {
        let before = &self.text[..span.start.min(self.text.len())];
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
        self.errors.push(DeployError { line, column, message: message.into(), help });
    }

    fn deployment(&mut self, top: Table<'_, '_>, path: &Path, protocol: &dyn Protocol) -> Deployment {
        self.known(
            top,
            "this file",
            &["protocol", "durability", "data_dir", "events_dir", "roles", "params", "limits"],
        );
        match top.get("protocol") {
            Some(name) => {
                if let Some(text) = self.string(name)
                    && text != protocol.name()
                {
                    let message =
                        format!("this deployment is of protocol `{text}`, not of `{}`", protocol.name());
                    self.error(name.span(), message, None);
                }
            }
            None => {
                let help = format!("add `protocol = \"{}\"`", protocol.name());
                self.error(0..0, "the protocol is not named", Some(help));
            }
        }
        let durability = match top.get("durability").map(|found| (found, self.string(found))) {
            None | Some((_, Some("group-commit"))) => Durability::GroupCommit,
            Some((_, Some("off"))) => Durability::Off,
            Some((found, text)) => {
                if let Some(text) = text {
                    let help = Some("choose \"group-commit\" or \"off\"".into());
                    self.error(found.span(), format!("unknown durability {text:?}"), help);
                }
                Durability::Off
            }
        };
        let data_dir = top.get("data_dir").and_then(|found| self.string(found)).unwrap_or("data");
        let events_dir = top.get("events_dir").and_then(|found| self.string(found));
        let base = path.parent().unwrap_or(Path::new(""));
        let roles = self.roles(top, protocol);
        let params = self.params(top, protocol);
        let limits = self.limits(top);
        let deployment = Deployment {
            protocol: protocol.name().to_string(),
            file: Some(path.to_path_buf()),
            roles,
            params,
            durability,
            data_dir: base.join(data_dir),
            events_dir: events_dir.map(|dir| base.join(dir)),
            limits,
        };
        self.duplicates(top, &deployment);
        if self.errors.is_empty() {
            for message in deployment.check(protocol) {
                let mentions = |name: &str| message.contains(&format!("`{name}`"));
                let params = table_of(top, "params");
                let place = params.and_then(|t| t.iter().find(|(name, _)| mentions(name.get_ref())));
                let span = place
                    .map(|(name, _)| name.span())
                    .or(top.get("roles").map(Spanned::span))
                    .unwrap_or(0..0);
                self.error(span, message, None);
            }
        }
        deployment
    }

    fn roles(&mut self, top: Table<'_, '_>, protocol: &dyn Protocol) -> Vec<RoleDeployment> {
        let names = protocol.roles();
        let given = match top.get("roles") {
            Some(found) => self.table(found),
            None => None,
        };
        if let Some(given) = given {
            for name in given.keys().filter(|name| !names.contains(&&**name.get_ref())) {
                let help = format!("{} has the roles {}", protocol.name(), list(names));
                self.error(name.span(), format!("there is no role `{}`", name.get_ref()), Some(help));
            }
        }
        let infos = protocol.role_infos();
        let empty = |&name: &&str| RoleDeployment {
            name: name.into(),
            instances: 1,
            partitions: 1,
            addresses: Vec::new(),
        };
        let mut roles: Vec<RoleDeployment> = names.iter().map(empty).collect();
        // Parts have the instances of their wholes, which therefore come first.
        let mut order: Vec<usize> = (0..names.len()).collect();
        order.sort_by_key(|&i| infos[i].whole.is_some());
        for i in order {
            let (name, info) = (names[i], infos[i]);
            let mut role = roles[i].clone();
            let whole = info.whole.map(|whole| names[usize::from(whole)]);
            if let Some(whole) = info.whole {
                role.instances = roles[usize::from(whole)].instances;
            }
            match given.and_then(|table| table.get_key_value(name)) {
                Some((key, found)) => {
                    if let Some(table) = self.table(found) {
                        self.role(key, table, &mut role, whole, info.partitioned);
                    }
                }
                None if whole.is_some() => {}
                None => {
                    let span = top.get("roles").map(Spanned::span).unwrap_or(0..0);
                    let help = format!("add `[roles.{name}]` with `instances = 1`");
                    self.error(span, format!("the role `{name}` is missing"), Some(help));
                }
            }
            roles[i] = role;
        }
        roles
    }

    /// `instances` of a role that is no part.
    fn instances(
        &mut self,
        key: &Spanned<std::borrow::Cow<'_, str>>,
        table: Table<'_, '_>,
        role: &mut RoleDeployment,
    ) {
        match table.get("instances") {
            None => self.error(key.span(), format!("`instances` of `{}` is missing", role.name), None),
            Some(found) => match self.integer(found) {
                Some(0) => {
                    let help = Some("every role needs at least one instance".into());
                    self.error(found.span(), format!("`{}` has zero instances", role.name), help);
                }
                Some(n) if n > 10_000 => {
                    self.error(found.span(), format!("{n} instances are too many"), None)
                }
                Some(n) => role.instances = n as u32,
                None => {}
            },
        }
    }

    /// `partitions` of a role.
    fn partitions(&mut self, table: Table<'_, '_>, role: &mut RoleDeployment, partitioned: bool) {
        let Some(found) = table.get("partitions") else { return };
        match self.integer(found) {
            Some(0) => {
                let help = Some("every instance has at least one partition".into());
                self.error(found.span(), format!("`{}` has zero partitions", role.name), help);
            }
            Some(n) if n > 10_000 => self.error(found.span(), format!("{n} partitions are too many"), None),
            Some(n) if n > 1 && !partitioned => {
                let help = Some("leave `partitions` out".into());
                self.error(
                    found.span(),
                    format!("`{}` is not partitioned: {n} partitions are not possible", role.name),
                    help,
                );
            }
            Some(n) => role.partitions = n as u32,
            None => {}
        }
    }

    fn role(
        &mut self,
        key: &Spanned<std::borrow::Cow<'_, str>>,
        table: Table<'_, '_>,
        role: &mut RoleDeployment,
        whole: Option<&str>,
        partitioned: bool,
    ) {
        self.known(table, "a role", &["instances", "partitions", "addresses"]);
        match (whole, table.get("instances")) {
            (None, _) => self.instances(key, table, role),
            (Some(whole), Some(found)) => {
                let help = Some(format!("set `instances` of `{whole}`, and here `partitions` if anything"));
                let message = format!("`{}` is a part of `{whole}` and has its instances", role.name);
                self.error(found.span(), message, help);
            }
            (Some(_), None) => {}
        }
        self.partitions(table, role, partitioned);
        let Some(found) = table.get("addresses") else { return };
        let Some(items) = found.get_ref().as_array() else {
            self.error(
                found.span(),
                format!("expected an array of addresses, found {}", kind(found.get_ref())),
                None,
            );
            return;
        };
        if items.len() != role.instances as usize * role.partitions as usize {
            let (n, of, name) = (items.len(), role.instances, &role.name);
            let (message, per) = match role.partitions {
                1 => (format!("{n} addresses for {of} instances of `{name}`"), "instance"),
                p => (
                    format!("{n} addresses for {of} instances of `{name}` with {p} partitions each"),
                    "partition of each instance",
                ),
            };
            let help = Some(format!("give one address per {per}, or none for free loopback ports"));
            self.error(found.span(), message, help);
        }
        for item in items.iter() {
            let Some(text) = self.string(item) else { continue };
            match resolve(text) {
                Some(address) => role.addresses.push(address),
                None => {
                    let help = Some("write it as \"127.0.0.1:7001\"".into());
                    self.error(item.span(), format!("{text:?} is not an address with a port"), help);
                }
            }
        }
    }

    fn duplicates(&mut self, top: Table<'_, '_>, deployment: &Deployment) {
        let mut seen: BTreeMap<SocketAddr, String> = BTreeMap::new();
        let layout = deployment.layout();
        for (number, role) in deployment.roles.iter().enumerate() {
            let place = table_of(top, "roles").and_then(|t| t.get(role.name.as_str()));
            let items = place.and_then(|r| r.get_ref().as_table()).and_then(|t| t.get("addresses"));
            let items = items.and_then(|a| a.get_ref().as_array());
            for (i, address) in role.addresses.iter().enumerate().filter(|(_, a)| a.port() != 0) {
                let name = deployment.node_name(NodeIndex(layout.first(number as u16) + i as u32));
                if let Some(other) = seen.insert(*address, name.clone()) {
                    let span = items.and_then(|a| a.get(i)).map(Spanned::span).unwrap_or(0..0);
                    let help = Some("give every node an address of its own".into());
                    self.error(span, format!("`{name}` has the same address as `{other}`: {address}"), help);
                }
            }
        }
    }

    fn params(
        &mut self,
        top: Table<'_, '_>,
        protocol: &dyn Protocol,
    ) -> BTreeMap<String, anabranch_core::value::Value> {
        let infos = protocol.params();
        let mut params = BTreeMap::new();
        let given = match top.get("params") {
            Some(found) => self.table(found),
            None => None,
        };
        for (name, found) in given.into_iter().flatten() {
            let Some(info) = infos.iter().find(|info| info.name == name.get_ref()) else {
                let names: Vec<&str> = infos.iter().map(|info| info.name).collect();
                let help = match names.is_empty() {
                    true => format!("{} has no params", protocol.name()),
                    false => format!("{} has the params {}", protocol.name(), list(&names)),
                };
                self.error(name.span(), format!("there is no param `{}`", name.get_ref()), Some(help));
                continue;
            };
            match param::value(found.get_ref(), &info.schema, info.ty.trim() == "Duration") {
                Ok(value) => {
                    params.insert(info.name.to_string(), value);
                }
                Err(mismatch) => {
                    let message = format!("param `{}: {}`: {}", info.name, info.ty, mismatch.message);
                    self.error(found.span(), message, mismatch.help);
                }
            }
        }
        for info in infos.iter().filter(|info| info.default.is_none()) {
            if !given.is_some_and(|table| table.contains_key(info.name)) {
                let span = top.get("params").map(Spanned::span).unwrap_or(0..0);
                let help = format!("add `{} = …` under `[params]`", info.name);
                self.error(
                    span,
                    format!("the param `{}: {}` has no default and is missing", info.name, info.ty),
                    Some(help),
                );
            }
        }
        params
    }

    fn limits(&mut self, top: Table<'_, '_>) -> Limits {
        let mut limits = Limits::default();
        let Some(table) = top.get("limits").and_then(|found| self.table(found)) else { return limits };
        let names = ["batch_bytes", "frame_bytes", "pressure_bytes", "queue_bytes", "snapshot_bytes"];
        self.known(table, "[limits]", &names);
        for (name, found) in table.iter() {
            let Some(n) = self.integer(found) else { continue };
            if n < 1024 {
                self.error(found.span(), format!("{n} is too small"), Some("at least 1024".into()));
            }
            let size = usize::try_from(n).unwrap_or(usize::MAX);
            match &**name.get_ref() {
                "batch_bytes" => limits.batch_bytes = size,
                "frame_bytes" => limits.frame_bytes = size.min(u32::MAX as usize / 2),
                "pressure_bytes" => limits.pressure_bytes = size,
                "queue_bytes" => limits.queue_bytes = size,
                "snapshot_bytes" => limits.snapshot_bytes = n,
                _ => {}
            }
        }
        limits
    }

    fn known(&mut self, table: Table<'_, '_>, whose: &str, names: &[&str]) {
        for key in table.keys().filter(|key| !names.contains(&&**key.get_ref())) {
            let help = format!("{whose} may hold {}", list(names));
            self.error(key.span(), format!("unknown key `{}`", key.get_ref()), Some(help));
        }
    }

    fn string<'a>(&mut self, found: &'a Spanned<DeValue<'_>>) -> Option<&'a str> {
        let text = found.get_ref().as_str();
        if text.is_none() {
            self.error(found.span(), format!("expected a string, found {}", kind(found.get_ref())), None);
        }
        text
    }

    fn integer(&mut self, found: &Spanned<DeValue<'_>>) -> Option<u64> {
        let integer = found.get_ref().as_integer();
        let n = integer.and_then(|i| u64::from_str_radix(i.as_str(), i.radix()).ok());
        if n.is_none() {
            let what = integer.map_or(kind(found.get_ref()).to_string(), |i| i.to_string());
            self.error(found.span(), format!("expected a natural number, found {what}"), None);
        }
        n
    }

    fn table<'a, 't>(&mut self, found: &'a Spanned<DeValue<'t>>) -> Option<&'a DeTable<'t>> {
        let table = found.get_ref().as_table();
        if table.is_none() {
            self.error(found.span(), format!("expected a table, found {}", kind(found.get_ref())), None);
        }
        table
    }
}

fn table_of<'a, 't>(top: &'a DeTable<'t>, name: &str) -> Option<&'a DeTable<'t>> {
    top.get(name).and_then(|found| found.get_ref().as_table())
}

fn resolve(text: &str) -> Option<SocketAddr> {
    text.parse().ok().or_else(|| text.to_socket_addrs().ok()?.next())
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
