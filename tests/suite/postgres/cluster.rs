//! A private folder with PostgreSQL servers in it: made, started, stopped and killed here, never root's, on loopback only,
//! and gone with this process whatever becomes of it.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use crate::process::{Dice, PATIENCE, wait_until};

/// Debian's `nobody`: whom servers and tools run as when the tests are root, which PostgreSQL refuses.
pub const NOBODY: u32 = 65_534;
const OLDEST: u32 = 15;
/// Below the ports that outgoing connections are given, so that a server that is down finds its port free again.
const PORTS: std::ops::Range<u16> = 15_000..32_000;
pub const USER: &str = "tester";
pub const PASSWORD: &str = "only-for-tests";

/// Whether a server writes through to the disk. Nothing is lost by a killed server either way: only by a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// As fast as the machine lets it.
    Fast,
    /// As in production.
    Synced,
}

/// The programs of the newest PostgreSQL that is installed.
pub fn programs() -> &'static Path {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
        if let Ok(versions) = fs::read_dir("/usr/lib/postgresql") {
            folders.extend(versions.flatten().map(|version| version.path().join("bin")));
        }
        let found = folders.into_iter().filter_map(|folder| Some((version(&folder)?, folder)));
        let newest = found.filter(|(version, _)| *version >= OLDEST).max();
        let (_, folder) = newest.unwrap_or_else(|| {
            panic!(
                "PostgreSQL {OLDEST} or later is not installed (Debian: apt-get install postgresql, or ./check --install); \
                 DATABASE_URL may name a server to use instead"
            )
        });
        folder
    })
}

fn version(folder: &Path) -> Option<u32> {
    let complete = ["postgres", "initdb", "psql", "pg_basebackup"].iter().all(|name| folder.join(name).exists());
    let said = complete.then(|| Command::new(folder.join("postgres")).arg("--version").output().ok())??;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    said.rsplit(' ').find_map(|word| word.trim().split(['.', 'b', 'd', 'r']).next()?.parse().ok())
}

/// Runs as somebody who may run a server, with none of this shell's settings.
fn unprivileged(command: &mut Command) {
    let path = std::env::var_os("PATH").unwrap_or_default();
    command.env_clear().env("PATH", path).env("LC_ALL", "C");
    if fs::metadata("/proc/self").expect("procfs is mounted").uid() == 0 {
        command.uid(NOBODY).gid(NOBODY);
    }
}

/// Asks a database and returns what it answered, or what it said against it: rows as lines, columns parted by `|`.
pub fn try_sql(url: &str, statement: &str) -> Result<String, String> {
    let mut command = Command::new(if_there("psql"));
    command.args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1", "--no-password"]);
    command.args(["--command", statement, url]).stdin(Stdio::null());
    command.env("PGCONNECT_TIMEOUT", "10").env("PGAPPNAME", "test");
    let output = command.output().expect("psql can be started");
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

pub fn sql(url: &str, statement: &str) -> String {
    try_sql(url, statement).unwrap_or_else(|error| panic!("{statement}: {error}"))
}

/// With a server of somebody else's, its client is enough.
pub fn if_there(program: &str) -> PathBuf {
    let on_path =
        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).any(|dir| dir.join(program).exists());
    if on_path { program.into() } else { programs().join(program) }
}

/// The folder, and the shell that ends what runs in it.
pub struct Cluster {
    folder: PathBuf,
    keeper: Child,
    /// Whoever takes small disks away at the end, whatever becomes of this process.
    disks: Vec<Child>,
}

