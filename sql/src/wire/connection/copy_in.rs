//! `COPY ... FROM STDIN`: rows come as messages, and are staged in pieces as they come.

use futures::FutureExt;

use super::portal::place_of;
use super::statement::How;
use super::{Connection, Run, Stop};
use crate::dialect::{CopyOptions, Parsed};
use crate::session::Transaction;
use crate::wire::copy_in::CopyParser;
use crate::wire::error::{WireError, sqlstate};
use crate::wire::frame::Frontend;
use crate::wire::limits::PARSED_HERE_BYTES_MAX;
use crate::wire::message;
use crate::wire::output::WorkError;

impl Connection {
    /// Takes the rows of a COPY, and returns its tag.
    pub(super) async fn copy_in(
        &mut self,
        relation: &str,
        columns: &[String],
        options: &CopyOptions,
        parsed: &Parsed,
        how: How<'_>,
    ) -> Run<String> {
        Transaction::admit_write("COPY FROM", self.is_read_only())?;
        let place = place_of(how.source, Some(parsed));
        let engine = self.session.engine.clone();
        let (relation, columns) = (relation.to_owned(), columns.to_vec());
        let target = self.on_cpu(move |_| {
            async move {
                engine.copy_target(&relation, &columns).await.map_err(WorkError::planning)
            }
            .boxed()
        });
        let target = target.await.map_err(|halt| halt.at(place))?;
        message::copy_in(target.width(), &mut self.outbox);
        let mut parser = CopyParser::new(options.clone(), target.width());
        let mut copied = 0;
        let mut more = true;
        while more {
            match self.next().await? {
                Frontend::CopyData(piece) if piece.len() <= PARSED_HERE_BYTES_MAX => {
                    parser.push(&piece)?;
                }
                Frontend::CopyData(piece) => {
                    let parsed = self.on_cpu(move |_| {
                        async move {
                            parser.push(&piece)?;
                            Ok(parser)
                        }
                        .boxed()
                    });
                    parser = parsed.await.map_err(|halt| halt.at(place))?;
                }
                Frontend::CopyDone => {
                    parser.finish()?;
                    more = false;
                }
                Frontend::CopyFail => {
                    let message = "COPY from stdin failed: the client gave it up";
                    return Err(WireError::new(sqlstate::QUERY_CANCELED, message).into());
                }
                Frontend::Flush | Frontend::Sync => {}
                Frontend::Terminate => return Err(Stop::Closed(None)),
                _ => {
                    let message = "unexpected message during COPY from stdin";
                    return Err(WireError::protocol(message).into());
                }
            }
            if parser.is_full() || (!more && parser.rows() > 0) {
                let (engine, target, rows) =
                    (self.session.engine.clone(), target.clone(), parser.take());
                let staged = self.on_cpu(move |_| {
                    async move { engine.copy_rows(&target, rows).await.map_err(WorkError::running) }
                        .boxed()
                });
                copied += staged.await.map_err(|halt| halt.at(place))?;
            }
        }
        Ok(format!("COPY {copied}"))
    }
}
