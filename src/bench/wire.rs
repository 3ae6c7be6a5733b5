//! What goes over the wire: requests put together from parts encoded beforehand, replies read only as far as they are
//! checked. So the client costs nearly the same for every method.

use bytes::{BufMut, Bytes};
use prost::Message;
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

use super::data::{self, FAMILY, Random};
use super::echo::{self, EchoReply, EchoRequest};
use crate::grpc::proto;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum)]
pub enum Kind {
    Echo,
    /// The same with messages as large as a quote's.
    EchoSized,
    Quote,
    SettleMemory,
    SettleEmbedded,
    BatchEmbedded,
    StreamEmbedded,
    SettlePostgres,
    BatchPostgres,
}

/// What a quote or a settlement is asked to tell of its reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum View {
    None,
    Summary,
    Full,
}

impl View {
    pub const fn words(self) -> &'static str {
        match self {
            Self::None => "no explanation",
            Self::Summary => "explanation in summary",
            Self::Full => "explanation in full",
        }
    }

    fn on_the_wire(self) -> i32 {
        match self {
            Self::None => proto::ExplanationView::None as i32,
            Self::Summary => proto::ExplanationView::Summary as i32,
            Self::Full => proto::ExplanationView::Full as i32,
        }
    }
}

/// What the client's buffers begin with; they grow with the message. For answers as large as the server's.
const WRITE: usize = 1 << 10;
const READ: usize = 4 << 10;

/// What the answer to a quote takes that is asked for here: three payers, and why. A test compares them.
pub const QUOTE_BYTES: u64 = 2_189;

/// Settlements of one BatchSettle, or of one StreamSettle without an answer yet.
pub const MANY: usize = 256;

impl Kind {
    pub const ALL: [Self; 9] = [
        Self::Echo,
        Self::EchoSized,
        Self::Quote,
        Self::SettleMemory,
        Self::SettleEmbedded,
        Self::BatchEmbedded,
        Self::StreamEmbedded,
        Self::SettlePostgres,
        Self::BatchPostgres,
    ];

    /// Whether it needs a database.
    pub const fn of_postgres(self) -> bool {
        matches!(self, Self::SettlePostgres | Self::BatchPostgres)
    }

    /// What many in a call are compared with: as many calls.
    pub const fn one_by_one(self) -> Self {
        if self.of_postgres() { Self::SettlePostgres } else { Self::SettleEmbedded }
    }

    /// Whether single settlements that wait for the disk are measured.
    pub const fn is_durable(self) -> bool {
        matches!(self, Self::SettleEmbedded | Self::SettlePostgres)
    }

    /// Whether a call carries `MANY` settlements.
    pub const fn is_many(self) -> bool {
        matches!(self, Self::BatchEmbedded | Self::StreamEmbedded | Self::BatchPostgres)
    }

    /// How many are under way together, and over how many connections.
    pub const fn concurrency(self) -> &'static [(usize, usize)] {
        if self.is_many() { &[(MANY, 1), (4 * MANY, 4)] } else { &[(1, 1), (64, 4), (256, 4)] }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::EchoSized => "echo-sized",
            Self::Quote => "quote-memory",
            Self::SettleMemory => "settle-memory",
            Self::SettleEmbedded => "settle-embedded",
            Self::BatchEmbedded => "batch-embedded",
            Self::StreamEmbedded => "stream-embedded",
            Self::SettlePostgres => "settle-postgres",
            Self::BatchPostgres => "batch-postgres",
        }
    }

    /// The least share of the echo's calls per second, at the largest concurrency; of many, of one by one on the same store.
    pub const fn threshold(self) -> Option<f64> {
        match self {
            Self::Echo | Self::EchoSized | Self::SettlePostgres => None,
            Self::BatchPostgres => Some(1.5),
            Self::BatchEmbedded | Self::StreamEmbedded => Some(2.0),
            Self::Quote => Some(0.5),
            Self::SettleMemory => Some(0.4),
            Self::SettleEmbedded => Some(0.12),
        }
    }

    pub const fn path(self) -> &'static str {
        match self {
            Self::Echo => echo::PATH,
            Self::EchoSized => echo::SIZED,
            Self::Quote => "/gongji.v1.SettlementService/QuoteSettlement",
            Self::SettleMemory | Self::SettleEmbedded | Self::SettlePostgres => "/gongji.v1.SettlementService/Settle",
            Self::BatchEmbedded | Self::BatchPostgres => "/gongji.v1.SettlementService/BatchSettle",
            Self::StreamEmbedded => "/gongji.v1.SettlementService/StreamSettle",
        }
    }
}

