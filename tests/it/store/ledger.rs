//! Random changes by several tasks at once on two instances, against a simple model in memory; at the end the feed is
//! verified and every row compared with its history.
//!
//! Each task has alerts of its own, of which it knows what every change must make; and all of them change a shared one, of
//! which only the sum is known, and that nobody undoes what another did to another field.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use redflag::domain::{
    Alert, AlertChange, AlertPatch, AnomalyId, ChangeContext, ChangedAlert, Command, Disposition, IdSource,
    Idempotency, IdempotencyKey, NewAlert, OrganizationId, Refusal, Severity, StatusClass,
    dedup::is_recorded,
};
use redflag::store::{Store, StoreError};
use tokio::task::JoinSet;

use super::on_every_store;
use super::random::Random;
use super::world::{World, alert_change, key, text};

on_every_store!(random_changes_by_many_agree_with_the_model);

const SEEDS: u64 = 6;
const TASKS: usize = 6;
const CHANGES: usize = 60;
const STATUSES: [&str; 3] = ["FLAGGED", "INVESTIGATING", "RESOLVED"];

async fn random_changes_by_many_agree_with_the_model(world: &World) {
    let world = Arc::new(Shared::new(world).await);
    for seed in 0..SEEDS {
        let shared = world.flag_shared(seed).await;
        let mut tasks = JoinSet::new();
        for task in 0..TASKS {
            let (world, shared) = (Arc::clone(&world), shared.clone());
            tasks.spawn(async move {
                let mut task = Task::new(&world, &shared, seed * 100 + u64::try_from(task).unwrap());
                for _ in 0..CHANGES {
                    task.step().await;
                }
                task.check().await;
                task.last
            });
        }
        let lasts = tasks.join_all().await;
        world.check(&shared, &lasts).await;
    }
}

/// What all tasks have in common.
struct Shared {
    instances: [Arc<dyn Store>; 2],
    organization: OrganizationId,
    template: NewAlert,
    context: ChangeContext,
    ids: crate::support::TestIds,
    /// How many events there must be.
    events: AtomicI64,
    /// How many changes there were of the shared alert, repeats among them.
    versions: AtomicI64,
    /// How often the shared alert occurred.
    occurrences: AtomicI64,
    verifier: redflag::operator::Operator,
}

impl Shared {
    async fn new(world: &World) -> Self {
        let instances = [Arc::clone(&world.store), world.database.open().await];
        Self {
            verifier: world.operator(),
            instances,
            organization: world.organization,
            template: world.alert(),
            context: world.change(),
            ids: crate::support::TestIds::default(),
            events: AtomicI64::new(0),
            versions: AtomicI64::new(0),
            occurrences: AtomicI64::new(0),
        }
    }

    fn new_alert(&self) -> NewAlert {
        let id = AnomalyId::from_uuid(self.ids.next(self.context.at));
        NewAlert { id, ..self.template.clone() }
    }

    fn context(&self) -> ChangeContext {
        ChangeContext { event_id: self.ids.next(self.context.at), ..self.context.clone() }
    }

    async fn flag_shared(&self, seed: u64) -> Alert {
        let dedup_key = Some(text(&format!("shared {seed}")));
        let command = Command::Flag(Box::new(NewAlert { dedup_key, ..self.new_alert() }));
        let change = alert_change(self.organization, command, &self.context());
        self.events.fetch_add(1, Ordering::SeqCst);
        self.versions.store(1, Ordering::SeqCst);
        self.occurrences.store(1, Ordering::SeqCst);
        self.instances[0].change_alert(&change).await.unwrap().value.alert
    }

