//! Another number of partitions for a role, while nothing runs: durable rows move to the partitions that their
//! `routed ..` now names.
//!
//! Everything is read and checked first; then the new folders are written beside the old ones (`rescaling`), the old
//! ones are moved to `before-rescaling`, where they stay, and the new ones take their places. Ids drawn by `unique()`
//! name a node by its number in the layout, and numbers change: so every node of the deployment begins in a later
//! incarnation than any that ran before.
//!
//! Omitted: rescaling while nodes run; machines, which no partition has; durable events of a node that crashed and
//! were not yet handed to the application (stop the nodes in good order).

use crate::deploy::{Deployment, Durability};
use crate::start;
use crate::storage::{FsDisk, Identity, LogError, OpenError};
use crate::store;
use anabranch_core::disk::DiskError;
use anabranch_core::log::{Log, LogOptions, Recovered};
use anabranch_core::node::{Ids, Node, NodeIndex, Protocol, Seat, Setup, TableInfo, TableRouting};
use anabranch_core::value::Value;
use anabranch_core::wire::{Reader, WireError};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rescaled {
    /// The role.
    pub role: String,
    /// Partitions of each instance, before and after.
    pub partitions: (u32, u32),
    /// By table: how many rows each instance's partitions have now, one list after the other.
    pub rows: BTreeMap<&'static str, Vec<usize>>,
    /// How many rows lie in another partition than before.
    pub moved: usize,
    /// Where the folders as they were are kept.
    pub before: PathBuf,
}

/// Why nothing was done.
#[derive(Debug)]
pub enum RescaleError {
    /// The deployment or the role does not allow it: one text for each problem.
    Impossible(Vec<String>),
    /// A table's rows belong to no partition in particular.
    Unrouted {
        /// The table.
        table: String,
        /// A node that has rows.
        node: String,
        /// How many.
        rows: usize,
    },
    /// Partitions disagree: about a table of which all have the same rows, or about the row of a key.
    Disagree {
        /// The table.
        table: String,
        /// Whose instance.
        instance: String,
    },
    /// An earlier rescaling's folders are there.
    Leftover(PathBuf),
    /// A node's folder cannot be opened: it runs, or is damaged.
    Open(String, Box<OpenError>),
    /// A node's log is not of this program.
    Replay(String, WireError),
    /// A folder cannot be written.
    Write(String, String),
}

impl fmt::Display for RescaleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RescaleError::Impossible(problems) => f.write_str(&problems.join("\n")),
            RescaleError::Unrouted { table, node, rows } => write!(
                f,
                "`{table}` does not say which partition its rows belong to, and {node} has {rows} of them\n  help: \
                 declare it `routed by` columns of its key, or `routed to all` if every partition has the same rows"
            ),
            RescaleError::Disagree { table, instance } => write!(
                f,
                "the partitions of {instance} disagree about `{table}`\n  help: let the nodes come to rest before \
                 they are stopped"
            ),
            RescaleError::Leftover(path) => write!(
                f,
                "{} is there: an earlier rescaling was interrupted, or its old state is still kept\n  help: \
                 `before-rescaling` holds what was before, `rescaling` what was to come; move them away",
                path.display()
            ),
            RescaleError::Open(node, error) => {
                write!(f, "{node}: {error}\n  help: all nodes must be stopped")
            }
            RescaleError::Replay(node, error) => {
                write!(f, "{node}: the log does not fit this program: {error}")
            }
            RescaleError::Write(node, error) => write!(f, "{node}: {error}"),
        }
    }
}
impl std::error::Error for RescaleError {}

