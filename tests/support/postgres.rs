//! A real PostgreSQL on loopback, with a directory and a port of its own.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use std::{fs, thread};

use tempfile::TempDir;

/// How often it is looked whether a server is there, 20 ms apart.
const LOOKS: usize = 1_500;

/// PostgreSQL refuses to run as root: then it runs as this user, "nobody", who needs no name for that.
const NOBODY: u32 = 65_534;

/// A running server; it is stopped when dropped.
#[derive(Debug)]
pub(crate) struct Postgres {
    port: u16,
    process: Option<Child>,
    settings: Vec<String>,
    dir: TempDir,
}

impl Postgres {
    /// A new server, with PostgreSQL's own settings.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// A new server with these settings, as `name=value`.
    pub(crate) fn start_with(settings: &[&str]) -> Self {
        let dir = fresh_dir();
        let data = dir.path().join("data");
        // -N: the files of an empty database needn't reach the disk before the tests begin.
        run(program("initdb")
            .args(["-N", "-U", "admin", "--auth=trust", "-E", "UTF8", "--locale=C", "-D"])
            .arg(&data));
        Self::run_in(dir, settings)
    }

    /// A server on the data directory that is in `dir`.
    fn run_in(dir: TempDir, settings: &[&str]) -> Self {
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let mut server = Self { port: free_port(), process: None, settings, dir };
        server.run();
        server
    }

