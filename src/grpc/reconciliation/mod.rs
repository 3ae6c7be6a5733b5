//! ReconciliationService: two books of one institution laid side by side.

mod read;
mod stream;
mod write;

use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_stream::Stream;
use tonic::{Request, Response, Status, Streaming};

use super::fields::{Fields, all3};
use super::proto::reconciliation_service_server::ReconciliationService;
use super::status::transport;
use super::{Service, proto, wire_position};
use crate::ledger::reconcile::ReconcileLimits;

type Reply<T> = Result<Response<T>, Status>;
type Answers = Pin<Box<dyn Stream<Item = Result<proto::CompareDetailsResponse, Status>> + Send>>;

/// Bounds on comparisons; each is a config field and told by `GetServerInfo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReconciliationLimits {
    /// Comparisons at once; each keeps an index of its lines in memory.
    pub at_once: u32,
    /// Days of one comparison.
    pub days: u32,
    /// Lines of one message.
    pub message_lines: u32,
    pub of_ledger: ReconcileLimits,
}

/// Comparisons that may run at once.
pub struct Places(Arc<Semaphore>);

impl Places {
    pub fn new(limits: &ReconciliationLimits) -> Self {
        Self(Arc::new(Semaphore::new(limits.at_once as usize)))
    }

    fn enter(&self) -> Result<OwnedSemaphorePermit, Status> {
        self.0.clone().try_acquire_owned().map_err(|_| transport::overloaded())
    }
}

#[tonic::async_trait]
impl ReconciliationService for Service {
    async fn compare_totals(
        &self,
        request: Request<proto::CompareTotalsRequest>,
    ) -> Reply<proto::CompareTotalsResponse> {
        let proto::CompareTotalsRequest { institution_code, start_date, last_day, theirs, min_ledger_position } =
            request.into_inner();
        let limits = &self.limits.reconciliation;
        let mut fields = Fields::new();
        let days = read::days(&mut fields, &institution_code, &start_date, &last_day, None, limits.days);
        let rows = read::totals(&mut fields, theirs, days.as_ref());
        let position = fields.position(min_ledger_position);
        let (days, rows, position) = fields.done(all3(days, rows, position))?;
        let _place = self.places.enter()?;
        let read_position = self.ledger.fresh_enough(position).await?;
        let totals = self.ledger.totals(&days, read_position, &limits.of_ledger).await?;
        let differences = write::totals_differences(&rows, &totals);
        Ok(Response::new(proto::CompareTotalsResponse {
            equal: differences.is_empty(),
            differences,
            ours: write::totals(&totals, days.start < days.last),
            read_position: wire_position(read_position),
        }))
    }

    type CompareDetailsStream = Answers;

    async fn compare_details(
        &self,
        request: Request<Streaming<proto::CompareDetailsRequest>>,
    ) -> Reply<Self::CompareDetailsStream> {
        let place = self.places.enter()?;
        Ok(Response::new(stream::answers(self.clone(), request.into_inner(), place)))
    }

    async fn list_lines(&self, request: Request<proto::ListLinesRequest>) -> Reply<proto::ListLinesResponse> {
        let proto::ListLinesRequest {
            institution_code,
            start_date,
            last_day,
            page_size,
            page_token,
            min_ledger_position,
        } = request.into_inner();
        let mut fields = Fields::new();
        let most = self.limits.reconciliation.days;
        let days = read::days(&mut fields, &institution_code, &start_date, &last_day, None, most);
        let size = fields.page_size(page_size, self.limits.page_size_default, self.limits.page_size_max);
        fields.beside(self.ledger.check_page_token(&page_token));
        let position = fields.position(min_ledger_position);
        let (days, size, position) = fields.done(all3(days, size, position))?;
        let head = self.ledger.fresh_enough(position).await?;
        let filter = format!("lines {} {} {}", days.institution.as_str(), days.start, days.last);
        let page = self.ledger.page(&page_token, filter.as_bytes(), size, head)?;
        let (lines, next) = self.ledger.list_lines(&days, &page).await?;
        Ok(Response::new(proto::ListLinesResponse {
            lines: lines.iter().map(write::ours).collect(),
            next_page_token: next.map(|after| self.ledger.next_page(&page, after)).unwrap_or_default(),
            read_position: wire_position(page.until),
        }))
    }
}
