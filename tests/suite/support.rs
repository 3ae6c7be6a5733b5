//! A server in this process, spoken to over its own wire. Methods are the user's verbs; defaults are short.
//!
//! Whatever fails is checked on its way through: every error carries domain, a reason of the contract and a sentence in
//! Chinese. Whatever ends is checked at its end: the ledger replays to what the accounts hold.

use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread::JoinHandle;

use gongji::config::{Config, Given};
use gongji::domain::policy::PolicyBook;
use gongji::domain::time::Moment;
pub use gongji::grpc::proto;
use gongji::grpc::{Api, server_info};
use gongji::ledger::Ledger;
use gongji::ledger::source::{Clock, RandomIds};
use gongji::policy::{self, PolicyFiles};
use gongji::server::{self, ServerError};
use gongji::store::Store;
use gongji::store::embedded::{EmbeddedOptions, Faults};
use gongji::store::memory::MemoryStore;
use gongji::store::postgres::{PostgresOptions, PostgresStore};
use tempfile::TempDir;

use crate::postgres::Database;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
pub use tonic::Code;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};
use tonic_types::StatusExt;

/// Half past nine in the morning of an ordinary day, Chinese time.
pub const MORNING: &str = "2025-03-03T09:30:00+08:00";
/// The hospital of tests that need only one.
pub const HOSPITAL: &str = "H001";

/// A clock that stands still until it is set.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    pub fn set(&self, instant: &str) {
        let instant: jiff::Timestamp = instant.parse().expect("an instant");
        self.0.store(instant.as_microsecond(), Ordering::SeqCst);
    }

    pub fn add_seconds(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Moment {
        Moment::from_micros(self.0.load(Ordering::SeqCst))
    }

    fn is_shifted(&self) -> bool {
        true
    }
}

/// The embedded policies, read once for all tests.
pub fn book() -> Arc<PolicyBook> {
    static BOOK: OnceLock<Arc<PolicyBook>> = OnceLock::new();
    BOOK.get_or_init(|| Arc::new(policy::load(&PolicyFiles::embedded()).expect("the embedded policies are good")))
        .clone()
}

/// Where a server keeps its ledger.
enum Place {
    /// A store that lives as long as the test; closed and found again it would be another one.
    Memory,
    Embedded(TempDir),
    Postgres(Database),
    Given(Arc<dyn Store>),
}

/// How a server starts.
pub struct Setup {
    place: Place,
    pub faults: Arc<Faults>,
    pub config: Config,
    pub clock: Arc<ManualClock>,
    pub book: Arc<PolicyBook>,
    /// From where ids are drawn; each start draws others.
    pub ids: u64,
    /// Whether the ledger is replayed at the end; not where the store was broken on purpose.
    pub check_at_end: bool,
}

impl Setup {
    fn new(place: Place) -> Self {
        let clock = Arc::new(ManualClock(AtomicI64::new(0)));
        clock.set(MORNING);
        // The clock is the test's, so what the server does at night, by the clock and by itself is the test's to call.
        let (return_unclaimed_at, hold_sweep_ms) = (Some(String::new()), Some(0));
        let close_year_per_second = Some(0);
        // A test's client answers only while the test waits for it.
        let keepalive_ms = Some(3_600_000);
        let given =
            Given { return_unclaimed_at, hold_sweep_ms, close_year_per_second, keepalive_ms, ..Given::default() };
        let config = Config::read(given, None, true).expect("the defaults are good");
        Self { place, faults: Arc::default(), config, clock, book: book(), ids: 0x6061, check_at_end: true }
    }

    pub fn memory() -> Self {
        Self::new(Place::Memory)
    }

    pub fn embedded() -> Self {
        Self::new(Place::Embedded(tempfile::tempdir().expect("a temporary directory")))
    }

    pub fn postgres() -> Self {
        Self::new(Place::Postgres(crate::store::ledger_database()))
    }

    pub fn over(store: Arc<dyn Store>) -> Self {
        Self::new(Place::Given(store))
    }

