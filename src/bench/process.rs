//! The measured server as a process, what the system says of it, and the disk alone.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;

use crate::ledger::source::{Clock, SystemClock};
use crate::store::postgres::DatabaseUrl;

/// Clock ticks per second of `/proc`; the same on every Linux this runs on.
const TICKS: f64 = 100.0;

/// A process is at rest where so often in a row it used less than this share of a processor and wrote nothing. Nothing is
/// waited for longer than `REST_MAX`.
const AT_REST: f64 = 0.05;
const REST: Duration = Duration::from_millis(250);
const RESTS: u32 = 3;
const REST_MAX: Duration = Duration::from_secs(900);

/// A server in a process of its own. Ends with this value.
pub struct Process {
    child: Child,
    pub address: SocketAddr,
    /// From its start to its first word.
    pub started_in: Duration,
}

impl Process {
    /// Starts this program again as `bench-server` and waits until it serves.
    pub fn start(arguments: &[String], database: Option<&DatabaseUrl>) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let began = Instant::now();
        let mut command = Command::new(program);
        // Not among the arguments, which everybody on the machine can read.
        if let Some(url) = database {
            command.env("GONGJI_DATABASE_URL", &url.0);
        }
        let mut child = command
            .arg("bench-server")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let out = child.stdout.take().ok_or("the server has no output")?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line).map_err(|error| error.to_string())?;
        match line.trim().parse() {
            Ok(address) => Ok(Self { child, address, started_in: began.elapsed() }),
            Err(_) => {
                let status = child.wait().map_err(|error| error.to_string())?;
                Err(format!("the server under measurement did not start: {status}"))
            }
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it does nothing any more: an embedded store merges what was written long after that is durable.
    pub fn come_to_rest(&self) -> Result<(), String> {
        let (began, mut quiet, mut told) = (Instant::now(), 0, false);
        while quiet < RESTS {
            let (cpu, bytes) = (cpu_seconds(self.pid())?, written(self.pid()));
            std::thread::sleep(REST);
            let used = cpu_seconds(self.pid())? - cpu;
            let rests = used < REST.as_secs_f64() * AT_REST && written(self.pid()) == bytes;
            quiet = if rests { quiet + 1 } else { 0 };
            if began.elapsed() > REST_MAX {
                eprintln!("a server is not at rest after {} s, and is measured as it is", REST_MAX.as_secs());
                return Ok(());
            }
            if !rests && !std::mem::replace(&mut told, true) {
                eprintln!("waiting until a server is at rest");
            }
        }
        Ok(())
    }

    /// As a power cut would, except that the system's cache stays.
    pub fn kill(mut self) -> Result<(), String> {
        self.child.kill().and_then(|()| self.child.wait()).map(|_| ()).map_err(|error| error.to_string())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The end of its input asks it to stop.
        drop(self.child.stdin.take());
        for _ in 0..600 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// User and system time of a process.
pub fn cpu_seconds(pid: u32) -> Result<f64, String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).map_err(|error| error.to_string())?;
    // The name in parentheses may hold spaces; utime and stime are the 14th and 15th fields.
    let after = stat.rsplit_once(") ").ok_or("/proc/…/stat is not understood")?.1;
    let ticks = after.split(' ').skip(11).take(2).filter_map(|field| field.parse::<f64>().ok());
    Ok(ticks.sum::<f64>() / TICKS)
}

/// Resident memory in bytes.
pub fn resident(pid: u32) -> u64 {
    field(&format!("/proc/{pid}/status"), "VmRSS:") * 1024
}

/// Bytes the process has sent to the disk.
pub fn written(pid: u32) -> u64 {
    field(&format!("/proc/{pid}/io"), "write_bytes:")
}

fn field(path: &str, name: &str) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

/// Bytes of all files below a folder, as allocated.
pub fn disk_bytes(dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => disk_bytes(&entry.path()),
        Ok(metadata) => metadata.blocks() * 512,
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}

/// A folder that goes away with this value.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn make(parent: &Path) -> Result<Self, String> {
        let path = parent.join(format!("gongji-bench-{}", std::process::id()));
        fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The disk alone: append 4 KiB, fdatasync, again and again.
pub struct Probe {
    times: Histogram<u64>,
    spent: Duration,
}

impl Probe {
    pub fn new() -> Result<Self, String> {
        let times = Histogram::new_with_bounds(1_000, 60_000_000_000, 3).map_err(|error| error.to_string())?;
        Ok(Self { times, spent: Duration::ZERO })
    }

    pub fn run(&mut self, dir: &Path, time: Duration) -> Result<(), String> {
        let path = dir.join("probe");
        let words = |error: std::io::Error| format!("{}: {error}", path.display());
        let mut file = File::create(&path).map_err(words)?;
        let began = Instant::now();
        while began.elapsed() < time {
            let one = Instant::now();
            file.write_all(&[0x5a; 4096]).and_then(|()| file.sync_data()).map_err(words)?;
            self.times.saturating_record(u64::try_from(one.elapsed().as_nanos()).unwrap_or(u64::MAX));
        }
        self.spent += began.elapsed();
        fs::remove_file(&path).map_err(words)
    }

    pub fn p50_us(&self) -> f64 {
        self.times.value_at_quantile(0.5) as f64 / 1e3
    }

    pub fn p99_us(&self) -> f64 {
        self.times.value_at_quantile(0.99) as f64 / 1e3
    }

    pub fn per_second(&self) -> f64 {
        self.times.len() as f64 / self.spent.as_secs_f64().max(1e-9)
    }
}

/// Another number each time, for request ids.
pub fn nonce() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
}

pub fn today() -> String {
    SystemClock.now().civil_day().to_string()
}
