-- Licenses over time: what does not change is stored once, however often it is read. A row holds from the reading `since`
-- until the reading `until`, that one left out; null: it still holds. Readings count up in the order in which they were
-- made, whatever the clock said.
drop view license_latest;
drop index license_reading_by_time;
drop index subscription_by_sku;
alter table license_reading rename to old_reading;
alter table license_snapshot rename to old_license;
alter table subscription_snapshot rename to old_subscription;

-- A reading outlives its run when rows still hold since then.
create table license_reading (
    id  integer not null primary key,
    run text    not null unique,
    at  integer not null
) strict;
create index license_reading_by_time on license_reading (at);

-- What is the same for a product at all times: its number, and what people call it.
create table license_product (
    sku         text not null primary key,
    part_number text not null,
    name        text not null
) strict, without rowid;

create table license_snapshot (
    sku        text    not null references license_product (sku),
    since      integer not null references license_reading (id),
    until      integer references license_reading (id),
    status     text    not null,
    applies_to text    not null, -- `User` or `Company`; blank: not known
    bought     integer not null check (bought >= 0),
    assigned   integer not null check (assigned >= 0),
    warning    integer not null check (warning >= 0),
    suspended  integer not null check (suspended >= 0),
    locked_out integer not null check (locked_out >= 0),
    primary key (sku, since),
    check (until > since)
) strict, without rowid;
create unique index one_standing_license on license_snapshot (sku) where until is null;
create index license_by_beginning on license_snapshot (since);
create index license_by_end on license_snapshot (until) where until is not null;

-- The states of a product's service plans, apart: they are long, and change more seldom than a count.
create table license_plans (
    sku   text    not null references license_product (sku),
    since integer not null references license_reading (id),
    until integer references license_reading (id),
    plans text    not null check (json_valid(plans)),
    primary key (sku, since),
    check (until > since)
) strict, without rowid;
create unique index one_standing_list_of_plans on license_plans (sku) where until is null;
create index license_plans_by_beginning on license_plans (since);
create index license_plans_by_end on license_plans (until) where until is not null;

create table subscription_snapshot (
    id             text    not null,
    since          integer not null references license_reading (id),
    until          integer references license_reading (id),
    sku            text    not null references license_product (sku),
    status         text    not null,
    licenses       integer not null,
    trial          integer check (trial in (0, 1)), -- null: not told
    created_at     integer,
    next_lifecycle integer,
    primary key (id, since),
    check (until > since)
) strict, without rowid;
create unique index one_standing_subscription on subscription_snapshot (id) where until is null;
create index subscription_by_beginning on subscription_snapshot (since);
create index subscription_by_end on subscription_snapshot (until) where until is not null;

insert into license_reading (id, run, at)
select row_number() over (order by at, rowid), run, at from old_reading;

-- The latest name of each product.
insert into license_product (sku, part_number, name)
select sku, part_number, name
  from (select old.sku, old.part_number, old.name, row_number() over (partition by old.sku order by reading.id desc) as place
          from old_license as old join license_reading as reading on reading.run = old.run)
 where place = 1;
insert or ignore into license_product (sku, part_number, name)
select sku, part_number, part_number from old_subscription;

-- A row begins where the reading before has none like it, and ends at the first reading after that has none like it.
create table old_rows (reading integer not null, id text not null, value text not null, primary key (id, reading)) strict;
insert into old_rows
select reading.id, old.sku, json_array(old.status, old.bought, old.assigned, old.warning, old.suspended, old.locked_out)
  from old_license as old join license_reading as reading on reading.run = old.run;
insert into license_snapshot (sku, since, until, status, applies_to, bought, assigned, warning, suspended, locked_out)
select row.id, row.reading,
       (select min(later.id) from license_reading as later
         where later.id > row.reading
           and not exists (select 1 from old_rows as same where same.reading = later.id and same.id = row.id and same.value = row.value)),
       json_extract(row.value, '$[0]'), '', json_extract(row.value, '$[1]'), json_extract(row.value, '$[2]'),
       json_extract(row.value, '$[3]'), json_extract(row.value, '$[4]'), json_extract(row.value, '$[5]')
  from old_rows as row
 where not exists (select 1 from old_rows as before
                    where before.reading = row.reading - 1 and before.id = row.id and before.value = row.value);

delete from old_rows;
insert into old_rows
select reading.id, old.sku, old.plans from old_license as old join license_reading as reading on reading.run = old.run;
insert into license_plans (sku, since, until, plans)
select row.id, row.reading,
       (select min(later.id) from license_reading as later
         where later.id > row.reading
           and not exists (select 1 from old_rows as same where same.reading = later.id and same.id = row.id and same.value = row.value)),
       row.value
  from old_rows as row
 where not exists (select 1 from old_rows as before
                    where before.reading = row.reading - 1 and before.id = row.id and before.value = row.value);

delete from old_rows;
insert into old_rows
select reading.id, old.id, json_array(old.sku, old.status, old.licenses, old.trial, old.created_at, old.next_lifecycle)
  from old_subscription as old join license_reading as reading on reading.run = old.run;
insert into subscription_snapshot (id, since, until, sku, status, licenses, trial, created_at, next_lifecycle)
select row.id, row.reading,
       (select min(later.id) from license_reading as later
         where later.id > row.reading
           and not exists (select 1 from old_rows as same where same.reading = later.id and same.id = row.id and same.value = row.value)),
       json_extract(row.value, '$[0]'), json_extract(row.value, '$[1]'), json_extract(row.value, '$[2]'),
       json_extract(row.value, '$[3]'), json_extract(row.value, '$[4]'), json_extract(row.value, '$[5]')
  from old_rows as row
 where not exists (select 1 from old_rows as before
                    where before.reading = row.reading - 1 and before.id = row.id and before.value = row.value);