    pub fn with(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    pub fn start(self) -> TestServer {
        TestServer::start(self)
    }
}

/// Runs a case on every store there is.
pub fn for_each_store(case: impl Fn(Setup)) {
    println!("--- on the memory store");
    case(Setup::memory());
    println!("--- on the embedded store");
    case(Setup::embedded());
    println!("--- on the postgres store");
    case(Setup::postgres());
}

/// A running server.
pub struct TestServer {
    setup: Setup,
    running: Option<Running>,
    /// How often it was started: every start draws other ids, as a process would.
    starts: u64,
}

struct Running {
    ledger: Arc<Ledger>,
    address: SocketAddr,
    /// None: it has been told.
    stop: Option<oneshot::Sender<()>>,
    thread: JoinHandle<Result<(), ServerError>>,
    client: Runtime,
    channel: Channel,
}

impl TestServer {
    fn start(setup: Setup) -> Self {
        let mut server = Self { setup, running: None, starts: 0 };
        server.open();
        server
    }

    fn open(&mut self) {
        self.starts += 1;
        let setup = &self.setup;
        let ids = Arc::new(RandomIds::from_seed(setup.ids + self.starts));
        let store: Arc<dyn Store> = match &setup.place {
            Place::Memory => Arc::new(MemoryStore::new(ids.secret(), setup.config.memory_records)),
            Place::Given(store) => store.clone(),
            Place::Postgres(database) => {
                PostgresStore::open(PostgresOptions::new(database.url())).expect("the database serves")
            }
            Place::Embedded(dir) => {
                let mut options = EmbeddedOptions::new(dir.path().join("ledger"), ids.secret());
                options.faults = Some(setup.faults.clone());
                crate::store::opened(&options)
            }
        };
        let ledger = Ledger::new(store, setup.book.clone(), setup.clock.clone(), ids, setup.config.ledger_limits());
        let info = server_info::Info {
            started_at: ledger.now(),
            limits: setup.config.told_limits(),
            policy_differences: Vec::new(),
        };
        let reveal = setup.config.reveal_personal_data;
        let ledger = Arc::new(ledger);
        let api = Api::new(ledger.clone(), setup.config.wire_limits(), reveal, info);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel();
        let config = setup.config.clone();
        let serve = move || {
            let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
            let stop = async move { drop(stopped.await) };
            runtime.block_on(server::run(listener, &config, Arc::new(api), stop))
        };
        let thread = std::thread::spawn(serve);
        let client = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let channel = client.block_on(async { connect_to(address) });
        self.running = Some(Running { ledger, address, stop: Some(stop), thread, client, channel });
    }

    /// The same database, for another server.
    pub fn another_store(&self) -> Arc<dyn Store> {
        let Place::Postgres(database) = &self.setup.place else { panic!("only a database has several servers") };
        PostgresStore::open(PostgresOptions::new(database.url())).expect("the database serves")
    }

    /// Tells the server to stop, and does not wait for it.
    pub fn begin_stop(&mut self) {
        if let Some(stop) = self.running.as_mut().and_then(|running| running.stop.take()) {
            let _ = stop.send(());
        }
    }

    /// Lets running calls finish and ends the server.
    fn close(&mut self) {
        self.begin_stop();
        let Some(Running { thread, client, channel, .. }) = self.running.take() else { return };
        drop(channel);
        drop(client);
        let ended = thread.join().expect("the server's thread ends well");
        if self.setup.check_at_end {
            ended.expect("the server ends well");
        }
    }

    /// Ends the server and starts it again on what it kept. A store that keeps nothing beyond its own life goes on living.
    pub fn restart(&mut self) {
        self.restart_after(|_| {});
    }

    /// The same, with something that comes to pass while it is away.
    pub fn restart_after(&mut self, meanwhile: impl FnOnce(&ManualClock)) {
        let is_kept = matches!(self.setup.place, Place::Embedded(_) | Place::Postgres(_));
        if is_kept {
            self.close();
        }
        meanwhile(&self.setup.clock);
        if is_kept {
            self.open();
        }
    }

