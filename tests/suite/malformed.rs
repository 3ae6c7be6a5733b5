//! Requests that nobody should send, to every method: random bytes, cut and flipped messages, and valid requests with one or
//! two fields made wrong. Whatever comes, the answer is a documented status in words that give nobody away, at once, and
//! the ledger moves by accepted changes alone.
//!
//! The messages are built from the descriptors that reflection serves, so a new field is mutated without a line here; a new
//! method needs one valid request in `Bases::of`. The documented statuses are read from the comments of `Reason` in
//! `proto/gongji/v1/common.proto`.
//!
//! `GONGJI_MALFORMED=100000 cargo test --test suite malformed::` sends 100 000 instead of 10 000; `GONGJI_SEED=…` takes that
//! seed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gongji::grpc::proto;
use gongji::grpc::proto::ledger_service_client::LedgerServiceClient;
use prost::Message as _;
use prost::bytes::{Buf, BufMut};
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor, ReflectMessage, Value,
};
use serde_json::{Value as Json, json};
use tokio::task::JoinSet;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Request, Status};
use tonic_types::StatusExt;

use super::metrics::{Scrape, door};
use super::process::{Dice, Replay, Server, check_ledger, from_env, gongji, id_number, run};

const HANDS: usize = 4;
/// Longest time of one answer; what takes longer hangs.
const DEADLINE: Duration = Duration::from_secs(20);
/// The most memory the server may have used: several times what the demonstration needs, far below an explosion.
const MEMORY_KIB: u64 = 600 << 10;
const DAY: &str = "2025-06-03";

/// Messages as bytes, right or wrong.
#[derive(Clone, Copy, Default)]
pub struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;
    fn encoder(&mut self) -> Self {
        Self
    }
    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;
    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;
    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining()).to_vec()))
    }
}

async fn call(channel: &Channel, method: &MethodDescriptor, bytes: Vec<u8>) -> Result<Vec<u8>, Status> {
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    let path = PathAndQuery::from_maybe_shared(path).expect("a path");
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let answer = async {
        if method.is_client_streaming() || !method.is_server_streaming() {
            return client.unary(Request::new(bytes), path, Raw).await.map(tonic::Response::into_inner);
        }
        // Streams that go on for as long as somebody listens: the first message tells.
        let mut answers = client.server_streaming(Request::new(bytes), path, Raw).await?.into_inner();
        answers.message().await?.ok_or_else(|| Status::unknown("a stream without a word"))
    };
    tokio::time::timeout(DEADLINE, answer).await.unwrap_or_else(|_| panic!("{} hangs", method.full_name()))
}

/// Which status each reason may come with, as its comment says.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let text = include_str!("../../proto/gongji/v1/common.proto");
    let from = text.find("enum Reason {").expect("the enum of reasons");
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut comment = String::new();
    for line in text[from..].lines().map(str::trim) {
        if let Some(words) = line.strip_prefix("// ") {
            comment.push_str(words);
            comment.push(' ');
        } else if let Some(name) = line.strip_prefix("REASON_").and_then(|rest| rest.split(' ').next()) {
            let status =
                comment.split_once("Status: ").map(|(_, rest)| rest.split_once(". ").map_or(rest, |(said, _)| said));
            let codes = status.unwrap_or_default().split([',', ' ', '.']).filter(|word| {
                word.len() > 2 && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_') && *word != "OK"
            });
            found.insert(name.to_owned(), codes.map(str::to_owned).collect());
            comment.clear();
        } else {
            comment.clear();
        }
    }
    assert!(found.len() > 60 && found["INVALID_FIELDS"].contains("INVALID_ARGUMENT"), "{found:?}");
    found
}

/// `FAILED_PRECONDITION` for `FailedPrecondition`.
fn code_name(status: &Status) -> String {
    let name = format!("{:?}", status.code());
    let mut out = String::new();
    for (place, letter) in name.chars().enumerate() {
        if place > 0 && letter.is_uppercase() {
            out.push('_');
        }
        out.push(letter.to_ascii_uppercase());
    }
    out
}

/// What was seen, and what was wrong with it.
#[derive(Default)]
struct Seen {
    counts: BTreeMap<(String, String), usize>,
    reasons: BTreeSet<String>,
    /// Positions that accepted changes took.
    positions: BTreeSet<i64>,
    troubles: Vec<String>,
    /// Names and numbers that must never come back in an error or the log.
    private: BTreeSet<String>,
}

struct Watcher {
    documented: BTreeMap<String, BTreeSet<String>>,
    seen: Mutex<Seen>,
}

impl Watcher {
    fn hear(&self, method: &MethodDescriptor, answer: &Result<Vec<u8>, Status>, sent: &str) {
        let mut seen = self.seen.lock().expect("nobody panics with it");
        let word = match answer {
            Ok(bytes) => {
                match DynamicMessage::decode(method.output(), bytes.as_slice()) {
                    Err(error) => seen.troubles.push(format!("{}: an answer that is none: {error}", method.name())),
                    Ok(answer) => {
                        reasons_within(&answer, &mut seen.reasons);
                        let mut positions = Vec::new();
                        let mut errors = Vec::new();
                        changes_within(&answer, &mut positions, &mut errors);
                        for position in positions {
                            if !seen.positions.insert(position) {
                                seen.troubles.push(format!("{}: position {position} twice", method.name()));
                            }
                        }
                        for error in errors {
                            self.hear_error(&mut seen, method, &error, sent);
                        }
                    }
                }
                "OK".to_owned()
            }
            Err(status) => self.hear_error(&mut seen, method, status, sent),
        };
        *seen.counts.entry((method.name().to_owned(), word)).or_default() += 1;
    }

    fn hear_error(&self, seen: &mut Seen, method: &MethodDescriptor, status: &Status, sent: &str) -> String {
        let mut trouble = |what: &str| {
            seen.troubles.push(format!("{}: {what}: {status:?}\n    sent: {sent:.600}", method.name()));
        };
        let details = status.get_error_details();
        let Some(info) = details.error_info() else {
            trouble("no ErrorInfo");
            return format!("{:?} without a reason", status.code());
        };
        let code = code_name(status);
        if info.domain != "gongji" {
            trouble("another domain");
        }
        if !self.documented.get(&info.reason).is_some_and(|codes| codes.contains(&code)) {
            trouble("a status that is not documented for its reason");
        }
        if matches!(info.reason.as_str(), "INTERNAL_ERROR" | "TIME_LIMIT" | "OVERLOADED" | "OUTCOME_UNKNOWN") {
            trouble("a fault of the server");
        }
        let sentence = details.localized_message().filter(|sentence| sentence.locale == "zh-CN");
        if !sentence.is_some_and(|sentence| sentence.message.chars().any(|letter| ('一'..='龥').contains(&letter))) {
            trouble("nothing a cashier can read out");
        }
        if info.reason == "INVALID_FIELDS" && details.bad_request().is_none_or(|bad| bad.field_violations.is_empty()) {
            trouble("no field is named");
        }
        let said = format!("{} {}", status.message(), String::from_utf8_lossy(status.details()));
        if seen.private.iter().any(|word| said.contains(word)) {
            seen.troubles.push(format!("{}: personal data in an error: {said}", method.name()));
        }
        seen.reasons.insert(info.reason.clone());
        if let Some(all) = info.metadata.get("reasons") {
            seen.reasons.extend(all.split(',').map(str::to_owned));
        }
        format!("{code}/{}", info.reason)
    }
}

/// The positions that changes took, and the errors that stand in place of others.
fn changes_within(message: &DynamicMessage, positions: &mut Vec<i64>, errors: &mut Vec<Status>) {
    if message.descriptor().full_name() == "google.rpc.Status" {
        let inner = tonic_types::Status::decode(message.encode_to_vec().as_slice()).expect("it was one");
        errors.push(super::support::as_status(&inner));
        return;
    }
    let replayed = message.get_field_by_name("replayed").and_then(|value| value.as_bool());
    let position = message.get_field_by_name("ledger_position").and_then(|value| value.as_i64());
    // A resolution that changes nothing takes none.
    if let (Some(false), Some(position @ 1..)) = (replayed, position) {
        positions.push(position);
    }
    for (_, value) in message.fields() {
        let values = value.as_list().map_or_else(|| vec![value.clone()], <[Value]>::to_vec);
        values.iter().filter_map(Value::as_message).for_each(|inner| changes_within(inner, positions, errors));
    }
}

