//! A folder of the file system as a disk.

use anabranch_core::disk::{Disk, DiskError, DiskErrorKind};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A folder. Locked, so that two nodes never share one.
#[derive(Debug)]
pub struct FsDisk {
    folder: PathBuf,
    /// The file that was used last, open for writing.
    current: Option<(String, File)>,
    _lock: File,
}

impl FsDisk {
    /// Opens a folder, making it if it is not there.
    pub fn open(folder: &Path) -> Result<FsDisk, DiskError> {
        let shown = folder.display().to_string();
        fs::create_dir_all(folder).map_err(|error| fault("make the folder", &shown, &error))?;
        // Else a power failure could take the folder with the first commits in it.
        if let Some(parent) = folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            let synced = File::open(parent).and_then(|parent| parent.sync_all());
            synced.map_err(|error| fault("sync the parent of", &shown, &error))?;
        }
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(folder.join("lock"));
        let lock = lock.map_err(|error| fault("open the lock of", &shown, &error))?;
        lock.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => DiskError {
                op: "lock",
                name: shown.clone(),
                kind: DiskErrorKind::Other("another process uses this folder".into()),
            },
            fs::TryLockError::Error(error) => fault("lock", &shown, &error),
        })?;
        Ok(FsDisk { folder: folder.to_owned(), current: None, _lock: lock })
    }

    fn file(&mut self, op: &'static str, name: &str) -> Result<&mut File, DiskError> {
        if self.current.as_ref().is_none_or(|(current, _)| current != name) {
            let opened = OpenOptions::new().write(true).open(self.folder.join(name));
            self.current = Some((name.to_owned(), opened.map_err(|error| fault(op, name, &error))?));
        }
        Ok(&mut self.current.as_mut().expect("opened above").1)
    }
}

/// A system's error in the log's terms.
pub(super) fn fault(op: &'static str, name: &str, error: &io::Error) -> DiskError {
    let kind = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => DiskErrorKind::Full,
        ErrorKind::NotFound => DiskErrorKind::NotFound,
        _ => DiskErrorKind::Other(error.to_string()),
    };
    DiskError { op, name: name.to_owned(), kind }
}

impl Disk for FsDisk {
    fn list(&mut self) -> Result<Vec<String>, DiskError> {
        let entries = || -> io::Result<Vec<String>> {
            let mut names = Vec::new();
            for entry in fs::read_dir(&self.folder)? {
                let entry = entry?;
                // Names that are not text are not ours.
                if let (true, Ok(name)) = (entry.file_type()?.is_file(), entry.file_name().into_string()) {
                    names.push(name);
                }
            }
            names.sort();
            Ok(names)
        };
        entries().map_err(|error| fault("list", "the folder", &error))
    }
    fn read(&mut self, name: &str) -> Result<Vec<u8>, DiskError> {
        fs::read(self.folder.join(name)).map_err(|error| fault("read", name, &error))
    }
    fn create(&mut self, name: &str) -> Result<(), DiskError> {
        // An existing file is replaced, not emptied: its old contents must not return under a new length.
        let path = self.folder.join(name);
        self.current = None;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(fault("replace", name, &error)),
            _ => {}
        }
        let file = OpenOptions::new().create_new(true).write(true).open(&path);
        self.current = Some((name.to_owned(), file.map_err(|error| fault("create", name, &error))?));
        Ok(())
    }
    fn write(&mut self, name: &str, at: u64, bytes: &[u8]) -> Result<(), DiskError> {
        self.file("write", name)?.write_all_at(bytes, at).map_err(|error| fault("write", name, &error))
    }
    fn truncate(&mut self, name: &str, len: u64) -> Result<(), DiskError> {
        self.file("cut", name)?.set_len(len).map_err(|error| fault("cut", name, &error))
    }
    fn sync(&mut self, name: &str) -> Result<(), DiskError> {
        self.file("sync", name)?.sync_data().map_err(|error| fault("sync", name, &error))
    }
    fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError> {
        self.current = None;
        fs::rename(self.folder.join(from), self.folder.join(to))
            .map_err(|error| fault("rename", from, &error))
    }
    fn remove(&mut self, name: &str) -> Result<(), DiskError> {
        if self.current.as_ref().is_some_and(|(current, _)| current == name) {
            self.current = None;
        }
        fs::remove_file(self.folder.join(name)).map_err(|error| fault("remove", name, &error))
    }
    fn sync_dir(&mut self) -> Result<(), DiskError> {
        let synced = File::open(&self.folder).and_then(|folder| folder.sync_all());
        synced.map_err(|error| fault("sync", "the folder", &error))
    }
}
