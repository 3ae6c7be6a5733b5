//! What goes over the wire: requests as their bytes, replies read only as far as they are checked. So the client costs nearly
//! the same for every method.

use bytes::{BufMut, Bytes};
use prost::Message;
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

use super::echo::{self, EchoReply};

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