/// The reasons that an answer carries, of a no or of payers left out.
fn reasons_within(message: &DynamicMessage, reasons: &mut BTreeSet<String>) {
    for (field, value) in message.fields() {
        let values = value.as_list().map_or_else(|| vec![value.clone()], <[Value]>::to_vec);
        for value in &values {
            match (value, field.kind()) {
                (Value::Message(inner), _) => reasons_within(inner, reasons),
                (Value::EnumNumber(number), Kind::Enum(kind)) if kind.full_name() == "gongji.v1.Reason" => {
                    let name = kind.get_value(*number).map(|value| value.name().replace("REASON_", ""));
                    reasons.extend(name);
                }
                _ => {}
            }
        }
    }
}

/// A valid request for every method, and what it names.
#[derive(Clone)]
struct Bases {
    member: String,
    binding: String,
    settlement: String,
    held: String,
}

fn card(number: &str) -> Json {
    json!({ "cardNumber": number })
}

fn bill(total: i64) -> Json {
    json!({ "totalFen": total, "adjudicated": { "fundFen": 100, "personPartFen": total - 100 } })
}

fn lines() -> Json {
    let line = |id: &str, category: &str, class: &str, amount: i64| {
        json!({
            "lineId": id, "itemCode": "A01", "itemName": "项目", "category": category, "listClass": class, "amountFen": amount,
        })
    };
    json!({ "totalFen": 9_000, "lines": [
        line("L1", "ITEM_CATEGORY_DRUG", "LIST_CLASS_A", 4_000), line("L2", "ITEM_CATEGORY_TREATMENT", "LIST_CLASS_B", 5_000),
    ] })
}

fn visit() -> Json {
    json!({
        "institutionKind": "INSTITUTION_KIND_LEVEL_3", "careRegionCode": "440300", "purpose": "PURPOSE_OUTPATIENT",
        "visitDate": DAY, "externalRefs": { "mdtrtId": "M1", "invoiceNo": "I1" },
    })
}

fn insurance(region: &str) -> Json {
    json!({
        "scheme": "SCHEME_EMPLOYEE", "tier": if region == "440300" { "1" } else { "" }, "state": "INSURANCE_STATE_NORMAL",
        "regionCode": region, "hasAccount": true, "startDate": "2015-01-01",
    })
}

fn filing(owner: &str, beneficiary: &str, relation: &str) -> Json {
    json!({
        "owner": card(owner), "beneficiary": card(beneficiary), "relation": relation, "channel": "CHANNEL_AGENCY_WINDOW",
        "evidence": [{ "type": "COMMITMENT", "reference": "paper" }], "startDate": DAY, "caps": { "perDayFen": 50_000 },
    })
}

fn with(mut base: Json, name: &str, value: impl Into<Json>) -> Json {
    base[name] = value.into();
    base
}

