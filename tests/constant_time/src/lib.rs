//! What `tests/constant_time.rs` runs under valgrind and disassembles.

pub mod controls;
pub mod memcheck;
pub mod subject;
