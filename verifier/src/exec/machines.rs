//! Machines: fed in slot order.

use super::Exec;
use crate::engine::Row;
use anabranch_core::machine::ErasedMachine;
use anabranch_core::node::Broken;
use anabranch_core::value::Value;
use anabranch_dsl::ir::MachineId;
use std::collections::BTreeMap;

/// A machine with the commands that came before their turn.
pub struct MachineState {
    /// The first slot not yet applied.
    pub next: u64,
    machine: Box<dyn ErasedMachine>,
    early: BTreeMap<u64, Value>,
}

impl Clone for MachineState {
    fn clone(&self) -> MachineState {
        MachineState { next: self.next, machine: self.machine.fork(), early: self.early.clone() }
    }
}

impl MachineState {
    /// Everything that the future of the machine depends on.
    pub fn image(&self) -> [Value; 2] {
        let early = self.early.iter();
        let early = early.map(|(slot, c)| Value::tuple([Value::Int(i128::from(*slot)), c.clone()]));
        [Value::Bytes(self.machine.save()), Value::tuple(early)]
    }
}

impl Exec {
    /// Machines that have seen nothing.
    pub fn fresh_machines(&self) -> BTreeMap<MachineId, MachineState> {
        let mut fresh = BTreeMap::new();
        for (i, declared) in self.protocol.machines.iter().enumerate() {
            if declared.role == self.plan.role {
                let machine = self.leaves.machine(i as u32);
                let machine = machine.unwrap_or_else(|| panic!("the machine `{}`", declared.name));
                fresh.insert(MachineId(i as u32), MachineState { next: 0, machine, early: BTreeMap::new() });
            }
        }
        fresh
    }

    /// The step of a machine.
    pub fn run_machine(&mut self, id: MachineId) -> Result<(), Broken> {
        let protocol = self.protocol.clone();
        let declared = &protocol.machines[id.index()];
        let rel = |source| self.rel(source).expect("parts of machines are in the plan");
        let (feed, done, next) = (rel(declared.feed), rel(declared.done), rel(declared.next));
        let load = rel(declared.load);
        let rows = |r: anabranch_dsl::plan::RelIx| self.stores[r.index()].rows.clone();
        let (feeds, loads) = (rows(feed), rows(load));
        let number = |v: &Value| match v {
            Value::Int(n) => *n as u64,
            other => panic!("a slot was expected, not {other:?}"),
        };
        let broken = |message: String| Err(Broken { message });
        let state = self.machines.get_mut(&id).expect("made at the beginning");
        let was = state.next;
        if let Some([n, Value::Bytes(image)]) = loads.last().map(Vec::as_slice)
            && number(n) > state.next
        {
            if !state.machine.load(image) {
                return broken(format!("`{}.load` was given no image", declared.name));
            }
            state.next = number(n);
            state.early = state.early.split_off(&state.next);
        }
        for row in &feeds {
            let slot = number(&row[0]);
            let other = (slot >= state.next).then(|| state.early.insert(slot, row[1].clone())).flatten();
            if other.is_some_and(|other| other != row[1]) {
                return broken(format!("two commands for slot {slot} of `{}`", declared.name));
            }
        }
        let mut outputs: Vec<Row> = vec![];
        while let Some(command) = state.early.remove(&state.next) {
            let output = state.machine.apply(state.next, &command).expect("commands have the machine's type");
            outputs.push(vec![Value::Int(i128::from(state.next)), output]);
            state.next += 1;
        }
        let now = state.next;
        for row in outputs {
            self.append(done, row, "the machine")?;
        }
        let int = |n: u64| Value::Int(i128::from(n));
        if was != now {
            self.apply(next, &vec![int(was)], false);
            self.apply(next, &vec![int(now)], true);
        }
        Ok(())
    }

    /// Answers the saves that were asked for in this tick.
    pub fn save_machine(&mut self, id: MachineId) -> Result<(), Broken> {
        let declared = &self.protocol.machines[id.index()];
        let rel = |source| self.rel(source).expect("parts of machines are in the plan");
        let (save, saved) = (rel(declared.save), rel(declared.saved));
        let saves = self.stores[save.index()].rows.clone();
        if saves.is_empty() {
            return Ok(());
        }
        let state = &self.machines[&id];
        let (next, image) = (Value::Int(i128::from(state.next)), Value::Bytes(state.machine.save()));
        for row in &saves {
            self.append(saved, vec![row[0].clone(), next.clone(), image.clone()], "the machine")?;
        }
        Ok(())
    }
}
