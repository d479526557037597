//! What nodes tell the application beside them: rows of `durable event` relations.
//!
//! Rows are handed over once the log record that holds them is stable, in the order of ticks, and again
//! after a crash those of records behind the last snapshot: at least once. An observer that returns has taken them
//! over: the node may then forget them.

use anabranch_core::data::Schema;
use anabranch_core::node::{Batch, Protocol, Seat};
use anabranch_core::value::Value;
use anabranch_core::wire::{Reader, WireError};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// A row that a node tells.
#[derive(Clone, Debug)]
pub struct Told<'a> {
    /// The node.
    pub seat: Seat,
    /// The event's name.
    pub name: &'a str,
    /// Its columns, encoded one behind the other.
    pub columns: &'a [u8],
    /// Their shape.
    pub schema: &'a Schema,
}

impl Told<'_> {
    /// The columns as a tuple.
    pub fn decode(&self) -> Result<Value, WireError> {
        self.schema.decode(&mut Reader::new(self.columns))
    }
}

/// Takes rows over. It runs on the node's thread: the node waits for it. An error stops the node.
pub trait Observer: Send {
    /// One row.
    fn told(&mut self, row: &Told<'_>) -> io::Result<()>;
    /// The end of a round: what was told so far must be taken over now.
    fn settle(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<F: FnMut(&Told<'_>) + Send> Observer for F {
    fn told(&mut self, row: &Told<'_>) -> io::Result<()> {
        self(row);
        Ok(())
    }
}

/// An observer with what is needed to name and decode rows.
pub(crate) struct Telling {
    observer: Box<dyn Observer>,
    seat: Seat,
    events: BTreeMap<u64, (&'static str, Schema)>,
}

impl Telling {
    pub fn new(protocol: &dyn Protocol, seat: Seat, observer: Box<dyn Observer>) -> Telling {
        let of_role = protocol.events().into_iter().filter(|event| event.role == seat.role);
        let events = of_role.map(|event| {
            let columns = event.columns.into_iter().map(|(_, schema)| schema).collect();
            (u64::from(event.tag), (event.name, Schema::Tuple(columns)))
        });
        Telling { observer, seat, events: events.collect() }
    }

    pub fn tell(&mut self, batch: &Batch) -> io::Result<()> {
        let mut start = 0;
        for &end in &batch.ends {
            let mut row = Reader::new(&batch.bytes[start..end as usize]);
            start = end as usize;
            let tag = row.varint().map_err(|error| io::Error::other(error.to_string()))?;
            let (name, schema) = self.events.get(&tag).expect("a node tells only events of its role");
            self.observer.told(&Told { seat: self.seat, name, columns: row.rest(), schema })?;
        }
        self.observer.settle()
    }
}

/// Appends rows to a file as text, one a line: `applied(#0.100000001, b"payload")`.
pub(crate) struct EventFile {
    file: File,
    roles: Vec<&'static str>,
    lines: String,
}

impl EventFile {
    pub fn open(path: &Path, protocol: &dyn Protocol) -> io::Result<EventFile> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let file = File::options().create(true).append(true).open(path)?;
        Ok(EventFile { file, roles: protocol.roles().to_vec(), lines: String::new() })
    }
}

impl Observer for EventFile {
    fn told(&mut self, row: &Told<'_>) -> io::Result<()> {
        let value = row.decode().map_err(|error| io::Error::other(error.to_string()))?;
        self.lines.push_str(row.name);
        self.lines.push_str(&row.schema.print(&value, &self.roles));
        self.lines.push('\n');
        Ok(())
    }
    fn settle(&mut self) -> io::Result<()> {
        if !self.lines.is_empty() {
            self.file.write_all(self.lines.as_bytes())?;
            self.lines.clear();
        }
        Ok(())
    }
}