    /// The same data under another configuration or other policies.
    pub fn restart_with(&mut self, change: impl FnOnce(&mut Setup)) {
        self.close();
        change(&mut self.setup);
        self.open();
    }

    /// Ends the server; where its data lie, for a command that reads them.
    pub fn stop(&mut self) -> std::path::PathBuf {
        self.check_and_close();
        match &self.setup.place {
            Place::Embedded(dir) => dir.path().join("ledger"),
            Place::Memory | Place::Postgres(_) | Place::Given(_) => panic!("nothing is kept in a folder"),
        }
    }

    fn check_and_close(&mut self) {
        // A server that is stopping takes no more calls.
        let serves = self.running.as_ref().is_some_and(|running| running.stop.is_some());
        if self.setup.check_at_end && serves {
            let found = self.check_ledger(proto::CheckLedgerRequest {}).expect("the ledger is checked");
            assert!(found.ok, "{:#?}", found.problems);
        }
        self.close();
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("the server runs between calls")
    }

    /// What the server itself works with, for what has no method of its own.
    pub fn ledger(&self) -> Arc<Ledger> {
        self.running().ledger.clone()
    }

    pub fn clock(&self) -> &ManualClock {
        &self.setup.clock
    }

    pub fn faults(&self) -> &Faults {
        &self.setup.faults
    }

    /// Runs something of the client's.
    pub fn wait<F: Future>(&self, future: F) -> F::Output {
        self.running().client.block_on(future)
    }

    /// Where it listens, for clients that keep no rules.
    pub fn address(&self) -> SocketAddr {
        self.running().address
    }

    /// One more connection; to be used within `wait`.
    pub fn connect(&self) -> Channel {
        connect_to(self.running().address)
    }

    /// Connects from another runtime.
    pub fn connect_elsewhere(&self) -> impl AsyncFnOnce() -> Channel + Send + use<> {
        let address = self.running().address;
        async move || connect_to(address)
    }

    pub fn channel(&self) -> Channel {
        self.running().channel.clone()
    }
}

fn connect_to(address: SocketAddr) -> Channel {
    Endpoint::from_shared(format!("http://{address}")).expect("an address").connect_lazy()
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if std::thread::panicking() || self.running.is_none() {
            return;
        }
        self.check_and_close();
    }
}

macro_rules! calls {
    ($($client:ident::$service:ident { $($method:ident $request:ident $response:ident;)* })*) => {
        impl TestServer {
            $($(
                pub fn $method(&self, request: proto::$request) -> Result<proto::$response, Status> {
                    let mut client = proto::$client::$service::new(self.channel());
                    let answer = self.wait(client.$method(request));
                    answer.map(tonic::Response::into_inner).inspect_err(|status| { told(status); })
                }
            )*)*
        }
    };
}

