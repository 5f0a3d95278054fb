//! From a proven role to a session: settings of the start-up, and the greeting.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::BytesMut;
use pgwire::messages::startup::Authentication;

use super::listen::Listening;
use super::transaction::MODES;
use super::{Connection, Session};
use crate::session::backend::Client;
use crate::session::{Settings, Transaction};
use crate::wire::cancel::Registration;
use crate::wire::error::{Phase, Place, WireError, from_engine};
use crate::wire::message;
use crate::wire::server::{Shared, Socket};
use crate::wire::startup::Hello;

/// A session whose client has logged in, before it has its socket.
pub(in crate::wire) struct Admitted {
    shared: Arc<Shared>,
    registration: Registration,
    session: Session,
    greeting: BytesMut,
}

impl Admitted {
    /// Opens the session of a role that has proved who it is, with the settings of its start-up.
    pub(in crate::wire) async fn new(
        shared: Arc<Shared>,
        registration: Registration,
        client: Client,
        hello: Hello,
    ) -> Result<Admitted, WireError> {
        let refused = |error| from_engine(&error, Phase::Planning, Place::NOWHERE);
        let engine = shared.backend.open(&hello.user, client).await.map_err(refused)?;
        tracing::debug!(user = hello.user, address = %client.address, pid = client.pid, "a session begins");
        engine.reached_through(registration.reachable());
        let mut settings = Settings::new(&hello.user);
        if let Some(purpose) = engine.status().purpose {
            settings.store_start(settings.check("cdp.purpose", Some(&[purpose]))?);
        }
        let connections_max = shared.limits.connections_max.to_string();
        let ssl = if shared.tls.is_some() { "on" } else { "off" };
        for (name, value) in [("max_connections", connections_max.as_str()), ("ssl", ssl)] {
            engine.set(name, value).await.map_err(refused)?;
            settings.tell(name, value);
        }
        let mut greeting = BytesMut::new();
        message::authentication(&Authentication::Ok, &mut greeting);
        for (name, value) in hello.settings {
            let change = match settings.check(&name, Some(&[value])) {
                Ok(change) => change,
                // Drivers send the zone of their machine unasked; a name that is unknown here must not keep them out.
                Err(error) if name.eq_ignore_ascii_case("timezone") => {
                    let text = format!("{error}; the session stays in UTC");
                    message::notice("WARNING", error.sqlstate, &text.into(), &mut greeting);
                    continue;
                }
                Err(error) => return Err(error),
            };
            engine.set(change.name(), &change.value).await.map_err(refused)?;
            settings.store_start(change);
        }
        for (mode, default) in MODES {
            let change = Settings::checked(mode, settings.get(default)?.to_owned())?;
            if settings.get(mode)? != change.value {
                engine.set(change.name(), &change.value).await.map_err(refused)?;
                settings.store_for_good(change);
            }
        }
        let session = Session {
            engine,
            settings,
            transaction: Transaction::new(),
            statements: HashMap::new(),
            portals: HashMap::new(),
            cursors: HashMap::new(),
            unsent: None,
            opened: 0,
            listening: Listening::of(&hello.user),
        };
        Ok(Admitted { shared, registration, session, greeting })
    }

    /// Gives the session its socket.
    pub(in crate::wire) fn attach(self, socket: Socket) -> Connection {
        let (reader, writer) = tokio::io::split(socket);
        let mut connection = Connection {
            reader,
            writer,
            inbox: BytesMut::new(),
            outbox: self.greeting,
            shared: self.shared,
            registration: self.registration,
            session: self.session,
            skipping: false,
            at_rest: false,
        };
        connection.report_settings();
        let (pid, secret) = (connection.registration.pid, connection.registration.secret());
        message::backend_key(pid, secret, &mut connection.outbox);
        connection.ready();
        connection
    }
}
