//! Memory for frames that wait for a receiver: whoever runs it lends it, frame by frame.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;

/// Asked for memory before frames are handed on. It gives them back, held as long as that memory is, and says until when
/// nothing more is to be read, if there is not enough.
pub type Lend = Box<dyn Fn(Bytes) -> (Bytes, Option<Free>) + Send + Sync>;
/// Ready when there is memory again.
pub type Free = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Memory without a bound.
pub fn freely() -> Lend {
    Box::new(|frames| (frames, None))
}
