//! What scaled protocols say beyond plain rules, put into plain rules.
//!
//! [`expand`] is to be called before plans, code and interpretation; it is the identity on protocols that say nothing of
//! the kind. So far it knows `ordered` messages ([`ordered`]). `held` roles are refused, and so are ordered messages
//! between nodes that do not share fate or are partitioned: their streams need more than what is here. `logged` messages
//! and shared fate are the drivers' affair.

pub mod ordered;

use crate::diag::Diagnostic;
use crate::ir::Protocol;

/// The same protocol in plain rules. Places are those of the generated text.
pub fn expand(p: &Protocol) -> Result<Protocol, Vec<Diagnostic>> {
    if let Some(role) = p.roles.iter().find(|r| r.held) {
        let error = Diagnostic::error(
            "held",
            role.place.0,
            format!("`{}` is held, which does not run yet", role.name),
        );
        return Err(vec![error]);
    }
    if p.relations.iter().any(|r| r.delivery.ordered) { ordered::expand(p) } else { Ok(p.clone()) }
}
