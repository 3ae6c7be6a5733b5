//! The settings as bounds and times: what the ledger and the wire keep to, and what `GetServerInfo` tells.

use std::time::Duration;

use super::Config;
use crate::grpc::WireLimits;
use crate::grpc::bulk::BulkLimits;
use crate::grpc::calculation::CalculationLimits;
use crate::grpc::reconciliation::ReconciliationLimits;
use crate::ledger::Limits;
use crate::ledger::policies::RefusedGrades;
use crate::ledger::reconcile::ReconcileLimits;
use crate::ledger::watch::WatchLimits;
use crate::store::postgres::{MIGRATIONS, PostgresOptions};

impl Config {
    pub fn ledger_limits(&self) -> Limits {
        Limits {
            retries: self.retries,
            max_backdate_days: self.max_backdate_days,
            bindings_per_member: self.bindings_per_member,
            quote_seconds: self.quote_seconds,
            hold_seconds: self.hold_seconds,
            holds_per_member: self.holds_per_member,
            refunds_per_settlement: self.refunds_per_settlement,
            refused_grades: RefusedGrades::parse(&self.refuse_grade).unwrap_or_default(),
        }
    }

    /// When transfers that nobody took go back; none: never by itself.
    pub fn nightly_return_at(&self) -> Option<jiff::civil::Time> {
        let text = &self.return_unclaimed_at;
        if text.len() == 8 { text.parse().ok() } else { None }
    }

    /// How the database is reached, and the bounds of talking to it.
    pub fn postgres_options(&self) -> PostgresOptions {
        let milliseconds = |number: u32| Duration::from_millis(number.into());
        PostgresOptions {
            url: self.database_url.clone(),
            ca: self.database_ca.clone(),
            connections: self.database_connections as usize,
            connect: milliseconds(self.database_connect_ms),
            statement: milliseconds(self.database_statement_ms),
            lock: milliseconds(self.database_lock_ms),
            commit: milliseconds(self.database_commit_ms),
            wait: milliseconds(self.database_wait_ms),
            group: self.database_group as usize,
            retries: self.database_retries,
            poll: milliseconds(self.database_poll_ms),
            migrations: &MIGRATIONS,
            copying: false,
        }
    }

    pub fn wire_limits(&self) -> WireLimits {
        WireLimits {
            bill_lines: self.bill_lines,
            page_size_default: self.page_size_default,
            page_size_max: self.page_size_max,
            paper_authorisations: self.paper_authorisations,
            evidence: self.evidence,
            calculation: CalculationLimits {
                batch_items: self.calculation_batch_items,
                periods: self.calculation_periods,
                answer_bytes: self.calculation_answer_bytes,
            },
            bulk: BulkLimits {
                settle_items: self.settle_batch_items,
                answer_bytes: self.bulk_answer_bytes,
                window: self.bulk_window,
                running: self.bulk_running,
                import_rows: self.import_rows,
                import_time: Duration::from_millis(self.import_time_ms.into()),
                idle: Duration::from_millis(self.stream_idle_ms.into()),
            },
            reconciliation: ReconciliationLimits {
                at_once: self.reconciliations,
                days: self.reconciliation_days,
                message_lines: self.reconciliation_message_lines,
                of_ledger: ReconcileLimits {
                    lines: self.reconciliation_lines,
                    differences: self.reconciliation_differences,
                },
            },
            ledger_checks: self.ledger_checks,
            watch_filter_values: self.watch_filter_values,
            watch: WatchLimits {
                message_bytes: self.watch_message_bytes as usize,
                checkpoint: Duration::from_millis(self.watch_checkpoint_ms.into()),
            },
        }
    }