impl Bases {
    /// `number` makes request ids and people new.
    fn of(&self, method: &str, number: usize) -> Json {
        let id = format!("m-{number}");
        let (daughter, son) = ("SZ-CARD-1002", "SZ-CARD-1003");
        match method {
            "GetRegion" | "GetPolicy" => json!({ "regionCode": "440300", "on": DAY }),
            "ListPolicyRevisions" => json!({ "regionCode": "440300", "pageSize": 3 }),
            "ListRegions" => json!({ "provinceCode": "440000", "nameContains": "深", "pageSize": 20 }),
            "CheckSharing" => json!({
                "ownerRegionCode": "440300", "beneficiaryRegionCode": "330100", "relation": "RELATION_PARENT", "on": DAY,
            }),
            "CreateMember" => json!({
                "requestId": id, "name": format!("测{number}试"), "idNumber": id_number(number),
                "cardNumber": format!("X-CARD-{number}"), "insurance": insurance("440300"),
            }),
            "GetMember" => json!({ "memberId": self.member }),
            "LookUpMember" => json!({ "member": card(son) }),
            "UpdateInsurance" => json!({
                "requestId": id, "member": card("CD-CARD-4001"),
                "insurance": with(insurance("510100"), "state", if number.is_multiple_of(2) { 1 } else { 2 }),
            }),
            "RecordCertification" => json!({
                "requestId": id, "member": card(daughter), "channel": "CERTIFICATION_CHANNEL_ALIPAY", "byProxy": true,
                "met": ["CERTIFICATION_PRECONDITION_FACE_CHECK", "CERTIFICATION_PRECONDITION_ID_DOCUMENT"],
                "firstPaidDate": "2025-01-31", "state": "CERTIFICATION_STATE_PASSED",
            }),
            "GetAccount" => json!({ "member": card(son) }),
            "CreditAccount" => json!({
                "requestId": id, "member": card(daughter), "bucket": "BUCKET_PRIOR_YEARS", "amountFen": 1_000,
                "kind": "CREDIT_KIND_MONTHLY", "noteRef": "N1",
            }),
            "TransferFunds" => json!({
                "requestId": id, "owner": card("HZ-CARD-2001"), "beneficiary": card("HZ-CARD-2002"),
                "relation": "RELATION_SPOUSE", "amountFen": 100, "commitmentRef": "C1",
            }),
            "ListEntries" => json!({ "member": card(daughter), "pageSize": 10 }),
            "CheckBinding" => filing(daughter, "SZ-CARD-1004", "RELATION_CHILD"),
            "CreateBinding" => with(filing("HZ-CARD-2003", "HZ-CARD-2001", "RELATION_PARENT"), "requestId", id),
            "ReleaseBinding" => json!({
                "requestId": id, "requestedBy": "BINDING_PARTY_OWNER", "channel": "CHANNEL_AGENCY_WINDOW",
                "pair": { "owner": card("HZ-CARD-2003"), "beneficiary": card("HZ-CARD-2001") },
            }),
            "VerifyBinding" => json!({
                "requestId": id, "bindingId": self.binding, "evidence": [{ "type": "FACE_CHECK", "reference": "face" }],
            }),
            "SetQuota" => json!({
                "requestId": id, "bindingId": self.binding, "quotaFen": 1_000,
                "evidence": [{ "type": "OWNER_CONSENT", "reference": "paper" }],
            }),
            "ReorderBindings" => json!({
                "requestId": id, "beneficiary": card("SZ-CARD-1001"), "bindingIds": [self.binding],
            }),
            "OpenWallet" => json!({ "requestId": id, "member": card(daughter) }),
            "ClaimTransfer" => json!({
                "requestId": id, "transferId": format!("trf_{:032x}", 7), "beneficiary": card(daughter),
            }),
            "ActivateCard" => json!({
                "requestId": id, "member": card(daughter), "channel": "CARD_CHANNEL_ISSUING_BANK", "bankCode": "BANK-1",
                "evidence": [{ "type": "HOLDER_ID", "reference": "id" }],
            }),
            "GetBinding" => json!({ "bindingId": self.binding }),
            "ListBindings" => json!({ "owner": card(son), "pageSize": 10 }),
            "ListPayers" => json!({
                "patient": card("SZ-CARD-1001"), "visitDate": DAY, "purpose": "PURPOSE_OUTPATIENT", "personPartFen": 5_000,
            }),
            "QuoteSettlement" => json!({
                "institutionCode": "H001", "patient": card("SZ-CARD-1001"), "visit": visit(), "bill": lines(),
            }),
            "Settle" => json!({
                "requestId": id, "institutionCode": "H001", "patient": card("SZ-CARD-1001"), "visit": visit(),
                "bill": if number.is_multiple_of(2) { lines() } else { bill(2_000) },
                "paperAuthorisations": [],
            }),
            "CloseYear" if number.is_multiple_of(2) => json!({ "requestId": id, "regionCode": "440300", "year": 2024 }),
            "CloseYear" => json!({ "requestId": id, "member": card(daughter), "year": 2024 }),
            "GetYearClose" => json!({ "regionCode": "440300", "year": 2024 }),
            "ImportMembers" => json!({ "row": self.of("CreateMember", number + 400_000) }),
            "ImportCredits" => json!({ "row": self.of("CreditAccount", number + 2_000_000) }),
            "BatchSettle" => json!({ "items": [self.of("Settle", number), self.of("Settle", number + 1_000_000)] }),
            "StreamSettle" => json!({ "item": self.of("Settle", number) }),
            "RefundSettlement" => json!({
                "requestId": id, "institutionCode": "H001", "settlementId": self.settlement, "parts": { "cashFen": 1 },
            }),
            "HoldSettlement" => json!({
                "requestId": id, "institutionCode": "H001", "patient": card("SZ-CARD-1001"), "visit": visit(),
                "bill": bill(200), "holdFor": "3600s",
            }),
            "ConfirmSettlement" => json!({
                "requestId": id, "institutionCode": "H001", "settlementId": self.held, "accountsFen": 10,
            }),
            "ReleaseHold" => json!({ "requestId": id, "institutionCode": "H001", "settlementId": self.held }),
            "ResolveOutcome" => json!({
                "requestId": id, "institutionCode": "H001", "originalRequestId": "first",
                "onMissing": "ON_MISSING_REPORT", "ifApplied": "IF_APPLIED_KEEP",
            }),
            "GetSettlement" => json!({ "settlementId": self.settlement }),
            "ListSettlements" => json!({ "institutionCode": "H001", "on": DAY, "pageSize": 10 }),
            "CalculateContribution" => json!({
                "regionCode": "440300", "on": DAY, "wageFen": 700_000, "averageWageFen": 600_000, "injuryClass": 2,
                "injuryFloat": "1.2", "housingFundPersonRate": "0.05", "compareBaseWageFen": 400_000,
                "parameters": [{ "name": "base_bounds", "value": "{\"lower\":\"0.5\",\"upper\":\"3\"}" }],
            }),
            "CalculateAccountCredit" => {
                json!({ "regionCode": "440300", "on": DAY, "baseFen": 500_000, "unitPartFen": 100 })
            }
            "CalculatePension" => json!({
                "regionCode": "500000", "on": "2026-06-03", "birthMonth": "1965-02", "accountBalanceFen": 1_000_000,
                "monthsBeforeAccounts": 24, "history": [
                    { "fromMonth": "1990-01", "lastMonth": "1995-12", "kind": "HISTORY_KIND_DEEMED", "index": "1" },
                    { "fromMonth": "1996-01", "lastMonth": "2020-12", "baseFen": 300_000, "averageWageFen": 400_000 },
                ],
            }),
            "CalculateRetirement" => json!({
                "regionCode": "440300", "on": DAY, "class": "RETIREMENT_CLASS_FEMALE_CADRE", "birthDate": "1972-01-31",
                "earlyCategory": "EARLY_CATEGORY_ILLNESS", "paidMonths": 200, "stillPaying": true,
            }),
            "AssessContributionGap" => json!({
                "regionCode": "440300", "on": DAY, "residentMissedYears": 1, "residentPaidMonth": "2025-03", "paid": [
                    { "insurance": "INSURANCE_KIND_MEDICAL", "fromMonth": "2020-01", "lastMonth": "2024-12" },
                    { "insurance": "INSURANCE_KIND_MEDICAL", "fromMonth": "2025-03", "lastMonth": "2025-05" },
                ],
            }),
            "CheckBenefits" => json!({
                "regionCode": "440300", "on": DAY, "insurance": "INSURANCE_KIND_MATERNITY", "continuousMonths": 13,
                "unitAverageWageFen": 800_000, "children": 2, "dystocia": true,
            }),
            "CalculateUnemploymentBenefit" => json!({
                "regionCode": "430100", "on": DAY, "paidMonths": 70, "unusedMonths": 2, "registered": true,
                "cause": "LEAVING_CAUSE_DISMISSED", "monthlyBenefitFen": 150_000, "class": "RETIREMENT_CLASS_MALE",
                "birthDate": "1966-05",
            }),
            "CheckLifelongMedical" => json!({
                "regionCode": "350200", "on": DAY, "sex": "SEX_MALE", "paidMonths": 280, "localPaidMonths": 100,
                "monthlyBaseFen": 400_000,
            }),
            "CalculateTierChange" => json!({
                "regionCode": "500000", "on": DAY, "scheme": "CONTRIBUTION_SCHEME_RESIDENT", "paidFen": 30_000,
                "newTierFen": 100_000, "channel": "TIER_CHANNEL_TAX_HALL", "changesThisYear": 1,
            }),
            "CalculateCertificationDue" => json!({
                "regionCode": "340300", "on": DAY, "lastCertified": "2025-03-10", "channel": "CERTIFICATION_CHANNEL_WECHAT",
                "met": ["CERTIFICATION_PRECONDITION_FACE_CHECK"], "byProxy": true,
            }),
            "CalculateInjuryAndPension" => json!({
                "regionCode": "440300", "on": DAY, "disabilityAllowanceFen": 300_000, "pensionFen": 200_000,
                "pensionStarted": true,
            }),
            "CalculateBatch" => json!({ "items": [{ "itemId": "1", "accountCredit": {
                "regionCode": "440300", "on": DAY, "baseFen": 500_000, "explanationView": "EXPLANATION_VIEW_FULL",
            } }] }),
            "ListRecords" => json!({ "fromPosition": 1, "pageSize": 10 }),
            "CompareTotals" => json!({
                "institutionCode": "H001", "startDate": DAY, "lastDay": DAY, "theirs": [
                    { "kind": "LINE_KIND_SETTLEMENT", "count": 1, "amounts": { "totalFen": 9_000, "fundFen": 100 } },
                    { "kind": "LINE_KIND_REFUND", "date": DAY, "count": 0, "amounts": { "totalFen": 0, "cashFen": 1 } },
                ],
            }),
            "CompareDetails" => json!({ "start": { "institutionCode": "H001", "startDate": DAY, "lastDay": DAY } }),
            "ListLines" => json!({ "institutionCode": "H001", "startDate": DAY, "lastDay": DAY, "pageSize": 10 }),
            "Watch" => json!({
                "fromPosition": 1, "kinds": ["RECORD_KIND_SETTLED"], "memberIds": [self.member],
                "institutionCodes": ["H001"], "regionCodes": ["440300"],
            }),
            "GetHead" | "CheckLedger" | "GetServerInfo" => json!({}),
            other => panic!("{other} is new: give it a valid request here"),
        }
    }
}

/// Methods whose valid request is refused once the state has moved on.
const DEPENDS_ON_STATE: [&str; 16] = [
    "CloseYear",
    "GetYearClose",
    "HoldSettlement",
    "ConfirmSettlement",
    "ReleaseHold",
    "UpdateInsurance",
    "TransferFunds",
    "CreateBinding",
    "ReleaseBinding",
    "RefundSettlement",
    "VerifyBinding",
    "SetQuota",
    "ReorderBindings",
    "OpenWallet",
    "ClaimTransfer",
    "ActivateCard",
];

fn message(descriptor: MessageDescriptor, json: &Json) -> DynamicMessage {
    DynamicMessage::deserialize(descriptor, json).unwrap_or_else(|error| panic!("{json} is no request: {error}"))
}

const WORDS: [&str; 22] = [
    "",
    " ",
    "x",
    "0",
    "-1",
    "1e9",
    "0.1234567",
    "2024-13-01",
    "2024-02-30",
    "9999-12-31",
    "0001-01-01",
    "-009999-01-01",
    "\u{0}",
    "a\nb",
    "\u{202e}张三",
    "👨‍👩‍👧",
    "999999",
    "mem_00000000000000000000000000000000",
    "stl_zz",
    "440305197809150030",
    "SZ-CARD-1003",
    "110105194912310021",
];
const NUMBERS: [i64; 10] =
    [0, 1, -1, 2, i64::MIN, i64::MAX, 1_000_000_000_000, 1_000_000_000_001, i32::MAX as i64, -500];

