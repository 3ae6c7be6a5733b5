//! The wire: proto in, typed commands to the ledger, proto out. The only folder (with `server`) that names tonic and the
//! generated types; it judges nothing but the shape of what came in.

pub mod accounts;
pub mod bindings;
pub mod bulk;
pub mod contract;
mod in_order;
pub mod items;
pub mod codec;
pub mod calculation;
pub mod certifications;
pub mod enums;
pub mod explanation;
pub mod fields;
pub mod imports;
pub mod ledger;
pub mod members;
mod operation;
pub mod people;
pub mod reconciliation;
pub mod regions;
pub mod server_info;
pub mod settlements;
pub mod status;
pub mod summary;
pub mod watch;
mod wire;
pub mod year_close;

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::domain::bill::Bill;
use crate::domain::time::Moment;
use crate::ledger::{Caller, Ledger};
use crate::store::entity::StoredPolicy;

/// The generated types of package `gongji.v1`.
#[allow(missing_docs, clippy::all, clippy::pedantic, clippy::nursery, reason = "generated code")]
pub mod proto {
    tonic::include_proto!("gongji.v1");
    include!(concat!(env!("OUT_DIR"), "/gongji.v1.serde.rs"));

    /// The descriptors of every service, for reflection.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
}

/// Bounds on what one message may hold; each is a config field and told by `GetServerInfo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WireLimits {
    pub bill_lines: u32,
    pub page_size_default: u32,
    pub page_size_max: u32,
    pub paper_authorisations: u32,
    pub evidence: u32,
    pub calculation: calculation::CalculationLimits,
    pub bulk: bulk::BulkLimits,
    pub reconciliation: reconciliation::ReconciliationLimits,
    /// Values of one filter of `Watch`.
    pub ledger_checks: u32,
    pub watch_filter_values: u32,
    pub watch: crate::ledger::watch::WatchLimits,
}

/// What every service works with.
pub struct Api {
    pub ledger: Arc<Ledger>,
    pub limits: WireLimits,
    /// Whether `view = FULL` may show personal data to the anonymous caller.
    pub reveal: bool,
    pub info: server_info::Info,
    summaries: summary::Summaries,
    bulk: bulk::Bulk,
    pub items: items::Items,
    places: reconciliation::Places,
    /// Places for checks of the whole ledger.
    checks: Arc<Semaphore>,
    /// Places for parts of batches of calculations: one for each processor.
    calculating: Arc<Semaphore>,
}

impl Api {
    pub fn new(ledger: Arc<Ledger>, limits: WireLimits, reveal: bool, info: server_info::Info) -> Self {
        let summaries = summary::Summaries::of(&ledger.book);
        let places = reconciliation::Places::new(&limits.reconciliation);
        let (bulk, items) = (bulk::Bulk::new(limits.bulk), items::Items::default());
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let calculating = Arc::new(Semaphore::new(processors));
        let checks = Arc::new(Semaphore::new(limits.ledger_checks as usize));
        Self { ledger, limits, reveal, info, summaries, bulk, items, places, checks, calculating }
    }

    /// The same for callers that drive its calls without tasks, as a simulation does that decides itself who is next.
    pub fn without_tasks(self) -> Self {
        Self { bulk: self.bulk.without_tasks(), ..self }
    }

    /// The caller; anonymous until there is authentication.
    fn caller(&self) -> Caller {
        Caller { scope: "anonymous".to_owned(), may_reveal: self.reveal }
    }
}

/// Implements the generated services for.
#[derive(Clone)]
pub struct Service(pub Arc<Api>);

impl std::ops::Deref for Service {
    type Target = Api;
    fn deref(&self) -> &Api {
        &self.0
    }
}

impl Service {
    /// What a trace is rendered with, by the regions of now.
    fn basis<'a>(
        &'a self,
        policies: &'a [Arc<StoredPolicy>],
        digests: &'a [[u8; 32]],
        bill: Option<&'a Bill>,
    ) -> explanation::Basis<'a> {
        explanation::Basis { policies, digests, bill, regions: &self.ledger.book.regions }
    }
}

fn timestamp(moment: Moment) -> prost_types::Timestamp {
    let micros = moment.as_micros();
    let nanos = i32::try_from(micros.rem_euclid(1_000_000) * 1_000).unwrap_or_default();
    prost_types::Timestamp { seconds: micros.div_euclid(1_000_000), nanos }
}

/// Positions are far below the largest `int64`.
fn wire_position(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}
