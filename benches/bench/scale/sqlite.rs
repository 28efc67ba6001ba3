//! Fills an SQLite file.

use std::str::FromStr as _;

use anyhow::Context as _;
use sqlx::{
    AssertSqlSafe, Connection as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use uuid::Uuid;

use super::shape::{ORGANIZATIONS, Shape};
use crate::{
    callers::{DESCRIPTION, TITLE},
    database::Files,
    stub,
};

/// Fills the database `name`, which redflag has made, and tells the first organization.
pub async fn fill(files: &Files, name: &str, shape: Shape) -> anyhow::Result<Uuid> {
    let options = SqliteConnectOptions::from_str(&files.url(name))?
        .foreign_keys(false)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Off)
        .pragma("cache_size", "-500000")
        .pragma("temp_store", "memory");
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let first = add_organizations(&mut connection).await?;
    let dropped = drop_indexes(&mut connection).await?;
    for (from, to) in shape.chunks() {
        run(&mut connection, &insert(shape, from, to)).await?;
        eprintln!("SQLite: {to} of {} alerts", shape.alerts);
    }
    for statement in dropped {
        run(&mut connection, &statement).await?;
    }
    run(
        &mut connection,
        "UPDATE event_heads SET (position, hash) = (SELECT e.position, e.hash FROM alert_events e \
        WHERE e.organization_id = event_heads.organization_id ORDER BY e.position DESC LIMIT 1)",
    )
    .await?;
    run(&mut connection, "ANALYZE; PRAGMA wal_checkpoint(TRUNCATE)").await?;
    connection.close().await?;
    Ok(first)
}

async fn run(connection: &mut SqliteConnection, statements: &str) -> anyhow::Result<()> {
    let done = sqlx::raw_sql(AssertSqlSafe(statements)).execute(connection).await;
    done.map(drop).with_context(|| format!("running {}", &statements[..statements.len().min(60)]))
}

/// Adds organizations like the first, and numbers them.
async fn add_organizations(connection: &mut SqliteConnection) -> anyhow::Result<Uuid> {
    let first: Uuid =
        sqlx::query_scalar("SELECT organization_id FROM organizations").fetch_one(&mut *connection).await?;
    let blob = |id: Uuid| format!("x'{}'", id.simple());
    let mut rows = vec![format!("(1, {})", blob(first))];
    for number in 2..=ORGANIZATIONS {
        let (id, first) = (blob(stub::new_id()), blob(first));
        run(connection, &format!(
            "INSERT INTO organizations (organization_id, name, created_at) VALUES ({id}, 'bench-{number}', 0); \
            INSERT INTO alert_statuses SELECT {id}, key, name, colour, class, builtin, created_at, updated_at \
                FROM alert_statuses WHERE organization_id = {first}; \
            INSERT INTO event_heads (organization_id, position, hash) VALUES ({id}, 0, zeroblob(32))"
        )).await?;
        rows.push(format!("({number}, {id})"));
    }
    let rows = rows.join(", ");
    run(
        connection,
        &format!(
            "CREATE TEMP TABLE numbered (n INTEGER PRIMARY KEY, id BLOB); \
        INSERT INTO numbered VALUES {rows}"
        ),
    )
    .await?;
    Ok(first)
}

/// Drops what is quicker to make afterwards, and tells how.
async fn drop_indexes(connection: &mut SqliteConnection) -> anyhow::Result<Vec<String>> {
    let parts: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL \
         AND ((type = 'index' AND tbl_name = 'alerts') OR (type = 'trigger' AND tbl_name = 'alert_events'))",
    )
    .fetch_all(&mut *connection)
    .await?;
    for (kind, name, _) in &parts {
        run(connection, &format!("DROP {kind} {name}")).await?;
    }
    Ok(parts.into_iter().map(|(_, _, make)| make).collect())
}

/// One transaction: some alerts, with what finds them and one event each, whose hashes are random.
fn insert(shape: Shape, from: u64, to: u64) -> String {
    let drawn =
        ["a", "b", "c", "d", "e", "f", "g"].map(|name| format!("abs(random() % 10000) AS {name}")).join(", ");
    let select = shape.select();
    let list = |kind: u8| format!("CASE WHEN type = {kind} THEN json_array(entity) ELSE '[]' END");
    let [balances, transactions, identities] = [1, 2, 3].map(list);
    format!(
        "BEGIN; \
        CREATE TEMP TABLE drawn AS WITH RECURSIVE counted (n) AS (SELECT {from} UNION ALL SELECT n + 1 FROM counted \
            WHERE n < {to}) SELECT n, {drawn} FROM counted; \
        CREATE TEMP TABLE shaped AS SELECT x.*, o.id AS organization_id, \
            unhex(printf('%012x7%03x8%07x%08x', x.micros / 1000, random() & 4095, random() & 268435455, \
                random() & 4294967295)) AS id \
            FROM ({select}) AS x JOIN numbered o ON o.n = x.organization ORDER BY x.n; \
        INSERT INTO alerts (organization_id, anomaly_id, title, description, type, status, status_class, \
            severity, assigned_to, escalated_to, affected_balances, affected_transactions, affected_identities, \
            metadata, version, created_at, updated_at, disposition, closed_at, closed_by, last_occurred_at, sequence) \
            SELECT organization_id, id, '{TITLE}', '{DESCRIPTION}', type, status, class, severity, assigned_to, \
            CASE WHEN person IS NULL THEN '[]' ELSE json_array(person) END, {balances}, {transactions}, {identities}, \
            '{{}}', 1, micros, micros, disposition, CASE WHEN class = 3 THEN micros END, \
            CASE WHEN class = 3 THEN '{CLOSED_BY}' END, micros, 1 FROM shaped ORDER BY n; \
        INSERT INTO alert_entities (organization_id, entity_id, created_at, anomaly_id) \
            SELECT organization_id, entity, micros, id FROM shaped ORDER BY organization_id, entity, micros; \
        INSERT INTO alert_escalations (organization_id, escalated_to, created_at, anomaly_id) \
            SELECT organization_id, person, micros, id FROM shaped WHERE person IS NOT NULL; \
        CREATE TEMP TABLE heads AS SELECT o.id, (SELECT coalesce(max(e.position), 0) FROM alert_events e \
            WHERE e.organization_id = o.id) AS position FROM numbered o; \
        INSERT INTO alert_events (organization_id, position, anomaly_id, sequence, event_id, type, key_id, key_name, \
            changes, note, request_id, created_at, previous_hash, hash) \
            SELECT s.organization_id, h.position + row_number() OVER (PARTITION BY s.organization_id ORDER BY s.n), \
            s.id, 1, randomblob(16), 1, zeroblob(16), 'bootstrap', printf('%0{CHANGES}d', 0), '', \
            lower(hex(randomblob(18))), s.micros, randomblob(32), randomblob(32) \
            FROM shaped s JOIN heads h ON h.id = s.organization_id; \
        DROP TABLE drawn; DROP TABLE shaped; DROP TABLE heads; COMMIT",
        CLOSED_BY = super::CLOSED_BY,
        CHANGES = super::CHANGES,
    )
}
