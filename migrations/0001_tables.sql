-- The history of graphkeeper. Times are milliseconds since 1970 in UTC; accounts are Entra object ids in lower case with
-- hyphens; persons are Okta user ids. Words are those of src/domain. Tables may change between versions; the views of the
-- next migration are the stable interface.

-- What this file belongs to: `org_url` and `tenant`, and `program`, the newest version that opened it.
create table meta (
    key   text not null primary key,
    value text not null
) strict, without rowid;

create table run (
    id                 text    not null primary key check (length(id) >= 4),
    job                text    not null check (job <> ''),
    kind               text    not null check (kind <> ''),
    trigger            text    not null check (trigger in ('schedule', 'startup', 'manual', 'plan', 'approve', 'undo')),
    caller             text    not null,
    config_fingerprint text    not null,
    started_at         integer not null,
    pid                integer not null,
    host               text    not null,
    ended_at           integer,
    outcome            text check (outcome in ('succeeded', 'planned', 'partial', 'held', 'source_incomplete', 'failed',
                                               'timed_out', 'interrupted', 'needs_human', 'busy')),
    reason             text,    -- a code word, such as a vendor's error code
    message            text,
    hint               text,
    tally              text check (tally is null or json_valid(tally)),
    unresolved         integer check (unresolved >= 0),
    check ((outcome is null) = (ended_at is null))
) strict;
-- Keeps two runs of one job apart, across processes too.
create unique index one_open_run_per_job on run (job) where outcome is null;
create index run_by_time on run (started_at);
create index run_by_job on run (job, started_at);
create index run_by_outcome on run (outcome, started_at);
create index run_by_job_and_outcome on run (job, outcome, started_at);

-- The write journal: a row is an intent, on disk before the request is sent.
create table change (
    id                integer not null primary key,
    run               text    not null references run (id),
    job               text    not null,
    person            text    not null,
    login             text    not null,
    account           text    not null check (length(account) = 36),
    upn               text    not null,
    kind              text    not null check (kind in ('set', 'change', 'clear')),
    from_account      text check (length(from_account) = 36),
    from_label        text    not null,
    to_account        text check (length(to_account) = 36),
    to_label          text    not null,
    client_request_id text    not null,
    intent_at         integer not null,
    answer            text check (answer in ('accepted', 'refused', 'unknown')),
    answered_at       integer,
    status            integer,
    code              text,
    message           text,
    request_id        text,
    settled           text check (settled in ('confirmed', 'unconfirmed', 'written', 'not_written', 'overtaken')),
    settled_at        integer,
    check ((answer is null) = (answered_at is null)),
    check ((settled is null) = (settled_at is null)),
    check (kind <> 'set' or (from_account is null and to_account is not null)),
    check (kind <> 'change' or (from_account is not null and to_account is not null)),
    check (kind <> 'clear' or (from_account is not null and to_account is null))
) strict;
create index change_by_run on change (run);
create index change_by_time on change (intent_at);
create index change_by_job on change (job, intent_at);
create index change_by_account on change (job, account, intent_at);
create index change_by_person on change (person);
create index change_by_login on change (login collate nocase);
create index change_by_upn on change (upn collate nocase);
-- Intents in doubt: whether they were carried out has to be read.
create index change_open on change (job) where settled is null and (answer is null or answer = 'unknown');
create index change_unconfirmed on change (job, answered_at)
    where answer = 'accepted' and (settled is null or settled = 'unconfirmed');

-- What was decided about a person, from its first run to its last. `last_run` is null while the decision stands.
create table decision (
    id        integer not null primary key,
    job       text    not null,
    person    text    not null,
    login     text    not null,
    upn       text    not null,
    account   text check (length(account) = 36),
    reason    text    not null check (reason glob '[a-z]*'),
    digest    integer not null,
    evidence  text    not null check (json_valid(evidence)),
    first_run text    not null,
    first_at  integer not null,
    last_run  text,
    last_at   integer,
    check ((last_run is null) = (last_at is null))
) strict;
create unique index one_standing_decision on decision (job, person) where last_run is null;
create index decision_by_reason on decision (job, reason, first_at) where last_run is null;
create index decision_by_person on decision (person);
create index decision_by_login on decision (login collate nocase);
create index decision_by_upn on decision (upn collate nocase);
create index decision_by_account on decision (account);
create index decision_by_end on decision (last_at) where last_run is not null;

-- The last run of a job that looked at everybody: until then a standing decision is known to have held.
create table decision_pass (
    job text    not null primary key,
    run text    not null,
    at  integer not null
) strict, without rowid;

-- Which account a person is, as found by the correlation rules with this fingerprint.
create table link (
    fingerprint text    not null,
    person      text    not null,
    account     text    not null check (length(account) = 36),
    run         text    not null,
    linked_at   integer not null,
    primary key (fingerprint, person)
) strict, without rowid;

