//! `--metrics-listen`: what this process has counted, for a Prometheus server that asks over HTTP.

pub mod calls;
pub mod listener;

use super::admission::Gate;
use crate::grpc::Api;
use crate::ledger::page::hex;
use crate::metrics::{Family, Page};

const INFO: Family = Family::gauge("gongji_info", "1; version, kind of store and digest of the policy set as labels.");
const STARTED: Family = Family::gauge("gongji_start_time_seconds", "When the server started, by its own clock.");
const READY: Family = Family::gauge("gongji_ready", "1: health checks answer SERVING.");
const RUNNING: Family = Family::gauge("gongji_calls_running", "Calls that run.");
const RUNNING_MAX: Family =
    Family::gauge("gongji_calls_running_max", "Calls past which more are refused (concurrent_requests).");
const WATCHES: Family = Family::gauge("gongji_watch_streams", "Streams of Watch that are open.");
const WATCHES_MAX: Family =
    Family::gauge("gongji_watch_streams_max", "Streams of Watch past which more are refused (watch_streams).");
const CONNECTIONS: Family = Family::gauge("gongji_connections", "Connections of clients.");
const CONNECTIONS_MAX: Family =
    Family::gauge("gongji_connections_max", "Connections past which more wait to be accepted (connections).");

/// All there is to tell now. Asks nobody, so that it is told whatever state the store is in.
pub fn page(api: &Api, gate: &Gate, ready: bool) -> String {
    let mut page = Page::default();
    let labels = [
        ("version", env!("CARGO_PKG_VERSION")),
        ("store", api.ledger.store().kind()),
        ("policy_digest", &hex(&api.ledger.book.digest)),
    ];
    page.family(&INFO).row(&labels, 1);
    let started = api.info.started_at.as_micros().div_euclid(1_000_000);
    page.one(&STARTED, u64::try_from(started).unwrap_or_default());
    page.one(&READY, ready.into());
    page.one(&RUNNING, gate.running().into());
    page.one(&RUNNING_MAX, gate.most().into());
    page.one(&WATCHES, gate.watching().into());
    page.one(&WATCHES_MAX, gate.most_watching().into());
    page.one(&CONNECTIONS, gate.connections().into());
    page.one(&CONNECTIONS_MAX, gate.most_connections().into());
    gate.calls().measure(&mut page);
    api.items.measure(&mut page);
    api.ledger.measure(&mut page);
    page.into_text()
}