    /// The sum of what happened to the shared alert, and the whole feed.
    async fn check(&self, shared: &Alert, lasts: &[Last]) {
        let alert = self.instances[0].alert(self.organization, shared.id).await.unwrap().unwrap();
        let counted = (alert.version, alert.occurrence_count);
        let expected = (self.versions.load(Ordering::SeqCst), self.occurrences.load(Ordering::SeqCst));
        assert_eq!(counted, expected);
        assert!(alert.occurrence_count > 10, "so many that history is silent about some");
        // Whoever changed a field last has left its last value there.
        let is_left = |field: &str, left: &str| {
            lasts.iter().any(|last| matches!(last, Some((name, value)) if *name == field && value == left))
        };
        assert!(is_left("title", alert.title.as_str()), "{lasts:?}: {}", alert.title);
        assert!(is_left("assigned_to", alert.assigned_to.as_str()), "{lasts:?}: {}", alert.assigned_to);
        let verified = self.verifier.verify(self.organization, 1, &mut |_, _| {}).await.unwrap();
        assert_eq!(verified.events, self.events.load(Ordering::SeqCst));
    }
}

/// The field of the shared alert that a task changes, and what it made of it last.
type Last = Option<(&'static str, String)>;

/// What a task knows of an alert of its own.
#[derive(Debug, Clone)]
struct Model {
    id: AnomalyId,
    dedup_key: String,
    title: String,
    status: &'static str,
    severity: Severity,
    assigned_to: String,
    escalated_to: Vec<String>,
    decided: (Disposition, String),
    occurrences: i64,
    version: i64,
    events: i64,
}

struct Task<'a> {
    world: &'a Shared,
    shared: &'a Alert,
    last: Last,
    random: Random,
    seed: u64,
    count: usize,
    models: Vec<Model>,
    /// Changes that were named, and what was answered.
    named: Vec<(AlertChange, ChangedAlert)>,
}

impl<'a> Task<'a> {
    const fn new(world: &'a Shared, shared: &'a Alert, seed: u64) -> Self {
        let random = Random::new(seed);
        Self { world, shared, last: None, random, seed, count: 0, models: Vec::new(), named: Vec::new() }
    }

    /// Does one thing, on either instance.
    async fn step(&mut self) {
        self.count += 1;
        match self.random.below(10) {
            _ if self.models.is_empty() => self.flag().await,
            0 => self.flag().await,
            1 => self.fold().await,
            2 => self.escalate().await,
            3 => self.note().await,
            4 => self.stale().await,
            5 => self.repeat().await,
            6 => self.change_shared().await,
            7 => self.fold_shared().await,
            _ => self.update().await,
        }
    }

    async fn send(&mut self, change: &AlertChange) -> Result<ChangedAlert, StoreError> {
        let store = &self.world.instances[self.random.below(2)];
        Ok(store.change_alert(change).await?.value)
    }

    /// A change that is named, so that it can be sent again.
    fn change(&mut self, command: Command) -> AlertChange {
        let mut change = alert_change(self.world.organization, command, &self.world.context());
        if self.random.maybe() {
            let name = format!("{}-{}", self.seed, self.count);
            let fingerprint = [u8::try_from(self.count).unwrap(); 32];
            change.context.idempotency =
                Some(Idempotency { key: IdempotencyKey::parse(&name).unwrap(), fingerprint });
        }
        change
    }

    /// Sends a change that must succeed and make of its alert what the model says.
    async fn succeed(&mut self, command: Command, mut model: Model, is_recorded: bool) {
        let change = self.change(command);
        let changed = self.send(&change).await.unwrap();
        model.events += i64::from(is_recorded);
        self.world.events.fetch_add(i64::from(is_recorded), Ordering::SeqCst);
        model.assert_is(&changed.alert);
        // A repeat of what changed nothing is answered with the alert as it stands then.
        let has_answer = is_recorded || matches!(change.command, Command::Flag(_));
        if has_answer && change.context.idempotency.is_some() {
            self.named.push((change, changed));
        }
        match self.models.iter_mut().find(|known| known.id == model.id) {
            Some(known) => *known = model,
            None => self.models.push(model),
        }
    }