calls! {
    region_service_client::RegionServiceClient {
        get_region GetRegionRequest GetRegionResponse;
        list_regions ListRegionsRequest ListRegionsResponse;
        get_policy GetPolicyRequest GetPolicyResponse;
        list_policy_revisions ListPolicyRevisionsRequest ListPolicyRevisionsResponse;
        check_sharing CheckSharingRequest CheckSharingResponse;
    }
    member_service_client::MemberServiceClient {
        create_member CreateMemberRequest CreateMemberResponse;
        get_member GetMemberRequest GetMemberResponse;
        look_up_member LookUpMemberRequest LookUpMemberResponse;
        update_insurance UpdateInsuranceRequest UpdateInsuranceResponse;
        activate_card ActivateCardRequest ActivateCardResponse;
        record_certification RecordCertificationRequest RecordCertificationResponse;
    }
    account_service_client::AccountServiceClient {
        get_account GetAccountRequest GetAccountResponse;
        credit_account CreditAccountRequest CreditAccountResponse;
        transfer_funds TransferFundsRequest TransferFundsResponse;
        claim_transfer ClaimTransferRequest ClaimTransferResponse;
        open_wallet OpenWalletRequest OpenWalletResponse;
        list_entries ListEntriesRequest ListEntriesResponse;
        close_year CloseYearRequest CloseYearResponse;
        get_year_close GetYearCloseRequest GetYearCloseResponse;
    }
    binding_service_client::BindingServiceClient {
        check_binding CheckBindingRequest CheckBindingResponse;
        create_binding CreateBindingRequest CreateBindingResponse;
        release_binding ReleaseBindingRequest ReleaseBindingResponse;
        verify_binding VerifyBindingRequest VerifyBindingResponse;
        set_quota SetQuotaRequest SetQuotaResponse;
        reorder_bindings ReorderBindingsRequest ReorderBindingsResponse;
        get_binding GetBindingRequest GetBindingResponse;
        list_bindings ListBindingsRequest ListBindingsResponse;
        list_payers ListPayersRequest ListPayersResponse;
    }
    settlement_service_client::SettlementServiceClient {
        quote_settlement QuoteSettlementRequest QuoteSettlementResponse;
        settle SettleRequest SettleResponse;
        batch_settle BatchSettleRequest BatchSettleResponse;
        refund_settlement RefundSettlementRequest RefundSettlementResponse;
        hold_settlement HoldSettlementRequest HoldSettlementResponse;
        confirm_settlement ConfirmSettlementRequest ConfirmSettlementResponse;
        release_hold ReleaseHoldRequest ReleaseHoldResponse;
        resolve_outcome ResolveOutcomeRequest ResolveOutcomeResponse;
        get_settlement GetSettlementRequest GetSettlementResponse;
        list_settlements ListSettlementsRequest ListSettlementsResponse;
    }
    ledger_service_client::LedgerServiceClient {
        get_head GetHeadRequest GetHeadResponse;
        list_records ListRecordsRequest ListRecordsResponse;
        check_ledger CheckLedgerRequest CheckLedgerResponse;
    }
    calculation_service_client::CalculationServiceClient {
        calculate_contribution CalculateContributionRequest CalculateContributionResponse;
        calculate_pension CalculatePensionRequest CalculatePensionResponse;
        assess_contribution_gap AssessContributionGapRequest AssessContributionGapResponse;
        calculate_certification_due CalculateCertificationDueRequest CalculateCertificationDueResponse;
    }
    server_service_client::ServerServiceClient {
        get_server_info GetServerInfoRequest GetServerInfoResponse;
    }
}

/// What an error tells besides its code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub code: Code,
    pub reason: String,
    pub metadata: std::collections::HashMap<String, String>,
    /// Bad fields, in order of their names.
    pub fields: Vec<String>,
    pub retry: bool,
}

/// Reads an error, which must carry all that the contract promises of every error.
pub fn told(status: &Status) -> Told {
    let details = status.get_error_details();
    let info = details.error_info().unwrap_or_else(|| panic!("no ErrorInfo: {status:?}"));
    assert_eq!(info.domain, "gongji", "{status:?}");
    let name = format!("REASON_{}", info.reason);
    assert!(proto::Reason::from_str_name(&name).is_some(), "{name} is no reason of the contract");
    let message = details.localized_message().unwrap_or_else(|| panic!("no LocalizedMessage: {status:?}"));
    assert_eq!(message.locale, "zh-CN");
    assert!(message.message.ends_with('。') && !message.message.is_ascii(), "{:?}", message.message);
    let mut fields: Vec<String> = details
        .bad_request()
        .map(|bad| bad.field_violations.iter().map(|violation| violation.field.clone()).collect())
        .unwrap_or_default();
    let names_fields = ["INVALID_FIELDS", "PAGE_TOKEN_INVALID", "QUOTE_TOKEN_INVALID"].contains(&info.reason.as_str());
    assert_eq!(names_fields, !fields.is_empty(), "bad fields are named: {status:?}");
    fields.sort();
    Told {
        code: status.code(),
        reason: info.reason.clone(),
        metadata: info.metadata.clone(),
        fields,
        retry: details.retry_info().is_some(),
    }
}

