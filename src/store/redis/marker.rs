//! What holds for the whole store: `not_before`, and who the primaries are. One key.

use std::collections::HashMap;

use ::redis::{Value, cmd};

use crate::store::{Seen, StoreError};
use crate::time::Timestamp;

use super::deadline::Deadline;
use super::topology::Reading;
use super::{RedisConnectError, RedisStore, account, exactly, failed};

/// What is written down.
pub(super) struct Marker {
    pub(super) exists: bool,
    pub(super) not_before: Option<Timestamp>,
    pub(super) nodes: Vec<String>,
}

impl RedisStore {
    pub(super) fn read_marker(&self, value: Value) -> Result<Marker, StoreError> {
        let fields: HashMap<String, Vec<u8>> = self.held(&self.marker, value)?;
        let unreadable = |what: &str| self.unreadable(&self.marker, what);
        match fields.get("format") {
            None if fields.is_empty() => {}
            Some(format) if format == b"1" => {}
            _ => return Err(unreadable("it is of an unknown format")),
        }
        let not_before = fields.get("not_before").map(|bytes| account::moment(bytes)).transpose();
        let nodes =
            fields.keys().filter_map(|field| field.strip_prefix("node:")).map(str::to_owned).collect();
        Ok(Marker { exists: !fields.is_empty(), not_before: not_before.map_err(unreadable)?, nodes })
    }

    /// Whether the store is still what was `seen` of it: asked after a write, it was so when that was done, since `not_before` never
    /// goes back while its node is the same.
    pub(super) async fn check_unchanged(&self, seen: Seen, deadline: Deadline) -> Result<(), StoreError> {
        let mut marker_of = cmd("HGETALL");
        marker_of.arg(&self.marker);
        let Reading { answer, identity } =
            self.topology.read(self.slot(&self.marker), [&marker_of], deadline).await?;
        let [marker] = exactly(answer.values)?;
        let marker = self.read_marker(marker)?;
        if marker.not_before == seen.not_before && marker.nodes.contains(&identity) {
            return Ok(());
        }
        Err(failed(
            "the store was declared restored, or another primary took over, while this was written: what was decided before doesn't count",
        ))
    }

    /// Raises `not_before`, and makes known who was reported.
    pub(super) async fn settle(&self, moment: Timestamp) -> Result<(), StoreError> {
        let deadline = Deadline::after(self.deadline);
        // Only what was reported before `moment` was chosen: who takes over now is reported anew.
        let (reported, remembered) = {
            let memory = self.memory();
            (memory.reported.clone(), memory.not_before)
        };
        // A failover may have lost what was set before.
        let moment = remembered.map_or(moment, |remembered| moment.max(remembered));
        let mut arguments =
            vec![account::signed(moment.as_unix_nanos()).to_vec(), reported.len().to_string().into_bytes()];
        arguments.extend(reported.keys().map(|identity| identity.clone().into_bytes()));
        // Those that are no more needn't be known, whoever has reported them. Where a node can't be asked, all stay.
        if let Ok(present) = self.present(deadline.share(2)).await {
            // Nobody names a node that is being given its first slot.
            let arriving = reported.iter().filter(|&(_, asked)| *asked).map(|(identity, _)| identity.clone());
            arguments.extend(present.into_iter().chain(arriving).map(String::into_bytes));
        }
        self.run(&self.scripts.settle, self.slot(&self.marker), &[&self.marker], &arguments, deadline)
            .await?;
        let mut memory = self.memory();
        memory.remember(Some(moment));
        for identity in reported.keys() {
            memory.reported.remove(identity);
        }
        if !reported.is_empty() {
            memory.forget_writes();
        }
        drop(memory);
        Ok(())
    }

    /// Who the primaries are now.
    async fn present(&self, deadline: Deadline) -> Result<Vec<String>, RedisConnectError> {
        self.topology.refresh(deadline).await?;
        self.identities(deadline).await
    }
}