/// Gives the instances of a role another number of partitions. All nodes of the deployment must be stopped; the
/// deployment says how many partitions there were, and the caller changes it afterwards.
pub fn rescale(
    protocol: &dyn Protocol,
    deployment: &Deployment,
    role: &str,
    partitions: u32,
) -> Result<Rescaled, RescaleError> {
    let number = check(protocol, deployment, role, partitions)?;
    let mut after = deployment.clone();
    after.roles[usize::from(number)].partitions = partitions;
    // Addresses are of the old nodes.
    after.roles.iter_mut().for_each(|r| r.addresses.clear());
    let (staging, before) =
        (deployment.data_dir.join("rescaling"), deployment.data_dir.join("before-rescaling"));
    for folder in [&staging, &before] {
        if folder.exists() {
            return Err(RescaleError::Leftover(folder.clone()));
        }
    }

    // Everything is read before anything is written; the logs' locks are held meanwhile.
    let mut old = Vec::new();
    let mut least = 0;
    let layout = deployment.layout();
    for seat in (0..layout.nodes()).filter_map(|i| layout.seat(NodeIndex(i))) {
        let (recovered, log) = open(protocol, deployment, seat, 0)?;
        least = least.max(recovered.incarnation);
        old.push((seat, recovered, log));
    }
    let (mut mine, mut others) = (Vec::new(), Vec::new());
    for (seat, recovered, log) in old {
        if seat.role == number {
            mine.push((seat, node(protocol, deployment, seat, Some(&recovered))?, log));
        } else {
            others.push((seat, log));
        }
    }
    let nodes: Vec<(Seat, &dyn Node)> = mine.iter().map(|(seat, node, _)| (*seat, node.as_ref())).collect();
    let plan = distribute(protocol, deployment, number, partitions, &nodes)?;
    let rescaled = Rescaled {
        role: role.to_string(),
        partitions: (deployment.roles[usize::from(number)].partitions, partitions),
        rows: plan.counts,
        moved: plan.moved,
        before: before.clone(),
    };

    let write = |seat: Seat, error: &dyn fmt::Display| {
        RescaleError::Write(deployment.seat_name(seat), error.to_string())
    };
    for (at, (seat, record)) in plan.records.iter().enumerate() {
        let name = after.seat_name(*seat);
        let mut fresh = node(protocol, &after, *seat, None)?;
        fresh.replay(&mut Reader::new(record)).map_err(|e| RescaleError::Replay(name.clone(), e))?;
        // Two rows of one key, from two partitions, would have become one.
        let merged = |(table, counts): &(&&str, &Vec<usize>)| {
            fresh.rows(table).is_none_or(|rows| rows.len() != counts[at])
        };
        if let Some((table, _)) = rescaled.rows.iter().find(merged) {
            let instance = format!("{role}.{}", seat.instance);
            return Err(RescaleError::Disagree { table: table.to_string(), instance });
        }
        let mut image = Vec::new();
        fresh.snapshot(&mut image);
        let failed = |e: &dyn fmt::Display| RescaleError::Write(name.clone(), e.to_string());
        let disk = FsDisk::open(&staging.join(&name)).map_err(|e| failed(&e))?;
        let identity = identity(protocol, *seat);
        let opened = Log::open_from(disk, &identity, LogOptions::default(), least);
        let (_, mut log) = opened.map_err(|e| RescaleError::Open(name.clone(), Box::new(e)))?;
        log.snapshot(0, &image).and_then(|()| log.close()).map_err(|e: LogError| failed(&e))?;
    }
    for (seat, log) in others {
        log.close().map_err(|e| write(seat, &e))?;
        let (_, log) = open(protocol, deployment, seat, least)?;
        log.close().map_err(|e| write(seat, &e))?;
    }
    let seats: Vec<Seat> = mine.iter().map(|(seat, ..)| *seat).collect();
    // Closed, so that what is kept could be used again; and unlocked.
    for (seat, _, log) in mine {
        log.close().map_err(|e| write(seat, &e))?;
    }
    let io = |error: std::io::Error| RescaleError::Write(role.to_string(), error.to_string());
    std::fs::create_dir_all(&before).map_err(io)?;
    for seat in seats {
        let name = deployment.seat_name(seat);
        std::fs::rename(deployment.data_dir.join(&name), before.join(&name)).map_err(io)?;
    }
    for (seat, _) in &plan.records {
        let name = after.seat_name(*seat);
        std::fs::rename(staging.join(&name), deployment.data_dir.join(&name)).map_err(io)?;
    }
    std::fs::remove_dir(&staging).map_err(io)?;
    for folder in [&before, &deployment.data_dir] {
        sync(folder).map_err(io)?;
    }
    Ok(rescaled)
}

fn sync(folder: &Path) -> std::io::Result<()> {
    std::fs::File::open(folder)?.sync_all()
}

/// What can be told without looking at the disk; the role's number.
fn check(
    protocol: &dyn Protocol,
    deployment: &Deployment,
    role: &str,
    partitions: u32,
) -> Result<u16, RescaleError> {
    let impossible = |problem: String| Err(RescaleError::Impossible(vec![problem]));
    let Some(number) = protocol.roles().iter().position(|r| *r == role) else {
        return impossible(format!("there is no role `{role}`"));
    };
    if let Err(error) = start::check(protocol, deployment) {
        return impossible(error.to_string());
    }
    if !protocol.role_infos()[number].partitioned {
        return impossible(format!("`{role}` is not partitioned"));
    }
    if partitions == 0 {
        return impossible(format!("`{role}` cannot have zero partitions"));
    }
    if deployment.durability == Durability::Off {
        return impossible(
            "nothing is durable in this deployment: change `partitions` in its file".to_string(),
        );
    }
    let number = number as u16;
    let machines: Vec<String> = protocol
        .tables()
        .iter()
        .filter(|t| t.role == number && t.durable && t.name.ends_with(".next"))
        .map(|t| format!("the state of machine `{}` cannot be divided", t.name.trim_end_matches(".next")))
        .collect();
    if machines.is_empty() { Ok(number) } else { Err(RescaleError::Impossible(machines)) }
}

fn identity(protocol: &dyn Protocol, seat: Seat) -> Identity {
    Identity { protocol: protocol.name().to_string(), fingerprint: protocol.fingerprint(), seat }
}

