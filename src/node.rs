//! `anabranch node`: one node of a deployment.

use crate::Protocols;
use crate::args::Node;
use crate::deployment::{load, nodes, shared};
use crate::exit::{CommandError, Exit, Result};
use anabranch::launch;

/// Runs the command: until SIGINT or SIGTERM, or under a launcher until that lets go.
pub fn run(args: &Node, protocols: &Protocols) -> Result {
    let (Some(file), Some(name)) = (&args.deployment, &args.node) else {
        let find = |name: &str| protocols.iter().copied().find(|p| p.name() == name).map(shared);
        // The launcher reads more out of this code than our own exit codes say.
        std::process::exit(launch::child(find));
    };
    let (protocol, deployment) = load(file, protocols)?;
    let index = nodes(&deployment, Some(name))?[0];
    let seat = deployment.layout().seat(index).expect("an index of this layout");
    let ready = name.clone();
    let exit = launch::run_node(shared(protocol), &deployment, seat, move || eprintln!("{ready} is ready"))
        .map_err(|error| CommandError::failure(error.to_string()))?;
    match exit {
        anabranch::Exit::Stopped => Ok(Exit::Ok),
        broken @ anabranch::Exit::Broken(_) => {
            Err(CommandError { exit: Exit::Violation, message: format!("{name}: {broken}") })
        }
        other => Err(CommandError::failure(format!("{name}: {other}"))),
    }
}
