//! Rows on their way to the server, in as many calls as it takes: whatever a call did not get done is sent again under the
//! same request ids, so that each row has one effect and one result.

use std::time::Duration;

use tonic::transport::Channel;
use tonic::{Code, Status};

use super::kind::{Answer, Kind};
use crate::client::{Refusal, told};
use crate::grpc::proto;
use crate::grpc::proto::import_result::Result as Came;

/// Calls in a row that bring nothing further.
const TRIES: u32 = 8;
const PAUSE: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// What came of a row.
pub type Outcome = Result<proto::ImportedRow, Refusal>;

/// Sends rows until each has its outcome, in their order.
pub async fn send<K: Kind>(channel: &Channel, rows: &[K::Row], call_rows: usize) -> Result<Vec<Outcome>, String> {
    let mut outcomes: Vec<Option<Outcome>> = rows.iter().map(|_| None).collect();
    let mut tries = 0;
    loop {
        let waiting = outcomes.iter().enumerate().filter(|(_, outcome)| outcome.is_none()).map(|(place, _)| place);
        let places: Vec<usize> = waiting.take(call_rows).collect();
        if places.is_empty() {
            return Ok(outcomes.into_iter().flatten().collect());
        }
        let asked = places.iter().map(|place| rows[*place].clone()).collect();
        let why = match K::send(channel.clone(), asked).await {
            Ok(answer) => match take(answer, &places, &mut outcomes) {
                None => {
                    tries = 0;
                    continue;
                }
                Some(why) => why,
            },
            Err(status) if passes(status.code()) => told(&status),
            Err(status) => return Err(told(&status)),
        };
        tries += 1;
        if tries == TRIES {
            return Err(format!("the server took nothing further in {TRIES} calls; --resume goes on here\n{why}"));
        }
        tokio::time::sleep((PAUSE * 2_u32.pow(tries - 1)).min(PAUSE_MAX)).await;
    }
}

/// Puts the results in their places; why none was final, if none was.
fn take(answer: Answer, places: &[usize], outcomes: &mut [Option<Outcome>]) -> Option<String> {
    let Answer { results, stopped } = answer;
    let (mut got, mut why) = (false, String::new());
    // A first row that cannot be taken in at all is the one that is too large.
    let refused = stopped.as_ref().map(status).filter(|_| results.is_empty());
    let too_large = refused.as_ref().map(Refusal::of).filter(|refusal| refusal.reason == "MESSAGE_TOO_LARGE");
    if let (Some(refusal), Some(first)) = (too_large, places.first()) {
        outcomes[*first] = Some(Err(refusal));
        got = true;
    }
    for (place, result) in places.iter().zip(results) {
        match result.result {
            Some(Came::Imported(row)) => outcomes[*place] = Some(Ok(row)),
            Some(Came::Error(error)) if passes(Code::from(error.code)) => {
                why = told(&status(&error));
                continue;
            }
            Some(Came::Error(error)) => outcomes[*place] = Some(Err(Refusal::of(&status(&error)))),
            None => continue,
        }
        got = true;
    }
    if why.is_empty() {
        why = stopped.as_ref().map_or_else(|| "it answered with nothing".to_owned(), |stopped| told(&status(stopped)));
    }
    (!got).then_some(why)
}

/// Whether it may go well the next time: nothing was decided, or nobody knows.
fn passes(code: Code) -> bool {
    use Code::{Aborted, Cancelled, DeadlineExceeded, Internal, ResourceExhausted, Unavailable, Unknown};
    matches!(code, Aborted | Cancelled | DeadlineExceeded | Internal | ResourceExhausted | Unavailable | Unknown)
}

fn status(inner: &tonic_types::Status) -> Status {
    Status::with_details(inner.code.into(), inner.message.clone(), prost::Message::encode_to_vec(inner).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: Code) -> tonic_types::Status {
        tonic_types::Status { code: code as i32, message: "said".to_owned(), details: Vec::new() }
    }

    fn result(came: Came) -> proto::ImportResult {
        proto::ImportResult { request_id: String::new(), result: Some(came) }
    }

    #[test]
    fn what_is_not_final_is_sent_again() {
        let done = || result(Came::Imported(proto::ImportedRow::default()));
        let failed = |code| result(Came::Error(error(code)));
        let refusal = |stopped: &Status| crate::grpc::status::within(stopped);
        let too_large = || Some(refusal(&crate::grpc::status::transport::too_large()));
        // What a call of three rows brought, and of which rows it was final; and whether it brought anything.
        let rows = [
            (vec![done(), failed(Code::NotFound), done()], None, [true, true, true], true),
            (vec![done(), failed(Code::Unavailable), done()], None, [true, false, true], true),
            (vec![failed(Code::Aborted)], Some(error(Code::Unavailable)), [false, false, false], false),
            (vec![done()], too_large(), [true, false, false], true),
            (vec![], too_large(), [true, false, false], true),
            (vec![], Some(error(Code::DeadlineExceeded)), [false, false, false], false),
            (vec![], None, [false, false, false], false),
        ];
        for (place, (results, stopped, is_final, got)) in rows.into_iter().enumerate() {
            let mut outcomes = vec![None; 5];
            let why = take(Answer { results, stopped }, &[0, 2, 4], &mut outcomes);
            assert_eq!([0, 2, 4].map(|place: usize| outcomes[place].is_some()), is_final, "row {place}");
            assert_eq!(why.is_none(), got, "row {place}: {why:?}");
            assert!(outcomes[1].is_none() && outcomes[3].is_none(), "row {place}");
        }
    }
}
