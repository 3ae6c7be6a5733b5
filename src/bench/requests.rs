//! Requests of a benchmark, put together from parts encoded beforehand.

use bytes::Bytes;
use prost::Message;

use super::data::{self, FAMILY, Random};
use super::echo::EchoRequest;
use super::wire::{Kind, QUOTE_BYTES};
use crate::grpc::proto;

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