/// Makes one field wrong, somewhere in the message.
fn mutate(message: &mut DynamicMessage, dice: &mut Dice) {
    let fields: Vec<FieldDescriptor> = message.descriptor().fields().collect();
    if fields.is_empty() {
        return;
    }
    // Into what is there rather than what could be, most of the time.
    let present: Vec<FieldDescriptor> = fields.iter().filter(|field| message.has_field(field)).cloned().collect();
    let field =
        if present.is_empty() || dice.roll(4) == 0 { dice.one_of(&fields) } else { dice.one_of(&present) }.clone();
    if field.is_list() {
        let mut list = message.get_field(&field).as_list().map(<[Value]>::to_vec).unwrap_or_default();
        match dice.roll(6) {
            0 => list.clear(),
            1 if !list.is_empty() => list.push(list[0].clone()),
            2 => list.push(default_of(&field)),
            3 => list = vec![list.first().cloned().unwrap_or_else(|| default_of(&field)); 600],
            _ => match list.first_mut() {
                Some(Value::Message(inner)) => mutate(inner, dice),
                _ => list.push(default_of(&field)),
            },
        }
        message.set_field(&field, Value::List(list));
        return;
    }
    let value = match field.kind() {
        Kind::Message(descriptor) => match dice.roll(6) {
            0 => return message.clear_field(&field),
            1 => Value::Message(DynamicMessage::new(descriptor)),
            _ => {
                let mut inner = message.get_field(&field).as_message().cloned().expect("a message");
                mutate(&mut inner, dice);
                Value::Message(inner)
            }
        },
        Kind::Enum(descriptor) => {
            let known: Vec<i32> = descriptor.values().map(|value| value.number()).collect();
            Value::EnumNumber(*dice.one_of(&[0, -1, 99, i32::MAX, *dice.clone().one_of(&known)]))
        }
        Kind::String => match dice.roll(12) {
            0 => Value::String("长".repeat(1 + dice.roll(3_000))),
            1 => Value::String("9".repeat(dice.roll(200))),
            _ => Value::String((*dice.one_of(&WORDS)).to_owned()),
        },
        Kind::Bool => Value::Bool(dice.roll(2) == 0),
        Kind::Int32 => Value::I32(*dice.one_of(&[0, 1, -1, 2, 500, 501, i32::MIN, i32::MAX])),
        Kind::Int64 => Value::I64(*dice.one_of(&NUMBERS)),
        other => panic!("a field of kind {other:?} is new: say how it can be wrong"),
    };
    message.set_field(&field, value);
}

fn default_of(field: &FieldDescriptor) -> Value {
    match field.kind() {
        Kind::Message(descriptor) => Value::Message(DynamicMessage::new(descriptor)),
        Kind::String => Value::String(String::new()),
        Kind::Enum(_) => Value::EnumNumber(0),
        other => panic!("a list of {other:?} is new: say what an empty one is"),
    }
}

/// Bytes that may or may not be a message.
fn damage(mut bytes: Vec<u8>, dice: &mut Dice) -> Vec<u8> {
    match dice.roll(4) {
        0 => (0..dice.roll(200)).map(|_| dice.next() as u8).collect(),
        1 => {
            bytes.truncate(dice.roll(bytes.len() + 1));
            bytes
        }
        2 => {
            for _ in 0..=dice.roll(3) {
                if !bytes.is_empty() {
                    let at = dice.roll(bytes.len());
                    bytes[at] ^= 1 << dice.roll(8);
                }
            }
            bytes
        }
        _ => {
            // Twice the same, then rubbish: fields again, and fields nobody knows.
            bytes.extend_from_within(..);
            bytes.extend((0..dice.roll(20)).map(|_| dice.next() as u8));
            bytes
        }
    }
}

fn memory_kib(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("the server runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its most memory");
    line.trim().split(' ').next().and_then(|number| number.parse().ok()).expect("a number")
}

/// Reasons of a refused request that none of today's methods gives, and why.
const NOT_REACHED: &[(&str, &str)] = &[
    ("QUOTA_TOO_LARGE", "no policy at hand sets a limit; the national value is none"),
    ("QUOTA_USED_UP", "the clock stands before the first quota; `scenarios/quota.txt`"),
    ("PAPER_NOT_REGULARISED", "no policy at hand sets a time; `scenarios/paper_regularised.txt`"),
    ("WALLET_CLOSED_HOURS", "the clock stands at nine in the morning; `scenarios/wallet_hours.txt`"),
    ("WALLET_NOT_OFFERED", "the clock stands after the first wallet; `scenarios/wallet_hours.txt`"),
    ("TRANSFER_RETURNED", "nothing goes back on the day it is sent; `scenarios/wallet_claims.txt`"),
    ("CERTIFICATION_CHANNEL_NOT_OFFERED", "the nation's list has every channel"),
    ("RECONCILIATION_TOO_LARGE", "nobody settles two million bills here; `rpc/reconciliation.rs` lowers the bound"),
    (
        "RECONCILIATION_TOO_DIFFERENT",
        "one message at a time differs too little; `rpc/reconciliation.rs` lowers the bound",
    ),
    ("POSITION_COMPACTED", "no store compacts; `rpc/watch.rs` has one that did"),
    ("GRADE_REFUSED", "this server was told to refuse no grade; `process.rs` starts one that was"),
];

#[test]
fn whatever_is_sent_the_answer_is_documented() {
    check(10_000, &|words| Server::start(gongji(words)));
}

