//! `Failure` → `Status`: code, stable reason, zh-CN sentence, details. The only place that makes a status.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::domain::reason::Reason;
use crate::ledger::Failure;
use crate::ledger::failure::Thing;
use crate::store::StoreError;

/// `ErrorInfo.domain`.
pub const DOMAIN: &str = "gongji";

/// Where repeating the same call may succeed.
const RETRIABLE: [&str; 6] =
    ["OVERLOADED", "STORE_UNAVAILABLE", "OUTCOME_UNKNOWN", "SHUTTING_DOWN", "CONTENTION", "TIME_LIMIT"];

/// How long a caller should wait before trying again.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// Details travel in an HTTP/2 header, and clients take 8 KiB of those: so many bytes of bad fields are told, then their
/// number. Only a bill of hundreds of bad lines gets there.
const VIOLATIONS_BYTES: usize = 4_000;
/// What protobuf adds to one.
const VIOLATION_OVERHEAD: usize = 8;

/// A status with its details.
pub fn make(code: Code, reason: &str, message: &str, sentence: &str, metadata: HashMap<String, String>) -> Status {
    let mut details = ErrorDetails::new();
    details.set_error_info(reason, DOMAIN, metadata).set_localized_message("zh-CN", sentence);
    if RETRIABLE.contains(&reason) {
        details.set_retry_info(Some(RETRY_AFTER));
    }
    Status::with_error_details(code, message, details)
}

fn plain(code: Code, reason: &str, message: &str, sentence: &str) -> Status {
    make(code, reason, message, sentence, HashMap::new())
}

/// A token that is no good: a bad field with a reason of its own.
fn bad_token(reason: &str, field: &str, what: &str, sentence: &str) -> Status {
    let mut details = ErrorDetails::new();
    details
        .set_error_info(reason, DOMAIN, HashMap::new())
        .set_localized_message("zh-CN", sentence)
        .add_bad_request_violation(field, what);
    Status::with_error_details(Code::InvalidArgument, format!("{field} {what}"), details)
}

impl From<Failure> for Status {
    fn from(failure: Failure) -> Self {
        of(&failure)
    }
}

impl From<StoreError> for Status {
    fn from(error: StoreError) -> Self {
        of(&Failure::from(error))
    }
}

/// A status as part of an answer: what a call of its own would have ended with.
pub fn within(status: &Status) -> tonic_types::Status {
    tonic_types::Status::decode(status.details())
        .ok()
        .filter(|inner| inner.code == status.code() as i32)
        .unwrap_or_else(|| tonic_types::Status {
            code: status.code() as i32,
            message: status.message().to_owned(),
            details: Vec::new(),
        })
}

