//! What is measured: each server or program, the calls it gets, and how many of them in flight.

use std::fmt;

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// PostgreSQL's own benchmark, with the same statements.
    Pgbench,
    /// The transport alone.
    Echo,
    /// One transaction a request.
    NaiveSqlite,
    /// One transaction a request.
    NaivePostgres,
    /// redflag.
    Postgres,
    /// redflag, which signs the history.
    SigningPostgres,
    /// redflag.
    Sqlite,
    /// redflag, which signs the history.
    SigningSqlite,
}

/// Which call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    Flag,
    Get,
    List,
    Update,
    RestFlag,
}

/// One measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub subject: Subject,
    pub call: Call,
    pub in_flight: usize,
}

/// Calls, each with the numbers of them in flight.
type Calls = &'static [(Call, &'static [usize])];

/// Every measure of a round, in order.
pub const PLAN: &[(Subject, Calls)] = &[
    (Subject::Pgbench, &[(Call::Flag, &[1, 8, 32, 64]), (Call::Get, &[1, 8, 32, 64]), (Call::List, &[8])]),
    (Subject::Echo, &[(Call::Flag, &[1, 64]), (Call::Get, &[1, 64])]),
    (Subject::NaivePostgres, &[(Call::Flag, &[1, 64])]),
    (Subject::Postgres, REDFLAG),
    (Subject::SigningPostgres, &[(Call::Flag, &[64])]),
    (Subject::NaiveSqlite, &[(Call::Flag, &[1, 64])]),
    (Subject::Sqlite, REDFLAG),
    (Subject::SigningSqlite, &[(Call::Flag, &[64])]),
];

const REDFLAG: Calls = &[
    (Call::Flag, &[1, 8, 64, 256]),
    (Call::Get, &[1, 64]),
    (Call::List, &[8]),
    (Call::Update, &[64]),
    (Call::RestFlag, &[64]),
];

/// The measures of one subject.
pub fn keys(subject: Subject, calls: Calls) -> Vec<Key> {
    let each = calls.iter().flat_map(|(call, counts)| counts.iter().map(move |count| (*call, *count)));
    each.map(|(call, in_flight)| Key { subject, call, in_flight }).collect()
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pgbench => "pgbench",
            Self::Echo => "gRPC echo",
            Self::NaiveSqlite => "one transaction a request on SQLite",
            Self::NaivePostgres => "one transaction a request on PostgreSQL",
            Self::Postgres => "redflag on PostgreSQL",
            Self::SigningPostgres => "redflag that signs, on PostgreSQL",
            Self::Sqlite => "redflag on SQLite",
            Self::SigningSqlite => "redflag that signs, on SQLite",
        })
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Flag => "FlagEntity",
            Self::Get => "GetAlert",
            Self::List => "ListAlerts",
            Self::Update => "UpdateAlert",
            Self::RestFlag => "REST flag",
        })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subject, call, in_flight } = self;
        f.pad(&format!("{subject}: {call}, {in_flight} in flight"))
    }
}