/// The same against a server on any store, `usually` with so many requests. It must begin with the demonstration's family.
pub fn check(usually: u64, start: &dyn Fn(&[&str]) -> Server) {
    let total = usize::try_from(from_env("GONGJI_MALFORMED", usually)).expect("not so many");
    let seed = from_env("GONGJI_SEED", 0x3a1f);
    let _replay = Replay(format!(
        "GONGJI_SEED={seed} GONGJI_MALFORMED={total} cargo test --test suite malformed:: -- --nocapture"
    ));
    let clock = ["serve", "--demo", "--clock", "2025-06-03T09:00:00+08:00", "--log", "gongji=trace"];
    let bounds = [
        "--holds-per-member",
        "4",
        "--refunds-per-settlement",
        "2",
        "--hold-seconds",
        "3600",
        "--quote-seconds",
        "1",
        "--max-backdate-days",
        "10000",
        // Anhui's families have room for one less.
        "--bindings-per-member",
        "7",
        // Many ask at once.
        "--ledger-checks",
        "64",
        // What the server does by itself moves the ledger too.
        "--close-year-per-second",
        "0",
        "--metrics-listen",
        "127.0.0.1:0",
    ];
    let server = start(&[&clock[..], &bounds].concat());
    let pool = DescriptorPool::decode(proto::DESCRIPTORS).expect("the descriptors");
    let services = pool.services().filter(|service| service.full_name().starts_with("gongji.v1."));
    let methods: Vec<MethodDescriptor> = services.flat_map(|service| service.methods().collect::<Vec<_>>()).collect();
    let methods = Arc::new(methods);
    let watcher = Arc::new(Watcher { documented: documented(), seen: Mutex::new(Seen::default()) });
    let private = ["林秀英", "陈丽华", "陈志强", "陈小雨", "王建国", "李爱珍", "王磊", "赵敏", "周倩", "赵勇"];
    let numbers = ["440305197809150030", "440305198003210043", "110105194912310021", "SZ-CARD-", "HZ-CARD-", "X-CARD-"];
    {
        let mut seen = watcher.seen.lock().expect("nobody panics with it");
        seen.private.extend(private.into_iter().chain(numbers).map(str::to_owned));
        seen.private.extend((0..total.min(3_000)).map(id_number));
    }

    let (bases, start) = run(prepare(&server, &methods, &watcher));
    // Before chance has changed anybody.
    run(directed(&server, &methods, &watcher, &bases));
    let usual = memory_kib(&server);
    run(async {
        let mut hands = JoinSet::new();
        for hand in 0..HANDS {
            let (methods, watcher, bases) = (methods.clone(), watcher.clone(), bases.clone());
            let channel = server.channel().await;
            let mut dice = Dice::new(seed.wrapping_add(hand as u64));
            hands.spawn(async move {
                for number in 0..total / HANDS {
                    let number = number * HANDS + hand + 1;
                    let mut method = dice.one_of(&methods).clone();
                    if method.name() == "CheckLedger" && dice.roll(6) > 0 {
                        // It reads the whole ledger each time.
                        method = dice.one_of(&methods).clone();
                    }
                    let base = bases.of(method.name(), number);
                    let mut request = message(method.input(), &base);
                    if number.is_multiple_of(97) && !DEPENDS_ON_STATE.contains(&method.name()) {
                        let answer = call(&channel, &method, request.encode_to_vec()).await;
                        assert!(answer.is_ok(), "a valid {} failed among the others: {answer:?}", method.name());
                        watcher.hear(&method, &answer, "a valid request");
                        continue;
                    }
                    let bytes = if number.is_multiple_of(2) {
                        mutate(&mut request, &mut dice);
                        if dice.roll(3) == 0 {
                            mutate(&mut request, &mut dice);
                        }
                        request.encode_to_vec()
                    } else {
                        damage(request.encode_to_vec(), &mut dice)
                    };
                    let sent = if number.is_multiple_of(2) { format!("{request:?}") } else { format!("{bytes:02x?}") };
                    let answer = call(&channel, &method, bytes).await;
                    watcher.hear(&method, &answer, &sent);
                }
            });
        }
        while let Some(done) = hands.join_next().await {
            done.expect("no panic");
        }
    });
    // The ledger moved by what was accepted, and it is right.
    let (head, report, expired) = run(async {
        let channel = server.channel().await;
        let expired = expired(&channel).await;
        (head(&channel).await, check_ledger(channel).await, expired)
    });
    let most = memory_kib(&server);
    let scrape = Scrape::of(door(&server));
    let log = server.kill();
    let seen = watcher.seen.lock().expect("nobody panics with it");
    let named = [&bases.member, &bases.binding, &bases.settlement, &bases.held].map(String::as_str);
    scrape.gives_nobody_away(seen.private.iter().map(String::as_str).chain(named));
    for ((method, word), heard) in &seen.counts {
        // Streams that were left after their first message are no success.
        let is_stream = methods.iter().any(|known| known.name() == method && known.is_server_streaming());
        let counted = if word == "OK" { scrape.calls(method, "OK") } else { scrape.failed(method, word) };
        assert!(counted >= *heard as u64 || is_stream, "{method} {word}: {heard} heard, {counted} counted");
    }
    for ((method, word), count) in &seen.counts {
        println!("{method:<18} {count:>6}  {word}");
    }
    println!("{total} requests, seed {seed}: {} changes accepted, at most {} MiB", seen.positions.len(), most >> 10);
    assert!(
        seen.troubles.is_empty(),
        "{} troubles:\n{}",
        seen.troubles.len(),
        seen.troubles[..seen.troubles.len().min(12)].join("\n")
    );
    let moved = seen.positions.len() as i64 + expired;
    assert_eq!(head, start + moved, "the ledger moved by other than accepted changes");
    assert_eq!(report.records_checked, head);
    assert!(most < MEMORY_KIB, "{most} KiB; {usual} KiB at first");
    assert!(!log.contains("panicked"), "{log}");
    for word in &seen.private {
        assert!(!log.contains(word.as_str()), "personal data in the log: {word}");
    }
    for method in methods.iter() {
        let called = seen.counts.iter().filter(|((name, _), _)| name == method.name());
        assert!(called.map(|(_, count)| count).sum::<usize>() > total / 1000, "{} was hardly called", method.name());
    }
    if total < 10_000 {
        // Chance needs as many to get everywhere.
        return;
    }
    // Every reason of a refused request is reached, or it says here why not.
    let refusals = ["INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION"];
    let wanted: BTreeSet<&str> = watcher
        .documented
        .iter()
        .filter(|(_, codes)| refusals.iter().any(|code| codes.contains(*code)))
        .map(|(name, _)| name.as_str())
        .collect();
    let excused: BTreeSet<&str> = NOT_REACHED.iter().map(|(name, _)| *name).collect();
    let reached: BTreeSet<&str> = seen.reasons.iter().map(String::as_str).collect();
    let missing: Vec<&&str> =
        wanted.iter().filter(|name| !reached.contains(**name) && !excused.contains(**name)).collect();
    assert!(missing.is_empty(), "reasons that were not reached: {missing:?}");
    let unexpected: Vec<&&str> = excused.iter().filter(|name| reached.contains(**name)).collect();
    assert!(unexpected.is_empty(), "reasons reached after all, so no longer excused: {unexpected:?}");
}

async fn head(channel: &Channel) -> i64 {
    let head = LedgerServiceClient::new(channel.clone()).get_head(proto::GetHeadRequest::default()).await;
    head.expect("a head").into_inner().head.expect("a head").position
}

/// Sends one request by name and hands its answer over as JSON-like fields.
async fn ask(
    channel: &Channel,
    methods: &[MethodDescriptor],
    watcher: &Watcher,
    name: &str,
    json: &Json,
) -> Result<DynamicMessage, Status> {
    let method = methods.iter().find(|method| method.name() == name).expect("a method");
    let answer = call(channel, method, message(method.input(), json).encode_to_vec()).await;
    watcher.hear(method, &answer, &json.to_string());
    answer.map(|bytes| DynamicMessage::decode(method.output(), bytes.as_slice()).expect("an answer"))
}

fn text_at(message: &DynamicMessage, path: &[&str]) -> String {
    let (last, parents) = path.split_last().expect("a path");
    let inner = parents.iter().fold(message.clone(), |at, name| {
        let value = at.get_field_by_name(name).expect("a field").into_owned();
        let value = if let Value::List(list) = value { list.into_iter().next().expect("an element") } else { value };
        value.as_message().cloned().expect("a message")
    });
    inner.get_field_by_name(last).expect("a field").as_str().expect("a text").to_owned()
}

/// Finds what the valid requests name, and tries each once.
async fn prepare(server: &Server, methods: &[MethodDescriptor], watcher: &Watcher) -> (Bases, i64) {
    let channel = server.channel().await;
    let start = head(&channel).await;
    let mut bases =
        Bases { member: String::new(), binding: String::new(), settlement: String::new(), held: String::new() };
    let one = |name: &'static str, json: Json| {
        let channel = &channel;
        async move { ask(channel, methods, watcher, name, &json).await.unwrap_or_else(|error| panic!("{name}: {error:?}")) }
    };
    bases.member = text_at(&one("LookUpMember", bases.of("LookUpMember", 0)).await, &["member", "member_id"]);
    bases.binding = text_at(&one("ListBindings", bases.of("ListBindings", 0)).await, &["bindings", "binding_id"]);
    let settled = one("Settle", with(bases.of("Settle", 0), "requestId", "first")).await;
    bases.settlement = text_at(&settled, &["settlement", "settlement_id"]);
    let held = one("HoldSettlement", with(bases.of("HoldSettlement", 0), "requestId", "held")).await;
    bases.held = text_at(&held, &["settlement", "settlement_id"]);
    for (place, method) in methods.iter().enumerate() {
        if DEPENDS_ON_STATE.contains(&method.name()) {
            continue;
        }
        let answer = ask(&channel, methods, watcher, method.name(), &bases.of(method.name(), 300_000 + place)).await;
        assert!(answer.is_ok(), "the valid {} is refused: {answer:?}", method.name());
    }
    (bases, start)
}

