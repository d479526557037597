//! For tests of whole nodes: folders that are simulated disks.

use anabranch_core::disk::{Disk, DiskError, SimDisk};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

static FOLDERS: Mutex<BTreeMap<PathBuf, SimDisk>> = Mutex::new(BTreeMap::new());

/// Makes a folder a simulated disk in this process, and gives a handle on it.
pub(crate) fn mount(folder: &Path) -> SimDisk {
    let disk = SimDisk::new();
    FOLDERS.lock().expect("no test panics here").insert(folder.to_owned(), disk.clone());
    disk
}

/// The disk of a mounted folder.
pub(super) fn disk(folder: &Path) -> Option<Box<dyn Disk>> {
    let folders = FOLDERS.lock().expect("no test panics here");
    folders.get(folder).map(|disk| Box::new(Slow(disk.clone())) as Box<dyn Disk>)
}

/// Takes its time to sync, so that there is something to lose.
struct Slow(SimDisk);

impl Disk for Slow {
    fn list(&mut self) -> Result<Vec<String>, DiskError> {
        self.0.list()
    }
    fn read(&mut self, name: &str) -> Result<Vec<u8>, DiskError> {
        self.0.read(name)
    }
    fn create(&mut self, name: &str) -> Result<(), DiskError> {
        self.0.create(name)
    }
    fn write(&mut self, name: &str, at: u64, bytes: &[u8]) -> Result<(), DiskError> {
        self.0.write(name, at, bytes)
    }
    fn truncate(&mut self, name: &str, len: u64) -> Result<(), DiskError> {
        self.0.truncate(name, len)
    }
    fn sync(&mut self, name: &str) -> Result<(), DiskError> {
        std::thread::sleep(Duration::from_micros(500));
        self.0.sync(name)
    }
    fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError> {
        self.0.rename(from, to)
    }
    fn remove(&mut self, name: &str) -> Result<(), DiskError> {
        self.0.remove(name)
    }
    fn sync_dir(&mut self) -> Result<(), DiskError> {
        self.0.sync_dir()
    }
}
