//! Stands in for three types of `reconcile` until that room is there.

#[derive(Clone, Debug, PartialEq)]
pub struct Policy;
#[derive(Clone, Debug, PartialEq)]
pub struct Brake;
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Percent;
