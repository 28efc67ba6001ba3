//! A hundred thousand alerts, skewed as in life: most are closed, few have a severity, one entity is hot.

use redflag::domain::OrganizationId;

use super::world::World;
use crate::support::DatabaseKind;

/// When the first alert was made, in seconds since 1970; the others follow, one each minute.
pub const START: i64 = 1_700_000_000;
/// How many alerts there are, over all organizations.
pub const ALERTS: u32 = 100_000;

/// The database's own spelling of what the load needs.
struct Dialect {
    numbers: String,
    organization: fn(OrganizationId) -> String,
    anomaly: &'static str,
    instant: fn(&str) -> String,
    list: fn(&str) -> String,
    no_list: &'static str,
    object: &'static str,
}

fn dialect(kind: DatabaseKind) -> Dialect {
    match kind {
        DatabaseKind::Sqlite => Dialect {
            numbers: format!(
                "(WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < {}) \
                 SELECT n, {DICE} FROM numbers)",
                ALERTS - 1
            ),
            organization: |id| format!("x'{}'", id.uuid().simple()),
            anomaly: "unhex(printf('%032x', n))",
            instant: |seconds| format!("({seconds}) * 1000000"),
            list: |entry| format!("json_array({entry})"),
            no_list: "'[]'",
            object: "'{\"rule\": \"velocity\"}'",
        },
        DatabaseKind::Postgres => Dialect {
            numbers: format!("(SELECT n, {DICE} FROM generate_series(0, {}::bigint) AS n)", ALERTS - 1),
            organization: |id| format!("'{}'::uuid", id.uuid()),
            anomaly: "lpad(to_hex(n), 32, '0')::uuid",
            instant: |seconds| format!("to_timestamp({seconds})"),
            list: |entry| format!("ARRAY[{entry}]"),
            no_list: "'{}'::text[]",
            object: "'{\"rule\": \"velocity\"}'::jsonb",
        },
    }
}

/// Numbers below 1,000 that have nothing to do with each other, one for each property.
const DICE: &str = "n * 48611 % 99991 % 1000 AS o, n * 7919 % 99989 % 1000 AS s, n * 104729 % 99971 % 1000 AS v, \
    n * 15485863 % 99961 % 1000 AS t, n * 32452843 % 99929 % 1000 AS a, n * 49979687 % 99923 % 1000 AS e, \
    n * 67867967 % 99907 % 1000 AS u";
/// When alert `n` was made, in seconds since 1970: one each minute.
const CREATED: &str = "1700000000 + n * 60";
/// One in twenty was changed, within a day of being made.
const UPDATED: &str = "1700000000 + n * 60 + CASE WHEN u < 50 THEN u * 1000 ELSE 0 END";

/// Two in five were decided about, most of them closed; each decision as often as the others.
const DISPOSITION: &str = "CASE WHEN s >= 500 AND s < 900 THEN n % 5 + 1 ELSE 0 END";

/// Fills the database; `organizations` get seven tenths, two tenths and one tenth.
pub async fn load(world: &World, organizations: [OrganizationId; 3]) {
    let dialect = dialect(world.database.kind());
    let [most, some, few] = organizations.map(dialect.organization);
    let organization = format!("CASE WHEN o < 700 THEN {most} WHEN o < 900 THEN {some} ELSE {few} END");
    let (created, updated) = ((dialect.instant)(CREATED), (dialect.instant)(UPDATED));
    let (anomaly, numbers, no_list) = (dialect.anomaly, &dialect.numbers, dialect.no_list);
    let statements = [
        format!(
            "INSERT INTO alerts (organization_id, anomaly_id, title, description, type, status, status_class, \
             severity, assigned_to, escalated_to, affected_balances, affected_transactions, affected_identities, \
             metadata, version, created_at, updated_at, last_occurred_at, disposition) \
             SELECT {organization}, {anomaly}, 'Alert ' || n, {DESCRIPTION}, {TYPE}, {STATUS}, {CLASS}, {SEVERITY}, \
             {ASSIGNEE}, {escalated}, {no_list}, {transactions}, {no_list}, {object}, 1, {created}, {updated}, {created}, \
             {DISPOSITION} \
             FROM {numbers} AS numbers",
            escalated = no_list,
            transactions = (dialect.list)("'txn_' || n"),
            object = dialect.object,
        ),
        // Every alert is about a transaction of its own, one in five about the hot balance, half about one of 1,000 people.
        index(&organization, "alert_entities", "'txn_' || n", &created, &dialect, "1 = 1"),
        index(&organization, "alert_entities", "'bln_hot'", &created, &dialect, "e < 200"),
        index(&organization, "alert_entities", "'idt_' || o", &created, &dialect, "e % 2 = 0"),
        index(&organization, "alert_escalations", "'lead' || o % 40", &created, &dialect, "e < 300"),
    ];
    let (unsafely, tidy) = match world.database.kind() {
        DatabaseKind::Sqlite => ("PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF; ", "ANALYZE"),
        DatabaseKind::Postgres => (SAME_STATISTICS, "VACUUM ANALYZE"),
    };
    world.database.execute(&(unsafely.to_owned() + &statements.join("; "))).await;
    // As the database does by itself after a while.
    world.database.execute(tidy).await;
}

/// Statistics over all rows instead of a random sample of them, and none made behind the test's back: the same plans
/// each time. For connections made from now on; this one does without foreign keys.
const SAME_STATISTICS: &str = "\
    DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_statistics_target = 400', current_database()); END $$; \
    ALTER TABLE alerts SET (autovacuum_enabled = false); \
    ALTER TABLE alert_entities SET (autovacuum_enabled = false); \
    ALTER TABLE alert_escalations SET (autovacuum_enabled = false); \
    SET session_replication_role = replica; ";

fn index(
    organization: &str,
    table: &str,
    value: &str,
    created: &str,
    dialect: &Dialect,
    which: &str,
) -> String {
    let (anomaly, numbers) = (dialect.anomaly, &dialect.numbers);
    format!(
        "INSERT INTO {table} SELECT {organization}, {value}, {created}, {anomaly} FROM {numbers} AS numbers WHERE {which}"
    )
}

const DESCRIPTION: &str = "'A transfer ten times the usual amount for this account, made at an unusual hour from a country \
    where the account has never been used before, to a beneficiary that was added within the last hour; number ' || n";
const TYPE: &str = "CASE WHEN t < 700 THEN 2 WHEN t < 950 THEN 1 ELSE 3 END";
/// Eight in ten are resolved, one in fifty waits in a custom status.
const STATUS: &str = "CASE WHEN s < 800 THEN 'RESOLVED' WHEN s < 880 THEN 'FLAGGED' \
    WHEN s < 940 THEN 'INVESTIGATING' WHEN s < 980 THEN 'PENDING' ELSE 'WAITING' END";
const CLASS: &str = "CASE WHEN s < 800 THEN 3 WHEN s < 880 THEN 1 ELSE 2 END";
const SEVERITY: &str =
    "CASE WHEN v < 850 THEN 0 WHEN v < 930 THEN 1 WHEN v < 970 THEN 2 WHEN v < 995 THEN 3 ELSE 4 END";
/// Half are nobody's, the others are shared out among twenty.
const ASSIGNEE: &str = "CASE WHEN a < 500 THEN '' ELSE 'analyst' || a % 20 END";
