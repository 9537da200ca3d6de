//! Scripts that run on the server: each is one atomic change.

use ::redis::{Cmd, cmd};
use sha1::{Digest as _, Sha1};

/// A script and the name that the server knows it by.
pub(super) struct Script {
    source: &'static str,
    sha1: String,
}

impl Script {
    fn new(source: &'static str) -> Self {
        let digest = Sha1::digest(source);
        Self { source, sha1: base16ct::lower::encode_string(&digest) }
    }

    /// Runs it by name: what a server does that has seen it since it was started.
    pub(super) fn by_name(&self, keys: &[&[u8]], arguments: &[Vec<u8>]) -> Cmd {
        Self::call("EVALSHA", self.sha1.as_bytes(), keys, arguments)
    }

    /// Runs it, and teaches it to the server.
    pub(super) fn in_full(&self, keys: &[&[u8]], arguments: &[Vec<u8>]) -> Cmd {
        Self::call("EVAL", self.source.as_bytes(), keys, arguments)
    }

    fn call(command: &str, script: &[u8], keys: &[&[u8]], arguments: &[Vec<u8>]) -> Cmd {
        let mut call = cmd(command);
        call.arg(script).arg(keys.len());
        for argument in keys.iter().copied().chain(arguments.iter().map(Vec::as_slice)) {
            call.arg(argument);
        }
        call
    }
}

pub(super) struct Scripts {
    pub(super) enrol: Script,
    pub(super) fail: Script,
    pub(super) accept: Script,
    pub(super) renew: Script,
    pub(super) reset: Script,
    pub(super) remove: Script,
    pub(super) begin: Script,
    pub(super) settle: Script,
    /// Does nothing.
    pub(super) nothing: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        macro_rules! change {
            ($($file:literal),+) => {
                Script::new(concat!(include_str!("lua/account.lua"), $(include_str!($file)),+))
            };
        }
        Self {
            enrol: change!("lua/enrol.lua"),
            fail: change!("lua/fail.lua"),
            accept: change!("lua/seen.lua", "lua/accept.lua"),
            renew: change!("lua/seen.lua", "lua/renew.lua"),
            reset: change!("lua/reset.lua"),
            remove: change!("lua/remove.lua"),
            begin: Script::new(include_str!("lua/begin.lua")),
            settle: Script::new(include_str!("lua/settle.lua")),
            nothing: Script::new("return 1"),
        }
    }
}