fn open(
    protocol: &dyn Protocol,
    deployment: &Deployment,
    seat: Seat,
    least: u64,
) -> Result<(Recovered, Log<FsDisk>), RescaleError> {
    let name = deployment.seat_name(seat);
    let disk = FsDisk::open(&deployment.node_dir(seat))
        .map_err(|e: DiskError| RescaleError::Open(name.clone(), Box::new(e.into())))?;
    Log::open_from(disk, &identity(protocol, seat), LogOptions::default(), least)
        .map_err(|e| RescaleError::Open(name, Box::new(e)))
}

/// A node as its log has it, or a fresh one.
fn node(
    protocol: &dyn Protocol,
    deployment: &Deployment,
    seat: Seat,
    recovered: Option<&Recovered>,
) -> Result<Box<dyn Node>, RescaleError> {
    let setup = Setup {
        layout: deployment.layout(),
        seat,
        params: deployment.params.clone(),
        incarnation: recovered.map_or(0, |r| r.incarnation),
        ids: Ids::Counted,
    };
    let mut node = protocol.node(setup);
    if let Some(recovered) = recovered {
        store::rebuild(node.as_mut(), recovered)
            .map_err(|e| RescaleError::Replay(deployment.seat_name(seat), e))?;
    }
    Ok(node)
}

struct Plan {
    /// Every new node with a log record of all its rows.
    records: Vec<(Seat, Vec<u8>)>,
    counts: BTreeMap<&'static str, Vec<usize>>,
    moved: usize,
}

/// Which rows go where.
fn distribute(
    protocol: &dyn Protocol,
    deployment: &Deployment,
    role: u16,
    partitions: u32,
    nodes: &[(Seat, &dyn Node)],
) -> Result<Plan, RescaleError> {
    let size = &deployment.roles[usize::from(role)];
    let seats = (0..size.instances)
        .flat_map(|instance| (0..partitions).map(move |partition| Seat { role, instance, partition }));
    let mut records: Vec<(Seat, Vec<u8>)> = seats.map(|seat| (seat, Vec::new())).collect();
    let (mut counts, mut moved) = (BTreeMap::new(), 0);
    let tables = protocol.tables();
    for table in tables.iter().filter(|t| t.role == role && t.durable) {
        let mut count = vec![0; records.len()];
        let mut same: BTreeMap<u32, Vec<Value>> = BTreeMap::new();
        let mut seen: BTreeMap<(u32, u32), Vec<Value>> = BTreeMap::new();
        for (seat, node) in nodes {
            let rows = node.rows(table.name).unwrap_or_default();
            let disagree = || RescaleError::Disagree {
                table: table.name.to_string(),
                instance: format!("{}.{}", size.name, seat.instance),
            };
            match table.routing {
                TableRouting::Unsaid if rows.is_empty() => {}
                TableRouting::Unsaid => {
                    let node = deployment.seat_name(*seat);
                    return Err(RescaleError::Unrouted {
                        table: table.name.to_string(),
                        node,
                        rows: rows.len(),
                    });
                }
                TableRouting::All => match same.get(&seat.instance) {
                    Some(first) if *first != rows => return Err(disagree()),
                    Some(_) => {}
                    None => {
                        for at in 0..partitions {
                            let at = (seat.instance * partitions + at) as usize;
                            rows.iter().for_each(|row| put(table, row, &mut records[at].1));
                            count[at] = rows.len();
                        }
                        same.insert(seat.instance, rows);
                    }
                },
                TableRouting::By(route) => {
                    for row in rows {
                        let by = route(&row).ok_or_else(disagree)?;
                        let partition = (by % u64::from(partitions)) as u32;
                        moved += usize::from(partition != seat.partition);
                        let at = (seat.instance * partitions + partition) as usize;
                        put(table, &row, &mut records[at].1);
                        count[at] += 1;
                        seen.entry((seat.instance, partition)).or_default().push(row);
                    }
                }
            }
        }
        // A row that two partitions had would be one too many.
        for ((instance, _), mut rows) in seen {
            let n = rows.len();
            rows.sort_unstable();
            rows.dedup();
            if rows.len() != n {
                let instance = format!("{}.{instance}", size.name);
                return Err(RescaleError::Disagree { table: table.name.to_string(), instance });
            }
        }
        counts.insert(table.name, count);
    }
    Ok(Plan { records, counts, moved })
}

/// A row as an entry of a log record.
fn put(table: &TableInfo, row: &Value, record: &mut Vec<u8>) {
    anabranch_core::code::log(record, u64::from(table.tag), anabranch_core::code::PUT);
    let items = anabranch_core::code::items(row, table.columns.len()).expect("a row of this table");
    for ((column, schema), value) in table.columns.iter().zip(items) {
        let fits = schema.encode(value, record);
        assert!(fits.is_ok(), "`{column}` of `{}` fits its own schema", table.name);
    }
}