/// `CODE REASON`, and after that the bad fields: how an error is written in tables.
pub fn words(status: &Status) -> String {
    let Told { code, reason, fields, .. } = told(status);
    let code = format!("{code:?}");
    if fields.is_empty() { format!("{code} {reason}") } else { format!("{code} {reason} {}", fields.join(" ")) }
}

/// An error that stands in an answer, as the call of its own would have ended.
pub fn as_status(inner: &tonic_types::Status) -> Status {
    Status::with_details(inner.code.into(), inner.message.clone(), prost::Message::encode_to_vec(inner).into())
}

/// The words of a call that must fail.
#[track_caller]
pub fn failed<T: std::fmt::Debug>(answer: Result<T, Status>) -> String {
    words(&answer.expect_err("the call must fail"))
}

/// An identity number that is valid: born on that day, the last but one digit tells the sex.
pub fn id_number(birth: &str, sequence: u32) -> String {
    let body = format!("440305{birth}{:03}", sequence % 1000);
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let sum: u32 = body.bytes().zip(WEIGHTS).map(|(digit, weight)| u32::from(digit - b'0') * weight).sum();
    let check = b"10X98765432"[(sum % 11) as usize];
    format!("{body}{}", char::from(check))
}

pub fn by_id(id: &str) -> Option<proto::MemberRef> {
    Some(proto::MemberRef { r#ref: Some(proto::member_ref::Ref::MemberId(id.to_owned())) })
}

pub fn by_card(card: &str) -> Option<proto::MemberRef> {
    Some(proto::MemberRef { r#ref: Some(proto::member_ref::Ref::CardNumber(card.to_owned())) })
}

/// An employee in a normal state with an account, the first tier in Shenzhen.
pub fn person(number: u32, region: &str) -> proto::CreateMemberRequest {
    let tier = if region == "440300" { "1" } else { "" };
    proto::CreateMemberRequest {
        request_id: format!("member-{number}"),
        name: format!("张{number}"),
        id_number: id_number(&format!("19{:02}0101", 10 + number / 1000), number),
        card_number: Some(format!("CARD-{number}")),
        insurance: Some(proto::Insurance {
            scheme: proto::Scheme::Employee as i32,
            tier: tier.to_owned(),
            state: proto::InsuranceState::Normal as i32,
            region_code: region.to_owned(),
            has_account: true,
            start_date: "2008-01-01".to_owned(),
        }),
        ..Default::default()
    }
}

/// A bill decided elsewhere of which the person owes everything as co-payment.
pub fn co_payment(fen: i64) -> proto::Bill {
    let parts = proto::AdjudicatedBill { person_part_fen: fen, ..Default::default() };
    proto::Bill { total_fen: fen, lines: Vec::new(), adjudicated: Some(parts) }
}

/// An outpatient visit at a level-two hospital in Shenzhen on the day of `MORNING`.
pub fn visit() -> proto::Visit {
    proto::Visit {
        institution_kind: proto::InstitutionKind::Level2 as i32,
        care_region_code: "440300".to_owned(),
        purpose: proto::Purpose::Outpatient as i32,
        visit_date: MORNING[..10].to_owned(),
        external_refs: None,
    }
}

pub fn settle(request_id: &str, patient: &str, fen: i64) -> proto::SettleRequest {
    proto::SettleRequest {
        request_id: request_id.to_owned(),
        institution_code: HOSPITAL.to_owned(),
        patient: by_id(patient),
        visit: Some(visit()),
        bill: Some(co_payment(fen)),
        ..Default::default()
    }
}

/// A hold for what a request would settle.
pub fn hold_of(request: &proto::SettleRequest, seconds: i64) -> proto::HoldSettlementRequest {
    let request = request.clone();
    proto::HoldSettlementRequest {
        request_id: request.request_id,
        institution_code: request.institution_code,
        patient: request.patient,
        visit: request.visit,
        bill: request.bill,
        paper_authorisations: request.paper_authorisations,
        quote_token: request.quote_token,
        hold_for: Some(prost_types::Duration { seconds, nanos: 0 }),
        explanation_view: request.explanation_view,
    }
}

/// Confirms all that is held.
pub fn confirm(request_id: &str, settlement_id: &str) -> proto::ConfirmSettlementRequest {
    proto::ConfirmSettlementRequest {
        request_id: request_id.to_owned(),
        institution_code: HOSPITAL.to_owned(),
        settlement_id: settlement_id.to_owned(),
        ..Default::default()
    }
}

pub fn release_of(request_id: &str, settlement_id: &str) -> proto::ReleaseHoldRequest {
    proto::ReleaseHoldRequest {
        request_id: request_id.to_owned(),
        institution_code: HOSPITAL.to_owned(),
        settlement_id: settlement_id.to_owned(),
    }
}

/// Fences what did not happen, keeps what did.
pub fn fence(request_id: &str, original: &str) -> proto::ResolveOutcomeRequest {
    proto::ResolveOutcomeRequest {
        request_id: request_id.to_owned(),
        institution_code: HOSPITAL.to_owned(),
        original_request_id: original.to_owned(),
        on_missing: proto::OnMissing::Fence as i32,
        if_applied: proto::IfApplied::Keep as i32,
    }
}

/// The quote for what a request would settle.
pub fn quote_of(request: &proto::SettleRequest) -> proto::QuoteSettlementRequest {
    proto::QuoteSettlementRequest {
        institution_code: request.institution_code.clone(),
        patient: request.patient.clone(),
        visit: request.visit.clone(),
        bill: request.bill.clone(),
        paper_authorisations: request.paper_authorisations.clone(),
        explanation_view: request.explanation_view,
        min_ledger_position: 0,
    }
}

pub fn credit(request_id: &str, member: &str, fen: i64) -> proto::CreditAccountRequest {
    proto::CreditAccountRequest {
        request_id: request_id.to_owned(),
        member: by_id(member),
        bucket: proto::Bucket::PriorYears as i32,
        amount_fen: fen,
        kind: proto::CreditKind::Monthly as i32,
        note_ref: String::new(),
    }
}

/// A filing at the agency's window with all that any region asks for there.
pub fn filing(request_id: &str, owner: &str, beneficiary: &str) -> proto::CreateBindingRequest {
    let kinds = ["OWNER_ID", "OWNER_CARD", "BENEFICIARY_ID", "USER_CARD_NUMBER", "COMMITMENT"];
    proto::CreateBindingRequest {
        request_id: request_id.to_owned(),
        owner: by_id(owner),
        beneficiary: by_id(beneficiary),
        relation: proto::Relation::Parent as i32,
        channel: proto::Channel::AgencyWindow as i32,
        evidence: kinds.map(evidence).to_vec(),
        ..Default::default()
    }
}

/// All that any region asks for when a binding is released.
pub fn release_evidence() -> Vec<proto::Evidence> {
    ["APPLICANT_ID", "OWNER_CARD", "USER_CARD_NUMBER", "REAL_NAME_LOGIN", "E_CARD_PASSWORD"].map(evidence).to_vec()
}

pub fn evidence(kind: &str) -> proto::Evidence {
    proto::Evidence { r#type: kind.to_owned(), reference: format!("paper-{kind}"), digest: String::new() }
}

pub fn check_of(filing: &proto::CreateBindingRequest) -> proto::CheckBindingRequest {
    let filing = filing.clone();
    proto::CheckBindingRequest {
        owner: filing.owner,
        beneficiary: filing.beneficiary,
        relation: filing.relation,
        relation_detail: filing.relation_detail,
        channel: filing.channel,
        evidence: filing.evidence,
        start_date: filing.start_date,
        last_day: filing.last_day,
        caps: filing.caps,
        priority: filing.priority,
        explanation_view: filing.explanation_view,
        min_ledger_position: 0,
        grants: filing.grants,
    }
}

pub fn refund_whole(request_id: &str, settlement: &str) -> proto::RefundSettlementRequest {
    proto::RefundSettlementRequest {
        request_id: request_id.to_owned(),
        institution_code: HOSPITAL.to_owned(),
        settlement_id: settlement.to_owned(),
        what: Some(proto::refund_settlement_request::What::Whole(true)),
        explanation_view: 0,
    }
}

pub fn refund_parts(request_id: &str, settlement: &str, parts: proto::RefundParts) -> proto::RefundSettlementRequest {
    let what = Some(proto::refund_settlement_request::What::Parts(parts));
    proto::RefundSettlementRequest { what, ..refund_whole(request_id, settlement) }
}

pub fn settlement_by_id(id: &str) -> proto::GetSettlementRequest {
    let key = Some(proto::get_settlement_request::Key::SettlementId(id.to_owned()));
    proto::GetSettlementRequest { key, ..Default::default() }
}

/// What usually works, in one word each.
impl TestServer {
    /// Records an employee and gives them prior years' money; answers with the id.
    pub fn member(&self, number: u32, region: &str, prior_fen: i64) -> String {
        let member = self.create_member(person(number, region)).expect("a member is recorded").member.expect("set");
        if prior_fen > 0 {
            self.credit_account(credit(&format!("credit-{number}"), &member.member_id, prior_fen)).expect("credited");
        }
        member.member_id
    }

    /// Binds two people at the window; answers with the id.
    pub fn bind(&self, owner: &str, beneficiary: &str) -> String {
        let request_id = format!("bind-{}-{}", &owner[24..], &beneficiary[24..]);
        let bound = self.create_binding(filing(&request_id, owner, beneficiary)).expect("bound");
        bound.binding.expect("set").binding_id
    }

    /// An empty mother and a son with this much: the smallest family, in Shenzhen. Answers `(mother, son)`.
    pub fn family(&self, prior_fen: i64) -> (String, String) {
        let (mother, son) = (self.member(1, "440300", 0), self.member(2, "440300", prior_fen));
        self.bind(&son, &mother);
        (mother, son)
    }

    /// An owner in Gansu who set a quota (共济额度) aside for a relative in Sichuan. Answers `(owner, relative, binding)`.
    pub fn quota(&self, prior_fen: i64, quota_fen: i64) -> (String, String, String) {
        self.clock().set("2026-02-01T09:00:00+08:00");
        let (owner, patient) = (self.member(1, "622900", prior_fen), self.member(2, "510100", 0));
        let binding = self.bind(&owner, &patient);
        let set = proto::SetQuotaRequest {
            request_id: "quota".to_owned(),
            binding_id: binding.clone(),
            quota_fen,
            evidence: ["OWNER_CONSENT", "BENEFICIARY_CONSENT"].map(evidence).to_vec(),
            ..Default::default()
        };
        self.set_quota(set).expect("set");
        (owner, patient, binding)
    }

    pub fn account(&self, member: &str) -> proto::Account {
        let request = proto::GetAccountRequest { member: by_id(member), ..Default::default() };
        self.get_account(request).expect("an account").account.expect("set")
    }

    /// Posted in current year and prior years.
    pub fn balances(&self, member: &str) -> (i64, i64) {
        let account = self.account(member);
        (posted(&account, proto::Bucket::CurrentYear), posted(&account, proto::Bucket::PriorYears))
    }

    pub fn head(&self) -> i64 {
        self.get_head(proto::GetHeadRequest::default()).expect("a head").head.expect("set").position
    }
}

pub fn posted(account: &proto::Account, bucket: proto::Bucket) -> i64 {
    let found = account.buckets.iter().find(|balance| balance.bucket == bucket as i32);
    found.map(|balance| balance.posted_fen).expect("every bucket is shown")
}
