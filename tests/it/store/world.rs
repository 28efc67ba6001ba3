//! A store with an organization in it, and short ways to say what tests do with it.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::TimeDelta;
use redflag::domain::{
    Actor, AffectedEntities, Alert, AlertChange, AlertFilter, AlertPatch, AlertQuery, AnomalyId, ApiKey,
    ChangeContext, Clock, Colour, Command, EntityId, EntityType, IdSource, KeyDigest, KeyId, NewAlert,
    NewStatus, Organization, OrganizationId, PageSize, Scope, Scopes, Severity, SortOrder, StatusClass,
    StatusKey, Text,
};
use redflag::operator::{
    Operator,
    audit::{Unverified, Verified},
};
use redflag::store::{Store, StoreError};

use crate::support::{DatabaseKind, TestClock, TestDatabase, TestIds};

/// Short ways to change alerts.
#[async_trait]
pub trait Changes {
    /// Makes an alert, or folds it.
    async fn flag(&self, alert: NewAlert, change: &ChangeContext) -> Result<Alert, StoreError>;

    /// Changes fields of one.
    async fn update_alert(
        &self,
        organization: OrganizationId,
        id: AnomalyId,
        patch: &AlertPatch,
        change: &ChangeContext,
    ) -> Result<Alert, StoreError>;
}

#[async_trait]
impl Changes for dyn Store {
    async fn flag(&self, alert: NewAlert, change: &ChangeContext) -> Result<Alert, StoreError> {
        let organization_id = alert.organization_id;
        let change = alert_change(organization_id, Command::Flag(Box::new(alert)), change);
        Ok(self.change_alert(&change).await?.value.alert)
    }

    async fn update_alert(
        &self,
        organization: OrganizationId,
        id: AnomalyId,
        patch: &AlertPatch,
        change: &ChangeContext,
    ) -> Result<Alert, StoreError> {
        let change = alert_change(organization, Command::Update(id, Box::new(patch.clone())), change);
        Ok(self.change_alert(&change).await?.value.alert)
    }
}

/// A change that any version of the alert may have.
pub fn alert_change(
    organization_id: OrganizationId,
    command: Command,
    context: &ChangeContext,
) -> AlertChange {
    AlertChange { organization_id, command, expected_versions: None, context: context.clone() }
}

pub struct World {
    pub store: Arc<dyn Store>,
    pub organization: OrganizationId,
    pub clock: TestClock,
    pub ids: TestIds,
    pub database: TestDatabase,
}

impl World {
    pub async fn new(kind: DatabaseKind) -> Self {
        let mut world = Self::on(TestDatabase::create(kind).await).await;
        world.organization = world.add_organization("first").await;
        world
    }

    /// On a database that may hold something already; the organization is not in it.
    pub async fn on(database: TestDatabase) -> Self {
        let (clock, ids) = (TestClock::default(), TestIds::default());
        Self {
            store: database.open().await,
            organization: OrganizationId::from_uuid(ids.next(clock.now())),
            clock,
            ids,
            database,
        }
    }

    /// An organization that is not in the store.
    pub fn organization(&self, name: &str) -> Organization {
        let created_at = self.clock.now();
        Organization {
            id: OrganizationId::from_uuid(self.ids.next(created_at)),
            name: text(name),
            requires_disposition: false,
            created_at,
        }
    }

    pub async fn add_organization(&self, name: &str) -> OrganizationId {
        let organization = self.organization(name);
        self.store.create_organization(&organization).await.unwrap();
        organization.id
    }

    /// A key that is not in the store.
    pub fn key(&self, organization_id: OrganizationId) -> ApiKey {
        let created_at = self.clock.now();
        let id = self.ids.next(created_at);
        let mut digest = [7; 32];
        digest[..16].copy_from_slice(id.as_bytes());
        ApiKey {
            id: KeyId::from_uuid(id),
            organization_id,
            name: text("ci"),
            owner: text("ada@example.com"),
            scopes: Scopes::new([Scope::AlertsRead, Scope::AlertsWrite]),
            prefix: "rf_abcdef".to_owned(),
            digest: KeyDigest(digest),
            created_at,
            expires_at: None,
            revoked_at: None,
            last_used_at: None,
        }
    }

    /// The author of changes, on behalf of a person.
    pub fn actor_for(&self, person: &str) -> Actor {
        Actor::Key {
            id: KeyId::from_uuid(self.organization.uuid()),
            name: text("ci"),
            on_behalf_of: Some(text(person)),
        }
    }

    /// A change made now.
    pub fn change(&self) -> ChangeContext {
        ChangeContext {
            actor: Actor::Key {
                id: KeyId::from_uuid(self.organization.uuid()),
                name: text("ci"),
                on_behalf_of: None,
            },
            at: self.clock.now(),
            trace_id: "req-1".to_owned(),
            note: text(""),
            event_id: self.ids.next(self.clock.now()),
            idempotency: None,
        }
    }

