//! `skew-check`
fn main() {}
