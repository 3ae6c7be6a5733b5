//! `CloseYear` and `GetYearClose`.

use tonic::Status;

use super::explanation;
use super::fields::{Fields, all3};
use super::{Service, proto, timestamp, wire_position};
use crate::domain::year_close::YearClose;
use crate::ledger::OfMade;
use crate::ledger::close_year::CloseAccount;
use crate::ledger::region_close::BeginYearClose;

pub async fn close(service: &Service, request: proto::CloseYearRequest) -> Result<proto::CloseYearResponse, Status> {
    use proto::close_year_request::Of;
    let proto::CloseYearRequest { request_id, of, year, explanation_view } = request;
    let mut fields = Fields::new();
    let request_id = fields.request_id(&request_id);
    let year = read_year(&mut fields, year);
    let view = fields.explanation_view(explanation_view, proto::ExplanationView::Full);
    let scope = service.caller().scope;
    match of {
        Some(Of::Member(member)) => {
            let member = fields.person("member", Some(member));
            let ((request_id, year, view), member) = fields.done(all3(request_id, year, view).zip(member))?;
            let command = CloseAccount { scope, request_id, member, year, only_in: None };
            let done = service.ledger.run(&command).await?;
            let outcome = &done.outcome;
            let policies = service.ledger.revisions(&outcome.policies).await.of_made()?;
            let basis = service.basis(&policies, &outcome.policies, None);
            Ok(proto::CloseYearResponse {
                account: Some(service.account_after(&outcome.account, &done).await?),
                interest_fen: outcome.interest.as_fen(),
                explanation: explanation::render(&outcome.trace, &basis, view),
                region_close: None,
                ledger_position: wire_position(done.position),
                replayed: done.replayed,
            })
        }
        Some(Of::RegionCode(code)) => {
            let region = fields.region("region_code", &code);
            let (request_id, year, region) = fields.done(all3(request_id, year, region))?;
            let command = BeginYearClose { scope, request_id, region, year };
            let done = service.ledger.begin_year_close(&command).await?;
            let stands = service.ledger.year_close(region, year).await.of_made()?;
            Ok(proto::CloseYearResponse {
                region_close: Some(year_close(&stands)),
                ledger_position: wire_position(done.position),
                replayed: done.replayed,
                ..Default::default()
            })
        }
        None => {
            fields.bad("of", "is required: member, or region_code");
            Err(fields.refuse())
        }
    }
}

pub async fn get(
    service: &Service,
    request: proto::GetYearCloseRequest,
) -> Result<proto::GetYearCloseResponse, Status> {
    let proto::GetYearCloseRequest { region_code, year, min_ledger_position } = request;
    let mut fields = Fields::new();
    let region = fields.region("region_code", &region_code);
    let year = read_year(&mut fields, year);
    let position = fields.position(min_ledger_position);
    let (region, year, position) = fields.done(all3(region, year, position))?;
    service.ledger.fresh_enough(position).await?;
    let found = service.ledger.year_close(region, year).await?;
    Ok(proto::GetYearCloseResponse { region_close: Some(year_close(&found)) })
}

fn read_year(fields: &mut Fields, year: i32) -> Option<i16> {
    let read = i16::try_from(year).ok().filter(|year| (1..=9_999).contains(year));
    if read.is_none() {
        fields.bad("year", "must be a year from 1 to 9999");
    }
    read
}

fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn year_close(close: &YearClose) -> proto::YearClose {
    use proto::YearCloseState as S;
    proto::YearClose {
        region_code: close.region.to_string(),
        year: close.year.into(),
        state: (if close.is_open() { S::Running } else { S::Done }) as i32,
        accounts_closed: count(close.tally.closed),
        accounts_without: count(close.tally.without),
        accounts_refused: count(close.tally.refused),
        interest_fen: close.tally.interest.as_fen(),
        done_position: wire_position(close.after),
        last_position: wire_position(close.until),
        start_time: Some(timestamp(close.started)),
        end_time: close.ended.map(timestamp),
        round: i32::try_from(close.round).unwrap_or(i32::MAX),
    }
}
