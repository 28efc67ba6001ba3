//! Signed heads: an event that redflag did not append stands out, whatever happens afterwards.

use std::sync::Arc;

use redflag::{
    domain::{
        AlertChange, AuditPublicKey, HeadSigner, NewAlert, OrganizationId, PageSize, audit_key::private_pem,
    },
    operator::audit::{Broken, Signatures, Unverified, Verified},
    store::{
        Store,
        connect::{self, Options},
        schema::OnOlderSchema,
    },
};
use tokio::task::JoinSet;

use super::{
    adoption::{ORGANIZATION, fill, migrate_to},
    batches::together,
    on_every_store,
    overtaken::Instance,
    world::{World, text},
};
use crate::support::{DatabaseKind, TestDatabase};

on_every_store!(
    every_event_of_a_batch_is_signed,
    a_repeat_that_history_is_silent_about_has_no_signature,
    an_event_that_was_appended_past_redflag_stays_unsigned,
    who_has_another_key_signs_nothing_that_counts,
    a_signature_that_was_moved_or_altered_is_named,
    a_signature_that_was_deleted_leaves_a_hole,
    a_signature_beyond_the_end_shows_that_events_are_gone,
    signatures_are_never_changed,
    signatures_of_rotated_keys_are_verified_together,
    instances_with_different_keys_take_turns,
    one_that_fails_leaves_its_neighbours_signed,
);

fn signer(secret: u8) -> Arc<HeadSigner> {
    Arc::new(HeadSigner::parse(private_pem(&[secret; 32]).as_bytes()).unwrap())
}

fn key(secret: u8) -> AuditPublicKey {
    signer(secret).public_key()
}

/// Opens a further instance, with a key that signs.
async fn open(world: &World, secret: u8) -> Arc<dyn Store> {
    let options = Options {
        connections: 5,
        signer: Some(signer(secret)),
        ..Options::for_command(OnOlderSchema::Refuse)
    };
    connect::open(world.database.url(), options).await.unwrap()
}

fn flag_in(world: &World, organization_id: OrganizationId) -> AlertChange {
    let alert = NewAlert { organization_id, ..world.alert() };
    AlertChange { organization_id, ..world.to_flag(alert) }
}

/// Flags so many alerts through `store`, one after the other.
async fn flag(world: &World, store: &Arc<dyn Store>, count: usize) {
    for _ in 0..count {
        store.change_alert(&world.to_flag(world.alert())).await.unwrap();
    }
}

async fn verify_of(
    world: &World,
    organization: OrganizationId,
    from: i64,
    keys: &[AuditPublicKey],
) -> Result<Verified, Unverified> {
    world.operator().verify_signed(organization, from, keys, &mut |_, _| {}).await
}

async fn signatures(world: &World, keys: &[AuditPublicKey]) -> Signatures {
    verify_of(world, world.organization, 1, keys).await.unwrap().signatures
}

/// What somebody does who may write to the database and has no key: what redflag does, but for the signature.
async fn forge(world: &World, count: usize) {
    flag(world, &world.store, count).await;
}

async fn drop_triggers(world: &World) {
    let statements = match world.database.kind() {
        DatabaseKind::Sqlite => {
            "DROP TRIGGER head_signatures_not_updated; DROP TRIGGER head_signatures_not_deleted"
        }
        DatabaseKind::Postgres => "DROP TRIGGER head_signatures_immutable ON head_signatures",
    };
    world.database.execute(statements).await;
}

