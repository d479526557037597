//! Which operator suits which relation.

use crate::diag::Diagnostic;
use crate::ir::{Relation, RelationKind, RoleId};
use crate::syntax::ast::{Head, Op, Verb};
use proc_macro2::Span;

/// How many arguments a head has.
pub fn arity(relation: &Relation, verb: Verb) -> usize {
    match (&relation.kind, verb) {
        (RelationKind::Request(request), Verb::Reply) => 1 + request.reply.len(),
        (RelationKind::Request(_), Verb::Refuse | Verb::Redirect) => 2,
        _ => relation.columns.len(),
    }
}

/// The error for a wrong number of values in an answer.
pub fn answer_arity(relation: &Relation, verb: Verb, given: usize, span: Span) -> Diagnostic {
    let name = &relation.name;
    let form = match (&relation.kind, verb) {
        (RelationKind::Request(request), Verb::Reply) => {
            let columns: Vec<&str> =
                std::iter::once("req").chain(request.reply.iter().map(|c| c.name.as_str())).collect();
            format!("reply {name}({})", columns.join(", "))
        }
        (_, Verb::Refuse) => format!("refuse {name}(req, error)"),
        _ => format!("redirect {name}(req, instance)"),
    };
    Diagnostic::error(
        "arity",
        span,
        format!("expected `{form}`, but {given} value{} given", if given == 1 { " is" } else { "s are" }),
    )
    .label(relation.place.0, "declared here")
}

/// What a relation is, for messages.
pub fn describe(relation: &Relation) -> &'static str {
    use RelationKind::*;
    match relation.kind {
        Instances(_) => "the set of a role's instances",
        Start => "the start event",
        Message => "a message",
        Request(_) => "a request",
        Event => "an event",
        Table => "a table",
        Var(_) => "a var",
        View => "a view",
        Timer(_) => "a timer",
        MachineFeed(_) | MachineSave(_) | MachineLoad(_) => "a machine's input",
        MachineDone(_) | MachineSaved(_) => "a machine's output",
        MachineNext(_) => "a machine's position",
    }
}

/// Whether a head's verb, operator and receiver suit its relation.
pub fn suits(
    relation: &Relation,
    head: &Head,
    role_names: &[String],
    role: RoleId,
) -> Result<(), Diagnostic> {
    use RelationKind::*;
    let name = &relation.name;
    let error = |message: String| {
        Err(Diagnostic::error("operator", head.op_span, message)
            .label(relation.place.0, format!("`{name}` is declared here")))
    };
    let what = describe(relation);
    if head.verb == Verb::Forget && head.op != Op::Delete {
        return error("`forget` deletes: it takes `<-`".into());
    }
    if let Verb::Reply | Verb::Refuse | Verb::Redirect = head.verb {
        let Request(request) = &relation.kind else {
            return error(format!("`{name}` is {what}: only requests are answered"));
        };
        if head.op != Op::Send {
            return error(format!("an answer is sent with `<~`, not `{}`", head.op.text()));
        }
        if let Some(to) = &head.to {
            return Err(Diagnostic::error(
                "operator",
                to.span,
                "an answer goes to the client that asked: it has no receiver",
            ));
        }
        if head.verb == Verb::Refuse && request.error.is_none() {
            return error(format!("`{name}` declares no error"))
                .map_err(|e| e.help(format!("declare one: `request {name}(..) -> (..) else Error at ..`")));
        }
        return Ok(());
    }
    if let (Some(to), true) = (&head.to, head.op != Op::Send) {
        return Err(Diagnostic::error(
            "operator",
            to.span,
            format!("`@` names the receiver of a message, but `{}` stays on this node", head.op.text()),
        )
        .help("send with `<~`"));
    }
    let there = relation.role.filter(|r| *r != role).map(|r| &role_names[r.index()]);
    match (head.op, &relation.kind) {
        (Op::Send, Message) if head.to.is_none() => Err(Diagnostic::error("receiver", head.span, format!("say to whom `{name}` is sent"))
            .help(format!("`{name}(..) @ p <~ ..`, where p is an address of `{}`", role_names[relation.role.map_or(0, |r| r.index())]))),
        (Op::Send, Message) => Ok(()),
        (Op::Send, Request(_)) => error(format!("`{name}` is a request of a client; it is answered with `reply`, `refuse` or `redirect`")),
        (Op::Send, _) => error(format!("`<~` sends messages, but `{name}` is {what}"))
            .map_err(|e| e.help(format!("for this node's own relations use `<=` or `<+`; to send, declare `message {name}(..) to role`"))),
        (_, Message) => error(format!("`{name}` is a message: it is sent with `<~`"))
            .map_err(|e| e.help(format!("`{name}(..) @ p <~ ..`, also to oneself: it arrives at a later tick"))),
        (_, Request(_)) => error(format!("`{name}` is a request: only clients make it")),
        (_, _) if there.is_some() => error(format!("`{name}` belongs to another role")),
        (Op::Now, Event | Table | View | MachineFeed(_) | MachineSave(_) | MachineLoad(_)) => Ok(()),
        (Op::Now, Var(_)) if relation.columns.iter().all(|c| c.lattice.is_some()) => Ok(()),
        (Op::Now, Var(_)) => error(format!("`{name}` is a var: it is replaced with `<+`"))
            .map_err(|e| e.help("it has one row already, so `<=` would set it to two values in one tick")),
        (Op::Next, Event | Table | Var(_)) => Ok(()),
        (Op::Next, View) => error(format!("`<+` cannot write `{name}`: a view follows from its rules within the tick")),
        (Op::Delete, Table) => Ok(()),
        (Op::Delete, Var(_)) => error(format!("`{name}` is a var: it always has one row")).map_err(|e| e.help("replace it with `<+`")),
        (Op::Delete, _) => error(format!("`<-` deletes from tables, but `{name}` is {what}")),
        (op, _) => error(format!("`{}` cannot write `{name}`: it is {what}", op.text())),
    }
}
