//! `COPY ... FROM STDIN`: rows come as messages, and are staged in pieces as they come.

use futures::FutureExt;

use super::portal::place_of;
use super::statement::How;
use super::{Connection, Run, Stop};
use crate::dialect::{CopyFormat, CopyOptions, Parsed};
use crate::session::Transaction;
use crate::wire::copy_binary::BinaryParser;
use crate::wire::copy_in::{CopyParser, CopyReader};
use crate::wire::encode::Format;
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
        let width = target.columns().len();
        let (format, mut parser) = match options.format {
            CopyFormat::Binary => {
                let zone = self.session.settings.zone();
                let parser = BinaryParser::new(target.columns(), zone);
                (Format::Binary, CopyReader::Binary(parser))
            }
            CopyFormat::Text | CopyFormat::Csv => {
                let parser = CopyParser::new(options.clone(), width);
                (Format::Text, CopyReader::Written(parser))
            }
        };
        message::copy_in(format, width, &mut self.outbox);
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
                    return Err(WireError::protocol(message)
                        .hint("Send CopyData, and CopyDone or CopyFail at its end.")
                        .into());
                }
            }
            while parser.is_full() || (!more && parser.rows() > 0) {
                let (engine, target) = (self.session.engine.clone(), target.clone());
                let staged = self.on_cpu(move |_| {
                    async move {
                        let rows = parser.take()?;
                        let staged = engine.copy_rows(&target, rows).await;
                        let count = staged.map_err(WorkError::running)?;
                        // What is left of the piece of which these rows are.
                        parser.push(&[])?;
                        Ok((parser, count))
                    }
                    .boxed()
                });
                let (rest, count) = staged.await.map_err(|halt| halt.at(place))?;
                parser = rest;
                copied += count;
            }
        }
        let engine = self.session.engine.clone();
        let ended = self.on_cpu(move |_| {
            async move { engine.end_copy().await.map_err(WorkError::running) }.boxed()
        });
        ended.await.map_err(|halt| halt.at(place))?;
        Ok(format!("COPY {copied}"))
    }
}
