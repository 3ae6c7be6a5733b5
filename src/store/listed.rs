//! How the fields of a stored type are listed: once, in stored order, for writing and for reading.

/// Lists the fields of a struct once, in stored order.
macro_rules! stored {
    ($($name:path { $($field:ident),* $(,)? })*) => {$(
        impl $crate::store::codec::Stored for $name {
            fn put(&self, out: &mut Vec<u8>) {
                // Destructured, so that a new field is a compile error here.
                let Self { $($field),* } = self;
                $($crate::store::codec::Stored::put($field, out);)*
            }
            fn take(input: &mut &[u8]) -> Result<Self, $crate::store::codec::DecodeError> {
                Ok(Self { $($field: $crate::store::codec::Stored::take(input)?),* })
            }
        }
    )*};
}

/// Lists the variants of an enum with their stored codes.
macro_rules! stored_enum {
    ($($name:path { $($code:literal = $variant:ident $({ $($field:ident),* })? $(( $tuple:ident ))?),* $(,)? })*) => {$(
        impl $crate::store::codec::Stored for $name {
            fn put(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant $({ $($field),* })? $(( $tuple ))? => {
                        out.push($code);
                        $($($crate::store::codec::Stored::put($field, out);)*)?
                        $($crate::store::codec::Stored::put($tuple, out);)?
                    })*
                }
            }
            fn take(input: &mut &[u8]) -> Result<Self, $crate::store::codec::DecodeError> {
                match <u8 as $crate::store::codec::Stored>::take(input)? {
                    $($code => Ok(Self::$variant
                        $({ $($field: $crate::store::codec::Stored::take(input)?),* })?
                        $(({ let $tuple = $crate::store::codec::Stored::take(input)?; $tuple }))?),)*
                    _ => Err($crate::store::codec::DecodeError::Value),
                }
            }
        }
    )*};
}
pub(crate) use {stored, stored_enum};
