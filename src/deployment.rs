//! Deployment files and the protocols that they name.

use crate::Protocols;
use crate::exit::{CommandError, Result};
use anabranch::core::node::{NodeIndex, Protocol};
use anabranch::deploy::{DeployErrors, Deployment};
use std::path::Path;
use std::sync::Arc;

/// The runtime shares protocols; ours live as long as the program.
pub fn shared(protocol: &'static dyn Protocol) -> Arc<dyn Protocol> {
    Arc::new(protocol)
}

/// A protocol by name.
pub fn named(protocols: &Protocols, name: &str) -> Result<&'static dyn Protocol> {
    protocols.iter().copied().find(|p| p.name() == name).ok_or_else(|| {
        let all: Vec<&str> = protocols.iter().map(|p| p.name()).collect();
        let help =
            if all.is_empty() { "it has none".to_string() } else { format!("it has {}", all.join(", ")) };
        CommandError::usage(format!("this program has no protocol `{name}`\n  help: {help}"))
    })
}

/// Reads a deployment file, and which of this program's protocols it is of.
pub fn load(path: &Path, protocols: &Protocols) -> Result<(&'static dyn Protocol, Deployment)> {
    let protocol = protocol_of(path, protocols)?;
    Ok((protocol, Deployment::load(path, protocol).map_err(invalid)?))
}

/// The same for a deployment that runs, with the addresses that it runs at.
pub fn running(path: &Path, protocols: &Protocols) -> Result<(&'static dyn Protocol, Deployment)> {
    let protocol = protocol_of(path, protocols)?;
    Ok((protocol, Deployment::load_running(path, protocol).map_err(invalid)?))
}

fn protocol_of(path: &Path, protocols: &Protocols) -> Result<&'static dyn Protocol> {
    let text = crate::source::read(path)?;
    let table: Option<toml::Table> = text.parse().ok();
    match table.as_ref().and_then(|t| t.get("protocol")).and_then(|name| name.as_str()) {
        Some(name) => named(protocols, name).map_err(|error| {
            let line = text.lines().position(|l| l.trim_start().starts_with("protocol")).map_or(1, |i| i + 1);
            CommandError { message: format!("{}:{line}: {}", path.display(), error.message), ..error }
        }),
        // What is wrong with the file is said with its line by whoever reads it in full.
        None => match protocols {
            [first, ..] => Ok(*first),
            [] => Err(CommandError::usage("this program has no protocols")),
        },
    }
}

fn invalid(errors: DeployErrors) -> CommandError {
    CommandError::usage(errors.to_string())
}

/// Nodes by name, or all.
pub fn nodes(deployment: &Deployment, name: Option<&str>) -> Result<Vec<NodeIndex>> {
    let layout = deployment.layout();
    match name {
        None => Ok((0..layout.nodes()).map(NodeIndex).collect()),
        Some(name) => match deployment.find_seat(name) {
            Some(seat) => Ok(vec![layout.index(seat)]),
            None => {
                let all: Vec<String> =
                    (0..layout.nodes()).map(|i| deployment.node_name(NodeIndex(i))).collect();
                let message = format!("there is no node `{name}`\n  help: there are {}", all.join(", "));
                Err(CommandError::usage(message))
            }
        },
    }
}
