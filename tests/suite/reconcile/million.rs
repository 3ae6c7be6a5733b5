//! A book of many lines in no order against a ledger of as many settlements, with a thousand differences of all seven kinds
//! planted: all are found, none is invented, and the server's memory hardly grows.
//!
//! `GONGJI_LINES=1000000 cargo test --test suite reconcile::million -- --nocapture` compares a million; `GONGJI_SEED=…` takes
//! that seed.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use gongji::domain::bill::{Adjudicated, Bill, BillContent, ExternalRefs, Visit};
use gongji::domain::ids::{InstitutionCode, MemberId, RegionCode, RequestId, SettlementId};
use gongji::domain::money::Money;
use gongji::domain::posting::{Party, Posting};
use gongji::domain::record::{Event, Record, Settled};
use gongji::domain::settlement::{Amounts, Parts, Refund, Settlement};
use gongji::domain::split::Split;
use gongji::domain::time::Moment;
use gongji::domain::vocabulary::{InstitutionKind, Purpose};
use gongji::grpc::proto;
use gongji::grpc::proto::reconciliation_service_client::ReconciliationServiceClient;
use gongji::ledger::fingerprint::Keys;
use gongji::store::embedded::{EmbeddedOptions, EmbeddedStore};
use gongji::store::encoded::Encoded;
use gongji::store::entity::{Basis, Request};
use gongji::store::{Change, Entity, Key, ListKey, ListKind, Store, chain, record};
use jiff::civil::{Date, date, time};

use crate::process::{Dice, PATIENCE, Replay, Server, check_ledger, from_env, run, wait_until};

const HOSPITAL: &str = "H44030001";
const PLANTED: u64 = 1_000;
const KINDS: u64 = 7;
/// The most that a fresh server's memory may grow, whatever the number of lines: with all that it reads the first time.
const GROWTH_KIB: u64 = 100 << 10;
const CACHE_BYTES: &str = "16777216";
const LINES_OF_A_MESSAGE: usize = 1_000;

/// What is planted with a settlement; by number, and the settlement's own in turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Plant {
    OnlyOurs,
    OnlyTheirs,
    Amount,
    State,
    InFlight,
    DateEdge,
    ReversedPair,
}

impl Plant {
    const ALL: [Self; KINDS as usize] = [
        Self::OnlyOurs,
        Self::OnlyTheirs,
        Self::Amount,
        Self::State,
        Self::InFlight,
        Self::DateEdge,
        Self::ReversedPair,
    ];

    fn kind(self) -> proto::DifferenceKind {
        use proto::DifferenceKind as Kind;
        match self {
            Self::OnlyOurs => Kind::OnlyOurs,
            Self::OnlyTheirs => Kind::OnlyTheirs,
            Self::Amount => Kind::Amount,
            Self::State => Kind::State,
            Self::InFlight => Kind::InFlight,
            Self::DateEdge => Kind::DateEdge,
            Self::ReversedPair => Kind::ReversedPair,
        }
    }
}

/// Two books of one hospital over three days.
#[derive(Clone, Copy)]
struct Books {
    settlements: u64,
    seed: u64,
}

const DAYS: [Date; 3] = [date(2025, 3, 3), date(2025, 3, 4), date(2025, 3, 5)];

impl Books {
    fn plant(&self, number: u64) -> Option<Plant> {
        let every = self.settlements / PLANTED;
        let nth = number / every;
        let is_planted = number % every == self.seed % every && nth < PLANTED;
        is_planted.then(|| Plant::ALL[usize::try_from(nth % KINDS).expect("small")])
    }

    fn fen(&self, number: u64) -> i64 {
        1_000 + i64::try_from(number % 9_973).expect("small")
    }

    fn id(&self, number: u64) -> SettlementId {
        SettlementId::from_u128(0x0195_6000_0000 << 80 | 7 << 76 | 8 << 60 | u128::from(number))
    }

    fn is_refunded(&self, number: u64) -> bool {
        match self.plant(number) {
            Some(Plant::State | Plant::ReversedPair) => true,
            Some(_) => false,
            None => number % 50 == 7,
        }
    }

    fn day(&self, number: u64) -> Date {
        DAYS[usize::try_from(number * 3 / self.settlements).expect("small")]
    }

    /// When a settlement was committed. What is on the edge came late on the day before; what is in flight on the last evening.
    fn at(&self, number: u64) -> Moment {
        match self.plant(number) {
            Some(Plant::DateEdge) => Moment::of_civil(date(2025, 3, 2), time(23, 59, 59, 0)),
            Some(Plant::InFlight) => Moment::of_civil(DAYS[2], time(20, 0, 1, 0)),
            _ => Moment::of_civil(self.day(number), time(12, 0, 0, 0)),
        }
    }

