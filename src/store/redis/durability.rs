//! What a server is set to lose, and whether the caller knows.

use ::redis::{Pipeline, Value, pipe};

use crate::store::StoreError;

use super::deadline::Deadline;
use super::node::{Node, Silence};
use super::{RedisConnectError, read};

/// What a server may lose of what it has answered. [`RedisStore::connect`](super::RedisStore::connect) refuses servers that are set so,
/// unless this is [accepted](super::RedisBuilder::accept_loss) by name.
///
/// What is lost lets used codes in again: the store notices it where it says so here, and all codes that could have been used by then
/// are dead. An attacker who has seen a code can use it only in the moments before anybody notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Loss {
    /// When the server stops for whatever reason: everything since its last snapshot, or everything that it holds
    /// (`appendonly no`). Noticed: a start is seen by the server's new identity, an empty server by its lack of one.
    AtRestart,
    /// When the machine under the server stops, or its power fails: the last second or more (`appendfsync everysec`), up to half
    /// a minute (`appendfsync no`), or what was written while the log was rewritten (`no-appendfsync-on-rewrite yes`). Noticed.
    AtPowerFailure,
    /// When memory runs out: whole accounts at any time (any `maxmemory-policy` but `noeviction` and `volatile-…`: no key of the store ever expires). Their tokens are not enrolled any
    /// more, and what was paid for guesses at them is forgotten. Not noticed, as a rule: whoever enrols one anew with the secret that it had lets
    /// its used codes in again that are newer than the one shown then. Give it a new one.
    ByEviction,
    /// Any of these: the server's settings can't be looked at (`CONFIG` is forbidden, as at most providers of managed servers). Whoever
    /// accepts it has looked themselves.
    Unchecked,
}

impl Loss {
    pub(super) const fn what(self) -> &'static str {
        match self {
            Self::AtRestart => "everything since its last snapshot when it stops",
            Self::AtPowerFailure => "the last moments when its machine stops",
            Self::ByEviction => "any account when memory runs out",
            Self::Unchecked => "nobody knows what",
        }
    }
}

/// A setting, what it must be, and what is lost otherwise.
struct Demand {
    setting: &'static str,
    wanted: &'static str,
    /// What begins so will do too.
    or: Option<&'static str>,
    loss: Loss,
}

const DEMANDS: [Demand; 4] = [
    Demand { setting: "appendonly", wanted: "yes", or: None, loss: Loss::AtRestart },
    Demand { setting: "appendfsync", wanted: "always", or: None, loss: Loss::AtPowerFailure },
    // Even with "always" nothing is synchronised while a child process rewrites the log.
    Demand { setting: "no-appendfsync-on-rewrite", wanted: "no", or: None, loss: Loss::AtPowerFailure },
    // Otherwise only keys that expire go, and none of the store's does.
    Demand {
        setting: "maxmemory-policy",
        wanted: "noeviction",
        or: Some("volatile-"),
        loss: Loss::ByEviction,
    },
];

/// Refuses a server that loses what isn't accepted.
pub(super) async fn check(
    node: &Node,
    accepted: &[Loss],
    deadline: Deadline,
) -> Result<(), RedisConnectError> {
    let values = node.ask(&questions(), deadline).await.map_err(Silence::into_error)?.values;
    let mut has_log = true;
    for (demand, value) in DEMANDS.iter().zip(values) {
        if let Value::ServerError(error) = value {
            if accepted.contains(&Loss::Unchecked) {
                return Ok(());
            }
            let (node, said) = (node.address.to_string(), error.to_string());
            return Err(RedisConnectError::SettingsUnknown { node, said });
        }
        let found = answer(value)?;
        let is_wanted = found == demand.wanted || demand.or.is_some_and(|start| found.starts_with(start));
        // Without a log there is nothing to synchronise: what is lost at a restart is lost with the power, too.
        let is_moot = demand.loss == Loss::AtPowerFailure && !has_log;
        if !is_wanted && !is_moot && !accepted.contains(&demand.loss) {
            let Demand { setting, wanted, loss, .. } = *demand;
            return Err(RedisConnectError::WouldLose {
                node: node.address.to_string(),
                setting,
                found,
                wanted,
                loss,
            });
        }
        has_log &= is_wanted || demand.setting != "appendonly";
    }
    Ok(())
}

fn questions() -> Pipeline {
    let mut questions = pipe();
    // One by one: servers before 7.0 answer to one at a time.
    for demand in &DEMANDS {
        questions.cmd("CONFIG").arg("GET").arg(demand.setting);
    }
    questions
}

/// Empty where the server doesn't know the setting.
fn answer(value: Value) -> Result<String, StoreError> {
    let mut pairs: Vec<(String, String)> = read(value)?;
    Ok(pairs.pop().map_or_else(String::new, |(_, value)| value))
}
