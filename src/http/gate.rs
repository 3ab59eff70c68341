//! placeholder
/// Pace towards one vendor.
#[derive(Debug)]
pub struct Gate {
    _p: (),
}
