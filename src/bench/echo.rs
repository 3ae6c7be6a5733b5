//! The measure of all others: a unary method that does nothing, with messages of fixed size.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::grpc::codec::Codec;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::{Request, Response, Status};

use prost::Message as _;

pub const PATH: &str = "/gongji.bench.v1.Echo/Echo";
/// The same with messages of any size: what transport alone costs where these are larger.
pub const SIZED: &str = "/gongji.bench.v1.Echo/Sized";

/// 92 bytes on the wire when made by [`EchoRequest::new`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct EchoRequest {
    #[prost(string, tag = "1")]
    pub request_id: String,
    #[prost(string, tag = "2")]
    pub payer: String,
    #[prost(string, tag = "3")]
    pub region: String,
    #[prost(fixed64, tag = "4")]
    pub amount: u64,
    #[prost(fixed64, tag = "5")]
    pub sequence: u64,
}

impl EchoRequest {
    pub fn new(sequence: u64) -> Self {
        Self {
            request_id: format!("{sequence:032}"),
            payer: format!("{sequence:030}"),
            region: "350200".to_owned(),
            amount: 1,
            sequence,
        }
    }

    /// So many bytes on the wire that ask for so many.
    pub fn sized(bytes: usize, answer: u64) -> Self {
        let mut request = Self { amount: answer, ..Self::new(7) };
        // Its length takes a second byte from here on.
        let more = bytes.saturating_sub(request.encoded_len() + 1);
        request.payer.extend(std::iter::repeat_n('0', more));
        request
    }
}

/// 60 bytes on the wire.
#[derive(Clone, PartialEq, prost::Message)]
pub struct EchoReply {
    #[prost(string, tag = "1")]
    pub id: String,
    #[prost(fixed64, tag = "2")]
    pub amount: u64,
    #[prost(fixed64, tag = "3")]
    pub sequence: u64,
    #[prost(fixed32, tag = "4")]
    pub state: u32,
}

/// The service, written by hand as tonic would generate it.
#[derive(Clone)]
pub struct Echo;

struct Method {
    sized: bool,
}

/// What the other fields of a reply take, and the length of its text where that is long.
const AROUND: usize = 26;

impl UnaryService<EchoRequest> for Method {
    type Response = EchoReply;
    type Future = Pin<Box<dyn Future<Output = Result<Response<EchoReply>, Status>> + Send>>;

    fn call(&mut self, request: Request<EchoRequest>) -> Self::Future {
        let sized = self.sized;
        Box::pin(async move {
            let EchoRequest { payer, amount, sequence, .. } = request.into_inner();
            if sized {
                let id = "x".repeat(usize::try_from(amount).unwrap_or_default().saturating_sub(AROUND));
                return Ok(Response::new(EchoReply { id, amount, sequence, state: 1 }));
            }
            Ok(Response::new(EchoReply { id: format!("stl_{payer}x"), amount, sequence, state: 1 }))
        })
    }
}

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let sized = match request.uri().path() {
                PATH => false,
                SIZED => true,
                _ => return Ok(Status::unimplemented("").into_http()),
            };
            let mut grpc = Grpc::new(Codec::<EchoReply, EchoRequest>::default());
            Ok(grpc.unary(Method { sized }, request).await)
        })
    }
}

impl NamedService for Echo {
    const NAME: &'static str = "gongji.bench.v1.Echo";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_the_sizes_they_are_said_to_have() {
        let reply = EchoReply { id: format!("stl_{}x", EchoRequest::new(7).payer), amount: 1, sequence: 7, state: 1 };
        assert_eq!((EchoRequest::new(7).encoded_len(), reply.encoded_len()), (92, 60));
        let sized = EchoRequest::sized(372, 2_189);
        let reply = EchoReply { id: "x".repeat(2_189 - AROUND), amount: 2_189, sequence: 7, state: 1 };
        assert_eq!((sized.encoded_len(), sized.amount, reply.encoded_len()), (372, 2_189, 2_189));
    }
}