    fn cut_off() -> prost_types::Timestamp {
        let moment = Moment::of_civil(DAYS[2], time(20, 0, 0, 0));
        prost_types::Timestamp { seconds: moment.as_micros() / 1_000_000, nanos: 0 }
    }

    /// The hospital's lines over one settlement. What it knows of its name changes from line to line.
    fn theirs(&self, number: u64) -> Vec<proto::ReconciliationLine> {
        let fen = self.fen(number);
        let line = |kind: proto::LineKind, fen: i64| proto::ReconciliationLine {
            kind: kind as i32,
            date: self.day(number).to_string(),
            amounts: Some(proto::LineAmounts { total_fen: fen, fund_fen: Some(fen), ..Default::default() }),
            ..Default::default()
        };
        let settled = |fen: i64| {
            let line = line(proto::LineKind::Settlement, fen);
            match number % 3 {
                0 => proto::ReconciliationLine { settlement_id: self.id(number).to_string(), ..line },
                1 => proto::ReconciliationLine { request_id: format!("r-{number}"), ..line },
                _ => proto::ReconciliationLine { msgid: format!("m-{number}"), ..line },
            }
        };
        let refunded = || {
            let line = line(proto::LineKind::Refund, fen);
            match number % 2 {
                0 => proto::ReconciliationLine { settlement_id: self.id(number).to_string(), ..line },
                _ => proto::ReconciliationLine { request_id: format!("b-{number}"), ..line },
            }
        };
        let unknown = || proto::ReconciliationLine {
            request_id: format!("lost-{number}"),
            ..line(proto::LineKind::Settlement, fen)
        };
        match self.plant(number) {
            Some(Plant::OnlyOurs | Plant::InFlight | Plant::ReversedPair) => Vec::new(),
            Some(Plant::OnlyTheirs) => vec![settled(fen), unknown()],
            Some(Plant::Amount) => vec![settled(fen + 1)],
            Some(Plant::State | Plant::DateEdge) => vec![settled(fen)],
            None if self.is_refunded(number) => vec![settled(fen), refunded()],
            None => vec![settled(fen)],
        }
    }

