-- Imports of both directories that were complete, numbered in their order.
create table directory_import (
    id  integer not null primary key,
    run text    not null unique references run (id),
    job text    not null,
    at  integer not null
) strict;
create index directory_import_by_job on directory_import (job, id);
create index directory_import_by_time on directory_import (at);

-- What an import found of a person, an account, or a person with an account, from its first import to its last.
-- `last_import` is null while it stands; who has no person, account or name has a blank.
create table directory_entry (
    id           integer not null primary key,
    job          text    not null,
    kind         text    not null check (kind in ('ambiguous', 'shared', 'unmatched_in_okta', 'unmatched_in_entra',
                                                  'ignored', 'matched')),
    person       text    not null,
    login        text    not null,
    status       text    not null,
    account      text    not null check (length(account) in (0, 36)),
    upn          text    not null,
    guest        integer not null check (guest in (0, 1)),
    disabled     integer not null check (disabled in (0, 1)),
    digest       integer not null,
    first_import integer not null references directory_import (id),
    last_import  integer references directory_import (id),
    check (person <> '' or account <> ''),
    check (last_import >= first_import)
) strict;
create unique index one_standing_entry on directory_entry (job, person, account) where last_import is null;
create index directory_entry_begun on directory_entry (first_import);
create index directory_entry_ended on directory_entry (last_import) where last_import is not null;
create index directory_entry_by_person on directory_entry (person) where person <> '';
create index directory_entry_by_account on directory_entry (account) where account <> '';

-- A row a person, account, or person with account, as the latest complete import of its job found it.
create view directory_latest as
select entry.job,
       entry.kind,
       nullif(entry.person, '') as person,
       entry.login,
       entry.status,
       nullif(entry.account, '') as account,
       entry.upn,
       entry.guest,
       entry.disabled,
       first.run as first_run,
       strftime('%Y-%m-%dT%H:%M:%SZ', first.at / 1000, 'unixepoch') as first_time
  from directory_entry as entry
  join directory_import as first on first.id = entry.first_import
 where entry.last_import is null;

-- A call may be a write: its row is there before it is sent, and is `unknown` until an answer says what became of it.
create table call_anew (
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
    verdict           text    not null check (verdict in ('ok', 'wrong_shape', 'failed', 'unknown')),
    error             text,
    body              text
) strict;
insert into call_anew select id, run, at, service, method, path, status, latency_ms, attempts, request_id,
                             client_request_id, verdict, error, body
  from call;
drop table call;
alter table call_anew rename to call;
create index call_by_run on call (run);
create index call_by_time on call (at);
