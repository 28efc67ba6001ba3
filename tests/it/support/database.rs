//! A database for each test, of either kind.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use redflag::store::{self, Store, schema::OnOlderSchema};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tempfile::TempDir;

/// Names the PostgreSQL server that tests make their databases on.
const SERVER: &str = "TEST_DATABASE_URL";
/// Connections of each store: enough for every share to have its own, and for tasks to get in each other's way.
const CONNECTIONS: u32 = 5;

/// Which database a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatabaseKind {
    /// A file.
    Sqlite,
    /// A database of the server in `TEST_DATABASE_URL`.
    Postgres,
}

/// An empty database of one test's own, which is gone when this is dropped.
pub struct TestDatabase {
    url: String,
    place: Place,
}

enum Place {
    Sqlite { _folder: TempDir },
    Postgres { name: String },
}

impl TestDatabase {
    /// Makes one without any schema.
    pub async fn create(kind: DatabaseKind) -> Self {
        match kind {
            DatabaseKind::Sqlite => Self::create_file(),
            DatabaseKind::Postgres => Self::create_on_server().await,
        }
    }

    /// What a server is started with to use this database.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Which kind it is.
    pub const fn kind(&self) -> DatabaseKind {
        match self.place {
            Place::Sqlite { .. } => DatabaseKind::Sqlite,
            Place::Postgres { .. } => DatabaseKind::Postgres,
        }
    }

    /// Opens a store on it, which migrates it; further ones are further instances.
    pub async fn open(&self) -> Arc<dyn Store> {
        store::connect::open(
            &self.url,
            redflag::store::connect::Options {
                connections: CONNECTIONS,
                ..redflag::store::connect::Options::for_command(OnOlderSchema::Migrate)
            },
        )
        .await
        .expect("a fresh database opens")
    }

    /// Runs statements as they stand, past the store.
    pub async fn execute(&self, sql: &str) {
        self.try_execute(sql).await.unwrap();
    }

    /// The same, where the database may refuse.
    pub async fn try_execute(&self, sql: &str) -> Result<(), sqlx::Error> {
        let sql = AssertSqlSafe(sql.to_owned());
        match self.kind() {
            DatabaseKind::Sqlite => {
                let mut conn = sqlx::SqliteConnection::connect(&self.url).await.unwrap();
                sqlx::raw_sql(sql).execute(&mut conn).await.map(drop)
            }
            DatabaseKind::Postgres => {
                let mut conn = PgConnection::connect(&self.url).await.unwrap();
                sqlx::raw_sql(sql).execute(&mut conn).await.map(drop)
            }
        }
    }

    /// Returns the number that a statement past the store counts.
    pub async fn count(&self, sql: &str) -> i64 {
        let sql = AssertSqlSafe(sql.to_owned());
        match self.kind() {
            DatabaseKind::Sqlite => {
                let mut conn = sqlx::SqliteConnection::connect(&self.url).await.unwrap();
                sqlx::query_scalar(sql).fetch_one(&mut conn).await.unwrap()
            }
            DatabaseKind::Postgres => {
                let mut conn = PgConnection::connect(&self.url).await.unwrap();
                sqlx::query_scalar(sql).fetch_one(&mut conn).await.unwrap()
            }
        }
    }

    fn create_file() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let file = folder.path().join("redflag.db");
        Self { url: format!("sqlite:{}", file.display()), place: Place::Sqlite { _folder: folder } }
    }

    async fn create_on_server() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let count = MADE.fetch_add(1, Ordering::SeqCst);
        let name = format!("redflag_test_{}_{count}", std::process::id());
        administer(format!(
            "DROP DATABASE IF EXISTS {name} WITH (FORCE); CREATE DATABASE {name} TEMPLATE template0"
        ))
        .await
        .expect("the test server makes databases");
        Self { url: on_server(&name), place: Place::Postgres { name } }
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Place::Postgres { name } = &self.place else {
            return;
        };
        let statement = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
        // Where it fails, the server keeps a database that nobody uses: no reason to fail the test.
        let _ = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(administer(statement))
        })
        .join();
    }
}

/// The server's URL with another database.
fn on_server(database: &str) -> String {
    let server = server();
    let (server, parameters) = server.split_once('?').unwrap_or((&server, ""));
    let (host, _) = server.rsplit_once('/').expect("the URL of the test server names a database");
    format!("{host}/{database}?{parameters}")
}

fn server() -> String {
    std::env::var(SERVER).unwrap_or_else(|_| panic!("{SERVER} is not set: run the tests with `make test`"))
}

/// Runs statements one by one on the server's own database.
async fn administer(statements: String) -> Result<(), sqlx::Error> {
    let mut conn = PgConnection::connect(&server()).await?;
    for statement in statements.split("; ") {
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut conn).await?;
    }
    conn.close().await
}