    /// The whole book, in no order.
    fn book(self) -> impl Iterator<Item = proto::ReconciliationLine> {
        // A stride without a common divisor comes to every number once.
        let stride = (self.settlements * 5 / 8..).find(|stride| gcd(*stride, self.settlements) == 1).expect("a prime");
        (0..self.settlements).flat_map(move |turn| self.theirs((turn * stride + self.seed) % self.settlements))
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Writes the ledger's side, as its records and facts would be.
struct Writer {
    store: Arc<EmbeddedStore>,
    keys: Keys,
    books: Books,
    hospital: InstitutionCode,
    region: RegionCode,
    changes: Vec<Change>,
    now: Moment,
}

impl Writer {
    fn write(dir: &Path, books: Books) {
        let store = EmbeddedStore::open(&EmbeddedOptions::new(dir, [7; 32])).expect("a new data set");
        let mut writer = Self {
            keys: Keys::from_secret(store.secret()),
            store,
            books,
            hospital: InstitutionCode::parse(HOSPITAL).expect("a code"),
            region: RegionCode::parse("440300").expect("a region"),
            changes: Vec::new(),
            now: Moment::default(),
        };
        let phase = |wanted: fn(Option<Plant>) -> bool| {
            (0..books.settlements).filter(move |number| wanted(books.plant(*number)))
        };
        let phases = phase(|plant| plant == Some(Plant::DateEdge))
            .chain(phase(|plant| !matches!(plant, Some(Plant::DateEdge | Plant::InFlight))))
            .chain(phase(|plant| plant == Some(Plant::InFlight)));
        run(async {
            for number in phases {
                let at = books.at(number);
                if at != writer.now || writer.changes.len() >= 256 {
                    writer.flush().await;
                    writer.now = at;
                }
                writer.settle(number);
                if books.is_refunded(number) {
                    writer.refund(number);
                }
            }
            writer.flush().await;
            writer.store.close().await.expect("closes");
        });
        drop(writer);
        Self::index(dir);
    }

    /// Brings in what the index lacks: the next start would read it into memory, and give that back while it is measured.
    fn index(dir: &Path) {
        let options = EmbeddedOptions { index_bytes: 8 << 20, ..EmbeddedOptions::new(dir, [7; 32]) };
        let store = EmbeddedStore::open(&options).expect("the data set");
        wait_until("the index", PATIENCE, || {
            let mut page = gongji::metrics::Page::default();
            store.measure(&mut page);
            let text = page.into_text();
            let line = text.lines().find_map(|line| line.strip_prefix("gongji_store_unindexed_bytes "));
            let left: usize = line.expect("it is told").parse().expect("a number");
            (left < options.index_bytes).then_some(())
        });
        run(store.close()).expect("closes");
    }

    async fn flush(&mut self) {
        let verdicts = self.store.commit(std::mem::take(&mut self.changes), self.now).await;
        assert!(verdicts.into_iter().all(|verdict| verdict.is_ok()));
    }

    fn settlement(&self, number: u64) -> Settlement {
        let total = Money::fen(self.books.fen(number));
        let split = Split { total, in_scope: total, fund: total, ..Split::default() };
        Settlement {
            id: self.books.id(number),
            institution: self.hospital.clone(),
            patient: MemberId::from_u128(1),
            region: self.region,
            visit: Visit {
                institution_kind: InstitutionKind::Level3,
                care_region: self.region,
                purpose: Purpose::Outpatient,
                date: self.books.day(number),
                external: ExternalRefs { msgid: format!("m-{number}"), ..ExternalRefs::default() },
            },
            amounts: Amounts { split, ..Amounts::default() },
            contributions: Vec::new(),
            excluded: Vec::new(),
            policies: Vec::new(),
            refunds: Vec::new(),
            created_at: self.now,
            hold: None,
            reversed_by: String::new(),
            year_deductible: Money::ZERO,
        }
    }

    fn settle(&mut self, number: u64) {
        let settlement = self.settlement(number);
        let total = settlement.amounts.split.total;
        let event = Event::Settled(Box::new(Settled {
            id: settlement.id,
            institution: self.hospital.clone(),
            patient: settlement.patient,
            region: self.region,
            amounts: settlement.amounts,
            contributions: Vec::new(),
            policies: Vec::new(),
            basis_digest: [0; 32],
        }));
        let parts = Adjudicated {
            fund: total,
            hospital_part: Money::ZERO,
            deductible: Money::ZERO,
            first_self_pay: Money::ZERO,
            over_limit: Money::ZERO,
            full_self_pay: Money::ZERO,
            person_part: Money::ZERO,
        };
        let basis = Basis {
            salt: [0; 16],
            bill: Arc::new(Bill { total, content: BillContent::Adjudicated(parts) }),
            payers: Vec::new(),
            excluded: Vec::new(),
            papers: Vec::new(),
            used: Vec::new(),
            trace: Arc::default(),
        };
        let (id, institution) = (settlement.id, self.keys.institution(&self.hospital));
        let msgid = self.keys.external(&self.hospital, "msgid", &format!("m-{number}"));
        let lists = vec![
            (ListKey { kind: ListKind::InstitutionSettlements, of: institution }, id.as_u128()),
            (ListKey { kind: ListKind::ExternalReference, of: msgid }, id.as_u128()),
        ];
        let puts = vec![
            (Key::Settlement(id), Entity::Settlement(Arc::new(settlement))),
            (Key::Basis(id), Entity::Basis(Arc::new(Encoded::new(basis)))),
        ];
        let (from, to) = (Party::Fund(self.region), Party::Institution(self.hospital.clone()));
        self.change(&format!("r-{number}"), event, Posting::outside(from, to, total), puts, lists);
    }

    fn refund(&mut self, number: u64) {
        let mut settlement = self.settlement(number);
        let (id, total) = (settlement.id, settlement.amounts.split.total);
        let parts = Parts { fund: total, ..Parts::default() };
        let request_id = format!("b-{number}");
        settlement.refunds =
            vec![Refund { request_id: request_id.clone(), parts, returned: Vec::new(), at: self.now, reversal: None }];
        let event = Event::Refunded { settlement: id, parts, returned: Vec::new(), place: 0 };
        let of = self.keys.institution(&self.hospital);
        let lists = vec![(ListKey { kind: ListKind::InstitutionChanges, of }, id.as_u128())];
        let puts = vec![(Key::Settlement(id), Entity::Settlement(Arc::new(settlement)))];
        let (from, to) = (Party::Institution(self.hospital.clone()), Party::Fund(self.region));
        self.change(&request_id, event, Posting::outside(from, to, total), puts, lists);
    }

    fn change(
        &mut self,
        request_id: &str,
        event: Event,
        posting: Posting,
        mut puts: Vec<(Key, Entity)>,
        lists: Vec<(ListKey, u128)>,
    ) {
        let scope = format!("institution:{HOSPITAL}");
        let id = RequestId::parse(request_id).expect("an id");
        let key = Key::Request(self.keys.request(&scope, &id));
        let request = Request { scope, id: request_id.to_owned(), method: 1, fingerprint: [0; 16], fields: Vec::new() };
        puts.push((key, Entity::Request(Arc::new(request))));
        let bytes = record::encode_record(&Record { event, postings: vec![posting] }, &[0; 32]);
        let content_hash = chain::content_hash(&bytes);
        self.changes.push(Change {
            began_at: 0,
            expects: Vec::new(),
            puts,
            record: bytes,
            content_hash,
            lists,
            before: None,
        });
    }
}

/// The settlement that a difference is about, by the name that either book has for it.
fn number_of(difference: &proto::Difference) -> u64 {
    let line = difference.ours.first().or(difference.theirs.first()).expect("a line");
    let name = if line.msgid.is_empty() { &line.request_id } else { &line.msgid };
    name.rsplit('-').next().and_then(|number| number.parse().ok()).expect("a number")
}

fn memory_kib(server: &Server, what: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("the server runs");
    let line = status.lines().find_map(|line| line.strip_prefix(what)).expect("its memory");
    line.trim().split(' ').next().and_then(|number| number.parse().ok()).expect("a number")
}

#[test]
fn every_planted_difference_is_found_and_none_is_invented() {
    let settlements = from_env("GONGJI_LINES", 5_000).max(PLANTED * 2);
    let seed = from_env("GONGJI_SEED", Dice::new(u64::from(std::process::id())).next() % 1_000_000);
    println!("seed {seed}");
    let _replay =
        Replay(format!("GONGJI_SEED={seed} GONGJI_LINES={settlements} cargo test --test suite reconcile::million"));
    let books = Books { settlements, seed };
    let dir = tempfile::tempdir().expect("a folder");
    let data = dir.path().join("ledger");
    let began = Instant::now();
    Writer::write(&data, books);
    println!("{settlements} settlements written in {:.1} s", began.elapsed().as_secs_f64());

    // The store reads through its cache of blocks, which grows up to a bound of its own whoever reads, and so hides what is
    // measured: the bound is small here.
    let server = Server::on(&data, &["--cache-bytes", CACHE_BYTES]);
    let fresh = memory_kib(&server, "VmRSS:");
    // From here on the peak counts.
    std::fs::write(format!("/proc/{}/clear_refs", server.pid()), "5").expect("a child's peak can be reset");
    let began = Instant::now();
    let (found, summary, lines) = run(compare(&server, books));
    let took = began.elapsed().as_secs_f64();
    let growth = memory_kib(&server, "VmHWM:").saturating_sub(fresh);
    println!(
        "{lines} lines compared in {took:.1} s; a fresh server of {} MiB grew by {} MiB at most",
        fresh >> 10,
        growth >> 10
    );
    run(async { check_ledger(gongji_channel(&server).await).await });

    let planted = (0..settlements).filter_map(|number| Some((number, books.plant(number)?.kind())));
    let planted: Vec<(u64, proto::DifferenceKind)> = planted.collect();
    assert_eq!(planted.len() as u64, PLANTED);
    let mut told: Vec<(u64, proto::DifferenceKind)> =
        found.iter().map(|difference| (number_of(difference), difference.kind())).collect();
    told.sort_unstable_by_key(|(number, kind)| (*number, *kind as i32));
    assert_eq!(told, planted);
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, kind) in &told {
        *counts.entry(kind.as_str_name()).or_default() += 1;
    }
    println!("{counts:?}");
    assert_eq!(counts.len() as u64, KINDS);
    assert_eq!((summary.lines, summary.bad_lines, summary.lines_outside), (lines, 0, 0));
    assert!(growth <= GROWTH_KIB, "{growth} KiB");
}

async fn compare(server: &Server, books: Books) -> (Vec<proto::Difference>, proto::CompareDetailsSummary, i64) {
    use proto::compare_details_request::Part;
    let mut client = ReconciliationServiceClient::new(gongji_channel(server).await);
    let start = proto::CompareDetailsStart {
        institution_code: HOSPITAL.to_owned(),
        start_date: DAYS[0].to_string(),
        last_day: DAYS[2].to_string(),
        cut_off: Some(Books::cut_off()),
        min_ledger_position: 0,
    };
    let mut book = books.book();
    let messages = std::iter::once(Part::Start(start)).chain(std::iter::from_fn(move || {
        let lines: Vec<_> = book.by_ref().take(LINES_OF_A_MESSAGE).collect();
        (!lines.is_empty()).then_some(Part::Lines(proto::CompareDetailsLines { lines }))
    }));
    let messages = tokio_stream::iter(messages.map(|part| proto::CompareDetailsRequest { part: Some(part) }));
    let mut answers = client.compare_details(messages).await.expect("begun").into_inner();
    let (mut found, mut summary) = (Vec::new(), None);
    while let Some(answer) = answers.message().await.expect("answered") {
        found.extend(answer.differences);
        summary = answer.summary.or(summary);
    }
    let lines = books.book().count();
    (found, summary.expect("a summary"), i64::try_from(lines).expect("not so many"))
}

/// Without a time limit: a million lines take their time.
async fn gongji_channel(server: &Server) -> tonic::transport::Channel {
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", server.address)).expect("an address");
    endpoint.connect().await.expect("the server takes connections")
}
