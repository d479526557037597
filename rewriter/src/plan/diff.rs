//! A derivation as diffs of canonical text, one for each rewrite.

use super::Applied;
use similar::TextDiff;

/// A unified diff of what a step changed, with the step as its heading.
pub fn unified(step: &Applied) -> String {
    let diff = TextDiff::from_lines(&step.before, &step.after);
    let body = diff.unified_diff().context_radius(4).header("before", "after").to_string();
    format!("{}\n\n{body}", step.justification.title)
}

/// A name for a step's file: `01-functional-requester.diff`.
pub fn file_name(n: usize, step: &Applied) -> String {
    let subject = match &step.rewrite {
        super::Rewrite::Naming(naming) => naming.event.as_str(),
        super::Rewrite::Independent(cut)
        | super::Rewrite::Functional(cut)
        | super::Rewrite::Monotone(cut)
        | super::Rewrite::Echo(cut)
        | super::Rewrite::StateMachine(cut)
        | super::Rewrite::Asymmetric { cut, .. } => &cut.part,
        super::Rewrite::Cohash { role, .. } | super::Rewrite::Partial { role, .. } => role,
    };

    format!("{:02}-{}-{subject}.diff", n + 1, step.rewrite.name())
}
