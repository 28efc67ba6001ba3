//! Databases to measure on: of the throwaway PostgreSQL server, or files on the disk that holds the build folder.

use std::{
    path::{Path, PathBuf},
    process::Command,
    str::FromStr as _,
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use sqlx::{
    AssertSqlSafe, Connection as _, PgConnection, Row as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode},
};
use tempfile::TempDir;

/// How many rows a database holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rows {
    pub alerts: i64,
    pub events: i64,
}

const COUNT: &str = "SELECT (SELECT count(*) FROM alerts), (SELECT count(*) FROM alert_events)";

/// The PostgreSQL server that `scripts/with-postgres` has started.
#[derive(Debug)]
pub struct Postgres {
    /// Without a database.
    server: String,
    /// The process that all its others descend from.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// Where it keeps its data.
    pub folder: String,
}

impl Postgres {
    /// Finds the server, and refuses one that would forget what it has acknowledged.
    pub async fn find() -> anyhow::Result<Self> {
        let url = std::env::var("TEST_DATABASE_URL").context("no PostgreSQL server: run `make bench`")?;
        let mut connection = PgConnection::connect(&url).await?;
        for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
            let value = show(&mut connection, setting).await?;
            ensure!(
                value == "on",
                "the PostgreSQL server has {setting} = {value}: only a durable one is measured"
            );
        }
        let (backend,): (i32,) = sqlx::query_as("SELECT pg_backend_pid()").fetch_one(&mut connection).await?;
        let pid = crate::machine::parent(u32::try_from(backend)?).context("the server runs elsewhere")?;
        let version = show(&mut connection, "server_version").await?;
        let folder = show(&mut connection, "data_directory").await?;
        let (server, _) = url.rsplit_once('/').context("the URL names a database")?;
        Ok(Self { server: server.to_owned(), pid, version, folder })
    }

    /// The URL of one of its databases.
    pub fn url(&self, name: &str) -> String {
        format!("{}/{name}", self.server)
    }

    /// Connects to one of its databases.
    pub async fn connect(&self, name: &str) -> anyhow::Result<PgConnection> {
        Ok(PgConnection::connect(&self.url(name)).await?)
    }

    /// Makes the database `name` afresh, as a copy of `template`.
    pub async fn copy(&self, template: &str, name: &str) -> anyhow::Result<()> {
        let mut connection = self.connect("postgres").await?;
        self.close(&mut connection, template).await?;
        for statement in [
            format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
            format!("CREATE DATABASE {name} TEMPLATE {template}"),
        ] {
            sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await?;
        }
        Ok(())
    }

    /// Drops the database `name`, which may be large.
    pub async fn discard(&self, name: &str) -> anyhow::Result<()> {
        let statement = format!("DROP DATABASE {name} WITH (FORCE)");
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut self.connect("postgres").await?).await?;
        Ok(())
    }

    /// Waits until nobody is connected to the database any more, whose server may have been killed just now.
    async fn close(&self, connection: &mut PgConnection, name: &str) -> anyhow::Result<()> {
        const END: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = $1";
        for _ in 0..100 {
            let left: i64 = sqlx::query_scalar(END).bind(name).fetch_one(&mut *connection).await?;
            if left == 0 {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("somebody stays connected to {name}")
    }

    /// Writes everything that is pending to disk, so that no measure pays for the one before it.
    pub async fn checkpoint(&self) -> anyhow::Result<()> {
        sqlx::raw_sql("CHECKPOINT").execute(&mut self.connect("postgres").await?).await?;
        Ok(())
    }

    /// The text of the latest statement on the database `name` that is `like` a pattern.
    pub async fn latest_statement(&self, name: &str, like: &str) -> anyhow::Result<String> {
        const LATEST: &str = "SELECT query FROM pg_stat_activity WHERE datname = $1 AND query LIKE $2 \
            AND pid <> pg_backend_pid() ORDER BY query_start DESC LIMIT 1";
        let mut connection = self.connect("postgres").await?;
        let text = sqlx::query_scalar(LATEST).bind(name).bind(like).fetch_optional(&mut connection).await?;
        text.with_context(|| format!("no statement like {like}"))
    }
}

async fn show(connection: &mut PgConnection, setting: &str) -> anyhow::Result<String> {
    let query = sqlx::query_scalar("SELECT current_setting($1)").bind(setting);
    Ok(query.fetch_one(connection).await?)
}

/// A folder of SQLite files, gone when this is dropped.
#[derive(Debug)]
pub struct Files {
    folder: TempDir,
}

impl Files {
    /// Makes one below the build folder.
    pub fn create() -> anyhow::Result<Self> {
        let folder = TempDir::with_prefix_in("bench-", env!("CARGO_TARGET_TMPDIR"))?;
        Ok(Self { folder })
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The file of the database `name`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.db"))
    }

    /// A file with a private key that signs the history, made when it is asked for first.
    pub fn audit_key(&self) -> anyhow::Result<PathBuf> {
        let file = self.folder.path().join("audit.pem");
        if !file.exists() {
            let mut keygen = Command::new(env!("CARGO_BIN_EXE_redflag"));
            let made = keygen.args(["audit", "keygen", "--out"]).arg(&file).output()?;
            ensure!(made.status.success(), "no key was made: {}", String::from_utf8_lossy(&made.stderr));
        }
        Ok(file)
    }

    /// The URL of the database `name`.
    pub fn url(&self, name: &str) -> String {
        format!("sqlite:{}", self.path(name).display())
    }

    /// Connects to the database `name`.
    pub async fn connect(&self, name: &str) -> anyhow::Result<SqliteConnection> {
        let options = SqliteConnectOptions::from_str(&self.url(name))?.journal_mode(SqliteJournalMode::Wal);
        Ok(SqliteConnection::connect_with(&options).await?)
    }

    /// Makes the database `name` afresh, as a copy of `template`, which nobody has open.
    pub async fn copy(&self, template: &str, name: &str) -> anyhow::Result<()> {
        let mut connection = self.connect(template).await?;
        sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut connection).await?;
        connection.close().await?;
        for ending in ["db-wal", "db-shm"] {
            let _ = std::fs::remove_file(self.path(name).with_extension(ending));
        }
        std::fs::copy(self.path(template), self.path(name))?;
        std::fs::File::open(self.path(name))?.sync_all()?;
        Ok(())
    }
}

/// Counts the rows of a database of a PostgreSQL server.
pub async fn count_postgres(connection: &mut PgConnection) -> anyhow::Result<Rows> {
    let row = sqlx::query(COUNT).fetch_one(connection).await?;
    Ok(Rows { alerts: row.try_get(0)?, events: row.try_get(1)? })
}

/// Counts the rows of a file. Closes the connection: the last one empties and removes the write-ahead log, be it another
/// database's that has the name by then.
pub async fn count_sqlite(mut connection: SqliteConnection) -> anyhow::Result<Rows> {
    let row = sqlx::query(COUNT).fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(Rows { alerts: row.try_get(0)?, events: row.try_get(1)? })
}