-- People who are left alone although they drift. A row stays when the person is let go.
create table parked (
    id        integer not null primary key,
    job       text    not null,
    person    text    not null,
    login     text    not null,
    account   text check (length(account) = 36),
    reason    text    not null check (reason in ('blocked', 'contested', 'undone')),
    desired   text check (length(desired) = 36), -- holds only while this is still the desired manager
    cause     text    not null,
    remedy    text    not null,
    since     integer not null,
    review_at integer,
    run       text    not null,
    ended_as  text check (ended_as in ('released', 'lifted')),
    ended_at  integer,
    ended_by  text,
    check ((ended_as is null) = (ended_at is null))
) strict;
create unique index one_park_per_person on parked (job, person) where ended_as is null;
create index parked_by_reason on parked (job, reason) where ended_as is null;
create index parked_by_login on parked (login collate nocase) where ended_as is null;
create index parked_by_account on parked (account) where ended_as is null;
create index parked_released on parked (job, person, ended_at) where ended_as = 'released';

-- How much a run saw, to notice a listing that shrank.
create table source_reading (
    run            text    not null primary key references run (id),
    job            text    not null,
    at             integer not null,
    people         integer not null check (people >= 0),
    with_reference integer not null check (with_reference >= 0),
    scope          integer check (scope >= 0),
    accounts       integer not null check (accounts >= 0),
    complete       integer not null check (complete in (0, 1)),
    accepted_at    integer,
    accepted_by    text,
    check ((accepted_at is null) = (accepted_by is null))
) strict;
create index source_reading_by_job on source_reading (job, at);
create index source_reading_accepted on source_reading (job, at) where accepted_at is not null;

create table plan (
    id                 text    not null primary key check (id glob 'p*'),
    job                text    not null,
    run                text    not null references run (id),
    created_at         integer not null,
    seen_at            integer not null, -- the last time that a run came to the same plan
    policy_fingerprint text    not null,
    origin             text    not null check (origin in ('planned', 'held')),
    superseded_by      text,
    superseded_at      integer,
    approved_run       text,
    approved_by        text,
    approved_at        integer,
    check ((superseded_by is null) = (superseded_at is null)),
    check ((approved_run is null) = (approved_at is null))
) strict;
create index plan_open on plan (job) where superseded_by is null and approved_run is null;
create index plan_by_time on plan (created_at);
create index plan_by_job on plan (job, created_at);
create index plan_by_run on plan (run);

create table plan_change (
    plan         text    not null references plan (id) on delete cascade,
    place        integer not null,
    person       text    not null,
    login        text    not null,
    account      text    not null check (length(account) = 36),
    upn          text    not null,
    kind         text    not null check (kind in ('set', 'change', 'clear')),
    from_account text check (length(from_account) = 36),
    from_label   text    not null,
    to_account   text check (length(to_account) = 36),
    to_label     text    not null,
    held         integer not null check (held in (0, 1)),
    primary key (plan, place)
) strict, without rowid;

create table call (
    id                integer not null primary key,
    run               text    not null references run (id),
    at                integer not null,
    service           text    not null check (service in ('okta', 'entra', 'graph')),
    method            text    not null,
    path              text    not null,
    status            integer,
    latency_ms        integer not null check (latency_ms >= 0),
    attempts          integer not null check (attempts >= 1),
    request_id        text,
    client_request_id text,
    verdict           text    not null check (verdict in ('ok', 'wrong_shape', 'failed')),
    error             text,
    body              text
) strict;
create index call_by_run on call (run);
create index call_by_time on call (at);

-- One row a reading of the tenant's licenses, so that a tenant without any is told from one never read.
create table license_reading (
    run text    not null primary key references run (id),
    at  integer not null
) strict;
create index license_reading_by_time on license_reading (at);

create table license_snapshot (
    run         text    not null references license_reading (run) on delete cascade,
    sku         text    not null,
    part_number text    not null,
    name        text    not null,
    status      text    not null,
    bought      integer not null check (bought >= 0),
    assigned    integer not null check (assigned >= 0),
    warning     integer not null check (warning >= 0),
    suspended   integer not null check (suspended >= 0),
    locked_out  integer not null check (locked_out >= 0),
    plans       text    not null check (json_valid(plans)),
    primary key (run, sku)
) strict, without rowid;

create table subscription_snapshot (
    run            text    not null references license_reading (run) on delete cascade,
    id             text    not null,
    sku            text    not null,
    part_number    text    not null,
    status         text    not null,
    licenses       integer not null,
    trial          integer not null check (trial in (0, 1)),
    created_at     integer,
    next_lifecycle integer,
    primary key (run, id)
) strict, without rowid;
create index subscription_by_sku on subscription_snapshot (run, sku);

-- The ledger: what became of every scheduled moment.
create table moment (
    job         text    not null,
    planned_at  integer not null,
    disposition text    not null check (disposition in ('ran', 'late', 'caught_up', 'collapsed', 'too_old', 'skipped',
                                                        'overlap', 'too_soon', 'paused', 'down', 'asleep', 'queue_full')),
    run         text,
    reason      text,
    recorded_at integer not null,
    primary key (job, planned_at)
) strict, without rowid;
create index moment_by_time on moment (planned_at);

-- The rules of a job that an operator agreed to.
create table job_policy (
    job         text    not null primary key,
    fingerprint text    not null,
    approved_at integer not null,
    approved_by text    not null
) strict, without rowid;
