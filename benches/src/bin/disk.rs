//! What the disk can do: write and `fdatasync`, one after the other, growing the
//! file or not. The bound for a log without
//! group commit, and the unit in which a log's cost is to be read.
//!
//! `disk [DIR] [WRITES]`

use anabranch_benches::measure::report::median;
use std::fs::OpenOptions;
use std::io::{Result, Seek, SeekFrom, Write};
use std::time::Instant;

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let dir = args.next().unwrap_or_else(|| ".".into());
    let writes: usize = args.next().and_then(|n| n.parse().ok()).unwrap_or(2000);
    let path = std::path::Path::new(&dir).join(format!("disk-probe-{}", std::process::id()));
    let result = probe(&path, writes);
    std::fs::remove_file(&path)?;
    result
}

fn probe(path: &std::path::Path, writes: usize) -> Result<()> {
    for (bytes, ahead) in [(256, false), (4096, false), (65536, false), (256, true), (4096, true)] {
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).open(path)?;
        if ahead {
            file.write_all(&vec![0; bytes * writes])?;
            file.sync_all()?;
            file.seek(SeekFrom::Start(0))?;
        }
        let record = vec![0x5a; bytes];
        let mut all = Vec::with_capacity(writes);
        for _ in 0..writes {
            let start = Instant::now();
            file.write_all(&record)?;
            file.sync_data()?;
            all.push(start.elapsed().as_nanos() as f64 / 1000.0);
        }
        let mid = median(all.clone()).unwrap_or(0.0);
        all.sort_by(f64::total_cmp);
        println!(
            "{} {bytes} B and fdatasync: p50 {mid:.0} µs, p99 {:.0} µs, most {:.0} µs",
            if ahead { "write into space made before" } else { "append" },
            all[writes * 99 / 100],
            all[writes - 1]
        );
    }
    Ok(())
}
