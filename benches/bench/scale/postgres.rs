//! Fills a PostgreSQL database, inside the server.

use anyhow::Context as _;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use uuid::Uuid;

use super::shape::{ORGANIZATIONS, Shape};
use crate::{
    callers::{DESCRIPTION, TITLE},
    database::Postgres,
    stub,
};

const MOVE_HEADS: &str = "UPDATE event_heads h SET (position, hash) = (SELECT e.position, e.hash \
    FROM alert_events e WHERE e.organization_id = h.organization_id ORDER BY e.position DESC LIMIT 1) \
    WHERE EXISTS (SELECT 1 FROM alert_events e WHERE e.organization_id = h.organization_id)";

/// Fills the database `name`, which redflag has made, and tells the first organization.
pub async fn fill(postgres: &Postgres, name: &str, shape: Shape) -> anyhow::Result<Uuid> {
    let mut connection = postgres.connect(name).await?;
    // No trigger, no foreign key: what is written is known to fit.
    run(
        &mut connection,
        "SET session_replication_role = replica; SET synchronous_commit = off; SET work_mem = '256MB'; \
        SET maintenance_work_mem = '1GB'; SET max_parallel_maintenance_workers = 2",
    )
    .await?;
    let first = add_organizations(&mut connection).await?;
    let indexes = drop_indexes(&mut connection).await?;
    for (from, to) in shape.chunks() {
        run(&mut connection, &insert(shape, from, to)).await?;
        // Where the next ones begin. Looked up among the events by their own statement, it would be looked for among all that
        // the statement has written so far, for each of them.
        run(&mut connection, MOVE_HEADS).await?;
        eprintln!("PostgreSQL: {to} of {} alerts", shape.alerts);
    }
    for index in indexes {
        run(&mut connection, &index).await?;
    }
    run(&mut connection, "VACUUM ANALYZE").await?;
    run(&mut connection, "CHECKPOINT").await?;
    connection.close().await?;
    Ok(first)
}

async fn run(connection: &mut PgConnection, statements: &str) -> anyhow::Result<()> {
    let done = sqlx::raw_sql(AssertSqlSafe(statements)).execute(connection).await;
    done.map(drop).with_context(|| format!("running {}", &statements[..statements.len().min(60)]))
}

/// Adds organizations like the first, and numbers them.
async fn add_organizations(connection: &mut PgConnection) -> anyhow::Result<Uuid> {
    let first: Uuid =
        sqlx::query_scalar("SELECT organization_id FROM organizations").fetch_one(&mut *connection).await?;
    let mut ids = vec![first];
    for number in 2..=ORGANIZATIONS {
        let id = stub::new_id();
        run(connection, &format!(
            "INSERT INTO organizations (organization_id, name, created_at) VALUES ('{id}', 'bench-{number}', now()); \
            INSERT INTO alert_statuses SELECT '{id}', key, name, colour, class, builtin, created_at, updated_at \
                FROM alert_statuses WHERE organization_id = '{first}'; \
            INSERT INTO event_heads (organization_id, position, hash) \
                VALUES ('{id}', 0, decode(repeat('00', 32), 'hex'))"
        )).await?;
        ids.push(id);
    }
    let rows: Vec<_> =
        ids.iter().enumerate().map(|(index, id)| format!("({}, '{id}'::uuid)", index + 1)).collect();
    let rows = rows.join(", ");
    run(connection, &format!("CREATE TEMP TABLE numbered AS SELECT * FROM (VALUES {rows}) AS v (n, id)"))
        .await?;
    Ok(first)
}

/// Drops what is quicker to make afterwards, and tells how.
async fn drop_indexes(connection: &mut PgConnection) -> anyhow::Result<Vec<String>> {
    let indexes: Vec<(String, String)> = sqlx::query_as(
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename = 'alerts' \
         AND indexname <> 'alerts_pkey'",
    )
    .fetch_all(&mut *connection)
    .await?;
    for (name, _) in &indexes {
        run(connection, &format!("DROP INDEX {name}")).await?;
    }
    Ok(indexes.into_iter().map(|(_, make)| make).collect())
}

/// One transaction: some alerts, with what finds them and one event each, whose hashes are random.
fn insert(shape: Shape, from: u64, to: u64) -> String {
    let draw = |name| format!("(random() * 9999)::int::bigint AS {name}");
    let drawn = ["a", "b", "c", "d", "e", "f", "g"].map(draw).join(", ");
    let select = shape.select();
    let list = |kind: u8| format!("CASE WHEN type = {kind} THEN ARRAY[entity] ELSE '{{}}' END");
    let [balances, transactions, identities] = [1, 2, 3].map(list);
    format!(
        "WITH drawn AS MATERIALIZED (SELECT n, {drawn} FROM generate_series({from}::bigint, {to}::bigint) AS n), \
        shaped AS MATERIALIZED (SELECT x.*, o.id AS organization_id, \
            timestamptz 'epoch' + x.micros * interval '1 microsecond' AS at, \
            (lpad(to_hex(x.micros / 1000), 12, '0') || '7' || substr(md5(random()::text), 1, 3) || '8' \
                || substr(md5(random()::text), 1, 15))::uuid AS id \
            FROM ({select}) AS x JOIN numbered o ON o.n = x.organization), \
        alert AS (INSERT INTO alerts (organization_id, anomaly_id, title, description, type, status, status_class, \
            severity, assigned_to, escalated_to, affected_balances, affected_transactions, affected_identities, \
            metadata, version, created_at, updated_at, disposition, closed_at, closed_by, last_occurred_at, sequence) \
            SELECT organization_id, id, '{TITLE}', '{DESCRIPTION}', type, status, class, severity, assigned_to, \
            CASE WHEN person IS NULL THEN '{{}}' ELSE ARRAY[person] END, {balances}, {transactions}, {identities}, \
            '{{}}', 1, at, at, disposition, CASE WHEN class = 3 THEN at END, \
            CASE WHEN class = 3 THEN '{CLOSED_BY}'::jsonb END, at, 1 FROM shaped ORDER BY n), \
        entity AS (INSERT INTO alert_entities (organization_id, entity_id, created_at, anomaly_id) \
            SELECT organization_id, entity, at, id FROM shaped ORDER BY organization_id, entity), \
        escalation AS (INSERT INTO alert_escalations (organization_id, escalated_to, created_at, anomaly_id) \
            SELECT organization_id, person, at, id FROM shaped WHERE person IS NOT NULL) \
        INSERT INTO alert_events (organization_id, position, anomaly_id, sequence, event_id, type, key_id, key_name, \
            changes, note, request_id, created_at, previous_hash, hash) \
            SELECT s.organization_id, \
            h.position + row_number() OVER (PARTITION BY s.organization_id ORDER BY s.n), \
            s.id, 1, gen_random_uuid(), 1, '{KEY}', 'bootstrap', repeat('x', {CHANGES}), '', gen_random_uuid()::text, \
            s.at, uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()), \
            uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) \
            FROM shaped s JOIN event_heads h ON h.organization_id = s.organization_id ORDER BY s.n",
        KEY = Uuid::nil(),
        CLOSED_BY = super::CLOSED_BY,
        CHANGES = super::CHANGES,
    )
}
