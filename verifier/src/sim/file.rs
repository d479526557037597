//! Counterexamples as files: one JSON document with all that decides a run, to be replayed, sent to a colleague, or
//! kept as a test.
//!
//! Values are written as in Rust, by the protocol's own schemas, so that a file can be read and changed by hand.

use super::campaign::Failure;
use super::faults::Fault;
use super::plan::{Ask, Plan, Runtime, Vary, calm_us};
use super::tester::Tester;
use super::{Outcome, Violation};
use anabranch_core::node::{Layout, Protocol, RoleLayout};
use anabranch_core::value::Value;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A counterexample on disk.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Counterexample {
    /// The protocol's name.
    pub protocol: String,
    /// Its fingerprint when the run was found: of another program the run may be another.
    pub fingerprint: String,
    /// The property that fails.
    pub property: String,
    /// What is wrong, in words.
    pub says: String,
    /// By role: instances and partitions.
    pub layout: BTreeMap<String, [u32; 2]>,
    /// Parameters that differ from their defaults.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// The seed of all that is not written below.
    pub seed: u64,
    /// What varies by the seed.
    pub vary: Vary,
    /// Deliberate faults of the runtime.
    #[serde(default)]
    pub runtime: Runtime,
    /// By client, what it asks for.
    pub clients: Vec<Vec<Request>>,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// Clients' patience, in virtual microseconds.
    pub patience_us: u64,
    /// How long a run may last after its faults.
    pub settle_us: u64,
}

/// A request in a file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Request {
    /// How long the client thinks before.
    pub think_us: u64,
    /// The request's name.
    pub request: String,
    /// Its arguments.
    pub args: Vec<String>,
}

/// A file that does not fit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileError(pub String);

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl std::error::Error for FileError {}

fn wrong<T>(message: impl Into<String>) -> Result<T, FileError> {
    Err(FileError(message.into()))
}

impl Counterexample {
    /// Writes a run down.
    pub fn new(tester: &Tester, plan: &Plan, violation: &Violation) -> Counterexample {
        let protocol = tester.protocol;
        let roles = protocol.roles();
        let sizes = roles.iter().zip(&plan.layout.roles);
        let infos = protocol.params();
        let param = |(name, value): (&String, &Value)| {
            let info = infos.iter().find(|p| p.name == name)?;
            Some((name.clone(), info.schema.print(value, roles)))
        };
        let request = |ask: &Ask| {
            let info = tester.shapes.request(ask.tag);
            let args = tester.shapes.texts(&info.args, &tester.shapes.args(ask.tag, &ask.args));
            Request { think_us: ask.think_us, request: info.name.to_string(), args }
        };
        Counterexample {
            protocol: protocol.name().to_string(),
            fingerprint: format!("{:016x}", protocol.fingerprint()),
            property: violation.property.clone(),
            says: violation.text.clone(),
            layout: sizes.map(|(name, r)| (name.to_string(), [r.instances, r.partitions])).collect(),
            params: plan.params.iter().filter_map(param).collect(),
            seed: plan.seed,
            vary: plan.vary,
            runtime: plan.runtime,
            clients: plan.clients.iter().map(|script| script.iter().map(request).collect()).collect(),
            faults: plan.faults.clone(),
            patience_us: plan.patience_us,
            settle_us: plan.settle_us,
        }
    }

    /// Reads a file's text.
    pub fn parse(text: &str) -> Result<Counterexample, FileError> {
        serde_json::from_str(text).map_err(|error| FileError(format!("no counterexample: {error}")))
    }

    /// The file's text.
    pub fn text(&self) -> String {
        serde_json::to_string_pretty(self).expect("a counterexample is plain data") + "\n"
    }

    /// The deployment that the run is of.
    pub fn deployment(
        &self,
        protocol: &dyn Protocol,
    ) -> Result<(Layout, BTreeMap<String, Value>), FileError> {
        if self.protocol != protocol.name() {
            return wrong(format!("a run of `{}`, not of `{}`", self.protocol, protocol.name()));
        }
        let mut roles = Vec::new();
        for name in protocol.roles() {
            let Some(&[instances, partitions]) = self.layout.get(*name) else {
                return wrong(format!("`layout` does not say how many `{name}` there are"));
            };
            if !(1..=1000).contains(&instances) || !(1..=1000).contains(&partitions) {
                return wrong(format!("`layout` has {instances} × {partitions} of `{name}`"));
            }
            roles.push(RoleLayout { instances, partitions });
        }
        let mut params = BTreeMap::new();
        for (name, text) in &self.params {
            let Some(info) = protocol.params().into_iter().find(|p| p.name == name) else {
                return wrong(format!("`{}` has no parameter `{name}`", self.protocol));
            };
            let value = info.schema.parse(text, protocol.roles());
            params.insert(name.clone(), value.map_err(|e| FileError(format!("parameter `{name}`: {e}")))?);
        }
        Ok((Layout { roles }, params))
    }

