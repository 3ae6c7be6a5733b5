//! What was found, as a table for people and as JSON for programs.

use std::fmt;
use std::time::Duration;

use serde_json::json;

use super::client::Cell;
use super::process::Probe;
use super::requests::View;
use super::wire::Kind;

/// The middle one, or the mean of the two in the middle.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        length if length % 2 == 1 => values[length / 2],
        length => f64::midpoint(values[length / 2 - 1], values[length / 2]),
    }
}

/// One method at one concurrency: medians of the rounds.
pub struct Row {
    pub kind: Kind,
    pub in_flight: usize,
    pub per_second: f64,
    pub slowest: f64,
    pub fastest: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    pub server_cpu_us: f64,
    pub client_cpu_us: f64,
    /// Median of the ratios to the echo of the same round and concurrency; of many in a call, to one by one at its most.
    pub ratio: Option<f64>,
    pub calls: u64,
    pub failed: u64,
    pub aided: u64,
    pub failure: Option<String>,
}

impl Row {
    fn aided_share(&self) -> f64 {
        self.aided as f64 / self.calls.max(1) as f64
    }

    fn is_good(&self) -> bool {
        self.failed == 0 && self.calls > 0 && self.aided_share() >= 0.95
    }
}

/// A store after the run.
pub struct StoreFacts {
    pub name: String,
    /// Resident bytes with everybody loaded and nothing settled, and at the end.
    pub resident_loaded: u64,
    pub resident: u64,
    /// How many records CheckLedger read, and whether all was well; none where it was left out.
    pub checked: Option<(i64, bool)>,
}

/// What each settlement takes of the embedded store's disk: growth of the folder, and bytes sent to it.
pub struct Disk {
    pub grown: f64,
    pub written: f64,
}

/// Calls at half the most, timed from when each was due.
pub struct OpenLoop {
    pub kind: Kind,
    pub rate: f64,
    pub cell: Cell,
}

/// The disk alone, beside the durable cells: append 4 KiB and fdatasync.
pub struct Bare {
    pub p50_us: f64,
    pub p99_us: f64,
    pub per_second: f64,
}

impl Bare {
    pub fn of(probe: &Probe) -> Self {
        Self { p50_us: probe.p50_us(), p99_us: probe.p99_us(), per_second: probe.per_second() }
    }
}

/// After kill -9.
pub struct Startup {
    pub settlements: u64,
    pub failed: u64,
    pub per_second: f64,
    pub disk_bytes: f64,
    pub written_bytes: f64,
    pub serving_seconds: f64,
    pub first_reply_seconds: f64,
    pub resident: u64,
    pub records: i64,
    pub check_ok: bool,
}

/// A whole run.
pub struct Report {
    pub people: u64,
    pub rounds: u32,
    pub time: Duration,
    pub runtimes: u32,
    pub client_threads: usize,
    pub explanation: View,
    pub rows: Vec<Row>,
    pub stores: Vec<StoreFacts>,
    pub disk: Option<Disk>,
    pub open: Vec<OpenLoop>,
    pub bare: Option<Bare>,
    /// What the database writes to its log for one settlement.
    pub log_bytes: Option<f64>,
    pub startup: Option<Startup>,
}

impl Report {
    pub fn new(people: u64, rounds: u32, time: Duration, threads: (u32, usize), explanation: View) -> Self {
        Self {
            people,
            rounds,
            time,
            runtimes: threads.0,
            client_threads: threads.1,
            explanation,
            rows: Vec::new(),
            stores: Vec::new(),
            disk: None,
            open: Vec::new(),
            bare: None,
            log_bytes: None,
            startup: None,
        }
    }

    /// What a row is to reach. Nothing is asked of answers without their reasons, or with all of them.
    fn threshold(&self, row: &Row) -> Option<f64> {
        row.kind.threshold().filter(|_| self.explanation == View::Summary)
    }

