//! What all decouplings do: cut, judge, and carry out.

use crate::analysis::{Against, Cone, Side, Sides, fate};
use crate::cut::Cut;
use crate::split;
use crate::verdict::{Assumption, Evidence, Item, Justification, Outcome, Rewritten};
use anabranch_dsl::ir::Protocol;

/// What a rewrite's check has found.
pub(crate) struct Shown {
    pub established: Vec<Evidence>,
    pub assumptions: Vec<Assumption>,
}

/// Cuts the role, checks the rewrite's precondition and the fate of the parts, and splits.
pub(crate) fn decouple(
    p: &Protocol,
    cut: &Cut,
    rewrite: &'static str,
    up: Side,
    check: impl Fn(&Sides<'_>, &Cone) -> Result<Shown, Against>,
) -> Outcome {
    let sides = Sides::of(p, cut, up).map_err(|why| why.refuse(rewrite))?;
    carried_out(p, cut, rewrite, &sides, check)
}

/// The same with sides that are known already.
pub(crate) fn carried_out(
    p: &Protocol,
    cut: &Cut,
    rewrite: &'static str,
    sides: &Sides<'_>,
    check: impl Fn(&Sides<'_>, &Cone) -> Result<Shown, Against>,
) -> Outcome {
    let refuse = |why: Against| why.refuse(rewrite);
    debug_assert!(std::ptr::eq(p, sides.p), "the sides are those of this protocol");
    let cone = Cone::of(sides);
    let mut shown = match check(sides, &cone) {
        Ok(shown) => shown,
        // Relations lie on one side, with or without a reason.
        Err(why) if cut.force && why.item != "heads" => {
            Shown { established: Vec::new(), assumptions: Vec::new() }
        }
        Err(why) => return Err(refuse(why)),
    };
    let mut fate = match fate::fate(sides) {
        Ok(fate) => fate,
        Err(why) if !cut.force => return Err(refuse(why)),
        Err(_) => fate::Fate {
            shared: true,
            because: "forced".into(),
            logged: Default::default(),
            durable: Default::default(),
        },
    };
    if sides.streamed {
        // A stream begins anew with each incarnation, at both ends: a unit that is lost is a tick that never was.
        fate.shared = true;
        fate.logged.clear();
    }
    let item = |name| Item { rewrite, name };
    shown.established.push(Evidence {
        item: item("durable"),
        because: fate.because.clone(),
        rules: Vec::new(),
    });
    let protocol = split::split(sides, cut, &fate).map_err(refuse)?;
    shown.assumptions.sort();
    shown.assumptions.dedup();
    let title = format!("{rewrite}: split {} off {}", cut.part, cut.role);
    let justification =
        Justification { title, established: shown.established, assumptions: shown.assumptions };
    Ok(Rewritten { protocol, justification })
}