async fn every_event_of_a_batch_is_signed(world: &World) {
    let other = world.add_organization("second").await;
    let store = open(world, 1).await;
    let changes: Vec<_> =
        (0..30).map(|n| flag_in(world, if n % 3 == 0 { other } else { world.organization })).collect();
    for outcome in together(world, &store, &changes).await {
        outcome.unwrap();
    }
    for (organization, events) in [(world.organization, 20), (other, 10)] {
        let signatures = verify_of(world, organization, 1, &[key(1)]).await.unwrap().signatures;
        assert_eq!(
            (signatures.signed.ranges.as_slice(), signatures.unsigned.events),
            (&[(1, events)][..], 0)
        );
        assert!((1..events).contains(&signatures.found), "{signatures:?}");
        // A part that begins within what one signature covers.
        let part = verify_of(world, organization, events, &[key(1)]).await.unwrap().signatures;
        assert_eq!((part.signed.events, part.unsigned.events), (1, 0));
    }
    // After a restart, the next one follows.
    store.close().await;
    flag(world, &open(world, 1).await, 1).await;
    assert_eq!(signatures(world, &[key(1)]).await.signed.ranges, [(1, 21)]);
    assert_eq!(signatures(world, &[]).await.signed.events, 0);
}

async fn a_repeat_that_history_is_silent_about_has_no_signature(world: &World) {
    let store = open(world, 1).await;
    for _ in 0..15 {
        let alert = NewAlert { dedup_key: Some(text("limit-7")), ..world.alert() };
        store.change_alert(&world.to_flag(alert)).await.unwrap();
    }
    let signatures = signatures(world, &[key(1)]).await;
    assert_eq!((signatures.found, signatures.signed.ranges.as_slice()), (10, &[(1, 10)][..]));
}

async fn an_event_that_was_appended_past_redflag_stays_unsigned(world: &World) {
    let store = open(world, 1).await;
    flag(world, &store, 3).await;
    forge(world, 1).await;
    assert_eq!(signatures(world, &[key(1)]).await.unsigned.ranges, [(4, 4)]);
    // What redflag signs next does not vouch for it.
    flag(world, &store, 2).await;
    let found = signatures(world, &[key(1)]).await;
    assert_eq!((found.signed.ranges, found.unsigned.ranges), (vec![(1, 3), (5, 6)], vec![(4, 4)]));
    let since = verify_of(world, world.organization, 5, &[key(1)]).await.unwrap().signatures;
    assert_eq!((since.signed.ranges, since.unsigned.events), (vec![(5, 6)], 0));
    forge(world, 2).await;
    let restarted = open(world, 1).await;
    flag(world, &restarted, 1).await;
    assert_eq!(signatures(world, &[key(1)]).await.unsigned.ranges, [(4, 4), (7, 8)]);
}

async fn who_has_another_key_signs_nothing_that_counts(world: &World) {
    flag(world, &open(world, 1).await, 2).await;
    flag(world, &open(world, 2).await, 2).await;
    let found = signatures(world, &[key(1)]).await;
    assert_eq!((found.signed.ranges, found.unsigned.ranges), (vec![(1, 2)], vec![(3, 4)]));
    assert_eq!(found.by_other_keys, 2);
    assert_eq!(found.other_keys.into_iter().collect::<Vec<_>>(), [key(2).id()]);
}

async fn a_signature_that_was_moved_or_altered_is_named(world: &World) {
    let other = world.add_organization("second").await;
    let store = open(world, 1).await;
    flag(world, &store, 4).await;
    store.change_alert(&flag_in(world, other)).await.unwrap();
    drop_triggers(world).await;
    let (first_byte, others_id) = match world.database.kind() {
        DatabaseKind::Sqlite => {
            ("CAST(x'00' || substr(signature, 2) AS BLOB)", format!("x'{}'", other.uuid().simple()))
        }
        DatabaseKind::Postgres => {
            ("set_byte(signature, 0, get_byte(signature, 0) # 1)", format!("'{}'", other.uuid()))
        }
    };
    for (change, of, at) in [
        (format!("signature = {first_byte}"), world.organization, 3),
        ("first_position = 2".to_owned(), world.organization, 3),
        ("position = 5".to_owned(), world.organization, 0),
        (format!("organization_id = {others_id}"), other, 3),
    ] {
        world.database.execute("CREATE TABLE kept AS SELECT * FROM head_signatures").await;
        let own = "organization_id <> (SELECT organization_id FROM organizations WHERE name = 'second')";
        let alter = format!("UPDATE head_signatures SET {change} WHERE {own} AND position = 3");
        world.database.execute(&alter).await;
        if of == other {
            // Where the other feed reaches so far too.
            store.change_alert(&flag_in(world, other)).await.unwrap();
            world.store.change_alert(&flag_in(world, other)).await.unwrap();
        }
        let found = verify_of(world, of, 1, &[key(1)]).await;
        let expected = if at == 0 { Broken::SignedBeyond(4, 5) } else { Broken::Signature(at) };
        assert!(
            matches!(&found, Err(Unverified::Broken(broken)) if *broken == expected),
            "{change}: {found:?}"
        );
        let restore =
            "DELETE FROM head_signatures; INSERT INTO head_signatures SELECT * FROM kept; DROP TABLE kept";
        world.database.execute(restore).await;
    }
    assert_eq!(signatures(world, &[key(1)]).await.unsigned.events, 0);
}

