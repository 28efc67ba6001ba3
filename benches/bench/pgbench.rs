//! PostgreSQL's own benchmark with the statements of the same work: as fast as a client of PostgreSQL can be.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use tempfile::TempDir;
use tokio::process::Command;
use uuid::Uuid;

use crate::{
    database::Postgres,
    load::Load,
    plan::{Call, Key},
    seed::{SEED, Statements},
};

/// The database that its inserts go to.
pub const INSERTS: &str = "redflag_pgbench";
/// The database that it reads from.
const READS: &str = "redflag_pgbench_reads";

/// The program and its scripts.
pub struct Pgbench {
    program: PathBuf,
    scripts: TempDir,
    postgres: Postgres,
}

impl Pgbench {
    /// Finds the program and writes its scripts; makes a database to read from, whose alerts can be named by a number.
    pub async fn prepare(postgres: Postgres, statements: &Statements, seed: usize) -> anyhow::Result<Self> {
        let scripts = TempDir::with_prefix_in("bench-", env!("CARGO_TARGET_TMPDIR"))?;
        let pgbench = Self { program: find()?, scripts, postgres };
        std::fs::write(pgbench.script(Call::Flag), insert_script(statements))?;
        std::fs::write(pgbench.script(Call::Get), get_script(statements, seed))?;
        std::fs::write(pgbench.script(Call::List), list_script(statements))?;
        pgbench.make_reads().await?;
        Ok(pgbench)
    }

    /// Makes the inserts start from the same rows again.
    pub async fn renew(&self) -> anyhow::Result<()> {
        self.postgres.copy(SEED, INSERTS).await?;
        let sequence = "CREATE SEQUENCE bench_position START 1000000000 CACHE 1";
        sqlx::raw_sql(sequence).execute(&mut self.postgres.connect(INSERTS).await?).await?;
        Ok(())
    }

    async fn make_reads(&self) -> anyhow::Result<()> {
        self.postgres.copy(SEED, READS).await?;
        // In the order in which they were made, as redflag's own ids are.
        let rename = "UPDATE alerts SET anomaly_id = lpad(to_hex(n), 32, '0')::uuid FROM \
            (SELECT anomaly_id AS id, row_number() OVER (ORDER BY anomaly_id)::int AS n FROM alerts) AS numbered \
            WHERE anomaly_id = id";
        let mut connection = self.postgres.connect(READS).await?;
        sqlx::raw_sql(rename).execute(&mut connection).await?;
        // As small again as before the change.
        sqlx::raw_sql("VACUUM FULL ANALYZE alerts").execute(&mut connection).await?;
        Ok(())
    }

    fn script(&self, call: Call) -> PathBuf {
        self.scripts.path().join(match call {
            Call::Flag => "insert.sql",
            Call::Get => "get.sql",
            _ => "list.sql",
        })
    }

    /// Runs one script; pgbench counts in whole seconds.
    pub async fn run(&self, key: Key, span: Duration) -> anyhow::Result<Load> {
        // redflag plans lists afresh each time, all else it has prepared.
        let mode = if key.call == Call::List { "extended" } else { "prepared" };
        let database = if key.call == Call::Flag { INSERTS } else { READS };
        let seconds = span.as_secs().max(1).to_string();
        let clients = key.in_flight.to_string();
        let mut command = Command::new(&self.program);
        command.args(["-n", "-M", mode, "-c", &clients, "-j", "2", "-T", &seconds, "-f"]);
        command.arg(self.script(key.call)).arg(self.postgres.url(database));
        let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await?;
        let (told, errors) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.success(), "pgbench failed: {errors}");
        ensure!(!errors.contains("error"), "pgbench told of an error: {errors}");
        Ok(Load {
            per_second: number(&told, "tps = ")?,
            latency: None,
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
            acknowledged: number(&told, "number of transactions actually processed: ")? as u64,
        })
    }
}

fn find() -> anyhow::Result<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let debian = versions.map(|version| version.path().join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<_> = debian.collect();
    folders.sort_by_key(|folder| folder.parent().and_then(version_of));
    folders.reverse();
    folders.extend(std::env::split_paths(&path));
    let programs = folders.iter().map(|folder| folder.join("pgbench"));
    programs.into_iter().find(|program| program.is_file()).context("there is no pgbench")
}

fn version_of(folder: &Path) -> Option<u32> {
    folder.file_name()?.to_str()?.parse().ok()
}

fn number(told: &str, after: &str) -> anyhow::Result<f64> {
    let Some((_, rest)) = told.split_once(after) else {
        bail!("pgbench told no {after:?}: {told}");
    };
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    Ok(rest[..end].parse()?)
}

/// The rows that a flag writes. Random ids, one position after the other, a hash that nobody computes; texts as long as
/// redflag's.
fn insert_script(statements: &Statements) -> String {
    let Statements { organization, key, title, description, changes, .. } = statements;
    let [title, description, changes] = [title, description, changes].map(|text| literal(text));
    format!(
        "BEGIN;\n\
         INSERT INTO alerts (organization_id, anomaly_id, title, description, type, status, status_class, severity, \
         assigned_to, escalated_to, affected_balances, affected_transactions, affected_identities, metadata, version, \
         created_at, updated_at, last_occurred_at, sequence) VALUES ('{organization}', gen_random_uuid(), {title}, \
         {description}, 1, 'FLAGGED', 1, 3, 'admin', '{{}}', ARRAY['bln_' || gen_random_uuid()], '{{}}', '{{}}', '{{}}', \
         1, now(), now(), now(), 1) RETURNING anomaly_id, affected_balances[1] AS entity \\gset\n\
         INSERT INTO alert_entities (organization_id, entity_id, created_at, anomaly_id) \
         VALUES ('{organization}', :entity, now(), :anomaly_id);\n\
         INSERT INTO alert_events (organization_id, position, hash, previous_hash, event_id, anomaly_id, sequence, \
         type, key_id, key_name, changes, note, request_id, created_at) VALUES ('{organization}', \
         nextval('bench_position'), uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()), \
         uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()), gen_random_uuid(), :anomaly_id, 1, 1, '{key}', \
         'bootstrap', {changes}, '', gen_random_uuid()::text, now());\n\
         COMMIT;\n"
    )
}

/// The statement of a read, with a random alert in place of the one that was asked for.
fn get_script(statements: &Statements, seed: usize) -> String {
    let organization = quoted(statements.organization);
    let read = statements.get.replace("$1", &organization);
    let read = read.replace("$2", "lpad(to_hex(:n::int), 32, '0')::uuid");
    format!("\\set n random(1, {seed})\n{read};\n")
}

fn list_script(statements: &Statements) -> String {
    let organization = quoted(statements.organization);
    // The higher ones first: $1 is where $10 begins. The first page has no other value than the organization.
    let list =
        (1..=9).rev().fold(statements.list.clone(), |text, n| text.replace(&format!("${n}"), &organization));
    format!("{list};\n")
}

fn quoted(id: Uuid) -> String {
    format!("'{id}'::uuid")
}

/// Text as a constant in which pgbench finds no variable: those begin with a colon.
fn literal(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('\'', "''").replace(':', "\\003a");
    format!("U&'{text}'")
}
