//! The clients' history of a run.

use super::{Answer, Trace, What};
use crate::history::{History, Recorder};

impl Trace {
    /// What clients asked and were told, in Jepsen's form.
    ///
    /// # Panics
    /// If the trace is not well-formed: see [`Trace::problems`].
    pub fn history(&self) -> History {
        let mut recorder = Recorder::new(self.clients);
        for step in &self.steps {
            match &step.what {
                What::Invoke { client, request, args, .. } => {
                    recorder.invoke(*client, step.time_us, &request.relation, args.clone());
                }
                What::Return { client, answer: Answer::Ok { value, .. }, .. } => {
                    recorder.ok(*client, step.time_us, value.clone());
                }
                What::Return { client, answer: Answer::Fail { error }, .. } => {
                    recorder.fail(*client, step.time_us, error);
                }
                What::Return { client, answer: Answer::Unknown { error }, .. } => {
                    recorder.info(*client, step.time_us, error);
                }
                _ => {}
            }
        }
        recorder.finish()
    }
}