async fn a_signature_that_was_deleted_leaves_a_hole(world: &World) {
    flag(world, &open(world, 1).await, 4).await;
    drop_triggers(world).await;
    world.database.execute("DELETE FROM head_signatures WHERE position IN (2, 4)").await;
    let found = signatures(world, &[key(1)]).await;
    assert_eq!((found.signed.ranges, found.unsigned.ranges), (vec![(1, 1), (3, 3)], vec![(2, 2), (4, 4)]));
    world.database.execute("DELETE FROM head_signatures").await;
    let found = signatures(world, &[key(1)]).await;
    assert_eq!((found.found, found.unsigned.ranges), (0, vec![(1, 4)]));
}

async fn a_signature_beyond_the_end_shows_that_events_are_gone(world: &World) {
    flag(world, &open(world, 1).await, 3).await;
    let cut = match world.database.kind() {
        DatabaseKind::Sqlite => "DROP TRIGGER alert_events_not_deleted; ",
        DatabaseKind::Postgres => "DROP TRIGGER alert_events_immutable ON alert_events; ",
    };
    let rest = "DELETE FROM alerts WHERE anomaly_id = (SELECT anomaly_id FROM alert_events WHERE position = 3); \
        DELETE FROM alert_events WHERE position = 3; \
        UPDATE event_heads SET position = 2, hash = (SELECT hash FROM alert_events WHERE position = 2)";
    let entities = "DELETE FROM alert_entities; ";
    world.database.execute(&format!("{cut}{entities}{rest}")).await;
    for keys in [&[key(1)][..], &[]] {
        let found = verify_of(world, world.organization, 1, keys).await;
        let is_recorded = matches!(&found, Err(Unverified::Broken(Broken::SignedBeyond(2, 3))));
        assert!(is_recorded, "{found:?}");
    }
}

async fn signatures_are_never_changed(world: &World) {
    flag(world, &open(world, 1).await, 1).await;
    let mut statements = vec![
        "UPDATE head_signatures SET first_position = first_position",
        "DELETE FROM head_signatures",
        "INSERT INTO head_signatures SELECT * FROM head_signatures",
    ];
    match world.database.kind() {
        DatabaseKind::Sqlite => statements.push("REPLACE INTO head_signatures SELECT * FROM head_signatures"),
        DatabaseKind::Postgres => statements.push("TRUNCATE head_signatures"),
    }
    for statement in statements {
        let refused = world.database.try_execute(statement).await;
        assert!(refused.is_err(), "{statement}");
    }
    assert_eq!(signatures(world, &[key(1)]).await.signed.events, 1);
}

async fn signatures_of_rotated_keys_are_verified_together(world: &World) {
    for secret in [1, 2, 3] {
        flag(world, &open(world, secret).await, 2).await;
    }
    assert_eq!(signatures(world, &[key(3), key(1), key(2)]).await.signed.ranges, [(1, 6)]);
    assert_eq!(signatures(world, &[key(1), key(3)]).await.unsigned.ranges, [(3, 4)]);
}