/// The status of a failure.
pub fn of(failure: &Failure) -> Status {
    match failure {
        Failure::Invalid(violations) => {
            let mut details = ErrorDetails::new();
            details
                .set_error_info("INVALID_FIELDS", DOMAIN, HashMap::new())
                .set_localized_message("zh-CN", "请求内容有误，请检查标明的字段。");
            let mut told = 0;
            for violation in violations {
                told += violation.field.len() + violation.description.len() + VIOLATION_OVERHEAD;
                if told > VIOLATIONS_BYTES {
                    let total = violations.len().to_string();
                    details.add_bad_request_violation("", format!("and more: {total} fields are bad in all"));
                    break;
                }
                details.add_bad_request_violation(&violation.field, &violation.description);
            }
            let first = violations.first().map(|violation| format!("{} {}", violation.field, violation.description));
            let message = match (first, violations.len()) {
                (None, _) => "invalid fields".to_owned(),
                (Some(first), 1) => first,
                (Some(first), all) => format!("{first} (the first of {all} bad fields)"),
            };
            Status::with_error_details(Code::InvalidArgument, message, details)
        }
        Failure::PageTokenInvalid => bad_token(
            "PAGE_TOKEN_INVALID",
            "page_token",
            "is not one of this listing",
            "分页标记无效，请从第一页重新查询。",
        ),
        Failure::QuoteTokenInvalid => bad_token(
            "QUOTE_TOKEN_INVALID",
            "quote_token",
            "is not one of this content",
            "预结算凭证无效，请重新预结算。",
        ),
        Failure::NotFound(thing) => not_found(*thing, HashMap::new()),
        Failure::NoRegion { thing, field } => {
            not_found(*thing, HashMap::from([("field".to_owned(), (*field).to_owned())]))
        }
        Failure::NobodyThere { named_by, field } => {
            let mut metadata = HashMap::from([("named_by".to_owned(), (*named_by).to_owned())]);
            if !field.is_empty() {
                metadata.insert("field".to_owned(), field.clone());
            }
            not_found(Thing::Member, metadata)
        }
        Failure::RequestIdReused(fields) => make(
            Code::AlreadyExists,
            "REQUEST_ID_REUSED",
            "request_id was used for other content",
            "该请求编号已用于其他内容，请核对后使用新的编号。",
            HashMap::from([("differing_fields".to_owned(), fields.join(","))]),
        ),
        Failure::MemberExists => {
            plain(Code::AlreadyExists, "MEMBER_ALREADY_EXISTS", "this person is a member already", "该参保人已登记。")
        }
        Failure::NumberExists => plain(
            Code::AlreadyExists,
            "CARD_ALREADY_EXISTS",
            "the card is another member's",
            "该卡号已属于其他参保人。",
        ),
        Failure::Refused(reasons) => refused(reasons, HashMap::new()),
        Failure::EvidenceMissing(missing) => {
            refused(&[Reason::EvidenceMissing], HashMap::from([("missing_evidence".to_owned(), missing.join(","))]))
        }
        Failure::GradeRefused(named) => {
            refused(&[Reason::GradeRefused], HashMap::from([("refused_parameters".to_owned(), named.join(","))]))
        }
        Failure::QuoteStale(difference) => {
            let (quoted, now) = (&difference.quoted, &difference.now);
            let pairs = [
                ("fund_fen", quoted.fund, now.split.fund),
                ("own_account_fen", quoted.own_account, now.own_account),
                ("mutual_aid_fen", quoted.mutual_aid, now.mutual_aid),
                ("cash_fen", quoted.cash, now.cash),
            ];
            let both = pairs.into_iter().flat_map(|(name, quoted, now)| {
                [(format!("quoted_{name}"), quoted.to_string()), (format!("now_{name}"), now.to_string())]
            });
            let mut told: HashMap<String, String> = both.collect();
            let differing = pairs.iter().filter(|(_, quoted, now)| quoted != now).map(|(name, ..)| *name);
            let differing: Vec<&str> = differing.collect();
            // The same sums of other people, buckets or parts.
            let differs = if differing.is_empty() { "contributions".to_owned() } else { differing.join(",") };
            told.insert("differs".to_owned(), differs);
            refused(&[Reason::QuoteStale], told)
        }
        Failure::PositionCompacted(first) => {
            refused(&[Reason::PositionCompacted], HashMap::from([("first_position".to_owned(), first.to_string())]))
        }
        Failure::RevealNotAllowed => plain(
            Code::PermissionDenied,
            "REVEAL_NOT_ALLOWED",
            "view FULL is not allowed on this server",
            "本服务未开放查看完整个人信息。",
        ),
        Failure::Contention => {
            plain(Code::Aborted, "CONTENTION", "others changed the same facts; try again", "账户正被同时使用，请重试。")
        }
        Failure::EtagMismatch => plain(
            Code::Aborted,
            "ETAG_MISMATCH",
            "the member was changed since",
            "参保人信息已变化，请重新读取后再试。",
        ),
        Failure::StoreFull => plain(
            Code::ResourceExhausted,
            "STORE_FULL",
            "the store has reached its configured size",
            "系统存储已达上限，请联系管理员。",
        ),
        Failure::StoreUnavailable => plain(
            Code::Unavailable,
            "STORE_UNAVAILABLE",
            "the store is unavailable",
            "系统暂时不可用，请稍后用同一请求编号重试。",
        ),
        Failure::OutcomeUnknown => plain(
            Code::Unavailable,
            "OUTCOME_UNKNOWN",
            "the outcome is not known; repeat with the same request_id",
            "结果暂未确认，请用同一请求编号重试。",
        ),
        Failure::RanOut(_) | Failure::LookAgain => of(&Failure::Bug("the ledger left something to be done")),
        Failure::Bug(what) => {
            let id = error_id();
            tracing::error!(error_id = %id, what, "a promise of our own was broken");
            let metadata = HashMap::from([("error_id".to_owned(), id)]);
            make(
                Code::Internal,
                "INTERNAL_ERROR",
                "internal error",
                "系统内部错误，请联系管理员并提供错误编号。",
                metadata,
            )
        }
    }
}

