//! Machines: commands are applied in slot order, once each, within the tick that completes the order.

use super::Program;
use super::body::rows_of;
use crate::engine::Facts;
use anabranch_core::machine::ErasedMachine;
use anabranch_core::node::Broken;
use anabranch_core::value::Value;
use anabranch_dsl::ir::*;
use std::collections::BTreeMap;

/// A machine between two ticks.
pub struct MachineState {
    /// The first slot not yet applied.
    pub next: u64,
    machine: Box<dyn ErasedMachine>,
    /// Commands that came before their turn.
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

impl Program {
    /// Machines that have seen nothing.
    pub fn fresh_machines(&self) -> BTreeMap<MachineId, MachineState> {
        let all = self.protocol.machines.iter().enumerate().filter(|(_, m)| m.role == self.role);
        all.map(|(i, m)| {
            let machine = self.leaves.machine(i as u32).unwrap_or_else(|| panic!("the machine `{}`", m.name));
            (MachineId(i as u32), MachineState { next: 0, machine, early: BTreeMap::new() })
        })
        .collect()
    }

    /// A machine after the loads and feeds of a tick, with its `done` rows. First the greatest `load` that is
    /// progress, then commands as long as there is one for the next slot.
    fn run(
        &self,
        declared: &Machine,
        before: &MachineState,
        now: &Facts,
    ) -> Result<(MachineState, Vec<Vec<Value>>), Broken> {
        let mut state = before.clone();
        let greatest = rows_of(now, declared.load).iter().max();
        if let Some([Value::Int(next), Value::Bytes(image)]) = greatest.map(Vec::as_slice)
            && *next > i128::from(state.next)
        {
            if !state.machine.load(image) {
                return Err(Broken { message: format!("`{}.load` was given no image", declared.name) });
            }
            state.next = *next as u64;
            state.early = state.early.split_off(&state.next);
        }
        for row in rows_of(now, declared.feed) {
            let [Value::Int(slot), command] = row.as_slice() else { panic!("a feed of {row:?}") };
            let slot = *slot as u64;
            if slot >= state.next
                && state.early.insert(slot, command.clone()).is_some_and(|other| other != *command)
            {
                return Err(Broken {
                    message: format!("two commands for slot {slot} of `{}`", declared.name),
                });
            }
        }
        let mut done = Vec::new();
        while let Some(command) = state.early.remove(&state.next) {
            let output = state.machine.apply(state.next, &command).expect("commands have the machine's type");
            done.push(vec![Value::Int(i128::from(state.next)), output]);
            state.next += 1;
        }
        Ok((state, done))
    }

    /// Puts the machines' outputs into *now*. Called when everything that they are fed with is final.
    pub fn give_outputs(
        &self,
        outputs: &[RelId],
        machines: &BTreeMap<MachineId, MachineState>,
        now: &mut Facts,
    ) -> Result<(), Broken> {
        for (id, before) in machines {
            let declared = &self.protocol.machines[id.index()];
            let (state, done) = self.run(declared, before, now)?;
            let next = Value::Int(i128::from(state.next));
            for output in outputs {
                if *output == declared.done {
                    now.entry(*output).or_default().extend(done.iter().cloned());
                } else if *output == declared.next {
                    now.insert(*output, [vec![next.clone()]].into());
                } else if *output == declared.saved {
                    let image = Value::Bytes(state.machine.save());
                    let saved = rows_of(now, declared.save)
                        .iter()
                        .map(|row| vec![row[0].clone(), next.clone(), image.clone()]);
                    let saved: Vec<_> = saved.collect();
                    now.entry(*output).or_default().extend(saved);
                }
            }
        }
        Ok(())
    }

    /// The machines after a tick.
    pub fn advance_machines(
        &self,
        machines: &BTreeMap<MachineId, MachineState>,
        now: &Facts,
    ) -> BTreeMap<MachineId, MachineState> {
        let after = machines.iter().map(|(id, before)| {
            let (state, _) =
                self.run(&self.protocol.machines[id.index()], before, now).expect("ran in this tick before");
            (*id, state)
        });
        after.collect()
    }
}