    async fn flag(&mut self) {
        let dedup_key = format!("{} {}", self.seed, self.count);
        let alert = NewAlert { dedup_key: Some(text(&dedup_key)), ..self.world.new_alert() };
        let model = Model {
            id: alert.id,
            dedup_key,
            title: alert.title.to_string(),
            status: "FLAGGED",
            severity: Severity::Unspecified,
            assigned_to: String::new(),
            escalated_to: Vec::new(),
            decided: (Disposition::Unspecified, String::new()),
            occurrences: 1,
            version: 1,
            events: 0,
        };
        self.succeed(Command::Flag(Box::new(alert)), model, true).await;
    }

    fn pick(&mut self) -> Model {
        self.random.pick(&self.models)
    }

    /// Flags again what is open.
    async fn fold(&mut self) {
        let mut model = self.pick();
        if model.status == "RESOLVED" {
            return;
        }
        let severity = self.random.pick(&Severity::GIVEN);
        let dedup_key = Some(text(&model.dedup_key));
        let alert = NewAlert { dedup_key, severity, ..self.world.new_alert() };
        let is_raised = severity > model.severity;
        model.severity = severity.max(model.severity);
        model.occurrences += 1;
        model.version += 1;
        let is_recorded = is_raised || model.occurrences <= 10 || model.occurrences % 10 == 0;
        assert!(model.occurrences < 100, "the model counts no further");
        self.succeed(Command::Flag(Box::new(alert)), model, is_recorded).await;
    }

    async fn escalate(&mut self) {
        let mut model = self.pick();
        let before = model.clone();
        let to: Vec<String> =
            self.random.some(&["ana", "bo", "cy"], 1, 2).into_iter().map(str::to_owned).collect();
        model.assigned_to.clone_from(&to[0]);
        for person in &to {
            if !model.escalated_to.contains(person) {
                model.escalated_to.push(person.clone());
            }
        }
        let is_changed =
            (&before.assigned_to, &before.escalated_to) != (&model.assigned_to, &model.escalated_to);
        model.version += i64::from(is_changed);
        let command = Command::Escalate(model.id, to.iter().map(|person| text(person)).collect());
        self.succeed(command, model, is_changed).await;
    }

    async fn note(&mut self) {
        let mut model = self.pick();
        let mut change = self.change(Command::Update(model.id, Box::default()));
        change.context.note = text("Still looking.");
        change.context.idempotency = None;
        model.events += 1;
        self.world.events.fetch_add(1, Ordering::SeqCst);
        let changed = self.send(&change).await.unwrap();
        model.assert_is(&changed.alert);
        self.models.iter_mut().find(|known| known.id == model.id).unwrap().events += 1;
    }

    /// Changes what has changed since.
    async fn stale(&mut self) {
        let model = self.pick();
        let patch = AlertPatch { title: Some(text("Lost")), ..AlertPatch::default() };
        let mut change = self.change(Command::Update(model.id, Box::new(patch)));
        change.expected_versions = Some(vec![model.version + 1]);
        let refused = self.send(&change).await;
        let is_conflict =
            matches!(refused, Err(StoreError::Refused(Refusal::VersionConflict(at))) if at == model.version);
        assert!(is_conflict, "{refused:?}");
    }

    /// Sends a change again, or another one under its name.
    async fn repeat(&mut self) {
        if self.named.is_empty() {
            return;
        }
        let (mut change, answered) = self.random.pick(&self.named);
        if self.random.maybe() {
            assert_eq!(self.send(&change).await.unwrap(), answered);
        } else {
            change.context.idempotency.as_mut().unwrap().fingerprint = [255; 32];
            assert!(matches!(self.send(&change).await, Err(StoreError::KeyReused)));
        }
    }

    /// Sends a change of what all tasks change; it may be sent again later.
    async fn send_shared(&mut self, command: Command) -> Alert {
        let change = self.change(command);
        let changed = self.send(&change).await.unwrap();
        let alert = changed.alert.clone();
        assert_eq!(alert.id, self.shared.id);
        self.world.versions.fetch_add(1, Ordering::SeqCst);
        if change.context.idempotency.is_some() {
            self.named.push((change, changed));
        }
        alert
    }

