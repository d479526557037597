//! Functional dependencies of a body.
