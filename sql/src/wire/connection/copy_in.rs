//! `COPY ... FROM STDIN`: rows come as messages, and are staged in pieces as they come.

use engine::analytics::{CopyFailure, CopyTarget};
use futures::FutureExt;

use super::portal::place_of;
use super::statement::How;
use super::{Connection, Run, Stop};
use crate::dialect::{CopyFormat, CopyOptions, Forced, Parsed};
use crate::session::Transaction;
use crate::wire::copy_binary::BinaryParser;
use crate::wire::copy_in::CopyParser;
use crate::wire::copy_reader::CopyReader;
use crate::wire::copy_rows::Taken;
use crate::wire::encode::Format;
use crate::wire::error::{Phase, Place, WireError, from_engine, sqlstate};
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
        let forced = [
            ("FORCE_NOT_NULL", options.force_not_null.clone()),
            ("FORCE_NULL", options.force_null.clone()),
        ];
        let target = self.on_cpu(move |_| {
            async move {
                let target = engine.copy_target(&relation, &columns).await;
                let target = target.map_err(WorkError::planning)?;
                require_all(&target, &forced).map_err(WorkError::planning)?;
                Ok(target)
            }
            .boxed()
        });
        let target = target.await.map_err(|halt| halt.at(place))?;
        let names: Vec<String> =
            target.columns().iter().map(|column| column.name().clone()).collect();
        let width = names.len();
        let (format, mut parser) = match options.format {
            CopyFormat::Binary => {
                let zone = self.session.settings.zone();
                let parser = BinaryParser::new(target.relation(), target.columns(), zone);
                (Format::Binary, CopyReader::Binary(parser))
            }
            CopyFormat::Text | CopyFormat::Csv => {
                let parser = CopyParser::new(options.clone(), target.relation(), &names);
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
                let names = names.clone();
                let staged = self.on_cpu(move |_| {
                    async move {
                        let taken = parser.take()?;
                        let staged = engine.copy_rows(&target, taken.columns.clone()).await;
                        let count =
                            staged.map_err(|failure| refused(&failure, &taken, &target, &names))?;
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

/// Fails unless rows have values of all columns that options name.
fn require_all(target: &CopyTarget, forced: &[(&str, Forced)]) -> Result<(), engine::Error> {
    for (option, columns) in forced {
        if let Forced::Columns(columns) = columns {
            columns.iter().try_for_each(|column| target.require(column, option))?;
        }
    }
    Ok(())
}

/// Says why rows were not taken, and where.
fn refused(
    failure: &CopyFailure,
    taken: &Taken,
    target: &CopyTarget,
    names: &[String],
) -> WireError {
    let error = from_engine(&failure.error, Phase::Running, Place::NOWHERE);
    let context = failure.place.and_then(|place| taken.context(place, target.relation(), names));
    error.within(context)
}