    /// Lets time pass, also for what PostgreSQL measures by its own clock.
    pub async fn pass(&self, span: TimeDelta) {
        self.clock.step(span);
        if self.database.kind() == DatabaseKind::Postgres {
            let seconds = span.num_seconds();
            let aged = "UPDATE idempotency_keys SET created_at = created_at - make_interval(secs => ";
            self.database.execute(&format!("{aged}{seconds})")).await;
        }
    }

    /// A change made a second later than the one before.
    pub fn later(&self) -> ChangeContext {
        self.clock.step(TimeDelta::seconds(1));
        self.change()
    }

    /// An alert that is not in the store, with a field of each kind.
    pub fn alert(&self) -> NewAlert {
        NewAlert {
            organization_id: self.organization,
            id: AnomalyId::from_uuid(self.ids.next(self.clock.now())),
            title: text("Large transfer"),
            description: text("Ten times the usual amount."),
            kind: EntityType::Transaction,
            entities: entities(&["txn_1"]),
            status: StatusKey::flagged(),
            severity: Severity::Unspecified,
            assigned_to: text(""),
            escalated_to: Vec::new(),
            metadata: redflag::domain::Metadata::default(),
            dedup_key: None,
        }
    }

    pub async fn flag(&self, alert: NewAlert) -> Alert {
        self.store.flag(alert, &self.change()).await.unwrap()
    }

    /// Flags an alert in `status`.
    pub async fn flag_in(&self, status: &str) -> Alert {
        self.flag(NewAlert { status: key(status), ..self.alert() }).await
    }

    /// Updates an alert of the first organization, a second later.
    pub async fn update(&self, id: AnomalyId, patch: &AlertPatch) -> Result<Alert, StoreError> {
        self.store.update_alert(self.organization, id, patch, &self.later()).await
    }

    pub async fn read(&self, id: AnomalyId) -> Option<Alert> {
        self.store.alert(self.organization, id).await.unwrap()
    }

    /// Asks for the newest alerts of the first organization that match.
    pub fn query(&self, filter: AlertFilter) -> AlertQuery {
        AlertQuery {
            organization_id: self.organization,
            filter,
            order: SortOrder::Descending,
            after: None,
            size: PageSize::MAX,
            include_total: true,
        }
    }

    /// The ids of the alerts that match, and proof that the total counts the same.
    pub async fn find(&self, filter: AlertFilter) -> Vec<AnomalyId> {
        let page = self.store.alerts(&self.query(filter)).await.unwrap();
        assert_eq!(page.total, Some(i64::try_from(page.items.len()).unwrap()));
        ids(&page.items)
    }

    /// The use cases over the store, with a clock and ids of their own.
    pub fn operator(&self) -> Operator {
        let (clock, ids) = (Arc::new(TestClock::default()), Arc::new(TestIds::default()));
        Operator::new(Arc::clone(&self.store), clock, ids)
    }

    /// Verifies the feed of the first organization, and every alert against its history.
    pub async fn verify(&self) -> Result<Verified, Unverified> {
        self.verify_of(self.organization, 1).await
    }

    /// Verifies the feed of an organization from a position on.
    pub async fn verify_of(&self, organization: OrganizationId, from: i64) -> Result<Verified, Unverified> {
        self.operator().verify(organization, from, &mut |_, _| {}).await
    }

    /// Fails unless all of it is sound.
    pub async fn assert_sound(&self) {
        let verified = self.verify().await.unwrap();
        assert_eq!(verified.events, verified.head.position);
    }

    pub async fn add_status(&self, name: &str) -> StatusKey {
        let status = new_status(name);
        self.store.create_status(self.organization, status, &self.change()).await.unwrap().value.key
    }
}

/// Text of any kind that has the right length.
pub fn text<const MIN: usize, const MAX: usize>(raw: &str) -> Text<MIN, MAX> {
    Text::parse(raw).unwrap()
}

pub fn key(raw: &str) -> StatusKey {
    StatusKey::parse(raw).unwrap()
}

pub fn entity(raw: &str) -> EntityId {
    EntityId::parse(raw).unwrap()
}

pub fn entities(raw: &[&str]) -> AffectedEntities {
    AffectedEntities::sort_in(raw.iter().map(|raw| entity(raw)))
}

pub fn ids(alerts: &[Alert]) -> Vec<AnomalyId> {
    alerts.iter().map(|alert| alert.id).collect()
}

/// Metadata as JSON text writes it.
pub fn metadata(json: &str) -> redflag::domain::Metadata {
    redflag::domain::Metadata::parse(serde_json::from_str(json).unwrap()).unwrap()
}

/// A status that is not in the store.
pub fn new_status(name: &str) -> NewStatus {
    NewStatus {
        key: key(name),
        name: text("Waiting for review"),
        colour: Colour::parse("#3B82F6").unwrap(),
        class: StatusClass::InProgress,
    }
}
