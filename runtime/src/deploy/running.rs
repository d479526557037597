//! Running files: where a launched deployment's nodes listen, for `call`, `inspect` and the like.
//!
//! A launcher writes `NAME.running.toml` beside `NAME.toml` when all nodes are ready and removes it at the
//! end. A file left by a launcher that was killed is overwritten by the next one.

use super::{DeployErrors, Deployment};
use anabranch_core::node::Protocol;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

impl Deployment {
    /// Where the running file of a deployment file is.
    pub fn running_file(deployment_file: &Path) -> PathBuf {
        deployment_file.with_extension("running.toml")
    }

    /// Writes the running file; without a deployment file, nothing.
    pub fn write_running(&self) -> io::Result<()> {
        let (Some(file), Some(addresses)) = (&self.file, self.addresses()) else { return Ok(()) };
        let addresses: Vec<String> = addresses.iter().map(|a| format!("\"{a}\"")).collect();
        let text = format!(
            "# Written while the deployment runs.\nlauncher_pid = {}\naddresses = [{}]\n",
            std::process::id(),
            addresses.join(", ")
        );
        std::fs::write(Deployment::running_file(file), text)
    }

    /// Removes the running file.
    pub fn remove_running(&self) {
        if let Some(file) = &self.file {
            // Nothing depends on it being gone.
            let _ = std::fs::remove_file(Deployment::running_file(file));
        }
    }

    /// Like [`Deployment::load`], with addresses that the file leaves open taken from the running file.
    pub fn load_running(path: &Path, protocol: &dyn Protocol) -> Result<Deployment, DeployErrors> {
        let mut deployment = Deployment::load(path, protocol)?;
        let known = deployment.addresses().is_some_and(|all| all.iter().all(|a| a.port() != 0));
        if !known
            && let Some(addresses) = read(&Deployment::running_file(path))
            && addresses.len() == deployment.layout().nodes() as usize
        {
            deployment.set_addresses(&addresses);
        }
        Ok(deployment)
    }
}

fn read(path: &Path) -> Option<Vec<SocketAddr>> {
    let text = std::fs::read_to_string(path).ok()?;
    let table: toml::Table = text.parse().ok()?;
    let addresses = table.get("addresses")?.as_array()?;
    addresses.iter().map(|a| a.as_str()?.parse().ok()).collect()
}
