//! How messages are put into and taken out of the bytes of a call: prost's encoding, with buffers of the size that calls
//! have. The usual eight KiB a call and direction are more than most messages fill, and more than the allocator gives
//! from its small pages.

use std::marker::PhantomData;

use prost::Message;
use tonic::codec::{BufferSettings, Codec as TonicCodec};
use tonic_prost::{ProstCodec, ProstDecoder, ProstEncoder};

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
    type Decoder = ProstDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::raw_encoder(BufferSettings::new(WRITE, YIELD))
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<T, U>::raw_decoder(BufferSettings::new(READ, YIELD))
    }
}