/// Requests for the reasons that chance does not find.
async fn directed(server: &Server, methods: &[MethodDescriptor], watcher: &Watcher, bases: &Bases) {
    let channel = server.channel().await;
    let send = |name: &'static str, json: Json| {
        let channel = &channel;
        async move { ask(channel, methods, watcher, name, &json).await }
    };
    // What is given back whole cannot be given back again.
    let settled =
        send("Settle", with(bases.of("Settle", 311_000), "requestId", "directed-refund")).await.expect("settled");
    let settlement = text_at(&settled, &["settlement", "settlement_id"]);
    for place in 0..2 {
        let refund = json!({
            "requestId": format!("directed-refund-{place}"), "institutionCode": "H001", "settlementId": settlement,
            "whole": true,
        });
        assert_eq!(send("RefundSettlement", refund).await.is_ok(), place == 0);
    }
    // A consumer that knows another ledger.
    let other = json!({ "fromPosition": 2, "afterDigest": "0".repeat(64) });
    send("Watch", other).await.expect_err("it is another chain");
    // A day before there was any law of it.
    let early = json!({ "regionCode": "000000", "on": "1998-12-13", "insurance": "INSURANCE_KIND_INJURY" });
    send("CheckBenefits", early).await.expect_err("no table is that old");
    // Years that are not over, or were not begun to be closed.
    for (name, region, year) in [("CloseYear", "440300", 2025), ("GetYearClose", "330100", 2024)] {
        let id = if name == "CloseYear" { json!({ "requestId": "close-directed" }) } else { json!({}) };
        send(name, with(with(id, "regionCode", region), "year", year)).await.expect_err("it is refused");
    }
    // Certifications that cannot be.
    let valid = bases.of("RecordCertification", 310_000);
    for (place, (field, value)) in [
        ("met", json!([])),
        ("channel", json!("CERTIFICATION_CHANNEL_SELF_SERVICE_MACHINE")),
        ("state", json!("CERTIFICATION_STATE_APPOINTED")),
    ]
    .into_iter()
    .enumerate()
    {
        let request = with(with(valid.clone(), field, value), "requestId", format!("certify-{place}"));
        send("RecordCertification", request).await.expect_err("it is refused");
    }
    // People whom the rules leave out, each under a card that says why.
    let people = [
        ("suspended", with(insurance("440300"), "state", "INSURANCE_STATE_SUSPENDED")),
        ("ended", with(insurance("440300"), "state", "INSURANCE_STATE_ENDED")),
        ("tier-2", with(insurance("440300"), "tier", "2")),
        ("no-account", with(insurance("440300"), "hasAccount", false)),
        ("rich", insurance("440300")),
        ("poor", insurance("440300")),
        ("patient", with(insurance("440300"), "hasAccount", false)),
        ("head", insurance("980300")),
        ("head-2", insurance("980300")),
        ("head-3", insurance("980300")),
        ("limit-1", insurance("980300")),
        ("limit-2", insurance("980300")),
        ("limit-3", insurance("980300")),
        ("limit-4", insurance("980300")),
        ("cold", insurance("440300")),
        ("young", insurance("440300")),
        ("joined", insurance("320500")),
        ("family-1", insurance("320500")),
        ("family-2", insurance("320500")),
        ("house", insurance("340100")),
    ]
    .map(|(card, insurance)| (card.to_owned(), insurance));
    let wards = (1..=6).map(|number| (format!("ward-{number}"), insurance("440300")));
    let kin = (1..=7).map(|number| (format!("kin-{number}"), insurance("340100")));
    for (place, (card, insurance)) in people.into_iter().chain(wards).chain(kin).enumerate() {
        let member = json!({
            "requestId": format!("directed-{card}"), "name": "测试", "idNumber": id_number(320_000 + place),
            "cardNumber": format!("D-{card}"), "insurance": insurance,
            "cardState": if card == "cold" { "CARD_STATE_INACTIVE" } else { "CARD_STATE_ACTIVE" },
            "issuingBankCode": if card == "cold" { "BANK-9" } else { "" },
        });
        send("CreateMember", member).await.expect("a person");
    }
    steps(&channel, methods, watcher).await;
    wallets(&channel, methods, watcher).await;
    holds(&channel, methods, watcher, bases).await;
    let same = json!({ "requestId": "same", "member": card("D-poor"), "insurance": insurance("440300") });
    send("UpdateInsurance", same).await.expect_err("nothing changes");
    let filings = [
        filing("SZ-CARD-1002", "SZ-CARD-1002", "RELATION_CHILD"),
        filing("SZ-CARD-1002", "SZ-CARD-1001", "RELATION_PARENT"),
        filing("SZ-CARD-1004", "SZ-CARD-1001", "RELATION_PARENT"),
        filing("D-suspended", "D-patient", "RELATION_CHILD"),
        filing("D-no-account", "D-patient", "RELATION_CHILD"),
        filing("D-rich", "D-suspended", "RELATION_CHILD"),
        filing("D-rich", "D-ended", "RELATION_CHILD"),
        with(filing("D-tier-2", "D-patient", "RELATION_CHILD"), "startDate", "2023-05-01"),
        with(filing("D-rich", "D-patient", "RELATION_SIBLING"), "startDate", "2024-01-01"),
        with(filing("HZ-CARD-2001", "HZ-CARD-2002", "RELATION_SPOUSE"), "startDate", "2015-06-01"),
        with(filing("D-rich", "D-patient", "RELATION_CHILD"), "grants", json!(["GRANT_PAY_PREMIUMS"])),
    ];
    for (place, filing) in filings.into_iter().enumerate() {
        let refused = send("CreateBinding", with(filing.clone(), "requestId", format!("directed-{place}"))).await;
        assert!(refused.is_err(), "{filing} was allowed");
        let _ = send("CheckBinding", filing).await;
    }
    let sharing = json!({
        "ownerRegionCode": "440300", "beneficiaryRegionCode": "440100", "relation": "RELATION_CHILD", "on": "2022-06-01",
    });
    send("CheckSharing", sharing).await.expect("an answer");
    // Bindings with whatever evidence is asked for: until one person has as many as this server keeps, a second family of one
    // person, and a family that is too large.
    let mut rows = vec![
        ("D-rich", "D-patient".to_owned(), 1, ""),
        ("D-poor", "D-patient".to_owned(), 1_000, ""),
        ("CD-CARD-4001", "HE-CARD-3002".to_owned(), 1_000, ""),
        ("D-family-1", "D-joined".to_owned(), 1_000, ""),
        ("D-family-2", "D-joined".to_owned(), 1_000, "ALREADY_IN_ANOTHER_FAMILY"),
    ];
    for (owner, member, last, refusal) in
        [("D-rich", "ward", 6, "BINDINGS_PER_MEMBER_EXCEEDED"), ("D-house", "kin", 7, "FAMILY_SIZE_EXCEEDED")]
    {
        let told = |number| if number == last { refusal } else { "" };
        rows.extend((1..=last).map(|number| (owner, format!("D-{member}-{number}"), 1_000, told(number))));
    }
    let mut first = String::new();
    for (place, (owner, patient, cap, refusal)) in rows.into_iter().enumerate() {
        let mut filing = with(filing(owner, &patient, "RELATION_SIBLING"), "caps", json!({ "perDayFen": cap }));
        filing["evidence"] = json!([]);
        let check = send("CheckBinding", filing.clone()).await.expect("an answer");
        let missing = check.get_field_by_name("missing_evidence").expect("a field").into_owned();
        let missing = missing.as_list().expect("a list").iter().filter_map(|kind| kind.as_str().map(str::to_owned));
        filing["evidence"] = missing.map(|kind| json!({ "type": kind, "reference": "paper" })).collect();
        let answer = send("CreateBinding", with(filing, "requestId", format!("made-{place}"))).await;
        let told = answer.as_ref().err().and_then(|status| status.get_details_error_info()).map(|info| info.reason);
        assert_eq!(told.unwrap_or_default(), refusal, "{owner} {patient}: {answer:?}");
        if let (0, Ok(binding)) = (place, answer) {
            first = text_at(&binding, &["binding", "binding_id"]);
        }
    }
    // A pool with every limit: the last two columns are the day filed for and the refusal,
    // by the numbers of the day it is filed on.
    for (place, (owner, member, start, refusal)) in [
        ("D-head", "D-limit-1", "2024-06-01", ""),
        ("D-head", "D-limit-2", "2024-06-01", ""),
        ("D-head", "D-limit-3", "2025-02-01", ""),
        ("D-head", "D-limit-4", "2025-02-01", "MEMBERS_PER_OWNER_EXCEEDED"),
        ("D-head-2", "D-limit-1", "2025-02-01", ""),
        ("D-head-3", "D-limit-1", "2025-02-01", "OWNERS_PER_MEMBER_EXCEEDED"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut filing = with(filing(owner, member, "RELATION_CHILD"), "startDate", start);
        filing["evidence"] = ["OWNER_ID", "BENEFICIARY_ID", "COMMITMENT"]
            .map(|kind| json!({ "type": kind, "reference": "paper" }))
            .into_iter()
            .collect();
        let answer = send("CreateBinding", with(filing, "requestId", format!("limit-{place}"))).await;
        let told = answer.as_ref().err().and_then(|status| status.get_details_error_info()).map(|info| info.reason);
        assert_eq!(told.unwrap_or_default(), refusal, "{owner} {member} {start}: {answer:?}");
    }
    send("GetAccount", json!({ "member": card("SZ-CARD-1004") })).await.expect_err("no account");
    // More than one account may hold.
    let mut number = 0;
    loop {
        number += 1;
        let credit = json!({
            "requestId": format!("rich-{number}"), "member": card("D-rich"), "bucket": "BUCKET_PRIOR_YEARS",
            "amountFen": 1_000_000_000_000_i64, "kind": "CREDIT_KIND_MONTHLY",
        });
        if send("CreditAccount", credit).await.is_err() {
            break;
        }
        assert!(number < 2_000, "an account holds anything");
    }
    // Who pays for the patient: capped, empty, in another province.
    for (number, patient) in ["D-patient", "D-patient", "HE-CARD-3002"].into_iter().enumerate() {
        let settle =
            with(with(bases.of("Settle", 1), "patient", card(patient)), "requestId", format!("capped-{number}"));
        send("Settle", settle).await.expect("cash is always an answer");
    }
    let refund = with(
        with(bases.of("RefundSettlement", 0), "requestId", "too-much"),
        "parts",
        json!({ "fundFen": 1_000_000_000 }),
    );
    send("RefundSettlement", refund).await.expect_err("more than was paid");
    // A quote that another settlement makes stale, and that then expires.
    let quote = with(bases.of("QuoteSettlement", 0), "patient", card("SZ-CARD-1003"));
    let token = send("QuoteSettlement", quote.clone()).await.expect("a quote");
    let token = token.get_field_by_name("quote_token").expect("a field").as_str().expect("a text").to_owned();
    let credit = with(bases.of("CreditAccount", 0), "member", card("SZ-CARD-1003"));
    let credit = with(with(credit, "requestId", "spent"), "kind", "CREDIT_KIND_CORRECTION");
    let account = send("GetAccount", json!({ "member": card("SZ-CARD-1003") })).await.expect("an account");
    let account = account.get_field_by_name("account").expect("a field").as_message().expect("a message").clone();
    for bucket in account.get_field_by_name("buckets").expect("a field").as_list().expect("a list") {
        let bucket = bucket.as_message().expect("a message");
        let number = |name: &str| bucket.get_field_by_name(name).expect("a field").into_owned();
        let (kind, posted) = (number("bucket").as_enum_number(), number("available_fen").as_i64().expect("fen"));
        if posted > 0 {
            let credit = with(credit.clone(), "requestId", format!("spent-{kind:?}"));
            let credit = with(with(credit, "bucket", kind), "amountFen", -posted);
            send("CreditAccount", credit).await.expect("a correction");
        }
    }
    let settle = with(with(quote, "requestId", "stale"), "quoteToken", token);
    let deadline = tokio::time::Instant::now() + DEADLINE;
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    loop {
        let refused = send("Settle", settle.clone()).await.expect_err("the quote no longer holds");
        if refused.get_details_error_info().is_some_and(|info| info.reason == "QUOTE_EXPIRED") {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "a quote of a second does not expire: {refused:?}");
        tick.tick().await;
    }
    for number in 0..2 {
        let release = json!({
            "requestId": format!("release-{number}"), "bindingId": first, "requestedBy": "BINDING_PARTY_OWNER",
            "channel": "CHANNEL_AGENCY_WINDOW", "evidence": pieces(&["OWNER_CARD", "USER_CARD_NUMBER"]),
        });
        assert_eq!(send("ReleaseBinding", release).await.is_ok(), number == 0);
    }
}