    /// Whether every reply was OK, and every ledger that was checked. Speed is not judged here.
    pub fn is_good(&self) -> bool {
        self.rows.iter().all(Row::is_good)
            && self.stores.iter().all(|store| store.checked.is_none_or(|(_, ok)| ok))
            && self.open.iter().all(|open| open.cell.failed == 0)
            && self.startup.as_ref().is_none_or(|startup| startup.failed == 0 && startup.check_ok)
    }

    pub fn json(&self) -> String {
        let rows: Vec<_> = self.rows.iter().map(|row| row_json(row, self.threshold(row))).collect();
        let stores: Vec<_> = self
            .stores
            .iter()
            .map(|store| {
                json!({
                    "name": store.name, "resident_loaded_bytes": store.resident_loaded,
                    "resident_bytes": store.resident,
                    "records": store.checked.map(|(records, _)| records),
                    "check_ledger_ok": store.checked.map(|(_, ok)| ok),
                })
            })
            .collect();
        let open = self.open.iter().map(|open| {
            json!({
                "method": open.kind.name(), "per_second": open.rate, "p50_us": open.cell.p50_us,
                "p99_us": open.cell.p99_us, "failed": open.cell.failed, "failure": open.cell.failure,
            })
        });
        let open: Vec<_> = open.collect();
        let bare = self
            .bare
            .as_ref()
            .map(|bare| json!({ "p50_us": bare.p50_us, "p99_us": bare.p99_us, "per_second": bare.per_second }));
        let disk = self.disk.as_ref().map(
            |disk| json!({ "grown_bytes_per_settlement": disk.grown, "written_bytes_per_settlement": disk.written }),
        );
        let startup = self.startup.as_ref().map(|startup| {
            json!({
                "settlements": startup.settlements, "failed": startup.failed, "per_second": startup.per_second,
                "disk_bytes_per_settlement": startup.disk_bytes, "written_bytes_per_settlement": startup.written_bytes,
                "serving_seconds": startup.serving_seconds, "first_reply_seconds": startup.first_reply_seconds,
                "resident_bytes": startup.resident, "records": startup.records, "check_ledger_ok": startup.check_ok,
            })
        });
        let report = json!({
            "people": self.people, "rounds": self.rounds, "seconds": self.time.as_secs_f64(),
            "runtimes": self.runtimes, "client_threads": self.client_threads,
            "explanation": self.explanation.words(), "ok": self.is_good(), "rows": rows, "stores": stores, "open_loop": open,
            "fdatasync": bare, "disk": disk, "database_log_bytes_per_settlement": self.log_bytes, "startup": startup,
        });
        format!("{report:#}\n")
    }
}

