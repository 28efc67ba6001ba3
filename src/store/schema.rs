//! The schema and its versions, told the same way for both databases.

use sqlx::migrate::{Migrate, MigrateError, Migrator};

use super::{
    StoreError,
    sqlite::codes::{self, Damaged, Meaning},
};

/// The treatment of a schema that is older than this version knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnOlderSchema {
    /// Bring it up to date.
    Migrate,
    /// Bring it up to date where there is none yet; refuse one that others may be at work on.
    MigrateIfEmpty,
    /// Refuse.
    Refuse,
}

/// Why a database can't be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL names no database that redflag knows.
    #[error("{0}")]
    Url(String),
    /// The database can't be reached or opened.
    #[error("can't open the database: {0}")]
    Unreachable(String),
    /// There is none, and none is to be made.
    #[error("there is no database at {0} (--database-url, REDFLAG_DATABASE_URL)")]
    Missing(String),
    /// Somebody else has it alone.
    #[error("the database {file} is in use by another redflag{}: stop that first", by(*process))]
    InUse {
        /// The file.
        file: String,
        /// Which process has it, where that is known.
        process: Option<u32>,
    },
    /// The schema is older, and migrating was not wanted.
    #[error("the database's schema is version {found}, this redflag needs {known}: run `redflag migrate`")]
    Older {
        /// The version of the database.
        found: i64,
        /// The version that this redflag needs.
        known: i64,
    },
    /// A newer redflag has been here.
    #[error(
        "the database's schema is version {found}, newer than the {known} this redflag knows: use a newer redflag"
    )]
    Newer {
        /// The version of the database.
        found: i64,
        /// The version that this redflag knows.
        known: i64,
    },
    /// The database keeps text in an encoding that lacks characters.
    #[error("the database's encoding is {0}, redflag needs UTF8: create it with ENCODING 'UTF8'")]
    Encoding(String),
    /// A pooler gives each transaction another session.
    #[error(
        "the database URL leads to a pooler that gives each transaction another session, such as pgbouncer in \
         transaction mode: redflag needs one in session mode, or none"
    )]
    SharedSessions,
    /// A migration failed.
    #[error("can't migrate the database: {0}")]
    Migration(#[from] MigrateError),
}

fn by(process: Option<u32>) -> String {
    process.map(|process| format!(" (process {process})")).unwrap_or_default()
}

impl From<sqlx::Error> for OpenError {
    fn from(error: sqlx::Error) -> Self {
        Self::Unreachable(error.to_string())
    }
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Unreachable(match codes::meaning(&error) {
            Meaning::Damaged => Damaged(error).to_string(),
            _ => error.to_string(),
        })
    }
}

/// How the schema that a database has compares to the one that this version knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchemaVersion {
    /// The newest migration applied, 0 on an empty database.
    pub found: i64,
    /// The newest migration known.
    pub known: i64,
}

impl SchemaVersion {
    /// Reads what the database has; changes nothing.
    ///
    /// # Errors
    /// [`OpenError::Unreachable`].
    pub async fn read<C: Migrate>(conn: &mut C, migrator: &Migrator) -> Result<Self, OpenError> {
        let applied = match conn.list_applied_migrations(&migrator.table_name).await {
            Ok(applied) => applied,
            Err(error) if is_missing_table(&error) => Vec::new(),
            Err(error) => return Err(OpenError::Unreachable(error.to_string())),
        };
        let found = applied.iter().map(|migration| migration.version).max().unwrap_or_default();
        Ok(Self { found, ..Self::none(migrator) })
    }

    /// The version of a database that is not there yet.
    pub fn none(migrator: &Migrator) -> Self {
        let known = migrator.iter().map(|migration| migration.version).max().unwrap_or_default();
        Self { found: 0, known }
    }

    /// Returns true where the database has exactly the schema that this version knows.
    pub const fn is_current(self) -> bool {
        self.found == self.known
    }

    /// Passes when the database has exactly the schema that this version knows.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: another version is at work on the database.
    pub fn check_current(self) -> Result<(), StoreError> {
        let refused = || format!("the schema is version {}, this redflag knows {}", self.found, self.known);
        if self.is_current() { Ok(()) } else { Err(StoreError::Unavailable(refused().into())) }
    }

    /// Returns true where the schema must be migrated before use.
    ///
    /// # Errors
    /// [`OpenError::Newer`]; [`OpenError::Older`] when migrating is not wanted.
    pub const fn needs_migration(self, on_older: OnOlderSchema) -> Result<bool, OpenError> {
        let Self { found, known } = self;
        match on_older {
            _ if found == known => Ok(false),
            _ if found > known => Err(OpenError::Newer { found, known }),
            OnOlderSchema::Migrate => Ok(true),
            OnOlderSchema::MigrateIfEmpty if found == 0 => Ok(true),
            OnOlderSchema::MigrateIfEmpty | OnOlderSchema::Refuse => Err(OpenError::Older { found, known }),
        }
    }
}

/// Returns true where the table of migrations is missing, as on an empty database: `SQLITE_ERROR`, or PostgreSQL's
/// `undefined_table`.
fn is_missing_table(error: &MigrateError) -> bool {
    let MigrateError::Execute(sqlx::Error::Database(error)) = error else {
        return false;
    };
    matches!(error.code().as_deref(), Some("1" | "42P01"))
}
