//! What `tests/constant_time.rs` runs under valgrind and disassembles, and what `benches/dudect.rs` measures.

pub mod controls;
pub mod memcheck;
pub mod subject;