/// What holds and resolutions are refused for.
async fn holds(channel: &Channel, methods: &[MethodDescriptor], watcher: &Watcher, bases: &Bases) {
    let send = |name: &'static str, json: Json| async move { ask(channel, methods, watcher, name, &json).await };
    let refused = async |name: &'static str, json: Json, reason: &str| {
        let status = send(name, json).await.expect_err(reason);
        assert_eq!(status.get_details_error_info().expect("a reason").reason, reason);
    };
    let patient = |base: Json| with(base, "patient", card("D-young"));
    let hold = |request: &str, seconds: u32| {
        let base = with(patient(bases.of("HoldSettlement", 0)), "requestId", request);
        with(base, "holdFor", format!("{seconds}s"))
    };
    let about =
        |request: &str, id: &str| json!({ "requestId": request, "institutionCode": "H001", "settlementId": id });
    let resolve = |request: &str, original: &str| {
        json!({
            "requestId": request, "institutionCode": "H001", "originalRequestId": original,
            "onMissing": "ON_MISSING_FENCE", "ifApplied": "IF_APPLIED_REVERSE",
        })
    };
    let money = json!({
        "requestId": "young-money", "member": card("D-young"), "bucket": "BUCKET_PRIOR_YEARS", "amountFen": 5_000,
        "kind": "CREDIT_KIND_MONTHLY",
    });
    send("CreditAccount", money.clone()).await.expect("credited");
    let mut ids = Vec::new();
    for request in ["young-1", "young-2", "young-3", "young-4"] {
        let held = send("HoldSettlement", hold(request, 3_600)).await.expect("held");
        ids.push(text_at(&held, &["settlement", "settlement_id"]));
    }
    refused("HoldSettlement", hold("young-5", 3_600), "HOLDS_PER_MEMBER_EXCEEDED").await;
    refused("RefundSettlement", with(about("young-6", &ids[0]), "whole", true), "HOLD_OPEN").await;
    let much = with(about("young-7", &ids[0]), "accountsFen", 1_000_000);
    refused("ConfirmSettlement", much, "CONFIRM_EXCEEDS_HELD").await;
    send("ConfirmSettlement", about("young-8", &ids[0])).await.expect("confirmed");
    refused("ReleaseHold", about("young-9", &ids[0]), "HOLD_CONFIRMED").await;
    let part = |request: &str| with(about(request, &ids[0]), "parts", json!({ "accountsFen": 1 }));
    for request in ["young-part-1", "young-part-2"] {
        send("RefundSettlement", part(request)).await.expect("refunded");
    }
    refused("RefundSettlement", part("young-part-3"), "REFUNDS_PER_SETTLEMENT_EXCEEDED").await;
    for (place, id) in ids[1..].iter().enumerate() {
        send("ReleaseHold", about(&format!("young-free-{place}"), id)).await.expect("released");
    }
    refused("ConfirmSettlement", about("young-10", &ids[1]), "HOLD_RELEASED").await;
    refused("ResolveOutcome", resolve("young-11", "young-free-0"), "NOT_REVERSIBLE").await;
    refused("ReleaseHold", about("young-12", &bases.settlement), "NOT_HELD").await;
    send("ResolveOutcome", resolve("young-13", "young-14")).await.expect("fenced");
    let late = with(patient(bases.of("Settle", 1)), "requestId", "young-14");
    refused("Settle", late, "REQUEST_FENCED").await;
    // A refund whose money is taken away.
    let settled = send("Settle", with(patient(bases.of("Settle", 1)), "requestId", "young-15")).await.expect("settled");
    let settled = text_at(&settled, &["settlement", "settlement_id"]);
    send("RefundSettlement", with(about("young-16", &settled), "whole", true)).await.expect("refunded");
    let account = send("GetAccount", json!({ "member": card("D-young") })).await.expect("an account");
    let account = account.get_field_by_name("account").expect("a field").as_message().expect("a message").clone();
    let buckets = account.get_field_by_name("buckets").expect("a field").into_owned();
    let posted = buckets.as_list().expect("a list")[1].as_message().expect("a message").clone();
    let posted = posted.get_field_by_name("posted_fen").expect("a field").as_i64().expect("fen");
    let back = with(with(money, "requestId", "young-17"), "kind", "CREDIT_KIND_CORRECTION");
    send("CreditAccount", with(back, "amountFen", -posted)).await.expect("a correction");
    refused("ResolveOutcome", resolve("young-18", "young-16"), "REFUND_SPENT").await;
    // A hold of a second runs out.
    let held = send("HoldSettlement", hold("young-19", 1)).await.expect("held");
    let id = text_at(&held, &["settlement", "settlement_id"]);
    let deadline = tokio::time::Instant::now() + DEADLINE;
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    let get = json!({ "settlementId": id, "explanationView": "EXPLANATION_VIEW_NONE" });
    loop {
        let found = send("GetSettlement", get.clone()).await.expect("found");
        let found = found.get_field_by_name("settlement").expect("a field").as_message().expect("a message").clone();
        if found.get_field_by_name("state").expect("a field").as_enum_number() == Some(4) {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "a hold of a second does not run out");
        tick.tick().await;
    }
    refused("ConfirmSettlement", about("young-20", &id), "HOLD_EXPIRED").await;
}

