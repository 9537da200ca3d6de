//! What a server says that didn't run what it was asked to.

use ::redis::{ServerErrorKind, Value};

/// What to do with commands that a server didn't run.
pub(super) enum Redirection {
    Moved(String),
    Ask(String),
    /// And what it said.
    Later(String),
}

impl Redirection {
    /// Whether the first command was run, and if not, who would run it.
    pub(super) fn of(values: &[Value]) -> Option<Self> {
        let Some(Value::ServerError(error)) = values.first() else { return None };
        // "3999 127.0.0.1:6381"
        let to = || Some(error.details()?.split_once(' ')?.1.to_owned());
        match error.kind()? {
            ServerErrorKind::Moved => to().map(Self::Moved),
            ServerErrorKind::Ask => to().map(Self::Ask),
            ServerErrorKind::TryAgain
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::MasterDown
            | ServerErrorKind::BusyLoading => {
                Some(Self::Later(format!("{} {}", error.code(), error.details().unwrap_or_default())))
            }
            _ => None,
        }
    }
}