impl Cluster {
    pub fn new() -> Self {
        let folder =
            tempfile::Builder::new().prefix("gongji-postgres-").tempdir().expect("a temporary directory").keep();
        let folder = folder.canonicalize().expect("it was made");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).expect("it is ours");
        if fs::metadata(&folder).expect("it was made").uid() == 0 {
            chown(&folder, Some(NOBODY), Some(NOBODY)).expect("root may");
        }
        let mut command = Command::new("sh");
        command.args(["-c", include_str!("keeper.sh"), "keeper"]).arg(&folder).arg(programs().join("postgres"));
        unprivileged(&mut command);
        // In a group of its own: what ends the tests' group must not end it.
        command.current_dir("/").process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let keeper = command.spawn().expect("sh can be started");
        Self { folder, keeper, disks: Vec::new() }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn tool(&self, program: &str, args: &[&str]) {
        let mut command = Command::new(programs().join(program));
        unprivileged(&mut command);
        command.args(args).current_dir(&self.folder).stdin(Stdio::null());
        let output = command.output().expect("a tool of PostgreSQL can be started");
        assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).to_str().expect("a plain path").to_owned()
    }

    /// A new server, running.
    pub fn node(&mut self, name: &str, durability: Durability, settings: &[(&str, &str)]) -> Node {
        let (data, password) = (self.path(name), self.path("password"));
        fs::write(&password, PASSWORD).expect("a file");
        fs::set_permissions(&password, fs::Permissions::from_mode(0o644)).expect("ours");
        let made = ["-D", &data, "-U", USER, "--pwfile", &password, "--auth", "scram-sha-256"];
        self.tool("initdb", &[&made[..], &["--locale=C", "--encoding=UTF8", "--no-sync", "--wal-segsize=1"]].concat());
        let main = format!("{data}/postgresql.conf");
        let text = fs::read_to_string(&main).expect("initdb wrote it");
        fs::write(&main, format!("{text}\ninclude 'test.conf'\n")).expect("ours");
        let mut node = Node { name: name.to_owned(), data: data.into(), port: 0, durability, settings: Vec::new() };
        node.set(settings);
        self.start_somewhere(&mut node);
        node
    }

    /// A new server with all its files on a disk of its own, of so many MiB, running. Only root may make disks: others are
    /// told, and have none.
    pub fn node_on_small_disk(&mut self, name: &str, mib: u32, settings: &[(&str, &str)]) -> Option<Node> {
        let place = self.path(name);
        fs::create_dir(&place).expect("ours");
        let options = format!("size={mib}m,mode=0700,uid={NOBODY},gid={NOBODY}");
        let made = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "gongji-test", &place]).output();
        let why = match made {
            Ok(output) if output.status.success() => None,
            Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(why) = why {
            println!("skipped: no small disk can be made here: {why}");
            return None;
        }
        // Nobody unmounts what a running server works in, so it waits until the keeper has ended that.
        let away = "trap '' HUP INT TERM; cat > /dev/null; for turn in $(seq 100); do umount \"$1\" 2> /dev/null && break; \
                    sleep 0.1; done; rm -rf \"$2\"";
        let mut command = Command::new("sh");
        command.args(["-c", away, "away", &place]).arg(&self.folder).process_group(0).current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        self.disks.push(command.spawn().expect("sh can be started"));
        Some(self.node(name, Durability::Fast, settings))
    }

    /// A copy of a running server that follows it under its own name, running.
    pub fn standby(&mut self, of: &Node, name: &str) -> Node {
        let data = self.path(name).into();
        let mut node = Node { name: name.to_owned(), data, port: 0, durability: of.durability, settings: Vec::new() };
        self.copy(of, &node);
        self.start_somewhere(&mut node);
        node
    }

    /// Makes a killed server anew as a copy of another, in its place and on its port, running.
    pub fn rebuild(&mut self, node: &mut Node, of: &Node) {
        node.wait_gone();
        // What tells of a killed server's shared memory goes with the folder, so it is given back now.
        if let Ok(left) = fs::read_to_string(node.data.join("postmaster.pid")) {
            let segment = left.lines().nth(6).and_then(|line| line.split_whitespace().nth(1)).unwrap_or_default();
            let _ = Command::new("ipcrm").args(["-m", segment]).stderr(Stdio::null()).status();
        }
        fs::remove_dir_all(&node.data).expect("ours");
        self.copy(of, node);
        node.set(&[]);
        self.start(node);
    }

    /// A backup of a running server, as `deployment.md` takes it; not running.
    pub fn backup(&self, of: &Node, name: &str) -> Node {
        let from = format!("host=127.0.0.1 port={} user={USER} password={PASSWORD}", of.port);
        let copy = ["--pgdata", &self.path(name), "--dbname", &from, "--wal-method=stream", "--checkpoint=fast"];
        self.tool("pg_basebackup", &[&copy[..], &["--no-sync"]].concat());
        Node {
            name: name.to_owned(),
            data: self.path(name).into(),
            port: 0,
            durability: of.durability,
            settings: Vec::new(),
        }
    }

    /// Starts a backup as a server of its own that first reads the archive up to a point.
    pub fn restore(&mut self, backup: &mut Node, settings: &[(&str, &str)]) {
        fs::write(backup.data.join("recovery.signal"), "").expect("ours");
        backup.set(settings);
        self.start_somewhere(backup);
    }

    fn copy(&self, of: &Node, to: &Node) {
        let data = to.data.to_str().expect("a plain path");
        let place = format!("host=127.0.0.1 port={} user={USER} password={PASSWORD}", of.port);
        let from = format!("{place} application_name={}", to.name);
        let copy = ["--pgdata", data, "--dbname", &from, "--write-recovery-conf", "--wal-method=stream"];
        self.tool("pg_basebackup", &[&copy[..], &["--checkpoint=fast", "--no-sync"]].concat());
    }

    fn start_somewhere(&mut self, node: &mut Node) {
        let mut dice = Dice::new(u64::from(std::process::id()) ^ u64::from(rand::random::<u32>()));
        for _ in 0..20 {
            let port = PORTS.start + dice.roll(usize::from(PORTS.end - PORTS.start)) as u16;
            if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err() {
                continue;
            }
            node.port = port;
            node.write_settings();
            let said = self.begin(node, "");
            // Somebody else may take the port between the look and the start: then it says so and ends.
            if node.comes_up(said) {
                return;
            }
        }
        panic!("no port is free, or PostgreSQL does not start; it said:\n{}", node.log());
    }

    /// Begins a server; how long its log was before.
    fn begin(&mut self, node: &Node, files_below: &str) -> usize {
        use std::io::Write;
        let said = node.log().len();
        let keeper = self.keeper.stdin.as_mut().expect("open as long as this lives");
        writeln!(keeper, "{} {files_below}", node.name).expect("the keeper reads as long as this lives");
        said
    }

    /// Starts a stopped server whose files may not grow past so many KiB: a disk that is full, without one.
    pub fn start_with_files_below(&mut self, node: &Node, kib: u64) {
        let said = self.begin(node, &kib.to_string());
        assert!(node.comes_up(said), "{} did not start; it said:\n{}", node.name, node.log());
    }

    /// Starts a server that was stopped or killed, on its port, and waits until it answers.
    pub fn start(&mut self, node: &Node) {
        let said = self.begin(node, "");
        assert!(node.comes_up(said), "{} did not start; it said:\n{}", node.name, node.log());
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
        for mut disk in self.disks.drain(..) {
            drop(disk.stdin.take());
            let _ = disk.wait();
        }
    }
}

