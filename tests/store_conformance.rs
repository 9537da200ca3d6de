//! What every store must do, run against every store that there is: see `tests/conformance`.

mod conformance;

use std::sync::Arc;

use conformance::{Opening, Place, conformance};
use skewgate::store::{ManageStore, MemoryStore};

/// All that a memory store has is in itself.
struct Memory;

impl Place for Memory {
    fn open(&self) -> Opening<'_> {
        Box::pin(async { Arc::new(MemoryStore::new()) as Arc<dyn ManageStore> })
    }
}

conformance!(memory, |_| Memory);
