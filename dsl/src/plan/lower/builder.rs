//! What lowering builds up: the plan's relations and the logical rules.

use super::super::pipeline::PExpr;
use super::super::types::*;
use super::logical::Rule;
use crate::ir;
use crate::resolve::typed::{Typed, typed};
use std::collections::BTreeMap;

/// The state of lowering one role.
pub struct Builder<'a> {
    /// The program.
    pub protocol: &'a ir::Protocol,
    /// The role.
    pub role: ir::RoleId,
    /// Relations so far.
    pub relations: Vec<Relation>,
    /// Those with a declaration.
    pub of: BTreeMap<ir::RelId, RelIx>,
    /// Rules so far.
    pub rules: Vec<Rule>,
    /// Standing rules: the rule, its table, its hidden view.
    pub standing: Vec<(ir::RuleId, RelIx, RelIx)>,
    /// Hidden projections by relation and kept columns.
    pub projections: BTreeMap<(RelIx, Vec<usize>), RelIx>,
    /// Hidden events for prefixes of `on` blocks.
    pub prefixes: BTreeMap<ir::GroupId, super::hidden::Prefix>,
    /// Types of variables.
    pub typed: Typed,
}

impl<'a> Builder<'a> {
    /// A builder with the declared relations of a role.
    pub fn new(protocol: &'a ir::Protocol, role: ir::RoleId) -> Builder<'a> {
        let mut b = Builder {
            protocol,
            role,
            relations: vec![],
            of: BTreeMap::new(),
            rules: vec![],
            standing: vec![],
            projections: BTreeMap::new(),
            prefixes: BTreeMap::new(),
            typed: typed(protocol),
        };
        for (i, relation) in protocol.relations.iter().enumerate() {
            if relation.role == Some(role) || matches!(relation.kind, ir::RelationKind::Instances(_)) {
                b.declare(ir::RelId(i as u32), relation);
            }
        }
        b
    }

    fn declare(&mut self, id: ir::RelId, relation: &ir::Relation) {
        use ir::RelationKind as K;
        let class = match &relation.kind {
            K::Instances(role) => Class::Instances(*role),
            K::Start => Class::Input(InputKind::Start),
            K::Message => Class::Input(InputKind::Message),
            K::Request(r) => Class::Input(InputKind::Request { resend: r.resend }),
            K::Event => Class::Event { aggregate: None },
            K::Table => Class::Table,
            K::Var(first) => Class::Var(first.as_ref().map(constant)),
            K::View => Class::View { kind: ViewKind::Counted, storage: ViewStorage::Counts },
            // The view of its rows is made later.
            K::Timer(_) => Class::Input(InputKind::Timer { rows: RelIx(u32::MAX) }),
            K::MachineFeed(m) | K::MachineSave(m) | K::MachineLoad(m) => Class::MachineInput(*m),
            K::MachineDone(m) | K::MachineSaved(m) => Class::MachineOutput(*m),
            K::MachineNext(m) => Class::MachineNext(*m),
        };
        let columns = relation
            .columns
            .iter()
            .map(|c| Column { name: c.name.clone(), ty: Some(c.ty.clone()), lattice: c.lattice })
            .collect();
        let rel = self.relation(relation.name.clone(), columns, class);
        let own = &mut self.relations[rel.index()];
        own.source = Some(id);
        match own.class {
            Class::View { .. } if !groups_by_key(self.protocol, id, relation) => {
                own.checked_key = relation.key
            }
            _ => own.key = relation.key,
        }
        own.keys.extend(own.key.map(|k| (0..k).collect()));
        own.durable = relation.durable;
        own.ghost = relation.ghost;
        self.of.insert(id, rel);
        if let (Some(k), true) =
            (self.at(rel).key, matches!(self.at(rel).class, Class::Table | Class::Var(_)))
        {
            self.index(rel, (0..k).collect());
        }
    }

    /// Adds a relation.
    pub fn relation(&mut self, name: String, columns: Vec<Column>, class: Class) -> RelIx {
        let rel = RelIx(self.relations.len() as u32);
        self.relations.push(Relation {
            name,
            source: None,
            columns,
            key: None,
            checked_key: None,
            keys: match &class {
                // A `Req` determines its arguments, a slot its output; an incarnation starts once.
                Class::Input(InputKind::Request { .. }) | Class::MachineOutput(_) => vec![vec![0]],
                Class::Input(InputKind::Start) | Class::MachineNext(_) => vec![vec![]],
                _ => vec![],
            },
            dedup: if is_event(&class) { Dedup::Always } else { Dedup::Never },
            class,
            durable: false,
            ghost: false,
            indexes: vec![],
            primary: None,
            deltas: vec![],
            dirties: vec![],
            watchers: vec![],
            track: Track::default(),
            removable: false,
            probed_by_deltas: false,
            probed: false,
        });
        rel
    }

    /// Adds a hidden counted view.
    pub fn hidden_view(&mut self, name: String, columns: Vec<Column>) -> RelIx {
        self.relation(name, columns, Class::View { kind: ViewKind::Counted, storage: ViewStorage::Counts })
    }

    /// The plan relation of a declared one.
    pub fn rel(&self, id: ir::RelId) -> RelIx {
        match self.of.get(&id) {
            Some(rel) => *rel,
            None => panic!("a rule reads or writes `{}` of another role", self.protocol.relation(id).name),
        }
    }

    /// A relation under construction.
    pub fn at(&self, rel: RelIx) -> &Relation {
        &self.relations[rel.index()]
    }

    /// See [`index_of`].
    pub fn index(&mut self, rel: RelIx, mut columns: Vec<usize>) -> IndexIx {
        columns.sort_unstable();
        columns.dedup();
        index_of(&mut self.relations[rel.index()], columns)
    }

    /// Whether rows last for one tick.
    pub fn is_event(&self, rel: RelIx) -> bool {
        is_event(&self.at(rel).class)
    }
}

/// Whether rows last for one tick.
pub fn is_event(class: &Class) -> bool {
    matches!(class, Class::Input(_) | Class::Event { .. } | Class::MachineInput(_) | Class::MachineOutput(_))
}

/// An expression without variables.
pub fn constant(e: &ir::Expr) -> PExpr {
    use super::super::pipeline::RustExpr;
    PExpr::Rust(RustExpr { expr: e.clone(), vars: vec![], holes: vec![] })
}

/// Whether a keyed view has one row per key by construction: an aggregate whose group is the key.
fn groups_by_key(protocol: &ir::Protocol, id: ir::RelId, relation: &ir::Relation) -> bool {
    use ir::AggregateFn as F;
    let Some(key) = relation.key else { return false };
    let heads = protocol.rules.iter().filter_map(|r| match &r.head {
        ir::Head::Now { rel, args } if *rel == id => Some(args),
        _ => None,
    });
    let mut heads = heads.collect::<Vec<_>>();
    let (Some(args), true) = (heads.pop(), heads.is_empty()) else { return false };
    let holes = || args.iter().flat_map(|e| &e.holes);
    let aggregated = holes().any(|h| matches!(h, ir::Hole::Aggregate(_)));
    let one_row = holes().all(|h| match h {
        ir::Hole::Aggregate(a) => !matches!(a.function, F::Index | F::IndexBy),
        _ => false,
    });
    let known: Vec<&String> = args[..key].iter().filter_map(|e| e.var.as_ref()).collect();
    aggregated
        && one_row
        && known.len() == key
        && args[key..].iter().all(|e| e.vars.iter().all(|v| known.contains(&v)))
}

/// The index on some (sorted) columns, made if need be. Where the columns contain the key, that of the key.
pub fn index_of(relation: &mut Relation, mut columns: Vec<usize>) -> IndexIx {
    if let Some(k) = relation.key
        && (0..k).all(|c| columns.contains(&c))
    {
        columns = (0..k).collect();
    }
    if let Some(i) = relation.indexes.iter().position(|x| x.columns == columns) {
        return IndexIx(i as u32);
    }
    let keyed = relation.key.is_some_and(|k| (0..k).all(|c| columns.contains(&c)));
    let membership = keyed || columns.len() == relation.columns.len();
    relation.indexes.push(Index { columns, unique: membership, membership, old: false, new: false });
    IndexIx(relation.indexes.len() as u32 - 1)
}

/// Decides which index holds the rows.
pub fn primaries(relations: &mut [Relation]) {
    for relation in relations {
        let stored = matches!(relation.class, Class::Table | Class::Var(_));
        let keyed = relation.key.filter(|_| stored || !relation.indexes.is_empty());
        let least = (0..relation.indexes.len())
            .filter(|x| !relation.indexes[*x].columns.is_empty())
            .min_by_key(|x| relation.indexes[*x].columns.len());
        relation.primary = match (keyed, least) {
            (Some(k), _) => Some(index_of(relation, (0..k).collect())),
            (None, Some(x)) => Some(IndexIx(x as u32)),
            (None, None) if stored || !relation.indexes.is_empty() => {
                let all = (0..relation.columns.len()).collect();
                Some(index_of(relation, all))
            }
            (None, None) => None,
        };
    }
}
