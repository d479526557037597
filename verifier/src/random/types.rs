//! What the generator knows of relations and types.

/// A type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum T {
    /// `u64`
    Num,
    /// `bool`
    Bool,
    /// `Option<u64>`
    Opt,
    /// `(u64, u64)`
    Pair,
    /// `node`
    Addr,
    /// `peer`
    Peer,
    /// `Id`
    Id,
    /// `String`
    Str,
    /// `i64`
    Int,
    /// An alias that names a role: `(u64, node)`
    Spot,
    /// `Req` of a request `ask`
    Req,
    /// `Req` of a request `tell`
    Told,
    /// `Bytes`
    Bytes,
    /// `Vec<u64>`
    List,
}

impl T {
    /// As it is written.
    pub fn text(&self) -> &'static str {
        match self {
            T::Num => "u64",
            T::Bool => "bool",
            T::Opt => "Option<u64>",
            T::Pair => "(u64, u64)",
            T::Addr => "node",
            T::Peer => "peer",
            T::Id => "Id",
            T::Str => "String",
            T::Int => "i64",
            T::Spot => "Spot",
            T::Req | T::Told => "Req",
            T::Bytes => "Bytes",
            T::List => "Vec<u64>",
        }
    }
}

/// What a relation is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Kind {
    Instances,
    Start,
    Message,
    /// A message to the other role.
    Out,
    Request,
    Event,
    Table,
    Var,
    View,
    Timer,
    Feed,
    Save,
    Load,
    Done,
    Next,
    Saved,
    /// Made for one purpose, not used by random rules.
    Hidden,
}

/// A relation.
#[derive(Clone, Debug)]
pub struct Rel {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Types of columns.
    pub cols: Vec<T>,
    /// Names of columns, where they matter.
    pub names: Vec<String>,
    /// Number of key columns.
    pub key: Option<usize>,
    /// The last column is a lattice: `Max` if true, else `Min`.
    pub lattice: Option<bool>,
    /// Only invariants and other ghost state may read it.
    pub ghost: bool,
    /// It has one rule, with an aggregate.
    pub aggregate: bool,
    /// Its columns are known, so that rules may use it.
    pub ready: bool,
    /// `event` or `view`, if its rule declares it.
    pub word: Option<&'static str>,
}

impl Rel {
    /// A plain relation.
    pub fn new(name: &str, kind: Kind, cols: Vec<T>) -> Rel {
        Rel {
            name: name.into(),
            kind,
            cols,
            names: vec![],
            key: None,
            lattice: None,
            ghost: false,
            aggregate: false,
            ready: true,
            word: None,
        }
    }

    /// Whether its rows last for one tick.
    pub fn is_event(&self) -> bool {
        use Kind::*;
        matches!(self.kind, Start | Message | Request | Event | Timer | Done | Saved)
    }

    /// Whether its rows stay.
    pub fn is_state(&self) -> bool {
        matches!(self.kind, Kind::Table | Kind::Var | Kind::View | Kind::Next | Kind::Instances)
    }

    /// The columns as declared.
    pub fn list(&self) -> String {
        let mut text = String::new();
        for (i, col) in self.cols.iter().enumerate() {
            if self.key == Some(i) && self.kind != Kind::Var {
                text.push_str(if i == 0 { "=> " } else { " => " });
            } else if i > 0 {
                text.push_str(", ");
            }
            let name = self.names.get(i).cloned().unwrap_or_else(|| format!("c{i}"));
            let last = i + 1 == self.cols.len();
            let ty = match self.lattice {
                Some(max) if last => format!("{}<{}>", if max { "Max" } else { "Min" }, col.text()),
                _ => col.text().to_string(),
            };
            text.push_str(&format!("{name}: {ty}"));
        }
        text
    }
}
