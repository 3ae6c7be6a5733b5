//! ServerService: what this server is and what it bounds.

use tonic::{Request, Response, Status};

use super::enums::Wire;
use super::proto::server_service_server::ServerService;
use super::{Service, proto, timestamp};
use crate::domain::time::Moment;
use crate::ledger::page::hex;

/// What is told besides the ledger's own.
#[derive(Clone, Debug)]
pub struct Info {
    pub started_at: Moment,
    /// Name, value, unit, comment of every bound in force.
    pub limits: Vec<(String, u64, &'static str, String)>,
    /// What of the policies is other than when the data were last written.
    pub policy_differences: Vec<String>,
}

#[tonic::async_trait]
impl ServerService for Service {
    async fn get_server_info(
        &self,
        _: Request<proto::GetServerInfoRequest>,
    ) -> Result<Response<proto::GetServerInfoResponse>, Status> {
        let limits = self.info.limits.iter().map(|(name, value, unit, comment)| proto::Limit {
            name: name.clone(),
            value: i64::try_from(*value).unwrap_or(i64::MAX),
            unit: (*unit).to_owned(),
            comment: comment.clone(),
        });
        Ok(Response::new(proto::GetServerInfoResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            api_package: "gongji.v1".to_owned(),
            policy_digest: hex(&self.ledger.book.digest),
            store_kind: self.ledger.store().kind().to_owned(),
            limits: limits.collect(),
            server_time: Some(timestamp(self.ledger.now())),
            clock_fixed: self.ledger.clock_is_shifted(),
            started_at: Some(timestamp(self.info.started_at)),
            policy_differences: self.info.policy_differences.clone(),
            refused_grades: self.ledger.limits.refused_grades.list().map(Wire::to_wire).collect(),
            data_set_id: hex(&self.ledger.keys.data_set()),
        }))
    }
}
