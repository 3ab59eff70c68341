-- How each identity is with which the program signs in: a row an identity, from its first sign-in or its first trouble on.
create table identity (
    name         text    not null primary key check (name in ('okta', 'app', 'user')),
    who          text    not null,   -- organization or tenant, and client: of another one nothing here holds
    state        text    not null check (state in ('unknown', 'ok', 'expiring', 'misconfigured', 'needs_human')),
    since        integer not null,   -- in this state for this reason
    reason       text,               -- a code word, such as AADSTS700082; null when all is well
    detail       text    not null,
    hint         text,
    notice       integer check (notice in (30, 14, 7, 1)), -- the last days-before-the-end at which people were to be told
    signed_in_at integer,            -- the last sign-in that succeeded
    ends         text    check (ends in ('client_secret', 'certificate', 'refresh_token')), -- what ends first
    ends_at      integer,
    claims       text,               -- what a policy wants of the next sign-in, as the vendor wrote it
    login_at     integer,            -- when somebody last signed a person in, and who
    login_by     text,
    check ((ends is null) = (ends_at is null)),
    check ((login_at is null) = (login_by is null))
) strict, without rowid;

-- Every change of a state, of its reason or of the notice that is due, and every signing in or out by somebody.
create table identity_change (
    id     integer not null primary key,
    at     integer not null,
    name   text    not null check (name in ('okta', 'app', 'user')),
    who    text    not null,
    state  text    not null check (state in ('unknown', 'ok', 'expiring', 'misconfigured', 'needs_human')),
    reason text,
    detail text    not null,
    hint   text,
    notice integer,
    caller text                      -- who signed in or out; null: the program found it so
) strict;
create index identity_change_by_time on identity_change (at);

-- The stable interface to both: times readable, one row an identity.
create view identity_state as
select name, who, state, strftime('%Y-%m-%dT%H:%M:%SZ', since / 1000, 'unixepoch') as since, reason, detail, hint,
       strftime('%Y-%m-%dT%H:%M:%SZ', signed_in_at / 1000, 'unixepoch') as signed_in,
       ends as ends_first, strftime('%Y-%m-%dT%H:%M:%SZ', ends_at / 1000, 'unixepoch') as ends
  from identity;