/// One server.
#[derive(Debug)]
pub struct Node {
    pub name: String,
    data: PathBuf,
    pub port: u16,
    durability: Durability,
    settings: Vec<(String, String)>,
}

impl Node {
    /// Where a database of it is.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{}/{database}", self.port)
    }

    pub fn sql(&self, statement: &str) -> String {
        sql(&self.url("postgres"), statement)
    }

    /// Settings besides the usual ones, from the next start on or the next `reload`.
    pub fn set(&mut self, settings: &[(&str, &str)]) {
        self.settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        if self.port != 0 {
            self.write_settings();
        }
    }

    pub fn reload(&self) {
        self.sql("SELECT pg_reload_conf()");
    }

    fn write_settings(&self) {
        let port = self.port.to_string();
        let mut lines = vec![
            ("port", port.as_str()),
            ("listen_addresses", "127.0.0.1"),
            ("unix_socket_directories", ""),
            // A killed server must leave nothing outside of its folder.
            ("dynamic_shared_memory_type", "mmap"),
            ("max_connections", "200"),
            ("shared_buffers", "64MB"),
            ("max_wal_size", "1GB"),
            ("log_checkpoints", "off"),
            ("timezone", "UTC"),
        ];
        if self.durability == Durability::Fast {
            lines.extend([("fsync", "off"), ("full_page_writes", "off"), ("autovacuum", "off")]);
            lines.push(("checkpoint_timeout", "1h"));
        }
        lines.extend(self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let text: String = lines.iter().map(|(name, value)| format!("{name} = '{value}'\n")).collect();
        let path = self.data.join("test.conf");
        fs::write(&path, text).expect("ours");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("ours");
    }

    /// What it said.
    pub fn log(&self) -> String {
        fs::read_to_string(format!("{}.log", self.data.display())).unwrap_or_default()
    }

    /// Waits until it answers; whether it does. One that has ended never will. Its log up to `said` is of an earlier life.
    fn comes_up(&self, said: usize) -> bool {
        let mut seen = false;
        wait_until("PostgreSQL", PATIENCE, || {
            if try_sql(&self.url("postgres"), "SELECT 1").is_ok() {
                return Some(true);
            }
            let running = !self.pids().is_empty();
            let ended = seen && !running;
            seen |= running || self.log().get(said..).is_some_and(|new| new.contains("FATAL"));
            ended.then_some(false)
        })
    }

    /// Its processes, by the folder they work in.
    fn pids(&self) -> Vec<u32> {
        let processes = fs::read_dir("/proc").expect("procfs is mounted").flatten();
        let ours = processes.filter(|entry| fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd == self.data));
        ours.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
    }

    pub fn runs(&self) -> bool {
        !self.pids().is_empty()
    }

    fn ballast(&self) -> PathBuf {
        self.data.join("ballast")
    }

    /// Leaves so many KiB of its own disk free.
    pub fn fill_disk(&self, leave_kib: usize) {
        let output = Command::new("df").args(["--output=avail", "--block-size=1K"]).arg(&self.data).output();
        let told = String::from_utf8(output.expect("df is installed").stdout).expect("text");
        let free: usize = told.lines().nth(1).and_then(|line| line.trim().parse().ok()).expect("a number");
        fs::write(self.ballast(), vec![0; (free - leave_kib) << 10]).expect("there is room");
    }

    /// Gives back what `fill_disk` took.
    pub fn empty_disk(&self) {
        fs::remove_file(self.ballast()).expect("ours");
    }

    fn postmaster(&self) -> String {
        let file = fs::read_to_string(self.data.join("postmaster.pid")).expect("it runs");
        file.lines().next().expect("its first line is the process").to_owned()
    }

    pub fn wait_gone(&self) {
        wait_until("the end of PostgreSQL", PATIENCE, || self.pids().is_empty().then_some(()));
    }

    /// In good order: connections are ended, what was done is written.
    pub fn stop(&self) {
        signal("INT", &[self.postmaster()]);
        self.wait_gone();
    }

    /// `kill -9`, all of it at once.
    pub fn kill(&self) {
        // First the one that would start others.
        let others = self.pids().iter().map(u32::to_string).collect::<Vec<_>>();
        signal("KILL", &[vec![self.postmaster()], others].concat());
        self.wait_gone();
    }

    /// Makes a standby the primary, and waits until it takes changes.
    pub fn promote(&self) {
        assert_eq!(self.sql("SELECT pg_promote()"), "t", "{}", self.log());
    }
}

fn signal(name: &str, pids: &[String]) {
    // Some may have ended of themselves meanwhile.
    let _ = Command::new("kill").args(["-s", name]).args(pids).stderr(Stdio::null()).status();
}