    /// Starts it again where it was stopped, at the same port.
    pub(crate) fn run(&mut self) {
        let log = fs::File::options().create(true).append(true).open(self.dir.path().join("log"));
        let log = log.expect("room for a log");
        let mut command = program("postgres");
        command.arg("-D").arg(self.data()).args(["-p", &self.port.to_string()]);
        command.args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]);
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn();
        self.process = Some(child.expect("postgres runs"));
        self.wait_until_it_answers();
    }

    fn wait_until_it_answers(&mut self) {
        for _ in 0..LOOKS {
            let process = self.process.as_mut().expect("it was started");
            if let Some(ended) = process.try_wait().expect("the state of a child process") {
                panic!("postgres ended with {ended}:\n{}", self.log());
            }
            let ready =
                program("pg_isready").args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]).status();
            if ready.expect("pg_isready runs").success() {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("postgres doesn't answer:\n{}", self.log());
    }

    /// Stops it as after a power cut: nothing is written that wasn't yet, and nobody is told.
    pub(crate) fn crash(&mut self) {
        self.signal("QUIT");
    }

    /// Stops it in order.
    pub(crate) fn stop(&mut self) {
        self.signal("INT");
    }

    /// Kills it with all its processes, none of which is asked.
    pub(crate) fn kill(&mut self) {
        let Some(process) = &self.process else { return };
        let id = process.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).expect("Linux");
        self.signal("KILL");
        for child in children.split_whitespace() {
            // It ends by itself when it notices, but may not have yet.
            let _ = Command::new("kill").args(["-s", "KILL", child]).stderr(Stdio::null()).status();
            // What is first in a container may leave it there, ended, for good.
            let runs = |stat: String| !stat.contains(") Z ");
            while fs::read_to_string(format!("/proc/{child}/stat")).is_ok_and(runs) {
                thread::sleep(Duration::from_millis(5));
            }
        }
    }

    /// Kills a process that serves a role. All others end by that, and it starts anew without another start of its own.
    pub(crate) fn kill_one_who_serves(&mut self, role: &str) {
        let starts = |server: &Self| server.log().matches("all server processes terminated").count();
        let before = starts(self);
        let find = format!("SELECT pid FROM pg_stat_activity WHERE usename = '{role}' LIMIT 1");
        let killed = Command::new("kill").args(["-s", "KILL", &self.psql(&find)]).status();
        assert!(killed.expect("kill is everywhere").success());
        while starts(self) == before {
            thread::sleep(Duration::from_millis(5));
        }
        self.wait_until_it_answers();
    }

    fn signal(&mut self, name: &str) {
        let Some(mut process) = self.process.take() else { return };
        let sent = Command::new("kill").args(["-s", name, &process.id().to_string()]).status();
        assert!(sent.expect("kill is everywhere").success());
        process.wait().expect("the state of a child process");
    }

    /// Its command takes its settings anew.
    pub(crate) fn reload(&self) {
        self.psql("SELECT pg_reload_conf()");
    }

    /// A standby that follows it, under this name.
    pub(crate) fn standby(&self, name: &str) -> Self {
        let dir = fresh_dir();
        let url = format!("{} application_name={name}", self.parameters("admin"));
        let data = dir.path().join("data");
        run(program("pg_basebackup").args(["--no-sync", "-c", "fast", "-R", "-d", &url, "-D"]).arg(&data));
        Self::run_in(dir, &[])
    }

    /// A copy of all its files: a backup that can be [recovered](Self::recover).
    pub(crate) fn base_backup(&self) -> TempDir {
        let dir = fresh_dir();
        let data = dir.path().join("data");
        run(program("pg_basebackup")
            .args(["--no-sync", "-c", "fast", "-X", "fetch", "-d", &self.parameters("admin"), "-D"])
            .arg(&data));
        dir
    }

    /// A copy of all its files as they are while it doesn't run: as those of a disk's snapshot.
    pub(crate) fn copy_files(&self) -> TempDir {
        assert!(self.process.is_none(), "it runs");
        let dir = fresh_dir();
        run(program("cp").arg("-a").arg(self.data()).arg(dir.path()));
        dir
    }

    /// Puts files in the place of what it holds, as they are, and starts it.
    pub(crate) fn put_back(&mut self, files: TempDir) {
        self.stop();
        self.dir = files;
        self.run();
    }

    /// Puts a base backup in the place of what it holds, as a recovery to a point in time: it goes on from there, on a new
    /// timeline.
    pub(crate) fn recover(&mut self, backup: TempDir) {
        self.stop();
        fs::write(backup.path().join("data/recovery.signal"), "").expect("room for a file");
        let conf = backup.path().join("data/postgresql.auto.conf");
        let settings = fs::read_to_string(&conf).expect("its settings");
        fs::write(&conf, settings + "restore_command = 'false'\nrecovery_target_action = 'promote'\n")
            .expect("room");
        self.dir = backup;
        self.own();
        self.run();
        for _ in 0..LOOKS {
            if self.psql("SELECT pg_is_in_recovery()") == "f" {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("it isn't recovered:\n{}", self.log());
    }

    fn own(&self) {
        if is_root() {
            for file in ["recovery.signal", "postgresql.auto.conf"] {
                chown(self.data().join(file), Some(NOBODY), Some(NOBODY)).expect("root may");
            }
        }
    }

    /// Makes a standby the primary.
    pub(crate) fn promote(&self) {
        self.psql("SELECT pg_promote(true, 60)");
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// How a client reaches it, by the name of a role.
    pub(crate) fn parameters(&self, role: &str) -> String {
        format!("host=127.0.0.1 port={} user={role} dbname=postgres", self.port)
    }

    /// What psql prints of a script, unaligned and without headings.
    pub(crate) fn psql(&self, script: &str) -> String {
        self.psql_as("admin", script)
    }

    pub(crate) fn psql_as(&self, role: &str, script: &str) -> String {
        let output = run(program("psql")
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d"])
            .arg(self.parameters(role))
            .args(["-c", script]));
        String::from_utf8(output.stdout).expect("UTF-8").trim_end().to_owned()
    }

    /// Whether psql gets through a script.
    pub(crate) fn allows(&self, role: &str, script: &str) -> bool {
        let psql = program("psql")
            .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d"])
            .arg(self.parameters(role))
            .args(["-c", script])
            .output();
        psql.expect("psql runs").status.success()
    }

    /// `pg_dump`, in its custom format.
    pub(crate) fn dump(&self, options: &[&str]) -> PathBuf {
        let file = self.dump_file();
        run(program("pg_dump")
            .args(["-F", "c", "-d"])
            .arg(self.parameters("admin"))
            .args(options)
            .arg("-f")
            .arg(&file));
        file
    }

    /// Where the last dump is.
    pub(crate) fn dump_file(&self) -> PathBuf {
        self.dir.path().join("dump")
    }

    /// `pg_restore`.
    pub(crate) fn restore(&self, dump: &Path, options: &[&str]) {
        run(program("pg_restore")
            .arg("-d")
            .arg(self.parameters("admin"))
            .args(options)
            .arg("--exit-on-error")
            .arg(dump));
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_else(|error| format!("(no log: {error})"))
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Both fail only where it has ended already. SIGQUIT: its own processes end too, which they wouldn't after a SIGKILL.
        if let Some(process) = &mut self.process {
            let _ = Command::new("kill").args(["-s", "QUIT", &process.id().to_string()]).status();
            let _ = process.wait();
        }
    }
}

fn free_port() -> u16 {
    let socket = TcpListener::bind(("127.0.0.1", 0)).expect("a free TCP port on loopback");
    socket.local_addr().expect("the address of a bound socket").port()
}

fn is_root() -> bool {
    fs::metadata("/proc/self").expect("Linux").uid() == 0
}

/// Where `./tests/run` clears up, if it is what runs the tests; the server's user owns it.
fn fresh_dir() -> TempDir {
    let mut builder = tempfile::Builder::new();
    builder.prefix("postgres-");
    let dir = match std::env::var_os("SKEWGATE_TEST_DIR") {
        Some(parent) => builder.tempdir_in(parent),
        None => builder.tempdir(),
    };
    let dir = dir.expect("a directory for temporary files");
    if is_root() {
        chown(dir.path(), Some(NOBODY), Some(NOBODY)).expect("root may");
    }
    dir
}

/// A program of PostgreSQL's: Debian keeps most of them out of PATH.
fn program(name: &str) -> Command {
    let mut command = Command::new(find(name));
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    // Not where its user may not look.
    command.current_dir("/");
    command.env("LC_ALL", "C");
    command
}

fn find(name: &str) -> PathBuf {
    let mut dirs: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .map(|versions| versions.flatten().map(|version| version.path().join("bin")).collect())
        .unwrap_or_default();
    dirs.sort();
    dirs.reverse();
    dirs.extend(std::env::split_paths(std::env::var_os("PATH").as_deref().unwrap_or(OsStr::new(""))));
    let found = dirs.into_iter().map(|dir| dir.join(name)).find(|file| file.is_file());
    found
        .unwrap_or_else(|| panic!("this test needs {name} of PostgreSQL: run ./tests/run, which installs it"))
}

fn run(command: &mut Command) -> Output {
    match command.output() {
        Ok(output) if output.status.success() => output,
        Ok(output) => panic!("{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr)),
        Err(error) if error.kind() == ErrorKind::NotFound => panic!("{command:?}: {error}: run ./tests/run"),
        Err(error) => panic!("{command:?}: {error}"),
    }
}
