//! What a team would write first: one transaction a request, with one INSERT for each table. It keeps no chain and asks
//! for no key, so it does less than redflag.

use std::{
    str::FromStr as _,
    sync::{
        Mutex,
        atomic::{AtomicI64, Ordering},
    },
};

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use redflag::grpc::pb::{Alert, FlagEntityRequest, FlagEntityResponse, alert_service_server::AlertService};
use serde_json::json;
use sqlx::{
    PgPool, SqlitePool,
    postgres::PgPoolOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::{ids::Random, stub};

/// How many connections PostgreSQL is given.
const CONNECTIONS: u32 = 16;

/// The same statements do for both databases; what is bound differs.
const INSERT_ALERT: &str = "INSERT INTO alerts (organization_id, anomaly_id, title, description, type, status, \
    status_class, severity, assigned_to, escalated_to, affected_balances, affected_transactions, affected_identities, \
    metadata, version, created_at, updated_at, last_occurred_at, sequence) \
    VALUES ($1, $2, $3, $4, 1, 'FLAGGED', 1, $5, $6, $7, $8, $9, $9, $10, 1, $11, $11, $11, 1)";
const INSERT_ENTITY: &str = "INSERT INTO alert_entities (organization_id, entity_id, created_at, anomaly_id) \
    VALUES ($1, $2, $3, $4)";
const INSERT_EVENT: &str = "INSERT INTO alert_events (organization_id, position, hash, previous_hash, event_id, \
    anomaly_id, sequence, type, key_id, key_name, changes, note, request_id, created_at) \
    VALUES ($1, $2, $3, $3, $4, $5, 1, 1, $6, 'bootstrap', $7, '', $8, $9)";

/// Keeps alerts, each in a transaction of its own.
pub struct Naive {
    pool: Pool,
    organization: Uuid,
    key: Uuid,
    position: AtomicI64,
    random: Mutex<Random>,
}

enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// What one request writes.
struct Rows {
    alert: Alert,
    id: Uuid,
    at: DateTime<Utc>,
    changes: String,
    hash: Vec<u8>,
    event_id: Uuid,
    position: i64,
}

const SELECT_PLACE: &str = "SELECT h.organization_id, k.key_id, h.position FROM event_heads h \
    JOIN api_keys k ON k.organization_id = h.organization_id";

impl Naive {
    /// Opens a database that redflag has made.
    pub async fn open(url: &str) -> anyhow::Result<Self> {
        let pool = Pool::open(url).await?;
        let (organization, key, position) = match &pool {
            Pool::Sqlite(pool) => sqlx::query_as(SELECT_PLACE).fetch_one(pool).await?,
            Pool::Postgres(pool) => sqlx::query_as(SELECT_PLACE).fetch_one(pool).await?,
        };
        let (position, random) = (AtomicI64::new(position), Mutex::new(Random::new()?));
        Ok(Self { pool, organization, key, position, random })
    }

    async fn flag(&self, request: FlagEntityRequest) -> anyhow::Result<Alert> {
        let rows = self.rows(request)?;
        match &self.pool {
            Pool::Sqlite(pool) => self.write_sqlite(pool, &rows).await?,
            Pool::Postgres(pool) => self.write_postgres(pool, &rows).await?,
        }
        Ok(rows.alert)
    }

    fn rows(&self, request: FlagEntityRequest) -> anyhow::Result<Rows> {
        let id = stub::new_id();
        let alert = stub::alert_of(request, id, self.organization);
        let at = alert.created_at.context("a stub's alert has a time")?;
        let at = DateTime::from_timestamp(at.seconds, at.nanos.cast_unsigned()).context("that exists")?;
        let hash = match self.random.lock() {
            Ok(mut random) => random.hash().to_vec(),
            Err(_) => anyhow::bail!("another call panicked"),
        };
        let position = self.position.fetch_add(1, Ordering::Relaxed) + 1;
        Ok(Rows { changes: changes(&alert), alert, id, at, hash, event_id: stub::new_id(), position })
    }

    async fn write_sqlite(&self, pool: &SqlitePool, rows: &Rows) -> Result<(), sqlx::Error> {
        let Rows { alert, at, .. } = rows;
        let at = at.timestamp_micros();
        let list = |list: &[String]| json!(list).to_string();
        let entity = &alert.affected_balances;
        let mut transaction = pool.begin().await?;
        let insert = sqlx::query(INSERT_ALERT).bind(self.organization).bind(rows.id);
        let insert = insert.bind(&alert.title).bind(&alert.description).bind(alert.severity);
        let insert = insert.bind(&alert.assigned_to).bind(list(&[])).bind(list(entity)).bind(list(&[]));
        insert.bind("{}").bind(at).execute(&mut *transaction).await?;
        let insert = sqlx::query(INSERT_ENTITY).bind(self.organization).bind(&entity[0]);
        insert.bind(at).bind(rows.id).execute(&mut *transaction).await?;
        let insert = sqlx::query(INSERT_EVENT).bind(self.organization).bind(rows.position).bind(&rows.hash);
        let insert = insert.bind(rows.event_id).bind(rows.id).bind(self.key).bind(&rows.changes);
        insert.bind(rows.event_id.to_string()).bind(at).execute(&mut *transaction).await?;
        transaction.commit().await
    }

    async fn write_postgres(&self, pool: &PgPool, rows: &Rows) -> Result<(), sqlx::Error> {
        let Rows { alert, at, .. } = rows;
        let (entity, none) = (&alert.affected_balances, Vec::<String>::new());
        let mut transaction = pool.begin().await?;
        let insert = sqlx::query(INSERT_ALERT).bind(self.organization).bind(rows.id);
        let insert = insert.bind(&alert.title).bind(&alert.description).bind(alert.severity);
        let insert = insert.bind(&alert.assigned_to).bind(&none).bind(entity).bind(&none);
        insert.bind(json!({})).bind(at).execute(&mut *transaction).await?;
        let insert = sqlx::query(INSERT_ENTITY).bind(self.organization).bind(&entity[0]);
        insert.bind(at).bind(rows.id).execute(&mut *transaction).await?;
        let insert = sqlx::query(INSERT_EVENT).bind(self.organization).bind(rows.position).bind(&rows.hash);
        let insert = insert.bind(rows.event_id).bind(rows.id).bind(self.key).bind(&rows.changes);
        insert.bind(rows.event_id.to_string()).bind(at).execute(&mut *transaction).await?;
        transaction.commit().await
    }
}

impl Pool {
    async fn open(url: &str) -> anyhow::Result<Self> {
        if !url.starts_with("sqlite:") {
            let pool = PgPoolOptions::new().max_connections(CONNECTIONS).test_before_acquire(false);
            return Ok(Self::Postgres(pool.connect(url).await?));
        }
        let file = SqliteConnectOptions::from_str(url)?.journal_mode(SqliteJournalMode::Wal);
        let file = file.synchronous(SqliteSynchronous::Full).foreign_keys(true);
        let pool = SqlitePoolOptions::new().max_connections(1).test_before_acquire(false);
        Ok(Self::Sqlite(pool.connect_with(file).await?))
    }
}

/// What the event tells, as long as what redflag's tells.
fn changes(alert: &Alert) -> String {
    let change =
        |field: &str, after: serde_json::Value| json!({ "after": after, "before": null, "field": field });
    json!([
        change("type", json!("Balance")),
        change("title", json!(alert.title)),
        change("description", json!(alert.description)),
        change("status", json!(alert.status)),
        change("status_class", json!("open")),
        change("severity", json!("high")),
        change("assigned_to", json!(alert.assigned_to)),
        change("affected_balances", json!(alert.affected_balances)),
        change("occurrence_count", json!(1)),
        change("last_occurred_at", json!("2026-01-01T00:00:00.000000Z")),
    ])
    .to_string()
}

#[tonic::async_trait]
impl AlertService for Naive {
    async fn flag_entity(
        &self,
        request: Request<FlagEntityRequest>,
    ) -> Result<Response<FlagEntityResponse>, Status> {
        let flagged = self.flag(request.into_inner()).await;
        let alert = flagged.map_err(|error| Status::internal(error.to_string()))?;
        Ok(Response::new(FlagEntityResponse { alert: Some(alert), deduplicated: false }))
    }

    stub::refuse! {
        get_alert(GetAlertRequest) -> GetAlertResponse,
        update_alert(UpdateAlertRequest) -> UpdateAlertResponse,
        escalate_alert(EscalateAlertRequest) -> EscalateAlertResponse,
        list_alerts(ListAlertsRequest) -> ListAlertsResponse,
        list_alert_events(ListAlertEventsRequest) -> ListAlertEventsResponse,
    }
}