    /// Every bound, as `GetServerInfo` tells it: name, value, unit, and in the words of the setting what it bounds and what a
    /// call past it gets.
    pub fn told_limits(&self) -> Vec<(String, u64, &'static str, String)> {
        let row = |name: &str, value: u64, unit| (name.to_owned(), value, unit, Self::doc(name));
        let fixed = |name: &str, value: u64, unit, comment: &str| (name.to_owned(), value, unit, comment.to_owned());
        vec![
            row("message_bytes", self.message_bytes.into(), "bytes"),
            row("bill_lines", self.bill_lines.into(), "lines"),
            row("page_size_default", self.page_size_default.into(), "items"),
            row("page_size_max", self.page_size_max.into(), "items"),
            row("bindings_per_member", self.bindings_per_member.into(), "bindings"),
            row("paper_authorisations", self.paper_authorisations.into(), "entries"),
            row("evidence", self.evidence.into(), "entries"),
            row("calculation_batch_items", self.calculation_batch_items.into(), "items"),
            row("calculation_answer_bytes", self.calculation_answer_bytes.into(), "bytes"),
            row("calculation_periods", self.calculation_periods.into(), "periods"),
            row("settle_batch_items", self.settle_batch_items.into(), "items"),
            row("bulk_answer_bytes", self.bulk_answer_bytes.into(), "bytes"),
            row("bulk_window", self.bulk_window.into(), "items"),
            row("bulk_running", self.bulk_running.into(), "items"),
            row("import_rows", self.import_rows.into(), "rows"),
            row("import_time_ms", self.import_time_ms.into(), "milliseconds"),
            row("concurrent_requests", self.concurrent_requests.into(), "calls"),
            row("connections", self.connections.into(), "connections"),
            row("hello_ms", self.hello_ms.into(), "milliseconds"),
            row("keepalive_ms", self.keepalive_ms.into(), "milliseconds"),
            row("keepalive_answer_ms", self.keepalive_answer_ms.into(), "milliseconds"),
            row("call_time_ms", self.call_time_ms.into(), "milliseconds"),
            row("stream_idle_ms", self.stream_idle_ms.into(), "milliseconds"),
            row("check_time_ms", self.check_time_ms.into(), "milliseconds"),
            row("ledger_checks", self.ledger_checks.into(), "calls"),
            row("reconciliations", self.reconciliations.into(), "calls"),
            row("reconciliation_days", self.reconciliation_days.into(), "days"),
            row("reconciliation_lines", self.reconciliation_lines.into(), "lines"),
            row("reconciliation_message_lines", self.reconciliation_message_lines.into(), "lines"),
            row("reconciliation_differences", self.reconciliation_differences.into(), "lines"),
            row("readiness_ms", self.readiness_ms.into(), "milliseconds"),
            row("database_connections", self.database_connections.into(), "connections"),
            row("database_connect_ms", self.database_connect_ms.into(), "milliseconds"),
            row("database_statement_ms", self.database_statement_ms.into(), "milliseconds"),
            row("database_lock_ms", self.database_lock_ms.into(), "milliseconds"),
            row("database_commit_ms", self.database_commit_ms.into(), "milliseconds"),
            row("database_wait_ms", self.database_wait_ms.into(), "milliseconds"),
            row("database_group", self.database_group.into(), "changes"),
            row("database_retries", self.database_retries.into(), "attempts"),
            row("database_poll_ms", self.database_poll_ms.into(), "milliseconds"),
            row("database_clock_ms", self.database_clock_ms.into(), "milliseconds"),
            row("watch_streams", self.watch_streams.into(), "streams"),
            row("watch_message_bytes", self.watch_message_bytes.into(), "bytes"),
            row("watch_checkpoint_ms", self.watch_checkpoint_ms.into(), "milliseconds"),
            row("watch_filter_values", self.watch_filter_values.into(), "values"),
            row("close_year_per_second", self.close_year_per_second.into(), "accounts"),
            row("max_backdate_days", self.max_backdate_days.into(), "days"),
            row("retries", self.retries.into(), "attempts"),
            row("quote_seconds", self.quote_seconds.into(), "seconds"),
            row("hold_seconds", self.hold_seconds.into(), "seconds"),
            row("holds_per_member", self.holds_per_member.into(), "holds"),
            row("refunds_per_settlement", self.refunds_per_settlement.into(), "refunds"),
            row("metrics_connections", self.metrics_connections.into(), "connections"),
            row("metrics_time_ms", self.metrics_time_ms.into(), "milliseconds"),
            row("drain_ms", self.drain_ms.into(), "milliseconds"),
            row("hold_sweep_ms", self.hold_sweep_ms.into(), "milliseconds"),
            row("runtimes", self.runtimes.into(), "threads"),
            row("memory_records", self.memory_records, "records"),
            row("cache_bytes", self.cache_bytes, "bytes"),
            row("cached_facts", self.cached_facts.into(), "facts"),
            row("recent_keys", self.recent_keys.into(), "keys"),
            row("queue_bytes", self.queue_bytes.into(), "bytes"),
            row("index_bytes", self.index_bytes.into(), "bytes"),
            fixed(
                "request_id_length",
                crate::domain::ids::RequestId::MAX_LEN as u64,
                "characters",
                "Longest request_id; a longer one is INVALID_FIELDS.",
            ),
            fixed(
                "amount_fen",
                crate::domain::money::Money::INPUT_MAX.unsigned_abs(),
                "fen",
                "Largest amount received; a larger one is INVALID_FIELDS.",
            ),
        ]
    }
}