    /// Changes one field of what all tasks change: half of them one, half of them another.
    async fn change_shared(&mut self) {
        let value = format!("{} {}", self.seed, self.count);
        let is_even = self.seed.is_multiple_of(2);
        let patch = if is_even {
            AlertPatch { title: Some(text(&value)), ..AlertPatch::default() }
        } else {
            AlertPatch { assigned_to: Some(text(&value)), ..AlertPatch::default() }
        };
        let alert = self.send_shared(Command::Update(self.shared.id, Box::new(patch))).await;
        let (field, left) = if is_even {
            ("title", alert.title.as_str())
        } else {
            ("assigned_to", alert.assigned_to.as_str())
        };
        assert_eq!(left, value);
        self.last = Some((field, value));
        self.world.events.fetch_add(1, Ordering::SeqCst);
    }

    async fn fold_shared(&mut self) {
        let dedup_key = self.shared.dedup_key.clone();
        let flag = NewAlert { dedup_key, ..self.world.new_alert() };
        let alert = self.send_shared(Command::Flag(Box::new(flag))).await;
        self.world.occurrences.fetch_add(1, Ordering::SeqCst);
        self.world.events.fetch_add(i64::from(is_recorded(alert.occurrence_count)), Ordering::SeqCst);
    }

    async fn update(&mut self) {
        let before = self.pick();
        let mut model = before.clone();
        let mut patch = AlertPatch::default();
        if self.random.maybe() {
            model.title = self.random.pick(&["a", "b"]).to_owned();
            patch.title = Some(text(&model.title));
        }
        if self.random.maybe() {
            model.status = self.random.pick(&STATUSES);
            patch.status = Some(key(model.status));
            if before.status == "RESOLVED" && model.status != "RESOLVED" {
                model.decided = (Disposition::Unspecified, String::new());
            }
        }
        if self.random.maybe() {
            model.decided =
                (self.random.pick(&Disposition::GIVEN), self.random.pick(&["", "why"]).to_owned());
            patch.disposition = Some(model.decided.0);
            patch.disposition_reason = Some(text(&model.decided.1));
        }
        let is_changed = model.differs_from(&before);
        model.version += i64::from(is_changed);
        self.succeed(Command::Update(model.id, Box::new(patch)), model, is_changed).await;
    }

    /// Every alert of its own is what it should be.
    async fn check(&self) {
        for model in &self.models {
            let alert = self.world.instances[1].alert(self.world.organization, model.id).await.unwrap();
            model.assert_is(&alert.unwrap());
        }
    }
}

impl Model {
    fn differs_from(&self, other: &Self) -> bool {
        (&self.title, self.status, &self.decided) != (&other.title, other.status, &other.decided)
    }

    #[track_caller]
    fn assert_is(&self, alert: &redflag::domain::Alert) {
        let people: Vec<_> = alert.escalated_to.iter().map(ToString::to_string).collect();
        let is_closed = alert.status_class == StatusClass::Closed;
        assert_eq!(alert.id, self.id);
        assert_eq!((alert.title.as_str(), alert.status.as_str()), (self.title.as_str(), self.status));
        assert_eq!((alert.severity, alert.assigned_to.as_str()), (self.severity, self.assigned_to.as_str()));
        assert_eq!(people, self.escalated_to);
        assert_eq!(alert.disposition, self.decided.0);
        assert_eq!(alert.disposition_reason.as_str(), self.decided.1);
        assert_eq!((alert.occurrence_count, alert.version), (self.occurrences, self.version));
        assert_eq!(alert.sequence, self.events);
        assert_eq!((is_closed, is_closed), (alert.closed_at.is_some(), alert.closed_by.is_some()));
        assert_eq!(is_closed, self.status == "RESOLVED");
    }
}