/// Names an error in the log and to the caller: this process and a number.
fn error_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn refused(reasons: &[Reason], mut metadata: HashMap<String, String>) -> Status {
    let names: Vec<&str> = reasons.iter().map(|reason| reason.name()).collect();
    let sentences: Vec<&str> = reasons.iter().map(|reason| reason.sentence()).collect();
    metadata.insert("reasons".to_owned(), names.join(","));
    let first = names.first().copied().unwrap_or("INTERNAL_ERROR");
    make(Code::FailedPrecondition, first, &format!("refused: {}", names.join(", ")), &sentences.concat(), metadata)
}

fn not_found(thing: Thing, metadata: HashMap<String, String>) -> Status {
    let (reason, message, sentence) = match thing {
        Thing::Region => {
            ("REGION_NOT_FOUND", "no such region on that day", "没有找到该统筹区，或该统筹区在该日期无效。")
        }
        Thing::Province => ("REGION_NOT_FOUND", "no such province on that day", "没有找到该省级区划。"),
        Thing::Pool => (
            "REGION_NOT_FOUND",
            "the region is no pool: nobody is insured there, and it has no policy",
            "该区划不是统筹区，没有参保政策，请使用统筹区编码。",
        ),
        Thing::Member => ("MEMBER_NOT_FOUND", "no such member", "没有找到该参保人。"),
        Thing::Account => ("ACCOUNT_NOT_FOUND", "the member has no personal account", "该参保人没有医保个人账户。"),
        Thing::Binding => ("BINDING_NOT_FOUND", "no such binding", "没有找到该绑定关系。"),
        Thing::Settlement => ("SETTLEMENT_NOT_FOUND", "no such settlement", "没有找到该笔结算。"),
        Thing::YearClose => {
            ("YEAR_CLOSE_NOT_FOUND", "no close of that year was begun", "该统筹区该年度尚未办理年度结转。")
        }
        Thing::Transfer => ("TRANSFER_NOT_FOUND", "no such transfer", "没有找到该笔转账。"),
    };
    make(Code::NotFound, reason, message, sentence, metadata)
}

/// Statuses that no handler makes: overload, time, shut-down, and what the transport says of malformed bytes.
pub mod transport {
    use super::{Code, Status, plain};

    pub fn overloaded() -> Status {
        plain(Code::ResourceExhausted, "OVERLOADED", "too many calls are running; try again", "系统繁忙，请稍后重试。")
    }

    pub fn too_many_watches() -> Status {
        let message = "too many streams of Watch are open; try again when one has ended";
        plain(Code::ResourceExhausted, "OVERLOADED", message, "账本订阅数已达上限，请稍后重试。")
    }

    pub fn shutting_down() -> Status {
        plain(
            Code::Unavailable,
            "SHUTTING_DOWN",
            "the server is stopping",
            "系统正在停止服务，请稍后用同一请求编号重试。",
        )
    }

    pub fn time_limit() -> Status {
        let sentence = "处理超时，请重试；办理类请求须沿用同一请求编号。";
        plain(
            Code::DeadlineExceeded,
            "TIME_LIMIT",
            "the call took longer than allowed; repeat it, a change with the same request_id",
            sentence,
        )
    }

    pub fn malformed() -> Status {
        plain(Code::InvalidArgument, "MALFORMED_MESSAGE", "the message cannot be decoded", "请求报文无法解析。")
    }

    pub fn too_large() -> Status {
        plain(Code::ResourceExhausted, "MESSAGE_TOO_LARGE", "the message is larger than allowed", "请求报文过大。")
    }

    pub fn compressed() -> Status {
        let message = "compressed messages are not taken: send them as they are";
        plain(Code::Unimplemented, "NOT_IMPLEMENTED", message, "不接受压缩的报文，请不压缩发送。")
    }

    pub fn not_implemented() -> Status {
        plain(Code::Unimplemented, "NOT_IMPLEMENTED", "no such method", "没有该接口。")
    }
}