    /// The run, of a protocol that has all that it mentions.
    pub fn plan(&self, protocol: &dyn Protocol) -> Result<Plan, FileError> {
        let (layout, params) = self.deployment(protocol)?;
        let requests = protocol.requests();
        let mut clients = Vec::new();
        for script in &self.clients {
            let mut asks = Vec::new();
            for request in script {
                let Some(info) = requests.iter().find(|r| r.name == request.request) else {
                    return wrong(format!("`{}` has no request `{}`", self.protocol, request.request));
                };
                if info.args.len() != request.args.len() {
                    return wrong(format!("`{}` takes {} arguments", info.name, info.args.len()));
                }
                let mut args = Vec::new();
                for ((column, schema), text) in info.args.iter().zip(&request.args) {
                    let value = schema.parse(text, protocol.roles());
                    let value =
                        value.map_err(|e| FileError(format!("`{column}` of `{}`: {e}", info.name)))?;
                    schema.encode(&value, &mut args).map_err(|e| FileError(e.to_string()))?;
                }
                asks.push(Ask { tag: info.tag, args, think_us: request.think_us });
            }
            clients.push(asks);
        }
        let places = layout.nodes() + clients.len() as u32;
        for fault in &self.faults {
            if fault
                .places()
                .into_iter()
                .any(|(place, client)| place >= if client { places } else { layout.nodes() })
            {
                return wrong(format!("a fault at a place that there is not: {fault:?}"));
            }
        }
        Ok(Plan {
            seed: self.seed,
            layout: Arc::new(layout),
            params,
            clients,
            faults: self.faults.clone(),
            calm_us: calm_us(&self.faults),
            settle_us: self.settle_us,
            patience_us: self.patience_us,
            vary: self.vary,
            runtime: self.runtime,
        })
    }

    /// Writes the smallest run of a failure into a folder, which is made if it is missing; the file's path.
    pub fn save(dir: &Path, tester: &Tester, failure: &Failure) -> std::io::Result<PathBuf> {
        let (plan, violation) = failure.smallest();
        let file = Counterexample::new(tester, plan, violation);
        let path = dir.join(format!("{}-{}-{}.json", file.protocol, file.property, failure.seed));
        std::fs::create_dir_all(dir)?;
        std::fs::write(&path, file.text())?;
        Ok(path)
    }

    /// A test that fails as long as the run goes wrong; `protocol` is a Rust path to the descriptor, `path` where
    /// the file is, seen from the crate.
    pub fn as_test(&self, protocol: &str, path: &str) -> String {
        let name: String =
            self.property.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        format!(
            "/// {}\n#[test]\nfn {}_{name}_stays_fixed() {{\n    anabranch_verifier::sim::file::stays_fixed({protocol}, {path:?});\n}}\n",
            self.says.lines().next().unwrap_or_default(),
            self.protocol,
        )
    }
}

/// Runs the counterexample in a file and panics if anything goes wrong in it, saying how to look at it.
///
/// # Panics
/// If the run goes wrong, or the file cannot be read.
pub fn stays_fixed(protocol: &'static dyn Protocol, path: impl AsRef<Path>) {
    let path = path.as_ref();
    let shown = path.display();
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{shown} cannot be read: {e}"));
    match rerun(protocol, &text) {
        Err(error) => panic!("{shown}: {error}"),
        Ok(Outcome { violation: Some(violation), .. }) => {
            panic!("{violation}\nlook at it with: anabranch replay {shown}")
        }
        Ok(_) => {}
    }
}

/// Runs a counterexample once more.
pub fn rerun(protocol: &'static dyn Protocol, text: &str) -> Result<Outcome, FileError> {
    let file = Counterexample::parse(text)?;
    let (layout, params) = file.deployment(protocol)?;
    let tester = Tester::new(protocol, layout, params).map_err(|e| FileError(e.join("\n")))?;
    Ok(tester.run_closely(&file.plan(protocol)?))
}
