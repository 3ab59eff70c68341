//! placeholder
pub(crate) fn path(_: &url::Url) -> String {
    unimplemented!()
}
pub(crate) fn values(_: &str) -> String {
    unimplemented!()
}
