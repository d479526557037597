//! The log on real files, with and without its thread, and on a disk that fails.

use super::*;
use anabranch_core::disk::SimDisk;
use anabranch_core::node::Seat;
use std::path::PathBuf;

fn identity() -> Identity {
    let seat = Seat { role: 0, instance: 1, partition: 0 };
    Identity { protocol: "test".into(), fingerprint: 7, seat }
}

/// A folder that goes with the test.
struct Folder(PathBuf);
impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("anabranch-storage-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Folder(path)
    }
}
impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn options(threaded: bool) -> WalOptions {
    let waker: Option<Waker> = if threaded { Some(Box::new(|| {})) } else { None };
    WalOptions { waker, log: LogOptions { segment_bytes: 500, reserve_bytes: 100 }, snapshot_bytes: 3000 }
}

fn append_and_reopen(threaded: bool) {
    let folder = Folder::new(if threaded { "thread" } else { "inline" });
    let mut expected = Vec::new();
    for life in 1..=3u64 {
        let (recovered, mut wal) = Wal::open(&folder.0, &identity(), options(threaded)).expect("opens");
        assert_eq!(recovered.incarnation, life);
        let mut found: Vec<u64> = recovered
            .snapshot
            .iter()
            .flat_map(|image| image.as_chunks::<8>().0.iter().map(|n| u64::from_le_bytes(*n)))
            .collect();
        found.extend(recovered.records.iter().map(|(tick, _)| *tick));
        assert_eq!(found, expected);
        for _ in 0..100 {
            let tick = expected.len() as u64;
            wal.append(tick, &[life as u8; 40]);
            expected.push(tick);
            if tick.is_multiple_of(7) {
                wal.sync();
            }
            assert!(wal.poll().expect("polls") <= wal.last());
            if wal.wants_snapshot() {
                wal.snapshot(tick, expected.iter().flat_map(|n| n.to_le_bytes()).collect());
            }
        }
        wal.flush().expect("flushes");
        assert_eq!(wal.poll(), Ok(wal.last()));
        assert_eq!(wal.unstable_bytes(), 0);
        let stats = wal.stats();
        assert_eq!(stats.records, 100);
        assert!(stats.groups >= 2 && stats.snapshots >= 1, "{stats:?}");
        match life {
            1 => wal.close().expect("closes"),
            _ => drop(wal),
        }
    }
}

#[test]
fn records_return_inline() {
    append_and_reopen(false);
}

#[test]
fn records_return_from_the_thread() {
    append_and_reopen(true);
}

#[test]
fn ticks_share_syncs() {
    let disk = SimDisk::new();
    let (_, mut wal) = Wal::open_on(Box::new(disk.clone()), &identity(), options(false)).expect("opens");
    let before = disk.syncs();
    for tick in 0..10 {
        wal.append(tick, b"vote");
    }
    wal.sync();
    assert_eq!((wal.poll(), disk.syncs() - before), (Ok(10), 1));
}

#[test]
fn a_folder_has_one_user() {
    let folder = Folder::new("lock");
    let (_, wal) = Wal::open(&folder.0, &identity(), options(false)).expect("opens");
    let error = Wal::open(&folder.0, &identity(), options(false)).err().expect("locked");
    assert!(error.to_string().ends_with("another process uses this folder"), "{error}");
    drop(wal);
    Wal::open(&folder.0, &identity(), options(false)).expect("opens again");
}

#[test]
fn a_full_disk_is_reported_and_stays() {
    for threaded in [false, true] {
        let disk = SimDisk::new();
        let (_, mut wal) =
            Wal::open_on(Box::new(disk.clone()), &identity(), options(threaded)).expect("opens");
        disk.limit(Some(150));
        wal.append(1, &[0; 1000]);
        let error = wal.flush().expect_err("full");
        assert!(error.to_string().ends_with("no space is left on the disk"), "{error}");
        assert_eq!(wal.poll(), Err(error));
        wal.append(2, b"more");
        wal.sync();
        assert!(wal.poll().is_err());
    }
}
