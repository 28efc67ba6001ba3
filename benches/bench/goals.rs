//! What is promised: each figure beside what it must be and what it aims to be.

use crate::{
    idle::Idle,
    plan::{
        Call::{self, Flag, Get, List, RestFlag},
        Subject::{self, Echo, NaiveSqlite, Pgbench, Postgres, SigningPostgres, SigningSqlite, Sqlite},
    },
    results::Results,
};

/// One promise.
#[derive(Debug, Clone)]
pub struct Goal {
    pub name: &'static str,
    /// What was measured, and what it was divided by, with their units.
    pub pair: String,
    pub value: Option<f64>,
    pub must: f64,
    pub aim: f64,
    pub unit: &'static str,
    better: Better,
}

#[derive(Debug, Clone, Copy)]
enum Better {
    More,
    Less,
}

/// How far a promise is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    Aim,
    Must,
    Missed,
    Unknown,
}

impl Goal {
    /// How far it is kept.
    pub fn reached(&self) -> Reached {
        let Some(value) = self.value else { return Reached::Unknown };
        let keeps = |limit| match self.better {
            Better::More => value >= limit,
            Better::Less => value <= limit,
        };
        if keeps(self.aim) {
            Reached::Aim
        } else if keeps(self.must) {
            Reached::Must
        } else {
            Reached::Missed
        }
    }

    /// Which side of a limit is the good one.
    pub fn sign(&self) -> &'static str {
        match self.better {
            Better::More => "≥",
            Better::Less => "≤",
        }
    }
}

impl Reached {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Aim => "aim",
            Self::Must => "must",
            Self::Missed => "**missed**",
            Self::Unknown => "not measured",
        }
    }
}

/// All promises.
pub fn goals(results: &Results, idle: Option<Idle>) -> Vec<Goal> {
    let mut goals = writes(results);
    goals.extend(reads(results));
    for (name, subject) in [
        ("REST flag ÷ gRPC flag, 64 in flight, PostgreSQL", Postgres),
        ("REST flag ÷ gRPC flag, 64 in flight, SQLite", Sqlite),
    ] {
        let pair = [rate(results, subject, RestFlag, 64), rate(results, subject, Flag, 64)];
        goals.push(ratio(name, pair, [0.80, 0.95]));
    }
    for (name, signing, subject) in [
        ("FlagEntity with the history signed ÷ without, 64 in flight, PostgreSQL", SigningPostgres, Postgres),
        ("FlagEntity with the history signed ÷ without, 64 in flight, SQLite", SigningSqlite, Sqlite),
    ] {
        let pair = [signing, subject].map(|subject| rate(results, subject, Flag, 64));
        goals.push(ratio(name, pair, [0.90, 0.95]));
    }
    for (name, subject) in [
        ("p99 ÷ p50 of FlagEntity, 64 in flight, PostgreSQL", Postgres),
        ("p99 ÷ p50 of FlagEntity, 64 in flight, SQLite", Sqlite),
    ] {
        goals.push(spread(name, results, subject));
    }
    goals.extend(costs(idle));
    goals
}

fn writes(results: &Results) -> Vec<Goal> {
    let of = |subject, in_flight| rate(results, subject, Flag, in_flight);
    let best = || results.best(Pgbench, Flag);
    vec![
        ratio(
            "FlagEntity on PostgreSQL, 64 in flight ÷ best pgbench of the same insert",
            [of(Postgres, 64), best()],
            [1.8, 2.5],
        ),
        ratio(
            "FlagEntity on PostgreSQL, 256 in flight ÷ best pgbench of the same insert",
            [of(Postgres, 256), best()],
            [2.3, 3.5],
        ),
        ratio(
            "FlagEntity on PostgreSQL, 1 in flight ÷ pgbench, 1 client",
            [of(Postgres, 1), of(Pgbench, 1)],
            [0.40, 0.55],
        ),
        ratio(
            "FlagEntity on SQLite, 64 in flight ÷ one transaction a request",
            [of(Sqlite, 64), of(NaiveSqlite, 64)],
            [12.0, 20.0],
        ),
        ratio("FlagEntity on SQLite, 64 in flight ÷ gRPC echo", [of(Sqlite, 64), of(Echo, 64)], [0.35, 0.50]),
    ]
}

fn reads(results: &Results) -> Vec<Goal> {
    let of = |subject, call, in_flight| rate(results, subject, call, in_flight);
    vec![
        ratio(
            "GetAlert on SQLite, 64 in flight ÷ gRPC echo of the same message",
            [of(Sqlite, Get, 64), of(Echo, Get, 64)],
            [0.60, 0.80],
        ),
        ratio(
            "GetAlert on PostgreSQL, 64 in flight ÷ best pgbench select by key",
            [of(Postgres, Get, 64), results.best(Pgbench, Get)],
            [0.45, 0.60],
        ),
        ratio(
            "ListAlerts page of 50 on PostgreSQL, 8 in flight ÷ pgbench of the same SQL",
            [of(Postgres, List, 8), of(Pgbench, List, 8)],
            [0.30, 0.45],
        ),
    ]
}

fn rate(results: &Results, subject: Subject, call: Call, in_flight: usize) -> Option<f64> {
    results.summary(subject, call, in_flight).map(|summary| summary.per_second)
}

fn ratio(name: &'static str, pair: [Option<f64>; 2], [must, aim]: [f64; 2]) -> Goal {
    let told = pair.map(|rate| rate.map_or_else(|| "?".to_owned(), |rate| format!("{rate:.0}")));
    let value = pair[0].zip(pair[1]).map(|(measured, by)| measured / by);
    let pair = format!("{} ÷ {} /s", told[0], told[1]);
    Goal { name, pair, value, must, aim, unit: "", better: Better::More }
}

fn spread(name: &'static str, results: &Results, subject: Subject) -> Goal {
    let latency = results.summary(subject, Flag, 64).and_then(|summary| summary.latency);
    let pair =
        latency.map_or_else(String::new, |latency| format!("{:.1} ÷ {:.1} ms", latency.p99, latency.p50));
    let value = latency.map(|latency| latency.p99 / latency.p50);
    Goal { name, pair, value, must: 4.0, aim: 2.5, unit: "", better: Better::Less }
}

fn costs(idle: Option<Idle>) -> [Goal; 3] {
    let cost = |name, value: Option<f64>, [must, aim]: [f64; 2], unit| Goal {
        name,
        pair: String::new(),
        value,
        must,
        aim,
        unit,
        better: Better::Less,
    };
    let mut start = cost(
        "start on an existing SQLite file, median",
        idle.map(|idle| idle.start_ms),
        [100.0, 30.0],
        " ms",
    );
    start.pair = idle.map_or_else(String::new, |idle| format!("best {:.1} ms", idle.best_start_ms));
    [
        cost("memory while idle", idle.map(|idle| idle.memory_mib), [20.0, 12.0], " MiB"),
        cost("memory for each idle connection", idle.map(|idle| idle.connection_kib), [20.0, 17.0], " KiB"),
        start,
    ]
}
