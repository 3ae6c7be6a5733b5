//! CalculationService: dated law as functions. Each request becomes a typed input, one pure function calculates, the steps
//! become the explanation; the stream and the command line take the same way.

mod answer;
mod batch;
mod benefits;
pub mod certification;
mod contribution;
mod explain;
pub mod json;
mod pension;
mod read;
mod retirement;
mod summary;
mod words;

use std::pin::Pin;

use tokio_stream::Stream;
use tonic::{Request, Response, Status, Streaming};

use super::proto::calculation_service_server::CalculationService;
use super::{Service, proto};
pub use answer::Asked;
use answer::{Calculation, answer};
pub use batch::{answer_item, encode_item};

type Reply<T> = Result<Response<T>, Status>;

/// Bounds on calculations; each is a config field and told by `GetServerInfo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CalculationLimits {
    /// Items of one message of a batch.
    pub batch_items: u32,
    /// Periods of one history.
    pub periods: u32,
    /// Bytes of results in one answer of a batch.
    pub answer_bytes: u32,
}

impl Service {
    fn calculate<Q: Calculation>(&self, request: Request<Q>) -> Reply<Q::Response> {
        let asked = answer::Asked {
            book: &self.ledger.book.calculation,
            limits: self.limits.calculation,
            today: self.ledger.now().civil_day(),
            view: proto::ExplanationView::Full,
        };
        answer(request.into_inner(), &asked).map(Response::new).map_err(Status::from)
    }
}

macro_rules! unary {
    ($($method:ident $request:ident $response:ident;)*) => {
        #[tonic::async_trait]
        impl CalculationService for Service {
            $(
                async fn $method(&self, request: Request<proto::$request>) -> Reply<proto::$response> {
                    self.calculate(request)
                }
            )*

            type CalculateBatchStream = Pin<Box<dyn Stream<Item = Result<proto::CalculateBatchResponse, Status>> + Send>>;

            async fn calculate_batch(
                &self,
                request: Request<Streaming<proto::CalculateBatchRequest>>,
            ) -> Reply<Self::CalculateBatchStream> {
                Ok(Response::new(batch::stream(self.clone(), request.into_inner())))
            }
        }
    };
}

unary! {
    calculate_contribution CalculateContributionRequest CalculateContributionResponse;
    calculate_account_credit CalculateAccountCreditRequest CalculateAccountCreditResponse;
    calculate_pension CalculatePensionRequest CalculatePensionResponse;
    calculate_retirement CalculateRetirementRequest CalculateRetirementResponse;
    assess_contribution_gap AssessContributionGapRequest AssessContributionGapResponse;
    check_benefits CheckBenefitsRequest CheckBenefitsResponse;
    calculate_unemployment_benefit CalculateUnemploymentBenefitRequest CalculateUnemploymentBenefitResponse;
    check_lifelong_medical CheckLifelongMedicalRequest CheckLifelongMedicalResponse;
    calculate_tier_change CalculateTierChangeRequest CalculateTierChangeResponse;
    calculate_certification_due CalculateCertificationDueRequest CalculateCertificationDueResponse;
    calculate_injury_and_pension CalculateInjuryAndPensionRequest CalculateInjuryAndPensionResponse;
}
