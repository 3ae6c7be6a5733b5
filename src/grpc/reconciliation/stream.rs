//! `CompareDetails`: messages of lines in, what was found out, in order; then the end, a message at a time.

use futures_util::stream;
use tokio::sync::OwnedSemaphorePermit;
use tonic::{Status, Streaming};

use super::{Answers, read, write};
use crate::grpc::bulk::reworded;
use crate::grpc::fields::Fields;
use crate::grpc::{Service, proto, wire_position};
use crate::ledger::reconcile::{Comparison, Progress};

/// What a stream has come to.
enum Step {
    Begin,
    Lines(Box<Comparison>),
    End(Box<Comparison>),
    Over,
}

struct Session {
    service: Service,
    requests: Streaming<proto::CompareDetailsRequest>,
    step: Step,
    /// Given back when the stream ends, however it ends.
    _place: OwnedSemaphorePermit,
}

pub fn answers(
    service: Service,
    requests: Streaming<proto::CompareDetailsRequest>,
    place: OwnedSemaphorePermit,
) -> Answers {
    let session = Session { service, requests, step: Step::Begin, _place: place };
    Box::pin(stream::unfold(session, |mut session| async move {
        let answer = match std::mem::replace(&mut session.step, Step::Over) {
            Step::Over => return None,
            Step::Begin => session.begin().await,
            Step::Lines(comparison) => session.lines(comparison).await,
            Step::End(comparison) => session.end(comparison).await,
        };
        Some((answer, session))
    }))
}

impl Session {
    async fn next(&mut self) -> Result<Option<proto::compare_details_request::Part>, Status> {
        let Some(message) = self.requests.message().await.map_err(|status| reworded(&status))? else { return Ok(None) };
        match message.part {
            Some(part) => Ok(Some(part)),
            None => Err(bad("part", "is required: start, then lines")),
        }
    }

    async fn begin(&mut self) -> Result<proto::CompareDetailsResponse, Status> {
        let Some(proto::compare_details_request::Part::Start(start)) = self.next().await? else {
            return Err(bad("start", "must be the first message"));
        };
        let proto::CompareDetailsStart { institution_code, start_date, last_day, cut_off, min_ledger_position } = start;
        let limits = &self.service.limits.reconciliation;
        let mut fields = Fields::new();
        let days = read::days(&mut fields, &institution_code, &start_date, &last_day, cut_off, limits.days);
        let position = fields.position(min_ledger_position);
        let (days, position) = fields.done(days.zip(position))?;
        let read_position = self.service.ledger.fresh_enough(position).await?;
        let comparison = Comparison::begin(&self.service.ledger, days, read_position, limits.of_ledger).await?;
        let answer = answer(&comparison);
        self.step = Step::Lines(Box::new(comparison));
        Ok(answer)
    }

    async fn lines(&mut self, mut comparison: Box<Comparison>) -> Result<proto::CompareDetailsResponse, Status> {
        use proto::compare_details_request::Part;
        let sent = match self.next().await? {
            None => return self.end(comparison).await,
            Some(Part::Start(_)) => return Err(bad("start", "must be the first message and no other")),
            Some(Part::Lines(sent)) => sent.lines,
        };
        let most = self.service.limits.reconciliation.message_lines as usize;
        if sent.is_empty() || sent.len() > most {
            return Err(bad("lines", &format!("must be 1 to {most} lines")));
        }
        let ledger = &self.service.ledger;
        let mut good = Vec::with_capacity(sent.len());
        let mut bad_lines = Vec::new();
        for line in sent {
            match read::line(line, comparison.next_number()?) {
                Ok(line) => good.push(line),
                Err(bad) => {
                    comparison.take_bad(ledger, bad.kind, &bad.names).await?;
                    bad_lines.push(bad.told);
                }
            }
        }
        let found = comparison.compare(ledger, good).await?;
        let differences = found.into_iter().map(write::difference).collect();
        let answer = proto::CompareDetailsResponse { differences, bad_lines, ..answer(&comparison) };
        self.step = Step::Lines(comparison);
        Ok(answer)
    }

    async fn end(&mut self, mut comparison: Box<Comparison>) -> Result<proto::CompareDetailsResponse, Status> {
        match comparison.finish(&self.service.ledger).await? {
            Progress::More(found) => {
                let differences = found.into_iter().map(write::difference).collect();
                let answer = proto::CompareDetailsResponse { differences, ..answer(&comparison) };
                self.step = Step::End(comparison);
                Ok(answer)
            }
            Progress::Done => {
                let summary = write::summary(comparison.summary());
                Ok(proto::CompareDetailsResponse { summary: Some(summary), ..answer(&comparison) })
            }
        }
    }
}

fn answer(comparison: &Comparison) -> proto::CompareDetailsResponse {
    proto::CompareDetailsResponse {
        lines: wire_position(comparison.summary().lines),
        read_position: wire_position(comparison.read_position()),
        ours: wire_position(comparison.records() as u64),
        ours_looked_at: wire_position(comparison.looked_at() as u64),
        ..Default::default()
    }
}

fn bad(field: &str, description: &str) -> Status {
    let mut fields = Fields::new();
    fields.bad(field, description);
    fields.refuse()
}