/// How many holds the server ended by itself.
async fn expired(channel: &Channel) -> i64 {
    let mut client = LedgerServiceClient::new(channel.clone());
    let (mut found, mut from) = (0, 1);
    loop {
        let request = proto::ListRecordsRequest { from_position: from, page_size: 500, ..Default::default() };
        let page = client.list_records(request).await.expect("records").into_inner();
        let of_holds = page.records.iter().filter(|record| record.kind() == proto::RecordKind::HoldExpired);
        found += i64::try_from(of_holds.count()).expect("few");
        match page.records.last() {
            Some(last) => from = last.position + 1,
            None => return found,
        }
    }
}

fn pieces(kinds: &[&str]) -> Json {
    kinds.iter().map(|kind| json!({ "type": kind, "reference": "paper" })).collect()
}

/// Cards, steps and orders that are refused.
async fn steps(channel: &Channel, methods: &[MethodDescriptor], watcher: &Watcher) {
    let send = |name: &'static str, json: Json| async move { ask(channel, methods, watcher, name, &json).await };
    let swiped = with(filing("D-cold", "D-young", "RELATION_CHILD"), "evidence", pieces(&["OWNER_CARD"]));
    let _ = send("CheckBinding", swiped).await.expect("an answer");
    let family_code = with(filing("D-rich", "D-young", "RELATION_CHILD"), "channel", "CHANNEL_FAMILY_CODE");
    let _ = send("CheckBinding", family_code).await.expect("an answer");
    // A family service that waits for the face; then a step that is none of its own, and one too many.
    let kinds = ["E_CARD_PASSWORD", "NOTICE_CONSENT", "IDENTITY_PROOF"];
    let mut service = with(filing("D-rich", "D-young", "RELATION_CHILD"), "channel", "CHANNEL_E_CARD_FAMILY_SERVICE");
    service["evidence"] = pieces(&kinds);
    let made = send("CreateBinding", with(service, "requestId", "service")).await.expect("a binding that waits");
    let id = text_at(&made, &["binding", "binding_id"]);
    for (place, kind) in ["OFFICE_APPROVAL", "FACE_CHECK", "FACE_CHECK"].into_iter().enumerate() {
        let verify = json!({ "requestId": format!("verify-{place}"), "bindingId": id, "evidence": pieces(&[kind]) });
        assert_eq!(send("VerifyBinding", verify).await.is_ok(), place == 1);
    }
    // An app whose office has not approved: it would spend, but may not yet.
    let kinds = ["REAL_NAME_LOGIN", "BENEFICIARY_ID", "RELATION_PROOF", "COMMITMENT"];
    let mut app = with(filing("D-poor", "D-young", "RELATION_SIBLING"), "channel", "CHANNEL_CITY_APP");
    app["evidence"] = pieces(&kinds);
    app["lastDay"] = json!("2027-01-01");
    let waiting = send("CreateBinding", with(app, "requestId", "app")).await.expect("a binding that waits");
    let waiting = text_at(&waiting, &["binding", "binding_id"]);
    let payers = json!({ "patient": card("D-young"), "purpose": "PURPOSE_OUTPATIENT", "personPartFen": 100 });
    send("ListPayers", payers).await.expect("an answer");
    let quota =
        |name: &str, binding: &str, fen: i64| json!({ "requestId": name, "bindingId": binding, "quotaFen": fen });
    send("SetQuota", quota("quota-1", &waiting, 100)).await.expect_err("not verified");
    let approved = json!({ "requestId": "approved", "bindingId": waiting, "evidence": pieces(&["OFFICE_APPROVAL"]) });
    send("VerifyBinding", approved).await.expect("approved");
    send("SetQuota", quota("quota-2", &waiting, 100)).await.expect_err("has a last day");
    let bound = with(filing("HE-CARD-3001", "HE-CARD-3002", "RELATION_CHILD"), "evidence", pieces(&["OWNER_ID"]));
    let _ = send("CheckBinding", bound).await;
    let listed = send("ListBindings", json!({ "owner": card("SZ-CARD-1003") })).await.expect("bindings");
    let open = text_at(&listed, &["bindings", "binding_id"]);
    send("SetQuota", quota("quota-3", &open, 100)).await.expect_err("no quotas before 2026");
    send("SetQuota", quota("quota-4", &open, 0)).await.expect_err("none is set");
    let order = json!({ "requestId": "order", "beneficiary": card("D-young"), "bindingIds": [id] });
    send("ReorderBindings", order).await.expect_err("the larger balance pays first");
    // Cards: no card, another bank, then active, then active already.
    let member = json!({
        "requestId": "without-card", "name": "测试", "idNumber": id_number(330_000), "insurance": insurance("440300"),
    });
    let made = send("CreateMember", member).await.expect("a person");
    let without = text_at(&made, &["member", "member_id"]);
    let activate = |name: &str, member: Json, bank: &str| {
        json!({
            "requestId": name, "member": member, "channel": "CARD_CHANNEL_ISSUING_BANK", "bankCode": bank,
            "evidence": pieces(&["HOLDER_ID", "HOLDER_CARD", "APPLICATION_FORM"]),
        })
    };
    send("ActivateCard", activate("card-1", json!({ "memberId": without }), "BANK-9")).await.expect_err("no card");
    send("ActivateCard", activate("card-2", card("D-cold"), "BANK-1")).await.expect_err("another bank's");
    send("ActivateCard", activate("card-3", card("D-cold"), "BANK-9")).await.expect("activated");
    send("ActivateCard", activate("card-4", card("D-cold"), "BANK-9")).await.expect_err("active");
}

/// Wallets that are not there, and transfers that are too large or too many.
async fn wallets(channel: &Channel, methods: &[MethodDescriptor], watcher: &Watcher) {
    let send = |name: &'static str, json: Json| async move { ask(channel, methods, watcher, name, &json).await };
    let transfer = |number: usize, fen: i64| {
        json!({
            "requestId": format!("wallet-{number}"), "owner": card("CD-CARD-4001"), "beneficiary": card("HE-CARD-3001"),
            "relation": "RELATION_SIBLING", "amountFen": fen, "commitmentRef": "C1",
        })
    };
    send("TransferFunds", transfer(0, 100)).await.expect_err("no wallets");
    for (place, owner) in ["CD-CARD-4001", "HE-CARD-3001", "HE-CARD-3001"].into_iter().enumerate() {
        let open = json!({ "requestId": format!("open-{place}"), "member": card(owner) });
        assert_eq!(send("OpenWallet", open).await.is_ok(), place < 2);
    }
    send("TransferFunds", transfer(1, 200_001)).await.expect_err("too large");
    let beforehand = with(transfer(6, 100), "mode", "MODE_TRANSFER_BEFOREHAND");
    send("TransferFunds", beforehand).await.expect_err("no way between these two regions");
    let mut last = String::new();
    for number in 2..6 {
        match send("TransferFunds", transfer(number, 100)).await {
            Ok(sent) => last = text_at(&sent, &["transfer_id"]),
            Err(_) => assert_eq!(number, 5, "three a day"),
        }
    }
    for number in 0..2 {
        let claim = json!({
            "requestId": format!("claim-{number}"), "transferId": last, "beneficiary": card("HE-CARD-3001"),
        });
        assert_eq!(send("ClaimTransfer", claim).await.is_ok(), number == 0);
    }
}
