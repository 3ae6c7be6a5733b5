//! How messages are put into and taken out of the bytes of a call: prost's encoding, with buffers of the size that calls
//! have. The usual eight KiB a call and direction are more than most messages fill, and more than the allocator gives
//! from its small pages.

use std::marker::PhantomData;

use bytes::Buf;
use prost::Message;
use tonic::Status;
use tonic::codec::{BufferSettings, Codec as TonicCodec, DecodeBuf, Decoder};
use tonic_prost::{ProstCodec, ProstEncoder};

/// Room for a bill of a dozen lines; grows with the message.
const READ: usize = 2 << 10;
/// Room for a settlement with its explanation; grows with the message.
const WRITE: usize = 4 << 10;
/// Streams of messages hand over what they have past this.
const YIELD: usize = 32 << 10;

/// See the module. `T` is written, `U` is read.
pub struct Codec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for Codec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> TonicCodec for Codec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = Reader<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::raw_encoder(BufferSettings::new(WRITE, YIELD))
    }

    fn decoder(&mut self) -> Self::Decoder {
        Reader(PhantomData)
    }
}

/// Reads a message from the one piece of memory that it lies in: through the general buffer every field asks anew how much
/// is left.
pub struct Reader<U>(PhantomData<U>);

impl<U: Message + Default> Decoder for Reader<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        let length = from.remaining();
        let whole = from.chunk();
        let read = if whole.len() == length { U::decode(whole) } else { U::decode(from.copy_to_bytes(length)) };
        from.advance(from.remaining());
        read.map(Some).map_err(|error| Status::internal(error.to_string()))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(READ, YIELD)
    }
}
