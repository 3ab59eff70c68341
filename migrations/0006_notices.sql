-- Notices: what people are told, on which channel of the configuration, and whether it arrived.

-- What is wrong just now, as a channel knows it. Gone when it is right again.
create table cause (
    channel   text    not null check (channel <> ''),
    key       text    not null check (key <> ''),  -- the same trouble has the same key, such as `run:managers`
    job       text,                                -- null: it is about the service
    cause     text    not null,                    -- what it is just now; another one is told anew
    passing   integer not null check (passing in (0, 1)), -- it ends by not being seen for a day
    severity  text    not null check (severity in ('info', 'warning', 'error')),
    title     text    not null,
    lines     text    not null check (json_valid(lines)),
    since     integer not null,
    last_at   integer not null,
    seen      integer not null check (seen >= 1),
    told_at   integer not null,                    -- when the channel heard of it first, under this cause
    reminders integer not null check (reminders >= 0),
    primary key (channel, key)
) strict, without rowid;

-- A message to a channel, kept until it is delivered or given up.
create table notice (
    id            integer not null primary key,
    uid           text    not null unique check (length(uid) = 36), -- the same in every attempt
    channel       text    not null check (channel <> ''),
    job           text,
    run           text,
    kind          text    not null,                -- of what it is about, such as `run` or `configuration`
    tone          text    not null check (tone in ('new', 'changed', 'reminder', 'recovered', 'news', 'digest', 'start',
                                                   'success', 'fail')),
    severity      text    not null check (severity in ('info', 'warning', 'error')),
    title         text    not null,
    lines         text    not null check (json_valid(lines)),
    outputs       text    check (json_valid(outputs)), -- answers that a mail carries, redacted as they are stored
    made_at       integer not null,
    next_try      integer not null,
    claimed_until integer,                         -- a process is at delivering it until then
    attempts      integer not null default 0 check (attempts >= 0),
    state         text    not null default 'waiting' check (state in ('waiting', 'delivered', 'given_up', 'superseded')),
    settled_at    integer,
    problem       text,
    hint          text,
    check ((state = 'waiting') = (settled_at is null))
) strict;
create index notice_waiting on notice (next_try) where state = 'waiting';
create index notice_waiting_by_channel on notice (channel, id) where state = 'waiting';
create index notice_by_time on notice (made_at);
create index notice_by_job on notice (job, made_at);

-- How each channel does.
create table channel (
    name          text    not null primary key,
    failing_since integer,
    problem       text,
    hint          text,
    delivered_at  integer,
    check ((failing_since is null) = (problem is null))
) strict, without rowid;

-- What the next digest of a channel tells.
create table digest_item (
    id       integer not null primary key,
    channel  text    not null,
    at       integer not null,
    job      text,
    severity text    not null check (severity in ('info', 'warning', 'error')),
    title    text    not null
) strict;
create index digest_item_by_channel on digest_item (channel, at);

-- Up to when a channel's digests have told.
create table digest (
    channel text    not null primary key,
    told_to integer not null
) strict, without rowid;

-- The lowest share of people left unresolved, in percent, since a rise of it was told.
create table unresolved_share (
    job   text not null primary key,
    share real not null check (share >= 0)
) strict, without rowid;