async fn instances_with_different_keys_take_turns(world: &World) {
    let stores = [open(world, 1).await, open(world, 2).await];
    let mut calls = JoinSet::new();
    for number in 0..60 {
        let (store, change) = (Arc::clone(&stores[number % 2]), world.to_flag(world.alert()));
        calls.spawn(async move { store.change_alert(&change).await.map(drop) });
    }
    for outcome in calls.join_all().await {
        outcome.unwrap();
    }
    let both = signatures(world, &[key(1), key(2)]).await;
    assert_eq!((both.signed.ranges, both.unsigned.events), (vec![(1, 60)], 0));
    let [one, two] = [signatures(world, &[key(1)]).await, signatures(world, &[key(2)]).await];
    assert_eq!((one.signed.events, two.signed.events), (30, 30));
}

/// Where the statement for all fails, the others are saved organization by organization, and the failing ones one by one.
async fn one_that_fails_leaves_its_neighbours_signed(world: &World) {
    let others = [world.add_organization("second").await, world.add_organization("third").await];
    let store = open(world, 1).await;
    let standing = store.change_alert(&world.to_flag(world.alert())).await.unwrap().value.alert;
    let mut changes: Vec<_> = others.iter().cycle().take(8).map(|id| flag_in(world, *id)).collect();
    // Fails only when it is written.
    changes.insert(4, world.to_flag(NewAlert { id: standing.id, ..world.alert() }));
    changes.push(world.to_flag(world.alert()));
    let outcomes = together(world, &store, &changes).await;
    let failed: Vec<_> = (0..).zip(&outcomes).filter(|(_, outcome)| outcome.is_err()).collect();
    assert!(matches!(failed.as_slice(), [(4, _)]), "{failed:?}");
    for (organization, events) in [(world.organization, 2), (others[0], 4), (others[1], 4)] {
        let found = verify_of(world, organization, 1, &[key(1)]).await.unwrap().signatures;
        assert_eq!((found.signed.ranges, found.unsigned.events), (vec![(1, events)], 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waited_for_another_instance_is_signed() {
    let world = World::new(DatabaseKind::Postgres).await;
    let other = world.add_organization("second").await;
    let store = open(&world, 1).await;
    let mut instance = Instance::at_work(&world).await;
    let mut calls = JoinSet::new();
    for number in 0..20 {
        let change = flag_in(&world, if number % 2 == 0 { world.organization } else { other });
        let store = Arc::clone(&store);
        calls.spawn(async move { store.change_alert(&change).await.map(drop) });
    }
    instance.is_waited_for().await;
    instance.done().await;
    for outcome in calls.join_all().await {
        outcome.unwrap();
    }
    for organization in [world.organization, other] {
        let found = verify_of(&world, organization, 1, &[key(1)]).await.unwrap().signatures;
        assert_eq!((found.signed.ranges, found.unsigned.events), (vec![(1, 10)], 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_events_of_older_alerts_are_signed() {
    for kind in [DatabaseKind::Sqlite, DatabaseKind::Postgres] {
        let database = TestDatabase::create(kind).await;
        migrate_to(&database, 1).await;
        fill(&database, 0).await;
        let mut world = World::on(database).await;
        world.organization = OrganizationId::parse(&format!("org_{ORGANIZATION}")).unwrap();
        world.store = open(&world, 1).await;
        assert_eq!(world.operator().adopt_alerts().await.unwrap(), 3);
        assert_eq!(signatures(&world, &[key(1)]).await.signed.ranges, [(1, 3)]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_of_several_pages_is_verified_with_its_signatures() {
    let world = World::new(DatabaseKind::Sqlite).await;
    let store = open(&world, 1).await;
    let mut calls = JoinSet::new();
    for _ in 0..PageSize::MAX.get() + 300 {
        let (store, change) = (Arc::clone(&store), world.to_flag(world.alert()));
        calls.spawn(async move { store.change_alert(&change).await.map(drop) });
    }
    for outcome in calls.join_all().await {
        outcome.unwrap();
    }
    forge(&world, 1).await;
    let found = signatures(&world, &[key(1)]).await;
    assert_eq!((found.signed.ranges, found.unsigned.ranges), (vec![(1, 1_300)], vec![(1_301, 1_301)]));
}
