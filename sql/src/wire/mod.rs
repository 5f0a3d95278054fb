//! The Postgres front: listeners, start-up, authentication, the two query protocols, and rows on their way out.
//!
//! ```text
//!  accept -> start-up (TLS, who, which database) -> SCRAM -> [ message -> statement -> rows ]* -> goodbye
//!                                                               |            ^
//!                                    network runtime ---------- | ---------- | -----------------
//!                                    runtimes for statements    +-- plan, run, encode
//! ```
//!
//! A connection is one task on the network runtime. It computes nothing but small answers that are at hand: planning,
//! running and encoding happen in one task on the [runtimes for statements](engine::lanes), which hands over chunks of
//! [`limits::FLUSH_BYTES`] through a channel of [`limits::CHUNKS_IN_FLIGHT_MAX`], so that a slow reader slows the query
//! down and costs little memory. Of large results it has parts [written ahead](ahead) by others, within a bound and as far
//! as the memory of the statements has room. Meanwhile the connection goes on reading: a goodbye, a closed socket, a
//! CancelRequest, a timeout or a shutdown aborts the task and drops its stream. What a session may keep from one statement
//! to the next (statements, portals, cursors, settings, channels) is bounded in number and in bytes.
//!
//! Messages, their codec and SCRAM are pgwire's; the socket loop, the decoder, the row encoder and the SQLSTATE map are
//! ours. Before a session exists, which only [`auth`] can lead to, no message but those of the start-up is understood.

mod ahead;
mod auth;
mod cancel;
mod channels;
mod connection;
mod copy;
mod copy_binary;
mod copy_in;
mod copy_reader;
mod copy_rows;
mod encode;
mod error;
mod frame;
mod limits;
mod message;
mod output;
mod parameter;
mod scroll;
mod server;
mod startup;
mod throttle;
mod tls;
mod types;

pub(crate) use encode::{IntervalStyle, Zone};
pub(crate) use error::{Phase, Place, WireError, from_engine, sqlstate};
pub(crate) use limits::Limits;
pub(crate) use server::{Front, serve};
pub(crate) use tls::Tls;
pub(crate) use types::Logical;

#[cfg(test)]
mod tests;