/// Sends bytes as they are, reads an `R`.
pub struct Light<R>(std::marker::PhantomData<R>);

impl<R> Default for Light<R> {
    fn default() -> Self {
        Self(std::marker::PhantomData)
    }
}

impl<R: Message + Default + 'static> Codec for Light<R> {
    type Encode = Bytes;
    type Decode = R;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self::default()
    }

    fn decoder(&mut self) -> Self {
        Self::default()
    }
}

impl<R> Encoder for Light<R> {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put_slice(&item);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(WRITE, WRITE)
    }
}

impl<R: Message + Default> Decoder for Light<R> {
    type Item = R;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<R>, Status> {
        R::decode(from).map(Some).map_err(|error| Status::internal(error.to_string()))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(READ, READ)
    }
}

/// Whether a reply is what it should be, and whether relatives paid.
pub trait Checked: Message + Default + 'static {
    fn aided(&self) -> Option<bool>;
}

impl Checked for EchoReply {
    fn aided(&self) -> Option<bool> {
        (self.id.len() >= 35).then_some(true)
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct AmountsPart {
    #[prost(int64, tag = "1")]
    total_fen: i64,
    #[prost(int64, tag = "11")]
    mutual_aid_fen: i64,
}

/// A `QuoteSettlementResponse`, as far as it is looked at.
#[derive(Clone, PartialEq, prost::Message)]
pub struct QuotePart {
    #[prost(message, optional, tag = "1")]
    amounts: Option<AmountsPart>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct SettlementPart {
    #[prost(message, optional, tag = "6")]
    amounts: Option<AmountsPart>,
}

/// A `SettleResponse`, as far as it is looked at.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SettlePart {
    #[prost(message, optional, tag = "1")]
    settlement: Option<SettlementPart>,
    #[prost(bool, tag = "4")]
    replayed: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ResultPart {
    #[prost(message, optional, tag = "2")]
    response: Option<SettlePart>,
}

/// A `BatchSettleResponse`, or a `StreamSettleResponse`, which has one result in the same place.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ResultsPart {
    #[prost(message, repeated, tag = "1")]
    results: Vec<ResultPart>,
}

impl ResultsPart {
    /// What was settled, each with whether relatives paid; none where it is not what it should be.
    pub fn each(&self) -> impl Iterator<Item = Option<bool>> {
        self.results.iter().map(|result| result.response.as_ref().and_then(Checked::aided))
    }
}

fn aided(amounts: Option<&AmountsPart>) -> Option<bool> {
    amounts.filter(|amounts| amounts.total_fen > 0).map(|amounts| amounts.mutual_aid_fen > 0)
}

impl Checked for QuotePart {
    fn aided(&self) -> Option<bool> {
        aided(self.amounts.as_ref())
    }
}

impl Checked for SettlePart {
    fn aided(&self) -> Option<bool> {
        let settlement = self.settlement.as_ref().filter(|_| !self.replayed)?;
        aided(settlement.amounts.as_ref())
    }
}

/// Makes requests about random families, every settlement under a request id of its own.
pub struct Requests {
    families: u64,
    random: Random,
    /// Tells this run's request ids from those of others on the same data.
    run: u64,
    sequence: u64,
    echo: Vec<u8>,
    sized: Vec<u8>,
    quotes: Vec<Vec<u8>>,
    settles: Vec<Vec<u8>>,
}

impl Requests {
    const VARIANTS: u64 = 64;
    /// Numbers of requests that each thread has for itself; all of them have 16 digits.
    const LANE: u64 = 1_000_000_000_000_000;

    /// `lane` tells the threads of one run apart.
    pub fn new(families: u64, run: u64, lane: u64, today: &str, view: View) -> Self {
        let mut random = Random::new(run.wrapping_add(lane));
        let asks: Vec<_> = (0..Self::VARIANTS).map(|number| ask(&mut random, number, today)).collect();
        let quotes = asks.iter().map(|(institution, visit, bill)| {
            let request = proto::QuoteSettlementRequest {
                institution_code: institution.clone(),
                visit: Some(visit.clone()),
                bill: Some(bill.clone()),
                explanation_view: view.on_the_wire(),
                ..Default::default()
            };
            request.encode_to_vec()
        });
        let quotes: Vec<Vec<u8>> = quotes.collect();
        let settles = asks.iter().map(|(institution, visit, bill)| {
            let request = proto::SettleRequest {
                institution_code: institution.clone(),
                visit: Some(visit.clone()),
                bill: Some(bill.clone()),
                explanation_view: view.on_the_wire(),
                ..Default::default()
            };
            request.encode_to_vec()
        });
        let settles = settles.collect();
        let patient = data::card(0).len() + 4;
        let size = quotes.first().map_or(0, |quote| quote.len() + patient);
        let sized = EchoRequest::sized(size, QUOTE_BYTES).encode_to_vec();
        Self {
            families,
            random,
            run,
            sequence: lane * Self::LANE,
            echo: EchoRequest::new(7).encode_to_vec(),
            sized,
            quotes,
            settles,
        }
    }

    pub fn next(&mut self, kind: Kind) -> Bytes {
        self.sequence += 1;
        let variant = usize::try_from(self.random.below(Self::VARIANTS)).unwrap_or_default();
        let patient = data::card(self.random.below(self.families) * FAMILY);
        let mut out = Vec::with_capacity(640);
        // Fields may come in any order, so what differs goes before what was encoded beforehand.
        match kind {
            Kind::Echo => out.extend_from_slice(&self.echo),
            Kind::EchoSized => out.extend_from_slice(&self.sized),
            Kind::Quote => {
                put_patient(&mut out, 2, &patient);
                out.extend_from_slice(&self.quotes[variant]);
            }
            Kind::SettleMemory
            | Kind::SettleEmbedded
            | Kind::BatchEmbedded
            | Kind::StreamEmbedded
            | Kind::SettlePostgres
            | Kind::BatchPostgres => {
                // Thirty characters, as a national msgid.
                let mut id = String::with_capacity(30);
                id.push('H');
                data::push_digits(&mut id, self.run, 13);
                data::push_digits(&mut id, self.sequence, 16);
                put_text(&mut out, 1, &id);
                put_patient(&mut out, 3, &patient);
                out.extend_from_slice(&self.settles[variant]);
            }
        }
        out.into()
    }

    /// So many settlements as items of one message.
    pub fn items(&mut self, count: usize) -> Bytes {
        let mut out = Vec::with_capacity(count * 640);
        for _ in 0..count {
            let item = self.next(Kind::BatchEmbedded);
            prost::encoding::encode_key(1, prost::encoding::WireType::LengthDelimited, &mut out);
            prost::encoding::encode_varint(item.len() as u64, &mut out);
            out.extend_from_slice(&item);
        }
        out.into()
    }
}

fn put_text(out: &mut Vec<u8>, field: u8, text: &str) {
    out.push(field << 3 | 2);
    // All of them are shorter than a second length byte would ask for.
    out.push(text.len() as u8);
    out.extend_from_slice(text.as_bytes());
}

fn put_patient(out: &mut Vec<u8>, field: u8, card: &str) {
    out.push(field << 3 | 2);
    out.push(card.len() as u8 + 2);
    put_text(out, 3, card);
}

/// Five lines of three classes; at least 9000 fen of what is left may be paid by relatives.
fn ask(random: &mut Random, number: u64, today: &str) -> (String, proto::Visit, proto::Bill) {
    use proto::{ItemCategory as Category, ListClass as Class};
    let rows = [
        (Category::Drug, Class::A, 12_000, "阿莫西林胶囊", "XJ01CAA040E001010100483"),
        (Category::Drug, Class::B, 9_000, "阿托伐他汀钙片", "XC10AAA300A001020104023"),
        (Category::Treatment, Class::A, 6_000, "普通门诊诊查费", "001101000010000-110100001"),
        (Category::Consumable, Class::C, 1_500, "一次性使用输液器", "C0206020000200003210000012"),
        (Category::LargeEquipment, Class::B, 18_000, "磁共振平扫", "002102000010000-210200001"),
    ];
    let lines: Vec<proto::Line> = rows
        .iter()
        .enumerate()
        .map(|(place, (category, class, least, name, code))| proto::Line {
            line_id: format!("{}", place + 1),
            item_code: (*code).to_owned(),
            item_name: (*name).to_owned(),
            category: *category as i32,
            list_class: *class as i32,
            amount_fen: least + i64::try_from(random.below(5_000)).unwrap_or_default(),
            ..Default::default()
        })
        .collect();
    let visit = proto::Visit {
        institution_kind: proto::InstitutionKind::Level3 as i32,
        care_region_code: data::REGION.to_owned(),
        purpose: proto::Purpose::Outpatient as i32,
        visit_date: today.to_owned(),
        external_refs: None,
    };
    let total_fen = lines.iter().map(|line| line.amount_fen).sum();
    (format!("H3502{:08}", number % 16), visit, proto::Bill { total_fen, lines, adjudicated: None })
}
