//! Real peers for the tests: `mod support;` in a test file, and its tests `#[ignore]`d with
//! "needs chronyd: ./tests/run".

#[allow(dead_code, reason = "each test file uses a part of it")]
pub(crate) mod chronyd;
#[allow(dead_code, reason = "each test file uses a part of it")]
pub(crate) mod example;
#[allow(dead_code, reason = "each test file uses a part of it")]
pub(crate) mod load;
#[cfg(feature = "cli")]
#[allow(dead_code, reason = "each test file uses a part of it")]
pub(crate) mod program;
#[cfg(feature = "cli")]
#[allow(dead_code, reason = "each test file uses a part of it")]
pub(crate) mod prometheus;
#[allow(dead_code, reason = "each test file uses a part of it")]
pub(crate) mod relay;
#[cfg(feature = "cli")]
#[allow(dead_code, reason = "each test file uses a part of it")]
pub(crate) mod scripted;
#[cfg(feature = "watch")]
#[allow(dead_code, reason = "each test file uses a part of it")]
pub(crate) mod watching;
