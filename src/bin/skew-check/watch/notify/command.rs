//! A program that is run at changes of states.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

use super::{Document, Waiting};

/// What is this process's own: options, which may be secrets, and how to talk to systemd.
const OWN_VARIABLES: [&str; 4] = ["SKEW_CHECK_", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"];

pub(super) struct Program {
    file: PathBuf,
    arguments: Vec<OsString>,
    limit: Duration,
}

impl Program {
    pub(super) fn new(file: &Path, arguments: &[OsString], limit: Duration) -> Self {
        Self { file: file.to_owned(), arguments: arguments.to_vec(), limit }
    }

    /// Each document once: what it did before it failed, nobody knows here.
    pub(super) async fn work(self, mut waiting: Waiting) {
        while let Some(document) = waiting.next().await {
            match self.run(&document).await {
                Ok(()) => waiting.delivered(),
                Err(problem) => waiting.refused(&document, &problem),
            }
        }
    }

    /// Runs it to its end, or ends it. No shell reads any of this, so no name of a host can become a command.
    async fn run(&self, document: &Arc<Document>) -> Result<(), String> {
        let mut command = Command::new(&self.file);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| OWN_VARIABLES.iter().any(|own| name.starts_with(own))) {
                command.env_remove(name);
            }
        }
        command
            .args(&self.arguments)
            .envs(document.variables())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .kill_on_drop(true);
        #[cfg(unix)]
        // What it starts itself is ended with it.
        command.process_group(0);
        let mut child = command.spawn().map_err(|error| format!("it can't be run: {error}"))?;
        let group = Group::of(&child);
        let (stdin, content) = (child.stdin.take(), document.clone());
        // It may read nothing, and leave its input to somebody who lives longer: that isn't waited for.
        let feeding = tokio::spawn(async move {
            if let Some(mut stdin) = stdin {
                // One that doesn't want to know it all has closed it.
                let _ = stdin.write_all(&content.json).await;
            }
        });
        let ended = tokio::time::timeout(self.limit, child.wait()).await;
        feeding.abort();
        match ended {
            Ok(Ok(status)) => {
                group.spare();
                if status.success() { Ok(()) } else { Err(format!("it ended with {status}")) }
            }
            Ok(Err(error)) => Err(format!("it can't be waited for: {error}")),
            Err(_) => {
                drop(group);
                // Where there are no groups, it alone; it is waited for in both cases, so that no zombie is left.
                let _ = child.start_kill();
                let _ = child.wait().await;
                Err(format!("it was still running after {:?}, and was killed", self.limit))
            }
        }
    }
}

/// The program and what it started: ended when this is dropped, also when `watch` ends in the meantime.
struct Group {
    #[cfg(unix)]
    leader: Option<rustix::process::Pid>,
}

impl Group {
    #[cfg(unix)]
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self { leader: id.and_then(rustix::process::Pid::from_raw) }
    }

    #[cfg(not(unix))]
    fn of(_: &Child) -> Self {
        Self {}
    }

    /// It has ended by itself: its number may be somebody else's.
    #[cfg_attr(not(unix), expect(unused_mut, reason = "there is nothing to spare"))]
    fn spare(mut self) {
        #[cfg(unix)]
        self.leader.take();
    }
}

#[cfg(unix)]
impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.leader {
            // Where nobody of it is left there is nothing to do.
            let _ = rustix::process::kill_process_group(leader, rustix::process::Signal::KILL);
        }
    }
}
