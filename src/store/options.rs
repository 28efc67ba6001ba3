//! The options that a database is opened with.

use std::{sync::Arc, time::Duration};

use super::{commits::Commits, queue::GroupCommit, schema::OnOlderSchema};
use crate::domain::HeadSigner;

/// The processes that may use an SQLite file at the same time; servers share a database of PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// Commands that write a little, and no other server.
    Alone,
    /// A server too.
    Beside,
}

/// How to open a database.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many connections at most: reading ones on SQLite, which has one more to write; all on PostgreSQL.
    pub connections: u32,
    /// The treatment of an older schema.
    pub on_older: OnOlderSchema,
    /// How long PostgreSQL works on one statement, also where its caller has gone away.
    pub statement_timeout: Duration,
    /// How changes share commits.
    pub commits: GroupCommit,
    /// The processes that may use it at the same time.
    pub sharing: Sharing,
    /// Signs each head that a transaction leaves, where there is one.
    pub signer: Option<Arc<HeadSigner>>,
    /// Whom to tell of commits.
    pub sink: Commits,
}

impl Options {
    /// The options of a command, which may run beside a server.
    pub fn for_command(on_older: OnOlderSchema) -> Self {
        Self {
            connections: 1,
            on_older,
            statement_timeout: Duration::from_mins(5),
            commits: GroupCommit::DEFAULT,
            sharing: Sharing::Beside,
            signer: None,
            sink: Commits::default(),
        }
    }
}