fn row_json(row: &Row, threshold: Option<f64>) -> serde_json::Value {
    json!({
        "method": row.kind.name(), "in_flight": row.in_flight, "per_second": row.per_second,
        "slowest_round_per_second": row.slowest, "fastest_round_per_second": row.fastest, "p50_us": row.p50_us,
        "p99_us": row.p99_us, "server_cpu_us": row.server_cpu_us, "client_cpu_us": row.client_cpu_us,
        "ratio_to_echo": row.ratio.filter(|_| !row.kind.is_many()),
        "ratio_to_settle_embedded": row.ratio.filter(|_| row.kind.is_many()), "threshold": threshold, "calls": row.calls, "failed": row.failed,
        "aided_share": row.aided_share(), "failure": row.failure,
    })
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} people in families of four, {} rounds of {:.1} s per cell, {} server threads, {} client threads, {}",
            self.people,
            self.rounds,
            self.time.as_secs_f64(),
            self.runtimes,
            self.client_threads,
            self.explanation.words()
        )?;
        if !self.rows.is_empty() {
            writeln!(
                f,
                "{:<16} {:>9} {:>9} {:>17} {:>9} {:>9} {:>10} {:>10} {:>7} {:>6} {:>7}",
                "method",
                "in flight",
                "calls/s",
                "(range)",
                "p50 µs",
                "p99 µs",
                "srv CPU µs",
                "cli CPU µs",
                "× echo",
                "aid %",
                "failed"
            )?;
        }
        for row in &self.rows {
            let ratio = row.ratio.map_or_else(String::new, |ratio| format!("{ratio:.3}"));
            writeln!(
                f,
                "{:<16} {:>9} {:>9.0} {:>17} {:>9.0} {:>9.0} {:>10.1} {:>10.1} {:>7} {:>6.1} {:>7}",
                row.kind.name(),
                row.in_flight,
                row.per_second,
                format!("({:.0}–{:.0})", row.slowest, row.fastest),
                row.p50_us,
                row.p99_us,
                row.server_cpu_us,
                row.client_cpu_us,
                ratio,
                row.aided_share() * 100.0,
                row.failed
            )?;
            if let Some(failure) = &row.failure {
                writeln!(f, "    first failure: {failure}")?;
            }
        }
        let is_most = |row: &&Row| row.kind.concurrency().last().is_some_and(|(most, _)| *most == row.in_flight);
        for row in self.rows.iter().filter(is_most) {
            if let (Some(threshold), Some(ratio)) = (self.threshold(row), row.ratio) {
                let verdict = if ratio >= threshold { "reached" } else { "NOT reached" };
                let measure = if row.kind.is_many() { "one by one at 256" } else { "echo" };
                writeln!(
                    f,
                    "threshold {}: at least {threshold} × {measure} at {} in flight: {ratio:.3}, {verdict}",
                    row.kind.name(),
                    row.in_flight
                )?;
            }
        }
        if let Some(bytes) = self.log_bytes {
            writeln!(f, "the database's log: {bytes:.0} bytes per settlement")?;
        }
        if let Some(bare) = &self.bare {
            writeln!(
                f,
                "fdatasync alone (append 4 KiB, same folder, same minutes): p50 {:.0} µs, p99 {:.0} µs, {:.0}/s",
                bare.p50_us, bare.p99_us, bare.per_second
            )?;
            for OpenLoop { kind, rate, cell } in &self.open {
                writeln!(
                    f,
                    "open loop, {} at {rate:.0}/s: p50 {:.0} µs, p99 {:.0} µs, {} failed; p99 is {:.1} ms beyond fdatasync's, {:.1} × it",
                    kind.name(),
                    cell.p50_us,
                    cell.p99_us,
                    cell.failed,
                    (cell.p99_us - bare.p99_us) / 1e3,
                    cell.p99_us / bare.p99_us.max(1.0)
                )?;
                if let Some(failure) = &cell.failure {
                    writeln!(f, "    first failure: {failure}")?;
                }
            }
        }
        if let Some(disk) = &self.disk {
            writeln!(
                f,
                "disk per settlement: folder grew by {:.0} bytes, {:.0} bytes written",
                disk.grown, disk.written
            )?;
        }
        for store in &self.stores {
            let (loaded, resident) = (mib(store.resident_loaded), mib(store.resident));
            write!(f, "{}: {loaded:.0} MiB resident when loaded, {resident:.0} MiB at the end; ", store.name)?;
            match store.checked {
                Some((records, true)) => writeln!(f, "CheckLedger over {records} records: ok")?,
                Some((records, false)) => writeln!(f, "CheckLedger over {records} records: NOT OK")?,
                None => writeln!(f, "the ledger was not checked")?,
            }
        }
        if let Some(startup) = &self.startup {
            writeln!(
                f,
                "{} durable settlements at {:.0}/s ({} failed), {:.0} bytes of folder and {:.0} bytes written each",
                startup.settlements, startup.per_second, startup.failed, startup.disk_bytes, startup.written_bytes
            )?;
            writeln!(
                f,
                "after kill -9: serving in {:.2} s, first quote answered in {:.2} s, {:.0} MiB resident; CheckLedger over {} records: {}",
                startup.serving_seconds,
                startup.first_reply_seconds,
                mib(startup.resident),
                startup.records,
                if startup.check_ok { "ok" } else { "NOT OK" }
            )?;
        }
        Ok(())
    }
}