drop table old_rows;
drop table old_subscription;
drop table old_license;
drop table old_reading;

-- What a run noticed, for people: licenses that appeared, dates that moved, a subscription that ends.
create table event (
    id       integer not null primary key,
    run      text    not null references run (id),
    job      text    not null,
    at       integer not null,
    kind     text    not null check (kind glob '[a-z]*'),
    severity text    not null check (severity in ('info', 'warning', 'urgent')),
    key      text    not null, -- the same for the same cause, whichever job notices it
    subject  text    not null, -- a product's GUID, or a subscription's id
    title    text    not null,
    lines    text    not null check (json_valid(lines))
) strict;
create index event_by_run on event (run);
create index event_by_time on event (at);
create index event_by_job on event (job, at);

-- What was told and is not told again as long as it is so.
create table alarm (
    job     text    not null,
    kind    text    not null check (kind glob '[a-z]*'),
    subject text    not null,
    date    integer not null, -- the date that the alarm is about; 0: none
    days    integer not null check (days >= 0), -- how few days before it was told; 0: does not matter
    primary key (job, kind, subject, date)
) strict, without rowid;

-- The subscription that a keepalive job watches, a row a run.
create table gauge (
    id           integer not null primary key,
    run          text    not null unique references run (id),
    job          text    not null,
    at           integer not null,
    part_number  text    not null,
    read_as      text check (read_as in ('app', 'user')), -- null: nobody could
    state        text    not null check (state in ('active', 'expiring', 'expired', 'unknown')),
    days_left    integer,
    why          text,    -- why nothing is known
    subscription text,
    status       text,    -- the vendor's word
    ends_at      integer, -- when the subscription leaves that status
    gone         integer not null check (gone in (0, 1)),
    known_end    integer, -- the last date known of the time when the subscription was enabled
    moved_at     integer, -- when that date was last seen to have moved
    moved_from   integer,
    moved_to     integer,
    calls_since  integer not null check (calls_since >= 0),
    check ((state = 'unknown') = (why is not null)),
    check ((moved_at is null) = (moved_from is null)),
    check ((moved_at is null) = (moved_to is null))
) strict;
create index gauge_by_job on gauge (job, id);
create index gauge_by_time on gauge (at);

-- The latest reading of the tenant's licenses, a row a product. `free` counts seats in their grace period too and is
-- negative when more is assigned. `next_lifecycle` is when the first enabled subscription ends or, where none is enabled,
-- when the first one is taken a step further.
create view license_latest as
select strftime('%Y-%m-%dT%H:%M:%SZ', reading.at / 1000, 'unixepoch') as time,
       license.sku,
       product.part_number,
       product.name,
       license.status,
       license.bought,
       license.assigned,
       license.bought + license.warning - license.assigned as free,
       license.warning,
       license.suspended,
       license.locked_out,
       (select strftime('%Y-%m-%dT%H:%M:%SZ',
                        coalesce(min(case when subscription.status = 'Enabled' then subscription.next_lifecycle end),
                                 min(subscription.next_lifecycle)) / 1000, 'unixepoch')
          from subscription_snapshot as subscription
         where subscription.sku = license.sku and subscription.since <= reading.id
           and (subscription.until is null or subscription.until > reading.id)) as next_lifecycle,
       (select max(subscription.trial)
          from subscription_snapshot as subscription
         where subscription.sku = license.sku and subscription.since <= reading.id
           and (subscription.until is null or subscription.until > reading.id)) as trial,
       license.applies_to
  from license_snapshot as license
  join license_product as product on product.sku = license.sku
  join license_reading as reading
    on reading.id = (select id from license_reading order by at desc, id desc limit 1)
   and license.since <= reading.id and (license.until is null or license.until > reading.id);

-- A product's counts as long as they were the same: from the reading at `since` to the one at `until`, null while they are
-- those of the newest reading.
create view license_over_time as
select license.sku,
       product.part_number,
       product.name,
       strftime('%Y-%m-%dT%H:%M:%SZ', first.at / 1000, 'unixepoch') as since,
       strftime('%Y-%m-%dT%H:%M:%SZ', later.at / 1000, 'unixepoch') as until,
       license.status,
       license.bought,
       license.assigned,
       license.bought + license.warning - license.assigned as free,
       license.warning,
       license.suspended,
       license.locked_out
  from license_snapshot as license
  join license_product as product on product.sku = license.sku
  join license_reading as first on first.id = license.since
  left join license_reading as later on later.id = license.until;

-- A row a thing that a licenses or keepalive run noticed. `lines` is a JSON list of texts.
create view license_event as
select event.id,
       event.run,
       event.job,
       strftime('%Y-%m-%dT%H:%M:%SZ', event.at / 1000, 'unixepoch') as time,
       event.kind,
       event.severity,
       event.key,
       event.subject,
       event.title,
       event.lines
  from event;

-- A row a keepalive run: what it found of the subscription that it watches. `moved_days` is by how much the end was last
-- seen to move, negative when it came nearer; `calls_since` are the calls since then, or since it is watched.
create view keepalive_gauge as
select run,
       job,
       strftime('%Y-%m-%dT%H:%M:%SZ', at / 1000, 'unixepoch') as time,
       part_number,
       state,
       days_left,
       why,
       subscription,
       status,
       strftime('%Y-%m-%dT%H:%M:%SZ', ends_at / 1000, 'unixepoch') as ends,
       gone,
       strftime('%Y-%m-%dT%H:%M:%SZ', moved_at / 1000, 'unixepoch') as moved,
       round((moved_to - moved_from) / 86400000.0, 2) as moved_days,
       calls_since,
       read_as
  from gauge;
